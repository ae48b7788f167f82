"""Izhikevich's cell against the program of his paper, and against SciPy."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp
from stepping import call, run, starts

from synsim.component import Now
from synsim.components.izhikevich_cell import IzhikevichCell

PROGRAM = dict(integration_type="two_half_steps", emission="published")


def program_of_the_paper(settings, weights, noise):
    """Izhikevich (2003), in float64 NumPy: which neuron fired in which millisecond."""
    a, b, c, d = settings
    v = np.full(len(a), -65.0)
    u = b * v
    seen = []
    for current in noise:
        fired = v >= 30.0
        seen.append(fired)
        v, u = np.where(fired, c, v), np.where(fired, u + d, u)
        current = current + weights[:, fired].sum(1)
        for _ in range(2):
            v = v + 0.5 * (0.04 * v**2 + 5.0 * v + 140.0 - u + current)
        u = u + a * (b * v - u)
    return np.array(seen)


def test_the_network_of_the_paper_spike_by_spike():
    """800 excitatory and 200 inhibitory neurons: the same spikes as the program, in float64, for 300 ms.

    Beyond some hundred ms a network in chaos may part from it by rounding.
    """
    draw = np.random.default_rng(5)
    r, q = draw.random(800), draw.random(200)
    settings = (
        np.r_[np.full(800, 0.02), 0.02 + 0.08 * q],
        np.r_[np.full(800, 0.2), 0.25 - 0.05 * q],
        np.r_[-65.0 + 15.0 * r**2, np.full(200, -65.0)],
        np.r_[8.0 - 6.0 * r**2, np.full(200, 2.0)],
    )
    weights = np.c_[0.5 * draw.random((1000, 800)), -draw.random((1000, 200))]
    noise = draw.standard_normal((301, 1000)) * np.r_[np.full(800, 5.0), np.full(200, 2.0)]
    expected = program_of_the_paper(settings, weights, noise)
    with jax.enable_x64(True):
        a, b, c, d = (jnp.asarray(each) for each in settings)
        cell = IzhikevichCell(n_units=1000, tau_w=1 / a, coupling_factor=b, v_reset=c, w_reset=d, w0=-65 * b, **PROGRAM)
        dense = jnp.asarray(weights)

        def step(carry, row):
            values, fired = carry
            k, current = row
            fed = {"j": current + (dense @ fired)[None]}
            values = call(cell, "advance", values, fed, Now(1.0 * k, k, 1.0, jax.random.key(0)))
            return (values, values["s"][0]), values["s"][0]

        rows = (jnp.arange(300), jnp.asarray(noise[:300, None]))
        first = (starts(cell, 1, jnp.float64), jnp.zeros(1000))
        found = np.asarray(jax.jit(lambda first: jax.lax.scan(step, first, rows))(first)[1])
    assert expected.sum() > 1500
    # what the program finds at the beginning of a step, the cell says at the end of the one before
    np.testing.assert_array_equal(found, expected[1:])


KINDS = {  # Izhikevich (2003), figure 2: a, b, c, d
    "regular": (0.02, 0.2, -65.0, 8.0),
    "bursting": (0.02, 0.2, -55.0, 4.0),
    "chattering": (0.02, 0.2, -50.0, 2.0),
    "fast": (0.1, 0.2, -65.0, 2.0),
    "low_threshold": (0.02, 0.25, -65.0, 2.0),
}


def by_scipy(a, b, c, d, drive, until):
    def slope(_, x):
        return 0.04 * x[0] ** 2 + 5.0 * x[0] + 140.0 - x[1] + drive, a * (b * x[0] - x[1])

    def spike(_, x):
        return x[0] - 30.0

    spike.terminal, spike.direction = True, 1.0
    t, x, times = 0.0, [-65.0, -65.0 * b], []
    while True:
        found = solve_ivp(slope, (t, until), x, events=spike, rtol=1e-9, atol=1e-9)
        if not found.t_events[0].size:
            return np.array(times)
        t = float(found.t_events[0][0])
        times.append(t)
        x = [c, found.y_events[0][0][1] + d]


@pytest.mark.parametrize("kind", KINDS)
def test_spike_times_against_scipy(kind):
    a, b, c, d = KINDS[kind]
    expected = by_scipy(a, b, c, d, 10.0, 100.0)
    cell = IzhikevichCell(
        n_units=1, tau_w=1 / a, coupling_factor=b, v_reset=c, w_reset=d, w0=-65.0 * b,
        integration_type="rk4", coupling="published", emission="published",
    )  # fmt: skip
    dt = 0.01
    times = (np.flatnonzero(run(cell, {"j": 10.0}, 10000, dt=dt)["s"]) + 1) * dt
    assert len(expected) >= 3 and len(times) == len(expected)
    # each spike waits for the end of its step, so the time lost grows by up to one step a spike
    late = times - expected
    assert (late > -0.01).all() and (late < 0.03 + 0.02 * np.arange(1, 1 + len(late))).all()


def test_when_a_spike_is_reported_and_from_where_w_jumps():
    """One step of each form, from a v that crosses in it: 25 + 25 + 125 + 140 + 14 + j = 329 + j at dt 1."""
    settings, start, drive = dict(n_units=1, w_reset=8.0, tau_w=10.0), {"v": [[25.0]], "w": [[-14.0]]}, 3.0
    late = run(IzhikevichCell(**settings), {"j": drive}, 2, start=start)
    crossed, w = 25.0 + 25.0 + 125.0 + 140.0 + 14.0 + drive, -14.0 + 0.1 * (0.2 * 25.0 + 14.0)
    np.testing.assert_array_equal(late["s"].ravel(), [0, 1])
    np.testing.assert_allclose(late["v"].ravel(), [crossed, -65.0], rtol=1e-6)
    np.testing.assert_allclose(late["w"].ravel(), [w, w + 8.0], rtol=1e-6)  # from before the second step
    np.testing.assert_array_equal(late["tols"].ravel(), [0, 1])
    once = run(IzhikevichCell(**settings, emission="published"), {"j": drive}, 2, start=start)
    np.testing.assert_array_equal(once["s"].ravel(), [1, 0])
    assert once["v"][0].item() == -65.0
    assert once["w"][0].item() == pytest.approx(w + 8.0, rel=1e-6)


def test_the_program_says_itself_how_v_and_w_are_coupled():
    assert IzhikevichCell(n_units=1).problems() == []
    wrong = IzhikevichCell(n_units=1, coupling="published", **PROGRAM)
    assert [setting for setting, _ in wrong.problems()] == ["coupling"]
    with pytest.raises(ValueError, match="two_half_steps"):
        run(wrong, {"j": 0.0}, 1)


@pytest.mark.parametrize("method", ["rk2", "heun", "ralston", "rk4"])
def test_a_stage_that_overshot_does_not_end_up_in_w(method):
    cell = IzhikevichCell(n_units=1, integration_type=method, coupling="published", emission="published")
    found = run(cell, {"j": 20.0}, 400, dt=0.5)
    spikes = np.flatnonzero(found["s"])
    assert len(spikes) >= 5
    jumps = found["w"][spikes, 0, 0] - found["w"][spikes - 1, 0, 0]
    np.testing.assert_allclose(jumps, 8.0, atol=0.3)


@pytest.mark.parametrize(
    ("method", "order"), [("euler", 1), ("rk2", 2), ("heun", 2), ("ralston", 2), ("rk4", 4), ("exponential_euler", 1)]
)
def test_order_of_convergence_below_threshold(method, order):
    with jax.enable_x64(True):
        ends = []
        for steps in (40, 80, 2560):
            which = "rk4" if steps == 2560 else method
            cell = IzhikevichCell(n_units=1, tau_w=8.0, v0=-75.0, integration_type=which, coupling="published")
            ends.append(run(cell, {"j": 2.0}, steps, dt=10.0 / steps, dtype=jnp.float64)["v"][-1].item())
    first, second = (abs(each - ends[-1]) for each in ends[:2])
    assert np.log2(first / second) == pytest.approx(order, abs=0.25)


def test_units_of_several_kinds_rows_and_shapes():
    a, b, c, d = (jnp.asarray(column) for column in zip(*KINDS.values(), strict=True))
    cell = IzhikevichCell(n_units=5, tau_w=1 / a, coupling_factor=b, v_reset=c, w_reset=d, w0=-65 * b)
    together = run(cell, {"j": 12.0}, 300, dt=0.5, batch=3)["s"]
    for unit, (a, b, c, d) in enumerate(KINDS.values()):
        alone = IzhikevichCell(
            n_units=(1, 1), tau_w=1 / a, coupling_factor=b, v_reset=c, w_reset=d, w0=-65 * b
        )  # fmt: skip
        spikes = run(alone, {"j": 12.0}, 300, dt=0.5)["s"]
        assert spikes.shape == (300, 1, 1, 1) and spikes.sum() >= 3
        assert abs(together[:, 2, unit].sum() - spikes.sum()) <= 1  # 1/a is rounded in another place
    np.testing.assert_array_equal(together[:, 0], together[:, 2])
