"""The constant source."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from stepping import run, starts

from synsim.components.constant_source import ConstantSource


def test_puts_out_its_value_from_the_start():
    source = ConstantSource(n_units=3, value=jnp.asarray([1.0, -2.0, 0.5]))
    np.testing.assert_array_equal(starts(source, 2)["outputs"], [[1.0, -2.0, 0.5]] * 2)
    np.testing.assert_array_equal(run(source, {}, 4, batch=2)["outputs"], np.tile([1.0, -2.0, 0.5], (4, 2, 1)))


def test_follows_a_value_that_a_phase_sets():
    found = run(ConstantSource(n_units=(2, 2, 1), value=7.0), {}, 2, start={"outputs": jnp.zeros((1, 2, 2, 1))})
    np.testing.assert_array_equal(found["outputs"], 7.0)
