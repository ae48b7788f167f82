"""Records as tables of text: a .csv for each.

A record with one value a unit has a column for each; one with more axes has a line for each value. All are written
piece by piece, whatever their length.
"""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from synsim.export.chosen import Chosen, State, phase_names, spans, trial_ends
from synsim.files import write_all
from synsim.reading import Record, Run
from synsim.trains import Trains

LINES = 1 << 17  # that are made at once
TEXT_BYTES = 1 << 20  # of numbers that are texts at once, which take twenty times as much


def record_lines(run: Run, record: Record) -> Iterator[Sequence[Iterable[str]]]:
    """The head, then the columns of piece after piece."""
    if len(record.axes) <= 1:
        units = [f"{record.name}[{unit}]" for _, coords in record.axes for unit in coords.tolist()]
        yield [[name] for name in ("time", "trial", "phase", *(units or [record.name] * (not record.axes)))]
    else:
        yield [[name] for name in ("time", "trial", "phase", *(name for name, _ in record.axes), record.name)]
    for part in spans(record, TEXT_BYTES):
        data = record.data[part]
        about = [texts(record.time[part], "%.12g"), texts(record.trial[part])]
        about.append(texts(phase_names(run, record.phase[part])))
        if len(record.axes) <= 1:
            yield [*about, *(texts(column) for column in data.reshape(len(data), math.prod(data.shape[1:])).T)]
            continue
        many = math.prod(data.shape[1:])
        grid = np.meshgrid(*(coords for _, coords in record.axes), indexing="ij")
        places = [np.tile(texts(each.ravel()), len(data)) for each in grid]
        yield [*(np.repeat(each, many) for each in about), *places, texts(data.ravel())]


def spike_lines(trains: Trains) -> Iterator[Sequence[Iterable[str]]]:
    """time, unit, trial, and row where there are several."""
    head = True
    for block in trains.blocks():
        names = ("timestamps", "node_ids", "trial", *(("row",) if "row" in block else ()))
        if head:
            yield [["time"], ["unit"], *([name] for name in names[2:])]
            head = False
        yield [texts(block[name], "%.12g" if name == "timestamps" else None) for name in names]
    if head:
        yield [["time"], ["unit"], ["trial"], *([["row"]] if trains.batch > 1 else [])]


def state_lines(run: Run, state: State) -> Iterator[Sequence[Iterable[str]]]:
    """A line for each value, after its place."""
    values = state.values(run)
    yield [[name] for name in (*state.axes, state.name)]
    flat, step = values.reshape(-1), LINES
    for start in range(0, flat.size, step):
        at = np.unravel_index(np.arange(start, min(flat.size, start + step)), values.shape) if values.ndim else ()
        yield [*(texts(each) for each in at), texts(flat[start : start + step])]


def trial_lines(run: Run) -> Iterator[Sequence[Iterable[str]]]:
    """The trial table: when each starts and ends, its phase, its rows of data, and its labels."""
    table = run.trials
    columns: dict[str, Any] = {
        "trial": np.arange(len(table)),
        "phase": phase_names(run, table.phase),
        "epoch": table.epoch,
        "start": table.start,
        "stop": trial_ends(run),
    }
    for name, values in {"row": table.row, **table.labels}.items():
        inner = values.shape[1:]
        flat = values.reshape(len(table), math.prod(inner))
        for place in range(flat.shape[1]):
            where = "][".join(map(str, np.unravel_index(place, inner))) if inner else ""
            columns[f"{name}[{where}]" if inner else name] = flat[:, place]
    yield [[name] for name in columns]
    yield [texts(values, "%.12g" if name in ("start", "stop") else None) for name, values in columns.items()]


def tables(run: Run, what: Chosen) -> dict[str, Iterator[Sequence[Iterable[str]]]]:
    """Every table by the name of its file."""
    made = {f"{name}.csv": record_lines(run, record) for name, record in what.records.items()}
    made |= {f"{name}.csv": spike_lines(trains) for name, trains in what.spikes.items()}
    made |= {f"{name}.csv": state_lines(run, state) for name, state in what.states.items()}
    return {**made, "trials.csv": trial_lines(run)} if what.whole else made


def write_table(fd: int, lines: Iterator[Sequence[Iterable[str]]]) -> None:
    """Write one table."""
    for columns in lines:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(zip(*columns, strict=True))
        write_all(fd, text.getvalue().encode())
    os.fsync(fd)


def texts(values: Any, form: str | None = None) -> list[str]:
    """Numbers as the shortest texts that say them exactly, or by a format."""
    values = np.asarray(values)
    if form is not None:
        return [form % value for value in values.tolist()]
    if values.dtype.kind == "f":
        return values.astype("U").tolist()
    return [str(value) for value in values.tolist()]
