"""Arrays and spikes out of an HDF5 file that may be anybody's.

Nothing in it is trusted, nothing outside it is followed.
"""

from __future__ import annotations

import io
import math
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np

from synsim import compression, sandbox
from synsim.faults import listing, suggest
from synsim.segments import open_to_read


def read_array(path: str | Path, key: str, budget: int) -> np.ndarray:
    """The numbers of dataset `key` in an HDF5 file that may be anybody's; a ValueError says what is wrong with it.

    Refused are links into other files, datasets stored elsewhere or put together from others, anything but plain
    numbers, filters other than HDF5's own, and more than `budget` bytes, judged before a byte is read. Within
    `sandbox.sandboxed` the file is read in a child process, and a file that crashes HDF5 is a StoreError.
    """
    if sandbox.wanted():
        return _apart("array", path, key, budget)["values"]
    with _opened(path) as file:
        return _numbers(file, key, budget)


def shape_of_part(path: str | Path, key: str) -> tuple[tuple[int, ...], np.dtype] | None:
    """Shape and type of a dataset that `read_part` can read; None where the file is to be read in another process, or
    holds less than it says."""
    if sandbox.wanted():
        return None
    with _opened(path) as file:
        dataset = _checked(file, key)
        created = dataset.id.get_create_plist()
        most = compression.most(created.get_filter(n)[0] for n in range(created.get_nfilters()))
        size = math.prod(dataset.shape) * dataset.dtype.itemsize
        return (tuple(dataset.shape), dataset.dtype) if dataset.id.get_storage_size() * most >= size else None


def read_part(path: str | Path, key: str, part: tuple[Any, ...], shape: tuple[int, ...]) -> np.ndarray:
    """A part of a dataset that is held to what `read_array` asks of one, and has that shape still."""
    with _opened(path) as file:
        dataset = _checked(file, key)
        if tuple(dataset.shape) != shape:
            raise ValueError(f"{key} had shape {shape} and has {dataset.shape}")
        return dataset[part]


class SpikeTrains(NamedTuple):
    """The spikes of one population: times in ms, units, rows of the batch and number of units where they are told."""

    times: np.ndarray
    units: np.ndarray
    rows: np.ndarray | None
    size: int | None


class NoPopulation(ValueError):
    """The population that was asked for is not there, or none was named and there are several."""


def read_spikes(path: str | Path, population: str | None, budget: int) -> SpikeTrains:
    """The spikes of a SONATA file, of the present layout or the one before it, or of a synsim run.

    /spikes/<population>/timestamps and node_ids, or /spikes/timestamps and gids. A ValueError says what is wrong; no
    more is trusted than by `read_array`.
    """
    if sandbox.wanted():
        found = _apart("spikes", path, population or "", budget)
        size = found.get("size")
        return SpikeTrains(found["times"], found["units"], found.get("rows"), None if size is None else int(size))
    with _opened(path) as file:
        spikes = _group(file, "spikes")
        if spikes is None:
            raise ValueError("it has no group /spikes, as SONATA files have")
        populations = {name: found for name in spikes.keys() if (found := _group(spikes, name)) is not None}
        if "timestamps" in spikes.keys():
            if population is not None:
                raise NoPopulation("its spikes are of no named population; leave population out")
            group, place = spikes, "spikes"
        else:
            there = ", ".join([*populations][:12]) or "none"
            if population is None and len(populations) != 1:
                raise NoPopulation(f"say which population of it; there are: {there}")
            name = next(iter(populations)) if population is None else population
            if name not in populations:
                near = suggest(name, populations)
                raise NoPopulation(f"there is no population {name!r} in it.{near} There are: {there}")
            group, place = populations[name], f"spikes/{name}"
        ids = "node_ids" if "node_ids" in group.keys() else "gids"
        times = _numbers(file, f"{place}/timestamps", budget).astype(np.float64) * _in_ms(file, f"{place}/timestamps")
        units = _numbers(file, f"{place}/{ids}", budget)
        rows = _numbers(file, f"{place}/row", budget) if "row" in group.keys() else None
        size = group.attrs.get("units") if "component" in group.attrs else None  # of a synsim run
        return SpikeTrains(times, units, rows, None if size is None else int(size))


TIME_UNITS = {"ms": 1.0, "millisecond": 1.0, "milliseconds": 1.0, "s": 1e3, "second": 1e3, "seconds": 1e3}


def _in_ms(file: h5py.File, key: str) -> float:
    """The unit of a dataset of times in ms, which SONATA's are where they do not say."""
    unit = _resolve(file, key).attrs.get("units", "ms")
    unit = unit.decode("utf-8", "replace") if isinstance(unit, bytes) else unit
    if not isinstance(unit, str) or unit not in TIME_UNITS:
        raise ValueError(f"{key} has the unit {str(unit)[:40]!r}; only milliseconds and seconds are known")
    return TIME_UNITS[unit]


