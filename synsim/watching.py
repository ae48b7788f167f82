"""A run that is going on, seen from outside: what its finished segments say, as plain data and as lines of text.

Each segment is opened once, however often is looked, and little is read of it: how many spikes, the last row of each
record, the spikes of the last half second. So it costs the run nothing, and whoever comes later sees the same.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from synsim.faults import StoreError
from synsim.inspection.measures import blocks
from synsim.reading import Record, Run, Spikes, read_status
from synsim.recorded_time import recorded_time
from synsim.segments import SEGMENT, Segments, Vanished, all_its_own, dataset_at, guard, opened
from synsim.wording import milliseconds, number, printable, with_unit

COLUMNS = 48  # of what a record did so far
RASTER_MS = 500.0
RASTER_SPIKES = 200_000  # that are read for it at the most
ROW_BYTES = 4 << 20  # a larger row is not read
OPENED = 200  # segments, the last ones, that are opened when the watching begins
SPEED_OVER = 30.0  # seconds

Line = tuple[tuple[str, str], ...]
"""A line as pieces of text with a style: "", "good", "bad", "bar", "faint"."""


# --- what is seen


@dataclass(frozen=True)
class Rate:
    """Spikes of a population a second and unit: in the last segment, or over a finished run, and what it was so far."""

    name: str
    hz: float
    history: np.ndarray


@dataclass(frozen=True)
class Value:
    """The last row of a record: its mean and range, and the means so far."""

    name: str
    unit: str
    mean: float
    low: float
    high: float
    history: np.ndarray


@dataclass(frozen=True)
class Raster:
    """The spikes from `start` to `stop` (ms): times, and the place of each unit among the `units` that there are."""

    name: str
    units: int
    start: float
    stop: float
    times: np.ndarray
    places: np.ndarray


@dataclass(frozen=True)
class RunView:
    """A run at one moment. `speed` is in steps a second, None while it is not known."""

    name: str
    state: str
    reason: str
    saved: int
    steps: int
    dt: float
    phase: str
    trial: int | None
    updated: str
    segments: int
    speed: float | None = None
    resume: str = ""
    rates: tuple[Rate, ...] = ()
    values: tuple[Value, ...] = ()
    rasters: tuple[Raster, ...] = ()

    @property
    def goes_on(self) -> bool:
        """Whether there is more to come."""
        return self.state == "running"


@dataclass
class _Seen:
    """What one segment says."""

    first: int
    last: int
    spikes: dict[str, int] = field(default_factory=dict)
    values: dict[str, tuple[float, float, float]] = field(default_factory=dict)  # mean, low, high
    phase: int | None = None
    trial: int | None = None


class Watched:
    """A run's folder, or its finished file, that is looked at again and again."""

    def __init__(self, path: Path):
        self.path = path
        self._seen: dict[str, _Seen] = {}
        self._looks: list[tuple[float, int]] = []  # when steps became more

    def look(self, now: float) -> RunView:
        """How it stands; `now` is a clock in seconds. StoreError where it cannot be read, MissingInput for nothing."""
        for _ in range(5):
            with suppress(Vanished):  # segments became one, or the file, in between
                return self._look(now)
        raise StoreError(f"{self.path} changes faster than it can be read")

    def _look(self, now: float) -> RunView:
        if self.path.is_dir() and not (self.path / "seg" / "head.h5").exists():
            status = read_status(self.path)
            if status["state"] == "running" and not (self.path / f"{status.get('name')}.h5").exists():
                return self._begun(status)
        with Run(self.path) as run, guard(self.path):
            return self._view(run, now)

    @staticmethod
    def _begun(status: Mapping[str, Any]) -> RunView:
        steps = int(status.get("steps", 0))
        return RunView(str(status.get("name")), "running", "", 0, steps, 1.0, "", None, str(status.get("updated")), 0)

    def _view(self, run: Run, now: float) -> RunView:
        saved, dt = run.steps, float(run.attrs.get("dt", 1.0))
        live = run.segments
        if live is None:
            seen: list[_Seen] = []
            rates, values, rasters = _finished(run)
        else:
            seen = self._segments(run, live)
            rates, values = tuple(_rates(run, seen, dt)), tuple(_values(run, seen, saved))
            rasters = tuple(_rasters(run, live, saved * dt))
        phases = [each.phase for each in seen if each.phase is not None]
        trials = [each.trial for each in seen if each.trial is not None]
        status = run.status
        return RunView(
            run.name,
            run.state,
            str(status.get("reason", "")) if run.state != "running" else "",
            saved,
            int(status.get("steps") or saved),
            dt,
            run.phases[phases[-1]] if phases and 0 <= phases[-1] < len(run.phases) else "",
            trials[-1] if trials else None,
            str(status.get("updated", run.provenance.get("finished", ""))),
            0 if live is None else len(live),
            self._speed(run, now),
            f"synsim run {shlex.quote(str(self.path))} --resume" if run.state in ("interrupted", "failed") else "",
            rates=rates,
            values=values,
            rasters=rasters,
        )

    def _speed(self, run: Run, now: float) -> float | None:
        """Steps a second lately, or on the average where nothing was seen to change yet."""
        if not self._looks or self._looks[-1][1] != run.steps:
            self._looks.append((now, run.steps))
        while len(self._looks) > 2 and self._looks[1][0] < now - SPEED_OVER:
            self._looks.pop(0)
        (since, before), (last, steps) = self._looks[0], self._looks[-1]
        if last > since and run.state == "running":
            return (steps - before) / (last - since)
        with suppress(ValueError, TypeError, KeyError):
            begun, until = (datetime.fromisoformat(str(run.status[key])) for key in ("started", "updated"))
            seconds = (until - begun).total_seconds()
            return run.steps / seconds if seconds >= 1.0 else None
        return None

    def _segments(self, run: Run, live: Segments) -> list[_Seen]:
        """What each segment says, of which only new ones are opened."""
        kept: dict[str, _Seen] = {}
        for name in live.names[-OPENED:]:
            kept[name] = self._seen.get(name) or _opened(run, live.folder / name)
        self._seen = kept
        return list(kept.values())


