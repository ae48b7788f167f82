"""The finished segments of a run: small files in a row that together hold the rows of its records.

A segment has each dataset under the path that it will have in the finished file. Some thousands of them would take
longer to read dataset by dataset than the run took, so they are read in few passes, as much at a time as may be held.

Small columns stand in chunks with a checksum each. Large ones stand in one piece, as they left the device, in a file
that is sealed block by block; what is read of them is held against that seal.
"""

from __future__ import annotations

import math
import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from h5py import h5l, h5o  # pyright: ignore[reportAttributeAccessIssue]

from synsim import blocks, compression
from synsim.faults import StoreError
from synsim.layout import Joined, chunk_shape
from synsim.outline import ALIGNED, Outline, set_aside

SEGMENT = re.compile(r"seg-(\d+)-(\d+)\.h5")
VERSION = "v110"  # of the file format: its structure has checksums, and readers since 2016 know it
HELD_BYTES = 64 << 20
LARGE_BYTES = 1 << 20  # of a column that stands in one piece
PIECE_BYTES = 16 << 20  # of such a column that are read at once


class Vanished(StoreError):
    """A segment is gone, as when the run was finished in between."""


@contextmanager
def guard(path: str | Path) -> Iterator[None]:
    """Turns whatever HDF5 says of a damaged or foreign file into one StoreError."""
    try:
        yield
    except StoreError:
        raise
    except FileNotFoundError as error:
        raise StoreError(f"{path}: no such file") from error
    except PermissionError as error:
        raise StoreError(f"{path}: {error.strerror}") from error
    except (
        OSError,
        KeyError,
        RuntimeError,
        ValueError,
        TypeError,
        AttributeError,
        IndexError,
        MemoryError,
        ArithmeticError,
    ) as error:
        why = " ".join(str(error).split())[:200]
        raise StoreError(f"{path} is damaged, or not an HDF5 file of synsim ({why})") from error


def open_to_read(path: str | Path) -> h5py.File:
    """A file for reading, with HDF5's default locks, since it wants all of a process's handles on a file alike.

    Where the file system has no locks, or somebody's handle in this process is without them, without.
    """
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise OSError("it is not a regular file")  # opening a pipe would wait for whoever writes to it
    try:
        return h5py.File(path, "r")
    except OSError as error:
        if "lock" not in str(error):
            raise
        return h5py.File(path, "r", locking=False)


@contextmanager
def opened(path: Path) -> Iterator[h5py.File]:
    """A segment, open for reading."""
    if not os.path.lexists(path):
        raise Vanished(f"{path}: no such file")
    with guard(path), open_to_read(path) as file:
        yield file


def dataset_at(group: h5py.Group, path: str) -> h5py.Dataset:
    """The dataset at a path; a ValueError where something else is there."""
    item = group[path]
    if not isinstance(item, h5py.Dataset):
        raise ValueError(f"{path} is not a dataset")
    return item


def below(group: Any) -> Iterator[tuple[str, h5py.Dataset]]:
    """Every dataset in a group and the groups in it, with its path."""
    for name, item in group.items():
        if isinstance(item, h5py.Dataset):
            yield item.name or name, item
        elif isinstance(item, h5py.Group):
            yield from below(item)


def all_its_own(file: h5py.File) -> None:
    """A ValueError where something in a file is another file's, or says that it is larger than what it holds."""

    def look(name: bytes, about: Any) -> bytes | None:
        return name if about.type == h5l.TYPE_EXTERNAL else None  # any answer ends the visit

    if (name := file.id.links.visit(look, info=True)) is not None:
        raise ValueError(f"{name.decode(errors='replace')} leads into another file")
    for name in _datasets(file):
        own(h5py.h5d.open(file.id, name.encode()), name)


def own(dataset: h5py.h5d.DatasetID, name: str) -> None:
    """A ValueError where the values of a dataset stand in another file, or are fewer than its shape says."""
    how = dataset.get_create_plist()
    if how.get_layout() == h5py.h5d.VIRTUAL or how.get_external_count():
        raise ValueError(f"{name} is stored in other files")
    kind = dataset.dtype
    if kind.hasobject or not (size := math.prod(dataset.shape or ()) * kind.itemsize):
        return
    filters = [how.get_filter(n)[0] for n in range(how.get_nfilters())]
    if dataset.get_storage_size() * compression.most(filters) < size:
        raise ValueError(f"{name} says that it has shape {dataset.shape}, but holds fewer values")


def segment_name(first: int, last: int) -> str:
    """The file of steps `first` up to `last`."""
    return f"seg-{first:012d}-{last:012d}.h5"


def segment_image(
    first: int,
    last: int,
    sha256: str,
    columns: Mapping[str, Any],
    filters: Mapping[str, str] | None = None,
    lanes: int = 1,
) -> bytes:
    """The bytes of a segment with some rows of each column; `filters` compress those of some groups."""
    with h5py.File("image", "w", driver="core", backing_store=False, block_size=1 << 16, libver=VERSION) as file:
        _fill(file, first, last, sha256, columns, filters, lanes)
        file.flush()
        return file.id.get_file_image()


