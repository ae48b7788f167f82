"""The modern Hopfield network: against its document in NumPy, against theory, and as a part of a circuit."""

from __future__ import annotations

import math
import re
from typing import Any

import h5py
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from stepping import call, run, starts

import synsim
from synsim import api, engine
from synsim.component import Now
from synsim.components.synapses.hopfield_synapse import HopfieldSynapse
from synsim.faults import ConfigError
from synsim.graph import Graph, override
from synsim.initialisers import Array, Constant, Gaussian, Uniform

pytestmark = pytest.mark.usefixtures("small_programs")

BETAS = (0.1, 0.25, 1.0, 4.0, 8.0)
RNG = np.random.default_rng(4)


# -------------------------------------------------------------------------------------------- the document, in NumPy


def softmax(a: np.ndarray) -> np.ndarray:
    raised = np.exp(a - a.max(1, keepdims=True))
    return raised / raised.sum(1, keepdims=True)


def lse(beta: float, a: np.ndarray) -> np.ndarray:
    """log(sum exp(beta a)) / beta of each row."""
    top = (beta * a).max(1)
    return (np.log(np.exp(beta * a - top[:, None]).sum(1)) + top) / beta


def document(
    w: np.ndarray,
    probes: np.ndarray,
    *,
    beta: float,
    eta: float = 0.0,
    reg_lambda: float = 0.0,
    update_rule: str = "delta",
    energy_form: str = "reference",
    contrastive_form: str = "reference",
    resist_scale: float = 1.0,
) -> dict[str, np.ndarray]:
    """Every compartment after each step of advance and evolve, in float64; probes (steps, B, D)."""
    seen: dict[str, list] = {}
    for x in probes:
        s = x @ w
        z = softmax(beta * s)
        y = resist_scale * z @ w.T
        below = s - s.max(1, keepdims=True)
        if energy_form == "published":
            largest = max(np.linalg.norm(w[:, k]) for k in range(w.shape[1]))
            energies = -lse(beta, s) + 0.5 * (x * x).sum(1)
        else:
            largest = max(np.linalg.norm(w[d]) for d in range(w.shape[0]))
            energies = -lse(beta, below) + 0.5 * np.diag(x @ y.T)
        energies = energies + math.log(w.shape[1]) / beta + 0.5 * largest**2
        if update_rule == "delta":
            change = np.mean([np.outer(x[b] - y[b], z[b]) for b in range(len(x))], axis=0)
        else:
            back = softmax((beta if contrastive_form == "published" else 1.0) * (y @ w))
            change = np.mean([np.outer(x[b], z[b]) - np.outer(y[b], back[b]) for b in range(len(x))], axis=0)
        w = w + eta * change - reg_lambda * w
        now = dict(outputs=y, similarities=below, memory_weights=z, energies=energies, energy=energies.mean())
        for name, value in (now | dict(weights=w, dWeights=change)).items():
            seen.setdefault(name, []).append(value)
    return {name: np.stack(values) for name, values in seen.items()}


FORMS = [
    dict(update_rule="delta"),
    dict(update_rule="delta", energy_form="published", resist_scale=1.3),
    dict(update_rule="contrastive", reg_lambda=0.02),
    dict(update_rule="contrastive", contrastive_form="published", energy_form="published"),
]


@pytest.mark.parametrize("form", FORMS, ids=lambda form: "-".join(map(str, form.values())))
@pytest.mark.parametrize("shape", [(4, 6), (6, 4), (5, 5)])
@pytest.mark.parametrize("batch", [1, 3])
def test_fifty_steps_from_a_fresh_state(shape, batch, form):
    """The reference fails here: it declares similarities as wide as the inputs."""
    settings = dict(eta=0.1, beta=1.5) | form
    synapse = HopfieldSynapse(shape=shape, weight_init=Gaussian(std=0.7), **settings)
    probes = RNG.normal(size=(50, batch, shape[0]))
    w = np.asarray(starts(synapse, batch)["weights"], np.float64)
    found = run(synapse, {"inputs": probes}, 50, batch=batch, methods=("advance", "evolve"))
    expected = document(w, np.asarray(probes, np.float32).astype(np.float64), **settings)
    assert np.abs(expected["weights"][-1] - w).max() > 0.1
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-5, atol=1e-5 * np.abs(values).max(), err_msg=name)
    np.testing.assert_allclose(found["energies"].mean(1), found["energy"], rtol=1e-6)
    np.testing.assert_array_equal(found["i_tick"], np.arange(1, 51))


