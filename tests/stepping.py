"""Runs one component alone, as the pure functions it is made of: no graph, no engine, no files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from synsim import catalogue
from synsim.component import Component, Now, View
from synsim.components.synapses.synapse import Synapse
from synsim.initialisers import Array

Arrays = dict[str, Any]


def starts(component: Component, batch: int, dtype: Any = jnp.float32, key: int = 0) -> Arrays:
    """The states and outlets of a component before its first step."""
    sizes = {"": (), **component.sizes()}
    values = {}
    for name, c in component.compartments.items():
        if c.kind == "inlet" or c.start is None:
            continue
        shape = (batch, *sizes[c.size]) if c.batch else sizes[c.size]
        start = component.setting(c.start) if isinstance(c.start, str) else c.start
        values[name] = jnp.broadcast_to(jnp.asarray(start, dtype), shape)
    if hasattr(component, "init"):
        values |= component.init(jax.random.key(key), batch, dtype)
    return component.conform(values)


def unwired(component: Component, batch: int, dtype: Any = jnp.float32) -> Arrays:
    """What the inlets of a component read where nothing is wired."""
    sizes = {"": (), **component.sizes()}
    values = {}
    for name, c in component.compartments.items():
        if c.kind == "inlet":
            default = component.setting(c.default) if isinstance(c.default, str) else c.default
            values[name] = jnp.full((batch, *sizes[c.size]) if c.batch else sizes[c.size], default, dtype)
    return values


def call(component: Component, method: str, values: Arrays, fed: Arrays, now: Now) -> Arrays:
    """The values after one call of one method; it may change no shape, no dtype and no inlet."""
    states = {name for name, c in component.compartments.items() if c.kind == "state"}
    view = View("c", {name: value for name, value in values.items() if name in states} | fed)
    changed = component.method(method)(view, now)
    for name, value in changed.items():
        assert component.compartments[name].kind != "inlet", f"{method} writes the inlet {name}"
        assert value.shape == values[name].shape, f"{method} changes the shape of {name}"
        assert value.dtype == values[name].dtype, f"{method} changes the dtype of {name}"
    return values | changed


def run(
    component: Component,
    inputs: Mapping[str, Any],
    steps: int,
    *,
    dt: float = 1.0,
    batch: int = 1,
    methods: Sequence[str] = ("advance",),
    start: Mapping[str, Any] | None = None,
    keys: Any = None,
    dtype: Any = jnp.float32,
    forced: Mapping[str, Any] | None = None,
) -> dict[str, np.ndarray]:
    """Every compartment after each step: (steps, …). `inputs` are (steps, …) by inlet, or one value for all steps.

    `forced` are states (steps, …) that each step starts from, instead of where the step before it ended.
    """
    keys = jax.random.split(jax.random.key(0), steps) if keys is None else keys
    still = unwired(component, batch, dtype)
    played = {name: jnp.asarray(value, dtype) for name, value in inputs.items() if np.ndim(value)}
    for name, value in inputs.items():
        if not np.ndim(value):
            still[name] = jnp.full_like(still[name], value)

    def step(values: Arrays, row: tuple) -> tuple[Arrays, Arrays]:
        k, key, fed, before = row
        values = values | before
        now = Now(k * jnp.asarray(dt, dtype), k, dt, key)
        for method in methods:
            values = call(component, method, values, still | fed, now)
        return values, values

    values = starts(component, batch, dtype)
    values |= {name: jnp.asarray(value, dtype) for name, value in (start or {}).items()}
    before = {name: jnp.asarray(value, dtype) for name, value in (forced or {}).items()}
    _, seen = jax.jit(lambda v, rows: jax.lax.scan(step, v, rows))(values, (jnp.arange(steps), keys, played, before))
    return {name: np.asarray(value) for name, value in seen.items()}


def synapse(type_name: str, **flat: Any) -> Synapse:
    """A synapse of a preset type from its flat settings: each goes to the part that owns it."""
    preset = catalogue.types()[type_name]
    settings = {**preset.defaults, **{preset.rename.get(name, name): value for name, value in flat.items()}}
    if "g_conduct_factor" in settings:
        settings["resist_scale"] = settings.pop("g_conduct_factor")
    if "mask" in settings:
        settings["mask"] = Array(array=jnp.asarray(settings["mask"]))
    parts = {}
    for role in ("connectivity", "dynamics", "rule"):
        part = catalogue.parts(role)[getattr(preset, role)]
        names = set(part.annotations()) & set(settings)
        parts[role] = part(**{name: settings.pop(name) for name in names})
    return Synapse(**parts, **settings)
