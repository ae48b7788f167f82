"""Source: the spikes of many cells that are not modelled."""

from __future__ import annotations

from typing import Any, ClassVar

from synsim.component import Component, Now, Size, View, inlet, outlet, param, static
from synsim.later import jax, jnp, lax

LEAST = 1e-8  # a number of arrivals that is less probable is beyond what a float32 uniform can tell
INVERTED_UP_TO = 16.0  # arrivals a step: so far the inversion is the faster way, and e^-mean is above LEAST
UNROLLED = 4


class PoissonDrive(Component):
    """A Poisson process of arrivals at each target, any number of them in a step.

        outputs = weight arrivals,     arrivals ~ Poisson(inputs rate dt / 1000)

    so that mean and variance of arrivals are the same. Unlike PoissonCell it does not saturate: 1,000 outside cells at
    20 Hz are a rate of 20,000 Hz, on average 2 arrivals in a step of .1 ms. An arrival is a jump: as the current of a
    cell it moves the voltage by weight resist_m dt / tau_m. `inputs` lets the rate follow something. Shapes: all
    (B, *n_units); rows and units are independent.

    Source: Dayan & Abbott (2001), Theoretical Neuroscience, section 1.4; as the drive of a network: Brunel (2000),
    Journal of Computational Neuroscience 8:183.
    """

    family: ClassVar[str] = "source"

    n_units: Size = static("Number of targets, or their shape.")
    rate: float = param("Arrivals a second at each target, of all its outside cells together.", "Hz", ge=0, per="unit")
    weight: float = param("What one arrival gives.", default=1.0, per="unit")

    inputs = inlet("Factor on the rate.", default=1.0)
    arrivals = outlet("Arrivals in this step.")
    outputs = outlet("Weight times the arrivals of this step.")

    def advance(self, x: View, now: Now) -> dict[str, jax.Array]:
        arrivals = poisson(now.key, jnp.maximum(x.inputs * self.rate, 0.0) * (now.dt / 1000.0))
        return dict(arrivals=arrivals, outputs=self.weight * arrivals)


def poisson(key: Any, mean: jax.Array) -> jax.Array:
    """Poisson numbers, one for each mean, as floats; a mean that is not finite gives itself."""
    return lax.cond(
        _none(~(mean <= INVERTED_UP_TO)),
        lambda: inverted(jax.random.uniform(key, mean.shape, mean.dtype), mean),
        lambda: jnp.where(jnp.isfinite(mean), jax.random.poisson(key, mean).astype(mean.dtype), mean),
    )


def inverted(u: jax.Array, mean: jax.Array) -> jax.Array:
    """The least n at which the distribution function of Poisson(mean) exceeds u, for u uniform in [0, 1).

    All walk up together, as far as the last one needs. Each probability is right to 1e-7 in float32.
    """

    def open_ones(p: jax.Array, left: jax.Array) -> jax.Array:
        return (left >= 0.0) & (p >= LEAST)

    def walk(at: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
        k, p, left, n = at
        for _ in range(UNROLLED):
            left = left - p  # u less the probability of at most k
            k = k + 1.0
            p = p * (mean / k)
            n = n + open_ones(p, left).astype(n.dtype)
        return k, p, left, n

    start = (jnp.zeros((), mean.dtype), jnp.exp(-mean), u, jnp.zeros_like(mean))
    return lax.while_loop(lambda at: ~_none(open_ones(at[1], at[2])), walk, start)[3]


def _none(which: jax.Array) -> jax.Array:
    """Whether none is true. Counted, since a CPU adds up whole numbers by several at once and takes no library to."""
    return jnp.sum(which, dtype=jnp.int32) == 0
