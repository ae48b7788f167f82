"""One thing of a run in detail: its histogram and last values are those of the file, however its path is written."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from stored import ALL_STEPS, DT, STEPS, blocks, layout, membrane, states, write

from synsim.faults import ConfigError
from synsim.inspection import looking
from synsim.inspection.detail import detail, names
from synsim.inspection.summary import summary
from synsim.inspection.words import detail_lines, lines
from synsim.reading import Run
from synsim.store import Layout, RecordLayout, Trace, Writer


def told(path: Path, what: str, **most) -> tuple[list[dict], str]:
    with Run(path) as run:
        document = detail(run, what, **most)
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    text = detail_lines(document)
    assert all(line.isprintable() and line == line.rstrip() for line in text)
    return document["found"], "\n".join(text)


@pytest.mark.parametrize("batch", [1, 3])
def test_a_record(tmp_path: Path, batch: int) -> None:
    path = write(tmp_path / "small", (13, 40), batch=batch)
    found, text = told(path, "z.v")
    record, state = found
    want = membrane(np.arange(ALL_STEPS), batch).astype(np.float32)
    assert (record["kind"], state["kind"]) == ("record", "final") and record["share"] is None
    counts, edges = np.histogram(want, 16)
    assert record["histogram"]["edges"] == pytest.approx(edges) and sum(record["histogram"]["counts"]) == want.size
    assert np.abs(np.cumsum(record["histogram"]["counts"]) - np.cumsum(counts)).max() <= 2  # of float32 at an edge
    last = record["last_rows"]
    assert last["values"] == want.reshape(ALL_STEPS, -1)[-6:, :4].tolist()
    assert last["time"] == [DT * step for step in range(ALL_STEPS - 6, ALL_STEPS)] and set(last["trial"]) == {5}
    assert last["columns"] == [f"unit {n}" for n in range(4)] and last["more"] == 4 * batch - 4
    assert state["first"] == [[-60.0] * 4] * batch
    for piece in ("Membrane potential.", "every 0.5 ms (2000 Hz), 0 to 59.5 ms", "values in bins (mV)", "time (ms)"):
        assert piece in text, piece
    assert f"{want.reshape(ALL_STEPS, -1)[-1, 3]:.4g}" in text


def test_paths_are_understood_however_they_are_written(tmp_path: Path) -> None:
    path = write(tmp_path / "small")
    record = told(path, "records.z.v")[0]
    for spelling in ("/records/z/v", "report/z.v", "/report/z.v/data"):
        assert told(path, spelling)[0] == record
    assert [each["kind"] for each in told(path, "W.weights")[0]] == ["record", "initial", "final"]
    assert told(path, "/final/W/weights")[0] == told(path, "final.W.weights")[0]
    assert [each["name"] for each in told(path, "spikes/z")[0]] == ["z.s"]
    with Run(path) as run:
        assert {"z.v", "z.s", "final.z.v", "initial.W.weights", "z", "W", "trials"} <= set(names(run))
        for wrong, said in (("z.w", "Did you mean 'z.v'?"), ("nothing at all", "There are W.weights, z.rate")):
            with pytest.raises(ConfigError, match=f"has nothing called {wrong}") as caught:
                detail(run, wrong)
            assert said in str(caught.value)


def test_states_and_trials(tmp_path: Path) -> None:
    path = write(tmp_path / "small", batch=3)
    found, text = told(path, "final.W.weights")
    assert found[0]["first"] == states()["W"]["weights"][0].tolist() and found[0]["max"] == 11.0
    assert "pre_unit 3 x post_unit 4" in text
    found, text = told(path, "trials")
    assert found[0]["count"] == 6 and found[0]["columns"]["start"]["last"] == [10.0 * n for n in range(6)]
    assert found[0]["columns"]["phase"]["last"] == [0, 0, 0, 1, 1, 1] and "6 trials of train, test" in text


def test_spikes(tmp_path: Path) -> None:
    path = write(tmp_path / "small")
    found, text = told(path, "z.s")
    spikes = found[0]
    assert spikes["statistics"]["count"] == 40 and spikes["statistics"]["units"] == 4
    assert sum(spikes["histogram"]["counts"]) == 4 and len(spikes["busiest"]) == 4
    assert spikes["last_spikes"]["time"][-1] == 117 * DT and spikes["last_spikes"]["unit"][-1] == 117 % 4
    rates = {each["unit"]: each["rate"] for each in spikes["busiest"]}
    assert sum(rates.values()) == pytest.approx(40 / 0.06)
    assert "40 spikes of 4 units" in text and "Fano factor" in text and "0 units silent" in text


def test_a_component(tmp_path: Path) -> None:
    with Run(write(tmp_path / "small")) as run:
        document = summary(run, component="W")
    assert list(document["records"]) == ["W.weights"] and not document["events"]
    assert list(document["final"]) == ["W.biases", "W.weights"]
    assert "z.v" not in "\n".join(lines(document))


def test_a_run_that_goes_on(tmp_path: Path) -> None:
    with Writer(tmp_path / "small", layout()) as writer:
        found, text = told(tmp_path / "small", "z.v")
        assert found[0]["histogram"] is None and "no rows yet" in text
        assert told(tmp_path / "small", "z.s")[0][0]["count"] == 0
        writer.segment(0, 33, *blocks(0, 33))
        found, _ = told(tmp_path / "small", "z.v")
        assert found[0]["shape"] == [33, 4] and found[0]["last_rows"]["time"][-1] == 32 * DT
        assert sum(found[0]["histogram"]["counts"]) == 33 * 4


def test_of_large_records_a_part_is_looked_at_and_said(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("synsim.layout.CHUNK_BYTES", 4096)
    rows, units = 6000, 32
    made = Layout("r", (RecordLayout("z", "v", "record", (units,), (("unit", np.arange(units)),), "mV"),))
    data = np.random.default_rng(1).normal(0, 1, (rows, units)).astype(np.float32)
    data[0], data[-1], data[rows // 2 + 5] = -50, 50, 900
    writer, step = Writer(tmp_path / "r", made), np.arange(rows)
    writer.segment(0, rows, {"z.v": Trace(data, step, step // STEPS, 0 * step)})
    writer.finish({})
    whole, part = (told(tmp_path / "r", "z.v", most=most) for most in (None, data.nbytes // 5))
    assert whole[0][0]["share"] is None and whole[0][0]["max"] == 900 and "evenly chosen" not in whole[1]
    seen = part[0][0]
    assert seen["share"] == pytest.approx(0.1, rel=0.1) and "among 9.6 % of the values, evenly chosen" in part[1]
    assert (seen["min"], seen["max"]) == (-50, 50)
    assert sum(seen["histogram"]["counts"]) == pytest.approx(0.1 * data.size, rel=0.1)
    with Run(tmp_path / "r") as run:
        tree = summary(run, most=data.nbytes // 5)
        assert tree["records"]["z.v"]["share"] == pytest.approx(0.2, rel=0.05)
        assert "(among 20 % of the values, evenly chosen)" in "\n".join(lines(tree))
        assert summary(run)["records"]["z.v"]["share"] is None and looking.MOST > data.nbytes
