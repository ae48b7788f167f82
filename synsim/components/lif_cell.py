"""The leaky integrate-and-fire cell."""

from __future__ import annotations

from typing import ClassVar, Literal

from synsim.component import Component, Now, Size, View, inlet, outlet, param, state, static
from synsim.components.integrators import Integrator
from synsim.components.spiking import Surrogate, integrate_and_fire
from synsim.later import jax


class LIFCell(Component):
    """Leaky integrate-and-fire cell with a refractory period and an adaptive threshold.

        tau_m dv/dt = conduct_leak (v_rest - v) + m resist_m j,     m = 1 where rfr >= refract_time, else 0
        v becomes v + m jump at the end of the step
        s = 1 where v > thr + thr_theta; there v becomes v_reset and rfr becomes 0
        thr_theta becomes thr_theta exp(-dt / tau_theta) + theta_plus s_raw  (unchanged where tau_theta <= 0)

    Shapes: all (B, *n_units). Refractory for refract_time / dt steps after the step of the spike. With
    `refractory: reference` the leak goes on meanwhile and only the current is cut; with `published` v is held and no
    spike is possible, as in NEST and in Brian2's "unless refractory". thr_theta is learned: it outlives reset.

    `integration_type: exponential_euler` is exact for a current that stands still over the step. `jump` is what delta
    synapses send: a voltage and no current, so that its effect depends on neither dt nor tau_m.

    At most one spike a row: `one_spike` keeps one of the spikes drawn at random, `max_one_spike` keeps the spike of
    the cell whose v was highest before the step (it may keep none). Cells that lose are reset and adapt all the same.

    surrogate is an estimate of ds/dj from the voltage before the reset: d(v - threshold) resist_m dt / tau_m with
    arctan: d(u) = 1 / (pi (1 + (pi a u / 2)^2)), triangular: d(u) = max(0, 1 - a |u|), straight_through: d = 1 (a = .2
    per mV); secant_lif is 1[J > 0] / cosh(.08 J), J = resist_m j, without further factors.

    Source: Gerstner & Kistler (2002), Spiking Neuron Models, ch. 4; adaptive threshold and one spike a step: Diehl &
    Cook (2015), Front. Comput. Neurosci. 9:99; surrogates: Bengio et al. (2013), arXiv:1308.3432; Samadi et al.
    (2017), Neural Computation 29:578.
    """

    family: ClassVar[str] = "neuron"

    n_units: Size = static("Number of neurons, or their shape.")
    tau_m: float = param("Membrane time constant.", "ms", gt=0, per="unit")
    resist_m: float = param("Membrane resistance.", "MOhm", default=1.0, gt=0, per="unit")
    thr: float = param("Threshold without adaptation.", "mV", default=-52.0, per="unit")
    v_rest: float = param("Resting potential.", "mV", default=-65.0, per="unit")
    v_reset: float = param("Potential after a spike.", "mV", default=-60.0, per="unit")
    conduct_leak: float = param("Leak conductance; 0 leaves a pure integrator.", default=1.0, ge=0, per="unit")
    tau_theta: float = param("Time constant of the adaptive threshold; 0 freezes it.", "ms", default=1e7, per="unit")
    theta_plus: float = param("Increment of the adaptive threshold at a spike.", "mV", default=0.05, per="unit")
    refract_time: float = param("Refractory period.", "ms", default=5.0, ge=0, per="unit")
    v_min: float | None = param("Lowest possible potential; null for none.", "mV", default=None, per="unit")
    one_spike: bool = static("Keep one spike of each row, drawn at random.", default=False)
    max_one_spike: bool = static("Keep the spike of the cell with the highest previous potential.", default=False)
    integration_type: Integrator = static("Integration method.", default="euler")
    surrogate_type: Surrogate = static("Estimate of ds/dj that surrogate gives.", default="arctan")
    refractory: Literal["reference", "published"] = static(
        "While refractory: the leak goes on (reference) or v is held (published).", default="reference"
    )

    j = inlet("Input current.", "nA")
    jump = inlet("What delta synapses add to v in this step; lost while the cell is refractory.", "mV")
    v = state("Membrane potential.", "mV", start="v_rest")
    rfr = state("Time since the last spike, refract_time at the start.", "ms", start="refract_time")
    thr_theta = state("Adaptive threshold increment.", "mV", learned=True)
    tols = state("Time of the last spike.", "ms")
    s = outlet("Spikes emitted this step.", spikes=True)
    s_raw = outlet("Spikes before one of them was picked.", spikes=True)
    v_thr = outlet("Threshold: thr + thr_theta.", "mV", start="thr")
    surrogate = outlet("Estimate of ds/dj.", "1/nA", start=1.0)

    def advance(self, x: View, now: Now) -> dict[str, jax.Array]:
        def slope(v: jax.Array, current: jax.Array) -> jax.Array:
            return (self.conduct_leak * (self.v_rest - v) + current) / self.tau_m

        return integrate_and_fire(self, slope, x, now, x.jump)

    def conform(self, values: dict[str, jax.Array]) -> dict[str, jax.Array]:
        return values | dict(v_thr=self.thr + values["thr_theta"]) if "v_thr" in values else values

    def reset(self, x: View, now: Now) -> dict[str, jax.Array]:
        return dict(v_thr=self.thr + x.thr_theta)  # thr_theta outlives reset, so the threshold must count it
