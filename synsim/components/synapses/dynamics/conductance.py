"""What conductance kernels have in common: their settings, and the current that a conductance sends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from synsim.component import Compartment, Now, View, inlet, outlet, param, rounded, state, static
from synsim.components.synapses.dynamics.dynamics import Dynamics
from synsim.later import jax


class ConductanceDynamics(Dynamics, abstract=True):
    """A conductance that incoming spikes raise and that decays, and the current i_syn that flows through it.

    A member advances g_syn; `current` turns it into

        i_syn = -R g_syn                    where syn_rest is null
        i_syn = -R g_syn (v - syn_rest)     else; v is read as it stands when the synapse is called
        outputs = i_syn + b                 b only where bias_init is given

    All are of shape (B, *post).
    """

    tau_decay: float = param("Time constant with which the conductance decays.", "ms", gt=0)
    g_syn_bar: float = param(
        "Factor on what the weights transmit: the strength of one spike through a weight of 1.", "uS"
    )
    syn_rest: float | None = param(
        "Reversal potential; null makes the current independent of the postsynaptic voltage.", "mV"
    )
    is_nonplastic: bool = static(
        "Weights are 1 where no weight_init is given and the rule does not learn; mask and p_conn are kept.",
        default=True,
    )

    g_syn = state("Synaptic conductance.", "uS", size="post")
    i_syn = outlet("Synaptic current.", "nA", size="post")
    outputs = outlet("What the synapse sends to its postsynaptic units: the current, and biases.", "nA", size="post")

    @classmethod
    def extra_compartments(cls, settings: Mapping[str, Any]) -> dict[str, Compartment]:
        if settings.get("syn_rest") is None:
            return {}
        return dict(v=inlet("Voltage of the postsynaptic units.", "mV", size="post", required=True))

    def current(self, g: jax.Array, x: View, now: Now, gain: Any, bias: jax.Array | None) -> dict[str, jax.Array]:
        """g_syn and what follows from it."""
        i = -(g * gain)
        if self.syn_rest is not None:
            i = i * (x.v - self.syn_rest)
        i = rounded(i, now.zero)  # the bias is added to it
        return dict(g_syn=g, i_syn=i, outputs=i if bias is None else i + bias)
