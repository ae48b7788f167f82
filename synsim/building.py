"""From a checked `Spec` to a `Graph`: parts made, sizes taken from wires, shapes held against each other."""

from __future__ import annotations

import dataclasses
import types
import typing
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, cast

import jax
import numpy as np

from synsim import catalogue, describe, structure
from synsim.component import Component, Declaration, count
from synsim.expressions import Wire, reads
from synsim.faults import ConfigError, Fault, MissingInput
from synsim.graph import Call, Graph, Order, Shape, Source, full_shape, override
from synsim.initialisers import Array, Constant, Data, File, Initialiser
from synsim.preflight import SHARE, too_large
from synsim.spec import EVERY, Phase, Spec, TypedSettings

DRAWN_BYTES = 48  # for each place of a synapse, while pairs are drawn, ordered and listed from both sides
MASK_BYTES = 17  # for each weight, while its mask is drawn: the draw, what it decides, and two masks


class Build(NamedTuple):
    """What building a graph needs beside the spec: the data entries, read, and what is recorded."""

    sources: Mapping[str, Source]
    array: Callable[[TypedSettings | str, tuple], np.ndarray]  # an initialiser's file or data entry as an array
    recorded: tuple[str, ...]  # "z.v": paths that a record names
    budget: int  # bytes of memory that there are


def build(spec: Spec, given: Build) -> tuple[Graph, ...]:
    """One graph a phase (one in all where there are no phases). Raises ConfigError with every fault found."""
    dtype, batch = spec.run.precision, spec.run.batch
    faults: list[Fault] = []
    errors: list[ConfigError] = []
    parts = {}
    for name, typed in spec.components.items():
        try:
            parts[name] = _instantiate(spec, given, name, typed, dtype)
        except ConfigError as error:
            errors.append(error)
    if errors:
        raise _together(errors)
    parts = _fit_synapses(spec, given, parts)
    parts = {name: _timed(part, float(spec.run.dt), dtype) for name, part in parts.items()}
    _refuse_giants(parts, batch, dtype, given.budget)
    impossible = _impossible(spec, parts)
    errors += [ConfigError(impossible)] if impossible else []
    starts = {}
    for path, value in spec.initial.items():
        component, compartment = _split(path)
        try:
            starts[path] = _start(spec, given, parts[component], compartment, path, value, dtype)
        except ConfigError as error:
            errors.append(error)
    if errors:
        raise _together(errors)
    parts = {name: _with_structure(spec, name, part, dtype) for name, part in parts.items()}

    phases = spec.phases or (None,)
    wirings = [_phase_wires(spec, phase) for phase in phases]
    orders = [_order(spec, phase, parts) for phase in phases]
    wirings = [_with_back(parts, wires, order, faults) for wires, order in zip(wirings, orders, strict=True)]
    kept = {
        f"{name}.{compartment}"
        for name, part in parts.items()
        for compartment, what in part.compartments.items()
        if what.kind == "outlet" and what.shown
    }
    for wires in wirings:
        kept |= {f"{leaf[1]}.{leaf[2]}" for wire in wires.values() for leaf in reads(wire) if leaf[0] == "read"}
    kept |= set(given.recorded)
    kept = {path for path in kept if _kind(parts, path) == "outlet"}
    watched = tuple(sorted(path for path in given.recorded if _kind(parts, path) == "inlet"))

    graphs = []
    for phase, wires, order in zip(phases, wirings, orders, strict=True):
        faults += _wire_faults(spec, given, parts, wires, batch)
        faults += _missing_wires(spec, parts, wires, phase)
        used = sorted({leaf[1] for wire in wires.values() for leaf in reads(wire) if leaf[0] == "data"})
        steps = spec.run.steps if phase is None or phase.steps is None else phase.steps
        graph = Graph(
            parts=parts,
            starts=starts,
            seed=np.uint32(spec.seed),
            names=tuple(parts),
            order=order,
            wires=tuple((*_split(path), wire) for path, wire in wires.items()),
            kept=frozenset(kept),
            watched=watched,
            sources=tuple((name, given.sources[name]) for name in used),
            batch=batch,
            dt=float(spec.run.dt),
            steps=int(steps),
            dtype=dtype,
        )
        if phase is not None and phase.set:
            try:
                graph = override(graph, {_by_field(spec, path): value for path, value in phase.set.items()})
            except ConfigError as error:
                index = phases.index(phase)
                faults += [dataclasses.replace(f, path=("phases", index, "set", *f.path)) for f in error.faults]
        graphs.append(graph)
    if faults:
        raise ConfigError(list(dict.fromkeys(faults)))
    return tuple(graphs)


