"""Thinning hides nothing: an envelope is the lowest and the highest of what it stands for, and says what it read."""

from __future__ import annotations

import numpy as np
import pytest

from synsim.thinning import BLOCK, envelope, place, spread


def each(block: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return block, block, block


class Watched:
    """An array that remembers which rows were read."""

    def __init__(self, values: np.ndarray):
        self.values, self.shape, self.dtype = values, values.shape, values.dtype
        self.rows: list[tuple[int, int]] = []

    def __getitem__(self, key):
        first = key[0] if isinstance(key, tuple) else key
        self.rows.append((first.start, first.stop) if isinstance(first, slice) else (first, first + 1))
        return self.values[key]


@pytest.mark.parametrize(("start", "stop", "bins"), [(0, 10_000, 700), (13, 9_001, 64), (5, 17, 700), (0, 3, 2)])
def test_every_bin_is_the_lowest_the_highest_and_the_mean_of_its_rows(start, stop, bins):
    values = np.random.default_rng(1).normal(size=(10_000, 3)).astype(np.float32)
    values[::97, 1] = np.nan
    values[50:200, 2] = np.inf
    found = envelope(values, start, stop, bins, each)
    assert len(found.first) == min(bins, stop - start) and found.read == found.rows == stop - start
    ends = [*found.first[1:], stop]
    for at, (first, last) in enumerate(zip(found.first, ends, strict=True)):
        for lane in range(3):
            some = values[first:last, lane]
            some = some[np.isfinite(some)]
            want = (some.min(), some.max(), some.mean(dtype=np.float64)) if len(some) else (np.nan,) * 3
            got = found.low[at, lane], found.high[at, lane], found.mean[at, lane]
            np.testing.assert_allclose(got, want, rtol=1e-6)
    assert found.exact == (stop - start <= bins) and bool(found.note) != found.exact


def test_one_value_among_millions_is_seen_and_little_is_held():
    values = np.zeros((3_000_000, 1), np.float32)
    values[1_234_567] = 5
    watched = Watched(values)
    found = envelope(watched, 0, len(values), 600, each)
    assert found.high.max() == 5 and found.low.min() == 0
    assert max(last - first for first, last in watched.rows) * 4 <= BLOCK
    assert sum(last - first for first, last in watched.rows) == len(values)


def test_what_is_too_much_is_read_in_part_and_that_is_said():
    values = np.arange(100_000, dtype=np.float32)[:, None]
    watched = Watched(values)
    found = envelope(watched, 0, len(values), 100, each, budget=40_000)
    assert sum(last - first for first, last in watched.rows) == found.read == 2_500
    assert (found.low[:, 0] == found.first).all() and (found.high[:, 0] == found.first + 24).all()
    assert found.note == "lowest and highest of every 1,000 rows, of which 2.5 % evenly spread were read"
    ranges = spread(values, 10, 90_000, budget=40_000)
    read = np.concatenate([np.arange(*some) for some in ranges])
    assert len(read) == len(set(read)) and 8_000 / 4 <= len(read) <= 10_000 / 4
    assert read.min() == 10 and read.max() > 89_000 - 400
    assert sum(b - a for a, b in spread(values, 10, 90_000)) == 89_990


def test_a_place_in_a_sorted_column():
    column = np.sort(np.random.default_rng(0).integers(0, 50, 200)).astype(float)
    for value in (-1.0, 0.0, 7.0, 7.5, 49.0, 60.0):
        for side in ("left", "right"):
            assert place(column, value, side) == np.searchsorted(column, value, side)
    assert place(np.empty(0), 3.0) == 0
