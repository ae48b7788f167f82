"""The sections that say what there is: name, seed, run, data and components."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path as FilePath
from typing import Any

from synsim import catalogue, describe, plugins
from synsim.config.checker import Checker
from synsim.config.document import NOT_YET, SECTIONS
from synsim.faults import ConfigError, Fault, Path, listing, suggest, there_are
from synsim.spec import RunSettings, TopSettings, TypedSettings
from synsim.values import shown, shown_name

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}", re.ASCII)
RUN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
DEVICE = re.compile(r"[a-z]+(:\d{1,4})?", re.ASCII)
RESERVED = {*SECTIONS, "sweep", "extends", "reset"}
WINDOWS_DEVICES = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))}

REFERENCE_TYPES = (
    "ART2ASynapse BCMSynapse EventSTDPSynapse ExpSTDPSynapse HebbianPatchedSynapse InhibitorySTDPSynapse "
    "MPSSynapse MSTDPETSynapse OjaTensorSynapse PatchedSynapse REINFORCESynapse SOMSynapse SparseTensorSynapse "
    "STDPSynapse STPDenseSynapse VectorQuantizeSynapse"
).split()
"""Types of the reference that a model may be carried over with: they are refused by name until they exist."""

EXAMPLES = {"component": "{type: LIFCell, n_units: 10, tau_m: 20}", "data entry": "{type: digits, part: images}"}

HINTS = {
    "batch_size": "the batch is run.batch, for the whole graph.",
    "coeffs": "its coefficients are settings of their own: c0, c1_pre, c1_post, c2_corr.",
    **dict.fromkeys(("fan_in", "fan_out", "synapses", "edges"), "it is of connectivity: sparse: write that too."),
    "key": "everything random comes from the one seed at the top.",
    "name": "its name is its key.",
}
"""Settings of the reference's constructors, and of parts of a synapse, that a config says elsewhere."""

FIXED = dict.fromkeys(
    ("connectivity", "fan_in", "fan_out", "synapses", "edges"),
    "this type slides filters over an image. type: Synapse takes any connectivity.",
)


def check_top(check: Checker) -> dict[str, Any]:
    """name and seed; every section is known and is a mapping."""
    rest = {key: value for key, value in check.value.items() if key not in NOT_YET}
    for key in check.value:
        if key in NOT_YET:
            check.key_fault((key,), f"{key} does not exist yet: remove it.")
    clean, wrongs = describe.check_settings(
        describe.settings_of(TopSettings),
        rest,
        noun="key",
        others=["extends", *(key for key in SECTIONS if key not in ("name", "seed"))],
    )
    check.wrongs((), wrongs)
    name = clean.get("name")
    if name is not None and not (RUN_NAME.fullmatch(name) and _portable(name)):
        check.fault(
            ("name",),
            f"name names a folder, so it is up to 64 letters, digits, '.', '_' and '-', starts "
            f"with a letter or digit and is no device of Windows, not {shown(name)}.",
        )
    of = {
        "let": "names to values",
        "run": "keys such as steps",
        "data": "names to entries",
        "components": "names to components",
        "wires": "inlets to what they read",
        "record": "compartments to settings",
        "initial": "states to values",
    }
    for key, text in of.items():
        if key != "let":  # `document` has looked at let
            check.mapping(check.value.get(key), (key,), text)
    check_names(check, "let", "value under let", check.section("let"))
    return clean


