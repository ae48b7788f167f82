"""Wires that run side by side as one line: all inlets that one thing feeds of another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from synsim.diagram.circuit import Circuit, Wire


@dataclass(frozen=True)
class Bundle:
    """All wires from one thing to another: their labels, and whether one of them carries activity onward."""

    source: str
    target: str
    wires: Sequence[Wire]

    @property
    def strong(self) -> bool:
        return any(wire.strong for wire in self.wires)

    @property
    def labels(self) -> list[str]:
        """A line for each inlet."""
        return list(
            dict.fromkeys(wire.label + (f" ({wire.phase})" if wire.phase is not None else "") for wire in self.wires)
        )

    @property
    def sentences(self) -> list[str]:
        """The wires as a config writes them."""
        return list(dict.fromkeys(wire.sentence for wire in self.wires))


def bundles(circuit: Circuit) -> list[Bundle]:
    """The wires of a circuit, those with equal ends together, in the order written."""
    found: dict[tuple[str, str], list[Wire]] = {}
    for wire in circuit.wires:
        found.setdefault((wire.source, wire.target), []).append(wire)
    return [Bundle(source, target, wires) for (source, target), wires in found.items()]
