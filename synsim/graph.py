"""The graph: components with their settings as arrays, static wires, order, and shapes.

A graph is a pytree. Its leaves are the components' numbers; everything else is part of the program.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np

from synsim.component import Compartment, Component, Declaration
from synsim.expressions import Wire
from synsim.faults import ConfigError, Fault
from synsim.initialisers import Initialiser

Shape = tuple[int, ...]


class Call(NamedTuple):
    """One entry of a schedule. `occurrence` tells apart calls of one method that share a step."""

    component: str
    method: str
    occurrence: int = 0


class Order(NamedTuple):
    """What is called at the start of a trial, in each step, and at its end."""

    start: tuple[Call, ...]
    step: tuple[Call, ...]
    end: tuple[Call, ...]


class Source(NamedTuple):
    """A data entry as the graph sees it: the shape of one row's activity, and whether it has a time axis."""

    axes: tuple[str, ...]
    shape: Shape
    integer: bool


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Graph:
    """Components, wires and order of one phase. Methods are pure; nothing here runs a step."""

    parts: dict[str, Component]
    starts: dict[str, Initialiser]  # "z.v" -> where that state starts
    seed: Any
    names: tuple[str, ...] = dataclasses.field(metadata=dict(static=True))
    order: Order = dataclasses.field(metadata=dict(static=True))
    wires: tuple[tuple[str, str, Wire], ...] = dataclasses.field(metadata=dict(static=True))
    kept: frozenset[str] = dataclasses.field(metadata=dict(static=True))  # "z.s": the outlets that are carried
    watched: tuple[str, ...] = dataclasses.field(metadata=dict(static=True))  # "z.j": the inlets that are recorded
    sources: tuple[tuple[str, Source], ...] = dataclasses.field(metadata=dict(static=True))
    batch: int = dataclasses.field(metadata=dict(static=True))
    dt: float = dataclasses.field(metadata=dict(static=True))
    steps: int = dataclasses.field(metadata=dict(static=True))
    dtype: str = dataclasses.field(metadata=dict(static=True))

    def fed(self, component: str) -> dict[str, Wire]:
        """The wires that feed a component, by inlet."""
        return {inlet: wire for name, inlet, wire in self.wires if name == component}

    def shape(self, component: str, compartment: str) -> Shape:
        """The full shape of a compartment, batch axis included."""
        part = self.parts[component]
        return full_shape(part, part.compartments[compartment], self.batch)

    def carried(self) -> Iterator[tuple[str, str, Compartment]]:
        """Every compartment that is part of the state, in the order written."""
        for name in self.names:
            for compartment, what in self.parts[name].compartments.items():
                if what.kind == "state" or f"{name}.{compartment}" in self.kept:
                    yield name, compartment, what

    def source(self, entry: str) -> Source:
        """A data entry that is wired in this phase."""
        return dict(self.sources)[entry]


def full_shape(part: Component, what: Compartment, batch: int) -> Shape:
    """The shape of a compartment with its batch axis, where it has one."""
    shape = part.sizes()[what.size] if what.size else ()
    return (batch, *shape) if what.batch else shape


def unwired(graph: Graph) -> list[str]:
    """The inlets that read a constant because nothing is wired to them; one that reads a setting lacks nothing."""
    wired = {f"{component}.{inlet}" for component, inlet, _ in graph.wires}
    return [
        f"{name}.{inlet}"
        for name in graph.names
        for inlet, what in graph.parts[name].compartments.items()
        if what.kind == "inlet" and f"{name}.{inlet}" not in wired and not isinstance(what.default, str)
    ]


# --------------------------------------------------------------------------------------------------- overriding


def override(graph: Graph, values: Mapping[str, Any]) -> Graph:
    """The graph with other numbers in some of its leaves: `{"z.tau_m": 20.0, "seed": 3}`. Never another program.

    Raises ConfigError where a path names no leaf, or where a value is not a number that fits it.
    """
    parts, seed, faults = dict(graph.parts), graph.seed, []
    for path, value in values.items():
        if path == "seed":
            seed = np.uint32(value) if not isinstance(value, jax.Array) else value
            continue
        component, _, public = path.removeprefix("components.").partition(".")
        part = parts.get(component)
        place = _leaf(part, public) if part is not None else None
        if part is None or place is None:
            faults.append(Fault(f"{path} is not a number that can change between phases or points", (path,)))
            continue
        owner, name = place
        holder = part if owner == "" else getattr(part, owner)
        old = getattr(holder, name)
        try:
            new = value if isinstance(value, jax.Array) else np.asarray(_number(value), graph.dtype)
        except (TypeError, ValueError):
            words = f"{path} cannot become {value!r}: where the program stays, only numbers change"
            faults.append(Fault(words, (path,)))
            continue
        if old is not None and new.ndim and new.size == np.size(old):
            new = new.reshape(np.shape(old))  # an image of units may be written as a flat list
        if old is None or (new.ndim and new.shape != np.shape(old)):
            faults.append(
                Fault(
                    f"{path} cannot become {value!r}: it is "
                    + ("null in the config" if old is None else f"of shape {list(np.shape(old))}"),
                    (path,),
                )
            )
            continue
        holder = dataclasses.replace(holder, **{name: new})
        parts[component] = holder if owner == "" else dataclasses.replace(part, **{owner: holder})
    if faults:
        raise ConfigError(faults)
    return dataclasses.replace(graph, parts=parts, seed=seed)


def _number(value: Any) -> Any:
    if value is None:
        raise TypeError("null is no number")  # numpy would make it a NaN
    return value


def _leaf(part: Component, public: str) -> tuple[str, str] | None:
    """Where the number that a config calls `public` lives: (part of the synapse or "", field)."""
    head, _, tail = public.partition(".")
    if tail:
        inner = getattr(part, head, None)
        return (head, tail) if isinstance(inner, Declaration) and _is_param(inner, tail) else None
    owners = ("", "connectivity", "dynamics", "rule") if hasattr(part, "connectivity") else ("",)
    for owner in owners:
        holder = part if owner == "" else getattr(part, owner)
        for field in dataclasses.fields(holder):
            if field.metadata["role"] == "param" and (field.name == public or public in field.metadata.get("also", ())):
                return owner, field.name
    return None


def _is_param(part: Declaration, name: str) -> bool:
    return any(field.name == name and field.metadata["role"] == "param" for field in dataclasses.fields(part))
