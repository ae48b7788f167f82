"""The winner-take-all spiking cell."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from synsim.component import Component, Now, Size, View, inlet, outlet, param, rounded, state, static
from synsim.components.integrators import Integrator, integrate
from synsim.later import jax, jnp

LOWEST_THRESHOLD = 0.025
"""Where the threshold stops falling."""


class WTASCell(Component):
    """Winner-take-all spiking cell: the units of a row share one probability.

        v = m resist_m j,     m = 1 where rfr >= refract_time, else 0
        p = softmax(v) over the units of the row;     s = 1 where p > thr; there rfr becomes dt
        thr becomes max(thr + thr_gain (spikes of the row - 1), .025)

    With `membrane: published`, v is integrated: tau_m dv/dt = m resist_m j, as the cell is described, and tau_m is
    needed; in the reference it has no effect.

    Shapes: all (B, *n_units). thr starts at thr_base plus a jitter that is uniform within thr_jitter and the same for
    every row; it is learned: it outlives reset. To begin with, thr_base belongs between 1 / units and .5. thr_gain acts
    once a step whatever dt is. rfr counts the step of the spike, so the current is cut for refract_time / dt - 1
    further steps; a unit whose current is cut keeps its share of p.

    Source: softmax as the competition of spiking units: Nessler et al. (2013), PLoS Comput. Biol. 9:e1003037; threshold
    that aims at one spike a row: Ororbia (2019), arXiv:1908.08655.
    """

    family: ClassVar[str] = "neuron"

    n_units: Size = static("Number of neurons, or their shape.")
    tau_m: float | None = param(
        "Membrane time constant, which acts with `membrane: published`.", "ms", default=None, gt=0, per="unit"
    )
    resist_m: float = param("Membrane resistance.", "MOhm", default=1.0, gt=0, per="unit")
    thr_base: float = param("Threshold of p at the start.", default=0.4, per="unit", also=("thrBase",))
    thr_gain: float = param("Increment of the threshold for each spike of the row beyond one.", default=0.002)
    refract_time: float = param("Refractory period.", "ms", default=0.0, ge=0, per="unit")
    thr_jitter: float = param("Largest jitter of the threshold at the start.", default=0.05, ge=0)
    integration_type: Integrator = static("Integration method of `membrane: published`.", default="euler")
    membrane: Literal["reference", "published"] = static(
        "Potential: the scaled current (reference) or its integral (published).", default="reference"
    )

    j = inlet("Input current.", "nA")
    v = state("Membrane potential.", "mV")
    rfr = state("Time since the last spike, refract_time at the start.", "ms", start="refract_time")
    thr = state("Threshold of the probability.", start=None, learned=True)
    tols = state("Time of the last spike.", "ms")
    s = outlet("Spikes emitted this step.", spikes=True)

    def problems(self) -> list[tuple[str, str]]:
        if self.membrane == "published" and self.tau_m is None:
            return [("tau_m", "`membrane: published` integrates v and needs tau_m, in ms.")]
        return []

    def init(self, key: Any, batch: int, dtype: Any) -> dict[str, jax.Array]:
        shape = self.sizes()["unit"]
        jitter = self.thr_jitter * jax.random.uniform(key, shape, dtype, -1.0, 1.0)
        return dict(thr=jnp.broadcast_to((self.thr_base + jitter).astype(dtype), (batch, *shape)))

    def advance(self, x: View, now: Now) -> dict[str, jax.Array]:
        rows = (x.v.shape[0], -1)
        drive = jnp.where(x.rfr >= self.refract_time, self.resist_m * x.j, 0.0)
        if self.membrane == "published":
            if (tau_m := self.tau_m) is None:
                raise ValueError(self.problems()[0][1])
            v = integrate(self.integration_type, lambda v: drive / tau_m, x.v, now.dt)
        else:
            v = drive
        p = jax.nn.softmax(v.reshape(rows), axis=1).reshape(v.shape)
        fired = (p > x.thr).astype(x.v.dtype)
        of_row = jnp.sum(fired.reshape(rows), axis=1).reshape(-1, *(1,) * (fired.ndim - 1))
        more = rounded((of_row - 1.0) * self.thr_gain, now.zero)
        return dict(
            v=v,
            rfr=jnp.where(fired > 0.0, 0.0, x.rfr) + now.dt,
            thr=jnp.maximum(x.thr + more, LOWEST_THRESHOLD),
            tols=jnp.where(fired > 0.0, now.t, x.tols).astype(x.tols.dtype),
            s=fired,
        )
