"""What left the device becomes segments and checkpoints, on a thread beside the loop."""

from __future__ import annotations

import concurrent.futures
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from synsim.checkpoint import Checkpoint, encode
from synsim.engine import Carry
from synsim.layout import Events, Joined, Trace, Trials
from synsim.pieces import Piece
from synsim.plan import PhasePlan, RunPlan
from synsim.threads import leave_one_cpu

SAVE_SECONDS = 0.4  # between segments at the least
SAVE_SHARE = 0.02  # of the time so far, which keeps the segments of a long run few
SAVE_MOST_SECONDS = 30.0  # between segments at the most
SAVE_COST = 25  # saving may take one part in so many of the time
SAVE_BYTES = 120 << 20  # of records that make a segment at once
WAITING_BYTES = 128 << 20  # of records and carries that wait for the thread, where more than two pieces do
WAITING = 16  # pieces
JOINED_BYTES = 1 << 20  # of rows that are not copied together


class Sink(Protocol):
    """Where records go; `store.Writer` is one."""

    def initial(self, states: Any) -> None: ...
    def segment(self, first: int, last: int, blocks: Mapping[str, Trace | Events], trials: Trials | None) -> None: ...
    def checkpoint(self, step: int, data: bytes | memoryview) -> None: ...


class Saving:
    """Turns what left the device into segments, on a thread of its own."""

    def __init__(self, it: RunPlan, sink: Sink):
        self.it, self.sink = it, sink
        self.records = {record.path: record for record in it.records}
        self._pool = concurrent.futures.ThreadPoolExecutor(1, "synsim-writer", initializer=leave_one_cpu)
        self._jobs: deque[tuple[concurrent.futures.Future[None], int]] = deque()  # and the bytes that each holds
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

    def add(
        self,
        phase: PhasePlan,
        piece: Piece,
        taken: Mapping[str, Any],
        after: Carry,
        read: Callable[[Any], np.ndarray] = np.asarray,
    ) -> None:
        """Hands over a piece and the carry after it; waits while two are waiting already, or more that hold little.

        `read` gives the values of what was taken.
        """
        size = sum(value.nbytes for values in (taken, after.held, *after.state.values()) for value in values.values())
        while len(self._jobs) >= 2 and (len(self._jobs) >= WAITING or self._waiting() + size > WAITING_BYTES):
            self._jobs.popleft()[0].result()
        self._jobs.append((self._pool.submit(self._add, phase, piece, taken, after, read), size))

    def _waiting(self) -> int:
        return sum(size for _, size in self._jobs)

    def settle(self) -> None:
        """Waits until everything handed over is in a segment on disk."""
        while self._jobs:
            self._jobs.popleft()[0].result()
        self._pool.submit(self._save).result()

    def close(self) -> None:
        """Ends the thread; what waits is dropped."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _add(
        self,
        phase: PhasePlan,
        piece: Piece,
        taken: Mapping[str, Any],
        after: Carry,
        read: Callable[[Any], np.ndarray],
    ) -> None:
        steps = phase.graph.steps
        for take in phase.takes:
            if take.path not in taken:
                continue
            values = read(taken[take.path])
            ks = [steps - 1] if take.each_trial else list(take.held_by(piece.k, piece.length if not piece.n else steps))
            if piece.n:
                values = values[:, : len(ks)].reshape(-1, *values.shape[2:]) if not take.each_trial else values
                trial = np.repeat(np.arange(piece.trial, piece.trial + piece.n), len(ks))
                k = np.tile(ks, piece.n)
            else:
                values = values[None] if take.each_trial else _first(values, len(ks))
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
        self._place = (phase.index, *piece.following(steps), after)
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
        bad = tuple(np.asarray(carry.bad).tolist()) if np.ndim(carry.bad) else ()
        place = dict(step=self._last, phase=phase, trial=trial, k=k, state=state, held=held, seconds=seconds, bad=bad)
        return replace(self.common, **place)


def _first(rows: np.ndarray, number: int) -> np.ndarray:
    """The first rows; copied where they would keep the memory of many more."""
    return rows[:number] if 2 * number >= len(rows) else rows[:number].copy()


def _joined(parts: list[Any]) -> Any:
    if len(parts) == 1:
        return parts[0]
    fields = {name: [getattr(part, name) for part in parts] for name in vars(parts[0])}
    labels = fields.pop("labels", None)
    made: dict[str, Any] = {name: _in_a_row(values) for name, values in fields.items()}
    if labels is not None:
        made["labels"] = {name: np.concatenate([one[name] for one in labels]) for name in labels[0]}
    return type(parts[0])(**made)


def _in_a_row(arrays: list[np.ndarray]) -> Any:
    large = sum(array.nbytes for array in arrays) >= JOINED_BYTES and arrays[0].ndim > 1
    return Joined(arrays) if large else np.concatenate(arrays)
