"""One contract that every registered type keeps. What a type needs to be built is read off its description, so a new
component is held to it without an edit here."""

from __future__ import annotations

import dataclasses
import itertools
import json
import re
import shutil
import tempfile
import typing
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import choose

from synsim import api, catalogue, describe, engine
from synsim.component import Declaration, Now, Size, View
from synsim.config import load
from synsim.device import computing
from synsim.faults import ConfigError
from synsim.graph import Call, Graph
from synsim.plan import plan

pytestmark = pytest.mark.usefixtures("small_programs")

STEPS = 50
UNITS = 5
IMAGE = (6, 4)  # not square, and more rows than a kernel has
KERNEL = (3, 2, 2, 3)
DENSE = (5, 3)
KNOWN_UNITS = {"", *"ms mV nA MOhm 1/nA Hz nats nS pF 1 rad 1/ms mS uF uS uS/ms".split()}

TYPES = tuple(catalogue.types())
PRESETS = [entry for entry in catalogue.types().values() if not isinstance(entry, type)]
# `Synapse` leaves its parts open: each part that no preset has is a case of its own
CASES: dict[str, dict[str, Any]] = {
    **{name: {} for name in TYPES if name != catalogue.SYNAPSE},
    catalogue.SYNAPSE: {"connectivity": "dense"},
    **{
        f"Synapse {name}": {"connectivity": "dense", kind: name}
        for kind in catalogue.SYNAPSE_PARTS
        for name in catalogue.parts(kind)
        if name not in {getattr(preset, kind) for preset in PRESETS}
    },
}
SOME = list(CASES)[:: choose(3, 1)]  # for tests that compile programs of each
BOTH = [(3, "float32"), (1, "float64")]
ALL = [*BOTH, (1, "float32"), (3, "float64")]


# ------------------------------------------------------------------------------------------- a config for any type


def value_for(setting: describe.Setting, rank: int = 0) -> Any:
    """Some value that a setting allows, by what it says of itself; lower for settings of a higher rank.

    Two times that a model needs are not the same one, and the first is mostly the longer.
    """
    options = [kind for kind in typing.get_args(setting.annotation) or (setting.annotation,) if kind is not type(None)]
    if setting.annotation == Size:
        return UNITS
    if typing.get_origin(setting.annotation) is typing.Literal:
        return options[0]
    if typing.get_origin(setting.annotation) is tuple:
        return list(KERNEL if len(options) == 4 else DENSE if len(options) == 2 else (3,) * len(options))
    if setting.role == "part":
        return {"type": next(iter(describe.choices(setting)))}
    kind = options[0]
    if kind is bool:
        return True
    low = setting.bounds.get("gt", setting.bounds.get("ge", 0.0))
    high = setting.bounds.get("lt", setting.bounds.get("le", low + 20.0))
    return int(low) + 3 if kind is int else low + (high - low) / (2 + rank) if kind is float else "x"


def settings_for(type_name: str, chosen: Mapping[str, Any]) -> dict[str, Any]:
    """The least that a type needs: its required settings, and shapes where only a wire could give them."""
    table = describe.settings(type_name, chosen)
    made = dict(chosen)
    for name, setting in table.items():
        if name not in made and setting.required:
            made[name] = value_for(setting, len(made))
    if "shape" in table and "shape" not in made:
        made["shape"] = list(DENSE)
    if "x_shape" in table:
        made["x_shape"] = list(IMAGE)
    return made


def dt_for(type_name: str, settings: Mapping[str, Any]) -> float:
    """A tenth of the shortest time constant, at most 1 ms: a cell may be too fast for steps of 1 ms."""
    table = describe.settings(type_name, settings)
    times = [settings.get(name, setting.default) for name, setting in table.items() if name.startswith("tau_")]
    return min([1.0, *(0.1 * time for time in times if isinstance(time, float) and time > 0.0)])


