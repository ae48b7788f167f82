"""`synsim export`: each format holds what the run has, read back by the tools that the format is for."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import h5py
import libsonata
import numpy as np
import pandas as pd
import pynwb
import pytest
from large_file import write_large
from stored import ALL_STEPS, DT, blocks, layout, membrane, states, write
from typer.testing import CliRunner

import synsim
from synsim.cli import app
from synsim.export.exporting import export
from synsim.store import Run, Writer

STEP = np.arange(ALL_STEPS)


@pytest.fixture(scope="module", params=[1, 3], ids=["batch 1", "batch 3"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    path = write(tmp_path_factory.mktemp("export") / "small", (13, 40, 77), batch=request.param)
    with Run(path) as opened:
        yield opened


def batch_of(run: Run) -> int:
    return int(run.attrs["batch"])


def spikes_of(run: Run):
    return blocks(0, ALL_STEPS, batch_of(run))[0]["z.s"]


def test_tables_hold_every_value(run: Run, tmp_path: Path) -> None:
    written = export(run, "csv", out=tmp_path / "out")
    names = ["W.weights.csv", "z.rate.csv", "z.v.csv", "z.s.csv", "trials.csv"]
    assert [path.name for path in written] == names and sorted(p.name for p in (tmp_path / "out").iterdir()) == sorted(
        names
    )
    batch, want = batch_of(run), membrane(STEP, batch_of(run)).astype(np.float32)
    v = pd.read_csv(tmp_path / "out" / "z.v.csv")
    if batch == 1:
        assert list(v) == ["time", "trial", "phase", *(f"z.v[{n}]" for n in range(4))]
        np.testing.assert_array_equal(v.filter(like="z.v").astype(np.float32), want)
        np.testing.assert_allclose(v["time"], STEP * DT, rtol=1e-12)
        assert list(v["phase"].unique()) == ["train", "test"] and v["trial"].iloc[-1] == 5
    else:
        assert list(v) == ["time", "trial", "phase", "row", "unit", "z.v"]
        np.testing.assert_array_equal(v["z.v"].to_numpy(np.float32), want.ravel())
        assert v.groupby(["row", "unit"])["z.v"].count().eq(ALL_STEPS).all()
        one = v[(v["time"] == 7.0) & (v["row"] == 2) & (v["unit"] == 3)]
        assert one["z.v"].item() == want[14, 2, 3]
    weights = pd.read_csv(tmp_path / "out" / "W.weights.csv")
    assert list(weights) == ["time", "trial", "phase", "pre_unit", "post_unit", "W.weights"] and len(weights) == 6 * 12
    s, had = pd.read_csv(tmp_path / "out" / "z.s.csv"), spikes_of(run)
    np.testing.assert_array_equal(s["time"], had.timestamps)
    np.testing.assert_array_equal(s["unit"], had.node_ids)
    assert ("row" in s) == (batch > 1)
    trials = pd.read_csv(tmp_path / "out" / "trials.csv")
    assert list(trials["phase"]) == ["train"] * 3 + ["test"] * 3
    np.testing.assert_array_equal(trials["stop"] - trials["start"], [10.0] * 6)
    assert ("labels" in trials) == (batch == 1) and ("labels[0]" in trials) == (batch > 1)


def test_a_table_of_spikes_is_data_for_another_run(run: Run, tmp_path: Path) -> None:
    if batch_of(run) > 1:
        return  # which of its rows would have to be said
    (path,) = export(run, "csv", ["z.s"], tmp_path / "z.csv")
    text = f"""
