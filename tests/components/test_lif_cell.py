"""The leaky integrate-and-fire cell against closed forms and known numbers."""

from __future__ import annotations

from math import exp, log

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from stepping import call, run, starts

from synsim.component import Now
from synsim.components.lif_cell import LIFCell

INTEGRATORS = ("euler", "rk2", "midpoint", "heun", "rk2_heun", "ralston", "rk2_ralston", "rk4")


def test_known_numbers():
    found = run(LIFCell(n_units=1, tau_m=10.0, refract_time=2.0), {"j": 60.0}, 6)
    np.testing.assert_allclose(found["v"].ravel(), [-59.0, -53.6, -60.0, -60.5, -60.95, -55.355], rtol=1e-6)
    np.testing.assert_array_equal(found["s"].ravel(), [0, 0, 1, 0, 0, 0])
    np.testing.assert_allclose(found["surrogate"].ravel()[:3], [0.00545, 0.02541, 0.01554], atol=5e-6)
    np.testing.assert_array_equal(found["tols"].ravel(), [0, 0, 2, 2, 2, 2])
    np.testing.assert_array_equal(found["rfr"].ravel(), [3, 4, 0, 1, 2, 3])


@pytest.mark.parametrize("refract", [0.0, 2.0])
@pytest.mark.parametrize("drive", [16.0, 20.0, 30.0])
def test_rate_for_a_constant_current(drive, refract):
    """Period tau ln(RI / (RI - threshold)) + refractory time, with v held: 27.726, 13.863 and 6.9315 ms at 0 ms."""
    cell = LIFCell(
        n_units=1,
        tau_m=10.0,
        thr=15.0,
        v_rest=0.0,
        v_reset=0.0,
        refract_time=refract,
        theta_plus=0.0,
        refractory="published",
        integration_type="rk4",
    )
    dt = 0.02
    times = np.flatnonzero(run(cell, {"j": drive}, 6000, dt=dt)["s"]) * dt
    period = 10.0 * log(drive / (drive - 15.0)) + refract
    np.testing.assert_allclose(np.diff(times), period, atol=1.5 * dt)
    assert np.diff(times).mean() == pytest.approx(period, abs=dt)


@pytest.mark.parametrize("method", INTEGRATORS)
def test_every_integrator_is_real(method):
    """One step of decay is the series of exp(-dt / tau) up to the method's order."""
    z = -0.5
    series = {"euler": 1 + z, "rk4": 1 + z + z**2 / 2 + z**3 / 6 + z**4 / 24}.get(method, 1 + z + z**2 / 2)
    cell = LIFCell(n_units=1, tau_m=2.0, v_rest=0.0, thr=1e3, integration_type=method)
    found = run(cell, {"j": 0.0}, 1, start={"v": [[8.0]]})["v"]
    assert found.item() == pytest.approx(8.0 * series, rel=1e-6)
    assert abs(series - exp(z)) < 0.11


def test_while_refractory_the_leak_goes_on_or_v_is_held():
    settings = dict(n_units=1, tau_m=10.0, refract_time=3.0, theta_plus=0.0)
    start = {"v": [[-53.0]]}
    inputs = {"j": np.r_[100.0, [0.0] * 6].reshape(-1, 1, 1)}
    leaking = run(LIFCell(**settings), inputs, 7, start=start)["v"].ravel()
    held = run(LIFCell(**settings, refractory="published"), inputs, 7, start=start)["v"].ravel()
    np.testing.assert_allclose(leaking, -65.0 + 5.0 * 0.9 ** np.arange(7), rtol=1e-6)
    np.testing.assert_allclose(held, -65.0 + 5.0 * 0.9 ** np.array([0, 0, 0, 0, 1, 2, 3]), rtol=1e-6)


def test_a_held_cell_cannot_spike():
    settings = dict(n_units=1, tau_m=10.0, v_reset=-50.0, refract_time=3.0, theta_plus=0.0)  # reset above threshold
    inputs = {"j": np.r_[500.0, [0.0] * 7].reshape(-1, 1, 1)}
    spikes = run(LIFCell(**settings, refractory="published"), inputs, 8)["s"].ravel()
    assert spikes[0] == 1 and not spikes[1:4].any()


@pytest.mark.parametrize("mode", ["reference", "published"])
def test_both_block_refract_time_after_the_step_of_the_spike(mode):
    cell = LIFCell(
        n_units=1, tau_m=1.0, v_rest=0.0, v_reset=0.0, thr=1.0, refract_time=4.0, theta_plus=0.0, refractory=mode
    )
    assert np.diff(np.flatnonzero(run(cell, {"j": 50.0}, 40)["s"])).tolist() == [5] * 7


def test_rounding_adds_no_refractory_step():
    cell = LIFCell(
        n_units=1, tau_m=1.0, v_rest=0.0, v_reset=0.0, thr=1.0, refract_time=2.0, theta_plus=0.0, refractory="published"
    )
    assert set(np.diff(np.flatnonzero(run(cell, {"j": 50.0}, 400, dt=0.1)["s"]))) == {21}


