"""A whole run as one document: every record with its shape, unit, size, range, last value and a line of blocks.

Everything is read in pieces that fit into memory, also of a run that is going on, was stopped or has failed. Of runs
that are larger than `looking.MOST`, parts are looked at, and `share` says which part of the values that is.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from synsim.inspection.looking import MOST, Look, shares
from synsim.inspection.measures import COLUMNS, GAP, Range, Spark, blocks
from synsim.inspection.plain import plain
from synsim.reading import Record, Run, Spikes, Whole, guard
from synsim.recorded_time import recorded_time

MOST_VALUES = 64  # of a last row that are given one by one
READ_WHOLE = 1 << 22  # spikes; where there are more, those of a stretch of time are counted by where they begin


@dataclass(frozen=True)
class State:
    """A state that is stored whole, as an array of which parts can be read."""

    run: Run
    when: str
    name: str
    what: Whole

    @property
    def shape(self) -> tuple[int, ...]:
        return self.what.shape

    @property
    def dtype(self) -> np.dtype:
        return self.what.dtype

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize

    def __getitem__(self, key: Any) -> np.ndarray:
        if not self.shape:
            return self.run.part_of_state(self.when, self.name, ()).reshape(1)
        return self.run.part_of_state(self.when, self.name, key)


def states_of(run: Run, when: str) -> dict[str, State]:
    """The states of a run at its start or its end, by name."""
    return {name: State(run, when, name, what) for name, what in run.states(when).items()}


def summary(run: Run, most: int | None = MOST, component: str | None = None) -> dict[str, Any]:
    """The whole as one JSON document, or what of it is of one component: numbers that are not finite stand as null.
    At most so many bytes are read of the values, all if None.

    A StoreError where the file is no file of synsim after all.
    """
    with guard(run.path), np.errstate(all="ignore"):
        return plain(_summary(run, most, component))


def about(run: Run) -> dict[str, Any]:
    """What is said of a run before what it holds."""
    dt, table = float(run.attrs.get("dt", 1.0)), run.trial_columns
    return {
        "name": run.name,
        "state": run.state,
        **({"reason": run.status["reason"]} if "reason" in run.status else {}),
        "path": str(run.path),
        "bytes": run.bytes,
        "seed": run.seed,
        "precision": run.attrs.get("precision"),
        "dt": dt,
        "batch": int(run.attrs.get("batch", 1)),
        "steps": run.steps,
        "time": run.steps * dt,
        "trials": {
            "count": len(table["phase"]),
            "phases": _phases(run),
            "labels": {name: list(table[name].shape) for name in sorted(set(table) - _FIXED)},
        },
    }


_FIXED = {"phase", "epoch", "start", "row"}


def _summary(run: Run, most: int | None, component: str | None) -> dict[str, Any]:
    records, events = _of(component, run.records), _of(component, run.events)
    states = {when: _of(component, states_of(run, when)) for when in ("initial", "final")}
    arrays = [record.data for record in records.values()], *(each.values() for each in states.values())
    sizes = [array.nbytes for each in arrays for array in each]
    given = iter([None] * len(sizes) if most is None else shares(sizes, most))
    return {
        **about(run),
        "records": {name: record_document(record, next(given)) for name, record in records.items()},
        "events": {name: events_document(run, spikes) for name, spikes in events.items()},
        **{
            when: {name: state_document(state, next(given)) for name, state in each.items()}
            for when, each in states.items()
        },
        "components": _of(component, components(run)),
        **_origin(run),
    }


def _of(component: str | None, named: Mapping[str, Any]) -> dict[str, Any]:
    return {name: each for name, each in named.items() if component in (None, name.partition(".")[0])}


def provenance(run: Run) -> dict[str, Any]:
    """Where a run comes from, as one JSON document: versions, machine, command, files, times."""
    with guard(run.path):
        return plain({"name": run.name, "path": str(run.path), **_origin(run)})


def _origin(run: Run) -> dict[str, Any]:
    attributes = {key: value for key, value in run.attrs.items() if key not in ("magic", "version")}
    return {"attributes": attributes, "provenance": dict(run.provenance), "status": dict(run.status)}


def components(run: Run) -> dict[str, str]:
    """The type of each component."""
    written = run.config.get("components") or {}
    return {str(name): str(each.get("type")) for name, each in written.items() if isinstance(each, Mapping)}


def _phases(run: Run) -> dict[str, int]:
    numbers, counts = np.unique(np.asarray(run.trial_columns["phase"]), return_counts=True)
    named = dict.fromkeys(run.phases, 0)
    for number, count in zip(numbers.tolist(), counts.tolist(), strict=True):
        named[run.phases[number] if 0 <= number < len(run.phases) else str(number)] = count
    return named


def record_document(record: Record, most: int | None = None) -> dict[str, Any]:
    """A record of values."""
    look, seen, spark = Look(record.data, most), Range(), Spark(len(record.data))
    for piece in look:
        seen.add(piece.values)
        spark.add(piece.first, piece.values)
    rows = len(record.data)
    few = rows and math.prod(record.shape[1:]) <= MOST_VALUES
    over = " and ".join(name for name, _ in record.axes)
    return {
        "form": record.form,
        "shape": list(record.shape),
        "axes": ["time", *(name for name, _ in record.axes)],
        "dtype": str(record.dtype),
        "unit": record.unit,
        "doc": record.doc,
        "bytes": record.bytes,
        "interval": record.interval,
        "from": float(record.time[0]) if rows else None,
        "to": float(record.time[-1]) if rows else None,
        **seen.document(),
        "share": look.share,
        "last": record.data[-1] if few else None,
        "sparkline": spark.document(f"rows, over {over}" if over else "rows"),
    }


def events_document(run: Run, spikes: Spikes) -> dict[str, Any]:
    """A record of spikes."""
    count, end = len(spikes), run.steps * float(run.attrs.get("dt", 1.0))
    bins = _over_time(spikes, end)
    recorded = recorded_time(run, spikes).milliseconds
    trains = spikes.units * spikes.batch
    return {
        "population": spikes.population,
        "count": count,
        "units": spikes.units,
        "doc": spikes.doc,
        "bytes": spikes.bytes,
        "from": float(spikes.timestamps[0]) if count else None,
        "to": float(spikes.timestamps[-1]) if count else None,
        "recorded": recorded,
        "rate": count / (trains * recorded / 1000) if trains and recorded else None,
        "sparkline": {
            "blocks": blocks(bins.astype(float)) if count else GAP * COLUMNS,
            "low": int(bins.min()),
            "high": int(bins.max()),
            "per_column": end / COLUMNS,
            "of": "ms, spikes in each",
        },
    }


def _over_time(spikes: Spikes, end: float) -> np.ndarray:
    """How many spikes there are in each of 60 equal stretches of the run."""
    times = spikes.timestamps
    if len(times) > READ_WHOLE:
        edges = [end * place / COLUMNS for place in range(1, COLUMNS)]
        begins, at = [0], 0
        for edge in edges:
            at = bisect_left(times, edge, at)
            begins.append(at)
        return np.diff([*begins, len(times)])
    bins = np.zeros(COLUMNS, np.int64)
    for piece in times.blocks():
        place = np.clip(piece / (end or 1.0) * COLUMNS, 0, COLUMNS - 1)
        bins += np.bincount(place.astype(np.int64), minlength=COLUMNS)
    return bins


def state_document(state: State, most: int | None = None) -> dict[str, Any]:
    """A state that is stored whole."""
    look, seen = Look(state, most), Range()
    for piece in look:
        seen.add(piece.values)
    return {
        "shape": list(state.shape),
        "axes": list(state.what.axes),
        "dtype": str(state.dtype),
        "unit": state.what.unit,
        "doc": state.what.doc,
        "bytes": state.what.bytes,
        **seen.document(),
        "share": look.share,
    }
