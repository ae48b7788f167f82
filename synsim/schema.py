"""The JSON Schema (draft-07) of a whole config, from the declarations that `check` itself goes by.

Editors complete, explain and underline by it. What a component may have depends on its `type`, so each type is an
if/then of its own: a wrong setting is marked where it stands, and completion offers that type's settings and no
others. A config that extends another says only what differs, so there nothing is required and null takes away.

A schema knows one place at a time: that a wire reads a compartment that exists, that sizes fit and that lists have
the right length is for `synsim check`.
"""

from __future__ import annotations

import json
import re
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from synsim import catalogue, describe, reference
from synsim.component import Declaration, Size
from synsim.config.document import SECTIONS
from synsim.config.sections import DEVICE, NAME, RESERVED, RUN_NAME
from synsim.describe import Setting
from synsim.plugins import NAME as PLUGIN
from synsim.spec import LauncherSettings, Phase, Range, RecordSettings, RunSettings, SweepSettings, TopSettings

Json = dict[str, Any]

REFERENCE = r"^\$\{(?!\s*env:)[^{}]*\}$"
"""What may stand in place of any value: ${name} of let."""

IN_TEXT = r"\$\{"
"""What may stand in any text: ${name} of let, or ${env:NAME} for the whole or a piece of it."""

_WORD = "[A-Za-z][A-Za-z0-9_]{0,63}"
_PATH = rf"^(components\.)?{_WORD}\.[A-Za-z_][A-Za-z0-9_]*$"
_SWEPT = r"^[A-Za-z][A-Za-z0-9_]*(\.[^.\s]+)+$"
_NUMBER = r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?"
_RANGE = rf"^(log:)?{_NUMBER}:{_NUMBER}(:\d*[1-9]\d*)?$"
_NUMBERS: Json = {"errorMessage": "must be a number, a list of numbers or an initialiser."}
_CALL = rf"^(components\.)?{_WORD}(\.[A-Za-z_][A-Za-z0-9_]*)?$"

_ENDS = {"from": "first", "to": "last"}

SECTION_DOCS: Mapping[str, str] = {
    "extends": "A config that this one builds on, or a list of them, the last the strongest. Its values are laid over "
    "theirs, key by key; null takes a value away.",
    "name": "Name of the run: of its folder and its file. Left out, that of the file.",
    "seed": "Seed of everything random.",
    "plugins": "Python packages whose components this config uses. They must be allowed with --allow-plugins.",
    "let": 'Values with a name: "${name}" stands for one wherever a whole value stands, and keeps its type.',
    "run": "Time step, length, batch, precision and device of the run.",
    "data": "What drives the network from outside, and labels: entries by name.",
    "components": "Cells, synapses, traces, sources and readouts by name. The order written is the order run.",
    "wires": "What each inlet reads, as z.j: W.outputs. A compartment, a data entry, a number, a sum of them with "
    "+ - * and parentheses, or a list, which is summed.",
    "schedule": "What is called, and when. Left out: all are reset at the start of a trial; in each step all advance, "
    "then all evolve, in the order of components.",
    "record": "What is kept in the file: a state, outlet, inlet or data entry, and how often.",
    "initial": "Where states start: a number, a list or an initialiser.",
    "phases": "Parts of the run, one after another in one file. Each says what differs from the config.",
    "sweep": "What `synsim sweep` varies: paths as z.tau_m, run.dt, let.hid or seed, each with a list or a range, and "
    "how they are put together.",
    "launcher": "Where `synsim sweep` computes its points: on this machine, or on a cluster with Slurm.",
}


def schema() -> Json:
    """The schema of a config. The same types give the same text."""
    writer = _Writer()
    sections, whole = writer.sections(), writer.whole_sections()
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "synsim config",
        "description": "A simulation of neural circuits: components, and how they are wired, run and recorded.",
        "type": "object",
        "properties": sections,
        "additionalProperties": False,
        "if": {"required": ["extends"]},
        "else": whole,
        "definitions": dict(sorted(writer.definitions.items())),
    }


