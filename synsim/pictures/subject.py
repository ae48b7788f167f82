"""What a panel of a picture shows: a record, spikes or a state of a run, by the name that a user gives it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from synsim.faults import ConfigError, listing, suggest
from synsim.pictures.part import Part, columns
from synsim.reading import Record, Run, Spikes
from synsim.thinning import BLOCK, BUDGET

ENERGIES = ("L", "energy", "energies")
_KERNEL = {"ky", "kx"}


@dataclass(frozen=True)
class Subject:
    """A named thing of a run and the part of it to be drawn; `label` tells two runs apart, `number` is 0 or 1."""

    run: Run
    name: str
    part: Part
    label: str = ""
    number: int = 0
    budget: int = BUDGET
    other: str = ""  # the second axis of a phase plane

    @property
    def spikes(self) -> Spikes | None:
        """The spikes of this name."""
        return self.run.events.get(self.name)

    @property
    def record(self) -> Record | None:
        """The record of this name."""
        return self.run.records.get(self.name)

    @property
    def trace(self) -> Record:
        """The record; a ConfigError that names the picture to make instead where there is none."""
        if self.record is not None:
            return self.record
        if self.spikes is not None:
            raise ConfigError(f"{self.name} is spikes: draw them with --kind raster, rate, histogram or spectrum")
        raise ConfigError(f"{self.name} was not recorded over time: --kind weights draws how it began and ended")

    @property
    def rows(self) -> tuple[int, int]:
        """The rows of the record in the part; a ConfigError where there is none."""
        start, stop = self.part.rows(self.trace)
        if stop <= start:
            begin, end = self.part.start - self.part.origin, self.part.stop - self.part.origin
            raise ConfigError(f"{self.name} has no row from {begin:,g} to {end:,g} ms{_last(self.trace)}")
        return start, stop

    @property
    def events(self) -> Spikes:
        """The spikes; a ConfigError where these are none."""
        if self.spikes is not None:
            return self.spikes
        raise ConfigError(f"{self.name} is no spikes: those of a config's `record: {{z.s: {{as: events}}}}` are")

    @property
    def doc(self) -> str:
        """What it is, in a few words."""
        if (known := self.record or self.spikes) is not None:
            return known.doc.rstrip(".")
        return self.run.states("final" if self.name in self.run.states("final") else "initial")[self.name].doc.rstrip(
            "."
        )

    @property
    def unit(self) -> str:
        """The unit of its values."""
        if self.record is not None:
            return self.record.unit
        for when in ("final", "initial"):
            if self.name in (states := self.run.states(when)):
                return states[self.name].unit
        return ""

    @property
    def heading(self) -> str:
        """Its name, its words, and what was chosen of the run."""
        return self.headed(self.doc)

    def headed(self, words: str) -> str:
        """Its name, some words, and what was chosen of the run."""
        return ", ".join(each for each in (f"{self.name}: {words}" if words else self.name, self.part.where) if each)

    @property
    def synapse(self) -> Mapping[str, Any]:
        """The settings of its component in the config as run."""
        found = (self.run.config.get("components") or {}).get(self.name.partition(".")[0])
        return found if isinstance(found, Mapping) else {}


def _last(record: Record) -> str:
    rows = len(record)
    return f"; its {rows:,} rows are from {record.time[0]:,g} to {record.time[-1]:,g} ms" if rows else ""


def resolve(run: Run, name: str) -> str:
    """The full name of what a user names: z.s, or z where that is one record. Raises ConfigError with what there is."""
    name = name.removeprefix("components.")
    states = {**run.states("initial"), **run.states("final")}
    if name in run or name in states:
        return name
    recorded = sorted({*run.records, *run.events})
    for pool in (recorded, sorted(states)):
        short = [each for each in pool if each.partition(".")[0] == name]
        if len(short) == 1:
            return short[0]
        if short:
            break
    inside = [each for each in recorded if each.startswith(f"{name}.")]
    near = f" Recorded of it are {listing(inside)}." if inside else suggest(name, [*recorded, *states])
    there = f" Recorded: {listing(recorded)}." if recorded and not inside else "" if inside else " Nothing was."
    raise ConfigError(f"{name:.80} was not recorded, and is no state.{near}{there}")


@dataclass(frozen=True)
class Matrix:
    """Weights as they were at some time, a matrix (pre, post) or filters (ky, kx, …), read in blocks of the first axis.

    `when` says which time, `units` are the numbers of the last axis, `columns` which of it are shown.
    """

    read: Callable[[slice], np.ndarray]
    whole: tuple[int, ...]  # its shape as it is stored
    axes: tuple[str, ...]
    when: str
    units: np.ndarray
    doc: str
    columns: np.ndarray | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape, with the chosen columns only."""
        return self.whole if self.columns is None else (*self.whole[:-1], len(self.columns))

    def blocks(self, rows: int = 1) -> Iterator[np.ndarray]:
        """All of it in blocks that fit into memory, each of a multiple of so many rows but the last."""
        many = max(1, BLOCK // (8 * max(1, math.prod(self.whole[1:]))) // rows) * rows
        for at in range(0, self.whole[0], many):
            block = np.asarray(self.read(slice(at, at + many)))
            block = block if self.columns is None else block[..., self.columns]
            block = block if block.dtype.kind == "f" else block.astype(np.float32)
            yield block if np.isfinite(block).all() else np.where(np.isfinite(block), block, np.nan)

    @property
    def values(self) -> np.ndarray:
        """All of it."""
        return np.concatenate(list(self.blocks()))

    def of(self, places: np.ndarray) -> Matrix:
        """The same with some of its columns only."""
        columns = places if self.columns is None else self.columns[places]
        return replace(self, units=self.units[places], columns=columns)


def axes_of(subject: Subject) -> tuple[tuple[str, ...], tuple[int, ...]] | None:
    """Names and lengths of the axes of weights, from the record where it holds them, else from the states."""
    if (record := subject.record) is not None and "reduce" not in record.attrs and len(record.axes) >= 2:
        if record.axes[0][0] == "row":
            return None
        return tuple(name for name, _ in record.axes), tuple(record.shape[1:])
    for when in ("final", "initial"):
        if (state := subject.run.states(when).get(subject.name)) is not None and len(state.shape) >= 2:
            if state.axes[0] == "row":
                return None
            return tuple(state.axes), tuple(state.shape)
    return None


def is_matrix(axes: tuple[str, ...]) -> bool:
    """Whether these are the axes of weights between units."""
    return len(axes) == 2 and not {"row", "y", "x", "channel"} & {each.partition("_")[0] for each in axes}


def is_kernel(axes: tuple[str, ...]) -> bool:
    """Whether these are the axes of filters."""
    return _KERNEL <= set(axes)


def matrices(subject: Subject) -> list[Matrix]:
    """The first and the last of the weights in the part; one alone where there is no other."""
    found = axes_of(subject)
    if found is None or not (is_matrix(found[0]) or is_kernel(found[0])):
        raise ConfigError(f"{subject.name} is no matrix of weights: --kind trace or histogram draws it")
    record = subject.record
    if record is not None and "reduce" not in record.attrs and len(record.axes) >= 2:
        first, last = subject.rows
        rows = [first] if last - first == 1 else [first, last - 1]
        units, data = np.asarray(record.axes[-1][1]), record.data
        kept = [
            Matrix(
                lambda some, row=row: data[row, some],
                found[1],
                found[0],
                _when(float(record.time[row]) - subject.part.origin),
                units,
                record.doc.rstrip("."),
            )
            for row in rows
        ]
    else:
        kept = [
            Matrix(
                lambda some, when=when: subject.run.part_of_state(when, subject.name, some),
                states[subject.name].shape,
                found[0],
                words,
                np.arange(found[1][-1]),
                states[subject.name].doc.rstrip("."),
            )
            for when, words in (("initial", "before"), ("final", "after"))
            if subject.name in (states := subject.run.states(when))
        ]
    if subject.part.units is None or not is_matrix(found[0]):
        return kept
    return [each.of(columns(each.units, subject.part, subject.name)) for each in kept]


def _when(time: float) -> str:
    return f"at {time:,.6g} ms" if time < 10_000 else f"at {time / 1000:,.6g} s"


def from_image(subject: Subject) -> tuple[int, int] | None:
    """The height and width of the images that weights come from: of an entry of data, or of cells that such drive.

    None where the input is no image, as that of the weights between two layers.
    """
    found = axes_of(subject)
    if found is None:
        return None
    axes, shape = found
    if is_kernel(axes):
        return shape[axes.index("ky")], shape[axes.index("kx")]
    if not is_matrix(axes):
        return None
    config = subject.run.config
    side = math.isqrt(shape[0])
    data = set(config.get("data") or {})
    source = _read_by(config, subject.name.partition(".")[0])
    sizes = [(config.get("components") or {}).get(each, {}).get("n_units") for each in source]
    for size in sizes:
        if isinstance(size, list) and len(size) in (2, 3) and math.prod(size) == shape[0]:
            return int(size[0]), int(math.prod(size[1:]))
    behind = source | {each for name in source for each in _read_by(config, name)}
    return (side, side) if side >= 4 and side * side == shape[0] and behind & data else None


def _read_by(config: Mapping[str, Any], component: str) -> set[str]:
    """Components and data entries that the inlets of a component read what they get from."""
    wires = config.get("wires") or {}
    found = set()
    for inlet in ("inputs", "pre", "preSpike", "j"):
        text = str(wires.get(f"{component}.{inlet}", ""))
        for word in text.replace("[", " ").replace("]", " ").replace("'", " ").replace(",", " ").split():
            found.add(word.partition(".")[0])
    return found
