"""The page of a run: what it was, what it left, and how to have it again."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from synsim import pictures
from synsim.inspection.summary import summary
from synsim.preflight import readable
from synsim.reading import Run, guard
from synsim.report import words
from synsim.report.circuit import circuit_section, known_sizes
from synsim.report.config_colours import coloured
from synsim.report.figures import figure, sees_images
from synsim.report.html import Markup, joined, tag
from synsim.report.page import page
from synsim.report.parts import Section, code, download, facts, folded, paragraphs, table
from synsim.spike_statistics import SpikeStatistics, statistics

STATES = {"done": "good", "running": "good", "interrupted": "warn", "failed": "bad"}


def run_page(run: Run) -> str:
    """The page of a run that is finished, goes on, or was stopped. Raises StoreError where it is damaged."""
    with guard(run.path):
        about = summary(run)
        state = tag("span", about["state"], class_=f"state {STATES.get(about['state'], 'warn')}")
        told = paragraphs(words.comment_above(run.config_text))
        heading = [tag("h1", run.name, state), told]
        sections = [section for section in _sections(run, about) if section is not None]
    footer = [tag("p", f"Made by synsim report from {about['path']}. Times are in ms of the run.")]
    return page(f"{run.name}, a run of synsim", heading, sections, footer)


def _sections(run: Run, about: Mapping[str, Any]) -> Iterator[Section | None]:
    yield _summary(run, about)
    shapes = {name: (what.shape, what.axes) for name, what in run.states("initial").items()}
    if run.config.get("components"):
        yield circuit_section(run.config, known_sizes(run.config, shapes))
    yield _spikes(run, about)
    kinds = {name: pictures.kind_of(run, name) for name in run.records}
    yield _traces(run, about, "Energies", [name for name, kind in kinds.items() if kind == "energy"])
    yield _traces(run, about, "Records", [name for name, kind in kinds.items() if kind != "energy"])
    yield _learned(run, about)
    yield _config(run)
    yield _again(run, about)
    yield _provenance(run, about)


# --- summary


def _summary(run: Run, about: Mapping[str, Any]) -> Section:
    trials, provenance = about["trials"], run.provenance
    took = provenance.get("seconds")
    found = facts(
        {
            "State": f"{about['state']}, {about['reason']}" if about.get("reason") else about["state"],
            "Trials": words.number(trials["count"]),
            "Steps": words.number(about["steps"]),
            "Biological time": words.duration(about["time"]),
            "Time step": words.with_unit(about["dt"], "ms"),
            "Batch": words.number(about["batch"]),
            "Seed": str(about["seed"]),
            "Precision": about["precision"],
            "Size": readable(about["bytes"]),
            "Started": words.moment(provenance.get("started", "")),
            "Finished": words.moment(provenance.get("finished", "")),
            "Took": words.clock(float(took)) if isinstance(took, int | float) else None,
        }
    )
    parts: list[Any] = [found]
    if len(trials["phases"]) > 1:
        learning = {each.get("name"): each.get("learning", True) for each in run.config.get("phases") or ()}
        rows = [
            (name, words.number(n), "yes" if learning.get(name, True) else "no") for name, n in trials["phases"].items()
        ]
        parts.append(table("Phases", ("phase", "trials", "learning"), rows, (1,)))
    if readouts := list(_readouts(run)):
        head = ("readout", *(run.phases or ("last value",)))
        parts.append(table("Last values of readouts, by phase", head, readouts, range(1, len(head))))
    recorded = [_overview(name, each) for name, each in about["records"].items()]
    recorded += [_overview(name, each) for name, each in about["events"].items()]
    if recorded:
        head = ("record", "what it is", "shape", "least", "mean", "largest", "unit", "size")
        parts.append(table("What was recorded", head, recorded, (3, 4, 5, 7)))
    return Section("Summary", parts)


def _readouts(run: Run) -> Iterator[tuple[str, ...]]:
    """Records of one number a row: the last of each phase."""
    for name, record in run.records.items():
        if record.axes or "reduce" in record.attrs or not len(record):
            continue
        phase = np.asarray(record.phase) if len(record) <= MOST_ROWS else np.asarray(record.phase[-MOST_ROWS:])
        first = len(record) - len(phase)
        last: list[str] = []
        for number in range(max(1, len(run.phases))):
            here = np.flatnonzero(phase == number)
            value = float(record.data[first + int(here[-1])]) if here.size else None
            last.append(words.with_unit(value, record.unit))
        yield name, *last


MOST_ROWS = 1_000_000  # whose phases are looked at


def _overview(name: str, each: Mapping[str, Any]) -> tuple[str, ...]:
    if "count" in each:
        doc = f"{each['doc']} {words.count(each['count'], 'spike')} of {words.count(each['units'], 'unit')}"
        return name, doc, "events", "–", "–", "–", "", readable(each["bytes"])
    values = (words.number(each[key]) for key in ("min", "mean", "max"))
    looked = f" Of {100 * each['share']:.2g} % of its values, evenly chosen." if each.get("share") is not None else ""
    return (
        name,
        each["doc"] + looked,
        words.shape(each["shape"], each["axes"]),
        *values,
        each["unit"],
        readable(each["bytes"]),
    )


# --- pictures


def _spikes(run: Run, about: Mapping[str, Any]) -> Section | None:
    if not run.events:
        return None
    found = {name: statistics(run, name) for name in run.events}
    head = ("population", "units", "silent", "spikes", "mean rate (Hz)", "CV of intervals", "Fano factor", "synchrony")
    rows = [
        (
            name,
            words.number(each.units),
            words.number(each.silent),
            words.number(each.count),
            *(words.number(value) for value in (each.rate_hz, each.cv_isi, each.fano, each.synchrony)),
        )
        for name, each in found.items()
    ]
    parts: list[Any] = [table("Statistics of spikes", head, rows, range(1, len(head)))]
    parts.append(folded("What these are", *(tag("p", each) for each in _definitions(found)), on_paper=True))
    figures = []
    for name, each in found.items():
        told = _spike_words(name, each)
        figures.append(figure(run, name, None, f"{told} {about['events'][name]['doc']}", f"Raster of {told}"))
    parts.append(tag("div", *figures, class_="figures"))
    return Section("Spikes", parts)


def _definitions(found: Mapping[str, SpikeStatistics]) -> Iterator[str]:
    yield "Mean rate: spikes over units and the time for which they were recorded."
    yield (
        "CV of intervals: the standard deviation of a unit's inter-spike intervals in a trial over their mean, "
        "averaged over trains with at least two intervals; 0 is a clock, 1 a Poisson process."
    )
    yield "Fano factor: the variance of spike counts over their mean, averaged over the units that spiked."
    yield "Synchrony: the mean correlation of the binned spike counts of two units."
    for name, each in found.items():
        cut = "" if each.whole else f" CV, Fano factor and synchrony are of the spikes before {each.until:g} ms."
        yield (
            f"{name}: {words.duration(each.recorded)} recorded, {words.count(each.cv_trains, 'train')}, counts over "
            f"{each.fano_counts:,} {each.fano_over}, bins of {each.synchrony_bin:g} ms.{cut}"
        )


def _spike_words(name: str, each: SpikeStatistics) -> str:
    rate = f", mean rate {words.number(each.rate_hz)} Hz" if each.rate_hz is not None else ""
    return f"{name}: {words.count(each.count, 'spike')} of {words.count(each.units, 'unit')}{rate}."


def _traces(run: Run, about: Mapping[str, Any], title: str, names: list[str]) -> Section | None:
    if not names:
        return None
    figures = []
    for name in names:
        each = about["records"][name]
        unit = each["unit"]
        span = f"from {words.with_unit(each['min'], unit)} to {words.with_unit(each['max'], unit)}"
        time = f", {each['from']:g} to {each['to']:g} ms" if each["from"] is not None else ", no rows yet"
        told = f"{name}: {each['doc']} {words.shape(each['shape'], each['axes'])}, {span}{time}."
        figures.append(figure(run, name, None, told, f"Picture of {told}"))
    return Section(title, [tag("div", *figures, class_="figures")])


def _learned(run: Run, about: Mapping[str, Any]) -> Section | None:
    """States that are kept from the start: how they were before and after."""
    initial, final = about["initial"], about["final"]
    if not initial:
        return None
    rows = []
    for name, each in initial.items():
        after = final.get(name, {})
        sides = (f"{words.number(side.get(key))}" for side in (each, after) for key in ("min", "mean", "max"))
        rows.append((name, words.shape(each["shape"], each["axes"]), *sides, each["unit"]))
    values = ("least", "mean", "largest")
    head = ("state", "shape", *(f"{value} {when}" for when in ("before", "after") for value in values), "unit")
    parts: list[Any] = [table("What is learned, before and after", head, rows, range(2, 8))]
    figures = []
    weights = {name: each for name, each in initial.items() if name.endswith(".weights")}
    for name, each in weights.items():
        if len(each["shape"]) < 2:
            continue
        if name in run.records and pictures.kind_of(run, name) in ("weights", "receptive-fields"):
            parts.append(
                tag("p", tag("strong", name), " are drawn with the records, as they were at first and at last.")
            )
            continue
        if _same(run, name, each["bytes"]):
            parts.append(tag("p", tag("strong", name), " are what they were before the run."))
            continue
        told = f"{name} before and after: {words.shape(each['shape'], each['axes'])}."
        figures.append(figure(run, name, "weights", told, f"Picture of {told}"))
        if sees_images(run, name):
            told = f"{name} as receptive fields: the weights of each unit, as an image of what it gets."
            figures.append(figure(run, name, "receptive-fields", told, f"Picture of {told}"))
    parts.append(tag("div", *figures, class_="figures") if figures else None)
    return Section("Weights before and after" if weights else "States before and after", parts)


MOST_COMPARED = 1 << 26  # bytes of a state that are compared


def _same(run: Run, name: str, size: int) -> bool:
    """Whether a state ended as it began, where it is small enough to be looked at."""
    component, _, compartment = name.partition(".")
    if size > MOST_COMPARED or name not in run.states("final"):
        return False
    before, after = (when(component, compartment) for when in (run.initial, run.final))
    return bool(np.array_equal(before, after, equal_nan=True))


# --- config


def _config(run: Run) -> Section:
    resolved = _resolved(run)
    return Section(
        "Config",
        [
            tag("p", "As it was written:"),
            code("The config as it was written", coloured(run.config_text)),
            folded(
                "As it was run: with every default filled in and overrides applied",
                code("The config as it was run", coloured(resolved)),
            ),
        ],
    )


def _resolved(run: Run) -> str:
    return json.dumps(run.config, indent=1, ensure_ascii=False)


def command_of(provenance: Mapping[str, Any]) -> str | None:
    """The command that the run was started with, without where the program stood."""
    written = provenance.get("command")
    if not isinstance(written, str) or not written:
        return None
    try:
        first, *rest = shlex.split(written)
    except ValueError:
        return written
    program = Path(first).name
    return shlex.join(["synsim" if program in ("__main__.py", "synsim") else first, *rest])


def _again(run: Run, about: Mapping[str, Any]) -> Section:
    attrs, provenance = run.attrs, run.provenance
    name = f"{run.name}.yaml"
    versions = [
        f"{each} {attrs[f'{each}_version']}"
        for each in ("synsim", "jax", "jaxlib", "numpy")
        if f"{each}_version" in attrs
    ]
    command = command_of(provenance)
    files = _files(provenance)
    steps: list[Any] = [
        ["Install ", ", ".join(versions), f", for Python {provenance['python']}." if "python" in provenance else "."],
        [
            "Save the config as it was run: ",
            download(f"{name} (all overrides in it)", name, _resolved(run), "application/yaml"),
            ", or ",
            download("as it was written", name, run.config_text, "application/yaml"),
            ".",
        ],
        ["Run it: ", tag("code", f"synsim run {shlex.quote(name)}")],
    ]
    if run.config.get("data"):
        steps.insert(2, "Files of data that it names are read from its folder: put them there.")
    parts: list[Any] = [tag("ol", *(tag("li", *(each if isinstance(each, list) else [each])) for each in steps))]
    if command:
        parts += [tag("p", "It was started by this command:"), code("The command", command)]
    if files:
        parts.append(table("Files that the config was read from", ("file", "SHA-256"), files))
    resume = f"synsim run {shlex.quote(str(run.path))} --resume"
    if about["state"] in ("interrupted", "failed"):
        parts.append(tag("p", "To go on with it: ", tag("code", resume)))
    parts.append(
        tag(
            "p",
            f"The same versions on the same kind of device ({attrs.get('device', 'not known')}) give the same numbers "
            "to the last digit; others may differ in it.",
        )
    )
    return Section("How to reproduce it", parts)


def _files(provenance: Mapping[str, Any]) -> list[tuple[str, Markup]]:
    files = json.loads(provenance.get("files") or "[]")
    return [(str(each["name"]), tag("code", str(each["sha256"]))) for each in files]


def _provenance(run: Run, about: Mapping[str, Any]) -> Section:
    dull = ("magic", "version")
    rows = [(key, _shown(value)) for key, value in about["attributes"].items() if key not in dull]
    told = about["provenance"].items()
    rows += [(key, _shown(value)) for key, value in told if key not in ("cpu_features", "files")]
    features = about["provenance"].get("cpu_features")
    parts: list[Any] = [table("What made this file", ("attribute", "value"), rows)]
    if features:
        parts.append(folded("Features of the processor", tag("p", tag("code", features))))
    return Section("Provenance", parts)


def _shown(value: Any) -> Markup:
    nothing = value in (None, "", "{}", "[]")
    return joined([json.dumps(value) if isinstance(value, list | dict) else "–" if nothing else value])
