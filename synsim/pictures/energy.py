"""Energies: what they are at the end of each trial, and how they fall within one."""

from __future__ import annotations

from typing import Any

import numpy as np

from synsim.faults import ConfigError
from synsim.pictures.canvas import Canvas, labelled
from synsim.pictures.subject import Subject
from synsim.pictures.timeline import room, trial_axis
from synsim.pictures.trace import lanes, line, times, trials_of
from synsim.thinning import envelope, place

FEW = 5  # trials, up to which each is a curve over its time
BINS = 700


def heights(subjects: list[Subject], width: float) -> list[float]:
    """Inches of the axes."""
    return [2.2]


def draw(canvas: Canvas, cells: list[Any], subjects: list[Subject]) -> None:
    """Over the time of a trial where trials are few, else a value a trial."""
    axes = canvas.axes(cells[0].whole)
    first = subjects[0]
    for each in subjects:
        if len(lanes(each).names) > 1 or any(name != "row" for name, _ in each.trace.axes):
            raise ConfigError(f"{each.name} is no energy, one number a step: --kind trace draws it")
    axes.set_ylabel(labelled(first.name, first.unit))
    low, high = first.part.trials
    within = high - low <= FEW and trials_of(first) is None
    if within:
        notes = _within(canvas, axes, subjects)
    else:
        notes = _over_trials(canvas, axes, subjects)
    canvas.title(axes, first.heading, "; ".join(notes), 0.0 if within else room(first))


def _within(canvas: Canvas, axes: Any, subjects: list[Subject]) -> list[str]:
    """A curve a trial, over the time since it began."""
    shown, note = [], ""
    for subject in subjects:
        record, each = subject.trace, lanes(subject)
        start, stop = subject.rows
        starts = np.asarray(subject.run.trials.start, np.float64)
        low, high = subject.part.trials
        for trial in range(low, high):
            first = max(start, place(record.trial, trial))
            last = min(stop, place(record.trial, trial, "right"))
            if last <= first:
                continue
            found = envelope(record.data, first, last, BINS, each.take, rest=each.rest, budget=subject.budget // FEW)
            x = times(record, found.first) - starts[trial]
            colour = canvas.theme.lines[len(shown) % len(canvas.theme.lines)]
            line(axes, x, found, 0, colour, bool(each.band))
            shown.append((f"{subject.label} {_trial(subject, trial)}".strip(), colour))
            note = f"mean, and the range of {each.band}" if each.band else ""
    axes.set_xlabel("time in the trial (ms)")
    if len(shown) > 1:
        canvas.legend(axes, shown)
    return [note] if note else []


def _trial(subject: Subject, trial: int) -> str:
    phases = subject.run.phases
    number = int(subject.run.trials.phase[trial])
    return f"trial {trial} ({phases[number]})" if len(phases) > 1 else f"trial {trial}"


def _over_trials(canvas: Canvas, axes: Any, subjects: list[Subject]) -> list[str]:
    """The last value of each trial, and faintly the first where there are several."""
    notes: list[str] = []
    for subject in subjects:
        record, each = subject.trace, lanes(subject)
        start, stop = subject.rows
        numbers = np.asarray(record.trial[start:stop])
        ends = np.r_[np.flatnonzero(np.diff(numbers)), len(numbers) - 1] if len(numbers) else np.empty(0, int)
        begins = np.r_[0, ends[:-1] + 1] if len(numbers) else ends
        trials = numbers[ends]
        if subject is subjects[0]:
            trial_axis(canvas, [axes], subject, trials)
        several = bool(len(ends)) and int((ends - begins).max()) > 0 and len(subjects) == 1
        dark = canvas.theme.lines[subject.number]
        for rows, colour, what in ((begins, None, "first"), (ends, dark, "last")):
            if what == "first" and not several:
                continue
            values = _rows(record.data, start, stop, rows)
            found = envelope(values, 0, len(values), BINS, each.take, rest=each.rest, budget=subject.budget)
            x = trials[found.first].astype(np.float64) if len(found.first) else np.empty(0)
            line(axes, x, found, 0, colour or canvas.theme.lines[7], bool(each.band))
            notes += [found.note.replace("rows", "trials")] if found.note and not notes else []
        if several:
            canvas.legend(
                axes, [("at the start of a trial", canvas.theme.lines[7]), ("at its end", dark)], room(subject)
            )
        notes += [f"mean, and the range of {each.band}"] if each.band and subject is subjects[0] else []
    if len(subjects) > 1:
        canvas.legend(axes, [(each.label, canvas.theme.lines[each.number]) for each in subjects], room(subjects[0]))
    return notes


def _rows(data: Any, start: int, stop: int, rows: np.ndarray) -> np.ndarray:
    """Some rows counted from `start`, read in blocks."""
    pieces = [np.empty((0, *data.shape[1:]), data.dtype)]
    step = 1 << 20
    for at in range(0, stop - start, step):
        here = rows[(rows >= at) & (rows < at + step)]
        if len(here):
            pieces.append(np.asarray(data[start + at : min(start + at + step, stop)])[here - at])
    return np.concatenate(pieces)
