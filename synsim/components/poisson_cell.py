"""Encoder: intensities into spikes at a rate."""

from __future__ import annotations

from typing import ClassVar

from synsim.component import Component, Now, Size, View, inlet, outlet, param, state, static
from synsim.later import jax, jnp, np


class PoissonCell(Component):
    """Spikes at a rate that follows the input: at most one a step, each step on its own.

        p = inputs target_freq dt / 1000,     outputs = 1 with probability p

    so an input of 1 fires at target_freq, an input of .5 at half of it. A Bernoulli draw for every step: it stands for
    a Poisson process where p is small, and saturates at one spike a step. Shapes: all (B, *n_units).

    Source: Dayan & Abbott (2001), Theoretical Neuroscience, section 1.4.
    """

    family: ClassVar[str] = "encoder"

    n_units: Size = static("Number of cells, or their shape.")
    target_freq: float = param("Rate at an input of 1.", "Hz", default=63.75, gt=0, per="unit")

    inputs = inlet("Intensity, 0 to 1.", usual=(0.0, 1.0))
    tols = state("Time of the last spike.", "ms")
    outputs = outlet("Spikes emitted this step.", spikes=True)

    def doubts(self, dt: float) -> list[tuple[str, str]]:
        """More than one spike a step cannot be: a rate that asks for it saturates."""
        most = float(np.max(self.target_freq))
        if most * dt <= 1000.0:
            return []
        return [
            ("target_freq", f"is {most:g} Hz: with a spike a step at most, dt = {dt:g} ms allows {1000.0 / dt:g} Hz")
        ]

    def advance(self, x: View, now: Now) -> dict[str, jax.Array]:
        p = x.inputs * (now.dt / 1000.0) * self.target_freq
        fired = jax.random.uniform(now.key, p.shape, dtype=p.dtype) < p
        return dict(outputs=fired.astype(p.dtype), tols=jnp.where(fired, now.t, x.tols).astype(x.tols.dtype))