def _by_field(spec: Spec, path: str) -> str:
    """The path of a setting with the name that its class has for it: presets have names of their own."""
    component, _, public = path.partition(".")
    typed = spec.components[component]
    return f"{component}.{describe.settings(typed.type, typed.settings)[public].field}"


def _together(errors: Sequence[ConfigError]) -> ConfigError:
    """All faults of several errors, as the error that fits them."""
    kind = MissingInput if any(isinstance(error, MissingInput) for error in errors) else ConfigError
    return kind([fault for error in errors for fault in error.faults])


def _split(path: str) -> tuple[str, str]:
    component, _, compartment = path.partition(".")
    return component, compartment


def _kind(parts: Mapping[str, Component], path: str) -> str:
    component, compartment = _split(path)
    return parts[component].compartments[compartment].kind


def _instantiate(spec: Spec, given: Build, name: str, typed: TypedSettings, dtype: str) -> Component:
    flat = describe.settings(typed.type, typed.settings)
    owners: dict[str, dict[str, Any]] = {"": {}, "connectivity": {}, "dynamics": {}, "rule": {}}
    errors = []
    for public, setting in flat.items():
        if setting.owner == "" and setting.field in ("connectivity", "dynamics", "rule"):
            continue
        value = typed.settings.get(public, setting.default)
        try:
            owners[setting.owner][setting.field] = _ready(given, name, public, setting, value, dtype)
        except ConfigError as error:
            errors.append(error)
    if errors:
        raise _together(errors)
    chosen = describe.part_types(typed.type, typed.settings)
    if not chosen:
        part = catalogue.types()[typed.type](**owners[""])
    else:
        made = {role: cls(**owners[role]) for role, cls in chosen.items()}
        part = catalogue.types()[catalogue.SYNAPSE](**owners[""], **made)
        if getattr(part.connectivity, "edges", None) is not None:
            part = _with_edges(given, name, part, typed, dtype)
    return _per_unit(spec, name, part, dtype)


def _with_edges(given: Build, name: str, part: Any, typed: TypedSettings, dtype: str) -> Component:
    """A synapse whose connections stand in a file, with the numbers in it."""
    path = ("components", name, "edges")
    edges, arrays, faults = part.connectivity.edges, {}, []
    for side in ("pre", "post", "weight", "delay"):
        if getattr(edges, side) is None and side in ("weight", "delay"):
            continue
        file = TypedSettings("file", {"path": edges.path, "key": edges.key(side)})
        arrays[side] = np.asarray(given.array(file, path))
        values = arrays[side]
        if values.ndim == 2 and values.shape[1] == 1:
            arrays[side] = values = values[:, 0]
        if values.ndim != 1 or values.shape != arrays["pre"].shape:
            shape = f"has shape {list(values.shape)}"
            wanted = f"pre {list(arrays['pre'].shape)}" if side != "pre" else "a list of numbers is needed"
            faults.append(Fault(f"{name}: {side} of {edges.path} {shape}, and {wanted}", path))
        elif words := _bad_edge(side, values):
            faults.append(Fault(f"{name}: {side} of {edges.path} {words}", path))
    if not faults and not len(arrays["pre"]):
        faults.append(Fault(f"{name}: {edges.path} has no edges", path))
    if not faults and "weight" in arrays:
        if "weight_init" in typed.settings:
            words = "weight_init and the weights in edges say two things; write one of them"
            faults.append(Fault(f"{name}: {words}", ("components", name, "weight_init")))
        elif part.connectivity.weights_per == "projection":
            words = "the weights in edges are one for each synapse, which weights_per: projection has not"
            faults.append(Fault(f"{name}: {words}", ("components", name, "weights_per")))
    for setting in ("delay", "max_delay_steps"):
        if "delay" in arrays and typed.settings.get(setting):
            words = f"{setting} and the delays in edges say two things; write one of them"
            faults.append(Fault(f"{name}: {words}", ("components", name, setting)))
    if faults:
        raise ConfigError(faults)
    weights, delays = (np.asarray(arrays[each], dtype) if each in arrays else None for each in ("weight", "delay"))
    loaded = edges.loaded(arrays["pre"], arrays["post"], weights, delays)
    part = dataclasses.replace(part, connectivity=part.connectivity.listed(loaded))
    if delays is None:
        return part
    return part.with_listed_delays(loaded.delays)


