"""Every presynaptic unit to every postsynaptic unit."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar

from synsim.component import static
from synsim.components.synapses.connectivity.connectivity import Connectivity
from synsim.components.synapses.connectivity.events import Table, row_sent, updated
from synsim.components.synapses.connectivity.sparse import SparseConnectivity
from synsim.later import jax, jnp


class DenseConnectivity(Connectivity, type_name="dense"):
    """All-to-all connectivity.

    y = x W with x (B, n_pre), W (n_pre, n_post), y (B, n_post).

    Source: McCulloch & Pitts (1943), Bulletin of Mathematical Biophysics 5, 115-133 (the weighted sum).
    """

    shape: tuple[int, int] | None = static(
        "Numbers of presynaptic and postsynaptic units; left out, they are those of what is wired.", default=None, gt=0
    )

    delivers: ClassVar[bool] = True
    local: ClassVar[bool] = True

    @property
    def weight_axes(self) -> tuple[str, ...]:
        return ("pre_unit", "post_unit")

    @property
    def pre_shape(self) -> tuple[int, ...]:
        return self.weight_shape[:1]

    @property
    def post_shape(self) -> tuple[int, ...]:
        return self.weight_shape[1:]

    @property
    def weight_shape(self) -> tuple[int, ...]:
        assert self.shape is not None  # a graph is built of fitted connectivities
        return self.shape

    def fit(self, pre: tuple[int, ...] | None, post: tuple[int, ...] | None) -> DenseConnectivity | None:
        if self.shape is not None:
            return self
        if pre is None or post is None or len(pre) != 1 or len(post) != 1:
            return None
        return dataclasses.replace(self, shape=(*pre, *post))

    def as_sparse(self, p_conn: float) -> SparseConnectivity:
        """The connections that are there with a probability, kept row by row: those that the mask would leave."""
        return SparseConnectivity(shape=self.shape, p_conn=p_conn, as_mask=True)

    def transmit(self, w: jax.Array, x: jax.Array) -> jax.Array:
        return row_sent(x, w) if x.shape[0] == 1 else x @ w

    def backtransmit(self, w: jax.Array, y: jax.Array) -> jax.Array:
        return y @ w.T  # a walk over active units has no transpose of its own

    def deliver(self, w: jax.Array, x: jax.Array, ring: jax.Array, place: jax.Array, steps: jax.Array) -> jax.Array:
        slots = (place.astype(jnp.int32) + jnp.asarray(steps).astype(jnp.int32)) % ring.shape[1]
        return ring.at[:, slots, jnp.arange(w.shape[1])].add(x[:, :, None] * w)

    def correlate(self, pre: jax.Array, post: jax.Array) -> jax.Array:
        # the same product as the transpose, written so that XLA takes its outer-product path for one row
        return pre.T @ post

    def pre_at_weights(self, pre: jax.Array) -> jax.Array:
        return pre.sum(0)[:, None]

    def post_at_weights(self, post: jax.Array) -> jax.Array:
        return post.sum(0)[None, :]

    def updated(
        self, change: Callable[..., Any], w: jax.Array, before: Any, behind: Any, numbers: Any, every: Any
    ) -> jax.Array:
        return updated(change, w, before, behind, numbers, every, Table())
