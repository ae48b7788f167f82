"""What stands where in a run's file, as plain data: every dataset with its shape, scales, unit and words.

The file is at once plain HDF5, netCDF4-compatible (each dataset has named scales in its own group) and SONATA
(spikes, and traces that are float32, two-dimensional and evenly spaced). `plan` gives one `Column` for each dataset;
the store writes them, and holds what it wrote against them. No HDF5 here.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

Axis = tuple[str, np.ndarray]
"""An axis of a record: the name of its scale (unit, row, y, x, channel, pre_unit, …) and its coordinates."""

States = Mapping[str, Mapping[str, tuple[Any, str, str, Sequence[Any]]]]
"""Whole arrays by component and compartment: {c: {v: (array, unit, doc, axes)}}; an axis is a name or an `Axis`."""

CHUNK_BYTES = 1 << 19
LANES_APART_BYTES = 1 << 22
TRIAL_COLUMNS = ("trial", "phase", "epoch", "start", "row", "batch")
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
BY_TIME = {"none": 0, "by_id": 1, "by_time": 2}  # SONATA's enumeration of how spikes are sorted


@dataclass(frozen=True)
class RecordLayout:
    """One record of a compartment: `shape` and `axes` are those of one row of it, the batch axis first where batch > 1.

    form "events" stores spikes (then `shape` counts the units); "report" asks for SONATA's report, which a record gets
    if it is float32, one axis `unit` with ascending ids, batch 1 and evenly spaced; any other is stored as "record".
    `interval` is the time between rows in ms, None where rows are not evenly spaced. `attrs` go onto the group;
    `compression` names the filter of all that has a row for each of its rows.
    """

    component: str
    compartment: str
    form: str
    shape: tuple[int, ...] = ()
    axes: tuple[Axis, ...] = ()
    unit: str = ""
    doc: str = ""
    dtype: str = "float32"
    interval: float | None = None
    batch: int = 1
    attrs: Mapping[str, Any] = field(default_factory=dict)
    compression: str | None = None

    def __post_init__(self) -> None:
        for name in (self.component, self.compartment):
            if not NAME.fullmatch(name):
                raise ValueError(f"{name!r} cannot name a group of a file")
        if self.form not in ("report", "record", "events"):
            raise ValueError(f"{self.name}: no form {self.form!r}")
        axes = tuple((name, np.asarray(coords)) for name, coords in self.axes)
        names = [name for name, _ in axes]
        if self.form != "events" and tuple(len(coords) for _, coords in axes) != tuple(self.shape):
            raise ValueError(f"{self.name}: shape {self.shape} does not fit its axes {names}")
        if len(set(names)) != len(names) or {"data", "time", "trial", "phase"} & set(names):
            raise ValueError(f"{self.name}: axes {names} must have names of their own")
        object.__setattr__(self, "axes", axes)
        if self.form == "report" and not self._fits_report():
            object.__setattr__(self, "form", "record")

    def _fits_report(self) -> bool:
        if np.dtype(self.dtype) != np.float32 or self.batch != 1 or self.interval is None or len(self.axes) != 1:
            return False
        name, coords = self.axes[0]
        return (
            name == "unit" and coords.dtype.kind in "iu" and bool(np.all(np.diff(coords) > 0) and (coords >= 0).all())
        )

    @property
    def name(self) -> str:
        """The record's path in a config, as z.v."""
        return f"{self.component}.{self.compartment}"


RUN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_DEVICES = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?")


def check_name(name: str) -> str:
    """A run's name, if it names one file and leads nowhere else; else a ValueError that says what a name is."""
    if not RUN_NAME.fullmatch(name) or _DEVICES.fullmatch(name) or name.endswith("."):
        raise ValueError(
            f"{name!r} cannot name a run: up to 64 letters, digits, '.', '_' or '-', the first a letter or digit"
        )
    return name


@dataclass(frozen=True)
class LabelLayout:
    """A data entry that goes into the trial table: `shape` and `axes` are those of one data row."""

    name: str
    shape: tuple[int, ...] = ()
    axes: tuple[str, ...] = ()
    dtype: str = "int64"
    unit: str = ""
    doc: str = ""


