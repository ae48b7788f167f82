"""Encoders against the reference."""

from __future__ import annotations

from parity.case import Case, same

CASES = [
    Case(
        "poisson",
        "PoissonCell",
        dict(n_units=9, target_freq=300.0),
        {"inputs": (("uniform", 0.0, 1.0), (9,))},
        same("outputs", "tols"),
        batch=3,
        spiking=("outputs",),
    ),
    Case(
        "poisson_half_step",
        "PoissonCell",
        dict(n_units=9),
        {"inputs": (("uniform", 0.0, 4.0), (9,))},
        same("outputs", "tols"),
        dt=0.5,
        steps=200,
        spiking=("outputs",),
    ),
    Case(
        "bernoulli",
        "BernoulliCell",
        dict(n_units=9),
        {"inputs": (("uniform", 0.0, 0.6), (9,))},
        same("outputs", "tols"),
        batch=3,
        spiking=("outputs",),
    ),
]
