"""Readout: how alike two patterns are."""

from __future__ import annotations

from typing import ClassVar, Literal

from synsim.component import Component, Now, Size, View, inlet, outlet, param, rounded, state, static
from synsim.later import jax, jnp


class Overlap(Component):
    """Likeness of the rows of `outputs` and `targets`: its mean, and the share of rows above a criterion.

        cosine   o . t / (|o| |t|), 0 where either is all zeros
        hamming  share of units that are on (> 0) in both or off in both
        overlaps = the likeness of each row at this call
        overlap = mean over the rows so far,     recalled = share of them above criterion,     over the phase

    Schedule it in `end`: each call counts the rows of the batch once. Shapes: outputs, targets (B, *n_units), overlaps
    (B,).

    Source: Hopfield (1982), PNAS 79:2554 (overlap of a state with a memory).
    """

    family: ClassVar[str] = "readout"

    n_units: Size = static("Number of units in each row, or their shape.")
    measure: Literal["cosine", "hamming"] = static("How likeness is measured.", default="cosine")
    criterion: float = param("Likeness above which a row counts as recalled.", default=0.95)

    outputs = inlet("What was recalled.", required=True)
    targets = inlet("What should have been recalled.", required=True)
    total = state("Sum of the likeness of all rows.", size="", batch=False, per_phase=True)
    hits = state("Rows above the criterion.", size="", batch=False, per_phase=True)
    rows = state("Rows counted.", size="", batch=False, per_phase=True)
    overlaps = outlet("Likeness of each row.", size="")
    overlap = outlet("Mean likeness.", size="", batch=False, shown=True)
    recalled = outlet("Share of rows above the criterion.", size="", batch=False, shown=True)

    def advance(self, x: View, now: Now) -> dict[str, jax.Array]:
        batch = x.outputs.shape[0]
        likeness = self._likeness(x.outputs.reshape(batch, -1), x.targets.reshape(batch, -1))
        likeness = rounded(likeness, now.zero)
        total = x.total + jnp.sum(likeness)
        hits = x.hits + jnp.sum(likeness > self.criterion).astype(x.hits.dtype)
        rows = x.rows + batch
        return dict(total=total, hits=hits, rows=rows, overlaps=likeness, overlap=total / rows, recalled=hits / rows)

    def _likeness(self, a: jax.Array, b: jax.Array) -> jax.Array:
        if self.measure == "hamming":
            return jnp.mean(((a > 0.0) == (b > 0.0)).astype(a.dtype), axis=1)
        lengths = jnp.linalg.norm(a, axis=1) * jnp.linalg.norm(b, axis=1)
        return jnp.where(lengths > 0.0, jnp.sum(a * b, axis=1) / jnp.where(lengths > 0.0, lengths, 1.0), 0.0)
