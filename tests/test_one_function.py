"""Programs compiled into one function: the same numbers, whatever they hold, and nothing that XLA cannot compile."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from synsim import engine, one_function
from synsim.components.synapses.connectivity.sparse import SparseConnectivity
from synsim.config import load
from synsim.device import computing
from synsim.one_function import fits, in_one_function, in_pieces, made_once
from synsim.plan import plan
from synsim.programs import Programs
from synsim.structure import generator


def looped(step: Any, steps: int = 5) -> Any:
    return lambda v: lax.scan(lambda c, i: (step(c), c[..., 0]), v, jnp.arange(steps))


def hlo(what: Any, *args: Any) -> str:
    return jax.jit(what).lower(*args).compile().as_text()


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("n", [1, 33, 3000])
def test_the_numbers_are_the_same(n, precision):
    with jax.enable_x64(precision == "float64"):
        start = jnp.asarray(np.random.default_rng(0).normal(size=(2, n)), precision)
        step = looped(lambda v: jnp.where(v > 0, v * 0.5 - 1.0, jnp.tanh(v) + 0.25 * v[..., ::-1]))
        found, expected = jax.jit(in_one_function(step))(start), jax.jit(step)(start)
        for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
            assert one.dtype == precision
            np.testing.assert_allclose(one, other, rtol=1e-6 if precision == "float32" else 1e-14)


def test_it_is_one_function():
    """Else all is as slow as before, and no other test says so: the mark has to reach XLA, and XLA to heed it."""
    text = hlo(in_one_function(looped(lambda v: v * 0.5 + 1.0)), jnp.ones((1, 100)))
    entry = text[text.index("ENTRY") :]
    assert "call(" in entry and "while(" not in entry and "xla_cpu_small_call" in entry


def test_what_is_made_once_is_computed_once():
    """XLA computes it again for each result where that is not said; the numbers are the same."""

    def results(x: Any) -> Any:
        return jnp.where(x > 0.5, 1.0, x), x - 2.0, x * jnp.arange(x.size)

    v = jnp.asarray(np.random.default_rng(2).normal(size=3000), "float32")
    for whole in (lambda what: what, in_one_function):
        once = whole(lambda v: results(made_once(jnp.floor(v * 4.0))))
        again = whole(lambda v: results(jnp.floor(v * 4.0)))
        for one, other in zip(jax.jit(once)(v), jax.jit(again)(v), strict=True):
            np.testing.assert_array_equal(one, other)
        assert [hlo(what, v).count(" floor(") for what in (once, again)] == [1, 3]
    np.testing.assert_array_equal(jax.vmap(made_once)(v[:6].reshape(2, 3)), v[:6].reshape(2, 3))
    np.testing.assert_array_equal(jax.grad(lambda v: made_once(v * v).sum())(jnp.arange(3.0)), [0.0, 2.0, 4.0])


@pytest.mark.parametrize("rows", [1, 2])
def test_two_arrays_that_are_alike_are_changed_where_they_are(rows):
    """XLA copies an array in each turn of a loop where it can't see that the one it becomes takes its place."""
    change = in_one_function(lambda i, one, two: (one.at[0, i].set(1.0), two.at[rows - 1, i + 1].set(2.0)))
    given = jnp.zeros((2, rows, 5000))
    text = hlo(lambda given: lax.fori_loop(0, 90, lambda i, pair: change(i, *pair), tuple(given)), given)
    inner = [line for line in text.split("ENTRY")[0].splitlines() if f"f32[{rows},5000]" in line and " copy(" in line]
    assert not inner and "while(" in text, inner


