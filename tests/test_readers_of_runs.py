"""What `synsim run` itself wrote, as other tools read it: every group, without a warning, and the same numbers."""

from __future__ import annotations

import h5py
import libsonata
import numpy as np
import pytest
import xarray as xr
from test_loop import NOISY
from test_readers import ENGINES, groups

import synsim

pytestmark = pytest.mark.filterwarnings("error")


@pytest.fixture(scope="module", params=[1, 3], ids=["batch 1", "batch 3"])
def ran(request, tmp_path_factory):
    text = NOISY.replace("batch: 3", f"batch: {request.param}") + "  z.j: {}\n  r.z: {}\n  image: {every: trial}\n"
    with synsim.run("-", text=text, out=tmp_path_factory.mktemp("runs"), name="ran") as left:
        yield left, request.param


def test_libsonata_reads_spikes_and_traces(ran):
    left, batch = ran
    spikes = left.spikes("z.s")
    population = libsonata.SpikeReader(str(left.file))["z"]
    assert population.sorting == "by_time" and len(spikes.timestamps) > 10
    got = population.get()
    np.testing.assert_array_equal([node for node, _ in got], spikes.node_ids)
    np.testing.assert_array_equal([time for _, time in got], spikes.timestamps)
    if batch == 1:  # SONATA's reports have no rows side by side
        report = libsonata.ElementReportReader(str(left.file))["r.z"]
        assert report.times == (0.0, 480.0, 1.0)
        np.testing.assert_array_equal(report.get().data, left["r.z"].data[...])
        assert libsonata.ElementReportReader(str(left.file)).get_population_names() == ["r.z", "z.j"]


@pytest.mark.parametrize("engine", ENGINES)
def test_xarray_reads_every_group_with_names_and_units(ran, engine):
    left, batch = ran
    for group in groups(left.file):
        with xr.open_dataset(left.file, engine=engine, group=group) as dataset:
            for name, variable in dataset.variables.items():
                assert "long_name" in variable.attrs and "units" in variable.attrs, f"{group}/{name}"
                assert not any(dim.startswith("phony") for dim in variable.dims), f"{group}/{name}"
    with xr.open_dataset(left.file, engine=engine, group="records/z/j") as dataset:
        assert dataset["data"].dims == (("time", "unit") if batch == 1 else ("time", "row", "unit"))
        np.testing.assert_array_equal(dataset["data"], left["z.j"].data[...])
        assert dataset["data"].attrs["units"] == "nA"
    with xr.open_dataset(left.file, engine=engine, group="records/W/weights") as dataset:
        assert dataset["data"].dims == ("time", "pre_unit", "post_unit")
    with xr.open_datatree(left.file, engine=engine) as tree:
        assert tree["final/W/weights"].shape == (64, 17)


def test_h5py_finds_start_and_end(ran):
    left, batch = ran
    with h5py.File(left.file) as file:
        assert file["initial/W/weights"].shape == file["final/W/weights"].shape == (64, 17)
        assert np.abs(file["initial/W/weights"][...] - file["final/W/weights"][...]).max() > 0.01
        assert file["trials/image"].shape == ((24, 64) if batch == 1 else (8, 3, 64))
        assert file.attrs["seed"] == 11 and file["config/yaml"].asstr()[()].startswith("\nname: noisy")
        assert {"python", "started", "finished", "host", "command"} <= set(file["provenance"].attrs)
        assert {"jax_version", "device"} <= set(file.attrs)


def test_the_same_run_writes_the_same_file(tmp_path):
    """Every dataset, and every attribute outside /provenance."""
    left = [
        synsim.run("-", text=NOISY, out=tmp_path / str(k), name="ran", chunk=chunk) for k, chunk in enumerate((None, 7))
    ]
    files = [h5py.File(run.file) for run in left]
    for run in left:
        run.close()
    names = [[], []]
    for found, file in zip(names, files, strict=True):
        file.visit(found.append)
    assert names[0] == names[1]
    for name in ["/", *names[0]]:
        one, other = files[0][name], files[1][name]
        if name.startswith("provenance"):
            continue
        assert set(one.attrs) == set(other.attrs)
        for key in one.attrs:
            if key not in ("REFERENCE_LIST", "DIMENSION_LIST"):
                np.testing.assert_array_equal(one.attrs[key], other.attrs[key])
        if isinstance(one, h5py.Dataset):
            np.testing.assert_array_equal(one[()], other[()])
            assert one.chunks == other.chunks
    for file in files:
        file.close()
