"""The loop: no number depends on how a run is cut, recorded, extended or written; bad numbers and signals end it."""

from __future__ import annotations

import threading
import time

import jax
import numpy as np
import pytest

from synsim import loop
from synsim.config import load
from synsim.device import computing
from synsim.faults import RunError, Stopped
from synsim.layout import Events
from synsim.plan import plan
from synsim.saving import Saving

NOISY = """
name: noisy
seed: 11
run: {dt: 1.0, steps: 20, batch: 3}
data:
  image: {type: digits, part: images, rows: "0:24", scale: 0.0625}
components:
  x:  {type: PoissonCell, n_units: 64, target_freq: 200}
  W:  {type: TraceSTDPSynapse, A_plus: 1e-2, A_minus: 3e-3, weight_init: {type: uniform, low: 0, high: 0.3},
       resist_scale: 400, normalise: {columns: l1, to: 6.4}}
  z:  {type: LIFCell, n_units: 17, tau_m: 20, one_spike: true, refract_time: 2}
  H:  {type: HebbianSynapse, shape: [17, 5], eta: 1e-3, optim_type: adam, sign_value: -1, prior: l1l2, prior_lmbda: 0.1}
  r:  {type: RateCell, n_units: 5, tau_m: 5, act_fx: tanh}
  tx: {type: VarTrace, n_units: 64, tau_tr: 20}
  tz: {type: VarTrace, n_units: 17, tau_tr: 20, a_delta: 0.3}
wires:
  x.inputs: image
  W.inputs: x.outputs
  z.j: W.outputs - 0.3 * z.s
  tx.inputs: x.outputs
  tz.inputs: z.s
  H.inputs: tz.trace
  r.j: H.outputs
  H.pre: tz.trace
  H.post: r.zF
  W.preSpike: x.outputs
  W.preTrace: tx.trace
  W.postSpike: z.s
  W.postTrace: tz.trace
schedule: {end: [W.normalise]}
record:
  z.s: {as: events}
  z.v: {every: 3}
  W.weights: {every: trial}
  H.weights: {every: 7, reduce: norm}
  r.zF: {window: [5, 12]}
"""
EXTRA = """
  more: {type: PoissonCell, n_units: 9, target_freq: 500}
  echo: {type: LIFCell, n_units: 9, tau_m: 5}
"""


class Memory:
    """A sink that keeps everything."""

    def __init__(self, delay: float = 0.0):
        self.delay, self.blocks, self.spans, self.trials, self.states = delay, {}, [], [], {}
        self.points: dict[int, bytes] = {}

    def initial(self, states):
        self.states = states

    def segment(self, first, last, blocks, trials=None):
        time.sleep(self.delay)
        self.spans.append((first, last))
        self.trials += [trials] if trials is not None else []
        for path, block in blocks.items():
            self.blocks.setdefault(path, []).append(block)

    def checkpoint(self, step, data):
        self.points[step] = data

    def all(self, path):
        """Every column of a record, joined over the segments; spikes in the order of time, row and unit."""
        parts = self.blocks[path]
        columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in vars(parts[0])}
        if isinstance(parts[0], Events):
            order = np.lexsort((columns["node_ids"], columns["row"], columns["timestamps"]))
            columns = {name: column[order] for name, column in columns.items()}
        return columns


def simulate(text, sink=None, **settings):
    sink = sink or Memory()
    spec = load("-", text=text)
    with computing(spec):
        it = plan(spec)
        outcome = loop.simulate(it, sink, **settings)
        return sink, {name: {k: np.asarray(v) for k, v in part.items()} for name, part in outcome.state.items()}


@pytest.fixture(scope="module")
def unbroken():
    return simulate(NOISY)


