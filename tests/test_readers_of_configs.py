"""Files that the command `synsim run` wrote from shipped configs, in the tools that people use; none says a warning."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import elephant.statistics
import h5py
import libsonata
import neo
import netCDF4
import numpy as np
import pandas as pd
import pynwb
import pytest
import quantities as pq
import xarray as xr
from test_readers import ENGINES, groups

import synsim
from synsim.export.exporting import export

ROOT = Path(__file__).parent.parent
RUNS = {  # one trial of a few cells; phases, trials, labels and rows side by side; a network
    "lif_fi": ["--set", "run.steps=40000", "--set", "record.held.v.every=10"],
    "stdp_digits": [
        *("--set", "run.steps=60", "--set", "run.batch=9", "--set", "run.partial=drop"),
        *("--set", "record.z1i.v.every=30", "--set", "phases.learn.epochs=1"),
    ],
    "izhikevich_network": ["--set", "run.steps=200"],
}


@pytest.fixture(scope="module", params=RUNS)
def file(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a run, made by the command line."""
    out = tmp_path_factory.mktemp("runs")
    command = [sys.executable, "-W", "error", "-m", "synsim", "run", str(ROOT / "configs" / f"{request.param}.yaml")]
    done = subprocess.run(
        [*command, "--out", str(out), "--quiet", *RUNS[request.param]], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    (found,) = out.glob("*/*.h5")
    return found


def said_nothing(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    return done.stdout


def test_h5py(file: Path) -> None:
    with h5py.File(file) as held, synsim.open(file) as run:
        found: list[str] = []
        held.visit(found.append)
        for name in found:
            if isinstance(held[name], h5py.Dataset):
                values = held[name][()]
                assert values is not None and {"units", "long_name"} <= set(held[name].attrs), name
        for name, record in run.records.items():
            np.testing.assert_array_equal(held[f"records/{name.replace('.', '/')}/data"], run[name])
            assert held[f"records/{name.replace('.', '/')}/data"].attrs["units"] == (record.unit or "1")


@pytest.mark.skipif(shutil.which("h5ls") is None, reason="h5ls is not installed")
def test_h5ls_and_h5dump(file: Path) -> None:
    listed, dumped = said_nothing("h5ls", "-r", str(file)), said_nothing("h5dump", "-A", str(file))
    with synsim.open(file) as run:
        for spikes in run.events.values():
            line = next(line for line in listed.splitlines() if line.startswith(f"/spikes/{spikes.population}/time"))
            assert line.split("{")[1] == f"{len(spikes)}}}"
        for record in run.records.values():
            assert f"/records/{record.component}/{record.compartment}" in listed
            assert f'"{record.component}"' in dumped
    some = said_nothing("h5dump", "-d", "/config/yaml", str(file))
    assert "components:" in some


@pytest.mark.parametrize("engine", ENGINES)
def test_xarray(file: Path, engine: str) -> None:
    with synsim.open(file) as run:
        for group in groups(file):
            with xr.open_dataset(file, engine=engine, group=group) as found:
                for name, variable in found.variables.items():
                    assert variable.attrs.get("units") and variable.attrs.get("long_name"), (group, name)
                    assert not any(dim.startswith("phony_dim") for dim in variable.dims), (group, name)
                    variable.load()
        for name, record in run.records.items():
            with xr.open_dataset(file, engine=engine, group=f"/records/{name.replace('.', '/')}") as found:
                assert found["data"].dims == run[name].dims == ("time", *(axis for axis, _ in record.axes))
                np.testing.assert_array_equal(found["data"], run[name])
                np.testing.assert_array_equal(found["time"], run[name]["time"])
        with xr.open_datatree(file, engine=engine) as tree:
            assert set(groups(file)) <= set(tree.groups)
            tree.load()
            for name in run.states():
                assert tree[f"final/{name.replace('.', '/')}"].size


def test_netcdf4(file: Path) -> None:
    with netCDF4.Dataset(file) as held, synsim.open(file) as run:
        for name in run.records:
            variable = held[f"records/{name.replace('.', '/')}/data"]
            assert variable.dimensions == run[name].dims
            np.testing.assert_array_equal(variable[:], run[name])


def test_libsonata(file: Path) -> None:
    with synsim.open(file) as run:
        reader = libsonata.SpikeReader(str(file))
        assert sorted(reader.get_population_names()) == sorted(each.population for each in run.events.values())
        for name, spikes in run.events.items():
            population = reader[spikes.population]
            got, had = population.get(), run.spikes(name)
            assert population.sorting == "by_time" and len(got) == len(had) > 0
            np.testing.assert_array_equal([node for node, _ in got], had.node_ids)
            np.testing.assert_array_equal([time for _, time in got], had.timestamps)
            half = float(had.timestamps[len(got) // 2])
            assert len(population.get(tstop=half)) == (had.timestamps <= half + 1e-6).sum()
        reports = [name for name, record in run.records.items() if record.form == "report"]
        if reports:
            elements = libsonata.ElementReportReader(str(file))
            assert elements.get_population_names() == reports
        for name in reports:
            report, want = elements[name], run[name]
            assert report.data_units == want.attrs["units"] and report.time_units == "ms"
            frame = report.get()
            np.testing.assert_array_equal(frame.data, want)
            np.testing.assert_allclose(frame.times, want["time"])
            np.testing.assert_array_equal([node for node, _ in np.asarray(frame.ids)], want["unit"])
        assert reports or "izhikevich" not in run.name


# elephant asks quantities for what that will no longer do, which is between the two
@pytest.mark.filterwarnings("ignore:The 'copy' argument in Quantity is deprecated")
def test_neo_and_elephant(file: Path) -> None:
    with synsim.open(file) as run:
        for name, spikes in run.events.items():
            had = run.spikes(name)
            segment = had.to_neo()
            assert isinstance(segment, neo.Segment) and len(segment.spiketrains) == spikes.units * spikes.batch
            assert sum(map(len, segment.spiketrains)) == len(had)
            longest = max(segment.spiketrains, key=len)
            unit, row = longest.annotations["unit"], longest.annotations.get("row")
            own = had.timestamps[(had.node_ids == unit) & (True if row is None else had.row == row)]
            isi = elephant.statistics.isi(longest)
            assert isi.units == pq.ms and len(isi) == len(own) - 1 > 0
            np.testing.assert_allclose(isi.magnitude, np.diff(own))
            assert elephant.statistics.cv(isi) == pytest.approx(np.diff(own).std() / np.diff(own).mean())
            rate = elephant.statistics.mean_firing_rate(longest).rescale("Hz").item()
            assert rate == pytest.approx(1000 * len(own) / (run.steps * run.attrs["dt"]))
            first = had.select(trial=0).to_neo()
            assert float(first.spiketrains[0].t_stop) == pytest.approx(run.config["run"]["steps"] * run.attrs["dt"])
    # and without synsim, three lines from the file alone
    with h5py.File(file) as held:
        name = next(iter(held["spikes"]))
        times, end = held[f"spikes/{name}/timestamps"][:], held.attrs["steps"] * held.attrs["dt"]
        assert len(neo.SpikeTrain(times, units="ms", t_stop=end)) == len(times)


def test_pynwb(file: Path, tmp_path: Path) -> None:
    with synsim.open(file) as run:
        (path,) = export(run, "nwb", out=tmp_path / "run.nwb")
        assert pynwb.validate(path=str(path)) == []
        with pynwb.NWBHDF5IO(str(path), "r") as io:
            held = io.read()
            assert set(held.acquisition) == set(run.records)
            for name in run.records:
                np.testing.assert_array_equal(held.acquisition[name].data[:], run[name])
            table = held.units.to_dataframe()
            assert table["spike_times"].map(len).sum() == sum(map(len, run.events.values()))
            assert len(held.trials) == len(run.trials)


def test_pandas(file: Path, tmp_path: Path) -> None:
    with synsim.open(file) as run:
        for name in run.events:
            frame, had = run.spikes(name).to_pandas(), run.spikes(name)
            (path,) = export(run, "csv", [name], tmp_path / f"{name}.csv")
            read = pd.read_csv(path)
            assert list(frame) == list(read)
            np.testing.assert_allclose(read, frame, rtol=1e-11)
            counts = frame.groupby("unit").size()
            assert counts[counts.index[0]] == (had.node_ids == counts.index[0]).sum()
        for name, record in run.records.items():
            (path,) = export(run, "csv", [name], tmp_path / f"{name}.csv")
            read = pd.read_csv(path)
            assert len(read) == len(record) * (record.data[0].size if len(record.axes) > 1 else 1)
            np.testing.assert_array_equal(
                read.iloc[:, -1].to_numpy(record.dtype), np.asarray(run[name]).reshape(len(read), -1)[:, -1]
            )
            series = run[name].isel({axis: 0 for axis, _ in record.axes}).to_pandas()
            assert series.index.name == "time" and len(series) == len(record)
        assert json.dumps(run.config)
