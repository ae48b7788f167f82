"""This machine: the groups of a sweep, shared among processes of the command line."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from synsim.faults import ConfigError, Locked, MissingInput, RunError, Stopped, StoreError, SynsimError
from synsim.locks import holder_here
from synsim.reading import read_status
from synsim.spec import LauncherSettings
from synsim.sweeps import command
from synsim.sweeps.launchers.launcher import GroupState, Launched, remember
from synsim.sweeps.launchers.numbers import compressed

if TYPE_CHECKING:
    from synsim.sweeps.ledger import Ledger

WORST = (0, 3, 75, 65, 66, 73, 74, 2, 70)
"""Exit codes, each worse than those before it; one that is not here is that of a process that was killed."""

KILLED = 3
_ERRORS: Mapping[int, type[SynsimError]] = {
    each.exit_code: each for each in (ConfigError, RunError, MissingInput, Locked, StoreError, Stopped)
}
POLL = 0.2  # seconds


class Local:
    """A launcher that runs groups in processes of their own, and waits for them."""

    def __init__(self, settings: LauncherSettings):
        self.settings = settings

    def preview(self, directory: Path, groups: Sequence[object]) -> list[str]:
        """Nothing: the groups are shown already."""
        del directory, groups
        return []

    def doubts(self, directory: Path) -> list[str]:
        """None."""
        del directory
        return []

    def submit(
        self,
        ledger: Ledger,
        groups: Sequence[int],
        *,
        options: Sequence[str] = (),
        stop: Callable[[], bool] = lambda: False,
        note: Callable[[str], None] = lambda _: None,
    ) -> Launched:
        """Runs the groups in as many processes as asked for. Where one is killed, its group under way is left as it is
        and the others after it go to a new process.

        Raises what the process raised that ended worst, once all have ended; the exit code is 3 where no process did,
        and not all points are done.
        """
        remember(ledger.directory, self.settings)
        sizes = {group: len(ledger.groups[group]) for group in groups}
        workers = [
            _Worker(number, share, ledger.directory, options)
            for number, share in enumerate(fair(sizes, self.settings.processes), 1)
        ]
        worst, words, told = 0, "", False
        with selectors.DefaultSelector() as selector:
            for worker in workers:
                selector.register(worker.pipe, selectors.EVENT_READ, worker)
            while workers:
                for key, _ in selector.select(POLL):
                    for line in key.data.lines():
                        note(line)
                    if key.data.closed:
                        selector.unregister(key.fileobj)
                if stop() and not told:
                    told = True
                    for worker in workers:
                        worker.tell_to_stop()
                for worker in [each for each in workers if each.ended]:
                    workers.remove(worker)
                    code = worker.process.returncode
                    if code >= 0:
                        if _badness(code) > _badness(worst):
                            worst, words = code, worker.last_words
                        continue
                    worst = max(worst, KILLED, key=_badness)
                    under_way, after = _left(ledger, worker.groups)
                    where = f" in group {under_way}" if under_way is not None else ""
                    note(f"[{worker.number}] was killed by {_signal_name(-code)}{where}")
                    if after and not told:
                        again = _Worker(worker.number, after, ledger.directory, options)
                        workers.append(again)
                        selector.register(again.pipe, selectors.EVENT_READ, again)
        if worst not in (0, KILLED):
            go_on = f"to go on: {command(ledger.directory)}"
            said = words or f"a process ended with exit code {worst}"
            raise _ERRORS.get(worst, SynsimError)(said if go_on in said else f"{said}; {go_on}")
        return Launched(worst)

    def states(self, ledger: Ledger, pending: Sequence[int]) -> Mapping[int, GroupState]:
        """Nothing that the locks of the groups do not say."""
        del ledger, pending
        return {}

    def gathers(self, directory: Path) -> bool:
        """No: who runs the groups gathers them."""
        del directory
        return False

    def cancel(self, ledger: Ledger) -> list[str]:
        """Asks the processes of this machine that compute a group to save and to stop."""
        told = []
        for group in ledger.pending():
            pid = holder_here(ledger.group_folder(group))
            if pid is not None:
                with suppress(OSError):
                    os.kill(pid, signal.SIGTERM)
                    told.append(f"process {pid}, in group {group}, was told to stop")
        return told


def fair(sizes: Mapping[int, int], processes: int) -> list[list[int]]:
    """Groups of these sizes, shared so that all processes have about as many points; in each the lowest first."""
    shares: list[list[int]] = [[] for _ in range(min(processes, len(sizes)))]
    for group in sorted(sizes, key=lambda group: (-sizes[group], group)):
        min(shares, key=lambda share: sum(sizes[each] for each in share)).append(group)
    return [sorted(share) for share in shares]


def _left(ledger: Ledger, groups: Sequence[int]) -> tuple[int | None, list[int]]:
    """The group that a process was killed in, and those after it. Neither where it was killed before its first."""
    for place, group in enumerate(groups):
        with suppress(StoreError):
            if read_status(ledger.group_folder(group))["state"] == "running":
                return group, list(groups[place + 1 :])
    return None, []


class _Worker:
    """A process that computes some groups one after another; what it says is read without waiting for it."""

    def __init__(self, number: int, groups: Sequence[int], directory: Path, options: Sequence[str]):
        self.number, self.groups, self.closed = number, list(groups), False
        self.last_words = ""
        words = [sys.executable, "-m", "synsim", "sweep-task", str(directory)]
        # its own session: what is typed in the terminal reaches it once, through the process that started it
        self.process = subprocess.Popen(
            [*words, "--groups", compressed(groups), "--parent", str(os.getpid()), *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        assert self.process.stdout is not None
        self.pipe = self.process.stdout
        os.set_blocking(self.pipe.fileno(), False)
        self._rest = b""

    def lines(self) -> Iterator[str]:
        """What it has said since it was last asked, in whole lines."""
        data = b""
        with suppress(BlockingIOError):
            data = os.read(self.pipe.fileno(), 1 << 16)
            self.closed = not data
        *whole, self._rest = (self._rest + data).split(b"\n")
        if self.closed and self._rest:
            whole.append(self._rest)
        for line in whole:
            if line.startswith(b"synsim: "):
                self.last_words = line.removeprefix(b"synsim: ").decode(errors="replace")
            yield f"[{self.number}] {line.decode(errors='replace')}"

    @property
    def ended(self) -> bool:
        """Whether it is gone, and all that it said was read."""
        return self.closed and self.process.poll() is not None

    def tell_to_stop(self) -> None:
        with suppress(ProcessLookupError):
            self.process.terminate()


def _badness(code: int) -> int:
    return WORST.index(code) if code in WORST else len(WORST)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
