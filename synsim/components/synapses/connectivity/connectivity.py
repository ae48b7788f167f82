"""The interface of connectivity: a map that is linear in the weights and in the input, and its transposes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from synsim.component import Compartment, Declaration, rounded
from synsim.later import jax, jnp


class Connectivity(Declaration, abstract=True):
    """A map y = transmit(w, x), linear in the weights w and in the presynaptic activity x (B, *pre_shape).

    Its transposes come from `jax.linear_transpose`, so a connectivity defines nothing but the map and its shapes.
    """

    drawn: ClassVar[bool] = False  # whether there is a structure to be drawn before the graph is complete
    delivers: ClassVar[bool] = False  # whether each of its synapses may have a delay of its own

    local: ClassVar[bool] = False  # whether it can look at the weights of some units only, by `updated`

    event_driven: ClassVar[bool] = False  # whether it looks at no more than its units, and the synapses of active ones

    @property
    def weight_axes(self) -> tuple[str, ...]:
        """The names of the weights' axes, as they stand in files."""
        raise TypeError(f"{type(self).__name__} has no weight_axes")

    @property
    def bias_axes(self) -> tuple[str, ...]:
        """The names of the biases' axes."""
        return ("unit",)

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
    def synapse_shape(self) -> tuple[int, ...]:
        """Shape of what each synapse has for itself, also where all have one weight."""
        return self.weight_shape

    @property
    def bias_shape(self) -> tuple[int, ...]:
        """Shape of the biases; they are added to every row (and every place) of the output."""
        return self.weight_shape[-1:]

    def fit(self, pre: tuple[int, ...] | None, post: tuple[int, ...] | None) -> Connectivity | None:
        """This connectivity with its shape taken from what is wired to it, or None where that is not enough."""
        raise TypeError(f"{type(self).__name__} has no fit")

    def thinned(self, p_conn: float) -> Connectivity | None:
        """This connectivity with each synapse there with a probability; None where a mask has to take care of it."""
        del p_conn
        return None

    def kept(self, w: jax.Array) -> jax.Array:
        """The weights, with 0 where the array has a place and there is no synapse."""
        return w

    def sums_by_column(self, w: jax.Array) -> jax.Array:
        """What the weights that end in one unit add up to, in the shape of the biases."""
        return w.sum(tuple(range(w.ndim - len(self.bias_shape))))

    def at_columns(self, values: jax.Array) -> jax.Array:
        """Values of the postsynaptic units, in the shape of the biases, as each weight sees that of its unit."""
        return values

    def transmit(self, w: jax.Array, x: jax.Array) -> jax.Array:
        """What activity x sends through the weights."""
        raise TypeError(f"{type(self).__name__} has no transmit")

    def raised(self, left: jax.Array, factor: Any, w: jax.Array, x: jax.Array, zero: Any) -> jax.Array:
        """`left` (B, *post), with `factor` times what activity x sends through the weights added to it."""
        return left + rounded(self.transmit(w, x) * factor, zero)

    def deliver(self, w: jax.Array, x: jax.Array, ring: jax.Array, place: jax.Array, steps: jax.Array) -> jax.Array:
        """The ring (B, slots, *post) with what x sends through each weight added to the slot of its delay.

        `place` is the slot of the present step; `steps` are the delays, one for each weight.
        """
        raise TypeError(f"{type(self).__name__} has no deliver")

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

    def updated(
        self, change: Callable[..., Any], w: jax.Array, before: Any, behind: Any, numbers: Any, every: Any
    ) -> jax.Array:
        """The weights after `change`, worked out only for those of active units: see `events.updated`."""
        raise TypeError(f"{type(self).__name__} has no updated")

    def sum_post(self, post: jax.Array) -> jax.Array:
        """Postsynaptic activity summed over the batch and over space, in the shape of the biases."""
        return post.sum(axis=tuple(range(post.ndim - len(self.bias_shape))))
