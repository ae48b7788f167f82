"""Text for people: what `check` says of a run to come, and what `components` says of a type."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from synsim.expressions import written
from synsim.graph import Call, Graph, unwired
from synsim.plan import PhasePlan, RunPlan, state_bytes
from synsim.preflight import readable

# ------------------------------------------------------------------------------------------------------------ a plan


def plan_document(it: RunPlan) -> dict[str, Any]:
    """What is known of a run before it is compiled, as JSON."""
    one, spec = it.phases[0].graph, it.spec
    return {
        "name": spec.name,
        "seed": spec.seed,
        "dt": one.dt,
        "batch": one.batch,
        "precision": one.dtype,
        "components": {name: _component(one, name, spec.components[name].type) for name in one.names},
        "phases": [_phase(phase) for phase in it.phases],
        "records": {
            record.path: {
                "form": record.layout.form,
                "shape": list(record.layout.shape),
                "every": record.settings.every,
                "unit": record.layout.unit,
                "phases": [it.phases[i].name for i, on in enumerate(record.phases) if on],
            }
            for record in it.records
        },
        "trials": it.trials,
        "steps": it.steps,
        "memory_bytes": it.estimate.memory,
        "file_bytes": it.estimate.file,
        "state_bytes": dict(state_bytes(one)),
    }


def _component(one: Graph, name: str, type_name: str) -> dict[str, Any]:
    part = one.parts[name]
    shown: dict[str, Any] = {"type": type_name, "sizes": {key: list(shape) for key, shape in part.sizes().items()}}
    if hasattr(part, "connectivity"):
        shown["parts"] = {role: getattr(part, role).type_name for role in ("connectivity", "dynamics", "rule")}
    shown["compartments"] = {
        compartment: {"kind": what.kind, "shape": list(one.shape(name, compartment)), "unit": what.unit}
        for compartment, what in part.compartments.items()
    }
    return shown


def _phase(phase: PhasePlan) -> dict[str, Any]:
    one = phase.graph
    return {
        "name": phase.name,
        "trials": phase.trials,
        "steps_per_trial": one.steps,
        "rows": phase.rows,
        "rows_dropped_each_epoch": phase.dropped,
        "wires": {f"{component}.{inlet}": written(wire) for component, inlet, wire in one.wires},
        "unwired": unwired(one),
        "order": {when: [_called(call) for call in getattr(one.order, when)] for when in ("start", "step", "end")},
    }


def _called(call: Call) -> str:
    return f"{call.component}.{call.method}"


def plan_lines(it: RunPlan) -> Iterator[str]:
    """The same for people to read."""
    about = plan_document(it)
    yield (
        f"{about['name']}: seed {about['seed']}, dt {about['dt']:g} ms, batch {about['batch']}, {about['precision']}"
    )
    yield ""
    yield "components"
    rows = []
    for name, component in about["components"].items():
        sizes = ", ".join(f"{key} {list(shape)}" for key, shape in component["sizes"].items() if shape)
        parts = " x ".join(component["parts"].values()) if "parts" in component else ""
        rows.append((name, component["type"], parts, sizes))
    yield from _table(rows)
    for phase in about["phases"]:
        yield ""
        epochs = f" over {phase['rows']:,} rows" if phase["rows"] else ""
        yield (
            f"{phase['name']}: {phase['trials']:,} trials of {phase['steps_per_trial']:,} steps{epochs}"
            + (
                f", {phase['rows_dropped_each_epoch']} rows dropped each epoch"
                if phase["rows_dropped_each_epoch"]
                else ""
            )
        )
        for when, calls in phase["order"].items():
            words = ["reset all" if when == "start" and _resets_all(calls, about["components"]) else " ".join(calls)]
            yield from _wrapped(f"  {when:<6}", words[0] or "-")
        yield "  wires"
        yield from _table([(inlet, "<-", str(wire)) for inlet, wire in phase["wires"].items()], indent="    ")
        if phase["unwired"]:
            yield from _wrapped("  unwired (they read their default)  ", " ".join(phase["unwired"]))
    if about["records"]:
        yield ""
        yield "records"
        yield from _table(
            [
                (
                    path,
                    record["form"],
                    str(record["shape"]),
                    "once a trial" if record["every"] == "trial" else f"every {record['every']}",
                    record["unit"],
                )
                for path, record in about["records"].items()
            ]
        )
    yield ""
    largest = ", ".join(f"{path} {readable(size)}" for path, size in it.estimate.largest[:3])
    yield (
        f"{about['trials']:,} trials, {about['steps']:,} steps, {about['steps'] * about['dt'] / 1e3:,.4g} s of "
        "biological time"
    )
    yield f"memory about {readable(about['memory_bytes'])} (state {readable(it.estimate.state)}: {largest})"
    events = any(record["form"] == "events" for record in about["records"].values())
    yield (
        f"file about {readable(about['file_bytes'])}"
        + (" (spikes are guessed: one unit in fifty at each step)" if events else "")
    )


def _resets_all(calls: Sequence[str], components: Mapping[str, Any]) -> bool:
    return list(calls) == [f"{name}.reset" for name in components]


def _table(rows: Sequence[Sequence[str]], indent: str = "  ") -> Iterator[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))] if rows else []
    for row in rows:
        yield (indent + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))).rstrip()


def _wrapped(head: str, text: str) -> Iterator[str]:
    yield from textwrap.wrap(
        text,
        118,
        initial_indent=head,
        subsequent_indent=" " * len(head),
        break_long_words=False,
        break_on_hyphens=False,
    )


# ------------------------------------------------------------------------------------------------------------ a type


def catalogue_lines(cards: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """All types by family."""
    families: dict[str, list[tuple[str, str]]] = {}
    for card in cards:
        families.setdefault(card["family"], []).append((card["type"], card["doc"]))
    width = max(len(name) for entries in families.values() for name, _ in entries)
    for family in sorted(families):
        yield f"{family}"
        for name, doc in families[family]:
            yield f"  {name.ljust(width)}  {doc}"
    yield ""
    yield "`synsim components TYPE` shows one in full."


def card_lines(card: Mapping[str, Any]) -> Iterator[str]:
    """One type in full."""
    yield f"{card['type']} ({card['family']}): {card['doc']}"
    if card["parts"]:
        yield "  " + " x ".join(f"{role} {name}" for role, name in card["parts"].items())
    if card["equation"]:
        yield ""
        yield textwrap.indent(card["equation"], "  ")
    if card["source"]:
        yield ""
        yield from _wrapped("  Source: ", card["source"])
    yield ""
    yield "settings"
    for setting in card["settings"]:
        yield from _wrapped(f"  {setting['name']}: ", _setting_words(setting))
    yield ""
    yield "compartments"
    for each in card["compartments"]:
        yield from _wrapped(f"  {each['name']}: ", _compartment_words(each))
    yield ""
    yield f"methods: {', '.join(card['methods'])}"


def _setting_words(setting: Mapping[str, Any]) -> str:
    bits = [
        setting["doc"],
        f"[{setting['unit']}]" if setting["unit"] else "",
        f"({setting['values']}" + _bounds(setting) + ")",
        "required" if setting["required"] else f"default {_default(setting['default'])}",
    ]
    if setting.get("also"):
        bits.append(f"also {', '.join(setting['also'])}")
    return " ".join(bit for bit in bits if bit)


def _bounds(setting: Mapping[str, Any]) -> str:
    return "".join(f", {words} {bound:g}" for words, bound in setting.get("bounds", {}).items())


def _default(value: Any) -> str:
    if isinstance(value, Mapping):
        inner = ", ".join(f"{key}: {_default(item)}" for key, item in value.items() if item not in (None, False))
        return f"{{{inner}}}"
    return "null" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _compartment_words(each: Mapping[str, Any]) -> str:
    bits = [each["kind"], f"[{each['unit']}]" if each["unit"] else "", each["doc"]]
    if each["kind"] == "inlet":
        bits.append("needs a wire" if each.get("required") else f"default {_unwired(each['default'])}")
    return " ".join(bit for bit in bits if bit)


def _unwired(default: float | str) -> str:
    """What an inlet reads that no wire feeds: a number, or what a setting says."""
    return f"the setting {default}" if isinstance(default, str) else f"{default:g}"


def card_markdown(card: Mapping[str, Any]) -> Iterator[str]:
    """One type as a section of the reference page."""
    yield f"## {card['type']}"
    yield ""
    yield f"{card['doc']} *{card['family']}*"
    if card["parts"]:
        yield ""
        yield "Parts: " + ", ".join(f"{role} `{name}`" for role, name in card["parts"].items())
    if card["equation"]:
        yield ""
        yield from ("```text", card["equation"], "```")
    if card["source"]:
        yield ""
        yield f"Source: {card['source']}"
    yield ""
    yield from ("| setting | unit | values | default | |", "|---|---|---|---|---|")
    for setting in card["settings"]:
        default = "required" if setting["required"] else f"`{_default(setting['default'])}`"
        values = setting["values"] + _bounds(setting)
        yield f"| `{setting['name']}` | {setting['unit']} | {_cell(values)} | {default} | {_cell(setting['doc'])} |"
    yield ""
    yield from ("| compartment | kind | unit | |", "|---|---|---|---|")
    for each in card["compartments"]:
        yield f"| `{each['name']}` | {each['kind']} | {each['unit']} | {_cell(each['doc'])} |"
    yield ""
    yield f"Methods: {', '.join(f'`{name}`' for name in card['methods'])}"
    yield ""


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
