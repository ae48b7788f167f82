"""Large files written straight to the disk, past the memory that the system keeps for files.

A run that records much would fill that memory with what nobody reads before its end, and to fill it costs more time
than the disk takes. Where a file system cannot do so, the bytes go the usual way.
"""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress

from synsim import blocks
from synsim.later import np

SLOT_BYTES = 4 << 20  # written at once, from memory that begins where a page does
SLOTS = 2  # one is filled while the other is written
ALIGNED = 4096  # bytes that every part written past the system is a multiple of
STRAIGHT = getattr(os, "O_DIRECT", 0)

_kept: list[mmap.mmap] = []  # memory that nobody uses: to get some from the system takes longer than to fill it


def write_in_blocks(fd: int, parts: Iterable[memoryview]) -> int:
    """Write a content that stands in parts, and the seal of its blocks; the bytes written.

    One stretch is gathered and hashed by the caller's thread while another thread brings the one before to the disk.
    """
    memory = [_kept.pop() if _kept else mmap.mmap(-1, SLOT_BYTES) for _ in range(SLOTS)]
    brought: deque[Future[None]] = deque()
    table, size = bytearray(), 0
    _turn(fd, STRAIGHT)
    with ThreadPoolExecutor(1, "synsim-disk") as disk:
        try:
            for number, stretch in enumerate(_stretches(parts)):
                if len(brought) == SLOTS:
                    brought.popleft().result()
                gathered = _gathered(stretch, np.frombuffer(memory[number % SLOTS], np.uint8))
                brought.append(disk.submit(_write, fd, gathered))
                table += blocks.digests([gathered])
                size += len(gathered)
            for each in brought:
                each.result()
        finally:
            disk.shutdown(cancel_futures=True)
            _kept.extend(memory)
    end = blocks.ending(bytes(table), size)
    _write(fd, memoryview(end))
    return size + len(end)


def _gathered(stretch: Iterable[memoryview], slot: np.ndarray) -> memoryview:
    """The pieces of a stretch in a row, in the memory of a slot."""
    at = 0
    for each in stretch:
        slot[at : at + len(each)] = np.frombuffer(each, np.uint8)
        at += len(each)
    return slot.data[:at]


def _stretches(parts: Iterable[memoryview]) -> Iterator[list[memoryview]]:
    """The content in stretches of as much as a slot holds, each of them in pieces."""
    stretch: list[memoryview] = []
    room = SLOT_BYTES
    for part in parts:
        while part:
            stretch.append(part[:room])
            part, room = part[room:], room - len(stretch[-1])
            if not room:
                yield stretch
                stretch, room = [], SLOT_BYTES
    if stretch:
        yield stretch


def _write(fd: int, data: memoryview) -> None:
    """Write all of it: one write may take less than it was given."""
    while data:
        if len(data) % ALIGNED:
            _turn(fd, 0)
        try:
            data = data[os.write(fd, data) :]
        except OSError as error:
            if error.errno != errno.EINVAL or not _turn(fd, 0):  # it says that it can, and cannot
                raise


def _turn(fd: int, how: int) -> bool:
    """Have the writes to an open file go straight to the disk, or the usual way (0); whether that is a change."""
    flags = fcntl.fcntl(fd, fcntl.F_GETFL)
    wanted = flags & ~STRAIGHT | how
    if wanted != flags:
        with suppress(OSError):  # of a file system that knows only the usual way
            fcntl.fcntl(fd, fcntl.F_SETFL, wanted)
            return True
    return False
