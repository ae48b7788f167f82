"""Source: noise with a memory."""

from __future__ import annotations

from typing import Any, ClassVar

from synsim.component import Component, Now, Size, View, param, rounded, state, static
from synsim.later import jax, jnp


class OrnsteinUhlenbeckNoise(Component):
    """Gaussian noise that forgets with a time constant, solved exactly.

        dx = (mean - x) dt / tau + sigma sqrt(2 / tau) dW
        outputs = mean + (x - mean) e^(-dt/tau) + sigma sqrt(1 - e^(-2 dt/tau)) xi,     x = outputs before, xi ~ N(0, 1)

    This is the Ornstein-Uhlenbeck process. In the long run its mean is `mean`, its standard deviation sigma and its
    autocorrelation e^(-|lag|/tau), at every time step alike: no step is too long. Where tau goes to 0 each number is
    independent of the last; GaussianNoise has that, also scaled as white noise. Each trial starts from a number of the
    long-run distribution, drawn anew at each reset; with `stationary_start: false` from the mean, or from what
    `initial` says. Shape: outputs (B, *n_units); rows and units are independent.

    Source: Uhlenbeck & Ornstein (1930), Physical Review 36:823; exact update: Gillespie (1996), Physical Review E
    54:2084.
    """

    family: ClassVar[str] = "source"

    n_units: Size = static("Number of units, or their shape.")
    tau: float = param("Time constant of the noise.", "ms", gt=0, per="unit")
    mean: float = param("Mean.", default=0.0, per="unit")
    sigma: float = param("Standard deviation in the long run.", default=1.0, ge=0, per="unit")
    stationary_start: bool = static("Whether a trial starts from the long-run distribution.", default=True)

    outputs = state("The noise.", start=None)

    def init(self, key: Any, batch: int, dtype: Any) -> dict[str, jax.Array]:
        return dict(outputs=self._start(key, (batch, *self.sizes()["unit"]), dtype))

    def advance(self, x: View, now: Now) -> dict[str, jax.Array]:
        kept = jnp.exp(-now.dt / self.tau)
        spread = self.sigma * jnp.sqrt(-jnp.expm1(-2.0 * now.dt / self.tau))
        noise = jax.random.normal(now.key, x.outputs.shape, x.outputs.dtype)
        outputs = self.mean + (rounded((x.outputs - self.mean) * kept, now.zero) + spread * noise)
        return dict(outputs=outputs.astype(x.outputs.dtype))

    def reset(self, x: View, now: Now) -> dict[str, jax.Array]:
        # without this every trial would start from the one number that `init` drew
        return dict(outputs=self._start(now.key, x.outputs.shape, x.outputs.dtype)) if self.stationary_start else {}

    def _start(self, key: Any, shape: tuple[int, ...], dtype: Any) -> jax.Array:
        mean = jnp.broadcast_to(jnp.asarray(self.mean, dtype), shape)
        return mean + self.sigma * jax.random.normal(key, shape, dtype) if self.stationary_start else mean