run: {{dt: 0.5, steps: 120}}
data: {{played: {{type: spikes, path: "{path}", n_units: 4}}}}
components: {{c: {{type: VarTrace, n_units: 4, tau_tr: 10}}}}
wires: {{c.inputs: played}}
record: {{c.trace: {{}}}}
"""
    played = synsim.check("-", text=text).phases[0].entries["played"].values
    assert played.sum() == len(run.spikes("z"))


def test_arrays_hold_every_value(run: Run, tmp_path: Path) -> None:
    (path,) = export(run, "npz", ["z", "W.weights", "final"], tmp_path / "some.npz")
    (whole,) = export(run, "npz", out=tmp_path / "all.npz")
    want, had = membrane(STEP, batch_of(run)).astype(np.float32), spikes_of(run)
    with np.load(path, allow_pickle=False) as held:
        np.testing.assert_array_equal(held["z.v"], want)
        assert held["z.v"].dtype == np.float32
        np.testing.assert_array_equal(held["z.v.time"], STEP * DT)
        np.testing.assert_array_equal(held["z.v.unit"], np.arange(4))
        np.testing.assert_array_equal(held["z.s.time"], had.timestamps)
        np.testing.assert_array_equal(held["z.s.unit"], had.node_ids)
        np.testing.assert_array_equal(held["final.W.weights"], states()["W"]["weights"][0])
        assert held["dt"] == DT and "trials.phase" not in held and "initial.W.weights" not in held
        assert ("z.s.row" in held) == (batch_of(run) > 1) == ("z.v.row" in held)
    with np.load(whole, allow_pickle=False) as held:
        assert list(held["trials.phase"]) == ["train"] * 3 + ["test"] * 3
        assert '"seed": 7' in str(held["config"]) and "final.W.weights" not in held
    again = tmp_path / "again.npz"
    export(run, "npz", out=again)
    assert again.read_bytes() == whole.read_bytes()


def test_libsonata_reads_what_is_exported(run: Run, tmp_path: Path) -> None:
    said: list[str] = []
    written = export(run, "sonata", out=tmp_path / "out", note=said.append)
    assert [path.name for path in written] == ["spikes.h5", "z.v.h5"]
    assert len(said) == 2 and all(line.startswith("left out: ") for line in said)
    batch, want, had = batch_of(run), membrane(STEP, batch_of(run)).astype(np.float32), spikes_of(run)
    names = ["z"] if batch == 1 else [f"z_row{row}" for row in range(batch)]
    assert len(had.timestamps) == 40
    spikes, reports = (libsonata.SpikeReader(str(written[0])), libsonata.ElementReportReader(str(written[1])))
    assert spikes.get_population_names() == names == reports.get_population_names()
    for row, name in enumerate(names):
        own = np.ones(len(had.timestamps), bool) if batch == 1 else had.row == row
        expected = list(zip(had.node_ids[own].tolist(), had.timestamps[own].tolist(), strict=True))
        assert spikes[name].get() == expected and spikes[name].sorting == "by_time"
        frame = reports[name].get()
        np.testing.assert_array_equal(frame.data, want if batch == 1 else want[:, row])
        np.testing.assert_allclose(frame.times, STEP * DT)
        assert reports[name].data_units == "mV" and reports[name].times == (0.0, ALL_STEPS * DT, DT)


def test_pynwb_reads_and_validates_what_is_exported(run: Run, tmp_path: Path) -> None:
    (path,) = export(run, "nwb", out=tmp_path / "small.nwb")
    assert pynwb.validate(path=str(path)) == []
    batch, want, had = batch_of(run), membrane(STEP, batch_of(run)).astype(np.float32), spikes_of(run)
    with pynwb.NWBHDF5IO(str(path), "r") as io:
        file = io.read()
        v = file.acquisition["z.v"]
        np.testing.assert_array_equal(v.data[:], want)
        assert v.unit == "mV" and "Membrane" in v.description
        if batch == 1:
            assert (v.starting_time, v.rate) == (0.0, 2000.0)
        else:
            np.testing.assert_allclose(v.timestamps[:], STEP * DT / 1000)
        units = file.units.to_dataframe()
        assert len(units) == 4 * batch and set(units["population"]) == {"z.s"}
        for _, each in units.iterrows():
            own = had.node_ids == each["unit"]
            own &= True if batch == 1 else had.row == each["row"]
            np.testing.assert_allclose(each["spike_times"], had.timestamps[own] / 1000)
        assert units["spike_times"].map(len).sum() == 40
        trials = file.trials.to_dataframe()
        assert list(trials["phase"]) == ["train"] * 3 + ["test"] * 3
        np.testing.assert_allclose(trials["start_time"], np.arange(6) * 0.01)
        assert file.source_script.startswith("name: small") and file.session_start_time.year == 2026


def test_double_precision_and_a_run_that_goes_on(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "small", layout(1, "float64"))
    with Run(tmp_path / "small") as run:
        for to in ("csv", "npz", "sonata"):
            assert export(run, to, out=tmp_path / (to if to != "npz" else "none.npz"))
        assert (tmp_path / "csv" / "z.s.csv").read_text() == "time,unit,trial\n"
        assert len((tmp_path / "csv" / "z.v.csv").read_text().splitlines()) == 1
    writer.segment(0, 33, *blocks(0, 33))
    writer.segment(33, 50, *blocks(33, 50))
    with Run(tmp_path / "small") as run:
        (path,) = export(run, "npz", ["z.v", "z.s"], tmp_path / "live.npz")
        with np.load(path) as held:
            np.testing.assert_array_equal(held["z.v"], membrane(np.arange(50), 1))
            assert held["z.v"].dtype == np.float64 and len(held["z.s.time"]) == 17
        export(run, "sonata", ["z.v"], tmp_path / "live")
        frame = libsonata.ElementReportReader(str(tmp_path / "live" / "z.v.h5"))["z"].get()
        np.testing.assert_array_equal(frame.data, membrane(np.arange(50), 1).astype(np.float32))
        export(run, "nwb", out=tmp_path / "live.nwb")
        assert pynwb.validate(path=str(tmp_path / "live.nwb")) == []


# --- the command


def call(*words: object) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["export", *map(str, words)])
    return done.exit_code, done.stdout, done.stderr


def test_the_command_writes_beside_the_file_and_never_over_another(tmp_path: Path) -> None:
    write(tmp_path / "small", (50,))
    folder = tmp_path / "small"
    code, told, said = call(folder, "z.v", "--to", "csv")
    assert (code, told, said) == (0, f"{folder / 'small-z.v.csv'}\n", "")
    code, told, said = call(folder, "z.v", "--to", "csv")
    assert code == 73 and told == "" and said.startswith(f"synsim: {folder / 'small-z.v.csv'} is there already")
    assert call(folder, "z.v", "--to", "csv", "--overwrite")[0] == 0
    assert call(folder / "small.h5", "--to", "npz")[1] == f"{folder / 'small.npz'}\n"
    assert call(folder, "--to", "csv")[1].splitlines()[0] == str(folder / "small-csv" / "W.weights.csv")
    assert call(folder, "z.v", "--to", "csv", "-o", tmp_path / "new" / "it.csv")[0] == 0
    with (tmp_path / "new" / "it.csv").open() as file:
        assert len(list(csv.reader(file))) == ALL_STEPS + 1
    verified = CliRunner().invoke(app, ["verify", str(folder)])
    assert verified.exit_code == 0, verified.output  # what lies beside a run is none of its files
    assert not [path for path in folder.rglob("*") if ".tmp" in path.name]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--to", "hdf"], 2, "--to hdf: a run is exported to csv, npz, nwb or sonata"),
        ([], 2, "--to is missing"),
        (["z.w", "q", "--to", "csv"], 2, "z.w is not in"),
        (["W.weights", "--to", "sonata"], 2, "W.weights cannot go to sonata: a SONATA report has one value a unit"),
        (["final.W.weights", "--to", "nwb"], 2, "final.W.weights cannot go to nwb"),
        (["--to", "npz", "-o", "x.csv"], 2, "whose name ends in .npz"),
        (["--to", "csv", "-o", "x.csv"], 2, "this makes several files, in a folder"),
        (["--to", "npz", "-o", "/proc/no/x.npz"], 74, "cannot be written"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_is_said_in_a_line_each(tmp_path: Path, words, code, said, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path / "small", (50,))
    before = sorted(tmp_path.rglob("*"))
    got, told, heard = call(path, *words)
    assert got == code and told == "" and said in heard, heard
    assert len(heard.splitlines()) == (2 if "q" in words else 1)
    assert sorted(tmp_path.rglob("*")) == before


def test_without_pynwb_the_extra_is_named(tmp_path: Path, monkeypatch) -> None:
    path = write(tmp_path / "small", (50,))
    monkeypatch.setitem(sys.modules, "pynwb", None)
    code, told, said = call(path, "--to", "nwb")
    assert code == 2 and told == "" and "pip install 'synsim[nwb]'" in said and len(said.splitlines()) == 1


@pytest.mark.parametrize("to", ["csv", "npz", "nwb", "sonata"])
def test_files_that_are_none_are_refused_in_a_line(tmp_path: Path, to: str) -> None:
    path = write(tmp_path / "small", (50,))
    whole = path.read_bytes()
    odd = {
        "nothing": (b"", 74),
        "text": (b"name: small\n" * 100, 74),
        "cut": (whole[: len(whole) // 2], 74),
        "head": (whole[:600], 74),
    }
    for name, (data, code) in odd.items():
        (tmp_path / f"{name}.h5").write_bytes(data)
        got, told, said = call(tmp_path / f"{name}.h5", "--to", to, "-o", tmp_path / "out")
        assert got == code and told == "" and len(said.splitlines()) == 1 and "bug" not in said, (name, said)
    with h5py.File(tmp_path / "foreign.h5", "w") as file:
        file["x"] = np.arange(3)
    (tmp_path / "empty").mkdir()
    for name, code in (("foreign.h5", 74), ("empty", 74), ("nowhere", 66)):
        got, told, said = call(tmp_path / name, "--to", to)
        assert got == code and told == "" and len(said.splitlines()) == 1, (name, said)


HOSTILE = {
    "a unit that there is not": lambda f: f["spikes/z/node_ids"].__setitem__(0, 10**18),
    "a phase that there is not": lambda f: f["records/W/weights/phase"].__setitem__(0, 99),
    "times that go back": lambda f: f["spikes/z/timestamps"].__setitem__(slice(None), np.arange(40)[::-1]),
    "no times": lambda f: f["spikes/z"].__delitem__("timestamps"),
    "no trials": lambda f: f.__delitem__("trials"),
    "no provenance": lambda f: f.__delitem__("provenance"),
    "a start that is no time": lambda f: f["provenance"].attrs.__setitem__("started", "yesterday\x1b[2J"),
    "an interval of nan": lambda f: f["report/z.v"].attrs.__setitem__("interval", np.nan),
    "an interval that is text": lambda f: f["report/z.v"].attrs.__setitem__("interval", "\x1b[31mred"),
    "a dt that is text": lambda f: f.attrs.__setitem__("dt", "x"),
    "a name that leads elsewhere": lambda f: f.attrs.__setitem__("name", "../../out"),
    "a component that leads elsewhere": lambda f: f["report/z.v"].attrs.__setitem__("component", "../../z"),
    "units without end": lambda f: f["spikes/z"].attrs.__setitem__("units", 2**60),
    "a batch of none": lambda f: f["spikes/z"].attrs.__setitem__("batch", 0),
    "times that are not numbers": lambda f: f["report/z.v/time"].__setitem__(slice(None), np.nan),
}


@pytest.mark.parametrize("to", ["csv", "npz", "nwb", "sonata"])
@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_files_crash_nothing_and_write_nowhere_else(tmp_path: Path, to: str, what: str) -> None:
    path = write(tmp_path / "in" / "small", (50,))
    with h5py.File(path, "r+") as file:
        HOSTILE[what](file)
    out = tmp_path / "in" / ("out" if to in ("csv", "sonata") else f"out.{to}")
    for place in (["-o", out], []):
        code, _, said = call(path, "--to", to, *place)
        assert code in (0, 2, 74), (code, said)
        assert all(line.isprintable() for line in said.splitlines()), said
        assert code == 0 or len([line for line in said.splitlines() if not line.startswith("left out")]) == 1, said
    assert {each.name for each in tmp_path.iterdir()} == {"in"}
    assert not [each for each in tmp_path.rglob("*") if ".tmp" in each.name]


def test_a_record_larger_than_memory_goes_through(tmp_path: Path, scale) -> None:
    """In a process that may hold less than the record: what is exported comes piece by piece."""
    path = write_large(tmp_path, scale(quick=0.3, full=1.0))
    program = f"""
