"""The expansion of Hebbian learning: its equation by hand, what its settings stand for, what theory says of them."""

from __future__ import annotations

import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from stepping import call, run, starts, synapse, unwired

import synsim
from synsim import api
from synsim.component import Now
from synsim.components.synapses.connectivity.conv import ConvConnectivity
from synsim.components.synapses.dynamics.instant import InstantDynamics
from synsim.components.synapses.rules.gerstner import GerstnerRule
from synsim.components.synapses.synapse import Synapse
from synsim.faults import ConfigError

pytestmark = pytest.mark.usefixtures("small_programs")

SHAPE = (5, 3)
FOUR = dict(c0=-0.4, c1_pre=0.3, c1_post=-0.2, c2_corr=0.7)


@pytest.fixture(autouse=True)
def _in_float64():
    with jax.enable_x64(True):
        yield


def rule(shape: tuple[int, int] = SHAPE, **settings: Any) -> Synapse:
    return synapse("GerstnerHebbianSynapse", shape=shape, **settings)


def evolved(one: Synapse, inputs: dict[str, Any], steps: int, batch: int, w: Any, **rest: Any) -> dict[str, np.ndarray]:
    rest = {"methods": ["evolve"], "dtype": jnp.float64, **rest}
    return run(one, inputs, steps, batch=batch, start={"weights": w}, **rest)


def digits() -> np.ndarray:
    """All digits, pixels between 0 and 1, without the mean of each pixel."""
    from sklearn.datasets import load_digits

    images = load_digits().data / 16
    return images - images.mean(0)


# ------------------------------------------------------------------------------------------------------- the equation


