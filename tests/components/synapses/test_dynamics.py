"""Conductance kernels: closed forms, the reference's own numbers, weights of one, any connectivity, the voltage."""

from __future__ import annotations

import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from stepping import run, starts, synapse

from synsim import api, catalogue, engine
from synsim.components.lif_cell import LIFCell
from synsim.components.synapses.rules.static import StaticRule
from synsim.components.synapses.synapse import Synapse
from synsim.device import computing
from synsim.faults import ConfigError
from synsim.initialisers import Constant

pytestmark = pytest.mark.usefixtures("small_programs")

TYPES = ("ExponentialSynapse", "AlphaSynapse", "DoubleExpSynapse")
# the exponential kernel has one form
FORMS = [("ExponentialSynapse", "reference"), *itertools.product(TYPES[1:], ("reference", "published"))]


@pytest.fixture(autouse=True)
def _in_float64():
    with jax.enable_x64(True):
        yield


def conductance(type_name: str, shape: tuple[int, int] = (1, 1), **settings: Any) -> Synapse:
    """A synapse of one of the three types with weights of 1."""
    settings = {"tau_decay": 5.0, "g_syn_bar": 1.0, "syn_rest": None, "weight_init": Constant(value=1.0), **settings}
    if type_name == "DoubleExpSynapse":
        settings = {"tau_rise": 2.0, **settings}
    return synapse(type_name, shape=shape, **settings)


def one_spike(type_name: str, dt: float, time: float = 40.0, dtype: Any = jnp.float64, **settings: Any) -> np.ndarray:
    """The conductance after each step when a spike comes in the first."""
    steps = round(time / dt)
    spikes = np.zeros((steps, 1, 1))
    spikes[0] = 1.0
    return run(conductance(type_name, **settings), {"inputs": spikes}, steps, dt=dt, dtype=dtype)["g_syn"][:, 0, 0]


# -------------------------------------------------------------------------------------------------- the alpha kernel


def test_alpha_gives_the_numbers_that_the_reference_gave():
    """Its own four steps: tau 4, a strength of 2, reversal at -70, voltage -60, dt 0.5, spikes in steps 0 and 3."""
    one = conductance("AlphaSynapse", tau_decay=4.0, g_syn_bar=2.0, syn_rest=-70.0)
    spikes = np.array([1.0, 0.0, 0.0, 1.0]).reshape(4, 1, 1)
    found = run(one, {"inputs": spikes, "v": -60.0}, 4, dt=0.5, dtype=jnp.float64)
    np.testing.assert_allclose(found["h_syn"].ravel(), [2, 1.75, 1.53125, 3.33984], rtol=2e-6)
    np.testing.assert_allclose(found["g_syn"].ravel(), [2, 3.5, 4.59375, 7.35938], rtol=2e-6)
    np.testing.assert_allclose(found["i_syn"].ravel(), [-20, -35, -45.9375, -73.59375], rtol=1e-7)
    np.testing.assert_array_equal(found["outputs"], found["i_syn"])


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
@pytest.mark.parametrize("dt", [0.1, 0.01])
def test_published_alpha_follows_its_discrete_closed_form(dt, dtype):
    """g_n = (dt/tau) n (1 - dt/tau)^(n-1) after n steps; its peak is 1.8580 / 5 at dt 0.1 and 1.8412 / 5 at 0.01."""
    g = one_spike("AlphaSynapse", dt, g_drive="published", dtype=dtype)
    n = np.arange(1, len(g) + 1)
    expected = dt / 5 * n * (1 - dt / 5) ** (n - 1.0)
    np.testing.assert_allclose(g, expected, rtol=1e-11 if dtype == jnp.float64 else 1e-3)
    stated = {0.1: 1.8580, 0.01: 1.8412}[dt]
    assert g.max() * 5 == pytest.approx(stated, abs=5e-5 if dtype == jnp.float64 else 1e-4)
    assert n[g.argmax()] * dt == pytest.approx(5.0, abs=1.01 * dt)  # the steps before and at tau are equally high


