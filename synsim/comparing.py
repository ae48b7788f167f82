"""What differs between two configs once all defaults are filled in, path by path."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from synsim.spec import Spec


class _Absent:
    """Stands for what is not there."""

    def __repr__(self) -> str:
        return "nothing"


ABSENT = _Absent()


@dataclass(frozen=True)
class Difference:
    """A place where two configs differ, as a user writes it, and what each of them has there."""

    path: str
    one: Any
    other: Any


def differences(one: Spec, other: Spec) -> list[Difference]:
    """Where two configs differ. Comments, the order of keys and defaults that are written out do not count; what runs
    in which order does, as the schedule. Files are compared by where they are, not by what is in them."""
    return resolved_differences(*(_placed(spec.resolved(), str(spec.directory)) for spec in (one, other)))


def resolved_differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[Difference]:
    """The same of configs that have all defaults filled in already, as runs keep them."""
    return list(_differing(_unrepeated(one), _unrepeated(other), ()))


def _unrepeated(config: Mapping[str, Any]) -> dict[str, Any]:
    """What a phase only takes over is not said again."""
    phases = [
        {key: value for key, value in phase.items() if key != "schedule" or value != config["schedule"]}
        for phase in config.get("phases", ())
    ]
    return {**config, **({"phases": phases} if "phases" in config else {})}


def _placed(value: Any, directory: str) -> Any:
    """The same with the paths of files as they are seen from anywhere."""
    if isinstance(value, Mapping):
        inner = {key: _placed(each, directory) for key, each in value.items()}
        if isinstance(inner.get("path"), str):
            inner["path"] = os.path.normpath(os.path.join(directory, inner["path"]))
        return inner
    return [_placed(each, directory) for each in value] if isinstance(value, list) else value


def _differing(one: Any, other: Any, path: tuple[str, ...]) -> Iterator[Difference]:
    if isinstance(one, Mapping) and isinstance(other, Mapping) and one.get("type") == other.get("type"):
        for key in dict.fromkeys([*one, *other]):
            yield from _differing(one.get(key, ABSENT), other.get(key, ABSENT), (*path, key))
    elif path == ("phases",) and isinstance(one, list) and isinstance(other, list):
        ones, others = ({phase["name"]: phase for phase in phases} for phases in (one, other))
        for name in dict.fromkeys([*ones, *others]):
            yield from _differing(ones.get(name, ABSENT), others.get(name, ABSENT), (*path, name))
        if set(ones) == set(others) and list(ones) != list(others):
            yield Difference("phases", list(ones), list(others))
    elif one != other or isinstance(one, bool) != isinstance(other, bool):
        yield Difference(_written(path), one, other)


def _written(path: tuple[str, ...]) -> str:
    return ".".join(path[1:] if path[0] == "components" and len(path) > 1 else path)


def document(one: str, other: str, found: list[Difference]) -> dict[str, Any]:
    """The differences as JSON."""
    return {"a": one, "b": other, "same": not found, "differences": entries(found)}


def entries(found: list[Difference]) -> list[dict[str, Any]]:
    """Each difference as JSON: it has no `a` or no `b` where that config has nothing there."""
    told = []
    for each in found:
        sides = {"a": each.one, "b": each.other}
        told.append({"path": each.path, **{key: value for key, value in sides.items() if value is not ABSENT}})
    return told


def lines(one: str, other: str, found: list[Difference]) -> Iterator[str]:
    """The differences for people, as `diff` writes them: what the first has after -, the second after +."""
    if not found:
        return
    yield f"--- {one}"
    yield f"+++ {other}"
    yield from difference_lines(found)


def difference_lines(found: list[Difference]) -> Iterator[str]:
    """Two lines for each difference."""
    for each in found:
        for sign, value in (("-", each.one), ("+", each.other)):
            if value is not ABSENT:
                yield f"{sign}{each.path}: {_told(value)}"


def _told(value: Any) -> str:
    if isinstance(value, Mapping) and "type" in value:
        value = {key: each for key, each in value.items() if each is not None}
    if isinstance(value, str):
        return value
    told = json.dumps(value, ensure_ascii=False)
    return told if len(told) <= 200 else f"{told[:197]}..."
