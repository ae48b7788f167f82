"""Slurm: a sweep as an array of tasks. Which of them wait or run is asked of the queue, each time.

The queue shows the script that a job came from, so that a job is known as the sweep's own even where synsim was killed
right after it had submitted it, or where a user has submitted the script by hand.

    DIR/jobs/   0001.sh   0001-gather.sh   submitted.json   launcher.json   17_3.log
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synsim.faults import ConfigError, Fault, Locked, MissingInput
from synsim.files import atomic_write, make_folder, read_regular
from synsim.locks import RunLock, give_up, is_live, left_elsewhere
from synsim.spec import LauncherSettings
from synsim.sweeps import command
from synsim.sweeps.launchers.job_script import gathering_script, job_script, per_task_of, seconds_of
from synsim.sweeps.launchers.launcher import JOBS, GroupState, Launched, Silent, remember
from synsim.sweeps.launchers.numbers import compressed, expanded
from synsim.sweeps.launchers.slurm_queue import (
    GATHER,
    End,
    Row,
    ask,
    blocks_signals,
    cancel,
    ends,
    in_queue,
    is_here,
    most_array,
    said,
)

if TYPE_CHECKING:
    from synsim.sweeps.ledger import Ledger

EARLY = 60.0  # seconds by which Slurm may send its signal too soon
CHUNK = 1.0  # seconds that a chunk may take until a task can stop
ENDING = 90.0  # seconds to wait for tasks that are being ended
NOT_SHARED = ("/tmp", "/var/tmp", "/dev/shm")
_SUBMITTED = "submitted.json"
_ASK = "whether it was submitted is told by: squeue"


class Slurm:
    """A launcher that submits job arrays."""

    def __init__(self, settings: LauncherSettings):
        self.settings = settings

    def preview(self, directory: Path, groups: Sequence[object]) -> list[str]:
        """The job script."""
        per_task = self._per_task([], len(groups))
        tasks = range(-(-len(groups) // per_task))
        blocks = blocks_signals()
        directory = _absolute(directory)
        text = job_script(directory, directory.name, self.settings, tasks, per_task, blocks_signals=blocks)
        return text.splitlines()

    def doubts(self, directory: Path) -> list[str]:
        """A time limit that leaves no time, and a folder that other nodes may not see."""
        found, limit = [], seconds_of(self.settings.time)
        needed = self.settings.signal + EARLY + CHUNK
        if limit is not None and limit < needed:
            found.append(
                f"a task may run {limit:g} s, and Slurm may tell it to stop {self.settings.signal + EARLY:g} s before "
                f"the end: it would do a chunk at a time; give more --time, or a smaller --signal"
            )
        if any(_absolute(directory).is_relative_to(place) for place in NOT_SHARED):
            found.append(f"{directory} has to be on a disk that all nodes share, which {_top(directory)} rarely is")
        return found

    # submitting ------------------------------------------------------------------------------------------------------

    def submit(
        self,
        ledger: Ledger,
        groups: Sequence[int],
        *,
        options: Sequence[str] = (),
        stop: Callable[[], bool] = lambda: False,
        note: Callable[[str], None] = lambda _: None,
    ) -> Launched:
        """Submits an array for the groups that no task in the queue has in hand, and a job that gathers after it."""
        if not is_here():
            raise MissingInput(
                _fault(
                    "there is no sbatch on this machine; type this where jobs are submitted, or run the sweep here "
                    "with --launcher local"
                )
            )
        directory = _absolute(ledger.directory)
        with _alone(directory):
            try:
                rows = _settled(directory, stop, note)
            except Silent as silent:
                raise MissingInput(_fault(f"Slurm does not answer, and nothing was submitted: {silent}")) from None
            tasks = [row for row in rows if not row.gathers]
            busy = {group for row in tasks for group in _groups_of(row, len(ledger.groups))}
            missing = [group for group in groups if group not in busy]
            job = None
            for group in missing:
                if gone := _gone(ledger.group_folder(group), rows):
                    give_up(ledger.group_folder(group), gone)
            if tasks:
                note(_in_hand(tasks))
            if missing:
                per_task = self._per_task(tasks, len(ledger.groups))
                job = self._submit(directory, ledger, missing, per_task, options, note)
            if job or (tasks and not any(row.gathers for row in rows)):
                self._gather(
                    directory, ledger.name, [*dict.fromkeys(row.job for row in tasks), *([job] if job else [])], note
                )
        return Launched(job=job)

    def _per_task(self, tasks: Sequence[Row], groups: int) -> int:
        """Groups of a task: so many that there are no more tasks than asked for, and none has a number too high for
        Slurm. Where tasks are in the queue, as many as those have, so that a group never belongs to two."""
        if tasks:
            return _per_task(tasks[0].script)
        return max(1, -(-groups // min(self.settings.tasks or groups, most_array())))

    def _submit(
        self,
        directory: Path,
        ledger: Ledger,
        missing: Sequence[int],
        per_task: int,
        options: Sequence[str],
        note: Callable[[str], None],
    ) -> str:
        numbers = sorted({group // per_task for group in missing})
        path = _next_script(directory)
        blocks = blocks_signals()
        text = job_script(
            directory, ledger.name, self.settings, numbers, per_task, options, blocks_signals=blocks, script=path.name
        )
        job = _sbatch(path, text)
        remember(directory, self.settings)
        _record(directory, {"job": job, "script": path.name, "tasks": compressed(numbers), "per_task": per_task})
        points = sum(len(ledger.groups[group]) for group in missing)
        most = f", at most {self.settings.throttle} at once" if self.settings.throttle else ""
        note(f"submitted job {job}: {_count(points, 'point')} in {_count(len(numbers), 'task')}{most}; script {path}")
        return job

    def _gather(self, directory: Path, name: str, after: Sequence[str], note: Callable[[str], None]) -> None:
        """The array is what matters: where this job is refused, the next `synsim sweep` gathers."""
        scripts = sorted(path for path in (directory / JOBS).glob("[0-9]*.sh") if not path.name.endswith(GATHER))
        path = scripts[-1].with_name(scripts[-1].stem + GATHER)
        try:
            _sbatch(path, gathering_script(directory, name, self.settings), f"--dependency=afterany:{':'.join(after)}")
        except ConfigError as error:
            note(f"no job gathers the points afterwards ({error}); once all is done: {command(directory)}")

    # asking ----------------------------------------------------------------------------------------------------------

    def states(self, ledger: Ledger, pending: Sequence[int]) -> Mapping[int, GroupState]:
        """The queue first; of groups that are not in it, how their last task ended."""
        directory = _absolute(ledger.directory)
        found: dict[int, GroupState] = {}
        if not pending:
            return found
        if not is_here():
            raise Silent("there is no squeue on this machine")
        rows = [row for row in in_queue(directory) if not row.gathers]
        for row in sorted(rows, key=lambda row: row.waits, reverse=True):  # what runs says more than what waits
            own = [group for group in _groups_of(row, len(ledger.groups)) if group in set(pending)]
            who = f"task {row.job}_{row.task}"
            if row.waits:
                found |= dict.fromkeys(own, GroupState("queued", _because(who, row.reason)))
                continue
            runs = [group for group in own if is_live(ledger.group_folder(group))]
            if not row.ending:
                runs = runs or own[:1]
                found |= dict.fromkeys(own, GroupState("queued", f"{who} has other groups before it"))
            found |= dict.fromkeys(runs, GroupState("running", who))
        return found | self._ended(ledger, rows, [group for group in pending if group not in found])

    def _ended(self, ledger: Ledger, rows: Sequence[Row], groups: Sequence[int]) -> dict[int, GroupState]:
        """How the last tasks of these groups ended, where Slurm still knows."""
        directory = _absolute(ledger.directory)
        found: dict[int, GroupState] = {}
        known: dict[str, dict[int, End]] = {}
        submissions = list(reversed(_submissions(directory, len(ledger.groups))))
        for group in groups:
            folder = ledger.group_folder(group)
            if is_live(folder) and not _gone(folder, rows):
                continue  # somebody has it by hand
            for each in submissions:
                job, task = each.job, group // each.per_task
                if task not in each.tasks:
                    continue
                end = known.setdefault(job, ends(job) if job not in known else {}).get(task)
                if end is not None and end.state not in ("RUNNING", "PENDING"):
                    log = f"; {JOBS}/{job}_{task}.log" if (directory / JOBS / f"{job}_{task}.log").exists() else ""
                    found[group] = GroupState("ended", f"task {job}_{task} ended: {end}{log}")
                break
            if group not in found and _gone(folder, rows):
                found[group] = GroupState("ended", f"job {_gone(folder, rows)} is gone without a word")
        return found

    def gathers(self, directory: Path) -> bool:
        """Whether the job that gathers waits or runs."""
        return is_here() and any(row.gathers for row in in_queue(_absolute(directory)))

    # ending ----------------------------------------------------------------------------------------------------------

    def cancel(self, ledger: Ledger) -> list[str]:
        """Cancels every job in the queue that came from this sweep's scripts."""
        try:
            rows = in_queue(_absolute(ledger.directory))
            jobs = list(dict.fromkeys(row.job for row in rows))
            if not jobs:
                return []
            cancel(jobs)
        except Silent as silent:
            raise MissingInput(_fault(f"Slurm does not answer, and nothing was cancelled: {silent}")) from None
        told = []
        for job in jobs:
            own = [row for row in rows if row.job == job]
            what = "the job that gathers" if own[0].gathers else _count(len(own), "task")
            told.append(f"cancelled job {job}, {what}")
        return told


