"""What a run left, read: a finished file, or the finished segments of a run that goes on, was stopped or has failed.

`Run` reads lazily: opening it reads no rows. Whatever is wrong with a file is one StoreError that names it.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import h5py
import numpy as np

from synsim import compression
from synsim.faults import ConfigError, Fault, MissingInput, StoreError, suggest
from synsim.files import read_regular
from synsim.layout import NAME, Trials, check_name
from synsim.locks import is_live
from synsim.segments import Segments, Vanished, all_its_own, below, dataset_at, guard, open_to_read, opened
from synsim.trains import Chosen, Trains

if TYPE_CHECKING:
    from xarray import DataArray

_READ = 1 << 24  # bytes that `Rows.blocks` takes at a time
STATUS_BYTES = 1 << 20  # of a status.json at the most
_STATUS: dict[str, type] = {
    **dict.fromkeys(("steps", "steps_saved", "segments"), int),
    **dict.fromkeys(("folder", "config", "reason", "host", "started", "updated"), str),
}


class Rows:
    """An array whose first axis is spread over files; indexing it reads only the rows asked for."""

    def __init__(self, run: Run, path: str, row_shape: tuple[int, ...], dtype: np.dtype):
        self._run, self._path, self._row_shape, self.dtype = run, path, row_shape, dtype

    @property
    def shape(self) -> tuple[int, ...]:
        return (self._run._count(self._path), *self._row_shape)

    @property
    def ndim(self) -> int:
        return 1 + len(self._row_shape)

    @property
    def path(self) -> str:
        """Where it stands in the files."""
        return self._path

    @property
    def row_shape(self) -> tuple[int, ...]:
        """The shape of one row, which is known without looking at the rows."""
        return self._row_shape

    @property
    def _empty(self) -> np.ndarray:
        return np.empty((0, *self._row_shape), self.dtype)

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __deepcopy__(self, memo: Any) -> Rows:
        return self  # nobody can change what is in the file

    def __getitem__(self, key: Any) -> np.ndarray:
        first, *rest = key if isinstance(key, tuple) and key else (key,)
        if not all(isinstance(part, int | np.integer | slice) for part in rest):
            return np.asarray(self)[key]
        if isinstance(first, int | np.integer):
            at = int(first) + (len(self) if first < 0 else 0)
            if not 0 <= at < len(self):
                raise IndexError(f"row {first} of {len(self)}")
            return self._run._rows(self, at, at + 1, tuple(rest))[0]
        if isinstance(first, slice):
            start, stop, step = first.indices(len(self))
            if step > 0:
                return self._run._rows(self, start, max(start, stop), tuple(rest))[::step]
        return np.asarray(self)[key]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        whole = self._run._rows(self, 0, len(self))
        return whole if dtype is None else whole.astype(dtype)

    def blocks(self) -> Iterator[np.ndarray]:
        """All rows in pieces that fit into memory."""
        rows = max(1, _READ // max(1, math.prod(self._row_shape) * self.dtype.itemsize))
        for start in range(0, len(self), rows):
            yield self[start : start + rows]


@dataclass(frozen=True)
class Record:
    """A recorded trace: what it is, and its rows, read when they are asked for. `axes` are those of one row."""

    component: str
    compartment: str
    form: str
    unit: str
    doc: str
    axes: tuple[tuple[str, np.ndarray], ...]
    interval: float | None
    batch: int
    attrs: Mapping[str, Any]
    data: Rows
    time: Rows
    trial: Rows
    phase: Rows
    stored: Callable[[], int]

    @property
    def bytes(self) -> int:
        """Bytes on the disk."""
        return self.stored()

    @property
    def group(self) -> str:
        """The path of its group in the file."""
        return self.time.path.rpartition("/")[0]

    @property
    def name(self) -> str:
        return f"{self.component}.{self.compartment}"

    @property
    def shape(self) -> tuple[int, ...]:
        return self.data.shape

    @property
    def dtype(self) -> np.dtype:
        return self.data.dtype

    def __len__(self) -> int:
        return len(self.data)


@dataclass(frozen=True)
class Spikes:
    """Recorded spikes: what they are, and their columns, read when asked for. `row` is None where batch is 1."""

    component: str
    compartment: str
    population: str
    units: int
    doc: str
    batch: int
    attrs: Mapping[str, Any]
    timestamps: Rows
    node_ids: Rows
    trial: Rows
    row: Rows | None
    stored: Callable[[], int]
    form: str = "events"

    @property
    def bytes(self) -> int:
        """Bytes on the disk."""
        return self.stored()

    @property
    def group(self) -> str:
        """The path of its group in the file."""
        return self.timestamps.path.rpartition("/")[0]

    @property
    def name(self) -> str:
        return f"{self.component}.{self.compartment}"

    def __len__(self) -> int:
        return len(self.timestamps)


@dataclass(frozen=True)
class Whole:
    """A state stored whole, at the start or the end of the run."""

    shape: tuple[int, ...]
    dtype: np.dtype
    unit: str
    doc: str
    axes: tuple[str, ...]
    bytes: int


class Run:
    """A run: its settings, records, spikes, trials and states. `path` is its .h5 file or its directory.

    `state` is done, running, interrupted or failed; a run whose process died without a word is interrupted.
    Rows of a run that is going on are those of the segments finished when it was opened.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self._file: h5py.File | None = None
        self._segments: Segments | None = None
        self._seen: dict[str, int] | None = None  # rows when the segments were looked at, should they be merged since
        self._steps_seen: int | None = None
        try:
            if not self.path.exists():
                raise MissingInput([Fault(f"{self.path}: no such file or directory")])
            self._open()
        except OSError as error:
            raise StoreError(f"{self.path} cannot be read: {error.strerror or error}") from error

    def _open(self) -> None:
        self.close()
        self._segments = None
        if not self.path.is_dir():
            self.status: dict[str, Any] = {"state": "done"}
            self._file = self._checked(self.path)
            return
        self.status = read_status(self.path)
        finished = self.path / f"{self.status.get('name', self.path.name)}.h5"
        if finished.is_file():
            self.status["state"] = "done"
            self._file = self._checked(finished)
            return
        if self.status.get("state") == "running" and not is_live(self.path):
            self.status |= {"state": "interrupted", "reason": "its process ended without a word"}
        head = self.path / "seg" / "head.h5"
        if not head.is_file():
            raise StoreError(f"{self.path}: the run has saved nothing yet")
        self._file = self._checked(head)
        self._segments = Segments(self.path / "seg")

    def _open_again(self) -> None:
        """Turn to what the segments became, a larger one or the finished file; what was seen stays the whole."""
        if self._seen is None and self._segments is not None and self._segments.known is not None:
            self._seen, self._steps_seen = self._segments.known, self._segments.steps
        self._open()

    @staticmethod
    def _checked(path: Path) -> h5py.File:
        if not path.is_file():
            raise StoreError(f"{path} is not a file")
        with guard(path):
            file = open_to_read(path)
            try:
                if "config" not in file or "magic" not in file.attrs or "name" not in file.attrs:
                    raise StoreError(f"{path} is not a file of a synsim run")
                check_name(str(file.attrs["name"]))  # which others name their files after
                compression.require([str(name) for name in np.atleast_1d(file.attrs.get("compression", []))], str(path))
                all_its_own(file)
            except BaseException:
                file.close()
                raise
            return file

    @property
    def state(self) -> str:
        return self.status["state"]

    @property
    def segments(self) -> Segments | None:
        """The segments that its rows are read from; None where they stand in a finished file."""
        return self._segments

    @property
    def file(self) -> Path:
        """The file that describes the run: the finished one, or the head of its segments."""
        return Path(self._head.filename)

    @property
    def _head(self) -> h5py.File:
        if self._file is None:
            raise StoreError(f"{self.path} was closed")
        return self._file

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- settings

    @cached_property
    def attrs(self) -> dict[str, Any]:
        """Attributes of the root: name, seed, precision, versions, …"""
        with guard(self.file):
            return _attrs(self._head)

    @cached_property
    def provenance(self) -> dict[str, Any]:
        """What differs from run to run: when, where, by which command, from which files; before the end only those."""
        with guard(self.file):
            return _attrs(self._head["provenance"])

    @property
    def name(self) -> str:
        return str(self.attrs["name"])

    @property
    def steps(self) -> int:
        """Steps that are saved, of all trials and phases together."""
        if self._steps_seen is not None:
            return self._steps_seen
        if self._segments is not None:
            return self._segments.steps
        return int(self.attrs.get("steps", 0))

    @property
    def seed(self) -> int | None:
        return int(self.attrs["seed"]) if "seed" in self.attrs else None

    @cached_property
    def config_text(self) -> str:
        """The config as it was written."""
        return self._text("config/yaml")

    @cached_property
    def config(self) -> dict[str, Any]:
        """The config with every default filled in and overrides applied."""
        text = self._text("config/resolved")
        with guard(self.file):
            found = json.loads(text)
            if not isinstance(found, dict):
                raise ValueError("the config is no mapping")
            return found

    def _text(self, path: str) -> str:
        with guard(self.file):
            item = dataset_at(self._head, path)
            text = str(item.asstr()[()])
            if hashlib.sha256(text.encode()).hexdigest() != item.attrs["sha256"]:
                raise ValueError(f"{path} does not fit its sha256")
            return text

    @cached_property
    def phases(self) -> tuple[str, ...]:
        """Names of the phases, in the order of their numbers."""
        with guard(self.file):
            return tuple(str(name) for name in self._head["trials/phase"].attrs.get("names", ()))

    @property
    def bytes(self) -> int:
        """Bytes on the disk, all files of the run's content together."""
        return sum(
            os.stat(path).st_size
            for path in {self.file, *(self._segments.paths if self._segments else ())}
            if path.exists()
        )

    # --- rows

    @cached_property
    def records(self) -> dict[str, Record]:
        """The recorded traces by name: {"z.v": Record}."""
        found = {}
        with guard(self.file):
            for root, depth in (("report", 1), ("records", 2)):
                for path, group in _groups(self._head, root, depth):
                    record = self._record(root, path, group)
                    found[record.name] = record
        return dict(sorted(found.items()))

    def _record(self, root: str, path: str, group: h5py.Group) -> Record:
        attrs, data = _named(group), dataset_at(group, "data")
        names = [_scale_name(data, axis) for axis in range(1, data.ndim)]
        return Record(
            attrs["component"],
            attrs["compartment"],
            "report" if root == "report" else "record",
            _unit(data),
            str(data.attrs["long_name"]),
            tuple((name, dataset_at(group, name)[...]) for name in names),
            attrs.get("interval"),
            int(attrs.get("batch", 1)),
            attrs,
            data=self._column(path, "data"),
            time=self._column(path, "time"),
            trial=self._column(path, "trial"),
            phase=self._column(path, "phase"),
            stored=lambda: self._stored(path),
        )

    def _column(self, path: str, name: str) -> Rows:
        item = dataset_at(self._head, f"{path}/{name}")
        return Rows(self, f"{path}/{name}", item.shape[1:], item.dtype)

    @cached_property
    def events(self) -> dict[str, Spikes]:
        """The recorded spikes by name: {"z.s": Spikes}."""
        found = {}
        with guard(self.file):
            for path, group in _groups(self._head, "spikes", 1):
                attrs = _named(group)
                spikes = Spikes(
                    attrs["component"],
                    attrs["compartment"],
                    path.rpartition("/")[2],
                    int(attrs["units"]),
                    str(group["timestamps"].attrs["long_name"]),
                    int(attrs["batch"]),
                    attrs,
                    timestamps=self._column(path, "timestamps"),
                    node_ids=self._column(path, "node_ids"),
                    trial=self._column(path, "trial"),
                    row=self._column(path, "row") if "row" in group else None,
                    stored=lambda path=path: self._stored(path),
                )
                found[spikes.name] = spikes
        return dict(sorted(found.items()))

    def __getitem__(self, name: str) -> DataArray:
        """A record as an xarray DataArray, from which only what is selected is read: times in ms, units, and the trial
        and phase of each row. Of spikes, their times, with the unit and trial of each.

        KeyError for what was not recorded; ConfigError where xarray is not installed.
        """
        found = self.records.get(name, self.events.get(name))
        if found is None:
            names = sorted({*self.records, *self.events})
            raise KeyError(f"{name} was not recorded.{suggest(name, names)} Recorded: {', '.join(names) or 'nothing'}")
        try:
            from synsim.labelled import labelled
        except ImportError:
            raise ConfigError(
                f"run[{name!r}] is an xarray DataArray, and xarray is not installed: pip install 'synsim[view]'; "
                "plain arrays are in run.records and run.events"
            ) from None
        attrs = {key: value for key, value in found.attrs.items() if key not in ("sorting", "units")}
        about = {"long_name": found.doc, **attrs}
        if isinstance(found, Spikes):
            labels: dict[str, Any] = {
                "unit": (found.node_ids, "1", "unit that spiked", {}),
                "trial": (found.trial, "1", "trial of the spike", {}),
            }
            if found.row is not None:
                labels["row"] = (found.row, "1", "row of the batch that the spike is in", {})
            return labelled(name, found.timestamps, "spike", (), labels, {"units": "ms", **about})
        names_of_phases = {"names": list(self.phases)} if self.phases else {}
        labels = {
            "time": (found.time, "ms", "time in the run", {}),
            "trial": (found.trial, "1", "trial that the row belongs to", {}),
            "phase": (found.phase, "1", "number of the phase that the row belongs to", names_of_phases),
        }
        return labelled(name, found.data, "time", found.axes, labels, {"units": found.unit or "1", **about})

    def __contains__(self, name: str) -> bool:
        return name in self.records or name in self.events

    def spikes(self, name: str) -> Trains:
        """The spikes of a component (z), or of one of its outlets (z.s), read when their columns are asked for."""
        named = [s for s in self.events.values() if name in (s.name, s.population)]
        if not named:
            there = {*self.events, *(each.population for each in self.events.values())}
            hint = suggest(name, there) or f" There are {', '.join(self.events) or 'none'}."
            raise KeyError(f"no spikes of {name} were recorded.{hint}")
        found = named[0]
        columns = {"timestamps": found.timestamps, "node_ids": found.node_ids, "trial": found.trial}
        if found.row is not None:
            columns["row"] = found.row
        whole = Chosen(0.0, self.steps * float(self.attrs.get("dt", 1.0)))
        return Trains(
            found.name,
            columns,
            self._unit_ids(found),
            found.batch,
            whole,
            lambda: self.trials.start,
            self._segments is None,
        )

    def _unit_ids(self, spikes: Spikes) -> np.ndarray:
        """Ids of the units whose spikes were recorded: all, or those of the record's index."""
        index = (self.config.get("record", {}).get(spikes.name) or {}).get("index")
        if index is not None:
            size = self.config.get("components", {}).get(spikes.component, {}).get("n_units")
            shape = tuple(size) if isinstance(size, list) else (size,)
            if isinstance(index, str):
                first, last, step = (int(part) if part else None for part in (*index.split(":"), "")[:3])
                part: Any = slice(first, last, step)
            else:
                part = [index] if isinstance(index, int) else list(index)
            if all(isinstance(each, int) for each in shape):
                ids = np.arange(math.prod(shape), dtype=np.int64).reshape(shape)[..., part].ravel()
                if len(ids) == spikes.units:
                    return np.unique(ids)
        return np.arange(spikes.units, dtype=np.int64)

    @cached_property
    def trial_columns(self) -> dict[str, Rows]:
        """The columns of the trial table, each read when it is asked for."""
        with guard(self.file):
            columns = [(path, item) for path, item in below(self._head["trials"]) if not item.is_scale]
        return {path.rpartition("/")[2]: Rows(self, path, item.shape[1:], item.dtype) for path, item in columns}

    @cached_property
    def trials(self) -> Trials:
        """The trial table, with the labels that were asked for."""
        read = {name: np.asarray(column) for name, column in self.trial_columns.items()}
        fixed = [read.pop(name) for name in ("phase", "epoch", "start", "row")]
        return Trials(*fixed, labels=read)

    def _count(self, path: str) -> int:
        """Rows of a dataset."""
        if self._seen is not None:
            return self._seen.get(path, 0)
        if self._segments is not None:
            try:
                return self._segments.rows(path)
            except Vanished:
                self._open_again()
                return self._count(path)
        with guard(self.file):
            return dataset_at(self._head, path).shape[0]

    def _rows(self, rows: Rows, start: int, stop: int, rest: tuple[Any, ...] = ()) -> np.ndarray:
        if self._segments is not None:
            try:
                return self._segments.read(rows._path, start, stop, rest, rows._empty[(slice(None), *rest)])
            except Vanished:
                self._open_again()
                return self._rows(rows, start, stop, rest)
        with guard(self.file):
            return dataset_at(self._head, rows._path)[(slice(start, stop), *rest)]

    def _stored(self, group: str) -> int:
        """Bytes on the disk of the datasets in a group."""
        if self._segments is not None:
            with suppress(Vanished):
                return self._segments.stored(group)
        return sum(item.id.get_storage_size() for _, item in below(self._head[group]))

    # --- states

    def states(self, when: str = "final") -> dict[str, Whole]:
        """The states stored whole, `initial` or `final`: {"W.weights": Whole}; empty where the run has none yet."""
        found: dict[str, Whole] = {}
        with _states_file(self, when) as file, guard(file.filename if file else self.file):
            for path, group in _groups(file, when, 1) if file else ():
                for name, item in group.items():
                    if not item.is_scale:
                        axes = tuple(_scale_name(item, axis) for axis in range(item.ndim))
                        found[f"{path.rpartition('/')[2]}.{name}"] = Whole(
                            item.shape,
                            item.dtype,
                            _unit(item),
                            str(item.attrs["long_name"]),
                            axes,
                            item.id.get_storage_size(),
                        )
        return found

    def initial(self, component: str, compartment: str) -> np.ndarray:
        """A state at the start of the run."""
        return self._state("initial", component, compartment)

    def final(self, component: str, compartment: str) -> np.ndarray:
        """A state at the end of the run, also of a stopped one."""
        return self._state("final", component, compartment)

    def part_of_state(self, when: str, name: str, part: Any) -> np.ndarray:
        """A part of a state that is stored whole: final, W.weights and a slice of its first axis, or one of each."""
        component, _, compartment = name.partition(".")
        return self._state(when, component, compartment, part)

    def _state(self, when: str, component: str, compartment: str, part: Any = ...) -> np.ndarray:
        with _states_file(self, when) as file, guard(file.filename if file else self.file):
            if file is None or f"{when}/{component}/{compartment}" not in file:
                names = sorted(self.states(when))
                raise StoreError(
                    f"{self.path}: no {when} state {component}.{compartment}; there are {', '.join(names) or 'none'}"
                )
            return dataset_at(file, f"{when}/{component}/{compartment}")[part]


