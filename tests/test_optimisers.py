"""Optimisers against known numbers, the reference's sequence, and optax."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from synsim.optimisers import OPTIMISERS

RNG = np.random.default_rng(0)
W = jnp.asarray(RNG.normal(size=(4, 3)), jnp.float32)
GRADS = jnp.asarray(RNG.normal(size=(60, 4, 3)), jnp.float32)


def descend(name, eta, w, grads):
    """The values after each update."""
    optimiser = OPTIMISERS[name]
    slots = {slot: jnp.zeros_like(w) for slot, _ in optimiser.slots}
    seen = []
    for n, grad in enumerate(grads, start=1):
        w, slots = optimiser.step(eta, w, grad, slots, jnp.float32(n) if optimiser.counts else None)
        assert set(slots) == {slot for slot, _ in optimiser.slots}
        assert all(value.shape == w.shape and value.dtype == w.dtype for value in slots.values())
        seen.append(w)
    return np.asarray(jnp.stack(seen))


def test_the_first_updates_of_the_reference():
    one, half = jnp.float32(1.0), jnp.full((3,), 0.5, jnp.float32)
    np.testing.assert_allclose(descend("sgd", 0.1, one, half), [0.95, 0.90, 0.85], rtol=1e-6)
    np.testing.assert_allclose(descend("adam", 0.1, one, half)[:2], [0.9000007, 0.8000017], rtol=1e-6)
    np.testing.assert_allclose(descend("nag", 0.1, one, half), [0.95, 0.855, 0.7195], rtol=1e-6)


OPTAX = {
    "sgd": lambda eta: optax.sgd(eta),
    "momentum": lambda eta: optax.sgd(eta, momentum=0.9),
    "adam": lambda eta: optax.adam(eta),
    "adamw": lambda eta: optax.adamw(eta),
    "rmsprop": lambda eta: optax.rmsprop(eta),
}


@pytest.mark.parametrize("name", OPTAX)
def test_the_same_as_optax(name):
    other = OPTAX[name](0.05)
    w, state, expected = W, other.init(W), []
    for grad in GRADS:
        update, state = other.update(grad, state, w)
        w = optax.apply_updates(w, update)
        expected.append(w)
    np.testing.assert_allclose(descend(name, 0.05, W, GRADS), np.stack(expected), rtol=1e-5, atol=1e-6)


def test_nag_against_its_recurrence():
    w, before, expected = np.asarray(W, np.float64), None, []
    for grad in np.asarray(GRADS, np.float64):
        ahead = w - 0.05 * grad
        w = ahead + (0.0 if before is None else 0.9 * (ahead - before))
        before = ahead
        expected.append(w)
    np.testing.assert_allclose(descend("nag", 0.05, W, GRADS), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", OPTIMISERS)
def test_all_go_downhill(name):
    """The minimum of (w - 3)^2 is found."""
    optimiser = OPTIMISERS[name]
    w = jnp.zeros(4)
    slots = {slot: jnp.zeros_like(w) for slot, _ in optimiser.slots}

    @jax.jit
    def step(w, slots, n):
        return optimiser.step(0.03, w, 2 * (w - 3.0), slots, n)

    for n in range(1, 400):
        w, slots = step(w, slots, jnp.float32(n))
    np.testing.assert_allclose(w, 3.0, atol=0.05)


def test_the_rate_is_a_leaf():
    swept = jax.vmap(lambda eta: OPTIMISERS["adam"].step(eta, W, GRADS[0], {"mean": W * 0, "square": W * 0}, 1.0)[0])
    found = swept(jnp.asarray([0.1, 0.2]))
    np.testing.assert_allclose((found[1] - W) / (found[0] - W), 2.0, rtol=1e-3)


def test_names_are_those_of_the_settings():
    assert tuple(OPTIMISERS) == ("sgd", "momentum", "nag", "adam", "adamw", "rmsprop")
