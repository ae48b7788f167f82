"""How numbers, counts, times and the texts of others are written in lines for people."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any


def printable(text: str) -> str:
    """A text of somebody else without what would control the terminal."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)


def number(value: float | None) -> str:
    """Four digits, all of whole numbers up to a million; nan where there is no number."""
    if value is None or math.isnan(value):
        return "nan"
    return f"{value:,.0f}" if 1e4 <= abs(value) < 1e7 else f"{value + 0.0:.4g}"


def apart(values: Sequence[float]) -> list[str]:
    """Ascending numbers with four digits, or as many more as it takes to tell each from the next."""
    texts = [number(value) for value in values]
    for digits in range(5, 18):
        if len(set(texts)) == len(texts):
            break
        texts = [f"{value + 0.0:.{digits}g}" for value in values]
    return texts


def count(n: int, what: str) -> str:
    """So many of something: 1 step, 2,000 steps."""
    return f"{n:,} {what}" + ("" if n == 1 else "s")


def milliseconds(time: float) -> str:
    """A time of the simulation, in seconds where it is long."""
    return f"{time:g} ms" if time < 10_000 else f"{time / 1000:,.6g} s"


def with_unit(text: str, unit: str) -> str:
    """What stands before its unit, if it has one."""
    return f"{text} {unit}" if unit else text


def columns(rows: Sequence[Sequence[Any]], indent: str = "") -> list[str]:
    """A table whose columns stand one below the other, aligned to the right."""
    widths = [max(len(str(row[place])) for row in rows) for place in range(len(rows[0]))] if rows else []
    return [
        indent + "  ".join(str(each).rjust(width) for each, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
