"""Files that are there whole or not at all, whatever happens while they are written."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any


@contextmanager
def atomic_file(folder: int, name: str) -> Iterator[tuple[int, str]]:
    """A temporary file (its descriptor and name) that becomes `name` in `folder` when the block ends well."""
    temporary = f".{name}.tmp{os.getpid()}"
    flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(temporary, flags, 0o666, dir_fd=folder)
    try:
        try:
            yield fd, temporary
            os.fsync(fd)
        finally:
            os.close(fd)
        os.replace(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary, dir_fd=folder)
        raise
    os.fsync(folder)


def atomic_write(path: str | Path, data: bytes) -> None:
    """Publish `data` as `path`: whoever reads it finds the old content or the new, whatever happens in between."""
    folder = os.open(Path(path).parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        publish(folder, Path(path).name, data)
    finally:
        os.close(folder)


def keep_entry(path: Path) -> None:
    """Make sure that a new file or folder is still listed in its folder after a loss of power."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def publish(folder: int, name: str, data: bytes) -> None:
    """`atomic_write` in an open folder."""
    with atomic_file(folder, name) as (fd, _):
        write_all(fd, data)


def write_all(fd: int, data: bytes | memoryview) -> None:
    """Write all of it: one write may take less than it was given."""
    left = memoryview(data)
    while left:
        left = left[os.write(fd, left) :]


class Disk(io.RawIOBase):
    """A file for HDF5 to write to that never shows it a failure: HDF5 corrupts the process when its disk is full.

    The first error is kept in `error` for the caller, who looks at it and gives up.
    """

    def __init__(self, fd: int):
        self._fd, self._at, self.error = fd, 0, None

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = os.fstat(self._fd).st_size + offset if whence == os.SEEK_END else offset + self._at * whence
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        data = os.pread(self._fd, len(buffer), self._at)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def write(self, data: Any) -> int:
        left, at = memoryview(data).cast("B"), self._at
        while left and self.error is None:
            try:
                wrote = os.pwrite(self._fd, left, at)
            except OSError as error:
                self.error = error
                break
            left, at = left[wrote:], at + wrote
        self._at += len(data)
        return len(data)

    def truncate(self, size: int | None = None) -> int:
        try:
            os.ftruncate(self._fd, self._at if size is None else size)
        except OSError as error:
            self.error = self.error or error
        return self._at if size is None else size

    def check(self) -> None:
        if self.error is not None:
            raise self.error
