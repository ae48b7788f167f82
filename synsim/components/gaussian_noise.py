"""Source: independent Gaussian numbers."""

from __future__ import annotations

from typing import ClassVar, Literal

from synsim.component import Component, Now, Size, View, param, state, static
from synsim.later import jax, jnp


class GaussianNoise(Component):
    """Gaussian numbers, a new one for every unit in each step, or every `interval`.

        outputs = mean + sigma xi                             with `scaling: step`
        outputs = mean + sigma xi / sqrt(interval / 1 ms)     with `scaling: white`,     xi ~ N(0, 1)

    With `step` sigma is the standard deviation of each number, whatever the time step. With `white` it is that of the
    sum of outputs times dt over 1 ms: white noise, whose effect on a cell that integrates it does not depend on the
    time step. A number is held for `interval`, rounded to steps, or for one step without one. Shape: outputs
    (B, *n_units); rows and units are independent.

    Source: Gardiner (2009), Stochastic Methods, 4th ed., section 4.1.
    """

    family: ClassVar[str] = "source"

    n_units: Size = static("Number of units, or their shape.")
    mean: float = param("Mean.", default=0.0, per="unit")
    sigma: float = param("Standard deviation.", default=1.0, ge=0, per="unit")
    interval: float | None = param("How long each number is held; null for one step.", "ms", default=None, gt=0)
    scaling: Literal["step", "white"] = static(
        "What has the standard deviation sigma: each number (step), or their integral over 1 ms (white).",
        default="step",
    )

    outputs = state("The noise.", start="mean")

    def advance(self, x: View, now: Now) -> dict[str, jax.Array]:
        held_for = now.dt if self.interval is None else jnp.maximum(jnp.round(self.interval / now.dt), 1.0) * now.dt
        spread = self.sigma if self.scaling == "step" else self.sigma / jnp.sqrt(held_for)
        drawn = self.mean + spread * jax.random.normal(now.key, x.outputs.shape, x.outputs.dtype)
        if self.interval is not None:
            steps = jnp.round(held_for / now.dt).astype(now.step.dtype)
            drawn = jnp.where(now.step % steps == 0, drawn, x.outputs)
        return dict(outputs=drawn.astype(x.outputs.dtype))
