"""Text -> `Spec`: everything that can be known about a config without building an array.

Every fault is found in one pass and has its line and column. The text is read first (`yaml_source`), then overrides
and `let` are put in place (`document`), then each section is checked; component types are looked up last, because
that is what imports JAX.
"""

from __future__ import annotations

import json
import stat
import sys
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path as FilePath
from typing import Any

from synsim.config.checker import Checker
from synsim.config.document import Document
from synsim.config.phases import check_phases
from synsim.config.recording import check_initial, check_record
from synsim.config.sections import check_components, check_data, check_names, check_run, check_top, safe_name
from synsim.config.wiring import check_schedule, check_wires
from synsim.config.yaml_source import MOST_BYTES, Marked, decode, from_mapping, read
from synsim.faults import ConfigError, Fault, Mark
from synsim.spec import RunSettings, Spec
from synsim.values import shown

__all__ = ["load"]


def load(
    config: str | PathLike[str] | Mapping[str, Any],
    *,
    text: str | bytes | None = None,
    overrides: Sequence[str] | Mapping[str, Any] = (),
    options: Mapping[str, tuple[str, Any]] | None = None,
    name: str | None = None,
) -> Spec:
    """Read and check a config. Raises ConfigError with every fault, each with its place.

    config: a path, "-" for standard input, or a mapping from Python.
    text: what to read in place of the file; `config` is then only the name that faults show.
    overrides: "z.tau_m=20" as after --set, or {"z.tau_m": 20}; they win over the text.
    options: what the command line says by other options, {"--seed": ("seed", 7)}: they win over both.
    name: the run's name where neither text nor options give one; else the file's.
    """
    marked, filename, whole = _read(config, text)
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
    document = Document(marked)
    if isinstance(overrides, Mapping):
        for path, value in overrides.items():
            document.assign(path, _given(value, f"set {path}"), f"set {path}")
    else:
        for argument in overrides:
            document.override(argument)
    for option, (path, value) in (options or {}).items():
        label = f"{option} {value}"
        document.assign(path, _given(value, label, len(option) + 2), label)
    document.put_let_in_place()
    from_file = not isinstance(config, Mapping) and str(config) != "-"
    directory = FilePath(config).resolve().parent if from_file and text is None else FilePath.cwd()  # type: ignore[arg-type]
    fallback = name or safe_name(FilePath(config).stem if from_file else "run")  # type: ignore[arg-type]
    return _checked(document, fallback, whole, filename, directory)


def _checked(document: Document, fallback: str, text: str, filename: str, directory: FilePath) -> Spec:
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
    check_components(check, components)
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
        text=text,
        filename=filename,
        directory=directory,
        marks=marks,
        warnings=tuple(marks.locate(fault) for fault in document.warnings),
    )


def _read(config: str | PathLike[str] | Mapping[str, Any], text: str | bytes | None) -> tuple[Marked, str, str]:
    """The values with marks, the name that faults show, and the text verbatim."""
    if isinstance(config, Mapping):
        marked = from_mapping(config)
        return marked, "config", json.dumps(marked.value, indent=1, ensure_ascii=False)
    filename = "<stdin>" if str(config) == "-" else str(config)
    if text is not None:
        given = text
    else:
        given = sys.stdin.buffer.read(MOST_BYTES + 1) if str(config) == "-" else _bytes(FilePath(config), filename)
    whole = decode(given, filename) if isinstance(given, bytes) else given
    return read(whole, filename), filename, whole


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
