"""The points of a sweep: which settings take which values, and how these are put together.

A parameter is a path as after --set and what it takes: a list, a range (see `config.ranges`). A grid has every value
with every other, the last parameter running fastest; `zip` takes the first of each with the first of the others;
`random` draws points: evenly from a range, evenly in the logarithm from a log range, one of a list. A drawn value
depends on the seed, its path and the number of its point alone, so more points, or another parameter, change none.
"""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from synsim import describe
from synsim.config.ranges import MOST_POINTS, Values, is_counting, read_argument, representatives
from synsim.config.sweeping import Given, Swept, misfits, placed, read_block
from synsim.config.yaml_source import Marked
from synsim.faults import ConfigError, Fault, Mark, in_order
from synsim.spec import SUMMARIES, Spec

__all__ = ["MOST_POINTS", "Parameter", "Sweep", "sweep_of"]

MOST_FAULTS = 100
_CHECKED_WHOLE = 64  # values of a list for each of which the whole config is checked


@dataclass(frozen=True)
class Parameter:
    """One setting that is swept. `values` are those of a list or range, in order; of a range that points are drawn
    from they are its two `ends`. `where` is the place that faults name, as `W.eta=1e-3,x:1:7`."""

    path: str
    values: tuple[Any, ...]
    where: str
    ends: bool
    written: str = field(default="", compare=False)
    _values: Values | None = field(default=None, repr=False, compare=False)
    _at: Mark | None = field(default=None, repr=False, compare=False)

    @property
    def counts(self) -> bool:
        """Whether it is a range of whole numbers without a count, from which points are drawn as from a list."""
        return self._values is not None and self._values.range is not None and is_counting(self._values.range)

    def given(self, value: Any) -> Given:
        """One of its values with the place that it was written at."""
        assert self._values is not None
        return Given(self._values.placed(value), self._at)


@dataclass(frozen=True)
class Sweep:
    """The points of a sweep: their values in the order of the parameters."""

    parameters: tuple[Parameter, ...]
    mode: Literal["grid", "zip", "random"]
    points: tuple[tuple[Any, ...], ...]
    summary: tuple[str, ...]


def sweep_of(
    spec: Spec,
    arguments: Sequence[str] = (),
    *,
    zip: bool = False,
    random: int | None = None,
    seed: int | None = None,
) -> Sweep:
    """The sweep that a config's block `sweep` and arguments PATH=VALUES ask for together; an argument takes the place
    of what the block says of the same path.

    `zip`, `random` (the number of points to draw) and `seed` (of that drawing) win over the block; without any seed,
    points are drawn with that of the config. Every value of a list and both ends of a range are checked as --set would
    check them. Raises ConfigError with every fault.
    """
    block, faults = spec.sweep, []
    mode: Literal["grid", "zip", "random"] = "grid" if block is None else block.mode
    if zip and random is not None:
        faults.append(Fault("--zip and --random ask for different points: give one of them"))
    if zip or random is not None:
        mode = "zip" if zip else "random"
    n = random if random is not None else (block.n if block is not None and mode == "random" else None)
    if random is not None and random < 1:
        faults.append(
            Fault("--random must be at least 1: it is the number of points.", (), 1, 10, f"--random {random}")
        )
    swept, wrong = _swept(spec, arguments)
    faults += wrong
    if not swept and not faults:
        faults.append(Fault("there is nothing to sweep: give PATH=VALUES, as z.tau_m=10,20, or a block sweep"))
    origin = None if random is None else Fault("", (), 1, 10, f"--random {random}")
    faults += misfits(swept, mode, n, origin)
    swept = [each for each in swept if each.good]
    faults += _wrong_values(spec, swept, "grid" if faults and mode == "zip" else mode)
    if faults:
        raise ConfigError(in_order(faults))
    parameters = tuple(_parameter(each, mode) for each in swept)
    if mode == "random":
        assert n is not None
        chosen = seed if seed is not None else (block.seed if block is not None else None)
        points = _drawn(spec, swept, n, spec.seed if chosen is None else chosen)
    elif mode == "zip":
        points = tuple(map(tuple, _transposed([each.values for each in parameters])))
    else:
        points = tuple(itertools.product(*(each.values for each in parameters)))
    summary = block.summary if block is not None and block.summary is not None else SUMMARIES
    return Sweep(parameters, mode, points, tuple(dict.fromkeys(summary)))


