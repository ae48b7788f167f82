"""Voting by cells that were labelled by what they fired for."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from stepping import call, starts

from synsim.component import Now
from synsim.components.class_vote import ClassVote

NOW = Now(0.0, 0, 1.0, jax.random.key(0))


def trial(vote, values, spikes, labels):
    """Count the spikes of a trial, from a fresh count as reset leaves it."""
    values = values | {"counts": jnp.zeros_like(values["counts"])}
    fed = {"labels": jnp.asarray(labels, jnp.float32)}
    for row in spikes:
        values = call(vote, "advance", values, fed | {"s": jnp.asarray(row, jnp.float32)}, NOW)
    return values, fed | {"s": jnp.zeros_like(values["counts"])}


def labelled(vote, trials):
    values = starts(vote, 2)
    for spikes, labels in trials:
        values, fed = trial(vote, values, spikes, labels)
        values = call(vote, "assign", values, fed, NOW)
    return values


def test_cells_vote_for_what_they_fired_for():
    vote = ClassVote(n_units=4, n_classes=3)
    # cell 0 fires for class 0, cells 1 and 2 for class 2, cell 3 never
    trials = [
        ([[[1, 0, 0, 0], [0, 1, 1, 0]], [[1, 0, 0, 0], [0, 1, 0, 0]]], [0, 2]),
        ([[[0, 1, 0, 0], [1, 1, 1, 0]]], [1, 2]),
    ]
    values = labelled(vote, trials)
    np.testing.assert_array_equal(values["class_trials"], [1, 1, 2])
    np.testing.assert_array_equal(values["class_spikes"], [[2, 0, 0, 0], [0, 1, 0, 0], [1, 3, 2, 0]])
    np.testing.assert_array_equal(values["weights"], [[1, 0, 0, 0], [0, 0, 0, 0], [0, 0.5, 0.5, 0]])
    values, _ = trial(vote, values, [[[1, 1, 0, 1], [0, 1, 1, 1]], [[1, 0, 0, 1], [0, 0, 1, 1]]], [0, 0])
    np.testing.assert_array_equal(values["votes"], [[2, 0, 0.5], [0, 0, 1.5]])


def test_preference_is_by_mean_count_not_by_sum():
    vote = ClassVote(n_units=1, n_classes=2)
    rare = ([[[1], [0]], [[1], [0]]], [1, 0])  # two spikes in the one trial of class 1
    often = [([[[1], [1]]], [0, 0]), ([[[1], [0]]], [0, 0])]  # three in the five trials of class 0
    np.testing.assert_array_equal(labelled(vote, [rare, *often])["weights"], [[0], [1]])


def test_rows_without_a_label_are_left_out():
    vote = ClassVote(n_units=2, n_classes=2)
    values = labelled(vote, [([[[1, 0], [0, 1]]], [-1, 1])])
    np.testing.assert_array_equal(values["class_spikes"], [[0, 0], [0, 1]])
    np.testing.assert_array_equal(values["class_trials"], [0, 1])
    assert vote.compartments["labels"].default == -1.0


def test_before_any_label_nobody_votes():
    vote = ClassVote(n_units=(2, 2, 1), n_classes=3)
    values, _ = trial(vote, starts(vote, 2), [np.ones((2, 2, 2, 1))], [0, 1])
    np.testing.assert_array_equal(values["votes"], np.zeros((2, 3)))
    values = labelled(vote, [([np.ones((2, 2, 2, 1))], [1, 1])])
    np.testing.assert_array_equal(values["weights"].sum((1, 2, 3)), [0, 1, 0])


def test_what_is_learned_outlives_reset_and_the_count_does_not():
    declared = ClassVote(n_units=2, n_classes=2).compartments
    learned = {name for name, c in declared.items() if c.learned}
    assert learned == {"class_spikes", "class_trials", "weights"}
    assert not declared["counts"].learned and not declared["counts"].per_phase
    assert ClassVote(n_units=2, n_classes=2).methods == ("advance", "assign")
    assert ClassVote(n_units=(4, 5, 1), n_classes=2).axes("class_unit") == ("class", "y", "x", "channel")
