"""Pictures of what was gathered of a sweep: a line over one parameter, a map over two."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from synsim.faults import ConfigError, MissingInput, listing, suggest
from synsim.pictures.canvas import DARK, LIGHT, Picture, Theme, drawing, format_of, need_matplotlib
from synsim.sweeps.gathered import Gathered, Values

MOST_LINES = 12


def plot(gathered: Gathered, x: str, y: str, color: str | None, path: Path) -> Path:
    """Draws a sweep into a file; its ending says what kind. With a summary as `y`, that over `x`, a line for each value
    of the parameter `color`; with a parameter as `y`, a map of the summary `color` over both.

    What is not on an axis is averaged: a band shows the standard deviation. Raises ConfigError for names that are not
    there, and where matplotlib is not.
    """
    format_of(path)
    return draw(gathered, x, y, color).save(path)


def picture(gathered: Gathered, x: str, y: str, color: str | None, kind: str = "png", *, dark: bool = False) -> bytes:
    """The same picture as bytes."""
    return draw(gathered, x, y, color, dark=dark).bytes(kind)


def draw(gathered: Gathered, x: str, y: str, color: str | None, *, dark: bool = False) -> Picture:
    """The same picture, not saved yet."""
    need_matplotlib()
    theme = DARK if dark else LIGHT
    with drawing(theme):
        return Picture(_drawn(gathered, theme, x, y, color), theme)


def _drawn(gathered: Gathered, theme: Theme, x: str, y: str, color: str | None) -> Any:
    across = _parameter(gathered, x, "--x")
    figure, axes = _figure()
    used = [across.name]
    if (up := find(gathered.parameters, y)) is not None:
        if color is None:
            raise ConfigError(
                f"--y {y} is a parameter too: name with --color what is drawn over the two, as --color z.rate"
            )
        if up is across:
            raise ConfigError(f"--x and --y are both {up.name}: give another --y")
        used.append(up.name)
        shown = _summary(gathered, color, "--color")
        _map(figure, axes, theme, gathered, across, up, shown)
    else:
        shown = _summary(gathered, y, "--y")
        by = None if color is None else _parameter(gathered, color, "--color")
        if by is across:
            raise ConfigError(f"--x and --color are both {across.name}: give another --color")
        used += [] if by is None else [by.name]
        _lines(figure, axes, theme, gathered, across, shown, by)
    if not np.isfinite(shown.array).any():
        raise MissingInput(f"no point of {gathered.name} has {shown.name} yet: synsim status shows how it stands")
    axes.set_title("\n".join(textwrap.wrap(_title(gathered, shown, used), 95)), fontsize=9, loc="left")
    return figure


def name_of(gathered: Gathered, x: str, y: str, color: str | None) -> str:
    """What the picture of these is called, if the user says nothing: z.s.rate-over-W.eta.png"""
    named = {**gathered.parameters, **gathered.summaries}
    across, up, third = (None if each is None else find(named, each) for each in (x, y, color))
    if across is None or up is None:
        return "plot.png"
    if up.name in gathered.parameters:
        return f"{third.name if third else 'plot'}-over-{across.name}-and-{up.name}.png"
    return f"{up.name}-over-{across.name}{f'-by-{third.name}' if third else ''}.png"


def chosen(gathered: Gathered, y: str | None) -> tuple[str, str, str | None]:
    """What is drawn of a sweep if the user says nothing more: `y`, else its first summary, over its first parameter; a
    line for each value of the second where those are few. Raises MissingInput where no point is done."""
    several = [name for name, each in gathered.parameters.items() if len(np.unique(each.array)) > 1]
    several = several or list(gathered.parameters)
    if y is None and not gathered.summaries:
        raise MissingInput(f"no point of {gathered.name} is done yet: synsim status shows how it stands")
    few = [name for name in several[1:] if len(np.unique(gathered.parameters[name].array)) <= MOST_LINES]
    third = few[0] if few and gathered.mode == "grid" and (y is None or find(gathered.summaries, y)) else None
    return several[0], next(iter(gathered.summaries)) if y is None else y, third


def find(named: Any, name: str) -> Values | None:
    """The values that a name means: in full, without the compartment (z.rate), or with a leading `components.`."""
    name = name.removeprefix("components.")
    if name in named:
        return named[name]
    component, _, kind = name.partition(".")
    short = [key for key in named if key.startswith(f"{component}.") and key.endswith(f".{kind}") and "." not in kind]
    return named[short[0]] if len(short) == 1 else None


def _parameter(gathered: Gathered, name: str, option: str) -> Values:
    found = find(gathered.parameters, name)
    if found is None:
        near = suggest(name, gathered.parameters) or f" Swept are {listing(gathered.parameters)}."
        raise ConfigError(f"{option} {name} is no parameter of this sweep.{near}")
    return found


def _summary(gathered: Gathered, name: str, option: str) -> Values:
    found = find(gathered.summaries, name)
    if found is not None:
        return found
    there = listing(gathered.summaries, most=30) if gathered.summaries else "none: no point is done"
    raise ConfigError(
        f"{option} {name} is no summary of this sweep.{suggest(name, gathered.summaries)} There are {there}."
    )


def _figure() -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.0, 4.0), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _title(gathered: Gathered, shown: Values, used: Sequence[str]) -> str:
    rest = [
        f"{name} ({count} values)"
        for name, each in gathered.parameters.items()
        if name not in used and (count := len(np.unique(each.array))) > 1
    ]
    mean = f", mean over {listing(rest)}" if rest and gathered.mode == "grid" else ""
    missing = gathered.points - gathered.done
    lacking = f", {missing:,} of {gathered.points:,} points missing" if missing else ""
    return f"{gathered.name}: {shown.doc}{mean}{lacking}"


# lines ------------------------------------------------------------------------------------------------------------


def _lines(figure: Any, axes: Any, theme: Theme, gathered: Gathered, x: Values, y: Values, by: Values | None) -> None:
    places, ticks = _places(x)
    if gathered.mode == "random":
        _scatter(figure, axes, theme, places, y, by)
    else:
        groups = [(None, np.full(len(places), True))]
        if by is not None:
            groups = [(each, by.array == each) for each in _ordered(by.array)]
        if len(groups) > MOST_LINES:
            raise ConfigError(
                f"--color {by.name if by else ''} has {len(groups)} values, too many for lines; "
                f"a map shows them: --y {by.name if by else ''} --color {y.name}"
            )
        colours = _colours(theme, len(groups))
        for (value, chosen), colour in zip(groups, colours, strict=True):
            at, mean, spread = _averaged(places[chosen], y.array[chosen])
            label = None if by is None else f"{by.name} = {_text(value)}{f' {by.unit}' if by.unit else ''}"
            axes.plot(at, mean, marker="o", markersize=4, linewidth=1.5, color=colour, label=label)
            if np.nanmax(spread, initial=0.0) > 0:
                axes.fill_between(at, mean - spread, mean + spread, color=colour, alpha=0.2, linewidth=0)
        if by is not None:
            axes.legend(frameon=False, fontsize=8)
    axes.set_xlabel(x.label)
    axes.set_ylabel(y.label)
    axes.grid(True, color=theme.faint, linewidth=0.6)
    axes.set_axisbelow(True)
    if ticks is not None:
        axes.set_xticks(range(len(ticks)), ticks)
    elif _is_log(x.array):
        axes.set_xscale("log")


def _scatter(figure: Any, axes: Any, theme: Theme, places: np.ndarray, y: Values, by: Values | None) -> None:
    if by is None:
        axes.scatter(places, y.array, s=16, color=theme.lines[0])
        return
    colours, ticks = _places(by)
    log = _norm(by.array) if ticks is None else None
    drawn = axes.scatter(places, y.array, s=16, c=colours, cmap="viridis", norm=log)
    bar = figure.colorbar(drawn, ax=axes, label=by.label)
    if ticks is not None:
        bar.set_ticks(list(range(len(ticks))), labels=ticks)


def _averaged(places: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean and standard deviation at each place, without the points that are missing."""
    at = np.unique(places)
    mean, spread = np.full(len(at), np.nan), np.zeros(len(at))
    for i, place in enumerate(at):
        here = values[(places == place) & np.isfinite(values)]
        if len(here):
            mean[i], spread[i] = here.mean(), here.std(ddof=1) if len(here) > 1 else 0.0
    return at, mean, spread


