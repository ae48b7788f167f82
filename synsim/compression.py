"""How the rows of a record are compressed in HDF5: gzip, which every reader knows, or zstd and lz4 from hdf5plugin.

A filter takes chunks of about half a MiB whose bytes are shuffled first, so that equal exponents stand side by side.
No number changes. zstd and lz4 need the extra `compression` to be written and to be read.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from typing import Any

from synsim.faults import StoreError

FILTERS: Mapping[str, int] = {"gzip": 1, "zstd": 32015, "lz4": 32004}
"""The numbers that the HDF Group gives to filters."""

OWN = "gzip"  # in HDF5 itself

LEVELS: Mapping[str, tuple[int, ...]] = {"gzip": (4,), "zstd": (3,), "lz4": (0,)}
"""Effort, which decides about bytes and seconds only; of lz4 the block size, 0 for its own choice."""

EXPANDS_TO: Mapping[int, int] = {1: 1040, 32015: 1 << 15, 32004: 260}
"""Bytes that a filter can make of one at the most, and a little more."""


def missing(names: Iterable[str]) -> str | None:
    """What to say where a filter among these is not to be had; it is loaded otherwise."""
    wanted = sorted({name for name in names if name != OWN})
    if not wanted:
        return None
    try:
        importlib.import_module("hdf5plugin")  # which tells HDF5 of its filters
    except ImportError:
        return (
            f"{' and '.join(wanted)} comes with hdf5plugin, which is not installed: pip install 'synsim[compression]'"
        )
    return None


def require(names: Iterable[str], what: str) -> None:
    """Load the filters of a file. Raises StoreError where one is not to be had."""
    if fault := missing(names):
        raise StoreError(f"{what}: {fault}")


def most(filters: Iterable[int]) -> int:
    """Bytes that a chunk with these filters can make of one at the most."""
    return max([1, *(EXPANDS_TO[number] for number in filters if number in EXPANDS_TO)])


def names_of(filters: Iterable[int]) -> list[str]:
    """Those of a dataset's filters that compress, by name."""
    known = {number: name for name, number in FILTERS.items()}
    return [known[number] for number in filters if number in known]


def apply(how: Any, name: str | None) -> None:
    """Make a dataset's creation list say how its chunks are compressed, and that a damaged byte is an error."""
    if name is not None:
        how.set_shuffle()
        if name == OWN:
            how.set_deflate(*LEVELS[name])
        else:
            how.set_filter(FILTERS[name], 0, LEVELS[name])
    how.set_fletcher32()


def options(name: str | None) -> dict[str, Any]:
    """The same for h5py's `create_dataset`."""
    if name is None:
        return {"fletcher32": True}
    how = {"compression": OWN, "compression_opts": LEVELS[name][0]}
    if name != OWN:
        how = {"compression": FILTERS[name], "compression_opts": LEVELS[name]}
    return {**how, "shuffle": True, "fletcher32": True}
