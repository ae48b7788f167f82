"""What spiking cells share: a step with a threshold, which spikes are kept, how a threshold adapts, what ds/dj is.

    a threshold's increment becomes theta exp(-dt / tau) + plus s, and stays as it is where tau <= 0
    ds/dj is d(v - threshold) times dv/dj, with d one of
        arctan 1 / (pi (1 + (pi a u / 2)^2)), triangular max(0, 1 - a |u|), straight_through 1     (a = .2 per mV),
    or secant_lif 1[J > 0] / cosh(.08 J), which is by itself the estimate; J is the current times the resistance.

Shapes: all (B, *units). Sources: Bengio et al. (2013), arXiv:1308.3432; Samadi et al. (2017), Neural Computation
29:578; adaptive threshold: Diehl & Cook (2015), Front. Comput. Neurosci. 9:99.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from synsim.component import Now, View, rounded
from synsim.components.integrators import integrate
from synsim.later import jax, jnp
from synsim.one_function import made_once
from synsim.spike_bits import packed, remember_packed, set_at

Surrogate = Literal["arctan", "triangular", "straight_through", "secant_lif"]

SURROGATE_ALPHA = 0.2  # per mV: width of the arctan and triangular surrogates
SECANT_C1, SECANT_C2 = 0.82, 0.08  # Samadi et al. (2017)


def integrate_and_fire(
    cell: Any,
    slope: Callable[[jax.Array, jax.Array], jax.Array],
    x: View,
    now: Now,
    jump: jax.Array | None = None,
) -> dict[str, jax.Array]:
    """One step of a cell with a threshold that adapts and a refractory period: all its compartments.

    `slope` gives dv/dt from v and the current R j that is left while the cell is refractory; `cell` has the settings
    of LIFCell but for those in its equation. `jump` is added to v once it is integrated, and lost while refractory.
    """
    drive = cell.resist_m * x.j
    threshold = cell.thr + x.thr_theta
    ready = refractory_over(x.rfr, cell.refract_time, now.dt, cell.refractory)
    current = jnp.where(ready, drive, 0.0)
    v = integrate(cell.integration_type, lambda v: slope(v, current), x.v, now.dt)
    if jump is not None:
        v = v + jnp.where(ready, jump, 0.0)
    if cell.refractory == "published":
        v = jnp.where(ready, v, x.v)
    v = made_once(v)
    fired = v > threshold
    if cell.refractory == "published":
        fired = ready & fired
    fired = made_once(fired)
    s_raw = fired.astype(x.v.dtype)
    s = picked(s_raw, x.v, now.key, one=cell.one_spike, highest=cell.max_one_spike)
    theta = adapted(x.thr_theta, s_raw, cell.tau_theta, cell.theta_plus, now)
    ds_dj = surrogate(cell.surrogate_type, v - threshold, drive, cell.resist_m * now.dt / cell.tau_m)
    if now.walked and s is s_raw:
        words = packed(fired.reshape(fired.shape[0], -1))
        remember_packed(s, words)
        # few cells fire in a step: to go to them takes less than to look at all
        v, tols = set_at(words, (v, x.tols), (cell.v_reset, now.t))
    else:
        v = jnp.where(fired, cell.v_reset, v)
        tols = jnp.where(s > 0.0, now.t, x.tols).astype(x.tols.dtype)
    if cell.v_min is not None:
        v = jnp.maximum(v, cell.v_min)
    return dict(
        v=v,
        rfr=jnp.where(fired, 0.0, x.rfr + now.dt),
        thr_theta=theta,
        tols=tols,
        s=s,
        s_raw=s_raw,
        v_thr=cell.thr + theta,
        surrogate=ds_dj,
    )


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
