"""What of a run is drawn: times, trials, phases and units, and one line for each that is not there."""

from __future__ import annotations

import numpy as np
import pytest
from stored import ALL_STEPS, DT, STEPS, blocks, layout, write

from synsim.faults import ConfigError
from synsim.pictures import draw, kind_of, picture, recorded, subject, weights
from synsim.pictures.part import parse_units, part_of
from synsim.pictures.subject import Subject, matrices
from synsim.pictures.weights import thinned
from synsim.store import Run, Writer


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    with Run(write(tmp_path_factory.mktemp("part") / "small", (13, 40))) as found:
        yield found


def test_times_are_those_of_the_run_the_phase_or_the_trial(run):
    whole = part_of(run)
    assert (whole.start, whole.stop, whole.origin, whole.trials, whole.where) == (0, ALL_STEPS * DT, 0, (0, 6), "")
    assert whole.rows(run.records["z.v"]) == (0, ALL_STEPS)
    trial = STEPS * DT
    third = part_of(run, (2.0, 4.0), trial=2)
    assert (third.start, third.stop, third.origin, third.where) == (2 * trial + 2, 2 * trial + 4, 2 * trial, "trial 2")
    assert third.rows(run.records["z.v"]) == (2 * STEPS + 4, 2 * STEPS + 8)
    assert part_of(run, trial=-1).start == 5 * trial
    test = part_of(run, phase="test")
    assert (test.start, test.stop, test.trials) == (3 * trial, 6 * trial, (3, 6))
    last = part_of(run, (1.0, None), phase="test", trial=1)
    assert (last.start, last.stop, last.where) == (4 * trial + 1, 5 * trial, "phase test, trial 4")
    assert part_of(run, (None, 1e9)).stop == ALL_STEPS * DT
    times = np.asarray(run.events["z.s"].timestamps)
    first, stop = third.spikes(run.events["z.s"])
    np.testing.assert_array_equal(times[first:stop], times[(times >= third.start) & (times < third.stop)])


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"phase": "tets"}, "--phase tets: there is no such phase. Did you mean 'test'? There are train and test."),
        ({"trial": 6}, "--trial 6: the run has 6 trials, 0 to 5"),
        ({"trial": 3, "phase": "test"}, "--trial 3: phase test has 3 trials, 0 to 2"),
        ({"window": (5.0, 2.0)}, "--from 5 must be before --to 2"),
        ({"window": (60.0, None)}, "--from 60: the run ends at 60 ms"),
        ({"window": (10.0, None), "trial": 0}, "--from 10: trial 0 ends at 10 ms"),
        ({"window": (None, 0.0)}, "--to 0 is before the start: nothing is left"),
        ({"window": (float("nan"), None)}, "--from nan is no time in ms"),
        ({"units": "a"}, "--units 'a': write unit numbers, as 3 or 0,4,9 or 0:10 or 0:100:5"),
        ({"units": "5:5"}, "--units '5:5': 5:5 is no unit, or too many"),
        ({"units": "0:99999999999"}, "is no unit, or too many"),
        ({"units": "2:9"}, "--units: z.v has no unit 4; it has 0 to 3"),
    ],
)
def test_what_is_not_there_is_one_line(run, settings, words):
    with pytest.raises(ConfigError) as caught:
        draw(run, ["z.v"], **settings)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_all_that_is_wrong_is_said_at_once(run):
    with pytest.raises(ConfigError) as caught:
        draw(run, ["z.v"], phase="x", window=(3.0, 1.0), units="-")
    assert len(caught.value.faults) == 3


def test_units():
    assert parse_units("3") == (3,) and parse_units("0,4, 9") == (0, 4, 9) and parse_units("0:6:2,2,1") == (0, 2, 4, 1)
    assert parse_units([5, 5, 1]) == (5, 1)


@pytest.mark.parametrize(
    ("names", "kind", "words"),
    [
        (["z.w"], None, "z.w was not recorded, and is no state. Did you mean 'z.v'?"),
        (["z"], None, "z was not recorded, and is no state. Recorded of it are z.rate, z.s and z.v."),
        (["z.v"], "raster", "z.v is no spikes"),
        (["z.s"], "trace", "z.s is spikes: draw them with --kind raster, rate, histogram or spectrum"),
        (["z.v"], "weights", "z.v is no matrix of weights: --kind trace or histogram draws it"),
        (["W.weights"], "receptive-fields", "comes from 3 units, which are no square image: --kind weights draws it"),
        (["z.v"], "phase", "a phase plane has two axes, and z.v is one of them, and no other of its cells is"),
        (["z.v", "W.weights"], "phase", "z.v and W.weights were not recorded at the same times of the same units"),
        (["z.v"], "energy", "z.v is no energy, one number a step: --kind trace draws it"),
        (["W.weights"], "spectrum", "W.weights is not evenly spaced in time: it has no spectrum"),
        (["z.rate"], "spectrum", "z.rate has 24 values on end: a spectrum needs 32"),
        (["W.biases"], "trace", "W.biases was not recorded over time"),
        (["z.v"], "lines", "--kind lines: there is no such kind. There are raster, trace,"),
    ],
)
def test_what_cannot_be_drawn_is_one_line(run, names, kind, words):
    with pytest.raises(ConfigError) as caught:
        draw(run, names, kind)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_a_time_without_rows_is_said(run):
    with pytest.raises(
        ConfigError, match=r"W\.weights has no row from 0 to 3 ms; its 6 rows are from 9\.5 to 59\.5 ms"
    ):
        draw(run, ["W.weights"], window=(None, 3.0))
    assert picture(run, ["z.s"], window=(0.3, 0.4)).startswith(b"\x89PNG")  # no spike is something to be seen


