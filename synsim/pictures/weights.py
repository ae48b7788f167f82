"""Weights as images: as they began, as they ended, and what changed, on one scale."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from synsim.faults import ConfigError
from synsim.pictures.canvas import TEXT, Canvas, labelled
from synsim.pictures.subject import Matrix, Subject, axes_of, matrices

MOST_PIXELS = 420  # along a side; of more cells, each pixel is the mean of several


def heights(subjects: list[Subject], width: float) -> list[float]:
    """Inches of a row of images; of two runs, a row for each of them would be too small: their images stand below each
    other, a column a run."""
    found = axes_of(subjects[0])
    side = (0.27 if len(subjects) == 1 else 0.36) * width
    if found is None:
        return [side]
    across = found[1][-1]
    down = math.prod(found[1][:-1])
    high = min((1.3 if len(subjects) == 1 else 0.8) * side, side * (down / across if _square(down, across) else 1.0))
    return [high + 0.45] if len(subjects) == 1 else [high + 0.35] * 3


def _square(down: int, across: int) -> bool:
    """Whether cells can be drawn as squares."""
    return 0.4 < down / max(1, across) < 2.5


def draw(canvas: Canvas, cells: list[Any], subjects: list[Subject]) -> None:
    """Three images a run; one where only one time is known."""
    found = [matrices(each) for each in subjects]
    if not all(found):
        raise ConfigError(f"{subjects[0].name}: the run holds no weights to be drawn")
    images = [_images(each) for each in found]
    flat = [values for some in images for _, values in some]
    finite = [values[np.isfinite(values)] for values in flat]
    low = min((float(each.min()) for each in finite if each.size), default=0.0)
    high = max((float(each.max()) for each in finite if each.size), default=1.0)
    norm, colours = canvas.scale(low, high)
    drawn, every = None, []
    for number, (subject, some) in enumerate(zip(subjects, images, strict=True)):
        beside, last = len(subjects) == 1, found[number][-1]
        inner = cells[0].whole.subgridspec(1, len(some)) if beside else None
        shape, steps = _flat(last), _steps(last)
        for place, (title, values) in enumerate(some):
            axes, drawn = canvas.image(
                cells[place].side(number) if inner is None else inner[0, place],
                values,
                norm,
                colours,
                aspect="equal" if _square(*shape) else "auto",
                extent=(-0.5, shape[1] - 0.5, shape[0] - 0.5, -0.5),
            )
            axes.set_title(title, fontsize=TEXT - 0.5, pad=3)
            axes.locator_params(nbins=2 if canvas.narrow else 4, integer=True)
            if place == (len(some) // 2 if beside else len(some) - 1):
                axes.set_xlabel(_words(last.axes[-1:]))
            if place == 0 if beside else number == 0:
                axes.set_ylabel(_words(last.axes[:-1]))
            _number(axes, last.units)
            axes.tick_params(labelleft=place == 0 or not beside, labelbottom=beside or place == len(some) - 1)
            every.append(axes)
            if place == 0:
                head = subject.headed(last.doc) if beside else f"{subject.label}: {subject.name}"
                note = f"each pixel the mean of {steps[0]} x {steps[1]} weights" if max(steps) > 1 else ""
                canvas.title(axes, head, note, TEXT * 1.5, 1 / len(subjects))
    canvas.bar(drawn, every, labelled("weight", subjects[0].unit))


def _words(axes: tuple[str, ...]) -> str:
    """What a user calls axes of weights."""
    known = {"pre_unit": "from unit", "post_unit": "to unit"}
    return " x ".join(known.get(each, each.replace("_", " ")) for each in axes)


def _number(axes: Any, units: np.ndarray) -> None:
    """Numbers of the units along x, where these are not all of them."""
    if len(units) and not np.array_equal(units, np.arange(len(units))):
        places = np.arange(0, len(units), -(-len(units) // 4))
        axes.set_xticks(places, [str(units[place]) for place in places])


def _flat(matrix: Matrix) -> tuple[int, int]:
    """Rows and columns: filters stand side by side."""
    return math.prod(matrix.shape[:-1]), matrix.shape[-1]


def _steps(matrix: Matrix) -> tuple[int, int]:
    """How many rows and columns go into a pixel."""
    down, across = (max(1, -(-size // MOST_PIXELS)) for size in _flat(matrix))
    return down, across


def _images(some: list[Matrix]) -> list[tuple[str, np.ndarray]]:
    images = [(each.when, thinned(each, _steps(each))) for each in some]
    if len(images) == 2:
        images.append(("change", images[1][1] - images[0][1]))
    return images


def thinned(matrix: Matrix, steps: tuple[int, int]) -> np.ndarray:
    """Means of the finite weights of blocks of so many rows and columns; those at the borders may be smaller."""
    return np.concatenate([_means(block.reshape(-1, block.shape[-1]), steps) for block in matrix.blocks(steps[0])])


def _means(flat: np.ndarray, steps: tuple[int, int]) -> np.ndarray:
    if max(steps) == 1:
        return flat
    known = np.isfinite(flat)
    if known.all():
        return _sums(flat, steps) / _sums(np.ones((len(flat), 1)), (steps[0], 1)) / _widths(flat.shape[1], steps[1])
    sums, counts = _sums(np.where(known, flat, 0.0), steps), _sums(known, steps)
    return np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)


def _sums(flat: np.ndarray, steps: tuple[int, int]) -> np.ndarray:
    rows = [flat[at : at + steps[0]].sum(0, dtype=np.float64) for at in range(0, len(flat), steps[0])]
    return np.add.reduceat(np.array(rows), np.arange(0, flat.shape[1], steps[1]), axis=1)


def _widths(size: int, step: int) -> np.ndarray:
    """Columns of each block."""
    return np.minimum(step, size - np.arange(0, size, step))
