"""LIF, Izhikevich, AdEx and Hodgkin-Huxley beside NEST and Brian2: one trace each, in float64, the difference stated.

Runs at the full size of the suite where SYNSIM_PEERS_PYTHON names a Python with both (tests/peers/install.py).
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import choose
from stepping import run

from peers.models import ADEX, FINE, HH, IZHIKEVICH, LIF
from synsim.component import Component
from synsim.components.adex_cell import AdExCell
from synsim.components.hodgkin_huxley_cell import HodgkinHuxleyCell
from synsim.components.izhikevich_cell import IzhikevichCell
from synsim.components.lif_cell import LIFCell

DRIVER = Path(__file__).parent / "driver.py"


@pytest.fixture(scope="module")
def peers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    """What NEST and Brian2 gave: v at every time step, and spike times."""
    python = os.environ.get("SYNSIM_PEERS_PYTHON")
    if choose(quick=True, ci=True, full=False):
        pytest.skip("full size only")
    if not python:
        pytest.skip("SYNSIM_PEERS_PYTHON names no Python with NEST and Brian2; tests/peers/install.py makes one")
    folder = tmp_path_factory.mktemp("peers")
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("JAX_", "PYTHON"))}
    done = subprocess.run(
        [python, str(DRIVER), str(folder / "peers.npz")],
        capture_output=True,
        text=True,
        cwd=folder,
        env=plain,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    with np.load(folder / "peers.npz") as found:
        return dict(found)


def ours(cell: Component, p: dict[str, Any], start: float, dt: float | None = None) -> tuple[np.ndarray, np.ndarray]:
    """v at the times 0, dt, 2 dt, …, and the ends of the steps that spiked."""
    dt = dt or p["dt"]
    with jax.enable_x64(True):
        steps = round(p["steps"] * p["dt"] / dt)
        found = run(cell, {"j": p["drive"]}, steps, dt=dt, dtype=jnp.float64)
    v = found["v"].ravel()
    return np.r_[start, v], dt * (np.flatnonzero(found["s"]) + 1)


def lif() -> LIFCell:
    return LIFCell(
        n_units=1,
        tau_m=LIF["tau"],
        resist_m=LIF["R"],
        v_rest=LIF["rest"],
        thr=LIF["threshold"],
        v_reset=LIF["reset"],
        refract_time=LIF["refractory"],
        theta_plus=0.0,
        refractory="published",
        integration_type="exponential_euler",
    )


def izhikevich(**rest: Any) -> IzhikevichCell:
    p = IZHIKEVICH
    return IzhikevichCell(
        n_units=1,
        tau_w=1.0 / p["a"],
        coupling_factor=p["b"],
        v_reset=p["c"],
        w_reset=p["d"],
        v_thr=p["peak"],
        v0=p["v0"],
        w0=p["u0"],
        emission="published",
        **rest,
    )


def adex(**rest: Any) -> AdExCell:
    p = ADEX
    return AdExCell(
        n_units=1,
        tau_m=p["C"] / p["g"],
        resist_m=1.0 / p["g"],
        tau_w=p["tau_w"],
        v_sharpness=p["slope"],
        intrinsic_mem_thr=p["V_T"],
        thr=p["peak"],
        v_rest=p["rest"],
        v_reset=p["reset"],
        a=p["a"],
        b=p["b"],
        v0=p["rest"],
        coupling="published",
        **rest,
    )


def hh() -> HodgkinHuxleyCell:
    p = HH
    settings = dict(g_Na=p["Na"], g_K=p["K"], g_L=p["L"], v_Na=p["v_Na"], v_K=p["v_K"], v_L=p["v_L"])
    return HodgkinHuxleyCell(
        n_units=1, thr=50.0, integration_type="rk4", coupling="published", emission="published", **settings
    )


def equal(found: tuple[np.ndarray, np.ndarray], peers: dict[str, np.ndarray], name: str, late: float, within: float):
    """The traces agree over the whole run, the spikes but for `late`."""
    v, spikes = found
    theirs = peers[f"{name}/v"]
    count = min(len(v), len(theirs))
    assert count >= len(v) - 1 and np.ptp(theirs) > 10.0
    np.testing.assert_allclose(v[:count], theirs[:count], rtol=0.0, atol=within)
    their_spikes = peers[f"{name}/spikes"]
    assert len(spikes) >= 5 and abs(len(their_spikes) - len(spikes)) <= 1  # one may fall on the end
    count = min(len(spikes), len(their_spikes))
    np.testing.assert_allclose(spikes[:count] - their_spikes[:count], late, atol=1e-6)


@pytest.mark.parametrize(("peer", "late"), [("nest", 0.0), ("brian", LIF["dt"])])
def test_lif(peers, peer, late):
    """Both solve it exactly, as exponential Euler does here: equal to rounding, refractory steps and all.

    Brian2 stamps a spike with the time its step begins, NEST and this test with the time it ends.
    """
    equal(ours(lif(), LIF, LIF["rest"]), peers, f"{peer}_lif", late, 1e-9)


@pytest.mark.parametrize(("peer", "late"), [("nest", 0.0), ("brian", IZHIKEVICH["dt"])])
def test_izhikevich_by_euler(peers, peer, late):
    """The same Euler steps in all three: rounding alone, which the chattering cell's v^2 amplifies to 1e-11."""
    cell = izhikevich(coupling="published")
    equal(ours(cell, IZHIKEVICH, IZHIKEVICH["v0"]), peers, f"{peer}_izhikevich", late, 1e-8)


