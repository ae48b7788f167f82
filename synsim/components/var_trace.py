"""Trace: a low-pass filter of spikes."""

from __future__ import annotations

from typing import ClassVar, Literal

from synsim.component import Component, Now, Size, View, inlet, outlet, param, rounded, state, static
from synsim.later import jax, jnp


class VarTrace(Component):
    """Trace of what arrives, with several ways to decay and to rise.

        y = gamma_tr d trace,     d = exp(-dt / tau_tr) (exp), 1 - dt / tau_tr (lin) or 0 (step)
        trace becomes
            y + inputs (a_delta - trace / n)          where n = n_nearest_spikes > 0
            y + inputs a_delta                        else where a_delta > 0
            y (1 - inputs) + inputs P_scale           else: a spike sets it to P_scale

    A spike of this step counts in full. Shapes: all (B, *n_units).

    Source: Morrison, Diesmann & Gerstner (2008), Biological Cybernetics 98:459 (all-to-all and nearest-spike traces).
    """

    family: ClassVar[str] = "trace"

    n_units: Size = static("Number of traces, or their shape.")
    tau_tr: float = param("Time constant of the trace.", "ms", gt=0, per="unit")
    a_delta: float = param("Increment at a spike; 0 lets a spike set the trace to P_scale.", default=0.0, per="unit")
    P_scale: float = param("Value that a spike sets the trace to where a_delta is 0.", default=1.0, per="unit")
    gamma_tr: float = param("Factor on the decayed trace.", default=1.0, per="unit")
    decay_type: Literal["exp", "lin", "step"] = static(
        "Decay: exponential, its linearised form, or at once.", default="exp"
    )
    n_nearest_spikes: int = static("How many of the last spikes count; 0 for all.", default=0, ge=0)

    inputs = inlet("Spikes, or any signal.")
    trace = state("Filtered signal.")
    outputs = outlet("The same as trace.")

    def advance(self, x: View, now: Now) -> dict[str, jax.Array]:
        match self.decay_type:
            case "exp":
                kept = x.trace * (self.gamma_tr * jnp.exp(-now.dt / self.tau_tr))
            case "lin":
                kept = x.trace * (self.gamma_tr * (1.0 - now.dt / self.tau_tr))
            case "step":
                kept = jnp.zeros_like(x.trace)
        kept = rounded(kept, now.zero)
        if self.n_nearest_spikes > 0:
            trace = kept + rounded(x.inputs * (self.a_delta - x.trace / self.n_nearest_spikes), now.zero)
        else:
            added = kept + rounded(x.inputs * self.a_delta, now.zero)
            set_to = rounded(kept * (1.0 - x.inputs), now.zero) + rounded(x.inputs * self.P_scale, now.zero)
            trace = jnp.where(self.a_delta > 0.0, added, set_to)
        return dict(trace=trace, outputs=trace)
