"""The Bernoulli encoder by its distribution."""

from __future__ import annotations

import numpy as np
import pytest
from stepping import run

from synsim.components.bernoulli_cell import BernoulliCell


@pytest.mark.parametrize("dt", [1.0, 0.1])
def test_probability_is_the_input_whatever_the_step(dt):
    p, steps, rows = np.array([-1.0, 0.0, 0.2, 0.7, 1.0, 2.0]), 400, 250
    found = run(BernoulliCell(n_units=6), {"inputs": np.tile(p, (steps, rows, 1))}, steps, dt=dt, batch=rows)
    expected = np.clip(p, 0.0, 1.0)
    allowed = 4.5 * np.sqrt(expected * (1 - expected) / (steps * rows))
    assert (np.abs(found["outputs"].mean((0, 1)) - expected) <= allowed + 1e-9).all()


def test_time_of_the_last_spike():
    inputs = np.array([0.0, 1.0, 0.0, 1.0, 0.0]).reshape(5, 1, 1)
    found = run(BernoulliCell(n_units=1), {"inputs": inputs}, 5, dt=2.0)
    np.testing.assert_array_equal(found["outputs"].ravel(), [0, 1, 0, 1, 0])
    np.testing.assert_array_equal(found["tols"].ravel(), [0, 2, 2, 6, 6])
