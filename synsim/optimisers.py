"""How an update is applied to an array: elementwise, downhill.

`step(eta, w, grad, slots, count)` gives the new array and the new slots. `grad` enters with a minus sign. `slots` are
arrays shaped like `w`, zero at first; `count` is the number of this update, 1 at the first, and only read by those
that count. With g for grad:

    sgd       w - eta g
    momentum  m' = g + .9 m;  w - eta m'
    nag       phi' = w - eta g;  phi' + .9 (phi' - phi), the first update without the second term
    adam      m' = .9 m + .1 g;  v' = .999 v + .001 g^2;  w - eta mh / (sqrt(vh) + 1e-8), mh = m' / (1 - .9^n),
              vh = v' / (1 - .999^n)
    adamw     as adam, and w loses eta 1e-4 w
    rmsprop   v' = .9 v + .1 g^2;  w - eta g / sqrt(v' + 1e-8)

Sources: Polyak (1964), USSR Comp. Math. 4:1; Nesterov (1983), Soviet Math. Doklady 27:372; Kingma & Ba (2015),
arXiv:1412.6980; Loshchilov & Hutter (2019), arXiv:1711.05101; Tieleman & Hinton (2012), lecture 6.5.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from synsim.later import jax, jnp

MOMENTUM = 0.9
BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8
WEIGHT_DECAY = 1e-4
RMS_DECAY = 0.9

Slots = dict[str, "jax.Array"]
Step = Callable[[Any, "jax.Array", "jax.Array", Slots, Any], tuple["jax.Array", Slots]]


@dataclass(frozen=True)
class Optimiser:
    """A rule of descent: the arrays it keeps (name and what it is), whether it counts updates, and its step."""

    slots: tuple[tuple[str, str], ...]
    counts: bool
    step: Step


def _sgd(eta: Any, w: jax.Array, grad: jax.Array, slots: Slots, count: Any) -> tuple[jax.Array, Slots]:
    del slots, count
    return w - grad * eta, {}


def _momentum(eta: Any, w: jax.Array, grad: jax.Array, slots: Slots, count: Any) -> tuple[jax.Array, Slots]:
    del count
    velocity = grad + MOMENTUM * slots["velocity"]
    return w - eta * velocity, {"velocity": velocity}


def _nag(eta: Any, w: jax.Array, grad: jax.Array, slots: Slots, count: Any) -> tuple[jax.Array, Slots]:
    ahead = w - grad * eta
    push = jnp.where(jnp.asarray(count) > 1, MOMENTUM, 0.0)
    return ahead + (ahead - slots["ahead"]) * push, {"ahead": ahead}


def _moments(grad: jax.Array, slots: Slots, count: Any) -> tuple[jax.Array, Slots]:
    """Adam's direction, and its two moments."""
    mean = BETA_1 * slots["mean"] + (1.0 - BETA_1) * grad
    square = BETA_2 * slots["square"] + (1.0 - BETA_2) * jnp.square(grad)
    n = jnp.asarray(count, grad.dtype)
    unbiased = mean / (1.0 - jnp.power(BETA_1, n))
    spread = jnp.sqrt(square / (1.0 - jnp.power(BETA_2, n)))
    return unbiased / (spread + EPSILON), {"mean": mean, "square": square}


def _adam(eta: Any, w: jax.Array, grad: jax.Array, slots: Slots, count: Any) -> tuple[jax.Array, Slots]:
    direction, slots = _moments(grad, slots, count)
    return w - eta * direction, slots


def _adamw(eta: Any, w: jax.Array, grad: jax.Array, slots: Slots, count: Any) -> tuple[jax.Array, Slots]:
    direction, slots = _moments(grad, slots, count)
    return w - eta * (direction + WEIGHT_DECAY * w), slots


def _rmsprop(eta: Any, w: jax.Array, grad: jax.Array, slots: Slots, count: Any) -> tuple[jax.Array, Slots]:
    del count
    square = RMS_DECAY * slots["square"] + (1.0 - RMS_DECAY) * jnp.square(grad)
    return w - eta * grad * jax.lax.rsqrt(square + EPSILON), {"square": square}


_MOMENTS = (("mean", "Running mean of the update"), ("square", "Running mean of the squared update"))

OPTIMISERS: Mapping[str, Optimiser] = MappingProxyType(
    {
        "sgd": Optimiser((), False, _sgd),
        "momentum": Optimiser((("velocity", "Decayed sum of the updates"),), False, _momentum),
        "nag": Optimiser((("ahead", "Value after the last plain step"),), True, _nag),
        "adam": Optimiser(_MOMENTS, True, _adam),
        "adamw": Optimiser(_MOMENTS, True, _adamw),
        "rmsprop": Optimiser((("square", "Running mean of the squared update"),), False, _rmsprop),
    }
)
"""Every optimiser by the name that a config gives it."""
