"""Overlap of two patterns."""

from __future__ import annotations

import numpy as np
import pytest
from stepping import run

from synsim.components.overlap import Overlap

RNG = np.random.default_rng(0)
A, B = RNG.normal(size=(3, 4, 16)), RNG.normal(size=(3, 4, 16))
B[:, :2] = A[:, :2] + 0.2 * B[:, :2]


def test_cosine():
    cosine = (A * B).sum(-1) / (np.linalg.norm(A, axis=-1) * np.linalg.norm(B, axis=-1))
    images = {"outputs": A.reshape(3, 4, 4, 4, 1), "targets": B.reshape(3, 4, 4, 4, 1)}
    found = run(Overlap(n_units=(4, 4, 1), criterion=0.9), images, 3, batch=4)
    for k in range(3):
        assert found["overlap"][k] == pytest.approx(cosine[: k + 1].mean(), rel=1e-5)
        assert found["recalled"][k] == pytest.approx((cosine[: k + 1] > 0.9).mean(), rel=1e-6)
    np.testing.assert_allclose(found["overlaps"], cosine, rtol=1e-5, atol=1e-6)  # of this call alone, a row each
    assert 0.0 < found["recalled"][-1] < 1.0


def test_hamming():
    a, b = np.sign(A), np.sign(B)
    found = run(Overlap(n_units=16, measure="hamming", criterion=0.8), {"outputs": a, "targets": b}, 3, batch=4)
    same = (a == b).mean(-1)
    assert found["overlap"][-1] == pytest.approx(same.mean(), rel=1e-6)
    assert found["recalled"][-1] == pytest.approx((same > 0.8).mean(), rel=1e-6)
    np.testing.assert_allclose(found["overlaps"], same, rtol=1e-6)


def test_an_empty_pattern_overlaps_with_nothing():
    found = run(Overlap(n_units=4), {"outputs": 0.0, "targets": 1.0}, 1, batch=2)
    assert found["overlap"].item() == 0.0 and (found["overlaps"] == 0.0).all() and found["recalled"].item() == 0.0


def test_sums_are_kept_for_a_phase_and_the_figures_are_shown():
    declared = Overlap(n_units=3).compartments
    assert all(declared[name].per_phase for name in ("total", "hits", "rows"))
    assert declared["overlap"].shown and declared["recalled"].shown
