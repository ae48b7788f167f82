"""What is recorded: which values leave the device, when, and how they stand in the file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np

from synsim import compression
from synsim.component import count
from synsim.faults import ConfigError, Fault
from synsim.graph import Graph, full_shape
from synsim.layout import Events, RecordLayout, Trace
from synsim.spec import RecordSettings, Spec
from synsim.spike_bits import bits_of, set_bits, unpacked, words_of

REDUCTIONS = {
    "mean": lambda v, axes: v.mean(axes),
    "norm": lambda v, axes: jnp.sqrt(jnp.square(v).sum(axes)),
    "min": lambda v, axes: v.min(axes),
    "max": lambda v, axes: v.max(axes),
}


@dataclass(frozen=True)
class Take:
    """How one record is taken within a trial: at its steps first, first + every, … below stop, or at its end."""

    path: str
    each_trial: bool
    first: int
    every: int
    stop: int
    index: tuple[int, ...] | None
    reduce: str | None
    packed: bool  # spikes leave the device as one bit each
    batch: bool
    inlet: bool

    def value(self, state: Mapping[str, Mapping[str, Any]], held: Mapping[str, Any]) -> Any:
        """The value as it leaves the device."""
        component, compartment = self.path.split(".")
        value = held[self.path] if self.inlet else state[component][compartment]
        if self.index is not None:
            value = value[..., np.asarray(self.index)]
        if self.reduce is not None:
            value = REDUCTIONS[self.reduce](value, tuple(range(1 if self.batch else 0, value.ndim)))
        if self.packed:
            value = bits_of(value.reshape(value.shape[0], -1))
        return value

    @property
    def whole(self) -> bool:
        """Whether it takes all that a state or outlet holds, as it is."""
        return not self.inlet and self.index is None and self.reduce is None

    def every_step(self, steps: int) -> bool:
        """Whether each step of a trial is taken."""
        return self.every == 1 and self.first == 0 and self.stop >= steps

    def takes(self, k: Any) -> Any:
        """Whether step k of a trial is taken."""
        return (k % self.every == 0) & (k >= self.first) & (k < self.stop)

    def slot(self, k: Any) -> Any:
        """Which of the trial's records step k is."""
        return (k - self.first) // self.every

    def slots_before(self, k: Any) -> Any:
        """How many of the trial's records come before step k."""
        return jnp.maximum(k - self.first + self.every - 1, 0) // self.every

    def most_in(self, length: int) -> int:
        """The most records that `length` steps on end can hold."""
        return max(1, min(-(-length // self.every), self.slots(self.stop)))

    def slots(self, k: int) -> int:
        """How many records the steps below k hold."""
        return max(0, -(-(min(k, self.stop) - self.first) // self.every))

    def held_by(self, k0: int, length: int) -> range:
        """The steps that are taken among `length` from k0 on."""
        first = self.first + self.every * self.slots(k0)
        return range(first, min(self.stop, k0 + length), self.every)


@dataclass(frozen=True)
class Record:
    """One entry of a config's `record`, resolved against the graph."""

    path: str
    settings: RecordSettings
    layout: RecordLayout
    shape: tuple[int, ...]  # of a row as it leaves the device, packed or not, before the row axis is dropped
    packed: bool
    batch: bool
    inlet: bool
    index: tuple[int, ...] | None
    node_ids: np.ndarray
    first: int
    every: int
    stop: int | None
    phases: tuple[bool, ...]  # whether each phase records it

    def take(self, phase: int, steps: int) -> Take | None:
        """How it is taken in a phase, or None where that phase does not record it."""
        if not self.phases[phase]:
            return None
        stop = steps if self.stop is None else min(self.stop, steps)
        return Take(
            self.path,
            self.settings.every == "trial",
            self.first,
            self.every,
            stop,
            self.index,
            self.settings.reduce,
            self.packed,
            self.batch,
            self.inlet,
        )

    @property
    def row_bytes(self) -> int:
        """Bytes of one row as it leaves the device."""
        if self.packed:
            return self.shape[0] * words_of(count(self.shape[1:])) * 4
        return count(self.shape) * np.dtype(self.layout.dtype).itemsize

    def block(self, taken: np.ndarray, stamps: np.ndarray, trial: np.ndarray, phase: int, dt: float) -> Any:
        """Rows from the device (n, …), taken at run steps `stamps` of trials `trial`, as the store writes them."""
        time = stamps.astype(np.float64) * dt
        trial = trial.astype(np.int32)
        if self.layout.form == "events":
            at, unit = set_bits(taken.reshape(-1, taken.shape[-1]))
            at, row = np.divmod(at, self.shape[0])
            return Events(time[at], self.node_ids[unit], trial[at], row.astype(np.int32))
        flat = unpacked(taken.reshape(-1, taken.shape[-1]), count(self.shape[1:])) if self.packed else taken
        flat = flat.reshape(len(taken), *self.shape)
        data = flat.astype(self.layout.dtype, copy=False)
        if self.batch and self.shape[0] == 1:
            data = data[:, 0]
        return Trace(np.ascontiguousarray(data), time, trial, np.full(len(time), phase, np.int32))


def resolve(spec: Spec, graphs: Sequence[Graph]) -> tuple[Record, ...]:
    """The records of a run. Raises ConfigError where an index or a window does not fit."""
    faults, records = [], []
    for path, settings in spec.record.items():
        if "." not in path:
            continue  # a data entry, which goes into the trial table
        try:
            records.append(_record(spec, graphs, path, settings))
        except ConfigError as error:
            faults += error.faults
    if faults:
        raise ConfigError(faults)
    return tuple(records)


def trial_entries(spec: Spec) -> tuple[str, ...]:
    """The data entries whose rows stand in the trial table."""
    return tuple(path for path, settings in spec.record.items() if "." not in path and settings.on)


def _record(spec: Spec, graphs: Sequence[Graph], path: str, settings: RecordSettings) -> Record:
    graph = graphs[0]
    component, compartment = path.split(".")
    part = graph.parts[component]
    what = part.compartments[compartment]
    shape = full_shape(part, what, graph.batch)
    place = ("record", path)
    names = part.axes(what.size)
    inner = shape[1:] if what.batch else shape
    index = None
    if settings.index is not None:
        if not inner:
            raise ConfigError(Fault(f"{path} is one number: it has no index", (*place, "index")))
        index = _indices(settings.index, inner[-1], path, place)
    packed = what.spikes and what.batch and settings.reduce is None
    node_ids = np.arange(count(inner), dtype=np.uint64).reshape(inner) if packed else np.empty(0, np.uint64)
    coordinates = [np.arange(size) for size in inner]
    if index is not None:
        coordinates[-1] = np.asarray(index)
        node_ids = node_ids[..., coordinates[-1]] if packed else node_ids
        inner = (*inner[:-1], len(index))
    if settings.reduce is not None:
        inner, names, coordinates = (), (), []
    if settings.as_ == "events" and not packed:
        raise ConfigError(Fault(f"{path} cannot be recorded as events: only spikes, which are 0 or 1, can", place))
    if settings.as_ == "events" and settings.every == "trial":
        raise ConfigError(
            Fault(f"{path}: events are taken at steps; write `every` as a number or leave it out", (*place, "every"))
        )
    if fault := compression.missing(filter(None, [settings.compression])):
        raise ConfigError(Fault(fault, (*place, "compression")))
    rows = (graph.batch,) if what.batch else ()
    axes = tuple(zip(names, coordinates, strict=True))
    if rows and graph.batch > 1:
        axes = (("row", np.arange(graph.batch)), *axes)

    every = 1 if settings.every == "trial" else int(settings.every)
    first, stop = 0, None
    if settings.window is not None:
        if settings.every == "trial":
            raise ConfigError(
                Fault(f"{path}: a window is for records taken at steps, not once a trial", (*place, "window"))
            )
        first, stop = _window(settings.window, every, graph.dt)
        longest = max(g.steps for g in graphs)
        if first >= min(stop, longest):
            raise ConfigError(
                Fault(
                    f"the window of {path} holds no step of a trial, which lasts {longest * graph.dt:g} ms",
                    (*place, "window"),
                )
            )
    phases = tuple(
        settings.on if not spec.phases else spec.phases[i].record.get(path, settings.on) for i in range(len(graphs))
    )
    called = [
        any(c.component == component and c.method == "advance" for c in (*g.order.start, *g.order.step, *g.order.end))
        for g in graphs
    ]
    if what.kind == "inlet" and not any(called):
        raise ConfigError(
            Fault(f"{path} is what {component} reads when it advances, and the schedule never advances it", place)
        )
    dtype = "float32" if graph.dtype == "float32" else "float64"
    form = "record"
    if settings.as_ == "events":
        form = "events"
    elif (
        settings.every != "trial"
        and graph.batch == 1
        and what.batch
        and [n for n, _ in axes] == ["unit"]
        and dtype == "float32"
        and _even(graphs, phases, every, settings)
    ):
        form = "report"
    layout = RecordLayout(
        component=component,
        compartment=compartment,
        form=form,
        shape=tuple(len(c) for _, c in axes),
        axes=axes,
        unit=what.unit,
        dtype=dtype,
        doc=what.doc if settings.reduce is None else f"{what.doc.rstrip('.')} ({settings.reduce}).",
        attrs={} if settings.reduce is None else {"reduce": settings.reduce},
        interval=None if settings.every == "trial" else every * graph.dt,
        batch=graph.batch if what.batch else 1,
        compression=settings.compression,
    )
    return Record(
        path,
        settings,
        layout,
        (*rows, *inner),
        packed,
        what.batch,
        what.kind == "inlet",
        index,
        node_ids.ravel(),
        first,
        every,
        stop,
        phases,
    )


def _even(graphs: Sequence[Graph], phases: Sequence[bool], every: int, settings: RecordSettings) -> bool:
    """Whether the rows are evenly spaced over the whole run."""
    on = [i for i, recorded in enumerate(phases) if recorded]
    together = bool(on) and on == list(range(on[0], on[-1] + 1))
    return together and settings.window is None and all(graphs[i].steps % every == 0 for i in on)


def _window(window: Sequence[float], every: int, dt: float) -> tuple[int, int]:
    """The first step at or after window[0] that `every` divides, and the first at or after window[1]."""
    low, high = (int(np.ceil(edge / dt - 1e-9)) for edge in window)
    return -(-low // every) * every, high


def _indices(index: Any, size: int, path: str, place: tuple) -> tuple[int, ...]:
    if isinstance(index, str):
        first, last, step = (int(number) if number else None for number in (*index.split(":"), "")[:3])
        if last is not None and last > size:
            raise ConfigError(
                Fault(f"index {index!r} of {path} passes its end: the last axis has {size}", (*place, "index"))
            )
        chosen = range(size)[first:last:step]
    else:
        chosen = [index] if isinstance(index, int) else list(index)
    if not len(chosen) or any(not 0 <= i < size for i in chosen):
        raise ConfigError(Fault(f"index {index!r} of {path} is empty or outside 0 to {size - 1}", (*place, "index")))
    return tuple(chosen)
