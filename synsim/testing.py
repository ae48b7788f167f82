"""The contract that every component keeps, for the tests of whoever writes one: `contract(MyCell)`.

    from synsim.testing import contract

    def test_my_cell():
        contract(MyCell)

What a type needs to be built is read off its description, so nothing about it is said twice. Each check raises
AssertionError with what is not as it must be.
"""

from __future__ import annotations

import dataclasses
import json
import re
import tempfile
import typing
from collections.abc import Callable, Collection, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from synsim import catalogue, describe, engine
from synsim.component import Declaration, Now, Size, View
from synsim.config import load
from synsim.device import computing
from synsim.graph import Call, Graph
from synsim.plan import RunPlan, plan

__all__ = ["CHECKS", "SIZED_CHECKS", "Specimen", "contract"]

STEPS = 50
UNITS = 5
IMAGE = (6, 4)  # not square, and more rows than a kernel has
KERNEL = (3, 2, 2, 3)
DENSE = (5, 3)
UNITS_KNOWN = frozenset({"", *"ms mV nA MOhm 1/nA Hz nats nS pF 1 rad 1/ms mS uF uS uS/ms".split()})
SIZES = tuple((batch, precision) for batch in (1, 3) for precision in ("float32", "float64"))


def contract(declared: type[Declaration], *, units: Collection[str] = (), **settings: Any) -> None:
    """Hold a component to what every component of synsim keeps; so too a rule, dynamics or connectivity of a synapse.

    Docs and units are there, and a docstring with an equation and a source; every method keeps the pytree, its shapes
    and its dtypes at batch 1 and 3 in both precisions; it compiles, and runs as a lane over every number; 50 steps on
    random input stay finite; the config round-trips; a reset returns to the start. `units` are further units that may
    be named; `settings` are values for the config, where a type cannot be built from what it says of its settings.

    Raises AssertionError for what it does not keep, or where no config with it can be run; BadPlugin where its module
    cannot be used, as one with a name that is taken.
    """
    module = declared.__module__
    if not module.startswith("synsim."):
        catalogue.admit(module)
    kind = catalogue.part_kind(declared)
    hold(
        (declared.type_name in catalogue.types()) if not kind else declared.type_name in catalogue.parts(kind),
        f"{declared.__name__} does not stand at the top of the module {module}, so no config can name it",
    )
    if kind:
        chosen = {**({} if kind == "connectivity" else {"connectivity": "dense"}), kind: declared.type_name, **settings}
        type_name = catalogue.SYNAPSE
    else:
        type_name, chosen = declared.type_name, settings
    check_docstring(declared)
    with tempfile.TemporaryDirectory(prefix="synsim-contract-") as folder:
        specimen = Specimen(type_name, chosen, Path(folder), units)
        for check in CHECKS:
            _held(declared, check, specimen)
        for sized in SIZED_CHECKS:
            for size in SIZES:
                _held(declared, sized, specimen, *size)


def _held(declared: type[Declaration], check: Callable[..., None], *given: Any) -> None:
    try:
        check(*given)
    except AssertionError:
        raise
    except Exception as error:  # of the component, or of what was made with it
        kept = " ".join((check.__doc__ or "").split("\n\n")[0].split())
        said = str(error).strip().partition("\n")[0]
        raise AssertionError(f"{declared.__name__}: {kept} But: {type(error).__name__}: {said}") from error


def hold(kept: Any, words: str) -> None:
    """An AssertionError with these words where something is not kept, however Python is started."""
    if not kept:
        raise AssertionError(words)


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
    if "x_shape" in table and "x_shape" not in chosen:
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
    config: dict[str, Any] = {
        "name": "one",
        "run": {"dt": dt_for(type_name, settings), "steps": steps, "batch": batch, "precision": precision},
        "components": {"c": {"type": type_name, **settings}},
        "wires": {f"c.{name}": 0.5 for name in inlets},
        "schedule": {"step": [f"c.{method}" for method in describe.methods(type_name, settings)]},
        "record": {f"c.{name}": {} for name in compartments},
        "data": {},
    }
    if type_name not in catalogue.types_for(()):
        config["plugins"] = [name for name in catalogue.admitted() if type_name in catalogue.types_for((name,))][:1]
    # a number fits an inlet of any shape: once the sizes are known, data take its place
    spec = load(config, allow_plugins=True)
    with computing(spec):
        part = plan(spec).phases[0].graph.parts["c"]
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


