"""What a run holds, for eyes: every record with its shape, unit, size, range, last value and a line of blocks.

Everything is read in pieces that fit into memory, also of a run that is going on, was stopped or has failed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from synsim.preflight import readable
from synsim.reading import Record, Run, Spikes, Whole, guard

BLOCKS = "▁▂▃▄▅▆▇█"
GAP = "·"  # stands where there is no finite value
COLUMNS = 60
MOST_VALUES = 64  # of a last row that are given one by one


def summary(run: Run) -> dict[str, Any]:
    """The whole report as one JSON document: numbers that are not finite stand as null.

    A StoreError where the file is no file of synsim after all.
    """
    with guard(run.path):
        return _summary(run)


def _summary(run: Run) -> dict[str, Any]:
    table = run.trials
    dt = float(run.attrs.get("dt", 1.0))
    document: dict[str, Any] = {
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
            "count": len(table),
            "phases": _phases(run),
            "labels": {name: list(values.shape) for name, values in table.labels.items()},
        },
        "records": {name: _record(record) for name, record in run.records.items()},
        "events": {name: _events(run, spikes) for name, spikes in run.events.items()},
        "initial": {name: _whole(run, "initial", name, what) for name, what in run.states("initial").items()},
        "final": {name: _whole(run, "final", name, what) for name, what in run.states("final").items()},
        "attributes": {key: value for key, value in run.attrs.items() if key not in ("magic", "version")},
        "provenance": dict(run.provenance),
        "status": dict(run.status),
    }
    return _plain(document)


def _phases(run: Run) -> dict[str, int]:
    counts = np.bincount(run.trials.phase, minlength=len(run.phases)) if len(run.trials) else np.zeros(len(run.phases))
    names = run.phases or tuple(str(n) for n in range(len(counts)))
    return {name: int(n) for name, n in zip(names, counts, strict=False)}


# --- numbers ---------------------------------------------------------------------------------------------------------


@dataclass
class _Range:
    """Smallest, mean and largest of the finite values seen so far."""

    low: float = math.inf
    high: float = -math.inf
    total: float = 0.0
    count: int = 0
    not_finite: int = 0

    def add(self, values: np.ndarray) -> None:
        finite = values[np.isfinite(values)] if values.dtype.kind == "f" else values
        self.not_finite += values.size - finite.size
        if finite.size:
            self.low, self.high = min(self.low, float(finite.min())), max(self.high, float(finite.max()))
            self.total += float(finite.sum(dtype=np.float64))
            self.count += finite.size

    def document(self) -> dict[str, Any]:
        if not self.count:
            return {"min": None, "mean": None, "max": None, "not_finite": self.not_finite}
        mean = min(max(self.total / self.count, self.low), self.high)
        return {"min": self.low, "mean": mean, "max": self.high, "not_finite": self.not_finite}


@dataclass
class Spark:
    """A line of blocks: each column is the mean of equally many values on end (the last of what is left)."""

    rows: int
    per_column: int = field(init=False)
    sums: np.ndarray = field(init=False)
    counts: np.ndarray = field(init=False)
    at: int = 0

    def __post_init__(self) -> None:
        self.per_column = max(1, math.ceil(self.rows / COLUMNS))
        columns = math.ceil(self.rows / self.per_column)
        self.sums, self.counts = np.zeros(columns), np.zeros(columns)

    def add(self, values: np.ndarray) -> None:
        """The next values in order; those that are not finite are left out of the means."""
        place = (self.at + np.arange(len(values))) // self.per_column
        kept = np.isfinite(values) & (place < len(self.sums))
        np.add.at(self.sums, place[kept], values[kept])
        np.add.at(self.counts, place[kept], 1)
        self.at += len(values)

    def document(self, of: str) -> dict[str, Any]:
        """The blocks, the range that they span, and what a column is the mean of."""
        means = np.divide(self.sums, self.counts, out=np.full(len(self.sums), np.nan), where=self.counts > 0)
        known = means[np.isfinite(means)]
        low, high = (float(known.min()), float(known.max())) if known.size else (None, None)
        return {"blocks": blocks(means), "low": low, "high": high, "per_column": self.per_column, "of": of}


def blocks(values: np.ndarray) -> str:
    """Numbers as blocks from the smallest to the largest of them; equal ones are all low."""
    known = values[np.isfinite(values)]
    if not known.size:
        return GAP * len(values)
    low, high = float(known.min()), float(known.max())
    step = (high - low) / len(BLOCKS) or 1.0
    return "".join(
        BLOCKS[min(len(BLOCKS) - 1, int((value - low) / step))] if math.isfinite(value) else GAP for value in values
    )


def _record(record: Record) -> dict[str, Any]:
    seen, spark = _Range(), Spark(len(record.data))
    for piece in record.data.blocks():
        seen.add(piece)
        flat = piece.reshape(len(piece), -1)
        with np.errstate(all="ignore"):
            spark.add(flat.mean(axis=1, dtype=np.float64) if flat.shape[1] else np.full(len(piece), np.nan))
    rows = len(record.data)
    last = record.data[-1] if rows else None
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
        "last": last if last is not None and last.size <= MOST_VALUES else None,
        "sparkline": spark.document(f"rows, over {' and '.join(n for n, _ in record.axes)}" if record.axes else "rows"),
    }


def _events(run: Run, spikes: Spikes) -> dict[str, Any]:
    count, end = len(spikes), run.steps * float(run.attrs.get("dt", 1.0))
    bins = np.zeros(COLUMNS, np.int64)
    for piece in spikes.timestamps.blocks():
        bins += np.bincount(np.minimum((piece / (end or 1.0) * COLUMNS).astype(int), COLUMNS - 1), minlength=COLUMNS)
    recorded = _recorded(run, spikes)
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


def _recorded(run: Run, spikes: Spikes) -> float:
    """For how long spikes were recorded, in ms: phases without the record, windows and `every` are left out."""
    dt = float(run.attrs.get("dt", 1.0))
    settings = run.config.get("record", {}).get(spikes.name, {})
    phases = run.config.get("phases") or []
    every = settings.get("every", 1)
    low, high = settings.get("window") or (0.0, math.inf)
    starts = np.rint(np.asarray(run.trials.start) / dt).astype(int).tolist()
    number = [int(n) for n in run.trials.phase]
    steps = _steps_of_trials(run, starts)
    if sum(steps) < run.steps:  # a trial that is not complete yet
        steps.append(run.steps - sum(steps))
        number.append(int(number[-1]) if number else 0)
    total = 0
    for length, phase in zip(steps, number, strict=True):
        own = phases[phase].get("record", {}) if phase < len(phases) else {}
        if own.get(spikes.name, settings.get("on", True)):
            first = math.ceil(low / dt - 1e-9)
            last = min(length, math.ceil(high / dt - 1e-9)) if math.isfinite(high) else length
            total += max(0, -(-last // every) - -(-first // every))  # the steps that `every` divides
    return total * dt


def _steps_of_trials(run: Run, starts: list[int]) -> list[int]:
    """Steps of each trial of the table: up to the start of the next, and of the last as many as its config says."""
    if not starts:
        return []
    phases = run.config.get("phases") or []
    number = int(run.trials.phase[-1])
    own = phases[number].get("steps") if number < len(phases) else None
    last = min(int(own or run.config.get("run", {}).get("steps", 0)) or run.steps, run.steps - starts[-1])
    return [*np.diff(starts).tolist(), last]


def _whole(run: Run, when: str, name: str, what: Whole) -> dict[str, Any]:
    component, _, compartment = name.partition(".")
    seen = _Range()
    seen.add(np.atleast_1d(getattr(run, when)(component, compartment)))
    return {
        "shape": list(what.shape),
        "axes": list(what.axes),
        "dtype": str(what.dtype),
        "unit": what.unit,
        "doc": what.doc,
        "bytes": what.bytes,
        **seen.document(),
    }


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, str | int | float | bool) or value is None else str(value)


# --- text ------------------------------------------------------------------------------------------------------------


def lines(run: Run) -> list[str]:
    """The report as lines of plain text, a tree below a head."""
    about = summary(run)
    with guard(run.path):
        return [printable(line) for line in (*_head(about), *_tree(_branches(about)))]


def printable(text: str) -> str:
    """A text of somebody else without what would control the terminal."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)


