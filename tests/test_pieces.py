"""A run is cut into pieces that cover it."""

from __future__ import annotations

from synsim.pieces import pieces


def test_pieces_cover_every_step_once():
    for trials, steps, length in [(1, 10, 3), (5, 4, 9), (3, 7, 7), (2, 5, 100), (4, 6, 1)]:
        seen = []
        for piece in pieces(trials, steps, length):
            n = max(1, piece.n)
            for i in range(piece.length):
                trial, k = divmod(piece.k + i, steps)
                seen.append((piece.trial + trial, k))
            assert piece.length == (n * steps if piece.n else piece.length)
        assert seen == [(t, k) for t in range(trials) for k in range(steps)]
