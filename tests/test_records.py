"""Every way to record against a plain Python loop over single calls, which keeps everything and then picks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
import pytest
from conftest import choose

from synsim import api, engine, loop
from synsim.device import computing
from synsim.faults import ConfigError
from synsim.graph import Call, Graph
from synsim.layout import Events, Trace
from synsim.plan import RunPlan

pytestmark = pytest.mark.usefixtures("small_programs")

DT, STEPS, ROWS, UNITS = 0.5, 12, 6, 5
ALSO = 7  # steps of a trial of the second phase


def config(tmp_path: Any, batch: int, record: Mapping[str, Any], **rest: Any) -> dict[str, Any]:
    np.save(tmp_path / "x.npy", np.random.default_rng(0).uniform(0, 1, (ROWS, UNITS)))
    np.save(tmp_path / "y.npy", np.arange(ROWS))
    return {
        "name": "records",
        "seed": 2,
        "run": {"dt": DT, "steps": STEPS, "batch": batch},
        "data": {
            "x": {"type": "file", "path": str(tmp_path / "x.npy")},
            "y": {"type": "file", "path": str(tmp_path / "y.npy")},
        },
        "components": {
            "p": {"type": "PoissonCell", "n_units": UNITS, "target_freq": 800},
            "W": {
                "type": "TraceSTDPSynapse",
                "A_plus": 0.1,
                "A_minus": 0.02,
                "resist_scale": 60,
                "normalise": {"columns": "l1", "to": 2.0},
            },
            "z": {"type": "LIFCell", "n_units": 4, "tau_m": 8, "refract_time": 1},
            "t": {"type": "VarTrace", "n_units": UNITS, "tau_tr": 10},
            "u": {"type": "VarTrace", "n_units": 4, "tau_tr": 10},
        },
        "wires": {
            "p.inputs": "x",
            "W.inputs": "p.outputs",
            "z.j": "W.outputs + 0.5",
            "t.inputs": "p.outputs",
            "u.inputs": "z.s",
            "W.preSpike": "p.outputs",
            "W.preTrace": "t.trace",
            "W.postSpike": "z.s",
            "W.postTrace": "u.trace",
        },
        "schedule": {"end": ["W.normalise"]},
        "record": record,
        "phases": [{"name": "first"}, {"name": "second", "steps": ALSO}],
        **rest,
    }


class Memory:
    """A sink that keeps every block."""

    def __init__(self) -> None:
        self.blocks: dict[str, list[Any]] = {}

    def initial(self, states: Any) -> None: ...

    def checkpoint(self, step: int, data: bytes) -> None: ...

    def segment(self, first: int, last: int, blocks: Mapping[str, Any], trials: Any = None) -> None:
        for path, block in blocks.items():
            self.blocks.setdefault(path, []).append(block)

    def all(self, path: str) -> dict[str, np.ndarray]:
        found = self.blocks[path]
        return {name: np.concatenate([getattr(block, name) for block in found]) for name in vars(found[0])}


def simulated(it: RunPlan, chunk: int | None) -> Memory:
    sink = Memory()
    with computing(it.spec):
        loop.simulate(it, sink, chunk=chunk)
    return sink


def everything(it: RunPlan, x: np.ndarray) -> list[dict[str, Any]]:
    """One entry for each step and one for each trial's end: where it is, the whole state, and what inlets read."""
    seen: list[dict[str, Any]] = []
    batch, g = it.spec.run.batch, 0
    with computing(it.spec):
        graph = it.phases[0].graph
        state, held = engine.initial_state(graph), engine.initial_held(graph)
        for index, phase in enumerate(it.phases):
            graph = phase.graph
            start, step, end = (_through(graph, calls) for calls in graph.order)
            for trial in range(ROWS // batch):
                data = {"x": x[trial * batch : (trial + 1) * batch].astype(np.float32)}
                state, held = start(state, held, data, np.int32(0), np.uint32(g))
                for k in range(graph.steps):
                    state, held = step(state, held, data, np.int32(k), np.uint32(g))
                    seen.append(
                        dict(
                            phase=index,
                            trial=index * (ROWS // batch) + trial,
                            k=k,
                            g=g,
                            end=False,
                            values=_flat(state, held),
                        )
                    )
                    g += 1
                state, held = end(state, held, data, np.int32(graph.steps - 1), np.uint32(g - 1))
                seen.append(
                    dict(
                        phase=index,
                        trial=index * (ROWS // batch) + trial,
                        k=graph.steps - 1,
                        g=g - 1,
                        end=True,
                        values=_flat(state, held),
                    )
                )
    return seen


def _through(graph: Graph, calls: tuple[Call, ...]) -> Any:
    """A list of calls, one after the other, as a function of what is there before."""

    def after(state: Any, held: Any, data: Any, step: Any, g: Any) -> Any:
        for call in calls:
            key = engine.call_key(graph, call)
            state, held = engine.apply(graph, call, key, state, held, data, engine.Moment(step, g, np.int32(0)))
        return state, held

    return jax.jit(after)


def _flat(state: Any, held: Any) -> dict[str, np.ndarray]:
    flat = {
        f"{name}.{compartment}": np.asarray(value, np.float64)
        for name, values in state.items()
        for compartment, value in values.items()
    }
    return flat | {path: np.asarray(value, np.float64) for path, value in held.items()}


def picked(
    seen: list[dict[str, Any]], path: str, settings: Mapping[str, Any], batch: int, phases: tuple[int, ...] = (0, 1)
) -> dict[str, np.ndarray]:
    """What a record of these settings must hold, by the words of the design."""
    every, window = settings.get("every", 1), settings.get("window", (0, np.inf))
    rows = [
        one
        for one in seen
        if one["phase"] in phases
        and (
            one["end"]
            if every == "trial"
            else not one["end"] and one["k"] % every == 0 and window[0] <= one["k"] * DT < window[1]
        )
    ]
    values = []
    for one in rows:
        value = one["values"][path]
        index = settings.get("index")
        if isinstance(index, str):
            first, last, step = (int(part) if part else None for part in (*index.split(":"), "")[:3])
            value = value[..., first:last:step]
        elif index is not None:
            value = value[..., list(index)]
        reduce = settings.get("reduce")
        if reduce is not None:
            axes = tuple(range(0 if path == "W.weights" else 1, value.ndim))
            value = {
                "mean": value.mean(axes),
                "min": value.min(axes),
                "max": value.max(axes),
                "norm": np.sqrt((value**2).sum(axes)),
            }[reduce]
        values.append(value[0] if batch == 1 and path != "W.weights" else value)
    return {
        "data": np.array(values),
        "time": np.array([one["g"] * DT for one in rows]),
        "trial": np.array([one["trial"] for one in rows]),
        "phase": np.array([one["phase"] for one in rows]),
    }


def events_of(seen: list[dict[str, Any]], path: str, units: list[int]) -> list[tuple[float, int, int, int]]:
    return [
        (one["g"] * DT, row, unit, one["trial"])
        for one in seen
        if not one["end"]
        for row, active in enumerate(one["values"][path])
        for unit in units
        if active[unit]
    ]


ROUNDS: dict[str, tuple[int, dict[str, dict[str, Any]]]] = {
    "each step": (
        2,
        {
            "z.v": {},
            "z.s": {},
            "p.outputs": {"as": "events"},
            "W.weights": {"every": "trial"},
            "z.j": {},
            "t.trace": {"index": [3, 0]},
            "u.trace": {"reduce": "mean"},
        },
    ),
    "every so often": (
        2,
        {
            "z.v": {"every": 3},
            "z.s": {"every": 5},
            "p.outputs": {"every": 7, "index": "1:4"},
            "W.weights": {"every": 5},
            "z.j": {"every": 12},
            "t.trace": {"every": 13},
            "u.trace": {"every": 6, "reduce": "norm"},
            "z.rfr": {"every": 4},
        },
    ),
    "windows": (
        2,
        {
            "z.v": {"window": [1.0, 4.0]},
            "z.s": {"window": [0, 2.5], "every": 2},
            "p.outputs": {"window": [2.2, 3.1]},
            "W.weights": {"window": [3.0, 100.0], "every": 4},
            "z.j": {"window": [0.3, 0.9]},
            "t.trace": {"window": [2.5, 5.5], "every": 5},
            "u.trace": {"window": [3.4, 3.6], "reduce": "max"},
            "W.outputs": {"window": [0.0, 0.5]},
        },
    ),
    "parts": (
        2,
        {
            "z.v": {"index": "1:3"},
            "z.s": {"as": "events", "index": [3, 1]},
            "p.outputs": {"index": "::2", "reduce": "mean"},
            "W.weights": {"index": [2], "every": "trial"},
            "z.j": {"reduce": "min"},
            "t.trace": {"index": "0:5:3", "every": 2},
            "u.trace": {"every": "trial", "reduce": "max"},
            "z.thr_theta": {"every": "trial"},
        },
    ),
    "at the end": (
        2,
        {
            "z.v": {"every": "trial"},
            "z.s": {"every": "trial"},
            "p.outputs": {"every": "trial", "index": [0]},
            "W.weights": {"every": "trial", "reduce": "norm"},
            "z.j": {"every": "trial"},
            "z.rfr": {"reduce": "mean", "every": "trial"},
        },
    ),
    "one row": (
        1,
        {
            "z.v": {"every": 2},
            "z.s": {"as": "events"},
            "p.outputs": {},
            "W.weights": {"every": 6},
            "z.j": {"index": [1]},
            "t.trace": {"reduce": "norm"},
            "u.trace": {"window": [1, 3]},
        },
    ),
}


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The plain loop, once for each size of a batch."""
    known: dict[int, list[dict[str, Any]]] = {}

    def of(batch: int) -> list[dict[str, Any]]:
        if batch not in known:
            folder = tmp_path_factory.mktemp("truth")
            every = {path: {} for path in ("z.v", "z.s", "p.outputs", "z.j", "t.trace", "u.trace", "W.outputs")}
            it = api.check(config(folder, batch, every))
            known[batch] = everything(it, np.load(folder / "x.npy"))
        return known[batch]

    return of


CUT = {"every so often": 5, "windows": 5, "one row": 5}  # the length of chunks, within trials or over some
BOTH = [(name, chunk) for name in ROUNDS for chunk in (5, 24)]


@pytest.mark.parametrize(("name", "chunk"), choose([(name, CUT.get(name, 24)) for name in ROUNDS], BOTH))
def test_a_record_is_what_a_plain_loop_picks(tmp_path, truth, name, chunk):
    batch, record = ROUNDS[name]
    seen = truth(batch)
    assert sum(one["values"]["z.s"].sum() for one in seen if not one["end"]) >= 10
    it = api.check(config(tmp_path, batch, record))
    left = simulated(it, chunk)
    for path, settings in record.items():
        found = left.all(path)
        if settings.get("as") == "events":
            units = settings.get("index", range(UNITS if path == "p.outputs" else 4))
            expected = events_of(seen, path, list(units))
            got = list(zip(found["timestamps"], found["row"], found["node_ids"], found["trial"], strict=True))
            assert sorted(got) == sorted(expected) and len(got) > 5
            assert (np.diff(found["timestamps"]) >= 0).all()
            continue
        expected = picked(seen, path, settings, batch)
        assert len(expected["data"]) > 0
        assert found["data"].dtype == np.float32 and found["data"].shape == expected["data"].shape, path
        np.testing.assert_allclose(found["data"], expected["data"], rtol=1e-4, atol=1e-5, err_msg=path)
        for column in ("time", "trial", "phase"):
            np.testing.assert_array_equal(found[column], expected[column], err_msg=f"{path} {column}")
        layout = next(one.layout for one in it.records if one.path == path)
        assert layout.shape == found["data"].shape[1:]


def test_a_phase_switches_records_on_and_off(tmp_path, truth):
    seen = truth(2)
    it = api.check(
        config(
            tmp_path,
            2,
            {"z.v": {}, "u.trace": False, "z.s": {"as": "events"}, "t.trace": False},
            phases=[
                {"name": "first", "record": {"z.s": False}},
                {"name": "second", "steps": ALSO, "record": {"z.v": False, "u.trace": True}},
            ],
        )
    )
    left = simulated(it, 5)
    assert set(left.blocks) == {"z.v", "z.s", "u.trace"}  # what no phase records is nowhere
    assert {record.name for record in it.layout.records} == {"z.v", "z.s", "u.trace"}
    for path, phases in (("z.v", (0,)), ("u.trace", (1,))):
        expected = picked(seen, path, {}, 2, phases)
        np.testing.assert_allclose(left.all(path)["data"], expected["data"], rtol=1e-4, atol=1e-5)
        np.testing.assert_array_equal(left.all(path)["time"], expected["time"])
    assert left.all("z.s")["timestamps"].min() >= STEPS * 3 * DT


def test_the_file_holds_what_the_loop_saw(tmp_path, truth):
    """Through the store: values, events, whole arrays, labels of the rows that drove each trial."""
    seen = truth(2)
    record = {"z.v": {"every": 3}, "z.s": {"as": "events"}, "W.weights": {"every": "trial"}, "y": {"every": "trial"}}
    with api.run(config(tmp_path, 2, record), out=tmp_path) as run:
        expected = picked(seen, "z.v", {"every": 3}, 2)
        np.testing.assert_allclose(run["z.v"].data[:], expected["data"], rtol=1e-4)
        np.testing.assert_array_equal(run["z.v"].time[:], expected["time"])
        spikes = run.spikes("z")
        got = list(zip(spikes.timestamps, spikes.row, spikes.node_ids, spikes.trial, strict=True))
        assert sorted(got) == sorted(events_of(seen, "z.s", list(range(4))))
        np.testing.assert_allclose(
            run["W.weights"].data[:], picked(seen, "W.weights", {"every": "trial"}, 2)["data"], rtol=1e-4
        )
        np.testing.assert_allclose(run.final("W", "weights"), seen[-1]["values"]["W.weights"], rtol=1e-4)
        table = run.trials
        np.testing.assert_array_equal(table.row, [[0, 1], [2, 3], [4, 5]] * 2)
        np.testing.assert_array_equal(table.labels["y"], table.row)
        np.testing.assert_array_equal(table.phase, [0, 0, 0, 1, 1, 1])
        np.testing.assert_array_equal(table.start, np.array([0, 12, 24, 36, 43, 50]) * DT)


def test_float64_is_recorded_as_float64(tmp_path):
    it = api.check(config(tmp_path, 1, {"z.v": {}, "z.s": {}}, run={"dt": DT, "steps": STEPS, "precision": "float64"}))
    assert all(record.layout.dtype == "float64" and record.layout.form == "record" for record in it.records)
    assert simulated(it, 12).all("z.v")["data"].dtype == np.float64


@pytest.mark.parametrize(
    ("batch", "settings", "form"),
    [
        (1, {}, "report"),
        (1, {"every": 2}, "record"),  # 7 steps of the second phase: rows are not evenly spaced
        (2, {}, "record"),
        (1, {"window": [1, 3]}, "record"),
        (1, {"reduce": "mean"}, "record"),
        (1, {"every": "trial"}, "record"),
        (1, {"index": [1, 3]}, "report"),
        (1, {"index": [3, 1]}, "record"),  # SONATA's ids ascend
    ],
)
def test_the_form_that_the_file_gives_it(tmp_path, batch, settings, form):
    it = api.check(config(tmp_path, batch, {"z.v": settings}))
    assert it.records[0].layout.form == form


def test_axes_and_coordinates(tmp_path):
    it = api.check(
        config(
            tmp_path,
            2,
            {
                "z.v": {"index": [3, 1]},
                "W.weights": {"index": "1:3"},
                "u.trace": {"reduce": "max"},
                "z.s": {"as": "events", "index": [3, 1]},
            },
        )
    )
    axes = {record.path: [(name, list(coords)) for name, coords in record.layout.axes] for record in it.records}
    assert axes["z.v"] == [("row", [0, 1]), ("unit", [3, 1])]
    assert axes["W.weights"] == [("pre_unit", [0, 1, 2, 3, 4]), ("post_unit", [1, 2])]
    assert axes["u.trace"] == [("row", [0, 1])]
    units = {record.path: record.layout.unit for record in it.records}
    assert units["z.v"] == "mV" and units["W.weights"] == ""


def test_spikes_leave_the_device_as_bits(tmp_path):
    it = api.check(config(tmp_path, 2, {"p.outputs": {}, "z.s": {"reduce": "mean"}, "z.v": {}}))
    takes = {take.path: take for take in it.phases[0].takes}
    assert takes["p.outputs"].packed and not takes["z.s"].packed and not takes["z.v"].packed
    spikes = np.random.default_rng(0).integers(0, 2, (3, 2, UNITS))
    with computing(it.spec):
        left = [np.asarray(takes["p.outputs"].value({"p": {"outputs": one.astype(np.float32)}}, {})) for one in spikes]
    assert left[0].dtype == np.uint32 and left[0].shape == (2, 1)  # 32 units to a word
    record = next(one for one in it.records if one.path == "p.outputs")
    assert record.row_bytes == 8
    block = record.block(np.array(left), np.arange(3), np.zeros(3), 0, DT)
    np.testing.assert_array_equal(block.data, spikes)


def test_an_image_of_spikes_is_unpacked_in_its_shape_and_events_count_units_through(tmp_path):
    base = {
        "run": {"steps": 4, "batch": 2},
        "components": {"p": {"type": "BernoulliCell", "n_units": [3, 5]}},
        "wires": {"p.inputs": 0.5},
    }
    values, events, part = (
        api.check(base | {"record": {"p.outputs": how}})
        for how in ({}, {"as": "events"}, {"as": "events", "index": [4, 1]})
    )
    seen = simulated(values, 4).all("p.outputs")["data"]
    assert seen.shape == (4, 2, 3, 5) and 0 < seen.sum() < seen.size
    for it, kept in ((events, seen), (part, np.where(np.isin(np.arange(5), [4, 1]), seen, 0))):
        found = simulated(it, 4).all("p.outputs")
        at, row, unit = np.nonzero(kept.reshape(4, 2, -1))
        assert sorted(zip(found["timestamps"], found["row"], found["node_ids"], strict=True)) == sorted(
            zip(at.astype(float), row, unit, strict=True)
        )


@pytest.mark.parametrize(
    ("path", "settings", "said"),
    [
        ("z.v", {"index": "2:9"}, ["2:9", "z.v", "has 4"]),
        ("z.v", {"index": [0, 4]}, ["z.v", "outside 0 to 3"]),
        ("z.v", {"index": "4:4"}, ["index"]),
        ("z.v", {"window": [6.0, 7.0]}, ["window of z.v", "no step", "6 ms"]),
        ("z.v", {"window": [0.6, 0.9]}, ["window of z.v"]),
        ("z.v", {"as": "events"}, ["z.v", "events"]),
        ("z.v", {"window": [0, 3], "every": "trial"}, ["window"]),
        ("z.s", {"as": "events", "every": 2}, ["events"]),
        ("q.v", {}, ["q"]),
        ("z.w", {}, ["z.w"]),
    ],
)
def test_what_cannot_be_recorded_is_said(tmp_path, path, settings, said):
    with pytest.raises(ConfigError) as error:
        api.check(config(tmp_path, 1, {path: settings}))
    for part in said:
        assert part in str(error.value)


def test_an_inlet_of_what_never_advances_is_a_fault(tmp_path):
    with pytest.raises(ConfigError, match="never advances it"):
        api.check(config(tmp_path, 1, {"z.j": {}}, schedule={"step": ["p", "W"]}))


def test_one_number_has_no_index():
    with pytest.raises(ConfigError, match="one number"):
        api.check(
            {
                "run": {"steps": 2},
                "components": {"a": {"type": "Agreement", "n_units": 3}},
                "wires": {"a.outputs": 1, "a.targets": 1},
                "record": {"a.agreement": {"index": [0]}},
            }
        )


def test_blocks_have_their_types(tmp_path):
    left = simulated(api.check(config(tmp_path, 2, {"z.v": {}, "z.s": {"as": "events"}})), 24)
    trace, events = left.blocks["z.v"][0], left.blocks["z.s"][0]
    assert isinstance(trace, Trace) and isinstance(events, Events)
    assert [column.dtype for column in (trace.time, trace.trial, trace.phase)] == [np.float64, np.int32, np.int32]
    assert [column.dtype for column in (events.timestamps, events.node_ids, events.trial, events.row)] == [
        np.float64,
        np.uint64,
        np.int32,
        np.int32,
    ]