def _bad_edge(side: str, values: np.ndarray) -> str:
    """What is wrong with a column of edges, and where first; "" where nothing is."""
    if side in ("pre", "post"):
        good, words = (values == np.rint(values)) & (values >= 0), "must be numbers of units, whole and from 0 on"
    elif side == "delay":
        good, words = values >= 0, "must be numbers of ms, none below 0"
    else:
        return ""
    if good.all():
        return ""
    first = int(np.argmin(good))
    return f"{words}: edge {first + 1} has {values[first]:g}"


def _ready(given: Build, name: str, public: str, setting: Any, value: Any, dtype: str) -> Any:
    """A checked plain value as what the dataclass field holds."""
    if setting.role == "static":
        return _frozen(value)
    if setting.role == "part":
        return part_from(setting.annotation, value, given, ("components", name, public), dtype)
    if isinstance(value, Mapping):  # an initialiser for a number a unit: drawn once the size is known
        return part_from(Initialiser, value, given, ("components", name, public), dtype)
    return value if value is None else np.asarray(value, dtype)


def _frozen(value: Any) -> Any:
    return tuple(_frozen(item) for item in value) if isinstance(value, list | tuple) else value


def part_from(annotation: Any, value: Any, given: Build, path: tuple, dtype: str) -> Any:
    """The declaration that a config's value stands for: {type: …, settings}, {settings}, a number, or null."""
    if value is None:
        return None
    if isinstance(value, Declaration):
        return _cast(value, dtype)
    base = next(kind for kind in (typing.get_args(annotation) or (annotation,)) if kind is not types.NoneType)
    if not isinstance(value, Mapping):
        if isinstance(value, list):
            return Array(array=np.asarray(value, dtype))
        return _cast(Constant(value=value), dtype)
    if issubclass(base, Initialiser):
        cls = catalogue.parts("initialiser")[value["type"]]
    else:
        cls = base
    fields = {field.name: field for field in dataclasses.fields(cls)}
    made = cls(
        **{
            key: _frozen(item) if fields[key].metadata["role"] == "static" else item
            for key, item in value.items()
            if key != "type"
        }
    )
    if isinstance(made, File | Data):
        if isinstance(made, File):
            array = given.array(
                TypedSettings("file", {k: v for k, v in (("path", made.path), ("key", made.key)) if v is not None}),
                path,
            )
        else:
            array = given.array(made.entry, path)
        made = made.loaded(np.asarray(array, dtype))
    return _cast(made, dtype)


def _cast(part: Any, dtype: str) -> Any:
    """Every leaf in the one float dtype, so that a number and an array are the same program; who is connected with
    whom stays in integers."""
    return jax.tree.map(lambda leaf: leaf if _counts(leaf) else np.asarray(leaf, dtype), part)


def _counts(leaf: Any) -> bool:
    return isinstance(leaf, np.ndarray) and leaf.dtype.kind in "iu"


