"""The phasor by its rate and its regularity, through the engine."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from scipy import stats
from stepping import run, starts
from through_engine import recorded

from synsim.components.phasor_cell import SCATTER, PhasorCell


@pytest.mark.parametrize(("intensity", "dt"), [(1.0, 1.0), (0.5, 1.0), (1.0, 0.5)])
def test_rate_and_regularity(intensity, dt):
    """1,000 cells of 100 Hz for 10 s: their turns are their base scales times the time, their scatter is a step's."""
    seconds, freq = 10.0, 100.0
    steps = round(1000 * seconds / dt)
    found = recorded(
        "PhasorCell",
        ["outputs", "base_scale"],
        steps=steps,
        batch=2,
        dt=dt,
        n_units=500,
        target_freq=freq,
        wires={"inputs": intensity},
    )
    spikes, scale = found["outputs"][0], found["base_scale"][0, -1]
    assert spikes.size >= 100_000 and set(np.unique(spikes)) == {0.0, 1.0}
    turns = seconds * freq * intensity * scale
    # the sum of the steps' scatter, and a turn that is not complete
    off = (spikes.sum(0) - turns) + 0.5
    deviation = np.sqrt((SCATTER * turns) ** 2 / steps + 1 / 12)
    assert np.abs(off / deviation).max() < 5.0
    intervals = np.concatenate([np.diff(np.flatnonzero(spikes[:, 0, i])) * dt for i in range(50)])
    assert intervals.std() / intervals.mean() < 0.2  # a Poisson train has 1
    assert (spikes.sum(0) > 0).all()


def test_base_scales_are_poisson_and_stay_through_resets():
    cell = PhasorCell(n_units=40_000, target_freq=20.0)
    drawn = np.asarray(starts(cell, 3)["base_scale"]) * 20.0
    n = drawn.size
    assert n >= 100_000
    assert abs(drawn.mean() - 20.0) < 4.5 * np.sqrt(20.0 / n)
    seen = np.bincount(np.rint(drawn).astype(int).ravel(), minlength=60)
    expected = stats.poisson.pmf(np.arange(60), 20.0) * n
    often = expected > 20
    pooled = [np.append(each[often], each[~often].sum()) for each in (seen, expected)]
    assert stats.chisquare(pooled[0], pooled[1] * n / pooled[1].sum()).pvalue > 1e-4
    found = recorded(
        "PhasorCell", ["base_scale", "angles"], steps=20, trials=2, batch=3, n_units=7, wires={"inputs": 1.0}
    )
    np.testing.assert_array_equal(found["base_scale"], np.broadcast_to(found["base_scale"][0, 0], (2, 20, 3, 7)))
    assert (found["angles"][0] != found["angles"][1]).any()


def test_an_angle_is_the_sum_of_its_steps():
    keys = jax.random.split(jax.random.key(5), 40)
    base = np.array([[0.8, 1.2]])
    found = run(PhasorCell(n_units=2, target_freq=60.0), {"inputs": 0.9}, 40, keys=keys, start={"base_scale": base})
    angle, last = np.zeros((1, 2)), np.zeros((1, 2))
    for k in range(40):
        xi = np.asarray(jax.random.normal(keys[k], (1, 2)), float)
        angle = angle + 2 * np.pi * 0.06 * 0.9 * (1 + 0.2 * xi) * base
        spiked = angle > 2 * np.pi
        angle, last = np.where(spiked, angle - 2 * np.pi, angle), np.where(spiked, k, last)
        np.testing.assert_allclose(found["angles"][k], angle, rtol=1e-4, atol=1e-5)
        np.testing.assert_array_equal(found["outputs"][k], spiked)
        np.testing.assert_allclose(found["tols"][k], last)


def test_disabled_it_hands_its_inputs_through():
    inputs = np.random.default_rng(0).uniform(size=(5, 2, 3))
    found = run(PhasorCell(n_units=3, disable_phasor=True), {"inputs": inputs}, 5, batch=2)["outputs"]
    np.testing.assert_allclose(found, inputs, rtol=1e-6)
    # and then they are no spikes, of which a record keeps a bit each
    kept = recorded("PhasorCell", ["outputs"], steps=2, n_units=3, disable_phasor=True, wires={"inputs": 0.3})
    np.testing.assert_allclose(kept["outputs"], 0.3, rtol=1e-6)
