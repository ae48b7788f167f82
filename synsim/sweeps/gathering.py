"""The points of a sweep, gathered: a table for spreadsheets, and a file that xarray opens as one dataset.

    sweep.csv   a row a point: its number, its parameters, its state, its summaries
    sweep.h5    the same over the parameters: of a grid they are the dimensions, of other sweeps coordinates of `point`

A record is summarised by what it is: spikes by their mean rate, weights by the mean and the norm of the last that were
kept, any other values by their mean and by the last. Readouts are added as they were at the end. A point that is not
done has none of them: nothing in the table, NaN in the file.
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from synsim import describe
from synsim.catalogue import SYNAPSE_PARTS
from synsim.component import Compartment
from synsim.faults import StoreError
from synsim.files import atomic_write, publish_sealed
from synsim.layout import Column, Plan
from synsim.merging import build
from synsim.reading import Record, Run, Spikes
from synsim.spec import RunSettings, Spec, TopSettings

if TYPE_CHECKING:
    from synsim.sweeps.ledger import Ledger

TEXT = np.dtype("O", metadata={"vlen": str})


@dataclass(frozen=True)
class Summary:
    """One number of a point: "z.s.rate", in Hz."""

    name: str
    kind: str
    unit: str
    doc: str
    value: float


def gather(ledger: Ledger) -> None:
    """Writes sweep.csv and sweep.h5 from the files of the points that are done.

    Raises StoreError where one of them, or the disk, cannot be read or written.
    """
    states = {each.number: each.state for each in ledger.states()}
    columns: dict[str, Summary] = {}
    values: dict[str, np.ndarray] = {}
    for number, state in states.items():
        if state != "done":
            continue
        for each in summaries(ledger.point_file(number), ledger.summary):
            if each.name not in columns:
                columns[each.name] = each
                values[each.name] = np.full(len(ledger.points), math.nan)
            values[each.name][number] = each.value
    try:
        atomic_write(ledger.directory / "sweep.csv", _table(ledger, states, values).encode())
        folder = os.open(ledger.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            publish_sealed(folder, "sweep.h5", build(_dataset(ledger, states, columns, values)))
        finally:
            os.close(folder)
    except OSError as error:
        raise StoreError(f"{ledger.directory}: the sweep cannot be gathered: {error.strerror or error}") from error


# one point --------------------------------------------------------------------------------------------------------


def summaries(path: Path, chosen: Sequence[str]) -> list[Summary]:
    """What is said of one finished run, of the kinds that are chosen."""
    with Run(path) as run:
        about = _About(run)
        found = [each for spikes in run.events.values() for each in about.of_spikes(spikes, chosen)]
        found += [each for record in run.records.values() for each in about.of_record(record, chosen)]
        if "final" in chosen:
            found += about.readouts()
    return found


class _About:
    """What the config of a run says of its records."""

    def __init__(self, run: Run):
        self.run, self.config = run, run.config
        self.dt = float(self.config["run"]["dt"])

    def compartment(self, component: str, name: str) -> Compartment | None:
        """What a compartment was declared as, as far as its type is known here."""
        return _declared(self.config["components"].get(component, {})).get(name)

    def recorded_ms(self, name: str) -> float:
        """How long a record was kept, in time of the network."""
        settings = self.config["record"].get(name, {})
        whole = self.config["run"]
        phases = self.config.get("phases")
        counts = [self.run.steps // whole["steps"]]
        if phases:
            counts = np.bincount(self.run.trials.phase, minlength=len(phases))
        total, phases = 0.0, phases or [{}]
        for phase, trials in zip(phases, counts, strict=False):
            steps = phase.get("steps") or whole["steps"]
            if not phase.get("record", {}).get(name, settings.get("on", True)):
                continue
            start, stop = settings.get("window") or (0.0, math.inf)
            total += int(trials) * max(0.0, min(stop, steps * self.dt) - start)
        return total

    def of_spikes(self, spikes: Spikes, chosen: Sequence[str]) -> Iterator[Summary]:
        if "rate" in chosen:
            seconds = self.recorded_ms(spikes.name) * 1e-3 * spikes.units * spikes.batch
            rate = len(spikes) / seconds if seconds else math.nan
            yield Summary(f"{spikes.name}.rate", "rate", "Hz", f"mean rate of {spikes.name}", rate)

    def of_record(self, record: Record, chosen: Sequence[str]) -> Iterator[Summary]:
        name, rows = record.name, len(record)
        settings = self.config["record"].get(name, {})
        what = self.compartment(record.component, record.compartment)
        spiking = what is not None and what.spikes and settings.get("every") == 1
        learned = what is not None and what.learned and not settings.get("reduce")
        last = record.data[rows - 1] if rows else np.array(math.nan)
        if spiking and settings.get("reduce") in (None, "mean"):
            if "rate" in chosen:
                yield Summary(f"{name}.rate", "rate", "Hz", f"mean rate of {name}", _mean(record) / (self.dt * 1e-3))
            return
        if learned or {"pre_unit", "post_unit"} <= {axis for axis, _ in record.axes}:
            found = {"mean": float(np.mean(last, dtype=np.float64)), "norm": _norm(last)}
            docs = {"mean": f"mean of the last {name}", "norm": f"Euclidean norm of the last {name}"}
        else:
            found = {"last": float(np.mean(last, dtype=np.float64))} if "last" in chosen else {}
            found |= {"mean": _mean(record)} if "mean" in chosen else {}
            of = f"{settings['reduce']} of {name}" if settings.get("reduce") else name
            over = " over its units" if np.size(last) > 1 else ""
            docs = {"mean": f"mean of {of}", "last": f"last {of}" + (f", mean{over}" if over else "")}
        for kind, value in found.items():
            if kind in chosen:
                yield Summary(f"{name}.{kind}", kind, record.unit, docs[kind], value)

    def readouts(self) -> Iterator[Summary]:
        for component, written in self.config["components"].items():
            for name, what in _declared(written).items():
                if what.shown:
                    with suppress(StoreError):  # nobody read it, so it was not computed
                        value = float(np.mean(self.run.final(component, name), dtype=np.float64))
                        path = f"{component}.{name}"
                        doc = f"{path} at the end: {what.doc.rstrip('.')}"
                        yield Summary(f"{path}.final", "final", what.unit, doc, value)


_known: dict[str, Mapping[str, Compartment]] = {}  # by type and parts


def _declared(written: Mapping[str, Any]) -> Mapping[str, Compartment]:
    """The compartments of a component as its config describes it; none of a type that is not known here."""
    key = json.dumps({name: written.get(name) for name in ("type", *SYNAPSE_PARTS)})
    if key not in _known:
        _known[key] = {}
        with suppress(LookupError, TypeError):
            _known[key] = describe.compartments(written["type"], written)
    return _known[key]


def _mean(record: Record) -> float:
    """The mean of all values of a record, a piece at a time."""
    total = count = 0.0
    for block in record.data.blocks():
        total += float(np.sum(block, dtype=np.float64))
        count += block.size
    return total / count if count else math.nan


def _norm(values: np.ndarray) -> float:
    return float(np.sqrt(np.sum(np.square(np.asarray(values, np.float64)))))


# sweep.csv --------------------------------------------------------------------------------------------------------


def _table(ledger: Ledger, states: Mapping[int, str], values: Mapping[str, np.ndarray]) -> str:
    text = io.StringIO()
    write = csv.writer(text, lineterminator="\n")
    write.writerow(["point", *ledger.parameters, "state", *values])
    for number, point in enumerate(ledger.points):
        found = (float(column[number]) for column in values.values())
        cells = ("" if math.isnan(each) else repr(each) for each in found)
        write.writerow([number, *map(_cell, point), states[number], *cells])
    return text.getvalue()


def _cell(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


# sweep.h5 ---------------------------------------------------------------------------------------------------------


def _dataset(
    ledger: Ledger, states: Mapping[int, str], columns: Mapping[str, Summary], values: Mapping[str, np.ndarray]
) -> Plan:
    """The file: scales and coordinates for the parameters, a variable for each summary."""
    count, it = len(ledger.points), Plan()
    by_parameter = {path: [point[i] for point in ledger.points] for i, path in enumerate(ledger.parameters)}
    about = {path: _words(ledger.spec, path) for path in ledger.parameters}
    coordinates = []
    if ledger.mode == "grid":
        dims, shape = ledger.parameters, []
        for path, every in by_parameter.items():
            own = _distinct(every)
            shape.append(len(own))
            it.columns[f"/{path}"] = _column(own, (), about[path], scale=True)
    else:
        dims, shape = ("point",), [count]
        it.columns["/point"] = _column(list(range(count)), (), _Words(doc="number of the point"), scale=True)
        for path, every in by_parameter.items():
            it.columns[f"/{path}"] = _column(every, dims, about[path])
            coordinates.append(path)
    if ledger.mode == "grid":
        it.columns["/point"] = _shaped(np.arange(count).reshape(shape), dims, "", "number of the point")
        coordinates.append("point")
    state = np.array([states[number] for number in range(count)], object).reshape(shape)
    it.columns["/state"] = Column(state.shape, TEXT, tuple(dims), "1", "how the point stands", state)
    for name, column in columns.items():
        it.columns[f"/{name}"] = _shaped(values[name].reshape(shape), dims, column.unit, column.doc)
    it.groups["/"] = {
        "title": f"synsim sweep {ledger.name}",
        "name": ledger.name,
        "mode": ledger.mode,
        "parameters": list(ledger.parameters),
        "points": count,
        "done": sum(each == "done" for each in states.values()),
        "coordinates": " ".join(coordinates),  # which are none by being dimensions
    }
    return it


def _shaped(values: np.ndarray, dims: Sequence[str], unit: str, doc: str) -> Column:
    return Column(values.shape, values.dtype, tuple(dims), unit, doc, values)


def _distinct(values: Sequence[Any]) -> list[Any]:
    """The values of a parameter of a grid, each once, in order."""
    return list({json.dumps(each, sort_keys=True): each for each in values}.values())


def _column(values: Sequence[Any], dims: Sequence[str], about: _Words, *, scale: bool = False) -> Column:
    """The values of a parameter: whole numbers, numbers, true and false, or text."""
    attrs: dict[str, Any] = {}
    if all(isinstance(each, bool) for each in values):
        array, attrs = np.array(values, np.int8), {"dtype": "bool"}  # as xarray stores what netCDF has no type for
    elif all(isinstance(each, int | float) and not isinstance(each, bool) for each in values):
        whole = not about.real and all(isinstance(each, int) for each in values)
        array = np.array(values, np.int64 if whole else np.float64)
    else:
        array = np.array([_cell(each) for each in values], object)
    dtype = TEXT if array.dtype == object else array.dtype
    return Column(array.shape, dtype, tuple(dims), about.unit, about.doc, array, scale, attrs)


@dataclass(frozen=True)
class _Words:
    """What a parameter is called, its unit, and whether it is a number that need not be whole."""

    unit: str = ""
    doc: str = ""
    real: bool = False


def _words(spec: Spec, path: str) -> _Words:
    section, _, rest = path.partition(".")
    name, _, key = rest.partition(".")
    with suppress(LookupError, TypeError):
        if section in spec.components:
            typed, key, inside = spec.components[section], name, key
            setting = describe.settings(typed.type, typed.settings)[key]
        elif section == "data":
            typed, inside = spec.data[name], ""
            setting = describe.data_settings(typed.type)[key]
        else:
            setting, inside = describe.settings_of(RunSettings if section == "run" else TopSettings)[rest or path], ""
        if inside:
            return _Words(doc=f"{path}, of: {setting.doc.rstrip('.')}")
        return _Words(setting.unit, f"{path}: {setting.doc.rstrip('.')}", setting.annotation is float)
    return _Words(doc=path)