def check_plugins(check: Checker, allowed: bool, folder: FilePath) -> tuple[str, ...] | None:
    """The modules under `plugins`, imported if that is allowed, from `folder` where Python finds no such module; None
    and a fault where one cannot be.

    Raises ConfigError at once where it is not allowed.
    """
    before = len(check.faults)
    written = check.value.get("plugins")
    if written is None:
        return ()
    if not isinstance(written, list):
        check.fault(("plugins",), f"plugins must be a list of modules, as [mypackage.cells], not {shown(written)}.")
        return None
    names: dict[str, int] = {}
    for place, name in enumerate(written):
        if not isinstance(name, str) or not plugins.NAME.fullmatch(name):
            check.fault(("plugins", place), f"a plugin is the name of a module, as mypackage.cells, not {shown(name)}.")
        elif name in names:
            check.fault(("plugins", place), f"{name} is written twice: write it once.")
        else:
            names[name] = place
    if names and not allowed:
        those = f"the plugin{'s' if len(names) > 1 else ''} {listing(names)}"
        message = (
            f"the config asks for {those}, whose code would be run: allow that with --allow-plugins if you trust it."
        )
        raise ConfigError(check.document.marks.locate(Fault(message, ("plugins",))))
    for name, place in names.items():
        try:
            catalogue.admit(name, folder)
        except plugins.BadPlugin as bad:
            check.fault(("plugins", place), f"the plugin {bad}.".replace("..", "."))
    return tuple(names) if len(check.faults) == before else None


def check_run(check: Checker) -> dict[str, Any]:
    """The settings of `run`."""
    hints = {
        **{key: "it does not exist yet." for key in NOT_YET},
        "compression": "it is said of each record, as z.v: {compression: gzip}.",
    }
    clean, wrongs = describe.check_settings(
        describe.settings_of(RunSettings), check.section("run"), noun="key", hints=hints
    )
    if check.value.get("run") is None or isinstance(check.value["run"], dict):  # else that is what is wrong
        check.wrongs(("run",), wrongs)
    check_length(check, clean, ("run",))
    device = clean.get("device", "auto")
    if not DEVICE.fullmatch(device):
        check.fault(
            ("run", "device"),
            f"run.device must be auto, cpu, gpu, tpu or one of several as cuda:1, not {shown(device)}.",
        )
    return clean


def check_length(check: Checker, clean: Mapping[str, Any], base: Path) -> None:
    if clean.get("trials") is not None and clean.get("epochs") is not None:
        check.key_fault((*base, "epochs"), f"{check.called(base)} has both trials and epochs: write one of them.")


def check_names(check: Checker, section: str, noun: str, written: Mapping[str, Any]) -> None:
    """Names are words, mean nothing else, and differ in the crc32 that random keys are drawn from."""
    taken: dict[int, str] = {}
    for name in written:
        path = (section, name)
        if not NAME.fullmatch(name):
            check.key_fault(
                path,
                f"{shown_name(name)} cannot name a {noun}: a name is up to 64 "
                "letters, digits and '_', the first a letter.",
            )
        elif section != "let" and name in RESERVED:
            check.key_fault(path, f"{name} is a word of the config itself: give the {noun} another name.")
        else:
            other = taken.setdefault(zlib.crc32(name.encode()), name)
            if other != name:
                check.key_fault(
                    path,
                    f"{name} and {other} have the same crc32, so their random numbers would be "
                    "the same: rename one of them.",
                )


def check_components(check: Checker, written: Mapping[str, Any], modules: tuple[str, ...] = ()) -> None:
    """Types, settings, and with them the compartments and methods that the other sections may name; types of the
    package and of these plugins."""
    known = catalogue.types_for(modules)
    for name, each in written.items():
        path = ("components", name)
        type_name, rest = check_type(check, each, path, "component", known)
        if type_name is None:
            continue
        open_parts = describe.open_parts(type_name)
        if open_parts:
            rest = flattened(check, rest, path, open_parts)
        table = describe.settings(type_name, rest)
        drop_overridden(check, rest, path, table)
        clean, wrongs = describe.check_settings(table, rest, hints=_hints(type_name))
        if open_parts and set(describe.part_types(type_name, rest)) != set(catalogue.SYNAPSE_PARTS):
            # a part is not known, so whose settings the others are is not known either
            check.wrongs(path, [wrong for wrong in wrongs if wrong.subject or not wrong.at_key])
            continue
        check.wrongs(path, wrongs)
        same_place(check, path, rest, table)
        check.components[name] = TypedSettings(type_name, clean)
        check.compartments[name] = describe.compartments(type_name, clean)
        check.methods[name] = describe.methods(type_name, clean)


