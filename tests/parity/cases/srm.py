"""The spike-response models against the reference."""

from __future__ import annotations

from typing import Any

from parity.case import Case, same

UNITS = 7
LIF_STATES = same("v", "s", "j_lowpass", "t_last_spike", "last_t_eval")
PREDICTS: dict[str, Any] = {"methods": ("advance", "predict_next_spike")}
RAF_STATES = same("v", "s", "j_v", "j_w", "t_last_spike", "last_t_eval")


def cases(
    name: str, component: str, settings: dict[str, Any], current: tuple, compare: dict, **rest: Any
) -> list[Case]:
    """A cell with three rows; in the larger sizes also with one, and over 1,000 steps."""
    settings = {"n_units": UNITS, **settings}
    spread = {"inputs": {"current_j": (current, (UNITS,))}, "spiking": ("s",), "compare": compare, **rest}
    return [
        Case(f"{name}_{kind}", component, settings, **{**spread, **more})
        for kind, more in (
            ("rows_3", dict(batch=3)),
            ("rows_3_long", dict(batch=3, steps=1000, scale="ci")),
            ("rows_1_long", dict(batch=1, steps=1000, scale="ci")),
        )
    ]


CASES = [
    *cases("lif_srm_plain", "LIFSRM", dict(tau_m=10.0), ("uniform", -40.0, 60.0), LIF_STATES),
    *cases(
        "lif_srm_hyperpolarised",
        "LIFSRM",
        dict(tau_m=14.0, thr=-55.0, v_rest=-66.0, v_reset=-80.0),
        ("uniform", -40.0, 70.0),
        LIF_STATES,
    ),
    *cases("lif_srm_half_step", "LIFSRM", dict(tau_m=5.0, v_reset=-70.0), ("uniform", -40.0, 70.0), LIF_STATES, dt=0.5),
    *cases(
        "lif_srm_predicts",
        "LIFSRM",
        dict(tau_m=10.0),
        ("uniform", -40.0, 60.0),
        LIF_STATES | same("next_spike_t"),
        **PREDICTS,
    ),
    *cases("raf_srm_plain", "RAFSRM", {}, ("uniform", -9.0, 9.0), RAF_STATES),
    *cases(
        "raf_srm_slow",
        "RAFSRM",
        dict(tau_v=10.0, tau_w=12.0, omega=2.0, dampen_factor=-0.6, v_reset=-0.3, w_reset=0.2, thr=0.8),
        ("uniform", -9.0, 9.0),
        RAF_STATES,
    ),
    *cases(
        "raf_srm_half_step",
        "RAFSRM",
        dict(tau_v=6.0, tau_w=3.0, omega=1.5, dampen_factor=-0.2, v_reset=0.1, w_reset=-0.4),
        ("uniform", -3.0, 3.0),
        RAF_STATES,
        dt=0.5,
    ),
    # Newton's method near a turning point of v: what it finds there is not sure to more digits
    Case(
        "raf_srm_predicts",
        "RAFSRM",
        dict(n_units=UNITS, tau_v=10.0, tau_w=12.0, omega=2.0, dampen_factor=-0.6, v_reset=-0.3, w_reset=0.2, thr=0.8),
        batch=3,
        inputs={"current_j": (("uniform", -9.0, 9.0), (UNITS,))},
        compare=RAF_STATES | same("next_spike_t"),
        spiking=("s",),
        rtol=1e-4,
        **PREDICTS,
    ),
]
