"""The oscillation."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from stepping import run

from synsim.components.sine_source import SineSource


def test_amplitude_offset_frequency_and_phase_by_unit():
    amplitude, frequency, phase = np.array([1.0, 3.0]), np.array([10.0, 70.0]), np.array([0.0, 0.4])
    source = SineSource(
        n_units=2,
        frequency=jnp.asarray(frequency),
        amplitude=jnp.asarray(amplitude),
        phase=jnp.asarray(phase),
        offset=5.0,
    )
    found = run(source, {}, 400, dt=0.25, batch=3)["outputs"]
    t = 0.25 * np.arange(400)[:, None, None]
    expected = 5.0 + amplitude * np.sin(2 * np.pi * frequency * t / 1000.0 + phase)
    np.testing.assert_allclose(found, np.broadcast_to(expected, found.shape), atol=2e-4)


def test_late_in_a_long_trial():
    """A whole number of periods later the wave is the same, as far as the time itself is."""
    found = run(SineSource(n_units=1, frequency=50.0), {}, 200_000, dt=0.5)["outputs"].ravel()
    np.testing.assert_allclose(found[-40:], found[:40], atol=5e-3)
