"""What is said of many numbers: their range and mean, a line of blocks over time, a histogram."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

BLOCKS = "▁▂▃▄▅▆▇█"
GAP = "·"  # stands where there is no finite value, or nothing was looked at
COLUMNS = 60
BINS = 16


@dataclass
class Range:
    """Smallest, mean and largest of the finite values seen so far."""

    low: float = math.inf
    high: float = -math.inf
    total: float = 0.0
    count: int = 0
    not_finite: int = 0

    def add(self, values: np.ndarray) -> None:
        """More values, of any shape."""
        if not values.size:
            return
        low, high = float(values.min()), float(values.max())
        if not (math.isfinite(low) and math.isfinite(high)):
            finite = values[np.isfinite(values)]
            self.not_finite += values.size - finite.size
            values = finite
            if not values.size:
                return
            low, high = float(values.min()), float(values.max())
        self.low, self.high = min(self.low, low), max(self.high, high)
        self.total += float(values.sum(dtype=np.float64))
        self.count += values.size

    def document(self) -> dict[str, Any]:
        """As JSON; null where there is no finite value."""
        if not self.count:
            return {"min": None, "mean": None, "max": None, "not_finite": self.not_finite}
        mean = min(max(self.total / self.count, self.low), self.high)
        return {"min": self.low, "mean": mean, "max": self.high, "not_finite": self.not_finite}


@dataclass
class Spark:
    """A line of blocks: each column is the mean of equally many rows on end (the last of what is left), or of those of
    them that were looked at."""

    rows: int
    per_column: int = field(init=False)
    sums: np.ndarray = field(init=False)
    counts: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.per_column = max(1, math.ceil(self.rows / COLUMNS))
        columns = math.ceil(self.rows / self.per_column)
        self.sums, self.counts = np.zeros(columns), np.zeros(columns)

    def add(self, first: int, values: np.ndarray) -> None:
        """Rows on end, (rows, values of each); those with a value that is not finite are left out of the means."""
        if not values.shape[1]:
            return
        sums = values.sum(axis=1, dtype=np.float64)
        place = (first + np.arange(len(sums))) // self.per_column
        kept = np.isfinite(sums) & (place < len(self.sums))
        self.sums += np.bincount(place[kept], sums[kept], len(self.sums))
        self.counts += np.bincount(place[kept], minlength=len(self.sums)) * values.shape[1]

    def document(self, of: str) -> dict[str, Any]:
        """The blocks, the range that they span, and what a column is the mean of."""
        means = np.divide(self.sums, self.counts, out=np.full(len(self.sums), np.nan), where=self.counts > 0)
        known = means[np.isfinite(means)]
        low, high = (float(known.min()), float(known.max())) if known.size else (None, None)
        return {"blocks": blocks(means), "low": low, "high": high, "per_column": self.per_column, "of": of}


def blocks(values: np.ndarray) -> str:
    """Numbers as blocks from the smallest to the largest of them; equal ones are all low."""
    known = values[np.isfinite(values)]
    if not known.size:
        return GAP * len(values)
    low, high = float(known.min()), float(known.max())
    step = (high / len(BLOCKS) - low / len(BLOCKS)) or 1.0
    return "".join(
        BLOCKS[min(len(BLOCKS) - 1, int((value - low) / step))] if math.isfinite(value) else GAP for value in values
    )


class Histogram:
    """How many finite values are in each of 16 equal bins from the smallest to the largest; of equal ones, one bin."""

    def __init__(self, low: float, high: float):
        self.edges = np.array([low, high]) if low == high else np.linspace(low, high, BINS + 1)
        if not (np.diff(self.edges) > 0).all():  # numbers too close to each other to be told apart
            self.edges = np.array([low, high])
        self.counts = np.zeros(len(self.edges) - 1, np.int64)

    def add(self, values: np.ndarray) -> None:
        """More values, of any shape."""
        if len(self.counts) == 1:
            self.counts[0] += int(np.isfinite(values).sum())
            return
        values = values[np.isfinite(values)].astype(np.float64)
        scale = len(self.counts) / (self.edges[-1] - self.edges[0])
        place = np.clip(((values - self.edges[0]) * scale).astype(np.int64), 0, len(self.counts) - 1)
        self.counts += np.bincount(place, minlength=len(self.counts))

    def document(self) -> dict[str, Any]:
        """Edges and counts."""
        return {"edges": self.edges.tolist(), "counts": self.counts.tolist()}
