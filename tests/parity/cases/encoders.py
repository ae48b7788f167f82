"""Encoders against the reference."""

from __future__ import annotations

from typing import Any

from parity.case import Case, Drawn, same

UNITS = 14
STILL = [0.95, 0.61, 0.3, 0.07, 0.42, 0.005, 0.88, 0.15, 0.53, 0.77, 0.23, 0.36, 0.49, 0.7]  # one below the threshold


def encoder(name: str, component: str, drawn: tuple, **rest: Any) -> Case:
    inputs: dict[str, Drawn] = {"inputs": (drawn, (UNITS,))}
    compare = {**same("outputs", "tols"), **rest.pop("compare", {})}
    return Case(
        name, component, {"n_units": UNITS, **rest.pop("settings", {})}, inputs, compare, spiking=("outputs",), **rest
    )


def latency(name: str, steps: int = 60, batch: int = 1, still: bool = True, **rest: Any) -> Case:
    """Spike times are calculated in every step, of inputs that stay or that change."""
    drawn = ("values", [*STILL, *STILL[::-1], *STILL[4:], *STILL[:4]][: UNITS * batch] * steps)
    return encoder(
        f"latency_{name}",
        "LatencyCell",
        drawn if still else ("uniform", 0.02, 1.0),
        compare=same("targ_sp_times", "mask") if not still else same("mask"),
        methods=("calc_spike_times", "advance"),
        steps=steps,
        batch=batch,
        **rest,
    )


def ttfs(name: str, low: float = 0.0, **rest: Any) -> Case:
    settings = rest.pop("settings", {})
    return encoder(
        f"ttfs_{name}",
        "TTFSCell",
        ("uniform", low, 1.0),
        compare=same("refractory_counter"),
        settings=settings,
        **rest,
    )


def phasor(name: str, mean: float = 1.0, batch: int = 3, **rest: Any) -> Case:
    return encoder(
        f"phasor_{name}",
        "PhasorCell",
        ("uniform", 0.0, 2.0 * mean),
        compare=same("angles"),
        batch=batch,
        start={"base_scale": (("uniform", 0.7, 1.3), (batch, UNITS))},
        rtol=3e-5,  # of 2 pi; roundings of several hundred angles add up
        **rest,
    )


def ganglion(name: str, filter_type: str, **rest: Any) -> Case:
    settings = dict(
        filter_type=filter_type, sigma=1.3, area_shape=(8, 11), n_cells=6, patch_shape=(4, 4), step_shape=(4, 3)
    )
    settings |= rest.pop("settings", {})
    return Case(
        f"ganglion_{name}",
        "RetinalGanglionCell",
        settings,
        {"inputs": (("uniform", 0.0, 1.0), settings["area_shape"])},
        same("outputs"),
        batch=3,
        **rest,
    )


CASES = [
    encoder("poisson", "PoissonCell", ("uniform", 0.0, 1.0), settings=dict(target_freq=300.0), batch=3),
    encoder("poisson_half_step", "PoissonCell", ("uniform", 0.0, 4.0), dt=0.5, steps=200),
    encoder("bernoulli", "BernoulliCell", ("uniform", 0.0, 0.6), batch=3),
    latency("linear", batch=3, settings=dict(linearize=True, tau=40.0)),
    latency("logarithmic", batch=3, settings=dict(tau=10.0), still=False),
    latency(
        "linear_normalised",
        batch=3,
        settings=dict(linearize=True, normalize=True, num_steps=50.0, first_spike_time=5.0, clip_spikes=True),
        scale="ci",
    ),
    latency(
        "linear_anew",
        batch=3,
        settings=dict(linearize=True, tau=90.0, threshold=0.2),
        steps=300,
        still=False,
        scale="ci",
    ),
    latency(
        "logarithmic_normalised",
        settings=dict(tau=3.0, threshold=0.015, normalize=True, num_steps=40.0, first_spike_time=2.0),
        steps=300,
        still=False,
        scale="ci",
    ),
    latency("whole_ms", settings=dict(linearize=True, tau=40.0, clip_spikes=True), dt=0.5, steps=200, scale="ci"),
    ttfs("exponential", batch=3, settings=dict(num_steps=50)),
    ttfs("defaults", steps=300, settings={}, scale="ci"),
    # the reference takes the largest latency of all rows, not of each
    ttfs("logarithmic", steps=200, settings=dict(latency_mode="logarithmic", num_steps=150, tau_ref=8), scale="ci"),
    ttfs(
        "logarithmic_floor", 0.05, settings=dict(latency_mode="logarithmic", num_steps=40), dt=0.5, batch=3, scale="ci"
    ),
    phasor("quick_turns", settings=dict(target_freq=200.0)),
    phasor("defaults", mean=2.0, steps=300, batch=1, scale="ci"),
    phasor("half_step", settings=dict(target_freq=400.0), dt=0.5, steps=300, scale="ci"),
    phasor("handed_through", 0.25, settings=dict(disable_phasor=True), scale="ci"),
    ganglion("gaussian", "gaussian"),
    ganglion("difference", "difference_of_gaussian", scale="ci"),
    ganglion("ratio", "RoG", scale="ci"),
    ganglion(
        "identity",
        "identity",
        settings=dict(area_shape=(5, 9), patch_shape=(5, 5), step_shape=(0, 2), n_cells=3),
        scale="ci",
    ),
]
