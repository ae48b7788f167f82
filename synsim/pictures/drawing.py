"""A picture of some records of a run, or of the same records of two: panels below each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal

import numpy as np

from synsim.faults import ConfigError, listing
from synsim.pictures import (
    energy,
    histogram,
    phase,
    raster,
    rate,
    receptive_fields,
    spectrum,
    trace,
    weights,
)
from synsim.pictures.canvas import DARK, DPI, LIGHT, WIDTH, Canvas, Picture, drawing, need_matplotlib
from synsim.pictures.choosing import check_kind, chosen
from synsim.pictures.part import part_of
from synsim.pictures.subject import Subject, resolve
from synsim.reading import Run, guard
from synsim.thinning import BUDGET

_DRAW: dict[str, ModuleType] = {
    "raster": raster,
    "trace": trace,
    "weights": weights,
    "histogram": histogram,
    "energy": energy,
    "rate": rate,
    "receptive-fields": receptive_fields,
    "spectrum": spectrum,
    "phase": phase,
}
MOST_PANELS = 8
TITLE = 0.62  # inches between panels for what stands above and below their axes
Window = tuple[float | None, float | None]


@dataclass(frozen=True)
class Cell:
    """A row of the grid: all of its width, or the part of it that belongs to the first or the second run."""

    grid: Any
    row: int

    @property
    def whole(self) -> Any:
        return self.grid[self.row, :]

    def side(self, number: int) -> Any:
        return self.grid[self.row, number]


def kind_of(run: Run, name: str) -> str:
    """The kind of picture that shows a record best, where no other is asked for."""
    return chosen(_subjects([run], resolve(run, name), part_of(run), [""], BUDGET)[0])


def recorded(run: Run) -> list[str]:
    """Everything recorded: spikes first, then traces, then what is one number a row; each in the order of names."""
    return [*run.events, *sorted(run.records, key=lambda name: not run.records[name].axes)]


def draw(
    run: Run,
    names: Sequence[str] = (),
    kind: str | None = None,
    *,
    window: Window = (None, None),
    units: str | Sequence[int] | None = None,
    trial: int | None = None,
    phase: str | None = None,
    compare: Run | None = None,
    dark: bool = False,
    width: float = WIDTH,
    note: Callable[[str], None] = lambda _: None,
) -> Picture:
    """A picture of these records, of all that was recorded where none is named; `compare` is a second run.

    `window` is in ms of the run, or of the trial or phase that is named; `units` is as `index` in a config or a list;
    `width` is in inches. Raises ConfigError for what cannot be drawn.
    """
    need_matplotlib()
    if kind is not None:
        check_kind(kind)
    if not 2.0 <= width <= 40.0:
        raise ConfigError(f"a picture is 2 to 40 inches wide, not {width:g}")
    with guard(run.path), np.errstate(all="ignore"):
        runs = [run] if compare is None else [run, compare]
        labels = _labels(runs)
        wanted = [resolve(run, name) for name in names]
        if kind == "phase" and len(wanted) == 2:
            wanted = [(wanted[0], wanted[1])]
        if not names:
            wanted = [each for each in recorded(run) if all(each in other for other in runs)]
            if len(wanted) > MOST_PANELS:
                rest = len(wanted) - MOST_PANELS
                note(
                    f"{rest} more {'was' if rest == 1 else 'were'} recorded: {listing(wanted[MOST_PANELS:])}; name them"
                )
                wanted = wanted[:MOST_PANELS]
            if not wanted:
                raise ConfigError(f"{run.name} recorded nothing{' that both have' if compare else ''}: name a state")
        for other in runs[1:]:
            for each in wanted:
                resolve(other, each if isinstance(each, str) else each[0])
        parts = [part_of(each, window, units, trial, phase) for each in runs]
        panels = []
        for each in wanted:
            name, second = (each, "") if isinstance(each, str) else each
            budget = BUDGET // (len(wanted) * len(runs))
            some = [
                Subject(one, name, part, label, number, budget, second)
                for number, (one, part, label) in enumerate(zip(runs, parts, labels, strict=True))
            ]
            panels.append((_DRAW[kind or chosen(some[0])], some))
        return _picture(panels, DARK if dark else LIGHT, width, len(runs))


def _picture(panels: list[tuple[ModuleType, list[Subject]]], theme: Any, width: float, sides: int) -> Picture:
    from matplotlib.figure import Figure

    heights = [each.heights(subjects, width) for each, subjects in panels]
    flat = [height for some in heights for height in some]
    with drawing(theme):
        figure = Figure(figsize=(width, sum(flat) + TITLE * len(panels)), dpi=DPI, layout="constrained")
        engine: Any = figure.get_layout_engine()
        engine.set(w_pad=0.06, h_pad=0.04, hspace=0.0, wspace=0.02)
        grid = figure.add_gridspec(len(flat), sides, height_ratios=flat)
        canvas = Canvas(figure, theme, width)
        at = 0
        for (each, subjects), some in zip(panels, heights, strict=True):
            each.draw(canvas, [Cell(grid, at + row) for row in range(len(some))], subjects)
            at += len(some)
        figure.align_ylabels([axes for axes in figure.axes if axes.get_subplotspec() is not None])
        figure.draw_without_rendering()
        engine.execute(figure)
        figure.set_layout_engine("none")  # the pixels that are counted now stay where they are
        for each in canvas.finally_:
            each()
    return Picture(figure, theme)


def _labels(runs: Sequence[Run]) -> list[str]:
    """What tells the runs apart: their names where these differ, else their paths."""
    if len(runs) == 1:
        return [""]
    names = [each.name for each in runs]
    return names if names[0] != names[1] else [str(each.path) for each in runs]


def _subjects(runs: Sequence[Run], name: str, part: Any, labels: Sequence[str], budget: int) -> list[Subject]:
    return [
        Subject(run, name, part, label, at, budget) for at, (run, label) in enumerate(zip(runs, labels, strict=True))
    ]


def picture(
    run: Run,
    names: Sequence[str] = (),
    kind: str | None = None,
    *,
    format: Literal["png", "svg", "pdf"] = "png",
    **settings: Any,
) -> bytes:
    """The same as the bytes of a file."""
    return draw(run, names, kind, **settings).bytes(format)