@pytest.mark.parametrize("sign", [1.0, -2.0])
@pytest.mark.parametrize("batch", [1, 3])
def test_fifty_updates_are_those_of_the_equation(batch, sign):
    """Outer products one row at a time; sizes that differ, so that pre and post cannot be taken for one another."""
    random = np.random.default_rng(batch)
    w = random.normal(size=SHAPE)
    pre, post = random.normal(size=(50, batch, 5)), random.normal(size=(50, batch, 3))
    found = evolved(rule(eta=0.05, sign_value=sign, **FOUR), {"pre": pre, "post": post}, 50, batch, w)
    for x, y, after, change in zip(pre, post, found["weights"], found["dWeights"], strict=True):
        update = -0.4 * w
        for row in range(batch):
            update = update + 0.7 * np.outer(x[row], y[row]) / batch
            update = update + 0.3 * np.tile(x[row][:, None], (1, 3)) / batch - 0.2 * np.tile(y[row], (5, 1)) / batch
        np.testing.assert_allclose(change, sign * update, rtol=1e-9, atol=1e-12)  # before eta
        w = w + 0.05 * sign * update
        np.testing.assert_allclose(after, w, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("batch", [1, 3])
def test_it_learns_fresh_and_after_a_reset(batch, tmp_path):
    """Fault 4: with nothing on them the reference's two signals have each other's shapes, and it stops."""
    w = np.random.default_rng(0).normal(size=SHAPE)
    one = rule(eta=0.1, **FOUR)
    assert one.compartments["pre"].size == "pre" and one.compartments["post"].size == "post"
    found = evolved(one, {}, 3, batch, w)["weights"]
    np.testing.assert_allclose(found, [(1 - 0.04) ** n * w for n in (1, 2, 3)], rtol=1e-12)
    # the engine's own reset in every trial, in a config
    config = config_of({"W.pre": 0.5, "W.post": 2.0}, batch=batch, trials=3, shape=list(SHAPE), weight_init=0, eta=0.1)
    with synsim.run(config, out=tmp_path) as left:
        np.testing.assert_allclose(left.final("W", "weights"), 3 * 0.1 * 0.5 * 2.0, rtol=1e-6)


def test_the_mean_is_over_the_rows_there_are():
    """Fault 26: not over a batch size that was written somewhere. Doubling every row changes nothing."""
    random = np.random.default_rng(2)
    w, pre, post = random.normal(size=SHAPE), random.normal(size=(1, 3, 5)), random.normal(size=(1, 3, 3))
    once = evolved(rule(eta=0.1, **FOUR), {"pre": pre, "post": post}, 1, 3, w)["weights"]
    rows = {"pre": np.repeat(pre, 2, axis=1), "post": np.repeat(post, 2, axis=1)}
    twice = evolved(rule(eta=0.1, **FOUR), rows, 1, 6, w)["weights"]
    np.testing.assert_allclose(twice, once, rtol=1e-12)


def test_calc_update_says_what_evolve_would_add():
    random = np.random.default_rng(4)
    inputs = {"pre": random.normal(size=(1, 3, 5)), "post": random.normal(size=(1, 3, 3))}
    w = random.normal(size=SHAPE)
    said = evolved(rule(eta=0.1, **FOUR), inputs, 1, 3, w, methods=["calc_update"])
    done = evolved(rule(eta=0.1, **FOUR), inputs, 1, 3, w)
    np.testing.assert_array_equal(said["weights"][0], w)
    np.testing.assert_allclose(said["dWeights"], done["dWeights"], rtol=1e-12)


def test_weights_that_a_mask_takes_away_stay_away():
    """Fault 24: decay, pre and post terms reach every weight, and a mask holds against all of them."""
    random = np.random.default_rng(3)
    mask = (random.uniform(size=SHAPE) < 0.5).astype(float)
    inputs = {"pre": random.uniform(0.1, 1, (20, 3, 5)), "post": random.uniform(0.1, 1, (20, 3, 3))}
    w = random.normal(size=SHAPE) * mask
    found = evolved(rule(eta=0.1, mask=mask, **FOUR), inputs, 20, 3, w)["weights"]
    free = evolved(rule(eta=0.1, **FOUR), inputs, 20, 3, w)["weights"]
    assert (found[:, mask == 0] == 0).all() and (free[-1][mask == 0] != 0).all()
    np.testing.assert_allclose(found[:, mask == 1], free[:, mask == 1], rtol=1e-12)


@pytest.mark.parametrize("batch", [1, 3])
def test_filters_learn_by_the_same_expansion(batch):
    """A product that the reference lacks: each weight of a filter sums over the places where it stands."""
    random = np.random.default_rng(6)
    height, width, shape = 5, 4, (3, 2, 2, 3)
    pre = random.normal(size=(50, batch, height, width, 2))
    post = random.normal(size=(50, batch, height, width, 3))
    w = random.normal(size=shape)
    one = Synapse(
        connectivity=ConvConnectivity(shape=shape, x_shape=(height, width)),
        dynamics=InstantDynamics(),
        rule=GerstnerRule(eta=0.01, **FOUR),
    )
    found = evolved(one, {"pre": pre, "post": post}, 50, batch, w)
    for x, y, after, change in zip(pre, post, found["weights"], found["dWeights"], strict=True):
        update = -0.4 * w
        for p, q, i, j in itertools.product(range(3), range(2), range(height), range(width)):
            r, s = i + p - 1, j + q
            if r < height and s < width and r >= 0:
                left, right = x[:, r, s].mean(0), y[:, i, j].mean(0)
                product = np.einsum("bc,bo->co", x[:, r, s], y[:, i, j]) / batch
                update[p, q] += 0.7 * product + 0.3 * left[:, None] - 0.2 * right
        np.testing.assert_allclose(change, update, rtol=1e-8, atol=1e-10)
        w = w + 0.01 * update
        np.testing.assert_allclose(after, w, rtol=1e-8, atol=1e-10)


# ------------------------------------------------------------------------------------------- settings that have names


def signals(batch: int = 3) -> dict[str, np.ndarray]:
    """One pair of signals, the same in each of 40 steps."""
    random = np.random.default_rng(9)
    return {
        "pre": np.broadcast_to(random.uniform(-0.5, 1, (batch, 5)), (40, batch, 5)),
        "post": np.broadcast_to(random.uniform(-0.5, 1, (batch, 3)), (40, batch, 3)),
    }


@pytest.mark.parametrize(("c2", "sign"), [(1.0, 1.0), (-1.5, 1.0), (1.5, -1.0)])
def test_hebb_and_anti_hebb_grow_along_the_product(c2, sign):
    """W_n = W_0 + n eta c2 <pre x post>; the sign turns one into the other."""
    w, given = np.random.default_rng(0).normal(size=SHAPE), signals()
    found = evolved(rule(eta=0.02, c2_corr=c2, sign_value=sign), given, 40, 3, w)["weights"]
    product = np.einsum("bi,bj->ij", given["pre"][0], given["post"][0]) / 3
    n = np.arange(1, 41)[:, None, None]
    np.testing.assert_allclose(found, w + n * 0.02 * c2 * sign * product, rtol=1e-10, atol=1e-12)


def test_decay_is_exponential_and_has_its_balance_with_hebb():
    """W_n = (1 - eta)^n W_0 + (1 - (1 - eta)^n) <pre x post> for c0 = -1."""
    w, given = np.random.default_rng(0).normal(size=SHAPE), signals()
    n = np.arange(1, 41)[:, None, None]
    alone = evolved(rule(eta=0.1, c0=-1.0, c2_corr=0.0), given, 40, 3, w)["weights"]
    np.testing.assert_allclose(alone, 0.9**n * w, rtol=1e-10)
    product = np.einsum("bi,bj->ij", given["pre"][0], given["post"][0]) / 3
    both = evolved(rule(eta=0.1, c0=-1.0, c2_corr=1.0), given, 40, 3, w)["weights"]
    np.testing.assert_allclose(both, 0.9**n * w + (1 - 0.9**n) * product, rtol=1e-9, atol=1e-12)


def test_a_threshold_on_either_side():
    """c1_pre = -theta: dW = <pre (post - theta)>, gated by pre; c1_post = -theta the other way round."""
    w, theta = np.zeros(SHAPE), 0.3
    given = {name: values[:1] for name, values in signals().items()}
    x, y = given["pre"][0], given["post"][0]
    gated = evolved(rule(eta=1.0, c1_pre=-theta), given, 1, 3, w)["weights"][0]
    np.testing.assert_allclose(gated, np.einsum("bi,bj->ij", x, y - theta) / 3, rtol=1e-10, atol=1e-14)
    gated = evolved(rule(eta=1.0, c1_post=-theta), given, 1, 3, w)["weights"][0]
    np.testing.assert_allclose(gated, np.einsum("bi,bj->ij", x - theta, y) / 3, rtol=1e-10, atol=1e-14)


# ------------------------------------------------------------------------------------------------------------- theory


def test_one_batch_of_centred_signals_gives_their_covariance():
    """(a): c2 1, eta 1, from 0, in the float32 that runs have; a side may also be part of the other."""
    x = digits()
    one = rule((64, 10), eta=1.0)
    found = evolved(one, {"pre": x[None], "post": x[None, :, 20:30]}, 1, 1797, np.zeros((64, 10)), dtype=jnp.float32)[
        "weights"
    ][0]
    expected = np.cov(x, rowvar=False, bias=True)[:, 20:30]
    assert np.abs(found - expected).max() < 1e-5 * np.abs(expected).max()
    whole = evolved(rule((64, 64), eta=1.0), {"pre": x[None], "post": x[None]}, 1, 1797, np.zeros((64, 64)))
    np.testing.assert_allclose(whole["weights"][0], np.cov(x, rowvar=False, bias=True), rtol=0, atol=1e-13)


def test_with_decay_the_running_covariance_stays():
    """(b): c0 -1, c2 1, batches of 100, eta .01, 40 epochs, every epoch in the same order."""
    x = digits()[:1700]
    x = x - x.mean(0)
    rows = np.tile(x.reshape(17, 100, 64), (40, 1, 1)).astype(np.float32)
    one = rule((64, 64), eta=0.01, c0=-1.0)
    found = evolved(one, {"pre": rows, "post": rows}, 680, 100, np.zeros((64, 64)), dtype=jnp.float32)["weights"]
    expected = np.cov(x, rowvar=False, bias=True)
    distances = np.linalg.norm(found - expected, axis=(1, 2)) / np.linalg.norm(expected)
    assert distances[-1] <= 0.01
    assert distances[0] > 0.98 and 0.3 < distances[99] < 0.42  # .99^100 = .366


def test_normalised_after_each_update_it_finds_the_first_principal_component(tmp_path):
    """Oja (1982): Hebbian growth with the length held at 1, post being what the weights themselves send."""
    x = digits()
    values, vectors = np.linalg.eigh(np.cov(x, rowvar=False, bias=True))
    config = {
        "name": "oja",
        "run": {"steps": 1, "batch": 1, "epochs": 20, "shuffle": True},
        "data": {"digits": {"type": "digits", "part": "images", "scale": 0.0625, "centre": True}},
        "components": {
            "W": {
                "type": "GerstnerHebbianSynapse",
                "shape": [64, 1],
                "eta": 0.002,
                "weight_init": {"type": "uniform", "low": -0.3, "high": 0.3},
                "normalise": {"columns": "l2", "to": 1.0},
            }
        },
        "wires": {"W.inputs": "digits", "W.pre": "digits", "W.post": "W.outputs"},
        "schedule": {"step": ["W", "W.evolve", "W.normalise"]},
        "record": {"W.weights": {"every": "trial", "reduce": "norm"}},
    }
    with synsim.run(config, out=tmp_path) as left:
        w = left.final("W", "weights")[:, 0].astype(np.float64)
        start = left.initial("W", "weights")[:, 0].astype(np.float64)
    assert np.linalg.norm(w) == pytest.approx(1.0, abs=1e-5)
    assert abs(start @ vectors[:, -1]) / np.linalg.norm(start) < 0.5
    assert abs(w @ vectors[:, -1]) >= 0.997
    assert w @ np.cov(x, rowvar=False, bias=True) @ w == pytest.approx(values[-1], rel=0.01)


# -------------------------------------------------------------------------------------------------------- in a config


def config_of(wires: dict[str, Any], batch: int = 1, trials: int = 1, **settings: Any) -> dict[str, Any]:
    return {
        "name": "one",
        "run": {"steps": 1, "trials": trials, "batch": batch},
        "components": {"W": {"type": "GerstnerHebbianSynapse", **settings}},
        "wires": wires,
    }


@pytest.mark.parametrize("missing", ["pre", "post"])
def test_both_signals_have_to_be_wired(missing):
    wires = {"W.pre": 1.0, "W.post": 1.0}
    del wires[f"W.{missing}"]
    with pytest.raises(ConfigError, match=rf"W\.{missing} needs a wire"):
        api.check(config_of(wires, shape=list(SHAPE)))


def test_the_reference_s_dictionary_of_coefficients_is_told_where_they_are():
    written = {"c0": 0.0, "c1_pre": 0.0, "c1_post": 0.0, "c2_corr": 1.0}
    with pytest.raises(ConfigError, match="coeffs.*settings of their own: c0, c1_pre, c1_post, c2_corr") as caught:
        api.check(config_of({"W.pre": 1.0, "W.post": 1.0}, shape=list(SHAPE), coeffs=written))
    assert caught.value.exit_code == 2


def test_the_way_back_reads_post():
    one, w = rule(resist_scale=3.0), np.random.default_rng(0).normal(size=SHAPE)
    assert one.rule.post_inlet == "post"
    values = starts(one, 2, jnp.float64) | {"weights": jnp.asarray(w)}
    fed = unwired(one, 2, jnp.float64) | {"back": jnp.ones((2, 3))}
    found = call(one, "backtransmit", values, fed, Now(0.0, 0, 1.0, jax.random.key(0)))["dInputs"]
    np.testing.assert_allclose(found, np.ones((2, 3)) @ w.T, rtol=1e-12)
