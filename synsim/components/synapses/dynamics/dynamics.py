"""The interface of synaptic dynamics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from synsim.component import Compartment, Declaration, Now, View
from synsim.later import jax


class Dynamics(Declaration, abstract=True):
    """From the drive that the weights transmit to what the postsynaptic side receives."""

    @classmethod
    def extra_compartments(cls, settings: Mapping[str, Any]) -> dict[str, Compartment]:
        """Compartments that depend on settings."""
        del settings
        return {}

    def advance(self, drive: jax.Array, x: View, now: Now, gain: Any, bias: jax.Array | None) -> dict[str, jax.Array]:
        """The changed compartments. drive (B, *post); `gain` is the synapse's resist_scale; `bias` may be None."""
        raise TypeError(f"{type(self).__name__} has no advance")
