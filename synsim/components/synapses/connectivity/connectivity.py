"""The interface of connectivity: a map that is linear in the weights and in the input, and its transposes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from synsim.component import Compartment, Declaration
from synsim.later import jax, jnp


class Connectivity(Declaration, abstract=True):
    """A map y = transmit(w, x), linear in the weights w and in the presynaptic activity x (B, *pre_shape).

    Its transposes come from `jax.linear_transpose`, so a connectivity defines nothing but the map and its shapes.
    """

    weight_axes: ClassVar[tuple[str, ...]]
    bias_axes: ClassVar[tuple[str, ...]] = ("unit",)

    @classmethod
    def extra_compartments(cls, settings: Mapping[str, Any]) -> dict[str, Compartment]:
        """Compartments that depend on settings."""
        del settings
        return {}

    @property
    def pre_shape(self) -> tuple[int, ...]:
        """Shape of the presynaptic activity, without the batch axis."""
        raise TypeError(f"{type(self).__name__} has no pre_shape")

    @property
    def post_shape(self) -> tuple[int, ...]:
        """Shape of the postsynaptic activity, without the batch axis."""
        raise TypeError(f"{type(self).__name__} has no post_shape")

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """Shape of the weights."""
        raise TypeError(f"{type(self).__name__} has no weight_shape")

    @property
    def bias_shape(self) -> tuple[int, ...]:
        """Shape of the biases; they are added to every row (and every place) of the output."""
        return self.weight_shape[-1:]

    def fit(self, pre: tuple[int, ...] | None, post: tuple[int, ...] | None) -> Connectivity | None:
        """This connectivity with its shape taken from what is wired to it, or None where that is not enough."""
        raise TypeError(f"{type(self).__name__} has no fit")

    def transmit(self, w: jax.Array, x: jax.Array) -> jax.Array:
        """What activity x sends through the weights."""
        raise TypeError(f"{type(self).__name__} has no transmit")

    def correlate(self, pre: jax.Array, post: jax.Array) -> jax.Array:
        """The Hebbian product in the shape of the weights: transpose of `transmit` in w, summed over the batch."""
        w = jax.ShapeDtypeStruct(self.weight_shape, post.dtype)
        (product,) = jax.linear_transpose(lambda w: self.transmit(w, pre), w)(post)
        return product

    def backtransmit(self, w: jax.Array, y: jax.Array) -> jax.Array:
        """Activity y sent backwards: transpose of `transmit` in x."""
        x = jax.ShapeDtypeStruct((y.shape[0], *self.pre_shape), y.dtype)
        (back,) = jax.linear_transpose(lambda x: self.transmit(w, x), x)(y)
        return back

    def pre_at_weights(self, pre: jax.Array) -> jax.Array:
        """Presynaptic activity as each weight sees it, summed over the batch and over the places where it stands.

        Of the shape of the weights, or of one that broadcasts against it.
        """
        return self.correlate(pre, jnp.ones((pre.shape[0], *self.post_shape), pre.dtype))

    def post_at_weights(self, post: jax.Array) -> jax.Array:
        """Postsynaptic activity as each weight sees it, summed like `pre_at_weights`."""
        return self.correlate(jnp.ones((post.shape[0], *self.pre_shape), post.dtype), post)

    def sum_post(self, post: jax.Array) -> jax.Array:
        """Postsynaptic activity summed over the batch and over space, in the shape of the biases."""
        return post.sum(axis=tuple(range(post.ndim - len(self.bias_shape))))
