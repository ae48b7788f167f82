"""The pulse source: when it is on."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
from stepping import run

from synsim.components.pulse_source import PulseSource


def on(steps, dt=1.0, **settings):
    """The steps at which the pulse is on."""
    found = run(PulseSource(n_units=1, amplitude=2.5, **settings), {}, steps, dt=dt)["outputs"].ravel()
    assert set(found) <= {0.0, 2.5}
    return np.flatnonzero(found).tolist()


def test_start_and_stop():
    assert on(10) == list(range(10))
    assert on(10, start=3.0) == list(range(3, 10))
    assert on(10, start=3.0, stop=6.0) == [3, 4, 5]
    assert on(10, start=3.0, duration=3.0) == [3, 4, 5]
    assert on(10, start=6.0, stop=3.0) == []


def test_train_of_pulses():
    assert on(12, start=2.0, duration=2.0, period=5.0) == [2, 3, 7, 8]
    assert on(12, start=2.0, stop=4.0, period=5.0) == [2, 3, 7, 8]


@pytest.mark.parametrize("dt", [0.1, 0.01, 0.25])
def test_rounding_moves_no_edge(dt):
    steps = round(30.0 / dt)
    assert on(steps, dt, start=3.0, stop=21.0) == list(range(round(3 / dt), round(21 / dt)))
    pulses = on(steps, dt, start=3.0, duration=1.0, period=3.0)
    assert pulses == [k for k in range(round(3 / dt), steps) if (k - round(3 / dt)) % round(3 / dt) < round(1 / dt)]


def test_by_unit():
    source = PulseSource(n_units=2, amplitude=jnp.asarray([1.0, 2.0]), start=jnp.asarray([0.0, 2.0]), duration=1.0)
    np.testing.assert_array_equal(run(source, {}, 4)["outputs"][:, 0], [[1, 0], [0, 0], [0, 2], [0, 0]])


def test_settings_that_do_not_go_together():
    both = PulseSource(n_units=1, stop=3.0, duration=2.0)
    assert both.problems() == [("duration", "is written together with stop; keep one of them")]
    endless = PulseSource(n_units=1, period=2.0)
    assert endless.problems() == [("period", "needs a duration or a stop: how long each pulse lasts")]
    assert PulseSource(n_units=1, stop=3.0, period=5.0).problems() == []
    with pytest.raises(ValueError, match="keep one of them"):
        run(both, {}, 1)
