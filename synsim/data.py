"""Data entries of a config: read, checked and shaped into arrays on the host.

Order: read, split, rows, scale, binarize, corrupt. Files may be anybody's: nothing in them is executed, nothing outside
them is followed, and their size is judged before they are read.
"""

from __future__ import annotations

import os
import re
import stat
import warnings
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from synsim import preflight
from synsim.component import Declaration, static
from synsim.component import part as one_of
from synsim.corruptions import Corruption, Flip, Gaussian, Mask
from synsim.faults import ConfigError, Fault, MissingInput, listing, suggest
from synsim.splits import Split

Axes = tuple[str, ...]
ALLOWED: tuple[Axes, ...] = (
    ("row",),
    *(
        (*first, *rest)
        for first in (("row",), ("row", "step"), ("step",))
        for rest in (("unit",), ("y", "x"), ("y", "x", "channel"))
    ),
)
CORRUPTIONS: Mapping[str, type[Corruption]] = {"flip": Flip, "mask": Mask, "gaussian": Gaussian}


class Typed(Protocol):
    """A type and its settings, as `Spec.data` holds them."""

    @property
    def type(self) -> str: ...
    @property
    def settings(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True)
class Entry:
    """A data entry as arrays on the host: `axes` name the axes of `values`, the row first, then the step."""

    name: str
    values: np.ndarray
    axes: Axes


class _Problem(Exception):
    """What is wrong with one setting of an entry; `at` is the path below it, `missing` an input that is not there."""

    def __init__(self, at: str | tuple[str, ...], message: str, missing: bool = False):
        self.at = (at,) if isinstance(at, str) else at
        self.message, self.missing = message, missing
        super().__init__(message)


class Digits(Declaration, type_name="digits"):
    """1,797 handwritten digits of 8 x 8 pixels, 0 to 16, with their labels.

    Source: Alpaydin & Kaynak 1998, UCI "Optical recognition of handwritten digits", test part, as in scikit-learn.
    """

    part: Literal["images", "labels", "one_hot"] = static(
        "What of the digits: pixels (64), the digit as a number, or ten units of which the digit's is 1.",
        default="images",
    )
    split: Split | None = one_of("Part of the rows, drawn by the seed: train or test.", default=None)
    rows: str | None = static("Rows to take, as 0:1000; after the split.", default=None)
    scale: float = static("Factor on every value.", default=1.0)
    binarize: float | None = static("Values above this become 1, the others 0; after scale.", default=None)
    corrupt: Corruption | None = one_of("Noise put onto the values at last.", default=None)
    axes: Axes | None = static("Names of the axes: [row, unit], or [row, y, x], [row, y, x, channel].", default=None)

    def read(self, directory: Path) -> tuple[np.ndarray, Axes]:
        """The values and their axes, before anything is done to them."""
        images, labels = _digits()
        if self.part == "labels":
            return labels, self.axes or ("row",)
        if self.part == "one_hot":
            return np.eye(10)[labels], self.axes or ("row", "unit")
        shape = {("row", "y", "x"): (8, 8), ("row", "y", "x", "channel"): (8, 8, 1)}.get(self.axes or (), (64,))
        return images.reshape(-1, *shape), self.axes or ("row", "unit")


class File(Declaration, type_name="file"):
    """Numbers from a file: .npy, .npz, .csv or .h5. Source: none."""

    path: str = static("The file, relative to the config.")
    key: str | None = static(
        "What to take from it: an array of an .npz, a dataset of an .h5 (/final/W/weights), a column of a .csv by name "
        "or number, or columns as 1:65.",
        default=None,
    )
    split: Split | None = one_of("Part of the rows, drawn by the seed: train or test.", default=None)
    rows: str | None = static("Rows to take, as 0:1000; after the split.", default=None)
    scale: float = static("Factor on every value.", default=1.0)
    binarize: float | None = static("Values above this become 1, the others 0; after scale.", default=None)
    corrupt: Corruption | None = one_of("Noise put onto the values at last.", default=None)
    axes: Axes | None = static(
        "Names of the axes: row, step, unit, or y, x, channel in place of unit. Two axes are [row, unit] if left out, "
        "one is [row].",
        default=None,
    )

    def read(self, directory: Path) -> tuple[np.ndarray, Axes]:
        """The values and their axes, before anything is done to them."""
        values = _read(directory / self.path, self.key)
        default: dict[int, Axes] = {1: ("row",), 2: ("row", "unit")}
        axes = self.axes or default.get(values.ndim)
        if axes is None:
            raise _Problem(
                "path",
                f"the array has {values.ndim} axes, shape {list(values.shape)}: name them, as axes: [row, step, unit]",
            )
        return values, axes


TYPES: Mapping[str, type[Digits] | type[File]] = {"digits": Digits, "file": File}