def _transposed(values: Sequence[Sequence[Any]]) -> list[tuple[Any, ...]]:
    return [tuple(each[place] for each in values) for place in range(len(values[0]))]


# what was written -------------------------------------------------------------------------------------------------


def _swept(spec: Spec, arguments: Sequence[str]) -> tuple[list[Swept], list[Fault]]:
    assert spec.source is not None
    document = spec.source.document()
    here = document, spec.marks, spec.components, spec.data, spec.phases
    found, faults = ([], []) if spec.sweep is None else read_block(spec.sweep, *here)
    by_path = {each.path: place for place, each in enumerate(found)}
    said: set[str] = set()
    for argument in arguments:
        source = argument if argument.isprintable() and len(argument) <= 120 else repr(argument)[1:100] + "…"
        written, equals, text = argument.partition("=")
        if not equals:
            at = len(argument) + 1
            faults.append(Fault("a sweep is PATH=VALUES, as W.eta=1e-3,1e-2 or z.tau_m=10:40:7.", (), 1, at, source))
            continue
        mark, values = Mark(1, 1, source), None
        try:
            values = read_argument(text, len(written) + 1, source)
        except ConfigError as error:
            faults += error.faults
        place, wrong = placed(written, mark, (), document, spec.components, spec.data, spec.phases)
        faults += wrong
        if place is None:
            continue
        nothing = Values((), None, Marked(text, {}, {(): mark}))
        one = Swept(place[0], written, values or nothing, mark, place[1], values is not None)
        if place[0] in by_path and place[0] not in said:
            found[by_path[place[0]]] = one  # what the block says of it no longer counts
        else:
            found.append(one)
        by_path[place[0]] = len(found) - 1
        said.add(place[0])
    return found, faults


def _parameter(swept: Swept, mode: str) -> Parameter:
    found, mark = swept.values.range, swept.values.at.values.get(()) or swept.at
    where = f"{mark.source}:{mark.line}:{mark.column}" if mark else f"sweep.{swept.written}"
    drawn = mode == "random" and found is not None and not is_counting(found)
    values = (found.first, found.last) if drawn and found is not None else swept.values.values()
    return Parameter(swept.path, values, where, found is not None, swept.written, swept.values, swept.at)


# values -----------------------------------------------------------------------------------------------------------


def _wrong_values(spec: Spec, swept: Sequence[Swept], mode: str) -> list[Fault]:
    """What the checker says of each value that must be checked, the others being those of the same point."""
    firsts = {each.path: _representatives(each, mode)[0] for each in swept}
    faults: dict[Fault, None] = {}
    for each in swept:
        for number, _, marked in _worth_checking(spec, each, mode):
            values = {path: Given(first[2], _at(swept, path)) for path, first in firsts.items()}
            if mode == "zip":
                values = {
                    other.path: Given(other.values.placed(other.values.values()[number]), other.at) for other in swept
                }
            values[each.path] = Given(marked, each.at)
            try:
                spec.vary(values)
            except ConfigError as error:
                faults |= dict.fromkeys(error.faults)
                if each.values.range is not None:
                    break  # what is wrong with a range is said once
            if len(faults) >= MOST_FAULTS:
                return list(faults)
    return list(faults)


def _at(swept: Sequence[Swept], path: str) -> Mark | None:
    return next(each.at for each in swept if each.path == path)


