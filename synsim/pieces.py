"""How a run is cut into calls of the device: whole trials, or some steps of one; as many as take half a second."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from synsim.plan import PhasePlan
from synsim.records import Take
from synsim.spike_bits import words_of

CHUNK_SECONDS = 0.5  # of computing: short enough to stop soon, long enough to cost nothing
CHUNK_BYTES = 16 << 20  # of records that one chunk may hold


class Piece(NamedTuple):
    """What one call of the device computes: whole trials (n > 0), or `length` steps of one trial from step k on."""

    trial: int  # of the phase
    n: int
    k: int
    length: int

    def following(self, steps: int) -> tuple[int, int]:
        """The trial, of so many steps, and the step of it that come next."""
        if self.n:
            return self.trial + self.n, 0
        end = self.k + self.length
        return (self.trial + 1, 0) if end == steps else (self.trial, end)


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


def first_length(phase: PhasePlan) -> int:
    """A guess at how many steps make a chunk, from the sizes of arrays; the first chunk's time corrects it."""
    one = phase.graph
    calls = len(one.order.step)
    learned = sum(np.prod(one.shape(n, c)) * 4 for n, c, what in one.carried() if what.learned and not what.batch)
    active = sum(np.prod(one.shape(n, c)) * 4 for n, c, what in one.carried() if what.batch)
    passes = 3.0 if any(call.method == "evolve" for call in one.order.step) else 1.0
    moved = learned * passes * max(1.0, one.batch / 8) + active * 4
    seconds = 4e-6 * (calls + 2) + moved * (phase.lanes or 1) / 8e9
    return fitted(phase, int(CHUNK_SECONDS / seconds))


def fitted(phase: PhasePlan, length: int) -> int:
    """A chunk length near `length` that its records allow: a power of two in trials, or in steps of one trial."""
    steps = phase.graph.steps
    per_step = sum(_row_bytes(phase, take) * (1 if take.each_trial else take.slots(steps)) for take in phase.takes)
    per_step = per_step * (phase.lanes or 1) + phase.streamed_bytes()
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
    shape = phase.graph.shape(component, compartment)
    size = int(np.prod(shape))
    if take.reduce is not None:
        return 8
    if take.index is not None:
        size = size * len(take.index) // max(1, shape[-1])
    return shape[0] * words_of(-(-size // shape[0])) * 4 if take.packed else size * 4
