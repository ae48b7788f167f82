"""Calls that fail, one at a time or from one on: exit 73 or 74, and nothing was reported as saved that is not there."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import stat
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from conftest import choose

from faults.command import NOISY, STEPS, synsim
from faults.looking import complete, look, reported
from faults.small_run import SAVE, small_run
from faults.test_full_disk import mounted, stopped
from faults.tracing import needs_strace
from synsim import segments
from synsim.faults import Locked, StoreError

FAILING = {
    "fsync": (errno.EIO, errno.EDQUOT, errno.ENOSPC, errno.EROFS),
    "replace": (errno.EIO, errno.EDQUOT, errno.EROFS, errno.EACCES),
    "open": (errno.EACCES, errno.EROFS, errno.EIO, errno.EDQUOT, errno.ENOLCK),
    "write": (errno.EDQUOT, errno.EIO, errno.ENOSPC),
    "pwrite": (errno.EDQUOT, errno.EIO),
    "ftruncate": (errno.EIO, errno.EROFS),
    "mkdir": (errno.EACCES, errno.EROFS, errno.EDQUOT),
    "unlink": (errno.EIO, errno.EROFS, errno.EACCES),
    "rmdir": (errno.EIO,),
    "listdir": (errno.EIO, errno.EACCES),
    "pread": (errno.EIO,),
    "stat": (errno.EIO,),
    "flock": (errno.ENOLCK, errno.EIO, errno.EACCES),
}


class Watch:
    """Every call on something in a folder, counted by its name; the chosen one fails, and those after it if `lasting`.

    No fsync is made, which is most of the time that a small run takes.
    """

    def __init__(self, folder: Path):
        self.folder, self.made, self.counts = str(folder), [], {}
        self.failing: tuple[str, int, int, bool] | None = None
        self.unsynced: set[tuple[int, int]] = set()  # files of which an fsync has failed

    def place(self, first: Any, settings: dict[str, Any]) -> str:
        """What a call is about, as a path."""
        if isinstance(first, int):
            return os.readlink(f"/proc/self/fd/{first}")
        at = settings.get("dir_fd", settings.get("src_dir_fd"))
        return os.path.join("" if at is None else os.readlink(f"/proc/self/fd/{at}"), os.fspath(first))

    def watched(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **settings: Any) -> Any:
            if not given or not self.place(given[0], settings).startswith(self.folder):
                return real(*given, **settings)
            self.counts[name] = number = self.counts.get(name, 0) + 1
            self.made.append((name, number))
            if name == "fsync":
                about = os.fstat(given[0])
                if stat.S_ISREG(about.st_mode):
                    assert (about.st_dev, about.st_ino) not in self.unsynced, "a failed fsync was made again"
            if self.failing is not None:
                which, first, code, lasting = self.failing
                if name == which and (number == first or (lasting and number > first)):
                    if name == "fsync":
                        self.unsynced.add((about.st_dev, about.st_ino))
                    raise OSError(code, os.strerror(code))
            return None if name == "fsync" else real(*given, **settings)

        return call


@contextmanager
def watching(folder: Path) -> Iterator[Watch]:
    watch = Watch(folder)
    with pytest.MonkeyPatch.context() as patch:
        for name in FAILING:
            module = fcntl if name == "flock" else os
            patch.setattr(module, name, watch.watched(name, getattr(module, name)))
        yield watch


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "small"
    small_run(folder)
    return folder / "small.h5"


@pytest.fixture(scope="module")
def half(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was stopped in the middle."""
    folder = tmp_path_factory.mktemp("half") / "small"
    small_run(folder, until=2 * SAVE)
    return folder


def calls(folder: Path, resume: bool = False) -> list[tuple[str, int]]:
    """Every call that an undisturbed run makes."""
    with watching(folder) as watch:
        small_run(folder, resume=resume)
    return watch.made


