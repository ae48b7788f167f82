"""A rule that is no part of the package, as somebody would add one: this file, and a row in the presets."""

from __future__ import annotations

from typing import ClassVar

import jax
import jax.numpy as jnp

from synsim.component import Now, View, inlet, outlet, param
from synsim.components.synapses.connectivity.connectivity import Connectivity
from synsim.components.synapses.rules.rule import Rule


class ToyOjaRule(Rule, type_name="toy_oja"):
    """Hebbian growth that keeps each column's norm at one.

    dW = pre x post - W (sum of post^2), W' = W + eta dW; sums go over the batch and over space.

    Source: Oja (1982), Journal of Mathematical Biology 15, 267-273.
    """

    eta: float = param("Learning rate.", default=0.01, ge=0)

    pre = inlet("Presynaptic signal.", size="pre", required=True)
    post = inlet("Postsynaptic signal.", size="post", required=True)
    dWeights = outlet("Update of the weights, before eta.", size="weight", batch=False)

    uses: ClassVar[str | None] = "correlations"
    post_inlet: ClassVar[str | None] = "post"

    def change(self, x: View, connectivity: Connectivity) -> dict[str, jax.Array]:
        grown = connectivity.correlate(x.pre, x.post)
        return dict(dWeights=grown - x.weights * connectivity.sum_post(jnp.square(x.post)))

    def evolve(self, x: View, now: Now, connectivity: Connectivity) -> dict[str, jax.Array]:
        del now
        changed = self.change(x, connectivity)
        return changed | dict(weights=x.weights + changed["dWeights"] * self.eta)
