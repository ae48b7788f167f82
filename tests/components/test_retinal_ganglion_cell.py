"""Receptive fields against a plain loop over patches and a filter worked out apart."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from stepping import run, starts
from through_engine import recorded

from synsim import api
from synsim.components.retinal_ganglion_cell import RetinalGanglionCell
from synsim.faults import ConfigError

AREA, PATCH, STEP = (8, 11), (4, 3), (2, 4)
IMAGES = np.random.default_rng(0).uniform(size=(1, 3, *AREA))


def bump(sigma, shape=PATCH):
    """A product of two normal densities about the middle pixel, of sum 1."""
    y, x = (stats.norm.pdf(np.arange(n), n // 2, sigma) for n in shape)
    return np.outer(y, x) / np.outer(y, x).sum()


FILTERS = {
    "identity": np.ones(PATCH),
    "gaussian": bump(1.2),
    "difference_of_gaussian": bump(1.2) - bump(1.6 * 1.2),
    "DoG": bump(1.2) - bump(1.6 * 1.2),
    "ratio_of_gaussian": bump(1.2) / (bump(1.6 * 1.2) + 1e-8),
    "RoG": bump(1.2) / (bump(1.6 * 1.2) + 1e-8),
}


@pytest.mark.parametrize("kind", FILTERS)
def test_patches_filter_and_mean(kind):
    """Patches that are not square: the reference's filter lies the other way round and does not fit them."""
    cell = RetinalGanglionCell(filter_type=kind, area_shape=AREA, patch_shape=PATCH, step_shape=STEP, sigma=1.2)
    found = run(cell, {"inputs": IMAGES}, 1, batch=3)["outputs"][0]
    np.testing.assert_allclose(starts(cell, 3)["filter"], FILTERS[kind], rtol=1e-5, atol=1e-8)
    patches = [IMAGES[0, :, i : i + 4, j : j + 3] * FILTERS[kind] for i in range(0, 5, 2) for j in range(0, 9, 4)]
    rows = np.stack(patches, 1).reshape(3, -1)
    assert found.shape == (3, 9 * 12)
    np.testing.assert_allclose(found, rows - rows.mean(1, keepdims=True), rtol=1e-4, atol=1e-6)


def test_a_difference_of_gaussians_does_not_see_an_even_image():
    whole = dict(area_shape=(9, 9), patch_shape=(9, 9), step_shape=(0, 0))
    even = run(RetinalGanglionCell(filter_type="DoG", sigma=0.8, **whole), {"inputs": 5.0}, 1)["outputs"]
    assert abs(even.sum()) < 1e-4


def test_a_filter_of_ones_own_and_a_run():
    found = recorded(
        "RetinalGanglionCell",
        ["outputs"],
        steps=2,
        batch=2,
        filter_type="gaussian",
        area_shape=[1, 2],
        patch_shape=[1, 2],
        step_shape=[0, 0],
        wires={"inputs": 3.0},
        initial={"filter": [[1.0, 5.0]]},
    )
    np.testing.assert_array_equal(found["outputs"], np.broadcast_to([-6.0, 6.0], (1, 2, 2, 2)))


@pytest.mark.parametrize(
    ("settings", "at", "words"),
    [
        (dict(patch_shape=[9, 3]), "patch_shape", "does not fit into area"),
        (dict(step_shape=[0, 4]), "step_shape", "2 patches fit"),
        (dict(step_shape=[-1, 4]), "step_shape", "negative"),
        (dict(patch_shape=[0, 3]), "patch_shape", "at least 1 by 1"),
        (dict(n_cells=8), "n_cells", "the shapes give 9 patches"),
    ],
)
def test_shapes_that_do_not_go_together(settings, at, words):
    shapes = {"filter_type": "DoG", "area_shape": [8, 11], "patch_shape": [4, 3], "step_shape": [2, 4], **settings}
    config = {"name": "one", "run": {"steps": 1}, "components": {"c": {"type": "RetinalGanglionCell", **shapes}}}
    with pytest.raises(ConfigError, match=words) as caught:
        api.check(config)
    assert caught.value.faults[0].path == ("components", "c", at)
