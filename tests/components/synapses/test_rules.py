"""Learning rules against their equations, written out in numpy float64 from the outer products by hand."""

from __future__ import annotations

import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from stepping import call, run, starts, synapse, unwired

from synsim.component import Now
from synsim.components.synapses.rules.hebbian import PRIORS
from synsim.components.synapses.rules.rule import Rule
from synsim.initialisers import Constant

pytestmark = pytest.mark.usefixtures("small_programs")

B = 3
DENSE = dict(shape=(4, 3))
CONV = dict(shape=(3, 2, 2, 3), x_shape=(5, 4))
NOW = Now(0.0, 0, 1.0, jax.random.key(0))


@pytest.fixture(autouse=True)
def _in_float64():
    with jax.enable_x64(True):
        yield


def product(pre: np.ndarray, post: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The Hebbian product summed over the rows, and for filters over every place where a weight stands."""
    if len(shape) == 2:
        return np.einsum("bi,bj->ij", pre, post)
    height, width = shape[:2]
    found = np.zeros(shape)
    for p, q, i, j in itertools.product(range(height), range(width), range(pre.shape[1]), range(pre.shape[2])):
        y, x = i + p - (height - 1) // 2, j + q - (width - 1) // 2
        if 0 <= y < pre.shape[1] and 0 <= x < pre.shape[2]:
            found[p, q] += np.einsum("bc,bo->co", pre[:, y, x], post[:, i, j])
    return found


def case(kind: str, seed: int = 0) -> tuple[str, dict[str, Any], np.ndarray, dict[str, np.ndarray]]:
    """Preset name without its rule, shape, weights of either sign within 1, and a signal for either side."""
    random = np.random.default_rng(seed)
    wiring = DENSE if kind == "dense" else CONV
    sides = ((B, 4), (B, 3)) if kind == "dense" else ((B, 5, 4, 2), (B, 5, 4, 3))
    w = random.uniform(-0.9, 0.9, wiring["shape"])
    return (
        "" if kind == "dense" else "Conv",
        wiring,
        w,
        {"pre": random.normal(size=sides[0]), "post": random.normal(size=sides[1])},
    )


def evolved(
    one: Any, w: np.ndarray, signals: dict[str, np.ndarray], steps: int = 1, method: str = "evolve", **start: Any
) -> dict[str, np.ndarray]:
    played = {name: np.broadcast_to(value, (steps, *np.shape(value))) for name, value in signals.items()}
    return run(one, played, steps, batch=B, methods=[method], start={"weights": w, **start}, dtype=jnp.float64)


def hebbian(kind: str, **settings: Any) -> Any:
    conv, wiring, _, _ = case(kind)
    return synapse(f"Hebbian{conv}Synapse", **wiring, **settings)


# --------------------------------------------------------------------------------------------------------- Hebbian


@pytest.mark.parametrize("sign", [-1.0, 1.0])
@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("kind", ["dense", "conv"])
def test_hebbian_update_and_step(kind, soft, sign):
    _, wiring, w, signals = case(kind)
    one = hebbian(
        kind,
        eta=0.01,
        w_bound=1.5,
        soft_bound=soft,
        sign_value=sign,
        pre_wght=0.7,
        post_wght=-1.3,
        bias_init=Constant(value=0.2),
    )
    update = product(0.7 * signals["pre"], -1.3 * signals["post"], wiring["shape"])
    update = update * (1.5 - np.abs(w)) if soft else update
    found = evolved(one, w, signals)
    np.testing.assert_allclose(found["dWeights"][0], sign * update, rtol=1e-12)
    np.testing.assert_allclose(found["weights"][0], np.clip(w - 0.01 * sign * update, -1.5, 1.5), rtol=1e-12)
    biases = sign * (-1.3 * signals["post"]).reshape(-1, 3).sum(0)
    np.testing.assert_allclose(found["dBiases"][0], biases, rtol=1e-12)
    np.testing.assert_allclose(found["biases"][0], 0.2 - 0.01 * biases, rtol=1e-12)


@pytest.mark.parametrize("kind", ["dense", "conv"])
def test_no_bound_at_zero(kind):
    """w_bound 0 bounds neither softly nor hard, and a weight beyond 1 is no exception."""
    _, wiring, w, signals = case(kind)
    update = product(signals["pre"], signals["post"], wiring["shape"])
    found = evolved(hebbian(kind, eta=1.0, w_bound=0.0, soft_bound=True, sign_value=-1.0), 3 * w, signals)
    np.testing.assert_allclose(found["weights"][0], 3 * w + update, rtol=1e-12)
    assert np.abs(found["weights"]).max() > 2.0


@pytest.mark.parametrize("bound", [0.0, 0.6])
@pytest.mark.parametrize("kind", ["dense", "conv"])
def test_nonnegative_with_and_without_a_bound(kind, bound):
    _, wiring, w, signals = case(kind)
    one = hebbian(kind, eta=0.1, w_bound=bound, soft_bound=False, is_nonnegative=True, sign_value=-1.0)
    expected = w + 0.1 * product(signals["pre"], signals["post"], wiring["shape"])
    found = evolved(one, w, signals)["weights"][0]
    np.testing.assert_allclose(found, np.clip(expected, 0.0, bound or np.inf), rtol=1e-12)
    assert (found == 0.0).any() and (found > 0.0).any()


def pull(prior: str, w: np.ndarray, strength: float, ratio: float) -> np.ndarray:
    return {
        "none": 0.0 * w,
        "l2": strength * w,
        "l1": strength * np.sign(w),
        "l1l2": strength * (ratio * np.sign(w) + (1 - ratio) * w / 2),
    }[PRIORS[prior]]


@pytest.mark.parametrize("form", ["reference", "published"])
@pytest.mark.parametrize("sign", [-1.0, 1.0])
@pytest.mark.parametrize("prior", PRIORS)
def test_priors_by_all_their_names(prior, sign, form):
    _, wiring, w, signals = case("dense")
    one = hebbian(
        "dense", eta=0.1, w_bound=0.0, prior=prior, prior_lmbda=0.4, l1_ratio=0.3, prior_form=form, sign_value=sign
    )
    update = product(signals["pre"], signals["post"], wiring["shape"])
    loss = pull(prior, w, 0.4, 0.3)
    # as the reference has it the sign turns the prior too; published, the prior shrinks weights whatever the sign
    expected = sign * (update - loss) if form == "reference" else sign * update + loss
    np.testing.assert_allclose(evolved(one, w, signals)["dWeights"][0], expected, rtol=1e-12)


def test_every_synonym_of_a_prior_is_tried():
    assert set(PRIORS.values()) == {"none", "l2", "l1", "l1l2"}
    assert {name for name, form in PRIORS.items() if form == "l2"} == {"l2", "ridge", "gaussian"}
    assert {name for name, form in PRIORS.items() if form == "l1"} == {"l1", "lasso", "laplacian"}
    assert {name for name, form in PRIORS.items() if form == "l1l2"} == {"l1l2", "elastic_net"}


@pytest.mark.parametrize("kind", ["dense", "conv"])
@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_decay_is_an_l2_prior_in_place_of_the_prior(kind, sign):
    _, _, w, signals = case(kind)
    silent = {name: 0.0 * value for name, value in signals.items()}
    found = evolved(
        hebbian(kind, eta=0.1, w_bound=0.0, w_decay=0.5, prior="l1", prior_lmbda=9.0, sign_value=sign), w, silent
    )["weights"][0]
    grows = kind == "dense" and sign > 0  # fault 23: kept for dense, where the sign is the reference's; filters shrink
    np.testing.assert_allclose(found, w * (1.05 if grows else 0.95), rtol=1e-12)


@pytest.mark.parametrize("kind", ["dense", "conv"])
def test_rows_are_summed_not_averaged(kind):
    """Three equal rows teach three times what one does; pre_wght or post_wght of 1/B makes it a mean."""
    _, wiring, w, signals = case(kind)
    same = {name: np.broadcast_to(value[:1], value.shape) for name, value in signals.items()}
    one = hebbian(kind, w_bound=0.0, sign_value=-1.0)
    alone = product(signals["pre"][:1], signals["post"][:1], wiring["shape"])
    np.testing.assert_allclose(evolved(one, w, same)["dWeights"][0], -B * alone, rtol=1e-12)
    mean = hebbian(kind, w_bound=0.0, sign_value=-1.0, post_wght=1 / B)
    np.testing.assert_allclose(evolved(mean, w, same)["dWeights"][0], -alone, rtol=1e-12)


@pytest.mark.parametrize("optim_type", ["sgd", "momentum", "nag", "adam", "adamw", "rmsprop"])
@pytest.mark.parametrize("kind", ["dense", "conv"])
def test_an_optimiser_has_states_for_weights_and_biases_alike(kind, optim_type):
    """Biases and weights that see the same update move alike: both have their own slots, and one count."""
    one = hebbian(kind, eta=0.01, w_bound=0.0, optim_type=optim_type, bias_init=Constant(value=0.3))
    _, wiring, w, signals = case(kind)
    ones = {name: np.zeros_like(value) for name, value in signals.items()}
    ones["pre"][(0, 0) if kind == "dense" else (0, 1, 1)] = 1.0  # the update is 1 in some weights and in every bias
    ones["post"][0 if kind == "dense" else (0, 1, 1)] = 1.0
    start = np.full(wiring["shape"], 0.3)
    found = evolved(one, start, ones, steps=4)
    update = product(ones["pre"], ones["post"], wiring["shape"])
    assert update.max() == 1.0 and update.sum() == (3.0 if kind == "dense" else 6.0)
    moved = found["weights"][:, update == 1.0]
    np.testing.assert_allclose(moved, np.broadcast_to(found["biases"][:, :1], moved.shape), rtol=1e-12)
    assert (np.diff(moved[:, 0]) < 0).all()
    if "updates" in found:
        np.testing.assert_array_equal(found["updates"], [1, 2, 3, 4])
    slots = {name.partition("_")[2] for name in found if name.startswith("weights_")}
    assert slots == {name.partition("_")[2] for name in found if name.startswith("biases_")}


def test_three_updates_of_adam_by_hand():
    """The rule hands the optimiser its update and its learning rate, and keeps the moments between calls."""
    _, wiring, w, signals = case("dense")
    one = hebbian("dense", eta=0.02, w_bound=0.0, sign_value=-1.0, optim_type="adam")
    found = evolved(one, w, signals, steps=3)
    grad = -product(signals["pre"], signals["post"], wiring["shape"])
    mean = square = 0.0
    for n in (1, 2, 3):
        mean, square = 0.9 * mean + 0.1 * grad, 0.999 * square + 0.001 * grad**2
        w = w - 0.02 * (mean / (1 - 0.9**n)) / (np.sqrt(square / (1 - 0.999**n)) + 1e-8)
        np.testing.assert_allclose(found["weights"][n - 1], w, rtol=1e-10)


# ------------------------------------------------------------------------------------------------------ trace-STDP


def stdp_case(kind: str) -> tuple[Any, np.ndarray, dict[str, np.ndarray]]:
    conv, wiring, w, signals = case(kind, seed=3)
    random = np.random.default_rng(5)
    pre, post = signals["pre"].shape, signals["post"].shape
    played = {
        "preSpike": random.integers(0, 2, pre).astype(float),
        "preTrace": random.uniform(0, 1, pre),
        "postSpike": random.integers(0, 2, post).astype(float),
        "postTrace": random.uniform(0, 1, post),
    }
    return wiring, 0.5 + 0.5 * w, played


def stdp(kind: str, **settings: Any) -> Any:
    conv, wiring, _, _ = case(kind)
    return synapse(f"TraceSTDP{conv}Synapse", **wiring, **{"A_plus": 0.3, "A_minus": 0.2, "eta": 0.1, **settings})


def stdp_update(
    wiring: Any, w: np.ndarray, s: dict[str, np.ndarray], target: float = 0.0, bound: float = 1.0, mu: float = 0.0
) -> np.ndarray:
    grown = 0.3 * product(s["preTrace"] - target, s["postSpike"], wiring["shape"])
    shrunk = 0.2 * product(s["preSpike"], s["postTrace"], wiring["shape"])
    return grown * (bound - w) ** mu - shrunk * w**mu if mu else grown - shrunk


@pytest.mark.parametrize("mu", [0.0, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("kind", ["dense", "conv"])
def test_trace_stdp_update_and_step(kind, mu):
    wiring, w, signals = stdp_case(kind)
    update = stdp_update(wiring, w, signals, target=0.2, bound=1.2, mu=mu)
    found = evolved(stdp(kind, mu=mu, pretrace_target=0.2, w_bound=1.2, w_margin=0.01), w, signals)
    np.testing.assert_allclose(found["dWeights"][0], update, rtol=1e-11)
    np.testing.assert_allclose(found["weights"][0], np.clip(w + 0.1 * update, 0.01, 1.19), rtol=1e-11)


@pytest.mark.parametrize("kind", ["dense", "conv"])
def test_trace_stdp_decays_by_time_constant_and_by_share(kind):
    wiring, w, signals = stdp_case(kind)
    update = stdp_update(wiring, w, signals)
    found = evolved(stdp(kind, tau_w=20.0, w_decay=0.03, w_bound=0.0), w, signals)["weights"][0]
    np.testing.assert_allclose(found, w + 0.1 * update - w / 20.0 - 0.03 * w, rtol=1e-11)


@pytest.mark.parametrize("kind", ["dense", "conv"])
def test_trace_stdp_without_a_bound(kind):
    wiring, w, signals = stdp_case(kind)
    w = 4 * w - 2
    found = evolved(stdp(kind, w_bound=0.0), w, signals)["weights"][0]
    np.testing.assert_allclose(found, w + 0.1 * stdp_update(wiring, w, signals), rtol=1e-11)
    assert found.min() < 0 and found.max() > 1


@pytest.mark.parametrize("kind", ["dense", "conv"])
def test_trace_stdp_sums_rows_and_places(kind):
    """Fault 26: kept as in the reference; the strengths A say what a mean would need."""
    wiring, w, signals = stdp_case(kind)
    same = {name: np.broadcast_to(value[:1], value.shape) for name, value in signals.items()}
    alone = stdp_update(wiring, w, {name: value[:1] for name, value in signals.items()})
    np.testing.assert_allclose(evolved(stdp(kind), w, same)["dWeights"][0], B * alone, rtol=1e-11)


def test_filters_of_trace_stdp_keep_away_from_zero_and_from_their_bound():
    """Fault 25, kept: where filters are bounded at all they stay within .01 of either end; by default they are not."""
    wiring, w, signals = stdp_case("conv")
    strong = evolved(stdp("conv", eta=5.0, w_bound=1.0), w, signals)["weights"][0]
    assert strong.min() == 0.01 and strong.max() == 0.99
    free = evolved(synapse("TraceSTDPConvSynapse", **wiring, A_plus=1.0, A_minus=1.0), w, signals)
    np.testing.assert_array_equal(free["weights"][0], w)  # and eta is 0 unless it is written


# ---------------------------------------------------------------------------------------------------- calc_update


@pytest.mark.parametrize("kind", ["dense", "conv"])
@pytest.mark.parametrize("rule", ["Hebbian", "TraceSTDP"])
def test_calc_update_is_what_evolve_would_do_and_changes_nothing(rule, kind):
    if rule == "Hebbian":
        _, _, w, signals = case(kind)
        one = hebbian(kind, eta=0.1, bias_init=Constant(value=0.1), w_bound=0.0, optim_type="adam")
    else:
        _, w, signals = stdp_case(kind)
        one = stdp(kind, w_bound=0.0)
    values = starts(one, B, jnp.float64) | {"weights": jnp.asarray(w)}
    fed = unwired(one, B, jnp.float64) | {name: jnp.asarray(value) for name, value in signals.items()}
    told = call(one, "calc_update", values, fed, NOW)
    done = call(one, "evolve", values, fed, NOW)
    states = [name for name, c in one.compartments.items() if c.kind == "state"]
    for name in states:
        np.testing.assert_array_equal(told[name], values[name], err_msg=name)
    np.testing.assert_array_equal(told["dWeights"], done["dWeights"])
    assert np.abs(told["dWeights"]).min() > 0 and not np.array_equal(done["weights"], w)
    if "dBiases" in told:
        np.testing.assert_array_equal(told["dBiases"], done["dBiases"])


def test_a_static_synapse_has_nothing_to_evolve():
    one = synapse("DenseSynapse", shape=(3, 2))
    assert set(one.methods) == {"advance", "backtransmit"} and not one.rule.plastic
    for method in (lambda: one.rule.change(None, None), lambda: one.rule.evolve(None, None, None)):
        with pytest.raises(TypeError, match="StaticRule has no"):
            method()
    assert Rule.uses is None
