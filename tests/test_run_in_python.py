"""A run from Python: records as xarray DataArrays that read what is selected, spikes chosen before they are read."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from large_file import HIGH, LOW, write_large
from stored import ALL_STEPS, DT, STEPS, blocks, layout, membrane, write

import synsim
from synsim import labelled
from synsim.faults import ConfigError, StoreError
from synsim.labelled import AscendingIndex, taken
from synsim.store import Events, Layout, RecordLayout, Run, Writer

STEP = np.arange(ALL_STEPS)


@pytest.fixture(scope="module", params=[1, 3], ids=["batch 1", "batch 3"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    path = write(tmp_path_factory.mktemp("python") / "small", (13, 40, 77), batch=request.param)
    with synsim.open(path) as opened:
        yield opened


def batch_of(run: Run) -> int:
    return int(run.attrs["batch"])


class Counted:
    """Rows that count what is read of them."""

    def __init__(self, array: np.ndarray):
        self.array, self.read, self.shape, self.dtype = array, 0, array.shape, array.dtype

    def __len__(self) -> int:
        return len(self.array)

    def __getitem__(self, key):
        assert not any(isinstance(part, np.ndarray) for part in np.atleast_1d(np.array(key, object)))
        found = self.array[key]
        self.read += found.size
        return found

    def __deepcopy__(self, memo):
        return self


# --- records


def test_a_record_is_an_array_with_times_units_trials_and_phases(run: Run) -> None:
    v, want = run["z.v"], membrane(STEP, batch_of(run)).astype(np.float32)
    row = ("row",) if batch_of(run) > 1 else ()
    assert isinstance(v, xr.DataArray) and v.name == "z.v" and v.dims == ("time", *row, "unit")
    np.testing.assert_array_equal(v, want)
    np.testing.assert_array_equal(v["time"], STEP * DT)
    np.testing.assert_array_equal(v["trial"], STEP // STEPS)
    np.testing.assert_array_equal(v["phase"], STEP // STEPS // 3)
    assert v["time"].attrs["units"] == "ms" and v.attrs["units"] == "mV" and v.dtype == np.float32
    assert v["phase"].attrs["names"] == ["train", "test"] and v.attrs["interval"] == DT
    late = v.sel(time=slice(20.0, 30.0), unit=2)
    np.testing.assert_array_equal(late, want[40:61, ..., 2])
    np.testing.assert_array_equal(v.sel(time=7.5).values, want[15])
    np.testing.assert_allclose(v.groupby("trial").mean("time"), want.reshape(6, STEPS, *want.shape[1:]).mean(1))
    np.testing.assert_array_equal(v.where(v["phase"] == 1, drop=True), want[60:])
    weights = run["W.weights"]
    assert weights.dims == ("time", "pre_unit", "post_unit") and weights.attrs["units"] == "1"
    assert weights.isel(time=-1).sel(pre_unit=2, post_unit=3).item() == 11 + ALL_STEPS - 1


def test_spikes_are_an_array_of_times(run: Run) -> None:
    s, had = run["z.s"], blocks(0, ALL_STEPS, batch_of(run))[0]["z.s"]
    assert s.dims == ("spike",) and s.attrs["units"] == "ms"
    np.testing.assert_array_equal(s, had.timestamps)
    np.testing.assert_array_equal(s["unit"], had.node_ids)
    assert ("row" in s.coords) == (batch_of(run) > 1)


def test_arithmetic_copies_and_pandas(run: Run) -> None:
    v, want = run["z.v"], membrane(STEP, batch_of(run)).astype(np.float32)
    np.testing.assert_array_equal(v - v, 0 * want)
    for again in (v.copy(), v.copy(deep=True), copy.deepcopy(v), v.load()):
        np.testing.assert_array_equal(again, want)
    other = run["z.v"]
    other[0] = 5.0  # in memory: no file is changed
    assert float(other[0].max()) == 5.0 and float(run["z.v"][0].max()) == want[0].max()
    series = run["z.v"].isel(unit=1, **({"row": 0} if batch_of(run) > 1 else {})).to_pandas()
    assert series.index.name == "time" and series[7.5] == want.reshape(ALL_STEPS, -1)[15, 1]


def test_names_that_are_not_there(run: Run) -> None:
    with pytest.raises(KeyError, match=r"z\.w was not recorded\. Did you mean 'z\.v'\?"):
        run["z.w"]
    with pytest.raises(KeyError, match="no spikes of q were recorded. There are z.s."):
        run.spikes("q")
    assert run.config == {"name": "small", "seed": 7} and "z.v" in run and "z.w" not in run


def test_without_xarray_the_extra_is_named(run: Run, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "synsim.labelled", None)
    with pytest.raises(ConfigError, match=r"pip install 'synsim\[view\]'") as said:
        run["z.v"]
    assert "\n" not in str(said.value)
    monkeypatch.setitem(sys.modules, "neo", None)
    with pytest.raises(ConfigError, match=r"pip install 'synsim\[neo\]'"):
        run.spikes("z").to_neo()


def test_a_run_that_goes_on_has_what_was_saved_when_it_was_opened(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "small", layout())
    with Run(tmp_path / "small") as run:
        assert run["z.v"].shape == (0, 4) and len(run.spikes("z")) == 0
    writer.segment(0, 33, *blocks(0, 33))
    writer.segment(33, 50, *blocks(33, 50))
    with Run(tmp_path / "small") as run:
        v = run["z.v"]
        writer.segment(50, 60, *blocks(50, 60))
        np.testing.assert_array_equal(v, membrane(np.arange(50), 1).astype(np.float32))
        assert len(run.spikes("z")) == 17 and run.spikes("z").select(5.0, 6.0).timestamps.tolist() == []
        assert run.spikes("z").select(6.0, 7.5).timestamps.tolist() == [6.0]
    writer.close()


KEYS = [
    (5, slice(None)),
    (slice(2, 40), 3),
    (slice(None, None, 7), slice(1, 3)),
    (slice(None, None, -1), slice(None)),
    (np.array([3, 90, 4, 3]), slice(None, None, 2)),
    (np.array([-1, 0]), np.array([2, 0])),
    (slice(0, 0), slice(None)),
    (np.array([], int), 1),
    (slice(1, 9), np.array([-1, 1])),
    (7, np.array([3, 3])),
]


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_some_of_the_rows_are_what_numpy_gives(key) -> None:
    whole = np.arange(100 * 4).reshape(100, 4)
    want = whole[key[0]][..., key[1]] if isinstance(key[0], np.ndarray) else whole[key[0]][..., key[1]]
    np.testing.assert_array_equal(taken(Counted(whole), key), want)


def test_only_what_is_asked_for_is_read(monkeypatch) -> None:
    monkeypatch.setattr(labelled, "SPAN_BYTES", 80)
    rows = Counted(np.arange(10_000.0).reshape(1000, 10))
    array = labelled.labelled("z.v", rows, "time", [("unit", np.arange(10))], {}, {})
    assert rows.read == 0
    array.isel(time=slice(10, 20))
    assert rows.read == 0  # nothing before the values are asked for
    assert array.isel(time=[3, 900], unit=2).values.tolist() == [32.0, 9002.0] and rows.read == 2
    array.isel(time=slice(None, None, 100), unit=[1, 2]).load()
    assert rows.read == 2 + 20
    repr(array)
    assert rows.read == 2 + 20


def ascending(values: np.ndarray) -> tuple[xr.DataArray, Counted]:
    times = Counted(values)
    labels = {"time": (times, "ms", "time", {})}
    return labelled.labelled("z", Counted(np.arange(len(values))), "time", [], labels, {}), times


def test_times_that_stay_in_the_file_select_as_those_in_memory_do(monkeypatch) -> None:
    values = np.sort(np.random.default_rng(1).integers(0, 4000, 3000)) * 0.5
    plain, _ = ascending(values)
    monkeypatch.setattr(labelled, "INDEXED_ROWS", 100)
    filed, times = ascending(values)
    assert isinstance(filed.xindexes["time"], AscendingIndex) and times.read == 0
    for low, high in ((10.0, 90.0), (None, 300.0), (1500.2, None), (-5.0, 1e9), (50.0, 20.0), (77.25, 77.3)):
        window = {"time": slice(low, high)}
        np.testing.assert_array_equal(filed.sel(window), plain.sel(window))
        np.testing.assert_array_equal(filed.sel(window)["time"], plain.sel(window)["time"])
        again = {"time": slice(20.0, 40.0)}
        np.testing.assert_array_equal(filed.sel(window).sel(again), plain.sel(window).sel(again))
    unique = np.unique(values)
    plain_unique, filed_unique = xr.DataArray(np.arange(len(unique)), coords={"time": unique}), ascending(unique)[0]
    assert isinstance(filed_unique.xindexes["time"], AscendingIndex)
    for method in ("nearest", "pad", "backfill"):
        wanted = [3.3, 500.1, 1700.7, float(unique[5])]
        np.testing.assert_array_equal(
            filed_unique.sel(time=wanted, method=method), plain_unique.sel(time=wanted, method=method)
        )
    assert filed_unique.sel(time=unique[7]).item() == 7
    with pytest.raises(KeyError, match="nearest"):
        filed_unique.sel(time=3.3)
    with pytest.raises(KeyError):
        filed_unique.sel(time=3.3, method="nearest", tolerance=0.01)
    with pytest.raises(ValueError, match="without a step"):
        filed_unique.sel(time=slice(1, 100, 5))
    np.testing.assert_array_equal(filed_unique.copy(deep=True), plain_unique)
    np.testing.assert_array_equal(filed_unique.isel(time=slice(10, 500)).isel(time=slice(5, 300, 2)), range(15, 310, 2))


def test_a_window_of_a_file_larger_than_memory(tmp_path: Path, scale) -> None:
    """In a process that may not hold a tenth of the file."""
    path = write_large(tmp_path, scale(quick=1.0, full=20.0))
    program = f"""
