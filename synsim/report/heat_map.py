"""A map over two parameters as a table: every cell has its number, for whoever reads, and a colour."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from synsim.report import words
from synsim.report.html import Markup, tag
from synsim.report.parts import scrolled
from synsim.sweeps.gathered import Gathered, Values

SHADES = 12  # steps of colour, classes shade-0 to shade-11 of the style
MOST_CELLS = 60  # in a row


@dataclass(frozen=True)
class Cells:
    """The mean of a summary at each pair of values; NaN where there is none. `over` are the parameters averaged."""

    title: str
    x: Values
    y: Values
    columns: list[Any]
    rows: list[Any]
    values: np.ndarray
    over: tuple[str, ...]


def cells_of(gathered: Gathered, x: Values, y: Values, shown: Values) -> Cells:
    """A summary of a sweep over two of its parameters."""
    columns, across = np.unique(x.array, return_inverse=True)
    rows, up = np.unique(y.array, return_inverse=True)
    known = np.isfinite(shown.array)
    at = up.ravel()[known] * len(columns) + across.ravel()[known]
    size = len(rows) * len(columns)
    total, many = np.bincount(at, shown.array[known], size), np.bincount(at, minlength=size)
    values = np.divide(total, many, out=np.full(size, np.nan), where=many > 0).reshape(len(rows), len(columns))
    others = (each for each in gathered.parameters.values() if each is not x and each is not y)
    over = tuple(each.name for each in others if len(np.unique(each.array)) > 1)
    return Cells(shown.label, x, y, columns.tolist(), rows.tolist(), values, over)


def heat_map(cells: Cells) -> Markup:
    """The table, its colours from the least to the largest value."""
    mean = f", mean over {' and '.join(cells.over)}" if cells.over else ""
    told = f"{cells.title} over {cells.x.label} (columns) and {cells.y.label} (rows){mean}"
    low, high = (float(edge(cells.values)) for edge in (np.nanmin, np.nanmax))
    body = [
        tag("tr", tag("th", words.number(name), scope="row"), *(_cell(float(value), low, high) for value in row))
        for name, row in zip(cells.rows, cells.values, strict=True)
    ]
    head = tag(
        "tr",
        tag("th", f"{cells.y.name} \\ {cells.x.name}", scope="col"),
        *(tag("th", words.number(name), scope="col") for name in cells.columns),
    )
    span = f"{told}: {words.number(low)} (light) to {words.number(high)} (dark)"
    return scrolled(told, tag("table", tag("caption", span), tag("thead", head), tag("tbody", *body)), "scroll heat")


def _cell(value: float, low: float, high: float) -> Markup:
    if not np.isfinite(value):
        return tag("td", "–", class_="number")
    step = int((value - low) / (high - low) * (SHADES - 1) + 0.5) if high > low else 0
    return tag("td", words.number(value), class_=f"number shade-{step}")
