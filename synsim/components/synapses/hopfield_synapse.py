"""The modern Hopfield network: an associative memory."""

from __future__ import annotations

import dataclasses
import zlib
from typing import Any, ClassVar, Literal

from synsim.component import Component, Now, View, inlet, outlet, param, part, rounded, state, static
from synsim.initialisers import Array, Initialiser, Uniform
from synsim.later import jax, jnp

Form = Literal["reference", "published"]


class HopfieldSynapse(Component):
    """Modern Hopfield network: it retrieves the memory, a column of W, that its probe is most like.

        S = x W,   z = softmax(beta S),   outputs y = R z W^T,   similarities = S - max S

    One call of advance is one update. To iterate, wire the outputs back and start from a probe on `clamped`:
    `W.inputs: W.outputs`, schedule `start: [reset, W.clamp]`, `step: [W]`.

    Energy of the probe, a row each in `energies` and their mean in `energy`, with lse(a) = log(sum exp(beta a)) / beta:

        published  E = -lse(S) + x.x / 2 + log(N) / beta + m^2 / 2,   m the largest norm of a column of W
        reference  E = -lse(S - max S) + x.y / 2 + log(N) / beta + r^2 / 2,   r that of a row of W

    The published one never rises from update to update (R = 1); the reference's may.

    Learning, averaged over the B rows, from inputs as they are now and y, z as the last advance left them:

        delta        dW = (x - y)^T z / B
        contrastive  dW = (x^T z - y^T z') / B,   z' = softmax(y W), published: softmax(beta y W)
        W <- W + eta dW - reg_lambda W

    Shapes: x, y (B, D), S, z (B, N), W (D, N): D units, N memory slots. The rows of initial_patterns, at most N, fill
    the first columns in order (the reference shuffles the columns, which changes no output), the others start at
    weight_init. An initialiser that draws fills all N. Weights that mask or p_conn take away stay 0. i_tick counts
    the calls of advance and outlives reset, as does W.

    Source: Ramsauer et al. (2020), arXiv:2008.02217; Krotov & Hopfield (2020), arXiv:2008.06996; contrastive rule:
    Movellan (1991), Connectionist Models, 10-17.
    """

    family: ClassVar[str] = "synapse"

    shape: tuple[int, int] | None = static(
        "Numbers of units D and memory slots N; left out, those of what is wired and of initial_patterns.",
        default=None,
        gt=0,
    )
    eta: float = param("Learning rate.")
    reg_lambda: float = param("Decay of the weights at each update; eta does not scale it.", default=0.0, ge=0)
    beta: float = param("Inverse temperature: how sharply the most similar memory is preferred.", default=8.0, gt=0)
    initial_patterns: Initialiser | None = part(
        "Patterns in memory at the start, one a row (rows, D): a data entry or a file.", default=None
    )
    update_rule: Literal["delta", "contrastive"] = static("How the memory learns.", default="delta")
    weight_init: Initialiser | None = part(
        "Memory slots without a pattern at the start; left out, uniform from 0.025 to 0.8.", default=None
    )
    resist_scale: float = param("Factor R on what is retrieved.", default=1.0, also=("g_conduct_factor",))
    p_conn: float = static("Probability of a connection.", default=1.0, gt=0, le=1)
    mask: Initialiser | None = part("Factor on the weights, 0 or 1, kept through learning.", default=None)
    energy_form: Form = static("The energy: as the reference has it, or as published.", default="reference")
    contrastive_form: Form = static(
        "The contrastive rule's second softmax: without beta (reference) or with it (published).", default="reference"
    )

    inputs = inlet("Probe.", size="pre", required=True)
    clamped = inlet("Probe that the method clamp puts onto outputs.", size="pre")
    outputs = state("What is retrieved: the updated probe.", size="pre")
    memory_weights = state("Share of each memory in what is retrieved: z.", size="memory")
    i_tick = state("Calls of advance so far.", size="", batch=False, learned=True)
    weights = state("Memories, one a column.", start=None, size="weight", batch=False, learned=True)
    similarities = outlet("Similarity of probe and memories, less the largest of the row.", size="memory")
    energies = outlet("Energy of each probe.", size="")
    energy = outlet("Mean energy of the probes.", size="", batch=False)
    dWeights = outlet("Update of the weights, before eta and decay.", size="weight", batch=False)

    def sizes(self) -> dict[str, tuple[int, ...]]:
        assert self.shape is not None  # a graph is built of fitted components
        return {"pre": self.shape[:1], "memory": self.shape[1:], "weight": self.shape}

    def axes(self, size: str) -> tuple[str, ...]:
        return {"memory": ("memory",), "weight": ("unit", "memory")}.get(size) or super().axes(size)

    def fitted(self, pre: tuple[int, ...] | None, post: tuple[int, ...] | None) -> HopfieldSynapse | None:
        del post
        rest = self.weight_init or Uniform(low=0.025, high=0.8)
        if self.shape is not None:
            return dataclasses.replace(self, weight_init=rest)
        patterns = self._given_patterns
        if patterns is None or len(patterns) != 2:
            return None
        units = pre[0] if pre is not None and len(pre) == 1 else patterns[1]
        return dataclasses.replace(self, shape=(units, patterns[0]), weight_init=rest)

    @property
    def _given_patterns(self) -> tuple[int, ...] | None:
        """The shape of patterns that were read from somewhere; None where they are drawn or there are none."""
        return tuple(jnp.shape(self.initial_patterns.array)) if isinstance(self.initial_patterns, Array) else None

    def problems(self) -> list[tuple[str, str]]:
        if self.initial_patterns is None:
            return []
        units, slots = self.sizes()["weight"]
        given = self._given_patterns or (slots, units)
        if len(given) != 2:
            wrong = f"must be a matrix, one pattern a row; the values have shape {list(given)}"
        elif given[1] != units:
            wrong = f"holds patterns (rows) of {given[1]} values, and there are {units} units"
            if given[0] == units:
                wrong += "; its columns have as many: transpose it"
        elif given[0] > slots:
            wrong = f"holds {given[0]} patterns (rows) for {slots} memory slots; take fewer, or a larger shape"
        else:
            misfits = self.initial_patterns.misfits(given)
            return [("initial_patterns", " ".join(filter(None, ["initial_patterns:", *one]))) for one in misfits]
        return [("initial_patterns", f"initial_patterns {wrong}")]

    def init(self, key: jax.Array, batch: int, dtype: Any) -> dict[str, jax.Array]:
        del batch
        rest = self.weight_init or Uniform(low=0.025, high=0.8)
        w = rest.draw(jax.random.fold_in(key, zlib.crc32(b"weights")), self.sizes()["weight"], dtype)
        if self.initial_patterns is not None:
            shape = self._given_patterns or w.shape[::-1]
            own = jax.random.fold_in(key, zlib.crc32(b"initial_patterns"))
            w = w.at[:, : shape[0]].set(self.initial_patterns.draw(own, shape, dtype).T)
        return dict(weights=w)

    def conform(self, values: dict[str, Any]) -> dict[str, Any]:
        return values | dict(weights=self._masked(values["weights"]))

    def _masked(self, w: jax.Array) -> jax.Array:
        if self.mask is None:
            return w
        # the mask is a ready array once the graph is built: this key draws nothing
        return w * self.mask.draw(jax.random.key(0), w.shape, w.dtype)

    def advance(self, x: View, now: Now) -> dict[str, jax.Array]:
        probe, w = x.inputs, x.weights
        similar = probe @ w
        largest = jnp.max(similar, axis=1, keepdims=True)
        below = rounded(similar - largest, now.zero)
        raised = jnp.exp(rounded(self.beta * below, now.zero))
        total = jnp.sum(raised, axis=1, keepdims=True)
        memory_weights = raised / total
        outputs = self.resist_scale * (memory_weights @ w.T)
        lse = jnp.log(total[:, 0]) / self.beta
        if self.energy_form == "published":
            energies = self._energies(lse + largest[:, 0], probe, probe, w, now, along=0)
        else:
            energies = self._energies(lse, probe, outputs, w, now, along=1)
        return dict(
            outputs=outputs,
            memory_weights=memory_weights,
            i_tick=x.i_tick + 1.0,
            similarities=below,
            energies=energies,
            energy=jnp.mean(energies),
        )

    def _energies(self, lse: jax.Array, a: jax.Array, b: jax.Array, w: jax.Array, now: Now, *, along: int) -> jax.Array:
        """-lse + a.b / 2 + log(N) / beta + norm^2 / 2, with the largest norm of W along an axis; a value a row."""
        product = rounded(0.5 * jnp.sum(a * b, axis=1), now.zero)
        norm = rounded(0.5 * jnp.max(jnp.sum(jnp.square(w), axis=along)), now.zero)
        return rounded(product - lse + (jnp.log(w.shape[1]) / self.beta + norm), now.zero)

    def clamp(self, x: View, now: Now) -> dict[str, jax.Array]:
        """Put the wired probe onto outputs: where iterated retrieval starts."""
        del now
        return dict(outputs=x.clamped)

    def evolve(self, x: View, now: Now) -> dict[str, jax.Array]:
        probe, retrieved, w = x.inputs, x.outputs, x.weights
        if self.update_rule == "delta":
            change = (probe - retrieved).T @ x.memory_weights
        else:
            similar = retrieved @ w
            if self.contrastive_form == "published":
                similar = rounded(self.beta * similar, now.zero)
            change = probe.T @ x.memory_weights - retrieved.T @ jax.nn.softmax(similar, axis=1)
        change = rounded(change / probe.shape[0], now.zero)
        w = w + rounded(self.eta * change, now.zero) - rounded(self.reg_lambda * w, now.zero)
        return dict(weights=self._masked(w), dWeights=change)
