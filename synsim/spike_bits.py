"""Spikes as bits, 32 to a word: what is walked by event-driven synapses, and what leaves the device of records.

Bit b of word q of a row of W words says of unit b W + q whether it is active, so that words next to each other are made
of units next to each other, and a processor makes several words at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any, NamedTuple

from synsim.later import jax, jnp, lax, np
from synsim.one_function import in_one_function

WORD = 32  # units that are packed together


def words_of(n: int) -> int:
    """Words that the bits of so many units take."""
    return -(-n // WORD)


def packed(active: jax.Array) -> jax.Array:
    """The bits of active (R, n): words (R, W)."""
    rows, n = active.shape
    active = jnp.pad(active, ((0, 0), (0, words_of(n) * WORD - n))).reshape(rows, WORD, words_of(n))
    bits = jnp.uint32(1) << jnp.arange(WORD, dtype=jnp.uint32)[:, None]
    return jnp.where(active, bits, jnp.uint32(0)).sum(1, dtype=jnp.uint32)


_known: list[list[tuple[Any, Any]]] = []  # spikes and their words, of what is traced now


@contextmanager
def already_packed(known: Iterable[tuple[Any, Any]]) -> Iterator[None]:
    """`bits_of` these arrays, while a program is traced, are the words that stand beside them."""
    _known.append(list(known))
    try:
        yield
    finally:
        _known.pop()


def remember_packed(spikes: jax.Array, words: jax.Array) -> None:
    """Spikes that are made meanwhile have been packed, too."""
    if _known:
        _known[-1].append((spikes, words))


def bits_of(spikes: jax.Array) -> jax.Array:
    """The words of what is not 0 in spikes (R, n): those that it has been packed into, where that is known."""
    known = known_bits_of(spikes)
    return packed(spikes != 0) if known is None else known


def known_bits_of(spikes: jax.Array) -> jax.Array | None:
    """The words that spikes have been packed into already, or None; what has them is 0 or 1."""
    return next((words for known in _known for array, words in known if array is spikes), None)


def packed_in_order(active: jax.Array) -> jax.Array:
    """The bits of active (n,): words (W,), of which word q holds those of 32 q and the 31 next."""
    active = jnp.pad(active, (0, words_of(active.size) * WORD - active.size)).reshape(-1, WORD)
    bits = jnp.uint32(1) << jnp.arange(WORD, dtype=jnp.uint32)
    return jnp.where(active, bits, jnp.uint32(0)).sum(1, dtype=jnp.uint32)


def over_set_bits(words: jax.Array, visit: Callable[[jax.Array, Any], Any], value: Any) -> Any:
    """`value` after visit(place, value) for every set bit of a flat array of words; place is bit * words + word.

    Words that are 0 are passed over a group at a time: there are many more of them than there are spikes in a step.
    """
    many = jnp.uint32(words.shape[0])

    def bits_of_word(q: jax.Array, value: Any) -> Any:
        return _over_bits(at(words, q), lambda b, value: visit(b * many + q, value), value)

    if words.shape[0] < WORD // 2:
        return lax.fori_loop(jnp.uint32(0), many, bits_of_word, value)
    groups = packed_in_order(words != 0)

    return over_set_bits_in_order(groups, bits_of_word, value)


def over_set_bits_in_order(words: jax.Array, visit: Callable[[jax.Array, Any], Any], value: Any) -> Any:
    """`value` after visit(place, value) for every set bit of `packed_in_order` words, in the order of the places."""

    def bits_of_word(q: jax.Array, value: Any) -> Any:
        return _over_bits(at(words, q), lambda b, value: visit(q * jnp.uint32(WORD) + b, value), value)

    return lax.fori_loop(jnp.uint32(0), jnp.uint32(words.shape[0]), bits_of_word, value)


def _over_bits(word: jax.Array, visit: Callable[[jax.Array, Any], Any], value: Any) -> Any:
    """`value` after visit(bit, value) for every set bit of a word."""

    def bit(left: tuple[jax.Array, Any]) -> tuple[jax.Array, Any]:
        x, value = left
        lowest = jnp.uint32(WORD - 1) - lax.clz(x & (~x + jnp.uint32(1)))
        return x & (x - jnp.uint32(1)), visit(lowest, value)

    return lax.while_loop(lambda left: left[0] != 0, bit, (word, value))[1]


def at(flat: jax.Array, place: Any) -> jax.Array:
    """One element of a flat array. Unsigned places spare a comparison."""
    return lax.dynamic_slice(flat, (place,), (1,))[0]


def put(flat: jax.Array, place: Any, value: jax.Array) -> jax.Array:
    """The flat array with another value at a place."""
    return lax.dynamic_update_slice(flat, value[None], (place,))


def set_at(words: jax.Array, arrays: Sequence[jax.Array], values: Sequence[Any]) -> list[jax.Array]:
    """Arrays (R, *units), each with its value where the bits of words (R, W) are set: a number or (*units) of them."""
    flat = [array.reshape(array.shape[0], -1) for array in arrays]
    tables = [jnp.asarray(value, array.dtype).reshape(1, -1) for array, value in zip(arrays, values, strict=True)]
    changed = _setting()((flat, words), tables)
    return [array.reshape(before.shape) for array, before in zip(changed, arrays, strict=True)]


def _set(rows: tuple[list[jax.Array], jax.Array], tables: list[jax.Array]) -> list[jax.Array]:
    arrays, words = rows
    many, n = arrays[0].shape

    def row(r: jax.Array, words: jax.Array, flat: list[jax.Array]) -> list[jax.Array]:
        def unit(i: jax.Array, flat: list[jax.Array]) -> list[jax.Array]:
            lanes = [lane_of_row(r, many, table) * jnp.uint32(table.shape[1]) for table in tables]
            places = [lane + (i if table.shape[1] > 1 else 0) for lane, table in zip(lanes, tables, strict=True)]
            new = [at(table.reshape(-1), place) for table, place in zip(tables, places, strict=True)]
            return [put(array, r * jnp.uint32(n) + i, value) for array, value in zip(flat, new, strict=True)]

        return over_set_bits(words, unit, flat)

    flat = over_rows(words, row, [array.reshape(-1) for array in arrays])
    return [array.reshape(many, n) for array in flat]


def in_lanes(walk: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """A walk(rows, tables), compiled into one function: cut into pieces it would cost a microsecond a bit.

    `rows` are arrays (R, …), tables (L, …), where each of the L lanes has R / L rows, and results (R, …). Lanes that
    `vmap` adds are folded into R and L. Results take the place of the first arrays that are like them.
    """

    @jax.custom_batching.custom_vmap
    def walked(rows: Any, tables: Any) -> Any:
        return in_one_function(walk)(rows, tables)

    @walked.def_vmap
    def _(size: int, batched: Any, rows: Any, tables: Any) -> tuple[Any, Any]:
        def folded(own: bool, array: jax.Array) -> jax.Array:
            return (array if own else jnp.broadcast_to(array, (size, *array.shape))).reshape(-1, array.shape[-1])

        def table(own: bool, array: jax.Array) -> jax.Array:
            # a table of several lanes is not shared by more
            return folded(own, array) if own or array.shape[0] > 1 else array

        results = walked(jax.tree.map(folded, batched[0], rows), jax.tree.map(table, batched[1], tables))
        unfolded = jax.tree.map(lambda array: array.reshape(size, -1, array.shape[-1]), results)
        return unfolded, jax.tree.map(lambda _: True, results)

    return walked


@cache
def _setting() -> Callable[[Any, Any], list[jax.Array]]:
    return in_lanes(_set)


def lane_of_row(r: jax.Array, rows: int, table: jax.Array) -> jax.Array:
    """Which of its lanes a table has for row r of as many."""
    return r // jnp.uint32(rows // table.shape[0]) if table.shape[0] > 1 else jnp.uint32(0)


def over_rows(words: jax.Array, visit: Callable[[jax.Array, jax.Array, Any], Any], value: Any) -> Any:
    """`value` after visit(r, words of it, value) for every row of words (R, W)."""
    if words.shape[0] == 1:
        return visit(jnp.uint32(0), words[0], value)

    def turn(r: jax.Array, value: Any) -> Any:
        return visit(r, lax.dynamic_index_in_dim(words, r, 0, False), value)

    return lax.fori_loop(jnp.uint32(0), jnp.uint32(words.shape[0]), turn, value)


class Places(NamedTuple):
    """Where bits are set, ordered by row and then unit."""

    row: np.ndarray
    unit: np.ndarray


def set_bits(words: np.ndarray) -> Places:
    """The bits that are set in words (R, W), at a cost that grows with them and with the words."""
    width = words.shape[1]
    place = np.flatnonzero(words != 0)  # numpy finds what is true several times as fast as what is not 0
    held = words.reshape(-1)[place]
    row, word = np.divmod(place, width)
    first, found = row * (WORD * width) + word, []
    while held.size:  # few words hold more than one or two
        rest = held & (held - np.uint32(1))
        _, exponent = np.frexp((held ^ rest).astype(np.float32))
        found.append(first + (exponent - 1) * width)
        left = np.flatnonzero(rest != 0)
        held, first = rest[left], first[left]
    return Places(*np.divmod(np.sort(np.concatenate([first, *found])), WORD * width))


def unpacked(words: np.ndarray, n: int) -> np.ndarray:
    """The bits of words (R, W) of n units as numbers 0 and 1, (R, n)."""
    rows, width = words.shape
    held = np.ascontiguousarray(words, "<u4").view(np.uint8).reshape(rows, width, WORD // 8)
    bits = np.unpackbits(held, axis=2, bitorder="little")
    return bits.swapaxes(1, 2).reshape(rows, WORD * width)[:, :n]
