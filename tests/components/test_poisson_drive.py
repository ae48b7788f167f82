"""The Poisson drive by its distribution, through the engine."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from stepping import run
from through_engine import recorded

from synsim.components.poisson_drive import INVERTED_UP_TO, PoissonDrive, inverted, poisson
from synsim.one_function import fits


def arrivals(steps, names=("arrivals",), **settings):
    return recorded("PoissonDrive", names, steps=steps, batch=2, **settings)


@pytest.mark.parametrize(
    ("rate", "dt"),
    [
        (50.0, 1.0),
        (20_000.0, 0.1),  # Brunel's network at its threshold rate: 2 in a step
        (40_000.0, 0.1),
        (10_000.0, 1.0),
        (40_000.0, 1.0),  # beyond what is inverted
    ],
)
def test_counts_are_poisson(rate, dt):
    found = arrivals(250, n_units=250, rate=rate, dt=dt)["arrivals"]
    mean, n = rate * dt / 1000.0, found.size
    assert n >= 100_000
    assert (found == np.rint(found)).all() and found.min() >= 0
    assert abs(found.mean() - mean) < 4.5 * np.sqrt(mean / n)
    assert abs(found.var() - mean) < 4.5 * np.sqrt((mean + 2 * mean**2) / n)
    expected = stats.poisson.pmf(np.arange(200), mean) * n
    seen = np.bincount(found.astype(int).ravel(), minlength=200)
    often = expected > 20
    pooled = [np.append(each[often], each[~often].sum()) for each in (seen, expected)]
    assert stats.chisquare(pooled[0], pooled[1] * n / pooled[1].sum()).pvalue > 1e-4


def test_steps_rows_and_units_are_independent():
    found = arrivals(250, n_units=250, rate=20_000.0, dt=0.1)["arrivals"][0]
    for a, b in ((found[1:], found[:-1]), (found[:, :1], found[:, 1:]), (found[..., 1:], found[..., :-1])):
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 4.5 / np.sqrt(a.size)


def test_rates_and_weights_by_unit_and_a_factor_that_is_wired():
    settings = dict(n_units=4, rate=[0.0, 500.0, 2000.0, 30_000.0], weight=[1.0, -0.2, 0.1, 0.5])
    found = arrivals(50_000, ("arrivals", "outputs"), wires={"inputs": 0.5}, **settings)
    counts, mean = found["arrivals"][0], np.array([0.0, 0.25, 1.0, 15.0])
    n = counts.size / 4
    assert (np.abs(counts.mean((0, 1)) - mean) <= 4.5 * np.sqrt(mean / n)).all()
    np.testing.assert_allclose(found["outputs"][0], counts * np.float32(settings["weight"]), rtol=1e-6)


def test_a_negative_factor_gives_no_arrivals():
    assert not run(PoissonDrive(n_units=3, rate=1000.0), {"inputs": -1.0}, 20)["arrivals"].any()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_inversion_is_the_quantile_function(dtype):
    """Against SciPy's, at quantiles of every size; at a border of two numbers float32 may take either."""
    with jax.enable_x64(dtype == "float64"):
        for mean in (1e-3, 0.3, 2.0, 7.7, INVERTED_UP_TO):
            u = np.concatenate([np.linspace(0.0, 1.0 - 1e-6, 5001), [1 - 2.0**-23]]).astype(dtype)
            found = np.asarray(inverted(jnp.asarray(u), jnp.full(u.shape, mean, dtype)))
            tolerance = 3e-7 if dtype == "float32" else 1e-12
            low = stats.poisson.ppf(np.clip(u - tolerance, 1e-300, 1), mean)
            high = stats.poisson.ppf(np.clip(u + tolerance, 0, 1 - 1e-9), mean)
            assert ((found >= low) & (found <= high)).all(), mean


def test_a_mean_that_is_not_finite_is_not_hidden():
    found = poisson(jax.random.key(0), jnp.asarray([2.0, jnp.nan, 300.0]))
    assert np.isnan(found[1]) and found[0] < 20 and 200 < found[2] < 400


def test_a_drive_of_many_targets_leaves_its_network_in_one_function():
    assert fits(jax.make_jaxpr(poisson)(jax.random.key(0), jnp.full((1, 5000), 2.0)).jaxpr)
