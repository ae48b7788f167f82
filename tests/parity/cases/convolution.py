"""Convolutional synapses against the reference."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
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


def conv_length(size: int, kernel: int, stride: int, padding: str) -> int:
    """Length of an axis after a convolution."""
    return math.ceil(size / stride) if padding == "SAME" else (size - kernel) // stride + 1


def geometries(
    kind: str, kernels: range, size: Callable[[int], int], length: Callable[..., int], quick: set, ci: set
) -> list[Case]:
    """Transmitting, learning and sending back at every kernel, stride and padding, with one row and with three."""
    cases = []
    for kernel, stride, padding, batch in itertools.product(kernels, (1, 2, 3), ("SAME", "VALID"), (1, 3)):
        here = (kernel, stride, padding)
        one = (batch == 1) == (kernel % 2 == 1)  # the smaller sizes of the suite have one batch of each
        pre = (size(stride), size(stride), 2)
        reached = length(size(stride), kernel, stride, padding)
        post = (reached, reached, 3)
        cases.append(
            Case(
                f"stdp_{kind}_k{kernel}_s{stride}_{padding.lower()}_b{batch}",
                f"TraceSTDP{kind.capitalize()}Synapse",
                dict(
                    shape=(kernel, kernel, 2, 3),
                    x_shape=pre[:2],
                    stride=stride,
                    padding=padding,
                    A_plus=0.02,
                    A_minus=0.012,
                    eta=0.03,
                    pretrace_target=0.1,
                ),
                {
                    "inputs": (("uniform", 0.0, 1.0), pre),
                    "preSpike": (("spikes", 0.3), pre),
                    "preTrace": (("uniform", 0.0, 1.0), pre),
                    "postSpike": (("spikes", 0.3), post),
                    "postTrace": (("uniform", 0.0, 1.0), post),
                },
                same("outputs", "weights", "dWeights", "dInputs"),
                ("advance", "evolve", "backtransmit"),
                batch,
                50,
                start={"weights": (("uniform", 0.1, 0.6), (kernel, kernel, 2, 3))},
                feed={"back": "postSpike"},
                scale="quick" if here in quick and one else "ci" if here in quick | ci and one else "full",
            )
        )
    return cases


QUICK = {(2, 1, "VALID"), (3, 2, "SAME"), (4, 3, "VALID")}
CI = {(1, 2, "VALID"), (2, 3, "SAME"), (3, 1, "VALID"), (3, 3, "SAME"), (4, 2, "SAME"), (5, 1, "SAME"), (5, 2, "VALID")}

CASES = [
    *geometries("conv", range(1, 6), lambda stride: 5 + stride, conv_length, QUICK, CI),
    Case(
        "conv_explicit_padding",
        "ConvSynapse",
        dict(shape=(3, 3, 2, 4), x_shape=(5, 5), stride=2, padding=((1, 2), (0, 1))),
        {"inputs": (("uniform", 0.0, 1.0), (5, 5, 2))},
        same("outputs"),
        batch=3,
        steps=50,
        start={"weights": (("uniform", 0.1, 0.6), (3, 3, 2, 4))},
    ),
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
