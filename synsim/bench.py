"""How fast this machine runs shipped examples: microseconds a step, compiling and merging left out."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from synsim import api, starting

if TYPE_CHECKING:
    from synsim.loop import Outcome

NETWORKS = ("cuba_4000", "coba_4000", "cuba_20000", "brunel", "plastic_sparse")
"""What is measured where nothing else is asked for."""


@dataclass(frozen=True)
class Row:
    """One example: microseconds a step in each round, and seconds of compiling in the first."""

    name: str
    steps: int
    took: tuple[float, ...]
    compiling: float

    @property
    def median(self) -> float:
        """The middle one of all rounds."""
        return statistics.median(self.took)

    def document(self) -> dict[str, Any]:
        """The row as plain data."""
        return {
            "example": self.name,
            "steps": self.steps,
            "microseconds_a_step": {"median": self.median, "least": min(self.took), "most": max(self.took)},
            "compile_seconds": self.compiling,
        }

    def line(self) -> str:
        """The row in words."""
        spread = f"[{min(self.took):.4g}-{max(self.took):.4g}]"
        return f"{self.name:<16} {self.median:9.4g} {spread:<18} {self.steps:>9,} {self.compiling:9.1f}"


HEADING = f"{'example':<16} {'µs/step':>9} {'[least-most]':<18} {'steps':>9} {'compile s':>9}"


def measured(names: Iterable[str], rounds: int, steps: int | None, stop: Callable[[], bool]) -> Iterator[Row]:
    """Each example, run as many times as there are rounds, as `synsim run` does it; the files are thrown away.

    Raises ConfigError where there is no such example, and what `api.run` raises.
    """
    chosen = [starting.chosen(name) for name in (*names,) or NETWORKS]
    overrides = [] if steps is None else [f"run.steps={steps}"]
    for example in chosen:
        outcomes: list[Outcome] = []
        lengths: list[int] = []
        with tempfile.TemporaryDirectory() as out:
            for _ in range(rounds):
                spec = api.load(example.path, overrides=overrides)
                with api.run(
                    spec,
                    out=out,
                    overwrite=True,
                    stop=stop,
                    started=lambda it, *_, lengths=lengths: lengths.append(it.steps),
                    finished=outcomes.append,
                ):
                    pass
        took = tuple(1e6 * (each.seconds - each.compile_seconds) / lengths[0] for each in outcomes)
        yield Row(example.name, lengths[0], took, outcomes[0].compile_seconds)
