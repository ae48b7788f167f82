"""Where the time of a run goes: simulation, compiling, writing, merging, and each component by itself.

A step is one program, in which XLA shares work between components: no part of it can be timed. So each component is
computed once more alone, with what it read in some steps that are computed anew: what it takes by itself. These need
not add up to what a step takes.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from synsim import engine
from synsim.component import count
from synsim.graph import Call, Graph
from synsim.loop import Outcome
from synsim.one_function import fits, in_one_function
from synsim.plan import PhasePlan, RunPlan
from synsim.saving import Sink

STEPS = 1000  # steps that components are timed over, at the most
BYTES = 128 << 20  # of what they read in these steps, at the most
REPEATS = 3  # of which the fastest counts


class Profile:
    """Seconds of a run by what they went to, and microseconds a step of each component by itself."""

    def __init__(self) -> None:
        self.steps = 0
        self.seconds: dict[str, float] = dict.fromkeys(("simulation", "compiling", "writing", "merging"), 0.0)
        self.components: dict[str, float] = {}
        self.whole = 0.0  # a step of the same steps, all components together

    def watched(self, sink: Sink) -> Sink:
        """The sink, timed. It writes beside the simulation."""
        return _Watched(sink, self)

    @contextmanager
    def timed(self, what: str) -> Iterator[None]:
        """Adds the time of a block."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[what] += time.perf_counter() - began

    def look(self, it: RunPlan, outcome: Outcome, steps: int) -> None:
        """Takes the figures of a finished run of so many steps, and times its components in its last phase."""
        self.steps = steps
        self.seconds["compiling"] += outcome.compile_seconds
        self.seconds["simulation"] += outcome.seconds - outcome.compile_seconds
        self.whole, self.components = by_component(it.phases[-1], outcome.state)

    def document(self) -> dict[str, Any]:
        """All of it as plain data."""
        return {
            "steps": self.steps,
            "seconds": self.seconds,
            "microseconds_a_step": {
                "simulation": 1e6 * self.seconds["simulation"] / max(self.steps, 1),
                "together": self.whole,
                "alone": self.components,
            },
        }

    def lines(self) -> list[str]:
        """All of it in words."""
        a_step = 1e6 / max(self.steps, 1)
        words = [f"where {self.steps:,} steps went"]
        for what, seconds in self.seconds.items():
            beside = "  beside the simulation" if what == "writing" else ""
            per = "" if what in ("compiling", "merging") else f"{seconds * a_step:.4g} µs/step"
            words.append(f"  {what:<12} {per:>16} {seconds:9.3f} s{beside}")
        words.append(f"a step without records, {self.whole:.4g} µs; each component by itself")
        width = max(map(len, self.components), default=0)
        for name, took in sorted(self.components.items(), key=lambda each: -each[1]):
            words.append(f"  {name:<{width}} {took:9.4g} µs/step")
        return words


class _Watched:
    def __init__(self, sink: Sink, profile: Profile):
        self._sink, self._profile = sink, profile

    def initial(self, states: Any) -> None:
        with self._profile.timed("writing"):
            self._sink.initial(states)

    def segment(self, first: int, last: int, blocks: Any, trials: Any) -> None:
        with self._profile.timed("writing"):
            self._sink.segment(first, last, blocks, trials)

    def checkpoint(self, step: int, data: Any) -> None:
        with self._profile.timed("writing"):
            self._sink.checkpoint(step, data)


