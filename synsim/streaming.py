"""Numbers of a file that is longer than memory: read where they are played, block by block, and never whole.

A `Stream` stands where an array would: it has a shape and a type, and gives rows, or a stretch of the steps of rows.
What comes out is what the whole array would have given, number for number.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from synsim import preflight
from synsim.arrays import Problem, check_finite, npy_header, plain_type, reading
from synsim.later import np

STREAM_BYTES = 64 << 20  # a file that holds more is not read at once
BLOCK_BYTES = 32 << 20  # that are read at once
SAMPLES = 64  # pieces of a file that tell it from another
SAMPLE_BYTES = 1 << 18


@dataclass(frozen=True)
class Npy:
    """The array of an .npy in C order."""

    path: Path
    shape: tuple[int, ...]
    dtype: Any
    begins: int

    def items(self, start: int, stop: int, axes: int) -> Any:
        """Items of the first axes, taken as one."""
        inner = self.shape[axes:]
        size = math.prod(inner) * self.dtype.itemsize
        with reading(self.path), open(self.path, "rb") as file:
            file.seek(self.begins + start * size)
            data = file.read((stop - start) * size)
        if len(data) < (stop - start) * size:
            raise Problem("path", f"{self.path.name} has become shorter than it was")
        return np.frombuffer(data, self.dtype).reshape(stop - start, *inner)


@dataclass(frozen=True)
class Hdf5:
    """A dataset of an .h5."""

    path: Path
    key: str
    shape: tuple[int, ...]
    dtype: Any

    def items(self, start: int, stop: int, axes: int) -> Any:
        """Items of the first axes, taken as one."""
        from synsim.store import read_part

        with reading(self.path):
            if axes == 1:
                return read_part(self.path, self.key, (slice(start, stop),), self.shape)
            steps, found = self.shape[1], []
            for row in range(start // steps, (stop - 1) // steps + 1):
                first, last = max(start, row * steps) - row * steps, min(stop, (row + 1) * steps) - row * steps
                found.append(read_part(self.path, self.key, (row, slice(first, last)), self.shape))
            return np.concatenate(found)


Source = Npy | Hdf5
"""An array in a file: its shape, its type, and its items from one up to another."""


def source(path: Path, key: str | None) -> Source | None:
    """The array of a file that is better not read at once, or None where it is small, or no .npy and no .h5."""
    suffix = path.suffix.lower()
    found: Source | None = None
    with suppress(Problem), reading(path):  # what is wrong with a file is said by who reads all of it
        if suffix == ".npy" and key is None:
            with open(path, "rb") as file:
                shape, dtype, column_wise = npy_header(file)
                begins = file.tell()
            size = math.prod(shape) * dtype.itemsize
            whole = os.stat(path).st_size - begins >= size
            if shape and not column_wise and whole and not dtype.hasobject:
                found = Npy(path, shape, dtype, begins)
        elif suffix in (".h5", ".hdf5") and key is not None:
            from synsim.store import shape_of_part

            if there := shape_of_part(path, key):
                found = Hdf5(path, key, *there)
    if found is None or found.dtype.kind not in "biuf":
        return None
    return found if math.prod(found.shape) * found.dtype.itemsize > STREAM_BYTES else None


@dataclass
class Stream:
    """The array of an entry that is not held: what `change` makes of rows `rows` of a source (None: of all).

    Of its axes the first `leading` are the row, the step, or both: what is left of one is an item. `change` makes items
    of items, and looks at no others.
    """

    source: Source
    leading: int
    change: Callable[[Any], Any]
    rows: Any = None
    nbytes: int = field(default=2 * BLOCK_BYTES, init=False)  # that are held at a time

    def __post_init__(self) -> None:
        self._seen = _stamp(self.source.path)
        first = self.source.shape[0] if self.rows is None else len(self.rows)
        self.shape = (first, *self.source.shape[1:])
        self.dtype = self.change(np.empty((0, *self.inner), plain_type(self.source.dtype))).dtype

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def inner(self) -> tuple[int, ...]:
        """The shape of one item."""
        return self.source.shape[self.leading :]

    @property
    def item_bytes(self) -> int:
        """Bytes of one item, once it has become numbers of the simulation."""
        return math.prod(self.inner) * 8

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> Any:
        if isinstance(rows, slice):
            rows = np.arange(*rows.indices(len(self)))
        return self.read(np.asarray(rows), None)

    def whole(self) -> Any:
        """All of it, as an array. Raises Problem where that does not fit into memory."""
        size, there = math.prod(self.shape) * 8, preflight.available_memory() // 2
        if size > there:
            words = f"the array has shape {list(self.shape)}, {size / 1e6:,.0f} MB; {there / 1e6:,.0f} MB are to be had"
            raise Problem("path", words, missing=True)
        return np.concatenate(list(self.blocks())).reshape(self.shape)

    def read(self, rows: Any, frames: tuple[int, int] | None) -> Any:
        """Rows of the first axis, of any shape; of each, with two leading axes, the steps from one up to another.

        Raises Problem for a value that is not finite, or a file that is no longer what it was.
        """
        if _stamp(self.source.path) != self._seen:
            raise Problem("path", f"{self.source.path.name} has changed since the run was planned")
        wanted = np.asarray(rows).ravel()
        steps = self.shape[1] if self.leading == 2 else 1
        first, last = frames if frames is not None and self.leading == 2 else (0, steps)
        length = last - first
        made = np.empty((len(wanted), length, *self.inner), self.dtype)
        in_file = wanted if self.rows is None else self.rows[wanted]
        for at, start, stop in _stretches(in_file, steps, first, last):
            items = self._items(start, stop)
            made.reshape(-1, *self.inner)[at : at + len(items)] = items
        kept = (length,) if self.leading == 2 else ()
        return made.reshape(*np.shape(rows), *kept, *self.inner)

    def _items(self, start: int, stop: int) -> Any:
        size = max(1, math.prod(self.inner) * self.source.dtype.itemsize)
        most = max(1, BLOCK_BYTES // size)
        if stop - start > most:
            return np.concatenate([self._items(at, min(at + most, stop)) for at in range(start, stop, most)])
        values = self.source.items(start, stop, self.leading)
        values = values.astype(plain_type(values.dtype), copy=False)
        try:
            check_finite(values, "path")
            values = self.change(values)
            check_finite(values, "scale")
        except Problem as problem:
            if not np.isfinite(values).all():
                raise Problem(problem.at, f"{problem.message} (counted from item {start} of the file)") from None
            raise
        return values

    def blocks(self) -> Iterator[Any]:
        """All items in order, some at a time."""
        steps = self.shape[1] if self.leading == 2 else 1
        size = max(1, math.prod(self.inner) * 8)
        for first, last in block_borders(math.prod(self.shape[: self.leading]), size):
            rows = np.arange(first, last)
            in_file = rows if self.rows is None else self.rows[rows // steps] * steps + rows % steps
            made = [self._items(start, stop) for _, start, stop in _stretches(in_file, 1, 0, 1)]
            yield np.concatenate(made)

    def digest(self) -> bytes:
        """What tells these numbers from others: the shape, and pieces spread over all of them."""
        found = hashlib.sha256(str((self.shape, str(self.dtype), self.source.shape)).encode())
        steps = self.shape[1] if self.leading == 2 else 1
        count = math.prod(self.shape[: self.leading])
        length = max(1, min(count, SAMPLE_BYTES // max(1, self.item_bytes)))
        for sample in range(SAMPLES):
            at = (count - length) * sample // (SAMPLES - 1)
            numbers = np.arange(at, at + length)
            in_file = numbers if self.rows is None else self.rows[numbers // steps] * steps + numbers % steps
            for _, start, stop in _stretches(in_file, 1, 0, 1):
                found.update(np.ascontiguousarray(self._items(start, stop)).tobytes())
        return found.digest()


def block_borders(count: int, item_bytes: int) -> Iterator[tuple[int, int]]:
    """Where blocks of so many items begin and end: the same for an array that is held and for one that is not."""
    most = max(1, BLOCK_BYTES // max(1, item_bytes))
    for start in range(0, count, most):
        yield start, min(start + most, count)


def _stretches(rows: Any, steps: int, first: int, last: int) -> Iterator[tuple[int, int, int]]:
    """Rows as stretches of items that follow each other in the file: place in what is made, start and stop."""
    if not len(rows):
        return
    length = last - first
    if length == steps:
        borders = np.flatnonzero(np.diff(rows) != 1) + 1
        starts, stops = np.r_[0, borders], np.r_[borders, len(rows)]
        for start, stop in zip(starts.tolist(), stops.tolist(), strict=True):
            begin = int(rows[start]) * steps
            yield start * steps, begin, begin + (stop - start) * steps
        return
    for place, row in enumerate(rows.tolist()):
        yield place * length, row * steps + first, row * steps + last


def _stamp(path: Path) -> tuple[int, int, int]:
    """What changes where a file does."""
    with reading(path):
        about = os.stat(path)
    return about.st_size, about.st_mtime_ns, about.st_ino
