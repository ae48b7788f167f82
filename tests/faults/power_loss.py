"""What a disk may hold after a loss of power, made from the calls that a process made.

`Recording` notes what is done below a folder; `crash` cuts that short and makes of it one state that POSIX allows: only
fsync of a file makes its bytes last, and only fsync of a folder the names in it. Whatever was not synced may be there
or not, each call for itself, whatever came before or after it; bytes also in part, or as zeros.
"""

from __future__ import annotations

import copy
import os
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = 0


@dataclass
class File:
    """The bytes that last, and what was done since: bytes at an offset, or a new size."""

    content: bytearray = field(default_factory=bytearray)
    waiting: list[tuple[int, bytes | None]] = field(default_factory=list)

    def apply(self, offset: int, data: bytes | None) -> None:
        """Write there; or, without data, make the file as long as that."""
        if data is None:
            del self.content[offset:]
        self.content.extend(bytes(max(0, offset - len(self.content))))
        if data is not None:
            self.content[offset : offset + len(data)] = data


@dataclass
class Folder:
    """The names that last, and what was done since: each a few names, and whose they are now (None: nobody's)."""

    names: dict[str, int] = field(default_factory=dict)
    waiting: list[dict[str, int | None]] = field(default_factory=list)

    def apply(self, change: dict[str, int | None]) -> None:
        """The change becomes part of it, all its names together."""
        self.names |= {name: number for name, number in change.items() if number is not None}
        for name in [name for name, number in change.items() if number is None]:
            self.names.pop(name, None)


class Killed(BaseException):
    """Comes out of every call once the process is said to be killed, so that it does no more."""