def same(one, other, paths=None):
    """Bit for bit: the records that both have, and the state of the components that the first has."""
    (sink, state), (sink2, state2) = one, other
    for path in paths or sink.blocks:
        first, second = sink.all(path), sink2.all(path)
        for column in first:
            np.testing.assert_array_equal(first[column], second[column], err_msg=f"{path}.{column}")
    for name in state:
        for compartment, value in state[name].items():
            if compartment in state2[name]:
                np.testing.assert_array_equal(value, state2[name][compartment], err_msg=f"{name}.{compartment}")


def test_the_run_is_not_empty(unbroken):
    sink, state = unbroken
    assert len(sink.all("z.s")["timestamps"]) > 50
    assert sink.spans[0][0] == 0 and sink.spans[-1][1] == 160
    assert all(a[1] == b[0] for a, b in zip(sink.spans, sink.spans[1:], strict=False))
    assert sink.all("z.v")["data"].shape == (8 * 7, 3, 17)
    assert sink.all("r.zF")["data"].shape == (8 * 7, 3, 5)
    assert sink.all("H.weights")["data"].shape == (8 * 3,)
    assert sink.all("W.weights")["data"].shape == (8, 64, 17)
    start = sink.states["H"]["weights"][0]
    assert np.abs(state["H"]["weights"] - start).max() > 1e-3
    np.testing.assert_allclose(state["W"]["weights"].sum(0), 6.4, rtol=1e-5)


@pytest.mark.parametrize("chunk", [1, 7, 13, 20, 30, 47, 60, 100, 160])
def test_the_length_of_chunks_changes_no_bit(unbroken, chunk):
    same(unbroken, simulate(NOISY, chunk=chunk))


def test_recording_more_or_less_changes_no_bit(unbroken):
    less = NOISY.split("record:")[0]
    sink, state = simulate(less)
    assert not sink.blocks
    same((Memory(), unbroken[1]), (sink, state))
    more = NOISY + "".join(
        f"  {path}: {how}\n"
        for path, how in {
            "W.outputs": "{}",
            "W.dWeights": "{every: 5}",
            "H.dWeights": "{every: trial}",
            "x.outputs": "{}",
            "z.j": "{}",
            "z.surrogate": "{}",
            "z.thr_theta": "{}",
            "tz.trace": "{every: 4}",
            "r.j_mod": "{}",
            "H.outputs": "{}",
            "z.v_thr": "{}",
            "W.preTrace": "{}",
        }.items()
    )
    same(unbroken, simulate(more))


def test_another_component_changes_no_bit(unbroken):
    text = NOISY.replace("wires:\n", EXTRA.lstrip("\n") + "wires:\n  more.inputs: 0.5\n  echo.j: 40 * more.outputs\n")
    same(unbroken, simulate(text))
    moved = NOISY.replace("components:\n", "components:\n" + EXTRA.lstrip("\n")).replace(
        "wires:\n", "wires:\n  more.inputs: 0.5\n  echo.j: 40 * more.outputs\n"
    )
    same(unbroken, simulate(moved))


def test_a_slow_writer_changes_no_bit_and_overlaps_the_device(unbroken, monkeypatch):
    monkeypatch.setattr(Saving, "_patience", lambda self: 0.0)
    same(unbroken, simulate(NOISY, Memory(delay=0.02), chunk=20))


def test_the_device_computes_while_the_writer_writes(monkeypatch):
    """The next chunk is dispatched before the last one is written."""
    monkeypatch.setattr(Saving, "_patience", lambda self: 0.0)
    happened, lock = [], threading.Lock()

    class Slow(Memory):
        def segment(self, first, last, blocks, trials=None):
            with lock:
                happened.append(("write", first))
            time.sleep(0.05)
            super().segment(first, last, blocks, trials)
            with lock:
                happened.append(("written", first))

    dispatch = loop._Phase._dispatch

    def noted(self, piece, carry):
        with lock:
            happened.append(("dispatch", piece.trial * 20))
        return dispatch(self, piece, carry)

    monkeypatch.setattr(loop._Phase, "_dispatch", noted)
    simulate(NOISY, Slow(), chunk=20)
    for first in (20, 40, 60, 80):
        assert happened.index(("dispatch", first + 20)) < happened.index(("written", first))


