"""`synsim diff`: every difference between two runs is found, where it begins is right, and the exit code says so."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from stored import ALL_STEPS, DT, blocks, layout, states, write
from typer.testing import CliRunner

from synsim import run_differences
from synsim.cli import app
from synsim.reading import Run
from synsim.run_differences import Tolerance, differences, lines
from synsim.store import Events, Layout, Trace, Writer


def between(one: Path, other: Path, tolerance: Tolerance | None = None) -> tuple[dict, str]:
    with Run(one) as a, Run(other) as b:
        told = differences(a, b, tolerance)
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    text = lines(told)
    assert all(line.isprintable() for line in text)
    return told, "\n".join(text)


def changed(folder: Path, change: Callable[[dict, dict], None], made: Layout | None = None) -> Path:
    """The run of `stored` with its fields or its states changed."""
    fields, trials = blocks(0, ALL_STEPS)
    last = states()
    change(fields, last)
    writer = Writer(folder, made or layout())
    writer.initial({"W": states()["W"]})
    writer.segment(0, ALL_STEPS, {name: each for name, each in fields.items() if each is not None}, trials)
    return writer.finish(last)


def test_a_run_is_the_same_as_itself_however_it_was_saved(tmp_path: Path) -> None:
    told, text = between(write(tmp_path / "a"), write(tmp_path / "b", (13, 40, 77)).parent)
    assert told["same"] and told["first"] is None and not told["config"]
    assert "the same in both: the config, 4 records, 6 columns of the trial table, 2 initial states, 3 final" in text


def voltage(row: int, unit: int, value: float) -> Callable[[dict, dict], None]:
    def change(fields: dict, last: dict) -> None:
        data = np.array(fields["z.v"].data, np.float32)
        data[row, unit] += value
        fields["z.v"] = Trace(data, *(getattr(fields["z.v"], name) for name in ("time", "trial", "phase")))

    return change


def test_a_value(tmp_path: Path) -> None:
    one = write(tmp_path / "a")
    other = changed(tmp_path / "b", voltage(47, 2, 0.25))
    told, text = between(one, other)
    v = told["records"]["z.v"]
    assert not told["same"] and (v["differing"], v["values"], v["largest"]) == (1, 480, 0.25)
    assert told["first"] == {"name": "z.v", "time": 47 * DT, "trial": 2, "at": {"unit": 2}}
    assert v["pair"][1] - v["pair"][0] == 0.25
    assert "first difference at 23.5 ms (trial 2), in z.v" in text and "by up to 0.25 mV" in text and "unit 2" in text
    assert between(one, other, Tolerance(absolute=0.25))[0]["same"]
    assert not between(one, other, Tolerance(absolute=0.24))[0]["same"]
    assert between(one, other, Tolerance(relative=0.25 / 53))[0]["same"]
    assert not between(one, other, Tolerance(relative=0.25 / 54))[0]["same"]
    assert between(other, one)[0]["first"] == told["first"]


def test_what_is_not_finite(tmp_path: Path) -> None:
    one, same, other = (
        changed(tmp_path / name, voltage(3, 0, value)) for name, value in (("a", np.nan), ("b", np.nan), ("c", np.inf))
    )
    assert between(one, same)[0]["same"]
    told, text = between(one, other, Tolerance(1.0, 1e30))
    assert not told["same"] and told["records"]["z.v"]["largest"] is None and "not finite" in text


def spikes(change: Callable[[np.ndarray, np.ndarray], tuple]) -> Callable[[dict, dict], None]:
    def do(fields: dict, last: dict) -> None:
        times, units = change(np.array(fields["z.s"].timestamps), np.array(fields["z.s"].node_ids))
        fields["z.s"] = Events(times, units, (times / DT).astype(int) // 20)

    return do


@pytest.mark.parametrize("piece", [1 << 19, 7])
def test_spikes(tmp_path: Path, monkeypatch, piece: int) -> None:
    monkeypatch.setattr(run_differences, "_PIECE", piece)
    one = write(tmp_path / "a")
    without = changed(tmp_path / "b", spikes(lambda t, u: (np.delete(t, 9), np.delete(u, 9))))
    told, text = between(one, without)
    assert told["records"]["z.s"]["only"] == {"a": 1, "b": 0} and told["first"]["time"] == 27 * DT
    assert told["records"]["z.s"]["first"]["at"] == {"unit": 27 % 4} and told["records"]["z.s"]["first"]["in"] == "a"
    assert "40 and 39 spikes, 1 only in a, 0 only in b; first at 13.5 ms, unit 3, in a" in text
    later = changed(tmp_path / "c", spikes(lambda t, u: (t, np.where(t == 30 * DT, 1, u))))
    found = between(one, later)[0]["records"]["z.s"]
    assert found["only"] == {"a": 1, "b": 1} and found["first"]["time"] == 30 * DT
    many = changed(tmp_path / "d", spikes(lambda t, u: (np.repeat(t, 30), np.tile(np.arange(30), len(t)))))
    assert between(one, many)[0]["records"]["z.s"]["only"] == {"a": 0, "b": 40 * 29}


def test_states_records_and_lengths(tmp_path: Path) -> None:
    one = write(tmp_path / "a")

    def state(fields: dict, last: dict) -> None:
        weights = np.array(last["W"]["weights"][0])
        weights[1, 2] = 100
        last["W"]["weights"] = (weights, *last["W"]["weights"][1:])

    told, text = between(one, changed(tmp_path / "b", state))
    assert told["final"]["W.weights"]["at"] == [1, 2] and told["final"]["W.weights"]["largest"] == 94
    assert told["first"] is None and "final.W.weights: 1 of 12 values differ, by up to 94; first at [1, 2]" in text
    fewer = Layout(**{**vars(layout()), "records": layout().records[:2]})
    told, text = between(
        one, changed(tmp_path / "c", lambda f, s: f.update({"z.rate": None, "W.weights": None}), fewer)
    )
    assert told["records"]["z.rate"] == {"same": False, "why": "only in a"} and "W.weights: only in a" in text
    with Writer(tmp_path / "d", layout()) as writer:
        writer.initial({"W": states()["W"]})
        writer.segment(0, 50, *blocks(0, 50))
        told, text = between(one, tmp_path / "d")
    assert told["steps"] == {"a": 120, "b": 50} and "120 and 50 steps" in text
    assert "z.v: 120 and 50 rows, as far as both go the same" in text
    assert told["records"]["z.v"]["first"]["time"] == 50 * DT and told["first"]["time"] == 50 * DT


def test_rows_of_other_times(tmp_path: Path) -> None:
    def later(fields: dict, last: dict) -> None:
        it = fields["z.rate"]
        fields["z.rate"] = Trace(it.data, np.asarray(it.time) + (np.arange(len(it.time)) > 4), it.trial, it.phase)

    told, text = between(write(tmp_path / "a"), changed(tmp_path / "b", later))
    assert "z.rate: rows of other times from row 5 on (12.5 and 13.5 ms)" in text and told["first"]["time"] == 12.5


def test_other_shapes_and_units(tmp_path: Path) -> None:
    told, text = between(write(tmp_path / "a"), write(tmp_path / "b", batch=3))
    assert "z.v: rows of shape 4 and 3 x 4" in text and "4 and 4 units, in 1 and 3 rows" in text


def test_configs(tmp_path: Path) -> None:
    texts = [{"name": "a", "seed": 7, "run": {"dt": 1.0}}, {"name": "b", "seed": 8, "run": {"dt": 1.0, "steps": 3}}]
    paths = []
    for name, text in zip("ab", texts, strict=True):
        made = Layout(**{**vars(layout()), "config_resolved": json.dumps(text)})
        paths.append(changed(tmp_path / name, lambda fields, last: None, made))
    told, text = between(*paths)
    assert told["config"] == [{"path": "seed", "a": 7, "b": 8}, {"path": "run.steps", "b": 3}]
    assert "-seed: 7\n+seed: 8\n+run.steps: 3" in text and not told["same"]


def test_as_it_is_typed(tmp_path: Path) -> None:
    one, other = write(tmp_path / "a"), changed(tmp_path / "b", voltage(47, 2, 1e-4))
    for words, code in (
        ([one, one], 0),
        ([one, other], 1),
        ([one, other, "--rtol", "1e-5"], 0),
        ([one, other, "--atol", "1e-3", "--json"], 0),
        ([one, other, "--rtol", "-1"], 2),
        ([one, other, "--rtol", "nan"], 2),
        ([one, tmp_path / "c"], 66),
    ):
        done = CliRunner().invoke(app, ["diff", *map(str, words)])
        assert done.exit_code == code, (words, done.output, done.exception)
        assert (done.stderr == "") == (code < 2) and "bug" not in done.stderr
        if "--json" in words:
            assert json.loads(done.stdout)["same"] is True
    (tmp_path / "sweep.json").write_text("{}")
    done = CliRunner().invoke(app, ["diff", str(tmp_path), str(one)])
    assert done.exit_code == 2 and "compare its points" in done.stderr
