"""Sets of whole numbers as a command line has them: 0,3-5."""

from __future__ import annotations

import re
from collections.abc import Iterable

_RANGE = re.compile(r"(\d{1,9})(?:-(\d{1,9}))?", re.ASCII)


def compressed(numbers: Iterable[int]) -> str:
    """`0,3-5` for 0, 3, 4 and 5."""
    ranges: list[list[int]] = []
    for number in sorted(set(numbers)):
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ",".join(f"{first}" if first == last else f"{first}-{last}" for first, last in ranges)


def expanded(text: str, below: int) -> list[int]:
    """The numbers that a text names, each once, in order. A ValueError, in words, where one is not there."""
    found: set[int] = set()
    for piece in text.split(","):
        match = _RANGE.fullmatch(piece.strip())
        if match is None:
            raise ValueError("numbers are written as 0,3-5")
        first, last = int(match[1]), int(match[2] or match[1])
        if first > last or last >= below:
            raise ValueError(f"{piece.strip()} is not within 0 to {below - 1}")
        found.update(range(first, last + 1))
    return sorted(found)
