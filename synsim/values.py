"""Is this plain value what an annotation asks for? Types by pydantic, in strict mode; sentences in our own words."""

from __future__ import annotations

import json
import math
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

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
    try:
        text = json.dumps(value)  # JSON mode is what makes strict accept a list for a tuple and 20 for 20.0
        fits = _adapter(annotation).validate_json(text, strict=True)
    except ValidationError as error:
        wrong = _most_precise(annotation, value, error, extra)
        # out of bounds matters only where the type is right
        raise BadValue([wrong, *(other for other in wrongs if other.path[: len(wrong.path)] != wrong.path)]) from None
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


@cache
def _adapter(annotation: Any) -> TypeAdapter[Any]:
    return TypeAdapter(annotation)


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


def _most_precise(annotation: Any, value: Any, error: ValidationError, extra: str) -> Wrong:
    """The fault that lies deepest in the value: a union reports one for each of its branches."""
    best: Path = ()
    reason: dict[str, Any] = {}
    for each in error.errors(include_url=False):
        path = _inside(each["loc"], value)
        if len(path) > len(best):
            best, reason = path, dict(each)
    inner = _at(value, best)
    if not best:
        return Wrong((), _refusal(annotation, value, extra, error))
    named = {"int_type": int, "float_type": float, "string_type": str, "bool_type": bool}
    if reason["type"] in named:
        return Wrong(best, f"must be {words(named[reason['type']])}, not {shown(inner)}")
    return Wrong(
        best[:-1] if reason["type"] in ("missing", "too_long") else (),
        f"must be {words(annotation)}{extra}, not {shown(value)}",
    )


def _refusal(annotation: Any, value: Any, extra: str, error: ValidationError) -> str:
    sentence = f"must be {words(annotation)}{extra}, not {shown(value)}"
    if isinstance(value, list | tuple) and any(e["type"] in ("missing", "too_long") for e in error.errors()):
        return f"must be {words(annotation)}, not a list of {len(value)}"
    return sentence + ("." + near if isinstance(value, str) and (near := suggest(value, _literals(annotation))) else "")


def _inside(loc: Sequence[Any], value: Any) -> Path:
    """The pieces of a pydantic location that lead into the value; the tags of unions are left out."""
    path: list[int | str] = []
    for piece in loc:
        if (
            isinstance(piece, int)
            and isinstance(value, list | tuple)
            and piece < len(value)
            or isinstance(piece, str)
            and isinstance(value, Mapping)
            and piece in value
        ):
            path.append(piece)
            value = _at(value, (piece,))
    return tuple(path)


def _at(value: Any, path: Path) -> Any:
    for piece in path:
        value = value[piece]
    return value


def _literals(annotation: Any) -> list[str]:
    if typing.get_origin(annotation) is Literal:
        return [str(option) for option in typing.get_args(annotation)]
    return [text for option in typing.get_args(annotation) for text in _literals(option)]


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
