"""What a launcher is: it has the groups of a sweep run somewhere, knows how they stand there, and can end them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from synsim.files import atomic_write, make_folder, read_regular
from synsim.preflight import available_memory
from synsim.spec import LauncherSettings

if TYPE_CHECKING:
    from synsim.sweeps.ledger import Ledger

JOBS = "jobs"
"""The folder of a sweep that holds job scripts, their logs, and what was launched."""

TASKS = 10  # of Slurm, where nothing is said

_REMEMBERED = "launcher.json"


@dataclass(frozen=True)
class GroupState:
    """What a launcher knows of a group that is not complete: it runs, waits for its turn, or its last start ended."""

    state: Literal["running", "queued", "ended"]
    reason: str = ""


@dataclass(frozen=True)
class Launched:
    """What came of launching: the number of the job, where one was submitted, and the exit code of the command."""

    exit_code: int = 0
    job: str | None = None


class Launcher(Protocol):
    """One way to have groups of lanes run."""

    def preview(self, directory: Path, groups: Sequence[object]) -> list[str]:
        """What would be launched for all groups of a sweep, as lines."""
        ...

    def doubts(self, directory: Path) -> list[str]:
        """What is legal and surely not meant."""
        ...

    def submit(
        self,
        ledger: Ledger,
        groups: Sequence[int],
        *,
        options: Sequence[str] = (),
        stop: Callable[[], bool] = lambda: False,
        note: Callable[[str], None] = lambda _: None,
    ) -> Launched:
        """Has these groups run, but for those that are under way already. `note` is told what a user should know,
        `stop` is asked where this waits for them; `options` are given to `synsim sweep-task`.

        Raises ConfigError (2) where what was asked for is refused, MissingInput (66) where nothing can be launched,
        Locked (73) where another launcher has the sweep in hand.
        """
        ...

    def states(self, ledger: Ledger, pending: Sequence[int]) -> Mapping[int, GroupState]:
        """What is known of the groups that are not complete; those of which nothing is known are left out.

        Raises Silent where that cannot be known now.
        """
        ...

    def gathers(self, directory: Path) -> bool:
        """Whether the points are about to be gathered. Raises Silent where that cannot be known now."""
        ...

    def cancel(self, ledger: Ledger) -> list[str]:
        """Ends what runs or waits; lines that say what was ended."""
        ...


class Silent(Exception):
    """Who is asked how groups stand does not answer; the text says why."""


def has_scripts(directory: Path) -> bool:
    """Whether a sweep was ever given to Slurm."""
    return any((directory / JOBS).glob("[0-9]*.sh"))


def at_least(settings: LauncherSettings) -> int:
    """How many groups of lanes a sweep should have, so that there is one for each process or task."""
    if settings.type == "slurm":
        return settings.tasks or settings.throttle or TASKS
    return settings.processes


def memory_of_one(settings: LauncherSettings) -> int:
    """Bytes that a process or a task may hold: what a task asks for, else its share of what there is here."""
    if settings.type == "slurm":
        return memory_in_bytes(settings.mem) or available_memory()
    return available_memory() // settings.processes


def memory_in_bytes(text: str | int | None) -> int | None:
    """An amount of memory as Slurm reads it, in bytes: megabytes, or 4G. None for any other text, and for 0."""
    match = re.fullmatch(r"(\d+)([KMGT]?)B?", str(text).strip().upper(), re.ASCII) if text is not None else None
    return int(match[1]) << {"K": 10, "": 20, "M": 20, "G": 30, "T": 40}[match[2]] or None if match else None


def remember(directory: Path, settings: LauncherSettings) -> None:
    """Keep what a sweep was last launched with, so that it is gone on with in the same way."""
    make_folder(directory / JOBS)
    atomic_write(directory / JOBS / _REMEMBERED, json.dumps(asdict(settings), indent=1).encode())


def remembered(directory: Path) -> LauncherSettings | None:
    """What a sweep was last launched with, or None where nothing sound is kept."""
    try:
        found = json.loads(read_regular(directory / JOBS / _REMEMBERED, most=1 << 20))
        known = {each.name for each in fields(LauncherSettings)}
        settings = LauncherSettings(**{key: value for key, value in found.items() if key in known})
        return settings if settings.type in ("local", "slurm") else None
    except (OSError, ValueError, TypeError, AttributeError):
        return None
