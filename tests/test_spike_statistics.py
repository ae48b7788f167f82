"""Spike statistics are those of elephant, of finished and live runs, whatever pieces the spikes are read in."""

from __future__ import annotations

import json
import math
import warnings
from pathlib import Path

import numpy as np
import pytest

from synsim import spike_statistics
from synsim.faults import StoreError
from synsim.reading import Run
from synsim.recorded_time import recorded_time
from synsim.spike_statistics import statistics
from synsim.store import Events, Layout, RecordLayout, Trials, Writer

# elephant's own, of the units library that it uses
pytestmark = pytest.mark.filterwarnings("ignore:The 'copy' argument in Quantity is deprecated")

DT = 0.5
UNITS = 12


def write(
    folder: Path,
    steps: int,
    trials: int,
    batch: int = 1,
    *,
    window: list[float] | None = None,
    every_unit: int = 1,
    cut: int | None = None,
    seed: int = 0,
) -> dict[tuple[int, int, int], np.ndarray]:
    """A run of units that fire at random, more often together, one of them never; the spikes of each (unit, row, trial)
    in steps of the trial. `cut` ends the run in the middle of its last trial."""
    random = np.random.default_rng(seed)
    total = steps * trials if cut is None else cut
    chance = random.uniform(0.005, 0.15, UNITS) * (np.arange(UNITS) != 3)
    common = random.random((total, batch, 1)) < 0.1
    fired = random.random((total, batch, UNITS)) < np.where(common, 10 * chance, chance)
    step = np.arange(total)
    low, high = (0, steps) if window is None else (math.ceil(v / DT) for v in window)
    fired[(step % steps < low) | (step % steps >= high)] = False
    at, row, unit = np.nonzero(fired)
    config = {"run": {"steps": steps}, "record": {"z.s": {"window": window}}, "phases": []}
    shape = (batch, UNITS) if batch > 1 else (UNITS,)
    record = RecordLayout("z", "s", "events", shape, doc="Spikes.", batch=batch)
    made = Layout("r", (record,), config_resolved=json.dumps(config), dt=DT, batch=batch, phases=("run",))
    writer = Writer(folder, made)
    half = total // 2 + 3
    for begin, end in ((0, half), (half, total)):
        part = (at >= begin) & (at < end)
        starts = np.arange(trials)[(np.arange(trials) * steps >= begin) & (np.arange(trials) * steps < end)]
        events = Events(at[part] * DT, unit[part] * every_unit, at[part] // steps, row[part] if batch > 1 else None)
        rows = np.full((len(starts), batch) if batch > 1 else len(starts), -1)
        table = Trials(0 * starts, 0 * starts, starts * steps * DT, rows)
        writer.segment(begin, end, {"z.s": events}, table)
    if cut is None:
        writer.finish({})
    else:
        writer.stop("interrupted", "enough", {})
    return {
        (u, r, t): at[(unit == u) & (row == r) & (at // steps == t)] - t * steps
        for u in range(UNITS)
        for r in range(batch)
        for t in range(-(-total // steps))
    }


def in_elephant(trains: dict, length: float, begin: float = 0.0, kept: int | None = None) -> dict[str, float]:
    """The same of elephant: trains last `length` ms from `begin` on; Fano factors over the first `kept` trials."""
    import neo
    import quantities as pq
    from elephant.conversion import BinnedSpikeTrain
    from elephant.spike_train_correlation import correlation_coefficient
    from elephant.statistics import cv, fanofactor, isi, mean_firing_rate

    def train(steps: np.ndarray) -> neo.SpikeTrain:
        return neo.SpikeTrain(steps * DT * pq.ms, t_start=begin * pq.ms, t_stop=(begin + length) * pq.ms)

    all_of_them = {key: train(steps) for key, steps in trains.items()}
    rows, trials = (1 + max(key[place] for key in trains) for place in (1, 2))
    rates = [float(mean_firing_rate(each).rescale("Hz")) for each in all_of_them.values()]
    cvs = [float(cv(isi(each))) for each in all_of_them.values() if len(each) >= 3]
    fanos = [
        fanofactor([all_of_them[unit, row, trial] for row in range(rows) for trial in range(kept or trials)])
        for unit in range(UNITS)
    ]
    pairs = []
    for row in range(rows):
        # bins of 5 ms begin anew in each trial, so trials of whole bins are laid end to end
        whole = int(length / 5.0 + 1e-9) * 5.0
        laid = [
            np.concatenate(
                [
                    (steps := trains[unit, row, trial] * DT - begin)[steps < whole - 1e-9] + trial * whole
                    for trial in range(trials)
                ]
            )
            for unit in range(UNITS)
        ]
        ends = [neo.SpikeTrain(times * pq.ms, t_start=0 * pq.ms, t_stop=trials * whole * pq.ms) for times in laid]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the unit that is silent
            matrix = correlation_coefficient(BinnedSpikeTrain(ends, bin_size=5 * pq.ms))
        upper = matrix[np.triu_indices(UNITS, 1)]
        pairs += upper[np.isfinite(upper)].tolist()
    return {
        "rate_hz": float(np.mean(rates)),
        "cv_isi": float(np.mean(cvs)),
        "fano": float(np.nanmean(fanos)),
        "synchrony": float(np.mean(pairs)),
    }


def the_same(found, expected: dict[str, float]) -> None:
    for name, value in expected.items():
        assert getattr(found, name) == pytest.approx(value, rel=1e-9), name


@pytest.mark.parametrize("piece", [1 << 19, 37])
@pytest.mark.parametrize(
    ("steps", "trials", "batch", "window"),
    [(400, 5, 1, None), (403, 4, 3, None), (400, 4, 1, [30.0, 133.0]), (397, 3, 2, [12.5, 190.0])],
)
def test_trials_are_as_in_elephant(tmp_path, monkeypatch, steps, trials, batch, window, piece):
    monkeypatch.setattr(spike_statistics, "_PIECE", piece)
    trains = write(tmp_path / "r", steps, trials, batch, window=window)
    low, high = window or (0.0, steps * DT)
    with Run(tmp_path / "r") as run:
        found = statistics(run, "z.s")
    the_same(found, in_elephant(trains, high - low, low))
    assert found.count == sum(map(len, trains.values())) > 100
    assert found.recorded == trials * (high - low) and found.whole and found.until == steps * trials * DT
    assert found.fano_over == "trials" and found.fano_counts == trials * batch
    assert found.silent == 1 and found.synchrony_units == (UNITS - 1) * batch and found.synchrony > 0.05
    assert found.cv_trains == sum(len(each) >= 3 for each in trains.values())
    for unit, rate in zip(found.node_ids, found.rates_hz, strict=True):
        own = sum(len(each) for key, each in trains.items() if key[0] == unit)
        assert rate == pytest.approx(own / (trials * (high - low) * batch / 1000))


def test_one_trial_is_cut_into_windows(tmp_path):
    trains = write(tmp_path / "r", 2650, 1)
    with Run(tmp_path / "r") as run:
        found = statistics(run, "z.s")
    expected = in_elephant(trains, 1325.0)
    windows = {
        (u, r, n): steps[(steps >= n * 200) & (steps < (n + 1) * 200)]
        for (u, r, _), steps in trains.items()
        for n in range(13)
    }
    by_window = {(u, r, n): steps - n * 200 for (u, r, n), steps in windows.items()}
    the_same(found, expected | {"fano": in_elephant(by_window, 100.0)["fano"]})
    assert found.fano_over == "windows of 100 ms" and found.fano_counts == 13


@pytest.mark.parametrize("piece", [1 << 19, 50])
def test_a_run_that_was_stopped_and_the_first_of_many_spikes(tmp_path, monkeypatch, piece):
    monkeypatch.setattr(spike_statistics, "_PIECE", piece)
    trains = write(tmp_path / "r", 400, 3, cut=1000)
    with Run(tmp_path / "r") as run:
        found = statistics(run, "z.s")
        part = statistics(run, "z.s", most=found.count // 2)
        after = int(part.until / DT)
    assert found.recorded == 500.0 and found.fano_counts == 2 and found.whole
    assert found.fano == pytest.approx(in_elephant(trains, 200.0, kept=2)["fano"])
    assert part.count == found.count and part.rate_hz == found.rate_hz and not part.whole and 0 < after < 1000
    early = {key: steps[steps + key[2] * 400 < after] for key, steps in trains.items() if key[2] * 400 < after}
    assert sum(map(len, early.values())) <= found.count // 2
    expected = in_elephant(early, 200.0)
    assert part.cv_isi == pytest.approx(expected["cv_isi"])


def test_ids_of_chosen_units(tmp_path):
    trains = write(tmp_path / "r", 400, 2, every_unit=1000)
    with Run(tmp_path / "r") as run:
        found = statistics(run, "z.s")
    assert found.node_ids.tolist() == [1000 * unit for unit in range(UNITS) if unit != 3]
    the_same(found, in_elephant(trains, 200.0))


def test_what_is_not_defined_is_none(tmp_path):
    config = json.dumps({"run": {"steps": 10}, "record": {"z.s": {}}, "phases": []})
    made = Layout("r", (RecordLayout("z", "s", "events", (4,)),), config_resolved=config)
    writer = Writer(tmp_path / "r", made)
    writer.segment(0, 10, {"z.s": Events([], [], [])}, Trials([0], [0], [0.0], [-1]))
    writer.finish({})
    with Run(tmp_path / "r") as run:
        found = statistics(run, "z.s")
    assert (found.rate_hz, found.cv_isi, found.fano, found.synchrony) == (0.0, None, None, None)
    assert found.silent == 4 and spike_statistics.lines(found.document()) == []
    json.dumps(found.document(), allow_nan=False)


@pytest.mark.parametrize(
    ("events", "said"),
    [
        (Events([1.0, 2.0], [0, 1], [0, 7]), "of trials that there are not"),
        (Events([1.0, 2.0, 3.0, 4.0, 5.0], [5, 6, 7, 8, 9], [0] * 5), "of more than its 4 units"),
        (Events([1.0, math.nan], [0, 1], [0, 0]), "not in the order of time"),
        (Events([1.0, 99.0], [0, 1], [0, 0]), "where none were recorded"),
    ],
)
def test_spikes_that_cannot_be_are_one_error(tmp_path, events, said):
    config = json.dumps({"run": {"steps": 10}, "record": {"z.s": {}}, "phases": []})
    writer = Writer(tmp_path / "r", Layout("r", (RecordLayout("z", "s", "events", (4,)),), config_resolved=config))
    writer.segment(0, 10, {"z.s": events}, Trials([0], [0], [0.0], [-1]))
    writer.finish({})
    with Run(tmp_path / "r") as run, pytest.raises(StoreError, match=said):
        statistics(run, "z.s")


def test_recorded_time_of_phases(tmp_path):
    """Only phases that record count, and of trials only their windows."""
    config = {
        "run": {"steps": 20},
        "record": {"z.s": {"window": [2.0, 5.0], "on": False}},
        "phases": [{"name": "a"}, {"name": "b", "record": {"z.s": True}}],
    }
    made = Layout(
        "r", (RecordLayout("z", "s", "events", (1,)),), config_resolved=json.dumps(config), phases=("a", "b"), dt=0.5
    )
    writer = Writer(tmp_path / "r", made)
    writer.segment(0, 60, {}, Trials([0, 1, 1], [0, 0, 0], [0.0, 10.0, 20.0], [-1] * 3))
    writer.finish({})
    with Run(tmp_path / "r") as run:
        time = recorded_time(run, run.events["z.s"])
    assert time.steps.tolist() == [0, 6, 6] and time.milliseconds == 6.0 and time.complete.all()
    assert time.before(47).steps.tolist() == [0, 6, 3] and time.before(47).complete.tolist() == [True, True, False]
