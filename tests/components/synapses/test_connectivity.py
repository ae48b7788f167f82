"""Every connectivity against the dense matrix of the same map, in float64.

The matrix is built here by plain loops from what the type says that it does; the three maps of the program must then
be x M, x y^T pulled back onto the weights, and y M^T.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from synsim import api, catalogue
from synsim.components.synapses.connectivity.connectivity import Connectivity
from synsim.config import load
from synsim.faults import ConfigError, render
from synsim.structure import generator

pytestmark = pytest.mark.usefixtures("small_programs")

BATCH = 3


def dense_matrix(wiring: Any, w: np.ndarray) -> np.ndarray:
    return w


def per_axis(setting: Any) -> tuple[Any, Any]:
    """One setting for both axes, or one for each."""
    return setting if isinstance(setting, tuple) else (setting, setting)


def conv_axis(size: int, kernel: int, stride: int, padding: Any) -> tuple[int, list[tuple[int, int, int]]]:
    """Length of the output, and every (input, kernel, output) place that belong together along one axis."""
    if padding == "SAME":
        reached = math.ceil(size / stride)
        before = max((reached - 1) * stride + kernel - size, 0) // 2
    else:
        before, after = (0, 0) if padding == "VALID" else padding
        reached = sum(1 for start in range(0, size + before + after, stride) if start + kernel <= size + before + after)
    met = [(stride * i + p - before, p, i) for i in range(reached) for p in range(kernel)]
    return reached, [(x, p, i) for x, p, i in met if 0 <= x < size]


def deconv_axis(size: int, kernel: int, stride: int, padding: Any) -> tuple[int, list[tuple[int, int, int]]]:
    """The same for a transposed convolution: input p and kernel place a meet at i = s p - a + l."""
    before = kernel - 1
    if padding == "SAME":
        reached = stride * size
        if stride <= kernel - 1:
            before = math.ceil((kernel + stride - 2) / 2)
    elif padding == "VALID":
        reached = stride * size + max(kernel - stride, 0)
    else:
        before, after = padding
        # the dilated image and the zeros around it, in which the kernel takes every place that it fits into
        reached = before + (stride * (size - 1) + 1) + after - (kernel - 1)
    met = [(p, a, stride * p - a + before) for p in range(size) for a in range(kernel)]
    return reached, [(p, a, i) for p, a, i in met if 0 <= i < reached]


def sliding_matrix(axis_of: Callable[..., Any]) -> Callable[..., np.ndarray]:
    """The matrix of a map whose two axes are independent: the places that meet along y times those along x."""

    def matrix_of(wiring: Any, w: np.ndarray) -> np.ndarray:
        padding = per_axis(wiring.padding)
        sizes, strides = per_axis(wiring.x_shape), per_axis(wiring.stride)
        axes = [axis_of(sizes[k], w.shape[k], strides[k], padding[k]) for k in (0, 1)]
        matrix = np.zeros((*sizes, w.shape[2], axes[0][0], axes[1][0], w.shape[3]))
        for (y, p, i), (x, q, j) in itertools.product(axes[0][1], axes[1][1]):
            matrix[y, x, :, i, j, :] += w[p, q]
        return matrix.reshape(sizes[0] * sizes[1] * w.shape[2], -1)

    return matrix_of


EXPLICIT = ((2, 0), (1, 3))
SLIDING: list[dict[str, Any]] = [
    dict(shape=(1, 1, 2, 3), x_shape=(4, 5)),
    dict(shape=(3, 3, 1, 4), x_shape=(6, 4)),
    dict(shape=(2, 2, 3, 2), x_shape=(5, 3)),
    dict(shape=(4, 4, 2, 1), x_shape=(3, 7)),
    dict(shape=(5, 5, 2, 3), x_shape=(4, 3)),
    dict(shape=(3, 2, 2, 3), x_shape=(5, 4)),
    dict(shape=(2, 5, 1, 2), x_shape=(4, 6)),
    dict(shape=(4, 1, 2, 2), x_shape=(2, 5)),
    dict(shape=(3, 2, 2, 2), x_shape=5),
    dict(shape=(3, 2, 1, 2), x_shape=(5, 4), stride=2),
    dict(shape=(2, 3, 2, 1), x_shape=(4, 6), stride=(3, 2)),
    dict(shape=(3, 4, 2, 2), x_shape=(5, 4), padding="VALID"),
    dict(shape=(2, 3, 1, 2), x_shape=(6, 4), stride=(1, 2), padding="VALID"),
    dict(shape=(2, 1, 2, 2), x_shape=(4, 5), stride=(3, 4), padding="VALID"),
    dict(shape=(3, 2, 1, 2), x_shape=(4, 3), padding=EXPLICIT),
    dict(shape=(2, 4, 2, 1), x_shape=(4, 3), stride=(2, 3), padding=EXPLICIT),
    dict(shape=(4, 3, 1, 2), x_shape=(5, 6), stride=(1, 2), padding=((0, 0), (0, 1))),
]


def sparse_matrix(wiring: Any, w: np.ndarray) -> np.ndarray:
    """Synapse k of unit i ends in unit targets[i, k]; several of one pair add up."""
    matrix = np.zeros((*wiring.pre_shape, *wiring.post_shape))
    lengths = wiring.lengths if wiring.lengths is not None else [wiring.length] * wiring.pre_shape[0]
    for i, held in enumerate(lengths):
        for k in range(held):
            matrix[i, wiring.targets[i, k]] += w[i, k] if w.shape else w
    return matrix


SPARSE: list[dict[str, Any]] = [
    dict(shape=(9, 40), fan_out=1),
    dict(shape=(33, 12), fan_out=9),  # a row more than a word, and one synapse more than are added at once
    dict(shape=(7, 20), fan_out=17, multapses=True),
    dict(shape=(40, 9), fan_in=3),
    dict(shape=(5, 6), fan_in=4, multapses=True),
    dict(shape=(8, 8), fan_in=7, autapses=False),
    dict(shape=(20, 35), p_conn=0.2),
    dict(shape=(6, 6), p_conn=0.9, autapses=False),
    dict(shape=(20, 15), p_conn=0.2, as_mask=True),
    dict(shape=(12, 10), synapses=31),
    dict(shape=(4, 3), synapses=12),
    dict(shape=(4, 3), synapses=30, multapses=True),
    dict(shape=(12, 10), synapses=31, weights_per="projection"),
    dict(shape=(12, 10), fan_out=4, weights_per="projection"),
]

ONE_TO_ONE: list[dict[str, Any]] = [dict(shape=5), dict(shape=(5,)), dict(shape=(3, 4)), dict(shape=(3, 2, 2))]

# type: how its matrix is built, and the settings to try: not square, larger and smaller than what they slide over
MATRICES: dict[str, tuple[Callable[..., np.ndarray], list[dict[str, Any]]]] = {
    "dense": (dense_matrix, [dict(shape=(4, 7)), dict(shape=(7, 4)), dict(shape=(1, 5)), dict(shape=(5, 1))]),
    "conv": (sliding_matrix(conv_axis), SLIDING),
    "deconv": (sliding_matrix(deconv_axis), SLIDING),
    "sparse": (sparse_matrix, SPARSE),
    "one_to_one": (lambda wiring, w: np.diag(w.ravel()), ONE_TO_ONE),
}
CASES = [(name, settings) for name, (_, tried) in MATRICES.items() for settings in tried]


def made(name: str, settings: dict[str, Any]) -> Any:
    """A connectivity with its structure."""
    wiring = catalogue.parts("connectivity")[name](**settings)
    assert wiring.problems() == []
    return wiring.structured(wiring.draw(generator(3, name, "synapses")), incoming=True) if wiring.drawn else wiring


@pytest.fixture(autouse=True)
def _in_float64():
    with jax.enable_x64(True):
        yield


def test_every_connectivity_has_its_matrix_here():
    assert set(MATRICES) == set(catalogue.parts("connectivity"))


@pytest.mark.parametrize(("name", "settings"), CASES)
def test_the_three_maps_are_those_of_the_dense_matrix(name, settings):
    wiring = made(name, settings)
    matrix_of = MATRICES[name][0]
    random = np.random.default_rng(len(str(settings)))
    w = np.asarray(wiring.kept(jnp.asarray(random.normal(size=wiring.weight_shape))))
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
    rows, columns = x.reshape(BATCH, -1), y.reshape(BATCH, -1)
    of_entries = {  # what each entry of the matrix would learn, or see of one side
        "product": (product, rows.T @ columns),
        "pre": (wiring.pre_at_weights(jnp.asarray(x)), rows.sum(0)[:, None] + np.zeros_like(matrix)),
        "post": (wiring.post_at_weights(jnp.asarray(y)), columns.sum(0)[None, :] + np.zeros_like(matrix)),
    }
    expected = {what: np.zeros(w.shape) for what in of_entries}
    for place in np.ndindex(w.shape):  # the map is linear in w: each weight counts at every place where it stands
        only = np.zeros(w.shape)
        only[place] = 1.0
        stands = matrix_of(wiring, only)
        for what, (_, entries) in of_entries.items():
            expected[what][place] = (stands * entries).sum()
    for what, (found, _) in of_entries.items():
        found = np.asarray(found)
        assert found.dtype == np.float64 and np.broadcast_shapes(found.shape, w.shape) == w.shape, what
        np.testing.assert_allclose(
            np.broadcast_to(found, w.shape), expected[what], rtol=1e-11, atol=1e-11, err_msg=what
        )


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize(("n", "m"), [(1, 3), (40, 7), (784, 400), (97, 1)])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.2, 0.3, 1.0])
@pytest.mark.parametrize("spikes", [True, False])
def test_one_row_is_sent_by_its_active_units_with_the_numbers_of_the_product(spikes, share, n, m, precision):
    random = np.random.default_rng(n)
    w = jnp.asarray(random.normal(size=(n, m)), precision)
    x = (random.random((1, n)) < share) * (1.0 if spikes else random.normal(size=n))
    x = jnp.asarray(x, precision)
    dense = made("dense", {"shape": (n, m)})
    sent = jax.jit(dense.transmit)(w, x)
    assert sent.dtype == precision and sent.shape == (1, m)
    np.testing.assert_array_equal(np.asarray(sent), np.asarray(jax.jit(jnp.matmul)(x, w)))
    tolerance = 1e-4 if precision == "float32" else 1e-12
    np.testing.assert_allclose(sent, np.asarray(x, "float64") @ np.asarray(w, "float64"), rtol=0, atol=tolerance)
    assert not share or n == 1 or np.asarray(sent).any()


@pytest.mark.parametrize("own", [(True, True), (True, False), (False, True)])
def test_lanes_of_one_row_are_what_each_is_alone(own):
    random = np.random.default_rng(1)
    w, x = jnp.asarray(random.normal(size=(5, 60, 20))), jnp.asarray(random.random((5, 1, 60)) < 0.1, "float64")
    axes = [0 if each else None for each in own]
    dense = made("dense", {"shape": (60, 20)})
    given = [array if each else array[0] for array, each in zip((w, x), own, strict=True)]
    sent = jax.jit(jax.vmap(dense.transmit, in_axes=axes))(*given)
    for i in range(5):
        one = dense.transmit(w[i * own[0]], x[i * own[1]])
        np.testing.assert_allclose(sent[i], one, rtol=1e-12)
        assert np.asarray(one).any()


@pytest.mark.parametrize(("name", "settings"), CASES)
def test_biases_are_summed_over_the_batch_and_over_space(name, settings):
    wiring = made(name, settings)
    y = np.random.default_rng(0).normal(size=(BATCH, *wiring.post_shape))
    found = np.asarray(wiring.sum_post(jnp.asarray(y)))
    own = wiring.post_shape if name in ("sparse", "one_to_one") else wiring.weight_shape[-1:]
    assert found.shape == wiring.bias_shape == own
    np.testing.assert_allclose(found, y.reshape(-1, *own).sum(0), rtol=1e-12)


@pytest.mark.parametrize(("name", "settings"), CASES)
def test_axes_name_every_axis_of_weights_and_biases(name, settings):
    wiring = made(name, settings)
    assert len(wiring.weight_axes) == len(wiring.weight_shape) == len(set(wiring.weight_axes))
    assert len(wiring.bias_axes) == len(wiring.bias_shape)


@pytest.mark.parametrize(("name", "settings"), CASES)
def test_columns_are_those_of_the_matrix(name, settings):
    """What ends in a unit, and a value of a unit as its weights see it; filters have one column a channel."""
    wiring = made(name, settings)
    random = np.random.default_rng(5)
    w = np.asarray(wiring.kept(jnp.asarray(random.normal(size=wiring.weight_shape))))
    sums = np.asarray(wiring.sums_by_column(jnp.asarray(w)))
    assert sums.shape == wiring.bias_shape
    values = random.normal(size=wiring.bias_shape)
    seen = np.broadcast_to(np.asarray(wiring.at_columns(jnp.asarray(values))), w.shape) if w.shape else None
    if name in ("conv", "deconv"):
        np.testing.assert_allclose(sums, w.sum((0, 1, 2)), rtol=1e-12)
        np.testing.assert_array_equal(seen, np.broadcast_to(values, w.shape))
        return
    matrix_of = MATRICES[name][0]
    np.testing.assert_allclose(sums.ravel(), matrix_of(wiring, w).sum(0), rtol=1e-12)
    if seen is not None:
        np.testing.assert_allclose(matrix_of(wiring, w * seen), matrix_of(wiring, w) * values.ravel(), rtol=1e-12)


def test_a_kernel_by_hand():
    """One input pixel of a 1 x 2 x 3 image through a 2 x 3 kernel that counts its places."""
    conv = catalogue.parts("connectivity")["conv"](shape=(2, 3, 1, 1), x_shape=(2, 3))
    kernel = jnp.arange(1.0, 7.0).reshape(2, 3, 1, 1)
    image = jnp.zeros((1, 2, 3, 1)).at[0, 1, 1, 0].set(1.0)
    sent = np.asarray(conv.transmit(kernel, image))[0, :, :, 0]
    # no flip: the output above the pixel sees it through the kernel's lower row
    np.testing.assert_array_equal(sent, [[6.0, 5.0, 4.0], [3.0, 2.0, 1.0]])


def test_a_transposed_kernel_by_hand():
    """Two pixels a stride of 2 apart: each leaves the kernel, turned round, where it stands."""
    deconv = catalogue.parts("connectivity")["deconv"](shape=(2, 3, 1, 1), x_shape=(1, 2), stride=2, padding="VALID")
    kernel = jnp.arange(1.0, 7.0).reshape(2, 3, 1, 1)
    sent = np.asarray(deconv.transmit(kernel, jnp.array([1.0, 10.0]).reshape(1, 1, 2, 1)))[0, :, :, 0]
    np.testing.assert_array_equal(sent, [[6.0, 5.0, 64.0, 50.0, 40.0], [3.0, 2.0, 31.0, 20.0, 10.0]])


def test_shapes_from_what_is_wired():
    dense, conv, deconv = (catalogue.parts("connectivity")[name] for name in ("dense", "conv", "deconv"))
    assert dense().fit((4,), (3,)).shape == (4, 3)
    assert dense(shape=(2, 2)).fit((4,), (3,)).shape == (2, 2)  # what is written wins; wires are checked against it
    assert dense().fit((4,), None) is None
    assert dense().fit((2, 2, 1), (3,)) is None  # an image is no list of units
    kernel = (3, 2, 1, 2)
    for sliding in (conv, deconv):
        assert sliding(shape=kernel).fit((6, 4, 1), None).x_shape == (6, 4)
        assert sliding(shape=kernel).fit(None, (6, 4, 2)).x_shape == (6, 4)
        assert sliding(shape=kernel, stride=2).fit((6, 4, 1), (3, 2, 2)).x_shape == (6, 4)
        assert sliding(shape=kernel).fit((6,), None) is None
        assert sliding(shape=kernel).fit(None, None) is None
        assert sliding(shape=kernel, x_shape=(5, 5)).fit((6, 4, 1), None).x_shape == (5, 5)
        assert sliding(shape=kernel, x_shape=5).fit((6, 4, 1), None).pre_shape == (5, 5, 1)
    # from the other side: where a stride leaves several sizes there is none
    assert conv(shape=kernel, padding="VALID").fit(None, (4, 5, 2)).x_shape == (6, 6)
    assert conv(shape=kernel, stride=2).fit(None, (3, 2, 2)) is None
    assert deconv(shape=kernel, stride=(2, 3)).fit(None, (6, 12, 2)).x_shape == (3, 4)
    assert deconv(shape=kernel, stride=(2, 3)).fit(None, (6, 13, 2)) is None
    assert deconv(shape=kernel, stride=(2, 3), padding="VALID").fit(None, (7, 12, 2)).x_shape == (3, 4)


@pytest.mark.parametrize("name", ["conv", "deconv"])
@pytest.mark.parametrize("settings", SLIDING, ids=str)
def test_a_size_taken_from_the_other_side_is_the_right_one(name, settings):
    sliding = catalogue.parts("connectivity")[name]
    wiring = sliding(**settings)
    found = sliding(**{**settings, "x_shape": None}).fit(None, wiring.post_shape)
    if found is not None:
        assert found.image == wiring.image
    else:
        assert name == "conv" and max(wiring.strides) > 1


def test_a_kernel_that_does_not_fit():
    conv, deconv = (catalogue.parts("connectivity")[name] for name in ("conv", "deconv"))
    for sliding, settings, fits in (
        (conv, dict(shape=(4, 2, 1, 1), x_shape=(3, 5), padding="VALID"), False),
        (conv, dict(shape=(4, 2, 1, 1), x_shape=(3, 5), padding=((0, 1), (0, 0))), True),
        (conv, dict(shape=(9, 9, 1, 1), x_shape=(3, 5)), True),
        (deconv, dict(shape=(4, 2, 1, 1), x_shape=(2, 2), stride=2, padding=((0, 0), (0, 0))), False),
        (deconv, dict(shape=(4, 2, 1, 1), x_shape=(2, 2), stride=2, padding=((1, 0), (0, 0))), True),
        (deconv, dict(shape=(9, 9, 1, 1), x_shape=(3, 5), padding="VALID"), True),
    ):
        wiring = sliding(**settings)
        assert (wiring.problems() == []) == fits == (min(wiring.post_shape) > 0), settings
    (problem,) = conv(shape=(4, 2, 1, 1), x_shape=(3, 5), padding="VALID").problems()
    assert problem == ("shape", "a kernel of 4 x 2 does not fit into an image of 3 x 5 with padding VALID")


@pytest.mark.parametrize(
    ("settings", "wires", "said"),
    [
        (
            "type: ConvSynapse, shape: [5, 3, 2, 4], padding: VALID",
            {"A.inputs": "x.outputs"},
            "one.yaml:4:33: error: A: a kernel of 5 x 3 does not fit into an image of 3 x 4 with padding VALID",
        ),
        (
            "type: DeconvSynapse, shape: [5, 3, 2, 4], padding: [[0, 0], [1, 2]]",
            {"A.inputs": "x.outputs"},
            "one.yaml:4:35: error: A: a kernel of 5 x 3 does not fit into an image of 3 x 4 with padding "
            "[[0, 0], [1, 2]]",
        ),
        (
            "type: ConvSynapse, shape: [3, 3, 4, 2], stride: 2",
            {"x.inputs": "A.outputs"},
            "one.yaml:4:3: error: the shape of A cannot be taken from its wires: its presynaptic side is not wired to "
            "anything of known size; write its x_shape",
        ),
        ("type: DeconvSynapse, shape: [3, 3, 4, 2], stride: [3, 2]", {"x.inputs": "A.outputs"}, ""),
        ("type: StaticConvSynapse, shape: [3, 3, 2, 2], stride: [3, 2], x_shape: 9", {}, ""),
    ],
    ids=["conv", "deconv", "unknown", "taken from behind", "square"],
)
def test_geometry_in_a_config(settings, wires, said):
    text = f"run: {{steps: 1}}\ncomponents:\n  x: {{type: BernoulliCell, n_units: [3, 4, 2]}}\n  A: {{{settings}}}\n"
    spec = load("one.yaml", text=text + f"wires: {json.dumps(wires)}\n")
    if not said:
        api.check(spec)
        return
    with pytest.raises(ConfigError) as caught:
        api.check(spec)
    assert render([spec.locate(fault) for fault in caught.value.faults]) == [said]


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
