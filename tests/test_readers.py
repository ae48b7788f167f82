"""The file as others read it: libsonata, xarray by both of its engines, h5py, h5ls; none says a word of warning."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import h5py
import libsonata
import netCDF4
import numpy as np
import pytest
import xarray as xr
from stored import ALL_STEPS, DT, STEPS, blocks, membrane, write

from synsim.store import Events, Layout, RecordLayout, Trace, Writer

pytestmark = pytest.mark.filterwarnings("error")
ENGINES = ("h5netcdf", "netcdf4")
STEP = np.arange(ALL_STEPS)


@pytest.fixture(scope="module", params=[1, 3], ids=["batch 1", "batch 3"])
def small(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    return write(tmp_path_factory.mktemp("readers") / "small", (13, 40, 77), batch=request.param), request.param


def groups(path: Path) -> list[str]:
    found = ["/"]
    with h5py.File(path) as file:
        file.visititems(lambda name, item: found.append(f"/{name}") if isinstance(item, h5py.Group) else None)
        found += [f"/records/{c}/{v}" for c in file["records"] for v in file["records"][c]]  # soft links too
    return sorted(set(found))


def test_libsonata_reads_the_spikes(small: tuple[Path, int]) -> None:
    path, batch = small
    population = libsonata.SpikeReader(str(path))["z"]
    assert population.sorting == "by_time"
    want = blocks(0, ALL_STEPS, batch)[0]["z.s"]
    assert isinstance(want, Events)
    assert population.get() == [(int(n), float(t)) for n, t in zip(want.node_ids, want.timestamps, strict=True)]
    some = population.get(node_ids=libsonata.Selection([0, 2]), tstart=6.0, tstop=30.0)
    inside = np.isin(want.node_ids, [0, 2]) & (want.timestamps >= 6.0) & (want.timestamps <= 30.0)
    assert [t for _, t in some] == want.timestamps[inside].tolist() and len(some) > 3


def test_libsonata_reads_the_report(small: tuple[Path, int]) -> None:
    path, batch = small
    reader = libsonata.ElementReportReader(str(path)) if batch == 1 else None
    if reader is None:
        with h5py.File(path) as file:
            assert "report" not in file  # SONATA has no rows side by side
        return
    assert reader.get_population_names() == ["z.v"]
    report = reader["z.v"]
    assert report.times == (0.0, ALL_STEPS * DT, DT) and report.time_units == "ms" and report.data_units == "mV"
    assert report.get_node_ids() == [0, 1, 2, 3] and report.sorted
    frame = report.get()
    np.testing.assert_array_equal(frame.data, membrane(STEP, 1).astype(np.float32))
    np.testing.assert_array_equal(frame.times, STEP * DT)
    np.testing.assert_array_equal(frame.ids, [[n, 0] for n in range(4)])
    some = report.get(node_ids=libsonata.Selection([2]), tstart=10.0, tstop=12.0)
    np.testing.assert_array_equal(np.asarray(some.data)[:, 0], membrane(np.arange(20, 25), 1)[:, 2].astype(np.float32))


def test_a_report_of_some_units_from_a_later_phase(tmp_path: Path) -> None:
    record = RecordLayout("z", "v", "report", (2,), (("unit", np.array([3, 9])),), "mV", "Some.", interval=0.1)
    writer = Writer(tmp_path / "late", Layout("late", (record,), dt=0.1))
    step = np.arange(700, 31001)
    writer.segment(0, 700, {}, None)
    data = np.stack([step, -step], axis=-1)
    writer.segment(700, 31001, {"z.v": Trace(data, step * 0.1, 0 * step, 1 + 0 * step)})
    report = libsonata.ElementReportReader(str(writer.finish({})))["z.v"]
    frame = report.get()
    assert report.get_node_ids() == [3, 9]
    np.testing.assert_allclose(frame.times, step * 0.1, rtol=1e-12)
    np.testing.assert_array_equal(frame.data, data)


@pytest.mark.parametrize("engine", ENGINES)
def test_xarray_opens_every_group(small: tuple[Path, int], engine: str) -> None:
    path, _ = small
    for group in groups(path):
        with xr.open_dataset(path, engine=engine, group=group) as found:
            for name, variable in found.variables.items():
                assert not any(dim.startswith("phony_dim") for dim in variable.dims), (group, name)
                assert variable.attrs.get("units") and variable.attrs.get("long_name"), (group, name)
                variable.load()


@pytest.mark.parametrize("engine", ENGINES)
def test_xarray_reads_named_axes_and_values(small: tuple[Path, int], engine: str) -> None:
    path, batch = small
    row = ("row",) if batch > 1 else ()
    with xr.open_dataset(path, engine=engine, group="/records/z/v") as found:
        assert found["data"].dims == ("time", *row, "unit") and found["data"].attrs["units"] == "mV"
        np.testing.assert_array_equal(found["data"], membrane(STEP, batch).astype(np.float32))
        late = found["data"].sel(time=slice(20.0, 30.0), unit=2)
        assert late.sizes["time"] == 21
        np.testing.assert_array_equal(found["trial"], STEP // STEPS)
        assert found["time"].attrs["units"] == "ms" and found["time"].dtype == np.float64
    with xr.open_dataset(path, engine=engine, group="/spikes/z") as found:
        assert set(found.data_vars) == {"timestamps", "node_ids", "trial", *row}
        assert all(variable.dims == ("spike",) for variable in found.data_vars.values())
    with xr.open_dataset(path, engine=engine, group="/trials") as found:
        assert found["row"].dims == (("trial", "batch") if batch > 1 else ("trial",))
        assert found["onehot"].dims[-1] == "unit" and found["start"].attrs["units"] == "ms"
        assert list(found["phase"].attrs["names"]) == ["train", "test"]
    with xr.open_dataset(path, engine=engine, group="/final/W") as found:
        assert found["weights"].dims == ("pre_unit", "post_unit")
    with xr.open_dataset(path, engine=engine, group="/config") as found:
        assert "café" in str(found["yaml"].values)
    with xr.open_dataset(path, engine=engine) as found:
        assert found.attrs["name"] == "small" and found.attrs["seed"] == 7


@pytest.mark.parametrize("engine", ENGINES)
def test_xarray_opens_the_whole_tree(small: tuple[Path, int], engine: str) -> None:
    path, batch = small
    with xr.open_datatree(path, engine=engine) as tree:
        assert set(groups(path)) <= set(tree.groups)
        np.testing.assert_array_equal(tree["records/z/v/data"], membrane(STEP, batch).astype(np.float32))
        assert tree["records/W/weights/data"].dims == ("time", "pre_unit", "post_unit")
        tree.load()


@pytest.mark.parametrize("engine", ENGINES)
def test_a_run_without_rows_opens_too(tmp_path: Path, engine: str) -> None:
    writer = Writer(
        tmp_path / "small",
        Layout(
            "small",
            (
                RecordLayout("z", "s", "events", (4,)),
                RecordLayout("z", "v", "report", (4,), (("unit", np.arange(4)),), interval=1.0),
            ),
        ),
    )
    writer.segment(0, 10, {"z.s": Events([], [], [])})
    path = writer.finish({})
    assert libsonata.SpikeReader(str(path))["z"].get() == []
    with xr.open_datatree(path, engine=engine) as tree:
        assert tree["spikes/z/timestamps"].size == 0 and tree["report/z.v/data"].shape == (0, 4)


def test_netcdf4_reads_it_by_itself(small: tuple[Path, int]) -> None:
    path, batch = small
    with netCDF4.Dataset(path) as file:
        variable = file["records/z/v/data"]
        assert variable.dimensions == (("time", "row", "unit") if batch > 1 else ("time", "unit"))
        np.testing.assert_array_equal(variable[:], membrane(STEP, batch).astype(np.float32))


def test_h5py_reads_it_plainly(small: tuple[Path, int]) -> None:
    path, batch = small
    with h5py.File(path) as file:
        data = file["records/z/v/data"]
        assert data.dims[0][0].name.endswith("/time") and data.attrs["units"] == "mV"
        assert data.dims[data.ndim - 1].keys() == ["unit"]
        np.testing.assert_array_equal(data, membrane(STEP, batch).astype(np.float32))
        assert file["config/yaml"].asstr()[()].startswith("name: small")


@pytest.mark.skipif(shutil.which("h5ls") is None, reason="h5ls is not installed")
def test_h5ls_lists_it(small: tuple[Path, int]) -> None:
    path, batch = small
    done = subprocess.run(["h5ls", "-r", str(path)], capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == ""
    assert f"/spikes/z/timestamps     Dataset {{{len(STEP[::3])}}}" in done.stdout
    assert "/records/z/v" in done.stdout and (batch > 1 or "Soft Link {/report/z.v}" in done.stdout)
