"""Conductance kernels against the reference."""

from __future__ import annotations

from typing import Any

from parity.case import Case, same

SHAPE = (6, 4)
SPIKES = {"inputs": (("spikes", 0.25), (6,))}
VOLTAGE = {"v": (("uniform", -80.0, -40.0), (4,))}
WEIGHTS = {"weights": (("uniform", 0.1, 0.9), SHAPE)}
R = 1.7
STATES = {
    "ExponentialSynapse": same("g_syn", "i_syn", "outputs"),
    "AlphaSynapse": same("g_syn", "h_syn", "i_syn", "outputs"),
    "DoubleExpSynapse": same("g_syn", "h_syn", "i_syn", "outputs"),
}


def conductance(component: str, name: str, syn_rest: float | None, batch: int = 3, **rest: Any) -> Case:
    """The reference's alpha and double-exponential synapses lack the attribute that holds R: it is put onto them."""
    settings = {"shape": SHAPE, "tau_decay": 4.0, "g_syn_bar": 0.6, "syn_rest": syn_rest, **rest.pop("settings", {})}
    spread: dict[str, Any] = {
        "inputs": SPIKES if syn_rest is None else {**SPIKES, **VOLTAGE},
        "compare": STATES[component],
        "batch": batch,
        "ours": dict(resist_scale=R),
        "theirs": dict(g_conduct_factor=R),
        "start": WEIGHTS,
        **rest,
    }
    if component != "ExponentialSynapse":
        spread["patch"] = dict(resist_scale=R)
    if component == "DoubleExpSynapse":
        settings = {"tau_rise": 1.5, **settings}
    return Case(f"{component}_{name}", component, settings, **spread)


CASES = [
    conductance("ExponentialSynapse", "plain", None),
    conductance("ExponentialSynapse", "voltage", -70.0),
    conductance("ExponentialSynapse", "half_step", 0.0, batch=1, dt=0.5, steps=120, scale="ci"),
    conductance("AlphaSynapse", "plain", None),
    conductance("AlphaSynapse", "voltage", -70.0),
    conductance("AlphaSynapse", "half_step", 0.0, batch=1, dt=0.5, steps=120),
    conductance("AlphaSynapse", "fine_step", None, dt=0.1, steps=300, settings=dict(tau_decay=11.0), scale="ci"),
    # its weights are 1 there because it is not plastic, here because none were given
    conductance("AlphaSynapse", "weights_of_one", -70.0, start={}, scale="ci"),
    conductance("DoubleExpSynapse", "plain", None),
    conductance("DoubleExpSynapse", "voltage", -70.0, scale="ci"),
    conductance("DoubleExpSynapse", "half_step", 0.0, batch=1, dt=0.5, steps=120, scale="ci"),
    conductance("DoubleExpSynapse", "weights_of_one", -70.0, start={}, settings=dict(tau_decay=20.0), scale="ci"),
]
