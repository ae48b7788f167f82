"""Short-term plasticity against the recursion between spikes, and stochastic release against its distribution."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from stepping import run, synapse

from synsim import api
from synsim.components.synapses.short_term import ShortTermPlasticity
from synsim.components.synapses.synapse import Synapse
from synsim.faults import ConfigError
from synsim.initialisers import Constant

pytestmark = pytest.mark.usefixtures("small_programs")

TIMES = np.r_[np.arange(10) * 50.0, 950.0]  # 20 Hz, and one after 500 ms
DEPRESSED = [1, 0.5303, 0.3097, 0.2060, 0.1574, 0.1345, 0.1238, 0.1187, 0.1164, 0.1152, 0.4956]


def one(**settings: Any) -> Synapse:
    return synapse("StaticSynapse", shape=(1, 1), weight_init=Constant(value=1.0), **settings)


def amplitudes(dt: float, times: np.ndarray, **settings: Any) -> np.ndarray:
    """What each spike sends."""
    steps = np.rint(times / dt).astype(int)
    spikes = np.zeros((steps[-1] + 1, 1, 1))
    spikes[steps] = 1.0
    it = one(short_term=ShortTermPlasticity(**settings))
    with jax.enable_x64(True):
        return run(it, {"inputs": spikes}, len(spikes), dt=dt, dtype=jnp.float64)["outputs"].ravel()[steps]


def recursion(times: np.ndarray, U: float, tau_rec: float, tau_fac: float) -> np.ndarray:
    """From spike to spike: u decays and x recovers in between, each spike takes u x of what is there."""
    u, x, sent, last = 0.0, 1.0, [], times[0]
    for t in times:
        u = u * np.exp(-(t - last) / tau_fac) if tau_fac else 0.0
        x = 1.0 - (1.0 - x) * np.exp(-(t - last) / tau_rec)
        u += U * (1.0 - u)
        sent.append(u * x)
        x -= u * x
        last = t
    return np.array(sent)


def test_depression_has_the_published_amplitudes():
    """Tsodyks & Markram (1997): U .5, tau_rec 800 ms."""
    exact = amplitudes(0.1, TIMES, U=0.5, tau_rec=800.0, tau_fac=0.0, integration="exact")
    np.testing.assert_allclose(exact / exact[0], DEPRESSED, atol=1e-4)
    euler = amplitudes(0.1, TIMES, U=0.5, tau_rec=800.0, tau_fac=0.0)
    np.testing.assert_allclose(euler / euler[0], DEPRESSED, rtol=0.01)
    assert exact[0] == pytest.approx(0.5)


@pytest.mark.parametrize("dt", [1.0, 0.1])
@pytest.mark.parametrize(("U", "tau_rec", "tau_fac"), [(0.15, 130.0, 1500.0), (0.03, 50.0, 530.0), (1.0, 300.0, 0.0)])
def test_exact_steps_are_the_recursion_at_any_dt(dt, U, tau_rec, tau_fac):
    times = np.cumsum(np.random.default_rng(3).integers(1, 60, 40)).astype(float)
    found = amplitudes(dt, times, U=U, tau_rec=tau_rec, tau_fac=tau_fac, integration="exact")
    np.testing.assert_allclose(found, recursion(times, U, tau_rec, tau_fac), rtol=1e-9)
    if tau_fac:
        assert found.max() > 1.5 * found[0]


def test_euler_steps_converge_with_order_one():
    times = np.arange(12) * 20.0
    settings = dict(U=0.15, tau_rec=130.0, tau_fac=530.0)
    truth = recursion(times, **settings)
    errors = [np.abs(amplitudes(dt, times, **settings) - truth).max() for dt in (1.0, 0.5, 0.25)]
    assert errors[0] / errors[1] == pytest.approx(2.0, rel=0.1) == errors[1] / errors[2]


def test_axons_tire_alone_and_rows_too():
    """Two axons, three rows: a spike changes the variables of its own axon and row alone."""
    spikes = np.zeros((3, 3, 2))
    spikes[0, 0, 0] = spikes[1, 0, 0] = spikes[1, 2, 1] = 1.0
    it = synapse(
        "StaticSynapse",
        shape=(2, 1),
        weight_init=Constant(value=2.0),
        short_term=ShortTermPlasticity(U=0.5, tau_rec=1e6),
    )
    found = run(it, {"inputs": spikes}, 3, batch=3)
    np.testing.assert_allclose(found["resources"][-1], [[0.25, 1.0], [1.0, 1.0], [1.0, 0.5]], rtol=1e-5)
    np.testing.assert_allclose(found["outputs"][1].ravel(), [0.5, 0.0, 1.0], rtol=1e-5)
    np.testing.assert_array_equal(found["delayed_inputs"] @ [[2.0], [2.0]], found["outputs"])


def test_resources_come_behind_any_kernel():
    spikes = np.zeros((30, 1, 1))
    spikes[[0, 10]] = 1.0
    settings = dict(tau_decay=5.0, g_syn_bar=1.0, syn_rest=None, shape=(1, 1), weight_init=Constant(value=1.0))
    it = synapse("ExponentialSynapse", **settings, short_term=ShortTermPlasticity(U=0.5, tau_rec=800.0))
    g = run(it, {"inputs": spikes}, 30)["g_syn"].ravel()
    assert g[0] == pytest.approx(0.5)
    assert g[10] - g[9] * 0.8 == pytest.approx(0.5 * (1.0 - 0.5 * (1 - 1 / 800) ** 10), rel=1e-5)


@pytest.mark.parametrize(("key", "value"), [("U", 0.0), ("U", 1.5), ("tau_rec", 0.0), ("tau_fac", -1.0)])
def test_settings_have_bounds(key, value):
    with pytest.raises(ConfigError, match=key) as caught:
        checked(short_term={key: value})
    assert caught.value.faults[0].path == ("components", "W", "short_term", key)


def checked(**settings: Any) -> Any:
    return api.check(
        {
            "name": "one",
            "run": {"steps": 1},
            "components": {"W": {"type": "StaticSynapse", "shape": [2, 2], **settings}},
            "wires": {"W.inputs": 1.0},
        }
    )


# ------------------------------------------------------------------------------------------------------------- release


def released(mean: float, spread: float, n: int = 200, steps: int = 1000) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    it = synapse(
        "StaticSynapse",
        shape=(n, 1),
        weight_init=Constant(value=1.0),
        p_release_mean=mean,
        p_release_spread=spread,
    )
    found = run(it, {"inputs": np.ones((steps, 1, n))}, steps)
    return found["delayed_inputs"][:, 0], found


@pytest.mark.parametrize("mean", [0.25, 0.7])
def test_each_spike_is_let_through_by_a_draw_of_its_own(mean):
    """Fault 5: the reference's own mode lets exactly one spike a row through, whatever the probability."""
    arrived, found = released(mean, 0.0)
    assert set(np.unique(arrived)) == {0.0, 1.0}
    n = arrived.size
    assert arrived.mean() == pytest.approx(mean, abs=4 * np.sqrt(mean * (1 - mean) / n))
    per_step = arrived.sum(1)  # binomial over the axons: they are drawn apart
    assert per_step.var() == pytest.approx(200 * mean * (1 - mean), rel=0.2)
    following = np.mean(arrived[1:] * arrived[:-1])  # and the steps are
    assert following == pytest.approx(mean**2, abs=0.005)
    np.testing.assert_allclose(found["outputs"].ravel(), per_step, rtol=1e-6)


def test_axons_have_probabilities_of_their_own_that_stay():
    arrived, found = released(0.5, 0.2)
    p = found["p_release"]
    np.testing.assert_array_equal(p, np.broadcast_to(p[0], p.shape))
    assert 0.3 <= p.min() < 0.35 and 0.65 < p.max() <= 0.7
    seen = arrived.mean(0)
    assert np.abs(seen - p[0]).max() < 5 * np.sqrt(0.25 / 1000)
    assert np.corrcoef(seen, p[0])[0, 1] > 0.95


def test_certain_release_is_certain_and_probabilities_stay_in_bounds():
    arrived, _ = released(1.0, 0.1, steps=10)
    np.testing.assert_array_equal(arrived, 1.0)
    _, found = released(0.05, 0.1, steps=2)
    assert found["p_release"].min() == 0.0


def test_a_probability_survives_a_reset():
    it = one(p_release_mean=0.5)
    assert it.compartments["p_release"].learned and not it.compartments["p_release"].batch
    assert "p_release" not in one().compartments


@pytest.mark.parametrize("value", [0.0, 1.2])
def test_a_probability_of_release_is_a_probability(value):
    with pytest.raises(ConfigError, match="p_release_mean"):
        checked(p_release_mean=value)
