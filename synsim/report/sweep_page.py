"""The page of a sweep: its points as a table, each summary over each parameter, and maps over two of them."""

from __future__ import annotations

import itertools
import json
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from synsim.faults import ConfigError, listing
from synsim.pictures.sweep import picture
from synsim.report import words
from synsim.report.circuit import circuit_section
from synsim.report.config_colours import coloured
from synsim.report.figures import shown
from synsim.report.heat_map import MOST_CELLS, cells_of, heat_map
from synsim.report.html import Markup, tag
from synsim.report.page import page
from synsim.report.parts import Section, code, download, facts, folded, paragraphs, table
from synsim.sweeps.gathered import Gathered, Values
from synsim.sweeps.standing import Standing

STATES = {"done": "good", "running": "good", "queued": "warn", "incomplete": "warn"}
MOST_POINTS = 2000  # rows of the table
MOST_PICTURES = 40
MOST_COLOURS = 8  # lines in one picture


def sweep_page(standing: Standing, gathered: Gathered | None, config_text: str) -> str:
    """The page of a sweep, as far as it is done; `gathered` is None where no point is."""
    ledger = standing.ledger
    state = tag("span", standing.state, class_=f"state {STATES[standing.state]}")
    heading = [tag("h1", ledger.name, state), paragraphs(words.comment_above(config_text))]
    sections = [section for section in _sections(standing, gathered, config_text) if section is not None]
    footer = [tag("p", f"Made by synsim report from {ledger.directory}.")]
    return page(f"{ledger.name}, a sweep of synsim", heading, sections, footer)


def _sections(standing: Standing, gathered: Gathered | None, config_text: str) -> Iterator[Section | None]:
    yield _summary(standing, gathered)
    if gathered is not None:
        for title, found in (("Over one parameter", _lines(gathered)), ("Over two parameters", _maps(gathered))):
            yield Section(title, _limited(drawings)) if (drawings := list(found)) else None
    yield Section("Points", _points(standing, gathered))
    yield circuit_section(standing.ledger.spec.resolved(), {})
    yield _config(standing, config_text)
    yield _again(standing)


def _summary(standing: Standing, gathered: Gathered | None) -> Section:
    ledger, counts = standing.ledger, standing.counts
    told: list[Any] = [
        facts(
            {
                "Points": words.number(len(standing.points)),
                **{state.capitalize(): words.number(n) for state, n in counts.items() if n},
                "Mode": ledger.mode,
                "Groups of lanes": words.number(len(ledger.groups)),
                "Seed": str(ledger.spec.seed),
                "Time step": words.with_unit(ledger.spec.run.dt, "ms"),
                "Steps of a trial": words.number(ledger.spec.run.steps),
            }
        )
    ]
    if gathered is not None:
        rows = [(each.label, _values(each), each.doc) for each in gathered.parameters.values()]
        told.append(table("What was swept", ("parameter", "values", "what it is"), rows))
        found = [(each.label, *_spread(each), each.doc) for each in gathered.summaries.values()]
        head = ("summary", "least", "mean", "largest", "what it is")
        told.append(table("What was gathered", head, found, (1, 2, 3)))
    if standing.go_on:
        told.append(tag("p", "To complete it: ", tag("code", standing.go_on)))
    return Section("Summary", told)


def _values(each: Values) -> str:
    found = _ordered(each.array)
    if each.array.dtype.kind in "iuf" and len(found) > 6:
        return f"{len(found):,} from {words.number(found[0])} to {words.number(found[-1])}"
    return listing([words.number(value) for value in found])


def _ordered(array: np.ndarray) -> list[Any]:
    return np.unique(array).tolist() if array.dtype.kind in "iuf" else list(dict.fromkeys(array.tolist()))


def _spread(each: Values) -> tuple[str, str, str]:
    known = each.array[np.isfinite(each.array)]
    if not known.size:
        return "–", "–", "–"
    return words.number(float(known.min())), words.number(float(known.mean())), words.number(float(known.max()))


# --- pictures


def _varied(gathered: Gathered) -> list[Values]:
    return [each for each in gathered.parameters.values() if len(_ordered(each.array)) > 1]


Drawing = Callable[[], Markup]


def _lines(gathered: Gathered) -> Iterator[Drawing]:
    """Each summary over each parameter, with a line for each value of the parameter that has fewest others."""
    varied = _varied(gathered)
    for y, x in itertools.product(gathered.summaries.values(), varied):
        if not np.isfinite(y.array).any():
            continue
        others = [each for each in varied if each is not x and len(_ordered(each.array)) <= MOST_COLOURS]
        by = min(others, key=lambda each: len(_ordered(each.array)), default=None) if gathered.mode == "grid" else None
        told = f"{y.label} over {x.label}" + (f", by {by.label}" if by is not None else "")
        yield partial(_drawn, gathered, x.name, y.name, None if by is None else by.name, told, y)


