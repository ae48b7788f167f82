"""Arrays of numbers out of files: .npy, .npz, .csv and .h5.

Files may be anybody's: nothing in them is executed, nothing outside them is followed, and their size is judged before
they are read.
"""

from __future__ import annotations

import importlib.util
import os
import re
import stat
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from synsim import preflight
from synsim.faults import listing, suggest
from synsim.later import np


class Problem(Exception):
    """What is wrong with one setting of an entry; `at` is the path below it, `missing` an input that is not there."""

    def __init__(self, at: str | tuple[str, ...], message: str, missing: bool = False):
        self.at = (at,) if isinstance(at, str) else at
        self.message, self.missing = message, missing
        super().__init__(message)


def read(path: Path, key: str | None) -> np.ndarray:
    """The numbers of a file, of the array or the columns that `key` names."""
    readers: dict[str, Callable[[Path, str | None, int], np.ndarray]] = {
        ".npy": _npy,
        ".npz": _npz,
        ".csv": _csv,
        ".h5": _h5,
        ".hdf5": _h5,
    }
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise Problem("path", f"{path.name} must end in .npy, .npz, .csv or .h5")
    with reading(path) as budget:
        values = reader(path, key, budget)
    values = values.astype(plain_type(values.dtype), copy=False)
    check_finite(values, "path", f" of {path.name}" if key is None else f" of {key} in {path.name}")
    return values


def installed_file(package: str, name: Path) -> Path | None:
    """A data file of an installed package, or None. None of the package's code is run."""
    found = importlib.util.find_spec(package)  # which looks for it and imports nothing
    places = [Path(place) / name for place in (found.submodule_search_locations or () if found is not None else ())]
    return next((place for place in places if place.is_file()), None)


