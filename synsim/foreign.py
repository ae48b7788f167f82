"""One array out of an HDF5 file that may be anybody's: nothing in it is trusted, nothing outside it is followed."""

from __future__ import annotations

import io
import math
import os
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from synsim import sandbox
from synsim.faults import suggest
from synsim.segments import open_to_read


def read_array(path: str | Path, key: str, budget: int) -> np.ndarray:
    """The numbers of dataset `key` in an HDF5 file that may be anybody's; a ValueError says what is wrong with it.

    Refused are links into other files, datasets stored elsewhere or put together from others, anything but plain
    numbers, filters other than HDF5's own, and more than `budget` bytes, judged before a byte is read. Within
    `sandbox.sandboxed` the file is read in a child process, and a file that crashes HDF5 is a StoreError.
    """
    if sandbox.wanted():
        code, out, said = sandbox.apart(__name__, [os.fspath(path), key, str(budget)], os.fspath(path), 3 * budget)
        if code:
            raise ValueError(said.decode(errors="replace").strip().splitlines()[-1] if said.strip() else "unreadable")
        return np.lib.format.read_array(io.BytesIO(out), allow_pickle=False)
    try:
        with open_to_read(path) as file:
            dataset = _resolve(file, key)
            dtype, count = dataset.dtype, math.prod(dataset.shape or ())
            if dataset.shape is None or dtype.kind not in "biuf" or dtype.names or dtype.hasobject:
                raise ValueError(f"{key} does not hold numbers, but {dtype}")
            if dataset.is_virtual or dataset.external:
                raise ValueError(f"{key} is stored in other files; copy its values into one")
            created = dataset.id.get_create_plist()
            filters = [created.get_filter(n)[0] for n in range(created.get_nfilters())]
            known = {h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32}
            if not known.issuperset(filters):
                raise ValueError(f"{key} is compressed by something other than gzip")
            size = count * dtype.itemsize
            if size > budget:
                raise ValueError(
                    f"{key} has shape {dataset.shape}, {size / 1e6:.0f} MB, and {budget / 1e6:.0f} MB are to be had"
                )
            if h5py.h5z.FILTER_DEFLATE not in filters and dataset.id.get_storage_size() < size:
                raise ValueError(f"{key} says that it has shape {dataset.shape}, but holds fewer values")
            return dataset[...]
    except (OSError, KeyError, RuntimeError, TypeError, AttributeError, MemoryError, OverflowError) as error:
        raise ValueError(f"cannot be read as HDF5 ({' '.join(str(error).split())[:200]})") from error


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


if __name__ == "__main__":
    try:
        np.lib.format.write_array(
            sys.stdout.buffer, read_array(sys.argv[1], sys.argv[2], int(sys.argv[3])), None, False
        )
    except ValueError as error:
        sys.exit(str(error))
