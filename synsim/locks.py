"""One writer for a run directory: a lock that the operating system drops when the process ends."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from synsim.faults import Locked
from synsim.files import read_regular, write_all

_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, 524}  # 524: NFS's ENOTSUPP
_EXCLUSIVE = "lock.owner"
_TAKING = "lock.taking"
_HOLDER_BYTES = 4096


class RunLock:
    """The lock of an open directory, held until `release` or the end of the process.

    Where the file system knows no flock, a file made with O_EXCL stands in; one whose process is gone from this host
    is taken over, and so is one of an earlier start of the same Slurm job, which Slurm has ended. Others are respected,
    also by who has flock: not all hosts need to have it on one file system.
    """

    def __init__(self, folder: int, directory: Path):
        self.owner: dict[str, Any] = {"host": socket.gethostname(), "pid": os.getpid(), "born": _born(os.getpid())}
        if job := os.environ.get("SLURM_JOB_ID"):
            count = os.environ.get("SLURM_RESTART_COUNT", "")
            self.owner |= {"job": job, "start": int(count) if count.isdecimal() else 0}
        self._folder, self._directory, self._exclusive = os.dup(folder), directory, False
        self._fd = -1
        try:
            self._fd = os.open("lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666, dir_fd=folder)
            self._take()
            text = json.dumps({**self.owner, "since": datetime.now(UTC).isoformat(timespec="seconds")}) + "\n"
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, text.encode(), 0)
        except BaseException as error:
            self.release()
            if isinstance(error, OSError) and error.errno == errno.ELOOP:
                raise Locked(f"{directory / 'lock'} is a symbolic link; synsim writes only files of its own") from error
            raise

    def _take(self) -> None:
        for attempt in range(5):
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if attempt == 4:
                    raise Locked(f"{self._directory} is being written by {_who(self._read())}") from None
                time.sleep(0.05)  # a reader that looks whether the run is alive holds it for a moment
            except OSError as error:
                if error.errno not in _NO_LOCKS:
                    raise
                self._take_exclusive()
                return
        if self._stale():
            os.unlink(_EXCLUSIVE, dir_fd=self._folder)

    def _take_exclusive(self) -> None:
        for _ in range(20):
            if self._made(_EXCLUSIVE):
                self._exclusive = True
                return
            # of two that find the same dead holder, neither may remove the file that the other has made since
            if self._stale() and self._made(_TAKING):
                try:
                    if self._stale():
                        os.unlink(_EXCLUSIVE, dir_fd=self._folder)
                        self._exclusive = self._made(_EXCLUSIVE)
                finally:
                    os.unlink(_TAKING, dir_fd=self._folder)
                if self._exclusive:
                    return
            time.sleep(0.05)
        raise Locked(
            f"{self._directory} is being taken by another process; if there is none, remove {self._directory / _TAKING}"
        )

    def _made(self, name: str) -> bool:
        """Whether a file was made that says who we are: not where it is there already."""
        try:
            fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666, dir_fd=self._folder)
        except FileExistsError:
            return False
        try:
            write_all(fd, json.dumps(self.owner).encode())
        except BaseException:
            os.unlink(name, dir_fd=self._folder)
            raise
        finally:
            os.close(fd)
        return True

    def _stale(self) -> bool:
        """Whether an O_EXCL file is there whose process is gone; Locked where it may be alive."""
        try:
            holder = _parse(read_regular(_EXCLUSIVE, self._folder, _HOLDER_BYTES))
        except FileNotFoundError:
            return False
        if self._earlier(holder) or (holder.get("host") == self.owner["host"] and not _alive(holder)):
            return True
        raise Locked(
            f"{self._directory} is being written by {_who(holder)}; if that process is gone, "
            f"remove {self._directory / _EXCLUSIVE}"
        )

    def _earlier(self, holder: dict[str, Any]) -> bool:
        start, job = holder.get("start"), self.owner.get("job")
        return job is not None and holder.get("job") == job and isinstance(start, int) and start < self.owner["start"]

    def _read(self) -> dict[str, Any]:
        return _parse(os.pread(self._fd, 4096, 0))

    def release(self) -> None:
        """Give the directory free; the empty lock file stays, since removing it could free another's."""
        if self._exclusive:
            with suppress(OSError):
                os.unlink(_EXCLUSIVE, dir_fd=self._folder)
            self._exclusive = False
        for fd in (self._fd, self._folder):
            if fd >= 0:
                os.close(fd)
        self._fd = self._folder = -1


def is_live(directory: Path) -> bool:
    """Whether a process holds the directory's lock now."""
    with suppress(OSError):
        holder = _parse(read_regular(directory / _EXCLUSIVE, most=_HOLDER_BYTES))
        return holder.get("host") != socket.gethostname() or _alive(holder)
    try:
        fd = os.open(directory / "lock", os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except OSError as error:
        return isinstance(error, BlockingIOError)
    finally:
        os.close(fd)


def holder_here(directory: Path) -> int | None:
    """The process of this host that holds the directory's lock now, or None."""
    if not is_live(directory):
        return None
    for name in (_EXCLUSIVE, "lock"):
        with suppress(OSError):
            holder = _parse(read_regular(directory / name, most=_HOLDER_BYTES))
            pid = holder.get("pid")
            if holder.get("host") != socket.gethostname() or not isinstance(pid, int) or pid <= 1:
                continue
            if holder.get("born") is not None and _born(pid) == holder["born"]:
                return pid
    return None


def left_elsewhere(directory: Path) -> str | None:
    """The Slurm job of another host whose file holds the directory where there is no flock, or None. Whether that job
    still runs is not known here."""
    with suppress(OSError):
        holder = _parse(read_regular(directory / _EXCLUSIVE, most=_HOLDER_BYTES))
        if holder.get("host") != socket.gethostname() and isinstance(holder.get("job"), str):
            return holder["job"]
    return None


def give_up(directory: Path, job: str) -> None:
    """Remove the file of a Slurm job that holds the directory, and that is known to be gone."""
    if left_elsewhere(directory) == job:
        with suppress(OSError):
            (directory / _EXCLUSIVE).unlink()


def _parse(data: bytes) -> dict[str, Any]:
    with suppress(ValueError, RecursionError):
        found = json.loads(data)
        if isinstance(found, dict):
            return found
    return {}


def _who(holder: dict[str, Any]) -> str:
    if "pid" not in holder:
        return "another process"
    job = f" (job {holder['job']})" if holder.get("job") else ""
    return f"process {holder['pid']} on {holder.get('host', 'another host')}{job}"


def _alive(holder: dict[str, Any]) -> bool:
    """Whether a process of this host still runs; where that cannot be told, it does."""
    pid, born = holder.get("pid"), holder.get("born")
    if not isinstance(pid, int) or pid <= 0:
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        pass
    return born is None or _born(pid) in (None, born)  # numbers are given again, above all in containers


def _born(pid: int) -> int | None:
    """When a process was started, in ticks since this machine was."""
    with suppress(OSError, ValueError, IndexError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    return None