@dataclasses.dataclass
class Specimen:
    """One component in a graph of its own, fed with random numbers: what the checks look at.

    `chosen` are settings of its config, `folder` is where the numbers are kept.
    """

    type_name: str
    chosen: Mapping[str, Any]
    folder: Path
    units: Collection[str] = ()

    def __post_init__(self) -> None:
        self._planned: dict[tuple[int, str], RunPlan] = {}
        self._run: dict[tuple[int, str], Any] = {}

    @cached_property
    def settings(self) -> dict[str, Any]:
        """The settings that it is built with."""
        return settings_for(self.type_name, self.chosen)

    def planned(self, batch: int = 1, precision: str = "float32") -> RunPlan:
        """Its run, ready to be computed."""
        key = batch, precision
        if key not in self._planned:
            config = config_for(self.type_name, self.chosen, self.folder, batch=batch, precision=precision)
            spec = load(config, allow_plugins=True)
            with computing(spec):
                self._planned[key] = plan(spec)
        return self._planned[key]

    def ran(self, batch: int = 3, precision: str = "float32") -> Any:
        """The carry after a trial of random input, and all that was recorded of it."""
        key = batch, precision
        if key not in self._run:
            self._run[key] = run_trial(self.planned(batch, precision))
        return self._run[key]


def run_trial(it: RunPlan) -> Any:
    """The carry after the first trial of a run, and its records."""
    phase = it.phases[0]
    with computing(it.spec):
        data = phase.chunk_data(0, 1)
        return jax.jit(
            lambda: engine.trials(phase.graph, phase.takes, engine.start_carry(phase.graph), data, np.uint32(0), 1)
        )()


def shapes(tree: Any) -> Any:
    """Shape and dtype in place of each array."""
    return jax.tree.map(lambda leaf: (tuple(leaf.shape), str(leaf.dtype)), tree)


def close(a: Any, b: Any) -> None:
    """Equal but for the order in which float32 sums were taken."""
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5 * float(np.abs(a).max(initial=0.0)))


# ----------------------------------------------------------------------------------------------------- what it says


def check_words(it: Specimen) -> None:
    """Settings and compartments have a sentence and a unit; a time has milliseconds."""
    known = {*UNITS_KNOWN, *it.units}
    for setting in describe.settings(it.type_name, it.chosen).values():
        at = f"{it.type_name}.{setting.name}"
        doc = setting.doc.strip()
        hold(doc and doc[0].isupper() and doc.endswith("."), f"{at}: its doc must be a sentence, not {doc!r}")
        hold(setting.unit in known, f"{at}: {setting.unit!r} is none of the units {sorted(known)}")
        said = re.search(r"calls|in steps|share|number of", setting.doc, re.IGNORECASE)
        if re.match(r"(tau_|.*_time$)", setting.name) and setting.annotation in (float, float | None):
            hold(setting.unit == "ms" or said, f"{at} is a time without a unit")
    for compartment, what in describe.compartments(it.type_name, it.settings).items():
        at, doc = f"{it.type_name}.{compartment}", what.doc.strip()
        hold(doc and doc[0].isupper() and doc.endswith((".", ").")), f"{at}: its doc must be a sentence, not {doc!r}")
        hold(what.unit in known, f"{at}: {what.unit!r} is none of the units {sorted(known)}")
        hold(what.kind in ("inlet", "state", "outlet"), f"{at} is a {what.kind}")


