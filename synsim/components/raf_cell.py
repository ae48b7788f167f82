"""The resonate-and-fire cell."""

from __future__ import annotations

from typing import ClassVar, Literal

from synsim.component import Component, Now, Size, View, inlet, outlet, param, rounded, state, static
from synsim.components.integrators import Coupling, Integrator, integrate, integrate_coupled
from synsim.later import jax, jnp


class RAFCell(Component):
    """Resonate-and-fire cell: a damped oscillator that spikes where its potential is high enough.

        tau_w dw/dt = dampen_factor w - omega v + resist_v j
        tau_v dv/dt = dampen_factor v + omega w
        s = 1 where v > thr; there v becomes v_reset and w becomes w_reset, with `post_spike_reset`

    Shapes: all (B, *n_units). With z = w + i v and both time constants tau this is
    tau dz/dt = (dampen_factor + i omega) z + resist_v j: it rings at omega / (2 pi tau), and decays over
    tau / -dampen_factor. The source resets z to i: v_reset 1, w_reset 0, thr 1.

    `coupling: reference` integrates w with v held and then v with the new w held, `published` both together. Without a
    reset v may stay above thr: with `emission: reference` s is then 1 in every step, with `published` only in the step
    that takes v across it.

    Source: Izhikevich (2001), Resonate-and-fire neurons, Neural Networks 14:883.
    """

    family: ClassVar[str] = "neuron"

    n_units: Size = static("Number of neurons, or their shape.")
    tau_v: float = param("Time constant of the potential.", "ms", default=1.0, gt=0, per="unit", also=("tau_m",))
    tau_w: float = param("Time constant of the driver.", "ms", default=1.0, gt=0, per="unit")
    thr: float = param("Threshold.", "mV", default=1.0, per="unit")
    omega: float = param("Angular frequency, in radians per time constant.", default=10.0, per="unit")
    dampen_factor: float = param("Damping: negative values decay.", default=-1.0, per="unit", also=("b",))
    v_reset: float = param("Potential after a spike.", "mV", default=0.0, per="unit")
    w_reset: float = param("Driver after a spike.", "mV", default=0.0, per="unit")
    v0: float = param("Potential at the start.", "mV", default=0.0, per="unit")
    w0: float = param("Driver at the start.", "mV", default=0.0, per="unit")
    resist_v: float = param("Membrane resistance.", "MOhm", default=1.0, gt=0, per="unit", also=("resist_m",))
    post_spike_reset: bool = static("Whether a spike puts v and w to v_reset and w_reset.", default=True)
    integration_type: Integrator = static("Integration method.", default="euler")
    coupling: Coupling = static(
        "Within a step: w first, then v with the new w (reference), or together (published).", default="reference"
    )
    emission: Literal["reference", "published"] = static(
        "Spikes in every step above thr (reference) or only where v crosses it (published).", default="reference"
    )

    j = inlet("Input current.", "nA")
    v = state("Membrane potential.", "mV", start="v0")
    w = state("Driver of the oscillation.", "mV", start="w0")
    tols = state("Time of the last spike.", "ms")
    s = outlet("Spikes emitted this step.", spikes=True)

    def advance(self, x: View, now: Now) -> dict[str, jax.Array]:
        def dv(v: jax.Array, w: jax.Array) -> jax.Array:
            return (self.dampen_factor * v + rounded(self.omega * w, now.zero)) / self.tau_v

        def dw(v: jax.Array, w: jax.Array) -> jax.Array:
            return (self.dampen_factor * w - rounded(self.omega * v, now.zero) + self.resist_v * x.j) / self.tau_w

        if self.coupling == "published":
            slopes = lambda v, w: (dv(v, w), dw(v, w))  # noqa: E731
            v, w = integrate_coupled(self.integration_type, "published", slopes, (x.v, x.w), now.dt)
        else:
            w = integrate(self.integration_type, lambda w: dw(x.v, w), x.w, now.dt)
            v = integrate(self.integration_type, lambda v: dv(v, w), x.v, now.dt)
        fired = v > self.thr
        if self.emission == "published":
            fired = fired & (x.v <= self.thr)
        if self.post_spike_reset:
            v, w = jnp.where(fired, self.v_reset, v), jnp.where(fired, self.w_reset, w)
        return dict(
            v=v,
            w=w,
            tols=jnp.where(fired, now.t, x.tols).astype(x.tols.dtype),
            s=fired.astype(x.v.dtype),
        )
