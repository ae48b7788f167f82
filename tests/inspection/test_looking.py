"""Of small arrays everything is looked at, of large ones pieces that are evenly chosen, and memory stays small."""

from __future__ import annotations

import numpy as np
import pytest

from synsim.inspection import looking
from synsim.inspection.looking import Look, shares


class Counted:
    """An array that counts what is read of it at a time."""

    def __init__(self, values: np.ndarray):
        self.values, self.shape, self.dtype, self.largest, self.read = values, values.shape, values.dtype, 0, 0

    def __getitem__(self, key):
        part = self.values[key]
        self.largest, self.read = max(self.largest, part.nbytes), self.read + part.nbytes
        return part


@pytest.mark.parametrize("shape", [(1,), (1000,), (0, 3), (1000, 7), (50, 40, 30), (3, 0)])
def test_what_is_small_is_read_whole(shape, monkeypatch):
    monkeypatch.setattr(looking, "_PIECE", 4096)
    values = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    look = Look(Counted(values), 1 << 20)
    pieces = list(look)
    assert look.whole and look.share is None
    assert (
        np.concatenate([np.empty(0), *(piece.values.ravel() for piece in pieces)]).tolist() == values.ravel().tolist()
    )
    at = 0
    for piece in pieces:
        assert piece.first == (at if len(shape) == 1 or look._parts == 1 else piece.first)
        at += len(piece.values)


def test_of_what_is_large_pieces_are_read(monkeypatch):
    monkeypatch.setattr("synsim.layout.CHUNK_BYTES", 4096)
    values = np.random.default_rng(0).random((20_000, 16), np.float32)
    array = Counted(values)
    look = Look(array, values.nbytes // 10)
    pieces = list(look)
    assert not look.whole and look.share == pytest.approx(0.1, rel=0.05)
    assert array.read <= values.nbytes / 9 and array.largest <= 4096
    assert pieces[0].first == 0 and (pieces[-1].values == values[-len(pieces[-1].values) :]).all()
    for piece in pieces:
        assert (piece.values == values[piece.first : piece.first + len(piece.values)]).all()
    gaps = np.diff([piece.first for piece in pieces])
    assert gaps.max() <= gaps.min() + 2 * len(pieces[0].values)


@pytest.mark.parametrize("most", [None, 40_000])
def test_rows_that_are_large_are_cut(monkeypatch, most):
    monkeypatch.setattr(looking, "_PIECE", 2000)
    values = np.arange(4 * 100 * 50, dtype=np.float32).reshape(4, 100, 50)
    array = Counted(values)
    look = Look(array, most)
    seen = np.concatenate([piece.values.ravel() for piece in look])
    assert array.largest <= 2000
    if most is None:
        assert (seen == values.ravel()).all() and look.whole
    else:
        assert seen.nbytes <= most and seen[0] == 0 and seen[-1] == values[-1, -1, -1]
        assert look.share == pytest.approx(seen.size / values.size)


def test_small_arrays_are_read_whole_and_large_ones_share():
    assert shares([10, 20, 30], 100) == [10, 20, 30]
    assert shares([1000, 10, 2000], 100) == [45, 10, 45]
    assert shares([], 100) == [] and shares([5], 0) == [0]