@contextmanager
def reading(path: Path) -> Iterator[int]:
    """The bytes that may be read of a regular file; whatever goes wrong while it is read is a Problem."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError) as error:
        raise Problem("path", f"{path}: {getattr(error, 'strerror', None) or error}", missing=True) from None
    if not stat.S_ISREG(mode):
        raise Problem("path", f"{path} is not a regular file")
    try:
        yield preflight.available_memory() // 2
    except PermissionError as error:
        raise Problem("path", f"{path}: {error.strerror}", missing=True) from None
    except (OSError, ValueError, EOFError, OverflowError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
        raise Problem("path", f"{path.name}: {' '.join(str(error).split())[:300]}") from None
    except MemoryError:
        raise Problem("path", f"{path.name} does not fit into memory", missing=True) from None


def plain_type(dtype: np.dtype) -> np.dtype:
    """The type in which numbers of a file are worked with."""
    if dtype.itemsize > 8 or dtype.name == "float16":
        return np.dtype(np.float64 if dtype.itemsize > 8 else np.float32)
    return dtype.newbyteorder("=")


def _fitting(what: str, shape: tuple[int, ...], dtype: np.dtype, budget: int) -> None:
    if dtype.hasobject or dtype.names or dtype.kind not in "biuf":
        raise Problem("path", f"{what} does not hold plain numbers, but {dtype}")
    size = dtype.itemsize
    for length in shape:
        size *= length
    if size > budget:
        raise Problem(
            "path",
            f"{what} has shape {list(shape)}, {size / 1e6:,.0f} MB; {budget / 1e6:,.0f} MB are to be had",
            missing=True,
        )


def npy_header(file: Any) -> tuple[tuple[int, ...], np.dtype, bool]:
    """Shape and type that an .npy says it has, and whether it stands there column by column."""
    version = np.lib.format.read_magic(file)
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in readers:
        raise ValueError("it holds no plain numbers")  # version 3 exists for the names of fields
    shape, column_wise, dtype = readers[version](file)
    if any(not isinstance(n, int) or n < 0 for n in shape):
        raise ValueError(f"its shape {shape} is none")
    return shape, dtype, column_wise


def _npy(path: Path, key: str | None, budget: int) -> np.ndarray:
    if key is not None:
        raise Problem("key", "an .npy holds one array, without a name; leave key out")
    with open(path, "rb") as file:
        shape, dtype, _ = npy_header(file)
        _fitting(path.name, shape, dtype, budget)
        size, held = dtype.itemsize * _count(shape), os.fstat(file.fileno()).st_size - file.tell()
        if held < size:
            raise ValueError(f"says that it has shape {list(shape)}, {size:,} bytes, but holds {held:,}")
        file.seek(0)
        return np.lib.format.read_array(file, allow_pickle=False)


def _npz(path: Path, key: str | None, budget: int) -> np.ndarray:
    with zipfile.ZipFile(path) as archive:
        names = [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]
        if key is None and len(names) != 1:
            raise Problem(
                "path", f"{path.name} holds {listing(names)}: say which, as key: {names[0] if names else 'name'}"
            )
        wanted = names[0] if key is None else key
        if wanted not in names:
            raise Problem("key", f"{path.name} holds no {wanted!r}.{suggest(wanted, names)} It holds {listing(names)}")
        with archive.open(f"{wanted}.npy") as file:
            shape, dtype, _ = npy_header(file)
            _fitting(f"{wanted} of {path.name}", shape, dtype, budget)
            if archive.getinfo(f"{wanted}.npy").file_size < dtype.itemsize * _count(shape):
                raise ValueError(f"{wanted} says that it has shape {list(shape)}, but holds less")
        with archive.open(f"{wanted}.npy") as file:
            return np.lib.format.read_array(file, allow_pickle=False)


def _h5(path: Path, key: str | None, budget: int) -> np.ndarray:
    from synsim.store import read_array

    if key is None:
        raise Problem("path", f"{path.name} may hold many arrays: say which, as key: /final/W/weights")
    return read_array(path, key, budget)


def _csv(path: Path, key: str | None, budget: int) -> np.ndarray:
    values, names = table(path, budget)
    return values if key is None else _columns(values, names, key)


def table(path: Path, budget: int) -> tuple[np.ndarray, list[str]]:
    """The numbers of a .csv, line by line, and the names of its columns, if its first line has any."""
    size = path.stat().st_size
    if size * 4 > budget:  # the shortest number, "1,", becomes 8 bytes
        raise Problem(
            "path", f"{path.name} has {size / 1e6:,.0f} MB of text, too much for the memory; use .npy", missing=True
        )
    with open(path, encoding="utf-8-sig", newline=None) as file:
        kept = enumerate(file.read().splitlines(), 1)
        lines = {number: line for number, line in kept if line.strip() and not line.lstrip().startswith("#")}
    if not lines:
        raise ValueError("holds no numbers")
    names: list[str] = []
    first = next(iter(lines))
    if not all(_is_number(cell) for cell in lines[first].split(",")):
        names = [cell.strip().strip("\"'") for cell in lines.pop(first).split(",")]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # no lines below the names: said below
        try:
            values = np.loadtxt(list(lines.values()), delimiter=",", ndmin=2, comments=None, dtype=np.float64)
        except ValueError as error:
            raise ValueError(_bad_line(lines) or str(error)) from None
    if not values.size:
        raise ValueError("holds no numbers")
    whole = np.abs(values) < 2**53
    if (
        whole.all()
        and (values == np.rint(values)).all()
        and not any("." in line or "e" in line.lower() for line in lines.values())
    ):
        values = values.astype(np.int64)
    return values, names


def _bad_line(lines: Mapping[int, str]) -> str:
    """Which line of a .csv is unlike its first, or has a cell that is no number; "" where none is."""
    width = len(next(iter(lines.values())).split(","))
    for number, line in lines.items():
        cells = line.split(",")
        if len(cells) != width:
            return f"line {number} has {len(cells)} cells, and the lines before it {width}"
        for cell in cells:
            if not _is_number(cell):
                return f"{cell.strip()!r} in line {number} is no number"
    return ""


def _columns(values: np.ndarray, names: list[str], key: str) -> np.ndarray:
    width = values.shape[1]
    if key in names:
        return values[:, names.index(key)]
    if match := re.fullmatch(r"(\d*):(\d*)", key):
        start, stop = int(match[1] or 0), int(match[2] or width)
        if start < stop <= width:
            return values[:, start:stop]
    elif key.isascii() and key.isdigit() and int(key) < width:
        return values[:, int(key)]
    there = f"columns {listing(names)}" if names else f"{width} columns, 0 to {width - 1}"
    raise Problem("key", f"there is no column {key!r}.{suggest(key, names)} The file has {there}")


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _count(shape: tuple[int, ...]) -> int:
    size = 1
    for length in shape:
        size *= length
    return size


def check_finite(values: np.ndarray, at: str, of: str = "") -> None:
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(values))[0])
        raise Problem(at, f"the value at {list(where)}{of} is {values[where]}; every value must be finite")