def _drawn(gathered: Gathered, x: str, y: str, color: str | None, told: str, what: Values) -> Markup:
    try:
        light, dark = (picture(gathered, x, y, color, dark=dark) for dark in (False, True))
    except ConfigError as error:
        return tag("p", f"{told} is not drawn: {error}")
    words_ = f"{told}: {' to '.join(_spread(what)[::2])}. The table of points has the numbers."
    return shown(light, dark, told, words_)


def _maps(gathered: Gathered) -> Iterator[Drawing]:
    """Each summary over each two parameters: of a grid as tables of numbers with colours, of random points drawn."""
    if gathered.mode == "zip":  # whose parameters are one
        return
    for what in gathered.summaries.values():
        if not np.isfinite(what.array).any():
            continue
        for pair in itertools.combinations(_varied(gathered), 2):
            x, y = sorted(pair, key=lambda each: -len(_ordered(each.array)))
            told = f"{what.label} over {x.label} and {y.label}"
            if gathered.mode == "grid" and len(_ordered(x.array)) <= MOST_CELLS:
                yield partial(_map, gathered, x, y, what)
            else:
                yield partial(_drawn, gathered, x.name, y.name, what.name, told, what)


def _map(gathered: Gathered, x: Values, y: Values, what: Values) -> Markup:
    return heat_map(cells_of(gathered, x, y, what))


def _limited(drawings: Sequence[Drawing]) -> list[Any]:
    """As many pictures as a page should have; what is left out is said."""
    more = len(drawings) - MOST_PICTURES
    told = [tag("div", *(draw() for draw in drawings[:MOST_PICTURES]), class_="figures")]
    if more > 0:
        told.append(tag("p", f"{more:,} more are left out here: synsim plot draws each."))
    return told


# --- points


def _points(standing: Standing, gathered: Gathered | None) -> list[Any]:
    ledger = standing.ledger
    named = {} if gathered is None else gathered.summaries
    head = ("point", *ledger.parameters, *(each.label for each in named.values()), "state")
    rows = []
    for place, point in enumerate(standing.points[:MOST_POINTS]):
        values = [words.number(value) for value in ledger.points[point.number]]
        found = [words.number(float(each.array[place])) for each in named.values()]
        state = f"{point.state}: {point.reason}" if point.reason else point.state
        rows.append((f"{point.number:,}", *values, *found, state))
    parts: list[Any] = [table(_caption(standing), head, rows, range(1, len(head) - 1), long=True)]
    if len(standing.points) > MOST_POINTS:
        parts.append(
            tag("p", f"These are the first {MOST_POINTS:,} points; all {len(standing.points):,} are in sweep.csv.")
        )
    return parts


def _caption(standing: Standing) -> str:
    return f"{words.count(standing.counts['done'], 'point')} of {len(standing.points):,} done"


# --- config


def _config(standing: Standing, config_text: str) -> Section:
    resolved = json.dumps(standing.ledger.spec.resolved(), indent=1, ensure_ascii=False)
    return Section(
        "Config",
        [
            tag("p", "As it was written:"),
            code("The config as it was written", coloured(config_text)),
            folded(
                "As its first point was run, with every default filled in",
                code("The config of the first point", coloured(resolved)),
            ),
        ],
    )


def _again(standing: Standing) -> Section:
    ledger = standing.ledger
    name = f"{ledger.name}.yaml"
    folder = shlex.quote(str(ledger.directory))
    swept = {path: _column(standing, i) for i, path in enumerate(ledger.parameters)}
    resolved: Mapping[str, Any] = {**ledger.spec.resolved(), "sweep": swept | {"mode": ledger.mode}}
    return Section(
        "How to reproduce it",
        [
            tag(
                "ol",
                tag(
                    "li",
                    "Save the config with what was swept in it: ",
                    download(name, name, json.dumps(resolved, indent=1, ensure_ascii=False), "application/yaml"),
                    ".",
                )
                if ledger.mode != "random"
                else tag(
                    "li", "Its folder says what was drawn: keep ", tag("code", str(Path(folder) / "sweep.json")), "."
                ),
                tag(
                    "li",
                    "Run it: ",
                    tag("code", f"synsim sweep {shlex.quote(name) if ledger.mode != 'random' else folder}"),
                ),
            ),
            tag(
                "p",
                "Each point has a file of its own, which synsim report shows: ",
                tag("code", f"{folder}/points"),
                ".",
            ),
        ],
    )


def _column(standing: Standing, i: int) -> list[Any]:
    """The values of a parameter, each once where every value goes with every other."""
    values = [point[i] for point in standing.ledger.points]
    return list(dict.fromkeys(values)) if standing.ledger.mode == "grid" else values
