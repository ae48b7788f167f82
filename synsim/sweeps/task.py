"""Some groups of a sweep, computed in this process: lanes side by side, and then a file for each point."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np

from synsim import loop
from synsim.data import Entry
from synsim.device import computing, use_compilation_cache
from synsim.engine import NEVER
from synsim.faults import ConfigError, StoreError
from synsim.layout import Layout
from synsim.loop import Outcome, Progress
from synsim.merging import merge
from synsim.plan import PhasePlan, RunPlan, layout_of, plan
from synsim.programs import Programs
from synsim.reading import Run
from synsim.running import Finish, carry_out
from synsim.store import Writer
from synsim.sweeps import command, variation
from synsim.sweeps.lane_files import Lanes, of_lane
from synsim.sweeps.lanes import LanePhase, LanePrograms, lane_layout, lane_phases, lane_records
from synsim.sweeps.ledger import Ledger


@dataclass(frozen=True)
class Done:
    """What came of some groups: points whose files were written, points with a value that is not finite and why, and
    for how many groups something had to be compiled."""

    written: tuple[int, ...]
    failed: Mapping[int, str]
    compiled: int
    compile_seconds: float


class Task:
    """Computes groups of a sweep one after another; those of one static group share their compiled programs."""

    def __init__(
        self,
        ledger: Ledger,
        *,
        stop: Callable[[], bool] = lambda: False,
        progress: Callable[[Progress], None] = lambda _: None,
        note: Callable[[str], None] = lambda _: None,
        chunk: int | None = None,
        accept_drift: bool = False,
        only_merge: bool = False,
    ):
        """`only_merge` refuses to compute steps: what is saved becomes the files of points."""
        self.ledger, self.stop, self.progress, self.note = ledger, stop, progress, note
        self.chunk, self.accept_drift, self.only_merge = chunk, accept_drift, only_merge
        self._checked: set[Any] = set()
        self._plans: dict[int, RunPlan] = {}
        self._programs: dict[Any, dict[tuple, Any]] = {}
        self._compiled, self._compile_seconds = 0, 0.0

    def run(self, groups: Sequence[int]) -> Done:
        """Computes what is missing of these groups, each taken up where it stands.

        Raises Stopped (75) once `stop` says so, and else as `api.run` does; a lane with a value that is not finite is
        told of in the result.
        """
        written: list[int] = []
        failed: dict[int, str] = {}
        for group in groups:
            missing = [number for number in self.ledger.groups[group] if not self.ledger.done(number)]
            if missing:
                self._run(group, missing, written, failed)
        return Done(tuple(written), failed, self._compiled, self._compile_seconds)

    def _run(self, group: int, missing: Sequence[int], written: list[int], failed: dict[int, str]) -> None:
        folder = self.ledger.group_folder(group)
        points, resume = self._lanes_of(group, missing, folder)
        if self.only_merge and not resume:
            raise ConfigError(f"{folder}: no steps are done; to compute them: {command(self.ledger.directory)}")
        base = self.ledger.bases[self.ledger.base_of[points[0]]]
        with computing(base) as device:
            use_compilation_cache(device)
            devices = _devices(base.run.device, device)
            whole = len(points) == len(self.ledger.groups[group])
            lanes = _padded(points, self.ledger.lanes[group] if whole else 0, len(devices))
            it = self._plan(points, lanes)
            self.note(
                f"group {group + 1} of {len(self.ledger.groups)}: {len(points)} points side by side, "
                f"{it.steps:,} steps each"
            )
            carry_out(
                it,
                folder,
                device,
                go_on=command(self.ledger.directory),
                resume=resume,
                overwrite=not resume,
                accept_drift=self.accept_drift,
                only_merge=self.only_merge,
                stop=self.stop,
                progress=self.progress,
                finished=self._count,
                note=self.note,
                chunk=self.chunk,
                programs_of=lambda phase: self._programs_of(phase, devices),
                finish=self._finish(points, it, written, failed),
            )

    def _count(self, outcome: Outcome) -> None:
        self._compiled += outcome.compile_seconds > 0
        self._compile_seconds += outcome.compile_seconds

    def _lanes_of(self, group: int, missing: Sequence[int], folder: Path) -> tuple[list[int], bool]:
        """The points that are computed for a group, and whether their lanes are taken up where they stand."""
        whole = set(self.ledger.groups[group])
        with suppress(StoreError, ConfigError, OSError), Run(folder / "seg" / "head.h5") as head:
            points = [int(number) for number in head.config.get("points", {})]
            if any((folder / "ckpt").glob("*.npz")) and set(missing) <= set(points) <= whole:
                return points, True
        return list(missing), False

    def _plan(self, points: Sequence[int], lanes: Sequence[int]) -> RunPlan:
        """The plan of these lanes side by side."""
        phases_of = {number: self._numbers_in(number).phases for number in points}
        first = self._base_of(lanes[0])
        named = variation.leaves_of(first, self.ledger.numbers_of(lanes[0]))
        swept = [
            variation.differing([phases_of[number][i] for number in points], at_least)
            for i, at_least in enumerate(named)
        ]
        phases = lane_phases([phases_of[number] for number in lanes], swept)
        records = lane_records(first.records, len(lanes))
        resolved = {
            **json.loads(first.layout.config_resolved),
            "name": self.ledger.name,
            "points": {str(number): self.ledger.values(number) for number in points},
            "lanes": len(lanes),
        }
        layout = lane_layout(first.layout, records, len(lanes), json.dumps(resolved, indent=1))
        estimate = replace(first.estimate, file=first.estimate.file * len(points))
        return replace(first, phases=phases, records=records, layout=layout, estimate=estimate)

    def _base_of(self, number: int) -> RunPlan:
        """The plan of the config that a point is made from, its own numbers not yet in it."""
        base = self.ledger.base_of[number]
        if base not in self._plans:
            made = plan(self.ledger.bases[base], self._checked)
            first = next(iter(self._plans.values()), made)
            pairs = zip(made.phases, first.phases, strict=True)
            self._plans[base] = replace(made, phases=tuple(_with_data_of(one, other) for one, other in pairs))
        return self._plans[base]

    def _numbers_in(self, number: int) -> RunPlan:
        return variation.numbers_in(self._base_of(number), self.ledger.numbers_of(number))

    def _layout(self, number: int) -> Layout:
        """The layout of the file of a point."""
        it = self._numbers_in(number)
        spec = variation.spec_with(it.spec, self.ledger.numbers_of(number))
        layout = layout_of(replace(spec, name=self.ledger.point_name(number)), it.phases, it.records)
        attrs = {
            "sweep": self.ledger.name,
            "sweep_point": number,
            "sweep_values": json.dumps(self.ledger.values(number)),
        }
        return replace(layout, attrs={**layout.attrs, **attrs})

    def _programs_of(self, phase: PhasePlan, devices: Sequence[Any]) -> Programs:
        assert isinstance(phase, LanePhase)
        leaves = jax.tree.leaves(phase.graph)
        constants = hashlib.sha256()
        for i, leaf in enumerate(leaves):
            if i not in phase.swept:
                constants.update(np.ascontiguousarray(leaf).tobytes())
        shared = tuple(name for name in phase.entries if phase.shared(name))
        key = (
            variation.structure_of(phase.graph),
            phase.takes,
            phase.lanes,
            phase.swept,
            shared,
            len(devices),
            constants.digest(),
        )
        return LanePrograms(phase, self._programs.setdefault(key, {}), devices)

    def _finish(
        self,
        points: Sequence[int],
        it: RunPlan,
        written: list[int],
        failed: dict[int, str],
    ) -> Finish:
        def finish(writer: Writer, outcome: Outcome, provenance: Mapping[str, Any], check: Callable[[], None]) -> None:
            lanes = Lanes(writer.segments(check), it.layout)
            initial, final = writer.initial_states(), loop.described(it.phases[-1], outcome.state)
            about: dict[str, Any] = {"points": list(points), "written": {}, "failed": {}}
            writer.about |= about
            folder = os.open(self.ledger.directory / "points", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                _remove_left_over(folder, {self.ledger.point_file(number).name for number in points})
                for lane, number in enumerate(points):
                    if outcome.bad[lane] != NEVER:
                        failed[number] = about["failed"][str(number)] = _not_finite(it, outcome, lane)
                        continue
                    target = self.ledger.point_file(number)
                    if not self.ledger.done(number):
                        layout = _versioned(self._layout(number), writer.layout)
                        words = {**provenance, "lane": lane, "lanes": len(points), "digits": DIGITS}
                        merge(
                            folder,
                            target,
                            layout,
                            lanes.lane(lane, layout),
                            lanes.begins(layout),
                            initial=of_lane(initial, lane),
                            final=of_lane(final, lane),
                            provenance=words,
                            check=check,
                        )
                        written.append(number)
                    file = target.stat()
                    about["written"][str(number)] = [file.st_size, file.st_mtime_ns]
                    check()
            finally:
                os.close(folder)
            writer.tidy()

        return finish


DIGITS = "computed side by side with other points: the last digits may differ from those of a run by itself"


def _remove_left_over(folder: int, names: Set[str]) -> None:
    """What a process that was killed left of files that nobody else writes while this one has the group's lock."""
    for entry in os.listdir(folder):
        name, temporary, _ = entry.removeprefix(".").rpartition(".tmp")
        if temporary and entry.startswith(".") and name in names:
            os.unlink(entry, dir_fd=folder)


