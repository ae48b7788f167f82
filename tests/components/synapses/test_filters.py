"""Filters that learn, where the reference cannot run: against loops over every place, in float64.

Kernels and images that are not square, strides that differ along the two axes, padding in numbers, biases, decay.
The loops know nothing of the program's convolutions: they add one product after the other, as the equations say.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from stepping import run, synapse

from synsim.initialisers import Constant

pytestmark = pytest.mark.usefixtures("small_programs")

STEPS = 50
GEOMETRIES: dict[str, dict[str, Any]] = {
    "conv": dict(shape=(3, 2, 2, 3), x_shape=(5, 4), stride=(2, 1), padding=((1, 0), (0, 2))),
    "deconv": dict(shape=(3, 2, 2, 3), x_shape=(3, 4), stride=(2, 1), padding=((1, 0), (0, 2))),
    "deconv far apart": dict(shape=(2, 3, 2, 3), x_shape=(3, 2), stride=(3, 2), padding=((0, 2), (2, 3))),
}
# shape of the result: (H + zeros - k) // s + 1, and s (H - 1) + 2 + zeros - k
REACHED = {"conv": (2, 5), "deconv": (4, 5), "deconv far apart": (8, 6)}
PRECISIONS = [("float64", 1e-11), ("float32", 1e-5)]


def places(name: str) -> Iterator[tuple[tuple[int, int], tuple[int, int], tuple[int, int]]]:
    """Every (presynaptic place, place in the kernel, postsynaptic place) that belong together."""
    geometry = GEOMETRIES[name]
    pre, kernel, (sy, sx) = geometry["x_shape"], geometry["shape"][:2], geometry["stride"]
    (top, _), (left, _) = geometry["padding"]
    post = REACHED[name]
    if name == "conv":
        for i, j, a, b in itertools.product(*map(range, (*post, *kernel))):
            p, q = sy * i + a - top, sx * j + b - left
            if 0 <= p < pre[0] and 0 <= q < pre[1]:
                yield (p, q), (a, b), (i, j)
    else:
        for p, q, a, b in itertools.product(*map(range, (*pre, *kernel))):
            i, j = sy * p - a + top, sx * q - b + left
            if 0 <= i < post[0] and 0 <= j < post[1]:
                yield (p, q), (a, b), (i, j)


class Loops:
    """The three maps, product by product."""

    def __init__(self, name: str):
        self.met = list(places(name))
        self.pre = (*GEOMETRIES[name]["x_shape"], 2)
        self.post = (*REACHED[name], 3)
        self.kernel = GEOMETRIES[name]["shape"]

    def send(self, w: np.ndarray, x: np.ndarray) -> np.ndarray:
        y = np.zeros((len(x), *self.post))
        for pre, kernel, post in self.met:
            y[:, *post] += x[:, *pre] @ w[kernel]
        return y

    def send_back(self, w: np.ndarray, y: np.ndarray) -> np.ndarray:
        x = np.zeros((len(y), *self.pre))
        for pre, kernel, post in self.met:
            x[:, *pre] += y[:, *post] @ w[kernel].T
        return x

    def product(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        w = np.zeros(self.kernel)
        for pre, kernel, post in self.met:
            w[kernel] += x[:, *pre].T @ y[:, *post]
        return w


@pytest.fixture
def in_precision(request: pytest.FixtureRequest) -> Iterator[tuple[Any, float]]:
    dtype, rtol = request.param
    with jax.enable_x64(dtype == "float64"):
        yield jnp.dtype(dtype), rtol


def agree(found: np.ndarray, expected: np.ndarray, rtol: float, what: str) -> None:
    assert np.ptp(expected, axis=0).max() > 0.01 * np.abs(expected).max(), f"{what} hardly changes"
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=rtol * np.abs(expected).max(), err_msg=what)


def signals(loops: Loops, batch: int, sides: dict[str, str], seed: int = 5) -> dict[str, np.ndarray]:
    """What comes in at every step, as float32 holds it, so that both precisions start from the same numbers."""
    random = np.random.default_rng(seed)
    shapes = {"pre": loops.pre, "post": loops.post}
    made = {}
    for name, side in sides.items():
        values = random.uniform(size=(STEPS, batch, *shapes[side]))
        made[name] = ((values < 0.3) if "Spike" in name else values).astype("float32").astype("float64")
    return made


@pytest.mark.parametrize("in_precision", PRECISIONS, indirect=True, ids=["float64", "float32"])
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("name", GEOMETRIES)
def test_trace_stdp(name, batch, in_precision):
    """dW = P(preTrace - x*, A_plus postSpike) - P(preSpike, A_minus postTrace), W' = W + eta dW - decay W, clipped."""
    dtype, rtol = in_precision
    loops = Loops(name)
    sides = {"inputs": "pre", "preSpike": "pre", "preTrace": "pre", "postSpike": "post", "postTrace": "post"}
    given = signals(loops, batch, sides)
    w = np.random.default_rng(6).uniform(0.1, 0.3, loops.kernel).astype("float32").astype("float64")
    settings = dict(A_plus=0.03, A_minus=0.02, eta=0.3, pretrace_target=0.2, w_decay=0.01, w_bound=0.35)
    one = synapse(f"TraceSTDP{name.split()[0].capitalize()}Synapse", **GEOMETRIES[name], **settings)
    found = run(
        one,
        {**given, "back": given["postSpike"]},
        STEPS,
        batch=batch,
        methods=("advance", "evolve", "backtransmit"),
        start={"weights": w},
        dtype=dtype,
    )
    expected: dict[str, list[np.ndarray]] = {"outputs": [], "dWeights": [], "weights": [], "dInputs": []}
    for k in range(STEPS):
        x = {inlet: values[k] for inlet, values in given.items()}
        expected["outputs"].append(loops.send(w, x["inputs"]))
        potentiation = loops.product(x["preTrace"] - 0.2, 0.03 * x["postSpike"])
        change = potentiation - loops.product(x["preSpike"], 0.02 * x["postTrace"])
        w = np.clip(w + 0.3 * change - 0.01 * w, 0.01, 0.34)
        expected["dWeights"].append(change)
        expected["weights"].append(w)
        expected["dInputs"].append(loops.send_back(w, x["postSpike"]))
    reached = np.isin(expected["weights"], [0.01, 0.34])
    assert 0 < reached.mean() < 0.9, "no bound was reached, or hardly anything else"
    for what, values in expected.items():
        agree(found[what], np.stack(values), rtol, what)


