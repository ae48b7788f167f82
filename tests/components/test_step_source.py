"""The staircase."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
from stepping import run

from synsim.components.step_source import StepSource


def test_a_value_from_each_time_on():
    source = StepSource(n_units=1, times=(2.0, 3.0, 6.0), values=(1.0, -0.5, 0.0))
    np.testing.assert_array_equal(run(source, {}, 8)["outputs"].ravel(), [0, 0, 1, -0.5, -0.5, -0.5, 0, 0])


def test_the_default_is_on_from_the_start():
    np.testing.assert_array_equal(run(StepSource(n_units=2, amplitude=3.0), {}, 4, batch=3)["outputs"], 3.0)


@pytest.mark.parametrize("dt", [0.1, 0.01, 0.25])
def test_rounding_moves_no_edge(dt):
    source = StepSource(n_units=1, times=(3.0, 21.0), values=(1.0, 2.0))
    found = run(source, {}, round(30 / dt), dt=dt)["outputs"].ravel()
    edges = np.flatnonzero(np.diff(found)) + 1
    assert edges.tolist() == [round(3 / dt), round(21 / dt)]


def test_by_unit():
    source = StepSource(n_units=(2, 1), times=(1.0,), values=(2.0,), amplitude=jnp.asarray([[1.0], [-3.0]]))
    found = run(source, {}, 2, batch=2)["outputs"]
    np.testing.assert_array_equal(found[..., 0], [[[0, 0]] * 2, [[2, -6]] * 2])


def test_settings_that_do_not_go_together():
    assert StepSource(n_units=1).problems() == []
    short = StepSource(n_units=1, times=(1.0, 2.0), values=(3.0,))
    assert short.problems() == [("values", "has 1 values for 2 times; it needs one for each")]
    back = StepSource(n_units=1, times=(2.0, 2.0), values=(3.0, 4.0))
    assert back.problems() == [("times", "must ascend, not [2.0, 2.0]")]
