"""Time to first spike, against its formulas in double precision."""

from __future__ import annotations

import numpy as np
import pytest
from stepping import run
from through_engine import recorded

from synsim.components.ttfs_cell import TTFSCell

X = np.random.default_rng(0).uniform(0.0, 1.0, size=(3, 20))
X[0, :3] = 1.0, 0.0, -2.0
X[1, :3] = 1.5, 1e-4, 0.3


def expected(mode, n):
    x = np.clip(X, 1e-7, 1.0)
    if mode == "exponential":
        return np.round((np.exp(-x) - np.exp(-1)) / (np.exp(-1e-7) - np.exp(-1)) * (n - 1))
    late = -np.log(x)
    return np.round(late / np.maximum(late.max(1, keepdims=True), -np.log(0.01)) * (n - 1))


@pytest.mark.parametrize("dt", [1.0, 0.1])
@pytest.mark.parametrize("mode", ["exponential", "logarithmic"])
def test_one_spike_each_in_the_step_of_the_formula(mode, dt):
    """Row by row: the reference's logarithmic scale is that of the whole batch."""
    steps, n = 60, 50
    cell = TTFSCell(n_units=20, num_steps=n, latency_mode=mode, tau_ref=4)
    found = run(cell, {"inputs": np.broadcast_to(X, (steps, 3, 20))}, steps, dt=dt, batch=3)
    spikes = found["outputs"]
    np.testing.assert_array_equal(spikes.sum(0), 1)
    at = spikes.argmax(0)
    np.testing.assert_array_equal(at, expected(mode, n))
    assert at[0, 0] == 0 and at[0, 1] == at[0, 2] == n - 1
    np.testing.assert_allclose(found["tols"][-1], at * dt, rtol=1e-6)
    np.testing.assert_array_equal(found["has_fired"], np.cumsum(spikes, axis=0))
    since = np.arange(steps)[:, None, None] - at
    np.testing.assert_array_equal(found["refractory_counter"], np.where(since >= 0, np.maximum(4 - since, 0), 0))


def test_the_inputs_of_the_first_step_count():
    inputs = np.random.default_rng(1).uniform(size=(60, 3, 20))
    inputs[0] = X
    found = run(TTFSCell(n_units=20, num_steps=50), {"inputs": inputs}, 60, batch=3)
    np.testing.assert_array_equal(found["outputs"].argmax(0), expected("exponential", 50))


def test_every_trial_starts_again():
    found = recorded(
        "TTFSCell", ["outputs"], steps=25, trials=3, batch=2, n_units=(2, 2), num_steps=20, wires={"inputs": 0.5}
    )
    spikes = found["outputs"]
    np.testing.assert_array_equal(spikes.sum(1), 1)
    assert (spikes.argmax(1) == spikes[0, :, 0, 0, 0].argmax()).all()
