"""The Hodgkin-Huxley cell against SciPy, against the paper, and where its rates are 0 / 0."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.special import exprel
from stepping import run, starts

from synsim.components.hodgkin_huxley_cell import HodgkinHuxleyCell, linoid, rates

SQUID = dict(g_Na=120.0, g_K=36.0, g_L=0.3, v_Na=115.0, v_K=-12.0, v_L=10.6)  # Hodgkin & Huxley (1952), table 3
TEXTBOOK = dict(integration_type="rk4", coupling="published", emission="published")


def rates_by_numpy(v):
    """The six rates in float64, with (e^x - 1) / x from SciPy."""
    return (
        (0.1 / exprel((10.0 - v) / 10.0), 0.125 * np.exp(-v / 80.0)),
        (1.0 / exprel((25.0 - v) / 10.0), 4.0 * np.exp(-v / 18.0)),
        (0.07 * np.exp(-v / 20.0), 1.0 / (np.exp((30.0 - v) / 10.0) + 1.0)),
    )


def rest_at(v):
    return [a / (a + b) for a, b in rates_by_numpy(v)]


def slope_of(drive, tau_v=1.0, **membrane):
    p = {**SQUID, **membrane}

    def slope(_, x):
        v, n, m, h = x
        current = drive - p["g_Na"] * m**3 * h * (v - p["v_Na"]) - p["g_K"] * n**4 * (v - p["v_K"])
        current -= p["g_L"] * (v - p["v_L"])
        turning = [a * (1 - x) - b * x for x, (a, b) in zip((n, m, h), rates_by_numpy(v), strict=True)]
        return [current / tau_v, *turning]

    return slope


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_rates_have_no_holes(dtype):
    """alpha_n(10) = .1 and alpha_m(25) = 1, and both sides come up to them with their derivatives."""
    with jax.enable_x64(dtype == "float64"):
        eps = float(jnp.finfo(dtype).eps)
        (alpha_n, _), (alpha_m, _), _ = rates(jnp.asarray([10.0, 25.0], dtype))
        np.testing.assert_allclose(alpha_n[0], 0.1, rtol=2 * eps)
        np.testing.assert_allclose(alpha_m[1], 1.0, rtol=2 * eps)
        near = np.concatenate([10.0 ** np.arange(-12.0, 1.7, 0.1), [0.0, 0.2499, 0.2501]])
        x = jnp.asarray(np.concatenate([near, -near]), dtype)
        value, derivative = jax.jvp(linoid, (x,), (jnp.ones_like(x),))
        back = jax.vmap(jax.grad(linoid))(x)
        exact = np.asarray(x, np.float64)
    np.testing.assert_allclose(value, 1.0 / exprel(exact), rtol=8 * eps)
    small = np.abs(exact) < 0.25
    series = -1 / 2 + exact / 6 - exact**3 / 180 + exact**5 / 5040 - exact**7 / 151200 + exact**9 / 4790016
    np.testing.assert_allclose(derivative[small], series[small], rtol=8 * eps)
    e = np.expm1(exact[~small])
    np.testing.assert_allclose(derivative[~small], (e - exact[~small] * (e + 1)) / e**2, rtol=60 * eps, atol=eps)
    np.testing.assert_allclose(back, derivative, rtol=4 * eps, atol=eps)


@pytest.mark.parametrize("v", [10.0, 25.0])
def test_a_cell_at_the_holes_goes_on(v):
    """The reference gives NaN here (fault 19)."""
    cell = HodgkinHuxleyCell(n_units=1, **SQUID)
    gates = dict(zip("nmh", ([[gate]] for gate in rest_at(0.0)), strict=True))
    found = run(cell, {"j": 0.0}, 1, dt=0.01, start={"v": [[v]], **gates})
    expected = np.array([v, *rest_at(0.0)]) + 0.01 * np.array(slope_of(0.0)(0.0, [v, *rest_at(0.0)]))
    np.testing.assert_allclose([found[name].item() for name in "vnmh"], expected, rtol=1e-6)


def test_it_starts_where_the_potential_holds_its_gates():
    """As the reference does after its reset (before it, its gates are 0)."""
    found = starts(HodgkinHuxleyCell(n_units=2), 1)
    for name, expected in zip("nmh", rest_at(0.0), strict=True):
        np.testing.assert_allclose(found[name], expected, rtol=1e-6)
    np.testing.assert_allclose(rest_at(0.0), [0.3177, 0.0529, 0.5961], atol=5e-5)  # the values textbooks give


@pytest.mark.parametrize(("method", "dt", "within"), [("rk4", 0.01, 0.01), ("exponential_euler", 0.002, 2.0)])
def test_the_action_potential_of_1952(method, dt, within):
    """A displacement of 15 mV (figure 12 of the paper): every sample next to SciPy's solution."""
    cell = HodgkinHuxleyCell(n_units=1, **SQUID, **{**TEXTBOOK, "integration_type": method})
    steps = round(15.0 / dt)
    found = run(cell, {"j": 0.0}, steps, dt=dt, start={"v": [[15.0]]})
    times = dt * np.arange(1, steps + 1)
    exact = solve_ivp(slope_of(0.0), (0, 15.001), [15.0, *rest_at(0.0)], t_eval=times, rtol=1e-10, atol=1e-10).y
    assert exact[0].max() == pytest.approx(105.4, abs=0.05) and exact[0].min() == pytest.approx(-11.2, abs=0.05)
    np.testing.assert_allclose(found["v"].ravel(), exact[0], atol=within)
    for name, gate in zip("nmh", exact[1:], strict=True):
        np.testing.assert_allclose(found[name].ravel(), gate, atol=within / 50)


