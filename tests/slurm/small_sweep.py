"""A sweep of twelve points in four groups of some seconds, and what must be true of it whatever happens to its jobs."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from faults.command import Done, leftovers, synsim
from faults.plastic import NETWORK
from stored import same_but_for_provenance

from slurm.one_node import OneNode, until
from synsim.files import seal_fault

NAME = "small"
LANES = 3
TRIALS = 1800
CONFIG = f"""
name: {NAME}
run: {{dt: 1.0, steps: 100, trials: {TRIALS}}}
{NETWORK}
record:
  z.s: {{as: events, index: "0:1"}}
  z.v: {{every: trial}}
  W.weights: {{every: trial, reduce: norm}}
"""
SWEPT = ("z.tau_m=10:40:4", "W.A_plus=1e-3,1e-2,3e-2")
POINTS, GROUPS = 12, 4


class Sweep:
    """The command line on one sweep in a place of its own."""

    def __init__(self, place: Path, node: OneNode | None, *settings: str, points: int = POINTS, lanes: int = LANES):
        place.mkdir(exist_ok=True)
        (place / "small.yaml").write_text(CONFIG)
        self.place, self.node, self.settings = place, node, settings
        self.points, self.lanes = points, lanes
        self.directory = place / "runs" / NAME
        self.swept = SWEPT
        self.per_task = 1

    @property
    def words(self) -> list[str]:
        """The command of the sweep, but for its launcher."""
        return ["sweep", "small.yaml", *self.swept, "--lanes", str(self.lanes), *self.settings]

    def launch(self, *options: str) -> Done:
        """The command that starts it, and that completes it."""
        tasks = -(-self.points // self.lanes)
        return self.synsim(*self.words, "--launcher", "slurm", "--tasks", str(tasks), *options)

    def synsim(self, *words: str | Path) -> Done:
        return synsim(*words, cwd=self.place, env=self.node.environment if self.node else {})

    def submitted(self, *options: str) -> str:
        """The number of the job that was submitted."""
        done = self.launch(*options).clear(0)
        assert done.out.strip().isdigit(), (done.out, done.err)
        return done.out.strip()

    # looking ---------------------------------------------------------------------------------------------------------

    def status(self) -> dict[str, Any]:
        """What `synsim status` says, which is held against what is there."""
        assert self.node is not None
        before = self.node.queue()
        sound = {n for n in range(self.points) if self.sound(n)}
        done = self.synsim("status", "runs/" + NAME, "--json")
        told = json.loads(done.out)
        after = self.node.queue()
        assert done.code == (0 if told["state"] == "done" else 3), done.err
        assert "unknown" not in told, told
        counts = dict.fromkeys(told["counts"], 0)
        for point in told["points"]:
            state, task = point["state"], f"_{point['group'] // self.per_task}"
            counts[state] += 1
            seen = {now for queue in (before, after) for job, now in queue.items() if job.endswith(task)}
            if state == "done":
                assert self.sound(point["number"]), point
            elif state == "running":
                assert seen & {"RUNNING", "COMPLETING"}, (point, before, after)
            elif state == "queued":
                assert seen & {"PENDING", "RUNNING", "COMPLETING"}, (point, before, after)
            else:
                steady = [now for job, now in before.items() if job.endswith(task) and after.get(job) == now]
                assert not set(steady) & {"RUNNING", "PENDING"}, (point, before, after)
            assert state == "done" or point["number"] not in sound, point
        assert counts == told["counts"] and len(told["points"]) == self.points
        return told

    def sound(self, number: int) -> bool:
        """Whether a point's file is there, as it was written."""
        path = self.directory / "points" / f"{NAME}-{number:04d}.h5"
        return path.exists() and seal_fault(path) is None

    def states(self, group: int) -> set[str]:
        """What `synsim status` says of the points of a group."""
        return {point["state"] for point in self.status()["points"] if point["group"] == group}

    def saved(self, group: int) -> int:
        """The steps that a group has saved."""
        try:
            status = json.loads((self.directory / "groups" / f"{group:04d}" / "status.json").read_text())
        except FileNotFoundError:
            return 0
        return int(status.get("steps_saved") or 0)

    def process(self, group: int) -> int:
        """The process that computes a group."""
        return int(json.loads((self.directory / "groups" / f"{group:04d}" / "lock").read_text())["pid"])

    def process_says(self, group: int, words: str) -> None:
        """Wait until the log of a group's task has some words."""
        until(lambda: any(words in path.read_text() for path in self.directory.glob(f"jobs/*_{group}.log")), 60)

    # waiting ---------------------------------------------------------------------------------------------------------

    def until(self, what: Callable[[], object], seconds: float = 240) -> None:
        """Wait until something is so, with a look at how truly `synsim status` tells of it now and then."""
        looked = time.monotonic()
        since = looked
        while not what():
            if time.monotonic() - looked > 3.0:
                self.status()
                looked = time.monotonic()
            assert time.monotonic() - since < seconds, (self.node and self.node.queue(), self.logs())
            time.sleep(0.1)

    def until_saved(self, groups: Iterable[int]) -> None:
        """Wait until some groups have saved something, and leave most of what they do to be done."""
        groups = list(groups)
        until(lambda: all(self.saved(group) for group in groups), 120, 0.02)
        assert all(self.saved(group) < 100 * TRIALS for group in groups), "too late"

    def until_ended(self, seconds: float = 240) -> None:
        """Wait until no task waits or runs, the gathering one neither."""
        assert self.node is not None
        node = self.node
        self.until(lambda: not node.queue() and not node.queue(), seconds)

    # at the end ------------------------------------------------------------------------------------------------------

    def complete(self, whole: Path) -> None:
        """All points are done and gathered, the same as those of the undisturbed sweep, and nothing else is there."""
        told = self.status()
        assert told["state"] == "done" and told["gathered"] and "resume" not in told, told
        for number in range(self.points):
            name = f"{NAME}-{number:04d}.h5"
            same_but_for_provenance(whole / "points" / name, self.directory / "points" / name)
        assert len(list((self.directory / "points").iterdir())) == self.points
        assert not leftovers(self.directory)
        table = (self.directory / "sweep.csv").read_text().splitlines()
        assert len(table) == self.points + 1
        done = self.launch().clear(0)  # the same command has nothing to do
        assert not done.out.strip().isdigit(), done.out

    def logs(self) -> str:
        """What the tasks said."""
        return "\n".join(f"{path.name}: {path.read_text()}" for path in sorted(self.directory.glob("jobs/*.log")))


def preempt(node: OneNode, seconds: int, cpus: int = 2) -> str:
    """A job that takes the node away from others for so long; its number."""
    return node.run(
        "sbatch", "--parsable", "-p", "high", "-c", str(cpus), "-o", "/dev/null", "--wrap", f"sleep {seconds}"
    )


def gone(node: OneNode, job: str) -> None:
    """Wait until a job has left the queue."""
    until(lambda: not any(each.split("_")[0] == job for each in node.queue()), 120)


def local(sweep: Sweep, *options: str) -> subprocess.Popen[str]:
    """Start it on this machine, and leave it to the caller."""
    from faults.command import start

    return start(*sweep.words, "--launcher", "local", *options, cwd=sweep.place)
