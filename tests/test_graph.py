"""From a config to a graph: sizes from wires, shapes that must agree, values a unit, starts, overrides, expressions."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import h5py
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from synsim import api, engine
from synsim.device import computing
from synsim.expressions import reads
from synsim.faults import ConfigError, MissingInput
from synsim.graph import Graph, override, unwired
from synsim.plan import RunPlan

pytestmark = pytest.mark.usefixtures("small_programs")


def source(n: Any, value: Any = 1.0) -> dict[str, Any]:
    return {"type": "ConstantSource", "n_units": n, "value": value}


def rate(n: Any, **settings: Any) -> dict[str, Any]:
    return {"type": "RateCell", "n_units": n, "tau_m": 10, **settings}


def checked(components: dict[str, Any], wires: dict[str, Any] | None = None, **rest: Any) -> RunPlan:
    run = {"steps": 3} | rest.pop("run", {})
    return api.check({"seed": 4, "run": run, "components": components, "wires": wires or {}, **rest})


def graph_of(*args: Any, **rest: Any) -> Graph:
    return checked(*args, **rest).phases[0].graph


def faults_of(*args: Any, **rest: Any) -> list[str]:
    with pytest.raises(ConfigError) as error:
        checked(*args, **rest)
    return [fault.message for fault in error.value.faults]


def start_of(graph: Graph, path: str) -> np.ndarray:
    component, compartment = path.split(".")
    with jax.enable_x64(graph.dtype == "float64"):
        return np.asarray(engine.initial_state(graph)[component][compartment])


def data_file(folder: Path, values: Any, axes: str | None = None, name: str = "d") -> dict[str, Any]:
    np.save(folder / f"{name}.npy", np.asarray(values))
    entry: dict[str, Any] = {"type": "file", "path": str(folder / f"{name}.npy")}
    return entry | ({"axes": axes.split()} if axes else {})


# ---------------------------------------------------------------------------------------------- shapes that must agree


def test_a_wire_that_does_not_fit_names_both_ends_and_both_shapes():
    (message,) = faults_of({"a": source(4), "b": rate([2, 3])}, {"b.j": "a.outputs"})
    for part in ("b.j", "[2, 3]", "a.outputs", "[4]", "wires never reshape"):
        assert part in message
    (message,) = faults_of({"a": source(4), "b": source(5), "c": rate(4)}, {"c.j": "a.outputs + 2 * b.outputs"})
    for part in ("c.j", "a.outputs has shape [4]", "b.outputs has [5]"):
        assert part in message


@pytest.mark.parametrize("batch", [1, 3])
def test_data_of_another_shape(tmp_path, batch):
    (message,) = faults_of(
        {"b": rate(4)}, {"b.j": "d"}, data={"d": data_file(tmp_path, np.ones((6, 5)))}, run={"batch": batch}
    )
    assert "b.j" in message and "[4]" in message and "d has shape [5]" in message


def test_every_wire_is_looked_at_at_once():
    messages = faults_of({"a": source(4), "b": rate(3), "c": rate(2)}, {"b.j": "a.outputs", "c.j": "a.outputs"})
    assert len(messages) == 2 and "b.j" in messages[0] and "c.j" in messages[1]


def test_a_synapse_of_a_written_shape_is_held_against_its_wires():
    messages = faults_of(
        {"a": source(4), "W": {"type": "DenseSynapse", "shape": [3, 2]}, "b": rate(5)},
        {"W.inputs": "a.outputs", "b.j": "W.outputs"},
    )
    assert len(messages) == 2
    assert "W.inputs takes shape [3], but a.outputs has shape [4]" in messages[0]
    assert "b.j takes shape [5], but W.outputs has shape [2]" in messages[1]


def test_a_row_of_the_batch_is_never_taken_for_a_unit():
    """With batch 4 and 4 units nothing may fit by accident."""
    messages = faults_of({"a": source(4), "b": rate([4, 1])}, {"b.j": "a.outputs"}, run={"batch": 4})
    assert "[4, 1]" in messages[0] and "[4];" in messages[0]


def test_labels_are_one_number_a_row(tmp_path):
    entry = data_file(tmp_path, np.arange(6))
    components = {"a": source(4), "v": {"type": "ClassVote", "n_units": 4, "n_classes": 6}}
    graph = graph_of(components, {"v.s": "a.outputs", "v.labels": "d"}, data={"d": entry}, run={"batch": 2})
    assert graph.source("d").shape == () and graph.source("d").integer
    (message,) = faults_of(components, {"v.s": "d"}, data={"d": entry}, run={"batch": 2})
    assert "v.s takes shape [4], but d" in message


# ---------------------------------------------------------------------------------------------------- sizes from wires


@pytest.mark.parametrize(
    ("components", "wires", "shapes"),
    [
        # both sides from cells
        (
            {"a": source(4), "W": {"type": "DenseSynapse"}, "b": rate(3)},
            {"W.inputs": "a.outputs", "b.j": "W.outputs"},
            {"W": (4, 3)},
        ),
        # from a sum, a number and a product
        (
            {"a": source(4), "c": source(4), "W": {"type": "DenseSynapse"}, "b": rate(3)},
            {"W.inputs": "1.5 * (a.outputs - c.outputs)", "b.j": "0.1 + W.outputs"},
            {"W": (4, 3)},
        ),
        # a synapse onto a synapse: the second says what the first cannot know
        (
            {"a": source(4), "V": {"type": "DenseSynapse"}, "U": {"type": "DenseSynapse", "shape": [6, 3]}},
            {"V.inputs": "a.outputs", "U.inputs": "V.outputs"},
            {"V": (4, 6), "U": (6, 3)},
        ),
        # a chain of three, the ends known
        (
            {
                "a": source(4),
                "V": {"type": "DenseSynapse", "shape": [4, 6]},
                "U": {"type": "DenseSynapse"},
                "T": {"type": "DenseSynapse", "shape": [7, 3]},
            },
            {"V.inputs": "a.outputs", "U.inputs": "V.outputs", "T.inputs": "U.outputs"},
            {"U": (6, 7)},
        ),
        # recurrent
        ({"b": rate(5), "W": {"type": "DenseSynapse"}}, {"W.inputs": "b.zF", "b.j": "W.outputs"}, {"W": (5, 5)}),
        # its learning signals say it where its own input is a number
        (
            {"a": source(4), "b": rate(3), "W": {"type": "HebbianSynapse"}},
            {"W.inputs": 1, "W.pre": "a.outputs", "W.post": "b.zF"},
            {"W": (4, 3)},
        ),
        # the way back, as predictive coding has it
        (
            {"e": {"type": "GaussianErrorCell", "n_units": 3}, "z": rate(5), "W": {"type": "HebbianSynapse"}},
            {"W.inputs": "z.zF", "W.pre": "z.zF", "W.post": "e.dmu", "z.j": "W.dInputs"},
            {"W": (5, 3)},
        ),
        # written order does not matter: the synapse comes first
        (
            {"W": {"type": "DenseSynapse"}, "b": rate(3), "a": source(4)},
            {"b.j": "W.outputs", "W.inputs": "a.outputs"},
            {"W": (4, 3)},
        ),
        # two synapses that meet
        (
            {
                "a": source(4),
                "c": source(2),
                "W": {"type": "DenseSynapse"},
                "V": {"type": "DenseSynapse"},
                "b": rate(3),
            },
            {"W.inputs": "a.outputs", "V.inputs": "c.outputs", "b.j": ["W.outputs", "V.outputs"]},
            {"W": (4, 3), "V": (2, 3)},
        ),
    ],
)
def test_sizes_are_taken_from_wires(components, wires, shapes):
    graph = graph_of(components, wires)
    for name, shape in shapes.items():
        assert graph.parts[name].connectivity.weight_shape == shape
        assert start_of(graph, f"{name}.weights").shape == shape


def test_sizes_are_taken_from_data(tmp_path):
    entries = {
        "x": data_file(tmp_path, np.ones((6, 7)), name="x"),
        "t": data_file(tmp_path, np.ones((6, 3, 4)), "row step unit", "t"),
    }
    graph = graph_of({"W": {"type": "HebbianSynapse"}}, {"W.inputs": "x", "W.pre": "x", "W.post": "t"}, data=entries)
    assert graph.parts["W"].connectivity.weight_shape == (7, 4)


@pytest.mark.parametrize("side", ["pre", "post"])
def test_an_image_gives_its_height_and_width(side):
    conv = {"type": "ConvSynapse", "shape": [3, 3, 1, 2]}
    if side == "pre":
        graph = graph_of({"a": source([6, 4, 1]), "K": conv}, {"K.inputs": "a.outputs"})
    else:
        graph = graph_of({"K": conv, "b": rate([6, 4, 2])}, {"K.inputs": 1, "b.j": "K.outputs"})
    assert graph.parts["K"].connectivity.x_shape == (6, 4)
    assert graph.shape("K", "outputs") == (1, 6, 4, 2)


@pytest.mark.parametrize(
    ("components", "wires", "said"),
    [
        (
            {"W": {"type": "DenseSynapse"}},
            {},
            ["the shape of W", "presynaptic and postsynaptic side", "write its shape"],
        ),
        (
            {"a": source(4), "W": {"type": "DenseSynapse"}},
            {"W.inputs": "a.outputs"},
            ["the shape of W", "its postsynaptic side is not wired"],
        ),
        (
            {"W": {"type": "DenseSynapse"}, "b": rate(4)},
            {"b.j": "W.outputs", "W.inputs": 2.0},
            ["the shape of W", "its presynaptic side is not wired"],
        ),
        (
            {"a": source([2, 2, 1]), "W": {"type": "DenseSynapse"}, "b": rate(3)},
            {"W.inputs": "a.outputs", "b.j": "W.outputs"},
            ["the shape of W", "[2, 2, 1]", "write its shape"],
        ),
        (
            {"a": source(4), "K": {"type": "ConvSynapse", "shape": [3, 3, 1, 2]}},
            {"K.inputs": "a.outputs"},
            ["the shape of K"],
        ),
    ],
)
def test_sizes_that_wires_do_not_give(components, wires, said):
    message = faults_of(components, wires)[0]
    for part in said:
        assert part in message


def test_all_synapses_without_a_size_are_named_at_once():
    messages = faults_of(
        {"a": source(4), "U": {"type": "DenseSynapse"}, "V": {"type": "DenseSynapse"}},
        {"U.inputs": "a.outputs", "V.inputs": "U.outputs"},
    )
    assert len(messages) == 2 and "the shape of U" in messages[0] and "the shape of V" in messages[1]


# ------------------------------------------------------------------------------------------------------- values a unit


def test_a_list_a_number_and_an_initialiser_for_a_setting(tmp_path):
    graph = graph_of(
        {
            "a": rate(3, tau_m=[5, 10, 20]),
            "b": rate(3),
            "c": rate(3, tau_m={"type": "uniform", "low": 8, "high": 12}),
            "d": rate(3, tau_m={"type": "file", "path": str(_saved(tmp_path, [1.0, 2.0, 4.0]))}),
        }
    )
    np.testing.assert_array_equal(graph.parts["a"].tau_m, [5, 10, 20])
    assert np.shape(graph.parts["b"].tau_m) == ()
    drawn = graph.parts["c"].tau_m
    assert drawn.shape == (3,) and (drawn >= 8).all() and (drawn < 12).all() and len(set(drawn.tolist())) == 3
    np.testing.assert_array_equal(graph.parts["d"].tau_m, [1, 2, 4])
    assert all(leaf.dtype == np.float32 for leaf in jax.tree.leaves(graph.parts))


def _saved(folder: Path, values: Any) -> Path:
    np.save(folder / "values.npy", np.asarray(values))
    return folder / "values.npy"


def test_drawn_values_follow_seed_component_and_setting():
    def drawn(seed: int, *names: str) -> list[np.ndarray]:
        uniform = {"type": "uniform", "low": 8, "high": 12}
        it = api.check(
            {
                "seed": seed,
                "run": {"steps": 1},
                "components": {
                    name: {"type": "LIFCell", "n_units": 4, "tau_m": uniform, "resist_m": uniform} for name in names
                },
            }
        )
        parts = it.phases[0].graph.parts
        return [np.asarray(getattr(parts[name], field)) for name in names for field in ("tau_m", "resist_m")]

    a, other, b, _ = drawn(1, "z", "y")
    (again, _), (later, _) = drawn(1, "z"), drawn(2, "z")
    np.testing.assert_array_equal(a, again)
    assert not any(np.array_equal(a, x) for x in (other, b, later))


def test_values_a_unit_act_on_their_unit():
    it = checked(
        {"a": source(2, [1.0, -2.0]), "b": rate(2, tau_m=[5, 10])},
        {"b.j": "a.outputs"},
        schedule={"step": ["a", "b"]},
        run={"steps": 1},
        record={"b.z": {}},
    )
    np.testing.assert_allclose(trace(it, "b.z")[0], [1.0 / 5, -2.0 / 10], rtol=1e-6)


def test_an_image_of_units_takes_a_flat_list():
    graph = graph_of({"a": rate([2, 3], tau_m=[1, 2, 3, 4, 5, 6])})
    np.testing.assert_array_equal(graph.parts["a"].tau_m, [[1, 2, 3], [4, 5, 6]])


def test_a_list_of_another_length_names_both_numbers():
    (message,) = faults_of({"a": rate(3, tau_m=[5, 10])})
    assert "a.tau_m has 2 values" in message and "3 units" in message


# -------------------------------------------------------------------------------------------------------------- initial


def test_initial_from_a_number_a_list_an_initialiser_a_file_and_data(tmp_path):
    saved = np.arange(6.0).reshape(2, 3)
    with h5py.File(tmp_path / "old.h5", "w") as file:
        file["/final/W/weights"] = 10 * saved.T
    components = {
        "a": rate(3),
        "b": rate(3),
        "c": rate(3),
        "d": rate(3),
        "e": rate(3),
        "W": {"type": "DenseSynapse", "shape": [3, 2]},
    }
    graph = graph_of(
        components,
        {"W.inputs": 1.0},
        run={"batch": 2},
        data={"starts": data_file(tmp_path, saved)},
        initial={
            "a.z": 0.5,
            "b.z": [1, 2, 3],
            "c.z": {"type": "uniform", "low": 2, "high": 3},
            "d.z": {"type": "data", "entry": "starts"},
            "W.weights": {"type": "file", "path": str(tmp_path / "old.h5"), "key": "/final/W/weights"},
            "e.z": {"type": "file", "path": str(tmp_path / "d.npy"), "amax": 3.5},
        },
    )
    np.testing.assert_array_equal(start_of(graph, "a.z"), np.full((2, 3), 0.5))
    np.testing.assert_array_equal(start_of(graph, "b.z"), [[1, 2, 3]] * 2)  # one row for every row of the batch
    drawn = start_of(graph, "c.z")
    assert (drawn >= 2).all() and (drawn < 3).all() and len(np.unique(drawn)) == 6
    np.testing.assert_array_equal(start_of(graph, "d.z"), saved)  # a row for each
    np.testing.assert_array_equal(start_of(graph, "W.weights"), 10 * saved.T)
    np.testing.assert_array_equal(start_of(graph, "e.z"), np.minimum(saved, 3.5))


def test_initial_of_another_shape_is_a_fault():
    (message,) = faults_of({"a": rate(3)}, initial={"a.z": [1, 2]})
    assert "a.z" in message and "[3]" in message and "[2]" in message


def test_initial_from_a_file_that_is_not_there_is_a_missing_input(tmp_path):
    with pytest.raises(MissingInput, match="no.npy"):
        checked({"a": rate(3)}, initial={"a.z": {"type": "file", "path": str(tmp_path / "no.npy")}})


def test_initial_from_an_entry_that_is_not_there():
    (message,) = faults_of({"a": rate(3)}, initial={"a.z": {"type": "data", "entry": "nowhere"}})
    assert "nowhere" in message


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_a_reset_returns_to_the_drawn_start(precision):
    """Also where the start is drawn: each trial begins at the same values, not at new ones."""
    it = checked(
        {"a": source(3), "b": rate(3)},
        {"b.j": "a.outputs"},
        run={"trials": 3, "steps": 4, "precision": precision},
        initial={"b.z": {"type": "gaussian", "mean": 5.0}},
        record={"b.z": {}},
    )
    found = trace(it, "b.z").reshape(3, 4, 3)
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])
    start = start_of(it.phases[0].graph, "b.z")[0]
    assert found.dtype == precision
    np.testing.assert_allclose(found[0, 0], start + 1.0 / 10, rtol=1e-6)


# -------------------------------------------------------------------------------------------------- unwired inlets


def test_unwired_inlets_read_their_default_and_are_listed():
    it = checked(
        {"e": {"type": "GaussianErrorCell", "n_units": 2}}, {"e.mu": 3.0}, record={"e.modulator": {}, "e.dmu": {}}
    )
    graph = it.phases[0].graph
    assert set(unwired(graph)) == {"e.target", "e.modulator", "e.mask"}
    default = graph.parts["e"].compartments["modulator"].default
    np.testing.assert_array_equal(trace(it, "e.modulator"), np.full((3, 2), default))
    np.testing.assert_array_equal(trace(it, "e.dmu"), np.full((3, 2), -3.0 * default))


def test_required_inlets_without_a_wire_are_all_named():
    messages = faults_of(
        {"W": {"type": "TraceSTDPSynapse", "shape": [2, 2], "A_plus": 1, "A_minus": 1}},
        {"W.inputs": 1, "W.preSpike": 1},
    )
    assert [re.match(r"W\.(\w+) needs a wire", message)[1] for message in messages] == [
        "preTrace",
        "postSpike",
        "postTrace",
    ]


def test_a_phase_may_take_a_wire_away():
    components = {"a": source(2), "v": {"type": "ClassVote", "n_units": 2, "n_classes": 2}, "b": rate(2)}
    it = checked(
        components,
        {"v.s": "a.outputs", "b.j": "a.outputs"},
        phases=[{"name": "on"}, {"name": "off", "wires": {"b.j": None}}, {"name": "other", "wires": {"b.j": 7}}],
        record={"b.j": {}},
    )
    assert [unwired(phase.graph) for phase in it.phases] == [
        ["v.labels", "b.j_td", "b.clamped"],
        ["v.labels", "b.j", "b.j_td", "b.clamped"],
        ["v.labels", "b.j_td", "b.clamped"],
    ]
    found = [np.asarray(_steps(it, phase)["b.j"])[-1, 0, 0] for phase in it.phases]
    assert found == [1.0, 0.0, 7.0]


# ------------------------------------------------------------------------------------------------------------ override


def test_override_reaches_every_leaf_and_changes_no_program():
    graph = graph_of(
        {
            "a": source(2),
            "z": rate(2),
            "y": rate(2, tau_m=[4, 5]),
            "W": {"type": "HebbianSynapse", "shape": [2, 2], "w_decay": 0.1, "normalise": {"columns": "l1", "to": 2.0}},
        },
        {"W.inputs": 1, "W.pre": 1, "W.post": 1},
    )
    other = override(
        graph,
        {
            "z.tau_m": 20,
            "components.y.tau_m": [6, 7],
            "W.eta": 0.5,
            "W.g_conduct_factor": 3.0,
            "W.weight_init.low": 0.5,
            "W.normalise.to": 4.0,
            "W.w_decay": 0.2,
            "seed": 9,
        },
    )
    assert float(other.parts["z"].tau_m) == 20 and int(other.seed) == 9
    np.testing.assert_array_equal(other.parts["y"].tau_m, [6, 7])
    weights = other.parts["W"]
    assert [
        float(x) for x in (weights.rule.eta, weights.resist_scale, weights.weight_init.low, weights.normalise.to)
    ] == [0.5, 3.0, 0.5, 4.0]
    assert float(weights.rule.w_decay) == pytest.approx(0.2)
    assert jax.tree.structure(other) == jax.tree.structure(graph)
    assert all(leaf.dtype == np.float32 for leaf in jax.tree.leaves(other.parts))
    assert float(graph.parts["z"].tau_m) == 10  # the first is as it was


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("z.tau", 1.0, "z.tau is not a number that can change"),
        ("q.tau_m", 1.0, "q.tau_m is not a number"),
        ("z.n_units", 3, "z.n_units is not a number"),
        ("z.act_fx", "tanh", "z.act_fx is not a number"),
        ("run.dt", 1.0, "run.dt is not a number"),
        ("W.w_decay", 0.1, "null in the config"),
        ("z.tau_m", None, "cannot become None"),
        ("z.tau_m", "fast", "cannot become 'fast'"),
        ("z.tau_m", [1.0, 2.0, 3.0], "of shape []"),
        ("W.weight_init", 0.1, "W.weight_init is not a number"),
        ("W.weight_init.hollow", True, "is not a number"),
        ("W.weight_init.nothing", 1.0, "is not a number"),
        ("W.normalise.to", 1.0, "is not a number"),
    ],
)
def test_override_refuses_what_is_no_leaf(path, value, said):
    graph = graph_of(
        {"z": rate(2), "W": {"type": "HebbianSynapse", "shape": [2, 2]}}, {"W.inputs": 1, "W.pre": 1, "W.post": 1}
    )
    with pytest.raises(ConfigError) as error:
        override(graph, {path: value, "z.priorlmbda": 1.0})
    assert len(error.value.faults) == 2
    assert said in str(error.value.faults[0]) and path in str(error.value.faults[0])


def test_a_phase_sets_leaves_for_itself():
    it = checked(
        {"a": source(1, 1.0), "z": rate(1)},
        {"z.j": "a.outputs"},
        phases=[{"name": "slow"}, {"name": "fast", "set": {"z.tau_m": 2, "a.value": 3}}, {"name": "as_before"}],
        run={"steps": 1},
        record={"z.z": {}},
    )
    assert [float(phase.graph.parts["z"].tau_m) for phase in it.phases] == [10, 2, 10]
    assert [float(np.asarray(_steps(it, phase)["z.z"]).item()) for phase in it.phases] == [
        pytest.approx(0.1),
        pytest.approx(1.5),
        pytest.approx(0.1),
    ]


def test_a_phase_that_sets_null_or_what_is_null():
    components = {"W": {"type": "HebbianSynapse", "shape": [2, 2]}}
    wires = {"W.inputs": 1, "W.pre": 1, "W.post": 1}
    (message,) = faults_of(components, wires, phases=[{"name": "p", "set": {"W.w_decay": 0.5}}])
    assert "null in the config" in message
    decays = {"W": components["W"] | {"w_decay": 0.5}}
    (message,) = faults_of(decays, wires, phases=[{"name": "p", "set": {"W.w_decay": None}}])
    assert "W.w_decay cannot become None" in message
    (message,) = faults_of({"z": rate(2)}, phases=[{"name": "p", "set": {"z.tau_m": {"type": "constant", "value": 3}}}])
    assert "z.tau_m cannot become" in message and "only numbers" in message


# --------------------------------------------------------------------------------------------------------- expressions

A, B, D = 3.0, -2.0, 5.0


@pytest.mark.parametrize(
    ("wire", "value"),
    [
        (12.5, 12.5),
        (-3, -3),
        ("12.5", 12.5),
        ("a.outputs", A),
        ("-a.outputs", -A),
        ("a.outputs - 0.5 * b.outputs", A - 0.5 * B),
        ("a.outputs - b.outputs - d", A - B - D),
        ("a.outputs - (b.outputs - d)", A - (B - D)),
        ("a.outputs * b.outputs * d", A * B * D),
        ("2 * (a.outputs + b.outputs) * -d", 2 * (A + B) * -D),
        ("-(a.outputs + -2e-1) * --d", -(A - 0.2) * D),
        ("1 - 2 - 3 + a.outputs", -4 + A),
        ("a.outputs + b.outputs * d", A + B * D),
        ("(a.outputs)", A),
        ("d", D),
        ("3 * d - 1", 3 * D - 1),
        (["a.outputs", "b.outputs"], A + B),
        (["a.outputs", -1.5, "2 * d"], A - 1.5 + 2 * D),
        (["d"], D),
        ("a . outputs".replace(" ", ""), A),
        ("a.outputs * a.outputs - a.outputs", A * A - A),
    ],
)
def test_an_expression_has_the_value_that_it_says(tmp_path, wire, value):
    it = checked(
        {"a": source(2, A), "b": source(2, B), "z": rate(2)},
        {"z.j": wire},
        data={"d": data_file(tmp_path, np.full((1, 2), D))},
        record={"z.j": {}},
    )
    np.testing.assert_allclose(trace(it, "z.j")[-1], [value, value], rtol=1e-6)


def test_an_expression_reads_at_the_call_and_in_the_order_written():
    """z reads what a did in the same step, and what z itself did one step before."""
    it = checked(
        {"z": rate(1), "a": {"type": "PulseSource", "n_units": 1, "amplitude": 8.0, "stop": 2.0}},
        {"z.j": "a.outputs + z.z"},
        schedule={"step": ["z", "a"]},
        record={"z.j": {}},
        run={"steps": 4},
    )
    pulse, z, seen = 0.0, 0.0, []
    for k in range(4):
        seen.append(pulse + z)
        z += (pulse + z) / 10
        pulse = 8.0 if k < 2 else 0.0
    np.testing.assert_allclose(trace(it, "z.j")[:, 0], seen, rtol=1e-6)


def test_the_leaves_of_a_wire():
    wire = ("add", ("mul", ("number", 2.0), ("read", "z", "v")), ("neg", ("data", "d")))
    assert list(reads(wire)) == [("read", "z", "v"), ("data", "d")]
    with pytest.raises(ValueError, match="not a wire"):
        engine.read(graph_of({"z": rate(1)}), ("div", 1, 2), {}, {})


def test_only_outlets_that_are_read_or_recorded_are_carried():
    def carried(**rest: Any) -> set[str]:
        graph = graph_of(
            {"a": source(2), "z": {"type": "LIFCell", "n_units": 2, "tau_m": 10}}, {"z.j": "a.outputs"}, **rest
        )
        return {f"{name}.{compartment}" for name, compartment, what in graph.carried() if what.kind == "outlet"}

    assert carried() == set()
    assert carried(record={"z.s": {}}) == {"z.s"}
    assert carried(record={"z.s": False}) <= {"z.s"}
    graph = graph_of(
        {"z": {"type": "LIFCell", "n_units": 2, "tau_m": 10}, "t": {"type": "VarTrace", "n_units": 2, "tau_tr": 9}},
        {"z.j": 1, "t.inputs": "z.s"},
    )
    assert ("z", "s") in {(name, compartment) for name, compartment, _ in graph.carried()}


def test_learning_false_drops_every_evolve_and_a_schedule_is_merged():
    components = {"a": source(2), "W": {"type": "HebbianSynapse", "shape": [2, 2], "eta": 1.0}, "b": rate(2)}
    wires = {"W.inputs": "a.outputs", "W.pre": "a.outputs", "W.post": "b.zF", "b.j": "W.outputs"}
    it = checked(
        components,
        wires,
        schedule={"step": ["a", "W", "b"], "end": ["W.evolve", "a.reset"]},
        phases=[
            {"name": "learn"},
            {"name": "hold", "learning": False},
            {"name": "other", "schedule": {"step": ["b", "W.evolve", "W.evolve"]}},
        ],
    )

    def calls(phase: int, when: str) -> list[tuple[str, str, int]]:
        return [tuple(call) for call in getattr(it.phases[phase].graph.order, when)]

    steps = [("a", "advance", 0), ("W", "advance", 0), ("b", "advance", 0)]
    assert calls(0, "step") == calls(1, "step") == steps
    assert calls(0, "end") == [("W", "evolve", 0), ("a", "reset", 1)]
    assert calls(1, "end") == [("a", "reset", 1)]
    assert calls(2, "step") == [("b", "advance", 0), ("W", "evolve", 0), ("W", "evolve", 1)]
    assert calls(2, "end") == [("W", "evolve", 2), ("a", "reset", 1)]  # what is not written stays
    assert calls(0, "start") == [("a", "reset", 0), ("W", "reset", 0), ("b", "reset", 0)]


# ------------------------------------------------------------------------------------------------------------- helpers


def _steps(it: RunPlan, phase: Any) -> dict[str, Any]:
    """The records of the first trial of a phase, from the start of the run: (step, row, unit)."""
    with computing(it.spec):
        _, taken = jax.jit(
            lambda data: engine.trials(
                phase.graph, phase.takes, engine.start_carry(phase.graph), data, jnp.uint32(0), 1
            )
        )(phase.chunk_data(0, 1))
    return {path: values[0] for path, values in taken.items()}


def trace(it: RunPlan, path: str) -> np.ndarray:
    """A record of all trials, row 0: (trial * step, unit)."""
    phase = it.phases[0]
    with computing(it.spec):
        _, taken = jax.jit(
            lambda data: engine.trials(
                phase.graph, phase.takes, engine.start_carry(phase.graph), data, jnp.uint32(0), phase.trials
            )
        )(phase.chunk_data(0, phase.trials))
    values = np.asarray(taken[path])
    return values.reshape(-1, *values.shape[2:])[:, 0]