def test_seeds_differ():
    (_, one), (_, other) = simulate(NOISY), simulate(NOISY.replace("seed: 11", "seed: 12"))
    assert np.abs(one["W"]["weights"] - other["W"]["weights"]).max() > 0.01


def test_float64_is_float64_and_close(unbroken):
    sink, state = simulate(NOISY.replace("batch: 3", "batch: 3, precision: float64"))
    assert state["W"]["weights"].dtype == np.float64
    assert sink.all("z.v")["data"].dtype == np.float64


BAD = """
run: {dt: 1.0, steps: 30, trials: 3}
components:
  a: {type: PulseSource, n_units: 4, amplitude: 1e30, start: 12, duration: 1}
  r: {type: RateCell, n_units: 4, tau_m: 1e-9}
  q: {type: RateCell, n_units: 4, tau_m: 10}
wires: {r.j: a.outputs, q.j: 1.0}
record:
  q.z: {}
"""


@pytest.mark.parametrize("chunk", [None, 1, 7, 30, 45])
def test_a_value_that_is_not_finite_ends_the_run_at_its_step(chunk):
    sink = Memory()
    with pytest.raises(
        RunError,
        match=r"step 12 of the run \(trial 0, step 12 of it, t = 12 ms, dt = 1 ms\).*"
        r"r\.z has 4 of 4 values that are not finite.*\[0, 0\]",
    ) as caught:
        simulate(BAD, sink, chunk=chunk)
    assert "lay within 0 and 0" in str(caught.value)
    kept = sink.all("q.z")
    np.testing.assert_array_equal(kept["time"], np.arange(12.0))
    assert np.all(np.diff(kept["data"][:, 0]) > 0)


def test_a_bad_weight_is_found_at_its_step():
    text = """
run: {dt: 1.0, steps: 10, trials: 4}
components:
  s: {type: PulseSource, n_units: 2, amplitude: 1e25, start: 6, duration: 1}
  H: {type: HebbianSynapse, shape: [2, 3], eta: 1e25, w_bound: 0, sign_value: -1}
  q: {type: RateCell, n_units: 3, tau_m: 10}
wires: {H.inputs: s.outputs, H.pre: s.outputs, H.post: q.z, q.j: 1.0}
record: {q.z: {}}
"""
    sink = Memory()
    with pytest.raises(RunError, match=r"step 6 of the run .*H\.weights has 6 of 6 values"):
        simulate(text, sink)
    np.testing.assert_array_equal(sink.all("q.z")["time"], np.arange(6.0))


def test_a_stop_ends_at_a_border_with_everything_saved():
    asked = []

    def stop():
        asked.append(1)
        return len(asked) >= 2

    sink = Memory()
    with pytest.raises(Stopped, match=r"stopped after step 40 of 160"):
        simulate(NOISY, sink, chunk=20, stop=stop)
    assert sink.spans[-1][1] == 40
    np.testing.assert_array_equal(np.unique(sink.all("z.v")["trial"]), [0, 1])


def test_four_values_of_a_leaf_compile_once():
    from synsim import engine
    from synsim.graph import override

    spec = load("-", text=NOISY)
    with computing(spec):
        it = plan(spec)
        phase = it.phases[0]
        traced = []

        @jax.jit
        def chunk(graph, carry, data):
            traced.append(1)
            return engine.trials(graph, phase.takes, carry, data, np.uint32(0), 2)

        ends = []
        for eta in (1e-3, 2e-3, 5e-3, 1e-2):
            graph = override(phase.graph, {"H.eta": eta})
            carry, _ = chunk(graph, engine.start_carry(graph), phase.chunk_data(0, 2))
            ends.append(np.asarray(carry.state["H"]["weights"]))
    assert len(traced) == 1
    assert len({end.tobytes() for end in ends}) == 4
