"""Runs the reference over the cases named in FOLDER/cases.txt and writes what it gave: `reference_driver.py FOLDER`.

Run by a Python that has ngclearn, as one process, component by component, step by step under its own jit.
"""

from __future__ import annotations

import importlib
import logging
import pkgutil
import sys
from functools import cache
from pathlib import Path
from typing import Any

logging.disable(logging.CRITICAL)  # it tells of every default it takes

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import ngclearn.components  # noqa: E402
import numpy as np  # noqa: E402
from ngclearn import Compartment, Context, MethodProcess  # noqa: E402
from ngclearn.utils.distribution_generator import DistributionGenerator  # noqa: E402
from ngcsimlib.global_state import stateManager  # noqa: E402

sys.path.insert(0, str(Path(__file__).parent.parent))
from parity.case import INITIALISERS, Case, arrays_of, inputs_of, seed_of, starts_of  # noqa: E402
from parity.cases import CASES  # noqa: E402

MODULES = {"RetinalGanglionCell": "ganglionCell"}


@cache
def module_of(component: str) -> str:
    """Where the reference has a class; most modules are named after them, but for the case of the first letter."""
    called = MODULES.get(component, component).lower()
    found = [
        module.name
        for module in pkgutil.walk_packages(ngclearn.components.__path__, "ngclearn.components.")
        if module.name.rpartition(".")[2].lower() == called
    ]
    if len(found) != 1:
        raise LookupError(f"{component} is in {found}")
    return found[0]


# no argument takes the batch: it is set afterwards, and reset then makes the compartments
BATCHLESS = ("LIFCell", "IFCell", "QuadLIFCell", "IzhikevichCell", "FitzhughNagumoCell", "HodgkinHuxleyCell")
METHODS = {"advance": "advance_state"}


def repair(module: Any) -> None:
    """Hand the logarithmic spike times of LatencyCell their arguments as they take them (they come one place early)."""
    times = getattr(module, "_calc_spike_times_nonlinear", None)
    if times is not None and times.__name__ != "in_place":

        def in_place(data: Any, tau: Any, thr: Any, first: Any, num_steps: Any, normalize: Any) -> Any:
            return times(data, tau, thr, first, 1e-7, num_steps, normalize)

        module._calc_spike_times_nonlinear = in_place


def run(case: Case) -> dict[str, np.ndarray]:
    """Every compared compartment after each step, and the subkey that the step drew with."""
    module = importlib.import_module(module_of(case.component))
    repair(module)
    cls = getattr(module, case.component)
    settings = {**case.settings, **case.theirs}
    settings |= {name: jnp.asarray(value) for name, value in arrays_of(case).items()}
    if "bias_init" in settings:
        kind, value = settings["bias_init"]
        settings["bias_init"] = getattr(DistributionGenerator, kind)(value)
    batchless = case.component in BATCHLESS
    if not batchless:
        settings["batch_size"] = case.batch
    with Context(f"context_{case.name}"):
        component = cls("c", key=jax.random.PRNGKey(seed_of(case)), **settings)
        if batchless:
            component.batch_size = case.batch
        for name, value in case.patch.items():
            setattr(component, name, value)
        starts = {case.compare.get(name, name): jnp.asarray(value) for name, value in starts_of(case).items()}
        for name in [name for name in starts if not isinstance(getattr(component, name), Compartment)]:
            setattr(component, name, starts.pop(name))  # a constant there: it is read when the methods are compiled
        step = MethodProcess(name="step")
        for method in case.methods:
            step = step >> getattr(component, METHODS.get(method, method))
        reset = MethodProcess(name="reset") >> component.reset
    if batchless or case.resets:
        reset.run()
    if batchless and hasattr(component, "thr_theta"):
        component.thr_theta.set(jnp.zeros((case.batch, case.settings["n_units"])))
    for name, value in starts.items():
        getattr(component, name).set(value)

    inputs = inputs_of(case)
    seen: dict[str, list] = {name: [] for name in (*case.compare.values(), "subkey")}
    for k in range(case.steps):
        for name, values in inputs.items():
            getattr(component, name).set(jnp.asarray(values[k]))
        if hasattr(component, "key"):
            seen["subkey"].append(jax.random.split(component.key.get(), 2)[1])
        more = {"t_start": k * case.dt} if "predict_next_spike" in case.methods else {}
        step.run(t=k * case.dt, dt=case.dt, **more)
        for name in case.compare.values():
            seen[name].append(np.asarray(getattr(component, name).get()))
        for name, value in case.restore.items():
            getattr(component, name).set(value)
    return {name: np.stack(values) for name, values in seen.items() if values}


def draw(kind: str, settings: dict, shape: tuple[int, ...], seed: int) -> np.ndarray:
    """The reference's start values."""
    return np.asarray(getattr(DistributionGenerator, kind)(**settings)(shape, jax.random.PRNGKey(seed)))


def forget() -> None:
    """Drop what the reference keeps of a case: it hands the state of all that was ever made to every step."""
    for kept in ("state", "compartments"):
        getattr(stateManager, f"_global_state_manager__{kept}").clear()
    jax.clear_caches()


def main(folder: Path) -> None:
    found = {}
    for name in (folder / "cases.txt").read_text().split():
        found |= {f"{name}/{compartment}": values for compartment, values in run(CASES[name]).items()}
        forget()
    found |= {f"initialiser/{name}": draw(*INITIALISERS[name], seed=11) for name in INITIALISERS}
    np.savez(folder / "reference.npz", **found)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
