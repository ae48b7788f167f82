"""Records as NWB, the format of neurophysiology's archives: units with spike times, time series, and trials.

Times are in seconds there. The config stands in the file as its source script.
"""

from __future__ import annotations

import hashlib
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from synsim.export.chosen import Chosen, phase_names, trial_ends
from synsim.faults import ConfigError
from synsim.files import Disk
from synsim.reading import Record, Run
from synsim.trains import Trains


def why_not(record: Record) -> str | None:
    """Why a record is no NWB time series, or None where it can be one."""
    if len(record.axes) > 3:
        return f"an NWB time series has at most 3 axes beside time, and a row of it has {len(record.axes)}"
    return None if len(record) else "it has no rows yet"


def require() -> None:
    """ConfigError where pynwb is not installed."""
    try:
        import pynwb  # noqa: F401
    except ImportError:
        raise ConfigError("NWB files are written by pynwb, which is not installed: pip install 'synsim[nwb]'") from None


def write_nwb(fd: int, folder: Path, run: Run, what: Chosen) -> None:
    """Write the file; `folder` is where something as large as the spikes may stand meanwhile."""
    import pynwb

    make: Any = pynwb.NWBFile
    writing: Any = pynwb.NWBHDF5IO

    identity = hashlib.sha256(repr([run.config, sorted(run.provenance.items())]).encode()).hexdigest()
    file = make(
        session_description=f"{run.name}: a simulation by synsim",
        identifier=f"{run.name}-{identity[:32]}",
        session_start_time=_started(run),
        source_script=run.config_text or "{}",
        source_script_file_name="config.yaml",
        notes=f"{run.steps:,} steps of {float(run.attrs.get('dt', 1.0)):g} ms, seed {run.seed}",
    )
    if what.whole:
        _trials(file, run)
    for record in what.records.values():
        file.add_acquisition(_series(record))
    with tempfile.TemporaryFile(dir=folder) as held:
        if what.spikes:
            file.units = _units(what, held)
        disk = Disk(fd)
        try:
            with h5py.File(disk, "w", libver="v110") as inner, writing(file=inner, mode="w") as io:
                io.write(file)
        except Exception:
            disk.check()  # what HDF5 says after a swallowed failure is not the cause
            raise
        disk.check()


def _started(run: Run) -> datetime:
    for key in ("started", "finished"):
        try:
            moment = datetime.fromisoformat(str(run.provenance.get(key, run.status.get(key, ""))))
        except ValueError:
            continue
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return datetime(1970, 1, 1, tzinfo=UTC)


def _trials(file: Any, run: Run) -> None:
    table = run.trials
    if not len(table):
        return
    columns: dict[str, tuple[Any, str]] = {
        "phase": (phase_names(run, table.phase), "Phase of the run."),
        "epoch": (table.epoch, "Pass over the data within the phase."),
        "row": (table.row, "Row of the data; -1 where there is none."),
        **{name: (values, f"Data entry {name}.") for name, values in table.labels.items()},
    }
    starts, ends = np.asarray(table.start) / 1000, trial_ends(run) / 1000
    for name, (_, doc) in columns.items():
        file.add_trial_column(name, doc)
    for i in range(len(table)):
        values = {name: each[i] for name, (each, _) in columns.items()}
        file.add_trial(start_time=float(starts[i]), stop_time=float(ends[i]), **values)


def _series(record: Record) -> Any:
    import pynwb
    from hdmf.data_utils import GenericDataChunkIterator

    class Rows(GenericDataChunkIterator):
        """The rows in pieces that fit into memory."""

        def _get_data(self, selection: Any) -> np.ndarray:
            return record.data[selection]

        def _get_maxshape(self) -> tuple[int, ...]:
            return record.shape

        def _get_dtype(self) -> np.dtype:
            return record.dtype

    make: Any = pynwb.TimeSeries
    axes = " x ".join(["time", *(name for name, _ in record.axes)])
    even = record.form == "report" and record.interval
    times = (
        {"starting_time": float(record.time[0]) / 1000, "rate": 1000 / float(record.interval or 1.0)}
        if even
        else {"timestamps": np.asarray(record.time) / 1000}
    )
    return make(
        name=record.name,
        data=Rows(buffer_gb=0.02, chunk_mb=1.0),
        unit=record.unit or "1",
        description=record.doc or record.name,
        comments=f"axes: {axes}",
        **times,
    )


