"""The time axis that pictures share: its unit, where trials begin, and the names of phases."""

from __future__ import annotations

from typing import Any

import numpy as np

from synsim.pictures.canvas import SMALL, Canvas, milliseconds, plain
from synsim.pictures.subject import Subject

MOST_TRIALS = 40  # whose borders are drawn


def time_axis(canvas: Canvas, axes: list[Any], subject: Subject) -> float:
    """Sets the limits and labels of axes over time, below each other. Returns what times in ms are divided by."""
    part = subject.part
    per, unit = milliseconds(part.span)
    low, high = (part.start - part.origin) / per, (part.stop - part.origin) / per
    for each in axes:
        each.set_xlim(low, high if high > low else low + 1)
    for each in axes[:-1]:
        each.tick_params(labelbottom=False)
    since = f" since the start of {part.where.rpartition(', ')[2]}" if part.where else ""
    axes[-1].set_xlabel(plain(f"time{since} ({unit})"))
    starts = (np.asarray(subject.run.trials.start, np.float64)[slice(*part.trials)] - part.origin) / per
    inner = starts[(starts > low) & (starts < high)]
    if 0 < len(inner) <= MOST_TRIALS:
        for each in axes:
            for start in inner:
                each.axvline(start, color=canvas.theme.faint, linewidth=0.7, zorder=0)
    mark_phases(canvas, axes, subject, starts, high)
    return per


def trial_axis(canvas: Canvas, axes: list[Any], subject: Subject, trials: np.ndarray) -> None:
    """Sets the limits and labels of axes over the number of the trial."""
    low, high = (int(trials[0]), int(trials[-1]) + 1) if len(trials) else (0, 1)
    for each in axes:
        each.set_xlim(low - 0.5, high - 0.5)
    for each in axes[:-1]:
        each.tick_params(labelbottom=False)
    axes[-1].set_xlabel("trial")
    axes[-1].xaxis.get_major_locator().set_params(integer=True)
    first = subject.part.trials[0]
    mark_phases(canvas, axes, subject, np.arange(first, subject.part.trials[1]) - 0.5, high - 0.5)


def mark_phases(canvas: Canvas, axes: list[Any], subject: Subject, starts: np.ndarray, end: float) -> None:
    """A line where a phase begins, and its name above; `starts` are the places of the part's trials."""
    spans = phase_spans(subject, starts, end)
    left, right = axes[0].get_xlim()
    for number, (name, begin, stop) in enumerate(spans):
        for each in axes if number else ():
            each.axvline(begin, color=canvas.theme.grey, linewidth=0.8, linestyle=(0, (3, 2)), zorder=0.5)
        begin, stop = max(begin, left), min(stop, right)
        letters = (stop - begin) / (right - left) * canvas.letters(SMALL)
        if len(name) <= letters:
            axes[0].annotate(
                plain(name),
                ((begin + stop) / 2, 1),
                (0, 2),
                xycoords=axes[0].get_xaxis_transform(),
                textcoords="offset points",
                ha="center",
                va="bottom",
                fontsize=SMALL,
                color=canvas.theme.grey,
            )


def phase_spans(subject: Subject, starts: np.ndarray, end: float) -> list[tuple[str, float, float]]:
    """Name, begin and end of the phases in the part; empty where there is only one."""
    phases = np.asarray(subject.run.trials.phase)[slice(*subject.part.trials)][: len(starts)]
    if not len(phases) or (phases == phases[0]).all():
        return []
    borders = [0, *(np.flatnonzero(np.diff(phases)) + 1).tolist()]
    ends = [*(float(starts[each]) for each in borders[1:]), end]
    names = subject.run.phases
    return [
        (names[phases[each]] if phases[each] < len(names) else str(phases[each]), float(starts[each]), stop)
        for each, stop in zip(borders, ends, strict=True)
    ]


def room(subject: Subject) -> float:
    """Points above axes that the names of phases need."""
    return SMALL * 1.35 if phase_spans(subject, np.arange(*subject.part.trials), subject.part.trials[1]) else 0.0
