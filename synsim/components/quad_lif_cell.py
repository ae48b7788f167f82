"""The quadratic integrate-and-fire cell."""

from __future__ import annotations

from typing import ClassVar, Literal

from synsim.component import Component, Now, Size, View, inlet, outlet, param, state, static
from synsim.components.integrators import Integrator
from synsim.components.spiking import Surrogate, integrate_and_fire
from synsim.later import jax


class QuadLIFCell(Component):
    """Quadratic integrate-and-fire cell with a refractory period and an adaptive threshold.

        tau_m dv/dt = F(v) + m resist_m j,     m = 1 where rfr >= refract_time, else 0
        s = 1 where v > thr + thr_theta; there v becomes v_reset and rfr becomes 0
        thr_theta becomes thr_theta exp(-dt / tau_theta) + theta_plus s_raw  (unchanged where tau_theta <= 0)

    F(v) = critical_v (v - v_rest) (v - v_scale) with `quadratic: published`: v_rest is stable, and beyond v_scale, the
    critical potential, v runs away upwards by itself, so thr belongs above it. With `quadratic: reference` F has the
    opposite sign: v_scale is stable, above v_rest v rises to it without a current (so the cell spikes where thr is
    lower), and below v_rest it falls without end (v_min stops it). Of the two names, which are the reference's,
    v_scale is the critical potential and critical_v the factor.

    Shapes: all (B, *n_units). With `refractory: reference` F acts while the cell is refractory and only the current is
    cut; with `published` v is held and no spike is possible. thr_theta is learned: it outlives reset.

    At most one spike a row: `one_spike` keeps one of the spikes drawn at random, `max_one_spike` keeps the spike of
    the cell whose v was highest before the step (it may keep none). Cells that lose are reset and adapt all the same.

    surrogate is an estimate of ds/dj from the voltage before the reset: d(v - threshold) resist_m dt / tau_m, or
    secant_lif; see synsim.components.spiking.

    Source: Gerstner & Kistler (2002), Spiking Neuron Models, eq. 5.2; Latham et al. (2000), J. Neurophysiol. 83:808.
    """

    family: ClassVar[str] = "neuron"

    n_units: Size = static("Number of neurons, or their shape.")
    tau_m: float = param("Membrane time constant.", "ms", gt=0, per="unit")
    resist_m: float = param("Membrane resistance.", "MOhm", default=1.0, gt=0, per="unit")
    thr: float = param("Threshold without adaptation.", "mV", default=-52.0, per="unit")
    v_rest: float = param("Resting potential.", "mV", default=-65.0, per="unit")
    v_reset: float = param("Potential after a spike.", "mV", default=-60.0, per="unit")
    v_scale: float = param("Critical potential: the other zero of F.", "mV", default=-41.6, per="unit")
    critical_v: float = param("Factor of F, per mV.", default=1.0, gt=0, per="unit")
    tau_theta: float = param("Time constant of the adaptive threshold; 0 freezes it.", "ms", default=1e7, per="unit")
    theta_plus: float = param("Increment of the adaptive threshold at a spike.", "mV", default=0.05, per="unit")
    refract_time: float = param("Refractory period.", "ms", default=5.0, ge=0, per="unit")
    v_min: float | None = param("Lowest possible potential; null for none.", "mV", default=None, per="unit")
    one_spike: bool = static("Keep one spike of each row, drawn at random.", default=False)
    max_one_spike: bool = static("Keep the spike of the cell with the highest previous potential.", default=False)
    integration_type: Integrator = static("Integration method.", default="euler")
    surrogate_type: Surrogate = static("Estimate of ds/dj that surrogate gives.", default="arctan")
    quadratic: Literal["reference", "published"] = static(
        "Sign of F: v_scale attracts (reference) or v runs away beyond it (published).", default="reference"
    )
    refractory: Literal["reference", "published"] = static(
        "While refractory: F goes on (reference) or v is held (published).", default="reference"
    )

    j = inlet("Input current.", "nA")
    v = state("Membrane potential.", "mV", start="v_rest")
    rfr = state("Time since the last spike, refract_time at the start.", "ms", start="refract_time")
    thr_theta = state("Adaptive threshold increment.", "mV", learned=True)
    tols = state("Time of the last spike.", "ms")
    s = outlet("Spikes emitted this step.", spikes=True)
    s_raw = outlet("Spikes before one of them was picked.", spikes=True)
    v_thr = outlet("Threshold: thr + thr_theta.", "mV", start="thr")
    surrogate = outlet("Estimate of ds/dj.", "1/nA", start=1.0)

    def advance(self, x: View, now: Now) -> dict[str, jax.Array]:
        factor = self.critical_v if self.quadratic == "published" else -self.critical_v

        def slope(v: jax.Array, current: jax.Array) -> jax.Array:
            return (factor * (v - self.v_rest) * (v - self.v_scale) + current) / self.tau_m

        return integrate_and_fire(self, slope, x, now)

    def conform(self, values: dict[str, jax.Array]) -> dict[str, jax.Array]:
        return values | dict(v_thr=self.thr + values["thr_theta"]) if "v_thr" in values else values

    def reset(self, x: View, now: Now) -> dict[str, jax.Array]:
        return dict(v_thr=self.thr + x.thr_theta)  # thr_theta outlives reset, so the threshold must count it
