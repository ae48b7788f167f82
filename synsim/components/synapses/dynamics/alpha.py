"""A conductance with the shape of an alpha function."""

from __future__ import annotations

from typing import Any, Literal

from synsim.component import Now, View, rounded, state, static
from synsim.components.synapses.dynamics.conductance import ConductanceDynamics
from synsim.later import jax


class AlphaDynamics(ConductanceDynamics, type_name="alpha"):
    """Conductance with an alpha function as its kernel.

        h <- h (1 - dt / tau_decay) + g_syn_bar u
        g <- g (1 - dt / tau_decay) + h                     g_drive: reference
        g <- g (1 - dt / tau_decay) + h dt / tau_decay      g_drive: published
        i_syn = -R g (v - syn_rest), or -R g where syn_rest is null;     outputs = i_syn (+ biases)

    u is what the weights transmit; g takes the new h. `published` is the equation tau_decay dg/dt = h - g: one spike
    gives g_syn_bar (t / tau_decay) exp(-t / tau_decay), with the peak g_syn_bar / e at tau_decay. The reference adds
    the whole of h in each step, so that its g is tau_decay / dt times as high. v is an inlet where
    syn_rest is a number, and has to be wired. Shapes: all (B, *post).

    With `integration: exact` and p = exp(-dt / tau_decay) the published equation is solved from step to step,

        g <- p (g + h dt / tau_decay),     then h <- p h + g_syn_bar u

    where g takes the old h: it is 0 where a spike comes. outputs have the mean of g over the step.

    Source: Rall (1967), Journal of Neurophysiology 30, 1138-1168; Gerstner & Kistler (2002), Spiking Neuron Models,
    ch. 4; exact steps: Rotter & Diesmann (1999), Biological Cybernetics 81:381.
    """

    g_drive: Literal["reference", "published"] = static(
        "What of h drives g in a step: the whole of it, or h dt / tau_decay.", default="reference"
    )

    h_syn = state("Intermediate conductance, which drives g_syn.", "uS", size="post")

    def left(self, x: View, now: Now) -> tuple[jax.Array, Any]:
        return rounded(x.h_syn * self.kept(self.tau_decay, now), now.zero), self.g_syn_bar

    def advance(self, drive: jax.Array, x: View, now: Now, gain: Any, bias: jax.Array | None) -> dict[str, jax.Array]:
        h, rate = drive, now.dt / self.tau_decay
        left = self.kept(self.tau_decay, now)
        if self.integration == "euler":
            push = h if self.g_drive == "reference" else rounded(h * rate, now.zero)
            g = rounded(x.g_syn * left, now.zero) + push
            return dict(h_syn=h, **self.current(g, x, now, gain, bias))
        g = rounded(x.g_syn * left, now.zero) + rounded(x.h_syn * (left * rate), now.zero)
        mean = self.mean(self.tau_decay, now)
        # over a step of length 1 in units of tau: the integral of (g + h s) exp(-s)
        mean_g = rounded(g * mean, now.zero) + rounded(h * (mean - left), now.zero)
        return dict(h_syn=h, **self.current(g, x, now, gain, bias, mean_g))