@dataclass(frozen=True)
class Layout:
    """Everything about a run's file that its settings decide.

    `name` names the file; `attrs` go onto the root; `config_text` is the config verbatim, `config_resolved` JSON with
    every default filled in; `phases` are the names that the trial table's phase numbers stand for. `origin` says what
    the config was read from: attributes of /provenance, which are there from the start. `lanes` is how many runs go
    side by side in the rows: those of the first, those of the second, and so on.
    """

    name: str
    records: tuple[RecordLayout, ...] = ()
    attrs: Mapping[str, Any] = field(default_factory=dict)
    config_text: str = ""
    config_resolved: str = "{}"
    dt: float = 1.0
    batch: int = 1
    labels: tuple[LabelLayout, ...] = ()
    phases: tuple[str, ...] = ()
    origin: Mapping[str, str] = field(default_factory=dict)
    lanes: int = 1

    def __post_init__(self) -> None:
        names = [record.name for record in self.records]
        if len(set(names)) != len(names):
            raise ValueError("a compartment is recorded twice")
        for label in self.labels:
            if label.name in TRIAL_COLUMNS or not NAME.fullmatch(label.name):
                raise ValueError(f"{label.name!r} cannot name a column of the trial table")

    @property
    def filters(self) -> dict[str, str]:
        """How the rows of records are compressed, by the path of their group; those that are not are left out."""
        return {group_of(self, record): record.compression for record in self.records if record.compression}

    @property
    def config_sha256(self) -> str:
        """What tells one config from another, however they are written, and whatever was overridden."""
        return hashlib.sha256(self.config_resolved.encode()).hexdigest()

    def file_bytes(self, rows: Mapping[str, int], trials: int, states: int = 0, arrays: int = 0) -> int:
        """About how large the finished file will be.

        `rows` gives for each record its rows (for events the number of spikes expected), `states` the bytes of the
        initial and the final states together and `arrays` how many they are.
        """
        return plan(self, rows, trials).nbytes + states + HEADER_BYTES * 2 * arrays


HEADER_BYTES = 550  # that HDF5 needs for a dataset or a group with its attributes and scales, measured


class Joined:
    """Arrays of rows, one after the other, that count as one and are not copied together."""

    def __init__(self, arrays: Sequence[np.ndarray]):
        self.arrays = list(arrays)
        self.dtype = self.arrays[0].dtype
        self.shape = (sum(map(len, self.arrays)), *self.arrays[0].shape[1:])
        self.size = math.prod(self.shape)
        self.nbytes = self.size * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.concatenate(self.arrays, dtype=dtype)


@dataclass(frozen=True)
class Trace:
    """Rows of one record: data (T, *shape), time (T,) in ms of the run, and the trial and phase of each row."""

    data: Any
    time: Any
    trial: Any
    phase: Any


@dataclass(frozen=True)
class Events:
    """Spikes in the order of time: timestamps in ms of the run, units, trials, rows of the batch (None: batch 1)."""

    timestamps: Any
    node_ids: Any
    trial: Any
    row: Any = None


@dataclass(frozen=True)
class Trials:
    """Rows of the trial table: phase, epoch, start (ms), data row (n, batch) or (n,), and labels (n, [batch,] …).

    A row is -1 where no data row drives it.
    """

    phase: Any
    epoch: Any
    start: Any
    row: Any
    labels: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.phase)


@dataclass(frozen=True)
class Column:
    """One dataset. `values` is None where its rows come from segments; a `range` is counted out when it is written."""

    shape: tuple[int, ...]
    dtype: np.dtype
    dims: tuple[str, ...]
    unit: str
    doc: str
    values: Any = None
    scale: bool = False
    attrs: Mapping[str, Any] = field(default_factory=dict)
    compression: str | None = None

    @property
    def nbytes(self) -> int:
        if isinstance(self.values, str):
            return len(self.values.encode())
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def array(self) -> Any:
        """The values as they are written."""
        return np.arange(len(self.values), dtype=self.dtype) if isinstance(self.values, range) else self.values


