"""Statistics of recorded spikes, as elephant defines them: rates, regularity, variability over trials, synchrony.

The spikes are read in pieces, once for rates, intervals and counts, and once more for what units do together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from synsim.reading import Run, Spikes, guard
from synsim.recorded_time import RecordedTime, recorded_time

BIN = 5.0  # ms, in which spikes count as together
WINDOW = 100.0  # ms, over which spikes are counted where there is only one trial
MOST = 5_000_000  # spikes that are read, unless more are asked for: two seconds of work
MOST_TRAINS = 1 << 25  # units times rows of the batch, each of which takes a hundred bytes
_PIECE = 1 << 19  # spikes that are read at a time


@dataclass(frozen=True)
class SpikeStatistics:
    """What the spikes of a population are like. A quantity is None where it is not defined.

    A train is what one unit does in one trial, in one row of the batch. Times are in ms.
    `count`, `recorded` and `rate_hz` (the mean over units) are of all spikes; the others of those before `until`.
    """

    count: int
    units: int
    batch: int
    recorded: float
    rate_hz: float | None
    until: float
    whole: bool  # whether until is the end, so that everything is of all spikes
    node_ids: np.ndarray  # of units that spiked, ascending
    rates_hz: np.ndarray  # of these
    silent: int  # units without a spike
    cv_isi: float | None  # mean over trains with at least two intervals: standard deviation of them over their mean
    cv_trains: int
    fano: float | None  # mean over units that spiked: variance of their counts over the mean
    fano_over: str  # what the counts are of: "trials", or "windows of 100 ms"
    fano_counts: int  # counts of each unit
    synchrony: float | None  # mean correlation of the spike counts of two units of one row
    synchrony_bin: float
    synchrony_units: int  # whose counts vary, so that they can correlate; rows of the batch count apart

    def document(self) -> dict[str, Any]:
        """All of it as plain data, without what is said unit by unit."""
        return {key: value for key, value in asdict(self).items() if key not in ("node_ids", "rates_hz")}


def statistics(run: Run, name: str | Spikes, *, bin: float = BIN, most: int | None = MOST) -> SpikeStatistics:
    """The statistics of one record of spikes, such as z.s; of the first `most` spikes where there are more.

    Intervals between spikes are those within a trial. Counts vary over the complete trials of the most frequent
    length, and their rows; where there is only one, over windows of 100 ms. Bins of `bin` ms begin anew in each trial;
    what is shorter than one is left out. Memory is bounded by the number of units, whatever the number of spikes.
    Raises KeyError where nothing of that name was recorded, StoreError where the file is damaged.

    Source: elephant.statistics (mean_firing_rate, isi, cv, fanofactor) and elephant.spike_train_correlation
    (correlation_coefficient of a BinnedSpikeTrain), whose definitions are followed and held against these numbers.
    """
    spikes = run.events[name] if isinstance(name, str) else name
    with guard(run.path), np.errstate(all="ignore"):
        return _Pass(run, spikes, bin, most).statistics()


class _Pass:
    """The state of one reading of all spikes."""

    def __init__(self, run: Run, spikes: Spikes, bin: float, most: int | None):
        self.run, self.spikes = run, spikes
        self.all_of_it = recorded_time(run, spikes)
        self.time, self.taken = self._limit(most)
        self.units, self.batch = max(1, min(spikes.units, self.taken)), spikes.batch  # at the most so many spiked
        if spikes.units < 1 or not 0 < self.units * self.batch <= MOST_TRAINS:
            raise ValueError(f"{spikes.name} is of {spikes.units:,} units in {spikes.batch:,} rows")
        self.ids = np.empty(0, np.uint64)  # seen so far, ascending
        self.places = np.empty(0, np.int64)  # of the units in what is counted here, in the order in which they came
        self.bins = _Spans(self.time, max(1, round(bin / self.time.dt)))
        lengths, many = np.unique(self.time.steps[self.time.complete], return_counts=True)
        usual = lengths[np.argmax(many)] if many.size else 0
        self.like_others = self.time.complete & (self.time.steps == usual) & (usual > 0)
        self.over_trials = int(self.like_others.sum()) * self.batch > 1
        self.windows = _Spans(self.time, max(1, round(WINDOW / self.time.dt)))

    def _limit(self, most: int | None) -> tuple[RecordedTime, int]:
        """The time that is looked at, and how many spikes are in it."""
        count = len(self.spikes)
        if most is None or count <= most:
            return self.all_of_it, count
        until = int(self._steps(self.spikes.timestamps[most : most + 1])[0])
        while most and self._steps(self.spikes.timestamps[most - 1 : most])[0] == until:
            block = self._steps(self.spikes.timestamps[max(0, most - _PIECE) : most])
            most = max(0, most - _PIECE) + int(np.searchsorted(block, until))
        return self.all_of_it.before(until), most

    def _steps(self, times: np.ndarray) -> np.ndarray:
        dt = self.all_of_it.dt
        if times.size and not (times[0] >= 0 and times[-1] < 2**62 * dt and (np.diff(times) >= 0).all()):
            raise ValueError(f"the spikes of {self.spikes.name} are not in the order of time")
        return np.rint(times / dt).astype(np.int64)

    def pieces(self) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Steps, trains (unit and row as one number) and trials of the spikes, cut where bins begin."""
        held: tuple[np.ndarray, ...] = tuple(np.empty(0, np.int64) for _ in range(3))
        for start in range(0, self.taken, _PIECE):
            part = slice(start, min(start + _PIECE, self.taken))
            steps, trials = self._steps(self.spikes.timestamps[part]), self.spikes.trial[part].astype(np.int64)
            if trials.size and not (0 <= trials.min() and trials.max() < len(self.time.starts)):
                raise ValueError(f"{self.spikes.name} has spikes of trials that there are not")
            if held[0].size and steps[0] < held[0][-1]:
                raise ValueError(f"the spikes of {self.spikes.name} are not in the order of time")
            held = tuple(map(np.concatenate, zip(held, (steps, self._trains(part), trials), strict=True)))
            bins = self.bins.of(held[0], held[2])
            whole = int(np.searchsorted(bins, bins[-1]))
            if whole:
                yield held[0][:whole], held[1][:whole], held[2][:whole]
                held = tuple(each[whole:] for each in held)
        if held[0].size:
            yield held[0], held[1], held[2]

    def _trains(self, part: slice) -> np.ndarray:
        ids = self.spikes.node_ids[part].astype(np.uint64)
        fresh = np.setdiff1d(ids, self.ids)
        if fresh.size:
            if self.ids.size + fresh.size > self.units:
                raise ValueError(f"{self.spikes.name} has spikes of more than its {self.spikes.units} units")
            ids_seen = np.concatenate([self.ids, fresh])
            places = np.concatenate([self.places, self.ids.size + np.arange(fresh.size)])
            order = np.argsort(ids_seen)
            self.ids, self.places = ids_seen[order], places[order]
        place = self.places[np.searchsorted(self.ids, ids)]
        if self.spikes.row is None:
            return place
        row = self.spikes.row[part].astype(np.int64)
        if row.size and not (0 <= row.min() and row.max() < self.batch):
            raise ValueError(f"{self.spikes.name} has spikes of rows that there are not")
        return row * self.units + place

    def statistics(self) -> SpikeStatistics:
        trains = self.units * self.batch
        counts, last_step, last_trial = np.zeros(trains, np.int64), np.zeros(trains, np.int64), np.full(trains, -1)
        binned, squares = np.zeros(trains), np.zeros(trains)
        intervals, counted = _Runs(trains, 3), _Runs(trains, 1)
        regularity, variability = _Regularity(), _Variability(self.units)
        for steps, train, trial in self.pieces():
            counts += np.bincount(train, minlength=trains)
            bins = self.bins.of(steps, trial)
            full = self.bins.full(bins)
            local = np.cumsum(np.diff(bins[full], prepend=-1) != 0)  # bins ascend
            at, many = np.unique((train[full] << 32) + local, return_counts=True)
            binned += np.bincount(at >> 32, many, trains)
            squares += np.bincount(at >> 32, many.astype(float) ** 2, trains)
            order = np.argsort(train, kind="stable")
            steps, train, trial = steps[order], train[order], trial[order]
            apart = np.diff(steps, prepend=0)
            new = np.flatnonzero(np.diff(train, prepend=-1))  # where the spikes of a train begin
            apart[new] = steps[new] - last_step[train[new]]
            inside = np.diff(trial, prepend=-1) == 0
            inside[new] = trial[new] == last_trial[train[new]]
            end = np.append(new[1:], len(train)) - 1
            last_step[train[end]], last_trial[train[end]] = steps[end], trial[end]
            apart = np.where(inside, apart, 0).astype(float)
            regularity.add(*intervals.add(train, trial, np.stack([inside, apart, apart**2], axis=1)))
            variability.add(
                *self._counting(counted.add(train, self._counted_in(steps, trial), np.ones((len(train), 1))))
            )
        regularity.add(*intervals.rest())
        variability.add(*self._counting(counted.rest()))
        together, varying = self._together(binned, squares)
        over = (int(self.like_others.sum()) if self.over_trials else self.windows.count) * self.batch
        by_place = counts.reshape(self.batch, self.units).sum(axis=0)
        looked = self.time.milliseconds * self.batch / 1000
        recorded = self.all_of_it.milliseconds
        seen = recorded * self.spikes.units * self.batch / 1000
        end = self.run.steps * self.time.dt
        return SpikeStatistics(
            count=len(self.spikes),
            units=self.spikes.units,
            batch=self.batch,
            recorded=recorded,
            rate_hz=len(self.spikes) / seen if seen else None,
            until=end if self.taken == len(self.spikes) else float(self.spikes.timestamps[self.taken]),
            whole=self.taken == len(self.spikes),
            node_ids=self.ids,
            rates_hz=by_place[self.places] / looked if looked else np.zeros(len(self.ids)),
            silent=self.spikes.units - len(self.ids),
            cv_isi=regularity.mean,
            cv_trains=regularity.trains,
            fano=variability.mean(over),
            fano_over="trials" if self.over_trials else f"windows of {self.windows.length * self.time.dt:g} ms",
            fano_counts=over,
            synchrony=together,
            synchrony_bin=self.bins.length * self.time.dt,
            synchrony_units=varying,
        )

    def _counted_in(self, steps: np.ndarray, trial: np.ndarray) -> np.ndarray:
        """Which trial or window a spike is counted in."""
        return trial if self.over_trials else self.windows.of(steps, trial)

    def _counting(self, done: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
        """The counts of trials or windows that count: trains and numbers."""
        train, group, sums = done
        kept = self.like_others[group] if self.over_trials else self.windows.full(group)
        return train[kept], sums[kept, 0]

    def _together(self, binned: np.ndarray, squares: np.ndarray) -> tuple[float | None, int]:
        """The mean correlation of two units of a row: of z-scored counts, the variance of their sum says it."""
        number = self.bins.count
        spread = np.sqrt(np.maximum(0.0, squares * number - binned**2)) / max(1, number)
        varies = spread > 1e-9 * np.maximum(1.0, binned / max(1, number))
        weight = np.divide(1.0, spread, out=np.zeros(len(spread)), where=varies)
        of_row = varies.reshape(self.batch, self.units).sum(axis=1)
        pairs = int((of_row * (of_row - 1)).sum())
        if not pairs:
            return None, int(varies.sum())
        total = squared = np.zeros(self.batch)
        for steps, train, trial in self.pieces():
            bins = self.bins.of(steps, trial)
            full = self.bins.full(bins)
            if not full.any():
                continue
            local = np.cumsum(np.diff(bins[full], prepend=-1) != 0) - 1
            row = train[full] // self.units
            sums = np.bincount(local * self.batch + row, weight[train[full]], (local[-1] + 1) * self.batch)
            sums = sums.reshape(-1, self.batch)
            total, squared = total + sums.sum(axis=0), squared + (sums**2).sum(axis=0)
        correlated = squared / number - (total / number) ** 2 - of_row
        return float(correlated.sum() / pairs), int(varies.sum())


class _Spans:
    """Pieces of `length` steps that the recorded time of each trial is cut into, numbered through all trials."""

    def __init__(self, time: RecordedTime, length: int):
        self.length, self._from = length, time.starts + time.first
        recorded = np.maximum(0, time.last - time.first)
        self._whole = recorded // length
        self._before = np.concatenate([[0], np.cumsum(-(-recorded // length))])

    @property
    def count(self) -> int:
        """How many of them are not cut short by the end of their trial."""
        return int(self._whole.sum())

    def of(self, steps: np.ndarray, trial: np.ndarray) -> np.ndarray:
        """The number of the piece that each spike is in. A ValueError where it is in none."""
        inside = (steps - self._from[trial]) // self.length
        number = self._before[trial] + inside
        if number.size and not ((inside >= 0) & (number < self._before[trial + 1])).all():
            raise ValueError("there are spikes where none were recorded")
        return number

    def full(self, number: np.ndarray) -> np.ndarray:
        """Which pieces are not cut short."""
        trial = np.searchsorted(self._before, number, "right") - 1
        return number - self._before[trial] < self._whole[trial]


class _Runs:
    """Sums over the spikes of a train that belong to the same trial or window, also where they come piece by piece."""

    def __init__(self, trains: int, columns: int):
        self.group, self.sums = np.full(trains, -1), np.zeros((trains, columns))

    def add(self, train: np.ndarray, group: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, ...]:
        """Spikes ordered by train, then time. Trains, groups and sums of what is complete."""
        begins = np.flatnonzero(np.diff(train, prepend=-1) | np.diff(group, prepend=-1))
        sums = np.add.reduceat(values, begins, axis=0)
        train, group = train[begins], group[begins]
        first = np.diff(train, prepend=-1) != 0
        last = np.append(first[1:], True)
        goes_on = first & (self.group[train] == group)
        sums[goes_on] += self.sums[train[goes_on]]
        over = train[first & ~goes_on & (self.group[train] >= 0)]
        done = (over, self.group[over], self.sums[over])
        self.group[train[last]], self.sums[train[last]] = group[last], sums[last]
        kept = (train[~last], group[~last], sums[~last])
        return tuple(np.concatenate(pair) for pair in zip(done, kept, strict=True))

    def rest(self) -> tuple[np.ndarray, ...]:
        """What is complete since no more comes."""
        left = np.flatnonzero(self.group >= 0)
        return left, self.group[left], self.sums[left]


class _Regularity:
    """Coefficients of variation of the intervals of trains."""

    def __init__(self) -> None:
        self.trains, self.total = 0, 0.0

    def add(self, train: np.ndarray, group: np.ndarray, sums: np.ndarray) -> None:
        del train, group
        number, total, squares = sums[(sums[:, 0] >= 2) & (sums[:, 1] > 0)].T
        self.trains += len(number)
        positive = np.maximum(0.0, number * squares - total**2)  # of whole numbers, so exact
        self.total += float(np.sum(np.sqrt(positive) / total))

    @property
    def mean(self) -> float | None:
        return self.total / self.trains if self.trains else None


class _Variability:
    """Counts of each unit over trials or windows."""

    def __init__(self, units: int):
        self.units, self.total, self.squares = units, np.zeros(units), np.zeros(units)

    def add(self, train: np.ndarray, count: np.ndarray) -> None:
        unit = train % self.units
        self.total += np.bincount(unit, count, self.units)
        self.squares += np.bincount(unit, count**2, self.units)

    def mean(self, number: int) -> float | None:
        """Of units that spiked: the variance of their counts over the mean; `number` counts, those of 0 among them."""
        spiked = self.total > 0
        if number < 2 or not spiked.any():
            return None
        mean = self.total[spiked] / number
        return float(np.mean((self.squares[spiked] / number - mean**2) / mean))


def lines(told: Mapping[str, Any]) -> list[str]:
    """The document of statistics as words."""
    found = []
    if told["cv_isi"] is not None:
        found.append(f"CV of intervals {told['cv_isi']:.4g}, mean of {_trains(told['cv_trains'])}")
    if told["fano"] is not None:
        found.append(f"Fano factor {told['fano']:.4g}, over {told['fano_counts']:,} {told['fano_over']}")
    if told["synchrony"] is not None:
        found.append(f"correlation of pairs {told['synchrony']:.4g}, in bins of {told['synchrony_bin']:g} ms")
    if found and not told["whole"]:
        found.append(f"these three are of the spikes before {told['until']:g} ms")
    return found


def _trains(count: int) -> str:
    return f"{count:,} train{'s' * (count != 1)}"
