"""A disk that is full, at whichever file: exit 74 with the command to go on, nothing lost that was reported saved."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from conftest import choose

import synsim as package
from faults.command import NOISY, STEPS, Done, every_chunk, leftovers, synsim
from faults.looking import complete, look, reported
from synsim import files, loop, merging, store
from synsim.saving import Saving

CHUNK = 40
# spikes in every step, of which the estimate of the file's size knows nothing: it fits, until it does not
SPIKY = (
    NOISY.replace("name: noisy", "name: spiky").replace("target_freq: 400", "target_freq: 1000").replace("30", "300")
)
KINDS = ("lock", "status.json", "config.yaml", "head.h5", "seg", "ck", "final.h5", "noisy.h5")


@dataclass(frozen=True)
class Published:
    """A file as it is written: its name, its bytes, and how many had been taken of the disk before."""

    name: str
    size: int
    taken: int


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A file system of its own that may be filled up."""
    place = tmp_path_factory.mktemp("disk")
    with mounted(place, "32m"):
        (place / "noisy.yaml").write_text(NOISY)
        yield place


class mounted:  # noqa: N801
    """A small file system in memory, as long as it lasts. Skips the test where nobody may mount one."""

    def __init__(self, place: Path, size: str):
        self.place, self.size = place, size

    def __enter__(self) -> None:
        command = ["mount", "-t", "tmpfs", "-o", f"size={self.size}", "none", str(self.place)]
        if os.geteuid() != 0 or not shutil.which("mount") or subprocess.run(command, capture_output=True).returncode:
            pytest.skip("may not mount a small disk here")

    def grow(self, size: str) -> None:
        subprocess.run(["mount", "-o", f"remount,size={size}", str(self.place)], check=True)

    def __exit__(self, *_: object) -> None:
        subprocess.run(["umount", str(self.place)], check=True)


@pytest.fixture(scope="module")
def unbroken(disk: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Published]]:
    """The file of a run that nothing happens to, and every file that it wrote on the way."""
    seen: list[Published] = []
    free = [0]

    def note(name: str, size: int) -> None:
        room = os.statvfs(disk)
        seen.append(Published(name, size, free[0] - room.f_bavail * room.f_frsize))

    def watched(real: Any) -> Any:
        def call(folder: int, name: str, data: bytes) -> Any:
            note(name, len(data) + (files.SEAL_BYTES if "sealed" in real.__name__ else 0))
            return real(folder, name, data)

        return call

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "simulate", loop.simulate)
        patch.setattr(Saving, "_patience", Saving._patience)
        every_chunk(CHUNK)
        patch.setattr(store, "publish", watched(store.publish))
        patch.setattr(store, "publish_sealed", watched(store.publish_sealed))
        write = merging.write_sealed
        patch.setattr(merging, "write_sealed", lambda fd, data: (note("noisy.h5", len(data)), write(fd, data))[1])
        room = os.statvfs(disk)
        free[0] = room.f_bavail * room.f_frsize
        note("lock", 60)
        with package.run(disk / "noisy.yaml", out=disk / "whole") as left:
            kept = tmp_path_factory.mktemp("whole") / "noisy.h5"
            shutil.copy(left.file, kept)
    shutil.rmtree(disk / "whole")
    assert [next(name for name in KINDS if one.name.startswith(name)) for one in seen].count("seg") == STEPS // CHUNK
    return kept, seen


