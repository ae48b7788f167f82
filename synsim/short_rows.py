"""Short rows of records, which are gathered before they are brought to where they stay.

A few words that are written in every step to memory that is in no cache are waited for in every step; a block of many
rows is not. So rows go to a block that is small enough to stay in the cache, and the block, once it is full, to the
record. Records and blocks have one dimension here, along which many rows are copied in a go.
"""

from __future__ import annotations

from typing import Any

from synsim.later import jnp, lax
from synsim.one_function import on_cpu

GATHERED = 64  # rows of a block
SHORT = 1 << 10  # bytes of a row: a block of longer ones takes the cache from the network

Arrays = dict[str, Any]  # by path


def are_short(record: Any) -> bool:
    """Whether a record, of as many rows, is better written block by block."""
    rows = len(record)
    return on_cpu() and rows >= GATHERED and record.nbytes < SHORT * rows and record.size < 1 << 31


def flat(records: Arrays) -> Arrays:
    """The records, each row behind the one before."""
    return {path: record.reshape(-1) for path, record in records.items()}


def blocks(records: Arrays) -> Arrays:
    """A block for the rows of each record, with none in it yet."""
    return {path: jnp.zeros(GATHERED * (record.size // len(record)), record.dtype) for path, record in records.items()}


def add(gathered: Arrays, rows: Arrays, records: Arrays, i: Any) -> tuple[Arrays, Arrays]:
    """The blocks and the records with row i of each; those before it are in them."""
    at = i % GATHERED
    gathered = {path: _with(block, rows[path].reshape(-1), at) for path, block in gathered.items()}
    records = lax.cond(
        at == GATHERED - 1,
        lambda old, new: {path: _with(old[path], new[path], i // GATHERED) for path in old},
        lambda old, new: old,
        records,
        gathered,
    )
    return gathered, records


def complete(gathered: Arrays, records: Arrays, rows: Any) -> Arrays:
    """The records once there are so many rows, with those of a block that is not full."""

    def one(i: Any, records: Arrays) -> Arrays:
        return {path: _with(records[path], _row(block, i % GATHERED), i) for path, block in gathered.items()}

    return lax.fori_loop(rows - rows % GATHERED, rows, one, records)


def _with(array: Any, piece: Any, n: Any) -> Any:
    """An array with a piece in the n-th place for one of its size."""
    return lax.dynamic_update_slice_in_dim(array, piece, n * piece.size, 0)


def _row(block: Any, n: Any) -> Any:
    size = block.size // GATHERED
    return lax.dynamic_slice_in_dim(block, n * size, size, 0)
