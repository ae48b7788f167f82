"""The power spectrum of a trace, or of the rate of a population."""

from __future__ import annotations

from typing import Any

import numpy as np

from synsim.faults import ConfigError
from synsim.pictures.canvas import Canvas, labelled, number, plain_ticks
from synsim.pictures.counting import trains
from synsim.pictures.rate import after, who
from synsim.pictures.subject import Subject
from synsim.pictures.trace import MOST_LANES, lanes
from synsim.thinning import row_bytes, share

LONGEST = 1 << 15  # values of one piece
FEWEST = 32
MOST_BINS = 1 << 21  # of spikes counted over time


def heights(subjects: list[Subject], width: float) -> list[float]:
    """Inches of the axes."""
    return [2.4]


def draw(canvas: Canvas, cells: list[Any], subjects: list[Subject]) -> None:
    """A line a run, or one a unit where they are few."""
    axes = canvas.axes(cells[0].whole)
    shown: list[tuple[str, str]] = []
    note, unit = "", ""
    for subject in subjects:
        if subject.spikes is not None:
            interval, pieces, unit, names, note = _of_spikes(subject)
        else:
            interval, pieces, unit, names, note = _of_trace(subject)
        frequency, power = welch(pieces, interval)
        for lane, name in enumerate(names):
            colour = canvas.theme.lines[len(shown) % len(canvas.theme.lines)]
            axes.plot(frequency[1:], power[1:, lane], color=colour, linewidth=1.1)
            shown.append((f"{subject.label} {name}".strip(), colour))
    axes.set_xscale("log")
    if all((each.get_ydata() > 0).any() for each in axes.lines):
        axes.set_yscale("log", nonpositive="mask")
    for axis in (axes.xaxis, axes.yaxis):
        plain_ticks(axis)
    axes.grid(True, which="major", color=canvas.theme.faint, linewidth=0.5)
    axes.set_axisbelow(True)
    axes.set_xlabel("frequency (Hz)")
    axes.set_ylabel(labelled("power", f"{unit}²/Hz" if unit else "1/Hz"))
    if len(shown) > 1:
        canvas.legend(axes, shown)
    first = subjects[0]
    canvas.title(axes, f"{first.name}: power spectrum{after(first)}", note)


Pieces = tuple[float, list[np.ndarray], str, tuple[str, ...], str]
"""The interval in ms, pieces (values, lanes) that are evenly spaced, the unit, names of the lanes, a note."""


def _of_spikes(subject: Subject) -> Pieces:
    found = trains(subject)
    steps = max(1, round(found.part.span / found.dt))
    per = max(1, -(-steps // MOST_BINS), round(0.5 / found.dt))
    counts = np.zeros(max(1, steps // per), np.float64)
    for times, _ in found.blocks():
        at = np.rint((times - found.part.start) / found.dt).astype(np.int64) // per
        counts += np.bincount(at[(at >= 0) & (at < len(counts))], minlength=len(counts))
    width = per * found.dt
    rate = counts / (width / 1000 * max(1, found.lanes))
    length = _length(subject, len(rate), len(rate))
    note = f"of the mean rate of {who(found)}, in bins of {number(width)} ms, pieces of {length * width:,.6g} ms"
    pieces = [rate[at : at + length, None] for at in _begins(len(rate), length, length // 2)]
    return width, pieces, "Hz", ("",), f"{note}; {found.note}" if found.note else note


def _of_trace(subject: Subject) -> Pieces:
    record, each = subject.trace, lanes(subject)
    start, stop = subject.rows
    if record.interval is None:
        raise ConfigError(f"{subject.name} is not evenly spaced in time: it has no spectrum")
    # what one trial holds without a gap
    run = stop - start
    if stop > start and int(record.trial[stop - 1]) != int(record.trial[start]):
        from synsim.thinning import place

        first = place(record.trial, int(record.trial[start]), "right")
        gap = float(record.time[first]) - float(record.time[first - 1])
        run = run if gap < 1.5 * record.interval else first - start
    length = _length(subject, run, stop - start)
    begins = [
        start + at + inner
        for at in range(0, max(1, stop - start - run + 1), run)
        for inner in _begins(run, length, length // 2)
    ]
    most = max(8, subject.budget // (length * row_bytes(record.data)))
    chosen = begins if len(begins) <= most else [begins[at] for at in np.arange(most) * len(begins) // most]
    names = each.names if len(each.names) <= MOST_LANES else ("",)
    pieces = []
    for at in chosen:
        values = each.take(np.asarray(record.data[(slice(at, at + length), *each.rest)]))[2]
        if len(values) == length and np.isfinite(values).all():
            pieces.append(values)
    if not pieces:
        raise ConfigError(f"{subject.name} has no stretch of finite values that is long enough for a spectrum")
    note = f"of the mean of {each.band}, " if each.band else ""
    note += f"pieces of {length * record.interval:,.6g} ms"
    if len(chosen) < len(begins):
        note += f", {share(len(chosen), len(begins))} of them, evenly spread"
    return record.interval, pieces, record.unit, names, note


def _length(subject: Subject, run: int, whole: int) -> int:
    """Values of a piece: a power of two, so that about eight pieces and more go into a mean."""
    if run < FEWEST:
        raise ConfigError(f"{subject.name} has {run} values on end: a spectrum needs {FEWEST}")
    wanted = max(FEWEST, min(LONGEST, run, max(whole // 4, min(run, 256))))
    return 1 << (int(wanted).bit_length() - 1)


def _begins(run: int, length: int, hop: int) -> range:
    return range(0, run - length + 1, max(1, hop))


def welch(pieces: list[np.ndarray], interval: float) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies in Hz and the one-sided power density: the mean over pieces without their mean, under Hann windows.

    Source: P. D. Welch (1967), IEEE Trans. Audio Electroacoust. 15, 70-73.
    """
    length = len(pieces[0])
    window = np.hanning(length + 1)[:-1, None]
    per_second = 1000.0 / interval
    total = np.zeros((length // 2 + 1, pieces[0].shape[1]))
    for piece in pieces:
        values = piece.astype(np.float64)
        total += np.abs(np.fft.rfft((values - values.mean(0)) * window, axis=0)) ** 2
    power = total / len(pieces) / (per_second * (window**2).sum())
    power[1 : -1 if length % 2 == 0 else None] *= 2
    return np.fft.rfftfreq(length, 1 / per_second), power
