"""A conductance that jumps and decays."""

from __future__ import annotations

from typing import Any

from synsim.component import Now, View, rounded
from synsim.components.synapses.dynamics.conductance import ConductanceDynamics
from synsim.later import jax


class ExponentialDynamics(ConductanceDynamics, type_name="exponential"):
    """Conductance with an exponential kernel.

        tau_decay dg/dt = -g, and a drive u raises g by g_syn_bar u;     g <- g (1 - dt / tau_decay) + g_syn_bar u
        i_syn = -R g (v - syn_rest), or -R g where syn_rest is null;     outputs = i_syn (+ biases)

    u is what the weights transmit. The height of the kernel is g_syn_bar for every dt. v is an inlet
    where syn_rest is a number, and has to be wired. Shapes: all (B, *post).

    Source: Destexhe, Mainen & Sejnowski (1998), in Koch & Segev, Methods in Neuronal Modeling, 2nd ed., ch. 1.
    """

    def advance(self, drive: jax.Array, x: View, now: Now, gain: Any, bias: jax.Array | None) -> dict[str, jax.Array]:
        kept = rounded(x.g_syn * (1.0 - now.dt / self.tau_decay), now.zero)
        return self.current(kept + rounded(drive * self.g_syn_bar, now.zero), x, now, gain, bias)
