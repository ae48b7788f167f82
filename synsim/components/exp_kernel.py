"""Trace: the postsynaptic potential of the spikes in a window."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from synsim.component import Component, Now, Size, View, inlet, outlet, param, state, static
from synsim.later import jax, jnp


class ExpKernel(Component):
    """Sum of an exponential for each of the spikes of the last nu ms.

        epsp = sum over the spikes in the window of e^(-(t - tf) / tau_w)

    The window has nu / dt steps, the present one among them; tf are the times of its spikes, oldest first, and then
    the one that has just left. With `window: reference` a time of 0 means that there was no spike, so a spike at t = 0
    is lost; with `published` it counts. Inputs must be 0 or 1. Shapes: inputs and epsp (B, *n_units), tf (B, window,
    *n_units).

    Source: Gerstner & Kistler (2002), Spiking Neuron Models, section 4.1.
    """

    family: ClassVar[str] = "trace"

    n_units: Size = static("Number of units, or their shape.")
    dt: float = static("Time step, the same as run.dt; in ms.", default=1.0, gt=0)
    tau_w: float = param("Time constant of the kernel.", "ms", default=500.0, gt=0, per="unit")
    nu: float = static("Length of the window, at least dt; in ms.", default=4.0, gt=0)
    window: Literal["reference", "published"] = static(
        "Whether a spike at t = 0 is lost (reference) or counts (published).", default="reference"
    )

    inputs = inlet("Spikes.")
    tf = state(
        "Times of the spikes in the window; 0 for none, -1 with `window: published`.", "ms", size="window", start=None
    )
    epsp = outlet("Postsynaptic potential.")

    def sizes(self) -> dict[str, tuple[int, ...]]:
        units = super().sizes()["unit"]
        return {"unit": units, "window": (self._steps() + 1, *units)}

    def axes(self, size: str) -> tuple[str, ...]:
        return ("window", *super().axes("unit")) if size == "window" else super().axes(size)

    def problems(self) -> list[tuple[str, str]]:
        """Settings that do not go together, each with a sentence."""
        if self._steps() < 1:
            return [("nu", f"is {self.nu} ms, which is no whole step of {self.dt} ms")]
        return []

    def init(self, key: Any, batch: int, dtype: Any) -> dict[str, jax.Array]:
        del key
        return dict(tf=jnp.full((batch, *self.sizes()["window"]), self._none(), dtype))

    def advance(self, x: View, now: Now) -> dict[str, jax.Array]:
        if now.dt != self.dt:
            raise ValueError(f"dt is {self.dt} and run.dt is {now.dt}: write the same for both")
        spiked = x.inputs * now.t if self.window == "reference" else jnp.where(x.inputs > 0.0, now.t, -1.0)
        # the place before the last one is the present, so that the last has what leaves the window
        tf = jnp.concatenate([x.tf[:, 1:-1], spiked[:, None].astype(x.tf.dtype), x.tf[:, :1]], axis=1)
        within = tf[:, :-1]
        potentials = jnp.exp(-(now.t - within) / self.tau_w)
        return dict(tf=tf, epsp=jnp.sum(jnp.where(within > self._none(), potentials, 0.0), axis=1))

    def _none(self) -> float:
        """What stands where no spike was."""
        return 0.0 if self.window == "reference" else -1.0

    def _steps(self) -> int:
        return int(self.nu / self.dt + 1e-6)  # 0.3 / 0.1 is 2.9999999999999996
