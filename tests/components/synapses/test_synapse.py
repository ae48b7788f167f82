"""The synapse around its parts: gain, biases, masks that survive learning, normalisation, the way back."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from stepping import run, starts, synapse

from synsim import api, engine
from synsim.components.synapses.connectivity.dense import DenseConnectivity
from synsim.components.synapses.dynamics.instant import InstantDynamics
from synsim.components.synapses.rules.hebbian import HebbianRule
from synsim.components.synapses.rules.rule import Rule
from synsim.components.synapses.rules.static import StaticRule
from synsim.components.synapses.synapse import Normalisation, Synapse, compartments_of
from synsim.device import computing
from synsim.faults import ConfigError
from synsim.graph import Graph
from synsim.initialisers import Constant

pytestmark = pytest.mark.usefixtures("small_programs")

RNG = np.random.default_rng(1)


def graph_of(type_name: str, run_settings: dict[str, Any] | None = None, **settings: Any) -> Graph:
    """The graph of one synapse between random data, through a config; every inlet reads a number."""
    plastic = {"Hebbian": ("pre", "post"), "TraceSTDP": ("preSpike", "preTrace", "postSpike", "postTrace")}
    inlets = next((names for rule, names in plastic.items() if type_name.startswith(rule)), ())
    return (
        api.check(
            {
                "name": "one",
                "seed": 5,
                "run": {"steps": 3, **(run_settings or {})},
                "components": {"W": {"type": type_name, **settings}},
                "wires": {f"W.{inlet}": 0.5 for inlet in ("inputs", *inlets)},
            }
        )
        .phases[0]
        .graph
    )


def learn(graph: Graph, steps: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """The weights before and after some steps of advance and evolve."""
    with computing_like(graph):
        start = engine.initial_state(graph)
        carry = engine.start_carry(graph)
        carry, _ = jax.jit(lambda c: engine.steps(graph, (), c, {}, jnp.uint32(0), jnp.int32(0), steps))(carry)
    return np.asarray(start["W"]["weights"]), np.asarray(carry.state["W"]["weights"])


def computing_like(graph: Graph) -> Any:
    return jax.enable_x64(graph.dtype == "float64")


# --------------------------------------------------------------------------------------------- what is sent forward


def test_gain_scales_what_weights_transmit_and_not_the_biases():
    w, x = RNG.normal(size=(4, 3)), RNG.normal(size=(2, 4))
    one = synapse("DenseSynapse", shape=(4, 3), resist_scale=2.5, bias_init=Constant(value=0.3))
    found = run(one, {"inputs": x[None]}, 1, batch=2, start={"weights": w})["outputs"][0]
    np.testing.assert_allclose(found, 2.5 * (x @ w) + 0.3, rtol=1e-5)


@pytest.mark.parametrize("name", ["resist_scale", "g_conduct_factor"])
def test_the_gain_has_two_names(name):
    graph = graph_of("DenseSynapse", shape=[2, 2], **{name: 3.0})
    assert float(graph.parts["W"].resist_scale) == 3.0


def test_both_names_of_the_gain_at_once_are_a_fault():
    with pytest.raises(ConfigError, match="under another name"):
        graph_of("DenseSynapse", shape=[2, 2], resist_scale=3.0, g_conduct_factor=3.0)


@pytest.mark.parametrize("channels", [1, 3, 5])
def test_biases_of_filters_are_one_a_channel(channels):
    """Fault 8: not (1, k), whatever the kernel; summed over the batch and over every place."""
    one = synapse(
        "HebbianConvSynapse",
        shape=(3, 2, 2, channels),
        x_shape=(5, 4),
        eta=0.5,
        sign_value=-1.0,
        bias_init=Constant(value=0.1),
    )
    assert starts(one, 3)["biases"].shape == (channels,)
    post = RNG.normal(size=(1, 3, 5, 4, channels))
    found = run(one, {"post": post}, 1, batch=3, methods=["evolve"])
    np.testing.assert_allclose(found["biases"][0], 0.1 + 0.5 * post[0].sum((0, 1, 2)), rtol=1e-4)
    silent = run(one, {"inputs": 0.0}, 1, batch=3, start={"biases": np.arange(channels)})["outputs"][0]
    np.testing.assert_array_equal(silent, np.broadcast_to(np.arange(channels), (3, 5, 4, channels)))


def test_without_biases_there_is_no_trace_of_them():
    """Fault 9: a rule that finds no biases leaves none behind."""
    for name, shape in (
        ("HebbianSynapse", dict(shape=(3, 2))),
        ("HebbianConvSynapse", dict(shape=(3, 3, 1, 2), x_shape=(4, 4))),
    ):
        one = synapse(name, **shape, eta=0.1, optim_type="adam")
        assert not [c for c in one.compartments if "ias" in c]
        found = run(one, {"pre": 1.0, "post": 1.0, "inputs": 1.0}, 3, methods=["advance", "evolve"])
        assert not [c for c in found if "ias" in c]


# ----------------------------------------------------------------------------------------------- masks and p_conn


@pytest.mark.parametrize(
    ("type_name", "settings"),
    [
        ("DenseSynapse", dict(shape=[30, 20])),
        ("HebbianSynapse", dict(shape=[30, 20], eta=0.05, sign_value=-1.0)),
        (
            "HebbianSynapse",
            dict(shape=[30, 20], eta=0.05, sign_value=-1.0, optim_type="adamw", prior="l1", prior_lmbda=0.1),
        ),
        ("TraceSTDPSynapse", dict(shape=[30, 20], A_plus=0.1, A_minus=0.05)),
        ("HebbianConvSynapse", dict(shape=[5, 5, 4, 6], x_shape=[6, 5], eta=0.001, sign_value=-1.0)),
        (
            "TraceSTDPConvSynapse",
            dict(shape=[5, 5, 4, 6], x_shape=[6, 5], eta=0.001, A_plus=0.2, A_minus=0.1, w_bound=1.0),
        ),
    ],
)
def test_what_p_conn_leaves_out_stays_out(type_name, settings):
    """Faults 7 and 24: the share is the probability, and learning brings nothing back, not even to a lower bound."""
    graph = graph_of(type_name, p_conn=0.3, **settings)
    before, after = learn(graph)
    there = before != 0.0
    spread = 4 * np.sqrt(0.3 * 0.7 / there.size)
    assert abs(there.mean() - 0.3) < spread
    assert (after[~there] == 0.0).all()
    if type_name != "DenseSynapse":
        assert (after[there] != before[there]).all()
    # drawn from the seed and the name, on the host: not from the weights' key, and the same again
    again, _ = learn(graph_of(type_name, p_conn=0.3, **settings), 1)
    np.testing.assert_array_equal(before, again)
    full, _ = learn(graph_of(type_name, **settings), 1)
    np.testing.assert_array_equal(before[there], full[there])


def test_structure_follows_seed_and_name():
    def masks(seed: int, *names: str) -> list[np.ndarray]:
        it = api.check(
            {
                "seed": seed,
                "run": {"steps": 1},
                "components": {name: {"type": "DenseSynapse", "shape": [20, 20], "p_conn": 0.5} for name in names},
            }
        )
        return [np.asarray(it.phases[0].graph.parts[name].mask.array) for name in names]

    (a,), (b, other), (c,) = masks(1, "W"), masks(1, "W", "V"), masks(2, "W")
    np.testing.assert_array_equal(a, b)  # another component changes nothing
    assert not np.array_equal(a, other) and not np.array_equal(a, c)


def test_a_mask_and_p_conn_go_together(tmp_path):
    mask = (np.arange(600).reshape(30, 20) % 2).astype(float)
    np.save(tmp_path / "mask.npy", mask)
    graph = graph_of(
        "HebbianSynapse",
        shape=[30, 20],
        p_conn=0.5,
        eta=0.05,
        sign_value=-1.0,
        mask={"type": "file", "path": str(tmp_path / "mask.npy")},
    )
    before, after = learn(graph)
    assert (before[mask == 0] == 0).all() and (after[mask == 0] == 0).all()
    assert 0.35 < (before[mask == 1] != 0).mean() < 0.65
    np.testing.assert_array_equal(before != 0, after != 0)


def test_the_mask_of_the_reference_is_called_weight_mask():
    graph = graph_of(
        "TraceSTDPSynapse", shape=[4, 4], A_plus=0.1, A_minus=0.1, weight_mask={"type": "hollow", "value": 1.0}
    )
    before, after = learn(graph)
    assert (np.diag(before) == 0).all() and (np.diag(after) == 0).all()
    assert (before + np.eye(4) > 0).all()


def test_weights_from_initial_are_masked_too(tmp_path):
    it = api.check(
        {
            "run": {"steps": 1},
            "wires": {"W.inputs": 1},
            "components": {"W": {"type": "DenseSynapse", "shape": [6, 5], "p_conn": 0.5}},
            "initial": {"W.weights": 0.7},
        }
    )
    graph = it.phases[0].graph
    start = np.asarray(engine.initial_state(graph)["W"]["weights"])
    np.testing.assert_array_equal(start, np.float32(0.7) * np.asarray(graph.parts["W"].mask.array))


def test_a_mask_of_another_shape_is_a_fault(tmp_path):
    np.save(tmp_path / "mask.npy", np.ones((3, 3)))
    with pytest.raises(ConfigError, match=r"W\.mask.*\(4, 3\)"):
        graph_of("DenseSynapse", shape=[4, 3], mask={"type": "file", "path": str(tmp_path / "mask.npy")})


# ----------------------------------------------------------------------------------------------------- normalising


@pytest.mark.parametrize("columns", ["l1", "l2"])
def test_columns_are_brought_to_a_norm_and_a_column_of_zeros_stays(columns):
    w = np.random.default_rng(2).normal(size=(5, 4))
    w[:, 2] = 0.0
    one = synapse("DenseSynapse", shape=(5, 4), normalise=Normalisation(columns=columns, to=6.4))
    assert "normalise" in one.methods
    found = run(one, {}, 1, methods=["normalise"], start={"weights": w})["weights"][0]
    norms = np.abs(w).sum(0) if columns == "l1" else np.sqrt((w**2).sum(0))
    keep = norms > 0
    np.testing.assert_allclose(found[:, keep], 6.4 * w[:, keep] / norms[keep], rtol=1e-5)
    np.testing.assert_array_equal(found[:, 2], 0.0)


@pytest.mark.parametrize("columns", ["l1", "l2"])
def test_a_filter_is_normalised_as_a_whole(columns):
    w = np.random.default_rng(2).normal(size=(3, 2, 2, 4))
    one = synapse("ConvSynapse", shape=(3, 2, 2, 4), x_shape=(4, 4), normalise=Normalisation(columns=columns, to=2.0))
    found = run(one, {}, 1, methods=["normalise"], start={"weights": w})["weights"][0]
    norms = np.abs(w).sum((0, 1, 2)) if columns == "l1" else np.sqrt((w**2).sum((0, 1, 2)))
    np.testing.assert_allclose(found, 2.0 * w / norms, rtol=1e-5)


def test_normalise_is_a_method_only_where_it_is_set():
    assert "normalise" not in synapse("DenseSynapse", shape=(5, 4)).methods
    base = {"run": {"steps": 1}, "wires": {"W.inputs": 1}, "schedule": {"end": ["W.normalise"]}}
    with pytest.raises(ConfigError, match="no method 'normalise'"):
        api.check(base | {"components": {"W": {"type": "DenseSynapse", "shape": [2, 2]}}})
    it = api.check(
        base | {"components": {"W": {"type": "DenseSynapse", "shape": [2, 2], "normalise": {"columns": "l1", "to": 3}}}}
    )
    assert float(it.phases[0].graph.parts["W"].normalise.to) == 3.0


# -------------------------------------------------------------------------------------------------------- the way back


@pytest.mark.parametrize("sign", [-1.0, 2.0])
def test_back_is_the_plain_adjoint_and_filters_learn_with_its_sign(sign):
    w, back = RNG.normal(size=(4, 3)), RNG.normal(size=(1, 2, 3))
    dense = synapse("HebbianSynapse", shape=(4, 3), resist_scale=5.0, sign_value=sign)
    found = run(dense, {"back": back}, 1, batch=2, methods=["backtransmit"], start={"weights": w})["dInputs"][0]
    np.testing.assert_allclose(found, back[0] @ w.T, rtol=1e-4)  # neither the gain nor the sign
    kernel, image = RNG.normal(size=(1, 1, 2, 3)), RNG.normal(size=(1, 2, 4, 5, 3))
    conv = synapse("HebbianConvSynapse", shape=(1, 1, 2, 3), x_shape=(4, 5), resist_scale=5.0, sign_value=sign)
    found = run(conv, {"back": image}, 1, batch=2, methods=["backtransmit"], start={"weights": kernel})["dInputs"][0]
    np.testing.assert_allclose(found, sign * np.einsum("byxo,co->byxc", image[0], kernel[0, 0]), rtol=1e-4, atol=1e-5)
    plain = synapse("ConvSynapse", shape=(1, 1, 2, 3), x_shape=(4, 5))
    found = run(plain, {"back": image}, 1, batch=2, methods=["backtransmit"], start={"weights": kernel})["dInputs"][0]
    np.testing.assert_allclose(found, np.einsum("byxo,co->byxc", image[0], kernel[0, 0]), rtol=1e-4, atol=1e-5)


def test_back_reads_the_post_signal_unless_it_is_wired():
    def config(wires: dict[str, Any]) -> dict[str, Any]:
        return {
            "run": {"steps": 1},
            "wires": {"W.inputs": 1, "W.pre": 1, "W.post": 0.25, **wires},
            "components": {"W": {"type": "HebbianSynapse", "shape": [3, 2], "weight_init": 2.0}},
            "schedule": {"step": ["W.backtransmit"]},
            "record": {"W.dInputs": {}},
        }

    def sent(wires: dict[str, Any]) -> np.ndarray:
        it = api.check(config(wires))
        with computing(it.spec):
            _, taken = engine.steps(
                it.phases[0].graph,
                it.phases[0].takes,
                engine.start_carry(it.phases[0].graph),
                {},
                jnp.uint32(0),
                jnp.int32(0),
                1,
            )
        return np.asarray(taken["W.dInputs"])[0, 0]

    np.testing.assert_array_equal(sent({}), 2 * 2.0 * 0.25)
    np.testing.assert_array_equal(sent({"W.back": 1.0}), 2 * 2.0)


def test_a_way_back_with_nothing_on_it_is_a_fault():
    with pytest.raises(ConfigError, match="nothing feeds W.back"):
        api.check(
            {
                "run": {"steps": 1},
                "wires": {"W.inputs": 1},
                "schedule": {"step": ["W.backtransmit"]},
                "components": {"W": {"type": "DenseSynapse", "shape": [3, 2]}},
            }
        )


# ------------------------------------------------------------------------------------------------- put together


def test_parts_may_not_declare_what_the_synapse_has():
    class Clashing(Rule, type_name="clashing"):
        """dW = 0. Source: none."""

        @classmethod
        def extra_compartments(cls, settings):
            return {"outputs": Synapse.declared["inputs"]}

    with pytest.raises(TypeError, match="Clashing declares 'outputs'"):
        compartments_of(DenseConnectivity, InstantDynamics, Clashing, {})


def test_compartments_are_the_union_of_the_parts():
    plain = compartments_of(DenseConnectivity, InstantDynamics, StaticRule, {})
    assert set(plain) == {"inputs", "back", "weights", "dInputs", "outputs"}
    learning = compartments_of(DenseConnectivity, InstantDynamics, HebbianRule, {"optim_type": "adam", "bias_init": 1})
    assert set(learning) - set(plain) == {
        "pre",
        "post",
        "dWeights",
        "biases",
        "dBiases",
        "weights_mean",
        "weights_square",
        "biases_mean",
        "biases_square",
        "updates",
    }
    assert all(learning[name].learned for name in ("weights", "biases", "weights_mean", "updates"))


def test_a_part_that_is_written_in_the_part_or_beside_it_is_the_same():
    base = {"run": {"steps": 1}, "wires": {"W.inputs": 1, "W.pre": 1, "W.post": 1}}
    inside = api.check(
        base
        | {
            "components": {
                "W": {
                    "type": "Synapse",
                    "connectivity": {"type": "dense", "shape": [3, 2]},
                    "rule": {"type": "hebbian", "eta": 0.2},
                }
            }
        }
    )
    beside = api.check(
        base
        | {
            "components": {
                "W": {"type": "Synapse", "connectivity": "dense", "shape": [3, 2], "rule": "hebbian", "eta": 0.2}
            }
        }
    )
    assert jax.tree.structure(inside.phases[0].graph) == jax.tree.structure(beside.phases[0].graph)
    assert float(inside.phases[0].graph.parts["W"].rule.eta) == pytest.approx(0.2)