def refuse_what_is_in_hand(directory: Path) -> None:
    """Raises Locked where tasks of a sweep that is to be computed here wait or run."""
    with suppress(Silent):
        rows = [row for row in in_queue(_absolute(directory)) if not row.gathers] if is_here() else []
        if rows:
            raise Locked(f"{_in_hand(rows)}; to end that: {command(directory, 'sweep', '--cancel')}")


# ------------------------------------------------------------------------------------------------ the sweep's own jobs


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Of two that submit one sweep, the second is refused: Locked (73)."""
    make_folder(directory / JOBS)
    folder = os.open(directory / JOBS, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        lock = RunLock(folder, directory / JOBS)
    finally:
        os.close(folder)
    try:
        yield
    finally:
        lock.release()


def _gone(folder: Path, rows: Sequence[Row]) -> str | None:
    """The job of another host that holds a group where there is no flock, and that is not in the queue any more."""
    job = left_elsewhere(folder)
    return job if job is not None and job not in {row.own for row in rows} else None


def _settled(directory: Path, stop: Callable[[], bool], note: Callable[[str], None]) -> list[Row]:
    """The queue, once no task is being ended: such a one is about to be gone, or to wait again."""
    since, told = time.monotonic(), False
    while True:
        rows = in_queue(directory)
        ending = sum(row.ending for row in rows)
        if not ending or time.monotonic() - since > ENDING or stop():
            return rows
        if not told:
            note(f"{_count(ending, 'task')} of it {'is' if ending == 1 else 'are'} being ended: waiting for that")
            told = True
        time.sleep(1.0)


def _groups_of(row: Row, groups: int) -> range:
    """The groups of a task in the queue."""
    if row.task is None:
        return range(0)
    per_task = _per_task(row.script)
    return range(row.task * per_task, min(groups, (row.task + 1) * per_task))


def _per_task(script: Path) -> int:
    try:
        return per_task_of(read_regular(script, most=1 << 20).decode(errors="replace"))
    except OSError:
        return 1


def _next_script(directory: Path) -> Path:
    taken = [int(path.stem) for path in (directory / JOBS).glob("[0-9]*.sh") if path.stem.isdecimal()]
    return directory / JOBS / f"{max(taken, default=0) + 1:04}.sh"


def _sbatch(path: Path, text: str, *options: str) -> str:
    """Submits a script; the job's number. Where sbatch refuses, in its own words, no script is left."""
    atomic_write(path, text.encode())
    try:
        done = ask("sbatch", "--parsable", *options, str(path), seconds=120.0)
        words = said(done) if done.returncode else ""
    except Silent as silent:
        raise MissingInput(_fault(f"{silent}; {_ASK}")) from None
    if not words:
        job = re.search(r"^(\d+)(;.*)?$", done.stdout, re.MULTILINE)
        if job is None:
            raise MissingInput(_fault(f"sbatch did not say what number the job has; {_ASK}"))
        return job[1]
    with suppress(OSError):
        path.unlink()
    if "contact slurm controller" in words or "Connection refused" in words:
        raise MissingInput(_fault(f"nothing was submitted: sbatch: {words}"))
    raise ConfigError(_fault(f"nothing was submitted: sbatch: {words}"))


