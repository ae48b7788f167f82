"""Killed when it is about to write, sync, rename, remove or make something: each time it ends in the same file.

The points are those that a recording run comes to. Most are of the small run of `small_run.py`, which is the store
and the way of going on as they are, with made-up numbers and without JAX; in CI every fifth. Those of the real command,
which saves after so many steps, are every twentieth in CI, since each is two whole starts. In full it is all of both.
"""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import choose

from faults.command import NOISY, command, environment, synsim
from faults.looking import complete, look, reported
from faults.small_run import small_run
from faults.tracing import Point, needs_strace, offset, points

NAME = "small.h5"
STRIDE = choose(0, 5, 1)  # 0: two in all
SMALL = Path(__file__).parent / "small_run.py"
# how a start finds the folder, and what is asked of it
STARTS = {
    "anew": ("nothing", {}),
    "resumed": ("stopped", {"resume": True, "many": 3, "large": 1, "streamed": True}),
    "in the place of a finished one": ("finished", {"overwrite": True, "large": 1}),
    "in the place of a stopped one": ("stopped", {"overwrite": True, "streamed": True}),
}


def sample(found: list[Point], stride: int) -> list[Point]:
    """As many of the points as the size of the tests asks for."""
    if stride:
        return found[offset(stride) :: stride]
    return random.Random(offset(1000)).sample(found, 1)


def prepare(how: str, folder: Path) -> None:
    """Make the folder as a start may find it."""
    if how == "stopped":
        small_run(folder, until=60)
        (folder / "seg" / ".head.h5.tmp1").write_bytes(b"of an earlier kill")
    elif how == "finished":
        small_run(folder)


@pytest.mark.parametrize("start", choose(["anew", "resumed"], [*STARTS]))
def test_of_the_store(start, tmp_path):
    needs_strace()
    whole = tmp_path / "whole" / NAME
    small_run(whole.parent)
    how, asked = STARTS[start]
    folder = tmp_path / "run"
    words = [sys.executable, str(SMALL), str(folder), json.dumps(asked)]
    prepare(how, folder)
    found = points(words, folder, tmp_path / "calls", tmp_path, STRIDE == 1)
    complete(folder, whole)
    assert len(found) >= 40, found
    chosen = sample(found, STRIDE)
    print(f"{len(chosen)} of {len(found)} points")
    for point in chosen:
        shutil.rmtree(folder)
        prepare(how, folder)
        killing = point.killing(tmp_path / "call")
        done = subprocess.run([*killing, *words], capture_output=True, text=True, env=environment(), timeout=300)
        assert done.returncode == -9, (point, done)
        said = [0, *(int(line.split()[1]) for line in done.stdout.splitlines())][-1]
        try:
            look(folder, whole, max(said, reported(folder)))
            went_on = [0]
            small_run(folder, resume=True, began=went_on.append)
            assert went_on[-1] >= said or len(went_on) == 1
            complete(folder, whole)
        except BaseException as error:
            error.add_note(f"killed at {point}: {(tmp_path / 'call').read_text().splitlines()[-2:]}")
            raise


@pytest.mark.parametrize("chunk", choose([240], [240, 40]))
def test_of_the_command(chunk, tmp_path):
    """One save, after which the last points of the main thread can be told apart, or many, on a thread of their own."""
    needs_strace()
    (tmp_path / "noisy.yaml").write_text(NOISY)
    out, name = tmp_path / "out", "noisy.h5"
    folder = out / "noisy"
    words = command("run", "noisy.yaml", "--quiet", "--out", out, chunk=chunk)
    found = points(words, out, tmp_path / "calls", tmp_path, STRIDE == 1)
    out.rename(tmp_path / "whole")
    whole = tmp_path / "whole" / "noisy" / name
    chosen, missed = sample(found, choose(0, 20, 1)), 0
    print(f"{len(chosen)} of {len(found)} points")
    for point in chosen:
        killing = point.killing(tmp_path / "call")
        done = subprocess.run([*killing, *words], cwd=tmp_path, capture_output=True, env=environment(), timeout=600)
        missed += done.returncode == 0  # another thread's calls may come in another order
        assert done.returncode in (-9, 0), (point, done)
        look(folder, whole, reported(folder))
        if (folder / "seg" / "head.h5").exists() or (folder / name).exists():
            synsim("run", folder, "--resume", cwd=tmp_path).clear(0)
        else:
            synsim("run", "noisy.yaml", "--out", out, "--resume", cwd=tmp_path).clear(0)
        complete(folder, whole)
        shutil.rmtree(out)
    assert missed <= len(chosen) / 4
