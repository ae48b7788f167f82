"""Encoder: probabilities into spikes."""

from __future__ import annotations

from typing import ClassVar

from synsim.component import Component, Now, Size, View, inlet, outlet, state, static
from synsim.later import jax, jnp


class BernoulliCell(Component):
    """Spikes whose probability in each step is the input, whatever the time step.

        outputs = 1 with probability inputs

    Shapes: all (B, *n_units). Inputs below 0 never fire, above 1 always.

    Source: Dayan & Abbott (2001), Theoretical Neuroscience, section 1.4.
    """

    family: ClassVar[str] = "encoder"

    n_units: Size = static("Number of cells, or their shape.")

    inputs = inlet("Probability of a spike in this step, 0 to 1.", usual=(0.0, 1.0))
    tols = state("Time of the last spike.", "ms")
    outputs = outlet("Spikes emitted this step.", spikes=True)

    def advance(self, x: View, now: Now) -> dict[str, jax.Array]:
        fired = jax.random.uniform(now.key, x.inputs.shape, dtype=x.inputs.dtype) < x.inputs
        return dict(outputs=fired.astype(x.inputs.dtype), tols=jnp.where(fired, now.t, x.tols).astype(x.tols.dtype))
