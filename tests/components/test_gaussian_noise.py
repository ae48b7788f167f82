"""Gaussian noise by its distribution, through the engine."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from stepping import run
from through_engine import recorded

from synsim.components.gaussian_noise import GaussianNoise


def noise(steps, units=250, batch=2, **rest):
    return recorded("GaussianNoise", ["outputs"], steps=steps, batch=batch, n_units=units, **rest)["outputs"][0]


@pytest.mark.parametrize("dt", [1.0, 0.1])
def test_mean_and_deviation_do_not_depend_on_the_step(dt):
    found = noise(400, mean=-1.5, sigma=5.0, dt=dt)
    n = found.size
    assert n >= 100_000
    assert abs(found.mean() + 1.5) < 4.5 * 5.0 / np.sqrt(n)
    assert abs(found.std() / 5.0 - 1.0) < 4.5 / np.sqrt(2 * n)
    assert stats.kstest(((found + 1.5) / 5.0).ravel(), "norm").pvalue > 1e-4


def test_steps_rows_and_units_are_independent():
    found = noise(400)
    for a, b in ((found[1:], found[:-1]), (found[:, :1], found[:, 1:]), (found[..., 1:], found[..., :-1])):
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 4.5 / np.sqrt(a.size)


def test_by_unit():
    sigma = [0.0, 1.0, 3.0]
    found = noise(40_000, units=3, batch=1, sigma=sigma, mean=[1.0, 2.0, 3.0])[:, 0]
    np.testing.assert_array_equal(found[:, 0], 1.0)
    np.testing.assert_allclose(found.std(0), sigma, rtol=0.02)
    np.testing.assert_allclose(found.mean(0), [1.0, 2.0, 3.0], atol=0.07)


@pytest.mark.parametrize(("dt", "held"), [(0.5, 2), (0.1, 10), (1.0, 1), (4.0, 1)])
def test_a_number_is_held_for_the_interval(dt, held):
    """Izhikevich's network takes a new current each millisecond and integrates in half steps."""
    found = noise(60, units=5, dt=dt, interval=1.0, mean=2.0)
    np.testing.assert_array_equal(found, np.repeat(found[::held], held, axis=0))
    assert (np.diff(found[::held], axis=0) != 0).all()


@pytest.mark.parametrize("settings", [dict(dt=1.0), dict(dt=0.1), dict(dt=0.1, interval=0.5)])
def test_white_noise_has_an_integral_that_does_not_depend_on_the_step(settings):
    """Over 1 ms its standard deviation is sigma: that of sigma W(1 ms), W the Wiener process."""
    dt = settings["dt"]
    found = noise(round(200 / dt), sigma=2.0, scaling="white", units=300, **settings)
    integral = found.reshape(200, round(1 / dt), *found.shape[1:]).sum(1) * dt
    assert integral.size >= 100_000
    assert abs(integral.std() / 2.0 - 1.0) < 4.5 / np.sqrt(2 * integral.size)


def test_units_in_a_shape_and_double_precision():
    found = recorded("GaussianNoise", ["outputs"], steps=3, n_units=[2, 3, 1], precision="float64")["outputs"]
    assert found.shape == (1, 3, 1, 2, 3, 1) and found.dtype == np.float64
    np.testing.assert_array_equal(run(GaussianNoise(n_units=2, mean=4.0, sigma=0.0), {}, 3)["outputs"], 4.0)
