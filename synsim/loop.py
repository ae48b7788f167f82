"""The loop of a run: chunk after chunk on the device, records to a writer, until the end, a signal or a bad number."""

from __future__ import annotations

import concurrent.futures
import hashlib
import os
import platform
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

import jax
import jaxlib.version
import numpy as np

import synsim
from synsim import engine, preflight
from synsim.checkpoint import Arrays, Checkpoint, encode
from synsim.engine import NEVER, Carry
from synsim.faults import ConfigError, Fault, RunError, Stopped, listing
from synsim.graph import Graph
from synsim.layout import Events, Trace, Trials
from synsim.plan import PhasePlan, RunPlan, plan
from synsim.records import Take
from synsim.spec import Spec

CHUNK_SECONDS = 0.5  # of computing: short enough to stop soon, long enough to cost nothing
CHUNK_BYTES = 64 << 20  # of records that one chunk may hold
SAVE_SECONDS = 0.4  # between segments at the least
SAVE_SHARE = 0.02  # of the time so far, which keeps the segments of a long run few
SAVE_MOST_SECONDS = 30.0  # between segments at the most
SAVE_COST = 25  # saving may take one part in so many of the time
SAVE_BYTES = 64 << 20  # of records that wait for a segment at the most
CONSTANT_ELEMENTS = 1 << 14  # a larger array in the graph is an argument of the program, not a constant in it


class Sink(Protocol):
    """Where records go; `store.Writer` is one."""

    def initial(self, states: Any) -> None: ...
    def segment(self, first: int, last: int, blocks: Mapping[str, Trace | Events], trials: Trials | None) -> None: ...
    def checkpoint(self, step: int, data: bytes | memoryview) -> None: ...


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


# ------------------------------------------------------------------------------------------------ where to compute


@contextmanager
def computing(spec: Spec) -> Iterator[Any]:
    """The device and the precision of a run, for as long as it lasts. Raises ConfigError for an absent device."""
    if not _had_devices:
        preflight.refuse_small_address_space()
    device = find_device(spec.run.device)
    _had_devices.append(True)
    with jax.enable_x64(spec.run.precision == "float64"), jax.default_device(device):
        yield device


def planned(spec: Spec) -> RunPlan:
    """What a run of this config would do, known without compiling. Raises ConfigError with every fault."""
    with computing(spec):
        return plan(spec)


_had_devices: list[bool] = []  # whether JAX has made its threads in this process


def find_device(name: str) -> Any:
    """The device that a config calls auto, cpu, gpu, tpu or cuda:1."""
    if name == "auto":
        return jax.devices()[0]
    kind, _, number = name.partition(":")
    try:
        found = jax.devices(kind)
    except RuntimeError:
        found = []
    if int(number or 0) >= len(found):
        every = sorted({f"{device.platform}:{device.id}" for device in jax.devices()} | {"cpu:0"})
        raise ConfigError(
            Fault(f"there is no device {name} on this machine; there is {listing(every)}", ("run", "device"))
        )
    return found[int(number or 0)]


def cpu_features() -> str:
    """What this CPU can do, as the kernel says: compiled programs are good for no other."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith(("flags", "Features")))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def use_compilation_cache(device: Any) -> None:
    """Keeps compiled programs between runs, apart for each jaxlib, device kind and CPU; off where it cannot write."""
    base = os.environ.get("SYNSIM_CACHE_DIR") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "synsim"
    )
    key = hashlib.sha256(f"{jaxlib.version.__version__} {device.device_kind} {cpu_features()}".encode()).hexdigest()[
        :16
    ]
    folder = Path(base) / f"programs-{key}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        usable = os.access(folder, os.W_OK | os.X_OK)
    except OSError:
        usable = False
    jax.config.update("jax_compilation_cache_dir", str(folder) if usable else None)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.3)
    jax.config.update("jax_compilation_cache_max_size", 512 << 20)


def fingerprint(it: RunPlan, device: Any) -> dict[str, str]:
    """All that decides a run's numbers: what its files and settings came to, versions, device, CPU, generator."""
    numbers = hashlib.sha256()
    entries = [entry for phase in it.phases for entry in (*phase.entries.values(), *phase.labels.values())]
    for array in (
        *(leaf for phase in it.phases for leaf in jax.tree.leaves(phase.graph)),
        *(e.values for e in entries if isinstance(e.values, np.ndarray)),
    ):
        numbers.update(str((np.shape(array), np.asarray(array).dtype)).encode())
        numbers.update(np.ascontiguousarray(array).tobytes())
    for entry in entries:
        if not isinstance(entry.values, np.ndarray):  # a file that is longer than memory
            numbers.update(entry.values.digest())
    return {
        "synsim": synsim.__version__,
        "jax": jax.__version__,
        "jaxlib": jaxlib.version.__version__,
        "device": f"{device.platform} {device.device_kind}",
        "cpu_features": hashlib.sha256(cpu_features().encode()).hexdigest()[:16],
        "prng": ", ".join(
            f"{getattr(jax.config, name)}" for name in ("jax_default_prng_impl", "jax_threefry_partitionable")
        ),
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
        "plugins": _digest_of_plugins(it.layout.origin.get("plugins", "[]")),
        "config": it.layout.config_sha256,
        "numbers": numbers.hexdigest(),
    }