@dataclass
class Plan:
    """A whole file: attributes of groups, datasets, and soft links, each by its path."""

    groups: dict[str, dict[str, Any]] = field(default_factory=dict)
    columns: dict[str, Column] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)

    @property
    def nbytes(self) -> int:
        """About how large the file will be."""
        held = sum(column.nbytes for column in self.columns.values())
        return held + 2500 + HEADER_BYTES * (len(self.columns) + len(self.groups))


def plan(
    layout: Layout,
    rows: Mapping[str, int],
    trials: int,
    *,
    steps: int = 0,
    begins: Mapping[str, float] | None = None,
    initial: States | None = None,
    final: States | None = None,
    provenance: Mapping[str, Any] | None = None,
) -> Plan:
    """The file of a run of so many steps and rows; `begins` is the time of each record's first row."""
    it = Plan()
    it.groups["/"] = {
        "magic": np.uint32(0x0A7A),
        "version": np.array([0, 1], np.uint32),
        "Conventions": "SONATA-0.1",
        "title": f"synsim run {layout.name}",
        "name": layout.name,
        "dt": float(layout.dt),
        "batch": layout.batch,
        "steps": steps,
        **({"compression": sorted(set(layout.filters.values()))} if layout.filters else {}),
        **layout.attrs,
    }
    it.groups["/provenance"] = {**layout.origin, **(provenance or {})}
    for key, text, doc in (
        ("yaml", layout.config_text, "the config as it was written"),
        ("resolved", layout.config_resolved, "the config with every default, as JSON"),
    ):
        digest = hashlib.sha256(text.encode()).hexdigest()
        it.columns[f"/config/{key}"] = Column((), np.dtype("O"), (), "1", doc, text, attrs={"sha256": digest})
    _trials(it, layout, trials)
    for record in layout.records:
        count = int(rows.get(record.name, 0))
        if record.form == "events":
            _events(it, layout, record, count)
        else:
            _trace(it, record, count, (begins or {}).get(record.name, 0.0))
    for group, name in layout.filters.items():
        for path, column in it.columns.items():
            if path.rpartition("/")[0] == group and (column.values is None or isinstance(column.values, range)):
                it.columns[path] = replace(column, compression=name)
    for root, states in (("/initial", initial), ("/final", final)):
        it.groups[root] = {}
        for component, arrays in (states or {}).items():
            _states(it, f"{root}/{component}", arrays)
    return it


def plan_of_states(layout: Layout, final: States, provenance: Mapping[str, Any]) -> Plan:
    """A file of the last state alone."""
    whole = plan(layout, {}, 0, final=final, provenance=provenance)
    groups = {path: attrs for path, attrs in whole.groups.items() if path.startswith(("/final", "/provenance"))}
    return Plan(groups, {path: column for path, column in whole.columns.items() if path.startswith("/final/")})


def group_of(layout: Layout, record: RecordLayout) -> str:
    """The path of the group that holds a record."""
    if record.form == "report":
        return f"/report/{record.name}"
    if record.form == "record":
        return f"/records/{record.component}/{record.compartment}"
    first = next(r for r in layout.records if r.form == "events" and r.component == record.component)
    # SONATA knows one spike train a population, so a second spiking outlet gets a population of its own.
    return f"/spikes/{record.component}" if first.name == record.name else f"/spikes/{record.name}"


