"""Error cell: on which side of its target a prediction is."""

from __future__ import annotations

from typing import ClassVar, Literal

from synsim.component import Component, Now, Size, View, inlet, outlet, param, static
from synsim.later import jax, jnp


class LaplacianErrorCell(Component):
    """Error of a Laplacian prediction: its sign, weighted by the scale.

        dshift = sign(target - shift) / Scale modulator mask,     dtarget = -dshift
        L = - sum over rows and units of |target - shift| / Scale + ln(2 Scale)        with `likelihood: published`

    Scale is the setting scale where nothing is wired. With `published` dScale = (|target - shift| / Scale - 1) / Scale
    modulator mask. With `likelihood: reference` L is - sum |sign(target - shift)| / Scale, which counts the units that
    are not exactly right, and dScale is 1. Shapes: all (B, *n_units), L a single number (modulator and mask not
    counted). Nothing is kept between steps; the mask holds for as long as it is wired.

    Source: Kotz, Kozubowski & Podgorski (2001), The Laplace Distribution and Generalizations, chapter 2.
    """

    family: ClassVar[str] = "error"

    n_units: Size = static("Number of error units, or their shape.")
    scale: float = param("Scale of the prediction.", default=1.0, gt=0, per="unit")
    likelihood: Literal["reference", "published"] = static(
        "L counts errors and dScale is 1 (reference), or L is the log density (published).", default="reference"
    )

    shift = inlet("Prediction.")
    Scale = inlet("Scale of the prediction; the setting scale where nothing is wired.", default="scale")
    target = inlet("What should have been predicted.")
    modulator = inlet("Factor on the errors.", default=1.0)
    mask = inlet("Errors that count: 1, others: 0.", default=1.0)
    dshift = outlet("Derivative of L by shift.")
    dScale = outlet("Derivative of L by Scale.")
    dtarget = outlet("Derivative of L by target.")
    L = outlet("Log likelihood.", "nats", size="", batch=False)

    def advance(self, x: View, now: Now) -> dict[str, jax.Array]:
        del now
        error = x.target - x.shift
        side = jnp.sign(error)
        dshift = side / x.Scale * x.modulator * x.mask
        if self.likelihood == "reference":
            return dict(
                dshift=dshift, dScale=jnp.ones_like(dshift), dtarget=-dshift, L=-jnp.sum(jnp.abs(side) / x.Scale)
            )
        distance = jnp.abs(error) / x.Scale
        return dict(
            dshift=dshift,
            dScale=(distance - 1.0) / x.Scale * x.modulator * x.mask,
            dtarget=-dshift,
            L=-jnp.sum(distance + jnp.log(2.0 * x.Scale)),
        )
