"""The real command line in processes of their own, for tests that do things to them; and what it may leave behind.

Run as a program it is `synsim` itself, but for what the JSON of its first argument asks: `chunk` saves after every so
many steps, whatever the clock says, so that a run makes the same calls each time; `leave` fills the disk, with the file
`ballast`, but for so many bytes once the run was found to fit; `file_size` and `memory` are limits of the process.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__)
ROOT = HERE.parents[2]
STEPS = 240
NOISY = """
name: noisy
seed: 11
run: {dt: 1.0, steps: 20, trials: 12}
components:
  x:  {type: PoissonCell, n_units: 30, target_freq: 400}
  W:  {type: TraceSTDPSynapse, A_plus: 1e-2, A_minus: 3e-3, weight_init: {type: uniform, low: 0, high: 30}}
  z:  {type: LIFCell, n_units: 17, tau_m: 20}
  tx: {type: VarTrace, n_units: 30, tau_tr: 20}
  tz: {type: VarTrace, n_units: 17, tau_tr: 20}
wires: {x.inputs: 1.0, W.inputs: x.outputs, z.j: W.outputs, tx.inputs: x.outputs, tz.inputs: z.s,
        W.preSpike: x.outputs, W.preTrace: tx.trace, W.postSpike: z.s, W.postTrace: tz.trace}
record:
  x.outputs: {as: events}
  z.v: {}
  W.weights: {every: trial}
"""
ENDLESS = NOISY.partition("record:")[0].replace("name: noisy", "name: endless").replace("trials: 12", "trials: 3000000")
ENDLESS += "record: {z.v: {every: trial}}"


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def last(self) -> str:
        """The last line of standard error."""
        return self.err.rstrip("\n").rpartition("\n")[2]

    @property
    def go_on(self) -> list[str]:
        """The arguments of the command that the last line names."""
        words = shlex.split(self.last)
        return words[words.index("synsim", 1) + 1 :]

    def clear(self, code: int) -> Done:
        """Itself, where it ended with this code and one clear line; a traceback, a bug or a signal is none."""
        assert self.code == code, (self.code, self.out, self.err[-2000:])
        assert "Traceback" not in self.err and "bug" not in self.err and "Exception ignored" not in self.err, self.err
        assert sum(line.startswith("synsim: ") for line in self.err.splitlines()) <= 1, self.err
        return self


def environment(**more: str) -> dict[str, str]:
    """That of the tests, in which children find this tree."""
    paths = [str(ROOT), str(ROOT / "tests"), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), **more}


def command(*words: str | Path, **asked: Any) -> list[str]:
    """The command line: as a user starts it, or with something asked of it."""
    start = [str(HERE), json.dumps(asked)] if asked else ["-m", "synsim"]
    return [sys.executable, *start, *map(str, words)]


def synsim(
    *words: str | Path,
    cwd: Path,
    under: tuple[str, ...] = (),
    env: dict[str, str] | None = None,
    seconds: float = 300,
    **asked: Any,
) -> Done:
    """Run it to its end; `under` are words before it, as of strace."""
    done = subprocess.run(
        [*under, *command(*words, **asked)],
        cwd=cwd,
        env=environment(**(env or {})),
        capture_output=True,
        text=True,
        timeout=seconds,
        stdin=subprocess.DEVNULL,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def start(*words: str | Path, cwd: Path, env: dict[str, str] | None = None, **asked: Any) -> subprocess.Popen[str]:
    """Start it, and leave it to the caller."""
    return subprocess.Popen(
        command(*words, **asked),
        cwd=cwd,
        env=environment(**(env or {})),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process: subprocess.Popen[str], seconds: float = 300) -> Done:
    """How a started one ended."""
    out, err = process.communicate(timeout=seconds)
    return Done(process.returncode, out, err)


def until(what: Any, process: subprocess.Popen[str] | None = None, seconds: float = 120) -> None:
    """Wait until something is so; an error where the process ends before, or nothing happens."""
    since = time.monotonic()
    while not what():
        assert process is None or process.poll() is None, process and process.communicate()[1]
        assert time.monotonic() - since < seconds, "nothing happened"
        time.sleep(0.02)


def leftovers(folder: Path) -> list[str]:
    """Temporary files."""
    return sorted(path.name for path in folder.rglob("*") if ".tmp" in path.name)


def _main() -> None:
    import resource

    asked = json.loads(sys.argv[1])
    sys.argv = ["synsim", *sys.argv[2:]]
    for name, limit in (("file_size", resource.RLIMIT_FSIZE), ("memory", resource.RLIMIT_AS)):
        if name in asked:
            resource.setrlimit(limit, (asked[name], asked[name]))
    if "chunk" in asked:
        every_chunk(asked["chunk"])
    if "leave" in asked:
        _fill(asked["leave"], asked["ballast"])
    from synsim.cli import main

    main()


def every_chunk(steps: int) -> None:
    """From now on runs save after every so many steps."""
    from synsim import loop
    from synsim.saving import Saving

    Saving._patience = lambda self: -1.0
    real = loop.simulate
    loop.simulate = lambda *given, **settings: real(*given, **{**settings, "chunk": steps})


def _fill(leave: int, ballast: str) -> None:
    from synsim import running

    real = running._refuse_full_disk

    def then_fill(*given: Any) -> None:
        real(*given)
        with open(ballast, "wb") as file:
            room = os.fstatvfs(file.fileno())
            if (size := room.f_bavail * room.f_frsize - leave) > 0:
                os.posix_fallocate(file.fileno(), 0, size)

    running._refuse_full_disk = then_fill


if __name__ == "__main__":
    _main()
