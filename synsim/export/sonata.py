"""Records as SONATA: spikes.h5, and a report for each trace, as simulators of that family write them.

A run's file holds its spikes and evenly spaced float32 traces as SONATA already; here each row of the batch is a
population of its own, and doubles become the floats that reports hold.

Source: the SONATA developer guide, its sections on spike files and on reports.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import h5py
import numpy as np

from synsim.export.chosen import Chosen, spans
from synsim.faults import StoreError
from synsim.files import Disk
from synsim.layout import BY_TIME, chunk_shape
from synsim.reading import Record
from synsim.trains import Trains

MAGIC, VERSION = np.uint32(0x0A7A), np.array([0, 1], np.uint32)


def why_not(record: Record) -> str | None:
    """Why a record is no SONATA report, or None where it can be one."""
    axes = [name for name, _ in record.axes if name != "row"]
    if axes != ["unit"]:
        return f"a SONATA report has one value a unit; a row of it is {' x '.join(axes) or 'one number'}"
    if not record.interval:
        return "a SONATA report is evenly spaced in time, and it has a row a trial"
    before = None
    for part in spans(record):
        times = np.asarray(record.time[part])
        gaps = np.diff(times if before is None else np.append(before, times))
        if gaps.size and np.abs(gaps - record.interval).max() > record.interval * 1e-3:
            return "a SONATA report is evenly spaced in time, and it has gaps (a window, or phases without it)"
        before = times[-1:]
    return None


def files(what: Chosen) -> Iterable[str]:
    """The files that are written."""
    return [*(["spikes.h5"] if what.spikes else []), *(f"{name}.h5" for name in what.records)]


def write_file(fd: int, name: str, what: Chosen) -> None:
    """Write one of them."""
    disk = Disk(fd)
    try:
        with h5py.File(disk, "w", libver="v110") as file:
            file.attrs["magic"], file.attrs["version"] = MAGIC, VERSION
            if name == "spikes.h5":
                for trains in what.spikes.values():
                    _spikes(file, trains, _population(trains, what), disk)
            else:
                _report(file, what.records[name.removesuffix(".h5")], disk)
    except Exception:
        disk.check()  # what HDF5 says after a swallowed failure is not the cause
        raise
    disk.check()


def _population(trains: Trains, what: Chosen) -> str:
    """The component, or the whole name where it has several spiking outlets."""
    component = trains.name.partition(".")[0]
    return component if sum(name.startswith(f"{component}.") for name in what.spikes) == 1 else trains.name


def _spikes(file: h5py.File, trains: Trains, population: str, disk: Disk) -> None:
    for row in trains.rows.tolist():
        own = trains.select(row=row) if trains.batch > 1 else trains
        group = file.create_group(f"spikes/{population}{f'_row{row}' if trains.batch > 1 else ''}")
        group.attrs.create("sorting", BY_TIME["by_time"], dtype=h5py.enum_dtype(BY_TIME, basetype="u1"))
        count = len(own)
        shape = {"shape": (count,), "chunks": chunk_shape((count,), 8) if count else None}
        times = group.create_dataset("timestamps", dtype=np.float64, **shape)
        times.attrs["units"] = "ms"
        ids = group.create_dataset("node_ids", dtype=np.uint64, **shape)
        at = 0
        for block in own.blocks(["timestamps", "node_ids"]):
            part = slice(at, at + len(block["timestamps"]))
            times[part], ids[part], at = block["timestamps"], block["node_ids"], part.stop
            disk.check()


def _report(file: h5py.File, record: Record, disk: Disk) -> None:
    coords = dict(record.axes)
    units = np.sort(coords["unit"]).astype(np.uint64)
    order = np.argsort(coords["unit"], kind="stable")
    if len(np.unique(units)) != len(units):
        raise StoreError(f"{record.name} is damaged: a unit is in it twice")
    rows = coords["row"].tolist() if "row" in coords else [None]
    step = float(record.interval or 0.0)
    begin = float(record.time[0]) if len(record) else 0.0
    shape = (len(record), len(units))
    made = []
    for row in rows:
        group = file.create_group(f"report/{record.component}{'' if row is None else f'_row{row}'}")
        chunks = chunk_shape(shape, 4) if math.prod(shape) else None
        data = group.create_dataset("data", shape, np.float32, chunks=chunks)
        data.attrs["units"] = record.unit or "1"
        mapping = group.create_group("mapping")
        mapping["node_ids"] = units
        mapping["node_ids"].attrs["sorted"] = np.uint8(1)
        mapping["index_pointers"] = np.arange(len(units) + 1, dtype=np.uint64)
        mapping["element_ids"] = np.zeros(len(units), np.uint32)
        mapping["time"] = np.array([begin, begin + len(record) * step, step])
        mapping["time"].attrs["units"] = "ms"
        made.append(data)
    for part in spans(record):
        block = record.data[part]
        for place, data in enumerate(made):
            own = block if rows == [None] else block[:, place]
            data[part] = own[:, order]
        disk.check()
