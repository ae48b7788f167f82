"""Compressed records: the same numbers in fewer bytes, resumed, merged, verified, and read by others."""

from __future__ import annotations

import sys

import h5py
import numpy as np
import pytest

import synsim
from synsim import api, compression, segments, store
from synsim.config import load
from synsim.data import load as load_entry
from synsim.faults import ConfigError, Stopped, StoreError, render
from synsim.rasters import Clock
from synsim.saving import Saving
from synsim.spec import TypedSettings

pytest.importorskip("hdf5plugin")

CONFIG = """\
name: packed
seed: 4
run: {{steps: 50, trials: 24}}
components:
  x: {{type: PoissonCell, n_units: 40, target_freq: 200}}
  z: {{type: LIFCell, n_units: 40, tau_m: 20}}
wires: {{x.inputs: 1.0, z.j: 400 * x.outputs}}
record:
  z.v: {{compression: {name}}}
  z.s: {{as: events, compression: {name}}}
  z.rfr: {{every: trial, compression: {name}}}
  z.thr_theta: {{every: 10}}
"""
NAMES = ("gzip", "zstd", "lz4")


def saving(monkeypatch):
    monkeypatch.setattr(Saving, "_patience", lambda self: -1.0)
    monkeypatch.setattr(store, "MANY", 3)  # some segments become one on the way


def datasets(path) -> dict[str, h5py.Dataset]:
    found = {}
    with h5py.File(path) as file:
        file.visititems(lambda name, item: found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None)
    return found


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    with synsim.run(load("c.yaml", text=CONFIG.format(name="null")), out=tmp_path_factory.mktemp("plain")) as left:
        return left.file


@pytest.mark.parametrize("name", NAMES)
def test_the_numbers_are_the_same_and_the_bytes_fewer(name, plain, tmp_path, monkeypatch):
    saving(monkeypatch)
    spec = load("c.yaml", text=CONFIG.format(name=name))
    asked = iter(range(1000))
    with pytest.raises(Stopped):
        synsim.run(spec, out=tmp_path, chunk=50, stop=lambda: next(asked) >= 9)
    with synsim.open(tmp_path / "packed") as live:
        assert 0 < live.steps < 1200
        assert live.records["z.v"].shape[0] == live.steps
    assert not api.verify(tmp_path / "packed").damaged
    segment = sorted((tmp_path / "packed" / "seg").glob("seg-*"))[-1]
    with h5py.File(segment) as file:
        for path in ("report/z.v/data", "report/z.v/time", "spikes/z/timestamps", "records/z/rfr/data"):
            assert path not in file or compression.FILTERS[name] in filters_of(file[path]), path
        assert "report/z.v/data" in file
    with synsim.run(spec, out=tmp_path, resume=True) as left:
        file = left.file
    ours, theirs = datasets(file), datasets(plain)
    assert set(ours) == set(theirs)
    for path in set(ours) - {"config/yaml", "config/resolved"}:
        np.testing.assert_array_equal(ours[path], theirs[path], err_msg=path)
    assert file.stat().st_size < 0.7 * plain.stat().st_size
    with h5py.File(file) as opened:
        assert list(opened.attrs["compression"]) == [name]
        assert compression.FILTERS[name] in filters_of(opened["report/z.v/data"])
        assert filters_of(opened["records/z/thr_theta/data"]) == [h5py.h5z.FILTER_FLETCHER32]
    assert not api.verify(file).damaged


def filters_of(dataset) -> list[int]:
    how = dataset.id.get_create_plist()
    return [how.get_filter(n)[0] for n in range(how.get_nfilters())]


def test_the_estimate_is_not_exceeded(plain, tmp_path):
    spec = load("c.yaml", text=CONFIG.format(name="zstd"))
    with synsim.run(spec, out=tmp_path) as left:
        assert left.file.stat().st_size < api.check(spec).estimate.file


def test_it_says_what_is_missing(monkeypatch, tmp_path):
    spec = load("c.yaml", text=CONFIG.format(name="zstd"))
    with synsim.run(spec, out=tmp_path) as left:
        file = left.file
    monkeypatch.setitem(sys.modules, "hdf5plugin", None)
    words = "zstd comes with hdf5plugin, which is not installed: pip install 'synsim[compression]'"
    with pytest.raises(ConfigError) as caught:
        api.check(spec)
    assert spec.render(caught.value)[0] == f"c.yaml:9:22: error: {words}"
    with pytest.raises(StoreError) as caught:
        synsim.open(file)
    assert words in str(caught.value)
    api.check(load("c.yaml", text=CONFIG.format(name="gzip")))


def test_as_data_of_another_run(tmp_path):
    with synsim.run(load("c.yaml", text=CONFIG.format(name="lz4")), out=tmp_path) as left:
        path = left.file
    settings = {"path": str(path), "key": "/report/z.v/data", "axes": ("step", "unit")}
    entry = load_entry("a", TypedSettings("file", settings), directory=tmp_path, seed=0, clock=Clock(1.0, 10))
    with h5py.File(path) as file:
        np.testing.assert_array_equal(entry.values, file["report/z.v/data"][()])


@pytest.mark.parametrize("written, said", [("zsdt", "not the text 'zsdt'. Did you mean 'zstd'?"), ("9", "not 9.")])
def test_names_that_there_are_not(written, said):
    with pytest.raises(ConfigError) as caught:
        load("c.yaml", text=CONFIG.format(name="gzip").replace("gzip", written, 1))
    words = "c.yaml:9:22: error: record.z.v.compression must be one of gzip, zstd, lz4 or null, "
    assert render(caught.value.faults) == [words + said]


def test_of_a_data_entry_it_means_nothing():
    text = CONFIG.format(name="gzip") + "  a: {compression: gzip}\ndata: {a: {type: digits}}\n"
    with pytest.raises(ConfigError, match="leave out compression"):
        load("c.yaml", text=text)


def test_zeros_that_were_thousands_of_times_smaller_are_not_held(tmp_path, monkeypatch):
    monkeypatch.setattr(segments, "HELD_BYTES", 1 << 20)
    rows = np.zeros((1000, 1000), np.float32)
    image = segments.segment_image(0, 1000, "x", {"/report/z.v/data": rows}, {"/report/z.v": "zstd"})
    assert len(image) < 100_000
    (tmp_path / segments.segment_name(0, 1000)).write_bytes(image)
    found = segments.Segments(tmp_path, sha256="x")
    assert found.nbytes == rows.nbytes and not found._held
    np.testing.assert_array_equal(next(found.pieces("/report/z.v/data")), rows)