class _Writer:
    """Writes the definitions, each of them twice: `X` says what may stand there, where null takes away what an
    extended config has, and `whole X` what must stand there in a config that extends nothing."""

    def __init__(self) -> None:
        self.definitions: dict[str, Json] = {
            "given": {
                "type": ["boolean", "number", "string", "array", "object"],
                "errorMessage": "a value is missing.",
            },
        }
        for kind in (*catalogue.SYNAPSE_PARTS, "initialiser", "corruption", "data"):
            self._kind(kind)
        self._components()

    # sections ---------------------------------------------------------------------------------------------------

    def sections(self) -> Json:
        """What may stand under each top-level key."""
        top = describe.settings_of(TopSettings)
        run = self._keys(RunSettings)
        run["properties"]["device"] |= {"pattern": f"{_whole(DEVICE.pattern)}|{IN_TEXT}"}
        files = {"type": "string", "minLength": 1}
        module = {"type": "string", "pattern": f"{_whole(PLUGIN.pattern)}|{IN_TEXT}"}
        sections: Json = {
            "extends": {"type": ["string", "array"], "minLength": 1, "allOf": [{"items": files}]},
            "name": {**self._setting(top["name"]), "pattern": f"{_whole(RUN_NAME.pattern)}|{IN_TEXT}"},
            "seed": self._setting(top["seed"]),
            "plugins": {"type": ["array", "null"], "items": module},
            "let": _named({}, _whole(NAME.pattern)),
            "run": run,
            "data": _named(_to("data"), _free(NAME.pattern)),
            "components": _named(_to("component"), _free(NAME.pattern)),
            "wires": _named(self._wire(), _PATH),
            "schedule": self._schedule(),
            "record": _named(self._record(), rf"{_PATH}|{_whole(NAME.pattern)}"),
            "initial": _named(self._start(), _PATH),
            "phases": self._phases(),
            "sweep": self._sweep(),
            "launcher": self._keys(LauncherSettings),
        }
        if set(sections) != {*SECTIONS, "extends"} or set(SECTION_DOCS) != set(sections):
            raise TypeError("a section of a config is not in its schema")
        return {key: {"title": key, "description": SECTION_DOCS[key], **each} for key, each in sections.items()}

    def whole_sections(self) -> Json:
        """What must stand there where nothing is extended."""
        phase = {"title": "phase", **self._whole(describe.settings_of(Phase))}
        return {
            "required": ["components", "run"],
            "properties": {
                "components": {
                    "minProperties": 1,
                    "additionalProperties": _to("whole component"),
                    "allOf": [_to("given")],
                },
                "data": {"additionalProperties": _to("whole data")},
                "run": {"title": "run", **self._whole(describe.settings_of(RunSettings))},
                "wires": {"additionalProperties": _to("given")},
                "initial": {"additionalProperties": _to("whole start")},
                "phases": {"items": phase},
            },
        }

    def _wire(self) -> Json:
        wire = {"type": ["string", "number", "array", "null"], "minLength": 1}
        self.definitions["wire"] = {
            "description": "A compartment as z.s, a data entry, a number, a sum as W.outputs - 0.5 * Wi.outputs, or a "
            "list of them, which is summed.",
            "errorMessage": "a wire reads a compartment, a data entry, a number, a sum of them, or a list.",
            **wire,
            "allOf": [{"items": _to("wire"), "minItems": 1, "maxItems": 256}],
        }
        return _to("wire")

    def _schedule(self) -> Json:
        docs = {
            "start": "Called at the start of every trial. Left out: reset, which resets all.",
            "step": "Called in every step, in this order. A bare name means its advance.",
            "end": "Called at the end of every trial. Left out: nothing.",
        }
        call = {
            "type": "string",
            "pattern": f"{_CALL}|{IN_TEXT}",
            "errorMessage": "a schedule lists components and component.method.",
        }
        calls = {"type": ["array", "string", "null"], "pattern": REFERENCE, "items": call}
        return _mapping({key: {"description": text, **calls} for key, text in docs.items()})

    def _record(self) -> Json:
        found = self._keys(RecordSettings)
        index = {"type": ["string", "array", "null"], "pattern": rf"^\d*:\d*(:\d+)?$|{IN_TEXT}"}
        found["properties"]["index"] |= index
        found["description"] = "What is kept of it, and how often. Empty: its value after every step."
        found["type"] = ["object", "boolean", "null", "string"]
        return found

    def _start(self) -> Json:
        self.definitions["whole start"] = {"allOf": [_to("given"), _if_object(_to("whole initialiser"))]}
        return {"description": "A number, a list of numbers or an initialiser.", **self._per_unit({}), **_NUMBERS}

    def _phases(self) -> Json:
        docs = {
            "data": "Entries of data with other settings in this phase.",
            "schedule": "Lists that take the place of those of the config's schedule.",
            "wires": "Inlets that read something else in this phase; null unwires one.",
            "set": "Parameters with another value in this phase, as z.tau_theta: 0.",
            "record": "What of the config's record is kept in this phase: true or false.",
        }
        switch = {"type": ["boolean", "string", "null"], "pattern": REFERENCE}
        properties = {
            "data": _named(self._over_data(), _free(NAME.pattern)),
            "schedule": self._schedule(),
            "wires": _named(_to("wire"), _PATH),
            "set": _named({**self._per_unit({}), **_NUMBERS}, _PATH),
            "record": _named(switch, rf"{_PATH}|{_whole(NAME.pattern)}"),
        }
        phase = self._keys(Phase)
        phase["title"] = "phase"
        phase["properties"]["name"] |= {"pattern": f"{_whole(NAME.pattern)}|{IN_TEXT}"}
        phase["properties"] |= {key: {"description": docs[key], **each} for key, each in properties.items()}
        return {"type": ["array", "null", "string"], "pattern": REFERENCE, "minItems": 1, "items": phase}

    def _sweep(self) -> Json:
        """Settings, and values by path."""
        table = dict(describe.settings_of(Range))
        ends = {name: self._setting(replace(table.pop(old), name=name)) for name, old in _ENDS.items()}
        between = {"title": "range", **_mapping({**ends, **self._settings(table)})}
        self.definitions["range"] = {**between, "required": list(_ENDS)}
        self.definitions["swept"] = {
            "description": "A list, a range such as 10:40:7 or log:1e-4:1e-1:7, or {from: 10, to: 40, n: 7}.",
            "errorMessage": "must be a list, a range such as 10:40:7 or log:1e-4:1e-1:7, or {from: 10, to: 40, n: 7}.",
            "type": ["array", "string", "object", "null"],
            "pattern": f"{_RANGE}|{IN_TEXT}",
            "minItems": 1,
            **_if_object(_to("range")),
        }
        found = self._keys(SweepSettings)
        seed = found["properties"]["seed"]
        many = {"if": {"type": ["array", "string", "object"]}, "then": _to("swept")}
        found["properties"]["seed"] = {
            **{key: value for key, value in seed.items() if key not in ("type", "pattern")},
            "type": ["integer", "array", "string", "object", "null"],
            **many,
        }
        found["patternProperties"] = {_SWEPT: _to("swept")}
        found["minProperties"] = 1
        return found

    def _over_data(self) -> Json:
        """An entry of a phase, laid over that of the config: its type is known only where the phase names one."""
        tables = [self._settings(describe.settings_of(each)) for each in catalogue.parts("data").values()]
        properties: Json = {"type": {"type": "string", "enum": list(catalogue.parts("data"))}}
        for table in tables:
            for key, value in table.items():
                properties.setdefault(key, value if all(other.get(key, value) == value for other in tables) else {})
        return _mapping(properties)

    # types ------------------------------------------------------------------------------------------------------

    def _components(self) -> None:
        """Every component type, and the choice among them."""
        docs = {}
        for name in catalogue.types():
            card = describe.card(name)
            docs[name] = card["doc"]
            if kinds := describe.open_parts(name):
                self._open_synapse(name, card, kinds)
                continue
            table = describe.settings(name)
            self.definitions[name] = _typed(name, self._settings(table), card)
            self.definitions[f"whole {name}"] = {"title": name, **self._whole(table)}
        self._choice("component", docs, {name: name for name in docs})

    def _kind(self, kind: str) -> None:
        """Every declaration of a kind, and the choice among them."""
        docs = {}
        for name, declared in catalogue.parts(kind).items():
            table, card = describe.settings_of(declared), describe.part_card(declared)
            docs[name] = card["doc"]
            self.definitions[f"{kind} {name}"] = _typed(name, self._settings(table), card)
            self.definitions[f"whole {kind} {name}"] = {"title": name, **self._whole(table)}
        self._choice(kind, docs, {name: f"{kind} {name}" for name in docs})

    def _choice(self, kind: str, docs: Mapping[str, str], definitions: Mapping[str, str]) -> None:
        """A mapping whose other keys are those that its `type` has."""
        # a pattern, so that a type that is known is explained without the list of all
        names = {"type": {"pattern": _whole(f"({'|'.join(map(re.escape, docs))})")}}
        known = {"type": "object", "properties": names, "required": ["type"]}
        offered = {"type": "string", "enum": list(docs), "enumDescriptions": list(docs.values())}
        self.definitions[kind] = {
            "title": kind,
            "type": ["object", "string", "null"],
            "pattern": REFERENCE,
            "errorMessage": f"must be a mapping with a type, as {{type: {next(iter(docs))}}}.",
            "if": known,
            "then": {"allOf": [_if_type(name, _to(definition)) for name, definition in definitions.items()]},
            "else": {"properties": {"type": {"anyOf": [offered, {"type": "string", "pattern": IN_TEXT}]}}},
        }
        self.definitions[f"whole {kind}"] = {
            "title": kind,
            "allOf": [
                _to("given"),
                {"required": ["type"]},
                *(_if_type(name, _to(f"whole {definition}")) for name, definition in definitions.items()),
            ],
        }

    def _open_synapse(self, type_name: str, card: Mapping[str, Any], kinds: Sequence[str]) -> None:
        """A synapse of which parts are chosen: what its other settings are depends on which parts it names."""
        own = {name: each for name, each in describe.settings(type_name).items() if each.owner not in kinds}
        properties, rules, whole = self._settings(own), [], []
        for kind in kinds:
            choices = describe.choices(own[kind])
            tables = {name: self._settings(describe.settings_of(part)) for name, part in choices.items()}
            every: Json = {}
            for settings in tables.values():
                for key, value in settings.items():
                    same = all(other.get(key, value) == value for other in tables.values())
                    every.setdefault(key, value if same else {})
            properties |= every
            default = own[kind].default
            for name, settings in tables.items():
                inside = {"type": "object", "properties": {"type": {"const": name}}, "required": ["type"]}
                chosen = {"anyOf": [{"const": name}, inside]}
                if_: Json = {"properties": {kind: chosen}}
                left_out = isinstance(default, Declaration) and default.type_name == name
                here = {key: value for key, value in settings.items() if every[key] == {}}
                others = {key: False for key in every if key not in settings}
                named = {**if_, "required": [kind]}
                rule = if_ if left_out and type_name != catalogue.SYNAPSE else named
                rules.append({"if": rule, "then": {"properties": {**here, **others}}})
                needed = [key for key, each in describe.settings_of(choices[name]).items() if each.required]
                if needed:  # inside the part they may stand as well
                    beside = {"allOf": [if_ if left_out else named, {"properties": {kind: {"type": "string"}}}]}
                    whole.append({"if": beside, "then": {"required": needed}})
        self.definitions[type_name] = {**_typed(type_name, properties, card), "allOf": rules}
        self.definitions[f"whole {type_name}"] = {"title": type_name, "allOf": [self._whole(own), *whole]}

    # settings ---------------------------------------------------------------------------------------------------

    def _keys(self, declared: type) -> Json:
        return _mapping(self._settings(describe.settings_of(declared)))

    def _settings(self, table: Mapping[str, Setting]) -> Json:
        """Every setting by each of its names."""
        return {name: self._setting(each) for key, each in table.items() for name in (key, *each.also)}

    def _setting(self, setting: Setting) -> Json:
        """What a setting may be, with its doc, unit and default."""
        card = describe.setting_card(setting)
        told: Json = {
            "description": reference.setting_words(card),
            "errorMessage": f"{setting.name} must be {card['values']}.",
        }
        if not setting.required and (default := describe.plain(setting.default)) is not None:
            told["default"] = default["type"] if setting.name in catalogue.SYNAPSE_PARTS else default
        if setting.role == "part":
            return {**told, **self._part(setting)}
        if setting.per is not None:
            return {**told, **self._per_unit(setting.bounds)}
        is_size = Size in (setting.annotation, *typing.get_args(setting.annotation))
        least = {"ge": 1, **setting.bounds} if is_size else setting.bounds
        return {**told, **_joined(_alternatives(setting.annotation, least, least=is_size))}

    def _whole(self, table: Mapping[str, Setting]) -> Json:
        """What of a table of settings must be there, and what may not be null."""
        names: dict[str, list[str]] = {}
        inner: Json = {}
        for name, each in table.items():
            if must := self._whole_setting(each):
                key = json.dumps(must)
                inner[key] = must
                names.setdefault(key, []).extend([name, *each.also])
        # as patterns, so that editors do not take them for further offers
        found: Json = {"patternProperties": {_whole(f"({'|'.join(names[key])})"): inner[key] for key in names}}
        if required := [name for name, each in table.items() if each.required and not each.also]:
            found["required"] = required
        either = [(name, *each.also) for name, each in table.items() if each.required and each.also]
        if either:
            found["allOf"] = [{"anyOf": [{"required": [name]} for name in names]} for names in either]
        return found

    def _whole_setting(self, setting: Setting) -> Json:
        given = {} if setting.optional else _to("given")
        if setting.per is not None:
            return _to("whole start") if given else _if_object(_to("whole initialiser"))
        if setting.declares is None:
            return given
        if setting.name in catalogue.SYNAPSE_PARTS:
            return {"allOf": [_to("given"), _if_object({"required": ["type"]})]}
        if setting.declares.is_abstract:
            inner = _to(f"whole {catalogue.kind_of(setting.declares)}")
        else:
            inner = self._whole(describe.settings_of(setting.declares))
        return {"allOf": [*([given] if given else []), _if_object(inner)]}

    def _per_unit(self, bounds: Mapping[str, float]) -> Json:
        """A number, a list of numbers or an initialiser."""
        within = _bounds(bounds)
        named = "".join(f" {key} {value:g}" for key, value in within.items())
        many, row = f"many{named}", f"row{named}"
        numbers = {"type": ["number", "array", "string"], **within, "pattern": REFERENCE}
        self.definitions[row] = {**numbers, "allOf": [{"items": _to(row)}]}
        self.definitions[many] = {"items": _to(row), "minItems": 1, **_if_object(_to("initialiser"))}
        kinds = ["number", "array", "object", "string", "null"]
        return {"type": kinds, **within, "pattern": REFERENCE, "allOf": [_to(many)]}

    def _part(self, setting: Setting) -> Json:
        assert setting.declares is not None
        if setting.name in catalogue.SYNAPSE_PARTS:
            choices = describe.choices(setting)
            docs = [describe.part_card(each)["doc"] for each in choices.values()]
            named = {"type": "string", "enum": list(choices), "enumDescriptions": docs}
            other = {"type": ["object", "null"]}
            return {
                "anyOf": [named, {"type": "string", "pattern": IN_TEXT}, other],
                **_if_object(_to(setting.name)),
            }
        if not setting.declares.is_abstract:
            table = describe.settings_of(setting.declares)
            return _mapping({"type": {"const": setting.declares.type_name}, **self._settings(table)})
        kind = catalogue.kind_of(setting.declares)
        numbers = ["number"] if "constant" in describe.choices(setting) else []
        return {
            "type": [*numbers, "object", "string", "null"],
            "pattern": REFERENCE,
            **_if_object(_to(kind)),
        }


