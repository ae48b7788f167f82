"""strace: the calls that a run makes, and a run that is killed at one of them."""

from __future__ import annotations

import functools
import re
import shutil
import subprocess
import sys
import zlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

import synsim
from faults.command import ROOT, environment

# those that change what is on the disk; strace passes over what this machine does not know
CALLS = ("write", "pwrite64", "ftruncate", "fsync", "rename", "renameat", "renameat2", "unlink", "unlinkat", "rmdir")
CALLS += ("mkdir", "mkdirat")
_LINE = re.compile(r"(\d+) +(\w+)\(")


@functools.cache
def why_not() -> str | None:
    """Why strace cannot be used here, or None."""
    if shutil.which("strace") is None:
        return "strace is not installed"
    tried = subprocess.run(
        ["strace", "-f", "-o", "/dev/null", "-e", "inject=fsync:error=EIO:when=1", sys.executable, "-c", ""],
        capture_output=True,
        text=True,
    )
    return f"strace may not trace here: {tried.stderr.strip()[:200]}" if tried.returncode else None


def needs_strace() -> None:
    """Skip the test where strace is missing, or may not trace."""
    if reason := why_not():
        pytest.skip(reason)


@dataclass(frozen=True)
class Point:
    """The n-th call of a kind in its thread, which is how strace counts."""

    call: str
    n: int

    def killing(self, log: Path) -> list[str]:
        """The words before a command that kill it when it is about to make the call."""
        inject = f"inject={self.call}:signal=KILL:when={self.n}"
        return ["strace", "-f", "-o", str(log), "-e", f"trace={self.call}", "-e", inject]


def points(command: list[str], folder: Path, log: Path, cwd: Path, every: bool) -> list[Point]:
    """The points at which this command, which is run for it, is about to change something in a folder.

    Unless it is to be every point, of calls of a kind in a row to one file there are the first and the last. Where
    several threads come to their n-th call, the first of them is killed: the points of the others are none.
    """
    words = ["strace", "-f", "-y", "-o", str(log), "-e", "trace=" + ",".join(f"?{call}" for call in CALLS)]
    subprocess.run([*words, *command], cwd=cwd, env=environment(), check=True, capture_output=True, timeout=600)
    counts: Counter[tuple[str, str]] = Counter()
    found: list[tuple[Point, str]] = []
    for line in log.read_text(errors="replace").splitlines():
        if not (match := _LINE.match(line)):
            continue
        thread, call = match.groups()
        counts[thread, call] += 1
        if str(folder) in line:
            found.append((Point(call, counts[thread, call]), line.partition(">")[0]))
    places = [None, *(place for _, place in found), None]
    rows = zip(found, places, places[2:], strict=False)
    return list(dict.fromkeys(point for (point, place), *beside in rows if every or beside != [place, place]))


def offset(stride: int) -> int:
    """Where to begin when only every so-many-th is tried: another place whenever the program is another one."""
    package = Path(synsim.__file__).parent
    what = b"".join(path.read_bytes() for path in sorted(package.rglob("*.py")))
    if shutil.which("git"):
        told = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True)
        what = told.stdout or what
    return zlib.crc32(what) % stride