def by_component(phase: PhasePlan, state: engine.State) -> tuple[float, dict[str, float]]:
    """Microseconds a step takes, and each component by itself, in some steps that start from this state."""
    graph = dataclasses.replace(phase.graph, watched=())
    calls = graph.order.step
    keys = {call: engine.call_key(graph, call) for call in calls}
    steps = min(STEPS, graph.steps, max(1, BYTES // max(1, _bytes_read(graph))))
    data = _trial_data(phase)
    first = jnp.int32(graph.steps - steps)
    state = {name: {each: jnp.asarray(value) for each, value in state[name].items()} for name in graph.names}
    zero = jnp.int32(0)

    def played(state: engine.State, data: Any, zero: Any, keep: bool) -> Any:
        def body(state: engine.State, k: Any) -> tuple[engine.State, dict[str, Any]]:
            moment = engine.Moment(k, k.astype(jnp.uint32), zero)
            frame, read = engine.frame(graph, data, k), {}
            for i, call in enumerate(calls):
                if keep:
                    wired = graph.fed(call.component)
                    fed = engine.fed(graph, call.component, state, frame, zero)
                    read |= {_entry(i, inlet): fed[inlet] for inlet in wired}
                state, _ = engine.apply(graph, call, keys[call], state, {}, frame, moment)
            return state, read

        return lax.scan(body, state, first + jnp.arange(steps, dtype=jnp.int32))

    def without_records(state: engine.State, data: Any, zero: Any) -> Any:
        return in_one_function(lambda *given: played(given[0], given[1], given[2], False)[0], fits)(state, data, zero)

    together = _fastest(without_records, state, data, zero)
    _, read = jax.jit(lambda state, data, zero: played(state, data, zero, True))(state, data, zero)

    def alone(name: str) -> float:
        mine = [(i, call) for i, call in enumerate(calls) if call.component == name]
        entries = [(i, inlet) for i, _ in mine for inlet in graph.fed(name)]
        own = {_entry(*entry): read[_entry(*entry)] for entry in entries}

        def body(states: tuple[engine.State, Any], row: Any) -> tuple[tuple[engine.State, Any], None]:
            (state, zero), (k, frame) = states, row
            moment = engine.Moment(k, k.astype(jnp.uint32), zero)
            for i, call in mine:
                state, _ = engine.apply(_fed_from(graph, i, call), call, keys[call], state, {}, frame, moment)
            return (state, zero), None

        def run(state: engine.State, own: Mapping[str, Any], zero: Any) -> Any:
            rows = first + jnp.arange(steps, dtype=jnp.int32), own
            return in_one_function(lambda *given: lax.scan(body, given[:2], given[2])[0], fits)(state, zero, rows)

        return _fastest(run, {name: state[name]}, own, zero)

    took = {name: alone(name) for name in dict.fromkeys(call.component for call in calls)}
    return 1e6 * together / steps, {name: 1e6 * seconds / steps for name, seconds in took.items()}


def _entry(i: int, inlet: str) -> str:
    """What the record of an inlet in the i-th call of a step is called."""
    return f"{i}.{inlet}"


def _fed_from(graph: Graph, i: int, call: Call) -> Graph:
    """The graph with what the i-th call reads in place of the wires of its component."""
    wires = tuple((name, inlet, ("data", _entry(i, inlet))) for name, inlet, _ in graph.wires if name == call.component)
    return dataclasses.replace(graph, wires=wires)


def _bytes_read(graph: Graph) -> int:
    """Bytes that all calls of a step read through wires."""
    size = sum(
        count(graph.shape(call.component, inlet)) for call in graph.order.step for inlet in graph.fed(call.component)
    )
    return size * np.dtype(graph.dtype).itemsize


def _trial_data(phase: PhasePlan) -> dict[str, Any]:
    """The data of the phase's last trial."""
    data = phase.chunk_data(phase.trials - 1, 1)
    return {
        name: jax.tree.map(lambda each: each[0], data[name]) if "row" in source.axes else data[name]
        for name, source in phase.graph.sources
    }


def _fastest(what: Callable[..., Any], *given: Any) -> float:
    """Seconds of the fastest of some runs of a compiled function."""
    compiled = jax.jit(what).lower(*given).compile()
    jax.block_until_ready(compiled(*given))
    took = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        jax.block_until_ready(compiled(*given))
        took.append(time.perf_counter() - began)
    return min(took)