def _opened(run: Run, path: Path) -> _Seen:
    """What a segment says, read."""
    match = SEGMENT.fullmatch(path.name)
    assert match is not None
    seen = _Seen(int(match[1]), int(match[2]))
    with opened(path) as file:
        all_its_own(file)

        def column(at: str) -> Any:
            return dataset_at(file, at) if at in file else None

        for name, spikes in run.events.items():
            times, trial = (column(f"{spikes.group}/{key}") for key in ("timestamps", "trial"))
            seen.spikes[name] = 0 if times is None else times.shape[0]
            if trial is not None and trial.shape[0]:
                seen.trial = max(int(trial[-1]), seen.trial or 0)
        for name, record in run.records.items():
            data, trial = (column(f"{record.group}/{key}") for key in ("data", "trial"))
            if data is not None and data.shape[0] and _small(record):
                seen.values[name] = _measured(data[-1])
            if trial is not None and trial.shape[0]:
                seen.trial = max(int(trial[-1]), seen.trial or 0)
        phase = column("/trials/phase")
        if phase is not None and phase.shape[0]:
            seen.phase = int(phase[-1])
    return seen


def _small(record: Record) -> bool:
    return math.prod(record.data.row_shape) * record.dtype.itemsize <= ROW_BYTES


def _measured(row: Any) -> tuple[float, float, float]:
    values = np.asarray(row, np.float64)
    finite = values[np.isfinite(values)]
    if not finite.size:
        return math.nan, math.nan, math.nan
    return float(finite.mean()), float(finite.min()), float(finite.max())


def _rates(run: Run, seen: Sequence[_Seen], dt: float) -> Iterator[Rate]:
    for name, spikes in run.events.items():
        trains = max(1, spikes.units * spikes.batch)
        counts = np.array([each.spikes.get(name, 0) for each in seen], np.float64)
        seconds = np.array([(each.last - each.first) * dt / 1000 for each in seen])
        hz = counts / np.maximum(seconds, 1e-12) / trains
        yield Rate(name, float(hz[-1]) if len(hz) else math.nan, _spread(seen, hz))


def _values(run: Run, seen: Sequence[_Seen], saved: int) -> Iterator[Value]:
    for name, record in run.records.items():
        known = [each for each in seen if name in each.values]
        if known:
            means = np.array([each.values[name][0] for each in known])
            yield Value(name, record.unit, *known[-1].values[name], _spread(known, means))


def _spread(seen: Sequence[_Seen], values: np.ndarray) -> np.ndarray:
    """One value a segment over equal columns of time; a column has that of the segment in its middle."""
    if not len(seen):
        return np.full(COLUMNS, np.nan)
    first, last = seen[0].first, seen[-1].last
    middle = first + (np.arange(COLUMNS) + 0.5) * (last - first) / COLUMNS
    at = np.searchsorted([each.last for each in seen], middle, "right")
    return values[np.minimum(at, len(seen) - 1)]


