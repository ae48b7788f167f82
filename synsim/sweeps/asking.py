"""What a command asks for, as a sweep that is ready to be computed: its points, how they are grouped, its folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synsim.device import computing
from synsim.faults import ConfigError
from synsim.layout import RUN_NAME
from synsim.spec import Spec
from synsim.sweeps.arrangement import Arrangement, arrange
from synsim.sweeps.ledger import Ledger, described
from synsim.sweeps.parameters import Sweep

MOST_DIGITS = 7  # of the number of a point in its name


@dataclass(frozen=True)
class Asked:
    """A config, the points of its sweep, and how they are computed."""

    spec: Spec
    sweep: Sweep
    arrangement: Arrangement

    def ledger(self, out: Path | None = None, overwrite: bool = False, allow_plugins: bool = False) -> Ledger:
        """The ledger in the sweep's folder: made, or the one of the same sweep that is there. Raises Locked (73) where
        the folder holds something else."""
        document = described(
            spec=self.spec,
            name=self.spec.name,
            mode=self.sweep.mode,
            parameters=self.paths,
            points=self.sweep.points,
            summary=self.sweep.summary,
            arrangement=self.arrangement,
        )
        return Ledger.create((out or Path("runs")) / self.spec.name, document, overwrite, allow_plugins)

    @property
    def paths(self) -> tuple[str, ...]:
        """The parameters."""
        return tuple(each.path for each in self.sweep.parameters)

    def about(self) -> dict[str, Any]:
        """What `pages.dry_run_lines` shows of it."""
        found = self.arrangement
        return {
            "groups": [group.points for group in found.groups],
            "static_groups": found.static_groups,
            "numbers": found.numbers,
            "memory": found.memory,
            "file": found.file,
        }


def asked(spec: Spec, sweep: Sweep, *, lanes: int | None = None, at_least: int = 1, memory: int | None = None) -> Asked:
    """A sweep of a config, in groups of at most so many lanes and bytes of memory, and at least so many groups.

    Raises ConfigError for points that cannot be, MissingInput for those that do not fit into memory.
    """
    if len(spec.name) + 1 + MOST_DIGITS > 64 or not RUN_NAME.fullmatch(spec.name):
        raise ConfigError(f"{spec.name!r} is too long for the name of a sweep: at most {63 - MOST_DIGITS} characters")
    paths = [each.path for each in sweep.parameters]
    given = {each.path: each for each in sweep.parameters}

    def vary(values: Mapping[str, Any]) -> Spec:
        return spec.vary({path: given[path].given(value) for path, value in values.items()})

    with computing(spec):
        return Asked(spec, sweep, arrange(vary, paths, sweep.points, lanes=lanes, at_least=at_least, memory=memory))
