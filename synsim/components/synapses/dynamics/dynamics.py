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

    def left(self, x: View, now: Now) -> tuple[jax.Array, Any] | None:
        """What a step leaves of the variable that the drive raises, and the factor on the drive; None without such.

        The synapse adds the two up, for it can add to the variable what each spike sends and need not sum it first.
        """
        del x, now
        return None

    def advance(self, drive: jax.Array, x: View, now: Now, gain: Any, bias: jax.Array | None) -> dict[str, jax.Array]:
        """The changed compartments. `drive` (B, *post) is what is transmitted or, where `left` gives a variable, that
        variable once it is raised; `gain` is the synapse's resist_scale; `bias` may be None."""
        raise TypeError(f"{type(self).__name__} has no advance")
