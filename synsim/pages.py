"""Text for people: what `check` says of a run to come. What is said of a type stands in `reference`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from synsim.expressions import written
from synsim.graph import Call, Graph, unwired
from synsim.plan import PhasePlan, RunPlan, state_bytes
from synsim.preflight import readable
from synsim.reference import wrapped


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
    wiring = getattr(part, "connectivity", None)
    if wiring is not None and wiring.drawn:
        weights = dict(state_bytes(one))[f"{name}.weights"]
        shown |= {"synapses": wiring.count, "synapse_bytes": wiring.table_bytes + weights}
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
        if "synapses" in component:
            sizes += f"; {component['synapses']:,} synapses in {readable(component['synapse_bytes'])}"
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
            yield from wrapped(f"  {when:<6}", words[0] or "-")
        yield "  wires"
        yield from _table([(inlet, "<-", str(wire)) for inlet, wire in phase["wires"].items()], indent="    ")
        if phase["unwired"]:
            yield from wrapped("  unwired (they read their default)  ", " ".join(phase["unwired"]))
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
