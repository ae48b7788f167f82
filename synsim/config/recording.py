"""The sections that say what is kept and where states start: record and initial."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from synsim import describe
from synsim.config.checker import Checker
from synsim.faults import Path, suggest
from synsim.spec import RecordSettings
from synsim.values import shown

SLICE = re.compile(r"(\d{0,9}):(\d{0,9})(?::(\d{1,9}))?", re.ASCII)


def check_record(check: Checker, written: Mapping[str, Any]) -> dict[str, RecordSettings]:
    record: dict[str, RecordSettings] = {}
    for key, value in written.items():
        path = ("record", key)
        if "." not in key and key in check.written_data:
            record[key] = check_entry_record(check, value, path)
            continue
        if "." not in key and key not in check.written_components:
            near = suggest(key, [*check.written_data, *check.written_components])
            check.key_fault(path, f"there is no data entry {key!r}, nor a component.{near}")
            continue
        target = check.compartment(key, path, ("state", "outlet", "inlet"), "a record reads it", at_key=True)
        settings = check_record_settings(check, value, path)
        if target is None:
            continue
        compartment = check.compartments[target.partition(".")[0]][target.partition(".")[2]]
        if settings.as_ == "events" and not compartment.spikes:
            check.fault(
                (*path, "as"),
                f"{target} holds no spikes, and only spikes are recorded as events: leave out `as`.",
            )
        if target in record:
            check.key_fault(path, f"{target} is recorded twice: write it once.")
        check.move_marks(path, ("record", target))
        record[target] = settings
    return record


def check_entry_record(check: Checker, value: Any, path: Path) -> RecordSettings:
    """A data entry goes to the table of trials, row by row: there is nothing else to choose."""
    settings = check_record_settings(check, value, path)
    for key in value if isinstance(value, dict) else ():
        if (key == "every" and settings.every != "trial") or key in ("window", "index", "reduce", "as", "compression"):
            check.key_fault(
                (*path, key),
                f"{path[1]} is a data entry, which is recorded once a trial: leave out {key}, or write every: trial.",
            )
    return RecordSettings(every="trial", on=settings.on)


def check_record_settings(check: Checker, value: Any, path: Path) -> RecordSettings:
    if isinstance(value, bool):
        return RecordSettings(on=value)
    written = check.mapping(value, path, "keys such as every")
    clean, wrongs = describe.check_settings(describe.settings_of(RecordSettings), written, noun="key")
    check.wrongs(path, wrongs)
    if "as" in clean:
        clean["as_"] = clean.pop("as")
    found = RecordSettings(**clean)
    if found.window is not None and not found.window[0] < found.window[1]:
        check.fault(
            (*path, "window"),
            f"{check.called((*path, 'window'))} must run from an earlier to a later time, "
            f"not [{found.window[0]}, {found.window[1]}].",
        )
    if isinstance(found.index, str) and not _is_slice(found.index):
        check.fault(
            (*path, "index"),
            f"{check.called((*path, 'index'))} must be a slice such as 0:10 or a list of "
            f"whole numbers, not {shown(found.index)}.",
        )
    if found.index == ():
        check.fault((*path, "index"), f"{check.called((*path, 'index'))} must list at least one unit.")
    if found.window is not None and found.every == "trial":
        check.key_fault((*path, "window"), "a window has no meaning with every: trial: leave out one of them.")
    if found.as_ == "events":
        for key, other in (("every", found.every != 1), ("reduce", found.reduce is not None)):
            if other:
                check.key_fault((*path, key), f"events are every spike: leave out {key}, or record values.")
    return found


def check_initial(check: Checker, written: Mapping[str, Any]) -> dict[str, Any]:
    setting = describe.Setting(
        name="", doc="", unit="", role="param", annotation=float, default=0.0, bounds={}, per="unit"
    )
    initial: dict[str, Any] = {}
    for key, value in written.items():
        path = ("initial", key)
        target = check.compartment(key, path, ("state",), "initial sets states", at_key=True)
        try:
            clean = describe.check_value(setting, value)
        except describe.BadValue as bad:
            check.wrongs(path, bad.wrongs)
            continue
        if target in initial:
            check.key_fault(path, f"{target} is set twice: write it once.")
        if target is not None:
            check.move_marks(path, ("initial", target))
            initial[target] = clean
    return initial


def _is_slice(text: str) -> bool:
    match = SLICE.fullmatch(text)
    if match is None:
        return False
    start, stop, step = (int(each) if each else None for each in match.groups())
    return step != 0 and (stop is None or (start or 0) < stop)