import synsim
from pathlib import Path
from synsim.export.exporting import export
with synsim.open({str(path)!r}) as run:
    export(run, "npz", ["z"], Path({str(tmp_path / "out.npz")!r}))
    export(run, "sonata", ["z"], Path({str(tmp_path / "out")!r}))
print(next(l.split()[1] for l in open("/proc/self/status") if l.startswith("VmHWM")))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 200 << 10 and (tmp_path / "out.npz").stat().st_size > 0.29e9


DAMAGE = """
import random, sys
from pathlib import Path
from typer.testing import CliRunner
from synsim.cli import app

path, seed, count = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
whole, chance, codes = path.read_bytes(), random.Random(seed), set()
for number in range(count):
    data = bytearray(whole)
    for _ in range(chance.choice([1, 3, 10])):
        data[chance.randrange(len(data))] = chance.randrange(256)
    (path.parent / "bad.h5").write_bytes(data)
    to = chance.choice(["csv", "npz", "nwb", "sonata"])
    out = path.parent / (f"out{number}" if to in ("csv", "sonata") else f"out{number}.{to}")
    bad = str(path.parent / "bad.h5")
    for words in (["export", bad, "--to", to, "-o", str(out)], ["watch", bad]):
        done = CliRunner().invoke(app, words)
        said = done.stderr.splitlines()
        assert done.exit_code in (0, 2, 74), (words, done.exit_code, said)
        assert all(line.isprintable() for line in said), (words, said)
        errors = [line for line in said if not line.startswith("left out")]
        assert len(errors) == (done.exit_code != 0), (words, said)
        codes.add(done.exit_code)
print(sorted(codes))
"""


def test_flipped_bytes_are_one_line(tmp_path: Path, scale) -> None:
    path = write(tmp_path / "small", (50,), batch=3)
    words = [sys.executable, "-c", DAMAGE, str(path), "11", str(scale(quick=25, ci=60, full=500))]
    done = subprocess.run(words, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    assert "74" in done.stdout