def check_units_of_starts(it: Specimen) -> None:
    """A state that starts at a setting has its unit."""
    table = describe.settings(it.type_name, it.chosen)
    for compartment, what in describe.compartments(it.type_name, it.settings).items():
        if isinstance(what.start, str):
            at = f"{it.type_name}.{compartment}"
            hold(table[what.start].unit == what.unit, f"{at} starts at {what.start}, which has another unit")


def check_names(it: Specimen) -> None:
    """No compartment is called as a setting is, but for an inlet that reads the setting where nothing is wired."""
    settings = describe.settings(it.type_name, it.chosen)
    for compartment, what in describe.compartments(it.type_name, it.settings).items():
        clash = compartment in settings and not (what.kind == "inlet" and what.default == compartment)
        hold(not clash, f"{it.type_name}.{compartment} is a setting and a {what.kind}")


def check_docstring(declared: type[Declaration]) -> None:
    """A docstring has a summary, an equation and a source."""
    name, doc = declared.__name__, declared.__doc__ or ""
    summary, _, _ = doc.partition("\n")
    hold(
        summary.endswith((".", ":")) or "Source:" in summary or "=" in summary,
        f"{name}: its docstring must begin with a sentence, not {summary!r}",
    )
    body, _, source = doc.partition("Source:")
    hold(re.search(r"=|<-|~", body), f"{name}: its docstring has no equation")
    hold(source.strip(), f"{name}: its docstring names no source, as `Source: Author (year)`")


def check_card(it: Specimen) -> None:
    """What is shown of it is JSON and complete."""
    card = json.loads(json.dumps(describe.card(it.type_name)))
    families = ("neuron", "encoder", "error", "trace", "source", "readout", "synapse")
    hold(card["doc"], f"{it.type_name} has no doc")
    hold(
        card["family"] in families,
        f"{it.type_name}: its family must be one of {families}, as family: ClassVar[str] = 'neuron'",
    )
    hold("=" in card["equation"] or "<-" in card["equation"], f"{it.type_name} has no equation")
    hold(card["source"], f"{it.type_name} names no source")
    hold("advance" in card["methods"] and card["methods"][-1] == "reset", f"{it.type_name} has no method advance")


# ------------------------------------------------------------------------------------------- the pytree that it keeps


def check_tree(it: Specimen, batch: int, precision: str) -> None:
    """Every method keeps the states, their shapes and dtypes."""
    planned = it.planned(batch, precision)
    graph, name = planned.phases[0].graph, it.type_name
    with computing(planned.spec):
        before = jax.eval_shape(lambda: engine.initial_state(graph))
        expected = {
            name: ((*([batch] if what.batch else []), *_size(graph, what)), precision)
            for name, what in graph.parts["c"].compartments.items()
            if what.kind != "inlet"
        }
        _same(shapes(before["c"]), expected, f"{name}: its states at the start")
        leaves = [leaf for leaf in jax.tree.leaves(graph.parts) if leaf.dtype.kind not in "iu"]  # but for targets
        hold(all(leaf.dtype == precision for leaf in leaves), f"{name}: a setting is not {precision}")
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
            at = f"{name}.{method}, batch {batch}, {precision}"
            hold(jax.tree.structure(after) == jax.tree.structure(before), f"{at}: other states than before")
            _same(shapes(after), shapes(before), f"{at}: states")
            _same(shapes(still), shapes(held), f"{at}: what inlets hold")
        fresh = jax.eval_shape(lambda state: engine.begin_phase(graph, state), before)
        _same(shapes(fresh), shapes(before), f"{name}: states where a phase begins")


def _same(found: Any, expected: Any, what: str) -> None:
    hold(found == expected, f"{what} are {found}, not {expected}")


def _size(graph: Graph, what: Any) -> tuple[int, ...]:
    return graph.parts["c"].sizes()[what.size] if what.size else ()


