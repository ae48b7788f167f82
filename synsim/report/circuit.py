"""The circuit of a run or a sweep: drawn, and as tables for those who do not see it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from synsim.diagram import circuit_of, svg_of
from synsim.faults import ConfigError
from synsim.report.html import Markup, tag
from synsim.report.parts import Section, folded, scrolled, table


def circuit_section(config: Mapping[str, Any], sizes: Mapping[str, tuple[int, ...]]) -> Section:
    """The circuit of a resolved config; `sizes` are those of its data and synapses, as far as they are known."""
    circuit = circuit_of(config, sizes)
    try:
        picture = svg_of(config, sizes)
        width = re.search(r'width="(\d+)"', picture)
        style = f"--drawn: {width[1]}px" if width else None
        drawn: Any = scrolled("Drawing of the circuit", tag("div", Markup(picture), style=style), "drawing")
    except ConfigError as error:
        drawn = tag("p", f"The circuit is not drawn: {error}")
    components = table(
        "Components and data",
        ("name", "type", "family", "size and parts"),
        ((each.name, each.type, each.family, "; ".join(each.lines)) for each in circuit.nodes),
    )
    parts: list[Any] = [drawn]
    wires: dict[str, tuple[str, str]] = {}
    for each in circuit.wires:
        wires[each.sentence] = (
            f"{each.target}.{each.inlet}",
            each.text + (f" (phase {each.phase})" if each.phase else ""),
        )
    listed = table("Wires", ("inlet", "reads"), wires.values()) if wires else None
    if circuit.loops:
        loops = (" → ".join((*loop, loop[0])) for loop in circuit.loops)
        parts.append(
            tag("p", "Loops: ", "; ".join(loops), ". A loop has the delay that the order of its steps gives it.")
        )
    parts.append(folded("Components and wires as tables", components, listed, on_paper=True))
    return Section("Circuit", parts)


def known_sizes(
    config: Mapping[str, Any], shapes: Mapping[str, tuple[tuple[int, ...], tuple[str, ...]]]
) -> dict[str, Any]:
    """The sizes of data entries that only synapses read, from the shapes of their weights."""
    found: dict[str, Any] = {}
    wires, data = config.get("wires") or {}, config.get("data") or {}
    for name, (shape, axes) in shapes.items():
        component, _, compartment = name.partition(".")
        if compartment == "weights" and len(shape) == 2 and axes[0] == "pre_unit":
            for inlet in ("inputs", "pre", "preSpike"):
                source = wires.get(f"{component}.{inlet}")
                if isinstance(source, str) and source in data:
                    found[source] = (shape[0],)
    return found
