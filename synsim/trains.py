"""Spikes of a population in a file: chosen by time, unit, trial and row, and read when their columns are asked for."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from synsim.faults import ConfigError, StoreError

BLOCK = 1 << 20  # spikes that are looked at at once


class Column(Protocol):
    """One value a spike, in a file."""

    def __len__(self) -> int: ...

    def __getitem__(self, key: Any) -> np.ndarray: ...


@dataclass(frozen=True)
class Chosen:
    """Which spikes: times in ms from `start` on and before `stop`, and those of some units, trials and rows."""

    start: float
    stop: float
    units: tuple[int, ...] | None = None
    trial: tuple[int, ...] | None = None
    row: tuple[int, ...] | None = None


class Trains:
    """The spikes of a population, in the order of time: `timestamps` in ms of the run, `node_ids`, `trial`, and `row`
    of the batch (None where batch is 1), arrays that are read when they are first asked for.

    `units` are the ids that there are; `chosen` says which spikes these are of all. In pieces, also of more than fits
    into memory, they come by `blocks`.
    """

    def __init__(
        self,
        name: str,
        columns: Mapping[str, Column],
        ids: np.ndarray,
        batch: int,
        chosen: Chosen,
        starts: Callable[[], np.ndarray],
        in_order: bool = True,
    ):
        """`ids` ascend; `starts` tells when trials begin; `in_order` says that the columns are in the order of time."""
        self.name, self._columns, self._ids, self.batch = name, columns, ids, batch
        self.chosen, self._starts, self._in_order = chosen, starts, in_order

    def __len__(self) -> int:
        return len(self.timestamps) if self._picky else self._range[1] - self._range[0]

    def __repr__(self) -> str:
        it = self.chosen
        rows = f" in {self.batch} rows" if self.batch > 1 else ""
        return f"<spikes of {self.name}: {len(self.units):,} units{rows}, {it.start:g} to {it.stop:g} ms>"

    @property
    def units(self) -> np.ndarray:
        """Ids of the units that these spikes may be of, those that are silent too."""
        wanted = self.chosen.units
        return self._ids if wanted is None else self._ids[np.isin(self._ids, wanted)]

    @property
    def rows(self) -> np.ndarray:
        """Rows of the batch that these spikes may be of."""
        every = np.arange(self.batch)
        return every if self.chosen.row is None else every[np.isin(every, self.chosen.row)]

    @cached_property
    def timestamps(self) -> np.ndarray:
        """Times in ms of the run."""
        return self._read("timestamps", np.float64)

    @cached_property
    def node_ids(self) -> np.ndarray:
        """The unit of each spike."""
        return self._read("node_ids", np.uint64)

    @cached_property
    def trial(self) -> np.ndarray:
        """The trial of each spike."""
        return self._read("trial", np.int32)

    @cached_property
    def row(self) -> np.ndarray | None:
        """The row of the batch of each spike; None where batch is 1."""
        return self._read("row", np.int32) if "row" in self._columns else None

    def select(
        self,
        start: float | None = None,
        stop: float | None = None,
        *,
        units: int | Sequence[int] | None = None,
        trial: int | Sequence[int] | None = None,
        row: int | Sequence[int] | None = None,
    ) -> Trains:
        """Some of them: from `start` on and before `stop` (ms of the run), of these units, trials or rows."""
        it = self.chosen
        if row is not None and "row" not in self._columns:
            raise ConfigError(f"{self.name} has no rows of a batch to choose from")
        new = replace(
            it,
            start=it.start if start is None else max(it.start, float(start)),
            stop=it.stop if stop is None else min(it.stop, float(stop)),
            units=_both(it.units, units),
            trial=_both(it.trial, trial),
            row=_both(it.row, row),
        )
        if trial is not None and new.trial:
            new = self._within(new, new.trial)
        new = replace(new, stop=max(new.start, new.stop))
        return Trains(self.name, self._columns, self._ids, self.batch, new, self._starts, self._in_order)

    def _within(self, it: Chosen, trials: Sequence[int]) -> Chosen:
        """What is chosen, from the start of the first of some trials to the end of the last."""
        starts = np.asarray(self._starts(), np.float64)
        if outside := [each for each in trials if not 0 <= each < len(starts)]:
            raise ConfigError(f"there is no trial {outside[0]}: the run has {len(starts):,}")
        end = float(starts[max(trials) + 1]) if max(trials) + 1 < len(starts) else it.stop
        return replace(it, start=max(it.start, float(starts[min(trials)])), stop=min(it.stop, end))

    def blocks(self, names: Sequence[str] | None = None) -> Iterator[dict[str, np.ndarray]]:
        """Their columns, all or those named, in pieces that fit into memory."""
        wanted = list(self._columns) if names is None else list(names)
        first, last = self._range
        for at in range(first, last, BLOCK):
            part = slice(at, min(last, at + BLOCK))
            kept = self._kept(part)
            if kept is None:
                yield {name: np.asarray(self._columns[name][part]) for name in wanted}
            elif kept.any():
                yield {name: np.asarray(self._columns[name][part])[kept] for name in wanted}

    def by_train(self) -> dict[tuple[int, int], np.ndarray]:
        """Times by (row, unit), silent ones too, each ascending; row 0 where batch is 1."""
        ids, rows = self.units, self.rows
        unit = np.searchsorted(self._ids, self.node_ids)
        place = unit if self.row is None else self.row.astype(np.int64) * len(self._ids) + unit
        rows_there = 1 if self.row is None else int(self.row.max(initial=0)) + 1
        if not np.isin(self.node_ids, self._ids).all() or rows_there > self.batch:
            raise StoreError(f"the spikes of {self.name} are damaged: some are of units or rows that there are not")
        order = np.lexsort((self.timestamps, place))
        times, place = self.timestamps[order], place[order]
        found = {}
        for row in rows.tolist():
            at = row * len(self._ids) + np.searchsorted(self._ids, ids)
            low, high = np.searchsorted(place, at), np.searchsorted(place, at, "right")
            found |= {(row, int(id)): times[a:b] for id, a, b in zip(ids, low, high, strict=True)}
        return found

    def to_neo(self) -> Any:
        """A neo Segment with a SpikeTrain for each unit (and row of the batch), silent ones too, in ms.

        Its trains begin and end with what was chosen: `select(trial=3)` gives those of one trial. Raises ConfigError
        where neo is not installed.
        """
        try:
            import neo
            import quantities
        except ImportError:
            raise ConfigError("to_neo() needs neo, which is not installed: pip install 'synsim[neo]'") from None
        it, many = self.chosen, "row" in self._columns
        train: Any = neo.SpikeTrain
        segment = neo.Segment(name=self.name)
        for (row, unit), times in self.by_train().items():
            segment.spiketrains.append(
                train(
                    times,
                    units=quantities.ms,
                    t_start=it.start * quantities.ms,
                    t_stop=it.stop * quantities.ms,
                    name=f"{self.name} {unit}" + (f" row {row}" if many else ""),
                    unit=unit,
                    **({"row": row} if many else {}),
                )
            )
        return segment

    def to_pandas(self) -> Any:
        """A pandas DataFrame with a line for each spike: time (ms), unit, trial, and row where there are several."""
        try:
            import pandas
        except ImportError:
            raise ConfigError("to_pandas() needs pandas, which is not installed: pip install 'synsim[view]'") from None
        columns = {"time": self.timestamps, "unit": self.node_ids.astype(np.int64), "trial": self.trial}
        return pandas.DataFrame(columns if self.row is None else {**columns, "row": self.row})

    @property
    def _picky(self) -> bool:
        """Whether spikes within the range of the file's rows are left out."""
        it = self.chosen
        return not (it.units is None and it.trial is None and it.row is None and self._in_order)

    @cached_property
    def _range(self) -> tuple[int, int]:
        """Rows of the columns that may hold them."""
        times = self._columns["timestamps"]
        if not self._in_order or not len(times):
            return 0, len(times)
        it = self.chosen
        low = 0 if it.start <= float(times[0]) else bisect_left(times, it.start)
        high = len(times) if it.stop > float(times[-1]) else bisect_left(times, it.stop, low)
        return low, high

    @cached_property
    def _mask(self) -> np.ndarray | None:
        first, last = self._range
        parts = [self._kept(slice(at, min(last, at + BLOCK))) for at in range(first, last, BLOCK)]
        known = [part for part in parts if part is not None]
        return np.concatenate(known) if known else None

    def _kept(self, part: slice) -> np.ndarray | None:
        """Which of some rows are chosen; None: all of them."""
        it = self.chosen
        if not self._picky:
            return None
        kept = np.ones(part.stop - part.start, bool)
        if not self._in_order:
            times = self._columns["timestamps"][part]
            kept &= (times >= it.start) & (times < it.stop)
        for name, wanted in (("node_ids", it.units), ("trial", it.trial), ("row", it.row)):
            if wanted is not None:
                kept &= np.isin(self._columns[name][part], wanted)
        return kept

    def _read(self, name: str, dtype: Any) -> np.ndarray:
        first, last = self._range
        if self._mask is None:
            return np.asarray(self._columns[name][first:last])
        parts = [
            self._columns[name][slice(at, min(last, at + BLOCK))][self._mask[at - first : at - first + BLOCK]]
            for at in range(first, last, BLOCK)
        ]
        return np.concatenate([np.empty(0, dtype), *parts])


def _both(before: tuple[int, ...] | None, wanted: int | Sequence[int] | None) -> tuple[int, ...] | None:
    if wanted is None:
        return before
    numbers = tuple(int(each) for each in np.atleast_1d(np.asarray(wanted)).tolist())
    return numbers if before is None else tuple(sorted({*before} & {*numbers}))