def test_published_alpha_converges_on_the_alpha_function_with_order_one():
    """t/tau exp(-t/tau): peak 1/e at tau, area tau."""
    dts = np.array([0.4, 0.2, 0.1, 0.05])
    errors, areas = [], []
    for dt in dts:
        g = one_spike("AlphaSynapse", dt, time=100.0, g_drive="published")
        t = dt * np.arange(1, len(g) + 1)
        errors.append(np.abs(g - t / 5 * np.exp(-t / 5)).max())
        areas.append(g.sum() * dt)
    assert np.polyfit(np.log(dts), np.log(errors), 1)[0] == pytest.approx(1.0, abs=0.03)
    assert errors[-1] < 0.01 / np.e
    np.testing.assert_allclose(areas, 5.0, rtol=1e-6)
    fine = one_spike("AlphaSynapse", 0.001, time=8.0, g_drive="published")
    assert fine.max() == pytest.approx(1 / np.e, rel=2e-4)
    assert 0.001 * (1 + fine.argmax()) == pytest.approx(5.0, abs=0.0011)


def test_the_reference_s_alpha_is_as_high_as_its_steps_are_short():
    """n (1 - dt/tau)^(n-1): what a step adds does not depend on dt, so that the peak goes with 1 / dt."""
    peaks = {}
    for dt in (1.0, 0.5, 0.1, 0.05):
        g = one_spike("AlphaSynapse", dt)
        n = np.arange(1, len(g) + 1)
        np.testing.assert_allclose(g, n * (1 - dt / 5) ** (n - 1.0), rtol=1e-11)
        np.testing.assert_allclose(one_spike("AlphaSynapse", dt, g_drive="published"), g * dt / 5, rtol=1e-11)
        peaks[dt] = g.max()
    whole = one_spike("AlphaSynapse", 1.0)
    assert peaks[1.0] == pytest.approx(2.048, rel=1e-12)  # and not 5 / e = 1.839
    np.testing.assert_allclose(whole[[3, 4]], 2.048, rtol=1e-12)
    assert peaks[0.05] * 0.05 == pytest.approx(peaks[0.1] * 0.1, rel=0.01)
    assert peaks[0.1] / peaks[1.0] == pytest.approx(10.0, rel=0.1)


# ------------------------------------------------------------------------------------------------- the other kernels


@pytest.mark.parametrize("dt", [1.0, 0.1])
def test_exponential_jumps_by_the_same_at_every_dt(dt):
    g = one_spike("ExponentialSynapse", dt, g_syn_bar=0.7)
    np.testing.assert_allclose(g, 0.7 * (1 - dt / 5) ** np.arange(len(g)), rtol=1e-11)
    assert g[0] == pytest.approx(0.7)


@pytest.mark.parametrize(("decay", "rise"), [(5.0, 2.0), (10.0, 0.5)])
def test_double_exponential_follows_its_discrete_closed_form(decay, rise):
    """(1 - dt/tau_decay)^n - (1 - dt/tau_rise)^n after n steps; in the reference 1 / dt times as much."""
    for dt in (0.25, 0.1):
        g = one_spike("DoubleExpSynapse", dt, g_drive="published", tau_decay=decay, tau_rise=rise)
        n = np.arange(1, len(g) + 1)
        np.testing.assert_allclose(g, (1 - dt / decay) ** n - (1 - dt / rise) ** n, rtol=1e-10)
        reference = one_spike("DoubleExpSynapse", dt, tau_decay=decay, tau_rise=rise)
        np.testing.assert_allclose(reference * dt, g, rtol=1e-11)


def test_published_double_exponential_converges_with_order_one():
    dts, errors = np.array([0.2, 0.1, 0.05, 0.025]), []
    for dt in dts:
        g = one_spike("DoubleExpSynapse", dt, g_drive="published")
        t = dt * np.arange(1, len(g) + 1)
        errors.append(np.abs(g - (np.exp(-t / 5) - np.exp(-t / 2))).max())
    assert np.polyfit(np.log(dts), np.log(errors), 1)[0] == pytest.approx(1.0, abs=0.05)
    # tau_peak = ln(tau_decay / tau_rise) tau_decay tau_rise / (tau_decay - tau_rise)
    assert 0.025 * (1 + g.argmax()) == pytest.approx(np.log(5 / 2) * 10 / 3, abs=0.03)
    assert errors[-1] < 0.005