def places(seen: list[Published]) -> list[tuple[str, int]]:
    """Where the disk is to be full: the file that no longer fits, and the bytes that are left to the whole run."""
    firsts = {next(kind for kind in KINDS if one.name.startswith(kind)): one for one in seen[::-1]}
    third = [one for one in seen if one.name.startswith(("seg", "ck"))][4:6]
    page = os.sysconf("SC_PAGE_SIZE")
    half = [(one.name, one.taken + one.size // 2 // page * page) for one in [*firsts.values(), *third]]
    every = [(one.name, one.taken + page * n) for one in seen for n in range(0, -(-one.size // page), 3)]
    few = [place for place in half if place[0] in (third[1].name, "noisy.h5")]
    return choose(few, half, half + every)


def stopped(done: Done, folder: Path, whole: Path) -> int:
    """The steps that are said to be safe after a disk was full, all of which are."""
    done.clear(74)
    assert "--resume" in done.go_on, done.last
    assert not leftovers(folder.parent) and not list(folder.glob("*.h5"))
    said = re.search(r"steps 0 to (\d+) are safe", done.last)
    assert said is not None or "nothing of this run was saved" in done.last
    saved = int(said[1]) if said else 0
    assert reported(folder) <= saved
    look(folder, whole, saved)
    return saved


def test_the_disk_is_full_at_every_file(disk, unbroken):
    whole, seen = unbroken
    reached = set()
    for number, (name, leave) in enumerate(places(seen)):
        out, ballast = disk / f"run{number}", disk / "ballast"
        words = ("run", "noisy.yaml", "--out", str(out), "-q")
        done = synsim(*words, cwd=disk, chunk=CHUNK, leave=leave, ballast=str(ballast))
        if done.code == 0:  # only what nobody needs any more found no room
            assert name == "status.json" and (out / "noisy" / "noisy.h5").exists()
        else:
            reached.add(stopped(done, out / "noisy", whole))
        ballast.unlink()
        synsim(*(done.go_on if done.code else (*words, "--resume")), cwd=disk, chunk=CHUNK).clear(0)
        complete(out / "noisy", whole)
        shutil.rmtree(out)
    assert reached >= choose({STEPS}, {0, 2 * CHUNK, STEPS})


def test_files_may_not_grow_beyond_a_size(disk, unbroken):
    """A limit on the size of files, at each kind of file in turn."""
    whole, seen = unbroken
    largest = {kind: max(one.size for one in seen if one.name.startswith(kind)) for kind in KINDS[1:]}
    order = sorted(largest.values())
    some = [order[-1] - 1, order[len(order) // 2] - 1, order[0] - 1, 10]
    every = [10, *(size - 1 for size in order), *range(99, 200_000, 9999)]
    for number, size in enumerate(choose(some[:1], some, every)):
        out = disk / f"limited{number}"
        words = ("run", "noisy.yaml", "--out", str(out), "-q")
        done = synsim(*words, cwd=disk, chunk=CHUNK, file_size=size)
        if size > order[-1]:
            done.clear(0)
        else:
            stopped(done, out / "noisy", whole)
            assert "File too large" in done.last
        synsim(*(done.go_on if done.code else (*words, "--resume")), cwd=disk, chunk=CHUNK).clear(0)
        complete(out / "noisy", whole)
        shutil.rmtree(out)


@pytest.mark.skipif(choose(True, False), reason="one of the longer tests")
def test_disks_of_several_sizes(tmp_path):
    """As it happens to a user: too small for the estimate, for segments, for the file; and then there is more room."""
    (tmp_path / "spiky.yaml").write_text(SPIKY)
    synsim("run", "spiky.yaml", "-q", cwd=tmp_path).clear(0)
    whole = tmp_path / "runs" / "spiky" / "spiky.h5"
    size, codes = whole.stat().st_size >> 10, []
    some, every = [3 * size // 2, 100, size // 2, 4 * size], [100, *range(size // 4, 3 * size, size // 12)]
    for number, kib in enumerate(choose(some, some, every)):
        (place := tmp_path / f"disk{number}").mkdir()
        with (small := mounted(place, f"{kib}k")):
            words = ("run", str(tmp_path / "spiky.yaml"), "--out", str(place), "-q")
            done = synsim(*words, cwd=tmp_path)
            codes.append(done.code)
            if done.code == 66:
                assert "to be had there; record less" in done.clear(66).last and not any(place.iterdir())
                continue
            if done.code:
                stopped(done, place / "spiky", whole)
                assert "No space left" in done.last or "are free" in done.last
                again = synsim(*done.go_on, "-q", cwd=tmp_path)  # as long as nothing has changed
                if again.code == 66:
                    assert "are to be had there; make room" in again.clear(66).last
                else:
                    stopped(again, place / "spiky", whole)
                small.grow(f"{4 * size}k")
                synsim(*done.go_on, cwd=tmp_path).clear(0)
            complete(place / "spiky", whole)
    assert set(codes) == {0, 66, 74}
