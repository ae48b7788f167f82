"""The interface of learning rules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from synsim.component import Compartment, Declaration, Now, View
from synsim.components.synapses.connectivity.connectivity import Connectivity
from synsim.later import jax

LEAVING = frozenset({"advance", "evolve", "backtransmit", "calc_update"})
"""Methods of a synapse that leave weights within their bounds."""


def by_events(pre: jax.Array, now: Now, connectivity: Connectivity) -> bool:
    """Whether a rule may look at the weights of active units only, which it can where the batch has one row.

    All weights within their bounds have to stay so: that is seen to in the first step of a trial, if only the rule
    itself changes weights in the others.
    """
    return connectivity.local and pre.shape[0] == 1 and now.each_step <= LEAVING


class Rule(Declaration, abstract=True):
    """How weights change. A rule sees its synapse's compartments and the maps of its connectivity, nothing else."""

    uses: ClassVar[str | None] = None  # what it needs of a connectivity: "correlations", or None
    by_column: ClassVar[bool] = False  # whether it looks for the weights that end in one unit
    post_inlet: ClassVar[str | None] = None  # the inlet that `back` falls back to
    rates: ClassVar[tuple[tuple[str, ...], ...]] = ()  # nothing is learned where all settings of one group are 0

    @property
    def plastic(self) -> bool:
        """Whether there is anything to evolve."""
        return self.uses is not None

    @classmethod
    def extra_compartments(cls, settings: Mapping[str, Any]) -> dict[str, Compartment]:
        """Compartments that depend on settings, such as an optimiser's."""
        del settings
        return {}

    def change(self, x: View, connectivity: Connectivity) -> dict[str, jax.Array]:
        """The update that the rule computes from the present signals, before it is applied: dWeights, dBiases."""
        raise TypeError(f"{type(self).__name__} has no change")

    def evolve(self, x: View, now: Now, connectivity: Connectivity) -> dict[str, jax.Array]:
        """The changed compartments once the update is applied and the weights are brought within their bounds."""
        raise TypeError(f"{type(self).__name__} has no evolve")
