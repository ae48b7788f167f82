"""One step of an ordinary differential equation dx/dt = f(x) with all inputs held over the step.

    euler                x + dt k1
    rk2, midpoint        x + dt f(x + dt/2 k1)
    heun, rk2_heun       x + dt/2 (k1 + f(x + dt k1))
    ralston, rk2_ralston x + dt (1/3 k1 + 2/3 f(x + 3/4 dt k1))
    rk4                  x + dt/6 (k1 + 2 k2 + 2 k3 + k4)
    exponential_euler    x + dt phi(dt J) k1,     phi(z) = (e^z - 1) / z,     J = df/dx

with k1 = f(x). x is one array or a tuple of arrays that are integrated together; f takes and gives the same. Every
element is an equation of its own: f may mix the arrays of a tuple, not the units of one array.

J is the diagonal alone, the derivative of each variable's slope by that variable. So exponential_euler is exact where
a variable decays linearly towards a value that stands still over the step, stable there at any dt, of order 2 for one
nonlinear variable, and of order 1 where several depend on one another.

Source: Ascher & Petzold (1998), Computer Methods for Ordinary Differential Equations; Ralston (1962), Mathematics of
Computation 16, 431; exponential Euler: Hochbruck & Ostermann (2010), Acta Numerica 19, 209.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from synsim.later import jax, jnp

Integrator = Literal[
    "euler", "rk2", "midpoint", "heun", "rk2_heun", "ralston", "rk2_ralston", "rk4", "exponential_euler"
]
Coupling = Literal["reference", "published"]


def integrate(method: Integrator, f: Callable[[Any], Any], x: Any, dt: Any) -> Any:
    """The state after one step of length `dt` from `x`. An unknown method is a ValueError."""

    def along(h: Any, slope: Any) -> Any:
        return jax.tree.map(lambda each, its: each + h * its, x, slope)

    if method == "exponential_euler":
        k1, growth = _with_diagonal(f, x)
        return along(dt, jax.tree.map(lambda slope, rate: slope * _phi(dt * rate), k1, growth))
    k1 = f(x)
    match method:
        case "euler":
            return along(dt, k1)
        case "rk2" | "midpoint":
            return along(dt, f(along(0.5 * dt, k1)))
        case "heun" | "rk2_heun":
            k2 = f(along(dt, k1))
            return along(0.5 * dt, jax.tree.map(lambda a, b: a + b, k1, k2))
        case "ralston" | "rk2_ralston":
            k2 = f(along(0.75 * dt, k1))
            return along(dt, jax.tree.map(lambda a, b: a / 3.0 + 2.0 / 3.0 * b, k1, k2))
        case "rk4":
            k2 = f(along(0.5 * dt, k1))
            k3 = f(along(0.5 * dt, k2))
            k4 = f(along(dt, k3))
            return along(dt / 6.0, jax.tree.map(lambda a, b, c, d: a + 2.0 * b + 2.0 * c + d, k1, k2, k3, k4))
    raise ValueError(f"unknown integration method {method!r}")


def integrate_coupled(
    method: Integrator,
    coupling: Coupling,
    slopes: Callable[..., tuple[jax.Array, ...]],
    values: tuple[jax.Array, ...],
    dt: Any,
) -> tuple[jax.Array, ...]:
    """One step of variables that depend on one another: `slopes(*values)` gives the slope of each.

    published: as one system. reference: each by itself, the others held at their old values over the step, which
    leaves any method at order 1. The two are the same for euler and exponential_euler, which look at f once.
    """
    if coupling == "published":
        return integrate(method, lambda together: slopes(*together), values, dt)

    def alone(place: int) -> jax.Array:
        def slope(value: jax.Array) -> jax.Array:
            return slopes(*values[:place], value, *values[place + 1 :])[place]

        return integrate(method, slope, values[place], dt)

    return tuple(alone(place) for place in range(len(values)))


def _with_diagonal(f: Callable[[Any], Any], x: Any) -> tuple[Any, Any]:
    """f(x), and the derivative of each variable's slope by that variable."""
    leaves, tree = jax.tree.flatten(x)
    k1, derivative = jax.linearize(f, x)
    diagonal = []
    for place in range(len(leaves)):
        along = [jnp.ones_like(leaf) if i == place else jnp.zeros_like(leaf) for i, leaf in enumerate(leaves)]
        diagonal.append(jax.tree.leaves(derivative(jax.tree.unflatten(tree, along)))[place])
    return k1, jax.tree.unflatten(tree, diagonal)


def mean_decay(z: Any) -> jax.Array:
    """(1 - e^-z) / z: the mean of e^-s over s from 0 to z."""
    return _phi(-z)


def _phi(z: Any) -> jax.Array:
    """(e^z - 1) / z, and its limit near 0."""
    near = jnp.abs(z) < 0.25
    series = 1.0
    for k in range(12, 1, -1):  # 1 + z/2 (1 + z/3 (1 + …)); the first term left out is below 3e-17
        series = 1.0 + z / k * series
    far = jnp.where(near, 1.0, z)
    # e^z - 1 and not expm1: XLA gives that other last digits where something else is recorded
    return jnp.where(near, series, (jnp.exp(far) - 1.0) / far)
