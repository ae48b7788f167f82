"""What differs between two runs: their configs, their records value by value, spike by spike, and their states.

Everything is read, in pieces that fit into memory.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from synsim import comparing
from synsim.inspection.looking import Array, Plan
from synsim.inspection.plain import plain
from synsim.inspection.summary import states_of
from synsim.reading import Record, Run, Spikes, guard
from synsim.wording import count, number, printable, with_unit

_PIECE = 1 << 19  # spikes that are compared at a time
_ABOUT = ("synsim_version", "jax_version", "jaxlib_version", "numpy_version", "device", "precision")


@dataclass(frozen=True)
class Tolerance:
    """Two values are the same where they are no further apart than `absolute` + `relative` * the larger of them."""

    relative: float = 0.0
    absolute: float = 0.0

    def same(self, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        """Where values are the same; NaN is the same as NaN."""
        same = one == other
        if same.all():
            return same
        if one.dtype.kind == "f" and other.dtype.kind == "f":
            same |= np.isnan(one) & np.isnan(other)
        if (self.relative or self.absolute) and not same.all():
            a, b = one.astype(np.float64), other.astype(np.float64)
            larger = np.maximum(np.abs(a), np.abs(b))
            same |= np.isfinite(larger) & (np.abs(a - b) <= self.absolute + self.relative * larger)
        return same


def differences(one: Run, other: Run, tolerance: Tolerance | None = None) -> dict[str, Any]:
    """How two runs differ, as one JSON document; its `same` says whether they do.

    Versions and devices are said where they differ, and do not count; names and provenance do not either.
    Raises StoreError where a file is damaged.
    """
    near = tolerance or Tolerance()
    with guard(f"{one.path} or {other.path}"), np.errstate(all="ignore"):
        return plain(_differences(one, other, near))


def _differences(one: Run, other: Run, near: Tolerance) -> dict[str, Any]:
    config = [each for each in comparing.resolved_differences(one.config, other.config) if each.path != "name"]
    records = _each(one.records, other.records, lambda a, b: _record(a, b, near))
    records |= _each(one.events, other.events, _spikes)
    trials = _each(one.trial_columns, other.trial_columns, lambda a, b: _whole(a, b, near))
    states = {
        when: _each(
            states_of(one, when), states_of(other, when), lambda a, b: {"unit": a.what.unit, **_whole(a, b, near)}
        )
        for when in ("initial", "final")
    }
    starts = {name: each["first"] for name, each in records.items() if each.get("first")}
    first = min(starts, key=lambda name: starts[name]["time"], default=None)
    every = [*records.values(), *trials.values(), *(each for some in states.values() for each in some.values())]
    about = [
        {"name": key, "a": one.attrs.get(key), "b": other.attrs.get(key)}
        for key in _ABOUT
        if one.attrs.get(key) != other.attrs.get(key)
    ]
    return {
        "a": str(one.path),
        "b": str(other.path),
        "same": not config and one.steps == other.steps and all(each["same"] for each in every),
        "steps": {"a": one.steps, "b": other.steps},
        "config": comparing.entries(config),
        "records": records,
        "trials": trials,
        **states,
        "first": None if first is None else {"name": first, **starts[first]},
        "about": about,
    }


def _each(ones: Mapping[str, Any], others: Mapping[str, Any], compare: Any) -> dict[str, dict[str, Any]]:
    found = {}
    for name in sorted({*ones, *others}):
        if name in ones and name in others:
            found[name] = compare(ones[name], others[name])
        else:
            found[name] = {"same": False, "why": f"only in {'a' if name in ones else 'b'}"}
    return found


# --- values ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Shape:
    shape: tuple[int, ...]
    dtype: np.dtype


@dataclass
class _Values:
    """What was found between two arrays of one shape: how many values differ, how far, and the first of them."""

    differing: int = 0
    largest: float = 0.0
    first: tuple[int, ...] | None = None
    pair: tuple[Any, Any] | None = None


def _values(one: Array, other: Array, shape: tuple[int, ...], near: Tolerance) -> _Values:
    found = _Values()
    for key in Plan(_Shape(shape, np.promote_types(one.dtype, other.dtype))).keys():
        a, b = one[key], other[key]
        same = near.same(a, b)
        if same.all():
            continue
        found.differing += int(same.size - np.count_nonzero(same))
        apart = np.abs(np.subtract(a, b, dtype=np.float64))[~same]
        largest = float(apart.max())
        found.largest = math.inf if math.isnan(largest) else max(found.largest, largest)
        if found.first is None:
            at = np.unravel_index(int(np.argmin(same)), same.shape)
            offsets = [part.start or 0 for part in key]
            found.first = tuple(int(place) + (offsets[n] if n < len(offsets) else 0) for n, place in enumerate(at))
            found.pair = (a[at], b[at])
    return found


def _whole(one: Array, other: Array, near: Tolerance) -> dict[str, Any]:
    """Two arrays as a whole: states, columns of the trial table."""
    if one.shape != other.shape:
        return {"same": False, "why": f"shape {_written(one.shape)} and {_written(other.shape)}"}
    found = _values(one, other, one.shape or (1,), near)
    if found.first is None:
        return {"same": True}
    return {"same": False, **_said(found, math.prod(one.shape)), "at": list(found.first)}


def _said(found: _Values, values: int) -> dict[str, Any]:
    return {"values": values, "differing": found.differing, "largest": found.largest, "pair": list(found.pair or ())}


def _record(one: Record, other: Record, near: Tolerance) -> dict[str, Any]:
    if one.shape[1:] != other.shape[1:]:
        return {"same": False, "why": f"rows of shape {_written(one.shape[1:])} and {_written(other.shape[1:])}"}
    for (name, a), (called, b) in zip(one.axes, other.axes, strict=True):
        if name != called or not np.array_equal(a, b):
            return {"same": False, "why": f"other places along {name}"}
    rows = min(len(one), len(other))
    times = _values(one.time, other.time, (rows,), Tolerance(1e-12))
    if times.first is not None:
        rows = times.first[0]
    found = _values(one.data, other.data, (rows, *one.shape[1:]), near)
    document: dict[str, Any] = {"unit": one.unit, "rows": {"a": len(one), "b": len(other)}}
    if found.first is not None:
        row, *inner = found.first
        place = {name: coords[at] for (name, coords), at in zip(one.axes, inner, strict=True)}
        first = {"time": one.time[row], "trial": one.trial[row], "at": place}
        return {"same": False, **document, **_said(found, math.prod((rows, *one.shape[1:]))), "first": first}
    if times.first is not None:
        a, b = float(one.time[rows]), float(other.time[rows])
        why = f"rows of other times from row {rows:,} on ({a:.10g} and {b:.10g} ms)"
        return {"same": False, **document, "why": why, "first": {"time": min(a, b)}}
    if len(one) != len(other):
        longer = one if len(one) > len(other) else other
        why = f"{len(one):,} and {len(other):,} rows, as far as both go the same"
        first = {"time": longer.time[rows], "trial": longer.trial[rows]}
        return {"same": False, **document, "why": why, "first": first}
    return {"same": True, **document}


def _written(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "one number"


# --- spikes ----------------------------------------------------------------------------------------------------------


def _spikes(one: Spikes, other: Spikes) -> dict[str, Any]:
    """Spikes that one has and the other has not: of the same unit, and row, at the same time."""
    only = {"a": 0, "b": 0}
    first: dict[str, Any] | None = None
    for a, b in _stretches(one, other):
        times, units, rows = (np.concatenate(pair) for pair in zip(a, b, strict=True))
        side = np.repeat([0, 1], [len(a[0]), len(b[0])])
        order = np.lexsort((side, units, rows, times))
        times, units, rows, side = times[order], units[order], rows[order], side[order]
        fresh = np.ones(len(times), bool)
        fresh[1:] = (np.diff(times) != 0) | (units[1:] != units[:-1]) | (rows[1:] != rows[:-1])
        group = np.cumsum(fresh) - 1
        surplus = np.bincount(group, np.where(side == 0, 1, -1))
        only["a"] += int(surplus[surplus > 0].sum())
        only["b"] += int(-surplus[surplus < 0].sum())
        odd = np.flatnonzero(surplus)
        if first is None and odd.size:
            at = np.flatnonzero(fresh)[odd[0]]
            place = {"unit": units[at], **({"row": rows[at]} if one.row is not None else {})}
            first = {"time": times[at], "at": place, "in": "a" if surplus[odd[0]] > 0 else "b"}
    told = {"count": {"a": len(one), "b": len(other)}, "only": only}
    if (one.units, one.batch) != (other.units, other.batch):
        why = f"{one.units} and {other.units} units, in {one.batch} and {other.batch} rows"
        return {"same": False, **told, "why": why, **({"first": first} if first else {})}
    return {"same": first is None, **told, **({"first": first} if first else {})}


def _stretches(one: Spikes, other: Spikes) -> Iterator[tuple[list[np.ndarray], list[np.ndarray]]]:
    """Times, units and rows of both, a stretch of time after the other."""
    at = [0, 0]
    sides = (one, other)
    while any(place < len(each) for place, each in zip(at, sides, strict=True)):
        ends = [
            float(each.timestamps[min(len(each), place + _PIECE) - 1])
            for place, each in zip(at, sides, strict=True)
            if place < len(each)
        ]
        end = min(ends)
        if math.isnan(end):
            raise ValueError("spikes without a time")
        nexts = [bisect_right(each.timestamps, end, place) for place, each in zip(at, sides, strict=True)]
        if nexts == at:
            raise ValueError("the spikes are not in the order of time")
        yield _columns(one, slice(at[0], nexts[0])), _columns(other, slice(at[1], nexts[1]))
        at = nexts


def _columns(spikes: Spikes, part: slice) -> list[np.ndarray]:
    times, units = spikes.timestamps[part], spikes.node_ids[part]
    return [times, units, np.zeros(len(times), np.int64) if spikes.row is None else spikes.row[part].astype(np.int64)]


# --- words -----------------------------------------------------------------------------------------------------------


def lines(told: Mapping[str, Any]) -> list[str]:
    """The document as text: what differs, and at last how much is the same."""
    return [printable(line) for line in _lines(told)]


def _lines(told: Mapping[str, Any]) -> Iterator[str]:
    yield f"--- {told['a']}"
    yield f"+++ {told['b']}"
    for each in told["about"]:
        yield f"note: {each['name'].removesuffix('_version')} {each['a']} and {each['b']}"
    if told["steps"]["a"] != told["steps"]["b"]:
        yield f"{told['steps']['a']:,} and {told['steps']['b']:,} steps"
    yield from comparing.difference_lines(
        [
            comparing.Difference(each["path"], each.get("a", comparing.ABSENT), each.get("b", comparing.ABSENT))
            for each in told["config"]
        ]
    )
    if told["first"]:
        yield f"first difference at {_time(told['first'])}, in {told['first']['name']}"
    alike = [] if told["config"] else ["the config"]
    for key, what in (
        ("records", "record"),
        ("trials", "column"),
        ("initial", "initial state"),
        ("final", "final state"),
    ):
        for name, each in told[key].items():
            if not each["same"]:
                yield f"{name if key == 'records' else f'{key}.{name}'}: {_what(each)}"
        if number_alike := sum(each["same"] for each in told[key].values()):
            alike.append(count(number_alike, what) + (" of the trial table" if key == "trials" else ""))
    if alike:
        yield f"the same in both: {', '.join(alike)}"


def _what(each: Mapping[str, Any]) -> str:
    if "only" in each:
        a, b = each["count"]["a"], each["count"]["b"]
        why = f"; {each['why']}" if "why" in each else ""
        text = f"{a:,} and {b:,} spikes, {each['only']['a']:,} only in a, {each['only']['b']:,} only in b{why}"
        first = each.get("first")
        return f"{text}; first at {_time(first)}, {_place(first['at'])}, in {first['in']}" if first else text
    if "differing" not in each:
        return each["why"]
    unit = each.get("unit", "")
    far = (
        "where one is not finite" if each["largest"] is None else f"by up to {with_unit(number(each['largest']), unit)}"
    )
    text = f"{each['differing']:,} of {count(each['values'], 'value')} differ, {far}"
    first = each.get("first")
    a, b = (_exact(value) for value in each["pair"])
    where = f"from {_time(first)} on, {_place(first['at'])}" if first else f"first at {each['at']}"
    return f"{text}; {where}: {with_unit(f'{a} and {b}', unit)}"


def _time(first: Mapping[str, Any]) -> str:
    return f"{first['time']:.10g} ms" + (f" (trial {first['trial']})" if "trial" in first else "")


def _place(at: Mapping[str, Any]) -> str:
    return " ".join(f"{name} {value}" for name, value in at.items())


def _exact(value: Any) -> str:
    return "nan" if value is None else f"{value:.9g}" if isinstance(value, float) else str(value)