def _digest_of_plugins(origin: str) -> str:
    return "" if origin == "[]" else hashlib.sha256(origin.encode()).hexdigest()[:16]


# ------------------------------------------------------------------------------------------------------- programs


class Programs:
    """The compiled programs of one phase. Its numbers are constants in them, but for large arrays."""

    def __init__(self, phase: PhasePlan):
        self.phase = phase
        self.compile_seconds = 0.0
        leaves, self._tree = jax.tree.flatten(phase.graph)
        self._large = [i for i, leaf in enumerate(leaves) if np.size(leaf) > CONSTANT_ELEMENTS]
        self._leaves = leaves
        self._given = [jax.device_put(leaves[i]) for i in self._large]
        self._compiled: dict[tuple, Any] = {}

    def graph(self, given: list[Any]) -> Graph:
        """The graph with its large arrays as the program's arguments."""
        leaves = list(self._leaves)
        for i, leaf in zip(self._large, given, strict=True):
            leaves[i] = leaf
        return jax.tree.unflatten(self._tree, leaves)

    def call(self, what: Callable[..., Any], static: tuple, *args: Any) -> Any:
        """Runs an engine function, compiling it where this is the first time for these sizes."""
        key = (what, static)
        if key not in self._compiled:
            began = time.perf_counter()
            traced = jax.jit(lambda given, *rest: what(self.graph(given), *rest, *static))
            self._compiled[key] = _compile(traced.lower(self._given, *args))
            self.compile_seconds += time.perf_counter() - began
        return self._compiled[key](self._given, *args)

    def trials(self, carry: Carry, data: Any, g0: int, n: int) -> Any:
        """`n` whole trials."""
        return self.call(_trials(self.phase.takes), (n,), carry, data, np.uint32(g0))

    def begin(self, carry: Carry, data: Any, g: int) -> Any:
        """The calls at a trial's start."""
        return self.call(engine.begin_trial, (), carry, data, np.uint32(g))

    def steps(self, carry: Carry, data: Any, g0: int, k0: int, length: int, careful: bool = False) -> Any:
        """Some steps of one trial."""
        return self.call(_steps(self.phase.takes), (length, careful), carry, data, np.uint32(g0), np.int32(k0))

    def end(self, carry: Carry, data: Any, g: int) -> Any:
        """The calls at a trial's end."""
        return self.call(_end(self.phase.takes), (), carry, data, np.uint32(g))