def _rasters(run: Run, live: Segments, end: float) -> Iterator[Raster]:
    """The spikes of the last half second, out of the last segments."""
    start = max(0.0, end - RASTER_MS)
    for spikes in run.events.values():
        times, ids, left = [], [], RASTER_SPIKES
        for path in reversed(live.paths):
            with opened(path) as file:
                at = spikes.group
                if f"{at}/timestamps" in file:
                    count = dataset_at(file, f"{at}/timestamps").shape[0]
                    part = slice(max(0, count - left), count)
                    time, unit = (dataset_at(file, f"{at}/{key}")[part] for key in ("timestamps", "node_ids"))
                    if spikes.batch > 1:
                        own = dataset_at(file, f"{at}/row")[part] == 0
                        time, unit = time[own], unit[own]
                    times.append(time)
                    ids.append(unit)
                    left -= count
            match = SEGMENT.fullmatch(path.name)
            if left <= 0 or (match and int(match[1]) * float(run.attrs.get("dt", 1.0)) <= start):
                break
        yield _raster(run, spikes, start, end, np.concatenate([[], *times]), np.concatenate([[], *ids]))


def _raster(run: Run, spikes: Spikes, start: float, stop: float, times: np.ndarray, ids: np.ndarray) -> Raster:
    known = run.spikes(spikes.name).units
    within = (times >= start) & (times < stop)
    places = np.searchsorted(known, ids[within])
    label = f"{spikes.name}, row 0 of {spikes.batch}" if spikes.batch > 1 else spikes.name
    return Raster(label, len(known), start, stop, times[within], np.minimum(places, max(0, len(known) - 1)))


def _finished(run: Run) -> tuple[tuple[Rate, ...], tuple[Value, ...], tuple[Raster, ...]]:
    """The same of a finished file, of which rows here and there are read."""
    end = run.steps * float(run.attrs.get("dt", 1.0))
    rates, values, rasters = [], [], []
    borders = np.linspace(0.0, end, COLUMNS + 1)
    for name, spikes in run.events.items():
        trains = run.spikes(name)
        counts = [len(trains.select(low, high)) for low, high in zip(borders[:-1], borders[1:], strict=True)]
        many = max(1, spikes.units * spikes.batch)
        hz = np.array(counts) / max(1e-12, end / COLUMNS / 1000) / many
        seconds = recorded_time(run, spikes).milliseconds / 1000
        rates.append(Rate(name, len(trains) / (many * seconds) if seconds else math.nan, hz))
        last = trains.select(max(0.0, end - RASTER_MS), end)
        if len(last) <= RASTER_SPIKES * 10:
            last = last.select(row=0) if spikes.batch > 1 else last
            rasters.append(_raster(run, spikes, last.chosen.start, end, last.timestamps, last.node_ids))
    for name, record in run.records.items():
        if len(record) and _small(record):
            at = np.linspace(0, len(record) - 1, COLUMNS).astype(int)
            means = np.array([_measured(record.data[row])[0] for row in at.tolist()])
            values.append(Value(name, record.unit, *_measured(record.data[-1]), means))
    return tuple(rates), tuple(values), tuple(rasters)


# --- as lines


def one_line(view: RunView) -> str:
    """How it stands in one line: for a pipe, or a log."""
    told = [f"{view.name}: {view.state}, {_progress(view)}"]
    told += [f"{each.name} {number(each.hz)} Hz" for each in view.rates]
    told += [f"{each.name} {with_unit(number(each.mean), each.unit)}" for each in view.values]
    told += [words for words in (view.reason, view.resume and f"to go on: {view.resume}") if words]
    return printable(", ".join(told))


