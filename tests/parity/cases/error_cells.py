"""Error cells against the reference."""

from __future__ import annotations

from parity.case import Case, same

ERROR_INPUTS = {"mu": (("normal", 0.0, 1.0), (6,)), "target": (("normal", 0.5, 1.0), (6,))}
GATES = {"modulator": (("uniform", 0.0, 2.0), (6,)), "mask": (("spikes", 0.7), (6,))}

CASES = [
    Case("error", "GaussianErrorCell", dict(n_units=6, sigma=0.7), ERROR_INPUTS, same("dmu", "dtarget", "L")),
    Case(
        "error_gated",
        "GaussianErrorCell",
        dict(n_units=6, sigma=1.6),
        {**ERROR_INPUTS, **GATES},
        same("dmu", "dtarget", "L"),
        batch=3,
    ),
    Case(
        "error_by_unit",
        "GaussianErrorCell",
        dict(n_units=6),
        ERROR_INPUTS,
        same("dmu", "dtarget"),
        batch=3,
        arrays={"sigma": (("uniform", 0.5, 2.0), (6,))},
    ),
]
