"""A config as a circuit: what is in it, which wire reads what, and the loops. Plain data, known before anything is run.

It is made from a resolved config, of a `Spec` or as a run's file holds it, so that the circuit of a run is drawn
without its plugins. What its text does not say (the size of data) is left out, or taken from `sizes`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from synsim import catalogue, describe
from synsim.expressions import BadExpression, parse, reads
from synsim.spec import Spec

DATA, OTHER = "data", "other"
FAMILIES = ("data", "source", "encoder", "synapse", "neuron", "trace", "error", "readout", "other")
"""In the order of a legend: data entries, the families of components, and types that are not known here."""

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Node:
    """A component or a data entry: `lines` say its size and its parts, and the inlets that read a number."""

    name: str
    type: str
    family: str
    lines: tuple[str, ...] = ()


@dataclass(frozen=True)
class Wire:
    """An inlet and one of the things it reads. `factor` is what the source is multiplied by, where that is not 1;
    `strong` wires carry activity onward, the others tell a synapse what its two sides did; `phase` is the only phase
    that has this wire, or None for all."""

    source: str
    outlet: str  # "" for a data entry
    target: str
    inlet: str
    text: str  # all that the inlet reads
    factor: str = ""
    strong: bool = True
    phase: str | None = None

    @property
    def label(self) -> str:
        """The inlet, with its factor."""
        return f"{self.factor}{self.inlet}" if self.factor in ("", "-") else f"{self.factor} {self.inlet}"

    @property
    def sentence(self) -> str:
        """The wire as a config writes it."""
        return f"{self.target}.{self.inlet}: {self.text}" + (f" (in phase {self.phase})" if self.phase else "")


@dataclass(frozen=True)
class Circuit:
    """A circuit by the name of its run. `loops` are the shortest ways back, by name, one for each strong wire that is
    part of one."""

    name: str
    nodes: tuple[Node, ...]
    wires: tuple[Wire, ...]
    loops: tuple[tuple[str, ...], ...]


def circuit_of(config: Spec | Mapping[str, Any], sizes: Mapping[str, Shape] | None = None) -> Circuit:
    """The circuit of a config. `sizes` are shapes that are known besides: of data entries, and of synapses (pre, post).

    Raises ValueError where a mapping is no resolved config.
    """
    document = config.resolved() if isinstance(config, Spec) else config
    components, entries = _typed(document, "components"), _typed(document, "data")
    wires = tuple(_wires(document, components, entries))
    known = _sizes(components, wires, sizes or {})
    numbers = _numbers(document)
    nodes = [
        Node(name, each["type"], DATA, tuple(_data_lines(each, known.get(name)))) for name, each in entries.items()
    ]
    for name, each in components.items():
        lines = (*_size_lines(each, known.get(name)), *_part_lines(each), *numbers.get(name, ()))
        nodes.append(Node(name, each["type"], family_of(each["type"]), lines))
    return Circuit(str(document.get("name", "")), tuple(nodes), wires, tuple(_loops(wires)))


def family_of(type_name: str) -> str:
    """The family of a component type, `other` for one that is not known here."""
    entry = catalogue.types().get(type_name)
    if entry is None:
        return OTHER
    family = entry.family if isinstance(entry, type) else "synapse"
    return family if family in FAMILIES else OTHER


def _typed(document: Mapping[str, Any], section: str) -> dict[str, Mapping[str, Any]]:
    found = document.get(section) or {}
    if not isinstance(found, Mapping):
        raise ValueError(f"{section} is no mapping")
    for name, each in found.items():
        if not isinstance(each, Mapping) or not isinstance(each.get("type"), str):
            raise ValueError(f"{section}.{name} has no type")
    return {str(name): each for name, each in found.items()}


# wires ------------------------------------------------------------------------------------------------------------


def _written(document: Mapping[str, Any]) -> Iterator[tuple[str | None, str, Any]]:
    """Every wire by phase (None: all), inlet and text; those that a phase takes away are not drawn."""
    for phase, section in [(None, document), *((each.get("name"), each) for each in document.get("phases") or ())]:
        for inlet, text in (section.get("wires") or {}).items():
            if text is not None:
                yield phase, str(inlet), text


def _wires(document: Mapping[str, Any], components: Mapping[str, Any], entries: Mapping[str, Any]) -> Iterator[Wire]:
    for phase, path, text in _written(document):
        target, _, inlet = path.partition(".")
        if target not in components or isinstance(text, int | float):
            continue
        try:
            tree, _ = parse(str(text))
        except BadExpression as bad:
            raise ValueError(f"wires.{path} {bad.sentence}") from None
        strong = family_of(components[target]["type"]) != "synapse" or inlet == "inputs"
        for factor, leaf in dict.fromkeys(_terms(tree)):
            source, outlet = leaf[1], (leaf[2] if leaf[0] == "read" else "")
            if source in (components if outlet else entries):
                yield Wire(source, outlet, target, inlet, str(text), factor, strong, phase)


def _terms(tree: Any, sign: int = 1, factor: float = 1.0) -> Iterator[tuple[str, Any]]:
    """What a wire reads, each with its factor: "", "-", "0.5 ×", or "∏" in a product of several."""
    kind = tree[0]
    if kind in ("read", "data"):
        yield _factor(sign * factor), tree
    elif kind in ("add", "sub"):
        yield from _terms(tree[1], sign, factor)
        yield from _terms(tree[2], sign if kind == "add" else -sign, factor)
    elif kind == "neg":
        yield from _terms(tree[1], -sign, factor)
    elif kind == "mul":
        one, other = tree[1:]
        if one[0] == "number":
            yield from _terms(other, sign, factor * one[1])
        elif other[0] == "number":
            yield from _terms(one, sign, factor * other[1])
        else:
            yield from (("∏", leaf) for leaf in reads(tree))


def _factor(value: float) -> str:
    return {1.0: "", -1.0: "-"}.get(value, f"{value:g} ×")


def _numbers(document: Mapping[str, Any]) -> dict[str, list[str]]:
    """The inlets that read a number only, as lines of their components."""
    found: dict[str, list[str]] = {}
    for phase, path, text in _written(document):
        if isinstance(text, int | float):
            component, _, inlet = path.partition(".")
            found.setdefault(component, []).append(f"{inlet} = {text:g}" + (f" in {phase}" if phase else ""))
    return found


# sizes ------------------------------------------------------------------------------------------------------------


def _sizes(components: Mapping[str, Any], wires: Sequence[Wire], given: Mapping[str, Shape]) -> dict[str, Any]:
    """The shape of every cell and data entry as far as it is known, and of every synapse its two sides."""
    found: dict[str, Any] = {name: tuple(shape) for name, shape in given.items()}
    for name, each in components.items():
        if (units := each.get("n_units")) is not None:
            found[name] = tuple(units) if isinstance(units, list | tuple) else (units,)
    for wire in wires:  # what is read unit by unit has the units of its reader
        reader = components[wire.target]
        if not wire.outlet and wire.source not in found and wire.target in found and _per_unit(reader, wire.inlet):
            found[wire.source] = found[wire.target]
    into: dict[str, list[Wire]] = {}
    out: dict[str, list[Wire]] = {}
    for wire in wires:
        into.setdefault(wire.target, []).append(wire)
        out.setdefault(wire.source, []).append(wire)
    for name, each in components.items():
        if family_of(each["type"]) == "synapse" and "n_units" not in each and name not in given:
            before = [w.source for w in into.get(name, ()) if w.inlet in ("inputs", "pre", "preSpike")]
            sent = [w for w in out.get(name, ()) if w.outlet == "outputs"]
            after = [w.target for w in sent if _per_unit(components[w.target], w.inlet)]
            after += [w.source for w in into.get(name, ()) if w.inlet in ("post", "postSpike", "v", "back")]
            pre = next((found[each] for each in before if _is_shape(found.get(each))), None)
            post = next((found[each] for each in after if _is_shape(found.get(each))), None)
            shape = each.get("shape")
            if isinstance(shape, list | tuple) and len(shape) == 2:
                pre, post = (shape[0],), (shape[1],)
            if pre is None and name in before:  # it reads itself
                pre = post
            found[name] = (pre, post)
    return found


def _is_shape(value: Any) -> bool:
    return isinstance(value, tuple) and all(isinstance(n, int) for n in value)


def _per_unit(component: Mapping[str, Any], inlet: str) -> bool:
    if component["type"] not in catalogue.types() or "n_units" not in component:
        return False
    compartment = describe.compartments(component["type"]).get(inlet)
    return compartment is not None and compartment.size == "unit"


def _shape_words(shape: Shape) -> str:
    """A shape as people say it: 1,000 or 8 × 8 × 16."""
    return " × ".join(f"{n:,}" for n in shape)


def _size_lines(each: Mapping[str, Any], size: Any) -> Iterator[str]:
    if "n_units" in each and size:
        many = math.prod(size) if _is_shape(size) else 0
        yield f"{_shape_words(size)} unit{'' if many == 1 else 's'}" if many else "units not known"
    elif isinstance(shape := each.get("shape"), list | tuple) and len(shape) == 4 and _is_shape(tuple(shape)):
        yield f"{shape[0]} × {shape[1]} filters, {shape[2]} → {shape[3]} channels"
    elif size and not _is_shape(size):
        pre, post = size
        if pre or post:
            yield f"{_shape_words(pre) if pre else '?'} → {_shape_words(post) if post else '?'}"
    elif size:
        yield " → ".join(f"{n:,}" for n in size)


def _data_lines(each: Mapping[str, Any], size: Any) -> Iterator[str]:
    split = each.get("split")
    part = split.get("part") if isinstance(split, Mapping) else None
    words = [str(word) for word in (each.get("part"), part and f"{part} set") if isinstance(word, str)]
    if words:
        yield ", ".join(words)
    if _is_shape(size):
        yield f"{_shape_words(size)} values a row"


def _part_lines(each: Mapping[str, Any]) -> Iterator[str]:
    """The parts of a synapse that no preset names, and what of its connectivity a picture should say."""
    if each["type"] == catalogue.SYNAPSE or each.get("connectivity") not in (None, "dense"):
        dull = {"connectivity": "dense", "dynamics": "instant", "rule": "static"}
        parts = [each.get(kind) for kind in catalogue.SYNAPSE_PARTS]
        names = [part.get("type") if isinstance(part, Mapping) else part for part in parts]
        told = [str(name) for name in names if name is not None and name not in dull.values()]
        yield ", ".join(told) or "dense"
    words = []
    for key, form in (("fan_in", "{:,} inputs each"), ("fan_out", "{:,} targets each"), ("delay", "delay {:g} ms")):
        if isinstance(value := each.get(key), int | float) and not isinstance(value, bool):
            words.append(form.format(value))
    p = each.get("p_conn")
    if isinstance(p, int | float) and not isinstance(p, bool) and p < 1 and "fan_in" not in " ".join(words):
        words.insert(0, f"p {p:g}")
    if words:
        yield ", ".join(words)


# loops ------------------------------------------------------------------------------------------------------------


def _loops(wires: Sequence[Wire]) -> Iterator[tuple[str, ...]]:
    """The shortest way back to its source of each strong wire, each loop once, begun at the name written first."""
    onward: dict[str, list[str]] = {}
    for wire in wires:
        if wire.strong:
            onward.setdefault(wire.source, []).append(wire.target)
    order = {name: place for place, name in enumerate(onward)}
    seen = set()
    for wire in wires if len(wires) <= MOST_FOLLOWED else ():
        way = _way(onward, wire.target, wire.source) if wire.strong else None
        if way is not None:
            places = [order[name] for name in way]
            first = places.index(min(places))
            loop = (*way[first:], *way[:first])
            if loop not in seen:
                seen.add(loop)
                yield loop


MOST_FOLLOWED = 2000  # wires; where there are more, loops are not looked for


def _way(onward: Mapping[str, Sequence[str]], start: str, end: str) -> tuple[str, ...] | None:
    """The shortest way from one name to another, both included."""
    came: dict[str, str | None] = {start: None}
    front = [start]
    while front:
        if end in came:
            way, at = [], end
            while at is not None:
                way.append(at)
                at = came[at]
            return tuple(reversed(way))
        front = [
            name
            for each in front
            for name in onward.get(each, ())
            if name not in came and came.setdefault(name, each) == each
        ]
    return None
