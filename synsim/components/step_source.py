"""Source: a staircase."""

from __future__ import annotations

from itertools import pairwise
from typing import ClassVar

from synsim.component import Component, Now, Size, View, param, state, static
from synsim.later import jax, jnp, np


class StepSource(Component):
    """A value that changes in steps, in each trial at the same times.

        outputs = amplitude values[i]   where times[i] <= t < times[i + 1],     0 before times[0]

    t is trial time; the last value holds to the end of the trial. Edges fall on the nearest step. amplitude may
    differ from unit to unit. Shape: outputs (B, *n_units).

    Source: none; a staircase of currents, as a current clamp gives.
    """

    family: ClassVar[str] = "source"

    n_units: Size = static("Number of units, or their shape.")
    times: tuple[float, ...] = static("When the value changes, in the trial, ascending; in ms.", default=(0.0,))
    values: tuple[float, ...] = static("The value from each of these times on.", default=(1.0,))
    amplitude: float = param("Factor on the values.", default=1.0, per="unit")

    outputs = state("The present value.")

    def problems(self) -> list[tuple[str, str]]:
        """Settings that do not go together, each with a sentence."""
        if len(self.times) != len(self.values):
            return [("values", f"has {len(self.values)} values for {len(self.times)} times; it needs one for each")]
        if any(a >= b for a, b in pairwise(self.times)):
            return [("times", f"must ascend, not {list(self.times)}")]
        return []

    def advance(self, x: View, now: Now) -> dict[str, jax.Array]:
        dtype = x.outputs.dtype
        edges = jnp.asarray(self.times, dtype)
        passed = jnp.sum(now.t + 0.5 * now.dt >= edges)  # the middle of the step: rounding in t moves no edge
        value = jnp.asarray(np.concatenate([[0.0], self.values]), dtype)[passed]
        return dict(outputs=jnp.broadcast_to(self.amplitude * value, x.outputs.shape).astype(dtype))
