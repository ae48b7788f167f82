"""Each method by its own formula, by its order on equations with known solutions, and inside cells."""

from __future__ import annotations

import typing
from math import exp, expm1, factorial, log2

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.linalg import expm
from stepping import run

from synsim.components.integrators import Integrator, integrate, integrate_coupled
from synsim.components.lif_cell import LIFCell
from synsim.components.rate_cell import RateCell

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
    "exponential_euler": X + K1 * expm1(2 * X * DT) / (2 * X),
}
RUNGE_KUTTA = tuple(name for name in EXPECTED if name != "exponential_euler")
ORDER = {name: {"euler": 1, "rk4": 4}.get(name, 2) for name in EXPECTED}
"""On one variable. The exponential method with the true derivative is a Rosenbrock method of order 2 (Hochbruck &
Ostermann 2010, section 2.4); with the diagonal alone of a system it is of order 1."""


def order(error_of, coarse: int) -> float:
    """The power of dt that the error goes with, from two lengths of the step."""
    return log2(error_of(coarse) / error_of(2 * coarse))


def test_every_name_is_tested():
    assert set(EXPECTED) == set(typing.get_args(Integrator))


@pytest.mark.parametrize("method", EXPECTED)
def test_one_step_of_a_nonlinear_equation(method):
    assert float(integrate(method, square, jnp.float32(X), DT)) == pytest.approx(EXPECTED[method], rel=1e-6)


@pytest.mark.parametrize("method", RUNGE_KUTTA)
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


# --------------------------------------------------------------------------------------------------------- orders


@pytest.mark.parametrize("method", EXPECTED)
def test_order_on_the_logistic_equation(method):
    """dx/dt = x (1 - x) from .1 is 1 / (1 + 9 e^-t)."""

    def error(steps):
        with jax.enable_x64(True):
            x = jax.lax.fori_loop(
                0, steps, lambda _, x: integrate(method, lambda x: x * (1.0 - x), x, 3.0 / steps), jnp.float64(0.1)
            )
            return abs(float(x) - 1.0 / (1.0 + 9.0 * exp(-3.0)))

    assert order(error, 48) == pytest.approx(ORDER[method], abs=0.12)


SPIRAL = np.array([[-0.3, -2.0], [1.5, -0.2]])
"""A damped oscillation of two variables: x(t) = e^(At) x(0)."""


def spiral(v, w):
    return SPIRAL[0, 0] * v + SPIRAL[0, 1] * w, SPIRAL[1, 0] * v + SPIRAL[1, 1] * w


def spiral_error(method, coupling, steps):
    with jax.enable_x64(True):
        start = (jnp.ones((2, 3)), jnp.full((2, 3), -0.5))
        found = jax.lax.fori_loop(
            0, steps, lambda _, x: integrate_coupled(method, coupling, spiral, x, 2.0 / steps), start
        )
        assert found[0].shape == found[1].shape == (2, 3)
        exact = expm(2.0 * SPIRAL) @ [1.0, -0.5]
        return max(float(abs(found[i] - exact[i]).max()) for i in (0, 1))


@pytest.mark.parametrize("method", EXPECTED)
def test_order_of_variables_that_are_integrated_together(method):
    theory = 1 if method == "exponential_euler" else ORDER[method]
    assert order(lambda n: spiral_error(method, "published", n), 256) == pytest.approx(theory, abs=0.12)


@pytest.mark.parametrize("method", EXPECTED)
def test_a_partner_that_stands_still_leaves_order_one(method):
    assert order(lambda n: spiral_error(method, "reference", n), 256) == pytest.approx(1, abs=0.12)


# ------------------------------------------------------------------------------------------------------- coupling


