"""The Gaussian error cell by its formula."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from stepping import run

from synsim.components.gaussian_error_cell import GaussianErrorCell

RNG = np.random.default_rng(0)
MU, TARGET = RNG.normal(size=(1, 3, 4)), RNG.normal(size=(1, 3, 4))


@pytest.mark.parametrize("sigma", [0.7, [0.5, 1.0, 2.0, 4.0]])
def test_errors_and_likelihood(sigma):
    """L is one number for a variance by unit too; in the reference it becomes a vector (fault 15)."""
    variance = np.asarray(sigma)
    cell = GaussianErrorCell(n_units=4, sigma=jnp.asarray(sigma, jnp.float32))
    found = run(cell, {"mu": MU, "target": TARGET}, 1, batch=3)
    np.testing.assert_allclose(found["dmu"], (TARGET - MU) / variance, rtol=1e-5)
    np.testing.assert_array_equal(found["dtarget"], -found["dmu"])
    assert found["L"].shape == (1,)
    np.testing.assert_allclose(found["L"][0], -np.sum((TARGET - MU) ** 2 / (2 * variance)), rtol=1e-5)


def test_the_errors_are_the_derivatives_of_the_likelihood():
    def likelihood(mu):
        return -jnp.sum((TARGET - mu) ** 2) / (2 * 0.7)

    found = run(GaussianErrorCell(n_units=4, sigma=0.7), {"mu": MU, "target": TARGET}, 1, batch=3)
    np.testing.assert_allclose(found["dmu"], jax.grad(likelihood)(jnp.asarray(MU)), rtol=1e-5)


def test_modulator_and_mask_hold_for_as_long_as_they_are_wired():
    """The reference sets its mask back to 1 after a step, through the wire (fault 11)."""
    mask, modulator = np.array([1.0, 0.0, 1.0, 1.0]), np.array([2.0, 1.0, 0.5, 0.0])
    inputs = {
        "mu": MU,
        "target": TARGET,
        "mask": np.broadcast_to(mask, (1, 3, 4)),
        "modulator": np.broadcast_to(modulator, (1, 3, 4)),
    }
    inputs = {name: np.repeat(value, 3, axis=0) for name, value in inputs.items()}
    found = run(GaussianErrorCell(n_units=4), inputs, 3, batch=3)
    for k in range(3):
        np.testing.assert_allclose(found["dmu"][k], (TARGET - MU)[0] * mask * modulator, rtol=1e-5, atol=1e-7)


def test_units_in_a_shape():
    found = run(GaussianErrorCell(n_units=(2, 3, 1)), {"target": 2.0}, 1, batch=2)
    assert found["dmu"].shape == (1, 2, 2, 3, 1)
    assert found["L"].item() == pytest.approx(-2 * 6 * 4.0 / 2)


@pytest.mark.parametrize("likelihood", ["reference", "published"])
def test_a_variance_that_is_wired(likelihood):
    """The published L is the log density of SciPy and dSigma its derivative; the reference has no normalising term."""
    variance = RNG.uniform(0.5, 2.0, size=MU.shape)
    cell = GaussianErrorCell(n_units=4, sigma=9.0, likelihood=likelihood)
    found = run(cell, {"mu": MU, "target": TARGET, "Sigma": variance}, 1, batch=3)
    np.testing.assert_allclose(found["dmu"], (TARGET - MU) / variance, rtol=1e-5)

    def density(sigma):
        return jax.scipy.stats.norm.logpdf(TARGET, MU, jnp.sqrt(sigma)).sum()

    if likelihood == "published":
        np.testing.assert_allclose(found["L"][0], stats.norm.logpdf(TARGET, MU, np.sqrt(variance)).sum(), rtol=1e-5)
        np.testing.assert_allclose(found["dSigma"], jax.grad(density)(jnp.asarray(variance)), rtol=1e-4, atol=1e-5)
    else:
        np.testing.assert_allclose(found["L"][0], -np.sum((TARGET - MU) ** 2 / (2 * variance)), rtol=1e-5)
        np.testing.assert_array_equal(found["dSigma"], 1.0)
