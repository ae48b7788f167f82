"""Delays of a projection, of axons and of synapses, against sums over all that was ever sent."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pytest
from conftest import choose
from stored import same_but_for_provenance
from test_loop import Memory, same, simulate
from test_resume import started

from synsim import api, testing
from synsim.checkpoint import decode
from synsim.components.synapses.delays import Delays, Jitter
from synsim.config import load
from synsim.device import computing
from synsim.faults import ConfigError

pytestmark = pytest.mark.usefixtures("small_programs")

PRE, POST, STEPS = 6, 4, 40


def config(tmp_path: Any, x: np.ndarray, dt: float, start: Any = None, **settings: Any) -> dict[str, Any]:
    """One synapse fed with x (trials, steps, *pre)."""
    np.save(tmp_path / "x.npy", x)
    inner = ["unit"] if x.ndim == 3 else ["y", "x", "channel"]
    made: dict[str, Any] = {
        "name": "late",
        "seed": 4,
        "run": {"dt": dt, "steps": x.shape[1], "precision": "float64"},
        "data": {"x": {"type": "file", "path": str(tmp_path / "x.npy"), "axes": ["row", "step", *inner]}},
        "components": {"W": {"type": "StaticSynapse", **settings}},
        "wires": {"W.inputs": "x"},
        "record": {"W.outputs": {}},
    }
    if start is not None:
        made["schedule"] = {"start": start}
    return made


def played(made: dict[str, Any], path: str = "W.outputs") -> tuple[np.ndarray, Any]:
    """What the record `path` holds, (trials, steps, *units), and the synapse."""
    from synsim import loop

    it = api.check(made)
    sink = Memory()
    with computing(it.spec):
        loop.simulate(it, sink)
    graph = it.phases[0].graph
    data = sink.all(path)["data"]
    return data.reshape(-1, graph.steps, *data.shape[1:]), graph.parts["W"]


def weights_of(made: dict[str, Any]) -> np.ndarray:
    """The weights of a synapse that learns nothing."""
    from synsim import engine

    it = api.check(made)
    with computing(it.spec):
        return np.asarray(engine.initial_state(it.phases[0].graph)["W"]["weights"])


def spikes(trials: int = 1, steps: int = STEPS, shape: tuple[int, ...] = (PRE,), seed: int = 3) -> np.ndarray:
    """Numbers with many zeros among them: what is sent need not be a spike."""
    random = np.random.default_rng(seed)
    return random.uniform(0.5, 2.0, (trials, steps, *shape)) * (random.uniform(size=(trials, steps, *shape)) < 0.2)


def late(x: np.ndarray, d: np.ndarray) -> np.ndarray:
    """x (steps, pre), each axon by its delay."""
    y = np.zeros_like(x)
    for i in range(x.shape[1]):
        y[d[i] :, i] = x[: len(x) - d[i], i]
    return y


def weights() -> np.ndarray:
    return np.random.default_rng(9).normal(size=(PRE, POST))


@pytest.fixture
def given(tmp_path):
    """Weights in a file, as the settings of a dense synapse."""
    np.save(tmp_path / "w.npy", weights())
    return {"shape": [PRE, POST], "weight_init": {"type": "file", "path": str(tmp_path / "w.npy")}}


@pytest.mark.parametrize(("delay", "steps"), [(0, 0), (0.5, 1), (1.5, 3), (7.5, 15), (100, 200)])
def test_a_projection_is_late_by_its_delay(given, tmp_path, delay, steps):
    x = spikes()
    found, synapse = played(config(tmp_path, x, 0.5, delay=delay, **given))
    assert synapse.delay.slots == steps + 1 and np.shape(synapse.delay.steps) == ()
    np.testing.assert_allclose(found[0], late(x[0], np.full(PRE, steps)) @ weights(), rtol=1e-12, atol=1e-12)
    if steps == 0:
        undelayed, _ = played(config(tmp_path, x, 0.5, **given))
        np.testing.assert_array_equal(found, undelayed)


def test_axons_are_late_by_delays_of_their_own(given, tmp_path):
    x = spikes()
    drawn = {"type": "uniform", "low": 0.0, "high": 6.0}
    found, synapse = played(config(tmp_path, x, 0.5, delay=drawn, **given))
    d = np.asarray(synapse.delay.steps).astype(int)
    assert d.shape == (PRE,) and len(set(d)) > 2 and d.min() >= 0 and d.max() <= 12 and synapse.delay.slots == 13
    np.testing.assert_allclose(found[0], late(x[0], d) @ weights(), rtol=1e-12, atol=1e-12)


def test_synapses_are_late_by_delays_of_their_own(given, tmp_path):
    x = spikes()
    drawn = {"type": "uniform", "low": 0.0, "high": 6.0}
    found, synapse = played(config(tmp_path, x, 0.5, delay=drawn, delay_per="synapse", **given))
    d = np.asarray(synapse.delay.steps).astype(int)
    assert d.shape == (PRE, POST) and set(d.ravel()) <= set(range(13)) and len(set(d.ravel())) > 5
    expected = np.zeros((STEPS + 13, POST))
    for k, i, j in np.ndindex(STEPS, PRE, POST):
        expected[k + d[i, j], j] += x[0, k, i] * weights()[i, j]
    np.testing.assert_allclose(found[0], expected[:STEPS], rtol=1e-12, atol=1e-12)


def test_a_delay_in_a_file_is_one_for_each_synapse(given, tmp_path):
    ms = np.arange(PRE * POST).reshape(PRE, POST) % 7 * 0.5
    np.save(tmp_path / "d.npy", ms)
    delay = {"type": "file", "path": str(tmp_path / "d.npy")}
    _, synapse = played(config(tmp_path, spikes(), 0.5, delay=delay, delay_per="synapse", **given))
    np.testing.assert_array_equal(synapse.delay.steps, ms / 0.5)
    assert synapse.delay.slots == 7
    with pytest.raises(ConfigError, match="the values have the shape"):
        played(config(tmp_path, spikes(), 0.5, delay=delay, **given))


@pytest.mark.parametrize("weights_per", ["synapse", "projection"])
@pytest.mark.parametrize("drawn_by", [{"fan_out": 3}, {"fan_in": 4}, {"p_conn": 0.6}])
def test_sparse_synapses_are_late_by_delays_of_their_own(tmp_path, drawn_by, weights_per):
    """Also in a step in which all units are active, and for every row of a batch."""
    x = spikes(trials=2)
    x[:, 5] = 1.0
    drawn = {"type": "uniform", "low": 0.0, "high": 6.0}
    settings = dict(type="Synapse", connectivity="sparse", shape=[PRE, POST], weights_per=weights_per, **drawn_by)
    weight = 0.7 if weights_per == "projection" else {"type": "gaussian"}
    made = config(tmp_path, x, 0.5, delay=drawn, delay_per="synapse", weight_init=weight, **settings)
    made["run"]["batch"] = 2
    found, synapse = played(made)
    w = weights_of(made) if weights_per == "synapse" else np.zeros((PRE, 0))
    wiring = synapse.connectivity
    held = np.full(PRE, wiring.length) if wiring.lengths is None else np.asarray(wiring.lengths)
    d = np.asarray(synapse.delay.steps).astype(int)
    assert d.shape == (PRE, wiring.length) and len(set(d.ravel())) > 4
    expected = np.zeros((2, STEPS + 13, POST))
    for b, k, i in np.ndindex(2, STEPS, PRE):
        for at in range(held[i]):
            gain = 0.7 if weights_per == "projection" else w[i, at]
            expected[b, k + d[i, at], int(wiring.targets[i, at])] += x[b, k, i] * gain
    np.testing.assert_allclose(found[0], np.moveaxis(expected[:, :STEPS], 0, 1), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("per", ["projection", "axon"])
def test_images_wait_as_vectors_do(tmp_path, per):
    x = spikes(shape=(4, 3, 2))
    settings = dict(type="ConvSynapse", shape=[3, 3, 2, 2], filter_init=0.3, delay_per=per)
    drawn = {"type": "uniform", "low": 0.0, "high": 4.0}
    found, synapse = played(config(tmp_path, x, 1.0, delay=drawn, **settings))
    d = np.broadcast_to(np.asarray(synapse.delay.steps).astype(int), (4, 3, 2))
    moved = late(x[0].reshape(STEPS, -1), d.ravel())[None].reshape(x.shape)
    undelayed, _ = played(config(tmp_path, moved, 1.0, **settings))
    np.testing.assert_allclose(found, undelayed, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("per", ["axon", "synapse"])
def test_a_reset_empties_what_is_under_way_and_without_one_it_arrives(given, tmp_path, per):
    """Trials of 9 steps and delays of up to 12, so that what one trial sends is for the next but one."""
    x = spikes(trials=6, steps=9)
    drawn = {"type": "uniform", "low": 0.0, "high": 6.0}
    settings = dict(delay=drawn, delay_per=per, **given)
    fresh, synapse = played(config(tmp_path, x, 0.5, **settings))
    d = np.broadcast_to(np.asarray(synapse.delay.steps).astype(int).reshape(PRE, -1), (PRE, POST))
    on, _ = played(config(tmp_path, x, 0.5, start=[], **settings))

    def expected(sent: np.ndarray) -> np.ndarray:
        y = np.zeros((len(sent) + 13, POST))
        for k, i, j in np.ndindex(len(sent), PRE, POST):
            y[k + d[i, j], j] += sent[k, i] * weights()[i, j]
        return y[: len(sent)]

    np.testing.assert_allclose(fresh, [expected(each) for each in x], rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(on.reshape(-1, POST), expected(x.reshape(-1, PRE)), rtol=1e-12, atol=1e-12)
    assert np.abs(fresh - on).max() > 0.1


def test_the_reference_s_axonal_delays_are_1_to_their_most_and_none_is_more_frequent(tmp_path):
    """Fault 33: the reference's index d in 0 … Tk - 1 is a delay of Tk - d steps."""
    n, most = 6000, 5
    made = config(tmp_path, spikes(shape=(n,), steps=1), 0.1, shape=[n, 1], max_delay_steps=most)
    synapse = api.check(made).phases[0].graph.parts["W"]
    assert synapse.delay.slots == most + 1
    values, counts = np.unique(synapse.delay.steps, return_counts=True)
    np.testing.assert_array_equal(values, np.arange(1, most + 1))
    assert np.abs(counts - n / most).max() < 4 * np.sqrt(n / most)


