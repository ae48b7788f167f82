"""The rate cell against closed forms, and the faults of the reference that it leaves behind."""

from __future__ import annotations

from math import exp

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from stepping import call, run, starts, unwired

from synsim.component import Now
from synsim.components.rate_cell import RateCell


def test_leaks_to_the_current():
    """tau dz/dt = j - z from 0: z(t) = j (1 - (1 - dt / tau)^n) with Euler steps."""
    cell = RateCell(n_units=1, tau_m=20.0, prior_lmbda=1.0)
    found = run(cell, {"j": 3.0}, 30)["z"].ravel()
    np.testing.assert_allclose(found, 3.0 * (1.0 - 0.95 ** np.arange(1, 31)), rtol=1e-5)


@pytest.mark.parametrize(
    ("method", "tolerance"), [("euler", 3e-2), ("rk2", 2e-3), ("heun", 2e-3), ("ralston", 2e-3), ("rk4", 5e-6)]
)
def test_integrators_do_what_their_names_say(method, tolerance):
    """The reference runs RK4 for "heun" and Euler for "rk4" and "ralston" (fault 29)."""
    cell = RateCell(n_units=1, tau_m=8.0, prior_lmbda=1.0, integration_type=method)
    found = run(cell, {}, 8, start={"z": [[1.0]]})["z"].ravel()[-1]
    assert abs(found - exp(-1.0)) < tolerance
    z = -0.125
    one = {"euler": 1 + z, "rk4": 1 + z + z**2 / 2 + z**3 / 6 + z**4 / 24}.get(method, 1 + z + z**2 / 2)
    assert found == pytest.approx(one**8, rel=1e-5)


LEAKS = {
    "gaussian": lambda z: z,
    "laplacian": np.sign,
    "cauchy": lambda z: 2 * z / (1 + z**2),
    "exp": lambda z: 2 * z * np.exp(-(z**2)),
}


@pytest.mark.parametrize("prior", LEAKS)
def test_priors(prior):
    z = np.array([[-2.0, -0.3, 0.0, 0.4, 1.7]])
    cell = RateCell(n_units=5, tau_m=4.0, prior=prior, prior_lmbda=0.6)
    found = run(cell, {"j_td": 0.2}, 1, start={"z": z})["z"][0]
    np.testing.assert_allclose(found, z + 0.25 * (0.2 - 0.6 * LEAKS[prior](z)), rtol=1e-5, atol=1e-7)


def test_soft_threshold():
    z = np.array([[-2.0, -0.3, 0.0, 0.4, 1.7]])
    cell = RateCell(n_units=5, tau_m=4.0, threshold="soft_threshold", thr_lmbda=0.5)
    np.testing.assert_allclose(run(cell, {}, 1, start={"z": z})["z"][0], [[-1.5, 0, 0, 0, 1.2]], rtol=1e-6)


def test_cauchy_threshold():
    """It crashes in the reference (fault 28)."""
    z, width = np.array([[-2.0, -0.5, 0.0, 0.4, 0.6, 1.7]]), 0.5
    cell = RateCell(n_units=6, tau_m=4.0, threshold="cauchy_threshold", thr_lmbda=width)
    root = np.sqrt(np.maximum(z**2 - width, 0.0))
    expected = np.where(z >= width, (z + root) / 2, np.where(z <= -width, (z - root) / 2, 0.0))
    found = run(cell, {}, 1, start={"z": z})["z"][0]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert (found != 0.0).tolist() == [[True, True, False, False, True, True]]


def test_the_current_is_scaled_by_the_slope_before_the_step_and_stays_as_it_was_wired():
    """In the reference the scaled current is written back, into whatever it is wired to (fault 11)."""
    cell = RateCell(n_units=1, tau_m=2.0, act_fx="tanh", resist_scale=3.0, output_scale=0.5)
    assert cell.compartments["j"].kind == "inlet"
    found = run(cell, {"j": 0.4, "j_td": 0.1}, 2, start={"z": [[0.7]]})  # run refuses writes to inlets
    z = 0.7
    for k in range(2):
        scaled = 3.0 * (1.0 - np.tanh(z) ** 2) * 0.4
        assert found["j_mod"][k].item() == pytest.approx(scaled, rel=1e-5)
        z += 0.5 * (scaled + 0.1)
        assert found["z"][k].item() == pytest.approx(z, rel=1e-5)
        assert found["zF"][k].item() == pytest.approx(0.5 * np.tanh(z), rel=1e-5)


@pytest.mark.parametrize("settings", [dict(tau_m=0.0), dict(tau_m=-1.0), dict(tau_m=5.0, is_stateful=False)])
def test_without_dynamics_the_currents_are_the_state(settings):
    cell = RateCell(n_units=1, act_fx="relu", resist_scale=9.0, output_scale=2.0, **settings)
    found = run(cell, {"j": 0.4, "j_td": 0.3}, 1, start={"z": [[5.0]]})
    assert found["z"].item() == pytest.approx(0.7)
    assert found["zF"].item() == pytest.approx(1.4)
    assert found["j_mod"].item() == pytest.approx(0.4)


def test_dynamics_can_be_off_for_some_units():
    cell = RateCell(n_units=2, tau_m=jnp.asarray([0.0, 4.0]))
    np.testing.assert_allclose(run(cell, {"j": 2.0}, 1)["z"][0], [[2.0, 0.5]])


def test_clamp_puts_the_state_to_the_wired_value():
    cell = RateCell(n_units=3, tau_m=4.0, act_fx="tanh", output_scale=0.5)
    values = starts(cell, 2)
    fed = unwired(cell, 2) | {"clamped": jnp.full((2, 3), 0.8)}
    after = call(cell, "clamp", values, fed, Now(0.0, 0, 1.0, jax.random.key(0)))
    np.testing.assert_allclose(after["z"], 0.8)
    np.testing.assert_allclose(after["zF"], 0.5 * np.tanh(0.8), rtol=1e-6)
    assert cell.methods == ("advance", "clamp")


def test_the_frequency_of_sine_is_a_setting():
    """The reference fixes it at 30 (fault 29)."""
    cell = RateCell(n_units=1, tau_m=1.0, act_fx="sine", omega_0=2.0)
    found = run(cell, {"j_td": 0.3}, 1)
    assert found["zF"].item() == pytest.approx(np.sin(0.6), rel=1e-5)


def test_softmax_uses_its_jacobian():
    """The reference multiplies by the whole Jacobian, which does not fit the state."""
    z = np.array([[0.1, 0.5, -0.4], [0.0, 1.0, 2.0]])
    j = np.array([[1.0, 0.0, 0.5], [0.0, 0.0, 1.0]])
    found = run(RateCell(n_units=3, tau_m=1.0, act_fx="softmax"), {"j": j[None]}, 1, batch=2, start={"z": z})
    share = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    expected = np.stack([(np.diag(s) - np.outer(s, s)) @ current for s, current in zip(share, j, strict=True)])
    np.testing.assert_allclose(found["j_mod"][0], expected, rtol=1e-5, atol=1e-7)