def config_for(
    type_name: str,
    chosen: Mapping[str, Any],
    folder: Path,
    *,
    batch: int = 1,
    precision: str = "float32",
    steps: int = STEPS,
) -> dict[str, Any]:
    """One component with random data on every inlet; all its methods are called in each step, and all is recorded."""
    settings = settings_for(type_name, chosen)
    compartments = describe.compartments(type_name, settings)
    inlets = [name for name, c in compartments.items() if c.kind == "inlet"]
    config = {
        "name": "one",
        "run": {"dt": dt_for(type_name, settings), "steps": steps, "batch": batch, "precision": precision},
        "components": {"c": {"type": type_name, **settings}},
        "wires": {f"c.{name}": 0.5 for name in inlets},
        "schedule": {"step": [f"c.{method}" for method in describe.methods(type_name, settings)]},
        "record": {f"c.{name}": {} for name in compartments},
        "data": {},
    }
    # a number fits an inlet of any shape: once the sizes are known, data take its place
    with computing(load(config)):
        part = plan(load(config)).phases[0].graph.parts["c"]
    random = np.random.default_rng(len(type_name))
    inner = {0: (), 1: ("unit",), 2: ("y", "x"), 3: ("y", "x", "channel")}
    for name in inlets:
        what = compartments[name]
        shape = part.sizes()[what.size] if what.size else ()
        if not what.batch:
            continue
        if what.integer:
            values: Any = random.integers(0, 2, (batch, *shape))
        else:
            values = random.uniform(0.0, 2.0, (batch, *((steps,) if shape else ()), *shape))
        path = folder / f"{name}-{batch}.npy"
        np.save(path, values)
        axes = ["row", *(("step",) if shape and not what.integer else ()), *inner[len(shape)]]
        config["data"][f"d_{name}"] = {"type": "file", "path": str(path), "axes": axes}
        config["wires"][f"c.{name}"] = f"d_{name}"
    return config


@cache
def _folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="synsim-contract-"))


@pytest.fixture(scope="module", autouse=True)
def _clean():
    yield
    shutil.rmtree(_folder(), ignore_errors=True)


@cache
def planned(case: str, batch: int = 1, precision: str = "float32") -> Any:
    chosen = CASES[case]
    folder = _folder() / re.sub(r"\W", "-", case)
    folder.mkdir(exist_ok=True)
    spec = load(config_for(case.split()[0], chosen, folder, batch=batch, precision=precision))
    with computing(spec):
        return plan(spec)


def shapes(tree: Any) -> Any:
    return jax.tree.map(lambda leaf: (tuple(leaf.shape), str(leaf.dtype)), tree)


# ----------------------------------------------------------------------------------------------------- what it says


@pytest.mark.parametrize("case", CASES)
def test_all_is_said_about_settings_and_compartments(case):
    name, chosen = case.split()[0], CASES[case]
    for setting in describe.settings(name, chosen).values():
        at = f"{name}.{setting.name}"
        assert setting.doc.strip() and setting.doc[0].isupper() and setting.doc.rstrip().endswith("."), at
        assert setting.unit in KNOWN_UNITS, at
        said = re.search(r"calls|in steps|share|number of", setting.doc, re.IGNORECASE)
        if re.match(r"(tau_|.*_time$)", setting.name) and setting.annotation in (float, float | None):
            assert setting.unit == "ms" or said, f"{at} is a time without a unit"
    for compartment, what in describe.compartments(name, settings_for(name, chosen)).items():
        at = f"{name}.{compartment}"
        assert what.doc.strip() and what.doc[0].isupper() and what.doc.rstrip().endswith((".", ").")), at
        assert what.unit in KNOWN_UNITS, at
        assert what.kind in ("inlet", "state", "outlet"), at


def test_units_agree_between_a_setting_and_the_state_that_starts_at_it():
    for name in TYPES:
        table = describe.settings(name, {"connectivity": "dense"} if name == catalogue.SYNAPSE else {})
        for compartment, what in describe.compartments(
            name, settings_for(name, {"connectivity": "dense"} if name == catalogue.SYNAPSE else {})
        ).items():
            if isinstance(what.start, str):
                assert table[what.start].unit == what.unit, f"{name}.{compartment} starts at {what.start}"


