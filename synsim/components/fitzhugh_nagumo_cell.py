"""The FitzHugh-Nagumo cell."""

from __future__ import annotations

from typing import ClassVar, Literal

from synsim.component import Component, Now, Size, View, inlet, outlet, param, state, static
from synsim.components.integrators import Coupling, Integrator, integrate_coupled
from synsim.later import jax, jnp


class FitzhughNagumoCell(Component):
    """FitzHugh-Nagumo cell: an excitable potential v and a slow recovery w.

        tau_m dv/dt = v - v^3 / gamma - w + resist_m j
        tau_w dw/dt = v + alpha - beta w

    Shapes: all (B, *n_units); v and w have no unit. With `emission: reference` s is 1 in every step that ends with
    v > v_thr, with `published` only in the step that takes v across it. Where s is 1, `spike_reset` puts v and w back
    to v0 and w0. `coupling: reference` integrates v and w each by itself, `published` together.

    Source: FitzHugh (1961), Biophys. J. 1:445; Nagumo, Arimoto & Yoshizawa (1962), Proc. IRE 50:2061.
    """

    family: ClassVar[str] = "neuron"

    n_units: Size = static("Number of neurons, or their shape.")
    tau_m: float = param("Time constant of the potential.", "ms", default=1.0, gt=0, per="unit")
    resist_m: float = param("Membrane resistance: factor on the current.", default=1.0, gt=0, per="unit")
    tau_w: float = param("Time constant of the recovery.", "ms", default=12.5, gt=0, per="unit")
    alpha: float = param("Shift of the recovery.", default=0.7, per="unit")
    beta: float = param("Decay of the recovery.", default=0.8, per="unit")
    gamma: float = param("Divisor of the cubic term.", default=3.0, gt=0, per="unit")
    v0: float = param("Potential at the start.", default=0.0, per="unit")
    w0: float = param("Recovery at the start.", default=0.0, per="unit")
    v_thr: float = param("Potential above which there is a spike.", default=1.07, per="unit")
    spike_reset: bool = static("Whether a spike puts v and w back to v0 and w0.", default=False)
    integration_type: Integrator = static("Integration method.", default="euler")
    coupling: Coupling = static(
        "Within a step: v and w each with the other held (reference), or together (published).", default="reference"
    )
    emission: Literal["reference", "published"] = static(
        "Spikes in every step above v_thr (reference) or only where v crosses it (published).", default="reference"
    )

    j = inlet("Input current.")
    v = state("Membrane potential.", start="v0")
    w = state("Recovery variable.", start="w0")
    tols = state("Time of the last spike.", "ms")
    s = outlet("Spikes emitted this step.", spikes=True)

    def advance(self, x: View, now: Now) -> dict[str, jax.Array]:
        def slopes(v: jax.Array, w: jax.Array) -> tuple[jax.Array, jax.Array]:
            dv = (v - v * v * v / self.gamma - w + self.resist_m * x.j) / self.tau_m
            dw = (v + self.alpha - self.beta * w) / self.tau_w
            return dv, dw

        v, w = integrate_coupled(self.integration_type, self.coupling, slopes, (x.v, x.w), now.dt)
        fired = v > self.v_thr
        if self.emission == "published":
            fired = fired & (x.v <= self.v_thr)
        if self.spike_reset:
            v, w = jnp.where(fired, self.v0, v), jnp.where(fired, self.w0, w)
        return dict(
            v=v,
            w=w,
            tols=jnp.where(fired, now.t, x.tols).astype(x.tols.dtype),
            s=fired.astype(x.v.dtype),
        )
