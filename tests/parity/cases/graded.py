"""Graded cells against the reference: the leaky noise cell, and long runs of the rate cell."""

from __future__ import annotations

from typing import Any

from parity.case import Case, Drawn, same

CURRENTS = {"j_input": (("normal", 0.4, 1.5), (7,)), "j_recurrent": (("normal", 0.0, 0.6), (7,))}


def noisy(name: str, batch: int = 3, **rest: Any) -> Case:
    settings = {"n_units": 7, "tau_x": 12.0, **rest.pop("settings", {})}
    spread = {"inputs": CURRENTS, "compare": same("x", "r", "r_prime"), "batch": batch, **rest}
    return Case(f"noisy_{name}", "LeakyNoiseCell", settings, **spread)


def steady(name: str, batch: int = 3, **rest: Any) -> Case:
    inputs: dict[str, Drawn] = {"j": (("normal", 0.2, 1.0), (7,)), "j_td": (("normal", 0.0, 0.4), (7,))}
    settings = {"n_units": 7, "tau_m": 20.0, **rest.pop("settings", {})}
    states = {"z": "z", "zF": "zF", "j_mod": "j"}
    return Case(f"rate_long_{name}", "RateCell", settings, inputs, states, batch=batch, steps=400, scale="ci", **rest)


CASES = [
    steady("defaults", batch=1),
    steady(
        "soft_threshold",
        settings=dict(act_fx="tanh", output_scale=0.7),
        ours=dict(prior="laplacian", prior_lmbda=0.3, threshold="soft_threshold", thr_lmbda=0.01),
        theirs=dict(prior=("laplacian", 0.3), threshold=("soft_threshold", 0.01)),
        dt=0.5,
    ),
    steady(
        "cauchy_prior",
        settings=dict(act_fx="sigmoid", integration_type="rk2", resist_scale=1.4),
        ours=dict(prior="cauchy", prior_lmbda=0.8),
        theirs=dict(prior=("cauchy", 0.8)),
    ),
    noisy("plain"),
    noisy("defaults", batch=1, steps=300, scale="ci"),
    noisy(
        "midpoint",
        settings=dict(act_fx="tanh", integration_type="rk2", sigma_pre=0.7, sigma_post=0.3, leak_scale=0.8),
        steps=300,
        dt=0.5,
        scale="ci",
    ),
    # the reference's "heun" runs the classical fourth-order method
    noisy(
        "rk4",
        settings=dict(act_fx="sigmoid", tau_x=3.0, sigma_pre=0.5, sigma_post=0.0),
        ours=dict(integration_type="rk4"),
        theirs=dict(integration_type="heun"),
        batch=1,
        steps=300,
        scale="ci",
    ),
    noisy(
        "image",
        settings=dict(act_fx="softplus"),
        ours=dict(n_units=(2, 3, 2)),
        theirs=dict(n_units=12, shape=(2, 3, 2)),
        inputs={"j_input": (("normal", 0.4, 1.5), (2, 3, 2)), "j_recurrent": (("normal", 0.0, 0.6), (2, 3, 2))},
        scale="ci",
    ),
]
