"""A run of some seconds that learns, from the command line: started, watched, ended, and gone on with."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from conftest import choose

from faults.command import command, environment

NAME = "plastic"
TRIALS = choose(3000, 4000)
CHUNK = 4000  # steps between two saves of a run that saves all the time
NETWORK = """
seed: 11
components:
  x:  {type: PoissonCell, n_units: 128, target_freq: 400}
  W:  {type: TraceSTDPSynapse, A_plus: 1e-2, A_minus: 3e-3, weight_init: {type: uniform, low: 0, high: 1},
       normalise: {columns: l1, to: 60}}
  z:  {type: LIFCell, n_units: 64, tau_m: 20, theta_plus: 0}
  tx: {type: VarTrace, n_units: 128, tau_tr: 20}
  tz: {type: VarTrace, n_units: 64, tau_tr: 20}
wires: {x.inputs: 1.0, W.inputs: x.outputs, z.j: 0.75 * W.outputs, tx.inputs: x.outputs, tz.inputs: z.s,
        W.preSpike: x.outputs, W.preTrace: tx.trace, W.postSpike: z.s, W.postTrace: tz.trace}
schedule: {end: [W.normalise]}
"""
CONFIG = f"""
name: {NAME}
run: {{dt: 1.0, steps: 100, trials: {TRIALS}}}
{NETWORK}
record:
  z.s: {{as: events}}
  z.v: {{every: 20}}
  W.weights: {{every: trial, reduce: norm}}
"""


class Ended(AssertionError):
    """The process came to its end while something else was waited for."""


PROCESSES: list[subprocess.Popen[bytes]] = []  # of the test that runs


def end_all() -> None:
    """End what a test started, and that did not end."""
    while PROCESSES:
        with PROCESSES.pop() as process:
            process.kill()


class Started:
    """A process of the command line in `place`, where the config is; what it says goes to a file, to be watched."""

    def __init__(self, words: list[str], place: Path, under: tuple[str, ...] = (), env: Any = None, **asked: Any):
        self.folder, self._said = place / "runs" / NAME, place / "said"
        self._segments = set(self.segments)
        with open(self._said, "wb") as said:
            self.process = subprocess.Popen(
                [*under, *command(*words, **asked)],
                cwd=place,
                env=environment(**(env or {})),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=said,
            )
        PROCESSES.append(self.process)

    @property
    def said(self) -> str:
        return self._said.read_text()

    @property
    def segments(self) -> set[Path]:
        return set(self.folder.glob("seg/seg-*.h5"))

    def until(self, what: Callable[[], Any], seconds: float = 300) -> None:
        """Wait until something is so. Raises Ended where the process ends before."""
        since = time.monotonic()
        while not what():
            if self.process.poll() is not None:
                raise Ended(self.said)
            assert time.monotonic() - since < seconds, f"nothing happened for {seconds} s: {self.said}"
            time.sleep(0.002)

    def until_it_simulates(self) -> None:
        """Compiling comes next."""
        self.until(lambda: " components, " in self.said)

    def until_it_saves(self) -> None:
        """A segment is new."""
        self.until(lambda: self.segments - self._segments)

    def until_it_merges(self) -> None:
        """All steps are done."""
        self.until((self.folder / "seg" / "final.h5").exists)

    def sleep(self, seconds: float) -> None:
        """Let it go on for a while. Raises Ended where the process ends before."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return
        raise Ended(self.said)

    def wait(self, seconds: float = 300) -> int:
        return self.process.wait(seconds)

    def go_on(self) -> list[str]:
        """The words of the command that its last line names."""
        match = re.search(r"to go on: synsim (.+)\Z", self.said.rstrip("\n").rpartition("\n")[2])
        assert match, self.said
        return shlex.split(match[1])


def prepare(place: Path) -> list[str]:
    """Make a place with the config; the words that start it there."""
    place.mkdir(parents=True)
    (place / "plastic.yaml").write_text(CONFIG)
    return ["run", "plastic.yaml"]


def again(place: Path) -> list[str]:
    """The words that go on with what is there: by the folder, or the config where nothing was saved yet."""
    folder = place / "runs" / NAME
    there = (folder / "seg" / "head.h5").exists() or (folder / f"{NAME}.h5").exists()
    return ["run", f"runs/{NAME}" if there else "plastic.yaml", "--resume"]


def busy() -> float:
    """How many times longer than on an idle machine a little work takes now."""
    wall, cpu = time.perf_counter(), time.process_time()
    while time.process_time() - cpu < 0.2:
        sum(range(1000))
    return max(1.0, (time.perf_counter() - wall) / 0.2)


class Undisturbed:
    """The run that nobody disturbs, which also fills the cache of programs; its file, and how long what takes."""

    def __init__(self, place: Path):
        words = prepare(place)
        for chunk in ({"chunk": CHUNK}, {}):
            if (place / "runs").exists():
                os.rename(place / "runs", place / "chunks")
            began = time.monotonic()
            one = Started(words, place, **chunk)
            one.until_it_simulates()
            simulates = time.monotonic()
            one.until_it_merges()
            merges = time.monotonic()
            assert one.wait() == 0, one.said
            self.start, self.simulation, self.merge = simulates - began, merges - simulates, time.monotonic() - merges
        self.file = place / "runs" / NAME / f"{NAME}.h5"