def test_delays_hang_on_the_seed_and_on_nothing_else(given, tmp_path):
    drawn = {"type": "uniform", "low": 0.0, "high": 50.0}

    def delays_of(seed: int, **more: Any) -> np.ndarray:
        made = config(tmp_path, spikes(), 0.5, delay=drawn, **given, **more)
        made["seed"] = seed
        return np.asarray(api.check(made).phases[0].graph.parts["W"].delay.steps)

    np.testing.assert_array_equal(delays_of(4), delays_of(4, resist_scale=2.0))
    assert (delays_of(4) != delays_of(5)).any()


def test_longer_draws_become_the_longest_delay(given, tmp_path):
    drawn = {"type": "gaussian", "mean": 2.0, "std": 2.0}
    _, synapse = played(config(tmp_path, spikes(), 0.5, delay=drawn, delay_per="synapse", max_delay=3.0, **given))
    d = np.asarray(synapse.delay.steps)
    assert synapse.delay.slots == 7 and d.min() == 0 and d.max() == 6


@pytest.mark.parametrize(
    ("settings", "setting", "words"),
    [
        ({"delay": -0.5}, "delay", "delay goes down to -0.5 ms: nothing arrives before it is sent"),
        ({"delay": {"type": "uniform", "low": -1.0, "high": 2.0}}, "delay", "goes down to -1 ms"),
        ({"delay": {"type": "gaussian"}}, "delay", "no upper bound as gaussian: write max_delay"),
        ({"delay": 3.0, "max_delay": 2.0}, "max_delay", "max_delay is 2 ms, but delay goes up to 3 ms"),
        ({"max_delay": 2.0}, "max_delay", "max_delay bounds delay, which is not written"),
        ({"delay": 3.0, "max_delay_steps": 2}, "max_delay_steps", "draws delays of its own: write it or delay"),
    ],
)
def test_delays_that_cannot_be_are_faults(given, tmp_path, settings, setting, words):
    with pytest.raises(ConfigError) as caught:
        api.check(config(tmp_path, spikes(), 0.5, **given, **settings))
    assert [fault.path for fault in caught.value.faults] == [("components", "W", setting)]
    assert words in str(caught.value.faults[0]) and caught.value.exit_code == 2