def test_nearly_equal_time_constants_are_an_alpha_function():
    """The limit of the difference over the distance of the two rates."""
    g = one_spike("DoubleExpSynapse", 0.01, g_drive="published", tau_rise=4.999) / (1 / 4.999 - 1 / 5.0)
    alpha = one_spike("AlphaSynapse", 0.01, g_drive="published") * 5.0
    np.testing.assert_allclose(g, alpha, rtol=2e-3)


@pytest.mark.parametrize("rise", [5.0, 8.0])
def test_a_rise_that_is_not_shorter_than_the_decay_is_a_fault(rise):
    with pytest.raises(ConfigError, match=rf"W: tau_rise must be below tau_decay, 5 ms, not {rise:g}") as caught:
        checked("DoubleExpSynapse", tau_rise=rise)
    assert caught.value.exit_code == 2 and caught.value.faults[0].path == ("components", "W", "tau_rise")


# ------------------------------------------------------------------------------------------------- exact integration

EXACT = {  # kernels of height g_syn_bar at time t, and their integrals from 0 to t; tau_decay 5, tau_rise 2
    "ExponentialSynapse": (lambda t: np.exp(-t / 5), lambda t: 5 * (1 - np.exp(-t / 5))),
    "AlphaSynapse": (lambda t: t / 5 * np.exp(-t / 5), lambda t: 5 - (5 + t) * np.exp(-t / 5)),
    "DoubleExpSynapse": (
        lambda t: np.exp(-t / 5) - np.exp(-t / 2),
        lambda t: 5 * (1 - np.exp(-t / 5)) - 2 * (1 - np.exp(-t / 2)),
    ),
}


def exactly(type_name: str, **settings: Any) -> Synapse:
    """The kernel stepped by its propagator."""
    published = {} if type_name == "ExponentialSynapse" else {"g_drive": "published"}
    return conductance(type_name, integration="exact", **published, **settings)


