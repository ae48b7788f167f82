"""Examples in turn with their peers, as many rounds as are wanted."""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from synsim import starting
from synsim.benchmarks.peers import Peers
from synsim.benchmarks.process import result

LENGTHS = {"cuba_4000": 400_000, "coba_4000": 300_000, "cuba_20000": 100_000, "brunel": 100_000, "plastic_sparse": 0}
"""What is measured where nothing else is asked for, and steps for some seconds; 0 for those of the example."""


@dataclass(frozen=True)
class Row:
    """One example: microseconds a step in each round, here and in other simulators, and seconds of compiling first."""

    name: str
    steps: int
    took: tuple[float, ...]
    compiling: float
    beside: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    def over(self, peer: str) -> float | None:
        """The median here over the median there; None where there is none."""
        theirs = self.beside.get(peer)
        return None if theirs is None else statistics.median(self.took) / statistics.median(theirs)

    def document(self) -> dict[str, Any]:
        """The row as plain data."""
        return {
            "example": self.name,
            "steps": self.steps,
            "microseconds_a_step": spread(self.took),
            "compile_seconds": self.compiling,
            "peers": {
                peer: {"microseconds_a_step": spread(took), "ratio": self.over(peer)}
                for peer, took in self.beside.items()
            },
        }


def spread(took: Sequence[float]) -> dict[str, float]:
    """The middle one, the least and the most."""
    return {"median": statistics.median(took), "least": min(took), "most": max(took)}


def measured(
    names: Iterable[str],
    rounds: int,
    steps: int | None,
    peers: Peers | None,
    stop: Callable[[], bool],
    note: Callable[[str], None],
) -> Iterator[Row]:
    """Each example, run as many times as there are rounds, in turn with its peers; the files are thrown away.

    Raises ConfigError where there is no such example, RunError where a process fails, Stopped where `stop` says so.
    """
    examples = [starting.chosen(name) for name in (*names,) or LENGTHS]
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        for example in examples:
            length = LENGTHS.get(example.name, 0) if steps is None else steps
            commands = {"synsim": _ours(example.path, folder, length)}
            if peers is not None:
                commands |= peers.commands(example.name, folder, note, stop)
            seen: dict[str, list[dict[str, float]]] = {name: [] for name in commands}
            for i in range(rounds):
                for name in list(commands)[:: -1 if i % 2 else 1]:
                    found = result(commands[name], f"{example.name} in {name}", stop)
                    seen[name].append(found)
                    note(f"{example.name}, round {i + 1} of {rounds}: {_figure(name, found):.4g} µs a step in {name}")
            took = {name: tuple(_figure(name, each) for each in rows) for name, rows in seen.items()}
            first = seen["synsim"][0]
            yield Row(example.name, int(first["steps"]), took.pop("synsim"), first["compiling"], took)


def _ours(config: Path, folder: Path, steps: int) -> list[str]:
    """What runs an example once."""
    overrides = [f"run.steps={steps}"] if steps else []
    return [sys.executable, "-m", "synsim.benchmarks.steady", str(config), str(folder), *overrides]


def _figure(name: str, found: Mapping[str, float]) -> float:
    """Microseconds a step. Brian2 states them without its start and what it builds first, as processor time."""
    return found["processor us" if name == "Brian2" else "us"]
