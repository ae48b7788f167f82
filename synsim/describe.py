"""A type as plain data: its settings, compartments and methods, and the check of a written value against a setting.

Everything is read off the one declaration (see `component.py`), so validation, help, the JSON Schema and HDF5
attributes cannot disagree. `settings_of` and `check_settings` work on any dataclass whose fields were declared by
`param`, `static` or `part`, so the keys of `run`, `record` and a phase are described and checked like a neuron's.
"""

from __future__ import annotations

import dataclasses
import inspect
import textwrap
import typing
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass
from functools import cache
from types import MappingProxyType
from typing import Any

from synsim import catalogue
from synsim.component import Compartment, Declaration
from synsim.faults import listing, suggest, there_are
from synsim.values import BadValue, Wrong, check_numbers, check_plain, shown, shown_name, words

__all__ = [
    "BadValue",
    "Setting",
    "Wrong",
    "bounds_in_words",
    "card",
    "check_settings",
    "check_value",
    "choices",
    "compartments",
    "data_settings",
    "methods",
    "part_card",
    "part_types",
    "plain",
    "setting_card",
    "settings",
    "settings_of",
]


MOST_WRONGS = 100
"""After so many faults in one mapping the rest goes unsaid: looking for near names takes time."""


@dataclass(frozen=True)
class Setting:
    """One setting as plain data.

    `name` is what a user writes, `field` the name in the class that owns it and `owner` which part of a synapse that
    is ("" for the component itself). `default` is MISSING where the setting is required. `declares` is the
    declaration, or the interface of several, that a part is one of.
    """

    name: str
    doc: str
    unit: str
    role: str  # param, static or part
    annotation: Any
    default: Any
    bounds: Mapping[str, float]
    per: str | None = None
    owner: str = ""
    field: str = ""
    also: tuple[str, ...] = ()
    declares: type[Declaration] | None = None
    among: tuple[str, ...] = ()  # what of all that `declares` offers can be chosen; () for everything

    @property
    def required(self) -> bool:
        """Whether it has no default."""
        return self.default is MISSING

    @property
    def optional(self) -> bool:
        """Whether null is one of its values."""
        return type(None) in typing.get_args(self.annotation)


# settings ---------------------------------------------------------------------------------------------------------


@cache
def settings_of(declared: type) -> Mapping[str, Setting]:
    """The settings of one dataclass, in the order in which they are declared."""
    hints = typing.get_type_hints(declared)
    found = {}
    for field in dataclasses.fields(declared):
        about = field.metadata
        if about.get("role", "made") == "made":
            continue  # not a setting: made when the graph is built, or of a class that is no declaration
        bounds = {key: about[key] for key in ("gt", "ge", "lt", "le") if key in about}
        name = field.name.removesuffix("_")  # `as` is a word of Python
        found[name] = Setting(
            name=name,
            doc=about["doc"],
            unit=about["unit"],
            role=about["role"],
            annotation=hints[field.name],
            default=field.default,
            bounds=MappingProxyType(bounds),
            per=about.get("per"),
            field=field.name,
            also=about.get("also", ()),
            declares=_declared(hints[field.name]) if about["role"] == "part" else None,
        )
    return MappingProxyType(found)


def _declared(annotation: Any) -> type[Declaration]:
    for option in (annotation, *typing.get_args(annotation)):
        if isinstance(option, type) and issubclass(option, Declaration):
            return option
    raise TypeError(f"{annotation!r} names no declaration, so it cannot be a part")


def settings(type_name: str, chosen: Mapping[str, Any] = MappingProxyType({})) -> Mapping[str, Setting]:
    """The flat view of a component type by the names a user writes.

    For a synapse this is the union of what the synapse and its three parts declare: a preset has its own names and
    defaults and no choice of parts but of the connectivity between vectors; for `Synapse` itself, and for that, the
    parts are read from `chosen`.
    """
    entry = catalogue.types()[type_name]
    if isinstance(entry, type) and type_name != catalogue.SYNAPSE:
        return settings_of(entry)
    flat = {
        name: setting
        for name, setting in settings_of(_synapse()).items()
        if name not in catalogue.SYNAPSE_PARTS or name in open_parts(type_name)
    }
    for owner, part in part_types(type_name, chosen).items():
        for name, setting in settings_of(part).items():
            if name in flat:
                raise TypeError(f"{part.__name__}.{name} is a setting of its synapse, or of another part, already")
            flat[name] = dataclasses.replace(setting, owner=owner)
    return flat if isinstance(entry, type) else _as_preset(type_name, entry, flat)


