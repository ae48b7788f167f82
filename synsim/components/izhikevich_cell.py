"""Izhikevich's simple model of a spiking cell."""

from __future__ import annotations

from typing import ClassVar, Literal

from synsim.component import Component, Now, Size, View, inlet, outlet, param, state, static
from synsim.components.integrators import Coupling, Integrator, integrate_coupled
from synsim.later import jax, jnp

HalfSteps = Literal["two_half_steps"]


class IzhikevichCell(Component):
    """Izhikevich's simple model: a quadratic potential v and a recovery variable w.

        tau_m dv/dt = 0.04 v^2 + 5 v + 140 - w + resist_m j
        tau_w dw/dt = coupling_factor v - w
        where v > v_thr: a spike, v becomes v_reset and w becomes w + w_reset

    Shapes: all (B, *n_units). In the source's letters tau_w = 1/a (negative in the cells that inhibition excites),
    coupling_factor = b, v_reset = c, w_reset = d.

    `emission: reference` finds a spike in the potential before the step: s is 1 in the step after the one that
    crossed, v stands above v_thr in between, and w jumps from the value before the step. With `published` the spike,
    the reset and w + w_reset come in the step that crosses, from its integrated w.

    `coupling: reference` integrates v and w each by itself, `published` together; the slopes then see v no higher than
    v_thr. `integration_type: two_half_steps` is the source's program: v in two Euler steps of dt / 2 with w held, then
    w in one Euler step from the new v; it says itself how the two are coupled.

    Source: Izhikevich (2003), IEEE Trans. Neural Networks 14:1569; its firing patterns: Izhikevich (2004), IEEE Trans.
    Neural Networks 15:1063.
    """

    family: ClassVar[str] = "neuron"

    n_units: Size = static("Number of neurons, or their shape.")
    tau_m: float = param("Membrane time constant.", "ms", default=1.0, gt=0, per="unit")
    resist_m: float = param("Membrane resistance: factor on the current.", "MOhm", default=1.0, gt=0, per="unit")
    v_thr: float = param("Peak of a spike.", "mV", default=30.0, per="unit")
    v_reset: float = param("Potential after a spike, c.", "mV", default=-65.0, per="unit")
    tau_w: float = param("Time constant of the recovery, 1/a.", "ms", default=50.0, per="unit")
    w_reset: float = param("Increment of the recovery at a spike, d.", default=8.0, per="unit")
    coupling_factor: float = param("How far the recovery follows the potential, b.", default=0.2, per="unit")
    v0: float = param("Potential at the start.", "mV", default=-65.0, per="unit")
    w0: float = param("Recovery at the start.", default=-14.0, per="unit")
    integration_type: Integrator | HalfSteps = static("Integration method.", default="euler")
    coupling: Coupling = static(
        "Within a step: v and w each with the other held (reference), or together (published).", default="reference"
    )
    emission: Literal["reference", "published"] = static(
        "A spike comes in the step after the crossing (reference) or in the step that crosses (published).",
        default="reference",
    )

    j = inlet("Input current.", "nA")
    v = state("Membrane potential.", "mV", start="v0")
    w = state("Recovery variable.", start="w0")
    tols = state("Time of the last spike.", "ms")
    s = outlet("Spikes emitted this step.", spikes=True)

    def problems(self) -> list[tuple[str, str]]:
        """Settings that do not go together, each with a sentence."""
        if self.integration_type == "two_half_steps" and self.coupling == "published":
            return [("coupling", "published does not go with two_half_steps, which couples v and w in its own way")]
        return []

    def advance(self, x: View, now: Now) -> dict[str, jax.Array]:
        v, w = self._integrated(x, now.dt)
        if self.emission == "published":
            fired = v > self.v_thr
            jumped = w + self.w_reset
        else:
            fired = x.v > self.v_thr
            jumped = x.w + self.w_reset
        return dict(
            v=jnp.where(fired, self.v_reset, v),
            w=jnp.where(fired, jumped, w),
            tols=jnp.where(fired, now.t, x.tols).astype(x.tols.dtype),
            s=fired.astype(x.v.dtype),
        )

    def _slopes(self, j: jax.Array, v: jax.Array, w: jax.Array) -> tuple[jax.Array, jax.Array]:
        dv = (140.0 - w + 5.0 * v + 0.04 * (v * v) + self.resist_m * j) / self.tau_m
        dw = (self.coupling_factor * v - w) / self.tau_w
        return dv, dw

    def _integrated(self, x: View, dt: float) -> tuple[jax.Array, ...]:
        if self.integration_type == "two_half_steps":
            wrong = self.problems()
            if wrong:
                raise ValueError("; ".join(f"{setting}: {sentence}" for setting, sentence in wrong))
            v = x.v
            for _ in range(2):
                v = v + 0.5 * dt * self._slopes(x.j, v, x.w)[0]
            return v, x.w + dt * self._slopes(x.j, v, x.w)[1]

        def slopes(v: jax.Array, w: jax.Array) -> tuple[jax.Array, jax.Array]:
            # past the peak the spike is certain; what v^2 makes of a stage that overshot must not end up in w
            return self._slopes(x.j, jnp.minimum(v, self.v_thr) if self.coupling == "published" else v, w)

        return integrate_coupled(self.integration_type, self.coupling, slopes, (x.v, x.w), dt)
