"""The modern Hopfield network against the reference."""

from __future__ import annotations

from typing import Any

from parity.case import Case, same

COMPARED = same("outputs", "similarities", "memory_weights", "energy", "i_tick", "weights", "dWeights")


def hopfield(name: str, rule: str, shape: tuple[int, int], batch: int, scale: str = "ci", **settings: Any) -> Case:
    return Case(
        f"hopfield_{name}",
        "HopfieldSynapse",
        {"shape": shape, "eta": 0.05, "update_rule": rule, **settings},
        {"inputs": (("normal", 0.0, 1.0), shape[:1])},
        COMPARED,
        methods=("advance", "evolve"),
        batch=batch,
        start={"weights": (("normal", 0.0, 0.7), shape)},
        resets=True,  # it declares similarities as wide as the inputs, and makes them right in reset
        scale=scale,
    )


CASES = [
    hopfield("delta", "delta", (4, 6), 3, "quick", beta=1.5),
    hopfield("contrastive", "contrastive", (6, 4), 3, "quick", beta=1.5, reg_lambda=0.01),
    *(
        hopfield(f"{rule}_{shape[0]}_{shape[1]}_{batch}", rule, shape, batch, beta=2.0)
        for rule in ("delta", "contrastive")
        for shape in ((4, 6), (6, 4), (5, 5))
        for batch in (1, 3)
    ),
    hopfield("decay", "delta", (4, 6), 3, beta=1.0, reg_lambda=0.02),
    hopfield("defaults", "delta", (6, 4), 1),  # beta 8
]
