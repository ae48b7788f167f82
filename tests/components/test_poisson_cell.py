"""The Poisson encoder by its distribution."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from stepping import run

from synsim.components.poisson_cell import PoissonCell

STEPS, ROWS = 400, 250  # 100,000 draws a unit


def test_rate_follows_the_input_the_frequency_and_the_step():
    intensity = np.array([0.0, 0.25, 0.5, 1.0])
    for dt in (1.0, 0.5):
        cell = PoissonCell(n_units=4, target_freq=100.0)
        found = run(cell, {"inputs": np.tile(intensity, (STEPS, ROWS, 1))}, STEPS, dt=dt, batch=ROWS)["outputs"]
        p = intensity * 0.1 * dt
        assert (np.abs(found.mean((0, 1)) - p) <= 4.5 * np.sqrt(p * (1 - p) / (STEPS * ROWS))).all()
        assert set(np.unique(found)) == {0.0, 1.0}


def test_steps_rows_and_units_are_independent():
    cell = PoissonCell(n_units=2, target_freq=500.0)
    found = run(cell, {"inputs": 1.0}, STEPS, batch=ROWS)["outputs"]
    n = STEPS * ROWS
    for a, b in ((found[1:], found[:-1]), (found[:, 1:], found[:, :-1]), (found[..., :1], found[..., 1:])):
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 4.5 / np.sqrt(n)
    intervals = np.diff(np.flatnonzero(found[:, 0, 0]))
    assert intervals.min() == 1  # no refractory period


def test_saturates_at_one_spike_a_step():
    cell = PoissonCell(n_units=1, target_freq=5000.0)
    np.testing.assert_array_equal(run(cell, {"inputs": 1.0}, 20)["outputs"], 1.0)


def test_time_of_the_last_spike():
    found = run(PoissonCell(n_units=3, target_freq=200.0), {"inputs": 1.0}, 50, dt=0.5, batch=2)
    last = np.zeros((2, 3))
    for k in range(50):
        last = np.where(found["outputs"][k] > 0, 0.5 * k, last)
        np.testing.assert_allclose(found["tols"][k], last)
    assert last.min() > 0


def test_the_key_decides():
    cell = PoissonCell(n_units=50, target_freq=500.0)
    same = [run(cell, {"inputs": 1.0}, 3, keys=jax.random.split(jax.random.key(1), 3))["outputs"] for _ in range(2)]
    other = run(cell, {"inputs": 1.0}, 3, keys=jax.random.split(jax.random.key(2), 3))["outputs"]
    np.testing.assert_array_equal(*same)
    assert (same[0] != other).any()
    by_unit = PoissonCell(n_units=2, target_freq=jnp.asarray([1e-6, 1e6]))
    np.testing.assert_array_equal(run(by_unit, {"inputs": 1.0}, 3)["outputs"][:, 0], [[0, 1]] * 3)
