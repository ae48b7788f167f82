"""Encoder: the stronger the input, the earlier its one spike."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from synsim.component import Component, Now, Size, View, inlet, outlet, param, state, static
from synsim.later import jax, jnp

LEAST_EXCESS = 1e-7  # an input at the threshold or below is taken to be this far above


class LatencyCell(Component):
    """One spike a trial, at a time that the input sets.

        t* = first_spike_time + tau ln(x / (x - threshold)),     x = max(inputs, threshold + 1e-7)
        t* = first_spike_time + tau (1 - max(inputs, threshold))                     with `linearize`

    With `normalize` the latest possible spike is num_steps - 1 after the trial's start: the logarithmic times of a row
    are scaled so that its last spike is there, the linear ones take num_steps - 1 - first_spike_time for tau.
    `clip_spikes` leaves out the spikes of inputs below the threshold (tols has their time nevertheless).

    The spike comes at the first step with round(t*) <= t. In `timing: reference` rounding is to whole ms and num_steps
    counts ms; in `published` both are in steps of the run. Times are taken from the inputs of the first step after a
    reset; the method calc_spike_times, where a schedule names it, takes them anew. Shapes: all (B, *n_units).

    Source: Thorpe, Delorme & Van Rullen (2001), Neural Networks 14:715; Comsa et al. (2020), arXiv:1907.13223.
    """

    family: ClassVar[str] = "encoder"

    n_units: Size = static("Number of cells, or their shape.")
    tau: float = param("Time that inputs are spread over.", "ms", default=1.0, gt=0, per="unit")
    threshold: float = param("Weakest input that counts.", default=0.01, ge=0, per="unit")
    first_spike_time: float = param("Time of the earliest spike.", "ms", default=0.0, ge=0, per="unit")
    linearize: bool = static("Whether the time falls linearly with the input, not logarithmically.", default=False)
    normalize: bool = static("Whether the last spike comes with step num_steps.", default=False)
    clip_spikes: bool = static("Whether inputs below the threshold stay silent.", default=False)
    num_steps: float = param("Number of steps that normalised times are spread over.", default=1.0, ge=1)
    timing: Literal["reference", "published"] = static(
        "Times in whole ms (reference), or in whole steps (published).", default="reference"
    )

    inputs = inlet("Intensity, 0 to 1.", usual=(0.0, 1.0))
    targ_sp_times = state("When each cell spikes.", "ms")
    mask = state("Cells that have spiked: 1, others: 0.")
    clip_mask = state("Cells that are silenced: 1, others: 0.")
    is_set = state("Whether the spike times have been taken.", size="", batch=False)
    tols = state("Time of the last spike.", "ms")
    outputs = outlet("Spikes emitted this step.", spikes=True)

    def calc_spike_times(self, x: View, now: Now) -> dict[str, jax.Array]:
        """Take the spike times from the present inputs."""
        below = x.inputs < self.threshold if self.clip_spikes else jnp.zeros_like(x.inputs)
        times = self._times(x.inputs, (self.num_steps - 1.0) * (1.0 if self.timing == "reference" else now.dt))
        dtype = x.inputs.dtype
        return dict(targ_sp_times=times.astype(dtype), clip_mask=below.astype(dtype), is_set=jnp.ones_like(x.is_set))

    def advance(self, x: View, now: Now) -> dict[str, jax.Array]:
        taken = self.calc_spike_times(x, now)
        known = x.is_set > 0.0
        times, clipped = (jnp.where(known, x[name], taken[name]) for name in ("targ_sp_times", "clip_mask"))
        unit = 1.0 if self.timing == "reference" else now.dt
        due = jnp.round(times / unit) * unit <= now.t + 1e-3 * now.dt  # what rounding in t may lack
        spiked = due.astype(x.mask.dtype) * (1.0 - x.mask)
        return dict(
            targ_sp_times=times,
            clip_mask=clipped,
            is_set=taken["is_set"],
            mask=x.mask + spiked,
            tols=jnp.where(spiked > 0.0, now.t, x.tols).astype(x.tols.dtype),
            outputs=spiked * (1.0 - clipped),
        )

    def _times(self, inputs: jax.Array, last: Any) -> jax.Array:
        first = self.first_spike_time
        if self.linearize:
            tau = last - first if self.normalize else self.tau
            return first + tau * (1.0 - jnp.maximum(inputs, self.threshold))
        excess = jnp.maximum(inputs - self.threshold, LEAST_EXCESS)
        after = self.tau * jnp.log1p(self.threshold / excess)
        if self.normalize:
            rows = after.reshape(after.shape[0], -1)
            latest = jnp.max(rows, axis=1).reshape(-1, *(1,) * (after.ndim - 1))
            after = after * ((last - first) / jnp.where(latest > 0.0, latest, 1.0))
        return first + after
