"""The synapse: connectivity x dynamics x rule."""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from synsim.component import (
    Compartment,
    Component,
    Declaration,
    Now,
    View,
    count,
    inlet,
    outlet,
    param,
    part,
    rounded,
    state,
    static,
)
from synsim.components.synapses import delays
from synsim.components.synapses.connectivity.connectivity import Connectivity
from synsim.components.synapses.connectivity.dense import DenseConnectivity
from synsim.components.synapses.delays import Delays, Jitter, Listed
from synsim.components.synapses.dynamics.dynamics import Dynamics
from synsim.components.synapses.dynamics.instant import InstantDynamics
from synsim.components.synapses.rules.rule import Rule
from synsim.components.synapses.rules.static import StaticRule
from synsim.components.synapses.short_term import ShortTermPlasticity
from synsim.initialisers import Constant, Initialiser, Uniform
from synsim.later import jax, jnp


class Normalisation(Declaration, type_name="normalisation"):
    """Scale the weights that end in one unit: W[:, k] <- to W[:, k] / |W[:, k]|; a column of zeros stays."""

    columns: Literal["l1", "l2"] = static("The norm that is brought to `to`.")
    to: float = param("The norm after scaling.", gt=0)

    def apply(self, w: jax.Array, connectivity: Connectivity) -> jax.Array:
        """The scaled weights."""
        sums = connectivity.sums_by_column
        norm = sums(jnp.abs(w)) if self.columns == "l1" else jnp.sqrt(sums(jnp.square(w)))
        return w * connectivity.at_columns(jnp.where(norm > 0, self.to / jnp.where(norm > 0, norm, 1.0), 1.0))


