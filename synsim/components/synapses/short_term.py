"""Short-term plasticity: synapses that tire and recover, and that are facilitated."""

from __future__ import annotations

from typing import Literal

from synsim.component import Declaration, Now, param, rounded, static
from synsim.later import jax, jnp


class ShortTermPlasticity(Declaration, type_name="short_term"):
    """Depression and facilitation after Tsodyks and Markram, one pair of variables for each axon.

        between spikes   tau_fac du/dt = -u,     tau_rec dx/dt = 1 - x
        at a spike s     u <- u + U (1 - u) s,   then it sends u x s,   x <- x - u x s

    u is the share of the resources x that a spike uses: U at the first spike, and at every one where tau_fac is 0.
    Both relax from step to step by 1 - dt / tau (euler) or by exp(-dt / tau) (exact). Shapes: u, x, s (B, *pre).

    Source: Tsodyks & Markram (1997), PNAS 94:719; Tsodyks, Pawelzik & Markram (1998), Neural Computation 10:821.
    """

    U: float = param("Share of the resources that a spike uses at rest.", default=0.5, gt=0, le=1)
    tau_rec: float = param("Time constant with which resources recover.", "ms", default=800.0, gt=0)
    tau_fac: float = param("Time constant with which facilitation decays; 0 for none.", "ms", default=0.0, ge=0)
    integration: Literal["euler", "exact"] = static(
        "How u and x relax over a step: by forward Euler, or exactly.", default="euler"
    )

    def step(self, u: jax.Array, x: jax.Array, s: jax.Array, now: Now) -> tuple[jax.Array, jax.Array, jax.Array]:
        """What is sent, and u and x after that."""
        facilitates = jnp.asarray(self.tau_fac) > 0
        u = u * jnp.where(facilitates, self._left(jnp.where(facilitates, self.tau_fac, 1.0), now), 0.0)
        u = rounded(u, now.zero)
        x = 1.0 - rounded((1.0 - x) * self._left(self.tau_rec, now), now.zero)
        u = u + rounded(self.U * (1.0 - u) * s, now.zero)
        sent = rounded(u * x * s, now.zero)
        return sent.astype(s.dtype), u.astype(s.dtype), (x - sent).astype(s.dtype)

    def _left(self, tau: jax.Array | float, now: Now) -> jax.Array | float:
        return jnp.exp(-now.dt / tau) if self.integration == "exact" else 1.0 - now.dt / tau