@dataclass(frozen=True)
class _Submission:
    """An array that was submitted."""

    job: str
    tasks: frozenset[int]
    per_task: int


def _recorded(directory: Path) -> list[Any]:
    with suppress(OSError, ValueError):
        found = json.loads(read_regular(directory / JOBS / _SUBMITTED, most=1 << 24))
        return found if isinstance(found, list) else []
    return []


def _submissions(directory: Path, groups: int) -> list[_Submission]:
    """What was submitted, in order; what is not sound is left out."""
    found = []
    for each in _recorded(directory):
        with suppress(KeyError, TypeError, ValueError):
            tasks = frozenset(expanded(each["tasks"], groups))
            found.append(_Submission(str(int(each["job"])), tasks, max(1, int(each["per_task"]))))
    return found


def _record(directory: Path, submission: Mapping[str, Any]) -> None:
    when = datetime.now(UTC).isoformat(timespec="seconds")
    found = [*_recorded(directory), {**submission, "submitted": when}]
    atomic_write(directory / JOBS / _SUBMITTED, json.dumps(found, indent=1).encode())


def _fault(words: str) -> Fault:
    """A fault that no line of the config is to blame for."""
    return Fault(words, source="sbatch")


def _in_hand(rows: Sequence[Row]) -> str:
    waiting = sum(row.waits for row in rows)
    jobs = ", ".join(dict.fromkeys(row.job for row in rows))
    return f"job {jobs} is in the queue: {_count(len(rows) - waiting, 'task')} running, {waiting:,} waiting"


def _because(who: str, reason: str) -> str:
    return f"{who} waits: {reason}" if reason else f"{who} waits"


def _absolute(directory: Path) -> Path:
    return Path(os.path.abspath(directory))


def _top(directory: Path) -> str:
    return next(place for place in NOT_SHARED if _absolute(directory).is_relative_to(place))


def _count(n: int, what: str) -> str:
    return f"{n:,} {what}" + ("" if n == 1 else "s")
