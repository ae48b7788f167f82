"""Hebbian learning as an expansion in the two activities."""

from __future__ import annotations

from typing import Any, ClassVar

from synsim.component import Now, View, inlet, outlet, param, rounded
from synsim.components.synapses.connectivity.connectivity import Connectivity
from synsim.components.synapses.rules.rule import Rule, by_events
from synsim.later import jax, jnp


class GerstnerRule(Rule, type_name="gerstner"):
    """Hebbian plasticity as an expansion to second order in pre- and postsynaptic activity.

    dW = sign_value (c0 W + c1_pre <pre> + c1_post <post> + c2_corr <pre x post>),     W' = W + eta dW

    `<>` is the mean over the rows of the batch, `x` the connectivity's Hebbian product; filters sum over the places
    where they stand. Both signals have the shape of their side, (B, *pre) and (B, *post). Weights are not bounded.
    Settings that have names:

        Hebb          c2_corr > 0, the others 0
        anti-Hebb     c2_corr < 0, the others 0
        covariance    c2_corr = 1 on centred signals; with c0 = -1 the weights stay at it
        gated by pre  c2_corr = 1, c1_pre = -theta: grows where post is above theta
        decay         c0 < 0

    c0 is a factor on W and not the constant of the textbook's expansion.

    Source: Gerstner & Kistler (2002), Mathematical formulations of Hebbian learning, Biological
    Cybernetics 87, 404-415.
    """

    eta: float = param("Learning rate.", default=0.01)
    c0: float = param("Coefficient of the weight itself; below 0 weights decay.", default=0.0)
    c1_pre: float = param("Coefficient of presynaptic activity.", default=0.0)
    c1_post: float = param("Coefficient of postsynaptic activity.", default=0.0)
    c2_corr: float = param("Coefficient of the product of the two.", default=1.0)
    sign_value: float = param("Factor on the update; -1 turns ascent into descent.", default=1.0)

    pre = inlet("Presynaptic signal.", size="pre", required=True)
    post = inlet("Postsynaptic signal.", size="post", required=True)
    dWeights = outlet("Update of the weights, before eta.", size="weight", batch=False)

    uses: ClassVar[str | None] = "correlations"
    by_column: ClassVar[bool] = True
    rates: ClassVar[tuple[tuple[str, ...], ...]] = (("eta",),)
    post_inlet: ClassVar[str | None] = "post"

    def change(self, x: View, connectivity: Connectivity) -> dict[str, jax.Array]:
        return dict(dWeights=self._update(x, connectivity, 0))

    def evolve(self, x: View, now: Now, connectivity: Connectivity) -> dict[str, jax.Array]:
        update = rounded(self._update(x, connectivity, now.zero), now.zero)
        weights = x.weights + rounded(update * self.eta, now.zero)
        if connectivity.drawn and by_events(x.pre, now, connectivity):
            before = (x.pre[0], x.pre[0] * (self.sign_value * self.c1_pre))
            behind = (x.post[0], x.post[0] * (self.sign_value * self.c1_post))
            numbers = (self.eta, self.sign_value * self.c2_corr, self.sign_value * self.c0)
            weights = connectivity.updated(_new, x.weights, before, behind, numbers, jnp.asarray(self.c0) != 0)
        return dict(weights=weights, dWeights=update)

    def _update(self, x: View, connectivity: Connectivity, zero: Any) -> jax.Array:
        # coefficients are put onto the vectors, which are smaller than the weights
        share = self.sign_value / x.pre.shape[0]
        product = connectivity.correlate(x.pre, x.post * (share * self.c2_corr))
        from_pre = connectivity.pre_at_weights(x.pre * (share * self.c1_pre))
        from_post = connectivity.post_at_weights(x.post * (share * self.c1_post))
        linear = rounded(from_pre, zero) + rounded(from_post, zero)
        own = rounded(x.weights * (self.sign_value * self.c0), zero)
        return (own + linear + rounded(product, zero)).astype(x.weights.dtype)


def _new(w: jax.Array, before: Any, behind: Any, numbers: Any) -> jax.Array:
    """The rule for weights of one row of the batch, each by itself."""
    (pre, from_pre), (post, from_post), (eta, both, own) = before, behind, numbers
    return (w + (own * w + (from_pre + from_post) + pre * (post * both)) * eta).astype(w.dtype)
