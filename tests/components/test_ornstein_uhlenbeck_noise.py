"""The Ornstein-Uhlenbeck process against its theory, at time steps of any length."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from through_engine import recorded

TAU, SIGMA, MEAN = 5.0, 2.0, 0.7


def noise(steps, **rest):
    settings = {"n_units": 400, "batch": 5, "tau": TAU, "sigma": SIGMA, "mean": MEAN, **rest}
    return recorded("OrnsteinUhlenbeckNoise", ["outputs"], steps=steps, **settings)["outputs"]


@pytest.mark.parametrize("dt", [0.5, 4.0])
def test_mean_variance_and_autocorrelation(dt):
    """2,000 independent processes, each seen at a distance of 5 tau and more: 2,000 numbers a look, 60 looks."""
    apart = round(25.0 / dt)
    found = noise(60 * apart, dt=dt)[0] - MEAN
    looks = found[::apart]
    n = looks.size
    assert n >= 100_000
    assert abs(looks.mean()) < 4.5 * SIGMA * np.sqrt(1.02 / n)  # numbers 5 tau apart are correlated by .7 %
    assert abs(looks.var() / SIGMA**2 - 1.0) < 4.5 * np.sqrt(2 / n)
    assert stats.kstest((looks / SIGMA).ravel(), "norm").pvalue > 1e-4
    for lag in (1, 2, 4):
        rho = np.exp(-lag * dt / TAU)
        later = found[lag::apart][: len(looks)]
        earlier = looks[: len(later)]
        measured = (earlier * later).mean() / SIGMA**2
        assert abs(measured - rho) < 4.5 * np.sqrt((1 + rho**2) / later.size), lag


def test_two_half_steps_are_one_step():
    """The exact update has the variance of the process at any dt; Euler's would be off by dt / 2 tau."""
    coarse, fine = noise(50, dt=8.0)[0], noise(100, dt=4.0)[0][1::2]
    for found in (coarse, fine):
        assert abs(found.var() / SIGMA**2 - 1.0) < 4.5 * np.sqrt(2 * 1.5 / found.size)
    rho = [((f[1:] - MEAN) * (f[:-1] - MEAN)).mean() / SIGMA**2 for f in (coarse, fine)]
    assert abs(rho[0] - rho[1]) < 4.5 * np.sqrt(2 * 1.1 / coarse.size)


def test_every_trial_starts_anew_from_the_long_run():
    found = noise(3, trials=40, n_units=600)
    first = found[:, 0]
    assert first.size >= 100_000
    assert abs(first.var() / SIGMA**2 - 1.0) < 4.5 * np.sqrt(2 / first.size)
    assert abs(np.corrcoef(first[0].ravel(), first[1].ravel())[0, 1]) < 4.5 / np.sqrt(first[0].size)
    assert abs(np.corrcoef(found[0, -1].ravel(), first[1].ravel())[0, 1]) < 4.5 / np.sqrt(first[0].size)


@pytest.mark.parametrize(("initial", "start"), [({}, MEAN), ({"outputs": 9.0}, 9.0)])
def test_from_the_mean_or_from_what_initial_says(initial, start):
    """From a fixed start the mean decays as e^(-t/tau) and the variance grows as sigma^2 (1 - e^(-2t/tau))."""
    dt, trials = 1.0, 2
    found = noise(6, trials=trials, dt=dt, stationary_start=False, initial=initial, n_units=10_000)
    n = trials * 5 * 10_000
    for k in (0, 2, 5):
        kept = np.exp(-(k + 1) * dt / TAU)
        mean, variance = MEAN + (start - MEAN) * kept, SIGMA**2 * (1 - kept**2)
        assert abs(found[:, k].mean() - mean) < 4.5 * np.sqrt(variance / n)
        assert abs(found[:, k].var() / variance - 1.0) < 4.5 * np.sqrt(2 / n)


def test_a_time_constant_near_zero_forgets_at_once():
    found = noise(60, tau=1e-3)[0]
    assert abs(np.corrcoef(found[1:].ravel(), found[:-1].ravel())[0, 1]) < 4.5 / np.sqrt(found[1:].size)
    assert abs(found.std() / SIGMA - 1.0) < 4.5 / np.sqrt(2 * found.size)


def test_by_unit_rows_and_units_are_independent():
    found = noise(200, batch=3, n_units=200, dt=20.0)[0] - MEAN
    for a, b in ((found[:, :1], found[:, 1:2]), (found[..., 1:], found[..., :-1])):
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 4.5 / np.sqrt(a.size)
    found = noise(20_000, batch=2, n_units=2, tau=[1.0, 20.0], sigma=[1.0, 3.0], mean=[0.0, 5.0])[0]
    np.testing.assert_allclose(found.std((0, 1)), [1.0, 3.0], rtol=0.1)
    rho = [np.corrcoef(found[1:, 0, i], found[:-1, 0, i])[0, 1] for i in (0, 1)]
    np.testing.assert_allclose(rho, np.exp([-1.0, -0.05]), atol=0.03)
