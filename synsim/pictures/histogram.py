"""How often values occur: of a trace; of weights before and after; of spikes the intervals between them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from synsim.pictures.canvas import Canvas, labelled, number
from synsim.pictures.counting import Trains, trains
from synsim.pictures.part import columns, unit_axis
from synsim.pictures.rate import who
from synsim.pictures.subject import Matrix, Subject, axes_of, is_kernel, is_matrix, matrices
from synsim.thinning import share, spread

BINS = 60
LONGEST = 1 << 22  # steps of an interval that is counted by itself


def heights(subjects: list[Subject], width: float) -> list[float]:
    """Inches of the axes."""
    return [2.3]


def draw(canvas: Canvas, cells: list[Any], subjects: list[Subject]) -> None:
    """Outlines over each other, each the share of its values in each bin."""
    axes = canvas.axes(cells[0].whole)
    first = subjects[0]
    if first.spikes is not None:
        sets, what, notes = _intervals(subjects)
    elif _is_weights(first):
        sets, what, notes = _weights(subjects), labelled("weight", first.unit), []
    else:
        sets, what, notes = _values(subjects), labelled(first.name, first.unit), []
        notes += [note for _, _, _, note in sets if note][:1]
    shown = []
    for place, (label, counts, edges, _) in enumerate(sets):
        colour = canvas.theme.lines[place % len(canvas.theme.lines)]
        percent = 100 * counts / max(1, counts.sum())
        axes.stairs(percent, edges, color=colour, linewidth=1.2)
        axes.stairs(percent, edges, color=colour, alpha=0.2, fill=True, linewidth=0)
        shown.append((label, colour))
        if _peaked(percent):
            axes.set_yscale("symlog", linthresh=0.1, linscale=0.3)
            axes.set_yticks([0, 0.1, 1, 10, 100], ["0", "0.1", "1", "10", "100"])
    axes.set_ylim(bottom=0)
    axes.set_xlim(min(edges[0] for _, _, edges, _ in sets), max(edges[-1] for _, _, edges, _ in sets))
    if len(shown) > 1:
        canvas.legend(axes, shown)
    axes.set_xlabel(what)
    axes.set_ylabel("share (%)")
    canvas.title(axes, first.heading, "; ".join(notes))


def _peaked(percent: np.ndarray) -> bool:
    """Whether one bin towers over all others."""
    order = np.sort(percent)[::-1]
    return len(order) > 2 and order[0] > 60 and order[1] < 8


Set = tuple[str, np.ndarray, np.ndarray, str]
"""A label, counts, the edges of their bins, and what has to be said."""


def _is_weights(subject: Subject) -> bool:
    found = axes_of(subject)
    of_record = subject.record is None or ("reduce" not in subject.record.attrs and len(subject.record.axes) >= 2)
    return of_record and found is not None and (is_matrix(found[0]) or is_kernel(found[0]))


def _weights(subjects: list[Subject]) -> list[Set]:
    each = [(subject, matrix) for subject in subjects for matrix in matrices(subject)]
    pieces = [block for _, matrix in each for block in _ends(matrix)]
    edges = _edges(min(map(_low, pieces)), max(map(_high, pieces)))
    found = []
    for subject, matrix in each:
        counts = np.zeros(BINS, np.int64)
        for block in matrix.blocks():
            counts += np.histogram(block[np.isfinite(block)], edges)[0]
        found.append((f"{subject.label} {matrix.when}".strip(), counts, edges, ""))
    return found


def _ends(matrix: Matrix) -> list[np.ndarray]:
    """The smallest and the largest of the weights."""
    finite = (block[np.isfinite(block)] for block in matrix.blocks())
    return [np.array([_low(some), _high(some)]) for some in finite if some.size] or [np.empty(0)]


def _low(values: np.ndarray) -> float:
    return float(values.min(initial=math.inf))


def _high(values: np.ndarray) -> float:
    return float(values.max(initial=-math.inf))


def _edges(low: float, high: float) -> np.ndarray:
    if not math.isfinite(low) or not math.isfinite(high):
        low, high = 0.0, 1.0
    if low == high:
        low, high = low - 0.5, high + 0.5
    return np.linspace(low, high, BINS + 1)


def _values(subjects: list[Subject]) -> list[Set]:
    looked = []
    low, high = math.inf, -math.inf
    for subject in subjects:
        if subject.record is None:
            component, _, compartment = subject.name.partition(".")
            when = "final" if subject.name in subject.run.states("final") else "initial"
            blocks = [np.asarray(getattr(subject.run, when)(component, compartment))]
            looked.append((subject, lambda blocks=blocks: iter(blocks), ""))
        else:
            looked.append((subject, *_of_record(subject)))
        for block in looked[-1][1]():
            some = block[np.isfinite(block)]
            low, high = min(low, _low(some)), max(high, _high(some))
    edges = _edges(low, high)
    found = []
    for subject, blocks, note in looked:
        counts = np.zeros(BINS, np.int64)
        for block in blocks():
            counts += np.histogram(block[np.isfinite(block)], edges)[0]
        found.append((subject.label, counts, edges, note))
    return found


def _of_record(subject: Subject) -> tuple[Any, str]:
    """The blocks of values of a record in the part, and what has to be said of them."""
    record = subject.trace
    units = unit_axis(record)
    at = columns(units, subject.part, record.name)
    start, stop = subject.rows
    ranges = spread(record.data, start, stop, budget=subject.budget // 2)
    read = sum(last - first for first, last in ranges)
    note = "" if read == stop - start else f"{share(read, stop - start)} of the rows, evenly spread"
    rows = record.batch if record.axes and record.axes[0][0] == "row" else 1

    def blocks() -> Any:
        for first, last in ranges:
            block = np.asarray(record.data[first:last])
            yield block if len(at) == len(units) else block.reshape(len(block), rows, -1)[:, :, at]

    return blocks, note


def _intervals(subjects: list[Subject]) -> tuple[list[Set], str, list[str]]:
    found = [trains(each) for each in subjects]
    counts = [intervals(each) for each in found]
    longest = max(_reach(each) for each in counts)
    per = max(1, -(-longest // BINS))
    sets, notes = [], []
    for subject, one, some in zip(subjects, found, counts, strict=True):
        binned = np.add.reduceat(some[: longest + 1], np.arange(0, min(len(some), longest + 1), per))
        total = int(some.sum())
        beyond = total - int(binned.sum())
        edges = (np.arange(len(binned) + 1) * per - 0.5) * one.dt
        sets.append((subject.label, binned, np.maximum(edges, 0.0), ""))
        mean = float((some * np.arange(len(some))).sum() / total * one.dt) if total else math.nan
        told = f"{total:,} intervals of {who(one)} within trials, mean {number(mean)} ms"
        told += f"; {share(beyond, total)} are longer than the axis" if beyond else ""
        notes.append(f"{subject.label}: {told}" if subject.label else told)
        notes += [one.note] if one.note else []
    return sets, "interval between spikes (ms)", notes


def _reach(counts: np.ndarray) -> int:
    """Steps up to which 99.5 % of the intervals are."""
    total = counts.sum()
    return int(np.searchsorted(np.cumsum(counts), 0.995 * total)) if total else 1


def intervals(found: Trains) -> np.ndarray:
    """How many intervals of each number of steps there are, between spikes of one train within one trial."""
    last = np.full(max(1, found.lanes), np.nan)
    counts = np.zeros(1, np.int64)
    starts = found.starts
    for times, lanes in found.blocks():
        order = np.lexsort((times, lanes))
        times, lanes = times[order], lanes[order]
        trial = np.searchsorted(starts, times + found.dt / 2, "right")
        new = np.r_[True, lanes[1:] != lanes[:-1]] if len(lanes) else np.empty(0, bool)
        before = np.r_[np.nan, times[:-1]] if len(times) else times
        before = np.where(new, last[lanes], before)
        earlier = np.searchsorted(starts, np.nan_to_num(before, nan=-1.0) + found.dt / 2, "right")
        inside = np.isfinite(before) & (earlier == trial)
        steps = np.rint((times - before)[inside] / found.dt).astype(np.int64)
        some = np.bincount(np.minimum(steps, LONGEST))
        if len(some) > len(counts):
            counts = np.pad(counts, (0, len(some) - len(counts)))
        counts[: len(some)] += some
        ends = np.r_[lanes[1:] != lanes[:-1], True] if len(lanes) else np.empty(0, bool)
        last[lanes[ends]] = times[ends]
    return counts
