"""The leaky integrate-and-fire cell against the reference."""

from __future__ import annotations

from typing import Any

from parity.case import Case, same

LIF = dict(n_units=7, tau_m=10.0, resist_m=1.3, refract_time=2.0, tau_theta=200.0, theta_plus=0.8)
LIF_STATES = same("v", "rfr", "thr_theta", "tols", "s", "s_raw", "v_thr", "surrogate")
STRONG = {"j": (("uniform", -5.0, 60.0), (7,))}


def lif(name: str, **rest: Any) -> Case:
    settings = {**LIF, **rest.pop("settings", {})}
    spread = {"inputs": STRONG, "compare": LIF_STATES, "spiking": ("s",), **rest}
    return Case(f"lif_{name}", "LIFCell", settings, **spread)


CASES = [
    lif("plain"),
    lif("batch", batch=3),
    lif("midpoint", batch=3, settings=dict(integration_type="midpoint")),
    lif("half_step", batch=3, dt=0.5, steps=120),
    lif("floor", batch=3, settings=dict(v_min=-64.0), inputs={"j": (("uniform", -40.0, 60.0), (7,))}),
    lif("pure_integrator", settings=dict(conduct_leak=0.0, thr=-50.0, v_rest=-66.0, v_reset=-70.0)),
    lif("frozen_threshold", batch=3, settings=dict(tau_theta=0.0), compare=same("v", "rfr", "tols", "s", "surrogate")),
    lif("no_refractory", settings=dict(refract_time=0.0), compare=same("v", "thr_theta", "tols", "s", "v_thr")),
    lif("one_spike", batch=3, settings=dict(one_spike=True)),
    lif(
        "max_one_spike",
        batch=3,
        settings=dict(max_one_spike=True, refract_time=0.0),
        inputs={"j": (("uniform", 0.0, 260.0), (7,))},
        compare=same("v", "thr_theta", "tols", "s", "s_raw", "v_thr"),
    ),
    lif("image", ours=dict(n_units=(7,)), steps=50),
    # its defaults, and two more, over 1,000 steps
    *(
        Case(
            f"lif_long_{name}_{batch}",
            "LIFCell",
            dict(n_units=7, **settings),
            batch=batch,
            inputs=STRONG,
            compare=LIF_STATES,
            spiking=("s",),
            steps=1000,
            scale="ci",
        )
        for batch in (1, 3)
        for name, settings in (
            ("defaults", dict(tau_m=10.0)),
            ("midpoint", dict(tau_m=7.0, refract_time=1.0, integration_type="rk2", tau_theta=300.0, theta_plus=0.6)),
            ("one_spike", dict(tau_m=12.0, v_min=-66.0, conduct_leak=0.6, one_spike=True, v_reset=-70.0)),
        )
    ),
]
