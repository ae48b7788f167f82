"""When something was recorded: which steps of which trials, by the config that the run itself keeps."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from synsim.reading import Record, Run, Spikes


@dataclass(frozen=True)
class RecordedTime:
    """The steps at which a record was taken: of the trial that starts at step `starts[i]` of the run, every `every`th
    from `first[i]` up to `last[i]`. `complete` says of which trials nothing is missing. All arrays are (trials,)."""

    dt: float
    every: int
    starts: np.ndarray
    first: np.ndarray
    last: np.ndarray
    complete: np.ndarray

    @cached_property
    def steps(self) -> np.ndarray:
        """How many steps were recorded in each trial."""
        return np.maximum(0, -(-self.last // self.every) - -(-self.first // self.every))

    @property
    def milliseconds(self) -> float:
        """For how long it was recorded: phases without the record and windows left out."""
        return int(self.steps.sum()) * self.dt

    def before(self, step: int) -> RecordedTime:
        """What of it comes before a step of the run."""
        last = np.minimum(self.last, np.maximum(self.first, step - self.starts))
        return replace(self, last=last, complete=self.complete & (last == self.last))


def recorded_time(run: Run, record: Record | Spikes) -> RecordedTime:
    """When a record of a run was taken, as far as the run is saved."""
    dt = float(run.attrs.get("dt", 1.0))
    settings = run.config.get("record", {}).get(record.name, {})
    phases = run.config.get("phases") or []
    low, high = settings.get("window") or (0.0, math.inf)
    starts = np.rint(np.asarray(run.trial_columns["start"], np.float64) / dt).astype(np.int64)
    number = np.asarray(run.trial_columns["phase"], np.int64)
    length, whole = _lengths(run, starts, number)
    if int(length.sum()) < run.steps:  # a trial that is not in the table yet
        starts = np.append(starts, length.sum())
        number = np.append(number, number[-1] if number.size else 0)
        length, whole = np.append(length, run.steps - length.sum()), np.append(whole, False)
    on = [bool((phase.get("record") or {}).get(record.name, settings.get("on", True))) for phase in phases or [{}]]
    taken = np.array(on)[np.clip(number, 0, len(on) - 1)] if number.size else np.zeros(0, bool)
    first = np.full(length.shape, math.ceil(low / dt - 1e-9), np.int64)
    last = length if math.isinf(high) else np.minimum(length, math.ceil(high / dt - 1e-9))
    every = settings.get("every", 1)
    return RecordedTime(
        dt,
        every if isinstance(every, int) else 1,
        starts,
        first,
        np.where(taken, np.maximum(first, last), first),
        whole,
    )


def _lengths(run: Run, starts: np.ndarray, number: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Steps of each trial of the table, and whether it has all of them: up to the start of the next, and of the last
    as many as its config says."""
    if not starts.size:
        return np.zeros(0, np.int64), np.zeros(0, bool)
    phases = run.config.get("phases") or []
    own = phases[number[-1]].get("steps") if number[-1] < len(phases) else None
    asked = int(own or run.config.get("run", {}).get("steps", 0)) or run.steps
    last = max(0, min(asked, run.steps - int(starts[-1])))
    whole = np.ones(starts.shape, bool)
    whole[-1] = last == asked
    return np.append(np.diff(starts), last), whole
