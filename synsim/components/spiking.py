"""What spiking cells share: which spikes are kept, how a threshold adapts, how ds/dj is estimated.

    a threshold's increment becomes theta exp(-dt / tau) + plus s, and stays as it is where tau <= 0
    ds/dj is d(v - threshold) times dv/dj, with d one of
        arctan 1 / (pi (1 + (pi a u / 2)^2)), triangular max(0, 1 - a |u|), straight_through 1     (a = .2 per mV),
    or secant_lif 1[J > 0] / cosh(.08 J), which is by itself the estimate; J is the current times the resistance.

Shapes: all (B, *units). Sources: Bengio et al. (2013), arXiv:1308.3432; Samadi et al. (2017), Neural Computation
29:578; adaptive threshold: Diehl & Cook (2015), Front. Comput. Neurosci. 9:99.
"""

from __future__ import annotations

from typing import Any, Literal

import jax
import jax.numpy as jnp

from synsim.component import Now, rounded

Surrogate = Literal["arctan", "triangular", "straight_through", "secant_lif"]

SURROGATE_ALPHA = 0.2  # per mV: width of the arctan and triangular surrogates
SECANT_C1, SECANT_C2 = 0.82, 0.08  # Samadi et al. (2017)


def refractory_over(rfr: jax.Array, refract_time: Any, dt: Any, form: Literal["reference", "published"]) -> jax.Array:
    """Where the time since the last spike has reached the refractory time.

    `published` asks half a step less: rounding in the summed dt may not add a step.
    """
    return rfr >= (refract_time - 0.5 * dt if form == "published" else refract_time)


def one_of_each_row(s: jax.Array, key: jax.Array) -> jax.Array:
    """The spikes left where one of each row is kept, drawn at random."""
    rows = s.reshape(s.shape[0], -1)
    lots = rows * jax.random.uniform(key, rows.shape, dtype=s.dtype)
    winner = jax.nn.one_hot(jnp.argmax(lots, axis=1), rows.shape[1], dtype=s.dtype)
    return (rows * winner).reshape(s.shape)


def highest_of_each_row(s: jax.Array, v: jax.Array) -> jax.Array:
    """The spikes left where only the cell of each row with the highest `v` may keep its own."""
    rows = s.reshape(s.shape[0], -1)
    winner = jax.nn.one_hot(jnp.argmax(v.reshape(rows.shape), axis=1), rows.shape[1], dtype=s.dtype)
    return (rows * winner).reshape(s.shape)


def picked(s: jax.Array, v_before: jax.Array, key: jax.Array, *, one: bool, highest: bool) -> jax.Array:
    """The spikes that are left; `highest` goes before `one`."""
    if highest:
        return highest_of_each_row(s, v_before)
    return one_of_each_row(s, key) if one else s


def adapted(theta: jax.Array, s: jax.Array, tau: Any, plus: Any, now: Now) -> jax.Array:
    """The increment of an adaptive threshold after spikes `s`."""
    decay = jnp.exp(-now.dt / jnp.where(tau > 0.0, tau, 1.0))
    return jnp.where(tau > 0.0, rounded(theta * decay, now.zero) + s * plus, theta)


def surrogate(kind: Surrogate, above: jax.Array, drive: jax.Array, dv_dj: Any) -> jax.Array:
    """The estimate of ds/dj at a voltage `above` the threshold, with the current `drive` = J."""
    match kind:
        case "secant_lif":
            return secant(drive)
        case "arctan":
            ds_dv = 1.0 / (jnp.pi * (1.0 + (0.5 * SURROGATE_ALPHA * jnp.pi * above) ** 2))
        case "triangular":
            ds_dv = jnp.maximum(0.0, 1.0 - SURROGATE_ALPHA * jnp.abs(above))
        case "straight_through":
            ds_dv = jnp.ones_like(above)
    return ds_dv * dv_dj


def secant(drive: jax.Array) -> jax.Array:
    """1 / cosh(c2 J) where J > 0, else 0."""
    return jnp.where(drive > 0.0, 1.0 / jnp.cosh(SECANT_C2 * drive), 0.0)