def test_filters_have_no_delays_of_each_synapse(tmp_path):
    drawn = {"type": "uniform", "low": 0.0, "high": 4.0}
    settings = dict(type="ConvSynapse", shape=[3, 3, 2, 2], delay=drawn, delay_per="synapse")
    with pytest.raises(ConfigError, match="delay_per: synapse is for dense and sparse connectivity, not for conv"):
        api.check(config(tmp_path, spikes(shape=(4, 3, 2)), 1.0, **settings))


def test_a_delay_between_two_steps_is_remarked_on(given, tmp_path):
    from synsim.doubts import doubts

    said = [str(each) for each in doubts(api.check(config(tmp_path, spikes(), 0.1, delay=1.55, **given)))]
    assert any(
        "W.delay is 1.55 ms, which is no whole number of steps of 0.1 ms: it becomes 1.6 ms" in one for one in said
    )
    said = [str(each) for each in doubts(api.check(config(tmp_path, spikes(), 0.1, delay=1.5, **given)))]
    assert not any("W.delay" in one for one in said)


LATE = """
name: late
seed: 11
run: {dt: 0.5, steps: 30, trials: 4, batch: 2, partial: drop}
data:
  image: {type: digits, part: images, rows: "0:8", scale: 0.0625}
components:
  x:  {type: PoissonCell, n_units: 64, target_freq: 200}
  A:  {type: StaticSynapse, delay: {type: uniform, low: 0, high: 9}, resist_scale: 30}
  S:  {type: StaticSynapse, delay: {type: uniform, low: 0, high: 9}, delay_per: synapse, resist_scale: 30}
  R:  {type: Synapse, connectivity: sparse, fan_out: 5, delay: {type: uniform, high: 9}, delay_per: synapse,
       resist_scale: 90}
  P:  {type: StaticSynapse, delay: 2.5, p_release_mean: 0.6, short_term: {U: 0.4, tau_rec: 20, tau_fac: 10}}
  z:  {type: LIFCell, n_units: 17, tau_m: 20, refract_time: 2}
wires:
  x.inputs: image
  A.inputs: x.outputs
  S.inputs: x.outputs
  R.inputs: x.outputs
  P.inputs: x.outputs
  z.j: A.outputs + S.outputs + P.outputs + R.outputs
schedule: {start: []}
record:
  z.s: {as: events}
  S.outputs: {every: 3}
""".replace("trials: 4, ", "")