def test_rheobase():
    """No spike at 2.2, one at 2.3, a few at 6.2, repetitive firing from 6.3 uA/cm2 on: as by SciPy's LSODA."""
    drive = np.array([2.2, 2.3, 6.2, 6.3, 10.0])
    cell = HodgkinHuxleyCell(n_units=5, thr=50.0, **SQUID, **TEXTBOOK)
    spikes = run(cell, {"j": np.tile(drive, (25000, 1, 1))}, 25000, dt=0.02)["s"][:, 0]

    def crossing(_, x):
        return x[0] - 50.0

    crossing.direction = 1.0
    for unit, each in enumerate(drive):
        found = solve_ivp(
            slope_of(each), (0, 500.0), [0.0, *rest_at(0.0)], "LSODA", events=crossing, rtol=1e-8, atol=1e-8
        )
        assert spikes[:, unit].sum() == len(found.t_events[0])
    assert spikes.sum(0).tolist()[:3] == [0, 1, 3] and spikes[:, 3].sum() >= 26


def test_a_step_of_the_reference_form_in_float64():
    """Each variable by itself, the rates at the potential before the step: an independent NumPy step of rk4."""
    membrane = dict(tau_v=1.3, g_Na=90.0, v_K=-20.0)
    with jax.enable_x64(True):
        cell = HodgkinHuxleyCell(n_units=1, integration_type="rk4", **{**SQUID, **membrane})
        found = run(cell, {"j": 30.0}, 400, dt=0.05, dtype=jnp.float64)
    x, seen = [0.0, *rest_at(0.0)], []
    slope = slope_of(30.0, **membrane)
    for _ in range(400):
        after = []
        for place in range(4):

            def alone(value, place=place, before=tuple(x)):
                moved = [*before]
                moved[place] = value
                return slope(0.0, moved)[place]

            k1 = alone(x[place])
            k2 = alone(x[place] + 0.025 * k1)
            k3 = alone(x[place] + 0.025 * k2)
            k4 = alone(x[place] + 0.05 * k3)
            after.append(x[place] + 0.05 / 6 * (k1 + 2 * k2 + 2 * k3 + k4))
        x = after
        seen.append(x)
    expected = np.array(seen)
    assert expected[:, 0].max() > 80.0
    for place, name in enumerate("vnmh"):
        np.testing.assert_allclose(found[name].ravel(), expected[:, place], rtol=1e-9, atol=1e-10)


def test_spikes_on_level_and_on_crossing():
    level = run(HodgkinHuxleyCell(n_units=1, thr=20.0, **SQUID), {"j": 15.0}, 5000, dt=0.01)
    edge = run(HodgkinHuxleyCell(n_units=1, thr=20.0, emission="published", **SQUID), {"j": 15.0}, 5000, dt=0.01)
    above = level["v"].ravel() > 20.0
    np.testing.assert_array_equal(level["s"].ravel(), above)
    np.testing.assert_array_equal(edge["s"].ravel(), above & ~np.r_[False, above[:-1]])
    assert 3 <= edge["s"].sum() <= 5 < level["s"].sum() / 20


def test_a_spike_puts_v_and_gates_back():
    cell = HodgkinHuxleyCell(n_units=1, thr=30.0, spike_reset=True, v_reset=-5.0, **SQUID)
    found = run(cell, {"j": 25.0}, 3000, dt=0.02)
    spikes = np.flatnonzero(found["s"])
    assert len(spikes) >= 5
    np.testing.assert_array_equal(found["v"].ravel()[spikes], -5.0)
    for name, expected in zip("nmh", rest_at(-5.0), strict=True):
        np.testing.assert_allclose(found[name].ravel()[spikes], expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("method", "order"), [("euler", 1), ("rk2", 2), ("heun", 2), ("ralston", 2), ("rk4", 4), ("exponential_euler", 1)]
)
def test_order_of_convergence(method, order):
    exact = solve_ivp(slope_of(1.0), (0, 4.0), [3.0, *rest_at(0.0)], rtol=1e-12, atol=1e-13).y[0, -1]
    with jax.enable_x64(True):
        cell = HodgkinHuxleyCell(n_units=1, integration_type=method, coupling="published", **SQUID)
        start = {"v": [[3.0]]}
        ends = [run(cell, {"j": 1.0}, n, dt=4.0 / n, dtype=jnp.float64, start=start)["v"][-1].item() for n in (80, 160)]
    first, second = (abs(each - exact) for each in ends)
    assert np.log2(first / second) == pytest.approx(order, abs=0.3)


def test_units_rows_and_shapes():
    cell = HodgkinHuxleyCell(n_units=(2, 1), g_K=jnp.asarray([[36.0], [20.0]]), v_K=-12.0, thr=50.0, spike_reset=True)
    together = run(cell, {"j": 12.0}, 1000, dt=0.02, batch=3)["v"]
    assert together.shape == (1000, 3, 2, 1)
    for unit, g in enumerate([36.0, 20.0]):
        alone = HodgkinHuxleyCell(n_units=1, g_K=g, v_K=-12.0, thr=50.0, spike_reset=True)
        np.testing.assert_allclose(
            together[:, 1, unit, 0], run(alone, {"j": 12.0}, 1000, dt=0.02)["v"][:, 0, 0], atol=0.02
        )
