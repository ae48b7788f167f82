"""Is this plain value what an annotation asks for? Strict types, and sentences in our own words."""

from __future__ import annotations

import math
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from synsim.component import Size
from synsim.faults import Path, listing, suggest

LARGEST = 3.4028234e38
"""The largest float32: a parameter beyond it would become infinite on the device."""


@dataclass(frozen=True)
class Wrong:
    """What is wrong at one place inside a value: a sentence that goes on after the name of the value.

    `at_key` points at the key that ends `path` rather than its value. With `subject` the sentence is about that key,
    otherwise a fault at a key is about the mapping that it stands in.
    """

    path: Path
    sentence: str
    at_key: bool = False
    subject: bool = False


class BadValue(ValueError):
    """A value that its setting refuses, with every reason."""

    def __init__(self, wrongs: Sequence[Wrong]):
        self.wrongs = list(wrongs)
        super().__init__([(wrong.path, wrong.sentence) for wrong in self.wrongs])


def check_plain(
    annotation: Any, value: Any, bounds: Mapping[str, float], unit: str, leaf: bool, extra: str = ""
) -> Any:
    """`value` as the annotation's type. `leaf` values go to the device and must fit float32."""
    wrongs = list(_unbounded(value, bounds if annotation != Size else {"ge": 1, **bounds}, unit, leaf))
    if annotation == Size and isinstance(value, list | tuple) and not value:
        wrongs.append(Wrong((), "must have at least one entry"))
    fits, misfits = _fit(annotation, value)
    if misfits:
        wrong = _most_precise(annotation, value, misfits, extra)
        # out of bounds matters only where the type is right
        raise BadValue([wrong, *(other for other in wrongs if other.path[: len(wrong.path)] != wrong.path)])
    if wrongs:
        raise BadValue(wrongs)
    return fits


def check_numbers(value: Any, bounds: Mapping[str, float], unit: str) -> list[Any]:
    """A list of numbers, or of equally long lists of numbers, as floats."""
    wrongs: list[Wrong] = []
    if not value:
        raise BadValue([Wrong((), "must have at least one number")])

    def walk(item: Any, path: Path) -> Any:
        if isinstance(item, list | tuple):
            return [walk(each, (*path, place)) for place, each in enumerate(item)]
        if isinstance(item, bool) or not isinstance(item, int | float):
            wrongs.append(Wrong(path, f"must be a number, not {shown(item)}"))
            return 0.0
        wrongs.extend(Wrong((*path, *wrong.path), wrong.sentence) for wrong in _unbounded(item, bounds, unit, True))
        return float(item)

    numbers = walk(value, ())
    if not wrongs and _shape(numbers) is None:
        wrongs.append(Wrong((), "must have rows of one length"))
    if wrongs:
        raise BadValue(wrongs)
    return numbers


def _shape(numbers: Any) -> tuple[int, ...] | None:
    if not isinstance(numbers, list):
        return ()
    inner = {_shape(each) for each in numbers}
    if len(inner) != 1 or None in inner:
        return None
    (rest,) = inner
    return (len(numbers), *(rest or ()))


Misfit = tuple[Path, Any]
"""A place inside a value, and what it should be: a plain type, LENGTH, or None where that is many things."""

LENGTH = "length"
_SCALARS = (bool, int, float, str, type(None))


def _fit(annotation: Any, value: Any) -> tuple[Any, list[Misfit]]:
    """The value as the annotation has it (a list for a tuple, 20 for 20.0), and why it is none.

    Strict otherwise: no number is text, true is no number and 3.0 no whole one. A union reports the misfits of all
    its branches. Raises TypeError for annotations that no YAML value could be held against.
    """
    origin, options = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation is Any:
        return value, []
    if annotation in _SCALARS or annotation is None:
        if type(value) is (type(None) if annotation is None else annotation):
            return value, []
        if annotation is float and type(value) is int:
            return float(value), []
        return value, [((), annotation)]
    if origin is Literal:
        if any(type(value) is type(option) and value == option for option in options):
            return value, []
        return value, [((), None)]
    if origin in (typing.Union, types.UnionType):
        if type(value) in options:  # 3 is a whole number before it is a number
            return value, []
        found: list[Misfit] = []
        for option in options:
            fits, misfits = _fit(option, value)
            if not misfits:
                return fits, []
            found += misfits
        return value, found
    if origin in (tuple, list):
        return _fit_list(origin, options, value)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        if not isinstance(value, Mapping):
            return value, [((), None)]
        entries = {key: _fit(options[1], item) for key, item in value.items()}
        wrong = [((key, *path), wanted) for key, (_, misfits) in entries.items() for path, wanted in misfits]
        return {key: fits for key, (fits, _) in entries.items()}, wrong
    raise TypeError(f"a setting cannot be annotated with {annotation!r}: no value of a config is one")


def _fit_list(origin: type, options: tuple[Any, ...], value: Any) -> tuple[Any, list[Misfit]]:
    if not isinstance(value, list | tuple):
        return value, [((), None)]
    if origin is list or (len(options) == 2 and options[1] is Ellipsis):
        options = (options[0],) * len(value)
    fitted = [_fit(option, item) for option, item in zip(options, value, strict=False)]
    misfits: list[Misfit] = [
        ((place, *path), wanted) for place, (_, inner) in enumerate(fitted) for path, wanted in inner
    ]
    if len(options) != len(value):
        misfits.append(((), LENGTH))
    return origin(fits for fits, _ in fitted), misfits


