"""Spikes as bits: made on the device, read on the host; each unit's bit is where the layout says."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from synsim.spike_bits import over_set_bits, packed, packed_in_order, put, set_at, set_bits, unpacked, words_of

SIZES = pytest.mark.parametrize(("rows", "n"), [(1, 1), (1, 31), (1, 32), (2, 33), (3, 100), (40, 4000)])


def made(rows: int, n: int, share: float) -> tuple[np.ndarray, np.ndarray]:
    active = np.random.default_rng(n).random((rows, n)) < share
    return active, np.asarray(packed(jnp.asarray(active)))


@SIZES
@pytest.mark.parametrize("share", [0.02, 0.5, 1.0])
def test_bit_b_of_word_q_says_of_unit_b_times_the_words_plus_q(rows, n, share):
    active, words = made(rows, n, share)
    assert words.dtype == np.uint32 and words.shape == (rows, words_of(n))
    found = (words[:, None, :] >> np.arange(32)[:, None]) & 1  # (rows, bit, word)
    np.testing.assert_array_equal(found.reshape(rows, -1)[:, :n], active)
    assert found.reshape(rows, -1)[:, n:].sum() == 0


@SIZES
@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 1.0])
def test_the_host_finds_the_same_units_in_their_order(rows, n, share):
    active, words = made(rows, n, share)
    found = set_bits(words)
    np.testing.assert_array_equal(np.stack([found.row, found.unit]), np.stack(np.nonzero(active)))
    np.testing.assert_array_equal(unpacked(words, n), active)


@SIZES
def test_words_in_order_hold_units_side_by_side(rows, n):
    active = np.random.default_rng(n).random(n) < 0.3
    words = np.asarray(packed_in_order(jnp.asarray(active)))
    assert words.dtype == np.uint32 and words.shape == (words_of(n),)
    found = (words[:, None] >> np.arange(32)) & 1  # (word, bit)
    np.testing.assert_array_equal(found.ravel()[:n], active)
    assert found.ravel()[n:].sum() == 0


@pytest.mark.parametrize("n", [1, 33, 511, 512, 4000, 40_000])
@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 1.0])
def test_every_set_bit_is_visited_once_word_after_word(n, share):
    active, words = made(1, n, share)

    def visit(place, kept):
        many, seen = kept
        return many + 1, put(seen, many, place)

    many, seen = jax.jit(lambda w: over_set_bits(w, visit, (jnp.uint32(0), jnp.zeros(n + 1, jnp.uint32))))(words[0])
    width = words_of(n)
    expected = sorted(np.flatnonzero(active), key=lambda unit: (unit % width, unit // width))
    np.testing.assert_array_equal(np.asarray(seen)[: int(many)], expected)


@pytest.mark.parametrize("lanes", ["none", "all", "words"])
@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("share", [0.0, 0.05, 1.0])
def test_values_are_set_where_bits_are_and_nowhere_else(rows, share, lanes):
    rng = np.random.default_rng(rows)
    active = rng.random((4, rows, 60)) < share
    first, second = rng.normal(size=(2, 4, rows, 6, 10)).astype(np.float32)
    each = rng.normal(size=(4, 6, 10)).astype(np.float32)

    def changed(active, first, second, each):
        return set_at(packed(active), (first, second), (each, 7.0))

    if lanes == "none":
        given = active[0], first[0], second[0], each[0]
        found = jax.jit(changed)(*given)
    elif lanes == "all":
        given = active, first, second, each[:, None]
        found = jax.jit(jax.vmap(changed))(active, first, second, each)
    else:  # what lanes have in common is not to be changed for all of them
        given = active, first[0], second[0], each[0]
        found = jax.jit(jax.vmap(changed, in_axes=(0, None, None, None)))(*given)
    where = given[0].reshape(*given[0].shape[:-1], 6, 10)
    np.testing.assert_array_equal(found[0], np.where(where, given[3], given[1]))
    np.testing.assert_array_equal(found[1], np.where(where, np.float32(7), given[2]))
