"""The ramp."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from stepping import run, starts

from synsim.components.ramp_source import RampSource


def test_a_straight_line_between_two_values():
    source = RampSource(n_units=1, start=2.0, stop=6.0, initial=1.0, final=-1.0)
    found = run(source, {}, 9)["outputs"].ravel()
    np.testing.assert_allclose(found, [1, 1, 1, 0.5, 0, -0.5, -1, -1, -1], atol=1e-7)
    np.testing.assert_array_equal(starts(source, 2)["outputs"], 1.0)


def test_the_value_belongs_to_the_time_and_not_to_the_step():
    found = run(RampSource(n_units=1, stop=10.0, final=5.0), {}, 200, dt=0.1)["outputs"].ravel()
    np.testing.assert_allclose(found, np.minimum(0.05 * np.arange(200), 5.0), atol=1e-5)


def test_by_unit_and_without_a_width():
    source = RampSource(n_units=2, start=jnp.asarray([0.0, 3.0]), stop=3.0, final=jnp.asarray([3.0, 7.0]))
    found = run(source, {}, 5, batch=3)["outputs"]
    np.testing.assert_allclose(found[:, 1, 0], [0, 1, 2, 3, 3], atol=1e-6)
    np.testing.assert_array_equal(found[:, 2, 1], [0, 0, 0, 7, 7])
