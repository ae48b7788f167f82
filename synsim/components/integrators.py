"""One step of an ordinary differential equation dx/dt = f(x) with all inputs held over the step.

    euler                x + dt k1
    rk2, midpoint        x + dt f(x + dt/2 k1)
    heun, rk2_heun       x + dt/2 (k1 + f(x + dt k1))
    ralston, rk2_ralston x + dt (1/3 k1 + 2/3 f(x + 3/4 dt k1))
    rk4                  x + dt/6 (k1 + 2 k2 + 2 k3 + k4)

with k1 = f(x). Source: Ascher & Petzold (1998), Computer Methods for Ordinary Differential Equations; Ralston (1962),
Mathematics of Computation 16, 431.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import jax

Integrator = Literal["euler", "rk2", "midpoint", "heun", "rk2_heun", "ralston", "rk2_ralston", "rk4"]


def integrate(method: Integrator, f: Callable[[jax.Array], jax.Array], x: jax.Array, dt: float) -> jax.Array:
    """The state after one step of length `dt` from `x`. An unknown method is a ValueError."""
    k1 = f(x)
    match method:
        case "euler":
            return x + dt * k1
        case "rk2" | "midpoint":
            return x + dt * f(x + (0.5 * dt) * k1)
        case "heun" | "rk2_heun":
            return x + (0.5 * dt) * (k1 + f(x + dt * k1))
        case "ralston" | "rk2_ralston":
            return x + dt * (k1 / 3.0 + 2.0 / 3.0 * f(x + (0.75 * dt) * k1))
        case "rk4":
            k2 = f(x + (0.5 * dt) * k1)
            k3 = f(x + (0.5 * dt) * k2)
            k4 = f(x + dt * k3)
            return x + (dt / 6.0) * (k1 + 2.0 * k2 + 2.0 * k3 + k4)
    raise ValueError(f"unknown integration method {method!r}")
