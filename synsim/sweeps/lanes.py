"""Points of a sweep as lanes: one program that carries them side by side.

Points whose graphs have one structure differ in numbers only, so that the engine's functions, mapped over the leaves
that differ, run all of them at once. A lane's `init`, keys and data are those of its own run. What leaves the device
has its lanes before the rows of the batch, and is stored as if the batch were that much wider.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from synsim import engine
from synsim.engine import Carry, Frames
from synsim.layout import Layout, RecordLayout
from synsim.plan import PhasePlan
from synsim.programs import Programs, end_of, steps_of, trials_of
from synsim.records import Record

LANES = "lanes"  # the axis of devices


@dataclass(frozen=True)
class LanePhase(PhasePlan):
    """One phase of several points, which share its structure, trials and steps. Its own fields are the first point's.

    `swept` are the leaves of the graph in which points of the sweep differ.
    """

    points: tuple[PhasePlan, ...]
    swept: tuple[int, ...]

    @property
    def lanes(self) -> int | None:
        return len(self.points)

    def leaves(self) -> list[Any]:
        return [leaf for point in self.points for leaf in jax.tree.leaves(point.graph)]

    @property
    def stacked(self) -> list[np.ndarray]:
        """The leaves that differ, each as (lanes, …)."""
        leaves = [jax.tree.leaves(point.graph) for point in self.points]
        return [np.stack([each[i] for each in leaves]) for i in self.swept]

    def shared(self, entry: str) -> bool:
        """Whether all lanes read the same rows of a data entry at the same time."""
        first = self.points[0]
        same = all(point.entries[entry].values is first.entries[entry].values for point in self.points)
        ordered = "row" not in first.entries[entry].axes or not first.shuffle
        return same and (ordered or all(point.seed == first.seed for point in self.points))

    def chunk_data(
        self, first: int, n: int, frames: tuple[int, int] | None = None, names: Collection[str] | None = None
    ) -> dict[str, Any]:
        wanted = self.entries if names is None else names
        own = [name for name in wanted if not self.shared(name)]
        made = self.points[0].chunk_data(first, n, frames, wanted)
        each = [made, *(point.chunk_data(first, n, frames, own) for point in self.points[1:] if own)]
        return made | {name: _side_by_side([one[name] for one in each]) for name in own}

    def rows_of(self, first: int, n: int) -> np.ndarray:
        return np.concatenate([point.rows_of(first, n) for point in self.points], axis=1)

    def labels_of(self, first: int, n: int) -> dict[str, np.ndarray]:
        each = [point.labels_of(first, n) for point in self.points]
        if len(each) == 1:
            return each[0]
        join = np.stack if self.graph.batch == 1 else np.concatenate  # one row has no axis of its own
        return {name: join([one[name] for one in each], axis=1) for name in each[0]}

    def streamed_bytes(self) -> int:
        return sum(point.streamed_bytes() for point in self.points)


def _side_by_side(values: Sequence[Any]) -> Any:
    if isinstance(values[0], Frames):
        return Frames(np.stack([one.values for one in values]), values[0].first)
    return np.stack(values)


def lane_phases(plans: Sequence[tuple[PhasePlan, ...]], swept: Sequence[tuple[int, ...]]) -> tuple[LanePhase, ...]:
    """The phases of some points side by side; `swept` are by phase the leaves that differ."""
    made = []
    for points, leaves in zip(zip(*plans, strict=True), swept, strict=True):
        own = {field.name: getattr(points[0], field.name) for field in dataclasses.fields(PhasePlan)}
        made.append(LanePhase(**own, points=points, swept=tuple(leaves)))
    return tuple(made)


# --------------------------------------------------------------------------------------------------------- programs


class LanePrograms(Programs):
    """The programs of a phase, for all lanes at once; on several devices each has as many of them."""

    def __init__(self, phase: LanePhase, compiled: dict[tuple, Any] | None = None, devices: Sequence[Any] = ()):
        super().__init__(phase, compiled)
        self._lane_phase = phase
        self._sharding = None
        if len(devices) > 1:
            self._sharding = NamedSharding(Mesh(np.asarray(devices), (LANES,)), PartitionSpec(LANES))
        common = [i for i in self._given_at if i not in phase.swept]
        self._given = [jax.device_put(self._leaves[i]) for i in common]
        self._given += [jax.device_put(leaf, self._sharding) for leaf in phase.stacked]
        self._given_at = [*common, *phase.swept]
        self._given_axes = [*(None for _ in common), *(0 for _ in phase.swept)]

    def _program(self, what: Callable[..., Any], static: tuple, args: tuple) -> Any:
        """As for one run, mapped over the lanes of numbers, state and data."""

        def one(given: list[Any], *rest: Any) -> Any:
            return what(self.graph(given), *rest, *static)

        axes: list[Any] = [None] * len(args)
        if args:
            axes[0] = 0  # the carry
        if len(args) > 1:
            axes[1] = {name: self._data_axes(name, value) for name, value in args[1].items()}
        lanes = jax.vmap(
            one,
            in_axes=(self._given_axes, *axes),
            out_axes=self._taken_axes(what),
            axis_size=self._lane_phase.lanes,
        )
        if self._sharding is None:
            return jax.jit(lanes)

        def placed(given: list[Any], *rest: Any) -> Any:
            made = lanes(given, *rest)
            carry, taken = made if self._takes(what) else (made, None)
            carry = jax.lax.with_sharding_constraint(carry, self._sharding)
            return carry if taken is None else (carry, taken)

        return jax.jit(placed)

    def _buffers(self, carry: Carry, most: int) -> None:
        """None: lanes stand elsewhere in what is handed over than in what a program writes to."""

    def _data_axes(self, entry: str, value: Any) -> Any:
        if self._lane_phase.shared(entry):
            return None
        return Frames(0, None) if isinstance(value, Frames) else 0

    def _takes(self, what: Callable[..., Any]) -> bool:
        return what not in (engine.start_carry, engine.begin_phase, engine.begin_trial)

    def _taken_axes(self, what: Callable[..., Any]) -> Any:
        """Where the lanes stand in what comes out: first in a carry, before the rows of the batch in a record."""
        if not self._takes(what):
            return 0
        takes = self.phase.takes
        # by whether a record is taken once a trial: how many axes it has before those of the compartment
        before = {trials_of(takes): {False: 2, True: 1}, steps_of(takes): {False: 1}, end_of(takes): {True: 0}}[what]
        return 0, {take.path: before[take.each_trial] for take in takes if take.each_trial in before}


# ---------------------------------------------------------------------------------------------- records and layouts


def lane_records(records: Sequence[Record], lanes: int) -> tuple[Record, ...]:
    """How the records of so many lanes stand in segments: as one of a wider batch, or with an axis of lanes."""
    return tuple(_lane_record(record, lanes) for record in records)


def _lane_record(record: Record, lanes: int) -> Record:
    old = record.layout
    if record.batch:
        count = batch = lanes * record.shape[0]
        if count == 1:
            return record
        kind, shape = "row", (count, *record.shape[1:])
        inner, axes = (old.shape, old.axes) if old.batch == 1 else (old.shape[1:], old.axes[1:])
    else:
        count, batch = lanes, old.batch
        kind, shape = "lane", (count, *record.shape)
        inner, axes = old.shape, old.axes
    wide = replace(
        old,
        form="events" if old.form == "events" else "record",
        shape=(count, *inner),
        axes=((kind, np.arange(count)), *axes),
        batch=batch,
    )
    return replace(record, shape=shape, layout=wide)


def lane_layout(layout: Layout, records: Sequence[Record], lanes: int, resolved: str) -> Layout:
    """The layout of a group of lanes; `resolved` is what tells it from other groups, as JSON."""
    held: tuple[RecordLayout, ...] = tuple(record.layout for record in records if any(record.phases))
    return replace(layout, records=held, batch=layout.batch * lanes, lanes=lanes, config_resolved=resolved)
