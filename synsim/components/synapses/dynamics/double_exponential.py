"""A conductance that rises and decays with two time constants."""

from __future__ import annotations

from typing import Any, Literal

from synsim.component import Now, View, param, rounded, state, static
from synsim.components.synapses.dynamics.conductance import ConductanceDynamics
from synsim.later import jax


class DoubleExponentialDynamics(ConductanceDynamics, type_name="double_exponential"):
    """Conductance with a difference of two exponentials as its kernel.

        h <- h (1 - dt / tau_rise) + g_syn_bar u (1 / tau_rise - 1 / tau_decay)
        g <- g (1 - dt / tau_decay) + h                     g_drive: reference
        g <- g (1 - dt / tau_decay) + h dt                  g_drive: published
        i_syn = -R g (v - syn_rest), or -R g where syn_rest is null;     outputs = i_syn (+ biases)

    u is what the weights transmit; g takes the new h. `published` is the equation dg/dt = -g / tau_decay + h: one
    spike gives g_syn_bar (exp(-t / tau_decay) - exp(-t / tau_rise)), which is not scaled to a peak of 1. The reference
    adds the whole of h in each step, so that its g is 1 ms / dt times as high. tau_rise is shorter than tau_decay:
    where they are equal nothing drives g, and the other way round it falls below 0. v is an inlet where syn_rest is a
    number, and has to be wired. Shapes: all (B, *post).

    With `integration: exact`, p = exp(-dt / tau_decay), q = exp(-dt / tau_rise) and c = 1 / tau_rise - 1 / tau_decay
    the published equation is solved from step to step,

        g <- p g + (p - q) h / c,     then h <- q h + g_syn_bar u c

    where g takes the old h: it is 0 where a spike comes. outputs have the mean of g over the step.

    Source: Destexhe, Mainen & Sejnowski (1998), in Koch & Segev, Methods in Neuronal Modeling, 2nd ed., ch. 1; exact
    steps: Rotter & Diesmann (1999), Biological Cybernetics 81:381.
    """

    tau_rise: float = param("Time constant with which the conductance rises; below tau_decay.", "ms", gt=0)
    g_drive: Literal["reference", "published"] = static(
        "What of h drives g in a step: the whole of it, or h dt.", default="reference"
    )

    h_syn = state("Intermediate variable, which drives g_syn.", "uS/ms", size="post")

    def problems(self) -> list[tuple[str, str]]:
        found = super().problems()
        if float(self.tau_rise) < float(self.tau_decay):
            return found
        sentence = f"tau_rise must be below tau_decay, {float(self.tau_decay):g} ms, not {float(self.tau_rise):g}"
        advice = "else no spike raises the conductance; for equal time constants take alpha"
        return [*found, ("tau_rise", f"{sentence}: {advice}")]

    def left(self, x: View, now: Now) -> tuple[jax.Array, Any]:
        factor = self.g_syn_bar * (1.0 / self.tau_rise - 1.0 / self.tau_decay)
        return rounded(x.h_syn * self.kept(self.tau_rise, now), now.zero), factor

    def advance(self, drive: jax.Array, x: View, now: Now, gain: Any, bias: jax.Array | None) -> dict[str, jax.Array]:
        h, apart = drive, 1.0 / self.tau_rise - 1.0 / self.tau_decay
        rising, decaying = self.kept(self.tau_rise, now), self.kept(self.tau_decay, now)
        if self.integration == "euler":
            push = h if self.g_drive == "reference" else rounded(h * now.dt, now.zero)
            g = rounded(x.g_syn * decaying, now.zero) + push
            return dict(h_syn=h, **self.current(g, x, now, gain, bias))
        push = x.h_syn * ((decaying - rising) / apart)
        g = rounded(x.g_syn * decaying, now.zero) + rounded(push, now.zero)
        slow, fast = self.mean(self.tau_decay, now), self.mean(self.tau_rise, now)
        mean_g = rounded(g * slow, now.zero) + rounded(h * ((slow - fast) / apart), now.zero)
        return dict(h_syn=h, **self.current(g, x, now, gain, bias, mean_g))
