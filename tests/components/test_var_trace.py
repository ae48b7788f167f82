"""The trace in every mode against its closed form for one or two spikes."""

from __future__ import annotations

from math import exp

import jax.numpy as jnp
import numpy as np
import pytest
from stepping import run

from synsim.components.var_trace import VarTrace

D, L = exp(-0.1), 0.9
SPIKES = np.array([1.0, 0.0, 1.0, 0.0, 0.0]).reshape(5, 1, 1)
EXPECTED = {
    "set": (dict(), [1, D, 1, D, D**2]),
    "set scaled": (dict(P_scale=0.5), [0.5, 0.5 * D, 0.5, 0.5 * D, 0.5 * D**2]),
    "add": (dict(a_delta=0.3), [0.3, 0.3 * D, 0.3 * (D**2 + 1), 0.3 * (D**3 + D), 0.3 * (D**4 + D**2)]),
    "linear": (dict(decay_type="lin"), [1, L, 1, L, L**2]),
    "step": (dict(decay_type="step"), [1, 0, 1, 0, 0]),
    "gain": (dict(gamma_tr=0.5), [1, 0.5 * D, 1, 0.5 * D, 0.25 * D**2]),
    "nearest 1": (dict(a_delta=1.0, n_nearest_spikes=1), [1, D, D**2 + 1 - D, None, None]),
    "nearest 2": (dict(a_delta=0.4, n_nearest_spikes=2), [0.4, 0.4 * D, 0.4 * D**2 + 0.4 - 0.2 * D, None, None]),
}


@pytest.mark.parametrize("mode", EXPECTED)
def test_modes(mode):
    settings, expected = EXPECTED[mode]
    found = run(VarTrace(n_units=1, tau_tr=10.0, **settings), {"inputs": SPIKES}, 5)
    values = found["trace"].ravel()
    for k, value in enumerate(expected):
        value = D * values[k - 1] if value is None else value
        assert values[k] == pytest.approx(value, rel=1e-6, abs=1e-9), k
    np.testing.assert_array_equal(found["outputs"], found["trace"])


def test_units_may_differ_in_kind():
    cell = VarTrace(n_units=2, tau_tr=jnp.asarray([10.0, 20.0]), a_delta=jnp.asarray([0.0, 0.3]))
    found = run(cell, {"inputs": np.repeat(SPIKES, 2, axis=2)}, 5, batch=1)["trace"]
    slow = exp(-0.05)
    np.testing.assert_allclose(found[:3, 0, 0], [1, D, 1], rtol=1e-6)
    np.testing.assert_allclose(found[:3, 0, 1], [0.3, 0.3 * slow, 0.3 * (slow**2 + 1)], rtol=1e-6)
