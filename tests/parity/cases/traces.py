"""Traces against the reference."""

from __future__ import annotations

from typing import Any

from parity.case import Case, same


def trace(name: str, batch: int = 3, **settings: Any) -> Case:
    rest = {key: settings.pop(key) for key in ("steps", "dt", "scale") if key in settings}
    settings = {"n_units": 8, "tau_tr": 15.0, "a_delta": 0.0, **settings}
    return Case(
        f"trace_{name}",
        "VarTrace",
        settings,
        {"inputs": (("spikes", 0.15), (8,))},
        same("trace", "outputs"),
        batch=batch,
        **rest,
    )


def kernel(name: str, batch: int = 3, **settings: Any) -> Case:
    rest = {key: settings.pop(key) for key in ("steps", "scale") if key in settings}
    settings = {"n_units": 5, "dt": 1.0, **settings}
    states = same("epsp", "tf") if batch == 1 else same("epsp")  # there the window comes before the batch
    return Case(
        f"kernel_{name}",
        "ExpKernel",
        settings,
        {"inputs": (("spikes", 0.3), (5,))},
        states,
        batch=batch,
        dt=settings["dt"],
        **rest,
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
    trace("long", steps=400, dt=0.5, scale="ci"),
    trace("long_add", a_delta=0.2, gamma_tr=0.98, steps=400, scale="ci"),
    trace("step_add", a_delta=0.6, decay_type="step", steps=400, batch=1, scale="ci"),
    trace("step_nearest", a_delta=0.6, n_nearest_spikes=3, decay_type="step", steps=400, scale="ci"),
    kernel("defaults", batch=1),
    kernel("wide", nu=12.0, tau_w=6.0, steps=300, scale="ci"),
    kernel("half_step", dt=0.5, nu=5.0, tau_w=3.0, steps=300, scale="ci"),
    kernel("narrow", batch=1, nu=1.0, tau_w=2.0, steps=300, scale="ci"),
]
