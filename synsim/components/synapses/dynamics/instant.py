"""No dynamics: the drive itself."""

from __future__ import annotations

from typing import Any

from synsim.component import Now, View, outlet
from synsim.components.synapses.dynamics.dynamics import Dynamics
from synsim.later import jax


class InstantDynamics(Dynamics, type_name="instant"):
    """The transmitted drive arrives within the step: outputs = R drive + b. Source: none."""

    outputs = outlet("What the synapse sends to its postsynaptic units.", size="post")

    def advance(self, drive: jax.Array, x: View, now: Now, gain: Any, bias: jax.Array | None) -> dict[str, jax.Array]:
        del x, now
        outputs = drive * gain
        return dict(outputs=outputs if bias is None else outputs + bias)
