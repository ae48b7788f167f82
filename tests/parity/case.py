"""What is compared with the reference, as plain data: no synsim and no ngclearn in this file.

Both sides read it: the driver in the reference's Python, the tests in ours. An array is described by how it is
drawn and by its shape, and drawn by NumPy from a seed that is the crc32 of what it is for, so both sides have it.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np

SCALES = ("quick", "ci", "full")

Drawn = tuple[tuple, tuple[int, ...]]
"""(how, shape): how is ("uniform", low, high), ("normal", mean, std), ("spikes", p) or ("values", ...)."""


@dataclass(frozen=True)
class Case:
    """One component, run for `steps` steps by the same methods in both programs."""

    name: str
    component: str
    settings: dict[str, Any]  # the same in both
    inputs: dict[str, Drawn]  # new values in every step; shapes without the batch axis
    compare: dict[str, str]  # compartment here: compartment there
    methods: tuple[str, ...] = ("advance",)
    batch: int = 1
    steps: int = 60
    dt: float = 1.0
    ours: dict[str, Any] = field(default_factory=dict)  # settings that are written differently
    theirs: dict[str, Any] = field(default_factory=dict)
    arrays: dict[str, Drawn] = field(default_factory=dict)  # settings that are arrays
    start: dict[str, Drawn] = field(default_factory=dict)  # states set before the first step
    spiking: tuple[str, ...] = ()  # at least 10 spikes in each of these
    feed: dict[str, str] = field(default_factory=dict)  # inlets here that read another input
    restore: dict[str, float] = field(default_factory=dict)  # compartments there put back after every step
    patch: dict[str, Any] = field(default_factory=dict)  # attributes put onto the object there, which it lacks
    resets: bool = False  # whether the reference has to be reset before its arrays have their shapes
    stepwise: bool = False  # states are compared step by step from those there, spikes over the whole run as well
    rtol: float = 1e-5
    scale: str = "quick"  # the smallest size of the suite that has it


def drawn(what: str, how: tuple, shape: tuple[int, ...]) -> np.ndarray:
    """The array that `what` stands for."""
    rng = np.random.default_rng(zlib.crc32(what.encode()))
    kind, *numbers = how
    if kind == "uniform":
        return rng.uniform(*numbers, size=shape).astype(np.float32)
    if kind == "normal":
        return rng.normal(*numbers, size=shape).astype(np.float32)
    if kind == "spikes":
        return (rng.uniform(size=shape) < numbers[0]).astype(np.float32)
    if kind == "values":
        return np.asarray(numbers[0], dtype=np.float32).reshape(shape)
    raise ValueError(f"unknown kind of array {kind!r}")


def inputs_of(case: Case) -> dict[str, np.ndarray]:
    """The inputs of all steps: (steps, batch, *shape) by compartment."""
    return {
        name: drawn(f"{case.name}/{name}", how, (case.steps, case.batch, *shape))
        for name, (how, shape) in case.inputs.items()
    }


def arrays_of(case: Case) -> dict[str, np.ndarray]:
    """The settings that are arrays."""
    return {name: drawn(f"{case.name}/{name}", how, shape) for name, (how, shape) in case.arrays.items()}


def starts_of(case: Case) -> dict[str, np.ndarray]:
    """The states that are set before the first step; a mask has already taken its weights away."""
    found = {name: drawn(f"{case.name}/{name}", how, shape) for name, (how, shape) in case.start.items()}
    for name, mask in arrays_of(case).items():
        if name in ("mask", "weight_mask"):
            found["weights"] = found["weights"] * mask
    return found


def seed_of(case: Case) -> int:
    """The seed of the component's key."""
    return zlib.crc32(case.name.encode()) & 0x7FFFFFFF


def same(*names: str) -> dict[str, str]:
    """Compartments that have the same name in both."""
    return {name: name for name in names}


# start values: type, settings, shape; drawn there by the reference's generator of the same name
INITIALISERS = {
    "constant": ("constant", dict(value=0.4), (4, 3)),
    "uniform": ("uniform", dict(low=-0.2, high=0.7), (5, 3)),
    "gaussian": ("gaussian", dict(mean=0.3, std=1.4), (5, 3)),
    "uniform_bounded": ("uniform", dict(low=-1.0, high=1.0, amin=-0.3, amax=0.6), (6, 4)),
    "uniform_lower": ("uniform", dict(low=0.1, high=1.0, lower_triangle=True), (5, 5)),
    "uniform_upper": ("uniform", dict(low=0.1, high=1.0, upper_triangle=True), (5, 4)),
    "uniform_hollow": ("uniform", dict(low=0.1, high=1.0, hollow=True), (5, 5)),
    "gaussian_eye": ("gaussian", dict(eye=True), (5, 4)),
    "uniform_columns": ("uniform", dict(low=0.1, high=1.0, col_mask=3), (6, 7)),
    "filters": ("uniform", dict(low=0.1, high=1.0), (3, 3, 2, 4)),
}
