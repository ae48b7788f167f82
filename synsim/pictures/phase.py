"""Two values of a cell against each other: its way through the phase plane."""

from __future__ import annotations

from typing import Any

import numpy as np

from synsim.faults import ConfigError, listing
from synsim.pictures.canvas import SMALL, Canvas, labelled
from synsim.pictures.part import columns, unit_axis
from synsim.pictures.rate import after
from synsim.pictures.subject import Subject
from synsim.reading import Record

MOST_UNITS = 8
MOST_ROWS = 20_000  # of a unit; of more, the last


def heights(subjects: list[Subject], width: float) -> list[float]:
    """Inches of each row of small axes."""
    many = _many(subjects[0])
    down = -(-many // _across(many, width))
    return [3.4] if many == 1 else [1.7] * down


def draw(canvas: Canvas, cells: list[Any], subjects: list[Subject]) -> None:
    """A small plane for each unit, all on the same scales."""
    first = subjects[0]
    many = _many(first)
    across = _across(many, canvas.width)
    inner = [cell.whole.subgridspec(1, across) for cell in cells]
    note, planes = "", []
    for number in range(many):
        shared = {"sharex": planes[0], "sharey": planes[0]} if planes else {}
        axes = canvas.axes(inner[number // across][0, number % across], **shared)
        planes.append(axes)
    for subject in subjects:
        x, y = subject.trace, partner(subject)
        start, stop = subject.rows
        shown = max(start, stop - MOST_ROWS)
        if shown > start:
            note = f"the last {stop - shown:,} of {stop - start:,} rows: --from and --to show others"
        if x.axes and x.axes[0][0] == "row" and x.batch > 1:
            note = "; ".join(filter(None, [f"row 0 of the {x.batch:,} of the batch", note]))
        units = unit_axis(x)
        at = columns(units, subject.part, x.name)[:many] if len(units) else np.zeros(1, np.int64)
        values = [_values(each, shown, stop, at) for each in (x, y)]
        for place, axes in enumerate(planes[: len(at)]):
            axes.plot(values[0][:, place], values[1][:, place], color=canvas.theme.lines[subject.number], linewidth=0.7)
            if many > 1 and subject is first:
                axes.set_title(f"unit {units[at[place]]}", fontsize=SMALL, color=canvas.theme.grey, pad=2)
    for number, axes in enumerate(planes):
        axes.locator_params(nbins=4 if not canvas.narrow else 3)
        lowest = number + across >= many
        axes.tick_params(labelbottom=lowest, labelleft=number % across == 0)
        if lowest:
            axes.set_xlabel(labelled(first.name, first.unit))
        if number % across == 0:
            other = partner(first)
            axes.set_ylabel(labelled(other.name, other.unit))
    units = unit_axis(first.trace)
    chosen = len(columns(units, first.part, first.name)) if len(units) else 1
    if chosen > many:
        note = "; ".join(filter(None, [f"{many} of {chosen:,} units: --units shows others", note]))
    above = SMALL + 4 if many > 1 else 0.0
    if len(subjects) > 1:
        canvas.legend(planes[0], [(each.label, canvas.theme.lines[each.number]) for each in subjects], above)
    title = f"{first.name} and {partner(first).name}: phase plane{after(first)}"
    canvas.title(planes[0], title, note, above)


def _many(subject: Subject) -> int:
    units = unit_axis(subject.trace)
    return min(MOST_UNITS, max(1, len(columns(units, subject.part, subject.name)))) if len(units) else 1


def _across(many: int, width: float) -> int:
    return min(many, 4 if width >= 4.5 else 2)


def partner(subject: Subject) -> Record:
    """The other value: the one that the user named, else a record of the same cells at the same times."""
    x = subject.trace
    if subject.other:
        y = subject.run.records.get(subject.other)
        if y is None:
            raise ConfigError(f"{subject.other} was not recorded over time, as a phase plane needs it")
        if y.shape != x.shape or y.interval != x.interval:
            raise ConfigError(f"{x.name} and {y.name} were not recorded at the same times of the same units")
        return y
    same = [
        each
        for each in subject.run.records.values()
        if each.component == x.component and each.name != x.name and each.shape == x.shape
    ]
    if len(same) != 1:
        found = f": name one of {listing(each.name for each in same)} too" if same else ", and no other of its cells is"
        raise ConfigError(f"a phase plane has two axes, and {x.name} is one of them{found}")
    return same[0]


def _values(record: Record, start: int, stop: int, at: np.ndarray) -> np.ndarray:
    """(rows, units) of the first row of the batch."""
    row = record.axes and record.axes[0][0] == "row"
    block = np.asarray(record.data[(slice(start, stop), *([0] if row else []))])
    return block.reshape(len(block), -1)[:, at]
