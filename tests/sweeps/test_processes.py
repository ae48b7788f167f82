"""Sweeps shared among processes of this machine: done, killed, stopped, and left by the process that started them."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
from conftest import choose
from faults.command import NOISY, Done, ended, leftovers, start, synsim, until

from synsim.sweeps.launchers.local import fair

LONG = NOISY.partition("record:")[0].replace("name: noisy", "name: long").replace("trials: 12", "trials: 50000")
LONG += "record: {z.v: {every: trial}}\n"
SWEPT = ("z.tau_m=10,20,30", "W.A_plus=1e-2,2e-2", "--lanes", "1", "--processes", "2")
LONGER = ("long.yaml", *SWEPT, "--set", "run.trials=1000000")  # lasts until it is stopped, however slow all else is
POINTS = 6


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "noisy.yaml").write_text(NOISY)
    (tmp_path / "long.yaml").write_text(LONG)
    return tmp_path


def counts(folder: Path) -> dict[str, int]:
    return json.loads(synsim("status", folder, "--json", cwd=folder.parent).out)["counts"]


def holder(folder: Path, group: int) -> int:
    """The process that computes a group."""
    return json.loads((folder / "groups" / f"{group:04d}" / "lock").read_text())["pid"]


def saves(folder: Path, *groups: int) -> bool:
    """Whether all of these groups have saved something."""
    return all(list((folder / "groups" / f"{group:04d}" / "ckpt").glob("*.npz")) for group in groups)


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_groups_are_shared_fairly():
    assert fair({0: 8, 1: 8, 2: 8, 3: 8, 4: 2}, 2) == [[0, 2, 4], [1, 3]]
    assert fair({0: 1, 1: 10, 2: 1, 3: 1}, 2) == [[1], [0, 2, 3]]
    assert fair({5: 3}, 4) == [[5]]


def test_two_processes_do_what_one_does(place):
    done = synsim("sweep", "noisy.yaml", *SWEPT, cwd=place).clear(0)
    assert done.out.strip().endswith("sweep.h5")
    assert "[1] group 1 of 6" in done.err and "[2] group 2 of 6" in done.err
    assert counts(place / "runs" / "noisy")["done"] == POINTS
    again = synsim("sweep", "noisy.yaml", *SWEPT, cwd=place).clear(0)
    assert "[1]" not in again.err


def test_a_killed_process_loses_its_own_group_alone(place):
    folder = place / "runs" / "long"
    process = start("sweep", "long.yaml", *SWEPT, cwd=place)
    until(lambda: saves(folder, 0, 1), process)
    os.kill(holder(folder, 0), signal.SIGKILL)
    done = ended(process).clear(3)
    assert "[1] was killed by SIGKILL in group 0" in done.err
    assert counts(folder) == {**dict.fromkeys(counts(folder), 0), "done": POINTS - 1, "interrupted": 1}
    assert done.last == "1 of 6 points are not done: synsim status runs/long"
    synsim("sweep", "runs/long", cwd=place).clear(0)
    assert counts(folder)["done"] == POINTS and not leftovers(folder)


@pytest.mark.parametrize("number", choose([signal.SIGINT], [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1]))
def test_signals_are_passed_on(place, number):
    folder = place / "runs" / "long"
    process = start("sweep", *LONGER, cwd=place)
    until(lambda: saves(folder, 0, 1), process)
    workers = [holder(folder, group) for group in (0, 1)]
    process.send_signal(number)
    done = ended(process, 30).clear(75)
    assert done.last.endswith("to go on: synsim sweep runs/long")
    assert all(map(gone, workers))
    assert counts(folder) == {**dict.fromkeys(counts(folder), 0), "interrupted": 2, "missing": POINTS - 2}


def test_processes_stop_when_who_started_them_is_gone(place):
    folder = place / "runs" / "long"
    process = start("sweep", *LONGER, cwd=place)
    until(lambda: saves(folder, 0, 1), process)
    workers = [holder(folder, group) for group in (0, 1)]
    assert counts(folder)["running"] == 2
    process.kill()
    process.communicate()
    until(lambda: all(map(gone, workers)), None, 30)
    assert counts(folder)["interrupted"] == 2


def test_one_command_at_a_time_and_cancelled_from_another_terminal(place):
    folder = place / "runs" / "long"
    process = start("sweep", *LONGER, cwd=place)
    until(lambda: saves(folder, 0, 1), process)
    other = synsim("sweep", *LONGER, "--quiet", cwd=place).clear(73)
    assert "is being written by process" in other.last and other.last.endswith("to go on: synsim sweep runs/long")
    told: Done = synsim("sweep", "--cancel", "runs/long", cwd=place).clear(0)
    assert told.err.count("was told to stop") == 2
    ended(process, 30).clear(75)
    assert counts(folder)["running"] == 0
    again = synsim("sweep", "--cancel", "runs/long", cwd=place).clear(0)
    assert again.err == "nothing of runs/long runs or waits\n"
