"""The resonate-and-fire cell against closed forms."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import expm
from stepping import run

from synsim.components.raf_cell import RAFCell

TEXTBOOK = dict(coupling="published", emission="published", integration_type="rk4")


def amplitude(cell, frequency, dt, settle, count):
    """The size of v under a sine of amplitude 1 and this frequency (in 1/ms), once it has settled."""
    t = dt * np.arange(settle + count)
    v = run(cell, {"j": np.sin(2 * np.pi * frequency * (t + dt / 2))[:, None, None]}, settle + count, dt=dt)[
        "v"
    ].ravel()
    carrier = np.exp(-2j * np.pi * frequency * t[settle:])
    return 2 * np.abs(np.mean(v[settle:] * carrier))


def test_resonance():
    """|v / j| = omega R / |(i W tau - b)^2 + omega^2|, largest where W tau = sqrt(omega^2 - b^2)."""
    tau, omega, damping, dt = 10.0, 2.0, -0.3, 0.1
    cell = RAFCell(
        n_units=1, tau_v=tau, tau_w=tau, omega=omega, dampen_factor=damping, thr=1e6, resist_v=1.5, **TEXTBOOK
    )
    best = np.sqrt(omega**2 - damping**2) / (2 * np.pi * tau)
    assert best == pytest.approx(0.03147, abs=1e-4)  # 31.5 Hz
    found = []
    for ratio in (0.5, 0.9, 1.0, 1.1, 1.6):
        frequency = ratio * best
        whole = round(round(8 * frequency * 1000) / frequency / dt)  # whole cycles
        found.append(amplitude(cell, frequency, dt, 4000, whole))
        transfer = omega * 1.5 / abs((2j * np.pi * frequency * tau - damping) ** 2 + omega**2)
        assert found[-1] == pytest.approx(transfer, rel=0.005)
    assert np.argmax(found) == 2


def test_it_rings_at_its_own_frequency_and_decays():
    """v(t) = e^(b t / tau) (v0 cos(omega t / tau) + w0 sin(omega t / tau))."""
    cell = RAFCell(
        n_units=1, tau_v=8.0, tau_w=8.0, omega=3.0, dampen_factor=-0.2, v0=0.4, w0=-0.7, thr=10.0, **TEXTBOOK
    )
    found = run(cell, {"j": 0.0}, 1000, dt=0.05)
    t = 0.05 * np.arange(1, 1001) / 8.0
    rotated = np.exp(-0.2 * t) * (-0.7 + 0.4j) * np.exp(3j * t)
    np.testing.assert_allclose(found["w"].ravel(), rotated.real, atol=2e-5)
    np.testing.assert_allclose(found["v"].ravel(), rotated.imag, atol=2e-5)


def spikes_after(interval):
    """Two brief pulses, each too weak alone: Izhikevich (2001), figure 5."""
    cell = RAFCell(n_units=1, tau_v=1.0, tau_w=1.0, omega=10.0, dampen_factor=-1.0, v_reset=1.0, **TEXTBOOK)
    j = np.zeros(200)
    j[10] += 85.0
    if interval:
        j[10 + interval] += 85.0
    return int(run(cell, {"j": j[:, None, None]}, 200, dt=0.01)["s"].sum())


def test_two_pulses_add_up_one_period_apart():
    period = round(2 * np.pi / 10.0 / 0.01)
    assert spikes_after(0) == 0
    assert spikes_after(period) == 1
    assert spikes_after(period // 2) == 0
    assert spikes_after(3 * period // 2) == 0


def test_the_reference_form_is_w_first_and_then_v():
    cell = RAFCell(n_units=1, tau_v=2.0, tau_w=4.0, omega=3.0, dampen_factor=-0.5, resist_v=2.0, thr=100.0)
    found = run(cell, {"j": 1.5}, 60, dt=0.1, start={"v": [[0.3]], "w": [[-0.2]]})
    v, w = 0.3, -0.2
    for k in range(60):
        w = w + 0.1 / 4.0 * (-0.5 * w - 3.0 * v + 2.0 * 1.5)
        v = v + 0.1 / 2.0 * (-0.5 * v + 3.0 * w)
        assert (found["v"][k].item(), found["w"][k].item()) == pytest.approx((v, w), abs=1e-5)


@pytest.mark.parametrize(
    ("method", "order"), [("euler", 1), ("rk2", 2), ("heun", 2), ("ralston", 2), ("rk4", 4), ("exponential_euler", 1)]
)
def test_order_of_convergence(method, order):
    matrix = np.array([[-0.4 / 2.0, 3.0 / 2.0], [-3.0 / 5.0, -0.4 / 5.0]])
    push = np.array([0.0, 0.8 / 5.0])
    rest = -np.linalg.solve(matrix, push)
    exact = (rest + expm(4.0 * matrix) @ (np.array([0.3, -0.4]) - rest))[0]
    settings = dict(tau_v=2.0, tau_w=5.0, omega=3.0, dampen_factor=-0.4, v0=0.3, w0=-0.4, thr=100.0)
    with jax.enable_x64(True):
        cell = RAFCell(n_units=1, integration_type=method, coupling="published", **settings)
        ends = [run(cell, {"j": 0.8}, n, dt=4.0 / n, dtype=jnp.float64)["v"][-1].item() for n in (80, 160)]
    first, second = (abs(each - exact) for each in ends)
    assert np.log2(first / second) == pytest.approx(order, abs=0.25)


def test_spikes_and_resets():
    settings = dict(n_units=1, omega=4.0, dampen_factor=-0.1, v_reset=0.2, w_reset=-0.3)
    found = run(RAFCell(**settings), {"j": 6.0}, 1000, dt=0.02)
    spikes = np.flatnonzero(found["s"])
    assert len(spikes) >= 10
    np.testing.assert_allclose(found["v"].ravel()[spikes], 0.2)
    np.testing.assert_allclose(found["w"].ravel()[spikes], -0.3)
    np.testing.assert_allclose(found["tols"].max(), 0.02 * spikes[-1], rtol=1e-6)
    level = run(RAFCell(**settings, post_spike_reset=False), {"j": 6.0}, 1000, dt=0.02)
    edge = run(RAFCell(**settings, post_spike_reset=False, emission="published"), {"j": 6.0}, 1000, dt=0.02)
    above = level["v"].ravel() > 1.0
    np.testing.assert_array_equal(level["s"].ravel(), above)
    np.testing.assert_array_equal(edge["s"].ravel(), above & ~np.r_[False, above[:-1]])
    assert level["s"].sum() > 5 * edge["s"].sum() > 0


def test_units_rows_and_shapes():
    cell = RAFCell(n_units=(1, 2), omega=jnp.asarray([[3.0, 5.0]]), thr=0.4)
    together = run(cell, {"j": 3.0}, 300, dt=0.02, batch=3)["v"]
    assert together.shape == (300, 3, 1, 2)
    for unit, omega in enumerate([3.0, 5.0]):
        alone = run(RAFCell(n_units=1, omega=omega, thr=0.4), {"j": 3.0}, 300, dt=0.02)["v"]
        np.testing.assert_allclose(together[:, 1, 0, unit], alone[:, 0, 0], atol=1e-5)
