"""One component in a config of its own, run by the engine: with the engine's keys, wires and resets."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from synsim import engine
from synsim.config import load
from synsim.device import computing
from synsim.plan import plan
from synsim.spike_bits import unpacked


def recorded(
    type_name: str,
    compartments: Sequence[str],
    *,
    steps: int,
    every: int = 1,
    batch: int = 1,
    trials: int = 1,
    dt: float = 1.0,
    seed: int = 1,
    precision: str = "float32",
    wires: Mapping[str, Any] | None = None,
    initial: Mapping[str, Any] | None = None,
    **settings: Any,
) -> dict[str, np.ndarray]:
    """The compartments after the steps 0, every, …: (trials, steps, batch, *units); wires are numbers, by inlet."""
    config = {
        "name": "one",
        "seed": seed,
        "run": {"steps": steps, "batch": batch, "trials": trials, "dt": dt, "precision": precision},
        "components": {"c": {"type": type_name, **settings}},
        "wires": {f"c.{inlet}": value for inlet, value in (wires or {}).items()},
        "initial": {f"c.{state}": value for state, value in (initial or {}).items()},
        "record": {f"c.{name}": {"every": every} for name in compartments},
    }
    spec = load(config)
    with computing(spec):
        phase = plan(spec).phases[0]
        _, taken = jax.jit(
            lambda: engine.trials(phase.graph, phase.takes, engine.start_carry(phase.graph), {}, np.uint32(0), trials)
        )()
    found = {}
    for take in phase.takes:
        values, shape = np.asarray(taken[take.path]), phase.graph.shape(*take.path.split("."))
        if take.packed:  # spikes leave the device as one bit each
            values = unpacked(values.reshape(-1, values.shape[-1]), math.prod(shape[1:])).astype(precision)
        found[take.path.removeprefix("c.")] = values.reshape(trials, -1, *shape)[:, : math.ceil(steps / every)]
    return found