def test_arguments_that_are_kept_are_copied_within_it():
    """Outside, XLA copies one after the other, in functions of their own that it may hand to other threads."""
    given = {
        "half": jnp.ones((1, 5000), "float16"),
        "single": jnp.arange(5000.0),
        "whole": jnp.arange(3000),
        "unsigned": jnp.arange(7, dtype="uint8"),
        "one": jnp.float32(2.5),
    }
    logical, key = jnp.arange(5) > 2, jax.random.key(1)

    def what(given: Any, others: Any, room: Any) -> Any:
        def turn(i: Any, state: Any) -> Any:
            given, others, room = state
            given = {name: value + jnp.ones((), value.dtype) for name, value in given.items()}
            return given, (~others[0], jax.random.fold_in(others[1], i)), room.at[i].set(given["single"][0])

        return lax.fori_loop(0, 9, turn, (given, others, room))

    def whole(given: Any, others: Any, room: Any, kept: int) -> Any:
        return in_one_function(what, kept=kept)(given, others, room)

    room = jnp.zeros(9)
    copies = {}
    for kept in (0, 2):
        found = jax.jit(whole, static_argnums=3)(given, (logical, key), room, kept)
        for name, value in found[0].items():
            np.testing.assert_array_equal(value, given[name] + jnp.asarray(9, value.dtype), name)
        np.testing.assert_array_equal(found[1][0], ~logical)
        np.testing.assert_array_equal(found[2], np.arange(1.0, 10.0))
        entry = hlo(lambda *given: whole(*given, kept), given, (logical, key), room).split("ENTRY")[1]  # noqa: B023
        copies[kept] = sum(" copy(" in line and "pred[5]" not in line for line in entry.splitlines())
    np.testing.assert_array_equal(given["single"], np.arange(5000.0))
    assert copies[0] > 4 and copies[2] <= 2, copies  # the key, and what is not kept, are copied by XLA


@pytest.mark.parametrize("size", [10, 3_000, 100_000])
def test_arrays_that_it_has_besides_are_arguments(size):
    """XLA ends the process where such a function holds a constant of more than 10 KB."""
    table = np.random.default_rng(1).normal(size=size).astype("float32")
    nested = jax.jit(lambda v, i: v + jnp.asarray(table)[i])

    def what(v: Any) -> Any:
        return lax.fori_loop(0, 7, lambda i, v: nested(v, i) + jnp.asarray(table)[2 * i], v)

    found = jax.jit(in_one_function(what))(jnp.zeros(()))
    np.testing.assert_allclose(found, table[:7].sum() + table[:14:2].sum() if size > 10 else found, rtol=1e-5)
    outer = jax.jit(lambda scale: in_one_function(lambda v: what(v) * scale)(jnp.zeros(())))  # and values of a tracer
    np.testing.assert_allclose(outer(2.0), 2.0 * found, rtol=1e-6)


FITTING = [
    lambda v: jnp.exp(v) + jnp.sqrt(jnp.abs(v)),
    lambda v: v + v[:, ::-1] + jnp.cumsum(v, axis=1),
    lambda v: jnp.where(v > v.mean(), v, 0.0),
    lambda v: v + jax.random.uniform(jax.random.fold_in(jax.random.key(0), 3), v.shape),
    lambda v: v + (v @ jnp.ones((v.shape[1], 4)))[:, :1],
    lambda v: v + (v.T @ v)[:1] if v.shape[0] == 1 else v,
    lambda v: lax.cond(v[0, 0] > 0, lambda v: v * 2, lambda v: v - 1, v),
    lambda v: v + jnp.argmax(v),
]
NOT_FITTING = [
    lambda v: jnp.sort(v),
    lambda v: v.at[:, jnp.array([1, 1])].add(1.0),
    lambda v: v + (jnp.ones((3, v.shape[1])) @ v.T).sum(),
    lambda v: v + jnp.tile(v, (1, 400)).sum(),
    lambda v: v + jnp.tile(v, (1, 4000)).max(keepdims=True)[:, :1],
    lambda v: jnp.fft.fft(v).real,
]


@pytest.mark.parametrize("step", FITTING)
def test_what_fits_is_compiled(step):
    v = jnp.asarray(np.random.default_rng(0).normal(size=(1, 40)), "float32")
    assert fits(jax.make_jaxpr(looped(step))(v).jaxpr)
    found, expected = jax.jit(in_one_function(looped(step), fits))(v), jax.jit(looped(step))(v)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), found, expected)
    assert "xla_cpu_small_call" in hlo(in_one_function(looped(step), fits), v)


