"""What a run will do: which rows drive which trial, in which order, and what does not go together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from synsim import api, engine
from synsim.device import computing
from synsim.faults import ConfigError, MissingInput
from synsim.plan import PhasePlan, RunPlan

pytestmark = pytest.mark.usefixtures("small_programs")


@pytest.fixture
def files(tmp_path: Path) -> Any:
    """Makes a data entry of an array."""

    def entry(name: str, values: Any, axes: str = "", **rest: Any) -> dict[str, Any]:
        np.save(tmp_path / f"{name}.npy", np.asarray(values))
        made: dict[str, Any] = {"type": "file", "path": str(tmp_path / f"{name}.npy"), **rest}
        return made | ({"axes": axes.split()} if axes else {})

    return entry


def rows_and_labels(files: Any, n: int = 10, units: int = 3) -> dict[str, Any]:
    """Row r holds r in its first unit and 10 r in its label."""
    x = np.zeros((n, units))
    x[:, 0] = np.arange(n)
    return {"x": files("x", x), "y": files("y", 10 * np.arange(n))}


def checked(data: dict[str, Any], run: dict[str, Any], wires: dict[str, Any] | None = None, **rest: Any) -> RunPlan:
    return api.check(
        {
            "seed": 4,
            "run": {"steps": 2, **run},
            "data": data,
            "components": {
                "b": {"type": "RateCell", "n_units": 3, "tau_m": 10},
                "v": {"type": "ClassVote", "n_units": 3, "n_classes": 100},
            },
            "wires": {"b.j": "x", "v.s": "b.z", "v.labels": "y"} if wires is None else wires,
            **rest,
        }
    )


def faults_of(*args: Any, **rest: Any) -> list[str]:
    with pytest.raises(ConfigError) as error:
        checked(*args, **rest)
    return [fault.message for fault in error.value.faults]


def all_rows(phase: PhasePlan) -> np.ndarray:
    return phase.rows_of(0, phase.trials)


# ------------------------------------------------------------------------------------------------------- trials, rows


@pytest.mark.parametrize(
    ("run", "trials", "rows"),
    [
        ({}, 10, [[r] for r in range(10)]),
        ({"batch": 5}, 2, [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]),
        ({"batch": 5, "epochs": 2}, 4, [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]] * 2),
        ({"trials": 3}, 3, [[0], [1], [2]]),
        ({"trials": 12}, 12, [[r % 10] for r in range(12)]),
        ({"batch": 4, "partial": "drop"}, 2, [[0, 1, 2, 3], [4, 5, 6, 7]]),
        ({"batch": 4, "partial": "drop", "trials": 3}, 3, [[0, 1, 2, 3], [4, 5, 6, 7], [0, 1, 2, 3]]),
        ({"batch": 4, "trials": 2}, 2, [[0, 1, 2, 3], [4, 5, 6, 7]]),  # never meets the rest, so nothing is refused
    ],
)
def test_the_rows_of_every_trial(files, run, trials, rows):
    it = checked(rows_and_labels(files), run)
    phase = it.phases[0]
    assert it.trials == phase.trials == trials and it.steps == phase.steps == 2 * trials
    np.testing.assert_array_equal(all_rows(phase), rows)
    np.testing.assert_array_equal(phase.rows_of(1, 1), rows[1:2])  # as well from the middle


def test_rows_that_do_not_divide_are_refused_with_the_batches_that_fit(files):
    (message,) = faults_of(rows_and_labels(files, 12), {"batch": 5})
    assert "12 rows do not divide into batches of 5: 2 are left over" in message
    assert "1, 2, 3, 4, 6, 12" in message and "partial: drop" in message
    (message,) = faults_of(rows_and_labels(files, 12), {"batch": 5, "trials": 3})
    assert "do not divide" in message


def test_what_is_dropped_is_said_in_the_plan_and_in_the_file(files):
    it = checked(rows_and_labels(files), {"batch": 4, "partial": "drop"})
    assert it.phases[0].dropped == 2
    assert it.layout.attrs["rows_dropped_each_epoch"] == [2]
    it = checked(rows_and_labels(files), {"batch": 5, "partial": "drop"})
    assert it.phases[0].dropped == 0 and "rows_dropped_each_epoch" not in it.layout.attrs


def test_fewer_rows_than_a_batch(files):
    for partial in ("refuse", "drop"):
        (message,) = faults_of(rows_and_labels(files, 3), {"batch": 4, "partial": partial})
        assert "3 rows, fewer than one batch of 4" in message


def test_without_data_trials_are_as_written():
    for run, trials in (({}, 1), ({"trials": 4}, 4), ({"epochs": 3}, 3)):
        it = api.check(
            {"run": {"steps": 2, "batch": 2, **run}, "components": {"a": {"type": "ConstantSource", "n_units": 1}}}
        )
        assert it.trials == trials
        np.testing.assert_array_equal(all_rows(it.phases[0]), np.full((trials, 2), -1))
        assert it.phases[0].epoch(trials) == 0


def test_steps_that_would_wrap_the_counter_are_refused():
    with pytest.raises(ConfigError, match="4,294,967,294"):
        api.check({"run": {"steps": 2**31, "trials": 2}, "components": {"a": {"type": "ConstantSource", "n_units": 1}}})


# ---------------------------------------------------------------------------------------------------------- shuffling


def test_a_shuffle_is_one_permutation_an_epoch_shared_by_all_entries(files):
    it = checked(rows_and_labels(files), {"batch": 5, "epochs": 3, "shuffle": True})
    phase = it.phases[0]
    orders = all_rows(phase).reshape(3, 10)
    for order in orders:
        np.testing.assert_array_equal(np.sort(order), np.arange(10))
    assert len({tuple(order) for order in orders}) == 3
    data = phase.chunk_data(0, 6)
    np.testing.assert_array_equal(data["x"][..., 0], all_rows(phase))  # images and labels of the same row
    np.testing.assert_array_equal(data["y"], 10 * all_rows(phase))
    assert [phase.epoch(trial) for trial in range(6)] == [0, 0, 1, 1, 2, 2]


def test_a_shuffle_follows_seed_and_phase_and_needs_no_history(files):
    run = {"epochs": 2, "shuffle": True}
    phases = [{"name": "a"}, {"name": "b"}, {"name": "c", "shuffle": False}]
    one, two = (checked(rows_and_labels(files), run, phases=phases) for _ in range(2))
    a, b, c = (all_rows(phase) for phase in one.phases)
    np.testing.assert_array_equal(a, all_rows(two.phases[0]))
    assert not np.array_equal(a, b)
    np.testing.assert_array_equal(c[:, 0], [*range(10)] * 2)
    np.testing.assert_array_equal(one.phases[0].rows_of(13, 4), a[13:17])
    other = api.check(
        dict(
            seed=5,
            run={"steps": 2, **run},
            data=rows_and_labels(files),
            wires={"b.j": "x"},
            components={"b": {"type": "RateCell", "n_units": 3, "tau_m": 10}},
        )
    )
    assert not np.array_equal(a, all_rows(other.phases[0]))


def test_a_shuffle_with_rows_left_out_leaves_out_others_each_time(files):
    it = checked(rows_and_labels(files), {"batch": 4, "epochs": 3, "shuffle": True, "partial": "drop"})
    used = all_rows(it.phases[0]).reshape(3, 8)
    assert all(len(set(order)) == 8 for order in used) and len({frozenset(order) for order in used}) > 1


# ---------------------------------------------------------------------------------------------------- frames of steps


@pytest.mark.parametrize("batch", [1, 2])
def test_frames_are_played_step_by_step(files, batch):
    """Row, step and unit stand in each value; the inlet reads at step k of a trial its rows' frame k."""
    rows, frames = 4, 5
    r, k, u = np.meshgrid(np.arange(rows), np.arange(frames), np.arange(3), indexing="ij")
    film = 100.0 * r + 10 * k + u
    data = {
        "film": files("film", film, "row step unit"),
        "shared": files("shared", film[0] + 1000, "step unit"),
        "held": files("held", film[:, 0]),
    }
    it = api.check(
        {
            "run": {"steps": 4, "batch": batch},
            "data": data,
            "components": {name: {"type": "RateCell", "n_units": 3, "tau_m": 10} for name in "abc"},
            "wires": {"a.j": "film", "b.j": "shared", "c.j": "held"},
            "record": {"a.j": {}, "b.j": {}, "c.j": {}},
        }
    )
    phase = it.phases[0]
    assert phase.trials == rows // batch
    given = phase.chunk_data(0, phase.trials)
    assert given["film"].shape == (phase.trials, 4, batch, 3)  # the fifth frame is never sent
    assert given["shared"].shape == (4, 3) and given["held"].shape == (phase.trials, batch, 3)
    with computing(it.spec):
        _, taken = jax.jit(
            lambda data: engine.trials(
                phase.graph, phase.takes, engine.start_carry(phase.graph), data, np.uint32(0), phase.trials
            )
        )(given)
    for trial in range(phase.trials):
        mine = film[trial * batch : (trial + 1) * batch]
        for step in range(4):
            np.testing.assert_array_equal(taken["a.j"][trial, step], mine[:, step])
            np.testing.assert_array_equal(taken["b.j"][trial, step], np.tile(film[0, step] + 1000, (batch, 1)))
            np.testing.assert_array_equal(taken["c.j"][trial, step], mine[:, 0])


