"""Readout: how often two rows of numbers name the same winner."""

from __future__ import annotations

from typing import ClassVar

from synsim.component import Component, Now, Size, View, inlet, outlet, state, static
from synsim.later import jax, jnp


class Agreement(Component):
    """Share of rows in which `outputs` and `targets` have their largest value at the same unit.

        agreement = rows that agree / rows so far,     over the phase

    Schedule it in `end`: each call counts the rows of the batch once. Shapes: outputs, targets (B, *n_units). Equal
    largest values count as the first of them. With one-hot targets this is the accuracy of a classifier.

    Source: none.
    """

    family: ClassVar[str] = "readout"

    n_units: Size = static("Number of units in each row, or their shape.")

    outputs = inlet("What was answered.", required=True)
    targets = inlet("What should have been answered.", required=True)
    hits = state("Rows that agreed.", size="", batch=False, per_phase=True)
    rows = state("Rows counted.", size="", batch=False, per_phase=True)
    agreement = outlet("Share of rows that agree.", size="", batch=False, shown=True)

    def advance(self, x: View, now: Now) -> dict[str, jax.Array]:
        del now
        batch = x.outputs.shape[0]
        said = jnp.argmax(x.outputs.reshape(batch, -1), axis=1)
        meant = jnp.argmax(x.targets.reshape(batch, -1), axis=1)
        hits = x.hits + jnp.sum(said == meant).astype(x.hits.dtype)
        rows = x.rows + batch
        return dict(hits=hits, rows=rows, agreement=hits / rows)
