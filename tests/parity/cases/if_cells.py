"""The integrate-and-fire cells beside LIFCell, and the winner-take-all cell, against the reference."""

from __future__ import annotations

from typing import Any

from parity.case import Case, same

UNITS = 7
LONG = {"steps": 1000, "scale": "ci"}


def cases(
    name: str, component: str, settings: dict[str, Any], j: tuple, compare: dict[str, str], **rest: Any
) -> list[Case]:
    """A cell with three rows; in the larger sizes also over 1,000 steps, and with one row."""
    spread = {"inputs": {"j": (j, (UNITS,))}, "spiking": ("s",), "compare": compare, **rest}
    settings = {"n_units": UNITS, **settings}
    shapes = spread.pop("start_rows", {})
    batches = spread.pop("batches", (1, 3))

    def case(kind: str, batch: int, **more: Any) -> Case:
        start = {name: (how, (batch, UNITS)) for name, how in shapes.items()} | spread.get("start", {})
        return Case(f"{name}_{kind}", component, settings, batch=batch, **{**spread, "start": start, **more})

    return [
        case(f"rows_{batches[-1]}", batches[-1]),
        *(case(f"rows_{batch}_long", batch, **LONG) for batch in batches),
    ]


IF_STATES = same("v", "rfr", "tols", "s")
IF = [
    *cases("if_plain", "IFCell", dict(tau_m=10.0), ("uniform", -15.0, 60.0), IF_STATES),
    *cases(
        "if_refractory",
        "IFCell",
        dict(tau_m=8.0, resist_m=1.7, refract_time=3.0, thr=-50.0, v_reset=-70.0, v_rest=-66.0),
        ("uniform", -15.0, 60.0),
        IF_STATES,
    ),
    *cases(
        "if_half_step",
        "IFCell",
        dict(tau_m=20.0, refract_time=2.0, integration_type="rk2"),
        ("uniform", -15.0, 80.0),
        IF_STATES,
        dt=0.5,
    ),
    # without the clamp the reference loses the reset at a spike: it can be compared where none comes
    *cases(
        "if_unclamped",
        "IFCell",
        dict(tau_m=10.0, thr=1e4, lower_clamp_voltage=False),
        ("uniform", -30.0, 20.0),
        same("v"),
        spiking=(),
    ),
]

QUAD_STATES = same("v", "rfr", "thr_theta", "tols", "s", "s_raw")  # its v_thr and surrogate are never written
QUAD = [
    *cases("quad_plain", "QuadLIFCell", dict(tau_m=100.0), ("uniform", 0.0, 80.0), QUAD_STATES),
    *cases(
        "quad_midpoint",
        "QuadLIFCell",
        dict(tau_m=60.0, critical_v=0.4, resist_m=1.3, v_min=-67.0, v_scale=-39.0, integration_type="midpoint")
        | dict(refract_time=2.0, tau_theta=300.0, theta_plus=0.4),
        ("uniform", -60.0, 90.0),
        QUAD_STATES,
    ),
    *cases(
        "quad_highest",
        "QuadLIFCell",
        dict(tau_m=100.0, refract_time=0.0, max_one_spike=True, tau_theta=500.0, theta_plus=0.3),
        ("uniform", 0.0, 300.0),
        same("v", "thr_theta", "tols", "s", "s_raw"),
    ),
    # the reference's switch is on for every row where one row has a spike, so only one row can be compared
    *cases(
        "quad_one",
        "QuadLIFCell",
        dict(tau_m=100.0, refract_time=2.0, one_spike=True),
        ("uniform", 0.0, 300.0),
        QUAD_STATES,
        batches=(1,),
    ),
]

SLIF_STATES = same("v", "rfr", "tols", "s", "surrogate") | {"j_mod": "j"}
SLIF_ADAPTS = SLIF_STATES | {"v_thr": "thr"}
LATERAL = {"inh_weights": (("uniform", 0.025, 1.0), (UNITS, UNITS))}
SLIF = [
    *cases(
        "slif_plain",
        "SLIFCell",
        dict(tau_m=10.0, resist_m=1.5, thr=0.8, thr_jitter=0.0),  # the jitter is drawn from another key there
        ("uniform", -1.0, 4.0),
        SLIF_STATES,
    ),
    *cases(
        "slif_inhibition",
        "SLIFCell",
        dict(tau_m=6.0, resist_m=1.5, thr=0.8, resist_inh=0.7, thr_gain=0.06, thr_leak=0.02, refract_time=3.0),
        ("uniform", -1.0, 8.0),
        SLIF_ADAPTS,
        start_rows={"v_thr": ("uniform", 0.75, 0.85)},
        start=LATERAL,
    ),
    *cases(
        "slif_sticky",
        "SLIFCell",
        dict(tau_m=6.0, resist_m=1.5, thr=0.4, resist_inh=0.2, rho_b=0.03, refract_time=3.0)
        | dict(sticky_spikes=True, thr_persist=True),
        ("uniform", -1.0, 8.0),
        SLIF_ADAPTS,
        start_rows={"v_thr": ("uniform", 0.35, 0.45)},
        start=LATERAL,
    ),
]

WTAS_STATES = same("v", "rfr", "thr", "tols", "s")
WTAS = [
    *cases(
        "wtas_plain",
        "WTASCell",
        dict(tau_m=1.0),
        ("uniform", 0.0, 6.0),
        WTAS_STATES,
        start_rows={"thr": ("uniform", 0.35, 0.45)},
    ),
    *cases(
        "wtas_refractory",
        "WTASCell",
        dict(tau_m=1.0, refract_time=3.0, thr_gain=0.03, thr_base=0.3),
        ("uniform", 0.0, 6.0),
        WTAS_STATES,
        start_rows={"thr": ("uniform", 0.25, 0.35)},
    ),
    *cases(
        "wtas_many",
        "WTASCell",
        dict(tau_m=1.0, resist_m=0.3, thr_gain=0.01, thr_base=0.12, refract_time=1.0),
        ("uniform", -2.0, 6.0),
        WTAS_STATES,
        start_rows={"thr": ("uniform", 0.1, 0.14)},
        dt=0.5,
    ),
]

CASES = [*IF, *QUAD, *SLIF, *WTAS]