@pytest.mark.parametrize("step", NOT_FITTING)
def test_what_does_not_fit_is_left_as_it_is(step):
    v = jnp.asarray(np.random.default_rng(0).normal(size=(1, 40)), "float32")
    assert not fits(jax.make_jaxpr(looped(step))(v).jaxpr)
    assert "xla_cpu_small_call" not in hlo(in_one_function(looped(step), fits), v)


def test_what_nobody_uses_need_not_fit():
    def step(v: Any) -> Any:
        jnp.sort(v)
        return v + 1.0

    assert fits(jax.make_jaxpr(looped(step))(jnp.ones((1, 40))).jaxpr)
    counted = jax.make_jaxpr(lambda v, n: lax.fori_loop(0, n, lambda i, v: step(v), v))(jnp.ones((1, 40)), 3)
    assert fits(counted.jaxpr)  # a loop whose turns are not known


@pytest.mark.parametrize("n", [20, 3000])  # side by side, and one after the other
@pytest.mark.parametrize("lanes", [1, 5])
def test_lanes_are_what_each_is_alone(lanes, n):
    random = np.random.default_rng(0)
    scale, start = random.normal(size=lanes).astype("float32"), random.normal(size=(lanes, 1, n)).astype("float32")
    table = jnp.asarray(random.normal(size=n), "float32")

    def run(scale: Any, start: Any) -> Any:
        return in_one_function(looped(lambda v: v * 0.5 + scale * table), fits)(start)

    found = jax.jit(jax.vmap(run))(scale, start)
    shared = jax.jit(jax.vmap(run, in_axes=(0, None)))(scale, start[0])
    for i in range(lanes):
        alone, other = jax.jit(run)(scale[i], start[i]), jax.jit(run)(scale[i], start[0])
        jax.tree.map(lambda a, b, i=i: np.testing.assert_allclose(a[i], b, rtol=1e-5, atol=1e-6), found, alone)
        jax.tree.map(lambda a, b, i=i: np.testing.assert_allclose(a[i], b, rtol=1e-5, atol=1e-6), shared, other)


def test_lanes_of_what_would_not_fit_side_by_side():
    """A row times a matrix becomes a product of matrices in lanes, for which XLA calls a library."""
    w = jnp.asarray(np.random.default_rng(0).normal(size=(4, 30, 30)) * 0.1, "float32")
    run = lambda w: in_one_function(looped(lambda v: v @ w + 1.0), fits)(jnp.ones((1, 30)))[0]  # noqa: E731
    found = jax.jit(jax.vmap(run))(w)
    for i in range(4):
        np.testing.assert_allclose(found[i], jax.jit(run)(w[i]), rtol=1e-5)


def test_a_hundred_thousand_units():
    """Loops over events are compiled into one function whatever the size, and nothing of it is divided."""
    wiring = SparseConnectivity(shape=(100_000, 120_000), fan_out=3)
    wiring = wiring.structured(wiring.draw(generator(0, "W", "synapses")), incoming=False)
    x = (np.random.default_rng(0).random((1, 100_000)) < 0.01).astype("float32")
    found = np.asarray(jax.jit(wiring.transmit)(jnp.ones((100_000, 3)), x))[0]
    np.testing.assert_array_equal(found, np.bincount(wiring.targets[x[0] > 0].ravel(), minlength=120_000))


# --------------------------------------------------------------------------------------------------------- programs

NETWORK = {
    "name": "one",
    "run": {"dt": 0.5, "steps": 40},
    "components": {
        "z": {"type": "LIFCell", "n_units": 60, "tau_m": 10.0, "resist_m": 3.0},
        "W": {"type": "Synapse", "connectivity": "sparse", "p_conn": 0.1, "weight_init": 0.5},
    },
    "wires": {"W.inputs": "z.s", "z.j": "W.outputs + 8"},
    "initial": {"z.v": {"type": "uniform", "low": -65.0, "high": -50.0}},
}


def programs(seed: int = 0) -> Programs:
    spec = load("-", text=json.dumps({**NETWORK, "seed": seed}))
    with computing(spec):
        return Programs(plan(spec).phases[0])


