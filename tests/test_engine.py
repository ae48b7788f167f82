"""The engine: keys as the design says, time and order of calls, reset, and what `check` refuses."""

from __future__ import annotations

import zlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import choose
from test_loop import Memory

from synsim import engine, loop, one_function
from synsim.config import load
from synsim.device import computing
from synsim.faults import ConfigError
from synsim.graph import Call
from synsim.plan import plan


def planned(text):
    spec = load("-", text=text)
    with computing(spec):
        return plan(spec)


def expected_key(seed, component, method, g, occurrence=0):
    key = jax.random.key(seed)
    for word in (component, method):
        key = jax.random.fold_in(key, zlib.crc32(word.encode()))
    if occurrence:
        key = jax.random.fold_in(key, occurrence)
    return jax.random.fold_in(key, g)


POISSON = """
seed: 41
run: {dt: 2.0, steps: 6, trials: 3}
components:
  x: {type: PoissonCell, n_units: 50, target_freq: 100}
wires: {x.inputs: 1.0}
record: {x.outputs: {}}
"""


def records(it, **settings):
    sink = Memory()
    with computing(it.spec):
        loop.simulate(it, sink, **settings)
    return sink


def test_the_key_of_a_call_is_seed_component_method_and_global_step():
    sink = records(planned(POISSON))
    spikes = sink.all("x.outputs")["data"]
    for g in range(18):
        drawn = jax.random.uniform(expected_key(41, "x", "advance", g), (1, 50))
        np.testing.assert_array_equal(spikes[g], np.asarray(drawn < 2.0 / 1000.0 * 100)[0])
    assert spikes.sum() > 10


def test_a_method_called_twice_under_one_step_has_two_keys():
    text = POISSON + "schedule: {start: [reset, x], step: [x, x], end: [x]}\n"
    it = planned(text)
    order = it.phases[0].graph.order
    assert [call.occurrence for call in (*order.start, *order.step, *order.end) if call.method == "advance"] == [
        0,
        1,
        2,
        3,
    ]
    graph = it.phases[0].graph
    key = engine.call_key(graph, Call("x", "advance", 2))
    assert jnp.array_equal(
        jax.random.key_data(jax.random.fold_in(key, 5)), jax.random.key_data(expected_key(41, "x", "advance", 5, 2))
    )
    sink = records(it)
    drawn = jax.random.uniform(expected_key(41, "x", "advance", 4, 2), (1, 50))
    np.testing.assert_array_equal(sink.all("x.outputs")["data"][4], np.asarray(drawn < 0.2)[0])


def test_start_runs_at_the_first_step_of_a_trial_and_end_at_its_last():
    """PoissonCell stamps its spikes with the trial time at which it was called."""
    base = POISSON.replace("target_freq: 100", "target_freq: 1e6").replace("x.outputs: {}", "x.tols: {every: trial}")
    at_end = records(planned(base + "schedule: {step: [], end: [x]}\n")).all("x.tols")
    np.testing.assert_array_equal(at_end["data"], 10.0)  # step 5 of 6, 2 ms each
    np.testing.assert_array_equal(at_end["time"], [10.0, 22.0, 34.0])
    at_start = records(planned(base + "schedule: {start: [reset, x], step: []}\n")).all("x.tols")
    np.testing.assert_array_equal(at_start["data"], 0.0)


def test_order_is_gauss_seidel_and_a_loop_is_one_step_late():
    text = """
run: {steps: 4}
components:
  a: {type: PulseSource, n_units: 1, amplitude: 1, start: 1, duration: 1}
  b: {type: RateCell, n_units: 1, tau_m: 0}
  c: {type: RateCell, n_units: 1, tau_m: 0}
wires: {b.j: a.outputs, c.j: b.z}
record: {b.z: {}, c.z: {}, c.j: {}}
"""
    ordered = records(planned(text))
    np.testing.assert_array_equal(ordered.all("c.z")["data"][:, 0], [0, 1, 0, 0])
    late = records(planned(text + "schedule: {step: [c, b, a]}\n"))
    np.testing.assert_array_equal(late.all("b.z")["data"][:, 0], [0, 0, 1, 0])
    np.testing.assert_array_equal(late.all("c.z")["data"][:, 0], [0, 0, 0, 1])
    np.testing.assert_array_equal(late.all("c.j")["data"][:, 0], [0, 0, 0, 1])  # what c read when it advanced


def test_time_is_exact_in_float32_late_in_a_long_trial():
    text = """
run: {dt: 0.1, steps: 3000000}
components:
  a: {type: PulseSource, n_units: 1, amplitude: 1, start: 299990.1, duration: 0.1}
wires: {}
record: {a.outputs: {window: [299980, 300000]}}
"""
    sink = records(planned(text))
    on = sink.all("a.outputs")["time"][sink.all("a.outputs")["data"][:, 0] > 0]
    assert len(on) == 1 and abs(on[0] - 299990.1) < 0.06