# pieces ---------------------------------------------------------------------------------------------------------------


def _alternatives(annotation: Any, bounds: Mapping[str, float], *, least: bool = False) -> list[Json]:
    """What an annotation admits, one entry for each type of JSON."""
    origin, options = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        return [each for option in options for each in _alternatives(option, bounds, least=least)]
    if origin is Literal:
        return [{"enum": list(options)}]
    if origin in (tuple, list):
        if origin is list or options[-1] is Ellipsis:
            many: Json = {"items": _joined(_alternatives(options[0], bounds))}
            return [{"type": "array", **many, **({"minItems": 1} if least else {})}]
        size = {"minItems": len(options), "maxItems": len(options)}
        return [{"type": "array", "items": _joined(_alternatives(options[0], bounds)), **size}]
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return [{"type": "object"}]
    names = {bool: "boolean", int: "integer", float: "number", str: "string", type(None): "null"}
    if annotation not in names:
        return [{}]
    return [{"type": names[annotation], **(_bounds(bounds) if annotation in (int, float) else {})}]


def _joined(alternatives: Iterable[Json]) -> Json:
    """One schema for several types: bounds speak of numbers only, items of lists, a pattern of text, so that they
    can stand side by side and an editor names what is wrong rather than that no alternative fits."""
    alternatives = list(alternatives)
    if {} in alternatives:
        return {}
    plain = [each for each in alternatives if "type" in each]
    enums = [option for each in alternatives for option in each.get("enum", ())]
    merged: Json = {"type": [*(each["type"] for each in plain if each["type"] != "null"), "null"]}
    for each in plain:
        about = {key: value for key, value in each.items() if key != "type"}
        if about and each["type"] == "array" and merged["type"][0] != "array":
            merged["allOf"] = [about]  # where an editor does not take it for a list to begin with
        else:
            merged |= about
    if "string" not in merged["type"]:
        merged["type"].insert(-1, "string")
        merged["pattern"] = IN_TEXT if enums else REFERENCE
    if not enums:
        return merged
    return {"anyOf": [{"enum": enums}, merged]}


