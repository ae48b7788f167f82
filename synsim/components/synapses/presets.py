"""The reference's synapse types as data: which parts, which other names for settings, which other defaults.

A row adds no code. An all-to-all type may be written with `connectivity: sparse` or
`one_to_one` in place of the matrix; `type: Synapse` with the parts named gives any other product.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Preset:
    """A synapse type: its three parts, its names for settings (public name to field) and its defaults (by field)."""

    doc: str
    connectivity: str
    dynamics: str = "instant"
    rule: str = "static"
    rename: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""

    @property
    def connectivities(self) -> tuple[str, ...]:
        """What may stand in place of its connectivity: between vectors of units there are several."""
        return BETWEEN_VECTORS if self.connectivity in BETWEEN_VECTORS else (self.connectivity,)


BETWEEN_VECTORS = ("dense", "one_to_one", "sparse")


FILTERS = {"filter_init": "weight_init"}
# the reference bounds filters of its convolutional trace rule away from 0 and from w_bound
FILTER_STDP = {"eta": 0.0, "w_bound": 0.0, "w_margin": 0.01}
# the reference's convolutional decay grows weights for either sign: here it shrinks them
FILTER_HEBBIAN = {"w_bound": 0.0, "soft_bound": False, "prior_form": "published", "back_sign": True}

PRESETS: Mapping[str, Preset] = {
    "DenseSynapse": Preset("All-to-all synapse without learning.", "dense"),
    "StaticSynapse": Preset("All-to-all synapse without learning, another name of DenseSynapse.", "dense"),
    "HebbianSynapse": Preset("All-to-all synapse with two-factor Hebbian learning.", "dense", rule="hebbian"),
    "GerstnerHebbianSynapse": Preset(
        "All-to-all synapse with Hebbian learning as an expansion in the two activities.", "dense", rule="gerstner"
    ),
    "TraceSTDPSynapse": Preset(
        "All-to-all synapse with trace-based spike-timing-dependent plasticity.",
        "dense",
        rule="trace_stdp",
        rename={"weight_mask": "mask"},
    ),
    "AlphaSynapse": Preset("All-to-all synapse whose conductance follows an alpha function.", "dense", "alpha"),
    "ExponentialSynapse": Preset(
        "All-to-all synapse whose conductance jumps and decays exponentially.", "dense", "exponential"
    ),
    "DoubleExpSynapse": Preset(
        "All-to-all synapse whose conductance is a difference of two exponentials.", "dense", "double_exponential"
    ),
    "ConvSynapse": Preset("Convolutional synapse without learning.", "conv", rename=FILTERS),
    "StaticConvSynapse": Preset(
        "Convolutional synapse without learning, another name of ConvSynapse.", "conv", rename=FILTERS
    ),
    "HebbianConvSynapse": Preset(
        "Convolutional synapse with two-factor Hebbian learning.",
        "conv",
        rule="hebbian",
        rename=FILTERS,
        defaults=FILTER_HEBBIAN,
    ),
    "TraceSTDPConvSynapse": Preset(
        "Convolutional synapse with trace-based spike-timing-dependent plasticity.",
        "conv",
        rule="trace_stdp",
        rename=FILTERS,
        defaults=FILTER_STDP,
    ),
    "DeconvSynapse": Preset("Deconvolutional synapse without learning.", "deconv", rename=FILTERS),
    "StaticDeconvSynapse": Preset(
        "Deconvolutional synapse without learning, another name of DeconvSynapse.", "deconv", rename=FILTERS
    ),
    "HebbianDeconvSynapse": Preset(
        "Deconvolutional synapse with two-factor Hebbian learning.",
        "deconv",
        rule="hebbian",
        rename=FILTERS,
        defaults=FILTER_HEBBIAN,
    ),
    "TraceSTDPDeconvSynapse": Preset(
        "Deconvolutional synapse with trace-based spike-timing-dependent plasticity.",
        "deconv",
        rule="trace_stdp",
        rename=FILTERS,
        defaults=FILTER_STDP,
    ),
}
