"""A circuit into a file: the ending of its name says in which language."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from synsim.diagram.circuit import Circuit
from synsim.diagram.dot import dot
from synsim.diagram.mermaid import mermaid
from synsim.diagram.svg import svg
from synsim.faults import ConfigError, StoreError, listing
from synsim.files import atomic_write

WRITERS: Mapping[str, Callable[[Circuit], str]] = {
    ".svg": svg,
    ".dot": dot,
    ".gv": dot,
    ".mermaid": mermaid,
    ".mmd": mermaid,
}


def check_ending(path: Path) -> None:
    """Raises ConfigError where no circuit is written into a file of that name."""
    if path.suffix.lower() not in WRITERS:
        raise ConfigError(f"{path}: the picture of a circuit is a file that ends in {listing(WRITERS, 'or')}")


def write(circuit: Circuit, path: Path) -> Path:
    """The circuit as a file. Raises ConfigError for a name that says no language, StoreError where it cannot be."""
    check_ending(path)
    text = WRITERS[path.suffix.lower()](circuit)
    try:
        atomic_write(path, text.encode())
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror or error}") from error
    return path
