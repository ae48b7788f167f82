"""Source: from one value to another."""

from __future__ import annotations

from typing import ClassVar

from synsim.component import Component, Now, Size, View, param, rounded, state, static
from synsim.later import jax, jnp


class RampSource(Component):
    """A value that goes along a straight line from one value to another, in each trial.

        outputs = initial (1 - p) + final p,     p = (t - start) / (stop - start), kept between 0 and 1

    t is trial time, that of the step's beginning: initial up to start, final from stop on. Where stop <= start it
    jumps at start. Shape: outputs (B, *n_units).

    Source: none; a current ramp.
    """

    family: ClassVar[str] = "source"

    n_units: Size = static("Number of units, or their shape.")
    stop: float = param("When the ramp ends, in the trial.", "ms", per="unit")
    start: float = param("When the ramp begins, in the trial.", "ms", default=0.0, per="unit")
    initial: float = param("Value before.", default=0.0, per="unit")
    final: float = param("Value after.", default=1.0, per="unit")

    outputs = state("The ramp.", start="initial")

    def advance(self, x: View, now: Now) -> dict[str, jax.Array]:
        width = self.stop - self.start
        along = jnp.where(width > 0.0, (now.t - self.start) / jnp.where(width > 0.0, width, 1.0), now.t >= self.start)
        p = jnp.clip(along, 0.0, 1.0)
        value = rounded(jnp.asarray(self.initial * (1.0 - p)), now.zero) + self.final * p
        return dict(outputs=jnp.broadcast_to(value, x.outputs.shape).astype(x.outputs.dtype))
