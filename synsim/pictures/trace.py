"""Values over time: a lane for each of a few units; of many, their mean and the band from the lowest to the highest."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from synsim.faults import ConfigError
from synsim.pictures.canvas import SMALL, Canvas, labelled, plain
from synsim.pictures.part import Part, columns, unit_axis
from synsim.pictures.subject import Subject
from synsim.pictures.timeline import room, time_axis, trial_axis
from synsim.reading import Record
from synsim.thinning import Envelope, Take, envelope

MOST_LANES = 8
BINS_AN_INCH = 110


@dataclass(frozen=True)
class Lanes:
    """How the values of a row go into lanes: `names` of the lanes, and of what a band is, if anything."""

    names: tuple[str, ...]
    band: str
    take: Take
    rest: tuple[slice, ...]


def heights(subjects: list[Subject], width: float) -> list[float]:
    """Inches of each lane."""
    many = len(lanes(subjects[0]).names)
    return [2.0] if many == 1 else [max(0.62, 2.6 / many)] * many


def draw(canvas: Canvas, cells: list[Any], subjects: list[Subject]) -> None:
    """The lanes, those of two runs over each other."""
    subjects = [replace(each, part=recorded_part(each)) for each in subjects]
    first = subjects[0]
    wanted = [lanes(each) for each in subjects]
    names = wanted[0].names
    if len(wanted[-1].names) != len(names):
        raise ConfigError(
            f"{first.name} has {len(names)} and {len(wanted[-1].names)} units: --units names the same of both"
        )
    axes: list[Any] = []
    for cell in cells:
        axes.append(canvas.axes(cell.whole, **({"sharey": axes[0]} if axes else {})))
    note, trials = "", trials_of(first)
    per = 1.0
    if trials is not None:
        trial_axis(canvas, axes, first, trials)
    else:
        per = time_axis(canvas, axes, first)
    for subject, each in zip(subjects, wanted, strict=True):
        start, stop = subject.rows
        found = envelope(
            subject.trace.data,
            start,
            stop,
            int(canvas.width * BINS_AN_INCH),
            each.take,
            rest=each.rest,
            budget=subject.budget,
        )
        note = note or found.note
        x = _places(subject, found, per, trials_of(subject))
        if found.exact and subject.trace.interval is not None and trials is None:
            x, found = _broken(x, found, 1.5 * subject.trace.interval / per)
        colour = canvas.theme.lines[subject.number]
        for lane, there in enumerate(axes):
            line(there, x, found, lane, colour, bool(each.band))
    if len(names) > 1:
        for there, name in zip(axes, names, strict=True):
            there.annotate(
                plain(name),
                (1, 0.5),
                (4, 0),
                xycoords="axes fraction",
                textcoords="offset points",
                va="center",
                ha="left",
                fontsize=SMALL,
                color=canvas.theme.grey,
            )
            there.locator_params(axis="y", nbins=3)
    axes[len(axes) // 2].set_ylabel(labelled(first.name, first.unit))
    if len(subjects) > 1:
        canvas.legend(axes[0], [(each.label, canvas.theme.lines[each.number]) for each in subjects], room(first))
    band = [f"mean, and the range of {wanted[0].band}"] if wanted[0].band else []
    canvas.title(axes[0], first.heading, "; ".join([*band, *([note] if note else [])]), room(first))


def line(axes: Any, x: np.ndarray, found: Envelope, lane: int, colour: str, band: bool) -> None:
    """Draws one lane: a line through all rows, or from the lowest to the highest of each bin; a band and its mean."""
    if band:
        axes.fill_between(x, found.low[:, lane], found.high[:, lane], color=colour, alpha=0.22, linewidth=0)
        axes.plot(x, found.mean[:, lane], color=colour, linewidth=1.1)
        return
    few = {"marker": "o", "markersize": 3} if len(x) <= 30 else {}
    if found.exact:
        axes.plot(x, found.low[:, lane], color=colour, linewidth=1.0, **few)
    else:
        both = np.column_stack([found.low[:, lane], found.high[:, lane]]).ravel()
        axes.plot(np.repeat(x, 2), both, color=colour, linewidth=0.8)


def lanes(subject: Subject) -> Lanes:
    """The lanes of a record: its chosen units where they are few."""
    record = subject.trace
    units = unit_axis(record)
    at = columns(units, subject.part, record.name)
    one_axis = sum(name != "row" for name, _ in record.axes) == 1
    rest: tuple[slice, ...] = ()
    if one_axis and len(at):
        low, high = int(at.min()), int(at.max()) + 1
        rest = (*([slice(None)] * (record.batch > 1 and record.axes[0][0] == "row")), slice(low, high))
        at = at - low
    rows = record.batch if record.axes and record.axes[0][0] == "row" else 1
    several = f"{rows:,} rows" if rows > 1 else ""
    if not len(units):
        return Lanes(("",), several, _reduced(rows), ())
    if len(at) <= MOST_LANES:
        names = tuple(f"unit {units[each + (rest[-1].start if rest else 0)]}" for each in at)

        def take(block: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            chosen = block.reshape(len(block), rows, -1)[:, :, at]
            return _range(chosen)

        return Lanes(names, several, take, rest)
    whole = len(at) == (rest[-1].stop - rest[-1].start if rest else len(units))

    def band(block: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        chosen = block.reshape(len(block), rows, -1)
        return _range((chosen if whole else chosen[:, :, at]).reshape(len(block), -1, 1))

    return Lanes(("",), f"{len(at):,} units" + (f" in {several}" if several else ""), band, rest)


def _reduced(rows: int) -> Take:
    def take(block: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return _range(block.reshape(len(block), rows, 1))

    return take


def _range(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The lowest, the highest and the mean of the finite values over the second axis; NaN where there is none."""
    if values.shape[1] == 1:
        return values[:, 0], values[:, 0], values[:, 0]
    if values.dtype.kind != "f" or np.isfinite(values).all():
        return values.min(1), values.max(1), values.mean(1, dtype=np.float64)
    known = np.isfinite(values)
    low = np.where(known, values, np.inf).min(1)
    high = np.where(known, values, -np.inf).max(1)
    count = known.sum(1)
    mean = np.divide(
        np.where(known, values, 0).sum(1, dtype=np.float64), count, where=count > 0, out=np.full(count.shape, np.nan)
    )
    return np.where(count > 0, low, np.nan), np.where(count > 0, high, np.nan), mean