def test_images_keep_their_axes(files):
    film = np.arange(2 * 3 * 4 * 5 * 1.0).reshape(2, 3, 4, 5, 1)
    it = api.check(
        {
            "run": {"steps": 3},
            "data": {"film": files("film", film, "row step y x channel")},
            "components": {"a": {"type": "RateCell", "n_units": [4, 5, 1], "tau_m": 10}},
            "wires": {"a.j": "film"},
        }
    )
    assert it.phases[0].graph.source("film").shape == (4, 5, 1)
    np.testing.assert_array_equal(it.phases[0].chunk_data(1, 1)["film"][0, :, 0], film[1])


def test_fewer_frames_than_steps(files):
    data = {"x": files("x", np.ones((4, 3, 3)), "row step unit")}
    (message,) = faults_of(data, {"steps": 5}, {"b.j": "x", "v.s": 0})
    assert "x has 3 frames, but a trial has 5 steps" in message


def test_labels_are_whole_numbers_on_the_device_and_activities_floats(files):
    data = {"x": files("x", np.ones((4, 3), np.float64)), "y": files("y", np.arange(4, dtype=np.int64))}
    for precision in ("float32", "float64"):
        given = checked(data, {"precision": precision}).phases[0].chunk_data(0, 2)
        assert given["x"].dtype == precision and given["y"].dtype == np.int32


