"""The adaptive exponential cell against SciPy, and what an overshooting exponential may not do."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp
from stepping import run

from synsim.components.adex_cell import AdExCell

NAUD = dict(intrinsic_mem_thr=-50.0, v_sharpness=2.0, thr=0.0)  # Naud et al. (2008), table 1: adaptation
ADAPTING = dict(NAUD, tau_m=200 / 12, resist_m=1000 / 12, tau_w=300.0, a=0.002, b=0.06, v_rest=-70.0, v0=-70.0)


def by_scipy(drive, until, *, tau_m, resist_m, tau_w, a, b, v_rest, v0, v_reset, intrinsic_mem_thr, v_sharpness, thr):
    """Spike times of the published equations, the spike found as an event."""

    def slope(_, x):
        v, w = x
        upstroke = v_sharpness * np.exp((v - intrinsic_mem_thr) / v_sharpness)
        return (v_rest - v + upstroke + resist_m * (drive - w)) / tau_m, (a * (v - v_rest) - w) / tau_w

    def spike(_, x):
        return x[0] - thr

    spike.terminal, spike.direction = True, 1.0
    t, x, times = 0.0, [v0, 0.0], []
    while True:
        found = solve_ivp(slope, (t, until), x, events=spike, rtol=1e-9, atol=1e-11)
        if not found.t_events[0].size:
            return np.array(times)
        t = float(found.t_events[0][0])
        times.append(t)
        x = [v_reset, found.y_events[0][0][1] + b]


@pytest.mark.parametrize("method", ["rk4", "euler"])
def test_spike_times_against_scipy(method):
    settings = dict(ADAPTING, v_reset=-58.0)
    expected = by_scipy(0.5, 200.0, **settings)
    cell = AdExCell(n_units=1, integration_type=method, coupling="published", **settings)
    dt = 0.01
    spikes = run(cell, {"j": 0.5}, 20000, dt=dt)["s"].ravel()
    times = (np.flatnonzero(spikes) + 1) * dt  # a spike is seen at the end of its step
    assert len(expected) >= 6 and len(times) == len(expected)
    # a spike waits for the end of its step, so each loses up to one step; Euler takes longer over the upstroke
    lost = (times - expected) / np.arange(1, 1 + len(times))
    assert (lost > -0.002).all() and (lost < (0.012 if method == "rk4" else 0.06)).all()


@pytest.mark.parametrize("coupling", ["reference", "published"])
@pytest.mark.parametrize(
    ("method", "order"), [("euler", 1), ("rk2", 2), ("heun", 2), ("ralston", 2), ("rk4", 4), ("exponential_euler", 1)]
)
def test_order_of_convergence(method, order, coupling):
    """Below threshold; with the partner held within the step no method is better than order 1."""
    settings = dict(ADAPTING, v0=-66.0, w0=0.05, tau_w=20.0, a=0.03, v_reset=-58.0, thr=100.0)

    with jax.enable_x64(True):
        ends = []
        for steps in (40, 80, 160, 1280):
            cell = AdExCell(
                n_units=1,
                integration_type="rk4" if steps == 1280 else method,
                coupling="published" if steps == 1280 else coupling,
                **settings,
            )
            found = run(cell, {"j": 0.1}, steps, dt=20.0 / steps, dtype=jnp.float64)
            ends.append(np.array([found["v"][-1].item(), found["w"][-1].item()]))
    first, second = (np.abs(ends[k] - ends[-1])[0] for k in (0, 1))
    assert np.log2(first / second) == pytest.approx(order if coupling == "published" else 1, abs=0.25)


def test_a_stage_that_overshot_does_not_end_up_in_w():
    """One rk4 stage past the threshold is e^(hundreds): w still jumps by b and little more."""
    cell = AdExCell(n_units=1, coupling="published", integration_type="rk4", v_reset=-58.0, **ADAPTING)
    found = run(cell, {"j": 0.5}, 3000, dt=0.1)
    spikes = np.flatnonzero(found["s"])
    assert len(spikes) >= 8 and np.isfinite(found["v"]).all()
    jumps = found["w"][spikes, 0, 0] - found["w"][spikes - 1, 0, 0]
    np.testing.assert_allclose(jumps, 0.06, atol=2e-4)


def test_a_half_step_that_overflows_is_a_spike():
    """In the reference it is infinity times 0: NaN from the first spike on."""
    cell = AdExCell(n_units=1, integration_type="rk2", v_sharpness=1.5, v_rest=-68.0)
    found = run(cell, {"j": 40.0}, 400, dt=0.5)
    assert found["s"].sum() >= 5
    assert np.isfinite(found["v"]).all() and np.isfinite(found["w"]).all()


def test_units_of_several_kinds_and_in_a_shape():
    resets, increments = [-58.0, -46.0, -58.0], [0.06, 0.1, 0.0]
    settings = {name: value for name, value in ADAPTING.items() if name != "b"}
    cell = AdExCell(n_units=3, v_reset=jnp.asarray(resets), b=jnp.asarray(increments), **settings)
    together = run(cell, {"j": 0.5}, 1000, dt=0.1, batch=3)["s"]
    for unit in range(3):
        alone = AdExCell(n_units=(1, 1), v_reset=resets[unit], b=increments[unit], **settings)
        spikes = run(alone, {"j": 0.5}, 1000, dt=0.1)["s"]
        assert spikes.shape == (1000, 1, 1, 1) and spikes.sum() >= 3
        for row in range(3):
            np.testing.assert_array_equal(together[:, row, unit], spikes.ravel())


def test_the_time_of_the_last_spike():
    found = run(AdExCell(n_units=1), {"j": 40.0}, 300)
    spikes = np.flatnonzero(found["s"])
    assert len(spikes) >= 10
    last = np.maximum.accumulate(np.where(found["s"].ravel() > 0, np.arange(300), 0))
    np.testing.assert_array_equal(found["tols"].ravel(), last)
