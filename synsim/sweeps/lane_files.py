"""The finished files of the points whose lanes went side by side: each read out of their segments, and written once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from synsim.layout import Layout, RecordLayout, States, group_of
from synsim.segments import Segments

Order = np.ndarray | None  # which rows of a segment belong to one lane after another; None: they stand so


class Lanes:
    """The segments of several lanes: `lane` gives what one of them holds."""

    def __init__(self, segments: Segments, group: Layout):
        self.segments, self.group = segments, group
        self.records = {record.name: record for record in group.records}
        self._bounds: dict[str, list[tuple[np.ndarray, Order]]] = {}

    def lane(self, number: int, point: Layout) -> Lane:
        """The rows of one lane, as those of a run that has the layout `point`."""
        return Lane(self, number, point)

    def begins(self, point: Layout) -> dict[str, float]:
        """The time of the first row of each record that is a report in the file of a point."""
        found = {}
        for record in point.records:
            times = f"{group_of(self.group, self.records[record.name])}/time"
            if record.form == "report" and self.segments.rows(times):
                found[record.name] = float(self.segments.read(times, 0, 1)[0])
        return found

    def bounds(self, at: str) -> list[tuple[np.ndarray, Order]]:
        """For each segment, where the spikes of each lane begin; after the last, where they end."""
        if at not in self._bounds:
            found, first = [], 0
            rows = self.group.batch // self.group.lanes
            for count in self.segments.counts(f"{at}/row"):
                lanes, order = np.empty(0, np.int32), None
                if count:
                    lanes = self.segments.read(f"{at}/row", first, first + count) // rows
                if np.any(np.diff(lanes) < 0):  # small segments were made one
                    order = np.argsort(lanes, kind="stable")
                    lanes = lanes[order]
                found.append((np.searchsorted(lanes, np.arange(self.group.lanes + 1)), order))
                first += count
            self._bounds[at] = found
        return self._bounds[at]


class Lane:
    """What one lane holds, as `merging.merge` reads the segments of a single run."""

    def __init__(self, lanes: Lanes, number: int, point: Layout):
        self._lanes, self._segments, self.number, self.point = lanes, lanes.segments, number, point
        self.steps = lanes.segments.steps
        self._at = {
            group_of(point, record): (record, group_of(lanes.group, lanes.records[record.name]))
            for record in point.records
        }

    def rows(self, path: str) -> int:
        """Rows of a dataset of the point's file."""
        record, there = self._place(path)
        if record is not None and record.form == "events" and self._lanes.group.batch > 1:
            bounds = self._lanes.bounds(there.rpartition("/")[0])
            return int(sum(starts[self.number + 1] - starts[self.number] for starts, _ in bounds))
        return self._segments.rows(there)

    def held(self, group: str) -> tuple[int, int]:
        """Bytes of the values of the datasets in a group, and how many of them stand on the disk: about."""
        _, there = self._place(f"{group}/data")
        raw, stored = self._segments.held(there.rpartition("/")[0])
        return raw // self._lanes.group.lanes, stored // self._lanes.group.lanes

    def pieces(self, path: str, ahead: Sequence[str] = ()) -> Iterator[np.ndarray]:
        """The rows of a dataset, segment by segment."""
        del ahead
        record, there = self._place(path)
        if record is not None and record.form == "events" and self._lanes.group.batch > 1:
            yield from self._spikes(there)
            return
        chosen, squeezed = self._chosen(record, path.rpartition("/")[2])
        first = 0
        for count in self._segments.counts(there):
            if count:
                rows = self._segments.read(there, first, first + count, chosen)
                yield np.ascontiguousarray(rows[:, 0] if squeezed else rows)
            first += count

    def _place(self, path: str) -> tuple[RecordLayout | None, str]:
        """The record of a dataset of the point's file, and where it stands in the segments."""
        group, _, name = path.rpartition("/")
        if group not in self._at:
            return None, path
        record, there = self._at[group]
        return record, f"{there}/{name}"

    def _chosen(self, record: RecordLayout | None, name: str) -> tuple[tuple[slice, ...], bool]:
        """What of the rows is this lane's, and whether that axis goes: where the point has no such axis."""
        whole, wide = ((), False), self._lanes.group.batch > 1
        if record is None:  # the trial table
            if name in ("phase", "epoch", "start") or not wide:
                return whole
            size = self.point.batch
        else:
            if name != "data":
                return whole
            axes = self._lanes.records[record.name].axes
            if axes and axes[0][0] == "lane":
                return (slice(self.number, self.number + 1),), True
            if not wide:
                return whole
            size = record.batch
        return (slice(self.number * size, (self.number + 1) * size),), size == 1

    def _spikes(self, path: str) -> Iterator[np.ndarray]:
        at, _, name = path.rpartition("/")
        first = 0
        for count, (starts, order) in zip(self._segments.counts(path), self._lanes.bounds(at), strict=True):
            low, high = int(starts[self.number]), int(starts[self.number + 1])
            if high > low:
                if order is None:
                    rows = self._segments.read(path, first + low, first + high)
                else:
                    rows = self._segments.read(path, first, first + count)[order[low:high]]
                yield rows - np.int32(self.number * self.point.batch) if name == "row" else rows
            first += count


def of_lane(states: States, number: int) -> dict[str, dict[str, Any]]:
    """The states of one lane, out of those of all."""
    return {
        component: {name: (value[number], unit, doc, axes[1:]) for name, (value, unit, doc, axes) in held.items()}
        for component, held in states.items()
    }