def lines(view: RunView, width: int, height: int) -> list[Line]:
    """The view of a run for a terminal of so many columns and lines, none of them longer or more."""
    style = {"done": "good", "failed": "bad", "interrupted": "bad"}.get(view.state, "")
    left = f", {_left(view)} left" if view.goes_on and view.speed else ""
    found: list[Line] = [((f"{view.name}: ", ""), (view.state, style), (f", {_share(view)}{left}", ""))]
    if view.reason:
        found.append(((view.reason, "bad"),))
    if view.resume:
        found.append(((f"to go on: {view.resume}", ""),))
    found.append(bar(view.saved / view.steps if view.steps else 0.0, width))
    about = [view.phase and f"phase {view.phase}", "" if view.trial is None else f"trial {view.trial:,}"]
    about.append(milliseconds(view.saved * view.dt) + " simulated")
    about.append(f"{number(view.speed)} steps/s" if view.goes_on and view.speed else "")
    about.append(f"saved {_clock(view.updated)}" if view.updated else "")
    found.append(((", ".join(filter(None, about)), "faint"),))
    head = len(found)
    tables = [_rate_row(each) for each in view.rates], [_value_row(each) for each in view.values]
    room = height - len(found) - (2 if view.rasters else 0)
    found += _table(
        tables[0],
        f"spikes a second and unit, {'in the last segment' if view.segments else 'over the run'}",
        width,
        room // 2 if view.values else room,
    )
    found += _table(tables[1], "last row, its mean and range", width, room - (len(found) - head))
    for each in view.rasters:
        left = height - len(found)
        if left < 3:
            break
        tall = min(8, max(1, -(-each.units // 4)), left - 2)
        found.append(())
        found.append(((f"{each.name}, {each.units:,} units, {each.start:,.10g} to {each.stop:,.10g} ms", ""),))
        found += [((row, ""),) for row in dots(each, width, tall)]
    return [cut(line, width) for line in found[:height]]


def _progress(view: RunView) -> str:
    speed = f", {number(view.speed)} steps/s, {_left(view)} left" if view.goes_on and view.speed else ""
    return _share(view) + speed


def _share(view: RunView) -> str:
    percent = f" ({math.floor(100 * view.saved / view.steps)} %)" if view.steps else ""
    return f"{view.saved:,} of {view.steps:,} steps{percent}"


def _left(view: RunView) -> str:
    return duration((view.steps - view.saved) / (view.speed or math.inf))


def _clock(moment: str) -> str:
    """A moment with its date left away where it is today's."""
    try:
        when = datetime.fromisoformat(moment).astimezone()
    except ValueError:
        return moment
    return when.strftime("%H:%M:%S" if when.date() == datetime.now(UTC).astimezone().date() else "%Y-%m-%d %H:%M:%S")


def duration(seconds: float) -> str:
    """A stretch of time as people say it."""
    whole = math.ceil(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def bar(share: float, width: int) -> Line:
    """How much is done of something, as a bar over the whole width."""
    done = round(min(1.0, max(0.0, share)) * width)
    return ("━" * done, "bar"), ("╌" * (width - done), "faint")


def _rate_row(each: Rate) -> tuple[str, str, np.ndarray]:
    return each.name, f"{number(each.hz)} Hz", each.history


def _value_row(each: Value) -> tuple[str, str, np.ndarray]:
    told = with_unit(number(each.mean), each.unit)
    if each.low != each.high:
        told += f" ({number(each.low)} to {number(each.high)})"
    return each.name, told, each.history


def _table(rows: Sequence[tuple[str, str, np.ndarray]], head: str, width: int, room: int) -> list[Line]:
    """Names, numbers and what they did so far; a last line says how many did not fit."""
    if not rows or room < 2:
        return []
    shown = rows if len(rows) < room else rows[: max(0, room - 2)]
    name, told = (max((len(row[part]) for row in shown), default=0) for part in (0, 1))
    found: list[Line] = [((head, "faint"),)]
    for row in shown:
        space = min(COLUMNS, width - name - told - 6)
        history = blocks(row[2][-space:] if space < COLUMNS else row[2]) if space >= 8 else ""
        found.append(((f"  {row[0].ljust(name)}  {row[1].rjust(told)}  ", ""), (history, "bar")))
    if len(shown) < len(rows):
        found.append(((f"  and {len(rows) - len(shown):,} more", "faint"),))
    return found


def dots(raster: Raster, width: int, tall: int) -> list[str]:
    """Spikes as dots, eight to a letter: time to the right, unit 0 at the bottom. No spike is left out."""
    columns, rows = width * 2, tall * 4
    filled = np.zeros((rows, columns), bool)
    span = max(raster.stop - raster.start, 1e-12)
    x = np.clip((raster.times - raster.start) / span * columns, 0, columns - 1).astype(int)
    if raster.units <= rows:  # a row of dots each
        y = rows - 1 - raster.places.astype(int)
    else:
        y = rows - 1 - (raster.places.astype(np.int64) * rows // raster.units)
    filled[y, x] = True
    weights = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])
    cells = filled.reshape(tall, 4, width, 2).transpose(0, 2, 1, 3)
    codes = 0x2800 + (cells * weights).sum(axis=(2, 3))
    return ["".join(map(chr, line)) for line in codes.tolist()]


def cut(line: Line, width: int) -> Line:
    """A line without what would not fit, or would control the terminal."""
    found, left = [], width
    for text, style in line:
        shown = printable(text)
        if len(shown) > left:
            shown = shown[: max(0, left - 1)] + "…" if left else ""
        found.append((shown, style))
        left -= len(shown)
    return tuple(found)


def text(line: Line) -> str:
    """A line without its styles."""
    return "".join(piece for piece, _ in line)
