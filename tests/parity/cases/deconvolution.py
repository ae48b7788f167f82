"""Deconvolutional synapses against the reference, where it runs: square kernels and images, SAME and VALID."""

from __future__ import annotations

from typing import Any

from parity.case import Case, same
from parity.cases.convolution import CI, QUICK, geometries

FILTER = (3, 3, 2, 4)
LEARNING = dict(shape=FILTER, x_shape=(4, 4), stride=2, padding="SAME")
PRE, POST = (4, 4, 2), (8, 8, 4)
FILTERS = {"weights": (("uniform", 0.1, 0.6), FILTER)}
FACTORS = {"pre": (("uniform", -0.2, 1.0), PRE), "post": (("normal", 0.1, 0.6), POST)}


def deconv_length(size: int, kernel: int, stride: int, padding: str) -> int:
    """Length of an axis after a transposed convolution."""
    return stride * size + (max(kernel - stride, 0) if padding == "VALID" else 0)


def deconv(name: str, component: str, padding: Any, batch: int = 3, scale: str = "quick") -> Case:
    return Case(
        f"deconv_{name}",
        component,
        dict(shape=FILTER, x_shape=(4, 4), stride=2, padding=padding),
        {"inputs": (("uniform", 0.0, 1.0), PRE)},
        same("outputs"),
        batch=batch,
        steps=50,
        start=FILTERS,
        ours=dict(resist_scale=1.7),
        theirs=dict(g_conduct_factor=1.7),
        scale=scale,
    )


def hebbian(name: str, batch: int = 3, scale: str = "ci", **settings: Any) -> Case:
    # without biases the reference's evolve leaves them broken, so they are put back and its advance is left out
    return Case(
        f"hebbian_deconv_{name}",
        "HebbianDeconvSynapse",
        {**LEARNING, "eta": 0.002, **settings},
        FACTORS,
        same("weights", "dWeights", "dInputs"),
        ("evolve", "backtransmit"),
        batch,
        50,
        start=FILTERS,
        feed={"back": "post"},
        restore={"biases": 0.0},
        scale=scale,
    )


def stdp(name: str, batch: int = 3, scale: str = "ci", inputs: dict[str, Any] | None = None, **settings: Any) -> Case:
    traces = {
        "preSpike": (("spikes", 0.2), PRE),
        "preTrace": (("uniform", 0.0, 1.0), PRE),
        "postSpike": (("spikes", 0.2), POST),
        "postTrace": (("uniform", 0.0, 1.0), POST),
    }
    return Case(
        f"stdp_deconv_{name}",
        "TraceSTDPDeconvSynapse",
        {**LEARNING, "A_plus": 0.02, "A_minus": 0.015, "eta": 0.02, **settings},
        {**traces, **(inputs or {})},
        same("weights", "dWeights"),
        ("evolve",),
        batch,
        50,
        start=FILTERS,
        scale=scale,
    )


CASES = [
    *geometries("deconv", range(1, 6), lambda stride: 6 - stride, deconv_length, QUICK, CI),
    deconv("explicit_padding", "DeconvSynapse", ((1, 2), (0, 3))),
    deconv("static", "StaticDeconvSynapse", "VALID", batch=1, scale="ci"),
    hebbian("plain", batch=1, sign_value=-1.0, scale="quick"),
    hebbian("bounded", w_bound=0.8, sign_value=-1.0),
    hebbian("nonnegative", w_bound=0.8, is_nonnegative=True),
    hebbian("adam", optim_type="adam", sign_value=-1.0),
    hebbian("nag", optim_type="nag"),
    stdp("bounded", w_bound=1.0, pretrace_target=0.3),
    stdp("decay", w_decay=0.01, batch=1),
    # the learning rate is a compartment: another one in every step
    stdp("rate", batch=1, scale="quick", inputs={"eta": (("uniform", 0.0, 0.04), (1,))}),
]
