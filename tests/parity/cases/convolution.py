"""Convolutional synapses against the reference."""

from __future__ import annotations

from typing import Any

from parity.case import Case, same

FILTER = (3, 3, 2, 4)
IMAGE = dict(shape=FILTER, x_shape=(6, 6))
SAME_PADDING = dict(stride=1, padding="SAME")
FILTERS = {"weights": (("uniform", 0.1, 0.6), FILTER)}
SEEN = {"inputs": (("uniform", 0.0, 1.0), (6, 6, 2))}
IMAGE_FACTORS = {"pre": (("uniform", -0.2, 1.0), (6, 6, 2)), "post": (("normal", 0.1, 0.6), (6, 6, 4))}
IMAGE_TRACES = {
    "preSpike": (("spikes", 0.2), (6, 6, 2)),
    "preTrace": (("uniform", 0.0, 1.0), (6, 6, 2)),
    "postSpike": (("spikes", 0.2), (6, 6, 4)),
    "postTrace": (("uniform", 0.0, 1.0), (6, 6, 4)),
}


def hebbian_conv(name: str, batch: int = 3, **settings: Any) -> Case:
    # without biases the reference's evolve leaves them broken, so they are put back and its advance is left out
    return Case(
        f"hebbian_conv_{name}",
        "HebbianConvSynapse",
        {**IMAGE, "eta": 0.002, **settings},
        IMAGE_FACTORS,
        same("weights", "dWeights", "dInputs"),
        ("evolve", "backtransmit"),
        batch,
        50,
        theirs=SAME_PADDING,
        start=FILTERS,
        feed={"back": "post"},
        restore={"biases": 0.0},
    )


def stdp_conv(name: str, batch: int = 3, **settings: Any) -> Case:
    settings = {**IMAGE, "A_plus": 0.02, "A_minus": 0.015, "eta": 0.02, **settings}
    return Case(
        f"stdp_conv_{name}",
        "TraceSTDPConvSynapse",
        settings,
        {**SEEN, **IMAGE_TRACES},
        same("outputs", "weights", "dWeights", "dInputs"),
        ("advance", "evolve", "backtransmit"),
        batch,
        50,
        theirs=SAME_PADDING,
        start=FILTERS,
        feed={"back": "postSpike"},
    )


CASES = [
    Case(
        "conv",
        "ConvSynapse",
        IMAGE,
        SEEN,
        same("outputs"),
        batch=3,
        steps=50,
        start=FILTERS,
        ours=dict(resist_scale=1.7),
        theirs=dict(g_conduct_factor=1.7, **SAME_PADDING),
    ),
    Case(
        "conv_even_kernel",
        "ConvSynapse",
        dict(shape=(2, 2, 2, 4), x_shape=(5, 5)),
        {"inputs": (("uniform", 0.0, 1.0), (5, 5, 2))},
        same("outputs"),
        steps=50,
        theirs=SAME_PADDING,
        start={"weights": (("uniform", 0.1, 0.6), (2, 2, 2, 4))},
    ),
    hebbian_conv("plain", batch=1, sign_value=-1.0),
    hebbian_conv("bounded", w_bound=0.8, sign_value=-1.0),
    hebbian_conv("nonnegative", w_bound=0.8, is_nonnegative=True),
    hebbian_conv("adam", optim_type="adam", sign_value=-1.0),
    hebbian_conv("nag", optim_type="nag"),
    stdp_conv("plain", batch=1),
    stdp_conv("bounded", w_bound=1.0, pretrace_target=0.3),
    stdp_conv("decay", w_decay=0.01),
]