@pytest.mark.parametrize("in_precision", PRECISIONS, indirect=True, ids=["float64", "float32"])
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("name", GEOMETRIES)
def test_hebbian_with_adam_biases_and_decay(name, batch, in_precision):
    """g = sign P(pre, post) + decay W and g_b = sign sum(post): Adam goes down both; the decay shrinks (fault 23)."""
    dtype, rtol = in_precision
    loops = Loops(name)
    given = signals(loops, batch, {"inputs": "pre", "pre": "pre", "post": "post"})
    given["post"] = given["post"] - 0.5
    w = np.random.default_rng(7).uniform(0.1, 0.6, loops.kernel).astype("float32").astype("float64")
    bias = np.full(3, 0.25)
    one = synapse(
        f"Hebbian{name.split()[0].capitalize()}Synapse",
        **GEOMETRIES[name],
        eta=0.01,
        optim_type="adam",
        sign_value=-1.0,
        w_decay=2.0,
        resist_scale=1.5,
        bias_init=Constant(value=0.25),
    )
    found = run(
        one,
        {**given, "back": given["post"]},
        STEPS,
        batch=batch,
        methods=("advance", "evolve", "backtransmit"),
        start={"weights": w},
        dtype=dtype,
    )
    expected: dict[str, list[np.ndarray]] = {key: [] for key in ("outputs", "weights", "biases", "dBiases", "dInputs")}
    moments = {"w": [np.zeros_like(w), np.zeros_like(w)], "b": [np.zeros(3), np.zeros(3)]}
    for k in range(STEPS):
        expected["outputs"].append(1.5 * loops.send(w, given["inputs"][k]) + bias)
        downhill = {
            "w": -loops.product(given["pre"][k], given["post"][k]) + 2.0 * w,
            "b": -given["post"][k].reshape(-1, 3).sum(0),
        }
        steps = {}
        for array, g in downhill.items():
            mean, square = moments[array]
            mean[...] = 0.9 * mean + 0.1 * g
            square[...] = 0.999 * square + 0.001 * g**2
            n = k + 1
            steps[array] = 0.01 * (mean / (1 - 0.9**n)) / (np.sqrt(square / (1 - 0.999**n)) + 1e-8)
        w, bias = w - steps["w"], bias - steps["b"]
        expected["weights"].append(w)
        expected["biases"].append(bias)
        expected["dBiases"].append(downhill["b"])
        expected["dInputs"].append(-loops.send_back(w, given["post"][k]))  # times sign_value
    for what, values in expected.items():
        # Adam's 1 - .999^n is a small difference of numbers near one: in float32 it keeps four digits at n = 1
        agree(found[what], np.stack(values), max(rtol, 1e-4) if rtol > 1e-6 else rtol, what)
