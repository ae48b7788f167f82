"""The documents of a run as lines of plain text."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from synsim.preflight import readable
from synsim.spike_statistics import lines as statistics_lines
from synsim.wording import apart, columns, count, milliseconds, number, printable, with_unit

BAR = 36  # of a histogram, in letters
_EIGHTHS = " ▏▎▍▌▋▊▉"


def lines(about: Mapping[str, Any]) -> list[str]:
    """The summary of a run, a tree below a head."""
    return [printable(line) for line in (*head(about), *_tree(_branches(about)))]


def detail_lines(told: Mapping[str, Any]) -> list[str]:
    """What is said of one thing in a run, or of several."""
    found = [*head(told["run"])]
    for each in told["found"]:
        found += ["", *_DETAILS.get(each["kind"], _state_detail)(each)]
    return [printable(line) for line in found]


def provenance_lines(about: Mapping[str, Any]) -> list[str]:
    """Where a run comes from: everything that is known of it."""
    told = {**about["attributes"], **about["provenance"]}
    width = max(map(len, told), default=0)
    return [printable(f"{name.ljust(width)}  {_text(value)}") for name, value in told.items() if value not in ("", [])]


def text_lines(text: str) -> list[str]:
    """A text of somebody else, line by line, without what would control the terminal."""
    return ["\t".join(map(printable, line.split("\t"))) for line in text.splitlines()]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def head(about: Mapping[str, Any]) -> Iterator[str]:
    """What a run is, in four lines."""
    reason = f" ({about['reason']})" if about.get("reason") else ""
    yield f"{about['name']}: {about['state']}{reason}"
    yield f"  {about['path']}, {readable(about['bytes'])}"
    facts = [f"seed {about['seed']}", f"dt {about['dt']:g} ms", f"{about['precision'] or ''}".strip()]
    yield "  " + ", ".join(
        [fact for fact in facts if fact] + ([f"batch {about['batch']}"] if about["batch"] > 1 else [])
    )
    trials = about["trials"]
    phases = ", ".join(f"{name} {n:,}" for name, n in trials["phases"].items())
    some = f" ({phases})" if len(trials["phases"]) > 1 else ""
    steps = f"{count(about['steps'], 'step')}, {milliseconds(about['time'])}"
    yield f"  {count(trials['count'], 'trial')}{some}, {steps}"


# --- the tree --------------------------------------------------------------------------------------------------------

Branch = tuple[str, list[str], list[Any]]
"""A line of the tree, the lines below it that belong to it, and its branches."""


def _branches(about: Mapping[str, Any]) -> list[Branch]:
    found: list[Branch] = []
    for title, render in (("records", _record_lines), ("events", _event_lines)):
        if about[title]:
            found.append((title, [], [(*_headed(name, render(each)), []) for name, each in about[title].items()]))
    if labels := about["trials"]["labels"]:
        shapes = [(f"{name}  {' x '.join(map(str, shape))}", [], []) for name, shape in labels.items()]
        found.append(("trials", [], shapes))
    for title in ("initial", "final"):
        if about[title]:
            width = max(map(len, about[title]))
            states = [(_state_line(name.ljust(width), each), [], []) for name, each in about[title].items()]
            found.append((title, [], states))
    if told := list(_provenance(about)):
        found.append(("provenance", [], [(line, [], []) for line in told]))
    if types := about["components"]:
        some = ", ".join(f"{name} {kind}" for name, kind in list(types.items())[:12])
        more = f", and {len(types) - 12:,} more" if len(types) > 12 else ""
        found.append((f"config  {count(len(types), 'component')}: {some}{more}", [], []))
    return found


def _provenance(about: Mapping[str, Any]) -> Iterator[str]:
    told, attributes = about["provenance"], about["attributes"]
    when = [f"started {told['started']}"] if told.get("started") else []
    if isinstance(told.get("seconds"), int | float):
        when.append(f"took {told['seconds']:.1f} s")
    when += [f"on {told['host']}"] if told.get("host") else []
    when += [f"resumed {count(told['resumes'], 'time')}"] if told.get("resumes") else []
    if when:
        yield ", ".join(when)
    if told.get("command"):
        yield f"by {told['command']}"
    known = ((name, attributes.get(f"{name}_version")) for name in ("synsim", "jax", "jaxlib", "numpy"))
    tools = [f"{name} {version}" for name, version in known if version]
    tools += [f"Python {told['python']}"] if told.get("python") else []
    tools += [f"device {attributes['device']}"] if attributes.get("device") else []
    if tools:
        yield ", ".join(tools)
    if told.get("git_commit"):
        yield f"git commit {told['git_commit']}"


def _headed(name: str, told: list[str]) -> tuple[str, list[str]]:
    return f"{name}  {told[0]}", told[1:]


def _record_lines(each: Mapping[str, Any]) -> list[str]:
    doc = f"; {each['doc'].rstrip('.')}" if each["doc"] else ""
    every = f", every {each['interval']:g} ms" if each["interval"] else ""
    told = [f"{_shape(each['shape'], each['axes'])}{every}, {each['dtype']}, {readable(each['bytes'])}{doc}"]
    if each["from"] is None:
        return [*told, "no rows yet"]
    told.append(f"{_range(each)}; last {_values(each['last'], each['unit'])}")
    return [*told, _spark(each)]


def _spark(each: Mapping[str, Any]) -> str:
    spark = each["sparkline"]
    return f"{spark['blocks']}  {_span(spark, each['unit'])}, mean of {_per(spark)}, {_when(each)}"


def _event_lines(each: Mapping[str, Any]) -> list[str]:
    rate = f", mean rate {number(each['rate'])} Hz" if each["rate"] is not None else ""
    told = [f"{count(each['count'], 'spike')} of {count(each['units'], 'unit')}{rate}, {readable(each['bytes'])}"]
    return [*told, _event_spark(each)] if each["count"] else told


def _event_spark(each: Mapping[str, Any]) -> str:
    spark = each["sparkline"]
    span = f"{spark['low']:,} to {spark['high']:,} spikes in {number(spark['per_column'])} ms"
    return f"{spark['blocks']}  {span}, {_when(each)}"


def _when(each: Mapping[str, Any]) -> str:
    scale, unit = (1, "ms") if each["to"] < 10_000 else (1000, "s")
    return f"{each['from'] / scale:,.10g} to {each['to'] / scale:,.10g} {unit}"


def _state_line(name: str, each: Mapping[str, Any]) -> str:
    return f"{name}  {_shape(each['shape'], each['axes'])}, {readable(each['bytes'])}: {_range(each)}"


def _range(each: Mapping[str, Any]) -> str:
    odd = f", {each['not_finite']:,} not finite" if each["not_finite"] else ""
    part = f" (among {_percent(each['share'])} of the values, evenly chosen)" if each.get("share") is not None else ""
    if each["min"] is None:
        return f"no finite value{odd}{part}"
    if each["min"] == each["max"]:
        return f"all {with_unit(number(each['min']), each['unit'])}{odd}{part}"
    span = with_unit(f"{number(each['min'])} to {number(each['max'])}", each["unit"])
    return f"{span}, mean {number(each['mean'])}{odd}{part}"


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %"


def _values(last: Any, unit: str) -> str:
    if last is None:
        return "row not shown, it is large"
    flat = np.asarray(last, dtype=object).reshape(-1).tolist()
    return with_unit(" ".join(map(number, flat[:6])) + (" …" if len(flat) > 6 else ""), unit)


def _span(spark: Mapping[str, Any], unit: str) -> str:
    if spark["low"] is None:
        return "no finite value"
    return with_unit(f"{number(spark['low'])} to {number(spark['high'])}", unit)


def _per(spark: Mapping[str, Any]) -> str:
    rows, _, over = spark["of"].partition(", ")
    many = rows.removesuffix("s") if spark["per_column"] == 1 else rows
    return f"{spark['per_column']:,} {many}" + (f" {over}" if over else "")


def _shape(shape: list[int], axes: list[str]) -> str:
    return " x ".join(f"{name} {n:,}" for name, n in zip(axes, shape, strict=True)) or "one number"


def _tree(branches: list[Branch], indent: str = "") -> Iterator[str]:
    for place, (line, told, below) in enumerate(branches):
        final = place == len(branches) - 1
        yield f"{indent}{'└─' if final else '├─'} {line}"
        inner = indent + ("   " if final else "│  ")
        for each in told:
            yield f"{inner}{'│' if below else ' '}  {each}"
        yield from _tree(below, inner)


# --- one thing -------------------------------------------------------------------------------------------------------


def _record_detail(each: Mapping[str, Any]) -> Iterator[str]:
    yield f"{each['name']}  {each['doc']}".rstrip()
    yield f"  {_shape(each['shape'], each['axes'])}, {each['dtype']}, {readable(each['bytes'])}"
    if each["from"] is None:
        yield "  no rows yet"
        return
    rate = f"every {each['interval']:g} ms ({number(1000 / each['interval'])} Hz), " if each["interval"] else ""
    yield f"  {rate}{_when(each)}"
    yield f"  {_range(each)}"
    yield f"  {_spark(each)}"
    yield from histogram_lines(each["histogram"], each["unit"], "values")
    last = each["last_rows"]
    of, more = f" of {last['of']}" if last["of"] else "", f", {last['more']:,} more in each" if last["more"] else ""
    yield f"  last rows{of}{more}"
    rows = [["time (ms)", "trial", *(name or with_unit("value", each["unit"]) for name in last["columns"])]]
    for time, trial, values in zip(last["time"], last["trial"], last["values"], strict=True):
        rows.append([f"{time:.10g}", str(trial), *map(number, values)])
    yield from columns(rows, "    ")


def _event_detail(each: Mapping[str, Any]) -> Iterator[str]:
    told = each["statistics"]
    yield f"{each['name']}  {each['doc']}".rstrip()
    rows = f" in {told['batch']:,} rows" if told["batch"] > 1 else ""
    yield (
        f"  {count(each['count'], 'spike')} of {count(each['units'], 'unit')}{rows}, {readable(each['bytes'])}, "
        f"recorded for {milliseconds(each['recorded'])}"
    )
    if not each["count"]:
        return
    before = "" if told["whole"] else f" before {told['until']:g} ms"
    yield f"  mean rate {number(each['rate'])} Hz, {count(told['silent'], 'unit')} silent{before}"
    for line in statistics_lines(told):
        yield f"  {line}"
    yield f"  {_event_spark(each)}"
    yield from histogram_lines(each["histogram"], "Hz", "units", "rates")
    busiest = ", ".join(f"{unit['unit']} ({number(unit['rate'])} Hz)" for unit in each["busiest"])
    yield f"  highest rates: {'units' if len(each['busiest']) > 1 else 'unit'} {busiest}"
    yield "  last spikes"
    last = each["last_spikes"]
    rows = [["time (ms)", *(name for name in last if name != "time")]]
    rows += [[f"{time:.10g}", *map(str, rest)] for time, *rest in zip(*last.values(), strict=True)]
    yield from columns(rows, "    ")


def _state_detail(each: Mapping[str, Any]) -> Iterator[str]:
    yield f"{each['kind']} {each['name']}  {each['doc']}".rstrip()
    yield f"  {_shape(each['shape'], each['axes'])}, {each['dtype']}, {readable(each['bytes'])}"
    yield f"  {_range(each)}"
    yield from histogram_lines(each["histogram"], each["unit"], "values")
    if math.prod(each["shape"]) > 1:
        yield "  first values"
        yield from columns([[*map(number, row)] for row in each["first"]], "    ")


def _trials_detail(each: Mapping[str, Any]) -> Iterator[str]:
    yield f"trials  {count(each['count'], 'trial')}" + (f" of {', '.join(each['phases'])}" if each["phases"] else "")
    for name, column in each["columns"].items():
        shape = " x ".join(f"{n:,}" for n in column["shape"])
        yield f"  {name}  {shape}, {column['dtype']}: {_range({'unit': 'ms' if name == 'start' else '', **column})}"
    if each["count"]:
        yield "  last trials"
        rows: list[Sequence[Any]] = [list(each["columns"])]
        rows += [list(map(_cell, row)) for row in zip(*(c["last"] for c in each["columns"].values()), strict=True)]
        yield from columns(rows, "    ")


def _cell(value: Any) -> str:
    return str(value) if isinstance(value, int) else number(value)


_DETAILS = {"record": _record_detail, "spikes": _event_detail, "trials": _trials_detail}


def histogram_lines(told: Mapping[str, Any] | None, unit: str, what: str, of: str = "") -> Iterator[str]:
    """A histogram as bars, one below the other."""
    if told is None or len(told["counts"]) < 2 or sum(told["counts"]) <= len(told["counts"]):
        return  # so few are seen better one by one
    yield with_unit(f"  {of or what} in bins", f"({unit})" if unit else "") + (f", and {what} in each" if of else "")
    most = max(told["counts"]) or 1
    edges, rows = apart(told["edges"]), []
    for low, high, n in zip(edges, edges[1:], told["counts"], strict=False):
        eighths = math.ceil(8 * BAR * n / most)
        bar = "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()
        rows.append((low, "to", high, f"{n:,}", bar))
    widths = [max(len(row[place]) for row in rows) for place in range(4)]
    for row in rows:
        told_row = "  ".join(text.rjust(width) for text, width in zip(row[:4], widths, strict=True))
        yield f"    {told_row}  {row[4]}".rstrip()
