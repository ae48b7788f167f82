"""How the points of a sweep are computed: which can be lanes of one program, and which go side by side.

A parameter that is a number in the program changes no structure. For each combination of the others a config of its
own is read and planned; combinations with one structure are one static group, which is compiled once. The points of a
static group are cut into groups of lanes, as many in each as memory allows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from synsim import preflight
from synsim.faults import ConfigError, Fault
from synsim.plan import BASE_MEMORY, RunPlan, plan
from synsim.spec import Spec
from synsim.sweeps import variation

MOST_LANES = 1024
MOST_FAULTS = 20
Values = tuple[Any, ...]
Respec = Callable[[Mapping[str, Any]], Spec]


@dataclass(frozen=True)
class Group:
    """Points that are computed side by side, in so many lanes: where they are fewer, the last one is repeated."""

    points: tuple[int, ...]
    lanes: int


@dataclass(frozen=True)
class Arrangement:
    """`numbers` are the parameters that are numbers in the program; `bases` the configs of all combinations of the
    others, and `base_of` which of them each point has."""

    numbers: tuple[str, ...]
    bases: tuple[Spec, ...]
    base_of: tuple[int, ...]
    groups: tuple[Group, ...]
    static_groups: int
    memory: int  # bytes, of the largest group
    file: int  # bytes of all points' files


def arrange(
    respec: Respec,
    parameters: Sequence[str],
    points: Sequence[Values],
    *,
    lanes: int | None = None,
    at_least: int = 1,
    memory: int | None = None,
) -> Arrangement:
    """The groups of a sweep, `at_least` as many where there are as many points, and each within so many bytes of memory
    (what this process may hold). `respec` reads the config with other values of these parameters.

    Raises ConfigError for points that cannot be, MissingInput for those that do not fit.
    """
    checked: set[Any] = set()
    planned = lru_cache(maxsize=2)(lambda one: plan(specs[one], checked))
    specs: list[Spec] = [respec(dict(zip(parameters, points[0], strict=True)))]
    numbers = _numbers(planned(0), respec, parameters, points, checked)
    others = [i for i, path in enumerate(parameters) if path not in numbers]

    combinations: dict[str, int] = {}
    base_of = []
    for values in points:
        key = repr([values[i] for i in others])
        if key not in combinations:
            if combinations:
                specs.append(respec(dict(zip(parameters, values, strict=True))))
            combinations[key] = len(combinations)
        base_of.append(combinations[key])

    members: dict[int, list[int]] = {}
    for number, base in enumerate(base_of):
        members.setdefault(base, []).append(number)

    faults: dict[Fault, None] = {}
    together: list[Fault] = []  # said where there are no others
    programs: dict[Any, list[int]] = {}  # static group -> bases
    fit: dict[Any, tuple[int, int, int]] = {}
    for base, one in enumerate(specs):
        try:
            it = planned(base)
        except ConfigError as error:
            faults |= dict.fromkeys(_told(error, one, parameters, others, points[members[base][0]]))
            continue
        key = variation.program_of(it)
        programs.setdefault(key, []).append(base)
        fit.setdefault(key, _needs(it, own_data=len(specs) > 1 or "seed" in numbers))
        if len(together) < MOST_FAULTS:
            together += _together_wrong(it, members[base], numbers, parameters, points)
    if faults or together:
        raise ConfigError(list(faults or dict.fromkeys(together)))

    groups: list[Group] = []
    room = preflight.available_memory() if memory is None else memory
    largest = file = 0
    for key, bases in programs.items():
        own = sorted(number for base in bases for number in members[base])
        first, each, size = fit[key]
        most = min(lanes or MOST_LANES, _that_fit(first, each, room))
        pieces = max(-(-len(own) // most), min(len(own), math.ceil(at_least * len(own) / len(points))))
        width = -(-len(own) // pieces)
        groups += [Group(tuple(own[at : at + width]), width) for at in range(0, len(own), width)]
        largest = max(largest, first + (width - 1) * each)
        file += size * len(own)
    return Arrangement(numbers, tuple(specs), tuple(base_of), tuple(groups), len(programs), largest, file)


def _numbers(
    here: RunPlan, respec: Respec, parameters: Sequence[str], points: Sequence[Values], checked: set[Any]
) -> tuple[str, ...]:
    """The parameters that are numbers in the program, found by trying: a plan with another number in it is held
    against that of the config which says so. `here` is the plan of the first point."""
    found = []
    for i, path in enumerate(parameters):
        other = next((values[i] for values in reversed(points) if values[i] != points[0][i]), None)
        if other is None:
            continue
        try:
            there = plan(respec({**dict(zip(parameters, points[0], strict=True)), path: other}), checked)
        except ConfigError:
            continue  # said where all points are gone through
        if variation.is_number(here, path, other, there):
            found.append(path)
    return tuple(found)


def _told(
    error: ConfigError, spec: Spec, parameters: Sequence[str], others: Sequence[int], values: Values
) -> list[Fault]:
    """Faults with the values at which they arise."""
    at = ", ".join(f"{parameters[i]}={values[i]}" for i in others)
    return [
        replace(fault, message=f"{fault.message} (at {at})" if at else fault.message)
        for fault in (spec.locate(fault) for fault in error.faults)
    ]


def _together_wrong(
    it: RunPlan, own: Sequence[int], numbers: Sequence[str], parameters: Sequence[str], points: Sequence[Values]
) -> list[Fault]:
    """What is wrong with the numbers of points of one base together."""
    faults: list[Fault] = []
    for number in own:
        values = {path: points[number][parameters.index(path)] for path in numbers}
        for fault in variation.problems(variation.numbers_in(it, values), values):
            at = ", ".join(f"{path}={value}" for path, value in values.items())
            faults.append(it.spec.locate(replace(fault, message=f"{fault.message} (at {at})")))
        if len(faults) >= MOST_FAULTS:
            break
    return faults


def _needs(it: RunPlan, own_data: bool) -> tuple[int, int, int]:
    """Bytes of memory of one lane by itself, of each further one, and of the file of a point."""
    rows = max((record.row_bytes for record in it.records), default=0)
    leaves = sum(leaf.nbytes for leaf in it.phases[0].leaves())
    each = int(6.3 * it.estimate.state + 1.5 * leaves + 7 * rows + (2 * it.estimate.data if own_data else 0))
    return it.estimate.memory, max(1 << 16, each), it.estimate.file


def _that_fit(first: int, each: int, memory: int) -> int:
    room = preflight.SHARE * memory - max(first, BASE_MEMORY)
    return max(1, 1 + int(room / each))