def _representatives(swept: Swept, mode: str) -> list[tuple[int, Any, Marked]]:
    found = swept.values.range
    if mode == "random" and found is not None and not is_counting(found):
        return [(place, each, swept.values.placed(each)) for place, each in enumerate((found.first, found.last))]
    return representatives(swept.values)


def _worth_checking(spec: Spec, swept: Swept, mode: str) -> list[tuple[int, Any, Marked]]:
    """The representatives, without those of a very long list that the setting itself finds nothing wrong with: a
    number of a component is checked by that alone."""
    every = _representatives(swept, mode)
    if len(every) <= _CHECKED_WHOLE or swept.place[0] != "components":
        return every
    name, setting = swept.path.split(".")[:2]
    typed = spec.components[name]
    known = describe.settings(typed.type, typed.settings).get(setting)
    if known is None or known.role != "param" or swept.path != f"{name}.{setting}":
        return every
    return [each for place, each in enumerate(every) if place == 0 or _is_wrong(known, each[1])]


def _is_wrong(setting: describe.Setting, value: Any) -> bool:
    try:
        describe.check_value(setting, value)
    except describe.BadValue:
        return True
    return False


# random points ----------------------------------------------------------------------------------------------------


def _drawn(spec: Spec, swept: Sequence[Swept], n: int, seed: int) -> tuple[tuple[Any, ...], ...]:
    draws = [_Draw(each, seed, _takes_whole_only(spec, each, swept)) for each in swept]
    return tuple(tuple(draw.value(number) for draw in draws) for number in range(n))


def _takes_whole_only(spec: Spec, swept: Swept, every: Sequence[Swept]) -> bool:
    """Whether a range between whole numbers is one of whole numbers: the setting refuses others."""
    found = swept.values.range
    if found is None or is_counting(found) or not (isinstance(found.first, int) and isinstance(found.last, int)):
        return False
    if found.first == found.last:
        return True
    between = min(found.first, found.last) + 0.5
    values = {each.path: Given(_representatives(each, "random")[0][2], each.at) for each in every}
    try:
        spec.vary({**values, swept.path: Given(swept.values.placed(between), swept.at)})
    except ConfigError:
        return True
    return False


@dataclass(frozen=True)
class _Draw:
    """Draws the values of one parameter."""

    swept: Swept
    seed: int
    whole: bool

    def value(self, number: int) -> Any:
        """The value at a point: a function of the seed, the path and the number of the point."""
        chance = _chance(self.seed, self.swept.path, number)
        found = self.swept.values.range
        if found is None or is_counting(found):
            return self._choices[int(chance * len(self._choices))]
        low, high = sorted((found.first, found.last), key=abs if found.scale == "log" else None)
        if self.whole:
            if found.scale == "log":
                low, high = low - 0.5 if low > 0 else low + 0.5, high + 0.5 if high > 0 else high - 0.5
                drawn = round(math.copysign(_between_logs(abs(low), abs(high), chance), low))
                return min(max(drawn, min(found.first, found.last)), max(found.first, found.last))
            return int(low) + int(chance * (int(high) - int(low) + 1))
        if found.scale == "log":
            drawn = math.copysign(_between_logs(abs(low), abs(high), chance), low)
        else:
            drawn = low + (high - low) * chance
        # nine digits are more than float32 tells apart, and can be read
        return min(max(float(f"{drawn:.9g}"), min(low, high)), max(low, high)) + 0.0

    @property
    def _choices(self) -> tuple[Any, ...]:
        return self.swept.values.values()


def _between_logs(low: float, high: float, chance: float) -> float:
    return math.exp(math.log(low) + (math.log(high) - math.log(low)) * chance)


def _chance(seed: int, path: str, number: int) -> float:
    """A number from 0 up to below 1."""
    drawn = hashlib.sha256(f"{seed}/{path}/{number}".encode()).digest()
    return (int.from_bytes(drawn[:8], "big") >> 11) * 2.0**-53