class Recording:
    """Notes the calls of `os` that change what is below `root`, while it lasts.

    After `kill_at` calls none is made any more, as if the process had been killed.
    """

    def __init__(self, root: Path):
        self.root = root
        self.disk: dict[int, File | Folder] = {}  # as it is at the start, by number
        self.calls: list[tuple[Any, ...]] = []
        self._take(root)
        self._names = {number: dict(it.names) for number, it in self.disk.items() if isinstance(it, Folder)}  # as seen
        self._open: dict[int, int] = {}  # descriptor: number
        self.kill_at: int | None = None
        self._lock = threading.RLock()
        self._real: dict[str, Callable[..., Any]] = {}

    def _take(self, path: Path) -> int:
        number = len(self.disk)
        self.disk[number] = folder = Folder()
        for each in sorted(path.iterdir()):
            if each.is_dir():
                folder.names[each.name] = self._take(each)
            else:
                folder.names[each.name] = len(self.disk)
                self.disk[len(self.disk)] = File(bytearray(each.read_bytes()))
        return number

    def said(self, what: Any) -> None:
        """Note that somebody was told something, which has to be true from here on."""
        with self._lock:
            self.calls.append(("said", what))

    def __enter__(self) -> Recording:
        for name in [name.removeprefix("_after_") for name in dir(self) if name.startswith("_after_")]:
            self._watch(name)
        return self

    def __exit__(self, *_: object) -> None:
        for name, real in self._real.items():
            setattr(os, name, real)

    def _watch(self, name: str) -> None:
        self._real[name] = real = getattr(os, name)
        after = getattr(self, f"_after_{name}")

        def call(*given: Any, **named: Any) -> Any:
            with self._lock:
                if self.kill_at is not None and len(self.calls) >= self.kill_at and name != "close":
                    raise Killed
                found = real(*given, **named)
                after(found, *given, **named)
                return found

        setattr(os, name, call)

    def _place(self, path: Any, folder: int | None) -> tuple[int, str] | None:
        """The number of the folder that a path is in, and its name there; None where that is not below the root."""
        if folder is not None:
            at = self._open.get(folder)
            return None if at is None else (at, os.fspath(path))
        whole = Path(os.path.abspath(path))
        if whole == self.root or not whole.is_relative_to(self.root):
            return None
        number = ROOT
        for name in whole.relative_to(self.root).parts[:-1]:
            number = self._names[number][name]
        return number, whole.name

    def _number(self, path: Any, folder: int | None) -> int | None:
        if folder is None and os.path.abspath(path) == str(self.root):
            return ROOT
        if folder is not None and os.fspath(path) == ".":
            return self._open.get(folder)
        place = self._place(path, folder)
        return self._names[place[0]].get(place[1]) if place else None

    def _change(self, folder: int, change: dict[str, int | None]) -> None:
        seen = Folder(self._names[folder])
        seen.apply(change)
        self._names[folder] = seen.names
        self.calls.append(("name", folder, change))

    def _make(self, place: tuple[int, str], kind: type) -> int:
        number = len(self.disk)
        self.disk[number] = kind()
        if kind is Folder:
            self._names[number] = {}
        self._change(place[0], {place[1]: number})
        return number

    def _after_open(self, fd: int, path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        del mode
        number = self._number(path, dir_fd)
        if number is None and flags & os.O_CREAT and (place := self._place(path, dir_fd)):
            number = self._make(place, File)
        elif number is not None and flags & os.O_TRUNC:
            self.calls.append(("data", number, 0, None))
        if number is not None:
            self._open[fd] = number

    def _after_dup(self, fd: int, other: int) -> None:
        if other in self._open:
            self._open[fd] = self._open[other]

    def _after_close(self, _: None, fd: int) -> None:
        self._open.pop(fd, None)

    def _after_write(self, wrote: int, fd: int, data: Any) -> None:
        if fd in self._open:
            self._after_pwrite(wrote, fd, data, os.lseek(fd, 0, os.SEEK_CUR) - wrote)

    def _after_pwrite(self, wrote: int, fd: int, data: Any, offset: int) -> None:
        if fd in self._open:
            self.calls.append(("data", self._open[fd], offset, bytes(memoryview(data).cast("B")[:wrote])))

    def _after_ftruncate(self, _: None, fd: int, size: int) -> None:
        if fd in self._open:
            self.calls.append(("data", self._open[fd], size, None))

    def _after_fsync(self, _: None, fd: int) -> None:
        if fd in self._open:
            self.calls.append(("sync", self._open[fd]))

    def _after_replace(
        self, _: None, old: Any, new: Any, *, src_dir_fd: int | None = None, dst_dir_fd: int | None = None
    ) -> None:
        if place := self._place(old, src_dir_fd):
            folder, name = self._place(new, dst_dir_fd) or (-1, "")
            assert folder == place[0], "a rename between folders is not in this model"
            self._change(folder, {place[1]: None, name: self._names[folder][place[1]]})

    _after_rename = _after_replace

    def _after_unlink(self, _: None, path: Any, *, dir_fd: int | None = None) -> None:
        if place := self._place(path, dir_fd):
            self._change(place[0], {place[1]: None})

    _after_rmdir = _after_unlink

    def _after_mkdir(self, _: None, path: Any, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        del mode
        if place := self._place(path, dir_fd):
            self._make(place, Folder)


def crash(recording: Recording, cut: int, rng: random.Random, into: Path) -> list[Any]:
    """Write one state of the disk after a loss of power before call `cut`; what had been said until then."""
    disk, said = copy.deepcopy(recording.disk), []
    for kind, *given in recording.calls[:cut]:
        if kind == "said":
            said.append(given[0])
        elif kind == "sync":
            _settle(disk[given[0]])
        elif kind == "data":
            disk[given[0]].waiting.append((given[1], given[2]))
        else:
            disk[given[0]].waiting.append(given[1])
    # all, none, or any of what waits; names and bytes apart, since file systems treat them apart
    keep = {kind: rng.choice((0.0, 0.1, 0.5, 0.9, 1.0)) for kind in (File, Folder)}
    for each in disk.values():
        _settle(each, lambda each=each: rng.random() < keep[type(each)], rng)
    _lay_down(disk, ROOT, into)
    return said


def _settle(what: File | Folder, kept: Callable[[], bool] = lambda: True, rng: random.Random | None = None) -> None:
    if isinstance(what, Folder):
        for change in what.waiting:
            if kept():
                what.apply(change)
    else:
        for offset, data in what.waiting:
            if kept():
                what.apply(offset, data if rng is None or data is None else _torn(data, rng))
    what.waiting = []


def _torn(data: bytes, rng: random.Random) -> bytes:
    """The data whole, cut short, or with zeros in the place of some of it."""
    a, b = sorted(rng.randrange(len(data) + 1) for _ in range(2))
    return rng.choice((data, data, data[:b], data[:a] + bytes(b - a) + data[b:]))


def _lay_down(disk: dict[int, File | Folder], number: int, path: Path) -> None:
    what = disk[number]
    if isinstance(what, File):
        path.write_bytes(what.content)
        return
    path.mkdir()
    for name, inner in what.names.items():
        _lay_down(disk, inner, path / name)
