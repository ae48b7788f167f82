"""No spike is left out of a picture; rates, intervals and spectra are what other ways of counting give."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

from synsim.pictures import counting, draw
from synsim.pictures.counting import bin_steps, trains
from synsim.pictures.histogram import intervals
from synsim.pictures.part import part_of
from synsim.pictures.spectrum import welch
from synsim.pictures.subject import Subject
from synsim.store import Events, Layout, RecordLayout, Run, Trials, Writer

DT, STEPS, TRIALS = 0.1, 4000, 5


def spiking(folder: Path, times: np.ndarray, units: np.ndarray, size: int, batch: int = 1) -> Path:
    """A finished run of these spikes, in five trials."""
    order = np.argsort(times, kind="stable")
    steps = np.rint(times[order] / DT).astype(int)
    rows = (np.arange(len(times)) % batch).astype(np.int32) if batch > 1 else None
    shape = (batch, size) if batch > 1 else (size,)
    layout = Layout(
        name="spiking",
        records=(RecordLayout("z", "s", "events", shape, (), "", "Spikes.", batch=batch),),
        attrs={"seed": 1, "precision": "float32", "synsim": "0", "device": "cpu"},
        dt=DT,
        batch=batch,
    )
    writer = Writer(folder, layout)
    trial = steps // STEPS
    row = np.zeros((TRIALS, batch) if batch > 1 else TRIALS, int) - 1
    table = Trials(np.zeros(TRIALS, int), np.zeros(TRIALS, int), np.arange(TRIALS) * STEPS * DT, row)
    writer.segment(0, STEPS * TRIALS, {"z.s": Events(steps * DT, units[order], trial, rows)}, table)
    return writer.finish({}, {"started": "2026-01-02T03:04:05+00:00", "command": "synsim run"})


def random_spikes(count: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    draw_ = np.random.default_rng(3)
    flat = draw_.choice(STEPS * TRIALS * size, count, replace=False)
    return flat // size * DT, flat % size


def dark(run: Run, width: float, dpi: float = 150) -> tuple[np.ndarray, object]:
    """Where a raster has ink, and its axes."""
    from matplotlib.image import imread

    picture = draw(run, ["z.s"], "raster", width=width)
    grey = imread(io.BytesIO(picture.bytes("png", dpi=dpi)))[..., :3].mean(-1)
    return grey < 0.75, picture.figure.axes[1]


@pytest.mark.parametrize(("count", "size"), [(300, 20), (300, 5000), (9000, 150), (6000, 20_000)])
def test_every_spike_is_seen(tmp_path, count, size):
    """As lines and as pixels, with more units than rows of pixels and more steps than columns."""
    times, units = random_spikes(count, size)
    with Run(spiking(tmp_path / "r", times, units, size)) as run:
        ink, axes = dark(run, 5.0)
    places = axes.transData.transform(np.column_stack([times, units]))  # type: ignore[attr-defined]
    high = ink.shape[0]
    seen = 0
    for x, y in places:
        column, row = int(x), int(high - y)
        seen += ink[max(0, row - 2) : row + 3, max(0, column - 2) : column + 3].any()
    assert seen == count
    # and where no spike is near, there is no ink
    left, bottom, right, top = axes.get_window_extent().extents  # type: ignore[attr-defined]
    inside = np.zeros_like(ink)
    inside[int(high - top) + 3 : int(high - bottom) - 3, int(left) + 3 : int(right) - 3] = True
    for x, y in places:
        tall = 3 + round((top - bottom) / size)
        inside[max(0, int(high - y) - tall) : int(high - y) + tall + 1, max(0, int(x) - 3) : int(x) + 4] = False
    starts = [axes.transData.transform((trial * STEPS * DT, 0))[0] for trial in range(TRIALS)]  # type: ignore[attr-defined]
    for x in starts:
        inside[:, max(0, int(x) - 2) : int(x) + 3] = False
    assert inside.sum() > 1000 or count > 5000
    assert not (ink & inside).any()


def test_all_are_counted(tmp_path):
    times, units = random_spikes(20_000, 64)
    with Run(spiking(tmp_path / "r", times, units, 64, batch=2)) as run:
        found = trains(Subject(run, "z.s", part_of(run)))
        for shape in ((700, 300), (3, 2), (1, 1), (5000, 128)):
            assert found.pixels(*shape).sum() == 20_000
        edges, rate, width = found.rate(200)
        assert width == 10.0 and len(edges) == 201
        steps = np.rint(np.sort(times) / DT).astype(int)
        want = np.bincount(steps // 100, minlength=200) / (0.01 * 64 * 2)
        np.testing.assert_allclose(rate, want)
        some = trains(Subject(run, "z.s", part_of(run, (20.0, 55.0), "3,40:50", trial=2)))
        begin = 2 * STEPS * DT
        inside = (times >= begin + 20 - 1e-9) & (times < begin + 55 - 1e-9) & ((units == 3) | (units // 10 == 4))
        assert some.pixels(50, 20).sum() == inside.sum() > 0
        assert sum(len(each) for each, _ in some.blocks()) == inside.sum()


def test_too_many_to_count_are_shown_up_to_a_time_and_that_is_said(tmp_path, monkeypatch):
    times, units = random_spikes(20_000, 64)
    monkeypatch.setattr(counting, "MOST", 5000)
    with Run(spiking(tmp_path / "r", times, units, 64)) as run:
        found = trains(Subject(run, "z.s", part_of(run)))
        assert 4900 < found.last - found.first <= 5000
        shown = np.sum(times < found.part.stop - 1e-6)
        assert found.pixels(100, 100).sum() == shown == found.last
        assert found.note.startswith("the first ") and " of 2,000 ms, with all their spikes" in found.note
        assert found.part.trials == (0, int(found.part.stop // (STEPS * DT)) + 1)


def test_intervals_stay_within_a_train_and_a_trial(tmp_path, monkeypatch):
    monkeypatch.setattr(counting, "PIECE", 777)
    times, units = random_spikes(5000, 7)
    with Run(spiking(tmp_path / "r", times, units, 7)) as run:
        counts = intervals(trains(Subject(run, "z.s", part_of(run))))
    want: list[int] = []
    steps = np.rint(times / DT).astype(int)
    for unit in range(7):
        for trial in range(TRIALS):
            want += np.diff(np.sort(steps[(units == unit) & (steps // STEPS == trial)])).tolist()
    np.testing.assert_array_equal(counts, np.bincount(want))


def test_a_bin_is_a_round_number_of_ms_and_whole_steps():
    assert bin_steps(100_000, 200, 0.01) == 500  # 5 ms
    assert bin_steps(1000, 200, 1.0) == 5
    assert bin_steps(10, 200, 1.0) == 1
    assert bin_steps(20_000, 150, 0.1) == 200  # 20 ms


def test_a_spectrum_is_that_of_scipy():
    from scipy import signal

    time = np.arange(1 << 14) * 0.5  # ms
    values = 3 * np.sin(2 * np.pi * 40 * time / 1000) + np.random.default_rng(0).normal(size=len(time))
    pieces = [values[at : at + 1024, None] for at in range(0, len(values) - 1023, 512)]
    frequency, power = welch(pieces, 0.5)
    want_frequency, want = signal.welch(values, 2000.0, "hann", 1024, 512, detrend="constant")
    np.testing.assert_allclose(frequency, want_frequency)
    np.testing.assert_allclose(power[:, 0], want, rtol=1e-9)
    assert abs(frequency[power[:, 0].argmax()] - 40) < 2
