"""The quadratic integrate-and-fire cell against its closed forms and an integration in double precision."""

from __future__ import annotations

from math import atan, exp, sqrt

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from stepping import call, run, starts

from synsim.component import Now
from synsim.components.quad_lif_cell import QuadLIFCell

FACTOR, REST, CRITICAL = 0.04, -65.0, -45.0
RHEOBASE = FACTOR * (CRITICAL - REST) ** 2 / 4  # 4 mV
TEXTBOOK = dict(
    n_units=1,
    tau_m=10.0,
    v_rest=REST,
    v_scale=CRITICAL,
    critical_v=FACTOR,
    thr=0.0,
    v_reset=-70.0,
    theta_plus=0.0,
    quadratic="published",
    refractory="published",
    integration_type="rk4",
)


@pytest.mark.parametrize("refract", [0.0, 3.0])
@pytest.mark.parametrize("drive", [5.0, 8.0, 20.0])
def test_rate_for_a_constant_current(drive, refract):
    """The time from v_reset to thr is the integral of tau dv / (a (v - middle)^2 + c), an arctangent.

    Gerstner & Kistler (2002), section 5.1; the middle is between the two zeros and c = R I - rheobase.
    """
    dt, middle, c = 0.02, (REST + CRITICAL) / 2, drive - RHEOBASE
    period = (
        10.0 / sqrt(FACTOR * c) * (atan((0.0 - middle) * sqrt(FACTOR / c)) - atan((-70.0 - middle) * sqrt(FACTOR / c)))
    )
    cell = QuadLIFCell(**TEXTBOOK, refract_time=refract)
    with jax.enable_x64(True):  # near the rheobase v creeps, in steps that float32 rounds visibly
        times = np.flatnonzero(run(cell, {"j": drive}, 40_000, dt=dt, dtype=jnp.float64)["s"]) * dt
    assert len(times) >= 4
    assert 0.0 <= np.diff(times).mean() - period - refract < dt


@pytest.mark.parametrize(("drive", "spikes"), [(0.95 * RHEOBASE, False), (1.05 * RHEOBASE, True)])
def test_rheobase(drive, spikes):
    """A constant current makes the cell spike where R I > a (v_c - v_rest)^2 / 4."""
    found = run(QuadLIFCell(**TEXTBOOK, refract_time=0.0), {"j": drive}, 4000, dt=0.1)
    assert found["s"].any() == spikes
    if not spikes:  # it rests at the lower zero of the parabola
        root = -55.0 - sqrt((RHEOBASE - drive) / FACTOR)
        assert found["v"][-1].item() == pytest.approx(root, abs=0.01)


def test_which_potential_attracts():
    """Without a current: in the textbook form the rest, and beyond the critical potential nothing; else the reverse."""
    start = {"v": [[-68.0, -46.0, -44.0]]}
    settings = {**TEXTBOOK, "n_units": 3, "refract_time": 0.0, "thr": 1e4}
    textbook = run(QuadLIFCell(**settings), {}, 1500, dt=0.1, start=start)
    np.testing.assert_allclose(textbook["v"][-1, 0, :2], REST, atol=0.05)
    np.testing.assert_array_equal(textbook["s"].sum(0)[0], [0, 0, 1])  # it runs away, and its reset is below
    settings |= {"quadratic": "reference", "v_min": -70.0}
    other = run(QuadLIFCell(**settings), {}, 1500, dt=0.1, start=start)["v"][:, 0]
    np.testing.assert_allclose(other[-1], [-70.0, CRITICAL, CRITICAL], atol=0.05)


@pytest.mark.parametrize("form", ["reference", "published"])
def test_against_an_integration_in_double_precision(form):
    """Ralston's method by hand, both forms, with the refractory time, adaptation and a floor."""
    steps, batch, units, dt = 120, 3, 5, 0.5
    j = np.random.default_rng(5).uniform(-3.0, 25.0, (steps, batch, units))
    settings = dict(tau_m=9.0, resist_m=1.4, thr=-40.0, v_reset=-63.0, v_scale=-44.0, critical_v=0.05, v_min=-64.5)
    cell = QuadLIFCell(
        n_units=units,
        **settings,
        tau_theta=30.0,
        theta_plus=1.5,
        refract_time=2.0,
        integration_type="ralston",
        quadratic=form,
        refractory=form,
    )
    sign = 1.0 if form == "published" else -1.0
    v, rfr, theta = np.full((batch, units), -65.0), np.full((batch, units), 2.0), np.zeros((batch, units))
    expected = {name: [] for name in ("v", "s", "thr_theta", "v_thr", "surrogate", "rfr")}
    for k in range(steps):
        ready = rfr >= 2.0

        def slope(v, ready=ready, k=k):
            return (sign * 0.05 * (v + 65.0) * (v + 44.0) + np.where(ready, 1.4 * j[k], 0.0)) / 9.0

        k1 = slope(v)
        after = v + dt * (k1 / 3 + 2 / 3 * slope(v + 0.75 * dt * k1))
        if form == "published":
            after = np.where(ready, after, v)
        s = (after > -40.0 + theta) & (ready if form == "published" else True)
        above = after + 40.0 - theta
        theta = theta * exp(-dt / 30.0) + 1.5 * s
        v, rfr = np.maximum(np.where(s, -63.0, after), -64.5), np.where(s, 0.0, rfr + dt)
        values = (v, s, theta, -40.0 + theta, 1.4 * dt / 9.0 / (np.pi * (1 + (0.1 * np.pi * above) ** 2)), rfr)
        for name, value in zip(expected, values, strict=True):
            expected[name].append(value)
    with jax.enable_x64(True):
        found = run(cell, {"j": j}, steps, dt=dt, batch=batch, dtype=jnp.float64)
    assert np.sum(expected["s"]) >= 10
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], np.array(values, float), rtol=1e-9, err_msg=name)


def test_one_spike_is_one_of_each_row_and_silent_rows_stay_silent():
    """The reference switches all rows at once, and a row without a spike is given one at unit 0."""
    current = np.array([[[3000.0, 3000.0, 0.0], [0.0, 0.0, 0.0], [0.0, 3000.0, 3000.0]]])
    cell = QuadLIFCell(n_units=3, tau_m=100.0, one_spike=True)
    found = run(cell, {"j": current}, 1, batch=3)
    np.testing.assert_array_equal(found["s"][0].sum(-1), [1.0, 0.0, 1.0])
    np.testing.assert_array_equal(found["s_raw"][0].sum(-1), [2.0, 0.0, 2.0])


def test_reset_keeps_theta_and_says_the_threshold_that_holds():
    cell = QuadLIFCell(n_units=2, tau_m=10.0)
    assert cell.compartments["thr_theta"].learned
    values = starts(cell, 1) | {"thr_theta": jnp.full((1, 2), 3.0)}
    after = call(cell, "reset", values, {"j": jnp.zeros((1, 2))}, Now(0.0, 0, 1.0, jax.random.key(0)))
    np.testing.assert_array_equal(after["v_thr"], -49.0)
    np.testing.assert_array_equal(cell.conform(values)["v_thr"], -49.0)


def test_units_in_a_shape():
    cell = QuadLIFCell(n_units=(2, 3, 4), tau_m=100.0, max_one_spike=True, refract_time=0.0)
    found = run(cell, {"j": np.random.default_rng(2).uniform(0.0, 300.0, (60, 3, 2, 3, 4))}, 60, batch=3)
    assert found["s"].shape == (60, 3, 2, 3, 4) and 0 < found["s"].sum() <= 180
    assert found["s"].sum((2, 3, 4)).max() == 1.0
