"""A gathered sweep: its table and its file, held against what is in the points' own files."""

from __future__ import annotations

import csv
import math
import shutil
import subprocess
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import xarray

from sweeps.side_by_side import computed, sweep
from synsim.config import load
from synsim.faults import ConfigError, MissingInput, StoreError
from synsim.files import seal_fault
from synsim.reading import Run
from synsim.spec import SUMMARIES
from synsim.sweeps.gathered import read_gathered
from synsim.sweeps.gathering import gather, summaries
from synsim.sweeps.parameters import sweep_of

ROOT = Path(__file__).parent.parent.parent

TEXT = """\
name: small
seed: 3
let: {hid: 5}
run: {dt: 0.5, steps: 40}
data:
  images: {type: digits, part: images, rows: "0:12", scale: 0.0625}
  labels: {type: digits, part: one_hot, rows: "0:12"}
components:
  x: {type: PoissonCell, n_units: 64, target_freq: 200}
  W: {type: StaticSynapse, weight_init: {type: uniform, low: 0.0, high: 60}}
  z: {type: LIFCell, n_units: "${hid}", tau_m: 10}
  y: {type: RateCell, n_units: 10, tau_m: 5}
  accuracy: {type: Agreement, n_units: 10}
wires:
  x.inputs: images
  W.inputs: x.outputs
  z.j: W.outputs
  y.j: labels
  accuracy.outputs: y.z
  accuracy.targets: labels
record:
  z.s: {as: events, window: [5, 15]}
  z.v: {every: 5}
  z.rfr: {every: 10, reduce: max}
  x.outputs: {}
  W.weights: {every: trial}
  accuracy.agreement: {every: trial}
phases:
  - {name: one, trials: 2}
  - {name: two, trials: 3, steps: 20, record: {z.s: false}}
"""


@dataclass
class State:
    number: int
    state: str
    reason: str = ""
    group: int = 0


class Told(SimpleNamespace):
    """A ledger that was told which points there are, and has no file of its own."""

    def point_file(self, number: int) -> Path:
        return self.directory / "points" / f"{self.name}-{number:04d}.h5"

    def done(self, number: int) -> bool:
        return self.point_file(number).exists()

    def states(self) -> list[State]:
        there = [self.done(number) for number in range(len(self.points))]
        return [State(number, "done" if done else "missing") for number, done in enumerate(there)]


def told(directory: Path, *arguments: str, spec: Any = None, **more: Any) -> Told:
    spec = spec or load("c.yaml", text=TEXT)
    points = sweep_of(spec, arguments, **more)
    (directory / "points").mkdir(parents=True, exist_ok=True)
    return Told(
        directory=directory,
        name="small",
        spec=spec,
        parameters=tuple(each.path for each in points.parameters),
        mode=points.mode,
        points=points.points,
        summary=points.summary,
    )


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The folder of a real sweep of four points."""
    ledger = sweep(TEXT, tmp_path_factory.mktemp("runs"), ["z.tau_m=10,30", "seed=0:2"])
    assert not computed(ledger).failed
    return ledger.directory


@pytest.fixture
def grid(runs, tmp_path):
    shutil.copytree(runs / "points", tmp_path / "sweep" / "points")
    return told(tmp_path / "sweep", "z.tau_m=10,30", "seed=0:2")


def opened(path: Path) -> list[xarray.Dataset]:
    """The same file by both readers, without a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = []
        for engine in ("h5netcdf", "netcdf4"):
            with xarray.open_dataset(path, engine=engine) as dataset:
                found.append(dataset.load())
    return found


