"""`synsim.testing.contract`: what it lets pass, and that it refuses each thing that it promises to look at."""

from __future__ import annotations

from typing import ClassVar

import jax.numpy as jnp
import pytest

from synsim.component import Component, Size, inlet, outlet, param, state, static
from synsim.components.synapses.rules.rule import Rule
from synsim.plugins import BadPlugin
from synsim.testing import contract

pytestmark = pytest.mark.usefixtures("small_programs")

DOC = """A leaky cell.

tau_v dv/dt = -v + j

Source: nobody (2026).
"""


class Good(Component):
    __doc__ = DOC
    family: ClassVar[str] = "neuron"
    n_units: Size = static("Number of neurons, or their shape.", ge=1)
    tau_v: float = param("Time constant.", "ms", default=10.0, gt=0)
    j = inlet("Input current.", "nA")
    v = state("Membrane potential.", "mV")
    s = outlet("Spikes emitted this step.", spikes=True)

    def advance(self, x, now):
        v = x.v + now.dt / self.tau_v * (x.j - x.v)
        return dict(v=v, s=(v > 0.5).astype(v.dtype))


class NoEquation(Component):
    """A cell. Source: nobody."""

    family: ClassVar[str] = "neuron"
    n_units: Size = static("Number of neurons, or their shape.", ge=1)
    v = state("Membrane potential.", "mV")

    def advance(self, x, now):
        return dict(v=x.v + 1)


class NoUnit(Component):
    __doc__ = DOC
    family: ClassVar[str] = "neuron"
    n_units: Size = static("Number of neurons, or their shape.", ge=1)
    tau_v: float = param("Time constant.", default=10.0, gt=0)
    v = state("Membrane potential.", "mV")

    def advance(self, x, now):
        return dict(v=x.v + self.tau_v)


class OddUnit(Component):
    __doc__ = DOC
    family: ClassVar[str] = "neuron"
    n_units: Size = static("Number of neurons, or their shape.", ge=1)
    v = state("Membrane potential.", "furlong")

    def advance(self, x, now):
        return dict(v=x.v + 1)


class NoFamily(Component):
    __doc__ = DOC
    n_units: Size = static("Number of neurons, or their shape.", ge=1)
    v = state("Membrane potential.", "mV")

    def advance(self, x, now):
        return dict(v=x.v + 1)


class WrongShape(Component):
    __doc__ = DOC
    family: ClassVar[str] = "neuron"
    n_units: Size = static("Number of neurons, or their shape.", ge=1)
    v = state("Membrane potential.", "mV")

    def advance(self, x, now):
        return dict(v=(x.v + 1).sum(axis=-1))


class Misspelt(Component):
    __doc__ = DOC
    family: ClassVar[str] = "neuron"
    n_units: Size = static("Number of neurons, or their shape.", ge=1)
    v = state("Membrane potential.", "mV")
    s = outlet("Spikes emitted this step.", spikes=True)

    def advance(self, x, now):
        return dict(v=x.v + 1, spikes=x.v)


class Explodes(Component):
    __doc__ = DOC
    family: ClassVar[str] = "neuron"
    n_units: Size = static("Number of neurons, or their shape.", ge=1)
    v = state("Membrane potential.", "mV")

    def advance(self, x, now):
        return dict(v=jnp.exp(x.v + 2.0))


class Idle(Component):
    __doc__ = DOC
    family: ClassVar[str] = "neuron"
    n_units: Size = static("Number of neurons, or their shape.", ge=1)
    j = inlet("Input current.", "nA")
    v = state("Membrane potential.", "mV")

    def advance(self, x, now):
        return dict(v=x.v)


class Steered(Component):
    __doc__ = DOC
    family: ClassVar[str] = "neuron"
    n_units: Size = static("Number of neurons, or their shape.", ge=1)
    tau_v: float = param("Time constant.", "ms", default=10.0, gt=0)
    v = state("Membrane potential.", "mV")

    def advance(self, x, now):
        return dict(v=x.v + (1.0 if self.tau_v > 5 else 2.0))


class LazyRule(Rule, type_name="lazy_rule_of_tests"):
    """A rule that never learns.

    dw = 0

    Source: nobody (2026).
    """

    eta: float = param("Learning rate.", default=1.0, gt=0)


def test_what_keeps_it():
    contract(Good, n_units=7)
    contract(LazyRule)
    contract(OddUnit, units=["furlong"])


@pytest.mark.parametrize(
    "declared, said",
    [
        (NoEquation, "NoEquation: its docstring has no equation"),
        (NoUnit, "NoUnit.tau_v is a time without a unit"),
        (OddUnit, "OddUnit.v: 'furlong' is none of the units"),
        (NoFamily, "NoFamily: its family must be one of"),
        (WrongShape, "makes v float32 [1], but it is float32 [1, 5]"),
        (Misspelt, "c.advance sets 'spikes', which is no state or outlet of it"),
        (Explodes, "Explodes is not finite after step"),
        (Idle, "Idle: nothing ever changed"),
        (Steered, "vmap over each number alone keeps every shape"),
    ],
)
def test_what_does_not(declared, said):
    with pytest.raises(AssertionError) as caught:
        contract(declared)
    assert declared.__name__ in str(caught.value) and said in str(caught.value)


def test_a_class_that_no_config_can_name():
    class Local(Component):
        __doc__ = DOC
        family: ClassVar[str] = "neuron"
        n_units: Size = static("Number of neurons, or their shape.", ge=1)
        v = state("Membrane potential.", "mV")

        def advance(self, x, now):
            return dict(v=x.v + 1)

    with pytest.raises(AssertionError, match="does not stand at the top of the module"):
        contract(Local)
    Local.__module__ = "no_such_module_at_all"
    with pytest.raises(BadPlugin, match="cannot be imported"):
        contract(Local)
