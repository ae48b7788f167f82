"""Rules on sparse connectivity: the weights are those of the dense matrix that learns by the same rule."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from components.synapses.test_sparse import SIZES, end, matrix, start
from conftest import choose

RULES: dict[str, dict[str, Any]] = {
    "trace_stdp": {"A_plus": 0.05, "A_minus": 0.03, "pretrace_target": 0.1},
    "trace_stdp graded": {"A_plus": 0.05, "A_minus": 0.03, "mu": 0.6, "w_margin": 0.02},
    "trace_stdp decaying": {"A_plus": 0.05, "A_minus": 0.03, "tau_w": 100.0, "w_decay": 0.001},
    "trace_stdp unbounded": {"A_plus": 0.05, "A_minus": 0.03, "w_bound": 0.0},
    "trace_stdp narrow": {"A_plus": 0.05, "A_minus": 0.03, "w_bound": 0.5},  # narrower than weights at the start
    "hebbian": {"eta": 0.02, "sign_value": -1.0},
    "hebbian narrow": {"eta": 0.02, "sign_value": -1.0, "soft_bound": False, "w_bound": 0.5},
    "hebbian signed": {"eta": 0.02, "w_bound": 0.0, "is_nonnegative": True, "pre_wght": 0.5, "post_wght": -2.0},
    "hebbian prior": {"eta": 0.02, "sign_value": -1.0, "prior": "l1l2", "prior_lmbda": 0.1, "bias_init": 0.1},
    "hebbian adam": {"eta": 0.01, "sign_value": -1.0, "optim_type": "adam"},
    "gerstner": {"eta": 0.02},
    "gerstner whole": {"eta": 0.02, "c0": -0.5, "c1_pre": 0.3, "c1_post": -0.2, "c2_corr": 0.7},
    "gerstner sides": {"eta": 0.02, "c1_pre": 0.3, "c1_post": -0.2, "sign_value": -1.0},
    "static": {},
}
HOW: list[dict[str, Any]] = [
    {"fan_out": 6},
    {"fan_in": 7},
    {"p_conn": 0.2},
    {"p_conn": 0.2, "connectivity": "dense", "storage": "sparse"},
]
PICKED = [
    (rule, how, batch, precision)
    for k, rule in enumerate(RULES)
    for i, how in enumerate(HOW)
    for j, (batch, precision) in enumerate(SIZES)
    if (k + i) % choose(4, 2, 1) == 0 and (j - k // 2 - i // 2) % 4 < choose(1 + (k % 3 == 0), full=4)
]


def plastic(synapse: dict[str, Any], rule: str, batch: int, precision: str, trials: int = 2) -> dict[str, Any]:
    """Spikes of two populations, with traces, and a synapse that learns between them."""
    given: dict[str, Any] = {
        "name": "one",
        "seed": 5,
        "run": {"dt": 1.0, "steps": 40, "batch": batch, "precision": precision, "trials": trials},
        "components": {
            "x": {"type": "PoissonCell", "n_units": 30, "target_freq": 100.0},
            "z": {"type": "PoissonCell", "n_units": 24, "target_freq": 80.0},
            "tx": {"type": "VarTrace", "n_units": 30, "tau_tr": 15.0},
            "tz": {"type": "VarTrace", "n_units": 24, "tau_tr": 10.0},
            "W": {"type": "Synapse", "shape": [30, 24], "rule": rule.split()[0], **RULES[rule], **synapse},
        },
        "wires": {
            "x.inputs": 1.0,
            "z.inputs": 1.0,
            "tx.inputs": "x.outputs",
            "tz.inputs": "z.outputs",
            "W.inputs": "x.outputs",
        },
        "record": {"W.outputs": {"every": 7}},
    }
    if rule.startswith("trace_stdp"):
        given["wires"] |= {"W.preSpike": "x.outputs", "W.preTrace": "tx.trace", "W.postSpike": "z.outputs"}
        given["wires"] |= {"W.postTrace": "tz.trace"}
    elif rule != "static":
        given["wires"] |= {"W.pre": "x.outputs", "W.post": "z.outputs"}
    return given


@pytest.mark.parametrize(("rule", "how", "batch", "precision"), PICKED, ids=str)
def test_sparse_weights_learn_as_those_of_the_matrix(rule, how, batch, precision, tmp_path):
    drawn = {"type": "uniform", "low": 0.1, "high": 0.9}
    sparse = plastic({"connectivity": "sparse", "weight_init": drawn, **how}, rule, batch, precision)
    part, state = start(sparse)
    wiring = part.connectivity
    np.save(tmp_path / "w.npy", matrix(wiring, state["weights"]))
    np.save(tmp_path / "m.npy", matrix(wiring, np.ones(wiring.weight_shape, precision)))
    files = {"weight_init": "w", "mask": "m"}
    files = {key: {"type": "file", "path": str(tmp_path / f"{name}.npy")} for key, name in files.items()}
    dense = plastic({"connectivity": "dense", **files}, rule, batch, precision)
    (mine, sent), (other, dense_sent) = end(sparse), end(dense)
    found, expected = matrix(wiring, mine["W"]["weights"]), other["W"]["weights"]
    assert (np.abs(expected - np.load(tmp_path / "w.npy")).max() > 0.01) == (rule != "static")
    tolerance = 2e-5 if precision == "float32" else 1e-12
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(sent["W.outputs"], dense_sent["W.outputs"], rtol=10 * tolerance, atol=10 * tolerance)
    if wiring.present is not None:
        assert (mine["W"]["weights"][~np.asarray(wiring.present)] == 0).all()


def update(synapse: dict[str, Any], rule: str) -> np.ndarray:
    """dWeights of the last step, which is what the rule says it did."""
    given = plastic(synapse, rule, 1, "float32", trials=1)
    given["record"] = {"W.dWeights": {}, "W.weights": {}}
    return end(given)[1]


@pytest.mark.parametrize("rule", ["trace_stdp", "hebbian", "gerstner sides"])
@pytest.mark.parametrize("how", [{"connectivity": "dense"}, {"connectivity": "sparse", "fan_out": 5}], ids=str)
def test_what_is_said_of_an_update_is_what_happens(rule, how):
    """Weights that are looked at by events change by dWeights, also where it is recorded."""
    taken = update({**how, "weight_init": {"type": "uniform", "low": 0.4, "high": 0.6}}, rule)
    weights, said = taken["W.weights"], taken["W.dWeights"]
    eta = {"trace_stdp": 1.0, "hebbian": -0.02, "gerstner sides": 0.02}[rule]
    inside = (weights[1:] > 1e-6) & (weights[1:] < 1 - 1e-6)
    np.testing.assert_allclose(np.diff(weights, axis=0)[inside], eta * said[1:][inside], rtol=1e-3, atol=1e-6)
    assert (said != 0).any(axis=(1, 2)).mean() > 0.3


def test_dense_weights_outside_of_the_bounds_are_brought_into_them():
    """By the first call of evolve, as where all weights are looked at in every step; also after `normalise`."""
    given = plastic({"connectivity": "dense", "weight_init": 3.0}, "trace_stdp", 1, "float32")
    assert end(given)[0]["W"]["weights"].max() <= 1.0
    given["components"]["W"]["normalise"] = {"columns": "l1", "to": 90.0}
    for when in ("step", "end"):
        given["schedule"] = {"step": ["x", "z", "tx", "tz", "W", "W.evolve"]}
        given["schedule"].setdefault(when, []).append("W.normalise")
        given["record"] = {"W.weights": {}}
        taken = end(given)[1]["W.weights"]
        last = taken[1] if when == "step" else taken[40]  # after evolve of the step that follows
        assert when == "end" or last.max() > 1.0  # normalise comes last in a step
        assert when == "step" or last.max() <= 1.0
