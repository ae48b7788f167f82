"""The mean firing rate of a population over time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from synsim.pictures.canvas import Canvas, milliseconds, number
from synsim.pictures.counting import Trains, trains
from synsim.pictures.subject import Subject
from synsim.pictures.timeline import room, time_axis

BINS = 200


def heights(subjects: list[Subject], width: float) -> list[float]:
    """Inches of each row of axes."""
    return [2.2]


def draw(canvas: Canvas, cells: list[Any], subjects: list[Subject]) -> None:
    """A line of steps for each run."""
    axes = canvas.axes(cells[0].whole)
    notes = []
    for subject in subjects:
        found = trains(subject)
        width, mean = steps(canvas, axes, found, canvas.theme.lines[subject.number])
        notes += [f"bins of {number(width)} ms, mean {number(mean)} Hz", *([found.note] if found.note else [])]
    axes.set_ylabel("mean rate (Hz)")
    axes.set_ylim(bottom=0)
    first = subjects[0]
    found = trains(first)
    time_axis(canvas, [axes], replace(first, part=found.part))
    if len(subjects) > 1:
        canvas.legend(axes, [(each.label, canvas.theme.lines[each.number]) for each in subjects], room(first))
        notes = [f"{each.label}: {note}" for each, note in zip(subjects, notes, strict=False)]
    canvas.title(axes, f"{first.name}: mean rate of {who(found)}{after(first)}", "; ".join(notes), room(first))


def steps(canvas: Canvas, axes: Any, found: Trains, colour: str) -> tuple[float, float]:
    """Draws a rate as steps, filled below; the width of a bin in ms and the mean rate."""
    edges, rate, width = found.rate(BINS)
    per = milliseconds(found.part.span)[0]
    axes.stairs(rate, (edges - found.part.origin) / per, color=colour, linewidth=1.0, baseline=None)
    axes.stairs(rate, (edges - found.part.origin) / per, color=colour, alpha=0.18, fill=True, linewidth=0)
    lengths = np.diff(edges)
    return width, float((rate * lengths).sum() / max(lengths.sum(), 1e-12))


def who(found: Trains) -> str:
    """Whose spikes: 100 units, in 10 rows of a batch."""
    many = f"{len(found.units):,} unit{'' if len(found.units) == 1 else 's'}"
    return f"{many} in {found.batch:,} rows" if found.batch > 1 else many


def after(subject: Subject) -> str:
    """The chosen part of the run, to stand after a heading."""
    return f", {subject.part.where}" if subject.part.where else ""