def _unbounded(value: Any, bounds: Mapping[str, float], unit: str, leaf: bool, path: Path = ()) -> Iterator[Wrong]:
    """Every number in `value` that is not finite or out of bounds."""
    if isinstance(value, list | tuple):
        for place, item in enumerate(value):
            yield from _unbounded(item, bounds, unit, leaf, (*path, place))
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _unbounded(item, bounds, unit, leaf, (*path, key))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        if not math.isfinite(value):
            yield Wrong(path, f"must be a finite number, not {shown(value)}")
        elif not in_bounds(value, bounds):
            yield Wrong(path, f"must be {bounds_text(bounds, unit)}, not {shown(value)}")
        elif leaf and abs(value) > LARGEST:
            yield Wrong(path, f"must be within what float32 holds, 3.4e38, not {shown(value)}")


def in_bounds(value: float, bounds: Mapping[str, float]) -> bool:
    """Whether a number keeps its bounds."""
    return (
        value > bounds.get("gt", -math.inf)
        and value >= bounds.get("ge", -math.inf)
        and value < bounds.get("lt", math.inf)
        and value <= bounds.get("le", math.inf)
    )


def bounds_text(bounds: Mapping[str, float], unit: str = "") -> str:
    """Bounds in a sentence: above 0 ms; at least 0 and at most 1."""
    words_for = (("gt", "above"), ("ge", "at least"), ("lt", "below"), ("le", "at most"))
    text = " and ".join(f"{word} {shown(bounds[key])}" for key, word in words_for if key in bounds)
    return f"{text} {unit}" if unit else text


def _most_precise(annotation: Any, value: Any, misfits: Sequence[Misfit], extra: str) -> Wrong:
    """The fault that lies deepest in the value: a union reports those of each of its branches."""
    deepest = max((path for path, _ in misfits), key=len)
    wanted = next(each for path, each in misfits if path == deepest)
    inner = value
    for piece in deepest:
        inner = inner[piece]
    if not deepest:
        return Wrong((), _refusal(annotation, value, extra, misfits))
    if wanted in (int, float, str, bool):
        return Wrong(deepest, f"must be {words(wanted)}, not {shown(inner)}")
    return Wrong((), f"must be {words(annotation)}{extra}, not {shown(value)}")


def _refusal(annotation: Any, value: Any, extra: str, misfits: Sequence[Misfit]) -> str:
    sentence = f"must be {words(annotation)}{extra}, not {shown(value)}"
    if isinstance(value, list | tuple) and ((), LENGTH) in misfits:
        return f"must be {words(annotation)}, not a list of {len(value)}"
    return sentence + ("." + near if isinstance(value, str) and (near := suggest(value, literals(annotation))) else "")


def literals(annotation: Any) -> list[str]:
    """The words that an annotation names."""
    if typing.get_origin(annotation) is Literal:
        return [str(option) for option in typing.get_args(annotation)]
    return [text for option in typing.get_args(annotation) for text in literals(option)]


def words(annotation: Any) -> str:
    """An annotation in plain English: a whole number, true or false, one of relu, tanh and sigmoid."""
    origin, options = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Literal:
        return _choice([str(option) for option in options])
    if origin in (typing.Union, types.UnionType):
        some, null = [option for option in options if option is not type(None)], type(None) in options
        if null and len(some) == 1 and typing.get_origin(some[0]) is Literal:
            return _choice([*map(str, typing.get_args(some[0])), "null"])
        return " or ".join([*map(words, some), *(["null"] if null else [])])
    if origin in (tuple, list):
        if origin is list or options[-1] is Ellipsis:
            return f"a list of {_plural(options[0])}"
        return f"a list of {len(options)} {_plural(options[0])}"
    if origin is not None:
        return "a mapping"
    named = {bool: "true or false", int: "a whole number", float: "a number", str: "text", type(None): "null"}
    return named.get(annotation, "a value")


def _choice(names: list[str]) -> str:
    return f"{'one of ' if len(names) > 2 else ''}{listing(names, 'or', most=30)}"


def _plural(annotation: Any) -> str:
    options = typing.get_args(annotation)
    if typing.get_origin(annotation) is tuple and Ellipsis not in options:
        return f"lists of {len(options)} {_plural(options[0])}"
    named = {int: "whole numbers", float: "numbers", str: "texts", bool: "true or false"}
    return named.get(annotation, "values")


def shown_name(name: Any) -> str:
    """A name in a sentence, in quotes and cut where it is very long."""
    return shown(name).removeprefix("the text ")


def shown(value: Any, most: int = 40) -> str:
    """A value as it can stand in a one-line message."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        cut = value if len(value) <= most else value[: most - 1] + "…"
        return "empty text" if not value else f"the text {cut!r}"
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list" if value else "an empty list"
    if isinstance(value, float) and not math.isfinite(value):
        return ".nan" if math.isnan(value) else (".inf" if value > 0 else "-.inf")
    return repr(value)
