"""Readout: a class from the spikes of cells that learned without labels."""

from __future__ import annotations

from typing import ClassVar

from synsim.component import Component, Now, Size, View, as_shape, inlet, outlet, state, static
from synsim.later import jax, jnp


class ClassVote(Component):
    """Cells vote for the class that they fired most for.

        counts[b, i]   spikes of cell i in this trial
        class_spikes[c, i], class_trials[c]   spikes and trials by class, added up by `assign`
        preferred(i) = argmax over c of class_spikes[c, i] / class_trials[c]; a cell that never fired prefers none
        votes[b, c] = mean of counts[b, i] over the cells i that prefer c, 0 where there are none

    advance counts; `assign`, named in the `end` of a labelling phase, adds the trial under its labels. What is
    learned outlives reset, so that a later phase can vote. Shapes: s (B, *n_units), labels (B,) from 0 to
    n_classes - 1 (others are left out), votes (B, n_classes). Of equal means the first class is preferred.

    Source: Diehl & Cook (2015), Front. Comput. Neurosci. 9:99, section 2.5.
    """

    family: ClassVar[str] = "readout"

    n_units: Size = static("Number of voting cells, or their shape.")
    n_classes: int = static("Number of classes.", gt=0)

    s = inlet("Spikes of the voting cells.", required=True)
    labels = inlet("Class of each row, for assign.", size="", default=-1.0, integer=True)
    counts = state("Spikes in this trial.")
    class_spikes = state("Spikes by class and cell.", size="class_unit", batch=False, learned=True)
    class_trials = state("Trials by class.", size="class", batch=False, learned=True)
    weights = state(
        "Weight of a cell in each vote: 1 / cells that prefer the class, or 0.",
        size="class_unit",
        batch=False,
        learned=True,
    )
    votes = outlet("Mean spikes of the cells that prefer each class.", size="class")

    def sizes(self) -> dict[str, tuple[int, ...]]:
        units = as_shape(self.n_units)
        return {"unit": units, "class": (self.n_classes,), "class_unit": (self.n_classes, *units)}

    def axes(self, size: str) -> tuple[str, ...]:
        units = super().axes("unit")
        return {"": (), "unit": units, "class": ("class",), "class_unit": ("class", *units)}[size]

    def advance(self, x: View, now: Now) -> dict[str, jax.Array]:
        del now
        counts = x.counts + x.s
        return dict(counts=counts, votes=_flat(counts) @ _flat(x.weights).T)

    def assign(self, x: View, now: Now) -> dict[str, jax.Array]:
        """Add this trial's spikes under its labels, and see anew which class each cell prefers."""
        del now
        belongs = jax.nn.one_hot(x.labels.astype(jnp.int32), self.n_classes, dtype=x.counts.dtype)  # (B, class)
        spikes = _flat(x.class_spikes) + belongs.T @ _flat(x.counts)
        trials = x.class_trials + jnp.sum(belongs, axis=0)
        mean = spikes / jnp.maximum(trials, 1.0)[:, None]
        prefers = jax.nn.one_hot(jnp.argmax(mean, axis=0), self.n_classes, axis=0, dtype=spikes.dtype)
        prefers = prefers * (jnp.sum(spikes, axis=0) > 0.0)
        weights = prefers / jnp.maximum(jnp.sum(prefers, axis=1, keepdims=True), 1.0)
        shape = x.class_spikes.shape
        return dict(class_spikes=spikes.reshape(shape), class_trials=trials, weights=weights.reshape(shape))


def _flat(a: jax.Array) -> jax.Array:
    return a.reshape(a.shape[0], -1)
