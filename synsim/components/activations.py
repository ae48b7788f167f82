"""Activation functions f and what they do to a current on its way back: f'(x) times j.

Shapes: (B, *units) in and out. Elementwise:

    identity x · relu max(x, 0) · lrelu (slope .01 below 0) · relu6 min(max(x, 0), 6) · elu (e^x - 1 below 0) · tanh
    sigmoid 1 / (1 + e^-x) · softplus ln(1 + e^x) · silu x sigmoid(x) · gelu x sigmoid(1.702 x) · telu x tanh(e^x)
    sine sin(omega_0 x)

At a kink the derivative is the one from the right (relu'(0) = 1; relu6'(6) = 1). Steps pass the current on unchanged
(straight-through, Bengio et al. 2013): unit_threshold 1[x >= 1], heaviside 1[x >= 0].

Over the units of a row: softmax, whose Jacobian is applied to the current, and bkwta, which is 1 at the values that
are at least the 5th largest (ties give more than 5) and gates the current by the same mask.

Sources: gelu: Hendrycks & Gimpel (2016), arXiv:1606.08415; silu: Ramachandran et al. (2017), arXiv:1710.05941;
telu: Fernandez & Mali (2024), arXiv:2412.20269; sine: Sitzmann et al. (2020), arXiv:2006.09661.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from synsim.later import jax, jnp

ActivationName = Literal[
    "identity",
    "relu",
    "lrelu",
    "relu6",
    "elu",
    "tanh",
    "sigmoid",
    "softplus",
    "silu",
    "gelu",
    "telu",
    "sine",
    "softmax",
    "bkwta",
    "unit_threshold",
    "heaviside",
]

WINNERS = 5
"""How many units bkwta leaves on."""

Function = Callable[["jax.Array"], "jax.Array"]


def _swish(beta: float) -> tuple[Function, Function]:
    def value(x: jax.Array) -> jax.Array:
        return x * jax.nn.sigmoid(beta * x)

    def slope(x: jax.Array) -> jax.Array:
        gate = jax.nn.sigmoid(beta * x)
        return gate + beta * x * gate * (1.0 - gate)

    return value, slope


def _sigmoid_slope(x: jax.Array) -> jax.Array:
    return jax.nn.sigmoid(x) * (1.0 - jax.nn.sigmoid(x))


def _telu_slope(x: jax.Array) -> jax.Array:
    e = jnp.exp(jnp.minimum(x, 20.0))  # beyond, tanh(e) is 1 and the second term 0; e itself would overflow
    return jnp.tanh(e) + x * e * (1.0 - jnp.tanh(e) ** 2)


def _one(x: jax.Array) -> jax.Array:
    return jnp.ones_like(x)


# Each elementwise function with its derivative.
_ELEMENTWISE: dict[str, tuple[Function, Function]] = {
    "identity": (lambda x: x, _one),
    "relu": (lambda x: jnp.maximum(x, 0.0), lambda x: (x >= 0.0).astype(x.dtype)),
    "lrelu": (lambda x: jnp.where(x >= 0.0, x, 0.01 * x), lambda x: jnp.where(x >= 0.0, 1.0, 0.01).astype(x.dtype)),
    "relu6": (lambda x: jnp.clip(x, 0.0, 6.0), lambda x: ((x >= 0.0) & (x <= 6.0)).astype(x.dtype)),
    "elu": (
        lambda x: jnp.where(x >= 0.0, x, jnp.expm1(jnp.minimum(x, 0.0))),
        lambda x: jnp.where(x >= 0.0, 1.0, jnp.exp(jnp.minimum(x, 0.0))),
    ),
    "tanh": (lambda x: jnp.tanh(x), lambda x: 1.0 - jnp.tanh(x) ** 2),
    "sigmoid": (lambda x: jax.nn.sigmoid(x), _sigmoid_slope),
    "softplus": (lambda x: jax.nn.softplus(x), lambda x: jax.nn.sigmoid(x)),
    "silu": _swish(1.0),
    "gelu": _swish(1.702),
    "telu": (lambda x: x * jnp.tanh(jnp.exp(jnp.minimum(x, 20.0))), _telu_slope),
    "unit_threshold": (lambda x: (x >= 1.0).astype(x.dtype), _one),
    "heaviside": (lambda x: (x >= 0.0).astype(x.dtype), _one),
}


def _rows(x: jax.Array) -> jax.Array:
    return x.reshape(x.shape[0], -1)


def _winners(x: jax.Array) -> jax.Array:
    rows = _rows(x)
    smallest = jax.lax.top_k(rows, min(WINNERS, rows.shape[1]))[0][:, -1:]
    return (rows >= smallest).astype(x.dtype).reshape(x.shape)


def _softmax(x: jax.Array) -> jax.Array:
    return jax.nn.softmax(_rows(x), axis=1).reshape(x.shape)


def activate(name: ActivationName, x: jax.Array, omega_0: Any = 30.0) -> jax.Array:
    """f(x); `omega_0` is the frequency of sine."""
    match name:
        case "sine":
            return jnp.sin(omega_0 * x)
        case "softmax":
            return _softmax(x)
        case "bkwta":
            return _winners(x)
    return _ELEMENTWISE[name][0](x)


def modulate(name: ActivationName, x: jax.Array, j: jax.Array, omega_0: Any = 30.0) -> jax.Array:
    """The current `j` as it acts on `x` through f: f'(x) j, for softmax its Jacobian times j."""
    match name:
        case "sine":
            return j * (omega_0 * jnp.cos(omega_0 * x))
        case "softmax":
            share = _rows(_softmax(x))
            through = share * (_rows(j) - jnp.sum(share * _rows(j), axis=1, keepdims=True))
            return through.reshape(x.shape)
        case "bkwta":
            return j * _winners(x)
    return j * _ELEMENTWISE[name][1](x)
