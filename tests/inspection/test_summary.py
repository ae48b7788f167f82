"""What is said of a run are the numbers that are in it, of finished, live and stopped runs alike."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from stored import ALL_STEPS, DT, STEPS, UNITS, blocks, layout, membrane, states, write

from synsim.inspection import measures
from synsim.inspection.measures import Spark
from synsim.inspection.summary import summary
from synsim.inspection.words import lines
from synsim.store import Events, Layout, RecordLayout, Run, Trace, Trials, Writer


def about(path: Path) -> tuple[dict, str]:
    with Run(path) as run:
        document = summary(run)
        text = "\n".join(lines(document))
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert "\x1b" not in text and all(line == line.rstrip() and "\n" not in line for line in text.splitlines())
    return document, text


@pytest.mark.parametrize("batch", [1, 3])
def test_the_numbers_of_a_finished_run(tmp_path: Path, batch: int) -> None:
    path = write(tmp_path / "small", (13, 40), batch=batch)
    document, text = about(path)
    assert document["name"] == "small" and document["state"] == "done" and document["seed"] == 7
    assert document["steps"] == ALL_STEPS and document["time"] == ALL_STEPS * DT
    assert document["bytes"] == path.stat().st_size
    assert document["trials"]["phases"] == {"train": 3, "test": 3}
    want = membrane(np.arange(ALL_STEPS), batch).astype(np.float32)
    v = document["records"]["z.v"]
    assert v["shape"] == list(want.shape) and v["axes"] == (["time", "row", "unit"] if batch > 1 else ["time", "unit"])
    assert v["min"] == want.min() and v["max"] == want.max() and v["mean"] == pytest.approx(want.mean(dtype=np.float64))
    assert v["last"] == want[-1].tolist() and v["unit"] == "mV" and v["bytes"] >= want.nbytes
    assert v["from"] == 0 and v["to"] == (ALL_STEPS - 1) * DT and v["not_finite"] == 0
    means = want.reshape(60, 2, -1).mean(axis=(1, 2), dtype=np.float64)
    assert v["sparkline"]["per_column"] == 2 and len(v["sparkline"]["blocks"]) == 60
    assert v["sparkline"]["low"] == pytest.approx(means.min()) and v["sparkline"]["high"] == pytest.approx(means.max())
    assert v["sparkline"]["blocks"][0] == "▁" and v["sparkline"]["blocks"][-1] == "█"
    s = document["events"]["z.s"]
    assert s["count"] == 40 and s["units"] == 4 and s["recorded"] == ALL_STEPS * DT
    assert s["rate"] == pytest.approx(40 / (4 * batch * ALL_STEPS * DT / 1000))
    weights = states()["W"]["weights"][0]
    for when in ("initial", "final"):
        assert document[when]["W.weights"]["shape"] == [3, 4] and document[when]["W.weights"]["max"] == weights.max()
    assert set(document["final"]) == {"W.weights", "W.biases", "z.v"}
    for piece in (
        "small: done",
        "seed 7",
        "6 trials (train 3, test 3)",
        "mV",
        "40 spikes of 4 units",
        "W.weights",
        v["sparkline"]["blocks"],
        f"last {want.reshape(ALL_STEPS, -1)[-1, 0]:.4g}",
    ):
        assert piece in text, piece


def test_live_and_stopped_runs(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "small", layout())
    document, text = about(tmp_path / "small")
    assert document["state"] == "running" and document["records"]["z.v"]["last"] is None and "no rows yet" in text
    assert document["events"]["z.s"]["count"] == 0 and document["events"]["z.s"]["rate"] is None
    writer.segment(0, 33, *blocks(0, 33))
    writer.segment(33, 50, *blocks(33, 50))
    document, text = about(tmp_path / "small")
    assert document["steps"] == 50 and document["records"]["z.v"]["shape"] == [50, 4] and not document["final"]
    assert document["events"]["z.s"]["recorded"] == pytest.approx(50 * DT)
    writer.stop("failed", "step 51: v is not finite", states())
    document, text = about(tmp_path / "small")
    assert document["state"] == "failed" and document["reason"] == "step 51: v is not finite"
    assert "small: failed (step 51: v is not finite)" in text and "z.v" in document["final"]


def test_the_rate_counts_only_what_was_recorded(tmp_path: Path) -> None:
    """4 trials of 20 steps, a unit that spikes in every step that is recorded: 1 kHz at dt = 1 ms."""
    for number, (record, phases, recorded) in enumerate(
        [
            ({"on": True}, [{}, {}], 80),
            ({"on": True}, [{"record": {"z.s": False}}, {}], 40),
            ({"on": False}, [{"record": {"z.s": True}}, {}], 40),
            ({"window": [5.0, 8.0]}, [{}, {}], 12),
            ({"every": 4}, [{}, {}], 20),
            ({"every": 3, "window": [1.0, 20.0]}, [{}, {}], 24),
        ]
    ):
        config = {
            "run": {"steps": 20},
            "record": {"z.s": record},
            "phases": [{"name": "a", **phases[0]}, {"name": "b"}],
        }
        folder = tmp_path / str(number)
        made = Layout(
            "r", (RecordLayout("z", "s", "events", (1,)),), config_resolved=json.dumps(config), phases=("a", "b")
        )
        writer = Writer(folder, made)
        times = np.arange(float(recorded))  # when they were does not matter here
        table = Trials([0, 0, 1, 1], [0, 0, 0, 0], [0.0, 20.0, 40.0, 60.0], [-1] * 4)
        writer.segment(0, 80, {"z.s": Events(times, 0 * times, 0 * times)}, table)
        writer.finish({})
        document, _ = about(folder)
        assert document["events"]["z.s"]["recorded"] == recorded, record
        assert document["events"]["z.s"]["rate"] == pytest.approx(1000.0)


def test_values_that_are_not_finite_are_counted(tmp_path: Path) -> None:
    record = RecordLayout("z", "v", "record", (4,), (("unit", UNITS),), "mV", "V.")
    writer = Writer(tmp_path / "nan", Layout("nan", (record,)))
    data = np.ones((4, 4), np.float32)
    data[1, 2], data[2] = np.inf, np.nan
    data[3] = [1, np.nan, 3, 4]
    step = np.arange(4)
    final = {"z": {"v": (np.full(4, np.nan), "mV", "V.", ("unit",))}}
    writer.segment(0, 4, {"z.v": Trace(data, step, step, step)})
    document, text = about(writer.finish(final).parent)
    v = document["records"]["z.v"]
    assert v["not_finite"] == 6 and v["min"] == 1 and v["max"] == 4 and v["last"] == [1, None, 3, 4]
    assert v["sparkline"]["blocks"] == "▁···" and "6 not finite" in text and "last 1 nan 3 4 mV" in text
    assert document["final"]["z.v"]["min"] is None and "no finite value, 4 not finite" in text


def test_large_rows_are_not_listed(tmp_path: Path) -> None:
    record = RecordLayout("W", "w", "record", (300, 300), (("pre_unit", np.arange(300)), ("post_unit", np.arange(300))))
    writer = Writer(tmp_path / "large", Layout("large", (record,)))
    random = np.random.default_rng(0)
    for first in range(0, 200, 50):
        data = random.random((50, 300, 300), np.float32) + first
        step = np.arange(first, first + 50)
        writer.segment(first, first + 50, {"W.w": Trace(data, step, step, step)})
    document, text = about(writer.finish({}).parent)
    w = document["records"]["W.w"]
    assert w["last"] is None and "row not shown, it is large" in text
    assert w["mean"] == pytest.approx(75.5, abs=0.01) and w["sparkline"]["per_column"] == 4
    assert len(w["sparkline"]["blocks"]) == 50 and list(w["sparkline"]["blocks"]) == sorted(w["sparkline"]["blocks"])


def test_sparklines_thin_by_means_and_say_so() -> None:
    spark = Spark(130)
    values = np.zeros(130)
    values[100] = 30.0  # one value of three in a column
    at = 0
    for piece in np.array_split(values, 7):
        spark.add(at, piece[:, None])
        at += len(piece)
    told = spark.document("rows")
    assert told["per_column"] == 3 and len(told["blocks"]) == 44 and told["high"] == 10.0 and told["low"] == 0.0
    assert told["blocks"].index("█") == 33 and told["blocks"].count("▁") == 43
    assert measures.blocks(np.array([])) == "" and measures.blocks(np.array([5.0, 5.0])) == "▁▁"
    assert measures.blocks(np.array([np.nan])) == "·"
    assert measures.blocks(np.arange(8.0)) == "▁▂▃▄▅▆▇█"
    tiny = measures.blocks(np.array([1.0, np.nextafter(1.0, 2)]))
    assert tiny[0] == "▁" and len(tiny) == 2


def test_trials_end_where_their_config_says(tmp_path: Path) -> None:
    """The last trial of the table may be followed by steps of one that is not complete."""
    config = {"run": {"steps": STEPS}, "record": {"z.s": {}}, "phases": []}
    made = Layout("r", (RecordLayout("z", "s", "events", (1,)),), config_resolved=json.dumps(config))
    with Writer(tmp_path / "r", made) as writer:
        writer.segment(0, 50, {}, Trials([0, 0], [0, 0], [0.0, 20.0], [0, 1]))
        assert about(tmp_path / "r")[0]["events"]["z.s"]["recorded"] == 50
