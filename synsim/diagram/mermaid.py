"""A circuit as a Mermaid flowchart, which many pages of Markdown draw by themselves."""

from __future__ import annotations

from synsim.diagram.bundles import bundles
from synsim.diagram.circuit import Circuit
from synsim.diagram.svg import COLOURS

SHAPES = {
    "data": ('[/"', '"/]'),
    "source": ('>"', '"]'),
    "encoder": ('[\\"', '"/]'),
    "synapse": ('{{"', '"}}'),
    "neuron": ('("', '")'),
    "trace": ('(["', '"])'),
    "error": ('{"', '"}'),
    "readout": ('[["', '"]]'),
    "other": ('["', '"]'),
}


def mermaid(circuit: Circuit) -> str:
    """The circuit as the text of a .mermaid file."""
    place = {node.name: f"n{k}" for k, node in enumerate(circuit.nodes)}  # names of people may be words of Mermaid
    lines = ["flowchart TB"]
    for node in circuit.nodes:
        before, after = SHAPES[node.family]
        label = "<br>".join(map(_text, (node.name, node.type, *node.lines)))
        lines.append(f"  {place[node.name]}{before}{label}{after}:::{node.family}")
    for each in bundles(circuit):
        arrow = "-->" if each.strong else "-.->"
        label = "<br>".join(map(_text, each.labels))
        lines.append(f'  {place[each.source]} {arrow}|"{label}"| {place[each.target]}')
    found = {node.family for node in circuit.nodes}
    for family, (fill, line, _, _) in COLOURS.items():
        if family in found:
            lines.append(f"  classDef {family} fill:{fill},stroke:{line},color:#1b1f24")
    return "\n".join([*lines, ""])


def _text(text: str) -> str:
    """Text between the quotes of Mermaid: what could end it, or is HTML, by number."""
    return "".join(
        each if each.isalnum() or each in " .,:;()=→×_-+*?" else f"#{ord(each)};" for each in text if each.isprintable()
    )
