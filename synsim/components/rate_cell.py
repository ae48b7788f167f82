"""The rate cell: a graded unit, as predictive coding uses."""

from __future__ import annotations

from typing import ClassVar, Literal

from synsim.component import Component, Now, Size, View, inlet, outlet, param, rounded, state, static
from synsim.components.activations import ActivationName, activate, modulate
from synsim.components.integrators import Integrator, integrate
from synsim.later import jax, jnp


class RateCell(Component):
    """Leaky graded cell that follows the slope of its activation function.

        tau_m dz/dt = J + j_td - prior_lmbda leak(z),     J = resist_scale f'(z) j
        then z goes through the threshold;     zF = output_scale f(z)

    leak by prior: gaussian z, laplacian sign(z), cauchy 2z / (1 + z^2), exp 2z e^(-z^2). f'(z) and J are taken at the
    z before the step. Where tau_m <= 0, or with `is_stateful: false`, there are no dynamics: z = j + j_td, unscaled.

    Thresholds with l = thr_lmbda: soft_threshold max(z - l, 0) - max(-z - l, 0); cauchy_threshold
    (z + r) / 2 where z >= l, (z - r) / 2 where z <= -l, else 0, with r = sqrt(max(z^2 - l, 0)).

    `clamp`, where a schedule names it, puts the state to a wired value: z = clamped, zF = output_scale f(clamped).
    Shapes: all (B, *n_units). Activation functions: see synsim.components.activations.

    Source: Rao & Ballard (1999), Nature Neuroscience 2:79; Whittington & Bogacz (2017), Neural Computation 29:1229;
    Cauchy threshold: arXiv:2003.12507.
    """

    family: ClassVar[str] = "neuron"

    n_units: Size = static("Number of cells, or their shape.")
    tau_m: float = param("Time constant; 0 turns the dynamics off.", "ms", per="unit")
    prior: Literal["gaussian", "laplacian", "cauchy", "exp"] = static("Prior that z leaks towards.", default="gaussian")
    prior_lmbda: float = param("Strength of the leak.", default=0.0, per="unit")
    act_fx: ActivationName = static("Activation function f.", default="identity")
    omega_0: float = param("Frequency of the activation function sine.", default=30.0, per="unit")
    output_scale: float = param("Factor on the output.", default=1.0, per="unit")
    threshold: Literal["none", "soft_threshold", "cauchy_threshold"] = static(
        "Threshold that z goes through after each step.", default="none"
    )
    thr_lmbda: float = param("Width of the threshold.", default=0.0, ge=0, per="unit")
    integration_type: Integrator = static("Integration method.", default="euler")
    resist_scale: float = param("Factor on the current j.", default=1.0, per="unit")
    is_stateful: bool = static("Whether z has dynamics.", default=True)

    j = inlet("Input current.")
    j_td = inlet("Top-down current, not scaled by f'(z).")
    clamped = inlet("Value that the method clamp gives to z.")
    z = state("Activity before the activation function.")
    zF = outlet("Activity: f(z).")
    j_mod = outlet("The current j as it acted on z: J.")

    def advance(self, x: View, now: Now) -> dict[str, jax.Array]:
        through = x.j + x.j_td
        if not self.is_stateful:
            return dict(z=through, zF=self._output(through), j_mod=x.j)
        dynamic = jnp.asarray(self.tau_m) > 0.0
        tau = jnp.where(dynamic, self.tau_m, 1.0)
        current = rounded(modulate(self.act_fx, x.z, x.j, self.omega_0) * self.resist_scale, now.zero)

        def slope(z: jax.Array) -> jax.Array:
            return (current + x.j_td - self.prior_lmbda * self._leak(z)) / tau

        z = self._thresholded(integrate(self.integration_type, slope, x.z, now.dt))
        z = jnp.where(dynamic, z, through)
        return dict(z=z, zF=self._output(z), j_mod=jnp.where(dynamic, current, x.j))

    def clamp(self, x: View, now: Now) -> dict[str, jax.Array]:
        """Put z to the wired value."""
        del now
        return dict(z=x.clamped, zF=self._output(x.clamped))

    def _output(self, z: jax.Array) -> jax.Array:
        return activate(self.act_fx, z, self.omega_0) * self.output_scale

    def _leak(self, z: jax.Array) -> jax.Array:
        match self.prior:
            case "gaussian":
                return z
            case "laplacian":
                return jnp.sign(z)
            case "cauchy":
                return 2.0 * z / (1.0 + jnp.square(z))
            case "exp":
                return 2.0 * z * jnp.exp(-jnp.square(z))

    def _thresholded(self, z: jax.Array) -> jax.Array:
        width = self.thr_lmbda
        match self.threshold:
            case "none":
                return z
            case "soft_threshold":
                return jnp.maximum(z - width, 0.0) - jnp.maximum(-z - width, 0.0)
            case "cauchy_threshold":
                root = jnp.sqrt(jnp.maximum(jnp.square(z) - width, 0.0))
                above = jnp.where(z >= width, 0.5 * (z + root), 0.0)
                return above + jnp.where(z <= -width, 0.5 * (z - root), 0.0)