def _hints(type_name: str) -> Mapping[str, str]:
    """What to do about names that people try with this type."""
    if "connectivity" in describe.open_parts(type_name):
        return HINTS
    return {**HINTS, **FIXED} if describe.part_types(type_name) else HINTS


def check_data(check: Checker, written: Mapping[str, Any]) -> None:
    """The entries of `data`."""
    for name, each in written.items():
        path = ("data", name)
        type_name, rest = check_type(check, each, path, "data entry", catalogue.parts("data"))
        if type_name is None:
            continue
        clean, wrongs = describe.check_settings(describe.data_settings(type_name), rest)
        check.wrongs(path, wrongs)
        check.data[name] = TypedSettings(type_name, clean)


def check_type(
    check: Checker, each: Any, path: Path, noun: str, known: Mapping[str, Any]
) -> tuple[str | None, dict[str, Any]]:
    """The type of a component or data entry, if it exists, and its other settings."""
    if not isinstance(each, dict):
        got = "nothing" if each is None else shown(each)
        check.fault(
            path, f"{check.called(path)} must be a mapping such as {EXAMPLES[noun]}, not {got}.", at_key=each is None
        )
        return None, {}
    rest = {key: value for key, value in each.items() if key != "type"}
    if "type" not in each:
        check.key_fault(path, f"{check.called(path)} needs a type, as {EXAMPLES[noun]}.")
        return None, rest
    name = each["type"]
    if isinstance(name, str) and name in known:
        return name, rest
    if isinstance(name, str) and name in REFERENCE_TYPES:
        message = f"{name} does not exist yet."
    elif isinstance(name, str) and (near := suggest(name, known)):
        message = f"there is no {noun} type {shown_name(name)}.{near}"
    elif noun == "data entry":
        message = f"there is no {noun} type {shown_name(name)}.{there_are(known)}"
    else:
        message = f"there is no {noun} type {shown_name(name)}. `synsim components` lists those there are."
        if bad := catalogue.broken():
            message = f"{message} Not usable: {'; '.join(bad)}."
    check.fault((*path, "type"), message)
    return None, rest


def flattened(check: Checker, rest: dict[str, Any], path: Path, kinds: Iterable[str]) -> dict[str, Any]:
    """Settings written inside a part, `rule: {type: hebbian, eta: 0.1}`, as settings of the synapse."""
    flat = dict(rest)
    for kind in kinds:
        part = rest.get(kind)
        if not isinstance(part, dict):
            continue
        for key, value in part.items():
            if key == "type":
                continue
            here, there = (*path, kind, key), (*path, key)
            if key in flat:
                inside, outside = check.document.layer_of(here), check.document.layer_of(there)
                if inside == outside:
                    check.key_fault(here, f"{path[1]}.{key} is written twice, here and outside {kind}: write it once.")
                if inside <= outside:
                    continue
                check.document.forget_marks(there)
            flat[key] = value
            check.move_marks(here, there)
    return flat


def drop_overridden(check: Checker, rest: dict[str, Any], path: Path, table: Mapping[str, describe.Setting]) -> None:
    """What is written under one name of a setting wins over what a weaker file has under its other name, and an
    override over any."""
    for name, setting in table.items():
        written = {each: check.document.layer_of((*path, each)) for each in (name, *setting.also) if each in rest}
        for each, layer in written.items():
            if layer < max(written.values()):
                del rest[each]


def same_place(check: Checker, path: Path, rest: Mapping[str, Any], table: Mapping[str, describe.Setting]) -> None:
    """Whoever speaks of a setting by its first name finds where its other name is written."""
    for name, setting in table.items():
        for other in setting.also:
            if other in rest and name not in rest:
                check.move_marks((*path, other), (*path, name))


def safe_name(stem: str) -> str:
    """A file's stem as a run's name."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", stem).lstrip("._-")[:64]
    return name if RUN_NAME.fullmatch(name) and _portable(name) else "run"


def _portable(name: str) -> bool:
    return name.split(".")[0].lower() not in WINDOWS_DEVICES and not name.endswith(".")