def classes() -> list[type[Declaration]]:
    """Every class that is a model or a part of one."""
    found = [entry for entry in catalogue.types().values() if isinstance(entry, type)]
    return found + [part for kind in ("connectivity", "dynamics", "rule") for part in catalogue.parts(kind).values()]


@pytest.mark.parametrize("declared", classes(), ids=lambda declared: declared.__name__)
def test_a_docstring_has_a_summary_an_equation_and_a_source(declared):
    summary, _, rest = declared.__doc__.partition("\n")
    assert summary.endswith((".", ":")) or "Source:" in summary or "=" in summary
    body, has_source, source = declared.__doc__.partition("Source:")
    assert re.search(r"=|<-|~", body), f"{declared.__name__} has no equation"
    assert has_source and source.strip(), f"{declared.__name__} names no source"


@pytest.mark.parametrize("name", TYPES)
def test_the_card_is_json_and_complete(name):
    card = json.loads(json.dumps(describe.card(name)))
    assert card["doc"] and card["family"] in ("neuron", "encoder", "error", "trace", "source", "readout", "synapse")
    assert "=" in card["equation"] or "<-" in card["equation"], name
    assert card["source"]
    assert {each["kind"] for each in card["compartments"]} <= {"inlet", "state", "outlet"}
    assert card["methods"][-1] == "reset" and "advance" in card["methods"]


def test_names_of_compartments_and_settings_do_not_clash():
    for name in TYPES:
        chosen = {"connectivity": "dense"} if name == catalogue.SYNAPSE else {}
        settings = set(describe.settings(name, chosen))
        for compartment, what in describe.compartments(name, settings_for(name, chosen)).items():
            # an inlet that reads a setting where nothing is wired may have its name
            assert compartment not in settings or (what.kind == "inlet" and what.default == compartment), name


# ------------------------------------------------------------------------------------------- the pytree that it keeps


@pytest.mark.parametrize(("batch", "precision"), choose(BOTH, ALL))
@pytest.mark.parametrize("case", CASES)
def test_every_method_keeps_the_tree_its_shapes_and_dtypes(case, batch, precision):
    it = planned(case, batch, precision)
    graph = it.phases[0].graph
    with computing(it.spec):
        before = jax.eval_shape(lambda: engine.initial_state(graph))
        expected = {
            name: ((*([batch] if what.batch else []), *_size(graph, what)), precision)
            for name, what in graph.parts["c"].compartments.items()
            if what.kind != "inlet"
        }
        assert shapes(before["c"]) == expected
        assert all(leaf.dtype == precision for leaf in jax.tree.leaves(graph.parts))
        held = jax.eval_shape(lambda: engine.initial_held(graph))
        data = {
            name: jnp.zeros((batch, *source.shape), "int32" if source.integer else precision)
            for name, source in graph.sources
        }
        moment = engine.Moment(jnp.int32(3), jnp.uint32(7), jnp.int32(0))
        for method in (*graph.parts["c"].methods, "reset"):
            call = Call("c", method)
            after, still = jax.eval_shape(
                lambda state, held, call=call: engine.apply(graph, call, jax.random.key(0), state, held, data, moment),
                before,
                held,
            )
            assert jax.tree.structure(after) == jax.tree.structure(before), method
            assert shapes(after) == shapes(before), method
            assert shapes(still) == shapes(held), method
        fresh = jax.eval_shape(lambda state: engine.begin_phase(graph, state), before)
        assert shapes(fresh) == shapes(before)


def _size(graph: Graph, what: Any) -> tuple[int, ...]:
    return graph.parts["c"].sizes()[what.size] if what.size else ()