def _colours(theme: Theme, count: int) -> list[Any]:
    from matplotlib import colormaps

    if count == 1:
        return [theme.lines[0]]
    ends = (0.3, 1.0) if theme is DARK else (0.0, 0.9)  # what differs enough from the paper
    return [colormaps["viridis"](each) for each in np.linspace(*ends, count)]


# maps -------------------------------------------------------------------------------------------------------------


def _map(figure: Any, axes: Any, theme: Theme, gathered: Gathered, x: Values, y: Values, shown: Values) -> None:
    if gathered.mode == "random":
        (across, x_ticks), (up, y_ticks) = _places(x), _places(y)
        drawn = axes.scatter(across, up, s=36, c=shown.array, cmap="viridis", plotnonfinite=False)
        for values, ticks, which in ((x, x_ticks, "x"), (y, y_ticks, "y")):
            if ticks is not None:
                getattr(axes, f"set_{which}ticks")(range(len(ticks)), ticks)
            elif _is_log(values.array):
                getattr(axes, f"set_{which}scale")("log")
    else:
        columns, rows = _ordered(x.array), _ordered(y.array)
        cells = np.full((len(rows), len(columns)), np.nan)
        for i, row in enumerate(rows):
            for j, column in enumerate(columns):
                here = shown.array[(x.array == column) & (y.array == row)]
                here = here[np.isfinite(here)]
                cells[i, j] = here.mean() if len(here) else np.nan
        axes.set_facecolor(theme.grey)
        drawn = axes.pcolormesh(
            cells, cmap="viridis", edgecolors=theme.paper, linewidth=0.3 if cells.size < 2000 else 0
        )
        _cell_ticks(axes.set_xticks, columns, 60 if len(max(map(_text, columns), key=len)) > 5 else 0)
        _cell_ticks(axes.set_yticks, rows, 0)
    figure.colorbar(drawn, ax=axes, label=shown.label)
    axes.set_xlabel(x.label)
    axes.set_ylabel(y.label)


