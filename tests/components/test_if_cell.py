"""The integrate-and-fire cell against its closed form."""

from __future__ import annotations

import numpy as np
import pytest
from stepping import run

from synsim.components.if_cell import IFCell


@pytest.mark.parametrize("refract", [0.0, 2.0])
@pytest.mark.parametrize("dt", [0.1, 0.02])
@pytest.mark.parametrize("drive", [3.0, 8.0, 21.0])
def test_rate_for_a_constant_current(drive, dt, refract):
    """f = R I / (tau (thr - v_reset)), with the refractory time in series (Gerstner & Kistler 2002, ch. 4)."""
    cell = IFCell(n_units=1, tau_m=10.0, resist_m=2.0, refract_time=refract, refractory="published")
    times = np.flatnonzero(run(cell, {"j": drive / 2.0}, round(300 / dt), dt=dt)["s"]) * dt
    period = 10.0 * (-52.0 - -60.0) / drive + refract
    assert len(times) >= 9
    assert times[0] == pytest.approx(10.0 * (-52.0 - -65.0) / drive, abs=1.1 * dt)
    # a spike comes at the first step past the threshold, and the next starts from v_reset, not from beyond it
    assert -0.01 * dt <= np.diff(times).mean() - period < 1.01 * dt


@pytest.mark.parametrize("method", ["rk2", "heun", "ralston", "rk4", "exponential_euler"])
def test_all_methods_are_the_same_for_a_slope_without_v(method):
    inputs = {"j": np.random.default_rng(1).uniform(-20.0, 60.0, (60, 3, 5))}
    one, other = (
        run(IFCell(n_units=5, tau_m=7.0, integration_type=name), inputs, 60, batch=3) for name in ("euler", method)
    )
    assert one["s"].sum() > 20
    np.testing.assert_array_equal(one["s"], other["s"])
    np.testing.assert_allclose(one["v"], other["v"], rtol=1e-5)


def test_the_lowest_voltage_is_rest_or_none_and_a_spike_resets_either_way():
    """Without the clamp the reference loses the reset (fault 16): v would go on from -49 here."""
    inputs = {"j": np.array([160.0, -300.0, 10.0]).reshape(3, 1, 1)}
    free = run(IFCell(n_units=1, tau_m=10.0, lower_clamp_voltage=False), inputs, 3)
    np.testing.assert_allclose(free["v"].ravel(), [-60.0, -90.0, -89.0], rtol=1e-6)
    np.testing.assert_array_equal(free["s"].ravel(), [1, 0, 0])
    clamped = run(IFCell(n_units=1, tau_m=10.0), inputs, 3)
    np.testing.assert_allclose(clamped["v"].ravel(), [-60.0, -65.0, -64.0], rtol=1e-6)
    low = run(IFCell(n_units=1, tau_m=10.0, v_reset=-80.0), {"j": 160.0}, 1)
    assert low["v"].item() == -65.0  # the clamp comes last


@pytest.mark.parametrize(("mode", "spikes"), [("reference", [1, 1, 1, 1, 1]), ("published", [1, 0, 0, 0, 1])])
def test_a_reset_above_the_threshold(mode, spikes):
    cell = IFCell(n_units=1, tau_m=10.0, v_reset=-50.0, refract_time=3.0, refractory=mode)
    found = run(cell, {"j": 200.0}, 5)
    np.testing.assert_array_equal(found["s"].ravel(), spikes)


def test_the_current_is_cut_while_refractory():
    found = run(IFCell(n_units=1, tau_m=10.0, refract_time=2.0), {"j": 160.0}, 8)
    np.testing.assert_array_equal(found["s"].ravel(), [1, 0, 0, 1, 0, 0, 1, 0])
    np.testing.assert_array_equal(found["v"].ravel()[:3], [-60.0, -60.0, -60.0])
    np.testing.assert_array_equal(found["rfr"].ravel()[:4], [0.0, 1.0, 2.0, 0.0])
    np.testing.assert_array_equal(found["tols"].ravel()[:4], [0.0, 0.0, 0.0, 3.0])


@pytest.mark.parametrize("name", ["arctan", "triangular", "straight_through", "secant_lif"])
def test_surrogates(name):
    above, drive, to_current = -53.0 + 0.1 * 6.0 + 52.0, 6.0, 2.0 * 1.0 / 10.0
    expected = {
        "arctan": to_current / (np.pi * (1 + (0.1 * np.pi * above) ** 2)),
        "triangular": to_current * (1 - 0.2 * abs(above)),
        "straight_through": to_current,
        "secant_lif": 1 / np.cosh(0.08 * drive),
    }
    cell = IFCell(n_units=1, tau_m=10.0, resist_m=2.0, surrogate_type=name)
    found = run(cell, {"j": 3.0}, 1, start={"v": [[-53.0]]})["surrogate"].item()
    assert found == pytest.approx(expected[name], rel=1e-5)


def test_settings_by_unit_and_units_in_a_shape():
    image = IFCell(n_units=(2, 3), tau_m=10.0, thr=np.array([[-55.0] * 3, [1e3] * 3], np.float32))
    found = run(image, {"j": 100.0}, 20, batch=3)
    assert found["s"].shape == (20, 3, 2, 3)
    assert found["s"][:, :, 0].all(axis=1).sum() >= 10 * 3 and not found["s"][:, :, 1].any()