def _bounds(bounds: Mapping[str, float]) -> Json:
    names = {"gt": "exclusiveMinimum", "ge": "minimum", "lt": "exclusiveMaximum", "le": "maximum"}
    return {names[key]: value for key, value in bounds.items()}


def _to(name: str) -> Json:
    return {"$ref": f"#/definitions/{name}"}


def _named(value: Json, pattern: str) -> Json:
    """A mapping of free names to values of one kind."""
    return {
        "type": ["object", "null", "string"],
        "pattern": REFERENCE,
        "patternProperties": {pattern: value},
        "additionalProperties": False,
    }


def _mapping(properties: Json) -> Json:
    """A mapping with these keys and no others."""
    return {
        "type": ["object", "null", "string"],
        "pattern": REFERENCE,
        "properties": properties,
        "additionalProperties": False,
    }


def _typed(name: str, settings: Json, card: Mapping[str, Any]) -> Json:
    told = _told(card)
    properties = {"type": {"const": name, **told}, **settings}
    return {"title": name, **told, "type": "object", "properties": properties, "additionalProperties": False}


def _if_type(name: str, then: Json) -> Json:
    return {
        "if": {"type": "object", "properties": {"type": {"const": name}}, "required": ["type"]},
        "then": then,
    }


def _if_object(then: Json) -> Json:
    return {"if": {"type": "object"}, "then": then}


def _whole(pattern: str) -> str:
    return f"^{pattern}$"


def _free(pattern: str) -> str:
    """The pattern, but for words that mean something in a config."""
    return f"^(?!({'|'.join(sorted(RESERVED))})$){pattern}$"


def _told(card: Mapping[str, Any]) -> Json:
    """What an editor shows of a type: its equation and compartments, as plain text and as Markdown."""
    lines = [card["doc"], ""]
    if card["equation"]:
        lines += ["```text", card["equation"], "```", ""]
    for kind, title in (("inlet", "Reads"), ("state", "Has the states"), ("outlet", "Gives")):
        some = [each for each in card["compartments"] if each["kind"] == kind]
        told = [f"`{each['name']}`{' (' + each['unit'] + ')' if each['unit'] else ''}" for each in some]
        if told:
            lines += [f"{title} {', '.join(told)}.", ""]
    if card["source"]:
        lines.append(f"Source: {card['source']}")
    text = "\n".join(lines).strip()
    return {
        "description": text.replace("```text\n", "").replace("```\n", "").replace("`", ""),
        "markdownDescription": text,
    }
