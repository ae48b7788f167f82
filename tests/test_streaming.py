"""Data from files longer than memory: the same numbers as from memory, read where they are played."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import h5py
import numpy as np
import pytest

import synsim
from synsim import api, data, pieces, streaming
from synsim.config import load
from synsim.faults import ConfigError, MissingInput, RunError, Stopped
from synsim.rasters import Clock
from synsim.saving import Saving
from synsim.spec import TypedSettings
from synsim.streaming import Stream

RANDOM = np.random.default_rng(5)


@pytest.fixture
def small_blocks(monkeypatch):
    """Files of some kB are long, and read in blocks of some items."""
    monkeypatch.setattr(streaming, "STREAM_BYTES", 100)
    monkeypatch.setattr(streaming, "BLOCK_BYTES", 200)


def entry(folder: Path, **settings) -> data.Entry:
    return data.load("a", TypedSettings("file", settings), directory=folder, seed=3, clock=Clock(1.0, 10))


def written(folder: Path, values: np.ndarray, kind: str) -> dict[str, str]:
    if kind == "npy":
        np.save(folder / "a.npy", values)
        return {"path": "a.npy"}
    with h5py.File(folder / "a.h5", "w") as file:
        file.create_dataset("x/y", data=values, chunks=kind == "chunked" or None, compression=None)
    return {"path": "a.h5", "key": "/x/y"}


SHAPES = {
    ("row",): (60,),
    ("row", "unit"): (60, 7),
    ("row", "step", "unit"): (12, 9, 5),
    ("step", "unit"): (80, 4),
    ("row", "step", "y", "x"): (6, 8, 3, 2),
    ("row", "y", "x", "channel"): (30, 3, 2, 1),
}
CHANGES = [
    {},
    {"scale": 0.3},
    {"binarize": 0.5, "levels": (-1.0, 1.0)},
    {"scale": 2.0, "centre": True},
    {"rows": "3:6"},
    {"split": {"part": "train", "fraction": 0.8}, "rows": "1:4", "centre": True},
]


@pytest.mark.parametrize("kind", ["npy", "chunked", "whole"])
@pytest.mark.parametrize("axes", SHAPES)
def test_the_numbers_are_those_of_the_whole_array(axes, kind, tmp_path, small_blocks, monkeypatch):
    for dtype in ("f4", ">f8", "f2", "i2", "?") if kind == "npy" and len(axes) == 2 else ("f4", "u1"):
        values = (RANDOM.uniform(-3, 3, SHAPES[axes]) * (20 if dtype in ("i2",) else 1)).astype(dtype)
        where = written(tmp_path, values, kind)
        for change in CHANGES:
            if axes[0] != "row" and {"rows", "split"} & set(change):
                continue
            monkeypatch.setattr(streaming, "STREAM_BYTES", 1 << 40)
            held = entry(tmp_path, **where, axes=axes, **change).values
            monkeypatch.setattr(streaming, "STREAM_BYTES", 10)
            played = entry(tmp_path, **where, axes=axes, **change).values
            assert isinstance(held, np.ndarray) and isinstance(played, Stream)
            assert (played.shape, played.dtype) == (held.shape, held.dtype)
            np.testing.assert_array_equal(played.whole(), held)
            rows = RANDOM.permutation(len(held)).reshape(-1, 1)
            np.testing.assert_array_equal(played[rows], held[rows])
            np.testing.assert_array_equal(played[1:3], held[1:3])
            if axes[:2] == ("row", "step"):
                np.testing.assert_array_equal(played.read(rows, (2, 5)), held[rows][:, :, 2:5])


CONFIG = """\
name: played
run: {{steps: {steps}, {more}}}
data: {{film: {{type: file, path: film.npy, axes: [{axes}], scale: 1.7}}}}
components: {{z: {{type: LIFCell, n_units: 6, tau_m: 10}}}}
wires: {{z.j: film}}
schedule: {{start: [reset, z], end: [z]}}
record: {{z.v: {{}}, z.s: {{as: events}}}}
"""


@pytest.mark.parametrize(
    "shape, axes, more",
    [
        ((300, 6), "step, unit", "trials: 2"),
        ((6, 50, 6), "row, step, unit", "batch: 2, shuffle: true, epochs: 2"),
        ((40, 6), "row, unit", "batch: 2, trials: 7"),
    ],
)
@pytest.mark.parametrize("chunk", [None, 7])
def test_a_run_is_the_same(shape, axes, more, chunk, tmp_path, monkeypatch):
    np.save(tmp_path / "film.npy", RANDOM.uniform(0, 40, shape).astype("f4"))
    (tmp_path / "a.yaml").write_text(CONFIG.format(steps=50 if "row" in axes else 300, axes=axes, more=more))
    found = []
    for size in (1 << 40, 100):
        monkeypatch.setattr(streaming, "STREAM_BYTES", size)
        with synsim.run(load(tmp_path / "a.yaml"), out=tmp_path / str(size), chunk=chunk) as left:
            found.append((left.records["z.v"].data[:], left.final("z", "v"), left.spikes("z.s").timestamps[:]))
    assert len(found[0][2]) > 10
    for held, played in zip(*found, strict=True):
        np.testing.assert_array_equal(held, played)


def test_it_goes_on_from_where_it_stopped(tmp_path, monkeypatch):
    np.save(tmp_path / "film.npy", RANDOM.uniform(0, 40, (300, 6)).astype("f4"))
    (tmp_path / "a.yaml").write_text(CONFIG.format(steps=300, axes="step, unit", more="trials: 2"))
    monkeypatch.setattr(streaming, "STREAM_BYTES", 100)
    monkeypatch.setattr(Saving, "_patience", lambda self: -1.0)
    with synsim.run(load(tmp_path / "a.yaml"), out=tmp_path / "whole", chunk=70) as left:
        whole = left.records["z.v"].data[:]
    asked = iter(range(1000))
    with pytest.raises(Stopped):
        synsim.run(load(tmp_path / "a.yaml"), out=tmp_path, chunk=70, stop=lambda: next(asked) >= 4)
    film = np.load(tmp_path / "film.npy")
    np.save(tmp_path / "film.npy", film + 1)
    with pytest.raises(ConfigError, match="has other numbers"):
        synsim.run(tmp_path / "played", resume=True, chunk=70)
    np.save(tmp_path / "film.npy", film)
    with synsim.run(tmp_path / "played", resume=True, chunk=70) as left:
        np.testing.assert_array_equal(left.records["z.v"].data[:], whole)


def test_a_chunk_is_no_longer_than_what_may_be_held(tmp_path, monkeypatch):
    np.save(tmp_path / "film.npy", np.zeros((4000, 6), "f4"))
    (tmp_path / "a.yaml").write_text(CONFIG.format(steps=4000, axes="step, unit", more="trials: 1"))
    monkeypatch.setattr(streaming, "STREAM_BYTES", 100)
    monkeypatch.setattr(pieces, "CHUNK_BYTES", 100 * 48)
    (phase,) = api.check(load(tmp_path / "a.yaml")).phases
    assert phase.streamed_bytes() == 4000 * 48 and 16 <= pieces.first_length(phase) <= 100


def test_what_is_wrong_in_the_middle_ends_the_run_there(tmp_path, monkeypatch):
    monkeypatch.setattr(streaming, "STREAM_BYTES", 100)
    values = np.ones((300, 6), "f4")
    values[250, 3] = np.nan
    np.save(tmp_path / "film.npy", values)
    (tmp_path / "a.yaml").write_text(CONFIG.format(steps=300, axes="step, unit", more="trials: 1"))
    monkeypatch.setattr(streaming, "SAMPLES", 2)
    monkeypatch.setattr(streaming, "SAMPLE_BYTES", 48)
    with pytest.raises(RunError, match=r"data.film: the value at .* is nan; every value must be finite"):
        synsim.run(load(tmp_path / "a.yaml"), out=tmp_path, chunk=50)
    with synsim.open(tmp_path / "played") as left:
        assert left.state == "failed"


def test_a_file_that_changes_under_way(tmp_path, small_blocks):
    np.save(tmp_path / "a.npy", np.zeros((100, 4)))
    values = entry(tmp_path, path="a.npy").values
    first = values.digest()
    np.save(tmp_path / "a.npy", np.ones((100, 4)))
    with pytest.raises(data.Problem, match="has changed since the run was planned"):
        values.read(np.arange(3), None)
    assert entry(tmp_path, path="a.npy").values.digest() != first


def test_faults_are_those_of_short_files(tmp_path, small_blocks):
    for settings, said in (
        ({"rows": "0:900"}, "beyond the 100 rows"),
        ({"axes": ("step", "unit"), "rows": "0:9"}, "no rows to choose from"),
        ({"axes": ("row",)}, "names 1 axes"),
        ({"levels": (0.0, 1.0)}, "which is not written"),
    ):
        np.save(tmp_path / "a.npy", np.zeros((100, 4)))
        with pytest.raises(ConfigError, match=said):
            entry(tmp_path, path="a.npy", **settings)
    (tmp_path / "a.npy").write_bytes((tmp_path / "a.npy").read_bytes()[:-8])
    with pytest.raises(ConfigError, match="but holds"):
        entry(tmp_path, path="a.npy")
    noisy = {"corrupt": {"type": "mask", "p": 0.5}}
    np.save(tmp_path / "a.npy", np.ones((100, 4)))
    assert isinstance(entry(tmp_path, path="a.npy", **noisy).values, np.ndarray), "noise is drawn for all at once"


def test_all_of_it_where_it_does_not_fit(tmp_path, small_blocks, monkeypatch):
    np.save(tmp_path / "a.npy", np.zeros((100, 4)))
    found = entry(tmp_path, path="a.npy")
    assert data.whole(found).shape == (100, 4)
    monkeypatch.setattr(streaming.preflight, "available_memory", lambda: 1000)
    with pytest.raises(MissingInput, match="are to be had"):
        data.whole(found)


@pytest.mark.parametrize("kind", ["npy", "h5"])
def test_memory_stays_flat(kind, tmp_path):
    """Eight GiB of frames, in a sparse file, of which 1.4 are played: none of them is kept."""
    frames, units = 4_000, 1 << 18
    if kind == "npy":
        with open(tmp_path / "film.npy", "wb") as file:
            about = {"descr": "<f8", "fortran_order": False, "shape": (frames, units)}
            np.lib.format.write_array_header_1_0(file, about)
            file.truncate(file.tell() + frames * units * 8)
    else:
        with h5py.File(tmp_path / "film.h5", "w") as file:
            how = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            how.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
            how.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
            space = h5py.h5s.create_simple((frames, units))
            h5py.h5d.create(file.id, b"x", h5py.h5t.NATIVE_DOUBLE, space, how)
    where = "path: film.npy" if kind == "npy" else "path: film.h5, key: x"
    assert (tmp_path / f"film.{kind}").stat().st_blocks * 512 < 1 << 30
    (tmp_path / "a.yaml").write_text(
        textwrap.dedent(
            f"""\
            run: {{steps: 700, trials: 1}}
            data: {{film: {{type: file, {where}, axes: [step, unit]}}}}
            components: {{z: {{type: VarTrace, n_units: {units}, tau_tr: 10}}}}
            wires: {{z.inputs: film}}
            record: {{z.trace: {{reduce: mean}}}}
            """
        )
    )
    code = (
        "import re, synsim; synsim.run('a.yaml').close()\n"
        "print(re.search(r'VmHWM:\\s*(\\d+)', open('/proc/self/status').read())[1])"
    )
    env = {**os.environ, "PYTHONPATH": str(Path(synsim.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) * 1024 < 0.8e9
