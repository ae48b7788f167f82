"""Files that are there whole or not at all, whatever happens while they are written, and that know their own digest.

A sealed file ends with a line of 80 bytes that holds the SHA-256 of all before it; a large one may be sealed block by
block instead (`blocks`). HDF5 and zip readers take no notice of what follows the end that they know.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from synsim import blocks
from synsim.straight import write_in_blocks

SEAL = b"\nsynsim-sha256 "
SEAL_BYTES = len(SEAL) + 64 + 1


def seal(digest: Any) -> bytes:
    """The seal that ends a file whose content has this digest."""
    return SEAL + digest.hexdigest().encode() + b"\n"


def opened_seal(data: bytes) -> bytes:
    """What a sealed file holds. A ValueError where it is not what was sealed."""
    content, end = data[:-SEAL_BYTES], data[-SEAL_BYTES:]
    if end != seal(hashlib.sha256(content)):
        raise ValueError("it has no seal" if SEAL not in end else "it is not as it was written")
    return content


def digest_of(fd: int, size: int, check: Callable[[], None] = lambda: None) -> Any:
    """The SHA-256 of the first `size` bytes of an open file; `check` is called now and then and may raise."""
    digest, at = hashlib.sha256(), 0
    while at < size:
        block = os.pread(fd, min(1 << 22, size - at), at)
        if not block:
            break
        digest.update(block)
        check()
        at += len(block)
    return digest


def open_regular(path: str | Path, folder: int | None = None) -> int:
    """A file open for reading. An OSError for anything that is no file, as a pipe that nobody writes to."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=folder)
    if stat.S_ISREG(os.fstat(fd).st_mode):
        return fd
    os.close(fd)
    raise OSError(errno.EINVAL, "it is not a regular file", os.fspath(path))


def read_regular(path: str | Path, folder: int | None = None, most: int | None = None) -> bytes:
    """All that a file holds. An OSError where that is more than `most` bytes, or it is no file."""
    with os.fdopen(open_regular(path, folder), "rb") as file:
        data = file.read() if most is None else file.read(most + 1)
    if most is not None and len(data) > most:
        raise OSError(errno.EFBIG, f"it holds more than {most:,} bytes", os.fspath(path))
    return data


def seal_fault(path: str | Path, check: Callable[[], None] = lambda: None) -> str | None:
    """What is wrong with a sealed file, or None; `check` as above. An OSError where it cannot be read."""
    fd = open_regular(path)
    try:
        size = os.fstat(fd).st_size - SEAL_BYTES
        end = os.pread(fd, SEAL_BYTES, max(0, size))
        if end.startswith(blocks.MARK):
            return blocks.fault(fd, check)
        if size < 0 or not end.startswith(SEAL):
            return "it has no seal: it was cut short, or written by something else"
        return None if end == seal(digest_of(fd, size, check)) else "it is not as it was written"
    finally:
        os.close(fd)


@contextmanager
def atomic_file(folder: int, name: str, read_soon: bool = True) -> Iterator[tuple[int, str]]:
    """A temporary file (its descriptor and name) that becomes `name` in `folder` when the block ends well.

    The system forgets what it holds in memory of one that nobody will read soon.
    """
    temporary = f".{name}.tmp{os.getpid()}"
    flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(temporary, flags, 0o666, dir_fd=folder)
    try:
        try:
            yield fd, temporary
            os.fsync(fd)
            if not read_soon and hasattr(os, "posix_fadvise"):
                os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
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


def make_folder(path: Path) -> None:
    """Make a folder, and those above it where need be, that are still there after a loss of power."""
    if not path.exists():
        make_folder(path.parent)
        with suppress(FileExistsError):
            path.mkdir()
    keep_entry(path)


def keep_entry(path: Path) -> None:
    """Make sure that a file or folder is still listed in its folder after a loss of power."""
    try:
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except PermissionError:  # a folder that one may pass but not read, whose entries are older than this run
        return
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def publish(folder: int, name: str, data: bytes) -> None:
    """`atomic_write` in an open folder."""
    with atomic_file(folder, name) as (fd, _):
        write_all(fd, data)


def publish_sealed(folder: int, name: str, data: bytes | memoryview) -> int:
    """`publish` with a seal at the end; the bytes of the file."""
    with atomic_file(folder, name) as (fd, _):
        return write_sealed(fd, data)


def publish_in_blocks(folder: int, name: str, parts: Sequence[memoryview]) -> int:
    """`publish` of a large content that stands in parts, sealed block by block; the bytes of the file."""
    with atomic_file(folder, name, read_soon=False) as (fd, _):
        return write_in_blocks(fd, parts)


def write_sealed(fd: int, data: bytes | memoryview) -> int:
    """Write the data and their seal; the bytes written."""
    write_all(fd, data)
    write_all(fd, seal(hashlib.sha256(data)))
    return len(data) + SEAL_BYTES


def write_all(fd: int, data: bytes | memoryview) -> None:
    """Write all of it: one write may take less than it was given."""
    left = memoryview(data)
    while left:
        left = left[os.write(fd, left) :]


class Placed(io.RawIOBase):
    """A file for HDF5 to write to that knows its place in it; what is read and written is up to its kind."""

    _at = 0

    @property
    def size(self) -> int:
        """Its bytes."""
        raise NotImplementedError

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = self.size + offset if whence == os.SEEK_END else offset + self._at * whence
        return self._at

    def tell(self) -> int:
        return self._at


class Disk(Placed):
    """A file for HDF5 to write to that never shows it a failure: HDF5 corrupts the process when its disk is full.

    The first error is kept in `error` for the caller, who looks at it and gives up.
    """

    def __init__(self, fd: int):
        self._fd, self.error = fd, None

    @property
    def size(self) -> int:
        return os.fstat(self._fd).st_size

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
