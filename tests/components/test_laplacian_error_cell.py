"""The Laplacian error cell by its formula and by SciPy's density."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from stepping import run

from synsim.components.laplacian_error_cell import LaplacianErrorCell

RNG = np.random.default_rng(0)
SHIFT, TARGET = RNG.normal(size=(1, 3, 4)), RNG.normal(size=(1, 3, 4))
TARGET[0, 1, 2] = SHIFT[0, 1, 2] = 0.25
SCALE = RNG.uniform(0.5, 2.0, size=(1, 3, 4))


@pytest.mark.parametrize("scale", [0.7, [0.5, 1.0, 2.0, 4.0]])
def test_errors_and_the_count_of_the_reference(scale):
    """L is one number for a scale by unit too; it counts units that are not exactly right (fault 20)."""
    cell = LaplacianErrorCell(n_units=4, scale=jnp.asarray(scale, jnp.float32))
    found = run(cell, {"shift": SHIFT, "target": TARGET}, 1, batch=3)
    side = np.sign(TARGET - SHIFT)
    np.testing.assert_allclose(found["dshift"], side / np.asarray(scale), rtol=1e-6)
    np.testing.assert_array_equal(found["dtarget"], -found["dshift"])
    assert found["L"].shape == (1,) and np.count_nonzero(side) == 11
    np.testing.assert_allclose(found["L"][0], -np.sum(np.abs(side) / np.asarray(scale)), rtol=1e-6)
    np.testing.assert_array_equal(found["dScale"], 1.0)


def test_the_published_likelihood_is_the_log_density():
    cell = LaplacianErrorCell(n_units=4, scale=9.0, likelihood="published")
    found = run(cell, {"shift": SHIFT, "target": TARGET, "Scale": SCALE}, 1, batch=3)
    np.testing.assert_allclose(found["L"][0], stats.laplace.logpdf(TARGET, SHIFT, SCALE).sum(), rtol=1e-5)

    def density(shift, scale):
        return jax.scipy.stats.laplace.logpdf(TARGET, shift, scale).sum()

    dshift, dscale = jax.grad(density, (0, 1))(jnp.asarray(SHIFT), jnp.asarray(SCALE))
    off = TARGET != SHIFT
    np.testing.assert_allclose(found["dshift"][off], np.asarray(dshift)[off], rtol=1e-5)
    np.testing.assert_allclose(found["dScale"], dscale, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("likelihood", ["reference", "published"])
def test_modulator_and_mask_hold_for_as_long_as_they_are_wired(likelihood):
    """The reference sets its mask back to 1 after a step, through the wire (fault 11)."""
    mask, modulator = np.array([1.0, 0.0, 1.0, 1.0]), np.array([2.0, 1.0, 0.5, 0.0])
    inputs = dict(shift=SHIFT, target=TARGET, mask=mask, modulator=modulator)
    inputs = {name: np.broadcast_to(value, (3, 3, 4)) for name, value in inputs.items()}
    found = run(LaplacianErrorCell(n_units=4, likelihood=likelihood), inputs, 3, batch=3)
    plain = run(LaplacianErrorCell(n_units=4, likelihood=likelihood), {"shift": SHIFT, "target": TARGET}, 1, batch=3)
    for k in range(3):
        np.testing.assert_allclose(found["dshift"][k], np.sign(TARGET - SHIFT)[0] * mask * modulator)
        assert found["L"][k] == plain["L"][0]


def test_units_in_a_shape():
    found = run(LaplacianErrorCell(n_units=(2, 3, 1), scale=2.0), {"target": -5.0}, 1, batch=2)
    np.testing.assert_array_equal(found["dshift"], np.full((1, 2, 2, 3, 1), -0.5))
    assert found["L"].item() == -6.0
