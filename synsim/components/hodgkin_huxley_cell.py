"""The Hodgkin-Huxley cell."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

from synsim.component import Component, Now, Size, View, inlet, outlet, param, rounded, state, static
from synsim.components.integrators import Coupling, Integrator, integrate_coupled
from synsim.later import jax, jnp

# n, m and h of a membrane that has been at v = 0 for long: opening rate / (opening + closing rate)
N_REST = 0.1 / math.expm1(1.0) / (0.1 / math.expm1(1.0) + 0.125)
M_REST = 2.5 / math.expm1(2.5) / (2.5 / math.expm1(2.5) + 4.0)
H_REST = 0.07 / (0.07 + 1.0 / (math.exp(3.0) + 1.0))


class HodgkinHuxleyCell(Component):
    """Hodgkin-Huxley cell: a patch of membrane with sodium, potassium and leak conductances.

        tau_v dv/dt = resist_m j - g_Na m^3 h (v - v_Na) - g_K n^4 (v - v_K) - g_L (v - v_L)
        dx/dt = alpha_x(v) (1 - x) - beta_x(v) x   for the gates x = n, m, h, rates in 1/ms, v in mV from rest:
        alpha_n = .01 (10 - v) / (e^((10 - v) / 10) - 1)   beta_n = .125 e^(-v / 80)
        alpha_m = .1 (25 - v) / (e^((25 - v) / 10) - 1)    beta_m = 4 e^(-v / 18)
        alpha_h = .07 e^(-v / 20)                          beta_h = 1 / (e^((30 - v) / 10) + 1)

    Shapes: all (B, *n_units). Per cm2 of membrane, in mS and uA, tau_v is the capacitance in uF. The source's membrane
    is tau_v 1, g_Na 120, g_K 36, g_L 0.3, v_Na 115, v_K -12, v_L 10.6; the defaults are other ones. The gates start
    where v = 0 holds them. alpha_n(10) = .1 and alpha_m(25) = 1, the limits.

    With `emission: reference` s is 1 in every step that ends with v > thr, with `published` only in the step that takes
    v across it. Where s is 1, `spike_reset` puts v to v_reset and the gates to where v_reset holds them.
    `coupling: reference` integrates v and each gate by itself, the rates taken at the v before the step; `published`
    all together.

    Source: Hodgkin & Huxley (1952), J. Physiol. 117:500.
    """

    family: ClassVar[str] = "neuron"

    n_units: Size = static("Number of neurons, or their shape.")
    tau_v: float = param("Membrane capacitance (uF/cm2) over 1 mS/cm2.", "ms", default=1.0, gt=0, per="unit")
    resist_m: float = param("Factor on the current.", default=1.0, gt=0, per="unit")
    v_Na: float = param("Reversal potential of sodium, from rest.", "mV", default=115.0, per="unit")
    v_K: float = param("Reversal potential of potassium, from rest.", "mV", default=-35.0, per="unit")
    v_L: float = param("Reversal potential of the leak, from rest.", "mV", default=10.6, per="unit")
    g_Na: float = param("Largest sodium conductance, per cm2.", "mS", default=100.0, ge=0, per="unit")
    g_K: float = param("Largest potassium conductance, per cm2.", "mS", default=5.0, ge=0, per="unit")
    g_L: float = param("Leak conductance, per cm2.", "mS", default=0.3, ge=0, per="unit")
    thr: float = param("Potential above which there is a spike, from rest.", "mV", default=4.0, per="unit")
    spike_reset: bool = static("Whether a spike puts v to v_reset and the gates to their values there.", default=False)
    v_reset: float = param("Potential after a spike, if it resets.", "mV", default=0.0, per="unit")
    integration_type: Integrator = static("Integration method.", default="euler")
    coupling: Coupling = static(
        "Within a step: v and each gate with the others held (reference), or together (published).",
        default="reference",
    )
    emission: Literal["reference", "published"] = static(
        "Spikes in every step above thr (reference) or only where v crosses it (published).", default="reference"
    )

    j = inlet("Input current, per cm2.")
    v = state("Membrane potential, from rest.", "mV")
    n = state("Activation of potassium: share of its gates that are open.", start=N_REST)
    m = state("Activation of sodium: share of its gates that are open.", start=M_REST)
    h = state("Inactivation of sodium: share of its gates that are open.", start=H_REST)
    tols = state("Time of the last spike.", "ms")
    s = outlet("Spikes emitted this step.", spikes=True)

    def advance(self, x: View, now: Now) -> dict[str, jax.Array]:
        def slopes(v: jax.Array, *gates: jax.Array) -> tuple[jax.Array, ...]:
            n, m, h = gates
            current = self.resist_m * x.j - self.g_L * (v - self.v_L)
            current = current - self.g_Na * m**3 * h * (v - self.v_Na)
            current = current - self.g_K * n**4 * (v - self.v_K)
            turning = []
            for gate, pair in zip(gates, rates(v), strict=True):
                opening, closing = (rounded(rate, now.zero) for rate in pair)
                turning.append(opening - (opening + closing) * gate)
            return current / self.tau_v, *turning

        values = (x.v, x.n, x.m, x.h)
        v, n, m, h = integrate_coupled(self.integration_type, self.coupling, slopes, values, now.dt)
        fired = v > self.thr
        if self.emission == "published":
            fired = fired & (x.v <= self.thr)
        if self.spike_reset:
            there = [a / (a + b) for a, b in rates(jnp.asarray(self.v_reset, x.v.dtype))]
            v = jnp.where(fired, self.v_reset, v)
            n, m, h = (jnp.where(fired, a, b) for a, b in zip(there, (n, m, h), strict=True))
        return dict(
            v=v,
            n=n,
            m=m,
            h=h,
            tols=jnp.where(fired, now.t, x.tols).astype(x.tols.dtype),
            s=fired.astype(x.v.dtype),
        )


def rates(v: jax.Array) -> tuple[tuple[jax.Array, jax.Array], ...]:
    """Opening and closing rates (1/ms) of the gates n, m and h at a potential v (mV from rest)."""
    return (
        (0.1 * linoid((10.0 - v) / 10.0), 0.125 * jnp.exp(-v / 80.0)),
        (linoid((25.0 - v) / 10.0), 4.0 * jnp.exp(-v / 18.0)),
        (0.07 * jnp.exp(-v / 20.0), 1.0 / (jnp.exp((30.0 - v) / 10.0) + 1.0)),
    )


def linoid(x: jax.Array) -> jax.Array:
    """x / (e^x - 1), and near 0 its series, which keeps the digits of its derivative too."""
    near = jnp.abs(x) < 0.25
    far = jnp.where(near, 1.0, x)
    y = x * x  # the terms are B_k x^k / k! with Bernoulli's numbers; the first left out is 5e-10 x^12
    tail = 1.0 - y / 60.0 * (1.0 - y / 42.0 * (1.0 - y / 40.0 * (1.0 - y * (5.0 / 198.0))))
    # e^x - 1 and not expm1: XLA gives that other last digits where something else is recorded
    return jnp.where(near, 1.0 - 0.5 * x + y / 12.0 * tail, far / (jnp.exp(far) - 1.0))
