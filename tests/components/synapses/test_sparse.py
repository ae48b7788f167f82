"""Sparse connectivity: who is connected, what is transmitted, and that it is the dense matrix of the same weights."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import choose
from test_loop import Memory

from synsim import api, engine, loop, structure
from synsim.components.synapses.connectivity.events import sent, sent_onto
from synsim.components.synapses.connectivity.sparse import SparseConnectivity
from synsim.components.synapses.presets import PRESETS
from synsim.config import load
from synsim.device import computing
from synsim.faults import ConfigError, render
from synsim.plan import plan
from synsim.spike_bits import already_packed, packed
from synsim.structure import Pairs, generator

SEEDS = choose(20, 50, 200)


def drawn(seed: int = 0, **settings: Any) -> tuple[SparseConnectivity, Pairs]:
    wiring = SparseConnectivity(**settings)
    assert wiring.problems() == []
    pairs = wiring.draw(generator(seed, "W", "synapses"))
    return wiring.structured(pairs, incoming=True), pairs


def keys(pairs: Pairs) -> np.ndarray:
    return pairs.pre.astype(np.int64) << 32 | pairs.post


def config(synapse: dict[str, Any], n_pre: int = 40, n_post: int = 30, **run: Any) -> dict[str, Any]:
    """Poisson spikes through one synapse onto cells that spike themselves."""
    return {
        "name": "one",
        "seed": 5,
        "run": {"dt": 0.5, "steps": 60, **run},
        "components": {
            "x": {"type": "PoissonCell", "n_units": n_pre, "target_freq": 200.0},
            "W": {"type": "Synapse", **synapse},
            "z": {"type": "LIFCell", "n_units": n_post, "tau_m": 10.0, "resist_m": 400.0, "refract_time": 1.0},
        },
        "wires": {"x.inputs": 1.0, "W.inputs": "x.outputs", "z.j": "W.outputs"},
        "record": {"z.v": {}, "z.s": {}},
    }


def end(given: dict[str, Any]) -> tuple[dict[str, dict[str, np.ndarray]], dict[str, np.ndarray]]:
    """The last state of a run, and what it recorded."""
    with computing(spec := load(given)):
        it = plan(spec)
        memory = Memory()
        state = loop.simulate(it, memory).state
        return jax.tree.map(np.asarray, state), {path: memory.all(path)["data"] for path in given["record"]}


def start(given: dict[str, Any]) -> tuple[Any, dict[str, np.ndarray]]:
    """The synapse of a run, and its state before the first step."""
    with computing(spec := load(given)):
        graph = plan(spec).phases[0].graph
        return graph.parts["W"], jax.tree.map(np.asarray, engine.initial_state(graph))["W"]


def matrix(wiring: SparseConnectivity, weights: np.ndarray) -> np.ndarray:
    """The dense matrix of the same weights."""
    found = np.zeros((*wiring.pre_shape, *wiring.post_shape), weights.dtype)
    rows = np.broadcast_to(np.arange(found.shape[0])[:, None], wiring.targets.shape)
    there = np.ones(rows.shape, bool) if wiring.present is None else np.asarray(wiring.present)
    np.add.at(found, (rows[there], wiring.targets[there]), np.broadcast_to(weights, rows.shape)[there])
    return found


# ----------------------------------------------------------------------------------------------------- who is connected

NEITHER = [
    dict(autapses=autapses, multapses=multapses) for autapses, multapses in itertools.product((True, False), repeat=2)
]


@pytest.mark.parametrize("loops", NEITHER, ids=str)
@pytest.mark.parametrize("fan", [1, 7, 20, 29])
def test_every_fan_out_and_fan_in_is_exact(fan, loops):
    _, out = drawn(shape=(30, 30), fan_out=fan, **loops)
    assert (np.bincount(out.pre, minlength=30) == fan).all()
    _, into = drawn(shape=(30, 30), fan_in=fan, **loops)
    assert (np.bincount(into.post, minlength=30) == fan).all()
    for pairs in (out, into):
        assert (np.diff(keys(pairs)) >= (0 if loops["multapses"] else 1)).all()  # in order, none twice
        if not loops["autapses"]:
            assert (pairs.pre != pairs.post).all()


@pytest.mark.parametrize("loops", NEITHER, ids=str)
@pytest.mark.parametrize("total", [1, 100, 700, 870])
def test_a_total_is_exact(total, loops):
    _, pairs = drawn(shape=(30, 30), synapses=total, **loops)
    assert len(pairs.pre) == total
    assert (np.diff(keys(pairs)) >= (0 if loops["multapses"] else 1)).all()
    if not loops["autapses"]:
        assert (pairs.pre != pairs.post).all()


def test_what_is_allowed_happens():
    """Without it the tests above would pass of a draw that never makes an autapse or a multapse."""
    for how in (dict(fan_out=25), dict(fan_in=25), dict(synapses=750), dict(p_conn=0.8)):
        _, pairs = drawn(shape=(30, 30), **how)
        assert (pairs.pre == pairs.post).any(), how
    for how in (dict(fan_out=25), dict(fan_in=25), dict(synapses=750)):
        _, pairs = drawn(shape=(30, 30), multapses=True, **how)
        assert (np.diff(keys(pairs)) == 0).any(), how


@pytest.mark.parametrize("how", [{}, dict(as_mask=True), dict(autapses=False)], ids=str)
@pytest.mark.parametrize("chance", [0.03, 0.4, 0.85])
def test_every_pair_has_the_same_probability(chance, how):
    """Counts of each pair over many seeds, and of all pairs, are those of a binomial."""
    shape, less = (25, 25) if how.get("autapses") is False else (25, 40), how.get("autapses") is False
    counts = np.zeros(shape)
    for seed in range(SEEDS * 10):
        _, pairs = drawn(seed, shape=shape, p_conn=chance, **how)
        counts[pairs.pre, pairs.post] += 1
    draws = SEEDS * 10
    if less:
        assert (np.diag(counts) == 0).all()
        counts = counts[~np.eye(len(counts), dtype=bool)]
    deviation = (counts - draws * chance) / np.sqrt(draws * chance * (1 - chance))
    assert abs(deviation.mean()) < 4.5 / np.sqrt(deviation.size)
    assert 0.8 < deviation.std() < 1.2 and abs(deviation).max() < 6.5


@pytest.mark.parametrize("how", [dict(fan_out=6), dict(fan_out=18), dict(fan_in=6), dict(synapses=150)], ids=str)
def test_targets_are_drawn_evenly(how):
    counts = np.zeros((25, 25))
    for seed in range(SEEDS * 10):
        _, pairs = drawn(seed, shape=(25, 25), **how)
        counts[pairs.pre, pairs.post] += 1
    p, draws = counts.mean() / (SEEDS * 10), SEEDS * 10
    deviation = (counts - draws * p) / np.sqrt(draws * p * (1 - p))
    assert 0.8 < deviation.std() < 1.2 and abs(deviation).max() < 6.5


def test_the_draw_depends_on_the_seed_and_the_name_alone():
    wiring = SparseConnectivity(shape=(50, 60), p_conn=0.1)
    draws = [wiring.draw(generator(*each, "synapses")) for each in ((1, "W"), (1, "W"), (2, "W"), (1, "V"))]
    assert np.array_equal(keys(draws[0]), keys(draws[1]))
    assert not any(np.array_equal(keys(draws[0]), keys(other)) for other in draws[2:])
    parts = [start(config({"connectivity": "sparse", "p_conn": 0.1}, **run))[0] for run in ({}, {"batch": 3})]
    assert np.array_equal(parts[0].connectivity.targets, parts[1].connectivity.targets)


def test_blocks_of_rows_are_drawn_alike(monkeypatch):
    """A draw that is cut into blocks is exact too, and has no row twice."""
    monkeypatch.setattr(structure, "BLOCK", 64)
    for how in (dict(fan_out=7), dict(fan_in=9), dict(p_conn=0.3), dict(p_conn=0.3, as_mask=True), dict(fan_out=38)):
        wiring, pairs = drawn(shape=(50, 50), **how)
        assert (np.diff(keys(pairs)) > 0).all()
        assert how.get("fan_out") is None or (np.bincount(pairs.pre, minlength=50) == wiring.fan_out).all()
    whole = generator(0, "W", "synapses").random((50, 50)) < 0.3
    assert np.array_equal(np.nonzero(whole)[1], drawn(shape=(50, 50), p_conn=0.3, as_mask=True)[1].post)


@pytest.mark.parametrize(
    "how",
    [dict(fan_in=9), dict(p_conn=0.01), dict(p_conn=0.2), dict(p_conn=0.97), dict(synapses=20), dict(synapses=900)],
    ids=str,
)
def test_rows_have_room_whatever_the_seed(how):
    """The longest row of many draws stays below the bound that the settings give, and not far below."""
    longest = 0
    for seed in range(SEEDS):
        wiring, pairs = drawn(seed, shape=(300, 200), **how)  # which raises ValueError where there is no room
        longest = max(longest, np.bincount(pairs.pre).max())
        assert wiring.targets.shape == (300, wiring.length)
    assert longest <= wiring.length <= min(200, 2.5 * longest + 12)


def test_a_row_without_room_is_an_error():
    with pytest.raises(ValueError, match="unit 2 got 4 synapses, and there is room for 3"):
        structure.padded(Pairs(np.array([0, 2, 2, 2, 2]), np.arange(5)), 5, 3)


def test_incoming_synapses_are_listed():
    for how in (dict(fan_out=5), dict(fan_in=5), dict(p_conn=0.2), dict(synapses=90, multapses=True)):
        wiring, pairs = drawn(shape=(20, 31), **how)
        for post in range(31):
            places = wiring.incoming[post, : wiring.incoming_lengths[post]]
            assert (wiring.targets.ravel()[places] == post).all()
            assert sorted(places // wiring.length) == sorted(pairs.pre[pairs.post == post])


MEMORY = """
import resource, sys, time
import numpy as np
from synsim.components.synapses.connectivity.sparse import SparseConnectivity
from synsim.structure import generator
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
import numpy.random
limit = int(sys.argv[1]) << 20
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + limit, used + limit))
for how in (dict(p_conn=0.004), dict(fan_in=80)):
    wiring = SparseConnectivity(shape=(20_000, 20_000), **how)
    began = time.perf_counter()
    pairs = wiring.draw(generator(1, "W", "synapses"))
    made = wiring.structured(pairs, incoming=True)
    print(len(pairs.pre), made.targets.nbytes, time.perf_counter() - began)
