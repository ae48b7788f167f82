"""The phases of a run: each says what differs from the config itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from synsim import catalogue, describe
from synsim.config.checker import Checker
from synsim.config.sections import NAME, check_length, check_type
from synsim.config.wiring import check_schedule, check_wires
from synsim.faults import Path, listing, suggest
from synsim.spec import PHASE_SECTIONS, Phase, RecordSettings, Schedule, TypedSettings
from synsim.values import shown, shown_name


def check_phases(check: Checker, schedule: Schedule | None, record: Mapping[str, RecordSettings]) -> tuple[Phase, ...]:
    written = check.value.get("phases")
    if written is None:
        return ()
    if not isinstance(written, list) or not written:
        check.fault(("phases",), f"phases must be a list such as [{{name: train, epochs: 3}}], not {shown(written)}.")
        return ()
    phases: list[Phase] = []
    names: dict[str, int] = {}
    for place, each in enumerate(written):
        path = ("phases", place)
        if not isinstance(each, dict):
            check.fault(path, f"a phase must be a mapping such as {{name: train, epochs: 3}}, not {shown(each)}.")
            continue
        phase = check_phase(check, each, path, schedule, record)
        if phase is None:
            continue
        if names.setdefault(phase.name, place) != place:
            check.fault((*path, "name"), f"another phase is called {phase.name}: give each its own name.")
        phases.append(phase)
    return tuple(phases)


def check_phase(
    check: Checker, each: dict[str, Any], path: Path, schedule: Schedule | None, record: Mapping[str, RecordSettings]
) -> Phase | None:
    clean, wrongs = describe.check_settings(describe.settings_of(Phase), each, noun="key", others=PHASE_SECTIONS)
    check.wrongs(path, wrongs)
    check_length(check, clean, path)
    name = clean.get("name")
    if name is not None and not NAME.fullmatch(name):
        check.fault(
            (*path, "name"),
            f"{shown_name(name)} cannot name a phase: a name is up to 64 letters, digits and '_', the first a letter.",
        )
    sections = {
        key: check.mapping(each.get(key), (*path, key), "names to values")
        for key in PHASE_SECTIONS
        if key != "schedule"
    }
    clean["data"] = check_data_over(check, sections["data"], (*path, "data"))
    clean["wires"] = check_wires(check, sections["wires"], (*path, "wires"))
    clean["set"] = check_set(check, sections["set"], (*path, "set"))
    clean["record"] = check_switches(check, sections["record"], (*path, "record"), record)
    clean["schedule"] = check_schedule(check, each.get("schedule"), (*path, "schedule"), schedule)
    return Phase(**clean) if name is not None else None


def check_data_over(check: Checker, written: Mapping[str, Any], base: Path) -> dict[str, TypedSettings]:
    """Complete entries: what the phase says over what the config says, key by key."""
    merged: dict[str, TypedSettings] = {}
    for name, each in written.items():
        path = (*base, name)
        if name not in check.written_data:
            near = suggest(name, check.written_data) or check.entries()
            check.key_fault(path, f"there is no data entry {name!r}.{near}")
            continue
        entry = check.section("data")[name]
        if not isinstance(entry, dict):
            continue
        each = check.mapping(each, path, "keys such as rows")
        same = each.get("type", entry.get("type")) == entry.get("type")
        type_name, rest = check_type(
            check,
            {**entry, **each} if same else each,
            path if not same else ("data", name),
            "data entry",
            catalogue.parts("data"),
        )
        if type_name is None:
            continue
        clean, wrongs = describe.check_settings(describe.data_settings(type_name), rest)
        # what the config's own entry gets wrong has been said there
        check.wrongs(path, [wrong for wrong in wrongs if (wrong.path[0] in each if wrong.path else not same)])
        merged[name] = TypedSettings(type_name, clean)
    return merged


def check_set(check: Checker, written: Mapping[str, Any], base: Path) -> dict[str, Any]:
    """Parameters with another value in this phase: only such as are numbers in the program."""
    values: dict[str, Any] = {}
    for key, value in written.items():
        path = (*base, key)
        component, dot, name = key.removeprefix("components.").partition(".")
        if not dot:
            check.key_fault(path, f"{key!r} is no setting: write component.setting, as z.tau_m.")
            continue
        if component not in check.written_components:
            check.key_fault(path, check.no_component(component))
            continue
        if component not in check.components:
            continue
        typed = check.components[component]
        table = describe.settings(typed.type, typed.settings)
        names = {other: each for each, setting in table.items() for other in (each, *setting.also)}
        setting = table.get(names.get(name, ""))
        if setting is None:
            leaves = [each for each in table if table[each].role == "param"]
            check.key_fault(
                path,
                f"{component} ({typed.type}) has no setting {name!r}."
                + (suggest(name, names) or f" A phase can set {listing(leaves)}."),
            )
        elif setting.role != "param":
            check.key_fault(path, f"{component}.{name} shapes the program, so it is the same in every phase.")
        else:
            target = f"{component}.{setting.name}"
            if target in values and check.document.layer_of(path) < len(check.document.layers):  # no override
                check.key_fault(path, f"{target} is set twice: write it once.")
            try:
                values[target] = describe.check_value(setting, value)
            except describe.BadValue as bad:
                check.wrongs(path, bad.wrongs)
            check.move_marks(path, (*base, target))
    return values


def check_switches(
    check: Checker, written: Mapping[str, Any], base: Path, record: Mapping[str, RecordSettings]
) -> dict[str, bool]:
    switches: dict[str, bool] = {}
    for key, value in written.items():
        path, name = (*base, key), key.removeprefix("components.")
        if name not in record:
            if key not in check.section("record"):  # else what is wrong with it has been said there
                near = suggest(name, record)
                check.key_fault(
                    path, f"{key} is not recorded: a phase switches records on and off that stand under record.{near}"
                )
        elif not isinstance(value, bool):
            check.fault(path, f"{check.called(path)} must be true or false, not {shown(value)}.")
        else:
            switches[name] = value
    return switches
