"""The leaky noise cell: its drift in closed form, its noise against theory."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from stepping import run
from through_engine import recorded

from synsim.components.leaky_noise_cell import LeakyNoiseCell


def test_leaks_to_the_sum_of_its_currents():
    cell = LeakyNoiseCell(n_units=3, tau_x=20.0, sigma_pre=0.0, sigma_post=0.0, leak_scale=0.5)
    found = run(cell, {"j_input": 1.0, "j_recurrent": -3.0}, 30, batch=2)
    x = -4.0 * (1.0 - (1.0 - 0.5 / 20.0) ** np.arange(1, 31))
    np.testing.assert_allclose(found["x"], np.tile(x[:, None, None], (1, 2, 3)), rtol=1e-5)
    np.testing.assert_array_equal(found["r"], 0.0)
    np.testing.assert_array_equal(found["r_prime"], 0.0)
    up = run(cell, {"j_input": 2.0}, 3)
    np.testing.assert_array_equal(up["r"], up["x"])
    np.testing.assert_array_equal(up["r_prime"], 1.0)


@pytest.mark.parametrize(("method", "order"), [("euler", 1), ("rk2", 2), ("heun", 2), ("ralston", 2), ("rk4", 4)])
def test_integrators_do_what_their_names_say(method, order):
    """The reference runs RK4 for "heun" and fails for "rk4" and "ralston" (fault 29)."""
    cell = LeakyNoiseCell(n_units=1, tau_x=8.0, sigma_pre=0.0, sigma_post=0.0, integration_type=method)
    found = run(cell, {}, 1, start={"x": [[1.0]]})["x"].item()
    z = -0.125
    assert found == pytest.approx(sum(z**n / [1, 1, 2, 6, 24][n] for n in range(order + 1)), rel=1e-6)


@pytest.mark.parametrize("dt", [1.0, 0.25])
def test_published_noise_has_the_same_spread_at_every_step(dt):
    """Euler-Maruyama: var x = sigma^2 / (1 - dt / (2 tau)); r = relu(x) + sigma_post xi, xi apart from x."""
    tau, sigma, post = 10.0, 0.8, 0.3
    apart = round(50.0 / dt)  # five time constants
    found = recorded(
        "LeakyNoiseCell",
        ["x", "r"],
        steps=5 * apart + 1,
        every=apart,
        batch=20,
        dt=dt,
        n_units=1000,
        tau_x=tau,
        sigma_pre=sigma,
        sigma_post=post,
        act_fx="identity",
        noise="published",
    )
    x, xi = found["x"][0, 1:], (found["r"] - found["x"])[0, 1:]
    n = x.size
    assert n >= 100_000
    assert abs(x.mean()) < 4.5 * sigma * np.sqrt(1.1 / n)
    assert abs(x.var() / (sigma**2 / (1 - dt / (2 * tau))) - 1.0) < 4.5 * np.sqrt(2 / n)
    assert abs(xi.std() / post - 1.0) < 4.5 / np.sqrt(2 * n)
    assert abs(np.corrcoef(x.ravel(), xi.ravel())[0, 1]) < 4.5 / np.sqrt(n)


@pytest.mark.parametrize("dt", [1.0, 0.25])
def test_reference_noise_is_one_draw_and_shrinks_with_the_step(dt):
    """A step adds sqrt(2 / tau) sigma dt eps, so var x = sigma^2 dt / (1 - dt / (2 tau)) (fault 20)."""
    tau, sigma, post = 10.0, 0.8, 0.3
    apart = round(50.0 / dt)
    settings = dict(n_units=1000, tau_x=tau, sigma_pre=sigma, sigma_post=post, act_fx="identity")
    found = recorded("LeakyNoiseCell", ["x", "r"], steps=5 * apart + 1, every=apart, batch=20, dt=dt, **settings)
    x = found["x"][0, 1:]
    assert abs(x.var() / (sigma**2 * dt / (1 - dt / (2 * tau))) - 1.0) < 4.5 * np.sqrt(2 / x.size)
    before, after = found["x"][0, 0], found["r"][0, 0] - found["x"][0, 0]
    np.testing.assert_allclose(before, np.sqrt(2 / tau) * sigma * dt * after / post, rtol=1e-4, atol=1e-5)


def test_both_noises_are_the_draw_of_the_key():
    key = jax.random.split(jax.random.key(3), 1)
    cell = LeakyNoiseCell(n_units=(2, 3, 1), tau_x=5.0, sigma_pre=0.2, sigma_post=0.4, act_fx="identity")
    found = run(cell, {}, 1, batch=2, keys=key)
    eps = np.asarray(jax.random.normal(key[0], (2, 2, 3, 1)))
    np.testing.assert_allclose(found["x"][0], np.sqrt(2 / 5.0) * 0.2 * eps, rtol=1e-5)
    np.testing.assert_allclose(found["r"][0], found["x"][0] + 0.4 * eps, rtol=1e-5)
