"""The latency encoder against its formulas in double precision, worked out apart."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
from stepping import run
from through_engine import recorded

from synsim.components.latency_cell import LatencyCell

X = np.array([[1.0, 0.5, 0.1, 0.02, 0.01, 0.0], [0.9, 0.03, 0.2, 0.3, 0.7, 0.05], [0.6, 0.6, 0.6, 0.4, 0.4, 0.011]])


def encoded(steps=100, dt=1.0, x=X, **settings):
    """The spike times that were set, and the steps of the spikes (-1: none)."""
    cell = LatencyCell(n_units=x.shape[1], **settings)
    found = run(cell, {"inputs": np.broadcast_to(x, (steps, *x.shape))}, steps, dt=dt, batch=len(x))
    spikes = found["outputs"]
    assert spikes.sum(0).max() <= 1  # one spike at the most
    return found, np.where(spikes.any(0), spikes.argmax(0), -1)


def logarithmic(x, tau, thr=0.01, first=0.0):
    x = np.maximum(x, thr + 1e-7)
    return first + tau * np.log(x / (x - thr))


def test_logarithmic_times():
    """In the reference all inputs get the same time, for its arguments come one place early (fault 17)."""
    found, step = encoded(tau=5.0, first_spike_time=2.0)
    times = logarithmic(X, 5.0, first=2.0)
    np.testing.assert_allclose(found["targ_sp_times"][-1], times, rtol=1e-3)
    np.testing.assert_array_equal(step, np.round(found["targ_sp_times"][-1]))
    assert len(np.unique(step)) > 4


def test_logarithmic_times_normalised_row_by_row():
    """The reference scales by the latest spike of all rows, so that a row depends on its neighbours."""
    found, step = encoded(tau=5.0, normalize=True, num_steps=41, first_spike_time=4.0)
    late = logarithmic(X, 5.0)
    times = 4.0 + late * (36.0 / late.max(1, keepdims=True))
    np.testing.assert_allclose(found["targ_sp_times"][-1], times, rtol=1e-3)
    np.testing.assert_array_equal(step.max(1), 40)
    alone = np.concatenate(
        [encoded(x=X[i : i + 1], tau=5.0, normalize=True, num_steps=41, first_spike_time=4.0)[1] for i in range(3)]
    )
    np.testing.assert_array_equal(step, alone)


@pytest.mark.parametrize(("settings", "tau"), [(dict(tau=20.0), 20.0), (dict(normalize=True, num_steps=31), 28.0)])
def test_linear_times(settings, tau):
    found, step = encoded(linearize=True, threshold=0.1, first_spike_time=2.0, **settings)
    times = 2.0 + np.minimum(tau * (1 - X), tau * 0.9)
    np.testing.assert_allclose(found["targ_sp_times"][-1], times, rtol=1e-5)
    np.testing.assert_array_equal(step, np.round(found["targ_sp_times"][-1]))
    np.testing.assert_array_equal(found["tols"][-1], step)


def test_weak_inputs_may_stay_silent():
    found, step = encoded(linearize=True, tau=20.0, threshold=0.1, clip_spikes=True)
    np.testing.assert_array_equal(step < 0, X < 0.1)
    np.testing.assert_array_equal(found["clip_mask"][-1], X < 0.1)
    np.testing.assert_array_equal(found["tols"][-1][X < 0.1], 18.0)  # the time at which they would have spiked


@pytest.mark.parametrize(
    ("dt", "timing"), [(0.5, "reference"), (0.5, "published"), (0.1, "published"), (2.0, "reference")]
)
def test_times_are_whole_ms_or_whole_steps(dt, timing):
    found, step = encoded(steps=round(60 / dt), dt=dt, linearize=True, tau=20.0, timing=timing)
    times = found["targ_sp_times"][-1]
    whole = np.round(times) if timing == "reference" else np.round(times / dt) * dt
    np.testing.assert_array_equal(step, np.ceil(np.round(whole / dt, 3)))


def test_published_num_steps_are_steps():
    _, step = encoded(steps=100, dt=0.1, normalize=True, num_steps=81, timing="published")
    np.testing.assert_array_equal(step.max(1), 80)


def test_inputs_count_when_the_trial_starts_unless_they_are_taken_anew():
    changing = np.concatenate([np.full((1, 1, 2), 0.5), np.full((29, 1, 2), 1.0)])
    cell = LatencyCell(n_units=2, linearize=True, tau=20.0)
    assert run(cell, {"inputs": changing}, 30)["outputs"][:, 0, 0].argmax() == 10
    anew = run(cell, {"inputs": changing}, 30, methods=("calc_spike_times", "advance"))
    assert anew["outputs"][:, 0, 0].argmax() == 1


def test_every_trial_encodes_again_and_by_unit():
    found = recorded(
        "LatencyCell",
        ["outputs", "tols"],
        steps=30,
        trials=3,
        batch=2,
        n_units=2,
        linearize=True,
        tau=[20.0, 40.0],
        wires={"inputs": 0.5},
    )["outputs"]
    np.testing.assert_array_equal(found.argmax(1), np.broadcast_to([10, 20], (3, 2, 2)))
    np.testing.assert_array_equal(found.sum(1), 1)


def test_a_threshold_of_any_size_stays_finite():
    found, _ = encoded(x=np.array([[0.0, 4.0, 400.0, 5.0]]), threshold=jnp.asarray([0.0, 4.0, 400.0, 4.0]), tau=1.0)
    times = found["targ_sp_times"][-1].ravel()
    assert np.isfinite(times).all() and times[0] == 0.0
    np.testing.assert_allclose(times[3], np.log(5.0), rtol=1e-5)


def test_rounding_in_the_time_makes_no_spike_late():
    """100 steps of .53 ms are 52.999996 in single precision."""
    _, step = encoded(steps=150, dt=0.53, x=np.array([[0.47]]), linearize=True, tau=100.0)
    assert step.item() == 100
