"""The expansion of Hebbian learning against the reference; its two activities are clamped, as it needs them to be."""

from __future__ import annotations

from typing import Any

from parity.case import Case, same

SHAPE = (6, 4)
FACTORS = {"pre": (("uniform", -0.2, 1.0), (6,)), "post": (("normal", 0.1, 0.6), (4,))}
INPUTS = {"inputs": (("uniform", 0.0, 1.0), (6,)), **FACTORS}
NAMES = ("c0", "c1_pre", "c1_post", "c2_corr")


def gerstner(name: str, *coeffs: float, batch: int = 3, **rest: Any) -> Case:
    """Coefficients are settings here and a dictionary there."""
    table = dict(zip(NAMES, coeffs, strict=True)) if coeffs else None
    settings = {"shape": SHAPE, "eta": 0.03, **rest.pop("settings", {})}
    spread: dict[str, Any] = {
        "inputs": INPUTS,
        "compare": same("outputs", "weights", "dWeights"),
        "methods": ("advance", "evolve"),
        "batch": batch,
        "ours": dict(resist_scale=1.3, **(table or {})),
        "theirs": dict(g_conduct_factor=1.3, coeffs=table),
        "start": {"weights": (("uniform", -0.7, 0.7), SHAPE)},
        **rest,
    }
    return Case(f"gerstner_{name}", "GerstnerHebbianSynapse", settings, **spread)


CASES = [
    gerstner("hebb"),
    gerstner("all_four", -0.4, 0.3, -0.2, 0.7),
    gerstner("all_four_one_row", 0.2, -0.3, 0.5, -0.6, batch=1),
    gerstner("decay", -1.0, 0.0, 0.0, 0.0, scale="ci"),
    gerstner("growth", 0.8, 0.0, 0.0, 0.0, scale="ci"),
    gerstner("anti_hebb", 0.0, 0.0, 0.0, -1.5, batch=1, scale="ci"),
    gerstner("pre", 0.0, 0.8, 0.0, 0.0, scale="ci"),
    gerstner("post", 0.0, 0.0, -0.8, 0.0, scale="ci"),
    gerstner("gated", -0.1, -0.5, 0.0, 1.0, settings=dict(shape=(6, 4), eta=0.2), steps=100, scale="ci"),
]