def test_adaptive_threshold():
    cell = LIFCell(n_units=1, tau_m=10.0, tau_theta=50.0, theta_plus=2.0)
    found = run(cell, {"j": 100.0}, 60)
    theta, expected = 0.0, []
    for spike in found["s"].ravel():
        theta = theta * exp(-1.0 / 50.0) + 2.0 * spike
        expected.append(theta)
    assert found["s"].sum() >= 5
    np.testing.assert_allclose(found["thr_theta"].ravel(), expected, rtol=1e-5)
    np.testing.assert_allclose(found["v_thr"].ravel(), -52.0 + np.array(expected), rtol=1e-6)


@pytest.mark.parametrize("tau_theta", [0.0, -1.0])
def test_a_frozen_threshold_neither_grows_nor_decays(tau_theta):
    cell = LIFCell(n_units=1, tau_m=10.0, tau_theta=tau_theta, theta_plus=2.0)
    found = run(cell, {"j": 100.0}, 40, start={"thr_theta": [[3.0]]})
    assert found["s"].sum() >= 5
    np.testing.assert_array_equal(found["thr_theta"], 3.0)
    np.testing.assert_array_equal(found["v_thr"], -49.0)


def test_reset_keeps_theta_and_says_the_threshold_that_holds():
    """The reference's v_thr goes back to thr while theta stays (fault 31)."""
    cell = LIFCell(n_units=2, tau_m=10.0)
    assert cell.compartments["thr_theta"].learned
    values = starts(cell, 1) | {"thr_theta": jnp.full((1, 2), 3.0)}
    after = call(cell, "reset", values, {"j": jnp.zeros((1, 2))}, Now(0.0, 0, 1.0, jax.random.key(0)))
    np.testing.assert_array_equal(after["v_thr"], -49.0)
    np.testing.assert_array_equal(cell.conform(values)["v_thr"], -49.0)  # where the start of thr_theta is written


def test_one_spike_keeps_one_of_each_row_and_draws_it_evenly():
    rows = 30_000
    cell = LIFCell(n_units=4, tau_m=10.0, one_spike=True)
    current = np.tile(np.array([500.0, 500.0, 0.0, 500.0]), (1, rows, 1))
    found = run(cell, {"j": current}, 1, batch=rows)
    np.testing.assert_array_equal(found["s"].sum(-1), 1.0)
    np.testing.assert_array_equal(found["s_raw"].sum(-1), 3.0)
    shares = found["s"][0].mean(0)
    np.testing.assert_allclose(shares, [1 / 3, 1 / 3, 0.0, 1 / 3], atol=4 * np.sqrt(2 / 9 / rows))
    # those that lost are reset and adapt all the same, as in the reference
    np.testing.assert_array_equal(found["v"][0, 0], [-60.0, -60.0, -65.0, -60.0])
    np.testing.assert_allclose(found["thr_theta"][0, 0], [0.05, 0.05, 0.0, 0.05], rtol=1e-6)
    np.testing.assert_array_equal(found["rfr"][0, 0], [0.0, 0.0, 6.0, 0.0])


def test_one_spike_leaves_silent_rows_silent():
    current = np.array([[[500.0, 500.0], [0.0, 0.0]]])
    found = run(LIFCell(n_units=2, tau_m=10.0, one_spike=True), {"j": current}, 1, batch=2)
    np.testing.assert_array_equal(found["s"][0].sum(-1), [1.0, 0.0])


def test_max_one_spike_goes_by_the_voltage_before_the_step():
    cell = LIFCell(n_units=3, tau_m=10.0, max_one_spike=True)
    start = {"v": [[-60.0, -55.0, -53.0]]}
    found = run(cell, {"j": np.array([[[500.0, 500.0, 0.0]]])}, 1, start=start)
    np.testing.assert_array_equal(found["s_raw"][0, 0], [1, 1, 0])
    np.testing.assert_array_equal(found["s"][0, 0], [0, 0, 0])  # the highest does not fire, so none is kept
    found = run(cell, {"j": np.array([[[500.0, 500.0, 500.0]]])}, 1, start=start)
    np.testing.assert_array_equal(found["s"][0, 0], [0, 0, 1])


@pytest.mark.parametrize("name", ["arctan", "triangular", "straight_through", "secant_lif"])
def test_surrogates(name):
    drive, above = 2.0 * 30.0, -65.0 + 0.1 * 60.0 + 52.0  # v after one step, less the threshold
    to_current = 2.0 * 1.0 / 10.0
    expected = {
        "arctan": to_current / (np.pi * (1 + (0.1 * np.pi * above) ** 2)),
        "triangular": to_current * max(0.0, 1 - 0.2 * abs(above)),
        "straight_through": to_current,
        "secant_lif": 1 / np.cosh(0.08 * drive),
    }
    cell = LIFCell(n_units=1, tau_m=10.0, resist_m=2.0, surrogate_type=name)
    found = run(cell, {"j": 30.0}, 1)["surrogate"].item()
    assert found == pytest.approx(expected[name], rel=1e-5)
    near = run(cell, {"j": 30.0}, 1, start={"v": [[-64.5]]})["surrogate"].item()
    assert name != "triangular" or near == 0.0


