"""Reading a file that nobody vouches for in a process of its own: what breaks there breaks nothing here.

HDF5 parses whatever it is given, and files have been found that crash it or keep it busy for ever. The child has a
limit on its memory and its time, and gives back bytes; a crash is one line.
"""

from __future__ import annotations

import os
import resource
import runpy
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from synsim.faults import StoreError

SECONDS = 300.0
BASE_MEMORY = 4 << 30  # of address space, of which the libraries alone take much

_apart: ContextVar[bool] = ContextVar("apart", default=False)


@contextmanager
def sandboxed(wanted: bool = True) -> Iterator[None]:
    """As long as it lasts, files of others are read in a child process, if `wanted`."""
    token = _apart.set(wanted)
    try:
        yield
    finally:
        _apart.reset(token)


def wanted() -> bool:
    """Whether files of others are to be read in a child process."""
    return _apart.get()


def apart(module: str, arguments: Sequence[str], what: str, memory: int = 0) -> tuple[int, bytes, bytes]:
    """Exit code, output and errors of `python -m module arguments`; StoreError where `what` crashed or stalled it."""
    # -P: no module is taken from the folder that a user happens to stand in
    command = [sys.executable, "-P", "-m", "synsim.sandbox", str(BASE_MEMORY + memory), module, *arguments]
    paths = [str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS, env=env)
    except subprocess.TimeoutExpired:
        raise StoreError(f"{what} kept its reader busy for {SECONDS:.0f} s, which was ended") from None
    if done.returncode < 0:
        raise StoreError(f"{what} crashed its reader (signal {-done.returncode}): it is damaged, or made to do so")
    return done.returncode, done.stdout, done.stderr


def _main() -> None:
    # the child limits itself: a function called between fork and exec would be at the mercy of the parent's threads
    memory, module = int(sys.argv[1]), sys.argv[2]
    for what, most in ((resource.RLIMIT_AS, memory), (resource.RLIMIT_CORE, 0)):
        _, hard = resource.getrlimit(what)
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (most, most))
    sys.argv = sys.argv[2:]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _main()
