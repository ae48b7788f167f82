"""Source: an oscillation."""

from __future__ import annotations

from typing import ClassVar

from synsim.component import Component, Now, Size, View, param, state, static
from synsim.later import jax, jnp


class SineSource(Component):
    """A sine wave, in each trial from the same phase on.

        outputs = offset + amplitude sin(2 pi frequency t / 1000 + phase)

    t is trial time. To have it on for a while, multiply it by a PulseSource in the wire. Shape: outputs (B, *n_units).

    Source: none; an alternating current.
    """

    family: ClassVar[str] = "source"

    n_units: Size = static("Number of units, or their shape.")
    frequency: float = param("Frequency.", "Hz", ge=0, per="unit")
    amplitude: float = param("Amplitude.", default=1.0, per="unit")
    offset: float = param("Mean.", default=0.0, per="unit")
    phase: float = param("Phase at the start of the trial.", "rad", default=0.0, per="unit")

    outputs = state("The oscillation.")

    def advance(self, x: View, now: Now) -> dict[str, jax.Array]:
        turns = jnp.mod(now.t * (self.frequency / 1000.0), 1.0)
        wave = self.offset + self.amplitude * jnp.sin(2.0 * jnp.pi * turns + self.phase)
        return dict(outputs=jnp.broadcast_to(wave, x.outputs.shape).astype(x.outputs.dtype))