def load(name: str, typed: Typed, *, directory: str | Path, seed: int) -> Entry:
    """The entry `name` of a config in `directory`. Raises ConfigError or MissingInput with the place in the config."""
    try:
        if typed.type not in TYPES:
            raise _Problem(
                "type", f"there is no data type {typed.type!r}.{suggest(typed.type, TYPES) or ' ' + listing(TYPES)}"
            )
        entry = _declared(TYPES[typed.type], typed.settings)
        values, axes = entry.read(Path(directory))
        _check_axes(values, axes)
        values = _chosen(values, axes, entry, seed)
        values = _changed(
            values, entry, np.random.default_rng([seed, zlib.crc32(name.encode()), zlib.crc32(b"corrupt")])
        )
        _check_finite(values, "scale")
    except _Problem as problem:
        kind = MissingInput if problem.missing else ConfigError
        raise kind([Fault(problem.message, ("data", name, *problem.at))]) from None
    return Entry(name, np.ascontiguousarray(values), axes)


def read_file(path: str | Path, key: str | None = None) -> np.ndarray:
    """All numbers of one array in a file, of any number of axes; for start values. Faults point at path or key."""
    try:
        return _read(Path(path), key)
    except _Problem as problem:
        raise (MissingInput if problem.missing else ConfigError)([Fault(problem.message, problem.at)]) from None


def _declared(cls: type[Digits] | type[File], settings: Mapping[str, Any]) -> Digits | File:
    made = dict(settings)
    if isinstance(split := made.get("split"), Mapping):
        made["split"] = Split(**split)
    if isinstance(corrupt := made.get("corrupt"), Mapping):
        made["corrupt"] = CORRUPTIONS[corrupt["type"]](**{k: v for k, v in corrupt.items() if k != "type"})
    if made.get("axes") is not None:
        made["axes"] = tuple(made["axes"])
        if made["axes"] not in ALLOWED:
            known = ", ".join(f"[{', '.join(axes)}]" for axes in ALLOWED)
            raise _Problem("axes", f"[{', '.join(made['axes'])}] is not among the axes that data may have: {known}")
    return cls(**made)


def _check_axes(values: np.ndarray, axes: Axes) -> None:
    if values.ndim != len(axes):
        raise _Problem(
            "axes", f"[{', '.join(axes)}] names {len(axes)} axes, but the values have shape {list(values.shape)}"
        )
    if not values.size:
        raise _Problem("path", f"the array is empty, shape {list(values.shape)}")


def _chosen(values: np.ndarray, axes: Axes, entry: Digits | File, seed: int) -> np.ndarray:
    """The rows that split and rows leave."""
    for key in ("split", "rows"):
        if getattr(entry, key) is not None and axes[0] != "row":
            raise _Problem(key, f"the entry has no rows to choose from: its axes are [{', '.join(axes)}]")
    if entry.split is not None:
        chosen = entry.split.rows(len(values), seed)
        if not len(chosen):
            raise _Problem("split", f"leaves no row of {len(values)} for {entry.split.part}")
        values = values[chosen]
    if entry.rows is not None:
        values = values[_slice(entry.rows, len(values))]
    return values


def _slice(text: str, n: int) -> slice:
    match = re.fullmatch(r"\s*(\d*)\s*:\s*(\d*)\s*", text)
    if not match:
        raise _Problem("rows", f"must be a slice as 0:1000, :1000 or 1000:, not {text!r}")
    start, stop = int(match[1] or 0), int(match[2] or n)
    if stop > n:
        raise _Problem("rows", f"{text} goes beyond the {n} rows there are", missing=True)
    if start >= stop:
        raise _Problem("rows", f"{text} holds no row of the {n} there are")
    return slice(start, stop)


def _changed(values: np.ndarray, entry: Digits | File, random: np.random.Generator) -> np.ndarray:
    if values.dtype.kind == "b":
        values = values.astype(np.uint8)
    if entry.scale != 1.0:
        with np.errstate(over="ignore"):
            values = values * np.asarray(entry.scale, values.dtype if values.dtype.kind == "f" else np.float64)
    if entry.binarize is not None:
        values = (values > entry.binarize).astype(values.dtype if values.dtype.kind == "f" else np.float64)
    if entry.corrupt is not None:
        values = entry.corrupt.apply(values, random)
    return values


def _check_finite(values: np.ndarray, at: str) -> None:
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(values))[0])
        raise _Problem(at, f"the value at {list(where)} is {values[where]}; every value must be finite")


@cache
def _digits() -> tuple[np.ndarray, np.ndarray]:
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise _Problem(
            "type", "the digits come with scikit-learn, which is not installed: pip install 'synsim[data]'"
        ) from None
    found: Any = load_digits()
    images, labels = found.data.astype(np.float64), found.target.astype(np.int64)
    images.flags.writeable = labels.flags.writeable = False
    return images, labels


