"""The rate cell against the reference."""

from __future__ import annotations

from typing import Any

from parity.case import Case

CURRENTS = {"j": (("normal", 0.4, 1.5), (9,)), "j_td": (("normal", 0.0, 0.6), (9,))}
RATE_STATES = {"z": "z", "zF": "zF", "j_mod": "j"}


def rate(name: str, batch: int = 3, **rest: Any) -> Case:
    settings = {"n_units": 9, "tau_m": 8.0, "resist_scale": 1.2, "output_scale": 0.8, **rest.pop("settings", {})}
    spread = {"inputs": CURRENTS, "compare": RATE_STATES, "batch": batch, **rest}
    return Case(f"rate_{name}", "RateCell", settings, **spread)


SMOOTH = ("identity", "relu", "lrelu", "relu6", "elu", "tanh", "sigmoid", "softplus", "silu", "gelu", "telu")
STEPS = ("bkwta", "unit_threshold", "heaviside")


def prior(name: str, strength: float) -> dict[str, dict[str, Any]]:
    return dict(ours=dict(prior=name, prior_lmbda=strength), theirs=dict(prior=(name, strength)))


CASES = [
    *(rate(name, settings=dict(act_fx=name), start={"z": (("normal", 0.5, 1.0), (3, 9))}) for name in SMOOTH),
    rate("one_row", batch=1, settings=dict(act_fx="relu")),
    *(rate(name, settings=dict(act_fx=name)) for name in STEPS),
    rate(
        "sine",
        settings=dict(act_fx="sine", tau_m=80.0),
        ours=dict(omega_0=30.0),
        theirs=dict(omega_0=30.0),
        inputs={"j": (("normal", 0.1, 0.5), (9,)), "j_td": (("normal", 0.2, 0.2), (9,))},
        steps=50,
    ),
    rate("softmax_stateless", settings=dict(act_fx="softmax", tau_m=0.0)),
    rate("stateless", settings=dict(act_fx="tanh", is_stateful=False), batch=1),
    *(
        rate(f"prior_{name}", settings=dict(act_fx="tanh"), **prior(name, 0.6))
        for name in ("gaussian", "laplacian", "cauchy", "exp")
    ),
    rate(
        "soft_threshold",
        settings=dict(act_fx="tanh"),
        ours=dict(threshold="soft_threshold", thr_lmbda=0.05),
        theirs=dict(threshold=("soft_threshold", 0.05)),
    ),
    rate("midpoint", settings=dict(act_fx="elu", integration_type="rk2"), **prior("cauchy", 0.9)),
    # the reference's "heun" runs the classical fourth-order method
    rate(
        "rk4",
        settings=dict(act_fx="tanh"),
        ours=dict(prior="exp", prior_lmbda=0.9, integration_type="rk4"),
        theirs=dict(prior=("exp", 0.9), integration_type="heun"),
    ),
    rate(
        "image",
        settings=dict(act_fx="tanh"),
        ours=dict(n_units=(3, 3, 2)),
        theirs=dict(n_units=9, shape=(3, 3, 2)),
        inputs={"j": (("normal", 0.4, 1.5), (3, 3, 2)), "j_td": (("normal", 0.0, 0.6), (3, 3, 2))},
    ),
]
