"""A run with other numbers in it: what a point of a sweep is, without reading its config anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import jax
import numpy as np

from synsim import describe
from synsim.faults import ConfigError, Fault
from synsim.graph import override
from synsim.plan import PhasePlan, RunPlan, structure_of
from synsim.spec import Spec, TypedSettings
from synsim.streaming import Stream


def numbers_in(it: RunPlan, values: Mapping[str, Any]) -> RunPlan:
    """A plan with other numbers in its graphs, which is the same program; its spec and layout are those of `it`.

    Raises ConfigError where a path names no number, or a value misfits.
    """
    if not values:
        return it
    fields = {_field(it.spec, path): value for path, value in values.items()}
    phases = tuple(
        replace(phase, graph=override(phase.graph, fields), seed=int(values.get("seed", phase.seed)))
        for phase in it.phases
    )
    return replace(it, phases=phases)


def problems(it: RunPlan, values: Mapping[str, Any]) -> list[Fault]:
    """What is wrong with settings together although each is right by itself."""
    graph = it.phases[0].graph
    names = dict.fromkeys(path.partition(".")[0] for path in values if path.partition(".")[0] in graph.parts)
    return [
        Fault(f"{name}: {sentence}", ("components", name, setting))
        for name in names
        for setting, sentence in graph.parts[name].problems()
    ]


def is_number(first: RunPlan, path: str, value: Any, whole: RunPlan) -> bool:
    """Whether a path is a number in the program: whether putting `value` into `first` gives the plan `whole`, which
    was made from a config that says so."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        made, spec = numbers_in(first, {path: value}), spec_with(first.spec, {path: value})
    except (ConfigError, LookupError, TypeError, ValueError):
        return False
    return (
        program_of(made) == program_of(whole)
        and spec.resolved() == whole.spec.resolved()
        and all(_same_numbers(a, b) for a, b in zip(made.phases, whole.phases, strict=True))
    )


def program_of(it: RunPlan) -> tuple[Any, ...]:
    """All of a plan but its numbers: points for which it is equal can be lanes of one program."""
    phases = tuple(
        (
            structure_of(phase.graph),
            phase.name,
            phase.takes,
            phase.trials,
            phase.rows,
            phase.dropped,
            phase.shuffle,
            tuple((name, entry.axes, entry.values.shape, str(entry.values.dtype)) for name, entry in _held(phase)),
        )
        for phase in it.phases
    )
    records = tuple((record.path, record.settings, record.first, record.every, record.stop) for record in it.records)
    return it.spec.run.precision, it.spec.run.device, phases, records


def _held(phase: PhasePlan) -> list[tuple[str, Any]]:
    return [*phase.entries.items(), *phase.labels.items()]


def _same_numbers(one: PhasePlan, other: PhasePlan) -> bool:
    leaves = zip(jax.tree.leaves(one.graph), jax.tree.leaves(other.graph), strict=True)
    return (
        one.seed == other.seed
        and all(_same(a, b) for a, b in leaves)
        and all(_same(a.values, b.values) for (_, a), (_, b) in zip(_held(one), _held(other), strict=True))
    )


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, Stream) or isinstance(other, Stream):
        return isinstance(one, Stream) and isinstance(other, Stream) and one.digest() == other.digest()
    return np.array_equal(one, other)


def differing(phases: Sequence[PhasePlan], at_least: Sequence[int] = ()) -> tuple[int, ...]:
    """The leaves in which the graphs of several points differ, and those that are named."""
    leaves = [jax.tree.leaves(phase.graph) for phase in phases]
    first = leaves[0]
    found = {
        i for i, leaf in enumerate(first) if any(each[i] is not leaf and not _same(each[i], leaf) for each in leaves)
    }
    return tuple(sorted(found | set(at_least)))


def leaves_of(it: RunPlan, values: Mapping[str, Any]) -> list[list[int]]:
    """By phase: which leaves of the graph these paths are."""
    made = numbers_in(it, values)
    return [
        [
            i
            for i, (old, new) in enumerate(zip(jax.tree.leaves(a.graph), jax.tree.leaves(b.graph), strict=True))
            if old is not new
        ]
        for a, b in zip(it.phases, made.phases, strict=True)
    ]


def _field(spec: Spec, path: str) -> str:
    """The path of a number with the name that its class has for it, as `override` takes it."""
    component, _, rest = path.partition(".")
    if not rest:
        return path
    typed = spec.components[component]
    public, dot, inner = rest.partition(".")
    return f"{component}.{describe.settings(typed.type, typed.settings)[public].field}{dot}{inner}"


def spec_with(spec: Spec, values: Mapping[str, Any]) -> Spec:
    """The spec with other values of settings, as a config would say them."""
    for path, value in values.items():
        spec = _with_value(spec, path, value)
    return spec


def _with_value(spec: Spec, path: str, value: Any) -> Spec:
    if path == "seed":
        return replace(spec, seed=int(value))
    component, _, rest = path.partition(".")
    typed = spec.components[component]
    settings = dict(typed.settings)
    public, dot, inner = rest.partition(".")
    settings[public] = describe.check_value(
        describe.settings(typed.type, typed.settings)[public],
        {**settings[public], inner: value} if dot else value,
    )
    components = {**spec.components, component: TypedSettings(typed.type, settings)}
    return replace(spec, components=components)
