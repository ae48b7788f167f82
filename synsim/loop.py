"""The loop of a run: chunk after chunk on the device, records to a writer, until the end, a signal or a bad number."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import jax
import numpy as np

from synsim import engine
from synsim.checkpoint import Arrays, Checkpoint
from synsim.engine import NEVER, Carry
from synsim.faults import RunError, Stopped
from synsim.pieces import CHUNK_SECONDS, Piece, first_length, fitted, pieces
from synsim.plan import PhasePlan, RunPlan
from synsim.programs import Programs
from synsim.saving import Saving, Sink


@dataclass
class Progress:
    """How far a run is."""

    phase: str
    step: int
    steps: int
    trial: int
    trials: int
    seconds: float  # since the first chunk began, compiling included
    rate: float  # steps a second of the last chunks
    time: float  # biological, ms
    scalars: dict[str, float] = field(default_factory=dict)


@dataclass
class Outcome:
    """What a finished run leaves in memory."""

    state: engine.State
    readouts: dict[str, dict[str, np.ndarray]]  # by phase: the outlets that are shown
    seconds: float
    compile_seconds: float
    chunk_steps: dict[str, int]
    bad: tuple[int, ...] = ()  # by lane of a sweep: the first step with a value that is not finite, or NEVER


# --------------------------------------------------------------------------------------------------------- the loop


def misfit(point: Checkpoint, it: RunPlan) -> str | None:
    """Why a checkpoint cannot be one of this run, or None: its place, and the shape and type of every array."""
    if point.phase >= len(it.phases):
        return f"it is in phase {point.phase} of {len(it.phases)}"
    phase = it.phases[point.phase]
    at = phase.first_step + point.trial * phase.graph.steps + point.k
    if point.step != at or point.step > phase.first_step + phase.steps or point.k >= phase.graph.steps:
        return f"its step {point.step:,} is not step {point.k:,} of trial {point.trial:,} of phase {phase.name}"
    carry = jax.eval_shape(lambda: engine.start_carry(phase.graph))
    if phase.lanes is not None:
        side_by_side = (phase.lanes,)
        carry = jax.tree.map(lambda x: jax.ShapeDtypeStruct((*side_by_side, *x.shape), x.dtype), carry)
        if len(point.bad) != phase.lanes:
            return f"it is of {len(point.bad)} lanes, and not of {phase.lanes}"
    for have, want in ((point.state, carry.state), ({"": point.held}, {"": carry.held})):
        for name in sorted(have.keys() | want.keys()):
            mine, its = want.get(name, {}), have.get(name, {})
            for each in sorted(mine.keys() | its.keys()):
                told = [f"{np.dtype(x[each].dtype)} {x[each].shape}" if each in x else "absent" for x in (its, mine)]
                if told[0] != told[1]:
                    return f"{name}.{each} in it is {told[0]}, and should be {told[1]}".lstrip(".")
    return None


def simulate(
    it: RunPlan,
    sink: Sink,
    *,
    stop: Callable[[], bool] = lambda: False,
    progress: Callable[[Progress], None] = lambda _: None,
    chunk: int | None = None,
    point: Checkpoint | None = None,
    prints: Mapping[str, str] = MappingProxyType({}),
    programs_of: Callable[[PhasePlan], Programs] = Programs,
) -> Outcome:
    """Runs every phase and hands its records, and checkpoints, to `sink`.

    `chunk` fixes the length of a chunk in steps instead of measuring it; no number depends on it. `point` is the
    checkpoint to go on from, `prints` the fingerprint that new ones carry, `programs_of` makes the programs of a
    phase. Raises RunError where a value is not finite (the good part is with the sink then), but for lanes, which are
    told of in the outcome; and Stopped once `stop` says so.
    """
    began = time.perf_counter()
    saving = Saving(it, sink)
    programs = [programs_of(phase) for phase in it.phases]
    try:
        readouts: dict[str, dict[str, np.ndarray]] = {}
        lengths: dict[str, int] = {}
        rate = 0.0
        if point is None:
            carry = programs[0].call(engine.start_carry, ())
            sink.initial(described(it.phases[0], carry.state, learned=True))
        else:
            carry = Carry(_nested(point.state), dict(point.held), np.uint32(NEVER), np.int32(0))
            if lanes := it.phases[0].lanes:
                carry = carry._replace(bad=np.array(point.bad, np.uint32), zero=np.zeros(lanes, np.int32))
            readouts, lengths = _nested(point.readouts), dict(point.chunk_steps)
            saving.start_at(point.step)
        saving.common = Checkpoint(
            step=0,
            phase=0,
            trial=0,
            k=0,
            state={},
            readouts=dict(readouts),
            chunk_steps=dict(lengths),
            fingerprint=prints,
            seconds=point.seconds if point else 0.0,
            resumes=point.resumes + 1 if point else 0,
        )
        for phase, program in zip(it.phases, programs, strict=True):
            if point is not None and phase.index < point.phase:
                continue
            here = point if point is not None and phase.index == point.phase else None
            if phase.index and here is None:
                carry = carry._replace(state=program.call(engine.begin_phase, (), carry.state))
            part = _Phase(it, phase, program, saving, stop, progress, began)
            known = lengths.get(phase.name) or program.chunk_steps
            known = fitted(phase, known) if known else None
            carry = part.run(carry, chunk or known, rate, *((here.trial, here.k) if here else ()))
            lengths[phase.name], rate = part.length, part.rate
            program.chunk_steps = None if chunk else part.length
            program.buffers.forget()
            readouts[phase.name] = _readouts(phase, carry.state)
            saving.common = replace(saving.common, readouts=dict(readouts), chunk_steps=dict(lengths))
        saving.settle()
        return Outcome(
            carry.state,
            readouts,
            time.perf_counter() - began,
            sum(program.compile_seconds for program in programs),
            lengths,
            tuple(np.asarray(carry.bad).tolist()) if np.ndim(carry.bad) else (),
        )
    finally:
        saving.close()


def _nested(arrays: Arrays) -> dict[str, dict[str, Any]]:
    return {outer: dict(inner) for outer, inner in arrays.items()}


class _Phase:
    """The loop over one phase: the next piece is under way on the device before the last one is looked at."""

    def __init__(
        self,
        it: RunPlan,
        phase: PhasePlan,
        program: Programs,
        saving: Saving,
        stop: Callable[[], bool],
        progress: Callable[[Progress], None],
        began: float,
    ):
        self.it, self.phase, self.program, self.saving, self.stop = it, phase, program, saving, stop
        self.progress, self.began = progress, began
        self.rate = 0.0
        self.finished = 0.0  # when the last piece was
        self.length = 0  # of a chunk, in steps
        self.most = 0  # steps of a trial that one program can do

    def run(self, carry: Carry, chunk: int | None, rate: float, trial: int = 0, k: int = 0) -> Carry:
        """The carry after the phase, from step `k` of a trial on.

        `chunk` fixes the chunk's length; `rate` (steps a second) helps to guess it.
        """
        phase, steps = self.phase, self.phase.graph.steps
        length = chunk or (fitted(phase, int(rate * CHUNK_SECONDS)) if rate else first_length(phase))
        settled = chunk is not None or length >= phase.steps
        self.length = length
        self.most = min(steps, max(length, fitted(phase, phase.steps)))
        waiting: tuple[Piece, Carry, Carry, Any, float] | None = None
        while trial < phase.trials or waiting:
            if waiting is None and self.stop():
                self._halt(trial, k)
            done = waiting
            waiting = None
            if trial < phase.trials:
                piece = next(pieces(phase.trials, steps, length, trial, k))
                if not settled:
                    jax.block_until_ready(carry)  # to draw the start of a network may take longer than a chunk
                compiled = self.program.compile_seconds
                since = time.perf_counter()
                after, taken = self._dispatch(piece, carry)
                since += self.program.compile_seconds - compiled
                waiting = (piece, carry, after, taken, since)
                carry = after
                trial, k = piece.following(steps)
                if not settled:  # the first chunks are timed alone
                    jax.block_until_ready(after)
                if not settled and self.program.compile_seconds == compiled:  # else much besides goes on meanwhile
                    seconds = max(1e-6, time.perf_counter() - since)
                    if not 0.2 * CHUNK_SECONDS < seconds < 2 * CHUNK_SECONDS:
                        length = fitted(phase, int(piece.length * CHUNK_SECONDS / seconds))
                    settled = True
                    self._settle(length)
            if done is not None:
                self._finish(*done)
                if self.stop():
                    if waiting is not None:
                        self._finish(*waiting)
                    self._halt(trial, k)
        return carry

    def _settle(self, length: int) -> None:
        """The measured length of a chunk: kept in checkpoints, so that who goes on needs no other programs."""
        self.length = length
        common = self.saving.common
        self.saving.common = replace(common, chunk_steps={**common.chunk_steps, self.phase.name: length})

    def _dispatch(self, piece: Piece, carry: Carry) -> tuple[Carry, Any]:
        phase, program, steps = self.phase, self.program, self.phase.graph.steps
        g0 = phase.first_step + piece.trial * steps
        if piece.n:
            return program.trials(carry, phase.chunk_data(piece.trial, piece.n), g0, piece.n)
        if piece.k == 0:
            carry = program.begin(carry, _one_trial(phase, piece.trial, 0, 1), g0)
        data = _one_trial(phase, piece.trial, piece.k, piece.length)
        streamed = any(isinstance(each, engine.Frames) for each in data.values())  # as many frames as there are steps
        carry, taken = program.steps(carry, data, g0, piece.k, piece.length, None if streamed else self.most)
        if piece.k + piece.length == steps:
            carry, last = program.end(carry, _one_trial(phase, piece.trial, steps - 1, 1), g0 + steps - 1)
            taken = taken | last
        return carry, taken

    def _finish(self, piece: Piece, before: Carry, after: Carry, taken: Any, since: float) -> None:
        """A piece whose results are looked at: handed to the writer, or found to hold a bad number."""
        bad = jax.block_until_ready(after.bad)
        now = time.perf_counter()
        rate = piece.length / max(1e-9, now - max(since, self.finished))
        self.rate, self.finished = rate if not self.rate else 0.5 * (self.rate + rate), now
        if self.phase.lanes is None and int(bad) != NEVER:  # a lane that goes bad leaves the others alone
            _report_bad(self.it, self.phase, self.program, self.saving, piece, before)
        self.saving.add(self.phase, piece, taken, after, self.program.buffers.read)
        phase, steps = self.phase, self.phase.graph.steps
        step = phase.first_step + piece.trial * steps + piece.k + piece.length
        self.progress(
            Progress(
                phase.name,
                step,
                self.it.steps,
                phase.first_trial + piece.trial + max(1, piece.n),
                self.it.trials,
                time.perf_counter() - self.began,
                self.rate,
                step * phase.graph.dt,
                dict(self.saving.scalars),
            )
        )

    def _halt(self, trial: int, k: int) -> None:
        self.saving.settle()
        step = self.phase.first_step + trial * self.phase.graph.steps + k
        raise Stopped(f"stopped after step {step:,} of {self.it.steps:,}")


def _one_trial(phase: PhasePlan, trial: int, k: int, length: int) -> dict[str, Any]:
    """The data of a trial; of files that are longer than memory, the frames of so many steps."""
    made: dict[str, Any] = {}
    for name, value in phase.chunk_data(trial, 1, (k, k + length)).items():
        if "row" not in phase.graph.source(name).axes:
            made[name] = value
        elif isinstance(value, engine.Frames):
            made[name] = value._replace(values=value.values[0])
        else:
            made[name] = value[0]
    return made


def _readouts(phase: PhasePlan, state: engine.State) -> dict[str, np.ndarray]:
    called = {
        call.component
        for call in (*phase.graph.order.start, *phase.graph.order.step, *phase.graph.order.end)
        if call.method == "advance"
    }
    return {
        f"{name}.{compartment}": np.asarray(state[name][compartment])
        for name, compartment, what in phase.graph.carried()
        if what.shown and name in called
    }


def described(phase: PhasePlan, state: engine.State, *, learned: bool = False) -> dict[str, dict[str, Any]]:
    """A state as the store writes it: arrays with units, words and axes; only learned ones, or all."""
    made: dict[str, dict[str, Any]] = {}
    one = phase.graph
    lane = () if phase.lanes is None else ("lane",)
    for name, compartment, what in one.carried():
        if learned and not what.learned:
            continue
        axes = (*lane, *(("row",) if what.batch else ()), *one.parts[name].axes(what.size))
        made.setdefault(name, {})[compartment] = (np.asarray(state[name][compartment]), what.unit, what.doc, axes)
    return made


# ------------------------------------------------------------------------------------------------- non-finite values


def _report_bad(it: RunPlan, phase: PhasePlan, program: Programs, saving: Saving, piece: Piece, carry: Carry) -> None:
    """Walks through a piece again, a step at a time, saves what came before the bad number, and raises RunError."""
    steps = phase.graph.steps
    carry = carry._replace(bad=np.uint32(NEVER))
    for one in _single_steps(piece, steps):
        data, g0 = _one_trial(phase, one.trial, one.k, 1), phase.first_step + one.trial * steps
        before = carry
        if one.k == 0:
            carry = program.begin(carry, data, g0)
        carry, taken = program.steps(carry, data, g0, one.k, 1, careful=True)
        if int(carry.bad) == NEVER and one.k == steps - 1:
            carry, last = program.end(carry, data, g0 + steps - 1)
            taken = taken | last
        if int(carry.bad) != NEVER:
            saving.settle()
            raise RunError(_bad_words(phase, one, before.state, carry.state))
        saving.add(phase, one, taken, carry)
    raise RunError(f"a value of phase {phase.name} was not finite, but was finite when its steps were repeated")


def _single_steps(piece: Piece, steps: int) -> Iterator[Piece]:
    for i in range(piece.length):
        trial, k = divmod(piece.k + i, steps)
        yield Piece(piece.trial + trial, 0, k, 1)


def _bad_words(phase: PhasePlan, at: Piece, before: engine.State, after: engine.State) -> str:
    one = phase.graph
    found = []
    for name, compartment, what in one.carried():
        value = np.asarray(after[name][compartment])
        wrong = ~np.isfinite(value)
        if wrong.any():
            last = np.asarray(before[name][compartment])
            last = last[np.isfinite(last)]
            unit = f" {what.unit}" if what.unit else ""
            span = f"; the step before it lay within {last.min():.6g} and {last.max():.6g}{unit}" if last.size else ""
            where = tuple(int(i) for i in np.argwhere(wrong)[0])
            found.append(
                f"{name}.{compartment} has {wrong.sum():,} of {value.size:,} values that are not finite, the "
                f"first at {list(where)}{span}"
            )
    step = phase.first_step + at.trial * one.steps + at.k
    return (
        f"step {step:,} of the run (trial {phase.first_trial + at.trial}, step {at.k} of it, "
        f"t = {at.k * one.dt:g} ms, dt = {one.dt:g} ms): " + "; ".join(found)
    )
