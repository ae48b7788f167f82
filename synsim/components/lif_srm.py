"""The leaky integrate-and-fire cell as a spike-response model."""

from __future__ import annotations

from typing import ClassVar, Literal

from synsim.component import Component, Now, Size, View, inlet, outlet, param, rounded, state, static
from synsim.later import jax, jnp


class LIFSRM(Component):
    """Leaky integrate-and-fire cell in closed form: v is a sum of kernels, and nothing is integrated.

        j_lowpass <- j_lowpass exp(-(t - last_t_eval) / tau_m) + dt / tau_m current_j
        eta = (v_reset - v_rest) exp(-(t - t_last_spike) / tau_m) after the first spike, 0 before
        u = v_rest + j_lowpass + eta
        s = 1 where u > thr; there t_last_spike becomes t;     v = v_reset where s, else u

    `spike_response: reference` goes on filtering input from before the spike, as the model SRM0 does, though with the
    eta of the full model; so v hardly falls at a spike under a steady current. With `published` the filter forgets:
    j_lowpass becomes 0 at a spike, which together with eta is the leaky integrate-and-fire cell itself.

    `predict_next_spike`, where a schedule names it, writes next_spike_t, -1 for none. reference: where u > thr without
    further input, t + tau_m ln((u - v_rest) / (thr - v_rest)), the time at which the decaying u falls back to thr.
    published: the next spike if current_j stays as it is, t + tau_m ln((u_inf - u) / (u_inf - thr)) with
    u_inf = v_rest + current_j, where u_inf > thr; t itself where u is past thr already.

    Shapes: all (B, *n_units). Times are those of the trial.

    Source: Gerstner (1995), Phys. Rev. E 51:738; Gerstner & Kistler (2002), Spiking Neuron Models, section 4.2.
    """

    family: ClassVar[str] = "neuron"

    n_units: Size = static("Number of neurons, or their shape.")
    tau_m: float = param("Membrane time constant.", "ms", gt=0, per="unit")
    thr: float = param("Threshold.", "mV", default=-52.0, per="unit")
    v_rest: float = param("Resting potential.", "mV", default=-65.0, per="unit")
    v_reset: float = param("Potential after a spike.", "mV", default=-60.0, per="unit")
    spike_response: Literal["reference", "published"] = static(
        "Whether input from before a spike goes on acting (reference) or is forgotten (published).",
        default="reference",
    )

    current_j = inlet("Input current times the membrane resistance.", "mV")
    j_lowpass = state("Low-pass filtered input.", "mV")
    t_last_spike = state("Time of the last spike, -1 before the first.", "ms", start=-1.0)
    last_t_eval = state("Time of the last step.", "ms")
    v = outlet("Membrane potential.", "mV", start="v_rest")
    s = outlet("Spikes emitted this step.", spikes=True)
    next_spike_t = outlet("Time that predict_next_spike gave, -1 for none.", "ms", start=-1.0)

    def advance(self, x: View, now: Now) -> dict[str, jax.Array]:
        kept = x.j_lowpass * jnp.exp((x.last_t_eval - now.t) / self.tau_m)
        lowpass = rounded(kept, now.zero) + rounded(now.dt / self.tau_m * x.current_j, now.zero)
        u = self.v_rest + lowpass + self._after_spike(x, now)
        fired = u > self.thr
        return dict(
            j_lowpass=jnp.where(fired, 0.0, lowpass) if self.spike_response == "published" else lowpass,
            t_last_spike=jnp.where(fired, now.t, x.t_last_spike).astype(x.t_last_spike.dtype),
            last_t_eval=jnp.full_like(x.last_t_eval, now.t),
            v=jnp.where(fired, self.v_reset, u),
            s=fired.astype(u.dtype),
        )

    def predict_next_spike(self, x: View, now: Now) -> dict[str, jax.Array]:
        """Write the time of the next spike, as far as the kernels tell it."""
        above = x.j_lowpass + self._after_spike(x, now)
        distance = self.thr - self.v_rest
        if self.spike_response == "published":
            aim = x.current_j
            reaches = (aim > distance) & (above <= distance)
            ratio = jnp.where(reaches, aim - above, 1.0) / jnp.where(reaches, aim - distance, 1.0)
            time = now.t + self.tau_m * jnp.log(ratio)
            found = jnp.where(above > distance, now.t, jnp.where(reaches, time, -1.0))
        else:
            reaches = above > distance
            ratio = jnp.where(reaches, above, 1.0) / jnp.where(reaches, jnp.maximum(distance, 1e-5), 1.0)
            found = jnp.where(reaches, now.t + self.tau_m * jnp.log(ratio), -1.0)
        return dict(next_spike_t=found.astype(above.dtype))

    def _after_spike(self, x: View, now: Now) -> jax.Array:
        """The kernel eta at this time."""
        since = now.t - x.t_last_spike
        eta = (self.v_reset - self.v_rest) * jnp.exp(-since / self.tau_m)
        return rounded(jnp.where(x.t_last_spike >= 0.0, eta, 0.0).astype(x.j_lowpass.dtype), now.zero)
