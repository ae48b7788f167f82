"""The exponential kernel against a sum over its window."""

from __future__ import annotations

import numpy as np
import pytest
from stepping import run

from synsim import api
from synsim.components.exp_kernel import ExpKernel
from synsim.faults import ConfigError


@pytest.mark.parametrize("window", ["reference", "published"])
@pytest.mark.parametrize(("dt", "nu", "n"), [(1.0, 4.0, 4), (0.5, 3.0, 6), (0.1, 0.3, 3), (1.0, 1.0, 1), (1.0, 2.9, 2)])
def test_sum_over_the_window(window, dt, nu, n):
    steps, tau = 40, 3.0
    spikes = (np.random.default_rng(0).uniform(size=(steps, 3, 4)) < 0.4).astype(float)
    spikes[0] = 1.0
    found = run(ExpKernel(n_units=4, dt=dt, tau_w=tau, nu=nu, window=window), {"inputs": spikes}, steps, dt=dt, batch=3)
    for k in range(steps):
        first = max(k - n + 1, 1 if window == "reference" else 0)  # the reference loses spikes at t = 0
        ages = dt * (k - np.arange(first, k + 1))
        expected = np.tensordot(np.exp(-ages / tau), spikes[first : k + 1], axes=1)
        np.testing.assert_allclose(found["epsp"][k], expected, rtol=1e-5, atol=1e-6)
    assert found["tf"].shape == (steps, 3, n + 1, 4)


def test_times_in_the_window():
    spikes = np.array([1, 0, 1, 1, 0, 0], float).reshape(6, 1, 1)
    for window, none in (("reference", 0), ("published", -1)):
        found = run(ExpKernel(n_units=1, nu=3.0, window=window), {"inputs": spikes}, 6)["tf"][:, 0, :, 0]
        # oldest first; the last is what has just left
        assert found[3].tolist() == [none, 2, 3, 0]
        assert found[5].tolist() == [3, none, none, 2]


def test_units_in_a_shape_and_by_unit():
    cell = ExpKernel(n_units=(2, 1, 1), tau_w=np.array([1.0, 10.0]).reshape(2, 1, 1), nu=5.0)
    found = run(cell, {"inputs": np.eye(5)[1].reshape(5, 1, 1, 1, 1) * np.ones((1, 3, 2, 1, 1))}, 5, batch=3)["epsp"]
    np.testing.assert_allclose(found[3, 1, :, 0, 0], np.exp([-2.0, -0.2]), rtol=1e-5)


@pytest.mark.parametrize(
    ("settings", "dt", "words"),
    [(dict(dt=0.5), 1.0, "dt is 0.5 and run.dt is 1.0"), (dict(dt=0.5, nu=0.4), 0.5, "no whole step")],
)
def test_a_window_that_does_not_fit_the_run(settings, dt, words):
    kernel = {"type": "ExpKernel", "n_units": 2, **settings}
    with pytest.raises(ConfigError, match=words):
        api.check({"name": "one", "run": {"steps": 1, "dt": dt}, "components": {"k": kernel}})