# ------------------------------------------------------------------------------------------------------------- entries


def test_wired_entries_must_have_equal_rows_and_others_need_not(files):
    data = {"x": files("x", np.ones((6, 3))), "y": files("y", np.arange(5)), "start": files("start", np.ones((2, 3)))}
    (message,) = faults_of(data, {})
    assert "x has 6" in message and "y has 5" in message
    it = checked(data, {}, {"b.j": "x", "v.s": 0})  # neither y nor start drives trials here
    assert it.trials == 6 and set(it.phases[0].entries) == {"x"}


def test_labels_of_the_trial_table(files):
    data = rows_and_labels(files) | {
        "few": files("few", np.arange(4)),
        "film": files("film", np.ones((10, 2, 3)), "row step unit"),
        "names": files("names", np.arange(20).reshape(10, 2)),
    }
    it = checked(data, {"batch": 5, "shuffle": True}, record={"y": {"every": "trial"}, "names": True})
    phase = it.phases[0]
    labels = phase.labels_of(0, 2)
    np.testing.assert_array_equal(labels["y"], 10 * all_rows(phase))
    np.testing.assert_array_equal(labels["names"][..., 0], 2 * all_rows(phase))
    assert {one.name: one.shape for one in it.layout.labels} == {"y": (), "names": (2,)}
    single = checked(data, {}, record={"y": True}).phases[0]
    np.testing.assert_array_equal(single.labels_of(3, 2)["y"], [30, 40])
    for entry, said in (("few", "4 rows"), ("film", "no rows, or frames")):
        (message,) = faults_of(data, {"batch": 5}, record={entry: True})
        assert entry in message and said in message
    (message,) = faults_of(data, {}, {"b.j": 1.0, "v.s": 0}, record={"y": True})
    assert "no data with rows are wired" in message


