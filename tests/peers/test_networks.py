"""CUBA, COBA and Brunel's network from their configs beside Brian2 and NEST: rates, irregularity and intervals.

Each simulator draws five networks of its own. The means over them agree within what such means spread, and intervals
between spikes are distributed alike. Runs at the full size where SYNSIM_PEERS_PYTHON names a Python with both.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from conftest import choose

import synsim
from synsim.benchmarks.peers import PROGRAM

HERE = Path(__file__).parent
CONFIGS = HERE.parent.parent / "configs"
SEEDS = (1, 2, 3, 4, 5)
UNTIL = 1000.0  # ms

CASES = {  # NET of peer_networks.py: config, what is set, sizes, peers
    "cuba_4000": ("cuba_4000", [], (3200, 800), ("brian", "nest")),
    "coba_4000": ("coba_4000", [], (3200, 800), ("brian", "nest")),
    "brunel_AI": ("brunel", ["let.g=5", "let.eta=2", "run.steps=10000"], (2000, 500), ("brian", "nest")),
    "brunel_SR": ("brunel", ["let.g=3", "let.eta=2", "run.steps=10000"], (2000, 500), ("brian", "nest")),
    "brunel_SI_fast": ("brunel", ["let.g=6", "let.eta=4", "run.steps=10000"], (2000, 500), ("brian", "nest")),
    "brunel_SI_slow": ("brunel", ["let.g=4.5", "let.eta=0.9", "run.steps=10000"], (2000, 500), ("brian", "nest")),
}


class Spikes(NamedTuple):
    """Times in ms and cells, from 200 ms on."""

    times: np.ndarray
    cells: np.ndarray
    units: int


def late(times: np.ndarray, cells: np.ndarray, units: int) -> Spikes:
    kept = (times >= 200.0) & (times < UNTIL)
    return Spikes(times[kept], cells[kept], units)


def intervals(seen: Spikes) -> list[np.ndarray]:
    """Those of each cell that spiked: whole steps of 0.1 ms, whatever a simulator's rounding of times makes of them.

    Where most intervals are equally long, as in synchrony, their share would else depend on that rounding.
    """
    order = np.lexsort((seen.times, seen.cells))
    _, firsts = np.unique(seen.cells[order], return_index=True)
    return [np.diff(each).round(2) for each in np.split(seen.times[order], firsts[1:])]


def measures(seen: Spikes) -> dict[str, float]:
    """What is compared: one number each."""
    gaps = [each for each in intervals(seen) if len(each) >= 5]
    counts = np.histogram(seen.times, np.arange(200.0, UNTIL + 0.5, 1.0))[0]
    return {
        "rate": 1e3 * len(seen.times) / seen.units / (UNTIL - 200.0),
        "CV of intervals": float(np.mean([each.std() / each.mean() for each in gaps])),
        "CV of the population": counts.std() / counts.mean(),
    }


@pytest.fixture(scope="module")
def python() -> str:
    """The peers' Python."""
    found = os.environ.get("SYNSIM_PEERS_PYTHON")
    if choose(quick=True, ci=True, full=False):
        pytest.skip("full size only")
    if not found:
        pytest.skip("SYNSIM_PEERS_PYTHON names no Python with NEST and Brian2; tests/peers/install.py makes one")
    return found


def theirs(python: str, simulator: str, net: str, seed: int, folder: Path) -> Spikes:
    out = folder / f"{simulator}-{net}-{seed}.npz"
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("JAX_", "PYTHON"))}
    words = [python, PROGRAM, "spikes", simulator, net, str(seed), str(out)]
    done = subprocess.run(words, capture_output=True, text=True, cwd=folder, env=plain, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout.strip().splitlines()[-1])["spikes"] > 0
    with np.load(out) as found:
        return late(found["times"], found["cells"], sum(CASES[net][2]))


def ours(net: str, seed: int, folder: Path) -> Spikes:
    config, overrides, sizes, _ = CASES[net]
    options = {"options": {"--seed": ("seed", seed)}}
    with synsim.run(CONFIGS / f"{config}.yaml", out=folder / str(seed), overrides=overrides, **options) as left:
        both = [left.spikes(f"{name}.s") for name in "EI"]
        times = np.concatenate([np.asarray(each.timestamps) for each in both])
        cells = np.concatenate(
            [np.asarray(each.node_ids) + first for each, first in zip(both, (0, sizes[0]), strict=True)]
        )
    return late(times, cells, sum(sizes))


@pytest.mark.parametrize("net", CASES)
def test_activity_is_that_of_the_peers(net, python, tmp_path):
    mine = [ours(net, seed, tmp_path) for seed in SEEDS]
    here = [measures(each) for each in mine]
    for simulator in CASES[net][3]:
        others = [theirs(python, simulator, net, seed, tmp_path) for seed in SEEDS]
        there = [measures(each) for each in others]
        for name in here[0]:
            a, b = (np.array([each[name] for each in both]) for both in (here, there))
            spread = np.sqrt((a.var(ddof=1) + b.var(ddof=1)) / len(SEEDS))  # of the difference of the means
            apart = abs(a.mean() - b.mean())
            assert apart < 4.0 * spread + 0.01 * b.mean(), f"{net}, {name}: {a} here, {b} in {simulator}"
        # the share of intervals up to each length: means over networks, and the largest distance between them
        grid = np.quantile(
            np.concatenate([np.concatenate(intervals(each)) for each in others]), np.linspace(0.02, 0.98, 49)
        )
        curves = [
            np.array([np.searchsorted(np.sort(np.concatenate(intervals(each))), grid) for each in both])
            / np.array([[sum(map(len, intervals(each)))] for each in both])
            for both in (mine, others)
        ]
        spread = np.sqrt(sum(each.var(0, ddof=1) for each in curves) / len(SEEDS))
        apart = np.abs(curves[0].mean(0) - curves[1].mean(0))
        assert (apart < 4.5 * spread + 0.02).all(), f"{net}: intervals are distributed otherwise than in {simulator}"
