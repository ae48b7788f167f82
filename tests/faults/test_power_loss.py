"""After a loss of power at any moment: no finished file is bad, nothing is lost that was called safe, all goes on.

The calls of a run are recorded, and states of the disk made of them that a loss of power may leave (`power_loss.py`).
Most are of the small run of `small_run.py`, which is the store as it is, with made-up numbers; some of `synsim.run`.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from conftest import choose
from stored import same_but_for_provenance

import synsim
from faults.command import NOISY
from faults.looking import complete
from faults.power_loss import File, Folder, Killed, Recording, crash
from faults.small_run import small_run
from synsim import merging, segments, store
from synsim.faults import StoreError
from synsim.files import seal_fault
from synsim.reading import read_status
from synsim.saving import Saving

IMAGES = choose(1, 8, 100)  # of each kind of start
STARTS = ("anew", "resumed", "in the place of a finished one", "in the place of a stopped one")
Start = Callable[[Path, Callable[[int], Any], Callable[[int], Any]], None]
"""Starts in a place; tells the steps that are saved, and the one that it goes on from."""


class Case:
    """Runs in `base/runs/NAME`, which may not exist yet: the one whose calls are recorded, and the one after a loss."""

    def __init__(self, base: Path, first: Start, again: Start, whole: Path):
        self.first, self.again, self.whole = first, again, whole
        self.base, self.folder = base, Path("runs") / whole.stem
        shutil.copytree(base, base.parent / "recorded")
        self.recording = self.record(base.parent / "recorded", first)

    def record(self, at: Path, start: Start) -> Recording:
        with Recording(at) as recording:
            start(at, recording.said, lambda step: None)
            recording.said("complete")
        return recording

    def record_killed(self, at: Path, rng: random.Random) -> tuple[Recording, int]:
        """The first start, killed before something is synced, and the run that goes on with what the kernel had of it.

        And a moment soon after the kill, since that is made good when the next file is saved.
        """
        with Recording(at) as recording:
            recording.kill_at = rng.choice([i for i, call in enumerate(self.recording.calls) if call[0] == "sync"])
            with suppress(Killed):
                self.first(at, recording.said, lambda step: None)
            cut = len(recording.calls) + rng.randrange(30)
            recording.kill_at = None
            self.again(at, recording.said, lambda step: None)
            recording.said("complete")
        return recording, min(cut, len(recording.calls))

    def lose(self, number: int, killed: bool = False) -> None:
        """One loss of power, every third time another in the run after it, and what must be true then."""
        rng, at = random.Random(number), self.base.parent / f"image{number}"
        recording, cut = self.recording, rng.randrange(len(self.recording.calls) + 1)
        if killed:
            shutil.copytree(self.base, at)
            recording, cut = self.record_killed(at, rng)
            shutil.rmtree(at)
        said = crash(recording, cut, rng, at)
        try:
            self.look(at, said)
            if number % 3 == 1:
                more = self.record(at, self.again)
                shutil.rmtree(at)
                said += crash(more, rng.randrange(len(more.calls) + 1), rng, at)
                self.look(at, said)
            went_on: list[int] = []
            self.again(at, lambda step: None, went_on.append)
            saved = max((step for step in said if step != "complete"), default=0)
            assert not went_on or went_on[0] >= saved, f"went on from step {went_on[0]}"
            complete(at / self.folder, self.whole)
        except BaseException as error:
            error.add_note(f"image {number}, where {said[-1:]} had been said, lies in {at}")
            raise
        shutil.rmtree(at)

    def look(self, at: Path, said: list[Any]) -> None:
        """A finished file is good, and there if it was called finished; the status promises what is there."""
        folder = at / self.folder
        result, status = folder / self.whole.name, folder / "status.json"
        if result.exists():
            assert seal_fault(result) is None
            same_but_for_provenance(self.whole, result)
        else:
            assert "complete" not in said
        if not status.exists():
            assert not said, "nothing is left"
        elif not result.exists() and (saved := read_status(folder)["steps_saved"]):
            good = synsim.verify(folder).good
            assert int(good.rpartition("--resume goes on from step ")[2].replace(",", "")) >= saved, good


def small_case(start: str, place: Path, monkeypatch: pytest.MonkeyPatch) -> Case:
    base, whole, asked = place / "base", place / "whole" / "small.h5", {"resume": True}
    base.mkdir()
    small_run(whole.parent)
    if start != "anew":
        (base / "runs").mkdir()
        small_run(base / "runs" / "small", **({} if "finished" in start else {"until": 60}))
        asked = asked if start == "resumed" else {"overwrite": True}
        monkeypatch.setattr(store, "MANY", 3)
        monkeypatch.setattr(segments, "LARGE_BYTES", 1)
        monkeypatch.setattr(merging, "IN_MEMORY", 0)
    return Case(
        base,
        lambda at, saved, began: small_run(at / "runs" / "small", saved=saved, began=began, **asked),
        lambda at, saved, began: small_run(at / "runs" / "small", saved=saved, began=began, resume=True),
        whole,
    )


@pytest.mark.parametrize("start", choose(["anew", "resumed"], STARTS))
def test_of_the_store(start, tmp_path, monkeypatch):
    case = small_case(start, tmp_path, monkeypatch)
    assert len(case.recording.calls) > 60
    for number in range(IMAGES):
        case.lose(number)


def test_after_a_kill(tmp_path, monkeypatch):
    """What a killed process did not sync is not on the disk either when the next one finds it."""
    case = small_case("anew", tmp_path, monkeypatch)
    for number in range(IMAGES):
        case.lose(number, killed=True)


@pytest.mark.parametrize("large", choose([1000], [1000, segments.LARGE_BYTES]))
def test_of_a_simulation(large, tmp_path, monkeypatch):
    monkeypatch.setattr(Saving, "_patience", lambda self: -1.0)
    monkeypatch.setattr(segments, "LARGE_BYTES", large)
    real = store.Writer.checkpoint
    whole = tmp_path / "whole" / "noisy.h5"
    spec = synsim.load("noisy.yaml", text=NOISY)

    def start(at: Path, saved: Any, began: Any) -> None:
        def checkpoint(writer: Any, step: int, data: bytes) -> None:
            real(writer, step, data)
            saved(step)

        monkeypatch.setattr(store.Writer, "checkpoint", checkpoint)
        out = at / "runs"
        with synsim.run(spec, out=out, resume=True, chunk=40, started=lambda it, folder, step: began(step)) as left:
            assert left.state == "done"

    (tmp_path / "base").mkdir()
    with synsim.run(spec, out=tmp_path / "out", chunk=80) as left:
        shutil.move(left.path, whole.parent)
    case = Case(tmp_path / "base", start, start, whole)
    assert len(case.recording.calls) > 100
    for number in range(IMAGES):
        case.lose(number)


@pytest.mark.parametrize("kind", [File, Folder])
def test_images_show_what_is_not_synced(kind, tmp_path, monkeypatch):
    """The same images of a program that forgot to sync its files, or its folders, are bad."""
    case = small_case("anew", tmp_path, monkeypatch)
    disk = case.recording.disk
    case.recording.calls = [
        call for call in case.recording.calls if call[0] != "sync" or not isinstance(disk[call[1]], kind)
    ]
    with pytest.raises((AssertionError, StoreError)):
        for number in range(40):
            case.lose(number)