def test_triangular_surrogate_near_the_threshold():
    cell = LIFCell(n_units=1, tau_m=10.0, surrogate_type="triangular", conduct_leak=0.0)
    assert run(cell, {"j": 0.0}, 1, start={"v": [[-54.0]]})["surrogate"].item() == pytest.approx(0.1 * 0.6, rel=1e-5)


def test_lowest_voltage_counts_after_the_reset():
    cell = LIFCell(n_units=2, tau_m=10.0, v_min=-62.0, v_reset=-70.0)
    found = run(cell, {"j": np.array([[[500.0, -500.0]]])}, 1)["v"]
    np.testing.assert_array_equal(found[0, 0], [-62.0, -62.0])


def test_settings_by_unit_and_units_in_a_shape():
    by_unit = LIFCell(n_units=2, tau_m=jnp.asarray([5.0, 20.0]), v_rest=jnp.asarray([-65.0, -60.0]))
    both = run(by_unit, {"j": 10.0}, 50, batch=3)["v"]
    for unit, (tau, rest) in enumerate([(5.0, -65.0), (20.0, -60.0)]):
        alone = run(LIFCell(n_units=1, tau_m=tau, v_rest=rest), {"j": 10.0}, 50)["v"]
        np.testing.assert_allclose(both[:, 1, unit], alone[:, 0, 0], rtol=1e-6)
    image = run(LIFCell(n_units=(2, 3, 4), tau_m=10.0, one_spike=True), {"j": 200.0}, 20, batch=3)
    assert image["s"].shape == (20, 3, 2, 3, 4)
    assert image["s"].sum((2, 3, 4)).max() == 1.0


def test_every_number_can_be_swept_without_a_new_program():
    cell = LIFCell(n_units=2, tau_m=10.0, v_min=-70.0)
    leaves, tree = jax.tree.flatten(cell)
    lanes = jax.tree.unflatten(tree, [jnp.stack([jnp.float32(x), jnp.float32(x) * 1.1]) for x in leaves])

    def last(cell):
        values = starts(cell, 1)
        for k in range(4):
            now = Now(1.0 * k, k, 1.0, jax.random.key(k))
            values = call(cell, "advance", values, {"j": jnp.full((1, 2), 60.0), "jump": jnp.zeros((1, 2))}, now)
        return values["v"]

    swept = jax.jit(jax.vmap(last))(lanes)
    np.testing.assert_allclose(swept[0], last(cell), rtol=1e-6)
    assert not np.allclose(swept[0], swept[1])


@pytest.mark.parametrize("method", ["euler", "exponential_euler"])
@pytest.mark.parametrize("dt", [0.1, 0.5])
def test_a_jump_is_a_voltage_whatever_the_step_and_the_method(method, dt):
    cell = LIFCell(n_units=1, tau_m=20.0, v_rest=0.0, thr=20.0, integration_type=method)
    jumps = np.zeros((4, 1, 1))
    jumps[0] = 0.5
    v = run(cell, {"jump": jumps}, 4, dt=dt)["v"].ravel()
    left = 1.0 - dt / 20.0 if method == "euler" else exp(-dt / 20.0)
    np.testing.assert_allclose(v, 0.5 * left ** np.arange(4), rtol=1e-6)


@pytest.mark.parametrize("mode", ["reference", "published"])
def test_a_jump_is_lost_while_refractory_and_may_itself_cross_the_threshold(mode):
    cell = LIFCell(
        n_units=1, tau_m=1e9, v_rest=0.0, v_reset=10.0, thr=20.0, refract_time=2.0, theta_plus=0.0, refractory=mode
    )
    jumps = np.array([20.5, 3.0, 3.0, 3.0, 0.0, 7.5]).reshape(-1, 1, 1)
    found = run(cell, {"jump": jumps}, 6)
    np.testing.assert_array_equal(found["s"].ravel(), [1, 0, 0, 0, 0, 1])
    np.testing.assert_allclose(found["v"].ravel(), [10.0, 10.0, 10.0, 13.0, 13.0, 10.0], rtol=1e-6)


def test_exponential_euler_is_exact_for_a_current_that_stands_still():
    cell = LIFCell(n_units=1, tau_m=20.0, v_rest=-49.0, thr=0.0, integration_type="exponential_euler")
    with jax.enable_x64(True):
        v = run(cell, {"j": 7.0}, 200, dt=0.1, start={"v": [[-60.0]]}, dtype=jnp.float64)["v"].ravel()
    t = 0.1 * np.arange(1, 201)
    np.testing.assert_allclose(v, -42.0 - 18.0 * np.exp(-t / 20.0), rtol=1e-12)
