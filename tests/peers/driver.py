"""Runs the neurons of models.py in NEST and in Brian2 and writes v and the spike times: `python driver.py OUT.npz`.

Run by a Python that has both. v[k] is the potential at the time k dt.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))
from peers.models import ADEX, AREA, FINE, HH, IZHIKEVICH, LIF, gates_at_rest  # noqa: E402

Found = dict[str, np.ndarray]


# ------------------------------------------------------------------------------------------------------------- NEST


def in_nest(model: str, settings: dict[str, Any], dt: float, steps: int) -> Found:
    """One neuron with a constant current I_e."""
    import nest

    nest.ResetKernel()
    nest.verbosity = nest.VerbosityLevel.ERROR
    nest.resolution = dt
    neuron = nest.Create(model, params=settings)
    meter = nest.Create("multimeter", params={"record_from": ["V_m"], "interval": dt})
    detector = nest.Create("spike_recorder")
    nest.Connect(meter, neuron)
    nest.Connect(neuron, detector)
    start = neuron.get("V_m")
    nest.Simulate((steps + 1) * dt)
    v = meter.get("events")["V_m"][:steps]  # the first value is that of time dt
    return {"v": np.r_[start, v], "spikes": detector.get("events")["times"]}


def nest_all() -> dict[str, Found]:
    p = LIF
    found = {}
    pico = 1000.0
    found["lif"] = in_nest(
        "iaf_psc_delta",
        dict(tau_m=p["tau"], C_m=p["tau"] / p["R"] * pico, E_L=p["rest"], V_m=p["rest"], V_th=p["threshold"])
        | dict(V_reset=p["reset"], t_ref=p["refractory"], I_e=p["drive"] * pico),
        p["dt"],
        p["steps"],
    )
    p = IZHIKEVICH
    settings = {name: p[name] for name in "abcd"}
    settings |= dict(V_th=p["peak"], V_m=p["v0"], U_m=p["u0"], I_e=p["drive"])
    for name, consistent in (("izhikevich", True), ("izhikevich_program", False)):
        found[name] = in_nest("izhikevich", settings | {"consistent_integration": consistent}, p["dt"], p["steps"])
    p = ADEX
    found["adex"] = in_nest(
        "aeif_psc_delta",
        dict(C_m=p["C"] * pico, g_L=p["g"] * pico, E_L=p["rest"], V_m=p["rest"], V_th=p["V_T"], Delta_T=p["slope"])
        | dict(tau_w=p["tau_w"], a=p["a"] * pico, b=p["b"] * pico, V_reset=p["reset"], V_peak=p["peak"])
        | dict(I_e=p["drive"] * pico, t_ref=0.0, gsl_error_tol=1e-10),
        FINE,
        round(p["steps"] * p["dt"] / FINE),
    )
    p = HH
    n, m, h = gates_at_rest()
    found["hh"] = in_nest(
        "hh_psc_alpha",
        dict(C_m=p["C"] * AREA, g_Na=p["Na"] * AREA, g_K=p["K"] * AREA, g_L=p["L"] * AREA, V_m=p["rest"])
        | dict(E_Na=p["rest"] + p["v_Na"], E_K=p["rest"] + p["v_K"], E_L=p["rest"] + p["v_L"])
        | dict(Act_n=n, Act_m=m, Inact_h=h, I_e=p["drive"] * AREA),
        p["dt"],
        p["steps"],
    )
    return {f"nest_{name}": values for name, values in found.items()}


# ----------------------------------------------------------------------------------------------------------- Brian2


def in_brian(equations: str, start: dict[str, float], dt: float, steps: int, p: dict[str, Any], **rest: Any) -> Found:
    """One neuron; v and w are plain numbers of mV, time is in ms."""
    import brian2 as b2

    b2.prefs.codegen.target = "numpy"
    b2.start_scope()
    group = b2.NeuronGroup(1, equations, namespace={**p, "ms": b2.ms}, dt=dt * b2.ms, **rest)
    for name, value in start.items():
        setattr(group, name, value)
    seen, fired = b2.StateMonitor(group, "v", record=True, dt=dt * b2.ms), b2.SpikeMonitor(group)
    network = b2.Network(group, seen, fired)
    network.run((steps + 1) * dt * b2.ms, namespace={})
    return {"v": np.asarray(seen.v[0])[: steps + 1], "spikes": np.asarray(fired.t / b2.ms)}


def brian_all() -> dict[str, Found]:
    p = LIF
    found = {}
    found["lif"] = in_brian(
        "dv/dt = (rest - v + R * drive) / (tau * ms) : 1 (unless refractory)",
        {"v": p["rest"]},
        p["dt"],
        p["steps"],
        p,
        threshold="v > threshold",
        reset="v = reset",
        # Brian2 counts the step of the spike as one of the refractory ones, NEST and synsim do not
        refractory=f"{p['refractory'] + p['dt']} * ms",
        method="exact",
    )
    p = IZHIKEVICH
    found["izhikevich"] = in_brian(
        """dv/dt = (0.04 * v**2 + 5 * v + 140 - u + drive) / ms : 1
        du/dt = a * (b * v - u) / ms : 1""",
        {"v": p["v0"], "u": p["u0"]},
        p["dt"],
        p["steps"],
        p,
        threshold="v > peak",
        reset="v = c; u += d",
        method="euler",
    )
    p = ADEX
    found["adex"] = in_brian(
        """dv/dt = (g * (rest - v) + g * slope * exp((v - V_T) / slope) - w + drive) / (C * ms) : 1
        dw/dt = (a * (v - rest) - w) / (tau_w * ms) : 1""",
        {"v": p["rest"], "w": 0.0},
        p["dt"],
        p["steps"],
        p,
        threshold="v > peak",
        reset="v = reset; w += b",
        method="euler",
    )
    p = HH
    n, m, h = gates_at_rest()
    found["hh"] = in_brian(
        """dv/dt = (drive - Na * m**3 * h * (x - v_Na) - K * n**4 * (x - v_K) - L * (x - v_L)) / (C * ms) : 1
        x = v - rest : 1
        dn/dt = (0.1 / exprel((10 - x) / 10) * (1 - n) - 0.125 * exp(-x / 80) * n) / ms : 1
        dm/dt = (1 / exprel((25 - x) / 10) * (1 - m) - 4 * exp(-x / 18) * m) / ms : 1
        dh/dt = (0.07 * exp(-x / 20) * (1 - h) - h / (exp((30 - x) / 10) + 1)) / ms : 1""",
        {"v": p["rest"], "n": n, "m": m, "h": h},
        p["dt"],
        p["steps"],
        p,
        threshold="v > rest + 50",
        refractory="v > rest + 50",
        method="rk4",
    )
    return {f"brian_{name}": values for name, values in found.items()}


def main(out: str) -> None:
    found = {**nest_all(), **brian_all()}
    np.savez(
        f"{out}.part", **{f"{name}/{what}": values for name, each in found.items() for what, values in each.items()}
    )
    os.replace(f"{out}.part.npz", out)


if __name__ == "__main__":
    main(sys.argv[1])