def segment_parts(
    first: int,
    last: int,
    sha256: str,
    columns: Mapping[str, Any],
    filters: Mapping[str, str] | None = None,
    lanes: int = 1,
) -> list[memoryview] | None:
    """The same in parts, whose large columns are no copies; None where no column is large.

    What is compressed, or read lane by lane, stands in chunks however large it is.
    """
    packed = set(filters or {})
    large = {
        path: values
        for path, values in columns.items()
        if values.nbytes >= LARGE_BYTES and lanes == 1 and path.rpartition("/")[0] not in packed
    }
    if not large:
        return None
    outline = Outline()
    with h5py.File(outline, "w", libver=VERSION, alignment_threshold=LARGE_BYTES, alignment_interval=ALIGNED) as file:
        rest = {path: values for path, values in columns.items() if path not in large}
        parents = _fill(file, first, last, sha256, rest, filters, lanes)
        laid = [
            (set_aside(file, path, values.shape, values.dtype, parents), _bytes_of(values))
            for path, values in large.items()
        ]
    return outline.around(laid)


def _bytes_of(values: Any) -> list[memoryview]:
    arrays = values.arrays if isinstance(values, Joined) else [values]
    return [np.ascontiguousarray(each).reshape(-1).data.cast("B") for each in arrays if each.size]


def _fill(
    file: h5py.File,
    first: int,
    last: int,
    sha256: str,
    columns: Mapping[str, Any],
    filters: Mapping[str, str] | None,
    lanes: int,
) -> Any:
    parents = h5py.h5p.create(h5py.h5p.LINK_CREATE)
    parents.set_create_intermediate_group(1)
    file.attrs.update({"first": first, "last": last, "config_sha256": sha256})
    for path, values in columns.items():
        if not values.size:
            continue
        how = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        how.set_chunk(chunk_shape(values.shape, values.dtype.itemsize, lanes))
        compression.apply(how, (filters or {}).get(path.rpartition("/")[0]))
        space, kind = h5py.h5s.create_simple(values.shape), h5py.h5t.py_create(values.dtype)
        dataset = h5py.h5d.create(file.id, path.encode(), kind, space, how, parents)
        dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, np.ascontiguousarray(values))
    return parents


