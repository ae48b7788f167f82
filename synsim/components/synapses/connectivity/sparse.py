"""Some pairs of units, each unit's synapses side by side."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar, Literal

from synsim import structure
from synsim.component import Declaration, made, part, static
from synsim.components.synapses.connectivity.connectivity import Connectivity
from synsim.components.synapses.connectivity.events import Table, sent, sent_later, sent_onto, updated
from synsim.later import jax, jnp, np
from synsim.structure import Pairs

SONATA = {"pre": "source_node_id", "post": "target_node_id"}
"""What a SONATA population calls the two sides of its edges."""


class EdgeList(Declaration, type_name="edges"):
    """Synapses out of a file: (pre, post) for each, as numbers of units from 0.

    A .csv has a column for each side, an .h5 or .npz an array for each. A SONATA file of edges has populations: there
    pre and post are source_node_id and target_node_id of the one that is named.
    """

    selectable: ClassVar[bool] = False  # it is part of a connectivity and none itself

    path: str = static("The file, relative to the config: .csv, .h5 or .npz.")
    population: str | None = static("Population of edges in a SONATA file.", default=None)
    pre: str | None = static(
        "Column, or array, of presynaptic units; left out, pre, or source_node_id of a population.", default=None
    )
    post: str | None = static(
        "Column, or array, of postsynaptic units; left out, post, or target_node_id of a population.", default=None
    )
    weight: str | None = static(
        "Column, or array, of weights, as 0/syn_weight of a population; left out, weight_init says them.", default=None
    )
    delay: str | None = static(
        "Column, or array, of delays in ms, as 0/delay of a population; left out, the synapse's delay says them.",
        default=None,
    )

    sides: Any = made("The two sides as (2, edges), in the order of the first.", default=None)
    rows: Any = made("Which edge of the file each of them is, the first being 1.", default=None)
    weights: Any = made("Weights, where the file has them, in the same order.", default=None)
    delays: Any = made("Delays in ms, where the file has them, in the same order.", default=None)

    def loaded(
        self, pre: np.ndarray, post: np.ndarray, weights: np.ndarray | None, delays: np.ndarray | None
    ) -> EdgeList:
        """The same with what the file holds."""
        order = np.lexsort((post, pre))
        weights, delays = (None if each is None else each[order] for each in (weights, delays))
        sides = np.stack([pre[order], post[order]]).astype(np.int64)
        return dataclasses.replace(self, sides=sides, rows=order + 1, weights=weights, delays=delays)

    def key(self, side: Literal["pre", "post", "weight", "delay"]) -> str | None:
        """The name of an array in the file."""
        written = getattr(self, side)
        if self.population is None:
            return written or (side if side in SONATA else None)
        name = written or SONATA.get(side)
        return name if name is None else f"/edges/{self.population}/{name}"


class SparseConnectivity(Connectivity, type_name="sparse"):
    """Sparse connectivity: only the pairs of units that have a synapse.

    y[b,j] = sum over the synapses k of all units i with t[i,k] = j of x[b,i] W[i,k], with x (B, n_pre), y (B, n_post),
    W and the numbers t of postsynaptic units (n_pre, K). Only the rows of units whose x is not 0 are looked at. K is
    the longest row that the settings allow, W is 0 behind the end of a row.

    Who is connected is drawn from the seed and the synapse's name, by one of

        fan_out   that many synapses from each presynaptic unit
        fan_in    that many onto each postsynaptic unit
        p_conn    every pair with this probability
        synapses  that many in all, any pair as likely as any other
        edges     none is drawn: a file says who is connected

    Source: Brette et al. (2007), Journal of Computational Neuroscience 23, 349-398 (networks, event-driven synapses);
    Brunel (2000), Journal of Computational Neuroscience 8, 183-208 (fixed in-degree).
    """

    shape: tuple[int, int] | None = static(
        "Numbers of presynaptic and postsynaptic units; left out, they are those of what is wired.", default=None, gt=0
    )
    fan_out: int | None = static("Synapses from each presynaptic unit.", default=None, ge=1)
    fan_in: int | None = static("Synapses onto each postsynaptic unit.", default=None, ge=1)
    synapses: int | None = static("Synapses in all.", default=None, ge=1)
    edges: EdgeList | None = part("A file that says who is connected.", default=None)
    autapses: bool = static(
        "Whether a unit of a population that is wired to itself may have a synapse onto itself.", default=True
    )
    multapses: bool = static("Whether a pair of units may have several synapses.", default=False)
    weights_per: Literal["synapse", "projection"] = static(
        "Whether each synapse has a weight of its own, or all have one.", default="synapse"
    )

    p_conn: Any = made("The probability of a pair, where it is below 1.", default=None, static=True)
    as_mask: Any = made(
        "Whether the pairs are those that a mask of that probability leaves.", default=None, static=True
    )
    row_length: Any = made("K where a file says it.", default=None, static=True)
    targets: Any = made("Postsynaptic units, (n_pre, K).", default=None)
    lengths: Any = made("Synapses of each presynaptic unit, (n_pre,), where they differ.", default=None)
    incoming: Any = made(
        "Places in the flat weights of the synapses onto each postsynaptic unit, (n_post, K').", default=None
    )
    incoming_lengths: Any = made("Synapses onto each postsynaptic unit, (n_post,).", default=None)

    drawn: ClassVar[bool] = True
    delivers: ClassVar[bool] = True
    local: ClassVar[bool] = True
    event_driven: ClassVar[bool] = True

    # shapes -----------------------------------------------------------------------------------------------------

    @property
    def _sizes(self) -> tuple[int, int]:
        assert self.shape is not None  # a graph is built of fitted connectivities
        return self.shape

    @property
    def pre_shape(self) -> tuple[int, ...]:
        return self._sizes[:1]

    @property
    def post_shape(self) -> tuple[int, ...]:
        return self._sizes[1:]

    @property
    def weight_shape(self) -> tuple[int, ...]:
        return () if self.weights_per == "projection" else (self._sizes[0], self.length)

    @property
    def synapse_shape(self) -> tuple[int, ...]:
        return (self._sizes[0], self.length)

    @property
    def weight_axes(self) -> tuple[str, ...]:
        return () if self.weights_per == "projection" else ("pre_unit", "synapse")

    @property
    def bias_shape(self) -> tuple[int, ...]:
        return self.post_shape

    @property
    def length(self) -> int:
        """K, the longest row that the settings allow: no draw changes a program."""
        n_pre, n_post = self._sizes
        if self.row_length is not None:
            return self.row_length
        if self.fan_out is not None:
            return self.fan_out
        return self._bound(n_pre, self._possible)

    @property
    def incoming_length(self) -> int:
        """The most synapses onto one unit that the settings allow."""
        if self.fan_in is not None:
            return self.fan_in
        return self._bound(self._sizes[1], self._sizes[0])

    def _bound(self, units: int, others: int) -> int:
        """The most synapses that a unit of one side gets, where they are spread over all units of that side."""
        if self.p_conn is not None:
            return structure.most_of(others, self.p_conn)
        most = structure.most_of(self.number, 1.0 / units)
        return most if self.multapses else min(most, others)

    @property
    def _possible(self) -> int:
        return self._sizes[1] - (not self.autapses)

    @property
    def number(self) -> int:
        """Synapses in all, as far as settings say it: with p_conn their mean."""
        n_pre, n_post = self._sizes
        if self.fan_out is not None:
            return n_pre * self.fan_out
        if self.fan_in is not None:
            return n_post * self.fan_in
        if self.synapses is not None:
            return self.synapses
        return round(n_pre * self._possible * (self.p_conn or 0.0))

    def fit(self, pre: tuple[int, ...] | None, post: tuple[int, ...] | None) -> SparseConnectivity | None:
        if self.shape is not None:
            return self
        if pre is None or post is None or len(pre) != 1 or len(post) != 1:
            return None
        return dataclasses.replace(self, shape=(*pre, *post))

    def thinned(self, p_conn: float) -> SparseConnectivity | None:
        return self if p_conn == 1.0 else dataclasses.replace(self, p_conn=p_conn)

    # structure --------------------------------------------------------------------------------------------------

    def problems(self) -> list[tuple[str, str]]:
        ways = {
            "fan_out": self.fan_out,
            "fan_in": self.fan_in,
            "p_conn": self.p_conn,
            "synapses": self.synapses,
            "edges": self.edges,
        }
        chosen = [name for name, value in ways.items() if value is not None]
        names = "fan_out, fan_in, p_conn below 1, synapses or edges"
        if not chosen:
            return [("connectivity", f"connectivity sparse needs one of {names}, which says who is connected")]
        if len(chosen) > 1:
            return [(chosen[1], f"{' and '.join(chosen)} say two things of who is connected; write one of {names}")]
        n_pre, n_post = self._sizes
        found = []
        if not self.autapses and n_pre != n_post:
            sentence = (
                f"autapses: false is for a population that is wired to itself, not for {n_pre} and {n_post} units"
            )
            found.append(("autapses", sentence))
        if self.multapses and (self.p_conn is not None or self.edges is not None):
            sentence = "multapses: true goes with fan_out, fan_in and synapses"
            found.append(("multapses", f"{sentence}: p_conn decides once for each pair" if self.p_conn else sentence))
        if not self.multapses:
            less = not self.autapses
            for name, most in (
                ("fan_out", n_post - less),
                ("fan_in", n_pre - less),
                ("synapses", n_pre * (n_post - less)),
            ):
                if (wanted := ways[name]) is not None and wanted > most:
                    sentence = f"{name} is {wanted:,}, and there are {most:,} pairs for it without multapses"
                    found.append((name, sentence))
        if self.edges is not None and not self.autapses:
            found.append(("autapses", "autapses: false is for pairs that are drawn; edges says them all"))
        return found

    def listed(self, edges: EdgeList) -> SparseConnectivity:
        """With the edges of a file, whose longest row says K."""
        longest = int(np.unique(edges.sides[0], return_counts=True)[1].max())
        return dataclasses.replace(self, edges=edges, row_length=longest)

    def written_weights(self) -> np.ndarray | None:
        """Weights in the order of the pairs, where a file says them."""
        return None if self.edges is None else self.edges.weights

    def draw(self, random: np.random.Generator) -> Pairs:
        """The pairs that the settings ask for. Raises ValueError for units that there are not."""
        n_pre, n_post = self._sizes
        if self.edges is not None:
            for side, units, most in zip(("pre", "post"), self.edges.sides, self._sizes, strict=True):
                if units.max() >= most:
                    row = self.edges.rows[units >= most].min()
                    unit = units[self.edges.rows == row][0]
                    words = f"{side} of {self.edges.path} names unit {unit} in edge {row}"
                    raise ValueError(f"{words}; there are {most:,}, from 0 on")
            return Pairs(*self.edges.sides.astype(np.int32))
        less, many = not self.autapses, self.multapses
        if self.fan_out is not None:
            counts = np.full(n_pre, self.fan_out)
            return structure.each_row(random, counts, n_post, repeated=many, without_diagonal=less)
        if self.fan_in is not None:
            counts = np.full(n_post, self.fan_in)
            turned = structure.each_row(random, counts, n_pre, repeated=many, without_diagonal=less)
            return structure.ordered(turned.post, turned.pre)
        if self.synapses is not None:
            return structure.in_all(random, self.synapses, n_pre, n_post, repeated=many, without_diagonal=less)
        assert self.p_conn is not None  # `problems` asks for one of them
        if self.as_mask:
            return structure.by_matrix(random, n_pre, n_post, self.p_conn)
        return structure.by_chance(random, n_pre, n_post, self.p_conn, without_diagonal=less)

    def structured(self, pairs: Pairs, incoming: bool) -> SparseConnectivity:
        """This connectivity with these synapses; `incoming` says whether they are also listed by the unit behind.

        Raises ValueError where a unit has more synapses than there is room for.
        """
        n_pre, n_post = self._sizes
        targets, lengths = structure.padded(pairs, n_pre, self.length)
        arrays: dict[str, Any] = {"targets": targets, "lengths": None if self.fan_out is not None else lengths}
        if incoming:
            places = structure.slots(pairs, n_pre, self.length)
            order = np.argsort(pairs.post, kind="stable")
            turned = Pairs(pairs.post[order], places[order])
            length = self.incoming_length
            if self.edges is not None:
                length = int(np.bincount(pairs.post, minlength=1).max())
            table, held = structure.padded(turned, n_post, length)
            arrays |= {"incoming": table, "incoming_lengths": held}
        return dataclasses.replace(self, edges=None, **arrays)

    @property
    def count(self) -> int:
        """Synapses that there are."""
        return self.targets.size if self.lengths is None else int(np.sum(self.lengths, dtype=np.int64))

    @property
    def table_bytes(self) -> int:
        """Memory that says who is connected with whom."""
        tables = (self.targets, self.lengths, self.incoming, self.incoming_lengths)
        return sum(table.nbytes for table in tables if table is not None)

    @property
    def present(self) -> jax.Array | None:
        """Which places of the weights are synapses, None where all are."""
        if self.lengths is None:
            return None
        return jnp.arange(self.length, dtype=self.lengths.dtype) < self.lengths[:, None]

    # maps -------------------------------------------------------------------------------------------------------

    def transmit(self, w: jax.Array, x: jax.Array) -> jax.Array:
        return sent(x, w, self.targets, self.lengths, self._sizes[1])

    def raised(self, left: jax.Array, factor: Any, w: jax.Array, x: jax.Array, zero: Any) -> jax.Array:
        return sent_onto(left, factor, x, w, self.targets, self.lengths, zero)

    def deliver(self, w: jax.Array, x: jax.Array, ring: jax.Array, place: jax.Array, steps: jax.Array) -> jax.Array:
        return sent_later(x, w, self.targets, self.lengths, ring, place, steps)

    def backtransmit(self, w: jax.Array, y: jax.Array) -> jax.Array:
        if self.weights_per == "projection":
            return w * self._there(self._gathered(y)).sum(-1)
        return (self.kept(w) * self._gathered(y)).sum(-1)

    def correlate(self, pre: jax.Array, post: jax.Array) -> jax.Array:
        product = self._there(jnp.einsum("bi,bik->ik", pre, self._gathered(post)))
        return product.sum() if self.weights_per == "projection" else product

    def at_synapses(self, pre: jax.Array, post: jax.Array) -> tuple[jax.Array, jax.Array]:
        """The two activities that meet at each synapse: (B, n_pre, 1) and (B, n_pre, K)."""
        return pre[:, :, None], self._gathered(post)

    def pre_at_weights(self, pre: jax.Array) -> jax.Array:
        seen = self._there(jnp.broadcast_to(pre.sum(0)[:, None], (self._sizes[0], self.length)))
        return seen.sum() if self.weights_per == "projection" else seen

    def post_at_weights(self, post: jax.Array) -> jax.Array:
        seen = self._there(self._gathered(post.sum(0)))
        return seen.sum() if self.weights_per == "projection" else seen

    def updated(
        self, change: Callable[..., Any], w: jax.Array, before: Any, behind: Any, numbers: Any, every: Any
    ) -> jax.Array:
        table = Table(self.targets, self.lengths, self.incoming, self.incoming_lengths)
        return updated(change, w, before, behind, numbers, every, table)

    def kept(self, w: jax.Array) -> jax.Array:
        return w if self.weights_per == "projection" else self._there(w)

    def sums_by_column(self, w: jax.Array) -> jax.Array:
        return self.transmit(w, jnp.ones((1, self._sizes[0]), w.dtype))[0]

    def at_columns(self, values: jax.Array) -> jax.Array:
        return self._gathered(values)

    def _gathered(self, y: jax.Array) -> jax.Array:
        """Postsynaptic values (…, n_post) at each synapse: (…, n_pre, K)."""
        return jnp.asarray(y).at[..., self.targets].get(mode="promise_in_bounds")

    def _there(self, values: jax.Array) -> jax.Array:
        present = self.present
        return values if present is None else jnp.where(present, values, jnp.zeros((), values.dtype))
