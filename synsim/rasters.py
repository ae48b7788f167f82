"""Spike times out of files as frames to play: one row a step, one column a unit."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, NamedTuple

from synsim import preflight
from synsim.arrays import Problem, check_finite, reading, table
from synsim.faults import suggest
from synsim.later import np

Several = Literal["refuse", "once", "count"]


ROUNDING = 1e-3  # steps by which a time may have been rounded down, as single precision does


class Clock(NamedTuple):
    """The time that frames are for: the time step in ms, and the number of steps of the longest trial."""

    dt: float
    steps: int


class Trains(NamedTuple):
    """Spikes in any order: times in ms, units, and how many units there are, where the file says so."""

    times: np.ndarray
    units: np.ndarray
    size: int | None


def read_trains(path: Path, population: str | None, columns: tuple[str, str], row: int | None) -> Trains:
    """The spikes in a SONATA file or a .csv, of one row of the batch where they are of several."""
    kind = path.suffix.lower()
    if kind not in (".h5", ".hdf5", ".csv"):
        raise Problem("path", f"{path.name} must end in .h5 or .csv")
    if kind == ".csv" and population is not None:
        raise Problem("population", "a .csv has no populations; leave it out")
    rows = size = None
    with reading(path) as budget:
        if kind == ".csv":
            times, units = _columns(path, columns, budget)
        else:
            times, units, rows, size = _sonata(path, population, budget)
    if times.ndim != 1 or times.shape != units.shape or (rows is not None and rows.shape != times.shape):
        raise Problem("path", f"{path.name} has {times.size} times for {units.size} units")
    check_finite(times, "path")
    if units.dtype.kind not in "iu":
        check_finite(units, "path")
        if (units != np.rint(units)).any():
            raise Problem("path", f"{path.name}: a unit is a whole number, not {units[units != np.rint(units)][0]}")
    if (units < 0).any():
        raise Problem("path", f"{path.name}: a unit is never negative, as {units[units < 0][0]} is")
    chosen = _row(path, rows, row)
    return Trains(times[chosen], units[chosen].astype(np.int64), size)


def _sonata(
    path: Path, population: str | None, budget: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None, int | None]:
    from synsim.store import NoPopulation, read_spikes

    try:
        found = read_spikes(path, population, budget)
    except NoPopulation as error:
        raise Problem("path" if population is None else "population", f"{path.name}: {error}") from None
    return found.times, found.units, found.rows, found.size


def _columns(path: Path, columns: tuple[str, str], budget: int) -> tuple[np.ndarray, np.ndarray]:
    values, names = table(path, budget)
    if values.shape[1] < 2:
        raise Problem("path", f"{path.name} has one column; spikes have two, time and unit")
    if not names:
        return values[:, 0], values[:, 1]
    for column in columns:
        if column not in names:
            there = ", ".join(names[:12])
            raise Problem("columns", f"{path.name} has no column {column!r}.{suggest(column, names)} It has {there}")
    time, unit = (values[:, names.index(column)] for column in columns)
    return time, unit


def _row(path: Path, rows: np.ndarray | None, row: int | None) -> np.ndarray | slice:
    """Which of the spikes are of the row of the batch that is asked for."""
    if rows is None:
        if row is not None:
            raise Problem("row", f"{path.name} has no rows of a batch to choose from; leave row out")
        return slice(None)
    if row is None:
        raise Problem("path", f"{path.name} has the spikes of the rows of a batch: say of which, as row: 0")
    return rows == row


def raster(
    trains: Trains,
    clock: Clock,
    *,
    shape: tuple[int, ...] | None,
    start: float | None,
    stop: float | None,
    several: Several,
) -> np.ndarray:
    """Frames (steps, *shape) of spikes: a time t falls into the step k with start + k dt <= t < start + (k + 1) dt.

    All times are in ms; rounding in them moves no spike. What is before `start` or from `stop` on is left out where
    they are given; what then has no place in the frames is a Problem.
    """
    times, units = trains.times, trains.units
    slack = ROUNDING * clock.dt
    kept = np.ones(len(times), bool)
    if start is not None:
        kept &= times >= start - slack
    if stop is not None:
        kept &= times < stop - slack
    times, units = times[kept], units[kept]
    since = 0.0 if start is None else start
    with np.errstate(over="ignore"):
        step = np.floor((times - since) / clock.dt + ROUNDING)
    if (step < 0).any():
        at = int(step.argmin())
        raise Problem("path", f"{_spike(times, units, at)} is before the run; to leave out such spikes, write start: 0")
    if (step >= clock.steps).any():
        at, end = int(step.argmax()), since + clock.steps * clock.dt
        raise Problem(
            "path" if stop is None else "stop",
            f"{_spike(times, units, at)} is beyond the run, which has {clock.steps} steps and ends at {end:g} ms; to "
            f"leave out such spikes, write stop: {end:g}",
        )
    if shape is None:
        largest = int(units.max()) + 1 if len(units) else 0
        size = largest if trains.size is None else trains.size
        if not size:
            raise Problem("path", "no spike is left, and nothing says how many units there are: write n_units")
        shape = (size,)
    size = int(np.prod(shape, dtype=np.int64))
    if len(units) and units.max() >= size:
        at = int(units.argmax())
        raise Problem(
            "n_units", f"{_spike(times, units, at)} is of no unit: with n_units {size} they are 0 to {size - 1}"
        )
    _fits(clock.steps, size)
    flat = step.astype(np.int64) * size + units
    frames = np.zeros(clock.steps * size, np.float32)
    if several == "count":
        np.add.at(frames, flat, 1.0)
    else:
        frames[flat] = 1.0
        if several == "refuse" and (lost := len(flat) - int(np.count_nonzero(frames))):
            order = np.argsort(flat, kind="stable")
            at = int(order[1:][np.diff(flat[order]) == 0][0])
            raise Problem(
                "several",
                f"{lost} spikes fall into a step that has one of the same unit already, as {_spike(times, units, at)} "
                "does; write several: once or several: count, or a shorter run.dt",
            )
    return frames.reshape(clock.steps, *shape)


def _spike(times: np.ndarray, units: np.ndarray, at: int) -> str:
    return f"the spike of unit {units[at]} at {times[at]:g} ms"


def _fits(steps: int, size: int) -> None:
    budget, needed = preflight.available_memory() // 2, 4 * steps * size
    if needed > budget:
        raise Problem(
            "n_units",
            f"{steps:,} frames of {size:,} units take {needed / 1e6:,.0f} MB; {budget / 1e6:,.0f} MB are to be had",
            missing=True,
        )
