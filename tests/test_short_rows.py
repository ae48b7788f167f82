"""Short rows that are gathered in blocks stand in their records as if each were written there at once."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from synsim import short_rows
from synsim.one_function import fits, in_one_function
from synsim.short_rows import GATHERED, SHORT, are_short

ROOM = 3 * GATHERED + 5
SHAPES = {"a": (1, 25), "b": (3, 4)}


def written(first: jax.Array, length: jax.Array, records: short_rows.Arrays) -> short_rows.Arrays:
    """Records whose row i counts on from `first` + 1000 i."""

    def rows(i: jax.Array) -> short_rows.Arrays:
        return {
            path: jnp.arange(np.prod(shape), dtype="uint32").reshape(shape) + first + jnp.uint32(1000) * i
            for path, shape in SHAPES.items()
        }

    def step(i: jax.Array, state: tuple) -> tuple:
        return short_rows.add(state[0], rows(i.astype("uint32")), state[1], i)

    start = short_rows.blocks(records), short_rows.flat(records)
    found = short_rows.complete(*lax.fori_loop(0, length, step, start), length)
    return {path: found[path].reshape(record.shape) for path, record in records.items()}


def expected(first: int, length: int) -> dict[str, np.ndarray]:
    return {
        path: first + 1000 * np.arange(length).reshape(-1, 1, 1) + np.arange(np.prod(shape)).reshape(shape)
        for path, shape in SHAPES.items()
    }


def empty() -> short_rows.Arrays:
    return {path: jnp.full((ROOM, *shape), 7, "uint32") for path, shape in SHAPES.items()}


@pytest.mark.parametrize("length", [0, 1, GATHERED - 1, GATHERED, GATHERED + 1, 3 * GATHERED, ROOM])
@pytest.mark.parametrize("whole", [False, True])
def test_they_are_in_the_record_and_nothing_else_is(length, whole):
    made = jax.jit(in_one_function(written, fits) if whole else written)
    found = made(jnp.uint32(5), jnp.int32(length), empty())
    for path, values in expected(5, length).items():
        np.testing.assert_array_equal(found[path][:length], values)
        assert (np.asarray(found[path][length:]) == 7).all()


def test_lanes_have_their_own():
    length = 2 * GATHERED + 9
    firsts = jnp.array([5, 70, 900], "uint32")
    each = jax.jit(jax.vmap(written, in_axes=(0, None, None)))(firsts, jnp.int32(length), empty())
    for lane, first in enumerate(firsts):
        for path, values in expected(int(first), length).items():
            np.testing.assert_array_equal(each[path][lane, :length], values)


@pytest.mark.parametrize(
    ("shape", "short"),
    [
        ((GATHERED, 1, 25), True),
        ((GATHERED - 1, 1, 25), False),
        ((2 * GATHERED, SHORT // 4 - 1), True),
        ((2 * GATHERED, SHORT // 4), False),
    ],
)
def test_which_rows_are_short(shape, short):
    assert are_short(jnp.zeros(shape, "uint32")) == short


def test_elsewhere_than_on_a_cpu_none_is(monkeypatch):
    monkeypatch.setattr(short_rows, "on_cpu", lambda: False)
    assert not are_short(jnp.zeros((GATHERED, 1, 25), "uint32"))
