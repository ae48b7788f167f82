"""Spikes counted over time, and over pixels of a raster, in blocks: none is left out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from synsim.faults import ConfigError
from synsim.pictures.part import Part, columns
from synsim.pictures.subject import Subject
from synsim.reading import Spikes
from synsim.thinning import place

MOST = 1 << 25
"""Spikes that one picture counts. Of more, it shows the time up to which they are so many, all of them."""
PIECE = 1 << 20


@dataclass(frozen=True)
class Trains:
    """The spikes of a part: `first` up to `last` of them, of `units` units (their numbers) in `batch` rows.

    `starts` are the times at which trials begin.
    """

    spikes: Spikes
    part: Part
    first: int
    last: int
    units: np.ndarray
    dt: float
    starts: np.ndarray
    note: str = ""

    @property
    def batch(self) -> int:
        return self.spikes.batch

    @property
    def lanes(self) -> int:
        """Trains side by side: one a unit in each row of the batch."""
        return len(self.units) * self.batch

    def blocks(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Times in ms of the run, and lanes, of the spikes of the chosen units."""
        order = np.argsort(self.units, kind="stable")
        known = self.units[order]
        for at in range(self.first, self.last, PIECE):
            here = slice(at, min(at + PIECE, self.last))
            times, units = self.spikes.timestamps[here], self.spikes.node_ids[here].astype(np.int64)
            found = np.minimum(np.searchsorted(known, units), len(known) - 1)
            # of all units none is left out, whatever its number is
            kept = known[found] == units if self.part.units is not None else np.ones(len(units), bool)
            lanes = order[found]
            if self.spikes.row is not None:
                lanes = lanes + len(self.units) * self.spikes.row[here].astype(np.int64)
            yield times[kept], np.clip(lanes[kept], 0, self.lanes - 1)

    def rate(self, bins: int) -> tuple[np.ndarray, np.ndarray, float]:
        """Edges of at most so many bins in ms of the run, spikes per second and train in each, and a bin's width in ms.

        Bins are fewer where there are few spikes, so that the steps of a rate are not single ones.
        """
        bins = min(bins, max(25, (self.last - self.first) // 10))
        steps = max(1, round(self.part.span / self.dt))
        per = bin_steps(steps, bins, self.dt)
        count = -(-steps // per)
        counts = np.zeros(count, np.int64)
        for times, _ in self.blocks():
            at = np.rint((times - self.part.start) / self.dt).astype(np.int64) // per
            counts += np.bincount(np.clip(at, 0, count - 1), minlength=count)
        edges = self.part.start + np.minimum(np.arange(count + 1) * per, steps) * self.dt
        return edges, counts / (np.diff(edges) / 1000 * max(1, self.lanes)), per * self.dt

    def pixels(self, columns_: int, rows: int) -> np.ndarray:
        """Spikes in each of rows x columns pixels; the last row is that of the highest lanes."""
        counts = np.zeros(columns_ * rows, np.int64)
        for times, lanes in self.blocks():
            across = ((times - self.part.start) / max(self.part.span, 1e-12) * columns_).astype(np.int64)
            up = lanes * rows // max(1, self.lanes)
            counts += np.bincount(np.clip(across, 0, columns_ - 1) + columns_ * up, minlength=len(counts))
        return counts.reshape(rows, columns_)


def bin_steps(steps: int, bins: int, dt: float) -> int:
    """Steps of a bin of 1, 2 or 5 times a power of ten ms (of one step where that is longer), of about so many bins."""
    width = steps * dt / bins
    scale = 10.0 ** np.floor(np.log10(max(width, 1e-12)))
    nice = next(each * scale for each in (1, 2, 5, 10) if each * scale >= width * 0.999)
    return max(1, round(nice / dt))


def trains(subject: Subject, part: Part | None = None) -> Trains:
    """The spikes of a subject in its part, or in the beginning of it where they are too many to be counted."""
    spikes, part, note = subject.events, part or subject.part, ""
    dt = float(subject.run.attrs.get("dt", 1.0))
    if not dt > 0:
        raise ValueError(f"dt is {dt}")
    units = columns(subject.run.spikes(subject.name).units, part, subject.name)
    if not len(units):
        raise ConfigError(f"{subject.name} is of no unit")
    first, last = part.spikes(spikes)
    if last - first > MOST:
        stop = float(spikes.timestamps[first + MOST])
        stop = max(stop, part.start + dt)
        shown = replace(part, stop=stop, trials=_trials(subject, part, stop))
        note = (
            f"the first {stop - part.start:,.6g} of {part.span:,.6g} ms, with all their spikes: "
            f"--from and --to show the rest"
        )
        part, last = shown, place(spikes.timestamps, stop - 1e-6)
    return Trains(spikes, part, first, last, units, dt, np.asarray(subject.run.trials.start, np.float64), note)


def _trials(subject: Subject, part: Part, stop: float) -> tuple[int, int]:
    starts = np.asarray(subject.run.trials.start)[slice(*part.trials)]
    return part.trials[0], part.trials[0] + max(1, int(np.searchsorted(starts, stop)))
