"""What conductance kernels have in common: their settings, and the current that a conductance sends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from synsim.component import Compartment, Now, View, inlet, outlet, param, rounded, state, static
from synsim.components.integrators import mean_decay
from synsim.components.synapses.dynamics.dynamics import Dynamics
from synsim.later import jax, jnp


class ConductanceDynamics(Dynamics, abstract=True):
    """A conductance that incoming spikes raise and that decays, and the current i_syn that flows through it.

    A member advances g_syn; `current` turns it into

        i_syn = -R g_syn                    where syn_rest is null; R g_syn with current_form: published
        i_syn = -R g_syn (v - syn_rest)     else; v is read as it stands when the synapse is called
        outputs = i_syn + b                 b only where bias_init is given

    With `integration: exact` the kernel is solved in closed form from step to step, g_syn is its value where the step
    begins, and outputs are i_syn with the mean of g over the step in place of g_syn: what arrives in all does not
    depend on dt. All are of shape (B, *post).
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
    integration: Literal["euler", "exact"] = static(
        "How the kernel is stepped: forward Euler (the reference's), or exactly, by its propagator.", default="euler"
    )
    current_form: Literal["reference", "published"] = static(
        "Where syn_rest is null: a positive drive gives a current of -R g (reference) or of R g (published).",
        default="reference",
    )

    g_syn = state("Synaptic conductance.", "uS", size="post")
    i_syn = outlet("Synaptic current.", "nA", size="post")
    outputs = outlet("What the synapse sends to its postsynaptic units: the current, and biases.", "nA", size="post")

    @classmethod
    def extra_compartments(cls, settings: Mapping[str, Any]) -> dict[str, Compartment]:
        if settings.get("syn_rest") is None:
            return {}
        return dict(v=inlet("Voltage of the postsynaptic units.", "mV", size="post", required=True))

    def kept(self, tau: Any, now: Now) -> Any:
        """The share of a variable that is left of it after a step."""
        return jnp.exp(-now.dt / tau) if self.integration == "exact" else 1.0 - now.dt / tau

    def mean(self, tau: Any, now: Now) -> Any:
        """The mean over a step of a variable that is 1 where the step begins and decays."""
        return mean_decay(now.dt / tau)

    def current(
        self, g: jax.Array, x: View, now: Now, gain: Any, bias: jax.Array | None, mean_g: jax.Array | None = None
    ) -> dict[str, jax.Array]:
        """g_syn and what follows from it; `mean_g` is what the postsynaptic side sees of g where that is another."""
        i = self._through(g, x, now, gain)
        sent = i if mean_g is None else self._through(mean_g, x, now, gain)
        return dict(g_syn=g, i_syn=i, outputs=sent if bias is None else sent + bias)

    def _through(self, g: jax.Array, x: View, now: Now, gain: Any) -> jax.Array:
        """The current, rounded because a bias is added to it."""
        i = g * gain
        if self.syn_rest is not None or self.current_form == "reference":
            i = -i
        if self.syn_rest is not None:
            i = i * (x.v - self.syn_rest)
        return rounded(i, now.zero)

    def problems(self) -> list[tuple[str, str]]:
        found = []
        if self.syn_rest is not None and self.current_form == "published":
            found.append(
                ("current_form", "current_form is for currents: where syn_rest is a number, the voltage gives the sign")
            )
        if self.integration == "exact" and getattr(self, "g_drive", "published") == "reference":
            found.append(
                (
                    "integration",
                    "integration: exact solves the published equation; write g_drive: published beside it",
                )
            )
        return found
