"""The spike-response form of the leaky integrate-and-fire cell against that cell and its closed forms."""

from __future__ import annotations

from math import exp, log

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from stepping import run

from synsim.components.lif_srm import LIFSRM


def test_one_pulse_decays_with_the_time_constant():
    j = np.zeros((30, 1, 1))
    j[4] = 20.0
    found = run(LIFSRM(n_units=1, tau_m=8.0), {"current_j": j}, 30, dt=0.5)["v"].ravel()
    since = 0.5 * np.arange(26)
    np.testing.assert_allclose(found[:4], -65.0, rtol=1e-6)
    np.testing.assert_allclose(found[4:], -65.0 + 20.0 * 0.5 / 8.0 * np.exp(-since / 8.0), rtol=1e-6)


@pytest.mark.parametrize("dt", [0.1, 0.02])
@pytest.mark.parametrize("drive", [16.0, 20.0, 30.0])
def test_rate_for_a_constant_current(drive, dt):
    """With the input forgotten at a spike it is the LIF cell: T = tau ln((R I - reset) / (R I - threshold))."""
    cell = LIFSRM(n_units=1, tau_m=10.0, thr=15.0, v_rest=0.0, v_reset=-3.0, spike_response="published")
    times = np.flatnonzero(run(cell, {"current_j": drive}, round(300 / dt), dt=dt)["s"]) * dt
    period = 10.0 * log((drive + 3.0) / (drive - 15.0))
    # the input counts as pulses at the ends of the steps, which makes the drive larger by the share dt / (2 tau)
    largest = drive * (1.0 + dt / 20.0 + dt**2 / 1200.0)
    soonest = 10.0 * log((largest + 3.0) / (largest - 15.0))
    assert len(times) >= 8
    assert soonest - 1e-3 <= np.diff(times).mean() < period + dt


@pytest.mark.parametrize("form", ["reference", "published"])
def test_against_the_sum_over_the_whole_history(form):
    """The kernels summed over every past input and spike in double precision, as the model is written down."""
    steps, batch, units, dt, tau = 120, 3, 5, 0.5, 9.0
    j = np.random.default_rng(9).uniform(-40.0, 70.0, (steps, batch, units))
    cell = LIFSRM(n_units=units, tau_m=tau, thr=-56.0, v_reset=-72.0, spike_response=form)
    spikes, last = np.zeros((steps, batch, units)), np.full((batch, units), -1)
    voltages = []
    for k in range(steps):
        u = np.full((batch, units), -65.0)
        for past in range(k + 1):
            counts = past > last if form == "published" else True
            u += np.where(counts, dt / tau * j[past] * exp(-(k - past) * dt / tau), 0.0)
        u += np.where(last >= 0, (-72.0 + 65.0) * np.exp(-(k - last) * dt / tau), 0.0)
        spikes[k] = u > -56.0
        last = np.where(spikes[k] > 0, k, last)
        voltages.append(np.where(spikes[k] > 0, -72.0, u))
    with jax.enable_x64(True):
        found = run(cell, {"current_j": j}, steps, dt=dt, batch=batch, dtype=jnp.float64)
    assert spikes.sum() >= 10
    np.testing.assert_array_equal(found["s"], spikes)
    np.testing.assert_allclose(found["v"], voltages, rtol=1e-11)


def test_the_published_prediction_comes_true():
    cell = LIFSRM(n_units=3, tau_m=10.0, thr=15.0, v_rest=0.0, v_reset=-5.0, spike_response="published")
    steps, dt = 3000, 0.01
    current = np.array([[[14.0, 18.0, 30.0]]] * steps)
    found = run(cell, {"current_j": current}, steps, dt=dt, methods=("advance", "predict_next_spike"))
    assert (found["next_spike_t"][:, 0, 0] == -1.0).all() and not found["s"][:, 0, 0].any()
    for unit in (1, 2):
        times = np.flatnonzero(found["s"][:, 0, unit]) * dt
        assert len(times) >= 1
        before = found["next_spike_t"][: round(times[0] / dt), 0, unit]
        np.testing.assert_allclose(before, times[0], atol=3 * dt)


def test_the_reference_predicts_the_fall_to_the_threshold():
    """From .8 mV above a threshold of 2 mV the trace falls to it within tau ln(2.8 / 2)."""
    cell = LIFSRM(n_units=2, tau_m=10.0, thr=2.0, v_rest=0.0, v_reset=0.0)
    found = run(cell, {"current_j": [[[28.0, 10.0]]]}, 1, methods=("advance", "predict_next_spike"))
    np.testing.assert_array_equal(found["s"][0, 0], [1.0, 0.0])
    np.testing.assert_allclose(found["next_spike_t"][0, 0], [10.0 * log(1.4), -1.0], rtol=1e-5)
