"""Activity sent along rows of synapses, at a cost that grows with what is active and not with what there is.

    y[r, t[i, k]] += x[r, i] w[i, k]     for every i with x[r, i] not 0, and every synapse k of row i

Units that are active are packed, 32 to a word, and the set bits are walked: there is no number of spikes for which
there is no room. The walk is compiled into one function; several lanes of a sweep are one walk over all their rows.
On another device than a CPU all synapses are added at once.

Source: rows of synapses by presynaptic unit as in Brette et al. (2007), Journal of Computational Neuroscience 23,
349-398, section 2.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

from synsim.component import rounded
from synsim.later import jax, jnp, lax
from synsim.one_function import in_one_function, is_known, on_cpu
from synsim.spike_bits import (
    at,
    in_lanes,
    known_bits_of,
    lane_of_row,
    over_rows,
    over_set_bits,
    over_set_bits_in_order,
    packed,
    packed_in_order,
    put,
)

Change = Callable[[Any, Any, Any, Any], Any]
"""What becomes of weights, given values of their units before and behind, and some numbers; each weight by itself."""

Arrays = dict[str, Any]

FEW = 4  # a row is sent unit by unit where no more than one in so many is active
UNROLL = 8  # synapses that are added in one turn of the innermost loop


def sent(x: jax.Array, w: jax.Array, targets: jax.Array, lengths: jax.Array | None, n_post: int) -> jax.Array:
    """What the active units of x (B, n_pre) add up to at their targets: (B, n_post).

    w is (n_pre, K), or () for one weight; targets (n_pre, K) of integers; lengths (n_pre,) say how many of each row
    are synapses, None that all are.
    """
    if not on_cpu():
        values = _all_at_once(x, w, targets, lengths)
        return jnp.zeros((x.shape[0], n_post), x.dtype).at[:, targets].add(values)
    walk = _in_lanes(x.shape[1], n_post, targets.shape[-1])
    return walk(_active(x), _in_front(w=w, targets=targets, lengths=lengths))


def sent_onto(
    y: jax.Array,
    factor: Any,
    x: jax.Array,
    w: jax.Array,
    targets: jax.Array,
    lengths: jax.Array | None,
    zero: Any,
) -> jax.Array:
    """y (B, n_post) with the same added, each of it times a factor, synapse by synapse.

    A pass over y less than to add what `sent` gives. Each product is rounded with the help of `zero`.
    """
    if not on_cpu():
        return y + rounded(sent(x, w, targets, lengths, y.shape[1]) * factor, zero)
    rows, tables = {"onto": y} | _active(x), _in_front(w=w, targets=targets, lengths=lengths)
    # values are multiplied in any case: a factor that is known changes no number
    if "x" in rows or not (is_known(factor) and factor == 1.0):
        tables |= _in_front(factor=jnp.asarray(factor, w.dtype), zero=jnp.asarray(zero))
    return _in_lanes(x.shape[1], y.shape[1], targets.shape[-1])(rows, tables)


def sent_later(
    x: jax.Array,
    w: jax.Array,
    targets: jax.Array,
    lengths: jax.Array | None,
    ring: jax.Array,
    place: jax.Array,
    steps: jax.Array,
) -> jax.Array:
    """The ring (B, slots, n_post) with the same added, for each synapse to the slot that is `steps` behind `place`.

    steps (n_pre, K) are whole numbers, below the number of slots, as the place is.
    """
    rows, slots, n_post = ring.shape
    if not on_cpu():
        behind = (place.astype(jnp.int32) + steps.astype(jnp.int32)) % slots
        return ring.at[:, behind, targets].add(_all_at_once(x, w, targets, lengths))
    walk = _in_lanes(x.shape[1], n_post, targets.shape[-1])
    tables = _in_front(place=place, steps=steps, w=w, targets=targets, lengths=lengths)
    return walk({"onto": ring.reshape(rows, -1)} | _active(x), tables).reshape(ring.shape)


def row_sent(x: jax.Array, w: jax.Array) -> jax.Array:
    """x @ w for one row x (1, n_pre) and a matrix w (n_pre, n_post).

    On a CPU only rows of w are read whose unit is active, where few are. The numbers are the same: products are added
    in the order of the units, and those left out are 0. Lanes are one product.
    """
    if not on_cpu() or w.shape[1] == 1:  # XLA adds up a single column in another order
        return x @ w
    return _plain_in_lanes(_row_sent, jnp.matmul)(x, w)


def _row_sent(x: jax.Array, w: jax.Array) -> jax.Array:
    few = (x != 0).sum(dtype="int32") * FEW <= x.shape[1]
    return lax.cond(few, in_one_function(_active_rows), jnp.matmul, x, w)


def _active_rows(x: jax.Array, w: jax.Array) -> jax.Array:
    def unit(i: jax.Array, y: jax.Array) -> jax.Array:
        return y + at(x[0], i) * lax.dynamic_slice(w, (i, jnp.uint32(0)), (1, w.shape[1]))

    return over_set_bits_in_order(packed_in_order(x[0] != 0), unit, jnp.zeros((1, w.shape[1]), w.dtype))


def _plain_in_lanes(walk: Callable[..., jax.Array], plain: Callable[..., jax.Array]) -> Callable[..., jax.Array]:
    """The walk; for the lanes that `vmap` adds, what `plain` gives for all of them at once, which is the same."""

    @jax.custom_batching.custom_vmap
    def walked(*given: Any) -> jax.Array:
        return walk(*given)

    @walked.def_vmap
    def _(size: int, batched: list[Any], *given: Any) -> tuple[jax.Array, bool]:
        axes = jax.tree.map(lambda own: 0 if own else None, tuple(batched))
        return jax.vmap(plain, in_axes=axes, axis_size=size)(*given), True

    return walked


def _active(x: jax.Array) -> Arrays:
    """The words, and the values that are sent but where all are 1, since they are spikes with words of their own."""
    words = known_bits_of(x)
    return {"x": x, "words": packed(x != 0)} if words is None else {"words": words}


def _in_front(**tables: jax.Array | None) -> Arrays:
    return {name: table.reshape(1, -1) for name, table in tables.items() if table is not None}


def _all_at_once(x: jax.Array, w: jax.Array, targets: jax.Array, lengths: jax.Array | None) -> jax.Array:
    values = jnp.broadcast_to(x[:, :, None] * w, (x.shape[0], *targets.shape))
    return values if lengths is None else jnp.where(jnp.arange(targets.shape[1]) < lengths[:, None], values, 0.0)


@cache
def _in_lanes(n_pre: int, n_post: int, length: int) -> Callable[[Arrays, Arrays], jax.Array]:
    """The walk as a function of what has rows, words (R, W), x (R, n_pre) but for spikes, and what is added to, `onto`
    (R, …), if there is anything, which stands before x in the order of names; and of tables (L, …)."""
    return in_lanes(lambda rows, tables: _walk(rows, tables, n_pre, n_post, length))


def over_synapses(first: Any, length: int, held: Any, visit: Callable[[Any, Any], Any], value: Any) -> Any:
    """`value` after visit(place, value) for the `held` places from `first` on, None for all of `length`."""

    def turn(j: jax.Array, value: Any) -> Any:
        for k in range(UNROLL):
            value = visit(first + j.astype(jnp.uint32) * jnp.uint32(UNROLL) + jnp.uint32(k), value)
        return value

    if held is None:
        value = lax.fori_loop(jnp.uint32(0), jnp.uint32(length // UNROLL), turn, value)
        for k in range(length - length % UNROLL, length):
            value = visit(first + jnp.uint32(k), value)
        return value
    held = held.astype(jnp.uint32)
    whole = held // jnp.uint32(UNROLL)
    value = lax.fori_loop(jnp.uint32(0), whole, turn, value)
    return lax.fori_loop(whole * jnp.uint32(UNROLL), held, lambda k, value: visit(first + k, value), value)


def _walk(given: Arrays, tables: Arrays, n: int, n_post: int, length: int) -> jax.Array:
    """`onto` (R, …) with what n units send added at the targets: in a ring, in the slot of each delay.

    Without x, all that is active is 1.
    """
    words, w = given["words"], tables["w"]
    rows, one = words.shape[0], w.shape[1] != tables["targets"].shape[1]
    y = given.get("onto", jnp.zeros((rows, n_post), w.dtype))
    width = y.shape[1]
    slots = jnp.uint32(width // n_post)

    def of_lane(name: str, r: jax.Array, place: Any = None) -> jax.Array:
        """What a table says for row r: at a place of its lane, or its one number."""
        table = tables[name]
        lane = lane_of_row(r, rows, table)
        return at(table.reshape(-1), lane if place is None else lane * jnp.uint32(table.shape[1]) + place)

    def product(r: jax.Array, value: jax.Array | None, weight: jax.Array) -> jax.Array:
        gain = weight if value is None else value * weight
        return rounded(gain * of_lane("factor", r), of_lane("zero", r)) if "factor" in tables else gain

    def slot(r: jax.Array, place: jax.Array) -> jax.Array:
        behind = of_lane("place", r).astype(jnp.uint32) + of_lane("steps", r, place).astype(jnp.uint32)
        return jnp.where(behind >= slots, behind - slots, behind) * jnp.uint32(n_post)

    def row(r: jax.Array, words: jax.Array, y: jax.Array) -> jax.Array:
        def unit(i: jax.Array, y: jax.Array) -> jax.Array:
            value = at(given["x"].reshape(-1), r * jnp.uint32(n) + i) if "x" in given else None
            same = product(r, value, of_lane("w", r)) if one else None

            def synapse(place: jax.Array, y: jax.Array) -> jax.Array:
                to = r * jnp.uint32(width) + of_lane("targets", r, place).astype(jnp.uint32)
                if "steps" in tables:
                    to = to + slot(r, place)
                gain = product(r, value, of_lane("w", r, place)) if same is None else same
                return put(y, to, at(y, to) + gain)

            held = of_lane("lengths", r, i) if "lengths" in tables else None
            return over_synapses(i * jnp.uint32(length), length, held, synapse, y)

        return over_set_bits(words, unit, y)

    return over_rows(words, row, y.reshape(-1)).reshape(y.shape)


# ------------------------------------------------------------------------------------------------------------ learning


class Table(NamedTuple):
    """Whose a weight is: targets (n_pre, K), None where K is every unit behind in its order; how many of a row there
    are, None for all; the places of the weights that end in one unit (n_post, K'), None where they are a column; how
    many of those there are."""

    targets: Any = None
    lengths: Any = None
    incoming: Any = None
    incoming_lengths: Any = None


def updated(
    change: Change,
    w: jax.Array,
    before: tuple[jax.Array, ...],
    behind: tuple[jax.Array, ...],
    numbers: tuple[Any, ...],
    every: Any,
    table: Table,
) -> jax.Array:
    """The weights (n_pre, K) after `change`, which is worked out for the rows and columns of active units only.

    `before` and `behind` are values of the units of each side, (n_pre,) and (n_post,): the first of them is 0 where a
    unit is not active. Where both are 0, `change` has to leave a weight as it is; `every` says that it may not do so
    now, and that all weights are to be looked at. Lanes are worked out for all weights at once.
    """
    # numbers that are known now are part of the program: what they rule out is left out
    known = {i: value for i, value in enumerate(numbers) if is_known(value)}

    def changed(w: Any, before: Any, behind: Any, others: Any) -> Any:
        rest = iter(others)
        return change(w, before, behind, [known[i] if i in known else next(rest) for i in range(len(numbers))])

    everywhere = _everywhere(changed)
    given = (w, before, behind, [value for i, value in enumerate(numbers) if i not in known], jnp.asarray(every), table)
    if not on_cpu():
        return everywhere(*given)

    walk = in_one_function(lambda *given: _rows_and_columns(changed, *given))
    return _plain_in_lanes(walk, everywhere)(*given)


def _everywhere(change: Change) -> Callable[..., jax.Array]:
    def everywhere(w: jax.Array, before: Any, behind: Any, numbers: Any, every: Any, table: Table) -> jax.Array:
        del every
        seen = behind if table.targets is None else tuple(values[table.targets] for values in behind)
        new = change(w, tuple(values[:, None] for values in before), seen, numbers)
        if table.lengths is None:
            return new
        return jnp.where(jnp.arange(w.shape[1]) < table.lengths[:, None], new, w)

    return everywhere


def _rows_and_columns(
    change: Change, w: jax.Array, before: Any, behind: Any, numbers: Any, every: Any, table: Table
) -> jax.Array:
    n, length = w.shape
    row_is_active = (before[0] != 0) | every

    def row(i: jax.Array, w: jax.Array) -> jax.Array:
        old = lax.dynamic_slice(w, (i, jnp.uint32(0)), (1, length))[0]
        seen = behind
        if table.targets is not None:
            targets = lax.dynamic_slice(table.targets, (i, jnp.uint32(0)), (1, length))[0]
            seen = tuple(values.at[targets].get(mode="promise_in_bounds") for values in behind)
        new = change(old, tuple(at(values, i) for values in before), seen, numbers)
        if table.lengths is not None:
            new = jnp.where(jnp.arange(length, dtype=table.lengths.dtype) < at(table.lengths, i), new, old)
        return lax.dynamic_update_slice(w, new[None], (i, jnp.uint32(0)))

    def column(j: jax.Array, w: jax.Array) -> jax.Array:
        seen = tuple(at(values, j) for values in behind)
        if table.incoming is None:
            old = lax.dynamic_slice(w, (jnp.uint32(0), j), (n, 1))[:, 0]
            new = jnp.where(row_is_active, old, change(old, before, seen, numbers))
            return lax.dynamic_update_slice(w, new[:, None], (jnp.uint32(0), j))
        flat_incoming, width = table.incoming.reshape(-1), table.incoming.shape[1]

        def synapse(k: jax.Array, flat: jax.Array) -> jax.Array:
            place = at(flat_incoming, k).astype(jnp.uint32)
            i, old = place // jnp.uint32(length), at(flat, place)
            new = change(old, tuple(at(values, i) for values in before), seen, numbers)
            return put(flat, place, jnp.where(at(row_is_active, i), old, new))

        held = at(table.incoming_lengths, j)
        return over_synapses(j * jnp.uint32(width), width, held, synapse, w.reshape(-1)).reshape(w.shape)

    # a weight of two active units changes once, with its row
    w = over_set_bits(packed(row_is_active[None])[0], row, w)
    return over_set_bits(packed((behind[0] != 0)[None])[0], column, w)
