"""Spikes: a row a unit, a mark a spike, and the mean rate of all above it.

Few spikes are lines. Many are counted into the pixels of the picture, each of which that holds a spike is drawn, the
darker the more it holds: no spike is left out, however many units and however long the time.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from synsim.pictures import rate
from synsim.pictures.canvas import Canvas, milliseconds, number
from synsim.pictures.counting import Trains, trains
from synsim.pictures.subject import Subject
from synsim.pictures.timeline import room, time_axis

MOST_LINES = 4000
CROWDED = 0.3  # share of the picture that larger marks may fill
FAINTEST = 0.6  # how much of the ink a pixel with a single spike gets
CROWDED_FAINTEST = 0.25  # the same where most pixels have some, and how many is what is to be seen


def heights(subjects: list[Subject], width: float) -> list[float]:
    """Inches of the rate and of the raster."""
    lanes = max(len(each.part.units or range(each.events.units)) * each.events.batch for each in subjects)
    return [0.75, min(2.6, 0.5 + 0.12 * lanes)]


def draw(canvas: Canvas, cells: list[Any], subjects: list[Subject]) -> None:
    """Rate and raster, those of two runs side by side."""
    above = []
    for place, subject in enumerate(subjects):
        found = trains(subject)
        shown = replace(subject, part=found.part)
        top = canvas.axes(cells[0].side(place))
        axes = canvas.axes(cells[1].side(place))
        width, mean = rate.steps(canvas, top, found, canvas.theme.lines[subject.number])
        top.set_ylim(bottom=0)
        top.locator_params(axis="y", nbins=3)
        _marks(canvas, axes, found)
        time_axis(canvas, [top, axes], shown)
        if place == 0:
            top.set_ylabel("rate (Hz)")
            axes.set_ylabel(_ylabel(found))
        count = found.last - found.first
        told = [f"{count:,} spikes of {rate.who(found)}" if subject.part.units is None else rate.who(found)]
        told += [
            f"mean {number(mean)} Hz",
            f"rate in bins of {number(width)} ms",
            *([found.note] if found.note else []),
        ]
        canvas.title(
            top,
            f"{subject.label}: {subject.heading}" if subject.label else subject.heading,
            "; ".join(told),
            room(shown),
            1 / len(subjects),
        )
        above.append(top)
    most = max(each.get_ylim()[1] for each in above)
    for each in above:
        each.set_ylim(0, most)


def _ylabel(found: Trains) -> str:
    return f"row of the batch\n({len(found.units):,} units each)" if found.batch > 1 else "unit"


def _marks(canvas: Canvas, axes: Any, found: Trains) -> None:
    axes.set_ylim(-0.5, max(1, found.lanes) - 0.5)
    axes.yaxis.get_major_locator().set_params(integer=True)
    if found.batch > 1:
        rows = np.arange(0, found.batch, -(-found.batch // 8))
        axes.set_yticks(rows * len(found.units) - 0.5, [str(row) for row in rows])
    elif found.part.units is not None or found.lanes <= 5:
        step = -(-found.lanes // 12)
        places = np.arange(0, found.lanes, step)
        axes.set_yticks(places, [str(found.units[place]) for place in places])
    per = milliseconds(found.part.span)[0]
    if found.last - found.first <= MOST_LINES and found.lanes <= 200:
        for times, lanes in found.blocks():
            across = (times - found.part.origin) / per
            axes.vlines(across, lanes - 0.42, lanes + 0.42, color=canvas.theme.ink, linewidth=0.7)
        return

    def into_pixels() -> None:
        box = axes.get_window_extent()
        # marks of 2 x 2 pixels are seen better, as long as they do not fill the picture
        counts = found.pixels(max(1, int(box.width) // 2), max(1, min(int(box.height) // 2, found.lanes)))
        if np.count_nonzero(counts) > CROWDED * counts.size:
            counts = found.pixels(max(1, int(box.width)), max(1, min(int(box.height), found.lanes)))
        rows, columns = counts.shape
        seen = counts > 0
        most = float(np.quantile(counts[seen], 0.99)) if seen.any() else 1.0
        faintest = CROWDED_FAINTEST if np.count_nonzero(seen) > CROWDED * counts.size else FAINTEST
        strength = np.clip((counts - 1) / (most - 1), 0, 1) if most > 1 else 1.0
        ink = np.where(seen, faintest + (1 - faintest) * strength, 0.0)
        pixels = np.zeros((rows, columns, 4), np.uint8)
        pixels[..., :3] = [int(canvas.theme.ink[at : at + 2], 16) for at in (1, 3, 5)]
        pixels[..., 3] = np.rint(ink * 255)
        left, right = axes.get_xlim()
        axes.imshow(
            pixels,
            extent=(left, right, -0.5, found.lanes - 0.5),
            origin="lower",
            aspect="auto",
            interpolation="nearest",
            zorder=2,
        )
        axes.set_xlim(left, right)

    canvas.finally_.append(into_pixels)