def data_settings(type_name: str) -> Mapping[str, Setting]:
    """The settings of a type of data entry."""
    return settings_of(catalogue.parts("data")[type_name])


def _as_preset(type_name: str, preset: Any, flat: Mapping[str, Setting]) -> dict[str, Setting]:
    unknown = (set(preset.defaults) | set(preset.rename.values())) - set(flat)
    if unknown:
        raise TypeError(f"the preset {type_name} speaks of {listing(sorted(unknown))}, which none of its parts has")
    public = {field: name for name, field in preset.rename.items()}
    named = {}
    for name, setting in flat.items():
        if name == "connectivity":
            default = catalogue.parts(name)[preset.connectivity]()
            setting = dataclasses.replace(setting, default=default, among=preset.connectivities)
        if name in preset.defaults:
            setting = dataclasses.replace(setting, default=preset.defaults[name])
        if name in public:
            setting = dataclasses.replace(setting, name=public[name], also=(*setting.also, name))
        named[setting.name] = setting
    return named


def open_parts(type_name: str) -> tuple[str, ...]:
    """Which parts of a synapse type are chosen in a config; none of another component."""
    entry = catalogue.types()[type_name]
    if isinstance(entry, type):
        return tuple(catalogue.SYNAPSE_PARTS) if type_name == catalogue.SYNAPSE else ()
    return ("connectivity",) if len(entry.connectivities) > 1 else ()


def part_types(type_name: str, chosen: Mapping[str, Any] = MappingProxyType({})) -> dict[str, type[Declaration]]:
    """The classes of a synapse type's parts; those that it leaves open come from `chosen` or its defaults."""
    entry = catalogue.types()[type_name]
    found: dict[str, type[Declaration]] = {}
    if isinstance(entry, type) and type_name != catalogue.SYNAPSE:
        return found
    for kind in catalogue.SYNAPSE_PARTS:
        if isinstance(entry, type):
            default = settings_of(entry)[kind].default
            written = chosen.get(kind, default.type_name if isinstance(default, Declaration) else None)
        else:
            written = getattr(entry, kind)
            if kind in open_parts(type_name):
                written = chosen.get(kind, written)
        name = written.get("type") if isinstance(written, Mapping) else written
        if isinstance(written, Declaration):
            name = written.type_name
        offered = () if isinstance(entry, type) else entry.connectivities
        if kind == "connectivity" and offered and name not in offered:
            continue
        if isinstance(name, str) and name in catalogue.parts(kind):
            found[kind] = catalogue.parts(kind)[name]
    return found


def choices(setting: Setting) -> Mapping[str, type[Declaration]]:
    """What a part may be, by type name: one declaration, or all that implement an interface."""
    assert setting.declares is not None
    if not setting.declares.is_abstract:
        return {setting.declares.type_name: setting.declares}
    known = catalogue.parts(catalogue.kind_of(setting.declares))
    return {name: known[name] for name in setting.among} or known


def _synapse() -> type:
    return catalogue.types()[catalogue.SYNAPSE]


# compartments and methods -----------------------------------------------------------------------------------------


def compartments(type_name: str, chosen: Mapping[str, Any] = MappingProxyType({})) -> Mapping[str, Compartment]:
    """The compartments of a type by name; those of a synapse depend on its parts and on some of its settings."""
    entry = catalogue.types()[type_name]
    if isinstance(entry, type) and type_name != catalogue.SYNAPSE:
        return entry.declared
    parts = part_types(type_name, chosen)
    if set(parts) != set(catalogue.SYNAPSE_PARTS):
        return _synapse().declared  # a part is not known, which is a fault of its own
    from synsim.components.synapses.synapse import compartments_of

    return compartments_of(parts["connectivity"], parts["dynamics"], parts["rule"], _by_field(type_name, chosen))


def methods(type_name: str, chosen: Mapping[str, Any] = MappingProxyType({})) -> tuple[str, ...]:
    """The methods that a schedule may name, besides `reset`."""
    entry = catalogue.types()[type_name]
    if isinstance(entry, type) and type_name != catalogue.SYNAPSE:
        return entry.declared_methods()
    parts = part_types(type_name, chosen)
    if "rule" not in parts:
        return ("advance",)
    from synsim.components.synapses.synapse import methods_of

    return methods_of(parts["rule"], _by_field(type_name, chosen))


def _by_field(type_name: str, chosen: Mapping[str, Any]) -> dict[str, Any]:
    return {
        setting.field: chosen.get(name, None if setting.required else setting.default)
        for name, setting in settings(type_name, chosen).items()
    }


# values -----------------------------------------------------------------------------------------------------------


