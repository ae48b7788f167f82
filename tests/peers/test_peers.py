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


def ours(cell: Component, p: dict[str, Any], dt: float | None = None, **rest: Any) -> tuple[np.ndarray, np.ndarray]:
    """v at the times 0, dt, 2 dt, …, and the ends of the steps that spiked."""
    dt = dt or p["dt"]
    with jax.enable_x64(True):
        steps = round(p["steps"] * p["dt"] / dt)
        found = run(cell, {"j": p["drive"]}, steps, dt=dt, dtype=jnp.float64, **rest)
    v = found["v"].ravel()
    start = getattr(cell, "v0", p.get("rest"))
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
