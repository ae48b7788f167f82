"""Every connectivity against the dense matrix of the same map, in float64.

The matrix is built here by plain loops from what the type says that it does; the three maps of the program must then
be x M, x y^T pulled back onto the weights, and y M^T.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from synsim import catalogue
from synsim.components.synapses.connectivity.connectivity import Connectivity

pytestmark = pytest.mark.usefixtures("small_programs")

BATCH = 3


def dense_matrix(wiring: Any, w: np.ndarray) -> np.ndarray:
    return w


def conv_matrix(wiring: Any, w: np.ndarray) -> np.ndarray:
    """Stride 1, zeros around the image; the kernel's centre is at half its size, rounded down after taking off one."""
    (rows, columns), (height, width, channels, filters) = wiring.x_shape, w.shape
    matrix = np.zeros((rows, columns, channels, rows, columns, filters))
    for i, j, p, q in itertools.product(range(rows), range(columns), range(height), range(width)):
        y, x = i + p - (height - 1) // 2, j + q - (width - 1) // 2
        if 0 <= y < rows and 0 <= x < columns:
            matrix[y, x, :, i, j, :] += w[p, q]
    return matrix.reshape(rows * columns * channels, -1)


# type: how its matrix is built, and the settings to try: not square, larger and smaller than what they slide over
MATRICES: dict[str, tuple[Callable[..., np.ndarray], list[dict[str, Any]]]] = {
    "dense": (dense_matrix, [dict(shape=(4, 7)), dict(shape=(7, 4)), dict(shape=(1, 5)), dict(shape=(5, 1))]),
    "conv": (
        conv_matrix,
        [
            dict(shape=(1, 1, 2, 3), x_shape=(4, 5)),
            dict(shape=(3, 3, 1, 4), x_shape=(6, 4)),
            dict(shape=(2, 2, 3, 2), x_shape=(5, 3)),
            dict(shape=(4, 4, 2, 1), x_shape=(3, 7)),
            dict(shape=(5, 5, 2, 3), x_shape=(4, 3)),
            dict(shape=(3, 2, 2, 3), x_shape=(5, 4)),
            dict(shape=(2, 5, 1, 2), x_shape=(4, 6)),
            dict(shape=(4, 1, 2, 2), x_shape=(2, 5)),
        ],
    ),
}
CASES = [(name, settings) for name, (_, tried) in MATRICES.items() for settings in tried]


@pytest.fixture(autouse=True)
def _in_float64():
    with jax.enable_x64(True):
        yield


def test_every_connectivity_has_its_matrix_here():
    assert set(MATRICES) == set(catalogue.parts("connectivity"))


@pytest.mark.parametrize(("name", "settings"), CASES)
def test_the_three_maps_are_those_of_the_dense_matrix(name, settings):
    wiring = catalogue.parts("connectivity")[name](**settings)
    matrix_of = MATRICES[name][0]
    random = np.random.default_rng(len(str(settings)))
    w = random.normal(size=wiring.weight_shape)
    x = random.normal(size=(BATCH, *wiring.pre_shape))
    y = random.normal(size=(BATCH, *wiring.post_shape))
    matrix = matrix_of(wiring, w)

    sent = np.asarray(wiring.transmit(jnp.asarray(w), jnp.asarray(x)))
    assert sent.dtype == np.float64 and sent.shape == y.shape
    np.testing.assert_allclose(sent.reshape(BATCH, -1), x.reshape(BATCH, -1) @ matrix, rtol=1e-12, atol=1e-12)

    back = np.asarray(wiring.backtransmit(jnp.asarray(w), jnp.asarray(y)))
    assert back.dtype == np.float64 and back.shape == x.shape
    np.testing.assert_allclose(back.reshape(BATCH, -1), y.reshape(BATCH, -1) @ matrix.T, rtol=1e-12, atol=1e-12)

    product = np.asarray(wiring.correlate(jnp.asarray(x), jnp.asarray(y)))
    assert product.dtype == np.float64 and product.shape == w.shape
    outer = x.reshape(BATCH, -1).T @ y.reshape(BATCH, -1)  # what each entry of the matrix would learn
    expected = np.zeros(w.shape)
    for place in np.ndindex(w.shape):  # the map is linear in w: each weight learns at every place where it stands
        only = np.zeros(w.shape)
        only[place] = 1.0
        expected[place] = (matrix_of(wiring, only) * outer).sum()
    np.testing.assert_allclose(product, expected, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize(("name", "settings"), CASES)
def test_biases_are_summed_over_the_batch_and_over_space(name, settings):
    wiring = catalogue.parts("connectivity")[name](**settings)
    y = np.random.default_rng(0).normal(size=(BATCH, *wiring.post_shape))
    found = np.asarray(wiring.sum_post(jnp.asarray(y)))
    assert found.shape == wiring.bias_shape == wiring.weight_shape[-1:]
    np.testing.assert_allclose(found, y.reshape(-1, y.shape[-1]).sum(0), rtol=1e-12)


@pytest.mark.parametrize(("name", "settings"), CASES)
def test_axes_name_every_axis_of_weights_and_biases(name, settings):
    wiring = catalogue.parts("connectivity")[name](**settings)
    assert len(wiring.weight_axes) == len(wiring.weight_shape) == len(set(wiring.weight_axes))
    assert len(wiring.bias_axes) == len(wiring.bias_shape)


def test_a_kernel_by_hand():
    """One input pixel of a 1 x 2 x 3 image through a 2 x 3 kernel that counts its places."""
    conv = catalogue.parts("connectivity")["conv"](shape=(2, 3, 1, 1), x_shape=(2, 3))
    kernel = jnp.arange(1.0, 7.0).reshape(2, 3, 1, 1)
    image = jnp.zeros((1, 2, 3, 1)).at[0, 1, 1, 0].set(1.0)
    sent = np.asarray(conv.transmit(kernel, image))[0, :, :, 0]
    # no flip: the output above the pixel sees it through the kernel's lower row
    np.testing.assert_array_equal(sent, [[6.0, 5.0, 4.0], [3.0, 2.0, 1.0]])


def test_shapes_from_what_is_wired():
    dense, conv = (catalogue.parts("connectivity")[name] for name in ("dense", "conv"))
    assert dense().fit((4,), (3,)).shape == (4, 3)
    assert dense(shape=(2, 2)).fit((4,), (3,)).shape == (2, 2)  # what is written wins; wires are checked against it
    assert dense().fit((4,), None) is None
    assert dense().fit((2, 2, 1), (3,)) is None  # an image is no list of units
    kernel = (3, 3, 1, 2)
    assert conv(shape=kernel).fit((6, 4, 1), None).x_shape == (6, 4)
    assert conv(shape=kernel).fit(None, (6, 4, 2)).x_shape == (6, 4)
    assert conv(shape=kernel).fit((6,), None) is None
    assert conv(shape=kernel, x_shape=(5, 5)).fit((6, 4, 1), None).x_shape == (5, 5)


def test_an_interface_says_what_is_missing():
    class Bare(Connectivity, type_name="bare"):
        """y = nothing. Source: none."""

    bare = Bare()
    for method in (
        lambda: bare.pre_shape,
        lambda: bare.post_shape,
        lambda: bare.weight_shape,
        lambda: bare.fit(None, None),
        lambda: bare.transmit(None, None),
    ):
        with pytest.raises(TypeError, match="Bare has no"):
            method()
