"""AdEx, Izhikevich, FitzHugh-Nagumo, Hodgkin-Huxley and resonate-and-fire cells against the reference."""

from __future__ import annotations

from typing import Any

from parity.case import Case, same

UNITS = 7


def cases(
    name: str,
    component: str,
    settings: dict[str, Any],
    j: tuple,
    compare: tuple[str, ...] = ("v", "w", "tols", "s"),
    dt: float = 1.0,
    start: dict[str, tuple] | None = None,
    quick: int = 0,
    stepwise: bool = True,
    rtol: float = 1e-5,
) -> list[Case]:
    """A cell over 1,000 steps in the larger sizes, with one row and with three; with `quick`, over that many always."""

    def case(kind: str, batch: int, **rest: Any) -> Case:
        return Case(
            f"{name}_{kind}",
            component,
            {"n_units": UNITS, **settings},
            {"j": (j, (UNITS,))},
            same(*compare),
            batch=batch,
            dt=dt,
            start={state: (how, (batch, UNITS)) for state, how in (start or {}).items()},
            spiking=("s",),
            stepwise=stepwise,
            rtol=rtol,
            **rest,
        )

    short = [case("rows_3", 3, steps=quick)] if quick else []
    return [
        *short,
        *(case(f"rows_{batch}_long", batch, steps=1000, scale="ci") for batch in (1, 3)),
    ]


ADEX = [
    *cases("adex_plain", "AdExCell", {}, ("uniform", 0.0, 60.0), quick=60),
    *cases(
        "adex_midpoint",
        "AdExCell",
        # a threshold far up makes NaN of an rk2 step there: infinity times 0
        dict(tau_m=20.0, resist_m=1.4, tau_w=100.0, v_sharpness=2.5, thr=-45.0, v_rest=-68.0, v_reset=-60.0, a=0.2)
        | dict(b=3.0, v0=-66.0, w0=1.5, integration_type="rk2"),
        ("uniform", 0.0, 60.0),
        dt=0.5,
    ),
    *cases(
        "adex_bursts",
        "AdExCell",
        dict(tau_m=20.0, resist_m=100.0, tau_w=120.0, intrinsic_mem_thr=-50.0, thr=0.0, v_rest=-58.0, v_reset=-46.0)
        | dict(a=0.002, b=0.1, v0=-58.0),
        ("uniform", 0.0, 0.6),
        dt=0.25,
    ),
]
IZHIKEVICH = [
    *cases("izhikevich_plain", "IzhikevichCell", {}, ("uniform", 0.0, 25.0), quick=60),
    *cases(
        "izhikevich_fast",
        "IzhikevichCell",
        dict(tau_w=10.0, w_reset=2.0, resist_m=1.5),
        ("uniform", 0.0, 20.0),
        dt=0.5,
    ),
    *cases(
        "izhikevich_midpoint",
        "IzhikevichCell",
        dict(tau_m=1.2, v_thr=25.0, v_reset=-52.0, w_reset=3.0, coupling_factor=0.22, v0=-60.0, w0=-12.0)
        | dict(integration_type="midpoint"),
        ("uniform", 0.0, 25.0),
        dt=0.25,
    ),
]
FITZHUGH_NAGUMO = [
    *cases("fitzhugh_nagumo_plain", "FitzhughNagumoCell", {}, ("uniform", 0.0, 1.0), dt=0.5, quick=120, stepwise=False),
    *cases(
        "fitzhugh_nagumo_midpoint",
        "FitzhughNagumoCell",
        dict(tau_m=0.8, resist_m=1.5, tau_w=9.0, alpha=0.6, beta=0.7, gamma=2.5, v0=-1.0, w0=-0.4, v_thr=0.9)
        | dict(integration_type="rk2"),
        ("uniform", 0.0, 0.9),
        dt=0.25,
        stepwise=False,
    ),
    *cases(
        "fitzhugh_nagumo_resets",
        "FitzhughNagumoCell",
        dict(spike_reset=True, v0=-1.1, w0=-0.6),
        ("uniform", 0.0, 1.0),
        dt=0.5,
        stepwise=False,
    ),
]
SQUID = dict(tau_v=1.0, g_Na=120.0, g_K=36.0, v_K=-12.0)
GATES = ("v", "n", "m", "h", "tols", "s")
SINGULAR = 3e-4  # within .01 mV of 10 and 25 mV the reference divides differences that have lost their digits
HODGKIN_HUXLEY = [
    *cases(
        "hodgkin_huxley_plain", "HodgkinHuxleyCell", dict(tau_v=1.0), ("uniform", 0.0, 20.0), GATES, dt=0.02, quick=60
    ),
    *cases(
        "hodgkin_huxley_squid",
        "HodgkinHuxleyCell",
        SQUID | dict(integration_type="rk4", thr=20.0),
        ("uniform", 0.0, 40.0),
        GATES,
        dt=0.05,
        rtol=SINGULAR,
    ),
    *cases(
        "hodgkin_huxley_resets",
        "HodgkinHuxleyCell",
        dict(tau_v=1.3, resist_m=1.4, spike_reset=True, v_reset=-5.0, thr=30.0, integration_type="rk2"),
        ("uniform", 0.0, 40.0),
        GATES,
        dt=0.05,
        rtol=SINGULAR,
    ),
]
RAF = [
    *cases("raf_plain", "RAFCell", {}, ("uniform", -20.0, 30.0), dt=0.02, quick=120, stepwise=False),
    *cases(
        "raf_midpoint",
        "RAFCell",
        dict(tau_v=1.5, tau_w=2.0, thr=0.8, omega=6.0, dampen_factor=-0.4, v_reset=0.3, w_reset=-0.2, v0=0.1, w0=0.2)
        | dict(resist_v=1.6, integration_type="rk2"),
        ("uniform", -20.0, 30.0),
        dt=0.05,
        stepwise=False,
    ),
    *cases(
        "raf_rings",
        "RAFCell",
        dict(omega=4.0, dampen_factor=-0.3, post_spike_reset=False),
        ("uniform", -20.0, 25.0),
        dt=0.05,
        stepwise=False,
    ),
]

CASES = [*ADEX, *IZHIKEVICH, *FITZHUGH_NAGUMO, *HODGKIN_HUXLEY, *RAF]
