"""The Bernoulli error cell by automatic derivatives and by SciPy's probabilities."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special, stats
from stepping import run

from synsim.components.bernoulli_error_cell import LEAST, BernoulliErrorCell

RNG = np.random.default_rng(0)
P, LOGITS = RNG.uniform(0.02, 0.98, size=(1, 3, 4)), RNG.normal(0.0, 2.0, size=(1, 3, 4))
TARGET = (RNG.uniform(size=(1, 3, 4)) < 0.4).astype(float)


def likelihood(target, q):
    return jnp.sum(target * jnp.log(q) + (1 - target) * jnp.log(1 - q))


@pytest.mark.parametrize("derivative", ["reference", "published"])
def test_of_a_probability(derivative):
    """The reference multiplies dp by the slope of a sigmoid at p, as if p were a logit (fault 20)."""
    found = run(BernoulliErrorCell(n_units=4, derivative=derivative), {"p": P, "target": TARGET}, 1, batch=3)
    np.testing.assert_allclose(found["L"][0], stats.bernoulli.logpmf(TARGET.astype(int), P).sum(), rtol=1e-5)
    dtarget, dp = jax.grad(likelihood, (0, 1))(jnp.asarray(TARGET), jnp.asarray(P))
    factor = special.expit(P) * (1 - special.expit(P)) if derivative == "reference" else 1.0
    np.testing.assert_allclose(found["dp"], dp * factor, rtol=1e-4)
    np.testing.assert_allclose(found["dtarget"], dtarget, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("derivative", ["reference", "published"])
def test_of_a_logit(derivative):
    cell = BernoulliErrorCell(n_units=4, input_logits=True, derivative=derivative)
    found = run(cell, {"p": LOGITS, "target": TARGET}, 1, batch=3)
    dp = jax.grad(lambda z: likelihood(TARGET, jax.nn.sigmoid(z)))(jnp.asarray(LOGITS))
    np.testing.assert_allclose(found["dp"], dp, rtol=1e-4, atol=1e-6)
    q = special.expit(LOGITS)
    np.testing.assert_allclose(found["L"][0], stats.bernoulli.logpmf(TARGET.astype(int), q).sum(), rtol=1e-5)


def test_certainties_stay_finite():
    found = run(BernoulliErrorCell(n_units=4), {"p": np.array([[[0.0, 1.0, -3.0, 7.0]]]), "target": 1.0}, 1)
    np.testing.assert_allclose(found["L"][0], 2 * np.log(LEAST) + 2 * np.log(1 - LEAST), rtol=1e-4)
    assert all(np.isfinite(value).all() for value in found.values())


def test_modulator_and_mask_hold_for_as_long_as_they_are_wired():
    mask, modulator = np.array([1.0, 0.0, 1.0, 1.0]), np.array([2.0, 1.0, 0.5, 0.0])
    inputs = dict(p=P, target=TARGET, mask=mask, modulator=modulator)
    found = run(
        BernoulliErrorCell(n_units=4), {k: np.broadcast_to(v, (3, 3, 4)) for k, v in inputs.items()}, 3, batch=3
    )
    plain = run(BernoulliErrorCell(n_units=4), {"p": P, "target": TARGET}, 1, batch=3)
    for k in range(3):
        for name in ("dp", "dtarget"):
            np.testing.assert_allclose(found[name][k], plain[name][0] * mask * modulator, rtol=1e-5)
        assert found["L"][k] == plain["L"][0]


def test_units_in_a_shape():
    found = run(BernoulliErrorCell(n_units=(2, 3, 1)), {"p": 0.5, "target": 1.0}, 1, batch=2)
    assert found["dp"].shape == (1, 2, 2, 3, 1) and found["L"].shape == (1,)
    assert found["L"].item() == pytest.approx(12 * np.log(0.5), rel=1e-6)
