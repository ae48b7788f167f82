"""The leaky noise cell: a graded unit of a noisy recurrent network."""

from __future__ import annotations

from typing import ClassVar, Literal

from synsim.component import Component, Now, Size, View, inlet, outlet, param, rounded, state, static
from synsim.components.activations import ActivationName, activate, modulate
from synsim.components.integrators import Integrator, integrate
from synsim.later import jax, jnp


class LeakyNoiseCell(Component):
    """Leaky graded cell with noise on its state and on its rate.

        tau_x dx/dt = -leak_scale x + j_input + j_recurrent + noise,     r = f(x) + sigma_post xi,     r_prime = f'(x)

    With `noise: published` the noise is sqrt(2 tau_x) sigma_pre dW/dt, W a Wiener process: a step adds
    sigma_pre sqrt(2 dt / tau_x) eps, and where leak_scale is 1 the standard deviation of x becomes sigma_pre as
    dt / tau_x goes to 0; xi is drawn apart from eps. With `noise: reference` it is sqrt(2 tau_x) sigma_pre eps, held
    over the step like a current, so that the standard deviation of x goes down with the time step, and xi is the same
    draw as eps. eps, xi ~ N(0, 1). Shapes: all (B, *n_units). For softmax r_prime is its Jacobian times 1, which is 0.

    Source: Song, Yang & Wang (2016), PLoS Computational Biology 12:e1004792.
    """

    family: ClassVar[str] = "neuron"

    n_units: Size = static("Number of cells, or their shape.")
    tau_x: float = param("Time constant.", "ms", gt=0, per="unit")
    act_fx: ActivationName = static("Activation function f.", default="relu")
    omega_0: float = param("Frequency of the activation function sine.", default=30.0, per="unit")
    sigma_pre: float = param("Strength of the noise on x.", default=0.1, ge=0, per="unit", also=("sigma_rec",))
    sigma_post: float = param("Standard deviation of the noise on r.", default=0.1, ge=0, per="unit")
    leak_scale: float = param("Factor on the leak.", default=1.0, per="unit")
    integration_type: Integrator = static("Integration method of all but the noise.", default="euler")
    noise: Literal["reference", "published"] = static(
        "One draw for both noises, held over the step (reference), or two, one a Wiener process (published).",
        default="reference",
    )

    j_input = inlet("Input current.")
    j_recurrent = inlet("Recurrent current.")
    x = state("Activity before the activation function.")
    r = outlet("Rate: f(x), with noise.")
    r_prime = outlet("Slope of the rate: f'(x).")

    def advance(self, x: View, now: Now) -> dict[str, jax.Array]:
        shape, dtype = x.x.shape, x.x.dtype
        current = x.j_input + x.j_recurrent
        if self.noise == "reference":
            before = after = jax.random.normal(now.key, shape, dtype)
            current = current + rounded(jnp.sqrt(2.0 * self.tau_x) * self.sigma_pre * before, now.zero)
        else:
            before, after = jax.random.normal(now.key, (2, *shape), dtype)

        def slope(z: jax.Array) -> jax.Array:
            return (current - self.leak_scale * z) / self.tau_x

        state = integrate(self.integration_type, slope, x.x, now.dt)
        if self.noise == "published":
            state = state + rounded(jnp.sqrt(2.0 * now.dt / self.tau_x) * self.sigma_pre * before, now.zero)
        rate = activate(self.act_fx, state, self.omega_0) + rounded(self.sigma_post * after, now.zero)
        return dict(x=state, r=rate, r_prime=modulate(self.act_fx, state, jnp.ones_like(state), self.omega_0))