def _per_unit(spec: Spec, name: str, part: Component, dtype: str) -> Component:
    """Settings given as a list or an initialiser become one value a unit."""
    faults, changed = [], {}
    for field in dataclasses.fields(part):
        value = getattr(part, field.name)
        if field.metadata["role"] != "param" or value is None:
            continue
        per = field.metadata.get("per")
        shape = part.sizes().get(per, ()) if per else ()
        if isinstance(value, Initialiser):
            misfits = _misfits(value, shape, ("components", name, field.name))
            if misfits:
                faults += misfits
                continue
            key = structure_key(spec.seed, name, field.name)
            value = np.asarray(value.draw(jax.random.key(key), shape, dtype))
        elif np.ndim(value):
            if np.size(value) != count(shape):
                faults.append(
                    Fault(
                        f"{name}.{field.name} has {np.size(value)} values, but {name} has {count(shape)} "
                        f"units; give one number, or {count(shape)}",
                        ("components", name, field.name),
                    )
                )
                continue
            value = np.reshape(value, shape)
        changed[field.name] = np.asarray(value, dtype)
    if faults:
        raise ConfigError(faults)
    return dataclasses.replace(part, **changed)


def _misfits(initialiser: Initialiser, shape: Shape, path: tuple) -> list[Fault]:
    """What of an initialiser's settings does not go with the shape it has to fill."""
    return [
        Fault(f"{setting} {sentence}" if setting else sentence, (*path, setting) if setting else path)
        for setting, sentence in initialiser.misfits(shape)
    ]


def _impossible(spec: Spec, parts: Mapping[str, Component]) -> list[Fault]:
    """Settings that are each right and together wrong: start values that do not fit, and what components say."""
    faults = []
    for name, part in parts.items():
        for setting, sentence in part.problems():
            faults.append(Fault(f"{name}: {sentence}", ("components", name, setting)))
        if not hasattr(part, "weight_init"):
            continue
        public = {
            setting.field: shown
            for shown, setting in describe.settings(spec.components[name].type, spec.components[name].settings).items()
        }
        sizes = part.sizes()
        if _drawn(part):  # rows of synapses are filled as one list, and have no mask
            sizes |= {"weight": cast(Any, part).filled["weights"]}
        for field, size in (("weight_init", "weight"), ("bias_init", "bias"), ("mask", "weight")):
            initialiser = getattr(part, field, None)
            if initialiser is None or (_drawn(part) and (field == "mask" or _is_matrix(initialiser, part))):
                continue
            faults += _misfits(initialiser, sizes[size], ("components", name, public[field]))
        delayed = getattr(getattr(part, "delay", None), "of", None)
        if delayed is not None:
            faults += _misfits(delayed, sizes["delay"], ("components", name, public["delay"]))
    return faults


def _drawn(part: Any) -> bool:
    """Whether who is connected with whom is yet to be drawn."""
    return hasattr(part, "connectivity") and part.connectivity.drawn


def _is_matrix(initialiser: Any, part: Any) -> bool:
    """Whether weights are given as a matrix of all pairs, of which those that are connected are taken."""
    shape = (*part.connectivity.pre_shape, *part.connectivity.post_shape)
    return isinstance(initialiser, Array) and np.shape(initialiser.array) == shape


def structure_key(seed: int, component: str, what: str) -> int:
    """A number for a draw made on the host, from the seed and two names."""
    words = np.random.SeedSequence([seed, zlib.crc32(component.encode()), zlib.crc32(what.encode())])
    return int(words.generate_state(1)[0])


def _fit_synapses(spec: Spec, given: Build, parts: dict[str, Component]) -> dict[str, Component]:
    """Shapes that synapses left out, taken from what is wired to their two sides."""
    parts = {name: _cast(part.fitted(None, None) or part, spec.run.precision) for name, part in parts.items()}
    waiting = {name for name, part in parts.items() if part.fitted(None, None) is None}
    for _ in range(len(waiting) + 1):
        for name in sorted(waiting):
            sides = {side: _side(spec, given, parts, waiting - {name}, name, side) for side in ("pre", "post")}
            fitted = parts[name].fitted(sides["pre"], sides["post"])
            if fitted is not None:
                parts[name] = _cast(fitted, spec.run.precision)
                waiting = waiting - {name}
    faults = []
    for name in sorted(waiting):
        sides = {side: _side(spec, given, parts, waiting, name, side) for side in ("pre", "post")}
        has = {what.size for what in parts[name].compartments.values()}
        lacks = " and ".join(f"{side}synaptic" for side, shape in sides.items() if shape is None and side in has)
        said = (
            "; ".join(f"its {side}synaptic side has shape {list(shape)}" for side, shape in sides.items() if shape)
            or "nothing wired says how large it is"
        )
        image = hasattr(getattr(parts[name], "connectivity", None), "x_shape")  # its kernel's shape is always written
        faults.append(
            Fault(
                f"the shape of {name} cannot be taken from its wires: "
                + (f"its {lacks} side is not wired to anything of known size" if lacks else said)
                + f"; write its {'x_shape' if image else 'shape'}",
                ("components", name),
                at_key=True,
            )
        )
    if faults:
        raise ConfigError(faults)
    return parts