# --- files -----------------------------------------------------------------------------------------------------------


def _read(path: Path, key: str | None) -> np.ndarray:
    readers: dict[str, Callable[[Path, str | None, int], np.ndarray]] = {
        ".npy": _npy,
        ".npz": _npz,
        ".csv": _csv,
        ".h5": _h5,
        ".hdf5": _h5,
    }
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise _Problem("path", f"{path.name} must end in .npy, .npz, .csv or .h5")
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError) as error:
        raise _Problem("path", f"{path}: {getattr(error, 'strerror', None) or error}", missing=True) from None
    if not stat.S_ISREG(mode):
        raise _Problem("path", f"{path} is not a regular file")
    try:
        values = reader(path, key, preflight.available_memory() // 2)
    except PermissionError as error:
        raise _Problem("path", f"{path}: {error.strerror}", missing=True) from None
    except (OSError, ValueError, EOFError, OverflowError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
        raise _Problem("path", f"{path.name}: {' '.join(str(error).split())[:300]}") from None
    except MemoryError:
        raise _Problem("path", f"{path.name} does not fit into memory", missing=True) from None
    if values.dtype.itemsize > 8 or values.dtype.name == "float16":
        values = values.astype(np.float64 if values.dtype.itemsize > 8 else np.float32)
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    _check_finite(values, "path")
    return values


def _fitting(what: str, shape: tuple[int, ...], dtype: np.dtype, budget: int) -> None:
    if dtype.hasobject or dtype.names or dtype.kind not in "biuf":
        raise _Problem("path", f"{what} does not hold plain numbers, but {dtype}")
    size = dtype.itemsize
    for length in shape:
        size *= length
    if size > budget:
        raise _Problem(
            "path",
            f"{what} has shape {list(shape)}, {size / 1e6:,.0f} MB; {budget / 1e6:,.0f} MB are to be had",
            missing=True,
        )


def _header(file: Any) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and type that an .npy says it has."""
    version = np.lib.format.read_magic(file)
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in readers:
        raise ValueError("it holds no plain numbers")  # version 3 exists for the names of fields
    shape, _, dtype = readers[version](file)
    if any(not isinstance(n, int) or n < 0 for n in shape):
        raise ValueError(f"its shape {shape} is none")
    return shape, dtype


def _npy(path: Path, key: str | None, budget: int) -> np.ndarray:
    if key is not None:
        raise _Problem("key", "an .npy holds one array, without a name; leave key out")
    with open(path, "rb") as file:
        shape, dtype = _header(file)
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
            raise _Problem(
                "path", f"{path.name} holds {listing(names)}: say which, as key: {names[0] if names else 'name'}"
            )
        wanted = names[0] if key is None else key
        if wanted not in names:
            raise _Problem("key", f"{path.name} holds no {wanted!r}.{suggest(wanted, names)} It holds {listing(names)}")
        with archive.open(f"{wanted}.npy") as file:
            shape, dtype = _header(file)
            _fitting(f"{wanted} of {path.name}", shape, dtype, budget)
            if archive.getinfo(f"{wanted}.npy").file_size < dtype.itemsize * _count(shape):
                raise ValueError(f"{wanted} says that it has shape {list(shape)}, but holds less")
        with archive.open(f"{wanted}.npy") as file:
            return np.lib.format.read_array(file, allow_pickle=False)


def _h5(path: Path, key: str | None, budget: int) -> np.ndarray:
    from synsim.store import read_array

    if key is None:
        raise _Problem("path", f"{path.name} may hold many arrays: say which, as key: /final/W/weights")
    return read_array(path, key, budget)


def _csv(path: Path, key: str | None, budget: int) -> np.ndarray:
    size = path.stat().st_size
    if size * 4 > budget:  # the shortest number, "1,", becomes 8 bytes
        raise _Problem(
            "path", f"{path.name} has {size / 1e6:,.0f} MB of text, too much for the memory; use .npy", missing=True
        )
    with open(path, encoding="utf-8-sig", newline=None) as file:
        lines = [line for line in file.read().splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if not lines:
        raise ValueError("holds no numbers")
    names: list[str] = []
    if not all(_is_number(cell) for cell in lines[0].split(",")):
        names = [cell.strip().strip("\"'") for cell in lines.pop(0).split(",")]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # no lines below the names: said below
        values = np.loadtxt(lines, delimiter=",", ndmin=2, comments=None, dtype=np.float64)
    if not values.size:
        raise ValueError("holds no numbers")
    whole = np.abs(values) < 2**53
    if (
        whole.all()
        and (values == np.rint(values)).all()
        and not any("." in line or "e" in line.lower() for line in lines)
    ):
        values = values.astype(np.int64)
    return values if key is None else _columns(values, names, key)


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
    raise _Problem("key", f"there is no column {key!r}.{suggest(key, names)} The file has {there}")


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
