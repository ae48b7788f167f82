"""The simplified leaky integrate-and-fire cell."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from synsim.component import (
    Compartment,
    Component,
    Now,
    Size,
    View,
    as_shape,
    count,
    inlet,
    outlet,
    param,
    rounded,
    state,
    static,
)
from synsim.components.integrators import Integrator, integrate
from synsim.components.spiking import SECANT_C1, SECANT_C2, secant
from synsim.later import jax, jnp

LOWEST_THRESHOLD = 0.025
"""Where the threshold that the units of a row share stops falling."""


class SLIFCell(Component):
    """Simplified leaky integrate-and-fire cell with lateral inhibition and adaptive thresholds.

        J = resist_m j - resist_inh (s of the last step) inh_weights
        tau_m dv/dt = m (J - v),     m = 1 where rfr >= refract_time, else 0
        fired = 1 where v > v_thr; there v becomes 0 and rfr becomes dt
        v_thr becomes max(v_thr + rho_b (units of the row that fired - 1), .025) where rho_b > 0,
            else v_thr + thr_gain fired - thr_leak v_thr
        s = fired; with sticky_spikes, s = 1 throughout the refractory period

    Shapes: all (B, *n_units), inh_weights (n, n) over the n units. inh_weights is drawn once, uniform in [.025, 1)
    with a zero diagonal, and never learns. v_thr (the reference's compartment thr) starts at thr plus a jitter that is
    uniform within thr_jitter and the same for every row; reset takes it back there, unless thr_persist makes it
    learned. thr_gain, thr_leak and rho_b act once a step whatever dt is. rfr counts the step of the spike, so the cell
    is refractory for refract_time / dt - 1 further steps.

    surrogate estimates ds/dj by the secant 1[J > 0] / cosh(.08 J), or with `surrogate_form: published` by
    1[J > 0] .82 .08 / cosh(.08 J)^2, the derivative of .82 tanh(.08 J).

    Source: Samadi et al. (2017), Neural Computation 29:578.
    """

    family: ClassVar[str] = "neuron"

    n_units: Size = static("Number of neurons, or their shape.")
    tau_m: float = param("Membrane time constant.", "ms", gt=0, per="unit")
    resist_m: float = param("Membrane resistance.", "MOhm", per="unit")
    thr: float = param("Threshold at the start.", "mV", per="unit")
    resist_inh: float = static("Resistance of lateral inhibition; 0 leaves it out.", "mV", default=0.0, ge=0)
    thr_persist: bool = static("Whether the adapted threshold outlives reset.", default=False)
    thr_gain: float = param("Increment of the threshold at a spike.", "mV", default=0.0, per="unit")
    thr_leak: float = param("Share of the threshold that is lost in a step.", default=0.0, per="unit")
    rho_b: float = param(
        "Increment of the shared threshold for each spike of the row beyond one; 0 for none.", "mV", default=0.0, ge=0
    )
    refract_time: float = param("Refractory period.", "ms", default=0.0, ge=0, per="unit")
    sticky_spikes: bool = static("Whether s stays 1 while refractory.", default=False)
    thr_jitter: float = param("Largest jitter of the threshold at the start.", "mV", default=0.05, ge=0)
    integration_type: Integrator = static("Integration method.", default="euler")
    surrogate_form: Literal["reference", "published"] = static(
        "Secant of the current (reference) or its square with its factors (published).", default="reference"
    )

    j = inlet("Input current.", "nA")
    v = state("Membrane potential.", "mV")
    rfr = state("Time since the last spike, refract_time at the start.", "ms", start="refract_time")
    v_thr = state("Threshold: learned where thr_persist is set.", "mV", start=None)
    tols = state("Time of the last spike.", "ms")
    s_last = state("What s was: it inhibits in the next step.")
    inh_weights = state(
        "Weights of lateral inhibition, from row to column.", start=None, size="pair", batch=False, learned=True
    )
    s = outlet("Spikes emitted this step.", spikes=True)
    j_mod = outlet("The current as it acted on v: J.", "mV")
    surrogate = outlet("Estimate of ds/dj.", start=1.0)

    def sizes(self) -> dict[str, tuple[int, ...]]:
        units = count(as_shape(self.n_units))
        return super().sizes() | {"pair": (units, units)}

    def axes(self, size: str) -> tuple[str, ...]:
        return ("pre", "post") if size == "pair" else super().axes(size)

    @property
    def compartments(self) -> Mapping[str, Compartment]:
        threshold = dataclasses.replace(self.declared["v_thr"], learned=self.thr_persist)
        return {**self.declared, "v_thr": threshold}

    def init(self, key: Any, batch: int, dtype: Any) -> dict[str, jax.Array]:
        of_thresholds, of_weights = jax.random.split(key)
        sizes = self.sizes()
        jitter = self.thr_jitter * jax.random.uniform(of_thresholds, sizes["unit"], dtype, -1.0, 1.0)
        weights = jax.random.uniform(of_weights, sizes["pair"], dtype, 0.025, 1.0)
        return dict(
            v_thr=jnp.broadcast_to((self.thr + jitter).astype(dtype), (batch, *sizes["unit"])),
            inh_weights=jnp.where(jnp.eye(len(weights), dtype=bool), 0.0, weights),
        )

    def advance(self, x: View, now: Now) -> dict[str, jax.Array]:
        rows = (x.v.shape[0], -1)
        drive = rounded(self.resist_m * x.j, now.zero)
        if self.resist_inh > 0.0:
            inhibition = (x.s_last.reshape(rows) @ x.inh_weights) * self.resist_inh
            drive = drive - rounded(inhibition.reshape(x.v.shape), now.zero)
        ready = x.rfr >= self.refract_time
        v = integrate(self.integration_type, lambda v: jnp.where(ready, (drive - v) / self.tau_m, 0.0), x.v, now.dt)
        fired = (v > x.v_thr).astype(x.v.dtype)

        of_row = jnp.sum(fired.reshape(rows), axis=1).reshape(-1, *(1,) * (fired.ndim - 1))
        shared = jnp.maximum(x.v_thr + rounded((of_row - 1.0) * self.rho_b, now.zero), LOWEST_THRESHOLD)
        own = x.v_thr + fired * self.thr_gain - rounded(x.v_thr * self.thr_leak, now.zero)
        s = jnp.where(ready, fired, 1.0) if self.sticky_spikes else fired
        ds_dj = secant(drive)
        if self.surrogate_form == "published":
            ds_dj = (SECANT_C1 * SECANT_C2) * ds_dj * ds_dj
        return dict(
            v=jnp.where(fired > 0.0, 0.0, v),
            rfr=jnp.where(fired > 0.0, 0.0, x.rfr) + now.dt,
            v_thr=jnp.where(self.rho_b > 0.0, shared, own),
            tols=jnp.where(s > 0.0, now.t, x.tols).astype(x.tols.dtype),
            s_last=s,
            s=s,
            j_mod=drive,
            surrogate=ds_dj,
        )