RATES = """
seed: 3
run: {{dt: 1.0, steps: {steps}, batch: 2}}
components:
  p: {{type: PoissonCell, n_units: 50, target_freq: 40}}
  b: {{type: BernoulliCell, n_units: 50}}
  z: {{type: LIFCell, n_units: 5, tau_m: 10, one_spike: true, thr: -64, v_reset: -65, refract_time: 0, theta_plus: 0}}
wires: {{p.inputs: 0.5, b.inputs: 0.3, z.j: 50.0}}
record:
  p.outputs: {{}}
  b.outputs: {{}}
  z.s: {{}}
"""


def test_stochastic_components_have_their_distributions_through_the_engine():
    """n >= 1e5 draws: means within four standard errors, independence over time, rows and units."""
    n = choose(quick=1000, ci=2000, full=20000)
    sink = records(planned(RATES.format(steps=n)))
    for path, p in (("p.outputs", 0.5 * 40 / 1000), ("b.outputs", 0.3)):
        drawn = sink.all(path)["data"]
        assert drawn.size >= 1e5
        error = np.sqrt(p * (1 - p) / drawn.size)
        assert abs(drawn.mean() - p) < 4 * error
        for lagged in (drawn[1:] * drawn[:-1], drawn[:, 0] * drawn[:, 1], drawn[..., 1:] * drawn[..., :-1]):
            assert abs(lagged.mean() - p * p) < 5 * np.sqrt(p * p / lagged.size)
    winners = sink.all("z.s")["data"]
    assert np.all(winners.sum(-1) == 1)  # all five cross at every step, one is kept
    share = winners.mean((0, 1))
    np.testing.assert_allclose(share, 0.2, atol=4 * np.sqrt(0.16 / winners.shape[0] / 2))


def test_components_of_one_kind_draw_apart():
    text = (
        POISSON.replace("components:", "components:\n  y: {type: PoissonCell, n_units: 50, target_freq: 100}")
        .replace("x.inputs: 1.0", "x.inputs: 1.0, y.inputs: 1.0")
        .replace("x.outputs: {}", "x.outputs: {}, y.outputs: {}")
    )
    sink = records(planned(text))
    assert not np.array_equal(sink.all("x.outputs")["data"], sink.all("y.outputs")["data"])


def test_check_names_the_method_that_breaks_a_shape(monkeypatch):
    from synsim.components.poisson_cell import PoissonCell

    it = planned(POISSON)
    monkeypatch.setattr(PoissonCell, "advance", lambda self, x, now: dict(outputs=x.outputs[:, :3]))
    with pytest.raises(ConfigError, match=r"x\.advance makes outputs float32 \[1, 3\], but it is float32 \[1, 50\]"):
        engine.check(it.phases[0].graph)
    monkeypatch.setattr(PoissonCell, "advance", lambda self, x, now: dict(spikes=x.outputs))
    with pytest.raises(ConfigError, match=r"x\.advance sets 'spikes', which is no state or outlet"):
        engine.check(it.phases[0].graph)
    monkeypatch.setattr(PoissonCell, "advance", lambda self, x, now: dict(outputs=x.nothing))
    with pytest.raises(ConfigError, match=r"x\.advance fails: x has no compartment 'nothing'; it has"):
        engine.check(it.phases[0].graph)


def test_reset_keeps_what_is_learned_and_returns_to_the_drawn_start():
    text = """
seed: 2
run: {steps: 30, trials: 3}
components:
  z: {type: LIFCell, n_units: 6, tau_m: 10, theta_plus: 1, refract_time: 0}
wires: {z.j: 40.0}
initial: {z.v: {type: uniform, low: -64, high: -55}}
record: {z.v: {}, z.thr_theta: {every: trial}}
"""
    sink = records(planned(text))
    first = sink.all("z.v")["data"].reshape(3, 30, 6)[:, 0]
    np.testing.assert_array_equal(first[0], first[1])
    assert np.ptp(first[0]) > 1
    theta = sink.all("z.thr_theta")["data"].reshape(3, 6)
    assert np.all(np.diff(theta, axis=0) > 0.5)


DRIVEN = """
run: {dt: 0.5, steps: 60}
components:
  n: {type: PoissonCell, n_units: 40, target_freq: 300}
  W: {type: ExponentialSynapse, shape: [40, 30], p_conn: 0.3, storage: sparse, weight_init: 1.0, tau_decay: 5,
      g_syn_bar: 1, syn_rest: null, current_form: published}
  R: {type: ExponentialSynapse, shape: [30, 30], p_conn: 0.4, storage: sparse, weight_init: {type: uniform, low: -2},
      tau_decay: 5, g_syn_bar: 0.7, syn_rest: null, current_form: published}
  z: {type: LIFCell, n_units: 30, tau_m: 20, v_reset: {type: uniform, low: -64, high: -58}}
wires: {n.inputs: 1.0, W.inputs: n.outputs, R.inputs: z.s, z.j: W.outputs + R.outputs}
"""


