"""Text -> `Spec`: everything that can be known about a config without building an array.

Every fault is found in one pass and has its line and column. The text is read first (`yaml_source`), then overrides
and `let` are put in place (`document`); only then are component types looked up, which is what imports JAX.
"""

from __future__ import annotations

import json
import re
import stat
import sys
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path as FilePath
from typing import Any

from synsim import catalogue, describe
from synsim.component import Compartment
from synsim.document import NOT_YET, SECTIONS, Document
from synsim.expressions import BadExpression, Wire, parse, reads
from synsim.faults import ConfigError, Fault, Path, dotted, listing, suggest
from synsim.spec import (
    EVERY,
    PHASE_SECTIONS,
    Call,
    Phase,
    RecordSettings,
    RunSettings,
    Schedule,
    Spec,
    TopSettings,
    TypedSettings,
)
from synsim.values import Wrong, shown
from synsim.yaml_source import MOST_BYTES, Mark, Marked, decode, from_mapping, read

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}", re.ASCII)
RUN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
DEVICE = re.compile(r"[a-z]+(:\d{1,4})?", re.ASCII)
SLICE = re.compile(r"(\d{0,9}):(\d{0,9})(?::(\d{1,9}))?", re.ASCII)
RESERVED = {*SECTIONS, "sweep", "plugins", "extends", "reset"}
WINDOWS_DEVICES = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))}

REFERENCE_TYPES = (
    "AdExCell AlphaSynapse ART2ASynapse BCMSynapse BernoulliErrorCell DeconvSynapse DoubleExpSynapse "
    "EventSTDPSynapse ExpKernel ExponentialSynapse ExpSTDPSynapse FitzhughNagumoCell GerstnerHebbianSynapse "
    "HebbianDeconvSynapse HebbianPatchedSynapse HodgkinHuxleyCell HopfieldSynapse IFCell InhibitorySTDPSynapse "
    "IzhikevichCell LaplacianErrorCell LatencyCell LeakyNoiseCell LIFSRM MPSSynapse MSTDPETSynapse OjaTensorSynapse "
    "PatchedSynapse PhasorCell QuadLIFCell RAFCell RAFSRM REINFORCESynapse RetinalGanglionCell RewardErrorCell "
    "SLIFCell SOMSynapse SparseTensorSynapse StaticDeconvSynapse STDPSynapse STPDenseSynapse "
    "TraceSTDPDeconvSynapse TTFSCell VectorQuantizeSynapse WTASCell").split()
"""Types of the reference that a model may be carried over with: they are refused by name until they exist."""

HINTS = {
    "batch_size": "the batch is run.batch, for the whole graph.",
    "key": "everything random comes from the one seed at the top.",
    "name": "its name is its key.",
}
"""Settings of the reference's constructors that a config says elsewhere."""


def load(config: str | FilePath | Mapping[str, Any], *, text: str | bytes | None = None,
         overrides: Sequence[str] | Mapping[str, Any] = (), options: Mapping[str, tuple[str, Any]] | None = None,
         name: str | None = None) -> Spec:
    """Read and check a config. Raises ConfigError with every fault, each with its place.

    config: a path, "-" (with `text` as read from standard input), or a mapping from Python.
    overrides: "z.tau_m=20" as after --set, or {"z.tau_m": 20}; they win over the text.
    options: what the command line says by other options, {"--seed": ("seed", 7)}: they win over both.
    name: the run's name where neither text nor options give one; else the file's.
    """
    marked, source, whole = _marked(config, text)
    if marked.empty or marked.value is None:
        raise ConfigError(Fault("the config is empty: it needs components and run.", (), 1, 1, source))
    if not isinstance(marked.value, dict):
        raise ConfigError(Fault(f"a config is a mapping of keys such as components and run, not "
                                f"{shown(marked.value)}.", (), 1, 1, source))
    document = Document(marked)
    if isinstance(overrides, Mapping):
        for path, value in overrides.items():
            document.assign(path, _given(value, f"set {path}"), f"set {path}")
    else:
        for argument in overrides:
            document.override(argument)
    for option, (path, value) in (options or {}).items():
        source_of_option = f"{option} {value}"
        document.assign(path, _given(value, source_of_option, len(option) + 2), source_of_option)
    document.put_let_in_place()
    named = isinstance(config, str | FilePath) and str(config) != "-"
    fallback = name or _safe_name(FilePath(config).stem if named else "run")  # type: ignore[arg-type]
    directory = FilePath(config).resolve().parent if named and text is None else FilePath.cwd()  # type: ignore[arg-type]
    return _Check(document).spec(fallback, whole, source, directory)


