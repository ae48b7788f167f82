"""Every component against the reference: the same numbers, step by step."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from stepping import run, synapse

from parity.case import INITIALISERS, Case, arrays_of, inputs_of, starts_of
from parity.cases import CASES
from synsim import catalogue
from synsim.component import Component
from synsim.components.synapses.presets import Preset

HERE = Path(__file__).parent
LEAST_CHANGE = 0.01
LEAST_SPIKES = 10


def reference_python() -> str | None:
    """A Python that can import ngclearn, or None."""
    candidates = [os.environ.get("SYNSIM_REFERENCE_PYTHON"), sys.executable]
    look = "import importlib.util, sys; sys.exit(importlib.util.find_spec('ngclearn') is None)"
    for python in candidates:
        if python and shutil.which(python) and subprocess.run([python, "-c", look], check=False).returncode == 0:
            return python
    return None


@pytest.fixture(scope="session")
def reference(tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    """What the reference gave, from one run of it over all cases."""
    python = reference_python()
    if python is None:
        pytest.skip("ngclearn is not installed here and SYNSIM_REFERENCE_PYTHON names no Python that has it")
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base  # workers share one run of the reference
    out = shared / "reference.npz"
    with open(shared / "reference.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not out.exists():
            run_reference(python, out)
    with np.load(out) as found:
        return dict(found)


def run_reference(python: str, out: Path) -> None:
    """Let the reference run over all cases and write what it gave."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("JAX_", "PYTHON"))}
    done = subprocess.run(
        [python, str(HERE / "reference_driver.py"), str(out)],
        capture_output=True,
        text=True,
        cwd=out.parent,
        env={**plain, "JAX_PLATFORMS": "cpu"},
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]


def built(case: Case) -> Component:
    """The component of a case, from the flat settings of its type."""
    kind = catalogue.types()[case.component]
    settings = {**case.settings, **case.ours, **arrays_of(case)}
    if "bias_init" in settings:
        initialiser, value = settings["bias_init"]
        settings["bias_init"] = catalogue.parts("initialiser")[initialiser](value=value)
    if isinstance(kind, Preset):
        return synapse(case.component, **settings)
    return kind(**settings)


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_the_same_numbers(case: Case, reference: dict[str, np.ndarray]) -> None:
    inputs = inputs_of(case)
    inputs |= {inlet: inputs[other] for inlet, other in case.feed.items()}
    keys = reference.get(f"{case.name}/subkey")
    found = run(
        built(case),
        inputs,
        case.steps,
        dt=case.dt,
        batch=case.batch,
        methods=case.methods,
        start=starts_of(case),
        keys=None if keys is None else jnp.asarray(keys),
    )
    assert case.steps >= 50
    for ours, theirs in case.compare.items():
        expected = reference[f"{case.name}/{theirs}"]
        largest = np.abs(expected).max()
        change = np.ptp(expected, axis=0).max()
        assert change > LEAST_CHANGE * largest, f"{ours} hardly changes, which shows nothing"
        if ours in case.spiking:
            assert expected.sum() >= LEAST_SPIKES
        if set(np.unique(expected)) <= {0.0, 1.0}:
            assert np.array_equal(found[ours].reshape(expected.shape), expected), ours
        else:
            # near zero a difference is held against the size of the values that it comes from
            np.testing.assert_allclose(
                found[ours].reshape(expected.shape),
                expected,
                rtol=case.rtol,
                atol=0.1 * case.rtol * largest,
                err_msg=ours,
            )


@pytest.mark.parametrize("name", INITIALISERS)
def test_the_same_start_values(name: str, reference: dict[str, np.ndarray]) -> None:
    kind, settings, shape = INITIALISERS[name]
    ours = catalogue.parts("initialiser")[kind](**settings)
    expected = reference[f"initialiser/{name}"]
    found = np.asarray(ours.draw(jax.random.PRNGKey(11), shape, jnp.float32))
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert np.array_equal(found == 0.0, expected == 0.0)
