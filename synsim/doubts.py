"""What is legal and yet surely not what was meant, each said in one sentence at its place: times in seconds, volts for
millivolts, a synapse that cannot learn, a cell that nothing reaches. Nothing here stops a run.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from synsim.component import Component
from synsim.describe import settings
from synsim.expressions import Wire, reads
from synsim.faults import Fault
from synsim.graph import Graph
from synsim.plan import RunPlan

SHORT = 0.1  # of the shortest time constant: in a shorter trial nothing happens
LARGE_VOLTAGE = 10.0  # mV: a setting whose default is as large is not meant to be below 1


def doubts(it: RunPlan) -> list[Fault]:
    """Every doubt about a run, with its path into the config."""
    graph = it.phases[0].graph
    found = [*_trial_length(it, graph)]
    for name in graph.names:
        part = graph.parts[name]
        found += _times(it, name, graph.dt)
        found += _voltages(it, name)
        found += _idle(it, name)
        found += _swapped(name, graph.fed(name))
        found += _unreached(it, name, part)
        found += [
            Fault(f"{name}.{setting} {words}", _place(it, name, setting)) for setting, words in part.doubts(graph.dt)
        ]
    found += _ranges(it)
    if not it.spec.record:
        found.append(Fault("nothing is recorded: the file will hold the states at the end, and no course of them"))
    return found


def _written(it: RunPlan, name: str) -> Iterator[tuple[str, str, np.ndarray]]:
    """The settings of a component that are numbers: their name, unit and value, defaults included."""
    component = it.spec.components[name]
    for setting in settings(component.type, component.settings).values():
        value = component.settings.get(setting.name, setting.default)
        if isinstance(value, int | float | list | tuple) and not isinstance(value, bool):
            try:
                yield setting.name, setting.unit, np.asarray(value, float)
            except (TypeError, ValueError):
                continue


def _times(it: RunPlan, name: str, dt: float) -> Iterator[Fault]:
    for setting, unit, value in _written(it, name):
        if unit != "ms" or not setting.startswith("tau") or not value.size:
            continue
        least = float(value.min())
        if 0 < least < dt:
            perhaps = f"; {least:g} s would be {1000 * least:g}" if 1000 * least >= dt else ""
            yield Fault(
                f"{name}.{setting} is {least:g} ms, less than a step of {dt:g} ms: it decays within one step{perhaps}",
                _place(it, name, setting),
            )


def _trial_length(it: RunPlan, graph: Graph) -> Iterator[Fault]:
    constants = [
        float(value.min())
        for name in graph.names
        for setting, unit, value in _written(it, name)
        if unit == "ms" and setting.startswith("tau") and value.size and value.min() > 0
    ]
    length = graph.steps * graph.dt
    if constants and length < SHORT * min(constants) and graph.steps > 1:
        yield Fault(
            f"a trial lasts {length:g} ms ({graph.steps:,} steps of {graph.dt:g} ms), and the shortest time constant "
            f"is {min(constants):g} ms: both are in milliseconds; use more steps or a larger dt",
            ("run", "dt"),
        )


def _voltages(it: RunPlan, name: str) -> Iterator[Fault]:
    component = it.spec.components[name]
    known = settings(component.type, component.settings)
    small = [
        (setting, value)
        for setting, unit, value in _written(it, name)
        if unit == "mV"
        and setting in component.settings
        and isinstance(known[setting].default, int | float)
        and abs(known[setting].default) >= LARGE_VOLTAGE
        and value.size
        and 0 < np.abs(value).max() < 1
    ]
    for setting, value in small:
        most = value.flat[np.abs(value).argmax()]
        words = f"{name}.{setting} is {most:g} mV: voltages are in millivolts; {most:g} V would be {1000 * most:g}"
        yield Fault(words, _place(it, name, setting))


def _idle(it: RunPlan, name: str) -> Iterator[Fault]:
    """Rules that are evolved, and by their settings cannot change anything in any phase."""
    which: tuple[str, ...] = ()
    for phase in it.phases:
        rule = getattr(phase.graph.parts[name], "rule", None)
        evolved = any(call[:2] == (name, "evolve") for calls in phase.graph.order for call in calls)
        groups = rule.rates if rule is not None else ()
        zero = [group for group in groups if not any(np.any(np.asarray(getattr(rule, each))) for each in group)]
        if not evolved or "eta" in phase.graph.fed(name):
            continue
        if not zero:
            return
        which = zero[0]
    if which:
        verb = "is 0" if len(which) == 1 else "are 0"
        yield Fault(f"{name} learns nothing: {' and '.join(which)} {verb}", _place(it, name, which[0]))


def _swapped(name: str, fed: dict[str, Wire]) -> Iterator[Fault]:
    """Spikes of the wrong side: where both sides have the same shape, nothing else would tell."""
    if "inputs" in fed and "preSpike" in fed and fed.get("postSpike") == fed["inputs"] != fed["preSpike"]:
        yield Fault(
            f"{name}.postSpike reads what {name}.inputs reads, and {name}.preSpike something else: are pre and post "
            "swapped?",
            ("wires", f"{name}.postSpike"),
        )


def _unreached(it: RunPlan, name: str, part: Component) -> Iterator[Fault]:
    wires = [wire for phase in it.phases for wire in phase.graph.wires]
    inlets = [inlet for inlet, what in part.compartments.items() if what.kind == "inlet" and what.default == 0.0]
    if inlets and part.family != "source" and not any(component == name for component, _, _ in wires):
        yield Fault(f"nothing is wired to {name}: {name}.{inlets[0]} reads 0 all the time", ("components", name))
    read = {leaf[1] for _, _, wire in wires for leaf in reads(wire) if leaf[0] == "read"}
    kept = any(what.learned or what.shown for what in part.compartments.values())
    recorded = any(path.split(".")[0] == name for path in it.spec.record)
    if name not in read and not kept and not recorded:
        yield Fault(f"nothing reads {name}, and nothing of it is recorded", ("components", name))


def _ranges(it: RunPlan) -> Iterator[Fault]:
    for phase in it.phases:
        for name, inlet, wire in phase.graph.wires:
            usual = phase.graph.parts[name].compartments[inlet].usual
            entry = phase.entries.get(wire[1]) if wire[0] == "data" else None
            if usual is None or entry is None or not isinstance(entry.values, np.ndarray) or not entry.values.size:
                continue
            least, most = float(entry.values.min()), float(entry.values.max())
            if least < usual[0] or most > usual[1]:
                present = it.spec.data[wire[1]].settings.get("scale") or 1.0
                scale = f"; scale: {present / most:g} would do" if least >= 0 and usual == (0.0, 1.0) else ""
                yield Fault(
                    f"{name}.{inlet} is meant for {usual[0]:g} to {usual[1]:g}, and {wire[1]} has {least:g} to "
                    f"{most:g}{scale}",
                    ("data", wire[1]),
                )
                return


def _place(it: RunPlan, name: str, setting: str) -> tuple[str, ...]:
    written = setting in it.spec.components[name].settings
    return ("components", name, setting) if written else ("components", name)
