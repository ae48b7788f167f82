"""Weights that come from an image, as a grid of small images: what each unit listens to."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from synsim.faults import ConfigError
from synsim.pictures.canvas import SMALL, Canvas, labelled
from synsim.pictures.subject import Matrix, Subject, axes_of, from_image, is_kernel, matrices

MOST = 100  # images in the grid


def heights(subjects: list[Subject], width: float) -> list[float]:
    """Inches of the grid, as wide as the picture."""
    found, size = axes_of(subjects[0]), from_image(subjects[0])
    if found is None:
        return [3.0]
    side = math.isqrt(math.prod(found[1][:-1]))
    tall, wide = size or (side, side)
    count = math.prod(found[1]) // max(1, tall * wide)
    count = min(MOST, len(subjects[0].part.units) if subjects[0].part.units else count)
    across = columns(count, tall / max(1, wide))
    inches = 0.82 * width / len(subjects) * -(-count // across) * (tall + 1) / (across * (wide + 1))
    return [max(0.8, min(4.6, inches + 0.1))]


def draw(canvas: Canvas, cells: list[Any], subjects: list[Subject]) -> None:
    """The grids of the runs side by side, on one scale."""
    from matplotlib.patches import Rectangle

    grids, notes = [], []
    for subject in subjects:
        last = matrices(subject)[-1]
        count = last.shape[-1]
        if count > MOST and not is_kernel(last.axes):
            last = last.of(np.arange(MOST) * count // MOST)
            notes.append(f"{MOST} of {count:,} units, evenly spread: --units shows others")
        fields, units = fields_of(subject, last)
        if len(fields) > MOST:
            notes.append(f"{MOST} of {len(fields):,} filters, evenly spread")
            shown = np.arange(MOST) * len(fields) // MOST
            fields, units = fields[shown], units[shown]
        grids.append((fields, units, last))
    finite = [fields[np.isfinite(fields)] for fields, *_ in grids]
    low = min((float(each.min()) for each in finite if each.size), default=0.0)
    high = max((float(each.max()) for each in finite if each.size), default=1.0)
    norm, colours = canvas.scale(low, high)
    drawn, every = None, []
    for place, (subject, (fields, units, last)) in enumerate(zip(subjects, grids, strict=True)):
        across = columns(len(fields), fields.shape[1] / fields.shape[2])
        picture, gap = mosaic(fields, across)
        axes, drawn = canvas.image(cells[0].side(place), np.ma.masked_invalid(picture), norm, colours, aspect="equal")
        drawn.set_cmap(drawn.get_cmap().with_extremes(bad=canvas.theme.faint))  # between the fields
        for spine in axes.spines.values():
            spine.set_visible(False)
        height, width = fields.shape[1] + gap, fields.shape[2] + gap
        lines = -(-len(fields) // across)
        if last_line := len(fields) % across:  # the rest of the last line is empty
            corner = last_line * width - gap - 0.5, (lines - 1) * height - 0.5
            size = picture.shape[1] - corner[0], picture.shape[0] - corner[1]
            axes.add_patch(Rectangle(corner, *size, color=canvas.theme.paper, linewidth=0))
        step = -(-lines // max(1, int(heights(subjects, canvas.width)[0] * 72 / (1.6 * SMALL))))
        places = np.arange(0, lines, step)
        axes.set_yticks(places * height + height / 2 - 0.5, [f"{units[each * across]:,}" for each in places])
        axes.set_xticks(np.arange(across) * width + width / 2 - 0.5, [""] * across)
        axes.tick_params(length=0)
        if place == 0:
            axes.set_ylabel("first unit of the row" if across > 1 else "unit")
        size = f"{fields.shape[1]} x {fields.shape[2]} inputs each, {last.when}"
        head = f"{subject.label}: {subject.name}" if subject.label else subject.headed(last.doc)
        canvas.title(axes, head, "; ".join([size, *notes[:1]]), share=1 / len(subjects))
        every.append(axes)
    canvas.bar(drawn, every, labelled("weight", subjects[0].unit))


def fields_of(subject: Subject, matrix: Matrix) -> tuple[np.ndarray, np.ndarray]:
    """Images (n, height, width) and the numbers of their units. A ConfigError where the input is no image."""
    if is_kernel(matrix.axes):
        at = [matrix.axes.index("ky"), matrix.axes.index("kx")]
        rest = [axis for axis in range(len(matrix.shape)) if axis not in at]
        values = matrix.values
        fields = np.transpose(values, [*rest, *at])
        fields = fields.reshape(-1, *fields.shape[-2:])
        return fields, np.arange(len(fields))
    size = from_image(subject)
    inputs, units = matrix.shape
    if size is None or size[0] * size[1] != inputs:
        side = math.isqrt(inputs)
        if side * side != inputs:
            raise ConfigError(
                f"{subject.name} comes from {inputs:,} units, which are no square image: --kind weights draws it"
            )
        size = side, side
    return matrix.values.T.reshape(units, *size), matrix.units


def columns(count: int, ratio: float) -> int:
    """Images side by side for a grid that is wider than high."""
    return max(1, min(count, math.ceil(math.sqrt(count * ratio * 1.45))))


def mosaic(fields: np.ndarray, across: int) -> tuple[np.ndarray, int]:
    """The images side by side with gaps of NaN between, and the width of a gap in cells."""
    gap = 1 if fields.shape[2] <= 40 else 2
    count, height, width = fields.shape
    down = -(-count // across)
    picture = np.full((down * (height + gap) - gap, across * (width + gap) - gap), np.nan)
    for number, field in enumerate(fields):
        top, left = number // across * (height + gap), number % across * (width + gap)
        picture[top : top + height, left : left + width] = field
    return picture, gap