@pytest.mark.parametrize("method", EXPECTED)
def test_coupling_by_its_definition(method):
    """On two nonlinear variables, against each one alone with its partner's old value, and against a vector."""
    v, w = jnp.float32(0.7), jnp.float32(1.3)
    slopes = lambda v, w: (w - v**3, v * w - w)  # noqa: E731
    alone = integrate_coupled(method, "reference", slopes, (v, w), DT)
    assert float(alone[0]) == pytest.approx(float(integrate(method, lambda v: w - v**3, v, DT)), rel=1e-6)
    assert float(alone[1]) == pytest.approx(float(integrate(method, lambda w: v * w - w, w, DT)), rel=1e-6)
    together = integrate_coupled(method, "published", slopes, (v, w), DT)
    if method == "exponential_euler":
        rates = (-3 * 0.7**2, 0.7 - 1.0)
        slope = (1.3 - 0.7**3, 0.7 * 1.3 - 1.3)
        expected = [x + f * expm1(r * DT) / r for x, f, r in zip((0.7, 1.3), slope, rates, strict=True)]
    else:  # no diagonal is taken, so an array may hold both
        expected = integrate(method, lambda x: jnp.stack(slopes(x[0], x[1])), jnp.stack([v, w]), DT)
    np.testing.assert_allclose(together, expected, rtol=1e-6)
    same = method in ("euler", "exponential_euler")
    assert np.allclose(alone, together, rtol=1e-6) == same


# ---------------------------------------------------------------------------------------------- exponential euler


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rate", [0.0, 1e-30, 1e-12, 1e-9, 1e-5, 3e-4, 4e-4, 0.1, 30.0, 1e4])
def test_exponential_euler_is_exact_for_a_linear_leak_at_any_rate(rate, dtype):
    """dx/dt = rate (2 - x) from 3: 2 + e^(-rate dt); as the increment, so that a small one is seen."""
    with jax.enable_x64(dtype == "float64"):
        x = jnp.asarray([[3.0]], dtype)
        found = integrate("exponential_euler", lambda x: rate * (2.0 - x), x, 1.0)
        assert found.dtype == dtype
        small = 4 * float(jnp.finfo(dtype).eps)
        assert found.item() == pytest.approx(2.0 + exp(-rate), rel=small)
        if rate:  # from 0, where nothing is lost against a large x: 2 (1 - e^(-rate dt))
            step = integrate("exponential_euler", lambda x: rate * (2.0 - x), jnp.zeros((1, 1), dtype), 1.0)
            assert step.item() == pytest.approx(-2.0 * expm1(-rate), rel=small)


# ----------------------------------------------------------------------------------------------------- inside cells


@pytest.mark.parametrize("method", EXPECTED)
def test_order_through_a_leaky_cell(method):
    """v_rest + R j (1 - e^(-t / tau)) below the threshold."""
    cell = LIFCell(n_units=1, tau_m=10.0, resist_m=1.2, integration_type=method)
    exact = -65.0 + 12.0 * -expm1(-2.0)

    def error(steps):
        with jax.enable_x64(True):
            found = run(cell, {"j": 10.0}, steps, dt=20.0 / steps, dtype=jnp.float64)
            assert not found["s"].any()
            return abs(found["v"][-1].item() - exact)

    if method == "exponential_euler":
        assert max(error(n) for n in (1, 2, 40)) < 1e-12
    else:
        assert order(error, 40) == pytest.approx(ORDER[method], abs=0.12)


@pytest.mark.parametrize("method", EXPECTED)
def test_order_through_a_nonlinear_cell(method):
    """The Cauchy prior's leak against SciPy's DOP853."""
    cell = RateCell(n_units=1, tau_m=5.0, prior="cauchy", prior_lmbda=0.9, integration_type=method)
    fine = solve_ivp(
        lambda _, z: (0.4 - 0.9 * 2 * z / (1 + z**2)) / 5.0, (0, 20.0), [2.0], method="DOP853", rtol=1e-13, atol=1e-14
    )

    def error(steps):
        with jax.enable_x64(True):
            found = run(cell, {"j": 0.4}, steps, dt=20.0 / steps, dtype=jnp.float64, start={"z": [[2.0]]})
            return abs(found["z"][-1].item() - fine.y[0, -1])

    assert order(error, 80) == pytest.approx(ORDER[method], abs=0.15)