def _head(about: Mapping[str, Any]) -> Iterator[str]:
    reason = f" ({about['reason']})" if about.get("reason") else ""
    yield f"{about['name']}: {about['state']}{reason}"
    yield f"  {about['path']}, {readable(about['bytes'])}"
    facts = [f"seed {about['seed']}", f"dt {about['dt']:g} ms", f"{about['precision'] or ''}".strip()]
    yield "  " + ", ".join(
        [fact for fact in facts if fact] + ([f"batch {about['batch']}"] if about["batch"] > 1 else [])
    )
    trials = about["trials"]
    phases = ", ".join(f"{name} {count:,}" for name, count in trials["phases"].items())
    some = f" ({phases})" if len(trials["phases"]) > 1 else ""
    steps = f"{_count(about['steps'], 'step')}, {_milliseconds(about['time'])}"
    yield f"  {_count(trials['count'], 'trial')}{some}, {steps}"


Branch = tuple[str, list[str], list[Any]]
"""A line of the tree, the lines below it that belong to it, and its branches."""


def _branches(about: Mapping[str, Any]) -> list[Branch]:
    found: list[Branch] = []
    for title, render in (("records", _record_lines), ("events", _event_lines)):
        if about[title]:
            found.append((title, [], [(*_headed(name, render(each)), []) for name, each in about[title].items()]))
    if labels := about["trials"]["labels"]:
        shapes = [(f"{name}  {' x '.join(map(str, shape))}", [], []) for name, shape in labels.items()]
        found.append(("trials", [], shapes))
    for title in ("initial", "final"):
        if about[title]:
            width = max(map(len, about[title]))
            states = [(_state_line(name.ljust(width), each), [], []) for name, each in about[title].items()]
            found.append((title, [], states))
    return found