import pathlib, synsim
with synsim.open({str(path)!r}) as run:
    v = run["z.v"]
    print(v.size, float(v.isel(time=0, unit=7)), float(v.isel(time=-1, unit=7)))
    end = float(v["time"][-1])
    some = v.sel(time=slice(end / 2, end / 2 + 100), unit=[3, 4])
    print(some.shape, float(some["time"][0] - end / 2) < 0.1, some.load().shape)
    print(v.isel(time=slice(None, None, v.sizes["time"] // 50)).shape)
    z = run.spikes("z")
    print(len(z) == run.events["z.s"].timestamps.shape[0], len(z.select(0, 1000)) == int((z.timestamps < 1000).sum()))
    print(len(z.select(trial=3)) == int((z.trial == 3).sum()))
    repr(v), v.copy(deep=True)
status = pathlib.Path("/proc/self/status").read_text()
print(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].split()[1:] == [str(LOW), str(HIGH)]
    assert lines[1] == "(1001, 2) True (1001, 2)" or lines[1] == "(1000, 2) True (1000, 2)"
    assert lines[3:5] == ["True True", "True"]
    assert int(lines[-1]) < 320 << 10, "more than 320 MiB"


# --- spikes


def test_spikes_are_chosen_by_time_unit_trial_and_row(run: Run) -> None:
    had, spikes = blocks(0, ALL_STEPS, batch_of(run))[0]["z.s"], run.spikes("z")
    assert len(spikes) == len(had.timestamps) == 40 and spikes.units.tolist() == [0, 1, 2, 3]
    assert (spikes.chosen.start, spikes.chosen.stop) == (0.0, ALL_STEPS * DT)
    choices = [
        ({"start": 6.0, "stop": 30.0}, (had.timestamps >= 6) & (had.timestamps < 30)),
        ({"units": [1, 3]}, np.isin(had.node_ids, [1, 3])),
        ({"units": 2, "start": 20.0}, (had.node_ids == 2) & (had.timestamps >= 20)),
        ({"trial": 2}, had.trial == 2),
        ({"trial": [1, 5], "units": range(2)}, np.isin(had.trial, [1, 5]) & (had.node_ids < 2)),
        ({"start": 50.0, "stop": 40.0}, np.zeros(40, bool)),
        ({"units": []}, np.zeros(40, bool)),
    ]
    if batch_of(run) > 1:
        choices.append(({"row": 0, "stop": 9.0}, (had.row == 0) & (had.timestamps < 9)))
    for settings, kept in choices:
        found = run.spikes("z.s").select(**settings)
        assert len(found) == kept.sum(), settings
        np.testing.assert_array_equal(found.timestamps, had.timestamps[kept])
        np.testing.assert_array_equal(found.node_ids, had.node_ids[kept])
        np.testing.assert_array_equal(found.trial, had.trial[kept])
        joined = [block["timestamps"] for block in found.blocks(["timestamps"])]
        np.testing.assert_array_equal(np.concatenate([*joined, []]), had.timestamps[kept])
    both = spikes.select(units=[1, 2, 3]).select(units=[0, 1], start=10.0).select(stop=50.0)
    assert set(both.node_ids.tolist()) == {1} and both.units.tolist() == [1]
    assert spikes.select(trial=2).chosen.start == 20.0 and spikes.select(trial=5).chosen.stop == 60.0
    with pytest.raises(ConfigError, match="there is no trial 6: the run has 6"):
        spikes.select(trial=6)
    if batch_of(run) == 1:
        assert spikes.row is None
        with pytest.raises(ConfigError, match="no rows"):
            spikes.select(row=0)


def test_trains_have_every_unit_silent_ones_too(run: Run) -> None:
    had, batch = blocks(0, ALL_STEPS, batch_of(run))[0]["z.s"], batch_of(run)
    trains = run.spikes("z").by_train()
    assert list(trains) == [(row, unit) for row in range(batch) for unit in range(4)]
    for (row, unit), times in trains.items():
        own = (had.node_ids == unit) & (True if batch == 1 else had.row == row)
        np.testing.assert_array_equal(times, had.timestamps[own])
    some = run.spikes("z").select(units=[2], trial=1).by_train()
    assert [unit for _, unit in some] == [2] * batch
    frame = run.spikes("z").to_pandas()
    assert list(frame) == ["time", "unit", "trial", *(["row"] if batch > 1 else [])] and len(frame) == 40
    assert frame.groupby("unit")["time"].count().sum() == 40


def test_ids_are_those_of_the_index(tmp_path: Path) -> None:
    for index, size, ids in (("5:9", 12, [5, 6, 7, 8]), ([1, 4], 6, [1, 4]), ("0:2", [2, 3], [0, 1, 3, 4])):
        config = {"components": {"z": {"n_units": size}}, "record": {"z.s": {"index": index}}}
        made = Layout("r", (RecordLayout("z", "s", "events", (len(ids),)),), config_resolved=json.dumps(config))
        writer = Writer(tmp_path / str(len(ids)) / str(index), made)
        writer.segment(0, 9, {"z.s": Events([1.0, 2.0], [ids[-1], ids[0]], [0, 0])})
        with Run(writer.finish({})) as run:
            trains = run.spikes("z").by_train()
            assert [unit for _, unit in trains] == ids
            assert trains[0, ids[-1]].tolist() == [1.0] and trains[0, ids[0]].tolist() == [2.0]


def test_units_that_there_are_not_are_one_error(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "r", Layout("r", (RecordLayout("z", "s", "events", (2,)),)))
    writer.segment(0, 9, {"z.s": Events([1.0, 2.0], [0, 7], [0, 0])})
    with Run(writer.finish({})) as run, pytest.raises(StoreError, match="the spikes of z.s are damaged"):
        run.spikes("z").by_train()