def _group(at: h5py.Group, name: str) -> h5py.Group | None:
    """The group of this name, where there is one in this file."""
    link = at.get(name, getlink=True) if name in at.keys() else None
    item = at[name] if isinstance(link, h5py.HardLink) else None
    return item if isinstance(item, h5py.Group) else None


@contextmanager
def _opened(path: str | Path) -> Iterator[h5py.File]:
    """A file, whose every fault is a ValueError."""
    try:
        with open_to_read(path) as file:
            yield file
    except (OSError, KeyError, RuntimeError, TypeError, AttributeError, MemoryError, OverflowError) as error:
        raise ValueError(f"cannot be read as HDF5 ({' '.join(str(error).split())[:200]})") from error


def _numbers(file: h5py.File, key: str, budget: int) -> np.ndarray:
    dataset = _checked(file, key)
    size = math.prod(dataset.shape) * dataset.dtype.itemsize
    if size > budget:
        raise ValueError(
            f"{key} has shape {dataset.shape}, {size / 1e6:.0f} MB, and {budget / 1e6:.0f} MB are to be had"
        )
    return dataset[...]


def _checked(file: h5py.File, key: str) -> h5py.Dataset:
    """A dataset of plain numbers, all of them in this file and compressed in no way that is not known."""
    dataset = _resolve(file, key)
    dtype, count = dataset.dtype, math.prod(dataset.shape or ())
    if dataset.shape is None or dtype.kind not in "biuf" or dtype.names or dtype.hasobject:
        raise ValueError(f"{key} does not hold numbers, but {dtype}")
    if dataset.is_virtual or dataset.external:
        raise ValueError(f"{key} is stored in other files; copy its values into one")
    created = dataset.id.get_create_plist()
    filters = [created.get_filter(n)[0] for n in range(created.get_nfilters())]
    known = {h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32, *compression.FILTERS.values()}
    if not known.issuperset(filters):
        raise ValueError(f"{key} is compressed by something other than {listing(compression.FILTERS)}")
    if fault := compression.missing(compression.names_of(filters)):
        raise ValueError(f"{key} is compressed: {fault}")
    if not compression.names_of(filters) and dataset.id.get_storage_size() < count * dtype.itemsize:
        raise ValueError(f"{key} says that it has shape {dataset.shape}, but holds fewer values")
    return dataset


def _resolve(file: h5py.File, key: str, hops: int = 0) -> h5py.Dataset:
    at: Any = file
    pieces = [piece for piece in key.split("/") if piece]
    for number, piece in enumerate(pieces):
        if not isinstance(at, h5py.Group) or piece not in at.keys():
            here = sorted(at.keys()) if isinstance(at, h5py.Group) else []
            there = ", ".join(here[:12]) or "no others"
            raise ValueError(f"there is no {key!r} in it.{suggest(piece, here)} In {at.name} there are: {there}")
        link = at.get(piece, getlink=True)
        if isinstance(link, h5py.ExternalLink):
            raise ValueError(f"{key} leads into another file; name that file instead")
        if isinstance(link, h5py.SoftLink):
            if hops > 16:
                raise ValueError(f"{key} is a circle of links")
            target = link.path if link.path.startswith("/") else f"{at.name}/{link.path}"
            return _resolve(file, "/".join([target, *pieces[number + 1 :]]), hops + 1)
        at = at[piece]
    if not isinstance(at, h5py.Dataset):
        names = ", ".join(list(at.keys())[:12]) if isinstance(at, h5py.Group) else ""
        raise ValueError(f"{key or '/'} is a group, not an array; it holds {names or 'nothing'}")
    return at


def _apart(what: str, path: str | Path, key: str, budget: int) -> dict[str, np.ndarray]:
    """What a child process that reads the file gives back."""
    code, out, said = sandbox.apart(__name__, [what, os.fspath(path), key, str(budget)], os.fspath(path), 3 * budget)
    if code:
        words = said.decode(errors="replace").strip().splitlines()
        raise (NoPopulation if code == _NO_POPULATION else ValueError)(words[-1] if words else "it cannot be read")
    with np.load(io.BytesIO(out), allow_pickle=False) as found:
        return dict(found)


_NO_POPULATION = 3  # the child's exit code


def _read_for_parent(what: str, path: str, key: str, budget: int) -> dict[str, np.ndarray]:
    if what == "array":
        return {"values": read_array(path, key, budget)}
    found = read_spikes(path, key or None, budget)._asdict()
    return {name: np.asarray(value) for name, value in found.items() if value is not None}


if __name__ == "__main__":
    try:
        np.savez(sys.stdout.buffer, **_read_for_parent(*sys.argv[1:4], int(sys.argv[4])))  # type: ignore[arg-type]
    except ValueError as error:
        print(error, file=sys.stderr)
        sys.exit(_NO_POPULATION if type(error).__name__ == "NoPopulation" else 1)
