"""Error cells against the reference."""

from __future__ import annotations

from typing import Any

from parity.case import Case, Drawn, same

UNITS = 6
GATES: dict[str, Drawn] = {"modulator": (("uniform", 0.0, 2.0), (UNITS,)), "mask": (("spikes", 0.7), (UNITS,))}


def predicted(prediction: str) -> dict[str, Drawn]:
    return {prediction: (("normal", 0.0, 1.0), (UNITS,)), "target": (("normal", 0.5, 1.0), (UNITS,))}


def error(name: str, component: str, inputs: dict[str, Drawn], compare: dict[str, str], **rest: Any) -> Case:
    return Case(name, component, {"n_units": UNITS, **rest.pop("settings", {})}, inputs, compare, **rest)


def gaussian(name: str, inputs: dict[str, Drawn] | None = None, **rest: Any) -> Case:
    compare = rest.pop("compare", same("dmu", "dtarget", "L"))
    return error(name, "GaussianErrorCell", {**predicted("mu"), **(inputs or {})}, compare, **rest)


def laplacian(name: str, inputs: dict[str, Drawn] | None = None, **rest: Any) -> Case:
    compare = rest.pop("compare", same("dshift", "dtarget"))
    # some predictions are exactly right, where the sign is 0 and the count L has less to count
    shift = {
        "shift": (("values", [0.5, -1.0, 2.0, 0.5, 0.5, 0.0] * rest.get("steps", 60) * rest.get("batch", 1)), (6,))
    }
    target = {"target": (("spikes", 0.4), (UNITS,))}
    return error(name, "LaplacianErrorCell", {**shift, **target, **(inputs or {})}, compare, **rest)


def bernoulli(name: str, inputs: dict[str, Drawn] | None = None, logits: bool = False, **rest: Any) -> Case:
    p = {"p": (("normal", 0.0, 3.0) if logits else ("uniform", 0.0, 1.0), (UNITS,))}
    rest["settings"] = {**rest.get("settings", {}), **({"input_logits": True} if logits else {})}
    given = {**p, "target": (("spikes", 0.4), (UNITS,)), **(inputs or {})}
    return error(name, "BernoulliErrorCell", given, same("dp", "dtarget", "L"), **rest)


def reward(name: str, **rest: Any) -> Case:
    settings = {"alpha": 0.2, **rest.pop("settings", {})}
    compare = rest.pop("compare", same("mu", "rpe", "accum_reward", "n_ep_steps"))
    inputs: dict[str, Drawn] = {"reward": (("normal", 0.3, 1.0), (UNITS,))}
    return error(name, "RewardErrorCell", inputs, compare, settings=settings, **rest)


CASES = [
    gaussian("error", settings=dict(sigma=0.7)),
    gaussian("error_gated", GATES, settings=dict(sigma=1.6), batch=3),
    gaussian(
        "error_wired_variance", {"Sigma": (("uniform", 0.5, 2.0), (UNITS,))}, batch=3, compare=same("dmu", "dtarget")
    ),
    gaussian(
        "error_by_unit",
        batch=3,
        compare=same("dmu", "dtarget"),
        arrays={"sigma": (("uniform", 0.5, 2.0), (UNITS,))},
    ),
    gaussian("error_defaults", steps=300, scale="ci"),
    laplacian("laplacian_gated", GATES, settings=dict(scale=1.7), batch=3, compare=same("dshift", "dtarget", "L")),
    laplacian("laplacian_defaults", steps=300, compare=same("dshift", "dtarget", "L"), scale="ci"),
    laplacian("laplacian_by_unit", arrays={"scale": (("uniform", 0.5, 2.0), (UNITS,))}, batch=3, scale="ci"),
    bernoulli("bernoulli_error", GATES, batch=3),
    bernoulli("bernoulli_error_logits", GATES, logits=True, batch=3),
    bernoulli("bernoulli_error_defaults", steps=300, scale="ci"),
    bernoulli("bernoulli_error_certain", {"p": (("normal", 0.5, 1.0), (UNITS,))}, batch=3, steps=300, scale="ci"),
    reward("reward", batch=3),
    reward("reward_episodes", batch=3, methods=("advance", "evolve"), steps=300, scale="ci"),
    reward(
        "reward_window",
        settings=dict(alpha=0.05, ema_window_len=3),
        methods=("advance", "evolve"),
        steps=300,
        scale="ci",
    ),
    reward(
        "reward_offline",
        settings=dict(use_online_predictor=False),
        methods=("advance", "evolve"),
        compare=same("rpe", "accum_reward", "n_ep_steps"),
        batch=3,
        scale="ci",
    ),
]
