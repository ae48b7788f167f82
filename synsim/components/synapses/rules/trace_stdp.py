"""Spike-timing-dependent plasticity from traces."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from synsim.component import Compartment, Now, View, inlet, outlet, param
from synsim.components.synapses.connectivity.connectivity import Connectivity
from synsim.components.synapses.rules.rule import Rule, by_events
from synsim.later import jax, jnp


class TraceSTDPRule(Rule, type_name="trace_stdp"):
    """Trace-based spike-timing-dependent plasticity.

    dW = A_plus (w_bound - W)^mu (preTrace - x*) x postSpike - A_minus W^mu preSpike x postTrace,
    W' = W + eta dW - W / tau_w - w_decay W, clipped to [w_margin, w_bound - w_margin].

    `x` is the connectivity's Hebbian product, summed over the batch (and over space). The powers are left out at
    mu = 0. Traces count as they stand when evolve is called: after the trace cells have advanced they hold the
    present spike, so a pair within one step counts on both sides. eta is also an inlet: a wire to it takes the place
    of the setting.

    With one row in the batch, only weights of units that spike are looked at; all of them in the first step of a
    trial, and where they decay.

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
    by_column: ClassVar[bool] = True
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
        up, down = _graded(w, self.mu, self.w_bound)
        return dict(dWeights=potentiation * up - depression * down)

    def evolve(self, x: View, now: Now, connectivity: Connectivity) -> dict[str, jax.Array]:
        changed = self.change(x, connectivity)
        decays = jnp.asarray(self.tau_w) > 0
        loss = jnp.where(decays, 1.0 / jnp.where(decays, self.tau_w, 1.0), 0.0) + self.w_decay
        low, high = self._bounds()
        if by_events(x.preSpike, now, connectivity):
            before = (x.preSpike[0], x.preTrace[0] - self.pretrace_target)
            behind = (x.postSpike[0], x.postSpike[0] * self.A_plus, x.postTrace[0] * self.A_minus)
            numbers = (x.eta, self.mu, self.w_bound, loss, low, high)
            # what lies outside of the bounds is brought into them as a trial begins, and stays there
            every = (loss > 0) | (now.step == 0)
            return changed | dict(weights=connectivity.updated(_new, x.weights, before, behind, numbers, every))
        w = x.weights + changed["dWeights"] * x.eta - x.weights * loss
        return changed | dict(weights=connectivity.kept(jnp.clip(w, low, high)).astype(x.weights.dtype))

    def _bounds(self) -> tuple[jax.Array, jax.Array]:
        bounded = jnp.asarray(self.w_bound) > 0
        low = jnp.where(bounded, self.w_margin, -jnp.inf)
        return low, jnp.where(bounded, self.w_bound - self.w_margin, jnp.inf)


def _graded(w: jax.Array, mu: Any, bound: Any) -> tuple[jax.Array, jax.Array]:
    """What the weight itself makes of its potentiation and of its depression."""
    graded = mu > 0
    up, down = jnp.power(bound - w, mu), jnp.power(w, mu)
    return jnp.where(graded, up, 1.0), jnp.where(graded, down, 1.0)


def _new(w: jax.Array, before: Any, behind: Any, numbers: Any) -> jax.Array:
    """The rule for weights of one row of the batch, each by itself."""
    (pre_spike, pre_trace), (_, up_spike, down_trace) = before, behind
    eta, mu, bound, loss, low, high = numbers
    up, down = _graded(w, mu, bound)
    change = (pre_trace * up_spike) * up - (pre_spike * down_trace) * down
    return jnp.clip(w + change * eta - w * loss, low, high).astype(w.dtype)