def test_izhikevich_by_the_program_of_the_paper(peers):
    """NEST's `consistent_integration: false`: two half steps for v, then u from the new v."""
    cell = izhikevich(integration_type="two_half_steps")
    equal(ours(cell, IZHIKEVICH, IZHIKEVICH["v0"]), peers, "nest_izhikevich_program", 0.0, 1e-5)


def test_adex_by_euler(peers):
    equal(ours(adex(), ADEX, ADEX["rest"]), peers, "brian_adex", ADEX["dt"], 1e-8)


def test_adex_beside_adaptive_steps(peers):
    """NEST integrates adaptively and resets within a step: here each spike waits for the end of its step of 0.01 ms.

    Up to the first spike the potentials agree; after it each spike may come up to one step later than the one before.
    """
    v, spikes = ours(adex(integration_type="rk4"), ADEX, ADEX["rest"], FINE)
    theirs, their_spikes = peers["nest_adex/v"], peers["nest_adex/spikes"]
    assert len(spikes) == len(their_spikes) == 12
    before = round(spikes[0] / FINE) - 20  # 0.2 ms: in the upstroke a difference in time is a large one in v
    np.testing.assert_allclose(v[:before], theirs[:before], rtol=0.0, atol=1e-4)
    lost = (spikes - their_spikes) / np.arange(1, 13)
    assert (lost > -1e-6).all() and (lost < 1.01 * FINE).all()


@pytest.mark.parametrize(("peer", "within"), [("nest", 1e-3), ("brian", 1e-8)])
def test_hodgkin_huxley(peers, peer, within):
    """Brian2 takes the same rk4 steps; NEST adapts its own to a tolerance of 1e-3. It stamps a spike at its peak."""
    v, spikes = ours(hh(), HH, 0.0)
    theirs, their_spikes = peers[f"{peer}_hh/v"], peers[f"{peer}_hh/spikes"]
    count = min(len(v), len(theirs))
    np.testing.assert_allclose(v[:count] + HH["rest"], theirs[:count], rtol=0.0, atol=within)
    assert len(spikes) == len(their_spikes) == 7
    if peer == "brian":
        np.testing.assert_allclose(spikes - their_spikes, HH["dt"], atol=1e-6)
    else:
        assert (np.abs(their_spikes - spikes - 0.33) < 0.05).all()
