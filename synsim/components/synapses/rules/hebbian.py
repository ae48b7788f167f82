"""Two-factor Hebbian learning with priors, bounds and an optimiser."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar, Literal

from synsim.component import Compartment, Now, View, inlet, outlet, param, state, static
from synsim.components.synapses.connectivity.connectivity import Connectivity
from synsim.components.synapses.rules.rule import Rule, by_events
from synsim.later import jax, jnp
from synsim.optimisers import OPTIMISERS

# the names that stand for one prior
PRIORS = {
    "constant": "none",
    "none": "none",
    "l2": "l2",
    "ridge": "l2",
    "gaussian": "l2",
    "l1": "l1",
    "lasso": "l1",
    "laplacian": "l1",
    "l1l2": "l1l2",
    "elastic_net": "l1l2",
}


class HebbianRule(Rule, type_name="hebbian"):
    """Hebbian plasticity with two factors, pre and post.

    H = (q_pre pre) x (q_post post), summed over the batch, times (w_bound - |W|) where weights are bounded softly;
    G = -lambda W (l2), -lambda sign(W) (l1), -lambda (rho sign(W) + (1 - rho) W / 2) (l1l2), or 0;
    dW = sign_value (H + G), db = sign_value (sum of q_post post), W' = W - step(dW), then the bounds.

    The optimiser descends on dW, so sign_value -1 is Hebbian growth with decay; at +1 weights shrink with activity
    and G makes them grow. `prior_form: published` subtracts the prior whatever the sign: dW = sign_value H - G.

    Source: Hebb (1949), The Organization of Behavior; Gerstner & Kistler (2002), Spiking Neuron Models, ch. 10.
    """

    eta: float = param("Learning rate.", default=0.0)
    w_bound: float = param("Largest absolute weight; 0 means unbounded.", default=1.0, ge=0)
    soft_bound: bool = static("Scale the Hebbian product by the distance to w_bound.", default=True)
    is_nonnegative: bool = static("Keep weights at or above 0.", default=False)
    prior: Literal["constant", "none", "l2", "ridge", "gaussian", "l1", "lasso", "laplacian", "l1l2", "elastic_net"] = (
        static("Prior over the weights; several names stand for one.", default="constant")
    )
    prior_lmbda: float = param("Strength lambda of the prior.", default=0.0, ge=0)
    l1_ratio: float = param("Share rho of l1 in l1l2.", default=0.5, ge=0, le=1)
    prior_form: Literal["reference", "published"] = static(
        "Whether sign_value turns the prior's sign as well, or the prior always shrinks weights.", default="reference"
    )
    w_decay: float | None = param("Strength of an l2 prior, which then replaces `prior`.", default=None, ge=0)
    sign_value: float = param("Factor on the update: -1 grows with activity, +1 shrinks.", default=1.0)
    optim_type: Literal["sgd", "momentum", "nag", "adam", "adamw", "rmsprop"] = static(
        "Optimiser that applies the update.", default="sgd"
    )
    pre_wght: float = param("Factor q_pre on the presynaptic signal.", default=1.0)
    post_wght: float = param("Factor q_post on the postsynaptic signal.", default=1.0)

    pre = inlet("Presynaptic signal.", size="pre", required=True)
    post = inlet("Postsynaptic signal.", size="post", required=True)
    dWeights = outlet("Update of the weights, before the optimiser.", size="weight", batch=False)

    uses: ClassVar[str | None] = "correlations"
    rates: ClassVar[tuple[tuple[str, ...], ...]] = (("eta",),)
    post_inlet: ClassVar[str | None] = "post"

    @classmethod
    def extra_compartments(cls, settings: Mapping[str, Any]) -> dict[str, Compartment]:
        optimiser = OPTIMISERS[settings.get("optim_type", "sgd")]
        arrays = {"weights": "weight"}
        extra = {}
        if settings.get("bias_init") is not None:
            arrays["biases"] = "bias"
            extra["dBiases"] = outlet("Update of the biases, before the optimiser.", size="bias", batch=False)
        for array, size in arrays.items():
            for slot, doc in optimiser.slots:
                extra[f"{array}_{slot}"] = state(f"{doc} ({array}).", size=size, batch=False, learned=True)
        if optimiser.counts:
            extra["updates"] = state("Number of updates so far.", size="", batch=False, learned=True)
        return extra

    def change(self, x: View, connectivity: Connectivity) -> dict[str, jax.Array]:
        w, post = x.weights, x.post * self.post_wght
        product = connectivity.correlate(x.pre * self.pre_wght, post)
        if self.soft_bound:
            product = product * jnp.where(jnp.asarray(self.w_bound) > 0, self.w_bound - jnp.abs(w), 1.0)
        pull = self._prior(w)
        if pull is None:
            change = product * self.sign_value
        elif self.prior_form == "reference":
            change = (product + pull) * self.sign_value
        else:
            change = product * self.sign_value - pull
        changed = dict(dWeights=change.astype(w.dtype))
        if "biases" in x:
            changed["dBiases"] = connectivity.sum_post(post) * self.sign_value
        return changed

    def _prior(self, w: jax.Array) -> jax.Array | None:
        if self.w_decay is not None:
            return -w * self.w_decay
        match PRIORS[self.prior]:
            case "l2":
                return -w * self.prior_lmbda
            case "l1":
                return -jnp.sign(w) * self.prior_lmbda
            case "l1l2":
                mixed = jnp.sign(w) * self.l1_ratio + w * ((1.0 - self.l1_ratio) / 2.0)
                return -mixed * self.prior_lmbda
            case _:
                return None

    def evolve(self, x: View, now: Now, connectivity: Connectivity) -> dict[str, jax.Array]:
        optimiser = OPTIMISERS[self.optim_type]
        changed = self.change(x, connectivity)
        count = None
        if optimiser.counts:
            count = changed["updates"] = x.updates + 1.0
        for array, update in (("weights", "dWeights"), ("biases", "dBiases")):
            if update not in changed:
                continue
            slots = {slot: x[f"{array}_{slot}"] for slot, _ in optimiser.slots}
            new, slots = optimiser.step(self.eta, x[array], changed[update], slots, count)
            changed[array] = new.astype(x[array].dtype)
            changed |= {f"{array}_{slot}": value for slot, value in slots.items()}
        changed["weights"] = self._bounded(changed["weights"])
        alone = self.optim_type == "sgd" and self.w_decay is None and PRIORS[self.prior] == "none"
        if connectivity.drawn and alone and by_events(x.pre, now, connectivity):
            pre, post = x.pre[0] * self.pre_wght, x.post[0] * self.post_wght
            # only both together change a weight, so columns need not be looked at
            behind = (jnp.zeros_like(post), post)
            numbers = (self.eta, self.w_bound, self.sign_value)
            new = partial(_new, self.soft_bound, self.is_nonnegative)
            changed["weights"] = connectivity.updated(new, x.weights, (pre,), behind, numbers, now.step == 0)
        return changed

    def _bounded(self, w: jax.Array) -> jax.Array:
        return _within(w, self.w_bound, self.is_nonnegative)


def _within(w: jax.Array, bound: Any, is_nonnegative: bool) -> jax.Array:
    high = jnp.where(jnp.asarray(bound) > 0, bound, jnp.inf)
    return jnp.clip(w, 0.0 if is_nonnegative else -high, high).astype(w.dtype)


def _new(soft_bound: bool, is_nonnegative: bool, w: jax.Array, before: Any, behind: Any, numbers: Any) -> jax.Array:
    """The rule for weights of one row of the batch, each by itself, without a prior and by plain descent."""
    eta, bound, sign = numbers
    product = before[0] * behind[1]
    if soft_bound:
        product = product * jnp.where(jnp.asarray(bound) > 0, bound - jnp.abs(w), 1.0)
    new, _ = OPTIMISERS["sgd"].step(eta, w, product * sign, {}, None)
    return _within(new.astype(w.dtype), bound, is_nonnegative)
