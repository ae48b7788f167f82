"""What must be true of a run's folder at any moment, however its process ended."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import numpy as np
from stored import same_but_for_provenance

import synsim
from synsim.faults import StoreError
from synsim.files import seal_fault
from synsim.inspection import detail, summary, words
from synsim.reading import Run
from synsim.run_differences import differences
from synsim.run_differences import lines as difference_lines

OURS = {"lock", "status.json", "config.yaml"}


def reported(folder: Path) -> int:
    """The steps that status.json calls saved, now."""
    with suppress(FileNotFoundError):
        return json.loads((folder / "status.json").read_text())["steps_saved"]
    return 0


def inspected(run: Run) -> list[str]:
    """Every line that `synsim inspect` has to say of a run, and `synsim diff` of it and itself. Where the whole can be
    shown, what is wrong with one thing in it is one line too."""
    told = summary.summary(run)
    found = [*words.lines(told), *words.provenance_lines(summary.provenance(run))]
    for name in detail.names(run):
        component = name in detail.component_names(run)
        try:
            about = summary.summary(run, component=name) if component else detail.detail(run, name)
            json.dumps(about, allow_nan=False)
            found += words.lines(about) if component else words.detail_lines(about)
        except StoreError as error:
            found.append(str(error))
    try:
        found += difference_lines(differences(run, run))
    except StoreError as error:
        found.append(str(error))
    json.dumps(told, allow_nan=False)
    return found


def look(folder: Path, whole: Path, saved: int) -> None:
    """What `synsim status`, `verify` and `inspect` read: all of it good, with the right numbers, and `saved` steps."""
    if not (folder / "status.json").exists():
        assert not saved, "nothing is left"
        return
    told = synsim.status(folder)
    assert told["steps_saved"] >= saved
    found = synsim.verify(folder)
    assert not found.damaged, found
    if told["state"] == "done":
        assert seal_fault(folder / whole.name) is None
    elif saved:
        assert int(found.good.rpartition("--resume goes on from step ")[2].replace(",", "")) >= saved, found.good
    elif not (folder / "seg" / "head.h5").exists():
        return
    with synsim.open(folder) as left, synsim.open(whole) as full:
        assert saved <= left.steps <= full.steps
        until = (left.steps - 0.5) * float(full.attrs["dt"])
        assert {*left.records} == {*full.records} and {*left.events} == {*full.events}
        for name in left.records:
            _begins(left.records[name], full.records[name], ("time", "data", "trial", "phase"), until)
        for name in left.events:
            _begins(left.events[name], full.events[name], ("timestamps", "node_ids", "trial", "row"), until)


def _begins(left: object, full: object, columns: tuple[str, ...], until: float) -> None:
    """The rows of one record are those that the other has up to a time."""
    rows = int(np.sum(np.asarray(getattr(full, columns[0])) < until))
    for column in columns:
        if getattr(full, column) is not None:
            np.testing.assert_array_equal(getattr(left, column)[:], getattr(full, column)[:rows])


def complete(folder: Path, whole: Path) -> None:
    """It is finished, the same as the undisturbed one, and nothing else is in the folder."""
    assert {path.name for path in folder.iterdir()} == {*OURS, whole.name}
    same_but_for_provenance(whole, folder / whole.name)
    assert synsim.status(folder)["state"] == "done"
    assert not synsim.verify(folder).damaged