class Synapse(Component):
    """A synapse put together from a connectivity, dynamics and a learning rule.

    drive = transmit(W, inputs); outputs = R drive + b for instant dynamics; the rule says how W changes.
    W (n_pre, n_post) when dense, (n_pre, K) when sparse, (k_y, k_x, C_in, C_out) when convolutional. Weights that
    `mask` or `p_conn` take away stay away: they are 0 at the start and after every update.

    What the weights transmit are the inputs as they arrive, which is in this order: late by the delay d = round(delay
    / dt) of their axon, u x inputs with short-term plasticity, each let through with the probability p of its axon. A
    delay of a synapse counts for what its weight has transmitted. A delay of 0 is none: what is read arrives at once.

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
    storage: Literal["dense", "sparse"] = static(
        "How all-to-all weights are kept where p_conn is below 1: as a matrix with zeros, or without them.",
        default="dense",
    )
    mask: Initialiser | None = part("Factor on the weights, 0 or 1, kept through learning.", default=None)
    normalise: Normalisation | None = part("What the method `normalise` does.", default=None)
    delay: Initialiser | None = part(
        "Time from what is read to what arrives, in ms: a number, or drawn, where delay_per says for what.",
        default=None,
    )
    delay_per: Literal["projection", "axon", "synapse"] = static(
        "What has a delay of its own where delay is drawn: an axon is one for each presynaptic unit.", default="axon"
    )
    max_delay: float | None = static(
        "Longest delay, in ms; left out, the longest that can be drawn. Longer draws of a distribution become this.",
        default=None,
        ge=0,
    )
    max_delay_steps: int = static(
        "The reference's random axonal delay: each axon is late by 1 to this number of steps; 0 for none.",
        default=0,
        ge=0,
    )
    short_term: ShortTermPlasticity | None = part("Depression and facilitation of each axon.", default=None)
    p_release_mean: float | None = param(
        "Mean probability that a spike of an axon is transmitted; null or 1: always.", default=None, gt=0, le=1
    )
    p_release_spread: float = param(
        "Largest distance of an axon's probability from p_release_mean, drawn once.", default=0.1, ge=0, le=1
    )
    back_sign: bool = static("Multiply dInputs by the rule's sign_value.", default=False)

    inputs = inlet("Presynaptic activity.", size="pre")
    back = inlet("Signal that backtransmit sends backwards; left out, the rule's postsynaptic signal.", size="post")
    weights = state("Synaptic weights.", start=None, size="weight", batch=False, learned=True)
    dInputs = outlet("What is on `back`, sent backwards through the weights.", size="pre")

    family: ClassVar[str] = "synapse"

    def sizes(self) -> dict[str, tuple[int, ...]]:
        wiring = self.connectivity
        sizes = {
            "pre": wiring.pre_shape,
            "post": wiring.post_shape,
            "weight": wiring.weight_shape,
            "bias": wiring.bias_shape,
        }
        if self.delay is None and not self.max_delay_steps:
            return sizes
        delayed = {"projection": (), "axon": wiring.pre_shape, "synapse": wiring.synapse_shape}[self.delay_per]
        slots = self.delay.slots if isinstance(self.delay, Delays) else 1  # known once dt is
        ring = (slots, *(wiring.post_shape if self.delay_per == "synapse" else wiring.pre_shape))
        return sizes | {"delay": delayed, "in_flight": ring}

    def axes(self, size: str) -> tuple[str, ...]:
        named = {"weight": self.connectivity.weight_axes, "bias": self.connectivity.bias_axes}
        if size == "in_flight":
            return ("slot", *super().axes("post" if self.delay_per == "synapse" else "pre"))
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
        return values | dict(weights=self.connectivity.kept(self._masked(values["weights"])))

    def init(self, key: jax.Array, batch: int, dtype: Any) -> dict[str, jax.Array]:
        del batch
        start = dict(weights=self._draw(self._weight_init, key, "weights", dtype))
        if self.p_release_mean is not None:
            start["p_release"] = self._release_probabilities(key, dtype)
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
        key = jax.random.fold_in(key, zlib.crc32(name.encode()))
        if name == "biases":
            return initialiser.draw(key, self.connectivity.bias_shape, dtype)
        return initialiser.draw(key, self.filled["weights"], dtype).reshape(self.connectivity.weight_shape)

    @property
    def filled(self) -> dict[str, tuple[int, ...]]:
        """The shapes that initialisers fill: rows of synapses are no matrix, and are filled as one list."""
        wiring = self.connectivity
        weights = (count(wiring.weight_shape),) if wiring.drawn and wiring.weight_shape else wiring.weight_shape
        return {"weights": weights, "biases": wiring.bias_shape}

    def _masked(self, w: jax.Array) -> jax.Array:
        if self.mask is None:
            return w
        # the mask is a ready array once the graph is built: this key draws nothing
        return w * self.mask.draw(jax.random.key(0), w.shape, w.dtype)

    def _release_probabilities(self, key: jax.Array, dtype: Any) -> jax.Array:
        assert self.p_release_mean is not None
        key = jax.random.fold_in(key, zlib.crc32(b"p_release"))
        apart = jax.random.uniform(key, self.connectivity.pre_shape, dtype, -1.0, 1.0) * self.p_release_spread
        return jnp.where(self.p_release_mean >= 1.0, 1.0, jnp.clip(self.p_release_mean + apart, 0.0, 1.0)).astype(dtype)

    def advance(self, x: View, now: Now) -> dict[str, jax.Array]:
        arrived, changed = self._arrived(x, now)
        left = self.dynamics.left(x, now)
        if isinstance(self.delay, Delays) and self.delay_per == "synapse":
            ring = self.connectivity.deliver(x.weights, arrived, x.in_flight, x.next_slot, self.delay.steps)
            drive, ring, place = delays.arriving(ring, x.next_slot)
            changed |= dict(in_flight=ring, next_slot=place)
            if left is not None:
                drive = left[0] + rounded(drive * left[1], now.zero)
        elif left is None:
            drive = self.connectivity.transmit(x.weights, arrived)
        else:
            drive = self.connectivity.raised(*left, x.weights, arrived, now.zero)
        bias = x.biases if "biases" in x else None
        return changed | self.dynamics.advance(drive, x, now, self.resist_scale, bias)

    def _arrived(self, x: View, now: Now) -> tuple[jax.Array, dict[str, jax.Array]]:
        """What of the inputs the weights get in this step, and what changes on the way."""
        arrived, changed = x.inputs, {}
        if isinstance(self.delay, Delays) and self.delay_per != "synapse":
            arrived, ring, place = delays.through(x.in_flight, x.next_slot, arrived, self.delay.steps)
            changed |= dict(in_flight=ring, next_slot=place)
        if self.short_term is not None:
            arrived, u, left = self.short_term.step(x.utilisation, x.resources, arrived, now)
            changed |= dict(utilisation=u, resources=left)
        if self.p_release_mean is not None:
            arrived = arrived * (jax.random.uniform(now.key, arrived.shape, arrived.dtype) < x.p_release)
        return arrived, changed | (dict(delayed_inputs=arrived) if "delayed_inputs" in self.compartments else {})

    def evolve(self, x: View, now: Now) -> dict[str, jax.Array]:
        changed = self.rule.evolve(x, now, self.connectivity)
        return changed | dict(weights=self._masked(changed["weights"]))

    @property
    def _sign(self) -> Any:
        return getattr(self.rule, "sign_value", 1.0)

    def problems(self) -> list[tuple[str, str]]:
        found = [*self.connectivity.problems(), *self.dynamics.problems(), *self.rule.problems()]
        found += self._delay_problems()
        if self.back_sign and not hasattr(self.rule, "sign_value"):
            found.append(("back_sign", f"needs a rule with a sign_value, which {self.rule.type_name} has not"))
        if self.storage == "sparse":
            if not self.connectivity.drawn:
                found.append(
                    ("storage", f"storage: sparse is for all-to-all weights, not {self.connectivity.type_name}")
                )
            elif self.p_conn == 1.0:
                found.append(("storage", "storage: sparse saves nothing where p_conn is 1: all pairs are connected"))
        if self.connectivity.drawn:
            if self.mask is not None:
                found.append(("mask", "mask is for matrices: sparse weights say themselves which pairs they are of"))
            if not self.connectivity.weight_shape and self.normalise is not None:
                found.append(("normalise", "one weight for all synapses has no columns to be normalised"))
            if not self.connectivity.weight_shape and self.rule.plastic:
                found.append(
                    (
                        "weights_per",
                        f"one weight for all synapses cannot learn: rule {self.rule.type_name} needs "
                        "weights_per: synapse",
                    )
                )
        return found

    def _delay_problems(self) -> list[tuple[str, str]]:
        if isinstance(self.delay, Delays):
            return []  # they have been looked at
        if self.delay is None:
            alone = "max_delay bounds delay, which is not written; for the reference's jitter write max_delay_steps"
            return [("max_delay", alone)] if self.max_delay is not None else []
        found = delays.problems(self.delay, self.max_delay)
        if self.max_delay_steps:
            found.append(("max_delay_steps", "max_delay_steps draws delays of its own: write it or delay"))
        if self._delay_per == "synapse" and not self.connectivity.delivers:
            named = self.connectivity.type_name
            found.append(("delay_per", f"delay_per: synapse is for dense and sparse connectivity, not for {named}"))
        return found

    @property
    def _delay_per(self) -> Literal["projection", "axon", "synapse"]:
        """What has a delay of its own: where there is one number, nothing needs one."""
        return "projection" if isinstance(self.delay, Constant) else self.delay_per

    def timed(self, dt: float) -> Synapse:
        """With room for what is under way in steps of `dt`; delays that cannot be stay as they are."""
        if self._delay_problems() or isinstance(self.delay, Delays):
            return self
        if self.max_delay_steps:
            jitter = Jitter(most=self.max_delay_steps, dt=dt)
            return dataclasses.replace(self, delay=delays.held(jitter, None, dt), delay_per="axon")
        if self.delay is None:
            return self
        room = delays.held(self.delay, self.max_delay, dt)
        return dataclasses.replace(self, delay=room, delay_per=self._delay_per)

    def with_listed_delays(self, delays: Any) -> Synapse:
        """With delays in ms that a file lists edge by edge."""
        return dataclasses.replace(self, delay=Listed(array=delays), delay_per="synapse")

    def with_delays_placed(self, places: Any) -> Synapse:
        """With such delays at the places of the flat weights where their edges are."""
        if not (isinstance(self.delay, Delays) and isinstance(self.delay.of, Listed)):
            return self
        of = self.delay.of.placed(places, self.connectivity.synapse_shape)
        return dataclasses.replace(self, delay=dataclasses.replace(self.delay, of=of))

    def with_delays(self, seed: int, dt: float, dtype: Any) -> Synapse:
        """With its delays drawn, as many as delay_per says."""
        if not isinstance(self.delay, Delays):
            return self
        key = jax.random.key(seed)
        return dataclasses.replace(self, delay=self.delay.drawn(key, self.sizes()["delay"], dt, dtype))

    def doubts(self, dt: float) -> list[tuple[str, str]]:
        said = self.delay.off_the_grid(dt) if isinstance(self.delay, Delays) else ""
        return [("delay", said)] if said else []

    def setting(self, name: str) -> Any:
        holders = (self, self.connectivity, self.dynamics, self.rule)
        return getattr(next(holder for holder in holders if hasattr(holder, name)), name)

    def fitted(self, pre: tuple[int, ...] | None, post: tuple[int, ...] | None) -> Synapse | None:
        connectivity = self.connectivity.fit(pre, post)
        if connectivity is None:
            return None
        if self.storage == "sparse" and isinstance(connectivity, DenseConnectivity):
            connectivity = connectivity.as_sparse(self.p_conn)
        connectivity = connectivity.thinned(self.p_conn) or connectivity
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
        return dict(weights=self.normalise.apply(x.weights, self.connectivity))


def compartments_of(
    connectivity: type, dynamics: type, rule: type, settings: Mapping[str, Any]
) -> dict[str, Compartment]:
    """The compartments of a synapse with these parts; some settings decide on further ones."""
    together = dict(Synapse.declared)
    if settings.get("bias_init") is not None:
        together["biases"] = state("Biases.", start=None, size="bias", batch=False, learned=True)
    together |= _on_the_way(settings)
    settings = {key: value for key, value in settings.items() if value is not None}
    for owner in (connectivity, dynamics, rule):
        for name, compartment in (*owner.declared.items(), *owner.extra_compartments(settings).items()):
            if name in together:
                raise TypeError(f"{owner.__name__} declares {name!r}, which its synapse has already")
            together[name] = compartment
    return together


def _on_the_way(settings: Mapping[str, Any]) -> dict[str, Compartment]:
    """The compartments of delays, of short-term plasticity and of release, where there are any."""
    found: dict[str, Compartment] = {}
    edges = settings.get("edges")
    listed = edges.get("delay") if isinstance(edges, Mapping) else getattr(edges, "delay", None)
    if settings.get("delay") is not None or settings.get("max_delay_steps") or listed is not None:
        found["in_flight"] = state("What has been sent and has not arrived, a slot for each step.", size="in_flight")
        found["next_slot"] = state("The slot that is the present step's.", size="", batch=False)
    if settings.get("short_term") is not None:
        found["utilisation"] = state("Share of the resources that a spike uses, less what it adds itself.", size="pre")
        found["resources"] = state("Share of the resources that is there.", start=1.0, size="pre")
    if settings.get("p_release_mean") is not None:
        doc = "Probability that a spike of the axon is transmitted."
        found["p_release"] = state(doc, start=None, size="pre", batch=False, learned=True)
    if found:
        found["delayed_inputs"] = outlet("The inputs as the weights get them.", size="pre")
    return found


def methods_of(rule: type, settings: Mapping[str, Any]) -> tuple[str, ...]:
    """The methods that a synapse with this rule may have in a schedule."""
    learning = ("evolve", "calc_update") if rule.uses is not None else ()
    return ("advance", *learning, "backtransmit", *(("normalise",) if settings.get("normalise") is not None else ()))
