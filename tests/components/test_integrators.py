"""Each method by its own formula: on dx/dt = x^2, where all of them differ, and on dx/dt = -x."""

from __future__ import annotations

from math import exp, factorial

import jax.numpy as jnp
import pytest

from synsim.components.integrators import integrate

DT, X = 0.25, 0.8


def square(x):
    return x * x


K1 = X**2
K2, HALF = (X + DT * K1) ** 2, (X + DT / 2 * K1) ** 2
K3 = (X + DT / 2 * HALF) ** 2
EXPECTED = {
    "euler": X + DT * K1,
    "rk2": X + DT * HALF,
    "midpoint": X + DT * HALF,
    "heun": X + DT / 2 * (K1 + K2),
    "rk2_heun": X + DT / 2 * (K1 + K2),
    "ralston": X + DT * (K1 / 3 + 2 / 3 * (X + 0.75 * DT * K1) ** 2),
    "rk2_ralston": X + DT * (K1 / 3 + 2 / 3 * (X + 0.75 * DT * K1) ** 2),
    "rk4": X + DT / 6 * (K1 + 2 * HALF + 2 * K3 + (X + DT * K3) ** 2),
}
ORDER = {name: {"euler": 1, "rk4": 4}.get(name, 2) for name in EXPECTED}


@pytest.mark.parametrize("method", EXPECTED)
def test_one_step_of_a_nonlinear_equation(method):
    assert float(integrate(method, square, jnp.float32(X), DT)) == pytest.approx(EXPECTED[method], rel=1e-6)


@pytest.mark.parametrize("method", EXPECTED)
def test_one_step_of_decay_is_the_series_up_to_its_order(method):
    found = float(integrate(method, lambda x: -x, jnp.float32(1.0), DT))
    assert found == pytest.approx(sum((-DT) ** n / factorial(n) for n in range(ORDER[method] + 1)), rel=1e-6)


def test_the_higher_the_order_the_nearer_the_solution():
    exact = X / (1 - DT * X)
    error = {name: abs(value - exact) for name, value in EXPECTED.items()}
    assert error["rk4"] < error["rk2"] < error["euler"]
    assert exp(-DT) == pytest.approx(sum((-DT) ** n / factorial(n) for n in range(9)))


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="unknown integration method 'rk5'"):
        integrate("rk5", square, jnp.float32(X), DT)
