"""A seal for large files, of which a part can be held against it without a look at the rest.

The content is followed by a table, the XXH3 (128 bits) of each of its blocks of half a MiB, and by a line of 80 bytes
with the SHA-256 of the table and of the content's length. Each byte is hashed once, and in the pass that writes it: by
what tells damage in a thirtieth of the time that SHA-256 takes, which is more than a disk needs.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable

import xxhash

MARK = b"\nsynsim-blocks "
LINE_BYTES = len(MARK) + 64 + 1
BLOCK_BYTES = 1 << 19
DIGEST_BYTES = 16


def digests(pieces: Iterable[memoryview]) -> bytes:
    """The table of a stretch of content that begins where a block does, and ends so or with the content."""
    made, digest, room = [], xxhash.xxh3_128(), BLOCK_BYTES
    for piece in pieces:
        while piece:
            digest.update(piece[:room])
            taken = min(room, len(piece))
            piece, room = piece[taken:], room - taken
            if not room:
                made.append(digest.digest())
                digest, room = xxhash.xxh3_128(), BLOCK_BYTES
    if room < BLOCK_BYTES:
        made.append(digest.digest())
    return b"".join(made)


def ending(table: bytes, size: int) -> bytes:
    """What follows a content of so many bytes: its table and the last line."""
    return table + MARK + hashlib.sha256(size.to_bytes(8, "big") + table).hexdigest().encode() + b"\n"


def opened_table(fd: int) -> tuple[int, bytes]:
    """The bytes of an open file's content, and their table. A ValueError where it is not what was sealed."""
    whole = os.fstat(fd).st_size - LINE_BYTES
    line = os.pread(fd, LINE_BYTES, max(0, whole))
    if whole < 0 or not line.startswith(MARK):
        raise ValueError("it has no seal of its blocks")
    size = whole - DIGEST_BYTES * -(-whole // (BLOCK_BYTES + DIGEST_BYTES))
    table = os.pread(fd, whole - size, size)
    if ending(table, size) != table + line:
        raise ValueError("it is not as it was written")
    return size, table


def fault(fd: int, check: Callable[[], None] = lambda: None) -> str | None:
    """What is wrong with an open file, or None; `check` is called now and then and may raise."""
    try:
        size, table = opened_table(fd)
        for number in range(len(table) // DIGEST_BYTES):
            _block(fd, number, size, table)
            check()
    except ValueError as error:
        return str(error)
    return None


def read_into(fd: int, start: int, out: memoryview) -> None:
    """Fill `out` with the content from `start` on. A ValueError where that is not what was sealed."""
    size, table = opened_table(fd)
    stop = start + len(out)
    if not 0 <= start <= stop <= size:
        raise ValueError(f"it holds {size:,} bytes, not {stop:,}")
    for number in range(start // BLOCK_BYTES, -(-stop // BLOCK_BYTES)):
        begin = number * BLOCK_BYTES
        low, high = max(start, begin), min(stop, begin + BLOCK_BYTES)
        out[low - start : high - start] = _block(fd, number, size, table)[low - begin : high - begin]


def _block(fd: int, number: int, size: int, table: bytes) -> memoryview:
    at = number * BLOCK_BYTES
    block = os.pread(fd, min(BLOCK_BYTES, size - at), at)
    if xxhash.xxh3_128_digest(block) != table[DIGEST_BYTES * number : DIGEST_BYTES * (number + 1)]:
        raise ValueError("it is not as it was written")
    return memoryview(block)