@pytest.fixture(scope="module")
def unbroken():
    return simulate(LATE)


@pytest.mark.parametrize("chunk", choose([1, 13], [1, 13, 47], [1, 7, 13, 30, 47, 120]))
def test_the_length_of_chunks_changes_no_bit(unbroken, chunk):
    assert len(unbroken[0].all("z.s")["timestamps"]) > 50
    same(unbroken, simulate(LATE, chunk=chunk))


def test_recording_changes_no_bit(unbroken):
    more = "".join(
        f"  {path}: {{}}\n"
        for path in (
            "A.in_flight",
            "S.in_flight",
            "R.in_flight",
            "P.delayed_inputs",
            "P.utilisation",
            "P.resources",
            "A.outputs",
            "z.v",
        )
    )
    same(unbroken, simulate(LATE + more))


@pytest.mark.parametrize("stops", choose([1], [1, 2], [1, 2, 5, 9]))
@pytest.mark.parametrize("chunk", choose([17], [17, 7]))
def test_what_is_under_way_arrives_after_a_resume(stops, chunk, monkeypatch, tmp_path):
    """A run that was stopped while spikes were under way in every kind of delay leaves the file of an unbroken one."""
    text = LATE + "  A.in_flight: {every: 5}\n  R.in_flight: {every: 5}\n  z.v: {}\n"
    spec = load("late.yaml", text=text)
    whole = started(spec, tmp_path / "whole", monkeypatch, chunk=chunk)
    assert started(spec, tmp_path / "cut", monkeypatch, stops, chunk=chunk) is None
    (kept,) = sorted((tmp_path / "cut" / "late" / "ckpt").glob("ck-*.npz"))[-1:]
    state = decode(kept.read_bytes()).state
    assert all(np.any(state[name]["in_flight"]) for name in "ASRP")
    assert started(spec, tmp_path / "cut", monkeypatch, resume=True, chunk=chunk) is not None
    same_but_for_provenance(whole / "late.h5", tmp_path / "cut" / "late" / "late.h5")


VARIANTS = {
    "projection": {"delay": 2.0},
    "axon": {"delay": {"type": "uniform", "low": 0.0, "high": 3.0}},
    "synapse": {"delay": {"type": "uniform", "low": 0.0, "high": 3.0}, "delay_per": "synapse"},
    "jitter": {"max_delay_steps": 3},
    "short_term": {"short_term": {"tau_fac": 100.0}, "delay": 1.0},
    "release": {"p_release_mean": 0.5, "delay": 1.0},
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_it_keeps_the_contract_of_components(variant, tmp_path):
    specimen = testing.Specimen("StaticSynapse", VARIANTS[variant], tmp_path)
    checks = [check for check in testing.CHECKS if check is not testing.check_card]
    for check in choose(checks[:-2], checks):
        check(specimen)
    for check in testing.SIZED_CHECKS:
        for batch, precision in choose([(3, "float32")], testing.SIZES):
            check(specimen, batch, precision)


def test_internal_declarations_cannot_be_written(given, tmp_path):
    for name in ("delays", "jitter"):
        with pytest.raises(ConfigError, match="initialiser"):
            api.check(config(tmp_path, spikes(), 0.5, delay={"type": name}, **given))
    assert not Delays.selectable and not Jitter.selectable


def test_a_drawn_delay_is_drawn_once():
    one = Delays(of=Jitter(most=4, dt=0.5), slots=5).drawn(jax.random.key(1), (7,), 0.5, "float32")
    again = one.drawn(jax.random.key(2), (7,), 0.5, "float32")
    np.testing.assert_array_equal(one.steps, again.steps)
