"""Records as arrays: one .npz, whose entries are written row after row, whatever their length."""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from synsim.export.chosen import Chosen, phase_names, spans
from synsim.reading import Record, Run
from synsim.trains import Trains

Entry = tuple[str, np.dtype, tuple[int, ...], Iterable[np.ndarray]]
"""A name, a type, a shape, and the rows piece by piece."""


def entries(run: Run, what: Chosen) -> Iterator[Entry]:
    """All that the file holds: z.v with z.v.time, z.v.trial, z.v.phase and its axes; z.s.time with z.s.unit."""
    for record in what.records.values():
        yield from _record(record)
    for trains in what.spikes.values():
        yield from _spikes(trains)
    for state in what.states.values():
        yield _whole(state.name, state.values(run))
    if what.whole:
        table = run.trials
        columns = {"phase": phase_names(run, table.phase), "epoch": table.epoch, "start": table.start, "row": table.row}
        for name, values in {**columns, **table.labels}.items():
            yield _whole(f"trials.{name}", values)
        yield _whole("config", np.asarray(json.dumps(run.config)))
    yield _whole("dt", np.asarray(float(run.attrs.get("dt", 1.0))))


def _record(record: Record) -> Iterator[Entry]:
    parts = list(spans(record))
    yield record.name, record.dtype, record.shape, (record.data[part] for part in parts)
    for name in ("time", "trial", "phase"):
        column = getattr(record, name)
        yield f"{record.name}.{name}", column.dtype, column.shape, column.blocks()
    for axis, coords in record.axes:
        yield _whole(f"{record.name}.{axis}", coords)


def _spikes(trains: Trains) -> Iterator[Entry]:
    count = len(trains)
    names = {"timestamps": "time", "node_ids": "unit", "trial": "trial"} | ({"row": "row"} if trains.batch > 1 else {})
    kinds = {"timestamps": np.float64, "node_ids": np.uint64}
    for column, name in names.items():
        pieces = (block[column] for block in trains.blocks([column]))
        yield f"{trains.name}.{name}", np.dtype(kinds.get(column, np.int32)), (count,), pieces


def _whole(name: str, values: Any) -> Entry:
    array = np.asarray(values)
    return name, array.dtype, array.shape, [array]


def write_arrays(fd: int, run: Run, what: Chosen) -> None:
    """Write the .npz."""
    with os.fdopen(os.dup(fd), "wb") as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, dtype, shape, pieces in entries(run, what):
            head = io.BytesIO()
            about = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(head, about)
            # a time of its own would make the file of the same run another one
            entry = zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0))
            with archive.open(entry, "w", force_zip64=True) as inner:
                inner.write(head.getvalue())
                for piece in pieces:
                    inner.write(np.ascontiguousarray(piece, dtype).tobytes())