def test_an_entry_is_read_once_and_its_faults_are_all_said(files, tmp_path):
    data = {
        "x": {"type": "file", "path": str(tmp_path / "gone.npy")},
        "y": {"type": "file", "path": str(tmp_path / "lost.npy")},
    }
    with pytest.raises(MissingInput) as error:
        checked(data, {})
    assert [fault.path[:2] for fault in error.value.faults] == [("data", "x"), ("data", "y")]


# -------------------------------------------------------------------------------------------------------------- phases


def test_a_phase_merges_data_key_by_key(files):
    data = rows_and_labels(files)
    data["x"] |= {"rows": "0:6", "scale": 2.0}
    data["y"] |= {"rows": "0:6"}
    it = checked(
        data,
        {"epochs": 2},
        phases=[
            {"name": "train"},
            {"name": "test", "epochs": 1, "data": {"x": {"rows": "6:10"}, "y": {"rows": "6:10"}}},
            {"name": "some", "trials": 3, "steps": 5},
            {"name": "half", "epochs": 1, "data": {"x": {"scale": 0.5}}},
        ],
    )
    train, test, some, half = it.phases
    assert [phase.trials for phase in it.phases] == [12, 4, 3, 6]
    assert [phase.rows for phase in it.phases] == [6, 4, 6, 6]
    assert [phase.graph.steps for phase in it.phases] == [2, 2, 5, 2]
    assert [phase.first_trial for phase in it.phases] == [0, 12, 16, 19]
    assert [phase.first_step for phase in it.phases] == [0, 24, 32, 47]
    assert it.steps == 24 + 8 + 15 + 12 and it.layout.phases == ("train", "test", "some", "half")
    np.testing.assert_array_equal(train.chunk_data(0, 6)["x"][:, 0, 0], 2.0 * np.arange(6))
    np.testing.assert_array_equal(test.chunk_data(0, 4)["x"][:, 0, 0], 2.0 * np.arange(6, 10))  # the scale stays
    np.testing.assert_array_equal(test.chunk_data(0, 4)["y"][:, 0], 10 * np.arange(6, 10))
    np.testing.assert_array_equal(half.chunk_data(0, 6)["x"][:, 0, 0], 0.5 * np.arange(6))
    np.testing.assert_array_equal(half.chunk_data(0, 6)["y"], train.chunk_data(0, 6)["y"])
    assert [phase.epoch(5) for phase in (train, some)] == [0, 0] and train.epoch(6) == 1


