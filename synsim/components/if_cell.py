"""The integrate-and-fire cell."""

from __future__ import annotations

from typing import ClassVar, Literal

from synsim.component import Component, Now, Size, View, inlet, outlet, param, state, static
from synsim.components.integrators import Integrator, integrate
from synsim.components.spiking import Surrogate, refractory_over, surrogate
from synsim.later import jax, jnp


class IFCell(Component):
    """Integrate-and-fire cell without a leak.

        tau_m dv/dt = m resist_m j,     m = 1 where rfr >= refract_time, else 0
        s = 1 where v > thr; there v becomes v_reset and rfr becomes 0
        last, where lower_clamp_voltage is set, v = max(v, v_rest)

    Shapes: all (B, *n_units). The slope does not depend on v, so all integration methods are exact and the same.
    Refractory for refract_time / dt steps after the step of the spike. With `refractory: reference` a cell whose
    v_reset lies above thr goes on spiking meanwhile; with `published` it cannot.

    surrogate is an estimate of ds/dj from the voltage before the reset: d(v - thr) resist_m dt / tau_m, or secant_lif;
    see synsim.components.spiking.

    Source: Gerstner & Kistler (2002), Spiking Neuron Models, ch. 4; Lapicque (1907), J. Physiol. Pathol. Gen. 9:620.
    """

    family: ClassVar[str] = "neuron"

    n_units: Size = static("Number of neurons, or their shape.")
    tau_m: float = param("Membrane time constant.", "ms", gt=0, per="unit")
    resist_m: float = param("Membrane resistance.", "MOhm", default=1.0, gt=0, per="unit")
    thr: float = param("Threshold.", "mV", default=-52.0, per="unit")
    v_rest: float = param("Resting potential: where v starts.", "mV", default=-65.0, per="unit")
    v_reset: float = param("Potential after a spike.", "mV", default=-60.0, per="unit")
    refract_time: float = param("Refractory period.", "ms", default=0.0, ge=0, per="unit")
    integration_type: Integrator = static("Integration method.", default="euler")
    surrogate_type: Surrogate = static("Estimate of ds/dj that surrogate gives.", default="straight_through")
    lower_clamp_voltage: bool = static("Whether v stays at or above v_rest.", default=True)
    refractory: Literal["reference", "published"] = static(
        "While refractory: only the current is cut (reference) or no spike is possible either (published).",
        default="reference",
    )

    j = inlet("Input current.", "nA")
    v = state("Membrane potential.", "mV", start="v_rest")
    rfr = state("Time since the last spike, refract_time at the start.", "ms", start="refract_time")
    tols = state("Time of the last spike.", "ms")
    s = outlet("Spikes emitted this step.", spikes=True)
    surrogate = outlet("Estimate of ds/dj.", "1/nA", start=1.0)

    def advance(self, x: View, now: Now) -> dict[str, jax.Array]:
        drive = self.resist_m * x.j
        ready = refractory_over(x.rfr, self.refract_time, now.dt, self.refractory)
        current = jnp.where(ready, drive, 0.0)
        v = integrate(self.integration_type, lambda v: current / self.tau_m, x.v, now.dt)
        fired = v > self.thr
        if self.refractory == "published":
            fired = ready & fired
        after = jnp.where(fired, self.v_reset, v)
        return dict(
            v=jnp.maximum(after, self.v_rest) if self.lower_clamp_voltage else after,
            rfr=jnp.where(fired, 0.0, x.rfr + now.dt),
            tols=jnp.where(fired, now.t, x.tols).astype(x.tols.dtype),
            s=fired.astype(x.v.dtype),
            surrogate=surrogate(self.surrogate_type, v - self.thr, drive, self.resist_m * now.dt / self.tau_m),
        )