def trials_of(subject: Subject) -> np.ndarray | None:
    """Numbers of the trials where a record has one row a trial; else None."""
    record = subject.trace
    start, stop = subject.rows
    if stop - start < 2:
        return None
    first, last = int(record.trial[start]), int(record.trial[stop - 1])
    return np.arange(first, last + 1) if last - first + 1 == stop - start else None


def recorded_part(subject: Subject) -> Part:
    """The part, cut to where the record has rows if that is less than half of it."""
    record, part = subject.trace, subject.part
    start, stop = part.rows(record)
    if stop - start < 2:
        return part
    step = record.interval or 0.0
    begin, end = float(record.time[start]), float(record.time[stop - 1]) + step
    if end - begin > 0.5 * part.span or end <= begin:
        return part
    low, high = part.trials
    starts = np.asarray(subject.run.trials.start)[low:high]
    first = max(low, low + int(np.searchsorted(starts, begin, "right")) - 1)
    return replace(part, start=begin, stop=end, trials=(first, max(first + 1, low + int(np.searchsorted(starts, end)))))


def _places(subject: Subject, found: Envelope, per: float, trials: np.ndarray | None) -> np.ndarray:
    """Where each bin stands on the axis: the time of its first row, or its trial."""
    if not len(found.first):
        return np.empty(0)
    if trials is not None:
        return trials[found.first - found.first[0]].astype(np.float64)
    return (times(subject.trace, found.first) - subject.part.origin) / per


def _broken(x: np.ndarray, found: Envelope, most: float) -> tuple[np.ndarray, Envelope]:
    """The same with nothing drawn across stretches that were not recorded."""
    gaps = np.flatnonzero(np.diff(x) > most) + 1
    if not len(gaps):
        return x, found
    low, high, mean = (np.insert(each, gaps, np.nan, axis=0) for each in (found.low, found.high, found.mean))
    return np.insert(x, gaps, np.nan), replace(found, low=low, high=high, mean=mean)


def times(record: Record, rows: np.ndarray) -> np.ndarray:
    """The time of some rows in ms: counted where they are evenly spaced, else read."""
    first, last = int(rows[0]), int(rows[-1])
    begin, end = float(record.time[first]), float(record.time[last])
    if record.interval is not None and abs(end - begin - (last - first) * record.interval) < 1e-6 * max(1.0, end):
        return begin + (rows - first) * record.interval
    if (last - first) * 8 <= 1 << 26:
        return np.asarray(record.time[first : last + 1])[rows - first]
    return np.array([record.time[int(row)] for row in rows])
