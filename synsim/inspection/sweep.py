"""A sweep as a document and as lines: how it stands, what was varied, and what came of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from synsim.faults import ConfigError, MissingInput, suggest
from synsim.inspection.measures import COLUMNS, Histogram, Range, Spark
from synsim.inspection.plain import plain
from synsim.inspection.words import histogram_lines
from synsim.segments import guard
from synsim.sweeps.gathered import Gathered, Values, read_gathered
from synsim.sweeps.ledger import Ledger
from synsim.sweeps.standing import standing
from synsim.wording import columns, count, number, printable, with_unit

MOST_POINTS = 20  # that are listed as text
MOST_VALUES = 12  # of a parameter that are listed one by one


def sweep_summary(ledger: Ledger) -> dict[str, Any]:
    """A sweep as one JSON document. Raises StoreError where its table is damaged."""
    with guard(ledger.directory), np.errstate(all="ignore"):
        now, table = standing(ledger), _table(ledger)
        return plain(
            {
                **now.document(),
                "told": now.lines(),
                "mode": ledger.mode,
                "groups": len(ledger.groups),
                "done_in_table": None if table is None else table.done,
                "parameters": {path: _parameter(ledger, path, table) for path in ledger.parameters},
                "summaries": {} if table is None else {name: _summary(each) for name, each in table.summaries.items()},
                "table": {} if table is None else {name: each.array for name, each in table.summaries.items()},
            }
        )


def _table(ledger: Ledger) -> Gathered | None:
    try:
        found = read_gathered(ledger.directory)
    except MissingInput:
        return None
    for each in found.summaries.values():
        if len(each.array) != len(ledger.points):
            raise ValueError(
                f"sweep.h5 has {len(each.array):,} values of {each.name}, for {len(ledger.points):,} points"
            )
    return found


def _parameter(ledger: Ledger, path: str, table: Gathered | None) -> dict[str, Any]:
    place = ledger.parameters.index(path)
    values = list(dict.fromkeys(_hashable(point[place]) for point in ledger.points))
    known = None if table is None else table.parameters.get(path)
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    return {
        "unit": known.unit if known else "",
        "doc": known.doc.removeprefix(f"{path}: ") if known else "",
        "values": values,
        "min": min(numbers) if len(numbers) == len(values) else None,
        "max": max(numbers) if len(numbers) == len(values) else None,
    }


def _hashable(value: Any) -> Any:
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def _summary(values: Values) -> dict[str, Any]:
    array = np.asarray(values.array, np.float64)
    seen, spark = Range(), Spark(len(array))
    seen.add(array)
    spark.add(0, array[:, None])
    told = {"unit": values.unit, "doc": values.doc, **seen.document(), "sparkline": spark.document("points")}
    told["missing"] = told.pop("not_finite")
    if told["min"] is not None:
        told |= {"least_at": int(np.nanargmin(array)), "most_at": int(np.nanargmax(array))}
    return told


def sweep_lines(about: Mapping[str, Any]) -> list[str]:
    """The document of a sweep as text: a table of the first points below what is said of all of them."""
    found = [*about["told"], f"{about['mode']} of {count(len(about['parameters']), 'parameter')}"]
    for path, each in about["parameters"].items():
        found.append(f"  {path}  {_values(each)}" + (f"; {each['doc'].rstrip('.')}" if each["doc"] else ""))
    if about["done_in_table"] is None:
        found.append("no table yet: summaries are gathered when points are done")
    elif about["summaries"]:
        found.append(f"summaries of {count(about['done_in_table'], 'point')}")
        for name, each in about["summaries"].items():
            found += [f"  {line}" for line in _summary_lines(about, name, each)]
    return [printable(line) for line in (*found, *_points(about))]


def _values(each: Mapping[str, Any]) -> str:
    values = each["values"]
    if len(values) <= MOST_VALUES:
        return with_unit(", ".join(map(_told, values)), each["unit"])
    span = f", {number(each['min'])} to {number(each['max'])}" if each["min"] is not None else ""
    return with_unit(f"{len(values):,} values{span}", each["unit"])


def _summary_lines(about: Mapping[str, Any], name: str, each: Mapping[str, Any]) -> Iterator[str]:
    if each["min"] is None:
        yield f"{name}  no value yet"
        return
    gone = f", {each['missing']:,} without a value" if each["missing"] else ""
    span = with_unit(f"{number(each['min'])} to {number(each['max'])}", each["unit"])
    yield f"{name}  {span}, mean {number(each['mean'])}{gone}"
    spark = each["sparkline"]
    per = "points in order" if spark["per_column"] == 1 else f"means of {spark['per_column']:,} points on end"
    yield f"   {spark['blocks']}  {per}"
    yield f"   most at {_point(about, each['most_at'])}; least at {_point(about, each['least_at'])}"


def _point(about: Mapping[str, Any], at: int) -> str:
    point = about["points"][at]
    return f"point {point['number']} ({', '.join(f'{path}={_told(value)}' for path, value in point['values'].items())})"


def _points(about: Mapping[str, Any]) -> Iterator[str]:
    rows: list[list[str]] = [["point", "state", *about["parameters"], *about["table"]]]
    for at, point in enumerate(about["points"][:MOST_POINTS]):
        values = [column[at] if at < len(column) else None for column in about["table"].values()]
        rows.append([str(point["number"]), point["state"], *map(_told, point["values"].values()), *map(_cell, values)])
    yield "points"
    yield from columns(rows, "  ")
    if (more := len(about["points"]) - MOST_POINTS) > 0:
        yield f"  and {more:,} more, all in sweep.csv and --json"


def _cell(value: Any) -> str:
    return "" if value is None else _told(value)


def _told(value: Any) -> str:
    if isinstance(value, float):
        return number(value)
    return value if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)


# --- one summary -----------------------------------------------------------------------------------------------------


def sweep_detail(ledger: Ledger, path: str) -> dict[str, Any]:
    """A summary of a sweep over each of its parameters. Raises ConfigError where there is none of that name."""
    with guard(ledger.directory), np.errstate(all="ignore"):
        return _detail(ledger, path)


def _detail(ledger: Ledger, path: str) -> dict[str, Any]:
    table = _table(ledger)
    there = {} if table is None else table.summaries
    if table is None or path not in there:
        names = [*there, *ledger.parameters]
        hint = suggest(path, names) or (f" There are {', '.join(there)}." if there else " Nothing is gathered yet.")
        raise ConfigError(
            f"{ledger.directory} has no summary {path}.{hint} A number, as 3, shows that point; 3/z.v a record of it."
        )
    values = table.summaries[path]
    array = np.asarray(values.array, np.float64)
    told = _summary(values)
    histogram = None if told["min"] is None else Histogram(told["min"], told["max"])
    if histogram is not None:
        histogram.add(array)
    return plain(
        {
            "name": path,
            **told,
            "histogram": None if histogram is None else histogram.document(),
            "over": {
                name: {"unit": each.unit, "values": _over(each.array, array)} for name, each in table.parameters.items()
            },
        }
    )


def _over(parameter: np.ndarray, array: np.ndarray) -> list[dict[str, Any]]:
    """Number of points, mean and standard deviation of a summary at each value of a parameter."""
    found = []
    for value in np.unique(parameter)[:1000]:
        here = array[parameter == value]
        here = here[np.isfinite(here)]
        mean, spread = (float(here.mean()), float(here.std())) if here.size else (None, None)
        found.append({"value": value, "points": here.size, "mean": mean, "std": spread})
    return found


def sweep_detail_lines(told: Mapping[str, Any]) -> list[str]:
    """The document of one summary as text."""
    found = [f"{told['name']}  {told['doc']}".rstrip()]
    if told["min"] is None:
        return [printable(line) for line in (*found, "  no value yet")]
    found.append(
        "  "
        + with_unit(f"{number(told['min'])} to {number(told['max'])}", told["unit"])
        + f", mean {number(told['mean'])}"
    )
    found += histogram_lines(told["histogram"], told["unit"], "points")
    for name, each in told["over"].items():
        rows = [[with_unit(name, f"({each['unit']})" if each["unit"] else ""), "points", "mean", "std"]]
        for at in each["values"][:COLUMNS]:
            rows.append([_told(at["value"]), str(at["points"]), _cell(at["mean"]), _cell(at["std"])])
        found += ["", *columns(rows, "  ")]
    return [printable(line) for line in found]
