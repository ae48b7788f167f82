"""Delays: how long what a unit sends is under way, and the rings that hold it meanwhile.

A delay is a whole number of steps d, from 0 on. What is sent in step k arrives in step k + d. A ring has a slot for
each step from the present one to the longest delay, and a place that says which slot is the present one's:

    delays of the presynaptic side   write x into the present slot, read the slot of d steps ago
    delays of each synapse           add w x to the slot that is the present one in d steps, read and clear the present

Source: Morrison, Mehring, Geisel, Aertsen & Diesmann (2005), Neural Computation 17:1776 (ring buffers).
"""

from __future__ import annotations

from typing import Any, ClassVar

from synsim.component import Declaration, param, part, static
from synsim.initialisers import Array, Constant, Initialiser, Shape, Spread, Uniform
from synsim.later import jax, jnp, lax, np

ON_THE_GRID = 1e-3  # of a step: so far may a delay be from a whole number of steps unremarked


class Delays(Declaration, type_name="delays"):
    """Delays in whole steps: d = round(delay / dt). Source: none."""

    of: Initialiser | None = part("The delays in ms, until they are drawn.", default=None)
    steps: Any = param("Number of steps, one for all, for each axon or for each synapse.", default=None)
    slots: int = static("Steps that a ring holds: the present one and as many as the longest delay has.", default=1)

    selectable: ClassVar[bool] = False  # a config has an initialiser in its place

    def drawn(self, key: jax.Array, shape: Shape, dt: float, dtype: Any) -> Delays:
        """The delays, drawn and rounded; what a distribution without bounds draws beyond them becomes the bound."""
        if self.of is None or self.steps is not None:
            return self
        steps = np.rint(np.asarray(self.of.draw(key, shape, dtype), float) / dt)
        written = self.of if isinstance(self.of, Constant) else None
        return Delays(of=written, steps=np.clip(steps, 0, self.slots - 1).astype(dtype), slots=self.slots)

    def off_the_grid(self, dt: float) -> str:
        """What to say of a fixed delay that is no whole number of steps; "" where there is nothing to say."""
        written = float(self.of.value) if isinstance(self.of, Constant) else 0.0
        rounded = round(written / dt) * dt
        if abs(written - rounded) < ON_THE_GRID * dt:
            return ""
        return f"is {written:g} ms, which is no whole number of steps of {dt:g} ms: it becomes {rounded:g} ms"


class Jitter(Initialiser, type_name="jitter"):
    """The reference's random axonal delays: d ~ uniform over 1, 2, … most steps of dt. Source: none."""

    most: int = static("The longest delay, in steps.", ge=1)
    dt: float = static("Length of a step, in ms.")

    selectable: ClassVar[bool] = False

    def values(self, key: jax.Array, shape: Shape, dtype: Any) -> jax.Array:
        return self.dt * jax.random.randint(key, shape, 1, self.most + 1).astype(dtype)


class Listed(Initialiser, type_name="listed"):
    """Delays of edges in a file, until each has its place among the synapses. Source: none."""

    array: Any = param("The delays in ms, in the order of the edges.")

    selectable: ClassVar[bool] = False

    def misfits(self, shape: Shape) -> list[tuple[str, str]]:
        return []  # as many as there are edges, which `placed` puts where they belong

    def placed(self, at: np.ndarray, shape: Shape) -> Array:
        """The delays of all places of the weights; `at` says in which, of the flat ones, each edge is."""
        flat = np.zeros(shape, np.asarray(self.array).dtype)
        flat.reshape(-1)[at] = self.array
        return Array(array=flat)


def longest(delay: Initialiser) -> float | None:
    """The longest delay that an initialiser can give, in ms; None where it has no bound."""
    bounds = _bounds(delay)[1]
    if delay.amax is not None:
        return float(delay.amax) if bounds is None else min(float(delay.amax), bounds)
    return bounds


def shortest(delay: Initialiser) -> float | None:
    """The shortest delay that an initialiser can give, in ms; None where it has no bound."""
    bounds = _bounds(delay)[0]
    if delay.amin is not None:
        return float(delay.amin) if bounds is None else max(float(delay.amin), bounds)
    return bounds


def _bounds(delay: Initialiser) -> tuple[float | None, float | None]:
    match delay:
        case Constant():
            ends = [float(delay.value)] * 2
        case Uniform():
            ends = sorted((float(delay.low), float(delay.high)))
        case Spread():
            ends = sorted((float(delay.first), float(delay.last)))
        case Jitter():
            ends = [delay.dt, delay.dt * delay.most]
        case Array() | Listed() if np.size(delay.array):
            ends = [float(np.min(delay.array)), float(np.max(delay.array))]
        case _:
            return None, None
    return ends[0], ends[1]


def held(delay: Initialiser, most: float | None, dt: float) -> Delays:
    """The delays before they are drawn, with as many slots as they need."""
    bound = longest(delay) if most is None else most
    return Delays(of=delay, slots=round((bound or 0.0) / dt) + 1)


def problems(delay: Initialiser, most: float | None) -> list[tuple[str, str]]:
    """What of a delay and `max_delay` cannot be."""
    low, high = shortest(delay), longest(delay)
    found = []
    if low is not None and low < 0.0:
        found.append(("delay", f"delay goes down to {low:g} ms: nothing arrives before it is sent"))
    if high is None and most is None:
        found.append(
            (
                "delay",
                f"delay has no upper bound as {delay.type_name}: write max_delay, in ms, which longer draws become",
            )
        )
    if most is not None and high is not None and high > most * (1.0 + 1e-6):
        found.append(("max_delay", f"max_delay is {most:g} ms, but delay goes up to {high:g} ms"))
    return found


# rings ----------------------------------------------------------------------------------------------------------------


def through(
    ring: jax.Array, place: jax.Array, sent: jax.Array, steps: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """What arrives of what was sent, the ring (B, slots, *pre) and its place after that.

    `steps` is one number, or one for each element of what is sent.
    """
    slots, now = ring.shape[1], place.astype(jnp.int32)
    ring = lax.dynamic_update_index_in_dim(ring, sent, now, 1)
    back = (now - jnp.asarray(steps).astype(jnp.int32)) % slots
    if jnp.ndim(back) == 0:
        arrived = lax.dynamic_index_in_dim(ring, back, 1, keepdims=False)
    else:
        flat = ring.reshape(ring.shape[0], slots, -1)
        arrived = flat[:, back.ravel(), jnp.arange(flat.shape[2])].reshape(sent.shape)
    return arrived, ring, _next(place, slots)


def arriving(ring: jax.Array, place: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """What has gathered for the present step in the ring (B, slots, *post), the ring without it, and its next place."""
    slots, now = ring.shape[1], place.astype(jnp.int32)
    gathered = lax.dynamic_index_in_dim(ring, now, 1, keepdims=False)
    ring = lax.dynamic_update_index_in_dim(ring, jnp.zeros_like(gathered), now, 1)
    return gathered, ring, _next(place, slots)


def _next(place: jax.Array, slots: int) -> jax.Array:
    return jnp.where(place + 1 < slots, place + 1, 0).astype(place.dtype)