def started(it: Programs) -> engine.Carry:
    return jax.jit(lambda: engine.start_carry(it.phase.graph))()


def text(it: Programs) -> str:
    rest = (started(it), {}, np.uint32(0), np.int32(0))
    run = lambda given, *rest: engine.steps(it.graph(given), (), *rest, 40)  # noqa: E731
    return jax.jit(run).lower(it._given, *rest).as_text()


def test_another_seed_is_no_other_program():
    one, other = programs(1), programs(2)
    assert not np.array_equal(one.phase.graph.parts["W"].connectivity.targets,
                              other.phase.graph.parts["W"].connectivity.targets)  # fmt: skip
    assert text(one) == text(other)
    ends = [np.asarray(each.steps(started(each), {}, 0, 0, 40)[0].state["z"]["v"]) for each in (one, other)]
    assert not np.array_equal(*ends)


def test_in_pieces_the_numbers_are_the_same():
    whole = programs().steps(started(programs()), {}, 0, 0, 40)[0]
    with in_pieces():
        it = programs()
        assert "xla_cpu_small_call" in text(it)  # the loop over events still is
        pieces = it.steps(started(it), {}, 0, 0, 40)[0]
    for name in ("z", "W"):
        for compartment, value in whole.state[name].items():
            np.testing.assert_allclose(value, pieces.state[name][compartment], rtol=1e-5, atol=1e-5)


def test_a_program_that_xla_cannot_compile_so_is_run_in_pieces(monkeypatch):
    it = programs()
    graph = it.phase.graph
    bad = engine.run_calls

    def with_a_sum(graph: Any, calls: Any, keys: Any, state: Any, *rest: Any) -> Any:
        state, held = bad(graph, calls, keys, state, *rest)
        more = jnp.tile(state["z"]["v"], (1, 200)).sum() * 0.0  # for which XLA has a library
        return state | {"z": state["z"] | {"v": state["z"]["v"] + more}}, held

    monkeypatch.setattr(engine, "run_calls", with_a_sum)
    monkeypatch.setattr(engine, "fits", lambda jaxpr: True)
    end = it.steps(started(it), {}, 0, 0, 40)[0]
    assert np.isfinite(end.state["z"]["v"]).all() and graph is it.phase.graph


def test_it_is_plain_where_there_is_no_cpu(monkeypatch):
    monkeypatch.setattr(one_function, "on_cpu", lambda: False)
    what = looped(lambda v: v + 1.0)
    assert in_one_function(what) is what
    wiring = SparseConnectivity(shape=(30, 20), p_conn=0.2)
    wiring = wiring.structured(wiring.draw(generator(0, "W", "synapses")), incoming=True)
    w = wiring.kept(jnp.asarray(np.random.default_rng(0).normal(size=wiring.weight_shape), "float32"))
    x = np.random.default_rng(1).normal(size=(2, 30)).astype("float32")
    from synsim.components.synapses.connectivity import events

    here = jax.jit(wiring.transmit)(w, x)
    monkeypatch.setattr(events, "on_cpu", lambda: False)
    there = jax.jit(dataclasses.replace(wiring).transmit)(w, x)
    np.testing.assert_allclose(here, there, rtol=1e-4, atol=1e-5)


def test_what_it_is_given_and_does_not_use_does_no_harm():
    """XLA ends the process over an array that such a function is handed and does not read."""
    a, b = jnp.arange(5000.0), jnp.ones(7000)
    found = jax.jit(lambda a, b: in_one_function(lambda a, b: lax.fori_loop(0, 5, lambda _, x: 1.5 * x + 1, a))(a, b))(
        a, b
    )
    np.testing.assert_allclose(found, 1.5**5 * a + (1.5**5 - 1) / 0.5, rtol=1e-5)
    keys = jax.random.split(jax.random.key(3), 2)  # unused, and no numbers
    np.testing.assert_array_equal(jax.jit(in_one_function(lambda a, keys: a + 1))(a, keys), a + 1)
