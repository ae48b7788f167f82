"""The adaptive exponential integrate-and-fire cell."""

from __future__ import annotations

from typing import ClassVar

from synsim.component import Component, Now, Size, View, inlet, outlet, param, state, static
from synsim.components.integrators import Coupling, Integrator, integrate_coupled
from synsim.later import jax, jnp


class AdExCell(Component):
    """Adaptive exponential integrate-and-fire cell: a potential v and a current w that adapts.

        tau_m dv/dt = v_rest - v + v_sharpness exp((v - intrinsic_mem_thr) / v_sharpness) + resist_m (j - w)
        tau_w dw/dt = a (v - v_rest) - w
        s = 1 where v > thr; there v becomes v_reset and w becomes w + b

    Shapes: all (B, *n_units). In terms of a capacitance C and a leak conductance g_L, tau_m = C / g_L and
    resist_m = 1 / g_L: 200 pF and 10 nS are 20 ms and 100 MOhm, and a is then in uS, b, w and j in nA.

    `coupling: reference` integrates v and w each by itself, `published` together. Together, the slopes see v no
    higher than thr: past it the spike is certain, and the exponential of a stage that overshot would end up in w.

    Source: Brette & Gerstner (2005), J. Neurophysiol. 94:3637; its firing patterns: Naud et al. (2008), Biol. Cybern.
    99:335.
    """

    family: ClassVar[str] = "neuron"

    n_units: Size = static("Number of neurons, or their shape.")
    tau_m: float = param("Membrane time constant.", "ms", default=15.0, gt=0, per="unit")
    resist_m: float = param("Membrane resistance.", "MOhm", default=1.0, gt=0, per="unit")
    tau_w: float = param("Time constant of the adaptation.", "ms", default=400.0, gt=0, per="unit")
    v_sharpness: float = param("Slope factor of the exponential.", "mV", default=2.0, gt=0, per="unit")
    intrinsic_mem_thr: float = param("Potential at which the exponential sets in.", "mV", default=-55.0, per="unit")
    thr: float = param("Potential that ends a spike.", "mV", default=5.0, per="unit", also=("v_thr",))
    v_rest: float = param("Resting potential of the leak.", "mV", default=-72.0, per="unit")
    v_reset: float = param("Potential after a spike.", "mV", default=-75.0, per="unit")
    a: float = param("Adaptation conductance below threshold.", "uS", default=0.1, per="unit")
    b: float = param("Increment of the adaptation at a spike.", "nA", default=0.75, per="unit")
    v0: float = param("Potential at the start.", "mV", default=-70.0, per="unit")
    w0: float = param("Adaptation at the start.", "nA", default=0.0, per="unit")
    integration_type: Integrator = static("Integration method.", default="euler")
    coupling: Coupling = static(
        "Within a step: v and w each with the other held (reference), or together (published).", default="reference"
    )

    j = inlet("Input current.", "nA")
    v = state("Membrane potential.", "mV", start="v0")
    w = state("Adaptation current.", "nA", start="w0")
    tols = state("Time of the last spike.", "ms")
    s = outlet("Spikes emitted this step.", spikes=True)

    def advance(self, x: View, now: Now) -> dict[str, jax.Array]:
        def slopes(v: jax.Array, w: jax.Array) -> tuple[jax.Array, jax.Array]:
            if self.coupling == "published":
                v = jnp.minimum(v, self.thr)
            upstroke = self.v_sharpness * jnp.exp((v - self.intrinsic_mem_thr) / self.v_sharpness)
            dv = (self.v_rest - v + self.resist_m * (x.j - w) + upstroke) / self.tau_m
            dw = (self.a * (v - self.v_rest) - w) / self.tau_w
            return dv, dw

        v, w = integrate_coupled(self.integration_type, self.coupling, slopes, (x.v, x.w), now.dt)
        fired = v > self.thr
        return dict(
            v=jnp.where(fired, self.v_reset, v),
            w=jnp.where(fired, w + self.b, w),
            tols=jnp.where(fired, now.t, x.tols).astype(x.tols.dtype),
            s=fired.astype(x.v.dtype),
        )
