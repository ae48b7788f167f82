"""One thing of a run in detail: a record, spikes, a state, the trial table."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from synsim.faults import ConfigError, suggest
from synsim.inspection.looking import MOST, Array, Look
from synsim.inspection.measures import Histogram, Range
from synsim.inspection.plain import plain
from synsim.inspection.summary import (
    State,
    about,
    components,
    events_document,
    record_document,
    state_document,
    states_of,
)
from synsim.reading import Record, Run, Spikes, guard
from synsim.spike_statistics import MOST as MOST_SPIKES
from synsim.spike_statistics import statistics

LAST_ROWS = 6
FIRST_VALUES = 8  # of a row
_ROOTS = ("records", "report", "events", "spikes")
_STATES = ("initial", "final")


def detail(run: Run, path: str, most: int | None = MOST) -> dict[str, Any]:
    """What a path names, as one document: z.v, final.W.weights, trials. W.weights is all that is known of it: a record,
    and what it was at the start and is at the end.

    Paths in the file are understood too, as /final/W/weights. `most` is as in `summary`. Raises ConfigError where there
    is nothing of that name, StoreError where the file is damaged.
    """
    with guard(run.path), np.errstate(all="ignore"):
        things = _named(run, path)
        share = None if most is None else most // max(1, 2 * len(things))  # each is read twice
        return plain({"run": about(run), "found": [_document(run, thing, share) for thing in things]})


Thing = tuple[str, Record | Spikes | State | None]


def names(run: Run) -> list[str]:
    """Every path that `detail` takes, and the names of components."""
    states = {f"{when}.{name}" for when in _STATES for name in run.states(when)}
    return [*sorted({*run.records, *run.events}), *sorted(states), *sorted(component_names(run)), "trials"]


def component_names(run: Run) -> set[str]:
    """The components that the config names, or of which there is something."""
    there = [*run.records, *run.events, *(name for when in _STATES for name in run.states(when))]
    return {*components(run), *(name.partition(".")[0] for name in there)}


def _named(run: Run, path: str) -> list[Thing]:
    name = path.strip("/").replace("/", ".").removesuffix(".data")
    root, _, rest = name.partition(".")
    if name == "trials":
        return [("trials", None)]
    states = [(when, each) for when in _STATES for each in states_of(run, when).values()]
    if root in _STATES:
        found: list[Thing] = [(when, each) for when, each in states if when == root and _fits(each.name, rest)]
    else:
        name = rest if root in _ROOTS else name
        found = [("record", each) for each in run.records.values() if _fits(each.name, name)]
        found += [("spikes", each) for each in run.events.values() if _fits(each.name, name) or each.population == name]
        if root not in _ROOTS:
            found += [(when, each) for when, each in states if _fits(each.name, name)]
    if not found:
        there = names(run)
        hint = suggest(path, there) or f" There are {', '.join(there[:30])}{' …' if len(there) > 30 else ''}."
        raise ConfigError(f"{run.path} has nothing called {path}.{hint}")
    return found


def _fits(name: str, wanted: str) -> bool:
    return name == wanted or not wanted


def _document(run: Run, thing: Thing, most: int | None) -> dict[str, Any]:
    kind, what = thing
    if isinstance(what, Record):
        told = {"kind": kind, "name": what.name, **record_document(what, most)}
        return {**told, "histogram": _histogram(what.data, most, told), "last_rows": _last_rows(what)}
    if isinstance(what, Spikes):
        return {"kind": kind, "name": what.name, **events_document(run, what), **_spikes(run, what, most)}
    if isinstance(what, State):
        told = {"kind": kind, "name": what.name, **state_document(what, most)}
        shape = what.shape or (1,)
        corner = what[
            tuple(slice(0, LAST_ROWS if len(shape) > 1 and at == len(shape) - 2 else 1) for at in range(len(shape) - 1))
            + (slice(0, FIRST_VALUES),)
        ]
        return {**told, "histogram": _histogram(what, most, told), "first": corner.reshape(-1, corner.shape[-1])}
    return {"kind": kind, "name": "trials", **_trials(run)}


def _histogram(array: Array, most: int | None, told: Mapping[str, Any]) -> dict[str, Any] | None:
    if told["min"] is None:
        return None
    found = Histogram(told["min"], told["max"])
    for piece in Look(array, most):
        found.add(piece.values)
    return found.document()


def _last_rows(record: Record) -> dict[str, Any]:
    """The last rows, of each the first values along its last axis."""
    count = len(record)
    part = slice(max(0, count - LAST_ROWS), count)
    inner = tuple(slice(0, 1) for _ in record.axes[:-1]) + ((slice(0, FIRST_VALUES),) if record.axes else ())
    values = record.data[(part, *inner)]
    values = values.reshape(len(values), math.prod(values.shape[1:]))
    columns = [f"{record.axes[-1][0]} {each}" for each in record.axes[-1][1][:FIRST_VALUES]] if record.axes else [""]
    of = ", ".join(f"{name} {each[0]}" for name, each in record.axes[:-1] if len(each))
    more = math.prod(record.shape[1:]) - len(columns)
    return {
        "of": of,
        "columns": columns,
        "more": more,
        "time": record.time[part],
        "trial": record.trial[part],
        "values": values,
    }


def _spikes(run: Run, spikes: Spikes, most: int | None) -> dict[str, Any]:
    told = statistics(run, spikes, most=None if most is None else MOST_SPIKES)
    rates = np.concatenate([told.rates_hz, np.zeros(told.silent)])
    histogram = Histogram(float(rates.min()), float(rates.max())) if rates.size else None
    if histogram is not None:
        histogram.add(rates)
    busiest = np.argsort(-told.rates_hz, kind="stable")[:LAST_ROWS]
    count = len(spikes)
    part = slice(max(0, count - LAST_ROWS), count)
    rows = {} if spikes.row is None else {"row": spikes.row[part]}
    return {
        "statistics": told.document(),
        "histogram": None if histogram is None else histogram.document(),
        "busiest": [{"unit": told.node_ids[at], "rate": told.rates_hz[at]} for at in busiest],
        "last_spikes": {
            "time": spikes.timestamps[part],
            "unit": spikes.node_ids[part],
            "trial": spikes.trial[part],
            **rows,
        },
    }


def _trials(run: Run) -> dict[str, Any]:
    table, documents = run.trial_columns, {}
    count = len(table["phase"])
    for name, column in table.items():
        seen = Range()
        for piece in Look(column, MOST // max(1, len(table))):
            seen.add(piece.values)
        last = column[(slice(max(0, count - LAST_ROWS), count), *(slice(0, 1) for _ in column.shape[1:]))]
        documents[name] = {
            "shape": list(column.shape),
            "dtype": str(column.dtype),
            **seen.document(),
            "last": last.reshape(-1),
        }
    return {"count": count, "phases": list(run.phases), "columns": documents}
