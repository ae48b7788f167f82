"""Text for people: what a sweep will compute, and in what portions."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from synsim.preflight import readable
from synsim.sweeps.parameters import Parameter, Sweep

SHOWN = 12  # points that are listed one by one
_ENDS = 5  # of more points, so many of the first and of the last


def sweep_document(sweep: Sweep) -> dict[str, Any]:
    """A sweep as JSON: parameters with their values, how they are put together, and how many points there are."""
    return {
        "mode": sweep.mode,
        "points": len(sweep.points),
        "parameters": [
            {"path": each.path, **({"from_to": list(each.values)} if drawn else {"values": list(each.values)})}
            for each in sweep.parameters
            for drawn in [is_interval(each, sweep)]
        ],
        "summary": list(sweep.summary),
    }


def is_interval(parameter: Parameter, sweep: Sweep) -> bool:
    """Whether points are drawn from between the two values of a parameter."""
    return sweep.mode == "random" and parameter.ends and len(parameter.values) == 2 and not parameter.counts


def sweep_lines(sweep: Sweep) -> Iterator[str]:
    """A sweep for people: its parameters and the number of its points."""
    count = len(sweep.points)
    how = {"grid": "a grid", "zip": "zipped", "random": "drawn at random"}[sweep.mode]
    yield f"sweep: {count:,} point{'' if count == 1 else 's'}, {how}"
    width = max(len(each.path) for each in sweep.parameters)
    for each in sweep.parameters:
        if is_interval(each, sweep):
            told = f"from {value_text(each.values[0])} to {value_text(each.values[1])}"
        else:
            told = f"{_some(each.values)}  ({len(each.values):,})" if len(each.values) > 1 else _some(each.values)
        yield f"  {each.path.ljust(width)}  {told}"


def point_lines(parameters: Sequence[str], points: Sequence[Sequence[Any]], name: str) -> Iterator[str]:
    """The points as a table: all of a few, the first and the last of many."""
    numbers = list(range(len(points)))
    cut = len(points) > SHOWN
    if cut:
        numbers = [*numbers[:_ENDS], *numbers[-_ENDS:]]
    rows = [("point", *parameters)]
    rows += [(f"{name}-{number:04d}", *(value_text(value) for value in points[number])) for number in numbers]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for place, row in enumerate(rows):
        if cut and place == _ENDS + 1:
            yield f"  … {len(points) - 2 * _ENDS:,} more"
        yield ("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))).rstrip()


def dry_run_lines(
    sweep: Sweep,
    name: str,
    *,
    groups: Sequence[Sequence[int]],
    static_groups: int,
    numbers: Sequence[str],
    memory: int,
    file: int,
) -> Iterator[str]:
    """What `synsim sweep --dry-run` says of a sweep called `name`.

    groups: the points of each group of lanes; static_groups: programs to be compiled; numbers: the parameters that
    are numbers in a program; memory: bytes of the largest group; file: bytes of all points' files.
    """
    yield from sweep_lines(sweep)
    yield ""
    yield "points"
    yield from point_lines([each.path for each in sweep.parameters], sweep.points, name)
    yield ""
    compiled = "1 program" if static_groups == 1 else f"{static_groups:,} programs"
    shaping = [each.path for each in sweep.parameters if each.path not in numbers]
    why = f"; {', '.join(shaping)} shape{'s' if len(shaping) == 1 else ''} it" if shaping and static_groups > 1 else ""
    yield f"static groups: {static_groups:,} ({compiled} to compile{why})"
    yield f"lanes: {_lanes(groups)}"
    yield f"memory about {readable(memory)} for the largest group"
    yield f"files about {readable(file)} in all, {readable(file // max(1, len(sweep.points)))} a point"


def _lanes(groups: Sequence[Sequence[int]]) -> str:
    sizes: dict[int, int] = {}
    for group in groups:
        sizes[len(group)] = sizes.get(len(group), 0) + 1
    told = [f"{count:,} group{'' if count == 1 else 's'} of {size:,}" for size, count in sorted(sizes.items())[::-1]]
    more = [f"{len(told) - 4} more sizes"] if len(told) > 5 else []
    return ", ".join([*(told if not more else told[:4]), *more])


def dry_run_document(
    sweep: Sweep,
    name: str,
    *,
    groups: Sequence[Sequence[int]],
    static_groups: int,
    numbers: Sequence[str],
    memory: int,
    file: int,
) -> Mapping[str, Any]:
    """The same as JSON, with every point."""
    paths = [each.path for each in sweep.parameters]
    return {
        "name": name,
        **sweep_document(sweep),
        "rows": [
            {"point": f"{name}-{number:04d}", **dict(zip(paths, values, strict=True))}
            for number, values in enumerate(sweep.points)
        ],
        "static_groups": static_groups,
        "numbers": list(numbers),
        "groups": [list(group) for group in groups],
        "memory_bytes": memory,
        "file_bytes": file,
    }


def value_text(value: Any) -> str:
    """A value of a parameter as it stands in a table: text as it is, others as JSON."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if isinstance(value, float):
        text = f"{value:.9g}"
    text = "".join(each if each.isprintable() else "·" for each in text)
    return text if len(text) <= 40 else f"{text[:39]}…"


def _some(values: Sequence[Any]) -> str:
    shown = [value_text(each) for each in values]
    if len(shown) > 8:
        shown = [*shown[:4], "…", *shown[-2:]]
    return " ".join(shown)
