"""Every component against the reference: the same numbers, step by step."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from stepping import run, starts, synapse

from parity.case import INITIALISERS, Case, arrays_of, inputs_of, starts_of
from parity.cases import CASES
from synsim import catalogue
from synsim.component import Component
from synsim.components.synapses.presets import Preset

LEAST_CHANGE = 0.01
LEAST_SPIKES = 10


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


def states_before(component: Component, case: Case, reference: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The reference's states before each step."""
    first = {**starts(component, case.batch), **starts_of(case)}
    return {
        ours: np.concatenate([np.asarray(first[ours])[None], reference[f"{case.name}/{theirs}"][:-1]])
        for ours, theirs in case.compare.items()
        if component.compartments[ours].kind == "state"
    }


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_the_same_numbers(case: Case, reference: dict[str, np.ndarray]) -> None:
    inputs = inputs_of(case)
    inputs |= {inlet: inputs[other] for inlet, other in case.feed.items()}
    keys = reference.get(f"{case.name}/subkey")
    component = built(case)

    def found_from(forced: dict[str, np.ndarray] | None) -> dict[str, np.ndarray]:
        return run(
            component,
            inputs,
            case.steps,
            dt=case.dt,
            batch=case.batch,
            methods=case.methods,
            start=starts_of(case),
            keys=None if keys is None else jnp.asarray(keys),
            forced=forced,
        )

    found = found_from(None)
    if case.stepwise:
        for ours in case.spiking:
            assert np.array_equal(found[ours], reference[f"{case.name}/{case.compare[ours]}"]), f"{ours}, run freely"
        found = found_from(states_before(component, case, reference))
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
