"""The sections that say how components act on each other: wires and schedule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from synsim.config.checker import Checker
from synsim.expressions import BadExpression, Wire, parse, reads
from synsim.faults import Path, listing, suggest
from synsim.spec import EVERY, Call, Schedule
from synsim.values import shown, shown_name


def check_wires(check: Checker, written: Mapping[str, Any], base: Path) -> dict[str, Wire | None]:
    """Wires by inlet, null only in a phase; the target is an inlet, what is read a state, an outlet or data."""
    wires: dict[str, Wire | None] = {}
    for key, value in written.items():
        path = (*base, key)
        target = check.compartment(key, path, ("inlet",), "a wire feeds an inlet", at_key=True)
        wire = None
        if value is not None or base == ("wires",):
            wire = check_wire(check, value, path)
            if wire is None:
                continue
        if target is None:
            continue
        if target in wires:
            check.key_fault(path, f"{target} is wired twice: write a list or a sum.")
        check.move_marks(path, (*base, target))
        wires[target] = wire
    return wires


def check_wire(check: Checker, value: Any, path: Path) -> Wire | None:
    """What one wire reads; a list is summed."""
    if isinstance(value, list):
        if not value:
            check.fault(path, f"{check.called(path)} reads an empty list: name what it reads.")
            return None
        wires = [check_wire(check, item, (*path, place)) for place, item in enumerate(value)]
        if len(wires) > 256:
            check.fault(path, f"{check.called(path)} sums {len(wires)} wires: at most 256.")
            return None
        total = wires[0]
        for wire in wires[1:]:
            total = None if total is None or wire is None else ("add", total, wire)
        return total
    if isinstance(value, int | float) and not isinstance(value, bool):
        if value - value != 0:
            check.fault(path, f"{check.called(path)} must read a finite number, not {shown(value)}.")
            return None
        return ("number", float(value))
    if not isinstance(value, str):
        check.fault(
            path,
            f"{check.called(path)} must read a compartment, a data entry, a number or a sum of them, "
            f"not {shown(value)}.",
        )
        return None
    try:
        wire, sources = parse(value)
    except BadExpression as bad:
        check.inside(path, bad.at, f"{check.called(path)} {bad.sentence}.")
        return None
    good = True
    for leaf, source in zip(reads(wire), sources, strict=True):
        good = check_source(check, leaf, path, source.at) and good
    return wire if good else None


def check_source(check: Checker, leaf: Wire, path: Path, at: int) -> bool:
    """Whether a name in a wire can be read, with a fault at its place in the text where it cannot."""
    if leaf[0] == "data":
        if leaf[1] in check.written_data:
            return True
        if leaf[1] in check.written_components:
            have = check.of_kind(leaf[1], ("state", "outlet"))
            first = f"{leaf[1]}.{have[0]}" if have else f"{leaf[1]}.…"
            check.inside(path, at, f"{leaf[1]} is a component: name one of its compartments, as {first}.")
            return False
        near = suggest(leaf[1], [*check.written_data, *check.written_components])
        check.inside(path, at, f"there is no data entry {leaf[1]!r}.{near or check.entries()}")
        return False
    return (
        check.compartment(f"{leaf[1]}.{leaf[2]}", path, ("state", "outlet"), "a wire reads a state or an outlet", at=at)
        is not None
    )


def check_schedule(check: Checker, value: Any, base: Path, over: Schedule | None) -> Schedule | None:
    """Lists of calls for start, step and end; in a phase over those of the config."""
    written = check.mapping(value, base, "start, step and end to lists")
    for key in written:
        if key not in ("start", "step", "end"):
            check.key_fault(
                (*base, key),
                f"{check.called(base)} has no key {shown_name(key)}."
                + (suggest(key, ("start", "step", "end")) or " It has start, step and end."),
            )
    parts: dict[str, tuple[Call, ...] | None] = {}
    for part in ("start", "step", "end"):
        calls, path = written.get(part), (*base, part)
        if part not in written:
            parts[part] = getattr(over, part) if over is not None else None
        elif isinstance(calls, list):
            parts[part] = tuple(
                call
                for place, item in enumerate(calls)
                if (call := check_call(check, item, (*path, place))) is not None
            )
        else:
            check.fault(path, f"{check.called(path)} must be a list such as [z, W.evolve], not {shown(calls)}.")
    return Schedule(**parts) if value is not None else None


def check_call(check: Checker, item: Any, path: Path) -> Call | None:
    """One entry of a schedule: z is z.advance, a bare reset resets all."""
    if not isinstance(item, str):
        check.fault(path, f"a schedule lists components and component.method, not {shown(item)}.")
        return None
    if item == "reset":
        return (EVERY, "reset")
    component, dot, method = item.removeprefix("components.").partition(".")
    if component not in check.written_components:
        check.fault(path, check.no_component(component, "reset"))
        return None
    if component not in check.components:
        return None
    have = (*check.methods[component], "reset")
    method = method if dot else "advance"
    if method in have:
        return (component, method)
    near = suggest(method, have) or f" It has {listing(have)}."
    check.inside(
        path,
        len(item) - len(method) if dot else 0,
        f"{component} ({check.components[component].type}) has no method {method!r}.{near}",
    )
    return None
