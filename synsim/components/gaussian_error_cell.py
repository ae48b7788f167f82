"""Error cell: how far a prediction is from its target."""

from __future__ import annotations

from typing import ClassVar

import jax
import jax.numpy as jnp

from synsim.component import Component, Now, Size, View, inlet, outlet, param, static


class GaussianErrorCell(Component):
    """Error of a Gaussian prediction, weighted by its precision.

        dmu = (target - mu) / sigma modulator mask,     dtarget = -dmu
        L = - sum over rows and units of (target - mu)^2 / (2 sigma)

    Shapes: mu, target, modulator, mask, dmu and dtarget (B, *n_units), L a single number (in nats, without the
    normalising term, modulator and mask not counted). sigma acts as a variance. Nothing is kept between steps; the
    mask holds for as long as it is wired.

    Source: Rao & Ballard (1999), Nature Neuroscience 2:79; Whittington & Bogacz (2017), Neural Computation 29:1229.
    """

    family: ClassVar[str] = "error"

    n_units: Size = static("Number of error units, or their shape.")
    sigma: float = param("Variance of the prediction.", default=1.0, gt=0, per="unit")

    mu = inlet("Prediction.")
    target = inlet("What should have been predicted.")
    modulator = inlet("Factor on the errors.", default=1.0)
    mask = inlet("Errors that count: 1, others: 0.", default=1.0)
    dmu = outlet("Derivative of L by mu.")
    dtarget = outlet("Derivative of L by target.")
    L = outlet("Log likelihood.", "nats", size="", batch=False)

    def advance(self, x: View, now: Now) -> dict[str, jax.Array]:
        del now
        error = x.target - x.mu
        weighted = error / self.sigma
        dmu = weighted * x.modulator * x.mask
        return dict(dmu=dmu, dtarget=-dmu, L=-0.5 * jnp.sum(error * weighted))
