"""A circuit in the DOT language of Graphviz, for those who want to arrange it themselves."""

from __future__ import annotations

from synsim.diagram.bundles import bundles
from synsim.diagram.circuit import Circuit
from synsim.diagram.svg import COLOURS

SHAPES = {
    "data": 'shape="note"',
    "source": 'shape="invhouse"',
    "encoder": 'shape="invtrapezium"',
    "synapse": 'shape="octagon"',
    "neuron": 'shape="box" style="filled,rounded"',
    "trace": 'shape="ellipse"',
    "error": 'shape="hexagon"',
    "readout": 'shape="box" peripheries="2"',
    "other": 'shape="box"',
}


def dot(circuit: Circuit) -> str:
    """The circuit as the text of a .dot file."""
    lines = [f"digraph {_text(circuit.name)} {{", '  node [style="filled" fontname="monospace"]']
    lines.append('  edge [fontname="monospace" fontsize="10"]')
    for node in circuit.nodes:
        fill, line, _, _ = COLOURS[node.family]
        label = _text("\n".join((node.name, node.type, *node.lines)))
        lines.append(f'  {_text(node.name)} [label={label} {SHAPES[node.family]} fillcolor="{fill}" color="{line}"]')
    for each in bundles(circuit):
        dashed = "" if each.strong else ' style="dashed" constraint="false"'
        lines.append(
            f"  {_text(each.source)} -> {_text(each.target)} [label={_text(chr(10).join(each.labels))}{dashed}]"
        )
    return "\n".join([*lines, "}", ""])


def _text(text: str) -> str:
    clean = "".join(each if each.isprintable() or each == "\n" else "\N{REPLACEMENT CHARACTER}" for each in text)
    return '"' + clean.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