def _compile(lowered: Any) -> Any:
    """The program. What a process was killed while keeping, jax neither uses nor mends: all that is kept is dropped."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        program = lowered.compile()
    for each in said:
        folder = getattr(jax.config, "jax_compilation_cache_dir", None)
        if folder and "Error reading persistent compilation cache" in str(each.message):
            for path in (*Path(folder).glob("*-cache"), *Path(folder).glob("*-atime")):
                with suppress(OSError):
                    path.unlink()
        else:
            warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)
    return program


# one function object for one set of records, so that equal programs are compiled once


def _memo(make: Callable[[tuple[Take, ...]], Callable[..., Any]]) -> Callable[[tuple[Take, ...]], Callable[..., Any]]:
    known: dict[tuple[Take, ...], Callable[..., Any]] = {}
    return lambda takes: known.setdefault(takes, make(takes))


_trials = _memo(lambda takes: lambda graph, *rest: engine.trials(graph, takes, *rest))
_steps = _memo(lambda takes: lambda graph, *rest: engine.steps(graph, takes, *rest))
_end = _memo(lambda takes: lambda graph, *rest: engine.end_trial(graph, takes, *rest))


# ----------------------------------------------------------------------------------------------------------- pieces


class Piece(NamedTuple):
    """What one call of the device computes: whole trials (n > 0), or `length` steps of one trial from step k on."""

    trial: int  # of the phase
    n: int
    k: int
    length: int


def pieces(trials: int, steps: int, length: int, trial: int = 0, k: int = 0) -> Iterator[Piece]:
    """The pieces of a phase from a place on, none longer than `length` steps where that cuts within a trial."""
    while trial < trials:
        if k == 0 and length >= steps:
            n = min(length // steps, trials - trial)
            yield Piece(trial, n, 0, n * steps)
            trial += n
        else:
            part = min(length, steps - k)
            yield Piece(trial, 0, k, part)
            k += part
            if k == steps:
                trial, k = trial + 1, 0


def _after(piece: Piece, steps: int) -> tuple[int, int]:
    """The trial and the step of it that follow a piece."""
    if piece.n:
        return piece.trial + piece.n, 0
    end = piece.k + piece.length
    return (piece.trial + 1, 0) if end == steps else (piece.trial, end)


def first_length(phase: PhasePlan) -> int:
    """A guess at how many steps make a chunk, from the sizes of arrays; the first chunk's time corrects it."""
    one = phase.graph
    calls = len(one.order.step)
    learned = sum(np.prod(one.shape(n, c)) * 4 for n, c, what in one.carried() if what.learned and not what.batch)
    active = sum(np.prod(one.shape(n, c)) * 4 for n, c, what in one.carried() if what.batch)
    passes = 3.0 if any(call.method == "evolve" for call in one.order.step) else 1.0
    seconds = 4e-6 * (calls + 2) + (learned * passes * max(1.0, one.batch / 8) + active * 4) / 8e9
    return fitted(phase, int(CHUNK_SECONDS / seconds))