def check_settings(
    table: Mapping[str, Setting],
    written: Mapping[str, Any],
    *,
    noun: str = "setting",
    hints: Mapping[str, str] = MappingProxyType({}),
    others: Iterable[str] = (),
) -> tuple[dict[str, Any], list[Wrong]]:
    """What was written, checked against a table of settings: the good values by name, and all that is wrong.

    Other names of a setting (`also`) are resolved. `hints` says what to do about names that people try and that do
    not exist; `others` are keys that exist and are checked elsewhere.
    """
    names = {other: name for name, setting in table.items() for other in (name, *setting.also)}
    others = tuple(others)
    clean: dict[str, Any] = {}
    wrongs: list[Wrong] = []
    spelled: dict[str, str] = {}
    for key, value in written.items():
        if key in others:
            continue
        if len(wrongs) >= MOST_WRONGS:
            break
        name = names.get(key)
        if name is None:
            known = f" It has {listing([*table, *others], most=30)}."
            advice = f": {hints[key]}" if key in hints else "." + (suggest(key, [*names, *others]) or known)
            wrongs.append(Wrong((key,), f"has no {noun} {shown_name(key)}{advice}", at_key=True))
        elif name in spelled:
            wrongs.append(
                Wrong((key,), f"is {spelled[name]} under another name: write one of them", subject=True, at_key=True)
            )
        else:
            spelled[name] = key
            try:
                clean[name] = check_value(table[name], value)
            except BadValue as bad:
                wrongs.extend(
                    Wrong((key, *wrong.path), wrong.sentence, wrong.at_key, wrong.subject) for wrong in bad.wrongs
                )
    for name, setting in table.items():
        if setting.required and name not in spelled:
            unit = f", in {setting.unit}" if setting.unit else ""
            wrongs.append(Wrong((), f"needs {name}{unit}: {setting.doc}", at_key=True, subject=True))
    return clean, wrongs


def check_value(setting: Setting, value: Any) -> Any:
    """The value as the component will get it, or `BadValue` with every (path inside the value, sentence).

    Numbers refuse booleans and text, whole numbers refuse 3.0, nothing but finite numbers passes. A parameter that
    may differ from unit to unit takes a number, a list or an initialiser.
    """
    if setting.role == "part":
        return _check_part(setting, value)
    if setting.per is not None and isinstance(value, Mapping):
        return _check_typed(value, catalogue.parts("initialiser"), "initialiser")
    if setting.per is not None and isinstance(value, list | tuple):
        return check_numbers(value, setting.bounds, setting.unit)
    extra = ", a list of numbers or an initialiser" if setting.per is not None else ""
    return check_plain(setting.annotation, value, setting.bounds, setting.unit, setting.role == "param", extra)


def _check_part(setting: Setting, value: Any) -> Any:
    known, interface = choices(setting), setting.declares
    assert interface is not None
    if value is None and setting.optional:
        return None
    if setting.name in catalogue.SYNAPSE_PARTS:  # its settings are settings of the synapse: checked there
        name = value.get("type") if isinstance(value, Mapping) else value
        if isinstance(name, str) and name in known:
            return name
        path = ("type",) if isinstance(value, Mapping) and "type" in value else ()
        raise BadValue([Wrong(path, _must_be_one_of(setting.name, known, name))])
    if "constant" in known and isinstance(value, int | float):
        return check_plain(float, value, {}, "", True)
    if not interface.is_abstract and isinstance(value, Mapping):
        clean = _check_typed({"type": interface.type_name, **value}, known, setting.name)
        return {name: kept for name, kept in clean.items() if name != "type"}  # there is no choice to be named
    if not isinstance(value, Mapping):
        numbers = "a number or " if "constant" in known else ""
        example = _example(known, typed=interface.is_abstract)
        raise BadValue([Wrong((), f"must be {numbers}a mapping such as {example}, not {shown(value)}")])
    return _check_typed(value, known, catalogue.kind_of(interface))


def _check_typed(value: Mapping[str, Any], known: Mapping[str, type], noun: str) -> dict[str, Any]:
    if "type" not in value:
        raise BadValue([Wrong((), f"needs a type, as {_example(known)}")])
    name = value["type"]
    if not isinstance(name, str) or name not in known:
        raise BadValue([Wrong(("type",), _must_be_one_of(noun, known, name))])
    rest = {key: item for key, item in value.items() if key != "type"}
    clean, wrongs = check_settings(settings_of(known[name]), rest)
    if wrongs:
        raise BadValue(wrongs)
    return {"type": name, **clean}