@pytest.mark.parametrize("case", CASES)
def test_what_a_method_returns_are_its_own_states_and_outlets(case):
    """The engine drops what nobody declared; here it is an error, also where only an unread outlet is misspelt."""
    it = planned(case)
    graph, part = it.phases[0].graph, it.phases[0].graph.parts["c"]
    own = {name for name, what in part.compartments.items() if what.kind != "inlet"}
    read = {name for name, what in part.compartments.items() if what.kind != "outlet"}
    with computing(it.spec):
        state = engine.initial_state(graph)["c"]
        fed = {
            name: jnp.zeros(graph.shape("c", name), "int32" if what.integer else "float32")
            for name, what in part.compartments.items()
            if what.kind == "inlet"
        }
        for method in part.methods:
            # outlets are write-only for their own component: a method that reads one fails here
            view = View("c", {name: value for name, value in (state | fed).items() if name in read})
            now = Now(jnp.float32(0.0), jnp.int32(0), 1.0, jax.random.key(0))
            changed = jax.eval_shape(lambda view=view, now=now, method=method: part.method(method)(view, now))
            assert set(changed) <= own, method


@cache
def random_run(case: str, batch: int = 3, precision: str = "float32") -> Any:
    """The carry after a trial of random input, and all that was recorded of it."""
    return run_trial(planned(case, batch, precision))


def run_trial(it: Any) -> Any:
    phase = it.phases[0]
    with computing(it.spec):
        data = phase.chunk_data(0, 1)
        return jax.jit(
            lambda: engine.trials(phase.graph, phase.takes, engine.start_carry(phase.graph), data, np.uint32(0), 1)
        )()


@pytest.mark.parametrize(("batch", "precision"), choose(BOTH[:1], BOTH))
@pytest.mark.parametrize("case", SOME)
def test_fifty_steps_on_random_input_stay_finite_and_do_something(case, batch, precision):
    it = planned(case, batch, precision)
    carry, taken = random_run(case, batch, precision)
    assert int(carry.bad) == engine.NEVER
    for path, values in taken.items():
        values = np.asarray(values)
        assert np.isfinite(values).all(), path
        assert values.shape[:2] == (1, STEPS), path
    assert engine.all_finite(carry.state)
    graph = it.phases[0].graph
    own = [path for path in taken if graph.parts["c"].compartments[path[2:]].kind != "inlet"]
    moving = [path for path in own if np.ptp(np.asarray(taken[path], float)) > 0]
    assert moving or not graph.wires, "nothing ever changed"


def close(a: Any, b: Any) -> None:
    """Equal but for the order in which float32 sums were taken."""
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5 * float(np.abs(a).max(initial=0.0)))


@pytest.mark.parametrize("case", SOME)
def test_a_step_is_the_same_plain_compiled_and_as_a_lane(case):
    """vmap over each number alone keeps every shape, and over all at once gives what each lane gives alone."""
    it = planned(case, 3)
    phase = it.phases[0]
    with computing(it.spec):
        data = {
            name: values[0, 0] if "step" in phase.graph.source(name).axes else values[0]
            for name, values in phase.chunk_data(0, 1).items()
        }
        leaves, tree = jax.tree.flatten(phase.graph.parts)
        calls = phase.graph.order.step
        keys = {call: engine.call_key(phase.graph, call) for call in calls}

        def run(leaves: list[Any]) -> Any:
            graph = dataclasses.replace(phase.graph, parts=jax.tree.unflatten(tree, leaves))
            state, held = engine.initial_state(graph), engine.initial_held(graph)
            moment = engine.Moment(jnp.int32(1), jnp.uint32(1), jnp.int32(0))
            return engine.run_calls(graph, calls, keys, state, held, data, moment)[0]

        alone = jax.eval_shape(run, leaves)
        for place in range(len(leaves)):
            axes = [0 if i == place else None for i in range(len(leaves))]
            given = [jnp.stack([leaf, leaf]) if i == place else leaf for i, leaf in enumerate(leaves)]
            found = jax.eval_shape(jax.vmap(run, in_axes=(axes,)), given)
            assert shapes(found) == jax.tree.map(lambda leaf: ((2, *leaf.shape), str(leaf.dtype)), alone)
        plain, compiled = run(leaves), jax.jit(run)(leaves)
        jax.tree.map(close, plain, compiled)
        if leaves:
            lanes = jax.jit(jax.vmap(run))([jnp.stack([leaf, leaf]) for leaf in leaves])
            jax.tree.map(lambda one, many: close(np.stack([one, one]), many), plain, lanes)


