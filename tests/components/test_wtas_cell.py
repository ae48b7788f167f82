"""The winner-take-all spiking cell: p > thr with SciPy's softmax, and what its threshold comes to."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax
from stepping import run, starts

from synsim.components.wtas_cell import WTASCell


@pytest.mark.parametrize("shape", [(6,), (2, 3)])
def test_a_spike_is_a_probability_above_the_threshold(shape):
    j = np.random.default_rng(3).uniform(-2.0, 7.0, (80, 3, *shape))
    cell = WTASCell(n_units=shape, resist_m=0.7, thr_base=0.3, thr_gain=0.01)
    found = run(cell, {"j": j}, 80, batch=3)
    thr = np.broadcast_to(np.asarray(starts(cell, 3)["thr"]), (3, *shape)).reshape(3, 6).astype(float)
    assert np.ptp(thr[0]) > 0.01 and np.array_equal(thr[0], thr[2])
    for k in range(80):
        p = softmax(0.7 * j[k].reshape(3, 6), axis=1)
        spikes = p > thr
        np.testing.assert_array_equal(found["s"][k].reshape(3, 6), spikes)
        thr = np.maximum(thr + 0.01 * (spikes.sum(1, keepdims=True) - 1.0), 0.025)
        np.testing.assert_allclose(found["thr"][k].reshape(3, 6), thr, rtol=1e-5)
    assert found["s"].sum() > 50


def test_only_one_unit_can_be_above_one_half():
    j = np.random.default_rng(4).uniform(-9.0, 9.0, (200, 3, 5))
    found = run(WTASCell(n_units=5, thr_base=0.6, thr_gain=0.0), {"j": j}, 200, batch=3)
    assert found["s"].sum(-1).max() == 1.0 and found["s"].sum() > 300
    np.testing.assert_array_equal(found["s"].argmax(-1)[found["s"].any(-1)], j.argmax(-1)[found["s"].any(-1)])


def test_the_threshold_comes_to_one_spike_a_row():
    """It rises by the gain for each spike beyond one and falls without one: on average one is left."""
    j = np.random.default_rng(5).uniform(0.0, 4.0, (3000, 3, 8))
    found = run(WTASCell(n_units=8, thr_base=0.05, thr_gain=0.005), {"j": j}, 3000, batch=3)
    assert found["s"][:5].sum(-1).mean() > 3.0
    drift = float(abs(found["thr"][-1] - found["thr"][999]).max()) / 0.005 / 2000  # the mean is off by the drift alone
    assert found["s"][1000:].sum(-1).mean() == pytest.approx(1.0, abs=drift + 1e-3) and drift < 0.05


def test_a_unit_is_cut_off_for_the_refractory_time():
    """rfr counts the step of the spike: with 3 ms the current is cut for two steps more."""
    found = run(WTASCell(n_units=2, refract_time=3.0, thr_base=0.9, thr_jitter=0.0), {"j": [[[5.0, 0.0]]] * 7}, 7)
    np.testing.assert_array_equal(found["s"][:, 0, 0], [1, 0, 0, 1, 0, 0, 1])
    np.testing.assert_array_equal(found["v"][:, 0, 0], [5, 0, 0, 5, 0, 0, 5])
    np.testing.assert_array_equal(found["tols"][:, 0, 0], [0, 0, 0, 3, 3, 3, 6])


def test_the_threshold_has_a_floor_and_is_learned():
    cell = WTASCell(n_units=4, thr_base=0.26, thr_gain=0.05, thr_jitter=0.0)
    found = run(cell, {"j": 0.0}, 10)  # p is .25 for each: nobody spikes until the threshold is below it
    np.testing.assert_allclose(found["thr"][:3, 0, 0], [0.21, 0.36, 0.31], rtol=1e-5)
    low = run(WTASCell(n_units=100, thr_base=0.03, thr_gain=0.02, thr_jitter=0.0), {"j": 0.0}, 3)
    np.testing.assert_allclose(low["thr"][:, 0, 0], 0.025, rtol=1e-6)
    assert cell.compartments["thr"].learned


def test_the_published_membrane_is_the_integral_of_the_current():
    j = np.random.default_rng(6).uniform(0.0, 9.0, (40, 3, 5))
    cell = WTASCell(n_units=5, tau_m=20.0, resist_m=1.5, membrane="published")
    found = run(cell, {"j": j}, 40, dt=0.5, batch=3)
    np.testing.assert_allclose(found["v"], np.cumsum(1.5 * j * 0.5 / 20.0, axis=0), rtol=1e-5)


def test_the_published_membrane_needs_a_time_constant():
    wanting = WTASCell(n_units=5, membrane="published")
    assert [setting for setting, _ in wanting.problems()] == ["tau_m"] and WTASCell(n_units=5).problems() == []
    with pytest.raises(ValueError, match="needs tau_m"):
        run(wanting, {"j": 1.0}, 1)
