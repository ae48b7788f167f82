"""The simplified leaky integrate-and-fire cell against closed forms and an integration in double precision."""

from __future__ import annotations

from math import exp

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from stepping import call, run, starts
from test_loop import Memory

from synsim import loop
from synsim.component import Now
from synsim.components.slif_cell import SLIFCell
from synsim.config import load
from synsim.device import computing
from synsim.plan import plan


def test_the_input_is_not_overwritten():
    """The reference writes R j into what j is wired to, so that a held current of 1 shrinks: .5, .25 (fault 11)."""
    found = run(SLIFCell(n_units=1, tau_m=10.0, resist_m=0.5, thr=9.0), {"j": 1.0}, 4)
    np.testing.assert_array_equal(found["j_mod"].ravel(), 0.5)


@pytest.mark.parametrize(("method", "decay"), [("euler", 0.9), ("exponential_euler", exp(-0.1))])
def test_charging(method, decay):
    cell = SLIFCell(n_units=1, tau_m=10.0, resist_m=2.0, thr=9.0, integration_type=method)
    found = run(cell, {"j": 1.5}, 20)
    np.testing.assert_allclose(found["v"].ravel(), 3.0 * (1 - decay ** np.arange(1, 21)), rtol=1e-5)


def test_what_is_drawn():
    """Lateral weights: uniform in [.025, 1), none on oneself. Thresholds: within the jitter, the same for all rows."""
    cell = SLIFCell(n_units=(20, 30), tau_m=10.0, resist_m=1.0, thr=0.4, thr_jitter=0.1)
    drawn = starts(cell, 3)
    weights, thr = np.asarray(drawn["inh_weights"]), np.asarray(drawn["v_thr"])
    assert weights.shape == (600, 600) and thr.shape == (3, 20, 30)
    assert not np.diag(weights).any()
    others = weights[~np.eye(600, dtype=bool)]
    assert others.min() >= 0.025 and others.max() < 1.0
    assert others.mean() == pytest.approx(0.5125, abs=4 * 0.975 / np.sqrt(12 * others.size))
    assert abs(thr - 0.4).max() <= 0.1 and np.ptp(thr[0]) > 0.19
    assert thr.mean() == pytest.approx(0.4, abs=4 * 0.2 / np.sqrt(12 * 600))
    np.testing.assert_array_equal(thr, np.broadcast_to(thr[0], thr.shape))
    assert not np.array_equal(weights, starts(cell, 3, key=1)["inh_weights"])


def test_inhibition_comes_one_step_after_a_spike_and_from_the_others():
    cell = SLIFCell(n_units=3, tau_m=2.0, resist_m=1.0, thr=1.0, thr_jitter=0.0, resist_inh=0.5)
    weights = np.array([[0.0, 0.6, 0.2], [0.3, 0.0, 0.9], [0.5, 0.1, 0.0]])
    j = np.zeros((3, 2, 3))
    j[0, 0, 1] = 4.0  # unit 1 of row 0 reaches 2 and spikes at once
    found = run(cell, {"j": j}, 3, batch=2, start={"inh_weights": weights})
    np.testing.assert_array_equal(found["s"][0], [[0, 1, 0], [0, 0, 0]])
    np.testing.assert_allclose(found["j_mod"][1], [[-0.15, 0.0, -0.45], [0.0, 0.0, 0.0]], rtol=1e-6)
    np.testing.assert_array_equal(found["j_mod"][2], 0.0)


@pytest.mark.parametrize(("sticky", "spikes"), [(False, [1, 0, 0, 1, 0, 0, 1]), (True, [1, 1, 1, 1, 1, 1, 1])])
def test_sticky_spikes_last_through_the_refractory_period(sticky, spikes):
    """rfr counts the step of the spike, so of three steps of 1 ms two come after it."""
    cell = SLIFCell(n_units=1, tau_m=1.0, resist_m=1.0, thr=1.0, refract_time=3.0, sticky_spikes=sticky)
    found = run(cell, {"j": 5.0}, 7)
    np.testing.assert_array_equal(found["s"].ravel(), spikes)
    np.testing.assert_array_equal(found["rfr"].ravel(), [1, 2, 3, 1, 2, 3, 1])
    np.testing.assert_array_equal(found["v"], 0.0)


def test_sticky_spikes_end():
    cell = SLIFCell(n_units=1, tau_m=1.0, resist_m=1.0, thr=1.0, refract_time=3.0, sticky_spikes=True)
    inputs = {"j": np.r_[5.0, [0.0] * 5].reshape(-1, 1, 1)}
    found = run(cell, inputs, 6)
    np.testing.assert_array_equal(found["s"].ravel(), [1, 1, 1, 0, 0, 0])
    np.testing.assert_array_equal(found["tols"].ravel(), [0, 1, 2, 2, 2, 2])


