"""Start values: distributions, bounds, masks, and the reference's faults with them."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from synsim import initialisers
from synsim.initialisers import (
    Array,
    Constant,
    Data,
    FanInGaussian,
    FanInUniform,
    File,
    Gaussian,
    Hollow,
    Identity,
    Spread,
    Uniform,
    fan_in,
)

KEY = jax.random.key(3)


def draw(initialiser, shape=(200, 50), dtype=jnp.float32):
    found = initialiser.draw(KEY, shape, dtype)
    assert found.shape == shape and found.dtype == dtype
    return np.asarray(found)


def test_constant_identity_and_hollow():
    np.testing.assert_array_equal(draw(Constant(value=-2.5), (2, 3)), np.full((2, 3), -2.5))
    np.testing.assert_array_equal(draw(Constant(value=1.5), ()), 1.5)
    np.testing.assert_array_equal(draw(Identity(value=3.0), (3, 4)), 3.0 * np.eye(3, 4))
    np.testing.assert_array_equal(draw(Hollow(value=-120.0), (3, 3)), -120.0 * (1 - np.eye(3)))


def test_uniform():
    found = draw(Uniform(low=-0.5, high=1.5))
    assert found.min() >= -0.5 and found.max() < 1.5
    assert found.mean() == pytest.approx(0.5, abs=4 * 2 / np.sqrt(12 * found.size))
    assert found.var() == pytest.approx(4 / 12, rel=0.03)


def test_spread():
    np.testing.assert_allclose(draw(Spread(first=1.0, last=3.0), (4,)), [1.25, 1.75, 2.25, 2.75])
    np.testing.assert_allclose(
        draw(Spread(first=-65.0, last=-50.0, power=2.0), (2,)), -65 + 15 * np.array([0.25, 0.75]) ** 2
    )
    rates = 0.02 + 0.08 * (np.arange(6).reshape(2, 3) + 0.5) / 6
    np.testing.assert_allclose(draw(Spread(first=50.0, last=10.0, spacing="reciprocal"), (2, 3)), 1 / rates, rtol=1e-6)


def test_gaussian():
    found = draw(Gaussian(mean=2.0, std=0.5))
    assert found.mean() == pytest.approx(2.0, abs=4 * 0.5 / np.sqrt(found.size))
    assert found.std() == pytest.approx(0.5, rel=0.03)
    assert (np.abs(found - 2.0) > 1.5).sum() > 5


@pytest.mark.parametrize(("shape", "inputs"), [((400, 4), 400), ((4, 400), 4), ((3, 3, 2, 50), 18)])
def test_fan_in_is_the_number_of_inputs(shape, inputs):
    """The reference takes the columns for one and the rows for the other (fault 30)."""
    assert fan_in(shape) == inputs
    uniform = draw(FanInUniform(), shape)
    assert np.abs(uniform).max() == pytest.approx(inputs**-0.5, rel=0.02)
    assert np.abs(uniform).max() <= inputs**-0.5
    assert draw(FanInGaussian(), shape).std() == pytest.approx(inputs**-0.5, rel=0.1)


def test_bounds_and_triangles():
    plain = draw(Gaussian(), (5, 5))
    np.testing.assert_array_equal(draw(Gaussian(amin=-0.2, amax=0.4), (5, 5)), np.clip(plain, -0.2, 0.4).astype("f4"))
    np.testing.assert_array_equal(draw(Gaussian(lower_triangle=True), (5, 5)), np.tril(plain))
    np.testing.assert_array_equal(draw(Gaussian(upper_triangle=True), (5, 5)), np.triu(plain))
    np.testing.assert_array_equal(draw(Gaussian(hollow=True), (5, 5)), plain * (1 - np.eye(5)))
    np.testing.assert_array_equal(draw(Gaussian(eye=True), (5, 5)), plain * np.eye(5))
    assert draw(Gaussian(amin=0.1, hollow=True), (5, 5)).diagonal().sum() == 0.0  # bounds come first


def test_rows_and_columns_to_keep():
    """In the reference a list fails and a number of rows masks columns (fault 30)."""
    plain = draw(Uniform(low=0.1), (6, 5))
    for name, axis, size in (("row_mask", 0, 6), ("col_mask", 1, 5)):
        listed = draw(Uniform(low=0.1, **{name: (0, 3)}), (6, 5))
        kept = np.flatnonzero(np.any(listed, axis=1 - axis))
        assert kept.tolist() == [0, 3]
        np.testing.assert_array_equal(listed, np.where(np.isin(np.indices((6, 5))[axis], kept), plain, 0.0))
        counted = draw(Uniform(low=0.1, **{name: 2}), (6, 5))
        kept = np.flatnonzero(np.any(counted, axis=1 - axis))
        assert len(kept) == 2
        np.testing.assert_array_equal(counted, np.where(np.isin(np.indices((6, 5))[axis], kept), plain, 0.0))
        assert len(np.flatnonzero(np.any(draw(Uniform(low=0.1, **{name: size}), (6, 5)), axis=1 - axis))) == size
    picked = {
        tuple(np.flatnonzero(Uniform(low=0.1, row_mask=1).draw(jax.random.key(k), (4, 1), jnp.float32)))
        for k in range(40)
    }
    assert len(picked) == 4


def test_values_and_masks_use_different_halves_of_the_key():
    values, _ = jax.random.split(KEY)
    np.testing.assert_array_equal(
        draw(Uniform(low=2.0, high=3.0), (4, 4)), jax.random.uniform(values, (4, 4), jnp.float32, 2.0, 3.0)
    )


def test_ready_values():
    ready = np.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(draw(Array(array=ready), (2, 3)), ready)
    np.testing.assert_array_equal(draw(Array(array=ready, amax=3.0), (2, 3)), np.minimum(ready, 3.0))
    assert Array(array=ready).misfits((3, 2)) == [("", "the values have the shape (2, 3), here (3, 2) is needed")]
    assert not Array.selectable and all(t.selectable for t in (Constant, File, Data, Uniform))


@pytest.mark.parametrize("source", [File(path="w.npy", hollow=True, amin=1.0), Data(entry="w", hollow=True, amin=1.0)])
def test_files_and_data_entries_become_ready_values(source):
    with pytest.raises(LookupError, match="not loaded yet"):
        draw(source, (2, 2))
    found = draw(source.loaded(np.array([[5.0, 0.0], [2.0, 5.0]])), (2, 2))
    np.testing.assert_array_equal(found, [[0.0, 1.0], [2.0, 0.0]])


@pytest.mark.parametrize(
    ("initialiser", "shape", "setting", "words"),
    [
        (Uniform(lower_triangle=True, upper_triangle=True), (3, 3), "upper_triangle", "together with lower_triangle"),
        (Uniform(row_mask=4), (3, 5), "row_mask", "cannot keep 4 of 3 rows"),
        (Uniform(col_mask=(0, 5)), (3, 5), "col_mask", "names columns outside 0 to 4"),
        (Uniform(hollow=True), (3, 3, 1, 1), "hollow", "is for matrices; here the shape is 3×3×1×1"),
        (Identity(), (4,), "", "identity fills matrices; here the shape is 4"),
        (Hollow(), (), "", "hollow fills matrices; here the shape is a single number"),
        (FanInUniform(), (4,), "", "fan_in_uniform fills weights of two or more axes"),
        (FanInGaussian(eye=True), (4,), "eye", "is for matrices"),
    ],
)
def test_settings_that_do_not_fit(initialiser, shape, setting, words):
    assert any(name == setting and words in sentence for name, sentence in initialiser.misfits(shape))
    with pytest.raises(ValueError, match="matrices|weights|triangle|keep|names"):
        draw(initialiser, shape)


def test_numbers_are_leaves():
    lanes = Uniform(low=jnp.zeros(3), high=jnp.asarray([1.0, 2.0, 4.0]))
    found = jax.vmap(lambda one: one.draw(KEY, (50,), jnp.float32))(lanes)
    np.testing.assert_allclose(found[1] / found[0], 2.0, rtol=1e-5)
    np.testing.assert_allclose(found[2] / found[0], 4.0, rtol=1e-5)


def test_double_precision():
    with jax.enable_x64(True):
        for one in (Uniform(low=-1.0), Gaussian(std=2.0), Identity(), Constant(value=0.1), FanInUniform()):
            assert draw(one, (4, 4), jnp.float64).dtype == np.float64


def test_every_initialiser_is_described():
    for name, one in vars(initialisers).items():
        if isinstance(one, type) and issubclass(one, initialisers.Initialiser) and not one.is_abstract:
            assert one.type_name == one.type_name.lower() and one.__doc__ and "Source" in one.__doc__, name
