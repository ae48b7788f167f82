"""Numbers, times and sizes as a page says them."""

from __future__ import annotations

import math
from typing import Any


def number(value: Any) -> str:
    """A number in four digits, or a dash where there is none."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "–"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return f"{value + 0.0:.4g}" if isinstance(value, float) else str(value)  # + 0.0: there is no -0 for people


def duration(milliseconds: float) -> str:
    """Biological time."""
    if milliseconds < 10_000:
        return f"{milliseconds:g} ms"
    return f"{milliseconds / 1000:,.6g} s"


def clock(seconds: float) -> str:
    """Time that passed on a clock."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def count(n: int, what: str) -> str:
    """1 trial, 2 trials."""
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def shape(sizes: Any, axes: Any) -> str:
    """An array by the names of its axes."""
    return " × ".join(f"{name} {n:,}" for name, n in zip(axes, sizes, strict=False)) or "one number"


def with_unit(value: Any, unit: str) -> str:
    """A number and its unit."""
    return f"{number(value)} {unit}".rstrip() if value is not None else "–"


def comment_above(text: str) -> list[str]:
    """The lines of the comment that a config begins with: what it shows, in the words of who wrote it."""
    lines: list[str] = []
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        words = line.lstrip("#").strip()
        if not words.startswith("yaml-language-server"):
            lines.append(words)
    return lines


def moment(text: object) -> str:
    """A time of day as a file holds it (2026-11-22T16:48:43Z), for people."""
    return str(text).replace("T", " ").replace("+00:00", " UTC").replace("Z", " UTC")
