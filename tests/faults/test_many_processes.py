"""Many processes on one directory: one writes, the others are told who does, and touch nothing."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import choose

import synsim as package
from faults.command import ENDLESS, Done, ended, environment, start, until
from faults.looking import complete
from faults.small_run import SAVE, small_run
from synsim import locks
from synsim.faults import Locked
from synsim.locks import RunLock, is_live

PROCESSES = choose(3, 6, 50)
CONTENDER = """
import errno, fcntl, json, os, sys, time
from pathlib import Path
from faults.small_run import small_run
from synsim.faults import SynsimError
folder, asked = Path(sys.argv[1]), json.loads(sys.argv[2])
if not asked["flock"]:
    def flock(*_):
        raise OSError(errno.ENOLCK, "No locks available")
    fcntl.flock = flock
print("ready", flush=True)
def wait(name):
    while not (folder.parent / name).exists():
        time.sleep(0.001)
def hold(step):
    print("took", flush=True)
    wait("enough")
wait("go")
try:
    small_run(folder, resume=asked["resume"], began=hold)
except SynsimError as error:
    print(error, file=sys.stderr)
    sys.exit(error.exit_code)
"""


def dead() -> int:
    """The number of a process that is gone."""
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    return gone.pid


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "small"
    small_run(folder)
    return folder / "small.h5"


@pytest.mark.parametrize(
    ("flock", "resume", "stale"),
    [(True, False, False), (True, True, False), (False, False, False), (False, True, True)],
)
def test_one_writes_and_the_others_are_told(flock, resume, stale, whole, tmp_path):
    folder = tmp_path / "small"
    if resume:
        small_run(folder, until=2 * SAVE)
    if stale:
        (folder / "lock.owner").write_text(json.dumps({"host": os.uname().nodename, "pid": dead()}))
    asked = json.dumps({"flock": flock, "resume": resume})
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", CONTENDER, str(folder), asked],
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(PROCESSES)
    ]
    for process in processes:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
    (tmp_path / "go").touch()
    until(lambda: sum(process.poll() is None for process in processes) <= 1)
    (winner,) = [process for process in processes if process.poll() is None]
    assert is_live(folder) or not flock  # without flock this process has another view of it
    held = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    for process in processes:
        if process is winner:
            continue
        lost = ended(process)
        assert lost.code == 73 and lost.out == "", lost
        assert f"is being written by process {winner.pid} on " in lost.err or "another process" in lost.err
    assert held == {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    (tmp_path / "enough").touch()
    won = ended(winner)
    assert (won.code, won.out) == (0, "took\n"), won
    complete(folder, whole)


def test_the_real_command_many_times(tmp_path):
    """A live run is left alone by every command that would write; then many go on with it at once, and one does."""
    (tmp_path / "endless.yaml").write_text(ENDLESS)
    folder = tmp_path / "runs" / "endless"
    first = start("run", "endless.yaml", cwd=tmp_path)
    until(lambda: package.verify(folder).good.startswith("the records") if (folder / "seg").exists() else 0, first)
    others = [
        ["run", "endless.yaml"],
        ["run", "endless.yaml", "--resume"],
        ["run", "endless.yaml", "--overwrite"],
        ["run", str(folder), "--resume"],
        ["merge", str(folder)],
    ]
    lock = (folder / "lock").read_bytes()
    for done in together([others[n % 5] for n in range(choose(1, 5, 25))], tmp_path):
        assert f"is being written by process {first.pid} on" in done.clear(73).last
    assert (folder / "lock").read_bytes() == lock
    saved = stop(first, folder)

    again = [start("run", str(folder), "--resume", cwd=tmp_path) for _ in range(choose(2, 6, 25))]
    until(lambda: sum(process.poll() is None for process in again) <= 1)
    (winner,) = [process for process in again if process.poll() is None]
    for process in again:
        if process is not winner:
            assert f"is being written by process {winner.pid} on" in ended(process).clear(73).last
    until(lambda: package.status(folder)["steps_saved"] > saved, winner)
    assert stop(winner, folder) > saved


def together(commands: list[list[str]], cwd: Path) -> list[Done]:
    """How commands end that run at the same time, a few at once: each of them takes much memory."""
    done = []
    for first in range(0, len(commands), 6):
        done += [ended(process) for process in [start(*words, cwd=cwd) for words in commands[first : first + 6]]]
    return done


def stop(process: subprocess.Popen[str], folder: Path) -> int:
    """Ask a run to end; the steps that it saved, in a folder where nothing is damaged."""
    process.send_signal(signal.SIGTERM)
    ended(process).clear(75)
    found = package.verify(folder)
    assert not found.damaged
    with package.open(folder) as left:
        assert left.steps == left.status["steps_saved"] and len(left["z.v"].data) == left.steps // 20
        return left.steps


# --------------------------------------------------------------------------------------- locks without a lock manager


@pytest.fixture
def unlocked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder on a file system that has no locks."""

    def flock(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)
    return tmp_path


