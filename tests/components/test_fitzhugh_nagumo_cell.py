"""The FitzHugh-Nagumo cell against SciPy."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.optimize import brentq
from stepping import run

from synsim.components.fitzhugh_nagumo_cell import FitzhughNagumoCell

TEXTBOOK = dict(coupling="published", emission="published")


def slope_of(drive, tau_m=1.0, tau_w=12.5, alpha=0.7, beta=0.8, gamma=3.0):
    def slope(_, x):
        v, w = x
        return (v - v**3 / gamma - w + drive) / tau_m, (v + alpha - beta * w) / tau_w

    return slope


def period_by_scipy(drive, level=1.07):
    """Time from one upward crossing of `level` to the next, on the limit cycle."""

    def crossing(_, x):
        return x[0] - level

    crossing.direction = 1.0
    found = solve_ivp(slope_of(drive), (0.0, 400.0), [0.0, 0.0], events=crossing, rtol=1e-10, atol=1e-12)
    return np.diff(found.t_events[0])[-1]


@pytest.mark.parametrize("drive", [0.4, 0.5, 1.0])
def test_period_of_the_limit_cycle(drive):
    expected = period_by_scipy(drive)
    cell = FitzhughNagumoCell(n_units=1, integration_type="rk4", **TEXTBOOK)
    dt = 0.02
    crossings = np.flatnonzero(run(cell, {"j": drive}, 20000, dt=dt)["s"]) * dt
    assert 30.0 < expected < 45.0 and len(crossings) >= 9
    assert (crossings[-1] - crossings[2]) / (len(crossings) - 3) == pytest.approx(expected, abs=dt / 4)


def test_trajectory_against_scipy():
    cell = FitzhughNagumoCell(n_units=1, integration_type="rk4", v0=-1.2, w0=-0.6, **TEXTBOOK)
    found = run(cell, {"j": 0.5}, 2000, dt=0.05)
    times = 0.05 * np.arange(1, 2001)
    exact = solve_ivp(slope_of(0.5), (0, 100.0), [-1.2, -0.6], t_eval=times, rtol=1e-10, atol=1e-12).y
    np.testing.assert_allclose(found["v"].ravel(), exact[0], atol=2e-4)
    np.testing.assert_allclose(found["w"].ravel(), exact[1], atol=2e-4)


def test_at_rest_it_stays():
    rest = brentq(lambda v: v - v**3 / 3 - (v + 0.7) / 0.8, -2.0, 0.0)
    cell = FitzhughNagumoCell(n_units=2, v0=rest, w0=(rest + 0.7) / 0.8)
    found = run(cell, {"j": 0.0}, 400, dt=0.1)
    np.testing.assert_allclose(found["v"], rest, atol=1e-5)
    assert found["s"].sum() == 0


def test_spikes_on_level_and_on_crossing():
    level = run(FitzhughNagumoCell(n_units=1), {"j": 0.8}, 3000, dt=0.1)
    edge = run(FitzhughNagumoCell(n_units=1, emission="published"), {"j": 0.8}, 3000, dt=0.1)
    np.testing.assert_array_equal(level["v"], edge["v"])
    above = level["v"].ravel() > 1.07
    np.testing.assert_array_equal(level["s"].ravel(), above)
    np.testing.assert_array_equal(edge["s"].ravel(), above & ~np.r_[False, above[:-1]])
    assert level["s"].sum() > 10 * edge["s"].sum() > 0
    np.testing.assert_allclose(edge["tols"].max(), 0.1 * np.flatnonzero(edge["s"])[-1], rtol=1e-6)


def test_a_spike_puts_it_back():
    cell = FitzhughNagumoCell(n_units=1, spike_reset=True, v0=-0.9, w0=-0.5)
    found = run(cell, {"j": 0.9}, 1000, dt=0.1)
    spikes = np.flatnonzero(found["s"])
    assert len(spikes) >= 10
    np.testing.assert_array_equal(found["v"].ravel()[spikes], np.float32(-0.9))
    np.testing.assert_array_equal(found["w"].ravel()[spikes], np.float32(-0.5))
    assert len(set(np.diff(spikes))) == 1  # from the same point each time


@pytest.mark.parametrize(
    ("method", "order"), [("euler", 1), ("rk2", 2), ("heun", 2), ("ralston", 2), ("rk4", 4), ("exponential_euler", 1)]
)
def test_order_of_convergence(method, order):
    exact = solve_ivp(slope_of(0.5), (0, 5.0), [0.3, -0.4], rtol=1e-12, atol=1e-13).y[:, -1]
    errors = []
    with jax.enable_x64(True):
        cell = FitzhughNagumoCell(n_units=1, v0=0.3, w0=-0.4, integration_type=method, coupling="published")
        for steps in (100, 200):
            found = run(cell, {"j": 0.5}, steps, dt=5.0 / steps, dtype=jnp.float64)
            errors.append(np.hypot(found["v"][-1].item() - exact[0], found["w"][-1].item() - exact[1]))
    assert np.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.25)


def test_units_rows_and_shapes():
    cell = FitzhughNagumoCell(n_units=(2, 1), tau_w=jnp.asarray([[12.5], [9.0]]), alpha=jnp.asarray([[0.7], [0.6]]))
    together = run(cell, {"j": 0.6}, 500, dt=0.2, batch=3)["v"]
    assert together.shape == (500, 3, 2, 1)
    for unit, (tau, alpha) in enumerate([(12.5, 0.7), (9.0, 0.6)]):
        alone = run(FitzhughNagumoCell(n_units=1, tau_w=tau, alpha=alpha), {"j": 0.6}, 500, dt=0.2)["v"]
        np.testing.assert_allclose(together[:, 1, unit, 0], alone[:, 0, 0], atol=1e-4)
