"""Spikes as bits, 32 to a word: what is walked by event-driven synapses, and what leaves the device of records.

Bit b of word q of a row of W words says of unit b W + q whether it is active, so that words next to each other are made
of units next to each other, and a processor makes several words at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from synsim.later import jax, jnp, np

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


_known: list[tuple[Any, Any]] = []  # spikes and their words, of what is traced now


@contextmanager
def already_packed(known: Iterable[tuple[Any, Any]]) -> Iterator[None]:
    """`bits_of` these arrays, while a program is traced, are the words that stand beside them."""
    before = len(_known)
    _known.extend(known)
    try:
        yield
    finally:
        del _known[before:]


def bits_of(spikes: jax.Array) -> jax.Array:
    """The words of what is not 0 in spikes (R, n): those that it has been packed into, where that is known."""
    known = known_bits_of(spikes)
    return packed(spikes != 0) if known is None else known


def known_bits_of(spikes: jax.Array) -> jax.Array | None:
    """The words that spikes have been packed into already, or None; what has them is 0 or 1."""
    return next((words for array, words in _known if array is spikes), None)


def packed_in_order(active: jax.Array) -> jax.Array:
    """The bits of active (n,): words (W,), of which word q holds those of 32 q and the 31 next."""
    active = jnp.pad(active, (0, words_of(active.size) * WORD - active.size)).reshape(-1, WORD)
    bits = jnp.uint32(1) << jnp.arange(WORD, dtype=jnp.uint32)
    return jnp.where(active, bits, jnp.uint32(0)).sum(1, dtype=jnp.uint32)


class Places(NamedTuple):
    """Where bits are set, ordered by row and then unit."""

    row: np.ndarray
    unit: np.ndarray


def set_bits(words: np.ndarray) -> Places:
    """The bits that are set in words (R, W), at a cost that grows with them and with the words."""
    width = words.shape[1]
    place = np.flatnonzero(words)
    held = np.ascontiguousarray(words.reshape(-1)[place], "<u4").view(np.uint8).reshape(-1, WORD // 8)
    which, bit = np.nonzero(np.unpackbits(held, axis=1, bitorder="little"))
    row, word = np.divmod(place[which], width)
    unit = bit * width + word
    order = np.argsort(row * (WORD * width) + unit)
    return Places(row[order], unit[order])


def unpacked(words: np.ndarray, n: int) -> np.ndarray:
    """The bits of words (R, W) of n units as numbers 0 and 1, (R, n)."""
    rows, width = words.shape
    held = np.ascontiguousarray(words, "<u4").view(np.uint8).reshape(rows, width, WORD // 8)
    bits = np.unpackbits(held, axis=2, bitorder="little")
    return bits.swapaxes(1, 2).reshape(rows, WORD * width)[:, :n]
