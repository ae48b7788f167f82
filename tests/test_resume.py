"""Going on from any place of any run gives the same run, bit for bit; and what may not go on is refused by name."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from conftest import choose
from shortening import configs as shipped
from shortening import shortened as short_form
from stored import same_but_for_provenance
from test_loop import NOISY

import synsim
from synsim import api, merging, running, segments, store
from synsim.config import load
from synsim.faults import ConfigError, Locked, Stopped, StoreError
from synsim.saving import Saving

CONFIGS = Path(__file__).parent.parent / "configs"
TWO_PHASES = (
    (
        NOISY.replace("name: noisy", "name: phased")
        + """
  z.j: {every: 4}
  right.agreement: {every: trial}
phases:
  - {name: train, epochs: 1, shuffle: true}
  - {name: test, trials: 3, steps: 9, learning: false, set: {z.tau_m: 11}}
"""
    )
    .replace("  tx: {type: VarTrace", "  right: {type: Agreement, n_units: 17}\n  tx: {type: VarTrace", 1)
    .replace(
        "schedule: {end: [W.normalise]}",
        "  right.outputs: tz.trace\n  right.targets: z.s\nschedule: {end: [W.normalise, right]}",
    )
)


def started(config: Any, out: Path, monkeypatch: pytest.MonkeyPatch, stops: int | None = None, **more: Any) -> Any:
    """A run that saves after every piece, and stops after so many; None where it was stopped."""
    monkeypatch.setattr(Saving, "_patience", lambda self: -1.0)
    asked: list[int] = []

    def stop() -> bool:
        asked.append(1)
        return stops is not None and len(asked) > stops

    try:
        with synsim.run(config, out=out, stop=stop, **more) as left:
            return left.path
    except Stopped as stopped:
        assert "--resume" in str(stopped)
        return None


def configs() -> dict[str, Any]:
    """Configs to be cut at every border: two of ours, or short forms of all that are shipped."""
    found: dict[str, Any] = {"noisy": NOISY, "two phases": TWO_PHASES}
    return found | (shipped() if choose(False, full=True) else {})


def shortened(config: Any) -> Any:
    """A shipped config with few steps and trials, so that every border can be tried."""
    if not isinstance(config, Path):
        return load("phased.yaml", text=config)
    return short_form(config)


@pytest.mark.parametrize("chunk", choose([40], [7, 40], [1, 3, 7, 20, 40]))
@pytest.mark.parametrize("name", configs())
def test_from_every_border_on_the_rest_is_the_same(name, chunk, monkeypatch, tmp_path):
    config = shortened(configs()[name])
    whole = started(config, tmp_path / "whole", monkeypatch, chunk=chunk)
    spec = config if not isinstance(config, dict) else load(config)
    steps = api.check(spec).steps
    borders = range(1, max(2, steps // chunk))
    for stops in [*borders][:: max(1, len(borders) // choose(3, 6, 20))]:
        out = tmp_path / f"after{stops}"
        if started(config, out, monkeypatch, stops, chunk=chunk) is not None:
            break  # there are no more borders
        assert started(config, out, monkeypatch, resume=True, chunk=chunk) is not None
        same_but_for_provenance(whole / f"{spec.name}.h5", out / spec.name / f"{spec.name}.h5")
        shutil.rmtree(out)


def test_it_may_be_stopped_at_every_border(monkeypatch, tmp_path):
    """A run that is stopped after each piece gets done all the same, with the same numbers, and counts its starts."""
    config = shortened(TWO_PHASES)
    whole = started(config, tmp_path / "whole", monkeypatch, chunk=20)
    started(config, tmp_path, monkeypatch, 1, chunk=20)
    starts = 1
    while api.status(tmp_path / "phased")["steps_saved"] < 187:
        assert started(config, tmp_path, monkeypatch, 1, resume=True, chunk=20) is None
        starts += 1
        assert starts < 20
        assert len(list((tmp_path / "phased" / "ckpt").iterdir())) <= 2
    started(config, tmp_path, monkeypatch, resume=True)
    same_but_for_provenance(whole / "phased.h5", tmp_path / "phased" / "phased.h5")
    with synsim.open(tmp_path / "phased") as left:
        assert left.provenance["resumes"] == starts > 3
        assert left.provenance["seconds"] > 0
    assert {path.name for path in (tmp_path / "phased").iterdir()} == {
        "phased.h5",
        "lock",
        "status.json",
        "config.yaml",
    }


def test_the_folder_is_enough(monkeypatch, tmp_path):
    config = shortened(NOISY)
    whole = started(config, tmp_path / "whole", monkeypatch, chunk=7)
    overridden = load("phased.yaml", text=NOISY, overrides=["z.tau_m=21", "seed=12"])
    other = started(overridden, tmp_path / "other", monkeypatch, chunk=7)
    for spec, path in ((config, whole), (overridden, other)):
        out = tmp_path / path.parent.name / "again"
        started(spec, out, monkeypatch, 3, chunk=7)
        started(out / "noisy", None, monkeypatch, resume=True)
        same_but_for_provenance(path / "noisy.h5", out / "noisy" / "noisy.h5")


def test_where_nothing_is_it_starts_anew_and_where_all_is_it_says_so(monkeypatch, tmp_path):
    config = shortened(NOISY)
    whole = started(config, tmp_path / "whole", monkeypatch)
    notes: list[str] = []
    started(config, tmp_path, monkeypatch, resume=True, note=notes.append)
    same_but_for_provenance(whole / "noisy.h5", tmp_path / "noisy" / "noisy.h5")
    assert notes == []
    before = (tmp_path / "noisy" / "noisy.h5").stat()
    started(config, tmp_path, monkeypatch, resume=True, note=notes.append)
    assert notes == [f"{tmp_path / 'noisy'} is complete"]
    assert (tmp_path / "noisy" / "noisy.h5").stat().st_mtime_ns == before.st_mtime_ns
    with pytest.raises(Locked, match="holds a finished run"):
        started(config, tmp_path, monkeypatch)


def test_another_config_is_refused_with_the_difference(monkeypatch, tmp_path):
    started(shortened(NOISY), tmp_path, monkeypatch, 3, chunk=7)
    other = load("phased.yaml", text=NOISY, overrides=["z.tau_m=21", "seed=12"])
    with pytest.raises(ConfigError) as caught:
        started(other, tmp_path, monkeypatch, resume=True)
    said = str(caught.value)
    assert "seed was 11 and is 12" in said and "z.tau_m was 20.0 and is 21" in said and "another --name" in said
    assert started(shortened(NOISY), tmp_path, monkeypatch, resume=True) is not None
    with pytest.raises(ConfigError, match="seed was 11"):
        started(other, tmp_path, monkeypatch, resume=True)


def test_a_file_with_other_numbers_is_refused(monkeypatch, tmp_path):
    np.save(tmp_path / "x.npy", np.ones((4, 64)))
    text = NOISY.replace('{type: digits, part: images, rows: "0:24", scale: 0.0625}', "{type: file, path: x.npy}")
    (tmp_path / "c.yaml").write_text(text.replace("batch: 3", "batch: 2"))
    started(tmp_path / "c.yaml", tmp_path, monkeypatch, 1, chunk=7)
    np.save(tmp_path / "x.npy", np.full((4, 64), 0.5))
    with pytest.raises(ConfigError, match="other numbers than when the run was started"):
        started(tmp_path / "c.yaml", tmp_path, monkeypatch, resume=True)
    np.save(tmp_path / "x.npy", np.ones((4, 64)))
    assert started(tmp_path / "noisy", None, monkeypatch, resume=True) is not None


def test_drift_needs_to_be_accepted_and_stands_in_the_file(monkeypatch, tmp_path):
    started(shortened(NOISY), tmp_path, monkeypatch, 2, chunk=7)
    real = running.fingerprint
    monkeypatch.setattr(running, "fingerprint", lambda *given: real(*given) | {"jax": "9.9", "cpu_features": "none"})
    with pytest.raises(ConfigError, match=r"another version of jax .*9\.9 now\); what the CPU can do.*--accept-drift"):
        started(shortened(NOISY), tmp_path, monkeypatch, resume=True)
    notes: list[str] = []
    started(shortened(NOISY), tmp_path, monkeypatch, resume=True, accept_drift=True, note=notes.append)
    assert len(notes) == 3 and "although the version of jax" in notes[0] and "going on from step" in notes[2]
    with synsim.open(tmp_path / "noisy") as left:
        assert "the version of jax" in left.provenance["drift"]


def test_the_older_checkpoint_is_used_where_the_newer_is_damaged(monkeypatch, tmp_path):
    whole = started(shortened(NOISY), tmp_path / "whole", monkeypatch, chunk=7)
    started(shortened(NOISY), tmp_path, monkeypatch, 4, chunk=7)
    older, newer = sorted((tmp_path / "noisy" / "ckpt").iterdir())
    for spoilt, said in (([newer], f"from step {int(older.stem[3:]):,}"), ([older, newer], "")):
        copy = tmp_path / f"copy{len(spoilt)}"
        shutil.copytree(tmp_path / "noisy", copy / "noisy")
        for path in spoilt:
            data = bytearray(path.read_bytes())
            data[len(data) // 2] ^= 4
            (copy / "noisy" / "ckpt" / path.name).write_bytes(data)
        found = synsim.verify(copy / "noisy")
        assert {each.path.name for each in found.damaged} == {path.name for path in spoilt}
        notes: list[str] = []
        started(shortened(NOISY), copy, monkeypatch, resume=True, chunk=7, note=notes.append)
        assert said in " ".join(notes)
        same_but_for_provenance(whole / "noisy.h5", copy / "noisy" / "noisy.h5")


def test_a_damaged_segment_is_computed_again(monkeypatch, tmp_path):
    whole = started(shortened(NOISY), tmp_path / "whole", monkeypatch, chunk=7)
    started(shortened(NOISY), tmp_path, monkeypatch, 4, chunk=7)
    segment = sorted((tmp_path / "noisy" / "seg").glob("seg-*.h5"))[1]
    data = bytearray(segment.read_bytes())
    data[len(data) // 3] ^= 1
    segment.write_bytes(data)
    assert [each.path.name for each in synsim.verify(tmp_path / "noisy").damaged] == [segment.name]
    notes: list[str] = []
    started(shortened(NOISY), tmp_path, monkeypatch, resume=True, chunk=7, note=notes.append)
    assert "starting again from step 0" in notes[-1]
    same_but_for_provenance(whole / "noisy.h5", tmp_path / "noisy" / "noisy.h5")


def test_what_was_saved_after_the_checkpoint_is_computed_again(monkeypatch, tmp_path):
    """A process may die between a segment and its checkpoint."""
    whole = started(shortened(NOISY), tmp_path / "whole", monkeypatch, chunk=7)
    started(shortened(NOISY), tmp_path, monkeypatch, 5, chunk=7)
    sorted((tmp_path / "noisy" / "ckpt").iterdir())[-1].unlink()
    started(shortened(NOISY), tmp_path, monkeypatch, resume=True, chunk=7)
    same_but_for_provenance(whole / "noisy.h5", tmp_path / "noisy" / "noisy.h5")


def test_a_stop_while_the_file_is_written(monkeypatch, tmp_path):
    config = shortened(NOISY)
    whole = started(config, tmp_path / "whole", monkeypatch)
    asked: list[int] = []
    with monkeypatch.context() as patch:
        patch.setattr(store, "merge", lambda *given, check, **rest: (asked.append(1), check()))
        with pytest.raises(Stopped, match=r"all 160 steps are done; all of it is safe; to go on"):
            synsim.run(config, out=tmp_path, stop=lambda: bool(asked))
    assert api.status(tmp_path / "noisy")["state"] == "interrupted"
    with synsim.run(tmp_path / "noisy", resume=True, only_merge=True) as left:
        same_but_for_provenance(whole / "noisy.h5", left.file)


def test_merge_computes_no_step(monkeypatch, tmp_path):
    started(shortened(NOISY), tmp_path, monkeypatch, 3, chunk=7)
    with pytest.raises(ConfigError, match=r"only \d+ of 160 steps are done; to compute the rest: synsim run"):
        synsim.run(tmp_path / "noisy", resume=True, only_merge=True)
    with pytest.raises(ConfigError, match="no such folder"):
        synsim.run(tmp_path / "nowhere", resume=True, only_merge=True)
    with pytest.raises(ConfigError, match="nothing to go on with"):
        (tmp_path / "empty").mkdir()
        synsim.run(tmp_path / "empty", resume=True)


def test_status_and_verify_of_a_stopped_run(monkeypatch, tmp_path):
    started(shortened(NOISY), tmp_path, monkeypatch, 3, chunk=20)
    found = api.status(tmp_path / "noisy")
    assert found["state"] == "interrupted" and 0 < found["steps_saved"] < found["steps"] == 160
    assert found["resume"] == f"synsim run {tmp_path / 'noisy'} --resume"
    checked = synsim.verify(tmp_path / "noisy")
    assert not checked.damaged and f"--resume goes on from step {found['steps_saved']}" in checked.good
    kinds = {path.suffix for path in (each.path for each in checked.verdicts)}
    assert kinds == {".json", ".h5", ".npz", ".yaml"}
    (tmp_path / "noisy" / "config.yaml").write_text("name: other")
    assert "not the config" in str(synsim.verify(tmp_path / "noisy").damaged[0].fault)
    status = json.loads((tmp_path / "noisy" / "status.json").read_text())
    (tmp_path / "noisy" / "status.json").write_text(json.dumps(status | {"steps_saved": 99999}))
    with pytest.raises(StoreError, match="not as it was written"):
        api.status(tmp_path / "noisy")
    assert started(tmp_path / "noisy", None, monkeypatch, resume=True) is not None  # the head says what is run


def test_many_small_segments_become_few(monkeypatch, tmp_path):
    whole = started(shortened(NOISY), tmp_path / "whole", monkeypatch, chunk=40)
    monkeypatch.setattr(store, "MANY", 4)
    started(shortened(NOISY), tmp_path, monkeypatch, 19, chunk=7)
    names = sorted(path.name for path in (tmp_path / "noisy" / "seg").glob("seg-*.h5"))
    assert 2 <= len(names) <= 8
    with synsim.open(tmp_path / "noisy") as half, synsim.open(whole) as full:
        rows = len(half["z.v"].data)
        assert rows > 20
        np.testing.assert_array_equal(half["z.v"].data[:], full["z.v"].data[:rows])
    started(shortened(NOISY), tmp_path, monkeypatch, resume=True, chunk=7)
    same_but_for_provenance(whole / "noisy.h5", tmp_path / "noisy" / "noisy.h5")


def test_the_older_checkpoint_is_of_use_when_segments_became_one(monkeypatch, tmp_path):
    monkeypatch.setattr(store, "MANY", 4)
    for stops in range(4, 9):  # whatever became one at the last save
        out = tmp_path / str(stops)
        started(shortened(NOISY), out, monkeypatch, stops, chunk=7)
        older, newer = sorted((out / "noisy" / "ckpt").iterdir())
        newer.write_bytes(newer.read_bytes()[:-1])
        notes: list[str] = []
        started(shortened(NOISY), out, monkeypatch, 1, resume=True, chunk=7, note=notes.append)
        assert notes[-1].startswith(f"going on from step {int(older.stem[3:]):,} ")


def test_a_config_may_be_written_otherwise(monkeypatch, tmp_path):
    """What counts is what it says; the file keeps the text that the run was started with."""
    whole = started(shortened(NOISY), tmp_path / "whole", monkeypatch, chunk=7)
    started(shortened(NOISY), tmp_path, monkeypatch, 4, chunk=7)
    other = load("phased.yaml", text=NOISY.replace("seed: 11", "# why 11?\nseed: 11"))
    started(other, tmp_path, monkeypatch, resume=True, chunk=7)
    same_but_for_provenance(whole / "noisy.h5", tmp_path / "noisy" / "noisy.h5")
    assert not synsim.verify(tmp_path / "noisy").damaged


def test_a_reader_goes_on_reading_when_segments_become_one(monkeypatch, tmp_path):
    monkeypatch.setattr(store, "MANY", 1000)
    started(shortened(NOISY), tmp_path, monkeypatch, 19, chunk=7)
    folder = tmp_path / "noisy" / "seg"
    monkeypatch.setattr(segments, "HELD_BYTES", 0)
    with synsim.open(tmp_path / "noisy") as run:
        before = run["z.v"].data[:]
        names = sorted(path.name for path in folder.glob("seg-*.h5"))
        several = segments.Segments(folder, names)
        image = merging.compacted(several, several_sha(folder / names[0]))
        (folder / segments.segment_name(0, several.steps)).write_bytes(image)
        for name in names:
            (folder / name).unlink()
        np.testing.assert_array_equal(run["z.v"].data[:], before)
        assert run.steps == several.steps


def several_sha(path: Path) -> str:
    with h5py.File(path) as file:
        return str(file.attrs["config_sha256"])
