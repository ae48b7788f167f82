"""A sweep that is going on, as lines for a terminal: its points, the groups that run, and the first of these."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace

from synsim.faults import SynsimError
from synsim.reading import read_status
from synsim.sweeps.ledger import Ledger
from synsim.sweeps.standing import Standing, standing
from synsim.watching import Line, RunView, Watched, bar, cut, lines

GROUPS = 4  # that run, shown one by one


@dataclass(frozen=True)
class SweepView:
    """A sweep at one moment: how its points stand, how far each running group is, and what the first of them says."""

    standing: Standing
    running: tuple[tuple[int, int, int], ...]  # group, steps saved, steps
    first: RunView | None

    @property
    def goes_on(self) -> bool:
        """Whether there is more to come."""
        return self.standing.under_way or self.standing.gathering


class WatchedSweep:
    """The folder of a sweep that is looked at again and again."""

    def __init__(self, ledger: Ledger):
        self.ledger = ledger
        self._groups: dict[int, Watched] = {}

    def look(self, now: float) -> SweepView:
        """How it stands; `now` is a clock in seconds."""
        stands = standing(self.ledger)
        running, first = [], None
        for group in sorted({point.group for point in stands.points if point.state == "running"}):
            folder = self.ledger.group_folder(group)
            with suppress(SynsimError):  # it may be starting, or have ended since
                status = read_status(folder)
                running.append((group, int(status.get("steps_saved", 0)), int(status.get("steps", 0))))
                if first is None:
                    first = self._groups.setdefault(group, Watched(folder)).look(now)
        return SweepView(stands, tuple(running), first)


def sweep_line(view: SweepView) -> str:
    """How it stands in one line: for a pipe, or a log."""
    saved = sum(each[1] for each in view.running)
    counts = ", ".join(f"{count:,} {state}" for state, count in view.standing.counts.items() if count)
    steps = f", {saved:,} of {sum(each[2] for each in view.running):,} steps of what runs" if view.running else ""
    return f"{view.standing.ledger.name}: {view.standing.state}, {counts}{steps}"


def sweep_lines(view: SweepView, width: int, height: int) -> list[Line]:
    """The view of a sweep for a terminal of so many columns and lines, none of them longer or more."""
    told = [each for each in view.standing.lines() if not each.startswith("to watch it")]
    counts, points = view.standing.counts, len(view.standing.points)
    found: list[Line] = [((told[0], ""),), bar(counts["done"] / points if points else 0.0, width)]
    found += [((each, "bad" if counts["failed"] and each.startswith("  point") else ""),) for each in told[1:]]
    for group, saved, steps in view.running[:GROUPS]:
        name = f"  group {group:04d} "
        found.append(((name, ""), *bar(saved / steps if steps else 0.0, max(1, width - len(name)))))
    if len(view.running) > GROUPS:
        found.append(((f"  and {len(view.running) - GROUPS:,} more groups", "faint"),))
    if view.first is not None and height - len(found) > 6:
        found.append(())
        found += lines(replace(view.first, resume=""), width, height - len(found))
    return [cut(line, width) for line in found[:height]]
