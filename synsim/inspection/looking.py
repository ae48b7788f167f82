"""Which parts of an array are looked at, where there is more of it than can be read while somebody waits.

What is left out is left out evenly: whole pieces of the file, the first and the last among them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from synsim.layout import chunk_shape

MOST = 1 << 29  # bytes that are read of a run, all its arrays together: some seconds
_PIECE = 1 << 23  # bytes that are read at a time


class Shaped(Protocol):
    """Something of which it is known how large it is."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> np.dtype: ...


class Array(Shaped, Protocol):
    """Rows in a file, or many."""

    def __getitem__(self, key: Any) -> np.ndarray: ...


@dataclass(frozen=True)
class Piece:
    """Some rows on end, or parts of them: `values` is (rows, values of each that were read)."""

    first: int
    values: np.ndarray


class Plan:
    """Which pieces of an array of some shape are looked at: at the most `most` bytes of it; None: all."""

    def __init__(self, array: Shaped, most: int | None = None):
        shape = array.shape or (1,)
        self.rows, self.inner = shape[0], shape[1:]
        itemsize = array.dtype.itemsize
        row = math.prod(self.inner) * itemsize
        whole = most is None or self.rows * row <= most
        self._cut = max(1, _PIECE // max(1, math.prod(self.inner[1:]) * itemsize)) if row > _PIECE else 0
        parts = -(-self.inner[0] // self._cut) if self._cut and self.inner else 1
        self._rows = 1 if parts > 1 else max(1, _PIECE // max(1, row) if whole else chunk_shape(shape, itemsize)[0])
        self._parts, units = parts, -(-self.rows // self._rows) * parts
        if whole:
            self._units: Sequence[int] = range(units)
        else:
            unit = row // parts * self._rows
            taken = max(2, (most or 0) // max(1, unit))
            self._units = np.unique(np.linspace(0, units - 1, taken).astype(np.int64)).tolist()

    @property
    def whole(self) -> bool:
        """Whether everything is looked at."""
        return len(self._units) == -(-self.rows // self._rows) * self._parts

    @property
    def share(self) -> float | None:
        """Which part of the values is looked at; None: all."""
        return None if self.whole else len(self._units) / max(1, -(-self.rows // self._rows) * self._parts)

    def keys(self) -> Iterator[tuple[slice, ...]]:
        """Where the pieces stand: rows, and a part of the second axis where rows are large."""
        for unit in self._units:
            place, part = divmod(unit, self._parts)
            rows = slice(place * self._rows, min(self.rows, (place + 1) * self._rows))
            yield (rows, slice(part * self._cut, (part + 1) * self._cut)) if self._parts > 1 else (rows,)


class Look(Plan):
    """The pieces themselves, read one after the other."""

    def __init__(self, array: Array, most: int | None = None):
        super().__init__(array, most)
        self.array = array

    def __iter__(self) -> Iterator[Piece]:
        for key in self.keys():
            values = self.array[key]
            yield Piece(key[0].start, values.reshape(len(values), math.prod(values.shape[1:])))


def shares(sizes: Sequence[int], most: int = MOST) -> list[int]:
    """How many bytes of each array may be read so that it is `most` of all: small ones whole, the rest alike."""
    given = [0] * len(sizes)
    left, waiting = most, sorted(range(len(sizes)), key=lambda at: sizes[at])
    while waiting:
        at = waiting.pop(0)
        given[at] = min(sizes[at], left // (len(waiting) + 1))
        left -= given[at]
    return given
