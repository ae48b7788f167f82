"""Text -> `Spec`: everything that can be known about a config without building an array.

Every fault is found in one pass and has its line and column. The text is read first (`yaml_source`), then what it
extends (`bases`), then overrides, `let` and variables of the environment are put in place (`document`), then each
section is checked; component types are looked up last.
"""

from __future__ import annotations

import hashlib
import json
import stat
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path as FilePath
from typing import Any

from synsim.config.bases import with_bases
from synsim.config.checker import Checker
from synsim.config.document import Document
from synsim.config.environment import Environment
from synsim.config.phases import check_phases
from synsim.config.recording import check_initial, check_record
from synsim.config.sections import (
    check_components,
    check_data,
    check_names,
    check_plugins,
    check_run,
    check_top,
    safe_name,
)
from synsim.config.wiring import check_schedule, check_wires
from synsim.config.yaml_source import MOST_BYTES, Marked, decode, from_mapping, read
from synsim.faults import ConfigError, Fault, Mark
from synsim.spec import ConfigFile, RunSettings, Spec
from synsim.values import shown

__all__ = ["load"]


def load(
    config: str | PathLike[str] | Mapping[str, Any],
    *,
    text: str | bytes | None = None,
    overrides: Sequence[str] | Mapping[str, Any] = (),
    options: Mapping[str, tuple[str, Any]] | None = None,
    name: str | None = None,
    allow_plugins: bool = False,
    folder: FilePath | None = None,
    plugin_folder: FilePath | None = None,
) -> Spec:
    """Read and check a config. Raises ConfigError with every fault, each with its place.

    config: a path, "-" for standard input, or a mapping from Python.
    text: what to read in place of the file; `config` is then only the name that faults show.
    overrides: "z.tau_m=20" as after --set, or {"z.tau_m": 20}; they win over the text.
    options: what the command line says by other options, {"--seed": ("seed", 7)}: they win over both.
    name: the run's name where neither text nor options give one; else the file's.
    allow_plugins: import the modules that the config names under `plugins`, which runs their code.
    folder: what names of files are relative to where the config is not read from a file; else the present one.
    plugin_folder: where plugins may stand too, if not beside the config that names them.
    """
    marked, filename, whole, digest = _read(config, text)
    if marked.value is None:
        raise ConfigError(Fault("the config is empty: it needs components and run.", (), 1, 1, filename))
    if not isinstance(marked.value, dict):
        raise ConfigError(
            Fault(
                f"a config is a mapping of keys such as components and run, not {shown(marked.value)}.",
                (),
                1,
                1,
                filename,
            )
        )
    from_file = not isinstance(config, Mapping) and str(config) != "-"
    file = FilePath(config).resolve() if from_file and text is None else None  # type: ignore[arg-type]
    directory = file.parent if file is not None else folder or FilePath.cwd()
    environment = Environment()
    sources = with_bases(marked, ConfigFile(filename, digest), len(whole), directory, file, environment.fill)
    document = Document(sources, environment)
    if isinstance(overrides, Mapping):
        for path, value in overrides.items():
            document.assign(path, _given(value, f"set {path}"), f"set {path}")
    else:
        for argument in overrides:
            document.override(argument)
    for option, (path, value) in (options or {}).items():
        label = f"{option} {value}"
        document.assign(path, _given(value, label, len(option) + 2), label)
    document.put_in_place()
    fallback = name or safe_name(FilePath(config).stem if from_file else "run")  # type: ignore[arg-type]
    return replace(
        _checked(document, fallback, allow_plugins, plugin_folder),
        text=whole,
        filename=filename,
        directory=directory,
        files=sources.files,
        environment=dict(environment.used),
    )


def _checked(document: Document, fallback: str, allow_plugins: bool, plugin_folder: FilePath | None) -> Spec:
    check = Checker(document)
    top, run = check_top(check), check_run(check)
    components, data = check.section("components"), check.section("data")
    if not components and document.value.get("components") in (None, {}):
        what = "empty" if "components" in document.value else "missing"
        check.fault(("components",), f"components is {what}: a config needs at least one component.")
    check_names(check, "components", "component", components)
    check_names(check, "data", "data entry", data)
    check.written_components, check.written_data = components, data
    if not components:
        check.finish()
    plugin_folder = plugin_folder or document.folder_of(("plugins",))
    modules = check_plugins(check, allow_plugins, plugin_folder)
    if modules is None:
        check.finish()  # it has faults, and what types there are is not known
    check_components(check, components, modules or ())
    check_data(check, data)
    wires = check_wires(check, check.section("wires"), ("wires",))
    schedule = check_schedule(check, document.value.get("schedule"), ("schedule",), None)
    record = check_record(check, check.section("record"))
    initial = check_initial(check, check.section("initial"))
    phases = check_phases(check, schedule, record)
    check.finish()
    marks = document.marks
    return Spec(
        name=top.get("name") or fallback,
        seed=top.get("seed", 0),
        run=RunSettings(**run),
        data=check.data,
        components=check.components,
        wires={key: wire for key, wire in wires.items() if wire is not None},
        schedule=schedule,
        record=record,
        initial=initial,
        phases=phases,
        text="",
        filename="",
        directory=FilePath(),
        marks=marks,
        plugins=modules or (),
        plugin_folder=plugin_folder if modules else None,
        warnings=tuple(marks.locate(fault) for fault in document.warnings),
    )


def _read(config: str | PathLike[str] | Mapping[str, Any], text: str | bytes | None) -> tuple[Marked, str, str, str]:
    """The values with marks, the name that faults show, the text verbatim, and its digest."""
    if isinstance(config, Mapping):
        marked = from_mapping(config)
        whole = json.dumps(marked.value, indent=1, ensure_ascii=False)
        return marked, "config", whole, _digest(whole)
    filename = "<stdin>" if str(config) == "-" else str(config)
    if text is not None:
        given = text
    else:
        given = sys.stdin.buffer.read(MOST_BYTES + 1) if str(config) == "-" else _bytes(FilePath(config), filename)
    whole = decode(given, filename) if isinstance(given, bytes) else given
    return read(whole, filename), filename, whole, _digest(given)


def _digest(data: str | bytes) -> str:
    return hashlib.sha256(data.encode(errors="replace") if isinstance(data, str) else data).hexdigest()


def _bytes(path: FilePath, filename: str) -> bytes:
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe would be waited for, a device never ends
            raise ConfigError(f"{filename} is not a regular file; write - to read standard input.")
        with path.open("rb") as file:
            return file.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ConfigError(f"{filename} cannot be read: {why}.") from None


def _given(value: Any, source: str, column: int = 1) -> Marked:
    marked = from_mapping({"value": value})
    return Marked(marked.value["value"], {}, {(): Mark(1, column, source)}, nodes=marked.nodes)
