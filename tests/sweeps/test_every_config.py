"""Every shipped config can be swept over each of its numbers, and its lanes are as its runs one by one."""

from __future__ import annotations

import random
from typing import Any

import pytest
from conftest import choose
from shortening import CONFIGS, configs, shortened

import synsim
from sweeps.side_by_side import computed, differences
from synsim import describe
from synsim.config import load
from synsim.faults import ConfigError
from synsim.spec import Spec
from synsim.sweeps.asking import asked
from synsim.sweeps.parameters import sweep_of


def numbers(spec: Spec) -> dict[str, float]:
    """The settings of components that are one number, by path."""
    found = {}
    for name, typed in spec.components.items():
        for public, setting in describe.settings(typed.type, typed.settings).items():
            value = typed.settings.get(public, setting.default)
            if setting.role == "param" and isinstance(value, int | float) and not isinstance(value, bool):
                found[f"{name}.{public}"] = float(value)
    return found


def two(spec: Spec, path: str, value: float) -> list[float]:
    """The value and another near it that is allowed."""
    for other in (value * 1.01 if value else 0.01, value * 0.99 if value else -0.01):
        try:
            spec.vary({path: other})
        except ConfigError:
            continue
        return [value, other]
    raise AssertionError(f"{path} takes nothing near {value}")


def config_of(name: str, steps: int = 40) -> Spec:
    return load(shortened(configs()[name], steps), name=name, folder=CONFIGS)


@pytest.mark.parametrize("name", configs())
def test_every_number_can_be_swept(name):
    spec = config_of(name)
    paths = numbers(spec)
    assert paths
    wanted = choose(2, 8, len(paths))
    for path in sorted(random.Random(f"{name} {wanted}").sample(sorted(paths), min(wanted, len(paths)))):
        values = two(spec, path, paths[path])
        it = asked(spec, sweep_of(spec, [f"{path}={values[0]},{values[1]}"]))
        assert it.arrangement.static_groups == 1 and len(it.arrangement.groups) == 1, path
        assert it.arrangement.numbers == (path,), path


@pytest.mark.parametrize("name", choose(["stdp_digits", "pc_digits"], list(configs())))
def test_lanes_are_as_runs_one_by_one(name, tmp_path):
    """Over at most two trials of 10 steps a phase: spikes are equal, and floats to 1e-5 of the largest.

    A number that is swept is no constant of the program, so that XLA may round differently by it; in a network that
    amplifies what is different, as Izhikevich's, the last digits part after that.
    """
    spec = config_of(name, 10)
    paths = numbers(spec)
    chosen = random.Random(name).sample(sorted(paths), 2)
    arguments = []
    for path in chosen:
        values = two(spec, path, paths[path])
        arguments.append(f"{path}={values[0]},{values[1]}")
    ledger = asked(spec, sweep_of(spec, arguments)).ledger(tmp_path)
    assert len(computed(ledger).written) == 4
    for number in (0, 3):
        given: dict[str, Any] = {**ledger.values(number), "name": ledger.point_name(number)}
        one = load(shortened(configs()[name], 10), overrides=given, folder=CONFIGS)
        with synsim.run(one, out=tmp_path / "one") as run:
            assert differences(ledger.point_file(number), run.file, 1e-5) == []
