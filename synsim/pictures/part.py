"""What of a run is drawn: a stretch of its time, some of its units; which rows and spikes those are."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from synsim.faults import ConfigError, Fault, suggest, there_are
from synsim.reading import Record, Run, Spikes
from synsim.thinning import place

_UNITS = re.compile(r"\s*(\d{1,12})(?:\s*:\s*(\d{1,12})(?:\s*:\s*(\d{1,12}))?)?\s*")
MOST_UNITS = 1_000_000


@dataclass(frozen=True)
class Part:
    """From `start` up to `stop`, in ms of the run; axes count from `origin` on. `units` is None for all.

    `trials` are the trials that lie in it, first and last + 1; `where` says in words what was chosen.
    """

    start: float
    stop: float
    origin: float
    units: tuple[int, ...] | None
    trials: tuple[int, int]
    where: str = ""

    def rows(self, record: Record) -> tuple[int, int]:
        """The rows of a record that lie in the part."""
        slack = 1e-6
        return place(record.time, self.start - slack), place(record.time, self.stop - slack)

    def spikes(self, spikes: Spikes) -> tuple[int, int]:
        """The spikes that lie in the part, of all units."""
        return self.before(spikes, self.start), self.before(spikes, self.stop)

    @staticmethod
    def before(spikes: Spikes, time: float) -> int:
        """How many spikes there are before a time."""
        return place(spikes.timestamps, time - 1e-6)

    @property
    def span(self) -> float:
        """Length in ms."""
        return self.stop - self.start


def part_of(
    run: Run,
    window: tuple[float | None, float | None] = (None, None),
    units: str | Sequence[int] | None = None,
    trial: int | None = None,
    phase: str | None = None,
) -> Part:
    """The part that is asked for: `window` in ms of the run, or of the trial or the phase where one is named.

    `trial` counts from 0, in the phase where one is named, and from the end where it is negative. Raises ConfigError
    with all that is wrong.
    """
    faults: list[Fault | str] = []
    starts = np.asarray(run.trials.start, np.float64)
    end = run.steps * float(run.attrs.get("dt", 1.0))
    low, high, where = 0, len(starts), []
    if phase is not None:
        names = run.phases
        if phase in names:
            low, high = _of_phase(np.asarray(run.trials.phase), names.index(phase))
            where.append(f"phase {phase}")
            if low == high:
                faults.append(f"--phase {phase} has no trial yet")
        else:
            there = there_are(names) or " The run has none."
            faults.append(f"--phase {phase}: there is no such phase.{suggest(phase, names)}{there}")
    if trial is not None and not faults:
        at = trial + (high - low if trial < 0 else 0)
        if not 0 <= at < high - low:
            inside = f"phase {phase}" if phase else "the run"
            faults.append(f"--trial {trial}: {inside} has {high - low:,} trials, 0 to {high - low - 1:,}")
        else:
            low, high = low + at, low + at + 1
            where.append(f"trial {low:,}")
    begin = float(starts[low]) if low and low < len(starts) else 0.0
    stop = float(starts[high]) if high < len(starts) else end
    origin = begin if where else 0.0
    first, last = window
    for option, value in (("--from", first), ("--to", last)):
        if value is not None and not np.isfinite(value):
            faults.append(f"{option} {value} is no time in ms")
    if first is not None and last is not None and first >= last:
        faults.append(f"--from {first:g} must be before --to {last:g}")
    elif first is not None and first >= stop - origin:
        faults.append(f"--from {first:g}: {where[-1] if where else 'the run'} ends at {stop - origin:g} ms")
    elif last is not None and last <= 0:
        faults.append(f"--to {last:g} is before the start: nothing is left")
    chosen = None
    try:
        chosen = None if units is None else parse_units(units)
    except ConfigError as error:
        faults += error.faults
    if faults:
        raise ConfigError(faults)
    begin, stop = max(begin, origin + (first or 0.0)), min(stop, origin + last) if last is not None else stop
    if len(starts):
        low = max(low, int(np.searchsorted(starts, begin, "right")) - 1)
        high = max(low + 1, min(high, int(np.searchsorted(starts, stop, "left"))))
    return Part(begin, stop, origin, chosen, (low, high), ", ".join(where))


def _of_phase(phases: np.ndarray, number: int) -> tuple[int, int]:
    there = np.flatnonzero(phases == number)
    return (int(there[0]), int(there[-1]) + 1) if len(there) else (0, 0)


def parse_units(given: str | Iterable[int]) -> tuple[int, ...]:
    """Units as a user writes them: 3, or 0,4,9, or 0:10, or 0:100:5, as `index` in a config."""
    if not isinstance(given, str):
        return tuple(dict.fromkeys(int(each) for each in given))
    found: list[int] = []
    for piece in given.split(","):
        match = _UNITS.fullmatch(piece)
        if match is None:
            raise ConfigError(f"--units {given!r:.60}: write unit numbers, as 3 or 0,4,9 or 0:10 or 0:100:5")
        start, stop, step = (None if each is None else int(each) for each in match.groups())
        assert start is not None
        some = range(start, start + 1 if stop is None else stop, 1 if step is None else max(step, 1))
        if len(found) + len(some) > MOST_UNITS or step == 0 or not some:
            raise ConfigError(f"--units {given!r:.60}: {piece.strip()} is no unit, or too many")
        found += some
    return tuple(dict.fromkeys(found))


def columns(coordinates: np.ndarray, part: Part, name: str) -> np.ndarray:
    """Which places along an axis the units of a part have. A ConfigError for those that were not recorded."""
    if part.units is None:
        return np.arange(len(coordinates))
    order = np.argsort(coordinates, kind="stable")
    at = np.searchsorted(coordinates, part.units, sorter=order)
    known = at < len(coordinates)
    known[known] = coordinates[order[at[known]]] == np.asarray(part.units)[known]
    if not known.all():
        missing = int(np.asarray(part.units)[~known][0])
        raise ConfigError(f"--units: {name} has no unit {missing}; {_there(coordinates)}")
    return order[at]


def _there(coordinates: np.ndarray) -> str:
    if not len(coordinates):
        return "it has none"
    low, high = int(coordinates.min()), int(coordinates.max())
    whole = len(coordinates) == high - low + 1
    return f"it has {low} to {high}" if whole else f"it has {len(coordinates)} of {low} to {high}"


def unit_axis(record: Any) -> np.ndarray:
    """Numbers of the units of a record: those of its one axis, or counted over several."""
    axes = [coordinates for name, coordinates in record.axes if name != "row"]
    if len(axes) == 1:
        return np.asarray(axes[0])
    return np.arange(int(np.prod([len(each) for each in axes], dtype=np.int64)) if axes else 0)
