"""How a sweep stands, true after any crash: files say what is done, locks and the launcher what runs or waits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

from synsim.faults import StoreError
from synsim.reading import read_status
from synsim.sweeps import command
from synsim.sweeps.launchers.choosing import launcher_of
from synsim.sweeps.launchers.launcher import GroupState, Silent
from synsim.sweeps.launchers.numbers import compressed
from synsim.sweeps.ledger import Ledger, PointState, State

STATES: tuple[State, ...] = get_args(State)
MOST_LINES = 10


@dataclass(frozen=True)
class Standing:
    """How all points of a sweep stand. `silent` says why it is not known what waits or runs elsewhere."""

    ledger: Ledger
    points: tuple[PointState, ...]
    gathered: bool
    gathering: bool = False
    silent: str = ""

    @property
    def counts(self) -> dict[str, int]:
        """Points by state, every state named."""
        return {state: sum(point.state == state for point in self.points) for state in STATES}

    @property
    def state(self) -> Literal["done", "running", "queued", "incomplete"]:
        """One word for the whole: done only where every point is."""
        counts = self.counts
        if counts["done"] == len(self.points):
            return "done"
        if counts["running"]:
            return "running"
        return "queued" if counts["queued"] else "incomplete"

    @property
    def complete(self) -> bool:
        return self.state == "done"

    @property
    def under_way(self) -> bool:
        return self.state in ("running", "queued")

    @property
    def go_on(self) -> str | None:
        """The command that completes it, or None where it is complete, or all that is not has its turn."""
        counts = self.counts
        left = counts["failed"] + counts["interrupted"] + counts["missing"]
        if self.complete:
            return None if self.gathered or self.gathering else command(self.ledger.directory)
        return command(self.ledger.directory) if left else None

    def document(self) -> dict[str, Any]:
        """As JSON: counts, and each point with its values."""
        ledger = self.ledger
        about: dict[str, Any] = {
            "folder": str(ledger.directory),
            "name": ledger.name,
            "state": self.state,
            "gathered": self.gathered,
            "counts": self.counts,
            **({"resume": self.go_on} if self.go_on else {}),
            **({"unknown": self.silent} if self.silent else {}),
        }
        points = [
            {
                "number": point.number,
                "state": point.state,
                "group": point.group,
                **({"reason": point.reason} if point.reason else {}),
                "values": ledger.values(point.number),
            }
            for point in self.points
        ]
        return {**about, "points": points}

    def lines(self) -> list[str]:
        """As plain text: the counts, why points are not done, and what to type next."""
        counts, where = self.counts, self.ledger.directory
        total = len(self.points)
        told = [f"{self.ledger.name}: {self.state}, {counts['done']:,} of {total:,} points are done in "]
        told[0] += str(where)
        rest = [f"{counts[state]:,} {state}" for state in STATES[1:] if counts[state]]
        if rest:
            told.append(", ".join(rest))
        if self.silent:
            told.append(f"what waits or runs elsewhere is not known: {self.silent}")
        told += self._reasons()
        if self.under_way:
            told.append(
                f"to watch it: {command(where, 'status')} --watch; to end it: {command(where, 'sweep', '--cancel')}"
            )
        if self.complete and self.gathering:
            told.append("they are being gathered")
        if self.go_on:
            told.append(f"to {'gather them' if self.complete else 'go on'}: {self.go_on}")
        return told

    def _reasons(self) -> list[str]:
        by_reason: dict[tuple[str, str], list[int]] = {}
        for point in self.points:
            if point.reason or point.state == "running":
                words = point.reason
                if point.state == "running":
                    words = "; ".join(filter(None, [words, _progress(self.ledger.group_folder(point.group))]))
                by_reason.setdefault((point.state, words), []).append(point.number)
        ordered = sorted(by_reason.items(), key=lambda each: (STATES.index(each[0][0]), each[1]))
        told = [
            f"  point{'s' if len(numbers) > 1 else ''} {_few(numbers)}: {state}{f', {words}' if words else ''}"
            for (state, words), numbers in ordered
        ]
        more = len(told) - MOST_LINES
        return [*told[:MOST_LINES], f"  and {more:,} more, all in --json"] if more > 0 else told


def standing(ledger: Ledger) -> Standing:
    """How a sweep stands now."""
    states = ledger.states()
    pending = sorted({each.group for each in states if each.state != "done"})
    silent, known = "", {}
    launcher = launcher_of(ledger.directory)
    gathered, gathering = is_gathered(ledger), False
    try:
        known = launcher.states(ledger, pending)
        gathering = not pending and not gathered and launcher.gathers(ledger.directory)
    except Silent as error:
        silent = str(error)
    points = tuple(_merged(each, known) for each in states)
    return Standing(ledger, points, gathered, gathering, silent)


def _merged(point: PointState, known: Mapping[int, GroupState]) -> PointState:
    """A point of the ledger with what the launcher knows of its group."""
    group = known.get(point.group)
    if point.state == "done" or group is None:
        return point
    if group.state == "running":
        return replace(point, state="running", reason=group.reason)
    if group.state == "queued":
        return point if point.state == "running" else replace(point, state="queued", reason=group.reason)
    state: State = "interrupted" if point.state == "running" else point.state
    return replace(point, state=state, reason="; ".join(filter(None, [point.reason, group.reason])))


def is_gathered(ledger: Ledger) -> bool:
    """Whether the table is there, and no point was finished after it was made."""
    with suppress(OSError):
        made = min((ledger.directory / name).stat().st_mtime_ns for name in ("sweep.csv", "sweep.h5"))
        return all(_made(ledger.point_file(number)) <= made for number in range(len(ledger.points)))
    return False


def _made(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def _progress(folder: Path) -> str:
    with suppress(StoreError):
        status = read_status(folder)
        if status.get("steps"):
            return f"{status.get('steps_saved', 0):,} of {status['steps']:,} steps are safe"
    return "starting"


def _few(numbers: Iterable[int]) -> str:
    text = compressed(numbers)
    return text if len(text) <= 40 else text[:38].rpartition(",")[0] + ",…"