class Segments:
    """The segments in a folder, in order, or those of the given names. StoreError where one is missing or damaged.

    `check` is called now and then while they are read, and may raise.
    """

    def __init__(
        self,
        folder: Path,
        names: Sequence[str] | None = None,
        sha256: str | None = None,
        first: int = 0,
        check: Callable[[], None] = lambda: None,
    ):
        self.folder, self._sha256, self.first, self._check = folder, sha256, first, check
        found = sorted(
            (int(match[1]), -int(match[2]), name)
            for name in (os.listdir(folder) if names is None else names)
            if (match := SEGMENT.fullmatch(name))
        )
        self.steps = first
        self.names: list[str] = []
        for begin, end, name in found:
            if -end <= self.steps:
                continue  # small ones that a larger one has taken in, which are about to be removed
            if begin != self.steps:
                raise StoreError(f"{folder}: the segment of steps {self.steps} to {begin} is missing")
            self.steps = -end
            self.names.append(name)
        self._counts: dict[str, list[int]] | None = None
        self._bytes: dict[str, int] = {}  # of the values
        self._stored: dict[str, int] = {}  # on the disk
        self._held: dict[str, list[np.ndarray]] = {}
        self._all_held = False

    def __len__(self) -> int:
        return len(self.names)

    @property
    def paths(self) -> list[Path]:
        """The files."""
        return [self.folder / name for name in self.names]

    def _scan(self) -> dict[str, list[int]]:
        """How many rows of each dataset each segment has; if there is little, the rows too."""
        if self._counts is not None:
            return self._counts
        counts: dict[str, list[int]] = {}
        self._all_held = sum(path.stat().st_size for path in self.paths if path.exists()) <= HELD_BYTES
        for number, path in enumerate(self.paths):
            self._check()
            with opened(path) as file:
                if self._sha256 is not None and file.attrs["config_sha256"] != self._sha256:
                    raise StoreError(f"{path} belongs to another config")
                for name in _datasets(file):
                    item = h5py.h5d.open(file.id, name.encode())
                    own(item, name)
                    counts.setdefault(name, [0] * len(self.names))[number] = item.shape[0]
                    size = math.prod(item.shape) * item.dtype.itemsize
                    self._bytes[name] = self._bytes.get(name, 0) + size
                    self._stored[name] = self._stored.get(name, 0) + item.get_storage_size()
                    self._all_held = self._all_held and sum(self._bytes.values()) <= HELD_BYTES
                    if self._all_held:
                        self._held.setdefault(name, []).append(_read(file, item, 0, item.shape[0]))
        if not self._all_held:
            self._held = {}
        self._counts = counts
        return counts

    @property
    def datasets(self) -> list[str]:
        """The paths of all datasets."""
        return list(self._scan())

    @property
    def known(self) -> dict[str, int] | None:
        """Rows of each dataset, if they have been looked at."""
        return None if self._counts is None else {path: sum(counts) for path, counts in self._counts.items()}

    def rows(self, path: str) -> int:
        """Rows of a dataset in all segments together."""
        return sum(self.counts(path))

    def counts(self, path: str) -> Sequence[int]:
        """Rows of a dataset in each segment; empty where none has any."""
        return self._scan().get(path, ())

    def held(self, group: str) -> tuple[int, int]:
        """Bytes of the values of the datasets in a group, and how many of them stand on the disk."""
        self._scan()
        return sum(size for path, size in self._bytes.items() if path.startswith(f"{group}/")), self.stored(group)

    @property
    def nbytes(self) -> int:
        """Bytes of all values."""
        self._scan()
        return sum(self._bytes.values())

    def stored(self, group: str) -> int:
        """Bytes on the disk of the datasets in a group."""
        self._scan()
        return sum(size for path, size in self._stored.items() if path.startswith(f"{group}/"))

    def read(
        self, path: str, start: int, stop: int, rest: tuple[Any, ...] = (), empty: np.ndarray | None = None
    ) -> np.ndarray:
        """Rows `start` up to `stop`, indexed further by `rest`. Where there may be none, `empty` is no row of it."""
        counts, at = self._scan().get(path, [0] * len(self.names)), 0
        pieces = [] if empty is None else [empty]
        held = iter(self._held.get(path, ()) if self._all_held else ())
        for file_path, count in zip(self.paths, counts, strict=True):
            piece = next(held) if self._all_held and count else None
            low, high = max(start - at, 0), min(stop - at, count)
            at += count
            if low >= high:
                continue
            if piece is not None:
                pieces.append(piece[(slice(low, high), *rest)])
                continue
            with opened(file_path) as file:
                dataset = dataset_at(file, path)
                if _in_one_piece(dataset.id):
                    pieces.append(_read(file, dataset.id, low, high)[(slice(None), *rest)])
                else:
                    pieces.append(dataset[(slice(low, high), *rest)])
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)

    def pieces(self, path: str, ahead: Sequence[str] = ()) -> Iterator[np.ndarray]:
        """The rows of a dataset, segment by segment; `ahead` are those that will be asked for next."""
        counts = self._scan()
        if path not in counts:
            return
        if path not in self._held and self._bytes[path] <= HELD_BYTES:
            self._hold(path, ahead)
        if path in self._held:
            yield from self._held[path]
            return
        for file_path, count in zip(self.paths, counts[path], strict=True):
            if count:
                with opened(file_path) as file:
                    item = h5py.h5d.open(file.id, path.encode())
                    rows = count
                    if _in_one_piece(item):
                        rows = max(1, PIECE_BYTES * count // (math.prod(item.shape) * item.dtype.itemsize))
                    for start in range(0, count, rows):
                        yield _read(file, item, start, min(start + rows, count))

    def _hold(self, path: str, ahead: Sequence[str]) -> None:
        wanted, room = {path: self._scan()[path]}, HELD_BYTES - self._bytes[path]
        for other in ahead:
            if (room := room - self._bytes.get(other, 0)) < 0:
                break
            wanted[other] = self._scan().get(other, [0] * len(self.names))
        self._held = {each: [] for each in wanted}
        for number, file_path in enumerate(self.paths):
            self._check()
            with opened(file_path) as file:
                for each, counts in wanted.items():
                    if counts[number]:
                        item = h5py.h5d.open(file.id, each.encode())
                        self._held[each].append(_read(file, item, 0, counts[number]))


# h5py's own objects take four times as long as these calls of HDF5 below them.


def _datasets(file: h5py.File) -> list[str]:
    found: list[str] = []

    def look(name: bytes, about: Any) -> None:
        if about.type == h5o.TYPE_DATASET:
            found.append(f"/{name.decode()}")

    h5o.visit(file.id, look, info=True)
    return found


def _in_one_piece(dataset: h5py.h5d.DatasetID) -> bool:
    return dataset.get_create_plist().get_layout() == h5py.h5d.CONTIGUOUS


def _read(file: h5py.File, dataset: h5py.h5d.DatasetID, start: int, stop: int) -> np.ndarray:
    """Rows of a dataset, all of them where it stands in chunks. A ValueError where they are not what was sealed."""
    if _in_one_piece(dataset):
        values = np.empty((stop - start, *dataset.shape[1:]), dataset.dtype)
        if values.size:
            row = values.nbytes // len(values)
            out = values.reshape(-1).data.cast("B")
            blocks.read_into(file.id.get_vfd_handle(), dataset.get_offset() + start * row, out)
        return values
    values = np.empty(dataset.shape, dataset.dtype)
    if values.size:
        dataset.read(h5py.h5s.ALL, h5py.h5s.ALL, values)
    return values