def check_returned(it: Specimen) -> None:
    """Methods return nothing but states and outlets of their own, and read no outlet.

    The engine drops what nobody declared; here it is an error, also where only an unread outlet is misspelt.
    """
    planned = it.planned()
    graph, part = planned.phases[0].graph, planned.phases[0].graph.parts["c"]
    own = {name for name, what in part.compartments.items() if what.kind != "inlet"}
    read = {name for name, what in part.compartments.items() if what.kind != "outlet"}
    with computing(planned.spec):
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
            others = sorted(set(changed) - own)
            hold(not others, f"{it.type_name}.{method} returns {others}, which it does not declare")


def check_run(it: Specimen, batch: int, precision: str) -> None:
    """Fifty steps on random input stay finite and do something."""
    planned, (carry, taken) = it.planned(batch, precision), it.ran(batch, precision)
    hold(int(carry.bad) == engine.NEVER, f"{it.type_name} is not finite after step {int(carry.bad)}")
    for path, values in taken.items():
        values = np.asarray(values)
        hold(np.isfinite(values).all(), f"{it.type_name}: {path[2:]} is not finite")
        _same(values.shape[:2], (1, STEPS), f"{it.type_name}: rows of {path[2:]}")
    hold(engine.all_finite(carry.state), f"{it.type_name}: its states are not finite")
    graph = planned.phases[0].graph
    own = [path for path in taken if graph.parts["c"].compartments[path[2:]].kind != "inlet"]
    moving = [path for path in own if np.ptp(np.asarray(taken[path], float)) > 0]
    hold(moving or not graph.wires, f"{it.type_name}: nothing ever changed")


def check_lanes(it: Specimen) -> None:
    """A step is the same plain, compiled and as a lane: vmap over each number alone keeps every shape, and over all
    at once gives what each lane gives alone."""
    planned = it.planned(3)
    phase = planned.phases[0]
    with computing(planned.spec):
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
            two = jax.tree.map(lambda leaf: ((2, *leaf.shape), str(leaf.dtype)), alone)
            _same(shapes(found), two, f"{it.type_name}: states of two lanes")
        plain, compiled = run(leaves), jax.jit(run)(leaves)
        jax.tree.map(close, plain, compiled)
        if leaves:
            lanes = jax.jit(jax.vmap(run))([jnp.stack([leaf, leaf]) for leaf in leaves])
            jax.tree.map(lambda one, many: close(np.stack([one, one]), many), plain, lanes)


def check_round_trip(it: Specimen) -> None:
    """Its config with every default is the same config, and the same graph."""
    planned = it.planned()
    again = load(json.loads(json.dumps(planned.spec.resolved())), allow_plugins=True)
    hold(again.resolved() == planned.spec.resolved(), f"{it.type_name}: its config with every default is another one")
    with computing(again):
        other = plan(again).phases[0].graph
    mine = planned.phases[0].graph
    hold(jax.tree.structure(other) == jax.tree.structure(mine), f"{it.type_name}: its defaults make another graph")
    jax.tree.map(np.testing.assert_array_equal, other, mine)


def check_reset(it: Specimen) -> None:
    """A reset returns to the start and keeps what is learned."""
    planned = it.planned(3)
    graph = planned.phases[0].graph
    carry, _ = it.ran(3)
    call = Call("c", "reset")
    data = {
        name: np.zeros((3, *source.shape), "int32" if source.integer else "float32") for name, source in graph.sources
    }
    moment = engine.Moment(np.int32(0), np.uint32(9), np.int32(0))
    with computing(planned.spec):
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
        expected = (carry.state if kept else start)["c"][name]
        np.testing.assert_array_equal(after["c"][name], expected, err_msg=f"{it.type_name}.{name} after a reset")


CHECKS: tuple[Callable[[Specimen], None], ...] = (
    check_words,
    check_units_of_starts,
    check_names,
    check_card,
    check_returned,
    check_lanes,
    check_round_trip,
    check_reset,
)
SIZED_CHECKS: tuple[Callable[[Specimen, int, str], None], ...] = (check_tree, check_run)
"""All that `contract` looks at: once, and for each batch and precision."""