def _trace(it: Plan, record: RecordLayout, count: int, begin: float) -> None:
    at = f"/report/{record.name}" if record.form == "report" else f"/records/{record.component}/{record.compartment}"
    it.groups[at] = {
        "component": record.component,
        "compartment": record.compartment,
        "batch": record.batch,
        **({} if record.interval is None else {"interval": float(record.interval)}),
        **record.attrs,
    }
    names = tuple(name for name, _ in record.axes)
    it.columns[f"{at}/time"] = _scale("time", None, "ms", "time in the run", count, np.float64)
    for name, coords in record.axes:
        it.columns[f"{at}/{name}"] = _scale(name, coords)
    it.columns[f"{at}/data"] = Column(
        (count, *record.shape), np.dtype(record.dtype), ("time", *names), record.unit, record.doc
    )
    for name, doc in (("trial", "trial that the row belongs to"), ("phase", "phase that the row belongs to")):
        it.columns[f"{at}/{name}"] = Column((count,), np.dtype(np.int32), ("time",), "1", doc)
    if record.form != "report":
        return
    it.links[f"/records/{record.component}/{record.compartment}"] = at
    units = record.axes[0][1].astype(np.uint64)
    mapping, step = f"{at}/mapping", float(record.interval or 0.0)
    node_ids = _scale("node_ids", units, "1", "ids of the units")
    it.columns[f"{mapping}/node_ids"] = replace(node_ids, attrs={"sorted": np.uint8(1)})
    it.columns[f"{mapping}/index_pointers"] = _scale(
        "index_pointers", np.arange(len(units) + 1, dtype=np.uint64), "1", "where each unit's values begin"
    )
    it.columns[f"{mapping}/element_ids"] = _scale(
        "element_ids", np.zeros(len(units), np.uint32), "1", "compartment of the cell; 0 for a point neuron"
    )
    it.columns[f"{mapping}/bound"] = _scale("bound", np.arange(3), "1", "start, stop (exclusive), step")
    bounds = np.array([begin, begin + count * step, step], np.float64)
    it.columns[f"{mapping}/time"] = Column(
        (3,), bounds.dtype, ("bound",), "ms", "start, stop (exclusive) and step of the rows", bounds
    )


def _events(it: Plan, layout: Layout, record: RecordLayout, count: int) -> None:
    at = group_of(layout, record)
    it.groups[at] = {
        "component": record.component,
        "compartment": record.compartment,
        "batch": record.batch,
        "units": int(math.prod(record.shape[1:] if record.batch > 1 else record.shape)),
        "sorting": BY_TIME,
        **record.attrs,
    }
    it.columns[f"{at}/spike"] = _scale("spike", range(count), "1", "number of the spike")
    columns = [
        ("timestamps", np.float64, "ms", record.doc or "times of the spikes"),
        ("node_ids", np.uint64, "1", "unit that spiked"),
        ("trial", np.int32, "1", "trial of the spike"),
    ]
    if record.batch > 1:
        columns.append(("row", np.int32, "1", "row of the batch that the spike is in"))
    for name, dtype, unit, doc in columns:
        it.columns[f"{at}/{name}"] = Column((count,), np.dtype(dtype), ("spike",), unit, doc)


def _trials(it: Plan, layout: Layout, count: int) -> None:
    it.groups["/trials"] = {}
    it.columns["/trials/trial"] = _scale("trial", range(count), "1", "number of the trial")
    batch = (layout.batch,) if layout.batch > 1 else ()
    rowwise = ("trial", "batch") if batch else ("trial",)
    if batch:
        it.columns["/trials/batch"] = _scale("batch", range(layout.batch), "1", "place side by side in the batch")
    names = {"names": list(layout.phases)} if layout.phases else {}
    for name, dtype, unit, doc, attrs in (
        ("phase", np.int32, "1", "number of the phase", names),
        ("epoch", np.int32, "1", "pass over the data within the phase", {}),
        ("start", np.float64, "ms", "time in the run when the trial starts", {}),
    ):
        it.columns[f"/trials/{name}"] = Column((count,), np.dtype(dtype), ("trial",), unit, doc, attrs=attrs)
    it.columns["/trials/row"] = Column(
        (count, *batch), np.dtype(np.int64), rowwise, "1", "row of the data; -1 where there is none"
    )
    taken = {*TRIAL_COLUMNS, *(label.name for label in layout.labels)}
    for label in layout.labels:
        dims = [
            _place(it, "/trials", axis, np.arange(size), taken)
            for axis, size in zip(label.axes, label.shape, strict=True)
        ]
        it.columns[f"/trials/{label.name}"] = Column(
            (count, *batch, *label.shape),
            _storable(label.dtype),
            (*rowwise, *dims),
            label.unit,
            label.doc or f"data entry {label.name}",
        )