def some(made: list[tuple[str, int]]) -> Iterator[tuple[str, int, int, bool]]:
    """Which calls fail, how, and whether they go on failing."""
    every = [(name, n, code, lasting) for name, n in made for code in FAILING[name] for lasting in (False, True)]
    kinds = {}
    for each in every:
        kinds.setdefault(each[0] if choose(True, False) else (each[0], each[2]), []).append(each)
    few = choose(1, 1, len(every))  # of each call (with each error), spread evenly
    for number, rows in enumerate(kinds.values()):
        stride = max(1, len(rows) // few)
        yield from rows[number * 7 % stride :: stride]


@pytest.mark.parametrize("resumed", [False, True])
def test_what_is_reported_is_there_whatever_fails(resumed, whole, half, tmp_path, monkeypatch):
    folder = tmp_path / "small"
    if resumed:
        monkeypatch.setattr(segments, "LARGE_BYTES", 1)  # and columns in one piece
    if resumed:
        shutil.copytree(half, folder)
    tried, codes = 0, set()
    for failing in list(some(calls(folder, resumed))):
        shutil.rmtree(folder)
        if resumed:
            shutil.copytree(half, folder)
        saved = [0, 2 * SAVE if resumed else 0]
        with watching(folder) as watch:
            watch.failing = failing
            try:
                small_run(folder, resume=resumed, saved=saved.append)
                codes.add(0)
            except (Locked, StoreError) as error:
                assert "\n" not in str(error), failing
                assert os.strerror(failing[2]) in str(error) or isinstance(error, Locked), (failing, error)
                codes.add(error.exit_code)
            assert watch.counts.get(failing[0], 0) >= failing[1], "it never came to this call"
        look(folder, whole, max(*saved, reported(folder)))
        small_run(folder, resume=True)
        complete(folder, whole)
        tried += 1
    assert tried >= choose(len(FAILING) - 3, 25, 200) and codes >= choose({74}, {0, 74}), (tried, codes)


SAMPLE = [  # what strace makes fail, and how it ends
    ("fsync:error=EIO:when=9", 74),
    ("rename,renameat,renameat2:error=EDQUOT:when=8", 74),
    ("fsync:error=EDQUOT:when=30+", 74),
    ("mkdir,mkdirat:error=EACCES:when=3+", 74),
    ("flock:error=ENOLCK", 0),
    ("rename,renameat,renameat2:error=EROFS:when=10+", 74),
    ("fsync:error=EIO:when=1", 74),
    ("flock:error=EIO", 74),
]


@pytest.mark.parametrize(("fault", "code"), SAMPLE[: choose(1, 5, len(SAMPLE))])
def test_the_real_command_and_the_real_calls(fault, code, tmp_path, endured):
    needs_strace()
    whole = endured
    (tmp_path / "noisy.yaml").write_text(NOISY)
    trace = (
        "strace",
        "-f",
        "-o",
        "/dev/null",
        "-e",
        f"inject={fault.replace(',', ',?').replace('rename', '?rename', 1)}",
    )
    folder = tmp_path / "runs" / "noisy"
    done = synsim("run", "noisy.yaml", "-q", cwd=tmp_path, under=trace, chunk=40)
    if code:
        stopped(done, folder, whole)
        synsim(*done.go_on, cwd=tmp_path, chunk=40).clear(0)
    else:
        done.clear(code)
    complete(folder, whole)


@pytest.fixture(scope="module")
def endured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a run of the real command."""
    place = tmp_path_factory.mktemp("endured")
    (place / "noisy.yaml").write_text(NOISY)
    synsim("run", "noisy.yaml", "-q", cwd=place, chunk=40).clear(0)
    return place / "runs" / "noisy" / "noisy.h5"


@pytest.mark.skipif(choose(True, False), reason="one of the longer tests")
def test_a_disk_that_becomes_read_only(tmp_path, endured):
    (place := tmp_path / "disk").mkdir()
    with mounted(place, "8m"):
        (place / "noisy.yaml").write_text(NOISY)
        done = synsim("run", "noisy.yaml", "-q", cwd=place, chunk=40, file_size=30_000)
        folder = place / "runs" / "noisy"
        stopped(done, folder, endured)
        subprocess.run(["mount", "-o", "remount,ro", str(place)], check=True)
        before = sorted(path.name for path in folder.rglob("*"))
        refused = synsim(*done.go_on, cwd=place, chunk=40).clear(74)
        assert "Read-only file system" in refused.last and refused.go_on == done.go_on
        assert json.loads((folder / "status.json").read_text())["steps_saved"] in range(STEPS + 1)
        assert sorted(path.name for path in folder.rglob("*")) == before
        subprocess.run(["mount", "-o", "remount,rw", str(place)], check=True)
        synsim(*done.go_on, cwd=place, chunk=40).clear(0)
        complete(folder, endured)
