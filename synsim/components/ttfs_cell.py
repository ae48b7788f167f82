"""Encoder: time to the first spike."""

from __future__ import annotations

from math import exp, log
from typing import ClassVar, Literal

from synsim.component import Component, Now, Size, View, inlet, outlet, param, state, static
from synsim.later import jax, jnp

LEAST = 1e-7  # inputs are kept between this and 1


class TTFSCell(Component):
    """One spike a trial, in a step that the input sets: 1 in the first, weak inputs in step num_steps - 1.

        step = round((num_steps - 1) (e^-x - e^-1) / (e^-1e-7 - e^-1))                exponential
        step = round((num_steps - 1) (-ln x) / max(-ln .01, the row's largest -ln x)) logarithmic

    with x = inputs kept within [1e-7, 1], as they are in the trial's first step. refractory_counter starts at tau_ref
    with the spike and counts steps down; a cell fires once a trial in any case. Shapes: all (B, *n_units).

    Source: Thorpe, Delorme & Van Rullen (2001), Neural Networks 14:715; Park et al. (2020), arXiv:2003.11741.
    """

    family: ClassVar[str] = "encoder"

    n_units: Size = static("Number of cells, or their shape.")
    num_steps: float = param("Number of steps that spikes are spread over.", default=100.0, ge=1)
    tau_ref: float = param("Refractory period in steps.", default=5.0, ge=0)
    latency_mode: Literal["exponential", "logarithmic"] = static(
        "How the time falls with the input.", default="exponential"
    )

    inputs = inlet("Intensity, 0 to 1.", usual=(0.0, 1.0))
    target_spike_times = state("Step in which each cell spikes.")
    has_fired = state("Cells that have spiked: 1, others: 0.")
    refractory_counter = state("Steps for which a cell is refractory still.")
    tols = state("Time of the last spike.", "ms")
    outputs = outlet("Spikes emitted this step.", spikes=True)

    def advance(self, x: View, now: Now) -> dict[str, jax.Array]:
        first = now.step == 0
        target = jnp.where(first, self._steps(x.inputs), x.target_spike_times).astype(x.inputs.dtype)
        has_fired = jnp.where(first, 0.0, x.has_fired)
        counter = jnp.maximum(jnp.where(first, 0.0, x.refractory_counter) - 1.0, 0.0)
        spikes = (target == now.step) & (counter == 0.0) & (has_fired == 0.0)
        return dict(
            target_spike_times=target,
            has_fired=jnp.where(spikes, 1.0, has_fired),
            refractory_counter=jnp.where(spikes, self.tau_ref, counter),
            tols=jnp.where(spikes, now.t, x.tols).astype(x.tols.dtype),
            outputs=spikes.astype(x.inputs.dtype),
        )

    def _steps(self, inputs: jax.Array) -> jax.Array:
        x = jnp.clip(inputs, LEAST, 1.0)
        if self.latency_mode == "exponential":
            share = (jnp.exp(-x) - exp(-1.0)) / (exp(-LEAST) - exp(-1.0))
        else:
            latency = -jnp.log(x)
            rows = latency.reshape(latency.shape[0], -1)
            largest = jnp.maximum(jnp.max(rows, axis=1), -log(0.01))
            share = jnp.clip(latency / largest.reshape(-1, *(1,) * (latency.ndim - 1)), 0.0, 1.0)
        return jnp.round(share * (self.num_steps - 1.0))