def _marked(config: str | FilePath | Mapping[str, Any], text: str | bytes | None) -> tuple[Marked, str, str]:
    """The values with marks, the name that faults show, and the text verbatim."""
    if isinstance(config, Mapping):
        marked = from_mapping(config)
        return marked, "config", json.dumps(marked.value, indent=1, ensure_ascii=False)
    source = "<stdin>" if str(config) == "-" else str(config)
    if text is None:
        if str(config) == "-":
            text = sys.stdin.buffer.read(MOST_BYTES + 1)
        else:
            text = _read_file(FilePath(config), source)
    whole = decode(text, source) if isinstance(text, bytes) else text
    return read(whole, source), source, whole


def _read_file(path: FilePath, source: str) -> bytes:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise ConfigError(f"{source} is not a regular file; read standard input with -.")
        with path.open("rb") as file:
            return file.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ConfigError(f"{source} cannot be read: {why}.") from None


def _given(value: Any, source: str, column: int = 1) -> Marked:
    marked = from_mapping({"": value})
    return Marked(marked.value[""], {}, {(): Mark(1, column, source)}, nodes=marked.nodes)


def _safe_name(stem: str) -> str:
    """A file's stem as a run's name."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", stem).lstrip("._-")[:64]
    return name if RUN_NAME.fullmatch(name) and _portable(name) else "run"


def _portable(name: str) -> bool:
    return name.split(".")[0].lower() not in WINDOWS_DEVICES and not name.endswith(".")


class _Check:
    """One pass over a document: checked sections, and all the faults on the way."""

    def __init__(self, document: Document):
        self.document = document
        self.value = document.value
        self.faults: list[Fault] = []
        self.components: dict[str, TypedSettings] = {}
        self.compartments: dict[str, Mapping[str, Compartment]] = {}
        self.methods: dict[str, tuple[str, ...]] = {}
        self.data: dict[str, TypedSettings] = {}
        self.written_components: set[str] = set()
        self.written_data: set[str] = set()

    def spec(self, fallback: str, text: str, filename: str, directory: FilePath) -> Spec:
        """Everything checked, or ConfigError."""
        top = self.top()
        run = self.run()
        written = self.section("components")
        if not written and "components" not in self.value:
            self.fault(("components",), "components is missing: a config needs at least one component.")
        elif not written and self.value["components"] in (None, {}):
            self.fault(("components",), "components is empty: a config needs at least one component.")
        self.names("components", "component", written)
        self.names("data", "data entry", self.section("data"))
        self.written_components, self.written_data = set(written), set(self.section("data"))
        if written:  # from here on types are looked up
            self.check_components(written)
            self.check_data()
            wires = {target: wire for target, wire in self.check_wires(self.section("wires"), ("wires",)).items()
                     if wire is not None}
            schedule = self.check_schedule(self.value.get("schedule"), ("schedule",), None)
            record = self.check_record(self.section("record"))
            initial = self.check_initial(self.section("initial"))
            phases = self.check_phases(schedule, record)
        self.finish()
        return Spec(name=top.get("name") or fallback, seed=top.get("seed", 0), run=RunSettings(**run), data=self.data,
                    components=self.components, wires=wires, schedule=schedule, record=record, initial=initial,
                    phases=phases, text=text, filename=filename, directory=directory, marks=self.document.marks,
                    warnings=tuple(self.document.marks.locate(fault) for fault in self.document.warnings))

    def finish(self) -> None:
        """Raise what was found; a place that is wrong already is not said to be wrong twice."""
        broken = {fault.path for fault in self.document.faults if fault.path}
        rest = [fault for fault in self.faults
                if not any(fault.path[:depth] in broken for depth in range(1, len(fault.path) + 1))]
        faults = [self.document.marks.locate(fault) for fault in [*self.document.faults, *rest]]
        if faults:
            raise ConfigError(sorted(set(faults), key=lambda fault: (fault.line is None, fault.source or "",
                                                                     fault.line or 0, fault.column or 0)))

    # saying what is wrong -----------------------------------------------------------------------------------------

    def fault(self, path: Path, message: str, *, at_key: bool = False) -> None:
        self.faults.append(Fault(message, path, at_key=at_key))

    def key_fault(self, path: Path, message: str) -> None:
        self.fault(path, message, at_key=True)

    def wrongs(self, base: Path, wrongs: Sequence[Wrong]) -> None:
        """Faults for what `describe` found wrong below `base`; sentences go on after a name."""
        for wrong in wrongs:
            path = (*base, *wrong.path)
            about = path[:-1] if wrong.at_key and not wrong.subject else path
            end = "" if wrong.sentence.endswith((".", "?")) else "."
            self.fault(path, f"{self.called(about)} {wrong.sentence}{end}", at_key=wrong.at_key)

    def called(self, path: Path) -> str:
        """What a place is called in a sentence: z (LIFCell), z.tau_m, run.dt."""
        if not path:
            return "the config"
        if path[0] == "components" and len(path) > 1:
            if len(path) == 2:
                written = self.section("components").get(path[1])
                name = written.get("type") if isinstance(written, Mapping) else None
                return f"{path[1]} ({name})" if isinstance(name, str) and len(name) < 64 else str(path[1])
            return dotted(path[1:])
        if path[0] == "phases" and len(path) > 1 and isinstance(path[1], int):
            phases = self.value.get("phases")
            phase = phases[path[1]] if isinstance(phases, list) and path[1] < len(phases) else None
            name = phase.get("name") if isinstance(phase, Mapping) else None
            return dotted(("phases", name, *path[2:])) if isinstance(name, str) else dotted(path)
        return dotted(path)

    def mapping(self, value: Any, path: Path, of: str) -> dict[str, Any]:
        """A mapping, or {} with a fault where something else was written; nothing is an empty one."""
        if value is None:
            return {}
        if isinstance(value, dict):
            return value
        self.fault(path, f"{self.called(path)} must be a mapping of {of}, not {shown(value)}.")
        return {}

    def section(self, name: str) -> dict[str, Any]:
        value = self.value.get(name)
        return value if isinstance(value, dict) else {}

    # sections that need no types ----------------------------------------------------------------------------------

    def top(self) -> dict[str, Any]:
        """name and seed; every section is known and is a mapping."""
        rest = {key: value for key, value in self.value.items() if key not in NOT_YET}
        for key in self.value:
            if key in NOT_YET:
                self.key_fault((key,), f"{key} does not exist yet: remove it.")
        clean, wrongs = describe.check_settings(describe.settings_of(TopSettings), rest, noun="key",
                                                others=[key for key in SECTIONS if key not in ("name", "seed")])
        self.wrongs((), wrongs)
        name = clean.get("name")
        if name is not None and not (RUN_NAME.fullmatch(name) and _portable(name)):
            self.fault(("name",), f"name names a folder, so it is up to 64 letters, digits, '.', '_' and '-', starts "
                                  f"with a letter or digit and is no device of Windows, not {shown(name)}.")
        of = {"let": "names to values", "run": "keys such as steps", "data": "names to entries",
              "components": "names to components", "wires": "inlets to what they read",
              "record": "compartments to settings", "initial": "states to values"}
        for key, text in of.items():
            if key != "let":  # `document` has looked at let
                self.mapping(self.value.get(key), (key,), text)
        self.names("let", "name under let", self.section("let"))
        return clean

    def run(self) -> dict[str, Any]:
        """The settings of `run`."""
        hints = {key: "it does not exist yet." for key in NOT_YET}
        clean, wrongs = describe.check_settings(describe.settings_of(RunSettings), self.section("run"), noun="key",
                                                hints=hints)
        self.wrongs(("run",), wrongs)
        self.trials_or_epochs(clean, ("run",))
        device = clean.get("device", "auto")
        if not DEVICE.fullmatch(device):
            self.fault(("run", "device"), f"run.device must be auto, cpu, gpu, tpu or one of several as cuda:1, not "
                                          f"{shown(device)}.")
        return clean

    def trials_or_epochs(self, clean: Mapping[str, Any], base: Path) -> None:
        if clean.get("trials") is not None and clean.get("epochs") is not None:
            self.key_fault((*base, "epochs"), f"{self.called(base)} has both trials and epochs: write one of them.")

    def names(self, section: str, noun: str, written: Mapping[str, Any]) -> None:
        """Names are words, mean nothing else, and differ in the crc32 that random keys are drawn from."""
        taken: dict[int, str] = {}
        for name in written:
            path = (section, name)
            if not NAME.fullmatch(name):
                self.key_fault(path, f"{shown(name).removeprefix('the text ')} is no name for a {noun}: up to 64 letters, "
                                     "digits and '_', the first a letter.")
            elif section != "let" and name in RESERVED:
                self.key_fault(path, f"{name} is a word of the config itself: give the {noun} another name.")
            else:
                other = taken.setdefault(zlib.crc32(name.encode()), name)
                if other != name:
                    self.key_fault(path, f"{name} and {other} have the same crc32, so their random numbers would be "
                                         "the same: rename one of them.")

    # components and data ------------------------------------------------------------------------------------------

    def check_components(self, written: Mapping[str, Any]) -> None:
        for name, each in written.items():
            path = ("components", name)
            type_name, rest = self.typed(each, path, "component", catalogue.types())
            if type_name is None:
                continue
            if type_name == catalogue.SYNAPSE:
                rest = self.flattened(rest, path)
            table = describe.settings(type_name, rest)
            clean, wrongs = describe.check_settings(table, rest, hints=HINTS)
            self.wrongs(path, wrongs)
            self.same_place(path, rest, table)
            self.components[name] = TypedSettings(type_name, clean)
            self.compartments[name] = describe.compartments(type_name, clean)
            self.methods[name] = describe.methods(type_name, clean)

    def check_data(self) -> None:
        for name, each in self.section("data").items():
            path = ("data", name)
            type_name, rest = self.typed(each, path, "data entry", catalogue.parts("data"))
            if type_name is None:
                continue
            clean, wrongs = describe.check_settings(describe.data_settings(type_name), rest)
            self.wrongs(path, wrongs)
            self.data[name] = TypedSettings(type_name, clean)

    def typed(self, each: Any, path: Path, noun: str, known: Mapping[str, Any]) -> tuple[str | None, dict[str, Any]]:
        """The type of a component or data entry, if it exists, and its other settings."""
        if not isinstance(each, dict):
            got = "nothing" if each is None else shown(each)
            self.fault(path, f"{self.called(path)} must be a mapping such as {{type: {next(iter(known), '…')}, …}}, not "
                             f"{got}.", at_key=each is None)
            return None, {}
        rest = {key: value for key, value in each.items() if key != "type"}
        if "type" not in each:
            self.key_fault(path, f"{self.called(path)} needs a type: one of {listing(known)}.")
            return None, rest
        name = each["type"]
        if isinstance(name, str) and name in known:
            return name, rest
        if isinstance(name, str) and name in REFERENCE_TYPES:
            message = f"{name} does not exist yet."
        elif isinstance(name, str) and (near := suggest(name, known)):
            message = f"there is no {noun} type {shown(name).removeprefix('the text ')}.{near}"
        elif noun == "data entry":
            message = f"there is no {noun} type {shown(name).removeprefix('the text ')}. There are {listing(known)}."
        else:
            message = (f"there is no {noun} type {shown(name).removeprefix('the text ')}. `synsim components` lists "
                       f"the {len(known)} there are.")
        self.fault((*path, "type"), message)
        return None, rest

    def flattened(self, rest: dict[str, Any], path: Path) -> dict[str, Any]:
        """Settings written inside a part, `rule: {type: hebbian, eta: 0.1}`, as settings of the synapse."""
        flat = dict(rest)
        for kind in catalogue.SYNAPSE_PARTS:
            part = rest.get(kind)
            if not isinstance(part, dict):
                continue
            for key, value in part.items():
                if key == "type":
                    continue
                if key in flat:
                    self.key_fault((*path, kind, key), f"{path[1]}.{key} is written twice, here and outside "
                                                       f"{kind}: write it once.")
                    continue
                flat[key] = value
                self.move_marks((*path, kind, key), (*path, key))
        return flat

    def same_place(self, path: Path, rest: Mapping[str, Any], table: Mapping[str, describe.Setting]) -> None:
        """Whoever speaks of a setting by its first name finds where its other name is written."""
        for name, setting in table.items():
            for other in setting.also:
                if other in rest and name not in rest:
                    self.move_marks((*path, other), (*path, name))

    def move_marks(self, here: Path, there: Path) -> None:
        for marks in (self.document.keys, self.document.values):
            for path in [each for each in marks if each[: len(here)] == here]:
                marks.setdefault((*there, *path[len(here):]), marks[path])

    # wires --------------------------------------------------------------------------------------------------------

    def check_wires(self, written: Mapping[str, Any], base: Path) -> dict[str, Wire | None]:
        """Wires by inlet, null only in a phase; the target is an inlet, what is read a state, an outlet or data."""
        wires: dict[str, Wire | None] = {}
        for key, value in written.items():
            path = (*base, key)
            target = self.compartment(key, path, ("inlet",), "a wire feeds an inlet", at_key=True)
            wire = None
            if value is not None or base == ("wires",):
                wire = self.wire(value, path)
                if wire is None:
                    continue
            if target is None:
                continue
            if target in wires:
                self.key_fault(path, f"{target} is wired twice: write a list or a sum.")
            self.move_marks(path, (*base, target))
            wires[target] = wire
        return wires

    def wire(self, value: Any, path: Path) -> Wire | None:
        """What one wire reads; a list is summed."""
        if isinstance(value, list):
            if not value:
                self.fault(path, f"{self.called(path)} reads an empty list: name what it reads.")
                return None
            wires = [self.wire(item, (*path, place)) for place, item in enumerate(value)]
            if len(wires) > 256:
                self.fault(path, f"{self.called(path)} sums {len(wires)} wires: at most 256.")
                return None
            total = wires[0]
            for wire in wires[1:]:
                total = None if total is None or wire is None else ("add", total, wire)
            return total
        if isinstance(value, int | float) and not isinstance(value, bool):
            if value - value != 0:
                self.fault(path, f"{self.called(path)} must read a finite number, not {shown(value)}.")
                return None
            return ("number", float(value))
        if not isinstance(value, str):
            self.fault(path, f"{self.called(path)} must read a compartment, a data entry, a number or a sum of them, "
                             f"not {shown(value)}.")
            return None
        try:
            wire, sources = parse(value)
        except BadExpression as bad:
            self.inside(path, bad.at, f"{self.called(path)} {bad.sentence}.")
            return None
        good = True
        for leaf, source in zip(reads(wire), sources, strict=True):
            good = self.readable(leaf, path, source.at) and good
        return wire if good else None

    def readable(self, leaf: Wire, path: Path, at: int) -> bool:
        """Whether a name in a wire can be read, with a fault at its place in the text where it cannot."""
        if leaf[0] == "data":
            if leaf[1] in self.written_data:
                return True
            if leaf[1] in self.written_components:
                have = self.of_kind(leaf[1], ("state", "outlet"))
                first = f"{leaf[1]}.{have[0]}" if have else f"{leaf[1]}.…"
                self.inside(path, at, f"{leaf[1]} is a component: name one of its compartments, as {first}.")
                return False
            near = suggest(leaf[1], [*self.written_data, *self.written_components])
            self.inside(path, at, f"there is no data entry {leaf[1]!r}.{near or self.entries()}")
            return False
        return self.compartment(f"{leaf[1]}.{leaf[2]}", path, ("state", "outlet"), "a wire reads a state or an outlet",
                                at=at) is not None

    def entries(self) -> str:
        return f" There are {listing(self.written_data)}." if self.written_data else " There is no data."

    def inside(self, path: Path, at: int, message: str) -> None:
        """A fault inside a scalar, as far as its text stands in the file letter for letter."""
        fault = Fault(message, path)
        mark = self.document.values.get(path)
        if mark is not None and mark.inside is not None:
            fault = Fault(message, path, mark.line, mark.inside + at, mark.source)
        self.faults.append(fault)

    def of_kind(self, component: str, kinds: tuple[str, ...]) -> list[str]:
        return [name for name, each in self.compartments.get(component, {}).items() if each.kind in kinds]

    def compartment(self, text: str, path: Path, kinds: tuple[str, ...], rule: str, *, at_key: bool = False,
                    at: int | None = None) -> str | None:
        """`z.j` where component and compartment exist and it is of the right kind; None and a fault otherwise."""

        def say(message: str) -> None:
            if at is not None:
                self.inside(path, at, message)
            else:
                self.fault(path, message, at_key=at_key)

        component, dot, name = text.removeprefix("components.").partition(".")
        if not dot or not name:
            have = self.of_kind(component, kinds)
            example = f"{component}.{have[0]}" if have else "z.j"
            say(f"{text!r} is no compartment: write component.compartment, as {example}.")
            return None
        if component not in self.written_components:
            say(f"there is no component {component!r}.{suggest(component, self.written_components)}")
            return None
        if component not in self.compartments:
            return None  # its type is not known, which has been said
        have, type_name = self.compartments[component], self.components[component].type
        wanted = self.of_kind(component, kinds)
        if name not in have:
            near = suggest(name, wanted) or suggest(name, have) or f" It has {listing(wanted) if wanted else 'none'}."
            say(f"{component} ({type_name}) has no compartment {name!r}.{near}")
            return None
        kind = have[name].kind
        if kind not in kinds:
            article = "an" if kind[0] in "aeiou" else "a"
            those = f": {listing(wanted)}" if wanted else f", and {component} ({type_name}) has none"
            say(f"{component}.{name} is {article} {kind}; {rule}{those}.")
            return None
        return f"{component}.{name}"

    # schedule -----------------------------------------------------------------------------------------------------

    def check_schedule(self, value: Any, base: Path, over: Schedule | None) -> Schedule | None:
        """Lists of calls for start, step and end; in a phase over those of the config."""
        written = self.mapping(value, base, "start, step and end to lists")
        for key in written:
            if key not in ("start", "step", "end"):
                self.key_fault((*base, key), f"{self.called(base)} has no key {shown(key).removeprefix('the text ')}."
                                             + (suggest(key, ("start", "step", "end")) or
                                                " It has start, step and end."))
        parts: dict[str, tuple[Call, ...] | None] = {}
        for part in ("start", "step", "end"):
            calls, path = written.get(part), (*base, part)
            if part not in written:
                parts[part] = getattr(over, part) if over is not None else None
            elif isinstance(calls, list):
                parts[part] = tuple(call for place, item in enumerate(calls)
                                    if (call := self.call(item, (*path, place))) is not None)
            else:
                self.fault(path, f"{self.called(path)} must be a list such as [z, W.evolve], not {shown(calls)}.")
        return Schedule(**parts) if value is not None else None

    def call(self, item: Any, path: Path) -> Call | None:
        """One entry of a schedule: z is z.advance, a bare reset resets all."""
        if not isinstance(item, str):
            self.fault(path, f"a schedule lists components and component.method, not {shown(item)}.")
            return None
        if item == "reset":
            return (EVERY, "reset")
        component, dot, method = item.removeprefix("components.").partition(".")
        if component not in self.written_components:
            near = suggest(component, [*self.written_components, "reset"])
            self.fault(path, f"there is no component {component!r}.{near}")
            return None
        if component not in self.components:
            return None
        have = (*self.methods[component], "reset")
        method = method if dot else "advance"
        if method in have:
            return (component, method)
        near = suggest(method, have) or f" It has {listing(have)}."
        self.inside(path, len(item) - len(method) if dot else 0,
                    f"{component} ({self.components[component].type}) has no method {method!r}.{near}")
        return None

    # record and initial -------------------------------------------------------------------------------------------

    def check_record(self, written: Mapping[str, Any]) -> dict[str, RecordSettings]:
        record: dict[str, RecordSettings] = {}
        for key, value in written.items():
            path = ("record", key)
            if "." not in key and key in self.written_data:
                record[key] = self.entry_record(value, path)
                continue
            if "." not in key and key not in self.written_components:
                near = suggest(key, [*self.written_data, *self.written_components])
                self.key_fault(path, f"there is no data entry {key!r}, nor a component.{near}")
                continue
            target = self.compartment(key, path, ("state", "outlet", "inlet"), "a record reads it", at_key=True)
            settings = self.record_settings(value, path)
            if target is None:
                continue
            compartment = self.compartments[target.partition(".")[0]][target.partition(".")[2]]
            if settings.as_ == "events" and not compartment.spikes:
                self.fault((*path, "as"), f"{target} is not 0 or 1 by declaration: only outlets of spikes are recorded "
                                          "as events. Leave out `as`.")
            if target in record:
                self.key_fault(path, f"{target} is recorded twice: write it once.")
            self.move_marks(path, ("record", target))
            record[target] = settings
        return record

    def entry_record(self, value: Any, path: Path) -> RecordSettings:
        """A data entry goes to the table of trials, row by row: there is nothing else to choose."""
        settings = self.record_settings(value, path)
        for key in value if isinstance(value, dict) else ():
            if (key == "every" and settings.every != "trial") or key in ("window", "index", "reduce", "as"):
                self.key_fault((*path, key), f"{path[1]} is a data entry, which is recorded once a trial: leave out "
                                             f"{key}, or write every: trial.")
        return RecordSettings(every="trial", on=settings.on)

    def record_settings(self, value: Any, path: Path) -> RecordSettings:
        if isinstance(value, bool):
            return RecordSettings(on=value)
        written = self.mapping(value, path, "keys such as every")
        clean, wrongs = describe.check_settings(describe.settings_of(RecordSettings), written, noun="key")
        self.wrongs(path, wrongs)
        if "as" in clean:
            clean["as_"] = clean.pop("as")
        found = RecordSettings(**clean)
        if found.window is not None and not found.window[0] < found.window[1]:
            self.fault((*path, "window"), f"{self.called((*path, 'window'))} must run from an earlier to a later time, "
                                          f"not [{found.window[0]}, {found.window[1]}].")
        if isinstance(found.index, str) and not _is_slice(found.index):
            self.fault((*path, "index"), f"{self.called((*path, 'index'))} must be a slice such as 0:10 or a list of "
                                         f"whole numbers, not {shown(found.index)}.")
        if found.index == ():
            self.fault((*path, "index"), f"{self.called((*path, 'index'))} must list at least one unit.")
        if found.window is not None and found.every == "trial":
            self.key_fault((*path, "window"), "a window has no meaning with every: trial: leave out one of them.")
        if found.as_ == "events":
            for key, other in (("every", found.every != 1), ("reduce", found.reduce is not None)):
                if other:
                    self.key_fault((*path, key), f"events are every spike: leave out {key}, or record values.")
        return found

    def check_initial(self, written: Mapping[str, Any]) -> dict[str, Any]:
        setting = describe.Setting(name="", doc="", unit="", role="param", annotation=float, default=0.0, bounds={},
                                   per="unit")
        initial: dict[str, Any] = {}
        for key, value in written.items():
            path = ("initial", key)
            target = self.compartment(key, path, ("state",), "initial sets states", at_key=True)
            try:
                clean = describe.check_value(setting, value)
            except describe.BadValue as bad:
                self.wrongs(path, bad.wrongs)
                continue
            if target in initial:
                self.key_fault(path, f"{target} is set twice: write it once.")
            if target is not None:
                self.move_marks(path, ("initial", target))
                initial[target] = clean
        return initial

    # phases -------------------------------------------------------------------------------------------------------

    def check_phases(self, schedule: Schedule | None, record: Mapping[str, RecordSettings]) -> tuple[Phase, ...]:
        written = self.value.get("phases")
        if written is None:
            return ()
        if not isinstance(written, list) or not written:
            self.fault(("phases",), f"phases must be a list such as [{{name: train, epochs: 3}}], not {shown(written)}.")
            return ()
        phases: list[Phase] = []
        names: dict[str, int] = {}
        for place, each in enumerate(written):
            path = ("phases", place)
            if not isinstance(each, dict):
                self.fault(path, f"a phase must be a mapping such as {{name: train, epochs: 3}}, not {shown(each)}.")
                continue
            phase = self.phase(each, path, schedule, record)
            if phase is None:
                continue
            if names.setdefault(phase.name, place) != place:
                self.fault((*path, "name"), f"another phase is called {phase.name}: give each its own name.")
            phases.append(phase)
        return tuple(phases)

    def phase(self, each: dict[str, Any], path: Path, schedule: Schedule | None,
              record: Mapping[str, RecordSettings]) -> Phase | None:
        clean, wrongs = describe.check_settings(describe.settings_of(Phase), each, noun="key", others=PHASE_SECTIONS)
        self.wrongs(path, wrongs)
        self.trials_or_epochs(clean, path)
        name = clean.get("name")
        if name is not None and not NAME.fullmatch(name):
            self.fault((*path, "name"), f"{shown(name).removeprefix('the text ')} is no name for a phase: up to 64 "
                                        "letters, digits and '_', the first a letter.")
        sections = {key: self.mapping(each.get(key), (*path, key), "names to values") for key in PHASE_SECTIONS
                    if key != "schedule"}
        clean["data"] = self.phase_data(sections["data"], (*path, "data"))
        clean["wires"] = self.check_wires(sections["wires"], (*path, "wires"))
        clean["set"] = self.phase_set(sections["set"], (*path, "set"))
        clean["record"] = self.phase_record(sections["record"], (*path, "record"), record)
        clean["schedule"] = self.check_schedule(each.get("schedule"), (*path, "schedule"), schedule)
        return Phase(**clean) if name is not None else None

    def phase_data(self, written: Mapping[str, Any], base: Path) -> dict[str, TypedSettings]:
        """Complete entries: what the phase says over what the config says, key by key."""
        merged: dict[str, TypedSettings] = {}
        for name, each in written.items():
            path = (*base, name)
            if name not in self.written_data:
                near = suggest(name, self.written_data) or self.entries()
                self.key_fault(path, f"there is no data entry {name!r}.{near}")
                continue
            entry = self.section("data")[name]
            if not isinstance(entry, dict):
                continue
            each = self.mapping(each, path, "keys such as rows")
            same = each.get("type", entry.get("type")) == entry.get("type")
            type_name, rest = self.typed({**entry, **each} if same else each, path if not same else ("data", name),
                                         "data entry", catalogue.parts("data"))
            if type_name is None:
                continue
            clean, wrongs = describe.check_settings(describe.data_settings(type_name), rest)
            # what the config's own entry gets wrong has been said there
            self.wrongs(path, [wrong for wrong in wrongs
                               if (wrong.path[0] in each if wrong.path else not same)])
            merged[name] = TypedSettings(type_name, clean)
        return merged

    def phase_set(self, written: Mapping[str, Any], base: Path) -> dict[str, Any]:
        """Parameters with another value in this phase: only such as are numbers in the program."""
        values: dict[str, Any] = {}
        for key, value in written.items():
            path = (*base, key)
            component, dot, name = key.removeprefix("components.").partition(".")
            if not dot:
                self.key_fault(path, f"{key!r} is no setting: write component.setting, as z.tau_m.")
                continue
            if component not in self.written_components:
                self.key_fault(path, f"there is no component {component!r}.{suggest(component, self.written_components)}")
                continue
            if component not in self.components:
                continue
            typed = self.components[component]
            table = describe.settings(typed.type, typed.settings)
            names = {other: each for each, setting in table.items() for other in (each, *setting.also)}
            setting = table.get(names.get(name, ""))
            if setting is None:
                leaves = [each for each in table if table[each].role == "param"]
                self.key_fault(path, f"{component} ({typed.type}) has no setting {name!r}."
                                     + (suggest(name, names) or f" A phase can set {listing(leaves)}."))
            elif setting.role != "param":
                self.key_fault(path, f"{component}.{name} shapes the program, so it is the same in every phase.")
            else:
                try:
                    values[f"{component}.{setting.name}"] = describe.check_value(setting, value)
                except describe.BadValue as bad:
                    self.wrongs(path, bad.wrongs)
                self.move_marks(path, (*base, f"{component}.{setting.name}"))
        return values

    def phase_record(self, written: Mapping[str, Any], base: Path,
                     record: Mapping[str, RecordSettings]) -> dict[str, bool]:
        switches: dict[str, bool] = {}
        for key, value in written.items():
            path, name = (*base, key), key.removeprefix("components.")
            if name not in record:
                if key not in self.section("record"):  # else what is wrong with it has been said there
                    near = suggest(name, record)
                    self.key_fault(path, f"{key} is not recorded: a phase switches records on and off that stand "
                                         f"under record.{near}")
            elif not isinstance(value, bool):
                self.fault(path, f"{self.called(path)} must be true or false, not {shown(value)}.")
            else:
                switches[name] = value
        return switches


def _is_slice(text: str) -> bool:
    match = SLICE.fullmatch(text)
    if match is None:
        return False
    start, stop, step = (int(each) if each else None for each in match.groups())
    return step != 0 and (stop is None or (start or 0) < stop)
