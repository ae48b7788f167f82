"""The synapse: connectivity x dynamics x rule."""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from synsim.component import Compartment, Component, Declaration, Now, View, inlet, outlet, param, part, state, static
from synsim.components.synapses.connectivity.connectivity import Connectivity
from synsim.components.synapses.dynamics.dynamics import Dynamics
from synsim.components.synapses.dynamics.instant import InstantDynamics
from synsim.components.synapses.rules.rule import Rule
from synsim.components.synapses.rules.static import StaticRule
from synsim.initialisers import Constant, Initialiser, Uniform
from synsim.later import jax, jnp


class Normalisation(Declaration, type_name="normalisation"):
    """Scale the weights that end in one unit: W[:, k] <- to W[:, k] / |W[:, k]|; a column of zeros stays."""

    columns: Literal["l1", "l2"] = static("The norm that is brought to `to`.")
    to: float = param("The norm after scaling.", gt=0)

    def apply(self, w: jax.Array) -> jax.Array:
        """The scaled weights; the last axis counts the columns."""
        axes = tuple(range(w.ndim - 1))
        norm = jnp.abs(w).sum(axes) if self.columns == "l1" else jnp.sqrt(jnp.square(w).sum(axes))
        return w * jnp.where(norm > 0, self.to / jnp.where(norm > 0, norm, 1.0), 1.0)


