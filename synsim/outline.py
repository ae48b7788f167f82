"""HDF5 files around rows that HDF5 never sees: it writes the structure, and large arrays are laid in as they stand.

What HDF5 does to a row on its way to a file (into a chunk, through a checksum, into an image, out of it) takes more
time than to compute it. Here the space of a large dataset is set aside while its structure goes to an `Outline`, and
what is left is a file in parts, in order: structure, rows, structure, …
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import h5py
import numpy as np

from synsim.files import Placed

ALIGNED = 4096  # where the rows of a dataset begin


class Outline(Placed):
    """A file for HDF5 to write to that keeps what is written, and nothing where nothing is."""

    def __init__(self) -> None:
        self._writes: list[tuple[int, bytes]] = []
        self._size = 0

    @property
    def size(self) -> int:
        return self._size

    def readinto(self, buffer: Any) -> int:
        stop = min(self._at + len(buffer), self._size)
        found, _ = self._between(self._at, max(self._at, stop))
        buffer[: len(found)] = found
        self._at += len(found)
        return len(found)

    def write(self, data: Any) -> int:
        self._writes.append((self._at, bytes(data)))
        self._at += len(data)
        self._size = max(self._size, self._at)
        return len(data)

    def truncate(self, size: int | None = None) -> int:
        self._size = self._at if size is None else size
        return self._size

    def _between(self, start: int, stop: int) -> tuple[bytearray, int]:
        """What stands from one place up to another, and how many bytes were written there."""
        made, count = bytearray(stop - start), 0
        for at, data in self._writes:
            low, high = max(start, at), min(stop, at + len(data))
            if low < high:
                made[low - start : high - start] = data[low - at : high - at]
                count += high - low
        return made, count

    def around(self, laid: Iterable[tuple[int, Sequence[memoryview]]]) -> list[memoryview]:
        """The whole file in parts, with the bytes that are laid into it at some places."""
        parts: list[memoryview] = []
        at = written = 0
        for place, rows in sorted(laid, key=lambda one: one[0]):
            between, count = self._between(at, place)
            parts += [memoryview(between), *rows]
            at, written = place + sum(map(len, rows)), written + count
        rest, count = self._between(at, max(at, self._size))
        if written + count != sum(len(data) for _, data in self._writes):
            raise RuntimeError("HDF5 wrote where rows were to be laid")
        return [part for part in (*parts, memoryview(rest)) if part]


def set_aside(file: h5py.File, path: str, shape: Sequence[int], dtype: np.dtype, parents: Any) -> int:
    """Make a dataset whose bytes stand in the file in one piece, and write none of them; where they begin."""
    how = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    how.set_layout(h5py.h5d.CONTIGUOUS)
    how.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    how.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    space, kind = h5py.h5s.create_simple(tuple(shape)), h5py.h5t.py_create(dtype)
    return h5py.h5d.create(file.id, path.encode(), kind, space, how, parents).get_offset()
