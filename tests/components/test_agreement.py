"""Agreement of two rows on the winner."""

from __future__ import annotations

import numpy as np
from stepping import run

from synsim.components.agreement import Agreement


def test_share_of_rows_over_the_phase():
    outputs = np.array([[[0.1, 0.9, 0.0], [1.0, 0.5, 0.2]], [[0.0, 0.0, 3.0], [0.0, -1.0, -1.0]]])
    targets = np.array([[[0, 1, 0], [0, 0, 1]], [[0, 0, 1], [1, 0, 0]]], float)
    found = run(Agreement(n_units=3), {"outputs": outputs, "targets": targets}, 2, batch=2)
    np.testing.assert_allclose(found["agreement"], [0.5, 0.75])
    np.testing.assert_array_equal(found["rows"], [2, 4])
    np.testing.assert_array_equal(found["hits"], [1, 3])


def test_sums_are_kept_for_a_phase_and_the_figure_is_shown():
    declared = Agreement(n_units=3).compartments
    assert declared["hits"].per_phase and declared["rows"].per_phase and declared["agreement"].shown
    assert declared["agreement"].size == "" and not declared["agreement"].batch


def test_equal_values_count_as_the_first():
    found = run(Agreement(n_units=2), {"outputs": 0.0, "targets": np.array([[[1.0, 0.0], [0.0, 1.0]]])}, 1, batch=2)
    assert found["agreement"].item() == 0.5