def fitted(phase: PhasePlan, length: int) -> int:
    """A chunk length near `length` that its records allow: a power of two in trials, or in steps of one trial."""
    steps = phase.graph.steps
    per_step = sum(_row_bytes(phase, take) * (1 if take.each_trial else take.slots(steps)) for take in phase.takes)
    per_step += phase.streamed_bytes()
    length = max(1, min(length, phase.steps, int(CHUNK_BYTES / max(1e-9, per_step / steps))))
    if length >= phase.steps:
        return length
    if length >= steps:
        return steps * _rounded(length // steps)
    return _rounded(length)


def _rounded(number: int) -> int:
    """The largest power of two up to `number`: measured lengths differ from run to run, the programs kept must not."""
    return 1 << (number.bit_length() - 1)


def _row_bytes(phase: PhasePlan, take: Take) -> int:
    component, compartment = take.path.split(".")
    size = int(np.prod(phase.graph.shape(component, compartment))) * 4
    if take.reduce is not None:
        return 8
    if take.index is not None:
        size = size * len(take.index) // max(1, phase.graph.shape(component, compartment)[-1])
    return size // 32 + 1 if take.packed else size


# --------------------------------------------------------------------------------------------------------- the loop


class _Saving:
    """Turns what left the device into segments, on a thread of its own."""

    def __init__(self, it: RunPlan, sink: Sink):
        self.it, self.sink = it, sink
        self.records = {record.path: record for record in it.records}
        self._pool = concurrent.futures.ThreadPoolExecutor(1, "synsim-writer")
        self._jobs: deque[concurrent.futures.Future[None]] = deque()
        self._blocks: dict[str, list[Any]] = {}
        self._trials: list[Trials] = []
        self._bytes, self._first, self._last = 0, 0, 0
        self._began = self._saved_at = time.monotonic()
        self._took = 0.0  # seconds of the last save
        self._place: tuple[int, int, int, Carry] | None = None  # phase, trial and step of it that come next
        self.saved = 0  # steps that are safe
        self.scalars: dict[str, float] = {}
        self.common = Checkpoint(0, 0, 0, 0, {})  # what checkpoints have in common: readouts, fingerprint

    def start_at(self, step: int) -> None:
        """The run goes on after `step` steps, which are saved."""
        self._first = self._last = self.saved = step

    def add(self, phase: PhasePlan, piece: Piece, taken: Mapping[str, Any], after: Carry) -> None:
        """Hands over a piece and the carry after it; waits while two are waiting already."""
        while len(self._jobs) >= 2:
            self._jobs.popleft().result()
        self._jobs.append(self._pool.submit(self._add, phase, piece, taken, after))

    def settle(self) -> None:
        """Waits until everything handed over is in a segment on disk."""
        while self._jobs:
            self._jobs.popleft().result()
        self._pool.submit(self._save).result()

    def close(self) -> None:
        """Ends the thread; what waits is dropped."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _add(self, phase: PhasePlan, piece: Piece, taken: Mapping[str, Any], after: Carry) -> None:
        steps = phase.graph.steps
        for take in phase.takes:
            if take.path not in taken:
                continue
            values = np.asarray(taken[take.path])
            ks = [steps - 1] if take.each_trial else list(take.held_by(piece.k, piece.length if not piece.n else steps))
            if piece.n:
                values = values[:, : len(ks)].reshape(-1, *values.shape[2:]) if not take.each_trial else values
                trial = np.repeat(np.arange(piece.trial, piece.trial + piece.n), len(ks))
                k = np.tile(ks, piece.n)
            else:
                values = values[None] if take.each_trial else values[: len(ks)]
                trial, k = np.full(len(ks), piece.trial), np.asarray(ks, np.int64)
            stamps = phase.first_step + trial * steps + k
            record = self.records[take.path]
            block = record.block(values, stamps, phase.first_trial + trial, phase.index, self.it.spec.run.dt)
            self._blocks.setdefault(take.path, []).append(block)
            self._bytes += sum(part.nbytes for part in vars(block).values())
            if isinstance(block, Trace) and not record.layout.shape and len(block.data):
                self.scalars[take.path] = float(block.data[-1])
        ends = piece.n or piece.k + piece.length == steps
        if ends:
            self._trials.append(self._table(phase, piece.trial, piece.n or 1))
        self._place = (phase.index, *_after(piece, steps), after)
        self._last = phase.first_step + piece.trial * steps + piece.k + piece.length
        if time.monotonic() - self._saved_at > self._patience() or self._bytes > SAVE_BYTES:
            self._save()

    def _patience(self) -> float:
        since = time.monotonic() - self._began
        return min(SAVE_MOST_SECONDS, max(SAVE_SECONDS, SAVE_SHARE * since, SAVE_COST * self._took))

    def _table(self, phase: PhasePlan, first: int, n: int) -> Trials:
        rows = phase.rows_of(first, n)
        start = (phase.first_step + np.arange(first, first + n) * phase.graph.steps) * self.it.spec.run.dt
        epochs = np.array([phase.epoch(trial) for trial in range(first, first + n)], np.int32)
        return Trials(np.full(n, phase.index, np.int32), epochs, start, rows, phase.labels_of(first, n))

    def _save(self) -> None:
        if self._last == self._first:
            return
        began = time.monotonic()
        blocks = {path: _joined(parts) for path, parts in self._blocks.items()}
        trials = _joined(self._trials) if self._trials else None
        point = encode(self._checkpoint())  # before the segment, which counts as saved only together with it
        self.sink.segment(self._first, self._last, blocks, trials)
        self.sink.checkpoint(self._last, point)
        self.saved = self._last
        self._blocks, self._trials, self._bytes = {}, [], 0
        self._first, self._saved_at = self._last, time.monotonic()
        self._took = self._saved_at - began

    def _checkpoint(self) -> Checkpoint:
        assert self._place is not None
        phase, trial, k, carry = self._place
        state = {name: {c: np.asarray(v) for c, v in values.items()} for name, values in carry.state.items()}
        held = {path: np.asarray(value) for path, value in carry.held.items()}
        seconds = self.common.seconds + time.monotonic() - self._began
        place = dict(step=self._last, phase=phase, trial=trial, k=k, state=state, held=held, seconds=seconds)
        return replace(self.common, **place)


def _joined(parts: list[Any]) -> Any:
    if len(parts) == 1:
        return parts[0]
    fields = {name: [getattr(part, name) for part in parts] for name in vars(parts[0])}
    labels = fields.pop("labels", None)
    made: dict[str, Any] = {name: np.concatenate(values) for name, values in fields.items()}
    if labels is not None:
        made["labels"] = {name: np.concatenate([one[name] for one in labels]) for name in labels[0]}
    return type(parts[0])(**made)


def misfit(point: Checkpoint, it: RunPlan) -> str | None:
    """Why a checkpoint cannot be one of this run, or None: its place, and the shape and type of every array."""
    if point.phase >= len(it.phases):
        return f"it is in phase {point.phase} of {len(it.phases)}"
    phase = it.phases[point.phase]
    at = phase.first_step + point.trial * phase.graph.steps + point.k
    if point.step != at or point.step > phase.first_step + phase.steps or point.k >= phase.graph.steps:
        return f"its step {point.step:,} is not step {point.k:,} of trial {point.trial:,} of phase {phase.name}"
    carry = jax.eval_shape(lambda: engine.start_carry(phase.graph))
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
) -> Outcome:
    """Runs every phase and hands its records, and checkpoints, to `sink`.

    `chunk` fixes the length of a chunk in steps instead of measuring it; no number depends on it. `point` is the
    checkpoint to go on from, `prints` the fingerprint that new ones carry. Raises RunError where a value is not
    finite (the good part is with the sink then), and Stopped once `stop` says so.
    """
    began = time.perf_counter()
    saving = _Saving(it, sink)
    programs = [Programs(phase) for phase in it.phases]
    try:
        readouts: dict[str, dict[str, np.ndarray]] = {}
        lengths: dict[str, int] = {}
        rate = 0.0
        if point is None:
            carry = programs[0].call(engine.start_carry, ())
            sink.initial(described(it.phases[0].graph, carry.state, learned=True))
        else:
            carry = Carry(_nested(point.state), dict(point.held), np.uint32(NEVER), np.int32(0))
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
            known = fitted(phase, lengths[phase.name]) if phase.name in lengths else None
            carry = part.run(carry, chunk or known, rate, *((here.trial, here.k) if here else ()))
            lengths[phase.name], rate = part.length, part.rate
            readouts[phase.name] = _readouts(phase, carry.state)
            saving.common = replace(saving.common, readouts=dict(readouts), chunk_steps=dict(lengths))
        saving.settle()
        return Outcome(
            carry.state,
            readouts,
            time.perf_counter() - began,
            sum(program.compile_seconds for program in programs),
            lengths,
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
        saving: _Saving,
        stop: Callable[[], bool],
        progress: Callable[[Progress], None],
        began: float,
    ):
        self.it, self.phase, self.program, self.saving, self.stop = it, phase, program, saving, stop
        self.progress, self.began = progress, began
        self.rate = 0.0
        self.finished = 0.0  # when the last piece was
        self.length = 0  # of a chunk, in steps

    def run(self, carry: Carry, chunk: int | None, rate: float, trial: int = 0, k: int = 0) -> Carry:
        """The carry after the phase, from step `k` of a trial on.

        `chunk` fixes the chunk's length; `rate` (steps a second) helps to guess it.
        """
        phase, steps = self.phase, self.phase.graph.steps
        length = chunk or (fitted(phase, int(rate * CHUNK_SECONDS)) if rate else first_length(phase))
        settled = chunk is not None or length >= phase.steps
        self.length = length
        waiting: tuple[Piece, Carry, Carry, Any, float] | None = None
        while trial < phase.trials or waiting:
            if waiting is None and self.stop():
                self._halt(trial, k)
            done = waiting
            waiting = None
            if trial < phase.trials:
                piece = next(pieces(phase.trials, steps, length, trial, k))
                compiled = self.program.compile_seconds
                since = time.perf_counter()
                after, taken = self._dispatch(piece, carry)
                since += self.program.compile_seconds - compiled
                waiting = (piece, carry, after, taken, since)
                carry = after
                trial, k = _after(piece, steps)
                if not settled:  # the first chunk is timed alone
                    jax.block_until_ready(after)
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
        carry, taken = program.steps(carry, data, g0, piece.k, piece.length)
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
        if int(bad) != NEVER:
            _report_bad(self.it, self.phase, self.program, self.saving, piece, before)
        self.saving.add(self.phase, piece, taken, after)
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


def described(one: Graph, state: engine.State, *, learned: bool = False) -> dict[str, dict[str, Any]]:
    """A state as the store writes it: arrays with units, words and axes; only learned ones, or all."""
    made: dict[str, dict[str, Any]] = {}
    for name, compartment, what in one.carried():
        if learned and not what.learned:
            continue
        axes = (*(("row",) if what.batch else ()), *one.parts[name].axes(what.size))
        made.setdefault(name, {})[compartment] = (np.asarray(state[name][compartment]), what.unit, what.doc, axes)
    return made


# ------------------------------------------------------------------------------------------------- non-finite values


def _report_bad(it: RunPlan, phase: PhasePlan, program: Programs, saving: _Saving, piece: Piece, carry: Carry) -> None:
    """Walks through a piece again, a step at a time, saves what came before the bad number, and raises RunError."""
    steps = phase.graph.steps
    carry = carry._replace(bad=np.uint32(NEVER))
    for one in _single_steps(piece, steps):
        data, g0 = _one_trial(phase, one.trial, one.k, 1), phase.first_step + one.trial * steps
        before = carry
        if one.k == 0:
            carry = program.begin(carry, data, g0)
        carry, taken = program.steps(carry, data, g0, one.k, 1, True)
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
