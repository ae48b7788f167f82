"""Long arrays made short for eyes: what a row of pixels can show of millions of rows, and nothing hidden in between.

An `Envelope` keeps the smallest and the largest value of each bin of rows, in one pass over blocks that fit into
memory. Of an array beyond the budget it reads the first rows of every bin and says so: `read` is less than `rows`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

BUDGET = 1 << 29  # bytes that are read for one picture
SAMPLE = 4  # of a record that is larger, this part of the budget, since HDF5 reads more than is asked for
BLOCK = 1 << 23  # bytes that are held at a time


class Sliced(Protocol):
    """An array on a disk or in memory, of which slices of rows are read."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> np.dtype: ...

    def __getitem__(self, key: Any, /) -> Any: ...


Take = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]]
"""What is kept of a block of rows: the lowest, the highest and the mean of each series, each (rows, series)."""


@dataclass(frozen=True)
class Envelope:
    """Bins of rows: bin i holds the rows from `first[i]` on. `low`, `high` and `mean` are (bins, series), of the finite
    values; NaN where there is none."""

    first: np.ndarray
    low: np.ndarray
    high: np.ndarray
    mean: np.ndarray
    rows: int
    read: int

    @property
    def exact(self) -> bool:
        """Whether each bin is one row."""
        return len(self.first) == self.rows

    @property
    def note(self) -> str:
        """What a caption has to say of it, if anything."""
        if self.exact:
            return ""
        several = f"lowest and highest of every {-(-self.rows // len(self.first)):,} rows"
        if self.read == self.rows:
            return several
        return f"{several}, of which {share(self.read, self.rows)} evenly spread were read"


def share(part: int, whole: int) -> str:
    """A part of a whole as a percentage."""
    return f"{100 * part / max(1, whole):.2g} %"


def envelope(
    data: Sliced, start: int, stop: int, bins: int, take: Take, *, rest: tuple[slice, ...] = (), budget: int = BUDGET
) -> Envelope:
    """The rows `start` up to `stop` in at most `bins` bins. `rest` slices the other axes before `take` sees a block."""
    rows = max(0, stop - start)
    count = max(1, min(bins, rows))
    edges = start + np.arange(count + 1, dtype=np.int64) * rows // count
    of_row = row_bytes(data)
    whole = rows * of_row <= budget
    most = None if whole else max(1, budget // SAMPLE // (count * of_row))
    found: list[np.ndarray] | None = None
    read = 0
    for first, last in _pieces(edges, most, max(1, BLOCK // of_row)):
        kept = [_finite(each) for each in take(np.asarray(data[(slice(first, last), *rest)]))]
        read += last - first
        if found is None:
            series = kept[0].shape[1]
            found = [np.full((count, series), np.nan) for _ in range(2)] + [np.zeros((count, series)) for _ in range(2)]
        low = int(np.searchsorted(edges, first, "right")) - 1
        high = int(np.searchsorted(edges, last, "left"))
        here = slice(low, high)
        offsets = np.maximum(edges[low:high] - first, 0)
        found[0][here] = np.fmin(found[0][here], np.fmin.reduceat(kept[0], offsets, axis=0))
        found[1][here] = np.fmax(found[1][here], np.fmax.reduceat(kept[1], offsets, axis=0))
        known = np.isfinite(kept[2])
        found[2][here] += np.add.reduceat(np.where(known, kept[2], 0.0), offsets, axis=0, dtype=np.float64)
        found[3][here] += np.add.reduceat(known, offsets, axis=0, dtype=np.float64)
    if found is None:
        none = np.empty((0, 1))
        return Envelope(np.empty(0, np.int64), none, none, none, 0, 0)
    mean = np.divide(found[2], found[3], out=np.full_like(found[2], np.nan), where=found[3] > 0)
    return Envelope(edges[:-1], found[0], found[1], mean, rows, read)


def spread(data: Sliced, start: int, stop: int, *, budget: int = BUDGET, pieces: int = 256) -> list[tuple[int, int]]:
    """Ranges of rows that together stay within the budget: all in blocks, or the first ones of evenly spread bins."""
    rows, of_row = max(0, stop - start), row_bytes(data)
    whole = rows * of_row <= budget
    count = max(1, min(pieces, rows))
    edges = start + np.arange(count + 1, dtype=np.int64) * rows // count
    most = None if whole else max(1, budget // SAMPLE // (count * of_row))
    return list(_pieces(edges, most, max(1, BLOCK // of_row)))


def _pieces(edges: np.ndarray, most: int | None, block: int) -> Iterator[tuple[int, int]]:
    """Ranges that cover all rows between the edges, or of each bin the first `most`; none longer than a block."""
    spans = [(int(edges[0]), int(edges[-1]))]
    if most is not None:
        spans = [(int(a), int(min(a + most, b))) for a, b in zip(edges[:-1], edges[1:], strict=True)]
    for first, last in spans:
        for at in range(first, last, block):
            yield at, min(at + block, last)


def row_bytes(data: Sliced) -> int:
    """Bytes of one row."""
    return max(1, int(np.prod(data.shape[1:], dtype=np.int64)) * data.dtype.itemsize)


def _finite(values: np.ndarray) -> np.ndarray:
    values = np.asarray(values)
    if values.dtype.kind != "f":
        return values.astype(np.float64)
    known = np.isfinite(values)
    return values if known.all() else np.where(known, values, np.nan)


def place(column: Sliced, value: float, side: str = "left") -> int:
    """Where a value would stand in a sorted column, by bisection: np.searchsorted without reading the whole."""
    low, high = 0, column.shape[0]
    while low < high:
        middle = (low + high) // 2
        there = column[middle]
        if there < value or (side == "right" and there == value):
            low = middle + 1
        else:
            high = middle
    return low