def _versioned(point: Layout, group: Layout) -> Layout:
    """The layout of a point with what its group's says of versions and device."""
    return replace(point, attrs={**group.attrs, **point.attrs})


def _not_finite(it: RunPlan, outcome: Outcome, lane: int) -> str:
    """Why a lane failed: where, and by which step."""
    step = outcome.bad[lane]
    wrong = [
        f"{name}.{compartment}"
        for name, held in outcome.state.items()
        for compartment, value in held.items()
        if not np.isfinite(np.asarray(value)[lane]).all()
    ]
    dt = it.phases[0].graph.dt
    said = f" ({', '.join(wrong[:4])})" if wrong else ""
    return f"a value is not finite by step {step:,} of {it.steps:,}, t = {step * dt:g} ms{said}"


def _with_data_of(phase: PhasePlan, other: PhasePlan) -> PhasePlan:
    """The phase with the data of another where these are the same: they are then held once, and read once."""
    entries = {
        name: other.entries[name] if name in other.entries and _equal(entry, other.entries[name]) else entry
        for name, entry in phase.entries.items()
    }
    return replace(phase, entries=entries)


def _equal(one: Entry, other: Entry) -> bool:
    if one.values is other.values:
        return True
    plain = isinstance(one.values, np.ndarray) and isinstance(other.values, np.ndarray)
    return plain and one.axes == other.axes and np.array_equal(one.values, other.values)


def _devices(wanted: str, device: Any) -> list[Any]:
    """The devices that lanes are spread over: all of the kind, unless the config names one of them."""
    return [device] if ":" in wanted else list(jax.devices(device.platform))


def _padded(points: Sequence[int], lanes: int, devices: int) -> list[int]:
    """The points by lane: the last one is repeated where there are more lanes than points."""
    count = max(len(points), lanes)
    count = -(-count // devices) * devices if len(points) > 1 else count
    return [*points, *[points[-1]] * (count - len(points))]
