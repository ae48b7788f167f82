"""Spike-timing-dependent plasticity from traces."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from synsim.component import Compartment, Now, View, inlet, outlet, param
from synsim.components.synapses.connectivity.connectivity import Connectivity
from synsim.components.synapses.rules.rule import Rule
from synsim.later import jax, jnp


class TraceSTDPRule(Rule, type_name="trace_stdp"):
    """Trace-based spike-timing-dependent plasticity.

    dW = A_plus (w_bound - W)^mu (preTrace - x*) x postSpike - A_minus W^mu preSpike x postTrace,
    W' = W + eta dW - W / tau_w - w_decay W, clipped to [w_margin, w_bound - w_margin].

    `x` is the connectivity's Hebbian product, summed over the batch (and over space). The powers are left out at
    mu = 0. Traces count as they stand when evolve is called: after the trace cells have advanced they hold the
    present spike, so a pair within one step counts on both sides. eta is also an inlet: a wire to it takes the place
    of the setting.

    Source: Morrison, Diesmann & Gerstner (2008), Biological Cybernetics 98, 459-478; Diehl & Cook (2015), Frontiers
    in Computational Neuroscience 9:99 (the target x* on the presynaptic trace).
    """

    A_plus: float = param("Strength of potentiation.", ge=0)
    A_minus: float = param("Strength of depression.", ge=0)
    eta: float = param("Learning rate.", default=1.0)
    mu: float = param("Power of the weight dependence; 0 is additive.", default=0.0, ge=0)
    pretrace_target: float = param("Target x* of the presynaptic trace.", default=0.0)
    w_bound: float = param("Largest weight; 0 means unbounded.", default=1.0, ge=0)
    w_margin: float = param("Distance that weights keep from 0 and from w_bound.", default=0.0, ge=0)
    tau_w: float = param("Time constant of weight decay, in calls of evolve; 0 means none.", default=0.0, ge=0)
    w_decay: float = param("Share of the weight lost at each call of evolve.", default=0.0, ge=0)

    preSpike = inlet("Presynaptic spikes.", size="pre", required=True)
    preTrace = inlet("Presynaptic trace.", size="pre", required=True)
    postSpike = inlet("Postsynaptic spikes.", size="post", required=True)
    postTrace = inlet("Postsynaptic trace.", size="post", required=True)
    dWeights = outlet("Update of the weights, before eta, decay and bounds.", size="weight", batch=False)

    uses: ClassVar[str | None] = "correlations"
    rates: ClassVar[tuple[tuple[str, ...], ...]] = (("eta",), ("A_plus", "A_minus"))
    post_inlet: ClassVar[str | None] = "postSpike"

    @classmethod
    def extra_compartments(cls, settings: Mapping[str, Any]) -> dict[str, Compartment]:
        del settings
        doc = "Learning rate as evolve reads it; unwired, the setting."
        return dict(eta=inlet(doc, default="eta", size="", batch=False))

    def change(self, x: View, connectivity: Connectivity) -> dict[str, jax.Array]:
        w = x.weights
        potentiation = connectivity.correlate(x.preTrace - self.pretrace_target, x.postSpike * self.A_plus)
        depression = connectivity.correlate(x.preSpike, x.postTrace * self.A_minus)
        graded = self.mu > 0
        potentiation = potentiation * jnp.where(graded, jnp.power(self.w_bound - w, self.mu), 1.0)
        depression = depression * jnp.where(graded, jnp.power(w, self.mu), 1.0)
        return dict(dWeights=potentiation - depression)

    def evolve(self, x: View, now: Now, connectivity: Connectivity) -> dict[str, jax.Array]:
        del now
        w, changed = x.weights, self.change(x, connectivity)
        decays = jnp.asarray(self.tau_w) > 0
        loss = jnp.where(decays, 1.0 / jnp.where(decays, self.tau_w, 1.0), 0.0) + self.w_decay
        w = w + changed["dWeights"] * x.eta - w * loss
        bounded = jnp.asarray(self.w_bound) > 0
        low = jnp.where(bounded, self.w_margin, -jnp.inf)
        high = jnp.where(bounded, self.w_bound - self.w_margin, jnp.inf)
        return dict(weights=jnp.clip(w, low, high).astype(x.weights.dtype), **changed)