# --- files -----------------------------------------------------------------------------------------------------------


def digest_in(document: Mapping[str, Any]) -> str:
    """The digest that a status.json, or a sweep.json, holds of all else in it."""
    rest = {key: value for key, value in document.items() if key != "sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def read_status(directory: Path) -> dict[str, Any]:
    """What status.json says. A StoreError where it is missing, or not as it was written."""
    path = directory / "status.json"
    try:
        status = json.loads(read_regular(path, most=STATUS_BYTES))
        if not isinstance(status, dict) or not isinstance(status.get("state"), str):
            raise ValueError("no state in it")
        if status.get("sha256") != digest_in(status):
            raise ValueError("it is not as it was written")
        check_name(status["name"])
        for key, kind in _STATUS.items():
            if key in status and (not isinstance(status[key], kind) or isinstance(status[key], bool)):
                raise ValueError(f"{key} cannot be {status[key]!r:.60}")
    except FileNotFoundError:
        raise StoreError(f"{directory} is not the directory of a synsim run (no status.json)") from None
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise StoreError(f"{path} is damaged: {error}") from error
    return status


def _groups(file: h5py.File, root: str, depth: int) -> Iterator[tuple[str, h5py.Group]]:
    """Groups at a depth below `root`, without those that a soft link leads to."""
    levels: list[Any] = [file[root]] if root in file else []
    for _ in range(depth):
        levels = [
            group[name]
            for group in levels
            for name in group
            if not isinstance(group.get(name, getlink=True), h5py.SoftLink | h5py.ExternalLink)
        ]
    yield from ((str(group.name), group) for group in levels if isinstance(group, h5py.Group))


@contextmanager
def _states_file(run: Run, when: str) -> Iterator[h5py.File | None]:
    """The file that holds the states: of a run that is not done, the final ones are in a file of their own."""
    if when == "initial" or not run._head.filename.endswith("head.h5") or run.state == "done":
        yield run._head
        return
    path = run.path / "seg" / "final.h5"
    if not path.is_file():
        yield None
        return
    with opened(path) as file:
        all_its_own(file)
        yield file


def _scale_name(dataset: h5py.Dataset, axis: int) -> str:
    return str(dataset.dims[axis][0].name).rpartition("/")[2]


def _unit(dataset: h5py.Dataset) -> str:
    unit = str(dataset.attrs["units"])
    return "" if unit == "1" else unit


def _named(group: h5py.Group) -> dict[str, Any]:
    """Attributes of a record's group. A ValueError where what it is of has no name that could be one."""
    attrs = _attrs(group)
    for key in ("component", "compartment"):
        if not NAME.fullmatch(str(attrs[key])):
            raise ValueError(f"{attrs[key]!r} is no {key}")
    return attrs


def _attrs(item: Any) -> dict[str, Any]:
    return {key: value.item() if isinstance(value, np.generic) else value for key, value in item.attrs.items()}
