"""Traces against the reference."""

from __future__ import annotations

from typing import Any

from parity.case import Case, same


def trace(name: str, batch: int = 3, **settings: Any) -> Case:
    settings = {"n_units": 8, "tau_tr": 15.0, "a_delta": 0.0, **settings}
    return Case(
        f"trace_{name}",
        "VarTrace",
        settings,
        {"inputs": (("spikes", 0.15), (8,))},
        same("trace", "outputs"),
        batch=batch,
    )


CASES = [
    trace("set", batch=1),
    trace("set_scaled", P_scale=0.7, gamma_tr=0.95),
    trace("add", a_delta=0.3),
    trace("add_linear", a_delta=0.3, decay_type="lin", gamma_tr=0.9),
    trace("set_linear", decay_type="lin", batch=1),
    trace("step", decay_type="step"),
    trace("nearest", a_delta=0.4, n_nearest_spikes=2),
    trace("nearest_linear", a_delta=1.0, n_nearest_spikes=1, decay_type="lin", batch=1),
]