def test_the_two_energies_and_the_two_contrastive_rules_differ():
    probes, shape = RNG.normal(size=(3, 2, 4)), (4, 6)
    common = dict(shape=shape, eta=0.1, beta=3.0, update_rule="contrastive")
    both = [
        run(
            HopfieldSynapse(energy_form=form, contrastive_form=form, **common),
            {"inputs": probes},
            3,
            batch=2,
            methods=("advance", "evolve"),
        )
        for form in ("reference", "published")
    ]
    for name in ("energies", "dWeights"):
        assert (np.abs(both[0][name] - both[1][name]).max((1,)) > 1e-3).any()
    np.testing.assert_array_equal(both[0]["outputs"][0], both[1]["outputs"][0])


# ------------------------------------------------------------------------------------------------------------ theory


def hadamard(n: int) -> np.ndarray:
    """n orthogonal rows of -1 and 1."""
    return np.ones((1, 1)) if n == 1 else np.kron([[1, 1], [1, -1]], hadamard(n // 2))


def retrieval(weights: np.ndarray, probes: np.ndarray, updates: int, **settings: Any) -> dict[str, np.ndarray]:
    """Some updates in float64, each from what the last one gave; every compartment after each of them."""
    with jax.enable_x64(True):
        memory = HopfieldSynapse(shape=weights.shape, eta=0.0, **settings)
        values = starts(memory, len(probes), jnp.float64) | dict(weights=jnp.asarray(weights))
        x, seen = jnp.asarray(probes), []
        for _ in range(updates):
            fed = dict(inputs=x, clamped=x)
            values = call(memory, "advance", values, fed, Now(0.0, 0, 1.0, jax.random.key(0)))
            x = values["outputs"]
            seen.append(values)
        return {name: np.stack([np.asarray(one[name]) for one in seen]) for name in values}


def retrieved(patterns: np.ndarray, probe: np.ndarray, beta: float) -> np.ndarray:
    """What one update makes of a probe."""
    return retrieval(patterns.T, probe[None], 1, beta=beta)["outputs"][0, 0]


def test_the_error_of_one_update_falls_exponentially_with_the_separation():
    """Ramsauer et al. (2020), theorem 4. For n orthogonal patterns of norm m the separation is m^2 and the error of a
    stored one is q m sqrt(n / (n - 1)), with q = 1 - z_1 and z_1 = 1 / (1 + (n - 1) exp(-beta m^2))."""
    n = 8
    separation = np.linspace(2.0, 20.0, 10)
    errors = []
    for each in separation:
        patterns = hadamard(n) * math.sqrt(each / n)
        error = np.linalg.norm(retrieved(patterns, patterns[2], 1.0) - patterns[2])
        others = (n - 1) * math.exp(-each)
        assert error == pytest.approx(others / (1 + others) * math.sqrt(each * n / (n - 1)), rel=1e-9)
        errors.append(error / math.sqrt(each))
    slope = np.polyfit(separation[4:], np.log(errors)[4:], 1)[0]
    assert slope == pytest.approx(-1.0, abs=1e-3)


def test_the_error_falls_with_beta_at_the_rate_of_the_separation():
    """For any patterns the nearest other memory decides: log error falls by beta times the separation."""
    patterns = np.sign(np.random.default_rng(1).normal(size=(12, 40)))
    products = patterns @ patterns.T
    betas = np.linspace(0.4, 0.8, 5)
    for i in range(4):
        separation = products[i, i] - np.delete(products[i], i).max()
        errors = [np.linalg.norm(retrieved(patterns, patterns[i], beta) - patterns[i]) for beta in betas]
        slope = np.polyfit(betas * separation, np.log(errors), 1)[0]
        assert slope == pytest.approx(-1.0, abs=0.05)


@pytest.mark.parametrize("beta", BETAS)
def test_the_published_energy_never_rises(beta):
    random = np.random.default_rng(7)
    for weights in (random.normal(size=(10, 7)), np.sign(random.normal(size=(10, 20)))):
        energies = retrieval(weights, random.normal(size=(9, 10)), 5, beta=beta, energy_form="published")["energies"]
        assert np.diff(energies, axis=0).max() <= 1e-12
        assert energies.min() >= 0.0 and (energies[0] - energies[-1]).min() > 1e-3  # the paper's lower bound


def test_the_energy_of_the_reference_may_rise():
    random = np.random.default_rng(7)
    energies = retrieval(random.normal(size=(10, 7)), random.normal(size=(9, 10)), 5, beta=4.0)["energies"]
    assert np.diff(energies, axis=0).max() > 0.1


# ------------------------------------------------------------------------------------------------ what is in memory


def config(**settings: Any) -> dict[str, Any]:
    """A config of one memory of digits, 5 of them at a time on its inputs."""
    return {
        "name": "memory",
        "seed": 3,
        "run": {"steps": 4, "batch": 5},
        "data": {
            "digit": {"type": "digits", "rows": "0:5", "binarize": 8, "levels": [-1, 1]},
            "image": {"type": "digits", "rows": "0:5", "axes": ["row", "y", "x"]},
        },
        "components": {"W": {"type": "HopfieldSynapse", "eta": 0.1, "beta": 0.05, **settings}},
        "wires": {"W.inputs": "digit"},
    }


def graph_of(**settings: Any) -> Graph:
    return api.check(config(**settings)).phases[0].graph


def memory_of(graph: Graph) -> np.ndarray:
    return np.asarray(engine.initial_state(graph)["W"]["weights"])


DIGITS = {"type": "data", "entry": "digit"}


def test_patterns_fill_the_first_columns_and_the_rest_keeps_weight_init():
    digits = synsim.check(config(shape=[64, 8], initial_patterns=DIGITS)).phases[0].entries["digit"].values
    rest = memory_of(graph_of(shape=[64, 8]))
    assert 0.025 <= rest.min() < 0.1 and 0.7 < rest.max() <= 0.8
    some = memory_of(graph_of(shape=[64, 8], initial_patterns=DIGITS))
    np.testing.assert_array_equal(some[:, :5], digits.T)
    np.testing.assert_array_equal(some[:, 5:], rest[:, 5:])
    np.testing.assert_array_equal(memory_of(graph_of(shape=[64, 5], initial_patterns=DIGITS)), digits.T)
    assert (memory_of(graph_of(shape=[64, 8], initial_patterns=DIGITS, weight_init=0.5))[:, 5:] == 0.5).all()
    drawn = memory_of(graph_of(shape=[64, 8], initial_patterns={"type": "gaussian"}))
    assert (np.abs(drawn).sum(0) > 30).all()  # an initialiser that draws fills all slots
    first = memory_of(graph_of(shape=[64, 8], initial_patterns={**DIGITS, "row_mask": [0, 3]}))
    np.testing.assert_array_equal(np.abs(first[:, :5]).sum(0), [64, 0, 0, 64, 0])


def test_the_shape_is_that_of_the_wires_and_of_the_patterns():
    graph = graph_of(initial_patterns=DIGITS)
    assert graph.parts["W"].shape == (64, 5)
    looped = config(initial_patterns=DIGITS) | {"wires": {"W.inputs": "W.outputs"}}
    assert api.check(looped).phases[0].graph.parts["W"].shape == (64, 5)  # the patterns alone say both
    with pytest.raises(ConfigError, match=r"shape of W .* its presynaptic side has shape \[64\]; write its shape"):
        graph_of()


def test_patterns_that_do_not_fit_are_told_apart(tmp_path):
    with pytest.raises(ConfigError, match=r"5 patterns \(rows\) for 4 memory slots; take fewer, or a larger shape"):
        graph_of(shape=[64, 4], initial_patterns=DIGITS)
    for name, values, words in (
        ("narrow", np.ones((3, 60)), r"patterns \(rows\) of 60 values, and there are 64 units$"),
        ("turned", np.ones((64, 5)), r"patterns \(rows\) of 5 values, and there are 64 units; .* transpose it"),
        ("images", np.ones((5, 8, 8)), r"must be a matrix, one pattern a row; the values have shape \[5, 8, 8\]"),
    ):
        np.save(tmp_path / f"{name}.npy", values)
        with pytest.raises(ConfigError) as caught:
            graph_of(shape=[64, 9], initial_patterns={"type": "file", "path": str(tmp_path / f"{name}.npy")})
        (fault,) = caught.value.faults
        assert re.search(words, fault.message), fault.message
        assert fault.path == ("components", "W", "initial_patterns")
    with pytest.raises(ConfigError, match=r"W: initial_patterns: col_mask names columns outside 0 to 63"):
        graph_of(shape=[64, 8], initial_patterns={**DIGITS, "col_mask": [64]})


def learned(graph: Graph, steps: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """The memory before and after some steps of advance and evolve."""
    data = {"digit": jnp.asarray(np.sign(np.random.default_rng(0).normal(size=(5, 64))), "float32")}
    carry = jax.jit(lambda c: engine.steps(graph, (), c, data, jnp.uint32(0), jnp.int32(0), steps)[0])(
        engine.start_carry(graph)
    )
    return memory_of(graph), np.asarray(carry.state["W"]["weights"])


@pytest.mark.parametrize("rule", ["delta", "contrastive"])
def test_connections_that_are_taken_away_stay_away(rule, tmp_path):
    mask = (np.arange(64 * 8).reshape(64, 8) % 3 > 0).astype(float)
    np.save(tmp_path / "mask.npy", mask)
    before, after = learned(
        graph_of(
            shape=[64, 8],
            initial_patterns=DIGITS,
            update_rule=rule,
            p_conn=0.5,
            mask={"type": "file", "path": str(tmp_path / "mask.npy")},
        )
    )
    assert (before[mask == 0] == 0).all() and 0.4 < (before[mask == 1] != 0).mean() < 0.6
    np.testing.assert_array_equal(before != 0, after != 0)
    assert np.abs(after - before).max() > 0.01
    full, _ = learned(graph_of(shape=[64, 8], initial_patterns=DIGITS))
    np.testing.assert_array_equal(before[before != 0], full[before != 0])


def test_the_gain_scales_what_is_retrieved():
    patterns, probes = RNG.normal(size=(6, 4)), RNG.normal(size=(1, 3, 4))
    settings = dict(shape=(4, 6), eta=0.0, initial_patterns=Array(array=jnp.asarray(patterns)))
    plain, scaled = (
        run(HopfieldSynapse(resist_scale=scale, **settings), {"inputs": probes}, 1, batch=3) for scale in (1.0, 2.5)
    )
    np.testing.assert_allclose(scaled["outputs"], 2.5 * plain["outputs"], rtol=1e-6)
    np.testing.assert_array_equal(scaled["memory_weights"], plain["memory_weights"])


def test_numbers_are_leaves_that_phases_and_sweeps_may_change():
    graph = graph_of(shape=[64, 8], initial_patterns=DIGITS, weight_init={"type": "uniform"})
    changed = override(
        graph,
        {"W.eta": 0.5, "W.beta": 2.0, "W.reg_lambda": 0.1, "W.g_conduct_factor": 3.0, "W.weight_init.high": 2.0},
    )
    assert jax.tree.structure(changed) == jax.tree.structure(graph)
    part: Any = changed.parts["W"]
    assert [float(v) for v in (part.eta, part.beta, part.reg_lambda, part.resist_scale)] == pytest.approx(
        [0.5, 2.0, 0.1, 3.0]
    )
    assert memory_of(changed).max() > 1.5


def test_clamp_puts_the_probe_onto_the_outputs_and_a_reset_keeps_the_count():
    memory = HopfieldSynapse(shape=(4, 6), eta=0.1, weight_init=Uniform(), mask=Constant(value=1.0))
    probe = RNG.normal(size=(1, 2, 4))
    found = run(memory, {"clamped": probe}, 1, batch=2, methods=("advance", "clamp"))
    np.testing.assert_array_equal(found["outputs"][0], probe[0].astype("float32"))
    assert found["i_tick"] == 1.0
    assert memory.compartments["i_tick"].learned and memory.compartments["weights"].learned


# --------------------------------------------------------------------------------------------------- in a whole run

LOOP = """
name: loop
run: {steps: 6, batch: 10}
data:
  digit: {type: digits, rows: "0:10", binarize: 8, levels: [-1, 1]}
  probe: {type: digits, rows: "0:10", binarize: 8, levels: [-1, 1], corrupt: {type: mask, share: 0.5}}
components:
  W: {type: HopfieldSynapse, eta: 0.1, energy_form: published, beta: 2, initial_patterns: {type: data, entry: digit}}
wires: {W.inputs: W.outputs, W.clamped: probe}
schedule: {start: [reset, W.clamp], step: [W]}
record: {W.inputs: {}, W.energies: {}, W.energy: {}, W.memory_weights: {}, W.weights: {every: trial}}
"""


def test_outputs_wired_back_settle_on_the_pattern_and_the_file_says_what_is_what(tmp_path):
    path = tmp_path / "loop.yaml"
    path.write_text(LOOP)
    with synsim.run(path, out=tmp_path) as left:
        plan = synsim.check(path)
        digits, probes = (plan.phases[0].entries.get(name) for name in ("digit", "probe"))
        assert digits is None and probes is not None  # the patterns drive no trial
        inputs, energies = np.asarray(left["W.inputs"].data), np.asarray(left["W.energies"].data)
        np.testing.assert_array_equal(inputs[0], probes.values)
        assert inputs.shape == (6, 10, 64) and ((probes.values == 0).sum(1) == 32).all()
        patterns = np.asarray(left["W.weights"].data)[0].T
        np.testing.assert_allclose(inputs[-1], patterns, atol=1e-4)
        assert (
            set(np.unique(patterns)) == {-1.0, 1.0}
            and (patterns[probes.values != 0] == inputs[0][probes.values != 0]).all()
        )
        assert np.diff(energies, axis=0).max() < 1e-4 < energies[0].min()
        np.testing.assert_allclose(left["W.energy"].data, energies.mean(1), rtol=1e-5)
        assert [name for name, _ in left.records["W.memory_weights"].axes] == ["row", "memory"]
        assert [name for name, _ in left.records["W.weights"].axes] == ["unit", "memory"]
        assert float(left.final("W", "i_tick")) == 6.0
    with h5py.File(tmp_path / "loop" / "loop.h5") as file:
        np.testing.assert_array_equal(file["final/W/weights"][:].T, patterns)


def test_learning_moves_a_memory_towards_what_is_shown(tmp_path):
    """The delta rule brings the nearest memory to its probe: x - y falls by eta z a step where z is about 1."""
    done = config(shape=[64, 8], initial_patterns=DIGITS, beta=1.0, eta=0.5)
    done["data"]["probe"] = {
        "type": "digits", "rows": "0:5", "binarize": 8, "levels": [-1, 1], "corrupt": {"type": "mask", "share": 0.25}
    }  # fmt: skip
    done["wires"] = {"W.inputs": "probe"}
    done["run"]["steps"] = 40
    done["schedule"] = {"step": ["W", "W.evolve"]}
    done["record"] = {"W.outputs": {}, "W.inputs": {}}
    with synsim.run(done, out=tmp_path) as left:
        away = np.abs(np.asarray(left["W.inputs"].data) - np.asarray(left["W.outputs"].data)).mean((1, 2))
    # each of five probes has a memory of its own, so that its error falls by eta / 5 a step
    assert away[0] == pytest.approx(0.25, abs=0.01)
    np.testing.assert_allclose(away[1:] / away[:-1], 0.9, rtol=0.01)