class Synapse(Component):
    """A synapse put together from a connectivity, dynamics and a learning rule.

    drive = transmit(W, inputs); outputs = R drive + b for instant dynamics; the rule says how W changes.
    W (n_pre, n_post) when dense, (k_y, k_x, C_in, C_out) when convolutional. Weights that `mask` or `p_conn` take
    away stay away: they are 0 at the start and after every update.

    Source: none; its parts name theirs.
    """

    connectivity: Connectivity = part("How its two sides are wired.")
    dynamics: Dynamics = part("What arrives on the postsynaptic side.", default=InstantDynamics())
    rule: Rule = part("How its weights change.", default=StaticRule())
    weight_init: Initialiser | None = part(
        "Weights at the start; left out, uniform from 0.025 to 0.8, or 1 where is_nonplastic says so.", default=None
    )
    bias_init: Initialiser | None = part("Biases at the start; left out, there are none.", default=None)
    resist_scale: float = param(
        "Factor R on what the weights transmit; biases are not scaled.", default=1.0, also=("g_conduct_factor",)
    )
    p_conn: float = static("Probability of a connection.", default=1.0, gt=0, le=1)
    mask: Initialiser | None = part("Factor on the weights, 0 or 1, kept through learning.", default=None)
    normalise: Normalisation | None = part("What the method `normalise` does.", default=None)
    back_sign: bool = static("Multiply dInputs by the rule's sign_value.", default=False)

    inputs = inlet("Presynaptic activity.", size="pre")
    back = inlet("Signal that backtransmit sends backwards; left out, the rule's postsynaptic signal.", size="post")
    weights = state("Synaptic weights.", start=None, size="weight", batch=False, learned=True)
    dInputs = outlet("What is on `back`, sent backwards through the weights.", size="pre")

    family: ClassVar[str] = "synapse"

    def sizes(self) -> dict[str, tuple[int, ...]]:
        wiring = self.connectivity
        return {
            "pre": wiring.pre_shape,
            "post": wiring.post_shape,
            "weight": wiring.weight_shape,
            "bias": wiring.bias_shape,
        }

    def axes(self, size: str) -> tuple[str, ...]:
        named = {"weight": self.connectivity.weight_axes, "bias": self.connectivity.bias_axes}
        return named.get(size) or super().axes(size)

    @property
    def compartments(self) -> Mapping[str, Compartment]:
        settings = {
            field.name: getattr(owner, field.name)
            for owner in (self, self.connectivity, self.dynamics, self.rule)
            for field in dataclasses.fields(owner)
        }
        return compartments_of(type(self.connectivity), type(self.dynamics), type(self.rule), settings)

    @property
    def methods(self) -> tuple[str, ...]:
        return methods_of(type(self.rule), {"normalise": self.normalise})

    def method(self, name: str) -> Any:
        # `normalise` is a setting, and what it says is done by the method of that name in a schedule
        return self._normalise if name == "normalise" else super().method(name)

    def conform(self, values: dict[str, Any]) -> dict[str, Any]:
        return values | dict(weights=self._masked(values["weights"]))

    def init(self, key: jax.Array, batch: int, dtype: Any) -> dict[str, jax.Array]:
        del batch
        start = dict(weights=self._draw(self._weight_init, key, "weights", dtype))
        if self.bias_init is not None:
            start["biases"] = self._draw(self.bias_init, key, "biases", dtype)
        return start

    @property
    def _weight_init(self) -> Initialiser:
        if self.weight_init is not None:
            return self.weight_init
        ones = not self.rule.plastic and getattr(self.dynamics, "is_nonplastic", False)
        return Constant(value=1.0) if ones else Uniform(low=0.025, high=0.8)

    def _draw(self, initialiser: Initialiser, key: jax.Array, name: str, dtype: Any) -> jax.Array:
        shape = self.connectivity.weight_shape if name == "weights" else self.connectivity.bias_shape
        return initialiser.draw(jax.random.fold_in(key, zlib.crc32(name.encode())), shape, dtype)

    def _masked(self, w: jax.Array) -> jax.Array:
        if self.mask is None:
            return w
        # the mask is a ready array once the graph is built: this key draws nothing
        return w * self.mask.draw(jax.random.key(0), w.shape, w.dtype)

    def advance(self, x: View, now: Now) -> dict[str, jax.Array]:
        drive = self.connectivity.transmit(x.weights, x.inputs)
        return self.dynamics.advance(drive, x, now, self.resist_scale, x.biases if "biases" in x else None)

    def evolve(self, x: View, now: Now) -> dict[str, jax.Array]:
        changed = self.rule.evolve(x, now, self.connectivity)
        return changed | dict(weights=self._masked(changed["weights"]))

    @property
    def _sign(self) -> Any:
        return getattr(self.rule, "sign_value", 1.0)

    def problems(self) -> list[tuple[str, str]]:
        found = [*self.connectivity.problems(), *self.dynamics.problems(), *self.rule.problems()]
        if self.back_sign and not hasattr(self.rule, "sign_value"):
            found.append(("back_sign", f"needs a rule with a sign_value, which {self.rule.type_name} has not"))
        return found

    def setting(self, name: str) -> Any:
        holders = (self, self.connectivity, self.dynamics, self.rule)
        return getattr(next(holder for holder in holders if hasattr(holder, name)), name)

    def fitted(self, pre: tuple[int, ...] | None, post: tuple[int, ...] | None) -> Synapse | None:
        connectivity = self.connectivity.fit(pre, post)
        if connectivity is None:
            return None
        return dataclasses.replace(self, connectivity=connectivity, weight_init=self._weight_init)

    def calc_update(self, x: View, now: Now) -> dict[str, jax.Array]:
        """The rule's update as it would be now, without applying it."""
        del now
        return self.rule.change(x, self.connectivity)

    def backtransmit(self, x: View, now: Now) -> dict[str, jax.Array]:
        del now
        back = self.connectivity.backtransmit(x.weights, x.back)
        return dict(dInputs=back * self._sign if self.back_sign else back)

    def _normalise(self, x: View, now: Now) -> dict[str, jax.Array]:
        del now
        assert self.normalise is not None  # else `methods` does not offer it
        return dict(weights=self.normalise.apply(x.weights))


def compartments_of(
    connectivity: type, dynamics: type, rule: type, settings: Mapping[str, Any]
) -> dict[str, Compartment]:
    """The compartments of a synapse with these parts; `bias_init` and `optim_type` decide on some of them."""
    together = dict(Synapse.declared)
    if settings.get("bias_init") is not None:
        together["biases"] = state("Biases.", start=None, size="bias", batch=False, learned=True)
    settings = {key: value for key, value in settings.items() if value is not None}
    for owner in (connectivity, dynamics, rule):
        for name, compartment in (*owner.declared.items(), *owner.extra_compartments(settings).items()):
            if name in together:
                raise TypeError(f"{owner.__name__} declares {name!r}, which its synapse has already")
            together[name] = compartment
    return together


def methods_of(rule: type, settings: Mapping[str, Any]) -> tuple[str, ...]:
    """The methods that a synapse with this rule may have in a schedule."""
    learning = ("evolve", "calc_update") if rule.uses is not None else ()
    return ("advance", *learning, "backtransmit", *(("normalise",) if settings.get("normalise") is not None else ()))
