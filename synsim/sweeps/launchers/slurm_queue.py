"""What Slurm's own commands say: the queue, how a task ended, settings of the cluster. None waits for ever."""

from __future__ import annotations

import getpass
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from synsim.sweeps.launchers.launcher import JOBS, Silent

PATIENCE = 30.0  # seconds for an answer
MOST_ARRAY = 1001  # MaxArraySize where nothing else is said
WAITING = {"PENDING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT", "RESV_DEL_HOLD"}
GATHER = "-gather.sh"


@dataclass(frozen=True)
class Row:
    """A task in the queue, or a job that is no array (`task` is None)."""

    job: str  # the number of the array
    own: str  # that of the task itself, once it has been started
    task: int | None
    state: str
    reason: str
    script: Path

    @property
    def waits(self) -> bool:
        return self.state in WAITING

    @property
    def ending(self) -> bool:
        """It was ended or requeued, and its processes are still there."""
        return self.state == "COMPLETING"

    @property
    def gathers(self) -> bool:
        return self.script.name.endswith(GATHER)


@dataclass(frozen=True)
class End:
    """How a task ended, in Slurm's words."""

    state: str
    code: str  # exit code : signal

    def __str__(self) -> str:
        code, _, number = self.code.partition(":")
        if number not in ("", "0"):
            return f"{self.state}, by signal {number}"
        return self.state if code in ("", "0") else f"{self.state}, exit code {code}"


def ask(*words: str, seconds: float = PATIENCE) -> subprocess.CompletedProcess[str]:
    """A command of Slurm, run to its end. Raises Silent where there is none, or it waits too long for its answer."""
    try:
        return subprocess.run(words, capture_output=True, text=True, errors="replace", timeout=seconds)
    except FileNotFoundError:
        raise Silent(f"there is no {words[0]} on this machine") from None
    except subprocess.TimeoutExpired:
        raise Silent(f"{words[0]} had no answer within {seconds:g} s") from None
    except OSError as error:
        raise Silent(f"{words[0]} cannot be run: {error.strerror or error}") from None


def said(done: subprocess.CompletedProcess[str]) -> str:
    """What a command has to say on standard error, as one line."""
    lines = [re.sub(r"^\w+: (error: )?", "", line.strip()) for line in done.stderr.splitlines() if line.strip()]
    return "; ".join(dict.fromkeys(lines)) or f"exit code {done.returncode}"


def is_here() -> bool:
    """Whether this machine has Slurm's commands."""
    return shutil.which("sbatch") is not None and shutil.which("squeue") is not None


def in_queue(directory: Path) -> list[Row]:
    """The tasks and jobs that come from job scripts in a sweep's folder, whoever submitted them. Raises Silent."""
    users = {getpass.getuser()}
    with suppress(OSError, KeyError):
        users.add(directory.owner())
    done = ask("squeue", "-h", "-r", f"--user={','.join(sorted(users))}", "-o", "%F|%A|%K|%T|%r|%o")
    if done.returncode:
        raise Silent(said(done))
    return list(_rows(done.stdout, directory))


def _rows(text: str, directory: Path) -> Iterator[Row]:
    jobs = os.path.realpath(directory / JOBS)
    for line in text.splitlines():
        job, own, task, state, reason, command = (*line.split("|", 5), "", "", "", "", "")[:6]
        script = Path(command)
        if os.path.realpath(script.parent) == jobs:
            number = int(task) if task.isdigit() else None
            yield Row(job, own, number, state, "" if reason == "None" else reason, script)


def ends(job: str) -> dict[int, End]:
    """How the tasks of an array ended, as far as Slurm still knows: by its accounting, else by its controller."""
    with suppress(Silent):
        done = ask("sacct", "-X", "-n", "-P", "-j", job, "--format=JobID,State,ExitCode")
        if done.returncode == 0 and (found := dict(_accounted(done.stdout, job))):
            return found
    with suppress(Silent):
        done = ask("scontrol", "-o", "show", "job", job)
        if done.returncode == 0:
            return dict(_shown(done.stdout))
    return {}


def _accounted(text: str, job: str) -> Iterator[tuple[int, End]]:
    for line in text.splitlines():
        number, state, code = (*line.split("|"), "", "")[:3]
        match = re.fullmatch(rf"{job}_(\d+)", number)
        if match and state:
            yield int(match[1]), End(state.split()[0], code)


def _shown(text: str) -> Iterator[tuple[int, End]]:
    for line in text.splitlines():
        about = fields(line)
        if about.get("ArrayTaskId", "").isdigit():
            yield int(about["ArrayTaskId"]), End(about.get("JobState", "UNKNOWN"), about.get("ExitCode", ""))


def fields(line: str) -> dict[str, str]:
    """What `scontrol -o show` says of a job, up to the first thing that may hold a space."""
    known = line.partition(" Command=")[0]
    return dict(word.split("=", 1) for word in known.split() if "=" in word)


def most_array() -> int:
    """MaxArraySize: every task of an array has a number below it."""
    with suppress(Silent):
        found = re.search(r"^MaxArraySize\s*=\s*(\d+)", ask("scontrol", "show", "config").stdout, re.MULTILINE)
        if found:
            return max(1, int(found[1]))
    return MOST_ARRAY


def blocks_signals() -> bool:
    """Whether `env` can start a program with a signal blocked."""
    with suppress(Silent):
        return ask("env", "--block-signal=USR1", "true").returncode == 0
    return False


def cancel(jobs: Sequence[str]) -> None:
    """End jobs with all their tasks. Raises Silent."""
    done = ask("scancel", *jobs)
    if done.returncode:
        raise Silent(said(done))