@pytest.mark.parametrize("dt", [2.5, 0.1])
@pytest.mark.parametrize("type_name", TYPES)
def test_exact_steps_are_on_the_kernel_at_any_dt(type_name, dt):
    """Spikes in steps 0 and 7, a strength of .7: g_syn is the sum of two kernels where each step begins."""
    kernel_of, _ = EXACT[type_name]
    steps = round(40 / dt)
    spikes = np.zeros((steps, 1, 1))
    spikes[0], spikes[7] = 1.0, 2.0
    found = run(exactly(type_name, g_syn_bar=0.7), {"inputs": spikes}, steps, dt=dt, dtype=jnp.float64)
    t = dt * np.arange(steps)
    expected = 0.7 * (kernel_of(t) + 2.0 * np.where(t >= 7 * dt - 1e-9, kernel_of(t - 7 * dt), 0.0))
    np.testing.assert_allclose(found["g_syn"].ravel(), expected, rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("dt", [2.5, 0.1])
@pytest.mark.parametrize("type_name", TYPES)
def test_what_is_sent_under_exact_steps_is_the_mean_over_each_step(type_name, dt):
    _, area = EXACT[type_name]
    steps = round(40 / dt)
    spikes = np.zeros((steps, 1, 1))
    spikes[0] = 1.0
    one = exactly(type_name, current_form="published", resist_scale=1.7, bias_init=Constant(value=0.25))
    found = run(one, {"inputs": spikes}, steps, dt=dt, dtype=jnp.float64)
    t = dt * np.arange(steps + 1)
    np.testing.assert_allclose(found["outputs"].ravel(), 1.7 * np.diff(area(t)) / dt + 0.25, rtol=1e-9)
    np.testing.assert_allclose(found["i_syn"], 1.7 * found["g_syn"], rtol=1e-12)


@pytest.mark.parametrize("type_name", TYPES)
def test_a_conductance_sends_its_mean_times_the_distance_from_reversal(type_name):
    _, area = EXACT[type_name]
    spikes = np.zeros((30, 1, 1))
    spikes[0] = 1.0
    inputs = {"inputs": spikes, "v": -60.0}
    found = run(exactly(type_name, syn_rest=-80.0), inputs, 30, dt=0.5, dtype=jnp.float64)
    mean = np.diff(area(0.5 * np.arange(31))) / 0.5
    np.testing.assert_allclose(found["outputs"].ravel(), -20.0 * mean, rtol=1e-9)
    np.testing.assert_allclose(found["i_syn"], -20.0 * found["g_syn"], rtol=1e-12)


def test_an_epsp_of_exact_parts_is_the_closed_form():
    """tau_m dv/dt = -v + e^(-t/tau): v = tau / (tau - tau_m) (e^(-t/tau) - e^(-t/tau_m)). A step's mean leaves an error
    of second order, a current that is taken from where the step begins one of first."""
    errors = {}
    for integration, dts in (("euler", (0.2, 0.1)), ("exact", (0.2, 0.1))):
        for dt in dts:
            spikes = np.zeros((round(60 / dt), 1, 1))
            spikes[0] = 1.0
            one = conductance("ExponentialSynapse", integration=integration, current_form="published")
            sent = run(one, {"inputs": spikes}, len(spikes), dt=dt, dtype=jnp.float64)["outputs"]
            cell = LIFCell(n_units=1, tau_m=20.0, v_rest=0.0, thr=1e3, integration_type="exponential_euler")
            v = run(cell, {"j": sent}, len(spikes), dt=dt, dtype=jnp.float64)["v"].ravel()
            t = dt * np.arange(1, len(spikes) + 1)
            truth = 5 / (5 - 20.0) * (np.exp(-t / 5) - np.exp(-t / 20))
            errors[integration, dt] = np.abs(v - truth).max() / truth.max()
    assert errors["exact", 0.1] < 1e-4 < 1e-3 < errors["euler", 0.1]
    assert errors["exact", 0.2] / errors["exact", 0.1] == pytest.approx(4.0, rel=0.05)
    assert errors["euler", 0.2] / errors["euler", 0.1] == pytest.approx(2.0, rel=0.05)


def test_a_published_current_has_the_sign_of_its_weight():
    for type_name in TYPES:
        for weight in (0.5, -2.0):
            init = Constant(value=weight)
            spikes = np.zeros((20, 1, 1))
            spikes[0] = 1.0
            of = {
                form: run(
                    conductance(type_name, weight_init=init, current_form=form),
                    {"inputs": spikes},
                    20,
                    dtype=jnp.float64,
                )["outputs"]
                for form in ("reference", "published")
            }
            np.testing.assert_array_equal(of["published"], -of["reference"])
            assert np.sign(of["published"].sum()) == np.sign(weight)


@pytest.mark.parametrize("type_name", ["AlphaSynapse", "DoubleExpSynapse"])
def test_exact_steps_of_what_the_reference_adds_in_each_step_are_a_fault(type_name):
    with pytest.raises(ConfigError, match="write g_drive: published beside it") as caught:
        checked(type_name, integration="exact")
    assert caught.value.faults[0].path == ("components", "W", "integration")
    checked(type_name, integration="exact", g_drive="published")


@pytest.mark.parametrize("type_name", TYPES)
def test_a_sign_for_a_current_that_has_one_is_a_fault(type_name):
    with pytest.raises(ConfigError, match="current_form is for currents") as caught:
        checked(type_name, {"W.v": -60.0}, syn_rest=-70.0, current_form="published")
    assert caught.value.faults[0].path == ("components", "W", "current_form")


# -------------------------------------------------------------------------------- against the equations, by hand


def kernel(type_name: str, drives: np.ndarray, dt: float, s: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """h and g after each step, (steps, B, ...), from the equations; h is 0 where there is none."""
    decay, bar = s["tau_decay"], s["g_syn_bar"]
    rise = s.get("tau_rise", decay)
    published = s.get("g_drive") == "published"
    factor = {"AlphaSynapse": 1.0}.get(type_name, 1 / rise - 1 / decay if rise != decay else 0.0)
    share = {"AlphaSynapse": dt / decay, "DoubleExpSynapse": dt}.get(type_name, 1.0) if published else 1.0
    h, g, seen = np.zeros(drives.shape[1:]), np.zeros(drives.shape[1:]), []
    for u in drives:
        if type_name == "ExponentialSynapse":
            g = g + dt * (-g / decay) + bar * u
        else:
            h = h + dt * (-h / rise) + factor * bar * u
            g = g + dt * (-g / decay) + share * h
        seen.append((h, g))
    return np.stack([h for h, _ in seen]), np.stack([g for _, g in seen])


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("syn_rest", [None, -70.0, 0.0])
@pytest.mark.parametrize(("type_name", "drive"), FORMS)
def test_dense_kernels_currents_and_biases(type_name, drive, syn_rest, batch):
    random = np.random.default_rng(5)
    steps, dt = 50, 0.25
    w, b = random.uniform(-0.3, 0.9, (5, 3)), random.normal(size=3)
    spikes = (random.uniform(size=(steps, batch, 5)) < 0.2).astype(float)
    v = random.uniform(-80.0, -40.0, (steps, batch, 3))
    settings: dict[str, Any] = dict(tau_decay=4.0, g_syn_bar=0.6)
    if type_name == "DoubleExpSynapse":
        settings["tau_rise"] = 1.3
    if type_name != "ExponentialSynapse":
        settings["g_drive"] = drive
    h, g = kernel(type_name, spikes @ w, dt, settings)
    current = -1.7 * g * (1.0 if syn_rest is None else v - (syn_rest or 0.0))
    one = conductance(type_name, (5, 3), syn_rest=syn_rest, resist_scale=1.7, bias_init=Constant(value=0.0), **settings)
    inputs = {"inputs": spikes} if syn_rest is None else {"inputs": spikes, "v": v}
    start = {"weights": w, "biases": b}
    found = run(one, inputs, steps, dt=dt, batch=batch, start=start, dtype=jnp.float64)
    np.testing.assert_allclose(found["g_syn"], g, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found["i_syn"], current, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found["outputs"], current + b, rtol=1e-9, atol=1e-12)
    if type_name != "ExponentialSynapse":
        np.testing.assert_allclose(found["h_syn"], h, rtol=1e-9, atol=1e-12)


def placed(kind: str, x: np.ndarray, w: np.ndarray) -> np.ndarray:
    """What filters send, pixel by pixel, at stride 1 (conv) or 2 (deconv) with SAME padding."""
    (ky, kx), (height, width) = w.shape[:2], x.shape[1:3]
    if kind == "conv":
        y = np.zeros((*x.shape[:3], w.shape[3]))
        for a, b, i, j in itertools.product(range(ky), range(kx), range(height), range(width)):
            p, q = i + a - (ky - 1) // 2, j + b - (kx - 1) // 2
            if 0 <= p < height and 0 <= q < width:
                y[:, i, j] += x[:, p, q] @ w[a, b]
        return y
    y = np.zeros((x.shape[0], 2 * height, 2 * width, w.shape[3]))
    before = [k - 1 if 2 > k - 1 else -(-k // 2) for k in (ky, kx)]  # zeros before the spread-out input
    for a, b, p, q in itertools.product(range(ky), range(kx), range(height), range(width)):
        i, j = 2 * p - a + before[0], 2 * q - b + before[1]
        if 0 <= i < 2 * height and 0 <= j < 2 * width:
            y[:, i, j] += x[:, p, q] @ w[a, b]
    return y


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("syn_rest", [None, -65.0])
@pytest.mark.parametrize("kind", ["conv", "deconv"])
def test_an_alpha_conductance_behind_filters(kind, syn_rest, batch):
    """A product that the reference lacks, on images that are not square, against loops over pixels."""
    random = np.random.default_rng(8)
    steps, dt, kernel_shape = 50, 0.5, (3, 2, 2, 3)
    w = random.uniform(-0.2, 0.8, kernel_shape)
    spikes = (random.uniform(size=(steps, batch, 5, 4, 2)) < 0.2).astype(float)
    wiring = dict(shape=kernel_shape, x_shape=(5, 4), **({} if kind == "conv" else {"stride": 2, "padding": "SAME"}))
    settings = dict(tau_decay=4.0, g_syn_bar=0.6, g_drive="published")
    one = Synapse(
        connectivity=catalogue.parts("connectivity")[kind](**wiring),
        dynamics=catalogue.parts("dynamics")["alpha"](syn_rest=syn_rest, **settings),
        rule=StaticRule(),
        resist_scale=1.7,
        bias_init=Constant(value=0.25),
    )
    drives = np.stack([placed(kind, x, w) for x in spikes])
    _, g = kernel("AlphaSynapse", drives, dt, settings)
    v = random.uniform(-80.0, -40.0, drives.shape)
    inputs = {"inputs": spikes} if syn_rest is None else {"inputs": spikes, "v": v}
    found = run(one, inputs, steps, dt=dt, batch=batch, start={"weights": w}, dtype=jnp.float64)
    np.testing.assert_allclose(found["g_syn"], g, rtol=1e-8, atol=1e-11)
    current = -1.7 * g * (1.0 if syn_rest is None else v - syn_rest)
    np.testing.assert_allclose(found["i_syn"], current, rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(found["outputs"], current + 0.25, rtol=1e-8, atol=1e-9)


# ---------------------------------------------------------------------------------------- in a config: weights, wires


def checked(type_name: str, wires: dict[str, Any] | None = None, shape: Any = (4, 3), **settings: Any) -> Any:
    settings = {"tau_decay": 5.0, "g_syn_bar": 1.0, "syn_rest": None, **settings}
    if type_name == "DoubleExpSynapse":
        settings = {"tau_rise": 2.0, **settings}
    return api.check(
        {
            "name": "one",
            "run": {"steps": 6},
            "components": {"W": {"type": type_name, "shape": list(shape), **settings}},
            "wires": {"W.inputs": 1.0, **(wires or {})},
        }
    )


def weights(it: Any, steps: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """The weights before and after some steps."""
    with computing(it.spec):
        graph = it.phases[0].graph
        start = engine.initial_state(graph)
        carry, _ = jax.jit(lambda c: engine.steps(graph, (), c, {}, jnp.uint32(0), jnp.int32(0), steps))(
            engine.start_carry(graph)
        )
    return np.asarray(start["W"]["weights"]), np.asarray(carry.state["W"]["weights"])


@pytest.mark.parametrize("type_name", TYPES)
def test_weights_are_one_where_none_are_given_and_nothing_learns(type_name):
    for settings, expected in (
        ({}, 1.0),
        ({"is_nonplastic": True, "weight_init": 0.3}, 0.3),  # the reference forgets what it was given
        ({"is_nonplastic": False, "weight_init": 0.3}, 0.3),
    ):
        before, after = weights(checked(type_name, **settings))
        np.testing.assert_array_equal(before, np.float32(expected))
        np.testing.assert_array_equal(after, before)
    drawn, _ = weights(checked(type_name, is_nonplastic=False))
    assert np.ptp(drawn) > 0.1 and drawn.min() >= 0.025 and drawn.max() <= 0.8


@pytest.mark.parametrize("type_name", TYPES)
def test_p_conn_and_mask_are_kept(type_name, tmp_path):
    """Faults 7 and 24: the reference takes p_conn for a probability of release, and fills sparse weights with ones."""
    before, after = weights(checked(type_name, shape=(30, 20), p_conn=0.4))
    assert set(np.unique(before)) == {0.0, 1.0} and 0.3 < before.mean() < 0.5
    np.testing.assert_array_equal(before, after)
    mask = (np.arange(12).reshape(4, 3) % 2).astype(float)
    np.save(tmp_path / "mask.npy", mask)
    masked, _ = weights(checked(type_name, mask={"type": "file", "path": str(tmp_path / "mask.npy")}))
    np.testing.assert_array_equal(masked, mask)
    given, _ = weights(checked(type_name, shape=(30, 20), p_conn=0.4, weight_init=0.7))
    np.testing.assert_array_equal(given, np.float32(0.7) * before)


def test_what_p_conn_takes_away_sends_nothing():
    it = checked("AlphaSynapse", shape=(30, 20), p_conn=0.4, g_drive="published")
    with computing(it.spec):
        graph = it.phases[0].graph
        carry, _ = jax.jit(lambda c: engine.steps(graph, (), c, {}, jnp.uint32(0), jnp.int32(0), 1))(
            engine.start_carry(graph)
        )
    w = np.asarray(carry.state["W"]["weights"])
    np.testing.assert_allclose(np.asarray(carry.state["W"]["g_syn"])[0], w.sum(0) / 5, rtol=1e-6)


def test_weights_learn_behind_a_conductance_and_stay_sparse():
    """Where a rule learns, is_nonplastic says nothing: weights start as any synapse's do."""
    settings = dict(connectivity="dense", dynamics="alpha", rule="hebbian", eta=0.05, sign_value=-1.0, p_conn=0.5)
    it = checked("Synapse", {"W.pre": 1.0, "W.post": 0.5}, (30, 20), **settings)
    before, after = weights(it)
    assert 0.3 < (before == 0).mean() < 0.7 and len(np.unique(before)) > 100
    np.testing.assert_array_equal(before == 0, after == 0)
    assert (after[before > 0] > before[before > 0]).all()


@pytest.mark.parametrize("type_name", TYPES)
def test_the_voltage_has_to_be_wired_where_there_is_a_reversal_potential(type_name):
    with pytest.raises(ConfigError, match=r"W\.v needs a wire") as caught:
        checked(type_name, syn_rest=-70.0)
    assert caught.value.exit_code == 2
    assert "v" in checked(type_name, {"W.v": -60.0}, syn_rest=-70.0).phases[0].graph.parts["W"].compartments
    assert "v" not in checked(type_name).phases[0].graph.parts["W"].compartments
    with pytest.raises(ConfigError, match=r"W \(\w+\) has no compartment .v."):
        checked(type_name, {"W.v": -60.0})


def test_the_reversal_potential_has_to_be_said_though_it_may_be_null():
    with pytest.raises(ConfigError, match=r"W \(AlphaSynapse\) needs syn_rest, in mV"):
        api.check(
            {
                "run": {"steps": 1},
                "wires": {"W.inputs": 1},
                "components": {"W": {"type": "AlphaSynapse", "shape": [2, 2], "tau_decay": 5, "g_syn_bar": 1}},
            }
        )


@pytest.mark.parametrize("type_name", TYPES)
@pytest.mark.parametrize("tau", [0.0, -3.0])
def test_time_constants_are_above_zero(type_name, tau):
    for name in ("tau_decay", *(("tau_rise",) if type_name == "DoubleExpSynapse" else ())):
        with pytest.raises(ConfigError, match=f"{name} must be above 0"):
            checked(type_name, **{name: tau})


def test_settings_come_in_the_order_of_the_source_document():
    from synsim import describe

    required = [name for name, each in describe.settings("AlphaSynapse").items() if each.required]
    assert required == ["tau_decay", "g_syn_bar", "syn_rest"]


def test_reset_leaves_the_voltage_alone_and_clears_the_conductance():
    """Fault 12: the voltage belongs to another component. (Inlets are no part of the state at all.)"""
    one = conductance("AlphaSynapse", syn_rest=-70.0)
    assert one.compartments["v"].kind == "inlet"
    assert set(starts(one, 2)) == {"weights", "g_syn", "h_syn", "i_syn", "outputs", "dInputs"}
    assert not any(each.learned for name, each in one.compartments.items() if name != "weights")
