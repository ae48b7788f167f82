"""Every presynaptic unit to the postsynaptic unit of the same place."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from synsim.component import Size, as_shape, static
from synsim.components.synapses.connectivity.connectivity import Connectivity
from synsim.later import jax


class OneToOneConnectivity(Connectivity, type_name="one_to_one"):
    """One-to-one connectivity: the diagonal of a matrix.

    y = x * w with x (B, *shape), w (*shape), y (B, *shape).

    Source: Diehl & Cook (2015), Frontiers in Computational Neuroscience 9:99 (excitatory to inhibitory neurons).
    """

    shape: Size | None = static(
        "Number of units on either side, or their shape; left out, that of what is wired.", default=None, gt=0
    )

    event_driven: ClassVar[bool] = True

    @property
    def weight_axes(self) -> tuple[str, ...]:
        return ((), ("unit",), ("y", "x"), ("y", "x", "channel"))[len(self.weight_shape)]

    @property
    def bias_axes(self) -> tuple[str, ...]:
        return self.weight_axes

    @property
    def pre_shape(self) -> tuple[int, ...]:
        return self.weight_shape

    @property
    def post_shape(self) -> tuple[int, ...]:
        return self.weight_shape

    @property
    def weight_shape(self) -> tuple[int, ...]:
        assert self.shape is not None  # a graph is built of fitted connectivities
        return as_shape(self.shape)

    @property
    def bias_shape(self) -> tuple[int, ...]:
        return self.weight_shape

    def fit(self, pre: tuple[int, ...] | None, post: tuple[int, ...] | None) -> OneToOneConnectivity | None:
        if self.shape is not None:
            return self
        known = pre if pre is not None else post
        return None if known is None else dataclasses.replace(self, shape=known)

    def transmit(self, w: jax.Array, x: jax.Array) -> jax.Array:
        return x * w

    def correlate(self, pre: jax.Array, post: jax.Array) -> jax.Array:
        return (pre * post).sum(0)

    def backtransmit(self, w: jax.Array, y: jax.Array) -> jax.Array:
        return y * w

    def pre_at_weights(self, pre: jax.Array) -> jax.Array:
        return pre.sum(0)

    def post_at_weights(self, post: jax.Array) -> jax.Array:
        return post.sum(0)