def _cell_ticks(setter: Any, values: Sequence[Any], rotation: float) -> None:
    """Names of cells, of at most a dozen of them."""
    step = -(-len(values) // 12)
    setter([i + 0.5 for i in range(0, len(values), step)], [_text(each) for each in values[::step]], rotation=rotation)


# values -----------------------------------------------------------------------------------------------------------


def _places(values: Values) -> tuple[np.ndarray, list[str] | None]:
    """Where values stand on an axis: numbers where they are, texts side by side with these ticks."""
    if values.array.dtype.kind in "iuf":
        return values.array.astype(np.float64), None
    order = _ordered(values.array)
    return np.array([order.index(each) for each in values.array], np.float64), [_text(each) for each in order]


def _ordered(values: np.ndarray) -> list[Any]:
    """Each value once: numbers by size, texts as they were written."""
    if values.dtype.kind in "iuf":
        return list(np.unique(values))
    return list(dict.fromkeys(values.tolist()))


def _is_log(values: np.ndarray) -> bool:
    """Whether numbers lie more evenly by their logarithms."""
    found = np.unique(values[np.isfinite(values)])
    if len(found) < 3 or found[0] <= 0 or found[-1] / found[0] < 50:
        return False
    uneven, uneven_log = (np.std(each) / np.mean(each) for each in (np.diff(found), np.diff(np.log(found))))
    return bool(uneven_log < uneven)


def _norm(values: np.ndarray) -> Any:
    from matplotlib.colors import LogNorm

    return LogNorm() if _is_log(values) else None


def _text(value: Any) -> str:
    text = f"{value:.4g}" if isinstance(value, float | np.floating) else str(value)
    return text if len(text) <= 24 else f"{text[:23]}…"