def rows(ledger: Told) -> list[dict[str, str]]:
    with (ledger.directory / "sweep.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_summaries_are_what_the_records_say(runs):
    path = runs / "points" / "small-0001.h5"
    found = {each.name: each for each in summaries(path, SUMMARIES)}
    with Run(path) as run:
        spikes = run.events["z.s"]
        # two trials of 20 ms, of which 10 ms are kept
        assert len(spikes) > 0
        assert found["z.s.rate"].value == pytest.approx(len(spikes) / (2 * 0.010 * 5), rel=1e-12)
        v, weights = np.asarray(run["z.v"].data, np.float64), np.asarray(run["W.weights"].data, np.float64)
        assert found["z.v.mean"].value == pytest.approx(v.mean(), rel=1e-12)
        assert found["z.v.last"].value == pytest.approx(v[-1].mean(), rel=1e-12)
        assert found["W.weights.mean"].value == pytest.approx(weights[-1].mean(), rel=1e-12)
        assert found["W.weights.norm"].value == pytest.approx(np.sqrt((weights[-1] ** 2).sum()), rel=1e-12)
        poisson = np.asarray(run["x.outputs"].data)
        assert found["x.outputs.rate"].value == pytest.approx(poisson.mean() / 0.5e-3, rel=1e-12)
        assert found["accuracy.agreement.final"].value == float(run.final("accuracy", "agreement"))
        longest = np.asarray(run["z.rfr"].data, np.float64)
        assert found["z.rfr.last"].value == longest[-1] and found["z.rfr.mean"].value == pytest.approx(longest.mean())
    assert {name: each.unit for name, each in found.items()} == {
        "z.s.rate": "Hz",
        "x.outputs.rate": "Hz",
        "z.v.mean": "mV",
        "z.v.last": "mV",
        "z.rfr.last": "ms",
        "z.rfr.mean": "ms",
        "W.weights.mean": "",
        "W.weights.norm": "",
        "accuracy.agreement.last": "",
        "accuracy.agreement.mean": "",
        "accuracy.agreement.final": "",
    }
    assert {each.kind for each in summaries(path, ("rate", "norm"))} == {"rate", "norm"}


def test_a_grid_is_one_dataset_over_its_parameters(grid):
    gather(grid)
    assert seal_fault(grid.directory / "sweep.h5") is None
    for dataset in opened(grid.directory / "sweep.h5"):
        assert dict(dataset.sizes) == {"z.tau_m": 2, "seed": 2}
        assert dataset["z.tau_m"].values.tolist() == [10.0, 30.0] and dataset["z.tau_m"].dtype == np.float64
        assert dataset["seed"].values.tolist() == [0, 1] and dataset["seed"].dtype == np.int64
        assert dataset["z.tau_m"].attrs == {"units": "ms", "long_name": "z.tau_m: Membrane time constant"}
        assert dataset["z.s.rate"].attrs == {"units": "Hz", "long_name": "mean rate of z.s"}
        assert dataset["z.v.mean"].attrs["units"] == "mV"
        assert set(dataset["state"].values.ravel()) == {"done"}
        for number, (tau, seed) in enumerate(grid.points):
            here = dataset.sel({"z.tau_m": tau, "seed": seed})
            assert int(here["point"]) == number
            for each in summaries(grid.point_file(number), SUMMARIES):
                assert float(here[each.name]) == each.value
    table = rows(grid)
    assert [(each["point"], each["z.tau_m"], each["seed"], each["state"]) for each in table] == [
        ("0", "10", "0", "done"),
        ("1", "10", "1", "done"),
        ("2", "30", "0", "done"),
        ("3", "30", "1", "done"),
    ]
    for number, row in enumerate(table):
        found = {each.name: each.value for each in summaries(grid.point_file(number), SUMMARIES)}
        assert {name: float(row[name]) for name in found} == found


def test_points_that_are_missing_are_empty_and_nan(grid):
    grid.point_file(2).unlink()
    gather(grid)
    row = rows(grid)[2]
    assert row["state"] == "missing" and row["z.s.rate"] == "" and row["z.tau_m"] == "30"
    for dataset in opened(grid.directory / "sweep.h5"):
        assert math.isnan(dataset["z.s.rate"].values[1, 0]) and dataset["state"].values[1, 0] == "missing"
        assert np.isfinite(dataset["z.s.rate"].values.ravel()[[0, 1, 3]]).all()
        assert dataset.attrs["done"] == 3 and dataset.attrs["points"] == 4


def test_nothing_but_missing_points_can_be_gathered(tmp_path):
    ledger = told(tmp_path, "z.tau_m=10,30")
    gather(ledger)
    assert [each["state"] for each in rows(ledger)] == ["missing", "missing"]
    for dataset in opened(tmp_path / "sweep.h5"):
        assert dataset["z.tau_m"].values.tolist() == [10.0, 30.0]
    assert read_gathered(tmp_path).done == 0


def test_summary_chooses(grid):
    grid.summary = ("norm", "final")
    gather(grid)
    assert set(read_gathered(grid.directory).summaries) == {"W.weights.norm", "accuracy.agreement.final"}


@pytest.mark.parametrize("mode", ["zip", "random"])
def test_parameters_of_other_sweeps_are_coordinates_of_the_points(mode, runs, tmp_path):
    shutil.copytree(runs / "points", tmp_path / "sweep" / "points")
    more = {"zip": True} if mode == "zip" else {"random": 4}
    ledger = told(tmp_path / "sweep", "z.tau_m=10,20,30,40", "seed=1,1,2,3", **more)
    ledger.point_file(3).unlink()
    gather(ledger)
    for dataset in opened(tmp_path / "sweep" / "sweep.h5"):
        assert dict(dataset.sizes) == {"point": 4}
        assert {"z.tau_m", "seed", "point"} == set(dataset.coords)
        assert dataset["z.tau_m"].values.tolist() == [float(point[0]) for point in ledger.points]
        assert math.isnan(dataset["z.v.mean"].values[3])


def test_text_booleans_lists_and_mappings_are_parameters_too(runs, tmp_path):
    arguments = [
        "data.images.part=images",
        "run.shuffle=true,false",
        "W.weight_init={type: constant, value: 1},0.5",
        "wires.y.j=labels,labels * 2",
        "z.tau_m=[[10,20,30,40,50],7]",
    ]
    ledger = told(tmp_path / "sweep", *arguments)
    shutil.copy(runs / "points" / "small-0000.h5", ledger.point_file(5))
    gather(ledger)
    for dataset in opened(tmp_path / "sweep" / "sweep.h5"):
        assert dataset["run.shuffle"].values.tolist() == [True, False] and dataset["run.shuffle"].dtype == bool
        assert dataset["data.images.part"].values.tolist() == ["images"]
        assert dataset["W.weight_init"].values.tolist() == ['{"type": "constant", "value": 1}', "0.5"]
        assert dataset["wires.y.j"].values.tolist() == ["labels", "labels * 2"]
        assert dataset["z.tau_m"].values.tolist() == ["[10, 20, 30, 40, 50]", "7"]
    row = rows(ledger)[5]
    assert row["state"] == "done" and row["run.shuffle"] == "true" and row["W.weight_init"] == "0.5"
    assert rows(ledger)[0]["W.weight_init"] == '{"type": "constant", "value": 1}'
    assert '"{""type"": ""constant"", ""value"": 1}"' in (ledger.directory / "sweep.csv").read_text()


def test_what_was_gathered_is_read_back(grid):
    gather(grid)
    found = read_gathered(grid.directory)
    assert (found.name, found.mode, found.points, found.done) == ("small", "grid", 4, 4)
    assert found.parameters["z.tau_m"].array.tolist() == [10, 10, 30, 30]
    assert found.parameters["seed"].array.tolist() == [0, 1, 0, 1]
    assert found.parameters["z.tau_m"].label == "z.tau_m (ms)" and found.parameters["seed"].label == "seed"
    path = grid.directory / "sweep.h5"
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(StoreError, match="it has no seal"):
        read_gathered(grid.directory)
    path.unlink()
    with pytest.raises(MissingInput, match="not there yet"):
        read_gathered(grid.directory)


def test_a_damaged_point_is_named(grid):
    path = grid.point_file(1)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(StoreError, match="small-0001"):
        gather(grid)


def test_a_disk_that_is_full_leaves_what_was_there(grid, monkeypatch):
    gather(grid)
    before = (grid.directory / "sweep.h5").read_bytes()

    def full(*_: Any) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("synsim.files.write_all", full)
    with pytest.raises(StoreError, match="No space left"):
        gather(grid)
    assert (grid.directory / "sweep.h5").read_bytes() == before
    assert sorted(path.name for path in grid.directory.iterdir()) == ["points", "sweep.csv", "sweep.h5"]


def test_many_points_take_little_memory_and_no_jax(runs, tmp_path):
    """120 points, of which each is the same file by another name."""
    (tmp_path / "points").mkdir()
    for number in range(120):
        (tmp_path / "points" / f"small-{number:04d}.h5").hardlink_to(runs / "points" / "small-0000.h5")
    program = (
        "import resource, sys\n"
        f"sys.path.insert(0, {str(ROOT / 'tests')!r})\n"
        "from pathlib import Path\n"
        "from sweeps.test_gathering import told\n"
        "from synsim.sweeps.gathering import gather\n"
        "most = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        f"few, many = told(Path({str(tmp_path)!r}), 'seed=0:20'), told(Path({str(tmp_path)!r}), 'seed=0:120')\n"
        "gather(few); before = most(); gather(many); print(most() - before)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 20_000, "KiB"
    assert read_gathered(tmp_path).done == 120


# pictures ----------------------------------------------------------------------------------------------------------


def test_pictures(grid, tmp_path):
    from synsim.pictures.sweep import name_of, plot

    gather(grid)
    found = read_gathered(grid.directory)
    for x, y, color, name, begins in (
        ("z.tau_m", "z.rate", None, "a.png", b"\x89PNG"),
        ("components.z.tau_m", "z.s.rate", "seed", "b.svg", b"<?xml"),
        ("z.tau_m", "seed", "W.weights.norm", "c.pdf", b"%PDF"),
        ("seed", "z.v.mean", None, "d.png", b"\x89PNG"),
    ):
        made = plot(found, x, y, color, tmp_path / name)
        assert made.read_bytes().startswith(begins) and made.stat().st_size > 3000
    assert "z.s.rate (Hz)" in _words(tmp_path / "b.svg")
    assert name_of(found, "z.tau_m", "z.rate", None) == "z.s.rate-over-z.tau_m.png"
    assert name_of(found, "z.tau_m", "seed", "z.v.mean") == "z.v.mean-over-z.tau_m-and-seed.png"


def _words(path: Path) -> str:
    """An SVG, in which the text of a picture stands in comments."""
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize("mode", ["random", "zip"])
def test_pictures_of_points_that_are_no_grid(mode, runs, tmp_path):
    from synsim.pictures.sweep import plot

    shutil.copytree(runs / "points", tmp_path / "sweep" / "points")
    more = {"zip": True} if mode == "zip" else {"random": 4}
    ledger = told(
        tmp_path / "sweep", "z.tau_m=10,20,30,40", "wires.y.j=labels,labels * 2,labels * 3,labels * 4", **more
    )
    ledger.point_file(2).unlink()
    gather(ledger)
    found = read_gathered(ledger.directory)
    assert plot(found, "z.tau_m", "z.rate", "wires.y.j", tmp_path / "a.png").exists()
    assert plot(found, "wires.y.j", "z.tau_m", "z.v.mean", tmp_path / "b.png").exists()


@pytest.mark.parametrize(
    ("x", "y", "color", "words"),
    [
        ("z.tau", "z.rate", None, "--x z.tau is no parameter of this sweep. Did you mean 'z.tau_m'?"),
        ("z.tau_m", "z.rat", None, "--y z.rat is no summary of this sweep. Did you mean 'z.s.rate'? There are"),
        (
            "z.tau_m",
            "z.rate",
            "z.v.mean",
            "--color z.v.mean is no parameter of this sweep. Swept are z.tau_m and seed.",
        ),
        ("z.tau_m", "seed", None, "--y seed is a parameter too: name with --color what is drawn over the two"),
        ("z.tau_m", "z.tau_m", "z.rate", "--x and --y are both z.tau_m: give another --y"),
        ("z.tau_m", "z.rate", "z.tau_m", "--x and --color are both z.tau_m: give another --color"),
        ("z.tau_m", "z.mean", None, "--y z.mean is no summary of this sweep."),  # of z.v, or of z.rfr?
    ],
)
def test_wrong_names_for_a_picture(x, y, color, words, grid, tmp_path):
    from synsim.pictures.sweep import plot

    gather(grid)
    with pytest.raises(ConfigError) as caught:
        plot(read_gathered(grid.directory), x, y, color, tmp_path / "a.png")
    assert words in str(caught.value) and not (tmp_path / "a.png").exists()


def test_a_picture_needs_an_ending_a_point_and_matplotlib(grid, tmp_path, monkeypatch):
    from synsim.pictures.sweep import plot

    gather(grid)
    found = read_gathered(grid.directory)
    with pytest.raises(ConfigError, match=r"a picture is a file that ends in \.png, \.svg or \.pdf"):
        plot(found, "z.tau_m", "z.rate", None, tmp_path / "a.jpg")
    for number in range(4):
        grid.point_file(number).rename(grid.directory / f"{number}")
    gather(grid)
    with pytest.raises(ConfigError, match="There are none: no point is done"):
        plot(read_gathered(grid.directory), "z.tau_m", "z.rate", None, tmp_path / "a.png")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ConfigError, match=r"pip install 'synsim\[view\]'"):
        plot(found, "z.tau_m", "z.rate", None, tmp_path / "a.png")