"""


def test_20000_by_20000_is_built_in_little_memory():
    """1.6 million synapses, of 400 million pairs: 400 MB would not hold one byte a pair."""
    done = subprocess.run([sys.executable, "-c", MEMORY, "300"], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()]
    assert len(rows) == 2
    for count, size, seconds in rows:
        assert abs(int(count) - 1_600_000) < 8_000 and int(size) < 20_000 * 160 * 4
        assert float(seconds) < 60.0  # a second or so where nobody else computes


# -------------------------------------------------------------------------------------------------------- edge lists

EDGES = np.array([[2, 0], [0, 3], [0, 1], [2, 0], [1, 3]])
WEIGHTS = np.array([0.5, 1.5, 2.5, 3.5, 4.5])
DELAYS = np.array([1.0, 0.0, 2.5, 4.0, 0.5])


def written(folder: Path, kind: str) -> dict[str, Any]:
    match kind:
        case "csv":
            rows = zip(EDGES, WEIGHTS, DELAYS, strict=True)
            lines = [f"{pre},{post},{weight},{delay}" for (pre, post), weight, delay in rows]
            (folder / "e.csv").write_text("\n".join(["pre,post,w,late", *lines]))
            return {"path": "e.csv", "weight": "w"}
        case "csv without names":
            lines = [f"{post},{pre}" for pre, post in EDGES]
            (folder / "e.csv").write_text("\n".join(lines))
            return {"path": "e.csv", "pre": "1", "post": "0"}
        case "npz":
            np.savez(folder / "e.npz", pre=EDGES[:, 0], post=EDGES[:, 1], w=WEIGHTS, late=DELAYS)
            return {"path": "e.npz", "weight": "w"}
        case "h5":
            with h5py.File(folder / "e.h5", "w") as file:
                file["a/i"], file["a/j"], file["a/w"], file["late"] = EDGES[:, 0], EDGES[:, 1], WEIGHTS, DELAYS
            return {"path": "e.h5", "pre": "a/i", "post": "a/j", "weight": "a/w"}
        case _:
            with h5py.File(folder / "e.h5", "w") as file:  # as SONATA has it
                group = file.create_group("edges/in_to_out")
                group["source_node_id"] = EDGES[:, 0].astype(np.uint64)
                group["target_node_id"] = EDGES[:, 1].astype(np.uint64)
                for side, nodes in (("source", "in"), ("target", "out")):
                    group[f"{side}_node_id"].attrs["node_population"] = nodes
                group["0/syn_weight"], group["0/delay"] = WEIGHTS, DELAYS
                group["edge_type_id"], group["edge_group_id"] = np.zeros((2, 5), np.uint32)
                group["edge_group_index"] = np.arange(5, dtype=np.uint64)
            return {"path": "e.h5", "population": "in_to_out", "weight": "0/syn_weight"}


@pytest.mark.parametrize("kind", ["csv", "csv without names", "npz", "h5", "sonata"])
def test_edges_come_from_a_file(kind, tmp_path):
    edges = written(tmp_path, kind)
    path = tmp_path / "one.yaml"
    synapse: dict[str, Any] = {"connectivity": {"type": "sparse", "edges": edges}}
    if "weight" not in edges:
        synapse["weight_init"] = 1.0
    path.write_text(json.dumps(config(synapse, 3, 4)))
    with computing(spec := load(path)):
        graph = plan(spec).phases[0].graph
        weights = np.asarray(engine.initial_state(graph)["W"]["weights"])
    expected = np.zeros((3, 4), np.float32)
    np.add.at(expected, tuple(EDGES.T), WEIGHTS if "weight" in edges else np.ones(5))
    np.testing.assert_array_equal(matrix(graph.parts["W"].connectivity, weights), expected)
    assert weights.shape == (3, 2) and graph.parts["W"].connectivity.edges is None


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize(
    ("kind", "late"), [("csv", "late"), ("npz", "late"), ("h5", "late"), ("sonata", "0/delay"), ("sonata", None)]
)
def test_each_edge_is_as_late_and_as_strong_as_its_file_says(kind, late, batch, tmp_path):
    """Against sums by hand: unit i of x sends i + 1 in step 2 and -1 in step 5, steps are of 0.5 ms."""
    edges = written(tmp_path, kind) | ({"delay": late} if late else {})
    sent = np.zeros((batch, 20, 3))
    sent[:, 2], sent[:, 5] = np.arange(1.0, 4.0), -1.0
    sent *= np.arange(1.0, batch + 1.0)[:, None, None]
    np.save(tmp_path / "x.npy", sent)
    given = {
        "run": {"dt": 0.5, "steps": 20, "batch": batch, "precision": "float64"},
        "data": {"x": {"type": "file", "path": "x.npy", "axes": ["row", "step", "unit"]}},
        "components": {"W": {"type": "StaticSynapse", "connectivity": "sparse", "shape": [3, 4], "edges": edges}},
        "wires": {"W.inputs": "x"},
        "record": {"W.outputs": {}, "W.delayed_inputs": {}} if late else {"W.outputs": {}},
    }
    if late is None:
        given["components"]["W"]["delay"] = 2.0  # of all of them
    (tmp_path / "one.yaml").write_text(json.dumps(given))
    expected = np.zeros((batch, 30, 4))
    for (pre, post), weight, delay in zip(EDGES, WEIGHTS, DELAYS if late else np.full(5, 2.0), strict=True):
        for step in (2, 5):
            expected[:, step + int(delay / 0.5), post] += weight * sent[:, step, pre]
    spec = load(tmp_path / "one.yaml")
    with computing(spec):
        memory = Memory()
        loop.simulate(plan(spec), memory)
    found = np.asarray(memory.all("W.outputs")["data"]).reshape(20, batch, 4)  # a batch of one has no axis
    np.testing.assert_allclose(found, np.moveaxis(expected[:, :20], 0, 1), rtol=1e-12)


def test_a_file_of_edges_is_what_libsonata_reads_of_it(tmp_path):
    libsonata = pytest.importorskip("libsonata")
    written(tmp_path, "sonata")
    found = libsonata.EdgeStorage(str(tmp_path / "e.h5")).open_population("in_to_out")
    every = found.select_all()
    sides = [found.source_nodes(every), found.target_nodes(every)]
    values = [found.get_attribute(name, every) for name in ("syn_weight", "delay")]
    edges = {"path": str(tmp_path / "e.h5"), "population": "in_to_out", "weight": "0/syn_weight", "delay": "0/delay"}
    part, state = start(config({"connectivity": {"type": "sparse", "edges": edges}}, 3, 4))
    wiring, expected = part.connectivity, np.zeros((3, 4), np.float32)
    np.add.at(expected, tuple(sides), values[0])
    np.testing.assert_array_equal(matrix(wiring, state["weights"]), expected)
    there = np.asarray(wiring.present)
    mine = zip(np.nonzero(there)[0], wiring.targets[there], state["weights"][there], strict=True)
    late = dict(zip(mine, np.asarray(part.delay.steps)[there] * 0.5, strict=True))
    assert late == {tuple(each[:3]): each[3] for each in zip(*sides, *values, strict=True)}


@pytest.mark.parametrize(
    ("text", "more", "said"),
    [
        ("pre,post\n0,1\n3,0\n", {}, "W: pre of e.csv names unit 3 in edge 2; there are 3, from 0 on"),
        ("pre,post\n2,0\n0,4\n", {}, "W: post of e.csv names unit 4 in edge 2; there are 4, from 0 on"),
        ("pre,post\n0,-1\n", {}, "W: post of e.csv must be numbers of units, whole and from 0 on: edge 1 has -1"),
        ("pre,post\n1,1\n0.5,1\n", {}, "W: pre of e.csv must be numbers of units, whole and from 0 on: edge 2 has"),
        ("pre,post,w\n0,1,1\n0,2,nan\n", {}, "the value at [1] of w in e.csv is nan; every value must be finite"),
        ("pre,post,late\n0,1,1\n0,2,-1\n", {}, "W: delay of e.csv must be numbers of ms, none below 0: edge 2 has -1"),
        ("pre,post,late\n0,1,inf\n", {}, "the value at [0] of late in e.csv is inf"),
        ("pre,post,late\n0,1,2\n", {"delay": 2}, "W: delay and the delays in edges say two things"),
        ("pre,post,late\n0,1,2\n", {"max_delay": 1}, "max_delay is 1 ms, but delay goes up to 2 ms"),
        ("pre,post\n0,1\n\n0\n", {}, "e.csv: line 4 has 1 cells, and the lines before it 2"),
        ("# edges\npre,post\n0,1\n0,one\n", {}, "e.csv: 'one' in line 4 is no number"),
        ("pre,post\n", {}, "e.csv: holds no numbers"),
        ("a,post\n0,1\n", {}, "there is no column 'pre'. The file has columns a and post"),
        ("pre,post,w\n0,1,2\n", {"weight_init": 1.0}, "W: weight_init and the weights in edges say two things"),
        ("pre,post,w\n0,1,2\n", {"weights_per": "projection"}, "W: the weights in edges are one for each synapse"),
        ("pre,post,w\n0,1,2\n", {"fan_out": 1}, "W: fan_out and edges say two things of who is connected"),
        ("pre,post,w\n0,1,2\n", {"autapses": False}, "W: autapses: false"),
        ("pre,post,w\n0,1,2\n", {"multapses": True}, "W: multapses: true goes with fan_out, fan_in and synapses"),
    ],
)
def test_edges_that_cannot_be(text, more, said, tmp_path):
    (tmp_path / "e.csv").write_text(text)
    path = tmp_path / "one.yaml"
    edges = {"path": "e.csv", **({"weight": "w"} if ",w" in text else {"delay": "late"} if ",late" in text else {})}
    synapse = {"connectivity": "sparse", "edges": edges, **more}
    path.write_text(json.dumps(config(synapse, 3, 4)))
    spec = load(path)
    with pytest.raises(ConfigError) as caught:
        api.check(spec)
    lines = render([spec.locate(fault) for fault in caught.value.faults])
    assert any(said in line for line in lines), lines
    assert all(line.startswith(f"{path}:1:") for line in lines)  # a place in the file


# ------------------------------------------------------------------------------------------------- what is transmitted

HOW = [
    dict(fan_out=6),
    dict(fan_in=5),
    dict(p_conn=0.15),
    dict(synapses=200),
    dict(synapses=200, multapses=True),
    dict(fan_out=6, weights_per="projection"),
    dict(p_conn=0.15, weights_per="projection"),
]


SIZES = [(1, "float32"), (3, "float64"), (1, "float64"), (3, "float32")]


@pytest.mark.parametrize(
    ("how", "batch", "precision"),
    [(how, *SIZES[(i + k) % 4]) for i, how in enumerate(HOW) for k in range(choose(1, 2, 4))],
    ids=str,
)
def test_a_run_is_that_of_the_dense_matrix(how, batch, precision, tmp_path):
    sparse = config({"connectivity": "sparse", **how}, batch=batch, precision=precision)
    part, state = start(sparse)
    np.save(tmp_path / "w.npy", matrix(part.connectivity, state["weights"]))
    weights = {"type": "file", "path": str(tmp_path / "w.npy")}
    dense = config({"connectivity": "dense", "weight_init": weights}, batch=batch, precision=precision)
    (_, mine), (_, other) = end(sparse), end(dense)
    tolerance = 1e-3 if precision == "float32" else 1e-9
    assert mine["z.s"].sum() > 10
    np.testing.assert_array_equal(mine["z.s"], other["z.s"])
    np.testing.assert_allclose(mine["z.v"], other["z.v"], rtol=0, atol=tolerance)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("how", [dict(fan_out=17), dict(p_conn=0.1)], ids=str)
def test_no_spike_is_dropped_when_all_fire_at_once(how, batch):
    wiring, _ = drawn(shape=(700, 400), **how)
    weights = wiring.kept(jnp.ones(wiring.weight_shape))
    arrived = np.asarray(jax.jit(wiring.transmit)(weights, jnp.ones((batch, 700))))
    number = np.bincount(wiring.targets[np.asarray(weights) > 0], minlength=400)
    np.testing.assert_array_equal(arrived, np.broadcast_to(number, (batch, 400)))
    silent = np.asarray(jax.jit(wiring.transmit)(weights, jnp.zeros((batch, 700))))
    np.testing.assert_array_equal(silent, 0.0)


@pytest.mark.parametrize("how", [dict(fan_out=9), dict(p_conn=0.2), dict(fan_out=9, weights_per="projection")], ids=str)
def test_a_row_is_the_same_whatever_else_is_in_the_batch(how):
    """Bit for bit: each row adds its synapses in the same order."""
    wiring, _ = drawn(shape=(90, 50), **how)
    random = np.random.default_rng(0)
    w = wiring.kept(jnp.asarray(random.normal(size=wiring.weight_shape), "float32"))
    x = (random.normal(size=(5, 90)) * (random.random((5, 90)) < 0.3)).astype("float32")
    together = np.asarray(jax.jit(wiring.transmit)(w, x))
    for row in range(5):
        np.testing.assert_array_equal(np.asarray(jax.jit(wiring.transmit)(w, x[row : row + 1]))[0], together[row])


LANES = [(None, 0, None), (0, 0, None), (0, None, None), (None, 0, 0), (0, None, 0)]


@pytest.mark.parametrize("axes", LANES, ids=str)
@pytest.mark.parametrize(
    "how", [dict(fan_out=9), dict(p_conn=0.2), dict(p_conn=0.2, weights_per="projection")], ids=str
)
def test_lanes_are_what_each_lane_is_alone(how, axes):
    """Lanes of weights, of activity and of structure, and lanes within lanes."""
    random = np.random.default_rng(1)
    wirings = [drawn(seed, shape=(40, 30), **how)[0] for seed in range(4)]
    tables = {name: np.stack([getattr(each, name) for each in wirings]) for name in ("targets", "lengths")
              if getattr(wirings[0], name) is not None}  # fmt: skip
    w = random.normal(size=(4, *wirings[0].weight_shape)).astype("float32")
    x = (random.normal(size=(4, 3, 40)) * (random.random((4, 3, 40)) < 0.4)).astype("float32")

    def send(w: Any, x: Any, tables: Any) -> Any:
        import dataclasses

        return dataclasses.replace(wirings[0], **tables).transmit(w, x)

    def given(i: int) -> tuple[Any, ...]:
        lanes = [values if axis is None else jax.tree.map(lambda v: v[i], values)
                 for values, axis in zip((w, x, tables), axes, strict=True)]  # fmt: skip
        return tuple(
            jax.tree.map(lambda v: v[0], v) if axis is None else v for v, axis in zip(lanes, axes, strict=True)
        )

    one = [w, x, tables]
    shared = [values if axis == 0 else jax.tree.map(lambda v: v[0], values)
              for values, axis in zip(one, axes, strict=True)]  # fmt: skip
    found = np.asarray(jax.jit(jax.vmap(send, in_axes=axes))(*shared))
    expected = np.stack([np.asarray(jax.jit(send)(*given(i))) for i in range(4)])
    np.testing.assert_array_equal(found, expected)
    twice = jax.jit(jax.vmap(jax.vmap(send, in_axes=axes), in_axes=(0, None, None)))
    if axes[0] is None:
        stacked = np.stack([shared[0], 2.0 * shared[0]])
        np.testing.assert_allclose(np.asarray(twice(stacked, *shared[1:])), [expected, 2.0 * expected], rtol=1e-6)


# ----------------------------------------------------------------------------------------- storage, weights, one to one


def test_storage_changes_no_connection():
    """Kept as a matrix with zeros or without them: the same pairs, and with the same weights the same run."""
    given = {"connectivity": "dense", "p_conn": 0.2, "weight_init": 0.4}
    _, dense = start(config(given))
    part, sparse = start(config({**given, "storage": "sparse"}))
    assert part.connectivity.type_name == "sparse" and sparse["weights"].shape == (40, part.connectivity.length)
    np.testing.assert_array_equal(matrix(part.connectivity, sparse["weights"]), dense["weights"])
    (_, mine), (_, other) = end(config({**given, "storage": "sparse"})), end(config(given))
    np.testing.assert_array_equal(mine["z.s"], other["z.s"])
    assert mine["z.s"].sum() > 10


def test_a_preset_is_kept_sparse_too():
    given = config({"connectivity": "dense"})
    given["components"]["W"] = {
        "type": "ExponentialSynapse", "p_conn": 0.1, "storage": "sparse", "tau_decay": 5.0, "g_syn_bar": -1.0,
        "syn_rest": None, "weight_init": 0.3,
    }  # fmt: skip
    part, state = start(given)
    assert part.connectivity.type_name == "sparse" and state["weights"].shape == (40, part.connectivity.length)
    assert end(given)[1]["z.s"].sum() > 0


SPARSE = [
    {"connectivity": "sparse", "fan_out": 6},
    {"connectivity": {"type": "sparse", "fan_in": 5, "autapses": False}},
    {"connectivity": "sparse", "p_conn": 0.2, "weights_per": "projection"},
    {"connectivity": "one_to_one"},
]
BETWEEN_VECTORS = [name for name, preset in PRESETS.items() if preset.connectivity == "dense"]


def of_type(type_name: str, how: dict[str, Any], batch: int) -> dict[str, Any]:
    """A synapse of a type between two populations of 30 that spike, with all that its parts read."""
    given = config({}, 30, 30, batch=batch)
    components, wires = given["components"], given["wires"]
    chosen = PRESETS.get(type_name)
    rule = how.get("rule", "static") if chosen is None else chosen.rule
    dynamics = how.get("dynamics", "instant") if chosen is None else chosen.dynamics
    components["W"] = {"type": type_name, "weight_init": 0.3, **how}
    if dynamics != "instant":
        components["W"] |= {"tau_decay": 5.0, "g_syn_bar": 1.0, "syn_rest": 0.0}
        wires["W.v"] = "z.v"
    if dynamics == "double_exponential":
        components["W"]["tau_rise"] = 2.0
    if rule == "trace_stdp":
        components["W"] |= {"A_plus": 0.02, "A_minus": 0.01}
        components |= {f"t{name}": {"type": "VarTrace", "n_units": 30, "tau_tr": 10.0} for name in "xz"}
        wires |= {"tx.inputs": "x.outputs", "tz.inputs": "z.s", "W.preTrace": "tx.trace", "W.postTrace": "tz.trace"}
        wires |= {"W.preSpike": "x.outputs", "W.postSpike": "z.s"}
    elif rule != "static":
        components["W"]["eta"] = 0.02
        wires |= {"W.pre": "x.outputs", "W.post": "z.s"}
    return given


@pytest.mark.parametrize(
    ("name", "how", "batch"),
    [(name, how, 1 + 2 * ((i + k) % 2)) for k, name in enumerate(BETWEEN_VECTORS) for i, how in enumerate(SPARSE)],
    ids=str,
)
def test_a_type_between_vectors_takes_another_connectivity(name, how, batch):
    """As `Synapse` with the parts of the type; a rule needs weights that are apart."""
    chosen = PRESETS[name]
    mine = of_type(name, how, batch)
    if chosen.rule != "static" and "weights_per" in how:
        with pytest.raises(ConfigError, match="one weight for all synapses cannot learn"):
            api.check(load(mine))
        return
    other = of_type("Synapse", {**how, "dynamics": chosen.dynamics, "rule": chosen.rule}, batch)
    graphs = [api.check(load(given)).phases[0].graph for given in (mine, other)]
    assert jax.tree.structure(graphs[0]) == jax.tree.structure(graphs[1])
    jax.tree.map(np.testing.assert_array_equal, *graphs)
    assert graphs[0].parts["W"].connectivity.type_name in str(how["connectivity"])


def test_a_type_between_vectors_runs_sparse():
    taken = end(of_type("TraceSTDPSynapse", SPARSE[0], 3) | {"record": {"W.weights": {"every": 59}, "W.outputs": {}}})
    weights = taken[1]["W.weights"]
    assert weights.shape[1:] == (30, 6) and np.ptp(weights, axis=0).max() > 0.01 and taken[1]["W.outputs"].sum() > 1.0


@pytest.mark.parametrize(
    ("type_name", "settings", "said"),
    [
        ("AlphaSynapse", {"connectivity": "conv"}, "must name a connectivity that exists, not 'conv'"),
        ("StaticSynapse", {"fan_out": 2}, "has no setting 'fan_out': it is of connectivity: sparse"),
        ("ConvSynapse", {"connectivity": "sparse"}, "has no setting 'connectivity': this type slides filters"),
        ("StaticSynapse", {"connectivity": "one_to_one", "fan_in": 3}, "has no setting 'fan_in': it is of conn"),
        ("StaticSynapse", {"connectivity": "sparse", "fan_out": 0}, "fan_out must be"),
    ],
    ids=str,
)
def test_a_connectivity_that_a_type_cannot_have_is_a_fault(type_name, settings, said):
    with pytest.raises(ConfigError) as caught:
        load("one.yaml", text=json.dumps(of_type(type_name, settings, 1)))
    lines = render(caught.value.faults)
    assert any(said in line for line in lines) and all(line.startswith("one.yaml:1:") for line in lines), lines


def test_weights_are_drawn_for_each_synapse_and_are_0_where_there_is_none():
    uniform = {"type": "uniform", "low": 1.0, "high": 2.0}
    part, state = start(config({"connectivity": "sparse", "p_conn": 0.2, "weight_init": uniform}))
    there = np.asarray(part.connectivity.present)
    assert (state["weights"][~there] == 0).all() and len(np.unique(state["weights"][there])) > 0.99 * there.sum()
    assert 1.0 <= state["weights"][there].min() and state["weights"].max() <= 2.0
    _, one = start(
        config({"connectivity": "sparse", "p_conn": 0.2, "weight_init": uniform, "weights_per": "projection"})
    )
    assert one["weights"].shape == () and 1.0 <= one["weights"] <= 2.0


def test_a_matrix_of_weights_is_taken_at_the_synapses(tmp_path):
    values = np.arange(1200.0).reshape(40, 30) + 1.0
    np.save(tmp_path / "w.npy", values)
    weights = {"type": "file", "path": str(tmp_path / "w.npy")}
    part, state = start(config({"connectivity": "sparse", "fan_out": 4, "weight_init": weights}))
    np.testing.assert_array_equal(state["weights"], values[np.arange(40)[:, None], part.connectivity.targets])


def test_one_to_one_is_the_diagonal(tmp_path):
    np.save(tmp_path / "w.npy", np.diag(np.linspace(0.2, 1.0, 30)))
    dense = {"connectivity": "dense", "weight_init": {"type": "file", "path": str(tmp_path / "w.npy")}}
    np.save(tmp_path / "d.npy", np.linspace(0.2, 1.0, 30))
    alone = {"connectivity": "one_to_one", "weight_init": {"type": "file", "path": str(tmp_path / "d.npy")}}
    (_, mine), (_, other) = end(config(alone, 30, 30)), end(config(dense, 30, 30))
    np.testing.assert_array_equal(mine["z.s"], other["z.s"])
    np.testing.assert_allclose(mine["z.v"], other["z.v"], atol=1e-3)
    assert mine["z.s"].sum() > 3


@pytest.mark.parametrize("loop_", ["l1", "l2"])
def test_columns_of_sparse_weights_are_normalised(loop_):
    given = config({"connectivity": "sparse", "p_conn": 0.3, "normalise": {"columns": loop_, "to": 2.5}})
    given["schedule"] = {"step": ["x", "W", "z", "W.normalise"]}
    state, _ = end(given)
    part, _ = start(given)
    columns = matrix(part.connectivity, state["W"]["weights"])
    norm = np.abs(columns).sum(0) if loop_ == "l1" else np.sqrt((columns**2).sum(0))
    np.testing.assert_allclose(norm[norm > 0], 2.5, rtol=1e-5)


def test_a_phase_overrides_numbers_of_a_sparse_synapse():
    """Another number in a phase is another leaf and no other structure."""
    given = config({"connectivity": "sparse", "fan_out": 4, "weight_init": 0.5})
    given["phases"] = [{"name": "a"}, {"name": "b", "set": {"W.resist_scale": 0.0}}]
    _, taken = end(given)
    spikes = taken["z.s"].reshape(2, 60, 30)
    assert spikes[0].sum() > 10 and spikes[1, 10:].sum() == 0


# ---------------------------------------------------------------------------------------------- settings that cannot be


@pytest.mark.parametrize(
    ("synapse", "said"),
    [
        ({}, "connectivity sparse needs one of fan_out, fan_in, p_conn below 1, synapses or edges"),
        ({"fan_out": 3, "fan_in": 3}, "fan_out and fan_in say two things of who is connected"),
        ({"fan_out": 3, "p_conn": 0.5}, "fan_out and p_conn say two things of who is connected"),
        ({"fan_out": 31}, "fan_out is 31, and there are 30 pairs for it without multapses"),
        ({"fan_in": 41}, "fan_in is 41, and there are 40 pairs for it without multapses"),
        ({"synapses": 1201}, "synapses is 1,201, and there are 1,200 pairs for it without multapses"),
        ({"fan_out": 3, "autapses": False}, "autapses: false is for a population that is wired to itself, not for 40"),
        ({"p_conn": 0.5, "multapses": True}, "multapses: true goes with fan_out, fan_in and synapses"),
        ({"fan_out": 3, "mask": 1.0}, "mask is for matrices"),
        ({"fan_out": 3, "weight_init": {"type": "fan_in_uniform"}}, "fan_in_uniform fills weights of two or more axes"),
        ({"fan_out": 3, "weights_per": "projection", "rule": "gerstner"}, "one weight for all synapses cannot learn"),
        ({"connectivity": "dense", "storage": "sparse"}, "storage: sparse saves nothing where p_conn is 1"),
        ({"connectivity": "one_to_one", "shape": 30, "storage": "sparse"}, "storage: sparse is for all-to-all weights"),
    ],
    ids=str,
)
def test_settings_that_cannot_be_are_said_at_their_place(synapse, said):
    given = config({"connectivity": "sparse", **synapse})
    if synapse.get("rule"):
        given["wires"] |= {"W.pre": "x.outputs", "W.post": "z.s"}
    if synapse.get("connectivity") == "one_to_one":
        given["components"]["x"]["n_units"] = 30
    spec = load("one.yaml", text=json.dumps(given))
    with pytest.raises(ConfigError) as caught:
        api.check(spec)
    lines = render([spec.locate(fault) for fault in caught.value.faults])
    assert len(lines) == 1 and said in lines[0] and lines[0].startswith("one.yaml:1:"), lines


@pytest.mark.parametrize("each", [True, False], ids=["weights a synapse", "one weight"])
@pytest.mark.parametrize("lanes", [0, 3])
def test_spikes_that_are_packed_already_send_what_their_values_would(each, lanes):
    rng = np.random.default_rng(7)
    spikes = (rng.random((max(1, lanes), 2, 70)) < 0.3).astype(np.float32)
    targets = rng.integers(0, 45, (70, 9)).astype(np.int32)
    w = rng.normal(size=(70, 9) if each else ()).astype(np.float32)

    def by_words(x):
        with already_packed([(x, packed(x != 0))]):
            return sent(x, w, targets, None, 45)

    expected = np.zeros((len(spikes), 2, 45))
    for at in np.argwhere(spikes):
        np.add.at(expected[tuple(at[:2])], targets[at[2]], w[at[2]] if each else w)
    found = jax.jit(jax.vmap(by_words))(spikes) if lanes else jax.jit(by_words)(spikes[0])[None]
    assert np.count_nonzero(expected) and np.allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("each", [True, False], ids=["weights a synapse", "one weight"])
@pytest.mark.parametrize("known", [True, False], ids=["spikes", "values"])
@pytest.mark.parametrize("factor", [1.0, 0.3])
@pytest.mark.parametrize("lanes", [0, 3])
def test_what_is_sent_onto_a_variable_is_added_to_it_and_numbers_do_not_depend_on_what_is_known(
    each, known, factor, lanes
):
    rng = np.random.default_rng(8)
    spikes = (rng.random((max(1, lanes), 2, 70)) < 0.3).astype(np.float32)
    x = spikes if known else spikes * rng.random(spikes.shape).astype(np.float32)
    y = rng.normal(size=(2, 45)).astype(np.float32)
    targets = rng.integers(0, 45, (70, 9)).astype(np.int32)
    lengths = rng.integers(0, 10, 70).astype(np.int32)
    w = rng.normal(size=(70, 9) if each else ()).astype(np.float32)

    def onto(x, factor, packs, zero):
        with already_packed([(x, packed(x != 0))] if packs else []):
            return sent_onto(y, factor, x, w, targets, lengths, zero)

    expected = np.broadcast_to(y, (len(x), 2, 45)).astype(np.float64)
    for lane, row, unit in np.argwhere(x):
        to = targets[unit, : lengths[unit]]
        np.add.at(expected[lane, row], to, factor * x[lane, row, unit] * (w[unit, : lengths[unit]] if each else w))
    assert np.abs(expected - y).max() > 0.1
    found = []
    no = np.zeros(max(1, lanes), np.int32)
    for packs in {False, known}:
        one = jax.jit(lambda x, zero, packs=packs: onto(x, factor, packs, zero))
        other = jax.jit(lambda x, zero, factor, packs=packs: onto(x, factor, packs, zero))
        factors = np.full(len(x), factor, np.float32)
        found += [np.stack([one(*each) for each in zip(x, no, strict=True)])]
        found += [np.stack([other(*each) for each in zip(x, no, factors, strict=True)])]
        if lanes:
            found += [jax.vmap(one)(x, no), jax.vmap(other)(x, no, factors)]
    assert np.allclose(found[0], expected, rtol=1e-5, atol=1e-5)
    for other in found[1:]:
        np.testing.assert_array_equal(found[0], other)