def _units(what: Chosen, held: Any) -> Any:
    """The table of units: each unit of each population, and of each row of the batch, with its spikes."""
    from hdmf.common import ElementIdentifiers, VectorData, VectorIndex
    from pynwb.misc import Units

    counts, about = [], []
    for trains in what.spikes.values():
        counts.append(_counts(trains))
        about += [(trains.name, unit, row) for row in trains.rows.tolist() for unit in trains.units.tolist()]
    ends = np.cumsum(np.concatenate(counts))
    times = _sorted_times(
        list(what.spikes.values()), ends - np.concatenate(counts), int(ends[-1]) if len(ends) else 0, held
    )
    spikes = VectorData(name="spike_times", description="Times of the spikes, in seconds.", data=times)
    columns = [
        spikes,
        VectorIndex(name="spike_times_index", target=spikes, data=ends.astype(np.uint64)),
        VectorData(name="population", description="What spiked.", data=[name for name, _, _ in about]),
        VectorData(name="unit", description="Number of the unit in it.", data=[unit for _, unit, _ in about]),
    ]
    if any(trains.batch > 1 for trains in what.spikes.values()):
        rows = [row for _, _, row in about]
        columns.append(VectorData(name="row", description="Row of the batch.", data=rows))
    return Units(
        name="units",
        description="Simulated units.",
        columns=columns,
        colnames=[each.name for each in columns if each.name != "spike_times_index"],
        id=ElementIdentifiers(name="id", data=list(range(len(about)))),
    )


def _places(trains: Trains, block: dict[str, np.ndarray]) -> np.ndarray:
    """The line of the table, from 0 on, that each spike belongs to."""
    ids = trains.units
    place = np.searchsorted(ids, block["node_ids"])
    if "row" in block:
        place = place + block["row"].astype(np.int64) * len(ids)
    lines = len(ids) * trains.batch
    if place.size and (place.max() >= lines or (ids[place % len(ids)] != block["node_ids"]).any()):
        raise ValueError(f"spikes of {trains.name} are of units that there are not")
    return place


def _names(trains: Trains) -> list[str]:
    return ["timestamps", "node_ids", *(["row"] if trains.batch > 1 else [])]


def _counts(trains: Trains) -> np.ndarray:
    """Spikes of each line of the table."""
    counts = np.zeros(len(trains.units) * trains.batch, np.int64)
    for block in trains.blocks(_names(trains)):
        counts += np.bincount(_places(trains, block), minlength=len(counts))
    return counts


def _sorted_times(populations: list[Trains], starts: np.ndarray, count: int, held: Any) -> np.ndarray:
    """The times in seconds, those of one unit on end: in a file, since they may be more than memory."""
    if not count:
        return np.empty(0)
    times = np.memmap(held, np.float64, "w+", shape=(count,))
    first = 0
    for trains in populations:
        lines = len(trains.units) * trains.batch
        free = starts[first : first + lines].copy()  # where the next spike of each line goes
        for block in trains.blocks(_names(trains)):
            place = _places(trains, block)
            order = np.argsort(place, kind="stable")
            sorted_places = place[order]
            here = np.bincount(place, minlength=lines)
            within = np.arange(len(place)) - np.repeat(np.cumsum(here) - here, here)
            times[free[sorted_places] + within] = block["timestamps"][order] / 1000
            free += here
        first += lines
    return times
