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
from contextlib import suppress
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path as FilePath
from typing import Any

from synsim.config.bases import Whole, with_bases
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
from synsim.config.sweeping import Given, another, check_launcher, check_sweep
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
    overridden = (
        {path: _given(value, f"set {path}") for path, value in overrides.items()}
        if isinstance(overrides, Mapping)
        else {}
    )
    chosen = {}
    for option, (path, value) in (options or {}).items():
        chosen[path] = _given(value, label := f"{option} {value}", len(option) + 2), label
    written = Written(
        sources,
        environment,
        overridden,
        () if isinstance(overrides, Mapping) else tuple(overrides),
        chosen,
        name or safe_name(FilePath(config).stem if from_file else "run"),  # type: ignore[arg-type]
        allow_plugins,
        plugin_folder,
    )
    return replace(
        written.spec(written.document()),
        text=whole,
        filename=filename,
        directory=directory,
        files=sources.files,
        environment=dict(environment.used),
        source=written,
    )


@dataclass(frozen=True)
class Written:
    """A config as it was read, with what is put into it: ready to be checked, as it is or with other values."""

    sources: Whole
    environment: Environment
    overrides: Mapping[str, Marked]  # from Python
    arguments: tuple[str, ...]  # after --set
    options: Mapping[str, tuple[Marked, str]]
    fallback: str
    allow_plugins: bool
    plugin_folder: FilePath | None

    def document(self, environment: Environment | None = None) -> Document:
        """The values with overrides and options, before let and the environment are put in place."""
        document = Document(self.sources.copy(), environment or self.environment)
        for path, value in self.overrides.items():
            document.assign(path, value.copy(), f"set {path}")
        for argument in self.arguments:
            document.override(argument)
        for path, (value, label) in self.options.items():
            document.assign(path, value.copy(), label)
        return document

    def spec(self, document: Document) -> Spec:
        """The config that a document holds, checked. Raises ConfigError."""
        document.put_in_place()
        return _checked(document, self.fallback, self.allow_plugins, self.plugin_folder)

    def vary(self, values: Mapping[str, Any]) -> Spec:
        """The config with other values at these paths, and without its sweep and launcher. Raises ConfigError.

        A value is plain, or comes with its place (`Given`). Texts in it stand for themselves.
        """
        environment = Environment(self.environment.variables)
        document = self.document(environment)
        for section in ("sweep", "launcher"):
            document.value.pop(section, None)
        for path, value in values.items():
            given = value if isinstance(value, Given) else Given(_given(value, f"sweep {path}"), None)
            document.vary(path, _over(given.value, path), given.at)
        spec = self.spec(document)
        return replace(spec, environment=dict(environment.used), source=self)

    def with_let(self, spec: Spec, resolved: dict[str, Any], paths: Sequence[str]) -> dict[str, Any]:
        """A resolved config with these values of let in it again, and references to them where they stood: where
        another value changes it."""
        assert spec.sweep is not None
        let = _literal(self.document(Environment(self.environment.variables)).let_values())
        for path in paths:
            name = path.removeprefix("let.")
            other = another(spec.sweep.parameters[path], let[name])
            if other is not None:
                with suppress(ConfigError):  # which whoever sweeps will say
                    _refer(resolved, self.vary({path: other}).resolved(), let[name], other, name)
        return {**resolved, "let": {path.removeprefix("let."): let[path.removeprefix("let.")] for path in paths}}


def _refer(one: Any, two: Any, here: Any, there: Any, name: str) -> None:
    """Write `${name}` where one value holds what let has `here`, and the other what it has `there`."""
    pairs = zip(range(len(one)), one, strict=True) if isinstance(one, list) else one.items()
    for key, value in list(pairs):
        other = (
            two[key] if isinstance(two, list) and key < len(two) else two.get(key) if isinstance(two, dict) else None
        )
        if value == here and other == there:
            one[key] = f"${{{name}}}"
        elif isinstance(value, dict | list) and isinstance(other, type(value)):
            _refer(value, other, here, there, name)


def _over(given: Marked, path: str) -> Marked:
    """A value that beats all files, whose texts stand for themselves."""
    keys, values = (
        {path: replace(mark, over=True) for path, mark in marks.items()} for marks in (given.keys, given.values)
    )
    values.setdefault((), Mark(1, 1, f"sweep {path}", over=True))
    return Marked(_literal(given.value), keys, values, nodes=given.nodes)


def _literal(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _literal(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_literal(item) for item in value]
    return value.replace("${", "$${") if isinstance(value, str) else value


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
    sweep, launcher = check_sweep(check, phases), check_launcher(check)
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
        sweep=sweep,
        launcher=launcher,
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
