"""Error cell: how wrong a probability is about a yes or no."""

from __future__ import annotations

from typing import ClassVar, Literal

from synsim.component import Component, Now, Size, View, inlet, outlet, rounded, static
from synsim.later import jax, jnp

LEAST = 1e-4  # probabilities are kept this far from 0 and 1


class BernoulliErrorCell(Component):
    """Error of a predicted probability, or of its logit.

        q = p, or sigmoid(p) with `input_logits`, kept within [1e-4, 1 - 1e-4]
        L = sum over rows and units of target ln q + (1 - target) ln(1 - q)
        dp = (target - q) modulator mask                               with input_logits
             (target / q - (1 - target) / (1 - q)) modulator mask      without, and `derivative: published`
        dtarget = (ln q - ln(1 - q)) modulator mask

    Without input_logits `derivative: reference` multiplies dp by sigmoid'(p), the slope at a logit that p is not.
    Shapes: all (B, *n_units), L a single number (modulator and mask not counted). Nothing is kept between steps; the
    mask holds for as long as it is wired.

    Source: Bishop (2006), Pattern Recognition and Machine Learning, section 4.3.2.
    """

    family: ClassVar[str] = "error"

    n_units: Size = static("Number of error units, or their shape.")
    input_logits: bool = static("Whether p is a logit, not a probability.", default=False)
    derivative: Literal["reference", "published"] = static(
        "The derivative dp of a probability, times sigmoid'(p) (reference) or as it is (published).",
        default="reference",
    )

    p = inlet("Predicted probability of a 1, or its logit.")
    target = inlet("What should have been predicted: 0 or 1, or a probability.")
    modulator = inlet("Factor on the errors.", default=1.0)
    mask = inlet("Errors that count: 1, others: 0.", default=1.0)
    dp = outlet("Derivative of L by p.")
    dtarget = outlet("Derivative of L by target.")
    L = outlet("Log likelihood.", "nats", size="", batch=False)

    def advance(self, x: View, now: Now) -> dict[str, jax.Array]:
        sigmoid = jax.nn.sigmoid(x.p)
        q = jnp.clip(sigmoid if self.input_logits else x.p, LEAST, 1.0 - LEAST)
        yes, no = jnp.log(q), jnp.log(1.0 - q)
        if self.input_logits:
            dp = x.target - q
        else:
            dp = x.target / q - (1.0 - x.target) / (1.0 - q)
            if self.derivative == "reference":
                dp = dp * (sigmoid * (1.0 - sigmoid))
        likelihood = rounded(yes * x.target, now.zero) + no * (1.0 - x.target)
        return dict(dp=dp * x.modulator * x.mask, dtarget=(yes - no) * x.modulator * x.mask, L=jnp.sum(likelihood))