def take(folder: Path) -> RunLock:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        return RunLock(fd, folder)
    finally:
        os.close(fd)


def held_by(folder: Path, **holder: object) -> None:
    (folder / "lock.owner").write_text(json.dumps(holder))


def born(pid: int) -> int:
    found = locks._born(pid)
    assert found is not None
    return found


HERE = os.uname().nodename


@pytest.mark.parametrize(
    ("holder", "gone"),
    [
        ({"host": HERE, "pid": dead()}, True),
        ({"host": "elsewhere", "pid": dead()}, False),  # it may well be alive there
        ({"host": HERE, "pid": os.getppid(), "born": born(os.getppid())}, False),
        ({"host": HERE, "pid": os.getppid(), "born": born(os.getppid()) - 1}, True),  # another of the same number
        ({"host": HERE, "pid": os.getppid()}, False),
        ({"host": "elsewhere", "pid": 1, "job": "7", "start": 0}, True),  # Slurm ended it before it started us
        ({"host": "elsewhere", "pid": 1, "job": "7", "start": 1}, False),
        ({"host": "elsewhere", "pid": 1, "job": "8", "start": 0}, False),
        ({"host": "elsewhere", "pid": 1, "job": "7", "start": "0"}, False),
        ({"host": HERE, "pid": 2**80}, False),
        ({"host": HERE, "pid": -1}, False),
        ({}, False),
    ],
)
def test_stale_locks_of_this_and_of_other_hosts(holder, gone, unlocked, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    held_by(unlocked, **holder)
    if gone:
        lock = take(unlocked)
        assert json.loads((unlocked / "lock.owner").read_text()) == lock.owner
        assert lock.owner["job"] == "7" and lock.owner["start"] == 1
        lock.release()
        assert os.listdir(unlocked) == ["lock"]
    else:
        with pytest.raises(Locked, match="is being written by .*remove .*lock.owner"):
            take(unlocked)
        assert json.loads((unlocked / "lock.owner").read_text()) == holder


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"[" * 100_000, b"\xff", bytes(1 << 20)])
def test_a_lock_that_says_nothing_is_respected(content, unlocked):
    (unlocked / "lock.owner").write_bytes(content)
    with pytest.raises((Locked, OSError), match="another process|more than"):
        take(unlocked)
    assert (unlocked / "lock.owner").read_bytes() == content


def test_of_two_that_find_the_same_dead_holder_one_takes_over(unlocked, monkeypatch):
    """The second one looked while the dead holder was there, and acts when the first has taken over."""
    held_by(unlocked, host=HERE, pid=dead())
    taken: list[RunLock] = []
    real = RunLock._made

    def made(self: RunLock, name: str) -> bool:
        if name == locks._TAKING and not taken:
            monkeypatch.setattr(RunLock, "_made", real)
            taken.append(take(unlocked))
        return real(self, name)

    monkeypatch.setattr(RunLock, "_made", made)
    with pytest.raises(Locked, match=f"process {os.getpid()}"):
        take(unlocked)
    assert len(taken) == 1 and is_live(unlocked)
    taken[0].release()
    assert os.listdir(unlocked) == ["lock"]
    take(unlocked).release()


def test_who_has_locks_respects_who_has_none(tmp_path):
    """Of two hosts on one file system one may have flock and the other not."""
    held_by(tmp_path, host="elsewhere", pid=1)
    with pytest.raises(Locked, match="process 1 on elsewhere"):
        take(tmp_path)
    held_by(tmp_path, host=HERE, pid=dead())
    take(tmp_path).release()
    assert os.listdir(tmp_path) == ["lock"]


def test_a_lock_that_could_not_be_written_is_no_lock(unlocked, monkeypatch):
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(OSError, match="No space left"):
            take(unlocked)
    assert os.listdir(unlocked) == ["lock"]
