"""Source: the same value for ever."""

from __future__ import annotations

from typing import ClassVar

from synsim.component import Component, Now, Size, View, param, state, static
from synsim.later import jax, jnp


class ConstantSource(Component):
    """A value, or one for each unit, that does not change.

        outputs = value

    Shape: outputs (B, *n_units). For a single number a wire can name the number itself; this is for values to sweep,
    to set by phase, or to give by unit. It is a current, an intensity, whatever its reader takes it for.

    Source: none; a direct current.
    """

    family: ClassVar[str] = "source"

    n_units: Size = static("Number of units, or their shape.")
    value: float = param("What it puts out.", default=1.0, per="unit")

    outputs = state("The value.", start="value")

    def advance(self, x: View, now: Now) -> dict[str, jax.Array]:
        return dict(outputs=jnp.broadcast_to(self.value, x.outputs.shape).astype(x.outputs.dtype))
