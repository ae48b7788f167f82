"""One contract that every registered type keeps, `synsim.testing`. What a type needs to be built is read off its
description, so a new component is held to it without an edit here."""

from __future__ import annotations

import itertools
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from conftest import choose

from synsim import api, catalogue, describe, engine, testing
from synsim.component import Declaration
from synsim.config import load
from synsim.faults import ConfigError
from synsim.graph import Graph
from synsim.testing import Specimen, config_for, run_trial, settings_for

pytestmark = pytest.mark.usefixtures("small_programs")

TYPES = tuple(catalogue.types())
PRESETS = [entry for entry in catalogue.types().values() if not isinstance(entry, type)]
NEEDED: dict[str, dict[str, Any]] = {"sparse": {"fan_out": 2}}  # one of several settings says who is connected
# `Synapse` leaves its parts open: each part that no preset has is a case of its own
CASES: dict[str, dict[str, Any]] = {
    **{name: {} for name in TYPES if name != catalogue.SYNAPSE},
    catalogue.SYNAPSE: {"connectivity": "dense"},
    **{
        f"Synapse {name}": {"connectivity": "dense", kind: name, **NEEDED.get(name, {})}
        for kind in catalogue.SYNAPSE_PARTS
        for name in catalogue.parts(kind)
        if name not in {getattr(preset, kind) for preset in PRESETS}
    },
}


@cache
def _folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="synsim-contract-"))


@pytest.fixture(scope="module", autouse=True)
def _clean():
    yield
    shutil.rmtree(_folder(), ignore_errors=True)


@cache
def specimen(case: str) -> Specimen:
    folder = _folder() / re.sub(r"\W", "-", case)
    folder.mkdir(exist_ok=True)
    return Specimen(case.split()[0], CASES[case], folder)


def classes() -> list[type[Declaration]]:
    """Every class that is a model or a part of one."""
    found = [entry for entry in catalogue.types().values() if isinstance(entry, type)]
    return found + [part for kind in ("connectivity", "dynamics", "rule") for part in catalogue.parts(kind).values()]


# ----------------------------------------------------------------------------------------------------- the contract

# of those that depend on the size, the ones that are run here in each size of the tests
SIZES = {testing.check_run: choose([(3, "float32")], [(3, "float32"), (1, "float64")])}
SOME = list(CASES)[:: choose(3, 1)]
COMPILED = (testing.check_lanes, testing.check_reset, testing.check_run)  # a program or more for each case: for some


def pairs(checks: Sequence[Any]) -> list[Any]:
    """Each case with each check of it, by name."""
    every = [(case, check) for case in CASES for check in checks if case in SOME or check not in COMPILED]
    return [pytest.param(case, check, id=f"{case}-{check.__name__}") for case, check in every]


@pytest.mark.parametrize("declared", classes(), ids=lambda declared: declared.__name__)
def test_a_docstring_has_a_summary_an_equation_and_a_source(declared):
    testing.check_docstring(declared)


@pytest.mark.parametrize(("case", "check"), pairs(testing.CHECKS))
def test_it_keeps_the_contract(case, check):
    check(specimen(case))


@pytest.mark.parametrize(("case", "check"), pairs(testing.SIZED_CHECKS))
def test_it_keeps_the_contract_in_every_size(case, check):
    for batch, precision in SIZES.get(check, testing.SIZES):
        check(specimen(case), batch, precision)


# --------------------------------------------------------------------------------------------------- all products

PRODUCTS = list(itertools.product(*(catalogue.parts(kind) for kind in ("connectivity", "dynamics", "rule"))))


@pytest.mark.parametrize(("connectivity", "dynamics", "rule"), PRODUCTS[:: choose(3, 1)])
def test_every_product_runs_or_says_what_is_missing(connectivity, dynamics, rule, tmp_path):
    chosen = {"connectivity": connectivity, "dynamics": dynamics, "rule": rule}
    try:
        given = chosen | NEEDED.get(connectivity, {})
        spec = load(config_for(catalogue.SYNAPSE, given, tmp_path, batch=2, steps=5))
        it = api.check(spec)
    except ConfigError as error:
        assert all(any(part in str(fault) for part in chosen.values()) for fault in error.faults)
        return
    carry, taken = run_trial(it)
    assert engine.all_finite(carry.state)
    assert {"c.weights", "c.dInputs"} <= set(taken)
    plastic = describe.part_types("Synapse", chosen)["rule"].uses is not None
    assert ("c.dWeights" in taken) == plastic


@pytest.mark.parametrize("name", [name for name in TYPES if catalogue.types()[name] in PRESETS])
def test_a_preset_is_the_product_that_it_names(name):
    """The general type with a preset's parts and settings is the same graph."""
    preset = catalogue.types()[name]
    flat = settings_for(name, {})
    table = describe.settings(name)
    spelled = {table[key].field: value for key, value in flat.items()}
    defaults = {
        table[public].field: describe.plain(table[public].default) for public in table if not table[public].required
    }
    general = {
        **defaults,
        **spelled,
        "connectivity": preset.connectivity,
        "dynamics": preset.dynamics,
        "rule": preset.rule,
    }
    mine = _graph(name, flat)
    other = _graph(catalogue.SYNAPSE, {key: value for key, value in general.items() if value is not None})
    assert jax.tree.structure(mine) == jax.tree.structure(other)
    jax.tree.map(np.testing.assert_array_equal, mine, other)


def _graph(type_name: str, settings: Mapping[str, Any]) -> Graph:
    inlets = describe.compartments(type_name, settings)
    return (
        api.check(
            {
                "name": "one",
                "run": {"steps": 1},
                "components": {"c": {"type": type_name, **settings}},
                "wires": {f"c.{name}": 0 for name, what in inlets.items() if what.kind == "inlet"},
            }
        )
        .phases[0]
        .graph
    )