def test_a_phase_with_rows_of_another_number_or_shape(files):
    data = rows_and_labels(files)
    messages = faults_of(
        data, {"batch": 5}, phases=[{"name": "a"}, {"name": "b", "data": {"x": {"rows": "0:7"}, "y": {"rows": "0:7"}}}]
    )
    assert "7 rows do not divide into batches of 5" in messages[0]
    messages = faults_of(data, {}, phases=[{"name": "a"}, {"name": "b", "data": {"x": {"rows": "0:7"}}}])
    assert "equal numbers of rows" in messages[0]
    wide = files("wide", np.ones((10, 4)))
    messages = faults_of(data, {}, phases=[{"name": "a"}, {"name": "b", "data": {"x": {"path": wide["path"]}}}])
    assert "x has shape [4] in this phase and [3] before" in messages[0]


def test_what_is_learned_goes_from_phase_to_phase_and_learning_false_keeps_it(files):
    """Weights after each phase, against the rule by hand: W += eta * pre for each evolve."""
    config = {
        "run": {"steps": 2, "trials": 3},
        "components": {
            "W": {
                "type": "HebbianSynapse",
                "shape": [1, 1],
                "eta": 0.1,
                "w_bound": 0,
                "sign_value": -1,
                "weight_init": 0.0,
            }
        },
        "wires": {"W.inputs": 1, "W.pre": 2.0, "W.post": 1.0},
        "phases": [
            {"name": "learn"},
            {"name": "hold", "learning": False},
            {"name": "more", "trials": 1, "wires": {"W.pre": -1.0}},
            {"name": "slowly", "set": {"W.eta": 0.01}},
            {"name": "at_ends", "schedule": {"step": ["W"], "end": ["W.evolve"]}},
        ],
        "record": {"W.weights": {"every": "trial"}},
    }
    it = api.check(config)
    weights, seen, g = 0.0, [], 0
    with computing(it.spec):
        carry = engine.start_carry(it.phases[0].graph)
        for phase in it.phases:
            carry = carry._replace(state=engine.begin_phase(phase.graph, carry.state))
            carry, taken = jax.jit(
                lambda carry, phase=phase: engine.trials(
                    phase.graph, phase.takes, carry, {}, np.uint32(phase.first_step), phase.trials
                )
            )(carry)
            seen.append(np.asarray(taken["W.weights"]).ravel())
            g += phase.steps
    assert it.steps == g
    for phase, (trials, per_trial) in enumerate(
        [(3, 0.1 * 2 * 2), (3, 0.0), (1, -0.1 * 2), (3, 0.01 * 2 * 2), (3, 0.1 * 2)]
    ):
        expected = weights + per_trial * np.arange(1, trials + 1)
        np.testing.assert_allclose(seen[phase], expected, rtol=1e-5)
        weights = expected[-1]


def test_sums_of_a_phase_start_afresh_with_it(files):
    """`per_phase` states: an accuracy counts the rows of its own phase."""
    data = {"x": files("x", np.eye(4)[[0, 1, 2, 3]]), "t": files("t", np.eye(4)[[0, 1, 3, 2]])}
    it = api.check(
        {
            "run": {"steps": 1},
            "data": data,
            "components": {"a": {"type": "Agreement", "n_units": 4}},
            "wires": {"a.outputs": "x", "a.targets": "t"},
            "schedule": {"step": [], "end": ["a"]},
            "phases": [
                {"name": "all"},
                {"name": "good", "data": {"x": {"rows": "0:2"}, "t": {"rows": "0:2"}}},
                {"name": "bad", "data": {"x": {"rows": "2:4"}, "t": {"rows": "2:4"}}},
            ],
            "record": {"a.agreement": {"every": "trial"}},
        }
    )
    found = []
    with computing(it.spec):
        carry = engine.start_carry(it.phases[0].graph)
        for phase in it.phases:
            carry = carry._replace(state=engine.begin_phase(phase.graph, carry.state))
            carry, taken = engine.trials(
                phase.graph,
                phase.takes,
                carry,
                phase.chunk_data(0, phase.trials),
                np.uint32(phase.first_step),
                phase.trials,
            )
            found.append(float(np.asarray(taken["a.agreement"]).ravel()[-1]))
    assert found == [0.5, 1.0, 0.0]