def _side(
    spec: Spec, given: Build, parts: Mapping[str, Component], unknown: set[str], name: str, side: str
) -> Shape | None:
    """The shape of one side of a synapse, from a wire into an inlet of that side or out of an outlet of it."""
    part = parts[name]
    sized = {compartment for compartment, what in part.compartments.items() if what.size == side and what.batch}
    unknown = unknown | {name}
    for inlet in sorted(sized):
        wire = spec.wires.get(f"{name}.{inlet}")
        shape = _unit_shape(given, parts, unknown, wire) if wire is not None else None
        if shape:
            return shape
    for path, wire in spec.wires.items():
        reader, inlet = _split(path)
        if reader in unknown:
            continue
        if any(leaf[0] == "read" and leaf[1] == name and leaf[2] in sized for leaf in reads(wire)):
            what = parts[reader].compartments[inlet]
            if what.batch:
                return parts[reader].sizes()[what.size]
    return None


def _unit_shape(given: Build, parts: Mapping[str, Component], unknown: set[str], wire: Wire) -> Shape | None:
    for leaf in reads(wire):
        if leaf[0] == "data" and leaf[1] in given.sources:
            return given.sources[leaf[1]].shape
        if leaf[0] == "read" and leaf[1] not in unknown:
            what = parts[leaf[1]].compartments[leaf[2]]
            return parts[leaf[1]].sizes()[what.size] if what.batch else None
    return None


def _refuse_giants(parts: Mapping[str, Component], batch: int, dtype: str, budget: int) -> None:
    """Stops before anything of a size that cannot fit is drawn."""
    for name, part in parts.items():
        shape = part.sizes().get("weight")
        if shape and (getattr(part, "p_conn", 1.0) < 1.0 or getattr(part, "mask", None) is not None or _drawn(part)):
            drawn = _drawn(part)
            if (needed := count(shape) * (DRAWN_BYTES if drawn else MASK_BYTES)) > SHARE * budget:
                what = f"the {'synapses' if drawn else 'mask'} of {name} while {'they are' if drawn else 'it is'} drawn"
                raise too_large(what, shape, dtype, needed, budget, "use fewer units", ("components", name))
        for compartment, what in part.compartments.items():
            shape = full_shape(part, what, batch)
            needed = count(shape) * np.dtype(dtype).itemsize
            if what.kind != "inlet" and needed > SHARE * budget:
                raise too_large(
                    f"{name}.{compartment}",
                    shape,
                    dtype,
                    needed,
                    budget,
                    "use fewer units" + (" or a smaller batch" if what.batch and batch > 1 else ""),
                    ("components", name),
                )


def _timed(part: Any, dt: float, dtype: str) -> Component:
    """A synapse with as many slots as its delays need at this time step."""
    return _cast(part.timed(dt), dtype) if hasattr(part, "timed") else part


def _with_structure(spec: Spec, name: str, part: Any, dtype: str) -> Component:
    """The mask of a synapse as an array, p_conn drawn on the host and folded in; what is drawn changes no program."""
    if not hasattr(part, "p_conn"):
        return part
    seed, dt = structure_key(spec.seed, name, "delay"), float(spec.run.dt)
    if _drawn(part):
        return _with_synapses(spec, name, part, dtype).with_delays(seed, dt, dtype)
    if hasattr(part, "with_delays"):
        part = part.with_delays(seed, dt, dtype)
    shape, mask = part.sizes()["weight"], None
    if part.mask is not None:
        mask = np.asarray(part.mask.draw(jax.random.key(structure_key(spec.seed, name, "mask")), shape, dtype))
    if part.p_conn < 1.0:
        drawn = structure.generator(spec.seed, name, "p_conn").random(shape) < part.p_conn
        mask = drawn.astype(dtype) if mask is None else mask * drawn
    return part if mask is None else dataclasses.replace(part, mask=Array(array=np.asarray(mask, dtype)))