def _must_be_one_of(noun: str, known: Iterable[str], name: Any) -> str:
    known = list(known)
    near = suggest(name, known) if isinstance(name, str) else ""
    return f"must name {_article(noun)} {noun} that exists, not {shown_name(name)}." + (near or there_are(known))


def _article(noun: str) -> str:
    return "an" if noun[0] in "aeiou" else "a"


def _example(known: Mapping[str, type[Declaration]], *, typed: bool = True) -> str:
    name = "uniform" if "uniform" in known else next(iter(known))
    own = [key for key in settings_of(known[name]) if key in vars(known[name]).get("__annotations__", {})]
    start = [f"type: {name}"] if typed else []
    return "{" + ", ".join([*start, *(f"{key}: …" for key in own[:2])]) + "}"


def plain(value: Any) -> Any:
    """A value as it can stand in JSON: tuples become lists, declarations a mapping with their type."""
    if isinstance(value, Declaration):
        fields = dataclasses.fields(typing.cast(Any, value))
        return {"type": value.type_name, **{field.name: plain(getattr(value, field.name)) for field in fields}}
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


# cards ------------------------------------------------------------------------------------------------------------


def bounds_in_words(bounds: Mapping[str, float]) -> dict[str, float]:
    """Bounds under names that can be read: above, at least, below, at most."""
    words = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most"}
    return {words[key]: value for key, value in bounds.items()}


def card(type_name: str) -> dict[str, Any]:
    """Everything there is to say about a type, as one JSON document."""
    entry = catalogue.types()[type_name]
    table, parts = settings(type_name), part_types(type_name)
    if isinstance(entry, type):
        summary, body, source = _told(entry)
        family = entry.family
    else:
        summary, body, source = entry.doc, "", entry.source
        family = "synapse"
    if parts:
        told = [_told(part) for part in parts.values()]
        body = "\n".join(text for text in (body, *(text for _, text, _ in told)) if text)
        source = source or "; ".join(text.rstrip(".") for _, _, text in told if text and not text.startswith("none"))
    return {
        "type": type_name,
        "family": family,
        "doc": summary,
        "equation": body,
        "source": source,
        "parts": {kind: part.type_name for kind, part in parts.items()},
        "settings": [setting_card(setting) for setting in table.values()],
        "compartments": [_compartment_card(name, each) for name, each in compartments(type_name).items()],
        "methods": [*methods(type_name), "reset"],
    }


def part_card(declared: type) -> dict[str, Any]:
    """What there is to say about an initialiser, a data entry, a part of a synapse or the keys of a section."""
    summary, body, source = _told(declared)
    compartments = getattr(declared, "declared", {})
    return {
        "type": getattr(declared, "type_name", ""),
        "doc": summary,
        "equation": body,
        "source": source,
        "settings": [setting_card(setting) for setting in settings_of(declared).values()],
        "compartments": [_compartment_card(name, each) for name, each in compartments.items()],
    }


def _told(declared: type) -> tuple[str, str, str]:
    """A docstring's first line, what follows, and its source."""
    summary, _, rest = inspect.cleandoc(declared.__doc__ or "").partition("\n")
    body, _, source = rest.partition("Source:")
    return summary.strip(), textwrap.dedent(body).strip("\n").rstrip(), " ".join(source.split())


def setting_card(setting: Setting) -> dict[str, Any]:
    """One setting as JSON: its name, doc, unit, what it may be, and its default."""
    if setting.role == "part":
        known = choices(setting)
        only = next(iter(known.values()))
        kind = f"one of {listing(known, most=30)}" if len(known) > 1 else f"a mapping with {listing(settings_of(only))}"
    else:
        kind = words(setting.annotation) + (", a list of numbers or an initialiser" if setting.per else "")
    about: dict[str, Any] = {
        "name": setting.name,
        "doc": setting.doc,
        "unit": setting.unit,
        "role": setting.role,
        "values": kind,
        "required": setting.required,
    }
    if not setting.required:
        about["default"] = plain(setting.default)
    if setting.bounds:
        about["bounds"] = bounds_in_words(setting.bounds)
    if setting.owner:
        about["part"] = setting.owner
    if setting.also:
        about["also"] = list(setting.also)
    return about


def _compartment_card(name: str, each: Compartment) -> dict[str, Any]:
    about: dict[str, Any] = {
        "name": name,
        "kind": each.kind,
        "doc": each.doc,
        "unit": each.unit,
        "size": each.size,
        "batch": each.batch,
    }
    if each.kind == "inlet":
        about["required"] = each.required
        if not each.required:
            about["default"] = each.default
    for flag in ("learned", "per_phase", "spikes", "shown"):
        if getattr(each, flag):
            about[flag] = True
    return about
