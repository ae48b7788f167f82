"""The resonate-and-fire cell as a spike-response model."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from synsim.component import Component, Now, Size, View, inlet, outlet, param, rounded, state, static
from synsim.later import jax, jnp

NEWTON_STEPS, NEWTON_START, NEWTON_SLOPE, NEWTON_CLOSE = 10, 0.1, 1e-5, 1e-2
"""How predict_next_spike looks for the crossing: calls, where it starts (ms), the least slope, how near is found."""


class RAFSRM(Component):
    """Resonate-and-fire cell in closed form: one damped oscillation for the input, one for each reset.

        tau_v dv/dt = b v + omega w,     tau_w dw/dt = -omega v + b w + current_j,     b = dampen_factor
        (j_v, j_w) <- E(t - last_t_eval) (j_v, j_w), and j_w gains dt / tau_w current_j
        u = j_v + eta,     s = 1 where u > thr; there t_last_spike becomes t;     v = v_reset where s, else u

    E(d) is the matrix exponential of the two equations over a time d. After a spike, at a time d since, eta is the
    first component of E(d) (v_reset, w_reset); before the first it is 0.

    With `spike_response: reference` eta lacks its decay exp(-gamma d), input from before the spike goes on ringing, and
    where the two equations do not oscillate E is that of a frequency of .001 / ms. With `published` eta decays, j_v and
    j_w become 0 at a spike, and E is exact: the cell whose (v, w) a spike sets to (v_reset, w_reset).

    `predict_next_spike`, where a schedule names it, writes next_spike_t: a time at which v will cross thr if nothing
    more comes in, found by 10 steps of Newton's method from .1 ms on, and -1 where that ends nowhere; it need not be
    the first crossing. The reference leaves eta out of it.

    Shapes: all (B, *n_units). Times are those of the trial.

    Source: Izhikevich (2001), Neural Networks 14:883; Gerstner & Kistler (2002), Spiking Neuron Models, section 4.2.
    """

    family: ClassVar[str] = "neuron"

    n_units: Size = static("Number of neurons, or their shape.")
    tau_v: float = param("Time constant of the potential.", "ms", default=1.0, gt=0, per="unit")
    tau_w: float = param("Time constant of the second variable.", "ms", default=1.0, gt=0, per="unit")
    thr: float = param("Threshold.", "mV", default=1.0, per="unit")
    omega: float = param("Angular frequency, in units of one over the time constants.", default=10.0, per="unit")
    dampen_factor: float = param("Damping b, negative for a stable cell.", default=-1.0, per="unit")
    v_reset: float = param("Potential after a spike.", "mV", default=0.0, per="unit")
    w_reset: float = param("Second variable after a spike.", "mV", default=0.0, per="unit")
    spike_response: Literal["reference", "published"] = static(
        "Kernel after a spike without its decay, with old input (reference), or the exact one (published).",
        default="reference",
    )

    current_j = inlet("Input current times the membrane resistance.", "mV")
    j_v = state("Potential that the input alone gives.", "mV")
    j_w = state("Second variable that the input alone gives.", "mV")
    t_last_spike = state("Time of the last spike, -1 before the first.", "ms", start=-1.0)
    last_t_eval = state("Time of the last step.", "ms")
    v = outlet("Membrane potential.", "mV")
    s = outlet("Spikes emitted this step.", spikes=True)
    next_spike_t = outlet("Time that predict_next_spike gave, -1 for none.", "ms", start=-1.0)

    def advance(self, x: View, now: Now) -> dict[str, jax.Array]:
        j_v, j_w = self._ringing(x.j_v, x.j_w, now.t - x.last_t_eval, now)
        j_w = j_w + rounded(now.dt / self.tau_w * x.current_j, now.zero)
        u = j_v + self._after_spike(x, now)[0]
        fired = u > self.thr
        forgets = fired if self.spike_response == "published" else jnp.zeros_like(fired)
        return dict(
            j_v=jnp.where(forgets, 0.0, j_v),
            j_w=jnp.where(forgets, 0.0, j_w),
            t_last_spike=jnp.where(fired, now.t, x.t_last_spike).astype(x.t_last_spike.dtype),
            last_t_eval=jnp.full_like(x.last_t_eval, now.t),
            v=jnp.where(fired, self.v_reset, u).astype(u.dtype),
            s=fired.astype(u.dtype),
        )

    def predict_next_spike(self, x: View, now: Now) -> dict[str, jax.Array]:
        """Write a time at which v will cross the threshold without further input."""
        v, w = x.j_v, x.j_w
        if self.spike_response == "published":
            after_v, after_w = self._after_spike(x, now)
            v, w = v + after_v, w + after_w

        def nearer(_: Any, ahead: jax.Array) -> jax.Array:
            v_then, w_then = self._ringing(v, w, ahead, now)
            slope = rounded(self.dampen_factor * v_then, now.zero) + rounded(self.omega * w_then, now.zero)
            slope = slope / self.tau_v
            slope = jnp.where(jnp.abs(slope) < NEWTON_SLOPE, NEWTON_SLOPE, slope)
            return jnp.maximum(ahead - (v_then - self.thr) / slope, 0.0)

        ahead = jax.lax.fori_loop(0, NEWTON_STEPS, nearer, jnp.full_like(v, NEWTON_START))
        off = jnp.abs(self._ringing(v, w, ahead, now)[0] - self.thr)
        found = jnp.where((ahead > 0.0) & (off < NEWTON_CLOSE), now.t + ahead, -1.0)
        return dict(next_spike_t=found.astype(v.dtype))

    def _after_spike(self, x: View, now: Now) -> tuple[jax.Array, jax.Array]:
        """What the last spike's reset has become by this time."""
        start_v, start_w = jnp.full_like(x.j_v, 1.0) * self.v_reset, jnp.full_like(x.j_w, 1.0) * self.w_reset
        decays = self.spike_response == "published"
        v, w = self._ringing(start_v, start_w, now.t - x.t_last_spike, now, decays=decays)
        spiked = x.t_last_spike >= 0.0
        return jnp.where(spiked, v, 0.0), jnp.where(spiked, w, 0.0)

    def _ringing(
        self, v: jax.Array, w: jax.Array, time: Any, now: Now, *, decays: bool = True
    ) -> tuple[jax.Array, jax.Array]:
        """(v, w) after a time without input: E(time) (v, w).

        With the rates a and d of v and w, their mean is taken out as a common decay. What is left of the matrix has
        no trace, and its square is -square times one, so that its exponential is even + odd times itself.
        """
        a, d = self.dampen_factor / self.tau_v, self.dampen_factor / self.tau_w
        gamma, half = -0.5 * (a + d), 0.5 * (a - d)
        square = self.omega**2 / (self.tau_v * self.tau_w) - half**2
        decay = jnp.exp(-gamma * time) if decays else 1.0
        if self.spike_response == "published":
            frequency = jnp.sqrt(jnp.maximum(jnp.abs(square), 1e-12))
            even, odd = decay * jnp.cos(frequency * time), decay * jnp.sin(frequency * time) / frequency
            # cosh and sinh with the decay in them: by themselves they would grow out of range
            slow, gap = jnp.exp((frequency - gamma) * time), -jnp.expm1(-2.0 * frequency * time)
            even = jnp.where(square >= 0.0, even, slow * (1.0 - 0.5 * gap))
            odd = jnp.where(square >= 0.0, odd, slow * gap / (2.0 * frequency))
        else:
            frequency = jnp.sqrt(jnp.maximum(square, 1e-6))
            even, odd = decay * jnp.cos(frequency * time), decay * jnp.sin(frequency * time) / frequency
        even, across = rounded(even, now.zero), rounded(half * odd, now.zero)
        to_v = rounded(v * (even + across), now.zero) + rounded(w * (self.omega / self.tau_v * odd), now.zero)
        to_w = rounded(w * (even - across), now.zero) - rounded(v * (self.omega / self.tau_w * odd), now.zero)
        return to_v, to_w