def _headed(name: str, told: list[str]) -> tuple[str, list[str]]:
    return f"{name}  {told[0]}", told[1:]


def _record_lines(each: Mapping[str, Any]) -> list[str]:
    doc = f"; {each['doc'].rstrip('.')}" if each["doc"] else ""
    told = [f"{_shape(each['shape'], each['axes'])}, {each['dtype']}, {readable(each['bytes'])}{doc}"]
    if each["from"] is None:
        return [*told, "no rows yet"]
    told.append(f"{_range(each)}; last {_values(each['last'], each['unit'])}")
    spark = each["sparkline"]
    told.append(
        f"{spark['blocks']}  {_span(spark, each['unit'])}, mean of {_per(spark)}, {each['from']:g} to {each['to']:g} ms"
    )
    return told


def _event_lines(each: Mapping[str, Any]) -> list[str]:
    rate = f", mean rate {_number(each['rate'])} Hz" if each["rate"] is not None else ""
    told = [f"{_count(each['count'], 'spike')} of {_count(each['units'], 'unit')}{rate}, {readable(each['bytes'])}"]
    if each["count"]:
        spark = each["sparkline"]
        span = f"{spark['low']:,} to {spark['high']:,} spikes in {_number(spark['per_column'])} ms"
        told.append(f"{spark['blocks']}  {span}, {each['from']:g} to {each['to']:g} ms")
    return told


def _state_line(name: str, each: Mapping[str, Any]) -> str:
    return f"{name}  {_shape(each['shape'], each['axes'])}, {readable(each['bytes'])}: {_range(each)}"


def _range(each: Mapping[str, Any]) -> str:
    unit = f" {each['unit']}" if each["unit"] else ""
    odd = f", {each['not_finite']:,} not finite" if each["not_finite"] else ""
    if each["min"] is None:
        return f"no finite value{odd}"
    if each["min"] == each["max"]:
        return f"all {_number(each['min'])}{unit}{odd}"
    return f"{_number(each['min'])} to {_number(each['max'])}{unit}, mean {_number(each['mean'])}{odd}"


def _values(last: Any, unit: str) -> str:
    if last is None:
        return "row not shown, it is large"
    flat = np.asarray(last, dtype=object).reshape(-1).tolist()
    shown = " ".join("nan" if value is None else _number(value) for value in flat[:6])
    return shown + (" …" if len(flat) > 6 else "") + (f" {unit}" if unit else "")


def _span(spark: Mapping[str, Any], unit: str) -> str:
    if spark["low"] is None:
        return "no finite value"
    return f"{_number(spark['low'])} to {_number(spark['high'])}" + (f" {unit}" if unit else "")


def _per(spark: Mapping[str, Any]) -> str:
    rows, _, over = spark["of"].partition(", ")
    many = rows.removesuffix("s") if spark["per_column"] == 1 else rows
    return f"{spark['per_column']:,} {many}" + (f" {over}" if over else "")


def _number(value: float) -> str:
    return f"{value:.4g}"


def _milliseconds(time: float) -> str:
    return f"{time:g} ms" if time < 10_000 else f"{time / 1000:,.6g} s"


def _count(n: int, what: str) -> str:
    return f"{n:,} {what}" + ("" if n == 1 else "s")


def _shape(shape: list[int], axes: list[str]) -> str:
    return " x ".join(f"{name} {n:,}" for name, n in zip(axes, shape, strict=True)) or "one number"


def _tree(branches: list[Branch], indent: str = "") -> Iterator[str]:
    for place, (line, told, below) in enumerate(branches):
        final = place == len(branches) - 1
        yield f"{indent}{'└─' if final else '├─'} {line}"
        inner = indent + ("   " if final else "│  ")
        for each in told:
            yield f"{inner}{'│' if below else ' '}  {each}"
        yield from _tree(below, inner)
