"""Ranges and histograms of values that come in pieces are those of all of them."""

from __future__ import annotations

import numpy as np
import pytest

from synsim.inspection.measures import Histogram, Range


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.uint8])
def test_pieces_are_as_the_whole(dtype):
    values = (np.random.default_rng(3).normal(100, 20, 5000)).astype(dtype)
    seen = Range()
    for piece in np.array_split(values, 7):
        seen.add(piece)
    told = seen.document()
    assert (told["min"], told["max"], told["not_finite"]) == (values.min(), values.max(), 0)
    assert told["mean"] == pytest.approx(values.mean(dtype=np.float64))
    found = Histogram(told["min"], told["max"])
    for piece in np.array_split(values, 3):
        found.add(piece)
    counts, edges = np.histogram(values.astype(np.float64), 16)
    assert found.document() == {"edges": edges.tolist(), "counts": counts.tolist()}


def test_what_is_not_finite_counts_apart():
    seen, found = Range(), Histogram(1.0, 3.0)
    with np.errstate(invalid="ignore"):
        for piece in ([1.0, np.nan], [np.inf, 3.0, -np.inf], [np.nan], []):
            seen.add(np.array(piece))
            found.add(np.array(piece))
    assert seen.document() == {"min": 1.0, "mean": 2.0, "max": 3.0, "not_finite": 4}
    assert sum(found.counts) == 2 and found.counts[0] == found.counts[-1] == 1
    assert Range().document()["min"] is None


def test_equal_values_are_one_bin_and_so_are_those_that_nothing_lies_between():
    one = Histogram(5.0, 5.0)
    one.add(np.full(9, 5.0))
    assert one.document() == {"edges": [5.0, 5.0], "counts": [9]}
    tight = Histogram(1.0, float(np.nextafter(1.0, 2)))
    tight.add(np.array([1.0, np.nextafter(1.0, 2)]))
    assert tight.counts.tolist() == [2]