@pytest.mark.parametrize("chunk", [60, 7, 1])
@pytest.mark.parametrize("recorded", [False, True])
@pytest.mark.parametrize("batch", [1, 3])
def test_outlets_that_are_handed_on_from_the_last_step_of_a_chunk_alone_are_the_same(
    chunk, recorded, batch, monkeypatch
):
    text = DRIVEN.replace("{dt", f"{{batch: {batch}, dt") + "record: {W.outputs: {}, z.s: {as: events}}\n" * recorded
    found, real = [], engine._read
    monkeypatch.setattr(engine, "_read", lambda *given: found.append(real(*given)) or found[-1])
    ends = []
    for many in (1 << 30, 1):  # elements from which on it is done
        monkeypatch.setattr(engine, "MANY", many)
        monkeypatch.setattr(engine, "WRITTEN", many)
        it = planned(text)
        with computing(it.spec):
            ends.append(loop.simulate(it, Memory(), chunk=chunk).state)
        unread, walked, keys = found[-1]
        drawn = {call.component for call, key in keys.items() if key is not None}
        assert drawn == ({"n"} if many == 1 else {"n", "W", "R", "z"})
        assert walked == ({("z", "s")} if many == 1 else set())
        assert (unread >= {("n", "outputs"), ("z", "s")}) == (many == 1)
        assert (("W", "outputs") in unread) == (many == 1 and not recorded)
    assert min(np.ptp(np.asarray(ends[0][name]["outputs"])) for name in "WR") > 1
    assert np.asarray(ends[0]["z"]["tols"]).max() > 5
    for name, values in ends[0].items():
        for compartment, value in values.items():
            np.testing.assert_array_equal(np.asarray(value), np.asarray(ends[1][name][compartment]), compartment)


LEARNING = """
run: {dt: 1, steps: 60}
components:
  n: {type: PoissonCell, n_units: 40, target_freq: 150}
  W: {type: TraceSTDPSynapse, A_plus: 0.05, A_minus: 0.03, weight_init: {type: uniform, low: 0, high: 0.8}}
  z: {type: LIFCell, n_units: 30, tau_m: 20, resist_m: 10}
  before: {type: VarTrace, n_units: 40, tau_tr: 20}
  behind: {type: VarTrace, n_units: 30, tau_tr: 20}
wires:
  {n.inputs: 1.0, W.inputs: n.outputs, z.j: W.outputs, before.inputs: n.outputs, behind.inputs: z.s,
   W.preSpike: n.outputs, W.preTrace: before.trace, W.postSpike: z.s, W.postTrace: behind.trace}
"""


@pytest.mark.parametrize("chunk", [60, 7, 1])
def test_updates_that_nobody_reads_keep_no_loop_from_being_one_function(chunk, monkeypatch):
    """They are larger than what fits into one. The numbers are those of a network that records them."""
    tried, real = [], engine.fits

    def noted(jaxpr):
        if any(each.primitive.name in ("scan", "while") for each in jaxpr.eqns):
            tried.append(real(jaxpr))
        return real(jaxpr)

    monkeypatch.setattr(engine, "fits", noted)
    monkeypatch.setattr(one_function, "WHOLE", 256)  # elements: of a cell, but not of the weights
    ends = []
    for recorded in ("", "record: {W.dWeights: {}}\n"):
        tried.clear()
        it = planned(LEARNING + recorded)
        with computing(it.spec):
            ends.append(loop.simulate(it, Memory(), chunk=chunk).state)
        assert tried and all(fitted != bool(recorded) for fitted in tried)
    for name, values in ends[0].items():
        for compartment, value in values.items():
            np.testing.assert_array_equal(np.asarray(value), np.asarray(ends[1][name][compartment]), compartment)
    assert np.asarray(ends[0]["behind"]["trace"]).max() > 0.5


@pytest.mark.parametrize("chunk", [200, 100, 64, 37])
@pytest.mark.parametrize("batch", [1, 3])
def test_spikes_that_are_brought_to_their_record_block_by_block_are_the_same(chunk, batch, monkeypatch):
    text = DRIVEN.replace("{dt", f"{{batch: {batch}, dt").replace("steps: 60", "steps: 200")
    text += "record: {n.outputs: {as: events}, z.s: {as: events}}\n"
    added, real = [], engine.short_rows.add
    monkeypatch.setattr(engine.short_rows, "add", lambda *given: added.append(sorted(given[0])) or real(*given))
    found = []
    for many in (1 << 30, 1):  # elements from which on spikes are walked as bits
        monkeypatch.setattr(engine, "WRITTEN", many)
        it, sink = planned(text), Memory()
        with computing(it.spec):
            loop.simulate(it, sink, chunk=chunk)
        assert bool(added) == (many == 1)
        found.append({path: sink.all(path) for path in ("n.outputs", "z.s")})
    for path, one in found[0].items():
        for name, values in one.items():
            np.testing.assert_array_equal(values, found[1][path][name])
        assert len(one["timestamps"]) > 40 * batch