def _with_synapses(spec: Spec, name: str, part: Any, dtype: str) -> Any:
    """A sparse synapse with its synapses: drawn from the seed and its name, or as a file lists them."""
    connectivity, path = part.connectivity, ("components", name)
    try:
        # what storage: sparse draws is what the mask in its place would be
        what = "p_conn" if connectivity.as_mask else "synapses"
        pairs = connectivity.draw(structure.generator(spec.seed, name, what))
        made = connectivity.structured(pairs, incoming=part.rule.by_column)
    except ValueError as error:
        raise ConfigError(Fault(f"{name}: {error}", path, at_key=True)) from None
    weights = connectivity.written_weights()
    if weights is None and _is_matrix(part.weight_init, part):
        weights = np.asarray(part.weight_init.array)[pairs.pre, pairs.post]
    places = structure.slots(pairs, connectivity.pre_shape[0], connectivity.length)
    if weights is not None:
        flat = np.zeros(part.filled["weights"], dtype)
        flat[places] = weights
        part = dataclasses.replace(part, weight_init=Array(array=flat))
    return dataclasses.replace(part.with_delays_placed(places), connectivity=made)


def _start(
    spec: Spec, given: Build, part: Component, compartment: str, path: str, value: Any, dtype: str
) -> Initialiser:
    start = part_from(Initialiser, value, given, ("initial", path), dtype)
    what = part.compartments[compartment]
    shape = part.sizes()[what.size] if what.size else ()
    if isinstance(start, Array):
        shapes = [shape, (spec.run.batch, *shape)] if what.batch else [shape]
        if np.shape(start.array) not in shapes:
            raise ConfigError(
                Fault(
                    f"{path} has shape {list(shape)}, but what it starts at has shape {list(np.shape(start.array))}",
                    ("initial", path),
                )
            )
    else:
        misfits = _misfits(start, (spec.run.batch, *shape) if what.batch else shape, ("initial", path))
        if misfits:
            raise ConfigError(misfits)
    return start


# ------------------------------------------------------------------------------------------- wires and schedules


def _phase_wires(spec: Spec, phase: Phase | None) -> dict[str, Wire]:
    wires = dict(spec.wires)
    for inlet, wire in (phase.wires if phase is not None else {}).items():
        wires.pop(inlet, None)
        if wire is not None:
            wires[inlet] = wire
    return wires


def _order(spec: Spec, phase: Phase | None, parts: Mapping[str, Component]) -> Order:
    """The schedule of a phase call by call: `reset` of all spelled out, evolve left out where nothing is learned."""
    written = spec.order(phase)
    lists = {"start": written.start, "step": written.step, "end": written.end}
    seen: dict[tuple[str, str], int] = {}
    made: dict[str, tuple[Call, ...]] = {}
    for when, calls in lists.items():
        assert calls is not None  # spec.order has filled in what was not written
        spelled = []
        for component, method in calls:
            for name in parts if component == EVERY else (component,):
                if method == "evolve" and phase is not None and not phase.learning:
                    continue
                occurrence = seen.get((name, method), 0)
                seen[name, method] = occurrence + 1
                spelled.append(Call(name, method, occurrence))
        made[when] = tuple(spelled)
    return Order(**made)


