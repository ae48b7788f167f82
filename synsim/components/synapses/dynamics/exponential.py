"""A conductance that jumps and decays."""

from __future__ import annotations

from typing import Any

from synsim.component import Now, View, rounded
from synsim.components.synapses.dynamics.conductance import ConductanceDynamics
from synsim.later import jax


class ExponentialDynamics(ConductanceDynamics, type_name="exponential"):
    """Conductance with an exponential kernel.

        tau_decay dg/dt = -g, and a drive u raises g by g_syn_bar u;     g <- g k + g_syn_bar u
        k = 1 - dt / tau_decay (euler) or exp(-dt / tau_decay) (exact)
        i_syn = -R g (v - syn_rest), or -R g where syn_rest is null;     outputs = i_syn (+ biases)

    u is what the weights transmit. The height of the kernel is g_syn_bar for every dt. v is an inlet
    where syn_rest is a number, and has to be wired. A network of currents in mV has syn_rest null, current_form
    published, which makes the sign that of the weights, and g_syn_bar 1. With `integration: exact`, outputs have the
    mean of g over the step, g tau_decay / dt (1 - exp(-dt / tau_decay)). Shapes: all (B, *post).

    Source: Destexhe, Mainen & Sejnowski (1998), in Koch & Segev, Methods in Neuronal Modeling, 2nd ed., ch. 1; exact
    steps: Rotter & Diesmann (1999), Biological Cybernetics 81:381.
    """

    def left(self, x: View, now: Now) -> tuple[jax.Array, Any]:
        return rounded(x.g_syn * self.kept(self.tau_decay, now), now.zero), self.g_syn_bar

    def advance(self, drive: jax.Array, x: View, now: Now, gain: Any, bias: jax.Array | None) -> dict[str, jax.Array]:
        g = drive
        if self.integration == "euler":
            return self.current(g, x, now, gain, bias)
        return self.current(g, x, now, gain, bias, g * self.mean(self.tau_decay, now))
