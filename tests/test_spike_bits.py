"""Spikes as bits: made on the device, read on the host; each unit's bit is where the layout says."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from synsim.spike_bits import packed, set_bits, unpacked, words_of

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