def _states(it: Plan, at: str, arrays: Mapping[str, tuple[Any, str, str, Sequence[Any]]]) -> None:
    it.groups[at] = {}
    for name, (given, unit, doc, given_axes) in sorted(arrays.items()):  # who comes first gets the name of an axis
        array, axes = np.asarray(given), [(a, None) if isinstance(a, str) else tuple(a) for a in given_axes]
        if axes and axes[0][0] == "row" and array.shape[0] == 1:
            array, axes = array[0], axes[1:]
        if len(axes) != array.ndim:
            raise ValueError(f"{at}/{name}: shape {array.shape} does not fit its axes {[a for a, _ in axes]}")
        array = np.asarray(array, _storable(array.dtype))
        dims = []
        for (axis, coords), size in zip(axes, array.shape, strict=True):
            dims.append(
                _place(it, at, axis, np.arange(size) if coords is None else np.asarray(coords), {*arrays, *dims})
            )
        it.columns[f"{at}/{name}"] = Column(array.shape, array.dtype, tuple(dims), unit, doc, array)


def _place(it: Plan, at: str, axis: str, coords: np.ndarray, taken: set[str]) -> str:
    """The name of a scale with these coordinates in the group `at`; a second of the same name is counted: unit_2."""
    for number in range(1, 1000):
        name = axis if number == 1 else f"{axis}_{number}"
        if name in taken:
            continue
        there = it.columns.get(f"{at}/{name}")
        if there is None:
            it.columns[f"{at}/{name}"] = _scale(axis, coords)
            return name
        if there.scale and np.array_equal(there.values, coords):
            return name
    raise ValueError(f"{at}: too many axes called {axis}")


def axis_of(scale: str) -> str:
    """The axis that a scale is of: unit for unit_2, as `_place` counts them."""
    name, _, number = scale.rpartition("_")
    return name if number.isdigit() else scale


_WORDS = {
    "unit": "unit",
    "row": "row of the batch",
    "pre_unit": "unit before the synapse",
    "post_unit": "unit after the synapse",
    "y": "row of the image",
    "x": "column of the image",
    "channel": "channel",
    "ky": "row of the kernel",
    "kx": "column of the kernel",
    "memory": "memory slot",
}


def _scale(name: str, values: Any, unit: str = "1", doc: str = "", count: int = 0, dtype: Any = np.int64) -> Column:
    if values is not None:
        count = len(values)
        if not isinstance(values, range):
            values = np.asarray(values)
            dtype = values.dtype
    return Column((count,), np.dtype(dtype), (), unit, doc or _WORDS.get(name, name), values, scale=True)


def _storable(dtype: Any) -> np.dtype:
    """The dtype in which a file holds values: no float16 (a crash in netCDF4's reader), bool as numbers."""
    kind = np.dtype(dtype)
    if kind.kind == "b":
        return np.dtype(np.uint8)
    if kind.kind in "iu" or (kind.kind == "f" and kind.itemsize in (4, 8)):
        return kind
    if kind.kind == "f" or kind.name == "bfloat16":
        return np.dtype(np.float32)
    raise ValueError(f"values of type {kind} cannot be stored")


def flatten(layout: Layout, blocks: Mapping[str, Trace | Events], trials: Trials | None) -> dict[str, Any]:
    """The rows of one save by the path of their dataset, in the file's dtypes and held against the layout."""
    out: dict[str, np.ndarray] = {}
    records = {record.name: record for record in layout.records}
    for name, block in blocks.items():
        record = records.get(name)
        if record is None:
            raise ValueError(f"{name} is not among the records of this run")
        at = group_of(layout, record)
        if isinstance(block, Events):
            if record.form != "events":
                raise ValueError(f"{name} is recorded as values, not as events")
            out |= {f"{at}/{key}": value for key, value in _flat_events(record, block, layout.lanes).items()}
        else:
            if record.form == "events":
                raise ValueError(f"{name} is recorded as events, not as values")
            out |= {f"{at}/{key}": value for key, value in _flat_trace(record, block).items()}
    if trials is not None and len(trials):
        out |= {f"/trials/{key}": value for key, value in _flat_trials(layout, trials).items()}
    return out


