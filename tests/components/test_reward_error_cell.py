"""The reward prediction error against plain loops."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from stepping import call, run, starts, unwired

from synsim.component import Now
from synsim.components.reward_error_cell import RewardErrorCell

REWARDS = np.random.default_rng(0).normal(0.5, 1.0, size=(40, 3, 2))


def test_error_against_the_average_before():
    found = run(RewardErrorCell(n_units=2, alpha=0.2), {"reward": REWARDS}, 40, batch=3)
    mu, total = np.zeros((3, 2)), np.zeros((3, 2))
    for k in range(40):
        np.testing.assert_allclose(found["rpe"][k], REWARDS[k] - mu, rtol=1e-4, atol=1e-5)
        mu, total = 0.8 * mu + 0.2 * REWARDS[k], total + REWARDS[k]
        np.testing.assert_allclose(found["mu"][k], mu, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(found["accum_reward"][k], total, rtol=1e-4, atol=1e-5)
        np.testing.assert_array_equal(found["n_ep_steps"][k], k + 1)


@pytest.mark.parametrize(
    ("online", "episodic", "moves"),
    [(True, "reference", True), (True, "published", True), (False, "reference", False), (False, "published", True)],
)
def test_an_episode_moves_the_average(online, episodic, moves):
    """The reference says that evolve is for cells without the online predictor, and then leaves just those alone."""
    cell = RewardErrorCell(n_units=2, alpha=0.2, ema_window_len=4, use_online_predictor=online, episodic=episodic)
    before = run(cell, {"reward": REWARDS}, 40, batch=3)
    assert (before["mu"][-1] != 0).all() == online
    values = {name: value[-1] for name, value in before.items()}
    after = call(cell, "evolve", values, unwired(cell, 3), Now(0.0, 0, 1.0, jax.random.key(0)))
    expected = 0.75 * values["mu"] + 0.25 * REWARDS.mean(0) if moves else values["mu"]
    np.testing.assert_allclose(after["mu"], expected, rtol=1e-4, atol=1e-6)


def test_an_episode_without_steps_changes_nothing():
    """0 / 0 in the reference."""
    cell = RewardErrorCell(n_units=(2, 2, 1), alpha=0.2)
    after = call(cell, "evolve", starts(cell, 3), unwired(cell, 3), Now(0.0, 0, 1.0, jax.random.key(0)))
    np.testing.assert_array_equal(after["mu"], np.zeros((3, 2, 2, 1)))