@pytest.mark.parametrize("case", CASES)
def test_defaults_round_trip(case):
    it = planned(case)
    again = load(json.loads(json.dumps(it.spec.resolved())))
    assert again.resolved() == it.spec.resolved()
    with computing(again):
        other = plan(again).phases[0].graph
    mine = it.phases[0].graph
    assert jax.tree.structure(other) == jax.tree.structure(mine)
    jax.tree.map(np.testing.assert_array_equal, other, mine)


@pytest.mark.parametrize("case", SOME)
def test_a_reset_returns_to_the_start_and_keeps_what_is_learned(case):
    it = planned(case, 3)
    graph = it.phases[0].graph
    carry, _ = random_run(case)
    call = Call("c", "reset")
    data = {
        name: np.zeros((3, *source.shape), "int32" if source.integer else "float32") for name, source in graph.sources
    }
    moment = engine.Moment(np.int32(0), np.uint32(9), np.int32(0))
    with computing(it.spec):
        start, (after, _) = jax.jit(
            lambda state: (
                engine.initial_state(graph),
                engine.apply(graph, call, engine.call_key(graph, call), state, carry.held, data, moment),
            )
        )(carry.state)
    for name, what in graph.parts["c"].compartments.items():
        if what.kind == "inlet":
            continue
        kept = what.learned or what.per_phase
        if hasattr(graph.parts["c"], "reset") and not kept:
            continue  # one of its own says more
        np.testing.assert_array_equal(after["c"][name], (carry.state if kept else start)["c"][name], err_msg=name)


# --------------------------------------------------------------------------------------------------- all products

PRODUCTS = list(itertools.product(*(catalogue.parts(kind) for kind in ("connectivity", "dynamics", "rule"))))


@pytest.mark.parametrize(("connectivity", "dynamics", "rule"), PRODUCTS[:: choose(3, 1)])
def test_every_product_runs_or_says_what_is_missing(connectivity, dynamics, rule, tmp_path):
    chosen = {"connectivity": connectivity, "dynamics": dynamics, "rule": rule}
    try:
        spec = load(config_for(catalogue.SYNAPSE, chosen, tmp_path, batch=2, steps=5))
        it = api.check(spec)
    except ConfigError as error:
        assert all(any(part in str(fault) for part in chosen.values()) for fault in error.faults)
        return
    carry, taken = run_trial(it)
    assert engine.all_finite(carry.state)
    assert {"c.weights", "c.dInputs"} <= set(taken)
    plastic = describe.part_types("Synapse", chosen)["rule"].uses is not None
    assert ("c.dWeights" in taken) == plastic


@pytest.mark.parametrize("name", [name for name in TYPES if catalogue.types()[name] in PRESETS])
def test_a_preset_is_the_product_that_it_names(name):
    """The general type with a preset's parts and settings is the same graph."""
    preset = catalogue.types()[name]
    flat = settings_for(name, {})
    table = describe.settings(name)
    spelled = {table[key].field: value for key, value in flat.items()}
    defaults = {
        table[public].field: describe.plain(table[public].default) for public in table if not table[public].required
    }
    general = {
        **defaults,
        **spelled,
        "connectivity": preset.connectivity,
        "dynamics": preset.dynamics,
        "rule": preset.rule,
    }
    mine = _graph(name, flat)
    other = _graph(catalogue.SYNAPSE, {key: value for key, value in general.items() if value is not None})
    assert jax.tree.structure(mine) == jax.tree.structure(other)
    jax.tree.map(np.testing.assert_array_equal, mine, other)


def _graph(type_name: str, settings: Mapping[str, Any]) -> Graph:
    inlets = describe.compartments(type_name, settings)
    return (
        api.check(
            {
                "name": "one",
                "run": {"steps": 1},
                "components": {"c": {"type": type_name, **settings}},
                "wires": {f"c.{name}": 0 for name, what in inlets.items() if what.kind == "inlet"},
            }
        )
        .phases[0]
        .graph
    )
