"""Programs that a start leaves to the next one: found again, told apart, never trusted where they are not whole."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import h5py
import jax
import numpy as np
import pytest
from stored import same_but_for_provenance

from synsim import api, engine, kept_programs, loop, programs
from synsim.engine import Carry
from synsim.faults import ConfigError
from synsim.kept_programs import _outcome, _written

CONFIG = """
name: kept
seed: 3
run: {dt: 0.5, steps: 80, trials: 2}
components:
  x: {type: PoissonCell, n_units: 30, target_freq: 200}
  W: {type: TraceSTDPSynapse, A_plus: 0.1, A_minus: 0.05, w_bound: 90, weight_init: {type: uniform, low: 0, high: 60}}
  R: {type: Synapse, connectivity: sparse, fan_out: 3, weight_init: {type: uniform, low: 0, high: 5}}
  z: {type: LIFCell, n_units: 20, tau_m: 20}
wires:
  x.inputs: 1.0
  W.inputs: x.outputs
  W.preSpike: x.outputs
  W.postSpike: z.s
  W.preTrace: 0.5
  W.postTrace: 0.5
  R.inputs: z.s
  z.j: W.outputs + R.outputs
record: {z.s: {as: events}, z.v: {}, W.weights: {every: trial}}
"""


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("SYNSIM_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def compiled(monkeypatch) -> list[object]:
    """What is compiled, and what has its shapes checked."""
    seen: list[object] = []
    compiling, checking = programs._compile, engine.check
    monkeypatch.setattr(programs, "_compile", lambda lowered: seen.append("program") or compiling(lowered))
    monkeypatch.setattr(engine, "check", lambda *args: seen.append("check") or checking(*args))
    return seen


def start(folder: Path, text: str = CONFIG, *overrides: str) -> Path:
    """The file of a run."""
    from synsim.config import load

    spec = load("kept.yaml", text=text, folder=folder, overrides=list(overrides))
    place = folder / f"run{len(list(folder.glob('run*')))}"
    with api.run(spec, out=place) as left:
        assert len(left.spikes("z").timestamps) > 10
        return left.file


def test_a_second_start_compiles_and_checks_nothing_and_gives_the_same(tmp_path, compiled, monkeypatch):
    first = start(tmp_path)
    assert compiled.count("check") == 1
    assert compiled.count("program") >= 2
    compiled.clear()
    monkeypatch.setattr(engine, "trials", None)  # nothing is traced
    monkeypatch.setattr(engine, "initial_state", None)
    second = start(tmp_path)
    assert compiled == []
    same_but_for_provenance(first, second)


def test_another_seed_or_name_compiles_nothing(tmp_path, compiled, cache):
    start(tmp_path)
    compiled.clear()
    other = start(tmp_path, CONFIG, "seed=4")
    assert set(compiled) == {"check"}
    renamed = start(tmp_path, CONFIG, "seed=4", "name=another")
    assert compiled.count("check") == 1
    with h5py.File(other) as one, h5py.File(renamed) as two:
        np.testing.assert_array_equal(one["final/z/v"], two["final/z/v"])
    for path in cache.rglob("*-[ps]*"):
        path.unlink()
    same_but_for_provenance(other, start(tmp_path, CONFIG, "seed=4"))
    assert "program" in compiled


CHANGES = {
    "tau_m: 20}": "tau_m: 21}",
    "steps: 80": "steps: 81",
    "dt: 0.5,": "dt: 0.5, precision: float64,",
    "z.v: {}": "z.v: {every: 2}",
    "fan_out: 3": "fan_out: 4",
}


@pytest.mark.parametrize("old", CHANGES)
def test_what_decides_a_program_makes_another(tmp_path, compiled, cache, old):
    start(tmp_path)
    compiled.clear()
    text = CONFIG.replace(old, CHANGES[old])
    changed = start(tmp_path, text)
    assert set(compiled) == {"check", "program"}
    for path in cache.rglob("*-[ps]*"):
        path.unlink()
    same_but_for_provenance(changed, start(tmp_path, text))


def test_a_number_from_a_file_is_looked_at(tmp_path, compiled):
    """A constant of the program that the config does not say itself."""
    text = CONFIG.replace("tau_m: 20}", "tau_m: 20}\n  b: {type: Synapse, connectivity: one_to_one}").replace(
        "W.outputs + R.outputs", "W.outputs + R.outputs + b.outputs"
    )
    text = (
        text.replace("  R.inputs", "  b.inputs: z.s\n  R.inputs") + "initial: {b.weights: {type: file, path: b.npy}}\n"
    )
    np.save(tmp_path / "b.npy", np.full(20, 2.0))
    first = start(tmp_path, text)
    np.save(tmp_path / "b.npy", np.full(20, 40.0))
    second = start(tmp_path, text)
    with h5py.File(first) as one, h5py.File(second) as two:
        np.testing.assert_array_equal(two["final/b/weights"], np.full(20, 40.0))
        np.testing.assert_array_equal(one["final/b/weights"], np.full(20, 2.0))
    np.save(tmp_path / "b.npy", np.full(21, 40.0))
    with pytest.raises(ConfigError, match="b.weights"):
        start(tmp_path, text)


def test_data_of_another_kind_are_checked_again(tmp_path, compiled):
    text = CONFIG.replace("x.inputs: 1.0", "x.inputs: rates") + "data: {rates: {type: file, path: r.npy}}\n"
    np.save(tmp_path / "r.npy", np.ones((2, 30)))
    first = start(tmp_path, text)
    compiled.clear()
    same_but_for_provenance(first, start(tmp_path, text))
    assert compiled == []
    np.save(tmp_path / "r.npy", np.ones((2, 30), np.int64))
    start(tmp_path, text)
    assert "check" in compiled


def test_other_code_is_another_program(tmp_path, compiled, monkeypatch):
    start(tmp_path)
    compiled.clear()
    monkeypatch.setattr(kept_programs, "_code", lambda: "mended")
    start(tmp_path)
    assert set(compiled) == {"check"}  # what it is lowered to is the same here


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "other", "gone", "folder"])
def test_what_is_not_whole_is_made_anew(tmp_path, compiled, cache, damage):
    first = start(tmp_path)
    kept = sorted(cache.rglob("*-program")) + sorted(cache.rglob("*-start"))
    whole = {path: path.read_bytes() for path in kept}
    assert len(kept) >= 3
    for path, data in whole.items():
        path.unlink()
        if damage == "folder":
            path.mkdir()
        elif damage != "gone":
            middle = len(data) // 2
            flipped = data[:middle] + bytes([data[middle] ^ 4]) + data[middle + 1 :]
            other = whole[next(each for each in kept if each != path)]
            path.write_bytes({"cut": data[:middle], "flip": flipped, "empty": b"", "other": other}[damage])
    compiled.clear()
    same_but_for_provenance(first, start(tmp_path))
    assert "program" in compiled
    compiled.clear()
    same_but_for_provenance(first, start(tmp_path))
    assert compiled == [] or damage == "folder"


def test_a_start_that_says_nonsense_is_not_believed(tmp_path, compiled, cache):
    first = start(tmp_path)
    (path,) = cache.rglob("*-start")
    left = json.loads(path.read_text())
    files = list(left["programs"].values())
    assert len(set(files)) >= 2
    swapped = dict(zip(left["programs"], reversed(files), strict=True))
    for nonsense in (
        [],
        {"format": 1},
        {**left, "programs": 3},
        {**left, "format": 0},
        {**left, "shapes": None},
        {**left, "chunk_steps": {"x": -1}},
    ):
        path.write_text(json.dumps(nonsense))
        same_but_for_provenance(first, start(tmp_path))
    path.write_text(json.dumps({**left, "programs": swapped}))
    with pytest.raises(TypeError, match="the program takes"):
        start(tmp_path)


def test_a_second_start_takes_chunks_as_long_and_keeps_what_it_needs(tmp_path, compiled, cache, monkeypatch):
    """The length of a chunk is measured once; programs that only measuring needed are not loaded again."""
    text = CONFIG.replace("trials: 2", "trials: 100")
    monkeypatch.setattr(loop, "first_length", lambda phase: 1024)
    monkeypatch.setattr(loop, "CHUNK_SECONDS", 1.0)
    monkeypatch.setattr(loop, "fitted", lambda phase, length: min(2048, length))
    first = start(tmp_path, text)
    (path,) = cache.rglob("*-start")
    left = json.loads(path.read_text())
    assert left["chunk_steps"] == {"run": 2048}
    assert len(left["programs"]) >= 4
    compiled.clear()
    second = start(tmp_path, text)
    same_but_for_provenance(first, second)
    with h5py.File(first) as one, h5py.File(second) as two:
        assert [file["provenance"].attrs["chunk_steps"].tolist() for file in (one, two)] == [[2048], [2048]]
    fewer = json.loads(path.read_text())["programs"]
    assert "check" not in compiled
    assert fewer != left["programs"]
    compiled.clear()
    same_but_for_provenance(first, start(tmp_path, text))
    assert compiled == []
    assert json.loads(path.read_text())["programs"] == fewer


def test_no_folder_to_keep_them_in(tmp_path, compiled, cache):
    cache.write_text("a file is in the way")
    start(tmp_path)
    start(tmp_path)
    assert compiled.count("check") == 2


def test_plugged_in_code_is_left_to_jax(tmp_path, compiled, cache, no_plugins):
    (tmp_path / "mine.py").write_text(
        "from synsim.component import Component, Size, inlet, outlet, state, static\n\n\n"
        "class MyCell(Component):\n    '''A cell of mine.'''\n\n    family = 'neuron'\n"
        "    n_units: Size = static('How many.')\n    j = inlet('Current.')\n    v = state('Its sum.')\n"
        "    s = outlet('Spikes.', spikes=True)\n\n"
        "    def advance(self, x, now):\n        return dict(v=x.v + x.j, s=1.0 * (x.j > 1))\n"
    )
    from synsim.config import load

    text = CONFIG.replace("LIFCell, n_units: 20, tau_m: 20", "MyCell, n_units: 20") + "plugins: [mine]\n"
    for place in ("one", "two"):
        spec = load("kept.yaml", text=text, folder=tmp_path, allow_plugins=True)
        api.run(spec, out=tmp_path / place).close()
    assert compiled.count("check") == 2
    assert not list(cache.rglob("*-start"))


def test_a_run_after_a_sweep_in_one_process_keeps_what_it_compiled_itself(tmp_path, compiled, cache):
    """A program that JAX had kept cannot be kept once more: it would lack functions."""
    from synsim.config import load
    from synsim.device import computing, use_compilation_cache

    spec = load("kept.yaml", text=CONFIG, folder=tmp_path)
    with computing(spec) as device:
        use_compilation_cache(device)
        jax.jit(lambda x: x + 1)(1.0)
    first = start(tmp_path)
    assert not list(cache.rglob("*-cache"))
    compiled.clear()
    same_but_for_provenance(first, start(tmp_path))
    assert compiled == []


def test_outcomes_are_written_and_read():
    whole = (Carry({"z": {"v": 0}}, {}, 1, 2), {"z.v": 3, "list": [4, None]})
    assert _outcome(json.loads(json.dumps(_written(whole)))) == whole
    with pytest.raises(TypeError, match="set is not kept"):
        _written({1})


def test_a_command_guesses_what_it_needs(tmp_path, cache):
    """In processes of their own: with the same config and settings, wherever it writes to."""
    config = tmp_path / "kept.yaml"
    config.write_text(CONFIG)

    def loaded_by(*words: str) -> set[Path]:
        """The kept programs that a command reads, or makes."""
        for path in cache.rglob("*-program"):
            os.utime(path, (0, 0))
        command = [sys.executable, "-m", "synsim", "run", "kept.yaml", *words]
        subprocess.run(command, cwd=tmp_path, capture_output=True, check=True)
        return {path for path in cache.rglob("*-program") if path.stat().st_mtime > 0}

    made = loaded_by("--out", "one")
    assert len(made) >= 2
    (guess,) = (cache / "guesses").iterdir()
    assert {Path(each) for each in json.loads(guess.read_text())["programs"]} == made
    assert loaded_by("--out", "two", "-q") == made
    same_but_for_provenance(tmp_path / "one/kept/kept.h5", tmp_path / "two/kept/kept.h5")
    (start_file,) = cache.rglob("*-start")
    start_file.unlink()
    guessed = loaded_by("--name", "other", "--out", "three")  # found by what it is lowered to, and by the guess
    assert guessed == made
    guess.write_text("nonsense")
    assert loaded_by("--out", "four") == made
    assert {Path(each) for each in json.loads(guess.read_text())["programs"]} == made
    config.write_text(CONFIG.replace("tau_m: 20", "tau_m: 25"))
    assert not loaded_by("--out", "five") <= made
    assert len(list((cache / "guesses").iterdir())) == 2
