"""Rows of a file as an xarray DataArray that reads what is asked of it, when it is asked.

Nothing of the data is read before it is selected. The times are the index: of long records they too stay in the file,
and are searched there.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import xarray as xr
from xarray.backends import BackendArray
from xarray.core import indexing
from xarray.core.indexing import IndexSelResult

INDEXED_ROWS = 1 << 21  # up to so many times are read, to be an ordinary index
SPAN_BYTES = 1 << 24  # of rows that are read at once where some of them are wanted


class Rows(Protocol):
    """An array in a file, whose first axis is long."""

    dtype: np.dtype

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __len__(self) -> int: ...

    def __getitem__(self, key: Any) -> np.ndarray: ...


Labels = Mapping[str, tuple[Rows, str, str, Mapping[str, Any]]]
"""What is known of each row, by name: the values, their unit, words about them, and further attributes."""


def labelled(
    name: str,
    rows: Rows,
    along: str,
    axes: Sequence[tuple[str, np.ndarray]],
    labels: Labels,
    attrs: Mapping[str, Any],
) -> xr.DataArray:
    """Rows as a DataArray: the first axis is called `along` and has `labels`, the others have their coordinates.

    A label that is called as the axis itself is its index, and ascends.
    """
    coords: dict[str, xr.Variable] = {}
    indexes: dict[str, xr.Index] = {}
    for label, (values, unit, doc, more) in labels.items():
        about = {"units": unit, "long_name": doc, **more}
        if label == along and len(values) > INDEXED_ROWS:
            coords[label], indexes[label] = _variable(along, values, about), AscendingIndex(along, values)
        elif label == along:
            read = np.asarray(values)
            coords[label], indexes[label] = xr.IndexVariable(along, read, about), xr.indexes.PandasIndex(read, along)
        else:
            coords[label] = _variable(along, values, about)
    for axis, numbers in axes:
        coords[axis] = xr.IndexVariable(axis, numbers)
        indexes[axis] = xr.indexes.PandasIndex(numbers, axis)
    dims = (along, *(axis for axis, _ in axes))
    return xr.DataArray(
        xr.Variable(dims, _lazy(rows), dict(attrs), fastpath=True), xr.Coordinates(coords, indexes), name=name
    )


def _variable(along: str, rows: Rows, attrs: Mapping[str, Any]) -> xr.Variable:
    return xr.Variable((along,), _lazy(rows), dict(attrs), fastpath=True)


def _lazy(rows: Rows) -> Any:
    """Rows that are read when they are needed, and copied into memory when somebody writes to them."""
    inner: Any = indexing.LazilyIndexedArray(_InFile(rows))
    return indexing.CopyOnWriteArray(inner)


class _InFile(BackendArray):
    """Rows as xarray asks for them."""

    def __init__(self, rows: Rows):
        self.rows, self.shape, self.dtype = rows, rows.shape, rows.dtype

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        return indexing.explicit_indexing_adapter(
            key, self.shape, indexing.IndexingSupport.OUTER, lambda inner: taken(self.rows, inner)
        )


def taken(rows: Rows, key: tuple[Any, ...]) -> np.ndarray:
    """Some of an array, each part of the key by itself: a number, a slice, or numbers in any order.

    Only rows that are wanted are read, and some between them where they stand close together.
    """
    first, *rest = key
    narrow, after = [], []
    for part, size in zip(rest, rows.shape[1:], strict=True):
        if isinstance(part, np.ndarray):  # read from the smallest to the largest, and pick
            whole = np.where(part < 0, part + size, part)
            low = int(whole.min(initial=size))
            narrow.append(slice(low, max(low, int(whole.max(initial=0)) + 1)))
            after.append(whole - low)
        else:
            narrow.append(part)
            if not isinstance(part, int | np.integer):
                after.append(slice(None))
    if isinstance(first, int | np.integer):
        return _picked(rows[(first, *narrow)], after, 0)
    if isinstance(first, slice):
        start, stop, step = first.indices(len(rows))
        if step == 1:
            return _picked(rows[(slice(start, stop), *narrow)], after, 1)
        first = np.arange(start, stop, step)
    return _picked(_some(rows, np.where(first < 0, first + len(rows), first), narrow), after, 1)


def _picked(block: np.ndarray, after: Sequence[Any], lead: int) -> np.ndarray:
    for axis, part in enumerate(after):
        if not isinstance(part, slice):
            block = np.take(block, part, axis + lead)
    return block


def _some(rows: Rows, wanted: np.ndarray, narrow: Sequence[Any]) -> np.ndarray:
    """Rows by their numbers, read in spans that hold many of them each."""
    at, back = np.unique(wanted, return_inverse=True)
    one = max(1, math.prod(rows.shape[1:]) * rows.dtype.itemsize)
    longest = max(1, SPAN_BYTES // one)
    pieces, i = [rows[(slice(0, 0), *narrow)]], 0
    while i < len(at):
        j = int(np.searchsorted(at, at[i] + longest))
        apart = np.flatnonzero(np.diff(at[i:j]) > max(1, longest // 16))
        j = i + int(apart[0]) + 1 if len(apart) else j
        pieces.append(rows[(slice(int(at[i]), int(at[j - 1]) + 1), *narrow)][at[i:j] - at[i]])
        i = j
    return np.concatenate(pieces)[back]


class AscendingIndex(xr.Index):
    """An index that is searched in the file: values that never descend."""

    def __init__(self, dim: str, rows: Rows, start: int = 0, stop: int | None = None):
        self.dim, self.rows = dim, rows
        self.start, self.stop = start, len(rows) if stop is None else stop

    def create_variables(self, variables: Mapping[Any, xr.Variable] | None = None) -> dict[Any, xr.Variable]:
        attrs = variables[self.dim].attrs if variables is not None and self.dim in variables else {}
        return {self.dim: _variable(self.dim, self.rows, attrs)[self.start : self.stop]}

    def isel(self, indexers: Mapping[Any, Any]) -> xr.Index | None:
        part = indexers[self.dim]
        if not isinstance(part, slice):
            return None
        start, stop, step = part.indices(self.stop - self.start)
        if step != 1:
            return None
        start, stop = self.start + start, self.start + max(start, stop)
        if stop - start > INDEXED_ROWS:
            return AscendingIndex(self.dim, self.rows, start, stop)
        return xr.indexes.PandasIndex(self.rows[start:stop], self.dim)

    def sel(self, labels: dict[Any, Any], method: str | None = None, tolerance: Any = None) -> IndexSelResult:
        label = labels[self.dim]
        if isinstance(label, slice):
            if label.step is not None:
                raise ValueError(f"{self.dim} is selected from one value to another, without a step")
            low = self.start if label.start is None else bisect_left(self.rows, label.start, self.start, self.stop)
            high = self.stop if label.stop is None else bisect_right(self.rows, label.stop, self.start, self.stop)
            return IndexSelResult({self.dim: slice(low - self.start, max(low, high) - self.start)})
        wanted = np.asarray(label)
        found = np.array([self._at(value, method, tolerance) for value in wanted.ravel().tolist()], np.int64)
        if isinstance(label, xr.DataArray | xr.Variable) and wanted.ndim:
            return IndexSelResult({self.dim: xr.Variable(label.dims, found.reshape(wanted.shape))})
        return IndexSelResult({self.dim: found if wanted.ndim else int(found[0])})

    def _at(self, value: Any, method: str | None, tolerance: Any) -> int:
        if method not in (None, "nearest", "pad", "ffill", "backfill", "bfill"):
            raise ValueError(f"there is no method {method!r}: nearest, pad or backfill")
        high = bisect_left(self.rows, value, self.start, self.stop)
        near = [at for at in (high - 1, high) if self.start <= at < self.stop]
        gaps = {at: float(self.rows[at]) - float(value) for at in near}
        if method in ("pad", "ffill"):
            gaps = {at: gap for at, gap in gaps.items() if gap <= 0}
        elif method in ("backfill", "bfill"):
            gaps = {at: gap for at, gap in gaps.items() if gap >= 0}
        elif method is None:
            gaps = {at: gap for at, gap in gaps.items() if gap == 0}
        best = min(gaps, key=lambda at: (abs(gaps[at]), at), default=None)
        if best is None or (tolerance is not None and abs(gaps[best]) > tolerance):
            raise KeyError(f"no {self.dim} {value!r}; method='nearest' takes the one that is nearest")
        return best - self.start

    def equals(self, other: xr.Index, **_: Any) -> bool:
        if not isinstance(other, AscendingIndex):
            return False
        return (self.rows, self.start, self.stop) == (other.rows, other.start, other.stop)
