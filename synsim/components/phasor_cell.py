"""Encoder: intensities into nearly regular spikes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

from synsim.component import Compartment, Component, Now, Size, View, inlet, outlet, param, rounded, state, static
from synsim.later import jax, jnp

SCATTER = 0.2  # standard deviation of a step's angle, as a share of it


class PhasorCell(Component):
    """An angle that turns as fast as the input says; each full turn is a spike.

        angles <- angles + 2 pi target_freq dt / 1000 (1 + .2 xi) base_scale inputs,     xi ~ N(0, 1)
        outputs = 1 where angles > 2 pi; there 2 pi is taken off

    base_scale = Poisson(target_freq) / target_freq, drawn once for each cell and row: cells differ in their rates by
    1 / sqrt(target_freq) and one that draws 0 never fires, which at a few Hz is common. At most one spike a step: the
    target frequency must stay well below 1000 / dt. With `disable_phasor` outputs are the inputs. Shapes: all
    (B, *n_units).

    Source: none; a noisy phase oscillator.
    """

    family: ClassVar[str] = "encoder"

    n_units: Size = static("Number of cells, or their shape.")
    target_freq: float = param("Rate at an input of 1.", "Hz", default=63.75, gt=0, per="unit")
    disable_phasor: bool = static("Whether the inputs are handed through.", default=False)

    inputs = inlet("Intensity, 0 to 1.", usual=(0.0, 1.0))
    angles = state("Angle of each cell.", "rad")
    base_scale = state("Factor on the rate of each cell.", start=None)
    tols = state("Time of the last spike.", "ms")
    outputs = outlet("Spikes emitted this step.", spikes=True)

    @property
    def compartments(self) -> Mapping[str, Compartment]:
        if not self.disable_phasor:
            return self.declared
        return {**self.declared, "outputs": dataclasses.replace(self.declared["outputs"], spikes=False)}

    def init(self, key: Any, batch: int, dtype: Any) -> dict[str, jax.Array]:
        drawn = jax.random.poisson(key, self.target_freq, (batch, *self.sizes()["unit"]))
        return dict(base_scale=drawn.astype(dtype) / self.target_freq)

    def advance(self, x: View, now: Now) -> dict[str, jax.Array]:
        turn = 2.0 * jnp.pi
        scatter = 1.0 + SCATTER * jax.random.normal(now.key, x.angles.shape, x.angles.dtype)
        angle = (turn * now.dt / 1000.0) * self.target_freq * scatter * x.base_scale * x.inputs
        angles = x.angles + rounded(angle, now.zero)
        fired = angles > turn
        outputs = x.inputs if self.disable_phasor else fired.astype(x.angles.dtype)
        tols = rounded(x.tols * (1.0 - outputs), now.zero) + now.t * outputs
        return dict(angles=jnp.where(fired, angles - turn, angles), tols=tols, outputs=outputs)
