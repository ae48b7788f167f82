"""The compiled programs of a phase: the engine's functions for its graph, each for the sizes it is called with."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import jax
import numpy as np

from synsim import engine
from synsim.engine import Carry
from synsim.graph import Graph
from synsim.one_function import in_pieces
from synsim.plan import PhasePlan
from synsim.record_buffers import RecordBuffers
from synsim.records import Take

BEING_KEPT_SECONDS = 60.0  # a file that was written to as lately may not be whole yet
BUFFERS = 6  # which argument of the programs of `steps` holds the arrays that they may write to
CONSTANT_ELEMENTS = 1 << 10  # a larger array in the graph is an argument of the program, not a constant in it


class Programs:
    """The compiled programs of one phase. Its numbers are constants in them, but for large arrays, the seed and who is
    connected with whom: another seed is no other program."""

    def __init__(self, phase: PhasePlan, compiled: dict[tuple, Any] | None = None):
        """`compiled` are programs of an equal phase that there are already, and takes in those that are made."""
        self.phase = phase
        self.compile_seconds = 0.0
        self.chunk_steps: int | None = None  # the length of a chunk that was measured, where it is known
        self.buffers = RecordBuffers()  # what records are written to
        self._room: dict[int, dict[str, Any]] = {}
        leaves, self._tree = jax.tree.flatten(phase.graph)
        # leaves that are arguments of the programs
        self._given_at = [i for i, leaf in enumerate(leaves) if np.size(leaf) > CONSTANT_ELEMENTS or _drawn(leaf)]
        self._leaves = leaves
        self._given = [jax.device_put(leaves[i]) for i in self._given_at]
        self._compiled = {} if compiled is None else compiled

    def graph(self, given: list[Any]) -> Graph:
        """The graph with its large arrays as the program's arguments."""
        leaves = list(self._leaves)
        for i, leaf in zip(self._given_at, given, strict=True):
            leaves[i] = leaf
        return jax.tree.unflatten(self._tree, leaves)

    def call(self, what: Callable[..., Any], static: tuple, *args: Any) -> Any:
        """Runs an engine function, compiling it where this is the first time for these sizes."""
        key = (what, static)
        if key not in self._compiled:
            began = time.perf_counter()
            self._compiled[key] = self._made(what, static, args)
            self.compile_seconds += time.perf_counter() - began
        return self._compiled[key](self._given, *args)

    def _made(self, what: Callable[..., Any], static: tuple, args: tuple) -> Callable[..., Any]:
        """The program, compiled for these arguments."""
        try:
            return self._compiled_of(self._program(what, static, args).lower(self._given, *args))
        except jax.errors.JaxRuntimeError:
            with in_pieces():  # what XLA cannot compile as one function is run operation by operation
                return self._compiled_of(self._program(what, static, args).lower(self._given, *args))

    def _compiled_of(self, lowered: Any) -> Callable[..., Any]:
        return _compile(lowered)

    def _program(self, what: Callable[..., Any], static: tuple, args: tuple) -> Any:
        """The function that is compiled for these arguments."""
        del args
        given_away = BUFFERS if what is steps_of(self.phase.takes) else ()
        return jax.jit(
            lambda given, *rest: what(self.graph(given), *rest, *static), keep_unused=True, donate_argnums=given_away
        )

    def trials(self, carry: Carry, data: Any, g0: int, n: int) -> Any:
        """`n` whole trials."""
        return self.call(trials_of(self.phase.takes), (n,), carry, data, np.uint32(g0))

    def begin(self, carry: Carry, data: Any, g: int) -> Any:
        """The calls at a trial's start."""
        return self.call(engine.begin_trial, (), carry, data, np.uint32(g))

    def steps(
        self, carry: Carry, data: Any, g0: int, k0: int, length: int, most: int | None = None, careful: bool = False
    ) -> Any:
        """`length` steps of one trial, by a program that can do up to `most`."""
        most = length if most is None else most
        counted = (np.uint32(g0), np.int32(k0), np.int32(length))
        return self.call(steps_of(self.phase.takes), (most, careful), carry, data, *counted, self._buffers(carry, most))

    def _buffers(self, carry: Carry, most: int) -> dict[str, Any] | None:
        """Arrays for the records of so many steps; None where the program makes its own."""
        if most not in self._room:
            self._room[most] = engine.room(self.phase.takes, self.phase.graph.steps, carry, most)
        return self.buffers.given(self._room[most])

    def end(self, carry: Carry, data: Any, g: int) -> Any:
        """The calls at a trial's end."""
        return self.call(end_of(self.phase.takes), (), carry, data, np.uint32(g))


def _drawn(leaf: Any) -> bool:
    """Whether a leaf is the seed, or a structure that is drawn from it; all other numbers are floats."""
    return np.asarray(leaf).dtype.kind in "iu"


def _compile(lowered: Any) -> Any:
    """The program. What a process was killed while keeping, jax neither uses nor mends, nor says which it is.

    So all that is kept is dropped, but for what another process may be keeping at this moment.
    """
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        program = lowered.compile()
    for each in said:
        folder = getattr(jax.config, "jax_compilation_cache_dir", None)
        if folder and "Error reading persistent compilation cache" in str(each.message):
            for path in Path(folder).glob("*-cache"):
                with suppress(OSError):
                    if time.time() - path.stat().st_mtime > BEING_KEPT_SECONDS:
                        path.unlink()
        else:
            warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)
    return program


# one function object for one set of records, so that equal programs are compiled once


@cache
def trials_of(takes: tuple[Take, ...]) -> Callable[..., Any]:
    """`engine.trials` with these records."""

    def trials(graph: Graph, *rest: Any) -> Any:
        return engine.trials(graph, takes, *rest)

    return trials


@cache
def steps_of(takes: tuple[Take, ...]) -> Callable[..., Any]:
    """`engine.steps` with these records."""

    def steps(
        graph: Graph, carry: Carry, data: Any, g0: Any, k0: Any, length: Any, buffers: Any, most: int, careful: bool
    ) -> Any:
        return engine.steps(graph, takes, carry, data, g0, k0, length, careful, buffers=buffers, most=most)

    return steps


@cache
def end_of(takes: tuple[Take, ...]) -> Callable[..., Any]:
    """`engine.end_trial` with these records."""

    def end_trial(graph: Graph, *rest: Any) -> Any:
        return engine.end_trial(graph, takes, *rest)

    return end_trial
