"""Large files: sealed block by block, written straight to the disk, and in segments laid in as they stand."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
import pytest
import xxhash
from stored import ALL_STEPS, write

from synsim import blocks, merging, segments, straight
from synsim import verify as verify_run
from synsim.faults import StoreError
from synsim.files import publish_in_blocks, seal_fault
from synsim.layout import Joined, Layout, RecordLayout, Trace
from synsim.outline import Outline
from synsim.store import Run, Writer

SIZES = [0, 1, blocks.BLOCK_BYTES - 1, blocks.BLOCK_BYTES, blocks.BLOCK_BYTES + 1, 3 * blocks.BLOCK_BYTES + 77]
SIZES += [straight.SLOT_BYTES, 2 * straight.SLOT_BYTES + 12345]


@contextmanager
def opened(path: Path) -> Iterator[int]:
    fd = os.open(path, os.O_RDONLY)
    yield fd
    os.close(fd)


def cut(data: bytes, rng: np.random.Generator, pieces: int = 4) -> list[memoryview]:
    """The data in parts."""
    places = [0, *sorted(rng.integers(0, len(data) + 1, pieces - 1).tolist()), len(data)]
    return [memoryview(data)[low:high] for low, high in zip(places, places[1:], strict=False) if low < high]


def published(folder: Path, data: bytes, seed: int = 0) -> Path:
    at = os.open(folder, os.O_RDONLY)
    try:
        size = publish_in_blocks(at, "large", cut(data, np.random.default_rng(seed)))
    finally:
        os.close(at)
    assert size == (folder / "large").stat().st_size
    return folder / "large"


@pytest.mark.parametrize("size", SIZES)
def test_a_file_in_blocks_is_its_content_its_table_and_a_line(size, tmp_path):
    data = np.random.default_rng(size).bytes(size)
    path = published(tmp_path, data)
    table = b"".join(xxhash.xxh3_128(data[at : at + (1 << 19)]).digest() for at in range(0, size, 1 << 19))
    line = b"\nsynsim-blocks " + hashlib.sha256(size.to_bytes(8, "big") + table).hexdigest().encode() + b"\n"
    assert path.read_bytes() == data + table + line
    assert seal_fault(path) is None
    with opened(path) as fd:
        assert blocks.opened_table(fd) == (size, table)
        rng = np.random.default_rng(1)
        for start, stop in [(0, size), (size, size), *np.sort(rng.integers(0, size + 1, (5, 2))).tolist()]:
            out = bytearray(stop - start)
            blocks.read_into(fd, start, memoryview(out))
            assert out == data[start:stop]
        with pytest.raises(ValueError, match="bytes, not"):
            blocks.read_into(fd, size, memoryview(bytearray(1)))


def test_every_damage_is_noticed_where_it_is(tmp_path):
    size = 3 * blocks.BLOCK_BYTES + 1000
    path = published(tmp_path, bytes(size))
    good, rng = path.read_bytes(), np.random.default_rng(3)
    for at in [0, size - 1, size, len(good) - 81, len(good) - 80, len(good) - 1, *rng.integers(0, size, 20).tolist()]:
        bad = bytearray(good)
        bad[at] ^= 1 << int(rng.integers(8))
        path.write_bytes(bad)
        assert seal_fault(path), at
        if at < size:
            block = at // blocks.BLOCK_BYTES
            with opened(path) as fd:
                for number in range(4):
                    out = memoryview(bytearray(10))
                    if number == block:
                        with pytest.raises(ValueError, match="not as it was written"):
                            blocks.read_into(fd, number * blocks.BLOCK_BYTES, out)
                    else:
                        blocks.read_into(fd, number * blocks.BLOCK_BYTES, out)
    for length in [0, 10, 80, size, len(good) - 32, len(good) - 1]:
        path.write_bytes(good[:length])
        assert seal_fault(path), length
    path.write_bytes(good[: blocks.BLOCK_BYTES] + good[2 * blocks.BLOCK_BYTES :])  # a block less
    assert seal_fault(path)
    path.write_bytes(good + b"x")
    assert seal_fault(path)


@pytest.mark.parametrize("how", ["not at all", "only says so", "in bits"])
def test_where_the_disk_cannot_be_written_straight(how, tmp_path, monkeypatch):
    """The bytes are the same."""
    data = np.random.default_rng(0).bytes(2 * straight.SLOT_BYTES + 999)
    real, seen = os.write, []

    def write(fd: int, part: memoryview) -> int:
        import fcntl

        seen.append(bool(fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_DIRECT))
        if how == "only says so" and seen[-1]:
            raise OSError(errno.EINVAL, "no")
        return real(fd, part[:100_000] if how == "in bits" else part)

    if how == "not at all":
        monkeypatch.setattr(straight, "STRAIGHT", 0)
    monkeypatch.setattr(os, "write", write)
    path = published(tmp_path, data)
    assert path.read_bytes()[: len(data)] == data and seal_fault(path) is None
    assert seen and not seen[-1] and (how != "not at all" or not any(seen))


@pytest.mark.parametrize("which", [1, 2])
def test_a_disk_that_is_full_says_so_and_leaves_nothing(which, tmp_path, monkeypatch):
    real, count = os.write, [0]

    def write(fd: int, part: memoryview) -> int:
        count[0] += 1
        if count[0] == which:
            return real(fd, part[:5000])
        if count[0] > which:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(fd, part)

    monkeypatch.setattr(os, "write", write)
    with pytest.raises(OSError, match="No space left"):
        published(tmp_path, bytes(3 * straight.SLOT_BYTES))
    assert not list(tmp_path.iterdir())


# --- segments --------------------------------------------------------------------------------------------------------


def test_rows_joined_count_as_one():
    parts = [np.arange(6.0, dtype=np.float32).reshape(2, 3), np.ones((1, 3), np.float32)]
    joined = Joined(parts)
    assert joined.shape == (3, 3) and joined.size == 9 and joined.nbytes == 36 and len(joined) == 3
    np.testing.assert_array_equal(np.asarray(joined), np.concatenate(parts))
    assert np.asarray(joined, np.float64).dtype == np.float64


def test_hdf5_around_rows_is_hdf5(tmp_path):
    """Any reader of HDF5 finds large columns where small ones would be."""
    rng = np.random.default_rng(0)
    large, other = rng.normal(size=(700, 1000)).astype(np.float32), rng.integers(0, 9, 200_000)
    small = np.arange(700.0)
    rows = Joined([large[:300], large[300:301], large[301:]])
    columns = {"/report/z.v/data": rows, "/report/z.v/time": small, "/spikes/z/node_ids": other}
    parts = segments.segment_parts(0, 700, "x", columns)
    assert parts is not None
    shared = [part for part in parts if np.shares_memory(np.frombuffer(part, np.uint8), large)]
    assert len(shared) == 3, "rows were copied"
    at = os.open(tmp_path, os.O_RDONLY)
    publish_in_blocks(at, segments.segment_name(0, 700), parts)
    os.close(at)
    path = tmp_path / segments.segment_name(0, 700)
    with h5py.File(path) as file:
        np.testing.assert_array_equal(file["report/z.v/data"][:], large)
        np.testing.assert_array_equal(file["report/z.v/time"][:], small)
        np.testing.assert_array_equal(file["spikes/z/node_ids"][:], other)
        assert file["report/z.v/data"].chunks is None and file["report/z.v/time"].fletcher32
        assert file.attrs["last"] == 700
    found = segments.Segments(tmp_path, sha256="x")
    np.testing.assert_array_equal(found.read("/report/z.v/data", 299, 650, (slice(3, 5),)), large[299:650, 3:5])
    np.testing.assert_array_equal(np.concatenate(list(found.pieces("/spikes/z/node_ids"))), other)


def test_an_outline_that_hdf5_writes_over_is_refused():
    outline = Outline()
    outline.write(b"12345678")
    assert [bytes(part) for part in outline.around([(8, [memoryview(b"ab")])])] == [b"12345678", b"ab"]
    with pytest.raises(RuntimeError, match="where rows"):
        outline.around([(6, [memoryview(b"ab")])])


def test_what_is_compressed_or_read_lane_by_lane_stands_in_chunks():
    columns = {"/report/z.v/data": np.zeros((700, 1000), np.float32)}
    assert segments.segment_parts(0, 700, "x", columns, {"/report/z.v": "gzip"}) is None
    assert segments.segment_parts(0, 700, "x", columns, lanes=2) is None
    assert segments.segment_parts(0, 700, "x", {"/report/z.v/data": np.zeros((9, 9))}) is None


def test_the_finished_file_does_not_tell_how_its_segments_stood(tmp_path, monkeypatch):
    cuts = tuple(range(10, ALL_STEPS, 10))
    chunked = write(tmp_path / "a" / "small", cuts).read_bytes()
    seen: list[bool] = []
    real = segments.segment_parts
    monkeypatch.setattr("synsim.store.segment_parts", lambda *given: [seen.append(True), real(*given)][1])
    monkeypatch.setattr(segments, "LARGE_BYTES", 1)
    for limit in (segments.HELD_BYTES, 100):  # held, and read piece by piece
        monkeypatch.setattr(segments, "HELD_BYTES", limit)
        monkeypatch.setattr(segments, "PIECE_BYTES", limit)
        monkeypatch.setattr(merging, "IN_MEMORY", limit)
        again = write(tmp_path / str(limit) / "small", cuts)
        if limit > 100:
            assert again.read_bytes() == chunked
        with h5py.File(again) as one, h5py.File(tmp_path / "a" / "small" / "small.h5") as other:
            one.visititems(
                lambda name, item, other=other: (
                    np.testing.assert_array_equal(item[()], other[name][()]) if isinstance(item, h5py.Dataset) else None
                )
            )
    assert len(seen) == 2 * (len(cuts) + 1)


def wide(name: str) -> Layout:
    return Layout(name, (RecordLayout("z", "v", "report", (1000,), (("unit", np.arange(1000)),), interval=1.0),))


def test_a_wrong_bit_in_large_rows_is_no_result(tmp_path, monkeypatch):
    """Who reads the part that it is in is told; so is verify, who goes on, and who merges."""
    monkeypatch.setattr(segments, "HELD_BYTES", 1 << 20)
    folder = tmp_path / "wide"
    rows = np.arange(2_000_000, dtype=np.float32).reshape(2000, 1000)
    writer = Writer(folder, wide("wide"))
    for first in (0, 1000):
        step = np.arange(first, first + 1000)
        writer.segment(first, first + 1000, {"z.v": Trace(rows[step], step, 0 * step, 0 * step)})
        writer.checkpoint(first + 1000, b"a state")
    with Run(folder) as run:
        np.testing.assert_array_equal(np.asarray(run.records["z.v"].data), rows)
    path = folder / "seg" / segments.segment_name(1000, 2000)
    data = bytearray(path.read_bytes())
    place = data.index(rows[1900].tobytes())
    data[place + 5] ^= 4
    path.write_bytes(data)
    with Run(folder) as run:
        np.testing.assert_array_equal(run.records["z.v"].data[:1500], rows[:1500])
        with pytest.raises(StoreError, match="not as it was written"):
            run.records["z.v"].data[1890:1910]
    damaged = [each.path for each in verify_run(folder).damaged if each.path.suffix == ".h5"]
    assert damaged == [path]
    assert "not as it was written" in (writer.fault(2000) or "") and writer.fault(1000) is None
    with pytest.raises(StoreError, match="not as it was written"):
        writer.finish({})
    assert not (folder / "wide.h5").exists()
    writer.close()
