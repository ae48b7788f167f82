"""Every activation function by its formula, and every derivative by automatic differentiation of the function."""

from __future__ import annotations

import math
from typing import get_args

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from synsim.components.activations import WINNERS, ActivationName, activate, modulate

X = jnp.asarray(np.random.default_rng(0).normal(0.5, 2.5, (3, 8)), jnp.float32)
J = jnp.asarray(np.random.default_rng(1).normal(0.0, 1.0, (3, 8)), jnp.float32)


def sigmoid(x):
    return 1.0 / (1.0 + math.exp(-x))


FORMULAS = {
    "identity": lambda x: x,
    "relu": lambda x: max(x, 0.0),
    "lrelu": lambda x: x if x >= 0 else 0.01 * x,
    "relu6": lambda x: min(max(x, 0.0), 6.0),
    "elu": lambda x: x if x >= 0 else math.exp(x) - 1.0,
    "tanh": math.tanh,
    "sigmoid": sigmoid,
    "softplus": lambda x: math.log(1.0 + math.exp(x)),
    "silu": lambda x: x * sigmoid(x),
    "gelu": lambda x: x * sigmoid(1.702 * x),
    "telu": lambda x: x * math.tanh(math.exp(x)),
    "sine": lambda x: math.sin(30.0 * x),
    "unit_threshold": lambda x: float(x >= 1.0),
    "heaviside": lambda x: float(x >= 0.0),
}
STRAIGHT_THROUGH = ("unit_threshold", "heaviside")


@pytest.mark.parametrize("name", FORMULAS)
def test_values(name):
    expected = np.vectorize(FORMULAS[name])(np.asarray(X, np.float64))
    np.testing.assert_allclose(activate(name, X), expected, rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("name", [name for name in FORMULAS if name not in STRAIGHT_THROUGH] + ["softmax"])
def test_the_current_is_scaled_by_the_derivative(name):
    _, pulled = jax.vjp(lambda x: activate(name, x), X)
    np.testing.assert_allclose(modulate(name, X, J), pulled(J)[0], rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("name", STRAIGHT_THROUGH)
def test_steps_pass_the_current_on(name):
    np.testing.assert_array_equal(modulate(name, X, J), J)


@pytest.mark.parametrize(
    ("name", "at", "slope"),
    [("relu", 0.0, 1.0), ("lrelu", 0.0, 1.0), ("relu6", 0.0, 1.0), ("relu6", 6.0, 1.0), ("elu", 0.0, 1.0)],
)
def test_the_slope_at_a_kink(name, at, slope):
    assert float(modulate(name, jnp.full((1, 1), at), jnp.ones((1, 1)))[0, 0]) == slope


def test_softmax_is_over_all_units_of_a_row():
    image = X.reshape(3, 4, 2, 1)
    found = activate("softmax", image)
    np.testing.assert_allclose(found.sum((1, 2, 3)), 1.0, rtol=1e-6)
    np.testing.assert_allclose(found.reshape(3, 8), jax.nn.softmax(X, axis=1), rtol=1e-6)


def test_winners():
    rows = jnp.asarray([[9.0, 1, 8, 2, 7, 3, 6, 5], [1.0, 1, 1, 1, 1, 1, 0, 0]])
    found = activate("bkwta", rows)
    np.testing.assert_array_equal(found[0], [1, 0, 1, 0, 1, 0, 1, 1])
    assert found[0].sum() == WINNERS
    np.testing.assert_array_equal(found[1], [1, 1, 1, 1, 1, 1, 0, 0])  # equal values all win
    np.testing.assert_array_equal(activate("bkwta", rows[:, :3]), 1.0)  # fewer units than winners
    np.testing.assert_array_equal(modulate("bkwta", rows, 2.0 * jnp.ones_like(rows)), 2.0 * found)


@pytest.mark.parametrize("name", get_args(ActivationName))
def test_large_values_stay_finite(name):
    x = jnp.asarray([[-1e4, -90.0, 0.0, 90.0, 1e4, 1.0, 2.0, 3.0]])
    assert jnp.isfinite(activate(name, x)).all()
    assert jnp.isfinite(modulate(name, x, jnp.ones_like(x))).all()


def test_the_frequency_of_sine_is_honoured():
    np.testing.assert_allclose(activate("sine", X, 2.0), jnp.sin(2.0 * X), rtol=1e-6)
    np.testing.assert_allclose(modulate("sine", X, J, 2.0), J * 2.0 * jnp.cos(2.0 * X), rtol=1e-6)
