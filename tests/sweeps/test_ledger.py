"""The ledger: what is done is told by files, whatever happens to them or to what is said of them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from stored import same_but_for_provenance

import synsim
from sweeps.side_by_side import PLASTIC, computed, sweep
from synsim.faults import ConfigError, Locked, StoreError
from synsim.locks import RunLock
from synsim.store import Writer
from synsim.sweeps.ledger import Ledger
from synsim.sweeps.task import Task


@pytest.fixture
def whole(tmp_path: Path) -> Ledger:
    ledger = sweep(PLASTIC, tmp_path, ["z.tau_m=10,20,30"], lanes=2)
    computed(ledger)
    return Ledger.open(ledger.directory)


def states(ledger: Ledger) -> list[str]:
    return [each.state for each in Ledger.open(ledger.directory).states()]


def test_a_sweep_needs_its_config_no_more(tmp_path):
    config = tmp_path / "p.yaml"
    config.write_text(PLASTIC)
    ledger = sweep(str(config), tmp_path, ["z.tau_m=10,20"])
    config.write_text("name: other\n")
    assert len(computed(Ledger.open(ledger.directory)).written) == 2
    with synsim.open(ledger.point_file(1)) as run:
        assert run.config["components"]["z"]["tau_m"] == 20.0 and run.config_text == PLASTIC


def test_done_means_that_the_file_is_as_it_was_written(whole):
    assert states(whole) == ["done"] * 3
    path = whole.point_file(1)
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    assert states(whole) == ["done", "missing", "done"]
    path.write_bytes(
        content[: len(content) // 2] + bytes([content[len(content) // 2] ^ 1]) + content[len(content) // 2 + 1 :]
    )
    assert states(whole) == ["done", "missing", "done"]
    assert Ledger.open(whole.directory).states()[1].reason == "its file is damaged"
    path.write_bytes(content)
    assert states(whole) == ["done"] * 3
    path.unlink()
    path.mkdir()
    assert states(whole) == ["done", "missing", "done"]


def test_what_is_said_of_groups_is_not_needed(whole):
    for group in range(2):
        (whole.group_folder(group) / "status.json").write_text("{}")
    assert states(whole) == ["done"] * 3


def test_the_same_sweep_is_taken_up_and_another_refused(whole, tmp_path):
    again = sweep(PLASTIC, tmp_path, ["z.tau_m=10,20,30"])
    assert again.groups == whole.groups and again.pending() == []
    for other, why in (
        (["z.tau_m=10,20"], "other values"),
        (["z.tau_m=10,20,30", "seed=1,2"], "other parameters"),
    ):
        with pytest.raises(Locked, match=f"holds another sweep .*{why}.*--overwrite"):
            sweep(PLASTIC, tmp_path, other)
    with pytest.raises(Locked, match="another config"):
        sweep(PLASTIC.replace("steps: 60", "steps: 61"), tmp_path, ["z.tau_m=10,20,30"])
    assert states(whole) == ["done"] * 3


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "plastic").mkdir()
    (tmp_path / "plastic" / "thesis.tex").write_text("x")
    with pytest.raises(Locked, match="not empty and holds no sweep"):
        sweep(PLASTIC, tmp_path, ["z.tau_m=10,20"])
    with pytest.raises(ConfigError, match="not the folder of a sweep"):
        Ledger.open(tmp_path / "plastic")
    assert [path.name for path in (tmp_path / "plastic").iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("spoilt", ["not json", "{}", "a digit", "empty"])
def test_a_damaged_ledger_is_one_line(whole, spoilt):
    path = whole.directory / "sweep.json"
    text = path.read_text()
    path.write_text({"not json": "x", "{}": "{}", "a digit": text.replace("20", "21", 1), "empty": ""}[spoilt])
    with pytest.raises(StoreError, match="sweep.json is damaged"):
        Ledger.open(whole.directory)


def test_verify_goes_through_all_files(whole):
    assert not synsim.verify(whole.directory).damaged
    path = whole.point_file(2)
    content = bytearray(path.read_bytes())
    content[1000] ^= 4
    path.write_bytes(content)
    found = synsim.verify(whole.directory)
    assert [each.path for each in found.damaged] == [path] and found.good.startswith("2 of 3 points")
    document = json.loads((whole.directory / "sweep.json").read_text())
    document["points"][0][0] = 11
    (whole.directory / "sweep.json").write_text(json.dumps(document))
    assert [each.path.name for each in synsim.verify(whole.directory).damaged] == ["sweep.json", path.name]


def test_a_merge_computes_nothing(tmp_path, monkeypatch):
    ledger = sweep(PLASTIC, tmp_path, ["z.tau_m=10,20"])
    with pytest.raises(ConfigError, match="no steps are done; to compute them: synsim sweep"):
        Task(ledger, only_merge=True).run([0])
    undisturbed = sweep(PLASTIC, tmp_path / "whole", ["z.tau_m=10,20"])
    computed(undisturbed)

    with monkeypatch.context() as patch:
        from synsim.sweeps import task

        real, calls = task.merge, []

        def second_fails(*given, **settings):
            calls.append(1)
            if len(calls) == 2:
                raise StoreError("the disk is full")
            real(*given, **settings)

        patch.setattr(task, "merge", second_fails)
        with pytest.raises(StoreError, match="the disk is full.*synsim sweep"):
            computed(ledger)
    assert states(ledger) == ["done", "interrupted"]
    assert Task(Ledger.open(ledger.directory), only_merge=True).run([0]).written == (1,)
    for number in range(2):
        same_but_for_provenance(ledger.point_file(number), undisturbed.point_file(number))


def test_what_a_killed_process_left_goes(tmp_path, monkeypatch):
    ledger = sweep(PLASTIC, tmp_path, ["z.tau_m=10,20"])
    with monkeypatch.context() as patch:
        patch.setattr(Writer, "tidy", Writer.close)
        computed(ledger)
    folder = ledger.group_folder(0)
    assert list(folder.glob("seg/*.h5")) and list(folder.glob("ckpt/*.npz"))
    held = RunLock(os.open(folder, os.O_RDONLY), folder)
    ledger.tidy()
    assert list(folder.glob("seg/*.h5"))  # another process has it
    held.release()
    ledger.tidy()
    assert sorted(path.name for path in folder.iterdir()) == ["config.yaml", "lock", "status.json"]
    assert states(ledger) == ["done", "done"]
