"""The spike-response form of the resonate-and-fire cell against SciPy's matrix exponential."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import expm
from stepping import run

from synsim.components.raf_srm import RAFSRM

RINGING = dict(tau_v=10.0, tau_w=14.0, omega=2.0, dampen_factor=-0.4)
CREEPING = dict(tau_v=2.0, tau_w=20.0, omega=0.3, dampen_factor=-1.0)
"""Time constants so far apart that the two equations do not oscillate."""


def matrix(tau_v, tau_w, omega, dampen_factor):
    return np.array([[dampen_factor / tau_v, omega / tau_v], [-omega / tau_w, dampen_factor / tau_w]])


@pytest.mark.parametrize("settings", [RINGING, CREEPING, dict(tau_v=5.0, tau_w=5.0, omega=0.0, dampen_factor=-1.0)])
def test_one_pulse_goes_by_the_matrix_exponential(settings):
    j = np.zeros((60, 1, 1))
    j[0] = 7.0
    cell = RAFSRM(n_units=1, thr=1e3, spike_response="published", **settings)
    with jax.enable_x64(True):
        found = run(cell, {"current_j": j}, 60, dt=0.7, dtype=jnp.float64)
    start = np.array([0.0, 7.0 * 0.7 / settings["tau_w"]])
    exact = np.array([expm(matrix(**settings) * 0.7 * k) @ start for k in range(60)])
    np.testing.assert_allclose(found["j_v"].ravel(), exact[:, 0], rtol=1e-9, atol=1e-13)
    np.testing.assert_allclose(found["j_w"].ravel(), exact[:, 1], rtol=1e-9, atol=1e-13)
    np.testing.assert_array_equal(found["v"], found["j_v"])


def test_the_reference_is_right_where_it_oscillates():
    j = np.random.default_rng(1).normal(0.0, 3.0, (60, 3, 4))
    one, other = (
        run(RAFSRM(n_units=4, thr=1e3, spike_response=form, **RINGING), {"current_j": j}, 60, batch=3)
        for form in ("reference", "published")
    )
    assert abs(one["j_v"]).max() > 0.5
    np.testing.assert_allclose(one["j_v"], other["j_v"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("settings", [RINGING, CREEPING])
def test_the_published_cell_is_the_one_that_a_spike_sets_to_its_reset(settings):
    """Against (v, w) propagated by SciPy, kicked by the input, and put to (v_reset, w_reset) at a spike."""
    steps, rows, units, dt = 150, 3, 4, 0.5
    j = np.random.default_rng(2).uniform(-12.0, 40.0, (steps, rows, units))
    cell = RAFSRM(n_units=units, thr=0.6, v_reset=-0.3, w_reset=0.2, spike_response="published", **settings)
    over = expm(matrix(**settings) * dt)
    v, w = np.zeros((rows, units)), np.zeros((rows, units))
    spikes, voltages = [], []
    for k in range(steps):
        v, w = over[0, 0] * v + over[0, 1] * w, over[1, 0] * v + over[1, 1] * w
        w = w + dt / settings["tau_w"] * j[k]
        fired = v > 0.6
        v, w = np.where(fired, -0.3, v), np.where(fired, 0.2, w)
        spikes.append(fired)
        voltages.append(v)
    with jax.enable_x64(True):
        found = run(cell, {"current_j": j}, steps, dt=dt, batch=rows, dtype=jnp.float64)
    assert np.sum(spikes) >= 10
    np.testing.assert_array_equal(found["s"], np.array(spikes, float))
    np.testing.assert_allclose(found["v"], voltages, rtol=1e-8, atol=1e-10)


def test_a_long_silence_after_a_spike_leaves_nothing():
    """Also where the kernels are cosh and sinh, which by themselves would leave the range of float32."""
    j = np.zeros((4000, 1, 1))
    j[:20] = 40.0
    found = run(
        RAFSRM(n_units=1, v_reset=-1.0, thr=0.5, spike_response="published", **CREEPING), {"current_j": j}, 4000
    )
    assert found["s"].sum() >= 1 and np.isfinite(found["v"]).all()
    assert abs(found["v"][-1]).item() < 1e-6


def test_the_predicted_crossing_is_one():
    """Without more input v is at the threshold at the time that was predicted, by SciPy's propagator."""
    settings = dict(tau_v=10.0, tau_w=12.0, omega=2.0, dampen_factor=-0.1)
    cell = RAFSRM(n_units=3, thr=0.8, spike_response="published", **settings)
    start = {"j_v": [[0.0, 0.1, 0.0]], "j_w": [[1.5, 2.0, 0.1]]}
    found = run(cell, {}, 1, start=start, methods=("predict_next_spike",))["next_spike_t"][0, 0]
    assert (found[:2] > 0.0).all() and found[2] == -1.0  # the last cannot reach it
    for unit in (0, 1):
        there = expm(matrix(**settings) * found[unit]) @ [start["j_v"][0][unit], start["j_w"][0][unit]]
        assert there[0] == pytest.approx(0.8, abs=1e-5)


def test_the_published_prediction_counts_what_is_left_of_the_reset():
    settings = dict(tau_v=10.0, tau_w=12.0, omega=2.0, dampen_factor=-0.1)
    start = {"j_v": [[0.0]], "j_w": [[1.5]], "t_last_spike": [[0.0]]}
    at = {}
    for form in ("reference", "published"):
        cell = RAFSRM(n_units=1, thr=0.8, v_reset=-0.5, spike_response=form, **settings)
        at[form] = run(cell, {}, 1, start=start, methods=("predict_next_spike",))["next_spike_t"].item()
    assert (expm(matrix(**settings) * at["reference"]) @ [0.0, 1.5])[0] == pytest.approx(0.8, abs=1e-5)
    assert (expm(matrix(**settings) * at["published"]) @ [-0.5, 1.5])[0] == pytest.approx(0.8, abs=1e-5)


def test_units_in_a_shape():
    j = np.random.default_rng(3).uniform(-9.0, 9.0, (50, 3, 2, 4))
    found = run(RAFSRM(n_units=(2, 4)), {"current_j": j}, 50, batch=3)
    flat = run(RAFSRM(n_units=8), {"current_j": j.reshape(50, 3, 8)}, 50, batch=3)
    assert found["s"].sum() > 5
    np.testing.assert_array_equal(found["v"].reshape(50, 3, 8), flat["v"])