def _flat_trace(record: RecordLayout, block: Trace) -> dict[str, Any]:
    time = np.asarray(block.time, np.float64)
    data = block.data if isinstance(block.data, Joined) else np.asarray(block.data, record.dtype)
    if data.dtype != record.dtype:
        data = np.asarray(data, record.dtype)
    if record.batch == 1 and len(data.shape) == len(record.shape) + 2 and data.shape[1] == 1:
        data = np.asarray(data)[:, 0]
    count = len(time)
    if data.shape != (count, *record.shape):
        raise ValueError(f"{record.name}: rows of shape {data.shape[1:]} where {record.shape} was promised")
    out = {
        "data": data,
        "time": time,
        "trial": np.asarray(block.trial, np.int32),
        "phase": np.asarray(block.phase, np.int32),
    }
    return _same_length(record.name, out)


def _flat_events(record: RecordLayout, block: Events, lanes: int) -> dict[str, np.ndarray]:
    out = {
        "timestamps": np.asarray(block.timestamps, np.float64),
        "node_ids": np.asarray(block.node_ids, np.uint64),
        "trial": np.asarray(block.trial, np.int32),
    }
    if record.batch > 1:
        out["row"] = np.asarray(block.row, np.int32)
    _same_length(record.name, out)
    if np.any(np.diff(out["timestamps"]) < 0):
        order = np.argsort(out["timestamps"], kind="stable")
        out = {key: value[order] for key, value in out.items()}
    if lanes > 1:  # so that those of one lane are read without the others
        order = np.argsort(out["row"] // (record.batch // lanes), kind="stable")
        out = {key: value[order] for key, value in out.items()}
    return out


def _flat_trials(layout: Layout, trials: Trials) -> dict[str, np.ndarray]:
    count, batch = len(trials), (layout.batch,) if layout.batch > 1 else ()
    out = {
        "phase": np.asarray(trials.phase, np.int32),
        "epoch": np.asarray(trials.epoch, np.int32),
        "start": np.asarray(trials.start, np.float64),
        "row": np.asarray(trials.row, np.int64).reshape(count, *batch),
    }
    for label in layout.labels:
        shape, dtype = (count, *batch, *label.shape), _storable(label.dtype)
        if label.name in trials.labels:
            out[label.name] = np.asarray(trials.labels[label.name]).astype(dtype).reshape(shape)
        else:  # a phase that does not record it
            out[label.name] = np.full(
                shape, np.nan if dtype.kind == "f" else dtype.type(-1 if dtype.kind == "i" else 0)
            )
    return _same_length("trials", out)


def _same_length(name: str, columns: dict[str, Any]) -> dict[str, Any]:
    if len({len(column) for column in columns.values()}) > 1:
        raise ValueError(f"{name}: columns of unequal length { ({k: len(c) for k, c in columns.items()}) }")
    return columns


def chunk_shape(shape: Sequence[int], itemsize: int, lanes: int = 1) -> tuple[int, ...]:
    """HDF5 chunks of about half a MiB, cut along the first axes and evenly, so that the last is no mostly empty one.

    It depends on the whole shape only, so a file merged from other segments has the same chunks. Where the second axis
    holds several lanes and there is much of them, each has chunks of its own, to be read without the others.
    """
    if lanes > 1 and len(shape) > 1 and math.prod(shape) * itemsize > LANES_APART_BYTES:
        return chunk_shape((shape[0], shape[1] // lanes, *shape[2:]), itemsize)
    chunk: list[int] = []
    for axis, size in enumerate(shape):
        rest = max(1, math.prod(shape[axis + 1 :])) * itemsize
        most = max(1, CHUNK_BYTES // rest)
        if most == 1:
            chunk.append(1)
            continue
        pieces = max(1, math.ceil(size / most))
        return (*chunk, max(1, math.ceil(size / pieces)), *(max(1, n) for n in shape[axis + 1 :]))
    return tuple(chunk)