def _with_back(
    parts: Mapping[str, Component], wires: dict[str, Wire], order: Order, faults: list[Fault]
) -> dict[str, Wire]:
    """A synapse that backtransmits and has nothing on `back` sends back what feeds its rule's post signal."""
    wires = dict(wires)
    for call in (*order.start, *order.step, *order.end):
        if call.method != "backtransmit" or f"{call.component}.back" in wires:
            continue
        part: Any = parts[call.component]
        inlet = part.rule.post_inlet
        wire = wires.get(f"{call.component}.{inlet}")
        if wire is not None:
            wires[f"{call.component}.back"] = wire
        else:
            faults.append(
                Fault(
                    f"{call.component}.backtransmit is scheduled, but nothing feeds {call.component}.back; "
                    f"add a wire {call.component}.back: …",
                    ("components", call.component),
                    at_key=True,
                )
            )
    return wires


def _wire_shape(given: Build, parts: Mapping[str, Component], wire: Wire, batch: int) -> tuple[Shape | None, str]:
    """The full shape that a wire delivers (None: a number, which fits any), and the leaf that says so."""
    found: tuple[Shape | None, str] = (None, "")
    for leaf in reads(wire):
        if leaf[0] == "number":
            continue
        if leaf[0] == "data":
            shape, label = (batch, *given.sources[leaf[1]].shape), leaf[1]
        else:
            part = parts[leaf[1]]
            shape, label = full_shape(part, part.compartments[leaf[2]], batch), f"{leaf[1]}.{leaf[2]}"
        if found[0] is None:
            found = (shape, label)
        elif found[0] != shape:
            raise ValueError(
                f"{found[1]} has shape {_said(found[0], batch)} and {label} has {_said(shape, batch)}: "
                "what is added or multiplied must have one shape"
            )
    return found


def _said(shape: Shape, batch: int) -> str:
    """A shape as a user counts it: without the rows of the batch."""
    inner = shape[1:] if shape[:1] == (batch,) and len(shape) > 1 else shape
    return str(list(inner))


def _wire_faults(
    spec: Spec, given: Build, parts: Mapping[str, Component], wires: Mapping[str, Wire], batch: int
) -> list[Fault]:
    faults = []
    for path, wire in wires.items():
        component, inlet = _split(path)
        place = _wire_place(spec, path)
        missing = [leaf[1] for leaf in reads(wire) if leaf[0] == "data" and leaf[1] not in given.sources]
        if missing:
            continue  # the entry could not be read, which is said elsewhere
        try:
            shape, label = _wire_shape(given, parts, wire, batch)
        except ValueError as error:
            faults.append(Fault(f"{path}: {error}", place))
            continue
        part = parts[component]
        wanted = full_shape(part, part.compartments[inlet], batch)
        if shape is not None and shape != wanted:
            faults.append(
                Fault(
                    f"{path} takes shape {_said(wanted, batch)}, but {label} has shape "
                    f"{_said(shape, batch)}; wires never reshape{_other_side(part, inlet, shape, batch)}",
                    place,
                )
            )
    return faults


def _other_side(part: Component, inlet: str, shape: tuple[int, ...], batch: int) -> str:
    for one, other in (("pre", "post"), ("post", "pre")):
        what = part.compartments.get(inlet.replace(one, other, 1)) if inlet.startswith(one) else None
        if what is not None and full_shape(part, what, batch) == shape:
            return "; are pre and post swapped?"
    return ""


def _wire_place(spec: Spec, path: str) -> tuple:
    if path in spec.wires:
        return ("wires", path)
    for index, phase in enumerate(spec.phases):
        if path in phase.wires:
            return ("phases", index, "wires", path)
    return ("components", _split(path)[0])


def _missing_wires(
    spec: Spec, parts: Mapping[str, Component], wires: Mapping[str, Wire], phase: Phase | None
) -> list[Fault]:
    faults = []
    for name, part in parts.items():
        lacks = [
            inlet
            for inlet, what in part.compartments.items()
            if what.kind == "inlet"
            and what.required
            and f"{name}.{inlet}" not in wires
            and not (phase is not None and f"{name}.{inlet}" in phase.wires)
        ]
        for inlet in lacks:
            what = part.compartments[inlet]
            faults.append(
                Fault(
                    f"{name}.{inlet} needs a wire ({what.doc.rstrip('.').lower()}); add {name}.{inlet}: … under wires",
                    ("components", name),
                    at_key=True,
                )
            )
    return faults
