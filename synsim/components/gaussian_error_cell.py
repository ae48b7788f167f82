"""Error cell: how far a prediction is from its target."""

from __future__ import annotations

from typing import ClassVar, Literal

from synsim.component import Component, Now, Size, View, inlet, outlet, param, rounded, static
from synsim.later import jax, jnp


class GaussianErrorCell(Component):
    """Error of a Gaussian prediction, weighted by its precision.

        dmu = (target - mu) / Sigma modulator mask,     dtarget = -dmu
        L = - sum over rows and units of (target - mu)^2 / (2 Sigma)

    Sigma is the variance, the setting sigma where nothing is wired. With `likelihood: published` L is the whole log
    density, less ln(2 pi Sigma) / 2 for each number, and dSigma = ((target - mu)^2 / Sigma - 1) / (2 Sigma) modulator
    mask; with `reference` dSigma is 1. Shapes: all (B, *n_units), L a single number (modulator and mask not counted).
    Nothing is kept between steps; the mask holds for as long as it is wired.

    Source: Rao & Ballard (1999), Nature Neuroscience 2:79; Whittington & Bogacz (2017), Neural Computation 29:1229.
    """

    family: ClassVar[str] = "error"

    n_units: Size = static("Number of error units, or their shape.")
    sigma: float = param("Variance of the prediction.", default=1.0, gt=0, per="unit")
    likelihood: Literal["reference", "published"] = static(
        "L without its normalising term and dSigma 1 (reference), or the whole log density (published).",
        default="reference",
    )

    mu = inlet("Prediction.")
    Sigma = inlet("Variance of the prediction; the setting sigma where nothing is wired.", default="sigma")
    target = inlet("What should have been predicted.")
    modulator = inlet("Factor on the errors.", default=1.0)
    mask = inlet("Errors that count: 1, others: 0.", default=1.0)
    dmu = outlet("Derivative of L by mu.")
    dSigma = outlet("Derivative of L by Sigma.")
    dtarget = outlet("Derivative of L by target.")
    L = outlet("Log likelihood.", "nats", size="", batch=False)

    def advance(self, x: View, now: Now) -> dict[str, jax.Array]:
        error = x.target - x.mu
        weighted = error / x.Sigma
        dmu = weighted * x.modulator * x.mask
        if self.likelihood == "reference":
            return dict(dmu=dmu, dSigma=jnp.ones_like(dmu), dtarget=-dmu, L=-0.5 * jnp.sum(error * weighted))
        squared = rounded(error * weighted, now.zero)
        return dict(
            dmu=dmu,
            dSigma=0.5 * (squared - 1.0) / x.Sigma * x.modulator * x.mask,
            dtarget=-dmu,
            L=-0.5 * jnp.sum(squared + jnp.log(2.0 * jnp.pi * x.Sigma)),
        )
