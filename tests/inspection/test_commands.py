"""`synsim inspect` as it is typed: a run, a thing in it, its config; a sweep; and what cannot be read."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import h5py
import pytest
import test_cli
import yaml
from sweeps.side_by_side import PLASTIC, computed
from sweeps.side_by_side import sweep as asked_for
from typer.testing import CliRunner

import synsim
from synsim import completion
from synsim.cli import app

SMALL = f"# what it shows{test_cli.SMALL}"


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    with synsim.run(synsim.load("config.yaml", text=SMALL), out=folder):
        return folder / "small"


@pytest.fixture(scope="module")
def sweep(tmp_path_factory) -> Path:
    ledger = asked_for(PLASTIC, tmp_path_factory.mktemp("sweeps"), ["z.tau_m=10,20", "seed=0:3"])
    computed(ledger)
    from synsim.sweeps.gathering import gather

    gather(ledger)
    return ledger.directory


def typed(*words, code: int = 0):
    """What a command says, on both streams, and nothing that would control a terminal."""
    done = CliRunner().invoke(app, list(map(str, words)))
    assert done.exit_code == code, (done.output, done.exception)
    assert "bug" not in done.stderr and all(line.isprintable() for line in done.output.splitlines())
    return done


def test_the_tree_of_a_run(run):
    told = typed("inspect", run).stdout
    for piece in ("small: done", "z.v", "spikes of 6 units", "mean rate", "provenance", "synsim 0", "final", "W.weight",
                  "config  3 components: x PoissonCell, W StaticSynapse, z LIFCell"):  # fmt: skip
        assert piece in told, piece
    document = json.loads(typed("inspect", run / "small.h5", "--json").stdout)
    assert document["components"] == {"x": "PoissonCell", "W": "StaticSynapse", "z": "LIFCell"}
    assert document["records"]["z.v"]["shape"] == [200, 6] and document["provenance"]["started"]


def test_things_in_a_run(run):
    assert "values in bins (mV)" in typed("inspect", run, "z.v").stdout
    assert json.loads(typed("inspect", run, "z.s", "--json").stdout)["found"][0]["statistics"]["whole"] is True
    told = typed("inspect", run, "z").stdout
    assert "z.v" in told and "W.weights" not in told
    assert "5 trials" in typed("inspect", run, "trials").stdout
    assert "jax_version" in typed("inspect", run, "provenance").stdout
    assert json.loads(typed("inspect", run, "provenance", "--json").stdout)["attributes"]["seed"] == 0


def test_the_config_as_it_was_run_runs_again_and_says_the_same(run, tmp_path):
    with synsim.open(run) as left:
        assert yaml.safe_load(typed("inspect", run, "config").stdout) == left.config
        assert json.loads(typed("inspect", run, "config", "--json").stdout) == left.config
    assert typed("inspect", run, "config.yaml").stdout == SMALL
    assert yaml.safe_load(typed("inspect", run, "config.z.tau_m").stdout) == 20.0
    assert yaml.safe_load(typed("inspect", run, "config.run").stdout)["trials"] == 5
    (tmp_path / "again.yaml").write_text(typed("inspect", run, "config").stdout)
    with synsim.run(str(tmp_path / "again.yaml"), out=tmp_path):
        told = typed("diff", run, tmp_path / "small")
    assert "the same in both: the config, 2 records" in told.stdout
    assert "Did you mean 'tau_m'" in typed("inspect", run, "config.z.tau_n", code=2).stderr


def test_in_a_process_of_its_own(run):
    for words in ([], ["z.v"], ["z.s", "--json"], ["config"]):
        assert typed("inspect", run, *words, "--sandbox").stdout == typed("inspect", run, *words).stdout
    assert "nothing called z.w" in typed("inspect", run, "z.w", "--sandbox", code=2).stderr


def test_what_is_not_there_or_no_run(run, tmp_path):
    assert "nothing called q" in typed("inspect", run, "q", code=2).stderr
    assert "no such file" in typed("inspect", tmp_path / "none", code=66).stderr
    data = (run / "small.h5").read_bytes()
    (tmp_path / "half.h5").write_bytes(data[: len(data) // 2])
    (tmp_path / "text.h5").write_text(SMALL)
    (tmp_path / "empty.h5").touch()
    with h5py.File(tmp_path / "foreign.h5", "w") as file:
        file["x"] = 1
    (tmp_path / "folder").mkdir()
    for name in ("half.h5", "text.h5", "empty.h5", "foreign.h5", "folder"):
        for words in (
            ["inspect", tmp_path / name],
            ["inspect", tmp_path / name, "z.v"],
            ["diff", run, tmp_path / name],
        ):
            said = typed(*words, code=74)
            assert name in said.stderr and said.stdout == "" and len(said.stderr.splitlines()) == 1
    for names in (["inspect", tmp_path / "half.h5", "--json"], ["inspect", tmp_path / "half.h5", "--sandbox"]):
        assert typed(*names, code=74).stdout == ""


def test_words_for_the_shell(run):
    class Context:
        params = {"path": run}
        args: list[str] = []

    offered = dict(completion.things(Context(), ""))
    assert offered["z.v"] == "Membrane potential." and {"z", "final.W.weights", "config", "provenance"} <= set(offered)
    assert [name for name, _ in completion.things(Context(), "z.")] == ["z.s", "z.v"]


def test_a_sweep(sweep):
    told = typed("inspect", sweep).stdout
    for piece in ("plastic: done, 6 of 6 points", "grid of 2 parameters", "z.tau_m  10, 20 ms", "seed  0, 1, 2",
                  "summaries of 6 points", "z.s.rate", "most at point", "tau_m=", "state"):  # fmt: skip
        assert piece in told, piece
    document = json.loads(typed("inspect", sweep, "--json").stdout)
    rates = document["table"]["z.s.rate"]
    summary = document["summaries"]["z.s.rate"]
    assert len(rates) == 6 and summary["max"] == max(rates) and rates[summary["least_at"]] == min(rates)
    assert document["counts"]["done"] == 6


def test_things_in_a_sweep(sweep):
    told = json.loads(typed("inspect", sweep, "z.s.rate", "--json").stdout)
    rates = json.loads(typed("inspect", sweep, "--json").stdout)["table"]["z.s.rate"]
    by_tau = told["over"]["z.tau_m"]["values"]
    assert [each["value"] for each in by_tau] == [10.0, 20.0] and by_tau[0]["points"] == 3
    assert by_tau[0]["mean"] == pytest.approx(sum(rates[:3]) / 3)
    assert "z.tau_m (ms)" in typed("inspect", sweep, "z.s.rate").stdout
    assert "plastic-0004: done" in typed("inspect", sweep, "4").stdout
    assert "values in bins (mV)" in typed("inspect", sweep, "4/z.v").stdout
    assert typed("inspect", sweep, "config").stdout == PLASTIC
    assert "no point 6" in typed("inspect", sweep, "6", code=2).stderr
    assert "Did you mean 'z.s.rate'" in typed("inspect", sweep, "z.s.rat", code=2).stderr


def test_a_sweep_that_is_not_complete_or_damaged(sweep, tmp_path):
    left = shutil.copytree(sweep, tmp_path / "plastic")
    (left / "sweep.h5").unlink()
    (left / "points" / "plastic-0003.h5").unlink()
    told = typed("inspect", left).stdout
    assert "5 of 6 points" in told and "no table yet" in told and "1 missing" in told
    assert "point 3" in typed("inspect", left, "3", code=74).stderr
    assert "Nothing is gathered yet" in typed("inspect", left, "z.s.rate", code=2).stderr
    shutil.copy(sweep / "sweep.h5", left)
    data = bytearray((left / "sweep.h5").read_bytes())
    data[len(data) // 2] ^= 4
    (left / "sweep.h5").write_bytes(data)
    assert "sweep.h5" in typed("inspect", left, code=74).stderr
    (left / "sweep.json").write_text("{")
    assert "sweep.json is damaged" in typed("inspect", left, code=74).stderr


def test_a_sweep_made_to_do_harm(sweep, tmp_path):
    from synsim.reading import digest_in

    left = shutil.copytree(sweep, tmp_path / "plastic")
    good = json.loads((left / "sweep.json").read_text())
    for change in (
        {"points": [[1]] * 6},
        {"points": good["points"][:2]},
        {"parameters": []},
        {"groups": [{"points": [0, 99], "lanes": 2}]},
        {"name": "\x1b[2J"},
        {"points": [[{"a": [1]}, None]] * 6},
    ):
        forged = {**good, **change}
        (left / "sweep.json").write_text(json.dumps({**forged, "sha256": digest_in(forged)}))
        for words in (["inspect", left], ["inspect", left, "z.s.rate"], ["inspect", left, "--json"]):
            done = CliRunner().invoke(app, list(map(str, words)))
            assert done.exit_code in (0, 2, 74) and "bug" not in done.stderr, (change, done.stderr)
            assert len(done.stderr.splitlines()) == (done.exit_code != 0)
            assert all(line.isprintable() for line in done.output.splitlines())


def test_the_table_of_a_sweep_stands_for_it(sweep):
    assert typed("inspect", sweep / "sweep.h5").stdout == typed("inspect", sweep).stdout