@pytest.mark.parametrize("shared", [True, False])
def test_against_an_integration_in_double_precision(shared):
    """Everything at once, over three rows of a 2 x 3 layer, by the midpoint method."""
    steps, rows, shape, dt = 150, 3, (2, 3), 0.5
    rng = np.random.default_rng(8)
    j = rng.uniform(-1.0, 8.0, (steps, rows, *shape))
    weights = rng.uniform(0.025, 1.0, (6, 6)) * (1 - np.eye(6))
    thr = np.full((rows, 6), 0.5)
    adapts = {"rho_b": 0.02} if shared else {"thr_gain": 0.05, "thr_leak": 0.01}
    cell = SLIFCell(
        n_units=shape,
        tau_m=4.0,
        resist_m=1.2,
        thr=0.5,
        thr_jitter=0.0,
        resist_inh=0.4,
        refract_time=1.5,
        sticky_spikes=True,
        integration_type="midpoint",
        surrogate_form="published",
        **adapts,
    )
    v, rfr, s = np.zeros((rows, 6)), np.full((rows, 6), 1.5), np.zeros((rows, 6))
    expected = {name: [] for name in ("v", "rfr", "v_thr", "s", "surrogate")}
    for k in range(steps):
        drive = 1.2 * j[k].reshape(rows, 6) - 0.4 * s @ weights
        ready = rfr >= 1.5
        after = v + np.where(ready, (dt - dt**2 / 8.0) * (drive - v) / 4.0, 0.0)
        fired = after > thr
        if shared:
            thr = np.maximum(thr + 0.02 * (fired.sum(1, keepdims=True) - 1.0), 0.025)
        else:
            thr = thr + 0.05 * fired - 0.01 * thr
        s = np.where(ready, fired, 1.0)
        v, rfr = np.where(fired, 0.0, after), np.where(fired, 0.0, rfr) + dt
        slope = 0.82 * 0.08 / np.cosh(0.08 * drive) ** 2 * (drive > 0)
        for name, value in zip(expected, (v, rfr, thr, s, slope), strict=True):
            expected[name].append(value.reshape(rows, *shape))
    with jax.enable_x64(True):
        found = run(cell, {"j": j}, steps, dt=dt, batch=rows, dtype=jnp.float64, start={"inh_weights": weights})
    assert 10 < np.sum(expected["s"]) < 0.9 * np.size(expected["s"])
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], np.array(values), rtol=1e-9, atol=1e-12, err_msg=name)


def test_the_published_surrogate_is_the_slope_of_the_saturating_rate():
    """Samadi et al. (2017): a tanh; the reference takes the root of its slope, without factors."""
    currents = np.array([[-1.0, 0.5, 4.0, 20.0]])
    cell = SLIFCell(n_units=4, tau_m=1e6, resist_m=1.0, thr=9.0, surrogate_form="published")
    found = run(cell, {"j": currents[None]}, 1)["surrogate"][0]
    slope = 0.82 * (np.tanh(0.08 * (currents + 1e-4)) - np.tanh(0.08 * (currents - 1e-4))) / 2e-4
    np.testing.assert_allclose(found, np.where(currents > 0, slope, 0.0), rtol=1e-5)


@pytest.mark.parametrize("persists", [True, False])
def test_the_threshold_outlives_reset_where_it_persists(persists):
    """Two trials of the same current, with a reset before each, against one."""

    def end(trials):
        cell = dict(type="SLIFCell", n_units=4, tau_m=2.0, resist_m=1.0, thr=0.5, thr_gain=0.1, thr_persist=persists)
        config = {
            "name": "twice",
            "run": {"steps": 30, "trials": trials},
            "components": {"z": cell},
            "wires": {"z.j": 3.0},
        }
        with computing(spec := load(config)):
            return np.asarray(loop.simulate(plan(spec), Memory()).state["z"]["v_thr"])

    once, twice = end(1), end(2)
    assert (once > 0.8).all() and np.ptp(once) > 0.0
    if persists:
        assert (twice > once + 0.1).all()
    else:
        np.testing.assert_array_equal(twice, once)


def test_weights_outlive_reset():
    cell = SLIFCell(n_units=3, tau_m=2.0, resist_m=1.0, thr=0.5)
    assert cell.compartments["inh_weights"].learned and not cell.compartments["v_thr"].learned
    assert SLIFCell(n_units=3, tau_m=2.0, resist_m=1.0, thr=0.5, thr_persist=True).compartments["v_thr"].learned
    values = starts(cell, 2)
    after = call(cell, "advance", values, {"j": jnp.ones((2, 3))}, Now(0.0, 0, 1.0, jax.random.key(0)))
    np.testing.assert_array_equal(after["inh_weights"], values["inh_weights"])
