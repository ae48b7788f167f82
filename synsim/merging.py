"""From finished segments to one file: built whole, read back against the segments, and only then given its name.

    build      a file without rows of segments: the head of a run, its last states
    merge      the finished file
    compact    many small segments into one, so that a run of days leaves few

A large file is written through a Python file object that keeps a disk's errors from HDF5, which they would crash.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import h5py
import numpy as np

from synsim import compression
from synsim.faults import StoreError
from synsim.files import Disk, atomic_file, digest_of, seal, write_all, write_sealed
from synsim.layout import Column, Layout, Plan, States, chunk_shape, group_of, plan
from synsim.segments import VERSION, Segments, dataset_at, segment_image

IN_MEMORY = 8 << 20  # a merged file up to this size is built in memory; a larger one would stand there twice


def build(it: Plan) -> bytes:
    """The bytes of a file whose every value stands in its plan."""

    def whole(file: h5py.File) -> None:
        fill(create(file, it), it, lambda path: iter(()), lambda: None)

    return in_memory(whole)


class Saved(Protocol):
    """The rows of one run, as they were saved."""

    @property
    def steps(self) -> int:
        """Steps of the run that they are of."""
        ...

    def rows(self, path: str) -> int:
        """Rows of a dataset."""
        ...

    def held(self, group: str) -> tuple[int, int]:
        """Bytes of the values of the datasets in a group, and how many of them stand on the disk."""
        ...

    def pieces(self, path: str, ahead: Sequence[str] = ()) -> Iterator[np.ndarray]:
        """The rows of a dataset, piece by piece; `ahead` are those that will be asked for next."""
        ...


def merge(
    folder: int,
    target: Path,
    layout: Layout,
    segments: Saved,
    begins: Mapping[str, float],
    *,
    initial: States,
    final: States,
    provenance: Mapping[str, Any],
    check: Callable[[], None] = lambda: None,
) -> None:
    """Publish the finished file of a run, sealed, in the open folder of `target`.

    `begins` are the times of the first rows; `check` is called between blocks and may raise, which leaves nothing
    behind. Raises StoreError where the disk has no room, or gives back something else than was written.
    """
    rows = {}
    for record in layout.records:
        at = group_of(layout, record)
        rows[record.name] = segments.rows(f"{at}/{'timestamps' if record.form == 'events' else 'time'}")
    it = plan(
        layout,
        rows,
        segments.rows("/trials/phase"),
        steps=segments.steps,
        begins=begins,
        initial=initial,
        final=final,
        provenance=provenance,
    )
    growing = [path for path, column in it.columns.items() if column.values is None]

    def pieces(path: str) -> Iterator[np.ndarray]:
        for piece in segments.pieces(path, growing[growing.index(path) + 1 :]):
            check()
            yield piece

    packed = {group: segments.held(group) for group in layout.filters}  # raw, and as it stands on the disk
    size, space = it.nbytes, os.fstatvfs(folder)
    free = space.f_bavail * space.f_frsize + sum(raw - stored for raw, stored in packed.values())
    if size > free:
        raise StoreError(f"it needs {size / 1e3:,.0f} kB and {free / 1e3:,.0f} kB are free")
    with atomic_file(folder, target.name) as (fd, temporary):
        if size <= IN_MEMORY:

            def whole(file: h5py.File) -> None:
                fill(create(file, it), it, pieces, check)

            write_sealed(fd, in_memory(whole))
        else:
            _stream(fd, it, pieces, check)
            length = os.fstat(fd).st_size
            os.lseek(fd, length, os.SEEK_SET)
            write_all(fd, seal(digest_of(fd, length, check)))
        with h5py.File(target.parent / temporary, "r", locking=False) as file:
            compare(file, it, pieces)
        check()


def _stream(fd: int, it: Plan, pieces: Callable[[str], Iterator[np.ndarray]], check: Callable[[], None]) -> None:
    disk = Disk(fd)

    def both() -> None:
        disk.check()
        check()

    try:
        with h5py.File(disk, "w", libver=VERSION) as file:
            fill(create(file, it), it, pieces, both)
    except Exception:
        disk.check()  # what HDF5 says after a swallowed failure is not the cause
        raise
    disk.check()


def compacted(segments: Segments, sha256: str, filters: Mapping[str, str] | None = None, lanes: int = 1) -> bytes:
    """The bytes of one segment that holds the rows of several that follow each other; as in `segment_image`."""
    columns = {path: np.concatenate(list(segments.pieces(path))) for path in segments.datasets}
    return segment_image(segments.first, segments.steps, sha256, columns, filters, lanes)


def in_memory(fill: Callable[[h5py.File], None]) -> bytes:
    """The bytes of an HDF5 file that never was on a disk."""
    with h5py.File("image", "w", driver="core", backing_store=False, block_size=1 << 16, libver=VERSION) as file:
        fill(file)
        file.flush()
        return file.id.get_file_image()


def create(file: h5py.File, it: Plan) -> dict[str, h5py.Dataset]:
    """Every group and dataset of a plan, with its scales; values that come from segments are left to the caller.

    Returns the datasets by path: to look them up again would take as long as to make them.
    """
    made: dict[str, h5py.Dataset] = {}
    for path, attrs in it.groups.items():
        group = file.require_group(path)
        for key, value in attrs.items():
            if key == "sorting":
                group.attrs.create(key, value["by_time"], dtype=h5py.enum_dtype(value, basetype="u1"))
            else:
                group.attrs[key] = value
    for path, column in it.columns.items():
        if isinstance(column.values, str):
            dataset = file.create_dataset(path, data=column.values, dtype=h5py.string_dtype())
        else:
            dataset = _dataset(file, path, column)
        made[path] = dataset
        dataset.attrs["units"], dataset.attrs["long_name"] = column.unit or "1", column.doc or path.rpartition("/")[2]
        for key, value in column.attrs.items():
            dataset.attrs[key] = value
        if column.scale:
            dataset.make_scale(path.rpartition("/")[2])
    for path, column in it.columns.items():
        folder = path.rpartition("/")[0]
        for axis, name in enumerate(column.dims):
            made[path].dims[axis].attach_scale(made[f"{folder}/{name}"])
    for path, target in it.links.items():
        file[path] = h5py.SoftLink(target)
    return made


def _dataset(file: h5py.File, path: str, column: Column) -> h5py.Dataset:
    shape, dtype = column.shape, column.dtype
    if not shape or not math.prod(shape) or dtype.kind == "O":  # which HDF5 has no checksum for
        return file.create_dataset(path, shape=shape, dtype=dtype)
    chunks = chunk_shape(shape, dtype.itemsize)
    return file.create_dataset(path, shape=shape, dtype=dtype, chunks=chunks, **compression.options(column.compression))


def _blocks(column: Column, pieces: Callable[[], Iterator[np.ndarray]]) -> Iterator[tuple[int, np.ndarray]]:
    """A column in pieces that end at chunk borders, so that the file does not depend on how the segments were cut."""
    if column.values is not None:
        if math.prod(column.shape):
            yield 0, column.array
        return
    rows = chunk_shape(column.shape, column.dtype.itemsize)[0] if math.prod(column.shape) else 1
    rows *= max(1, (1 << 24) // max(1, rows * math.prod(column.shape[1:]) * column.dtype.itemsize))
    at, held = 0, []
    for piece in pieces():
        held.append(piece)
        if sum(map(len, held)) >= rows:
            joined = np.concatenate(held)
            whole = len(joined) - len(joined) % rows
            yield at, joined[:whole]
            at, held = at + whole, [joined[whole:]]
    rest = np.concatenate(held) if held else np.empty((0, *column.shape[1:]), column.dtype)
    if at + len(rest) != column.shape[0]:
        raise StoreError(f"the segments hold {at + len(rest):,} of {column.shape[0]:,} rows ({column.doc})")
    if len(rest):
        yield at, rest


def fill(
    datasets: Mapping[str, h5py.Dataset],
    it: Plan,
    pieces: Callable[[str], Iterator[np.ndarray]],
    check: Callable[[], None],
) -> None:
    """Write every value of a plan; those that stand in segments come from `pieces`."""
    for path, column in it.columns.items():
        if isinstance(column.values, str):
            continue
        for start, block in _blocks(column, lambda path=path: pieces(path)):
            datasets[path][slice(start, start + len(block)) if column.shape else ()] = block
            check()


def compare(file: h5py.File, it: Plan, pieces: Callable[[str], Iterator[np.ndarray]]) -> None:
    """Hold every dataset of a file against what it should say, bit for bit."""
    for path, column in it.columns.items():
        dataset = dataset_at(file, path)
        if isinstance(column.values, str):
            same = dataset.asstr()[()] == column.values
        else:
            same = dataset.shape == column.shape and all(
                np.ascontiguousarray(dataset[start : start + len(block)] if column.shape else dataset[()]).tobytes()
                == np.ascontiguousarray(block, column.dtype).tobytes()
                for start, block in _blocks(column, lambda path=path: pieces(path))
            )
        if not same:
            raise StoreError(f"{path} reads back differently from what was written")
