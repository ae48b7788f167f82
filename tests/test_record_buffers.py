"""Arrays that records were written to are written to again, and never while somebody reads them."""

from __future__ import annotations

import gc
import weakref

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from synsim import loop
from synsim.config import load
from synsim.device import computing
from synsim.plan import plan
from synsim.programs import Programs
from synsim.record_buffers import RecordBuffers

SHAPE = {"z.v": jax.ShapeDtypeStruct((64, 3, 5), jnp.float32)}
fill = jax.jit(lambda buffers, value: jax.tree.map(lambda b: b.at[1:9].set(value), buffers), donate_argnums=0)


@pytest.fixture
def buffers():
    with jax.default_device(jax.devices("cpu")[0]):
        yield RecordBuffers()


def place(array):
    return array.unsafe_buffer_pointer()


def test_memory_that_nobody_reads_is_written_to_again(buffers):
    taken = fill(buffers.given(SHAPE), 1.0)
    at = place(taken["z.v"])
    values = buffers.read(taken["z.v"])
    np.testing.assert_array_equal(values[1:9], np.ones((8, 3, 5), np.float32))
    del values, taken
    given = buffers.given(SHAPE)
    assert place(given["z.v"]) == at
    again = fill(given, 2.0)
    assert given["z.v"].is_deleted() and place(again["z.v"]) == at
    assert float(buffers.read(again["z.v"])[1:9].min()) == 2.0


def test_memory_that_is_read_is_left_alone(buffers):
    taken = fill(buffers.given(SHAPE), 1.0)
    at = place(taken["z.v"])
    some = buffers.read(taken["z.v"])[3:7, 0]  # what looks at a part keeps the whole
    del taken
    gc.collect()
    other = buffers.given(SHAPE)
    assert place(other["z.v"]) != at
    fill(other, 2.0)
    np.testing.assert_array_equal(some, np.ones((4, 5), np.float32))


def test_a_program_does_not_take_memory_that_is_still_read(buffers):
    taken = fill(buffers.given(SHAPE), 1.0)
    values = buffers.read(taken["z.v"])
    again = fill(taken, 2.0)  # JAX takes other memory instead
    np.testing.assert_array_equal(values[1:9], np.ones((8, 3, 5), np.float32))
    assert float(again["z.v"][1:9].min()) == 2.0


def test_arrays_of_other_shapes_are_not_mixed_up_and_can_be_forgotten(buffers):
    taken = fill(buffers.given(SHAPE), 1.0)
    first = weakref.ref(taken["z.v"])
    buffers.read(taken.pop("z.v"))
    less = {"z.v": jax.ShapeDtypeStruct((32, 3, 5), jnp.float32)}
    assert buffers.given(less)["z.v"].shape == (32, 3, 5)
    gc.collect()
    assert first() is not None
    buffers.forget()
    gc.collect()
    assert first() is None and buffers.given(SHAPE)["z.v"].shape == (64, 3, 5)


def test_arrays_that_are_never_asked_for_are_not_kept(buffers):
    """As those of whole trials, which a program makes itself."""
    other = jnp.arange(1.0, 7.0)
    left = weakref.ref(other)
    values = buffers.read(other)
    np.testing.assert_array_equal(values, np.arange(1.0, 7.0))
    del other, values
    gc.collect()
    assert left() is None


NET = """
name: net
seed: 5
run: {dt: 0.5, steps: 400}
components:
  x: {type: PoissonCell, n_units: 40, target_freq: 150}
  W: {type: StaticSynapse, shape: [40, 7], weight_init: {type: uniform, low: 0, high: 60}}
  z: {type: LIFCell, n_units: 7, tau_m: 20}
wires: {x.inputs: 1.0, W.inputs: x.outputs, z.j: W.outputs}
record: {z.v: {}, z.s: {as: events}, W.outputs: {every: 3}}
"""


class Kept:
    """A sink that keeps the very rows that it is handed, or copies of them."""

    def __init__(self, copied: bool):
        self.copied, self.rows = copied, {}

    def initial(self, states):
        pass

    def segment(self, first, last, blocks, trials=None):
        for path, block in blocks.items():
            rows = getattr(block, "data", None)
            rows = block.node_ids if rows is None else rows
            for each in getattr(rows, "arrays", None) or [rows]:
                self.rows.setdefault(path, []).append(np.array(each) if self.copied else each)

    def checkpoint(self, step, data):
        pass

    def all(self):
        return {path: np.concatenate(rows) for path, rows in self.rows.items()}


def simulated(sink: Kept, chunk: int | None) -> Programs:
    made: list[Programs] = []
    spec = load("-", text=NET)
    with computing(spec):
        loop.simulate(plan(spec), sink, chunk=chunk, programs_of=lambda phase: made.append(Programs(phase)) or made[0])
    return made[0]


@pytest.mark.parametrize("copied", [True, False])
def test_no_row_depends_on_who_keeps_what_he_was_handed(copied, monkeypatch):
    """With chunks of 16 steps and a save after each, all memory comes back many times, or none of it."""
    monkeypatch.setattr("synsim.saving.SAVE_BYTES", 0)
    whole, cut = Kept(True), Kept(copied)
    simulated(whole, None)
    simulated(cut, 16)
    assert len(cut.rows["z.v"]) == 25
    found, wanted = cut.all(), whole.all()
    assert set(found) == {"z.v", "z.s", "W.outputs"} and all(np.ptp(rows) > 0 for rows in wanted.values())
    for path, rows in wanted.items():
        np.testing.assert_array_equal(found[path], rows, err_msg=path)


def test_one_program_does_chunks_of_any_length(monkeypatch):
    sink = Kept(True)
    made = simulated(sink, 150)  # 150, 150 and 100 steps
    assert [what.__name__ for what, _ in made._compiled if what.__name__ == "steps"] == ["steps"]
    assert sum(map(len, sink.rows["z.v"])) == 400
