"""A circuit as a picture, before it is run: from a config to boxes and lines, as SVG, DOT or Mermaid."""

from __future__ import annotations

from synsim.diagram.circuit import Circuit, circuit_of
from synsim.diagram.svg import svg_of

__all__ = ["Circuit", "circuit_of", "svg_of"]