def test_the_kind_follows_from_the_record(run):
    assert {name: kind_of(run, name) for name in recorded(run)} == {
        "z.s": "raster",
        "W.weights": "weights",
        "z.v": "trace",
        "z.rate": "trace",
    }
    assert kind_of(run, "W") == "weights" and kind_of(run, "components.z.v") == "trace"
    assert kind_of(run, "W.biases") == "weights"  # a state that was not recorded


def test_every_format_is_the_same_bytes_each_time(run):
    for kind, begins in (("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")):
        one = picture(run, ["z.s", "z.rate"], format=kind, width=3.0)
        assert one.startswith(begins) and one == picture(run, ["z.s", "z.rate"], format=kind, width=3.0)
    with pytest.raises(ConfigError, match=r"a picture is a png, svg or pdf, not 'gif'"):
        picture(run, ["z.rate"], format="gif")  # type: ignore[arg-type]


@pytest.mark.parametrize("batch", [1, 3])
def test_all_records_of_a_batch_alone_and_against_another_run(tmp_path, batch):
    path = write(tmp_path / "small", (13, 40), batch=batch)
    with Run(path) as run, Run(path) as other:
        whole = draw(run).figure
        assert len(whole.axes) == 2 + 4 + 4 + 1
        assert len(draw(run, ["z.s", "z.rate"], compare=other, dark=True).figure.axes) == 4 + 1
        for name, kind in (("z.v", "histogram"), ("z.s", "rate"), ("z.rate", "energy"), ("z.v", "spectrum")):
            assert draw(run, [name], kind, width=3.0).figure.axes
        assert draw(run, ["z.v"], units="1", window=(0.0, 0.4)).figure.axes  # a single row


def test_a_run_that_goes_on_is_drawn_as_far_as_it_is_saved(tmp_path):
    writer = Writer(tmp_path / "small", layout())
    writer.segment(0, 50, *blocks(0, 50))
    with Run(tmp_path / "small") as run:
        left = draw(run, ["z.v"]).figure.axes[-1].get_xlim()
        assert left == (0.0, 50 * DT)
    writer.segment(50, ALL_STEPS, *blocks(50, ALL_STEPS))
    with Run(tmp_path / "small") as run:
        assert draw(run, ["z.v"]).figure.axes[-1].get_xlim() == (0.0, ALL_STEPS * DT)


def test_a_trace_goes_through_all_its_values(run):
    axes = draw(run, ["z.v"], trial=1, units="2").figure.axes[0]
    (line,) = axes.lines[-1:]
    values = np.asarray(run.records["z.v"].data)[STEPS : 2 * STEPS, 2]
    np.testing.assert_allclose(line.get_ydata(), values)
    np.testing.assert_allclose(line.get_xdata(), np.arange(STEPS) * DT)
    assert axes.get_ylabel() == "z.v (mV)" and axes.get_xlabel() == "time since the start of trial 1 (ms)"


def test_weights_are_on_one_scale(run):
    figure = draw(run, ["W.weights"]).figure
    first, last, change = (each.images[0] for each in figure.axes[:3])
    assert first.norm is last.norm is change.norm
    values = np.asarray(run.records["W.weights"].data)
    np.testing.assert_allclose(first.get_array(), values[0])
    np.testing.assert_allclose(last.get_array(), values[-1])
    np.testing.assert_allclose(change.get_array(), values[-1] - values[0])
    assert first.norm.vmax == values.max() and figure.axes[3].get_ylabel() == "weight"


@pytest.mark.parametrize("name", ["W.weights", "W.biases"])  # a record, and a state
def test_large_weights_are_read_in_blocks_and_a_pixel_is_the_mean_of_some(run, name, monkeypatch):
    first, last = matrices(Subject(run, name, part_of(run)))[0], matrices(Subject(run, name, part_of(run)))[-1]
    whole = first.values
    assert whole.shape == first.shape and len(list(first.blocks())) == 1
    monkeypatch.setattr(subject, "BLOCK", 1)
    assert len(list(first.blocks())) == len(whole)
    np.testing.assert_array_equal(np.concatenate(list(first.blocks())), whole)
    want = [[whole[i : i + 2, j : j + 3].mean() for j in range(0, 4, 3)] for i in range(0, len(whole), 2)]
    np.testing.assert_allclose(thinned(first, (2, 3)), want)
    np.testing.assert_array_equal(last.of(np.array([3, 1])).values, last.values[:, [3, 1]])
    assert last.of(np.array([3, 1])).of(np.array([1])).units.tolist() == [1]
    monkeypatch.setattr(weights, "MOST_PIXELS", 2)
    texts = [each.get_text() for each in draw(run, ["W.weights"]).figure.axes[0].texts]
    assert "each pixel the mean of 2 x 2 weights" in texts
