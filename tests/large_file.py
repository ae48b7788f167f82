"""A file of 20 GB such as `synsim run` leaves, made in seconds: nearly all of its voltages are zeros, which the file
system does not store. It is whole: every chunk is there with its checksum, and HDF5 cannot tell it from another.

    python tests/large_file.py FOLDER [GIGABYTES]
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

import synsim
from synsim.files import Disk
from synsim.layout import Layout, chunk_shape, plan
from synsim.merging import create, fill
from synsim.segments import VERSION

UNITS, DT, TRIALS = 500, 0.1, 20
STORED_EVERY = 200  # of so many chunks of voltages one has values that are not 0
LOW, HIGH = -80.0, 30.0  # of the voltages, which the first and the last row hold
CONFIG = """
name: large
seed: 5
run: {{dt: 0.1, steps: {steps}, trials: 20}}
components:
  drive: {{type: ConstantSource, n_units: 500, value: 2}}
  W: {{type: StaticSynapse, shape: [500, 500], weight_init: {{type: uniform, low: 0.0, high: 0.1}}}}
  z: {{type: LIFCell, n_units: 500, tau_m: 20}}
wires: {{W.inputs: z.s, z.j: W.outputs + drive.outputs}}
record: {{z.v: {{}}, z.s: {{as: events}}, W.weights: {{every: trial}}}}
"""


class Sparse(Disk):
    """A file in which blocks of zeros are holes."""

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        if len(view) < 1 << 16 or np.frombuffer(view, np.uint8).any():
            return super().write(data)
        self._at += len(view)
        if self._at > os.fstat(self._fd).st_size:
            os.ftruncate(self._fd, self._at)
        return len(view)


def voltage(rows: np.ndarray) -> np.ndarray:
    """z.v in the rows that are stored: a wave of each unit, within LOW and HIGH."""
    phase = rows[:, None] * (2 * np.pi / 5000) + np.arange(UNITS) * 0.01
    return (np.sin(phase) * 10 - 60).astype(np.float32)


def write_large(folder: Path, gigabytes: float = 20.0) -> Path:
    """The file, in `folder`; about 0.3 GB of it are stored."""
    steps = round(gigabytes * 1e9 / (UNITS * 4 * TRIALS))
    count, spikes = steps * TRIALS, steps * TRIALS // 4
    text = CONFIG.format(steps=steps)
    layout: Layout = synsim.check("-", text=text).layout
    random = np.random.default_rng(5)
    rows: Mapping[str, int] = {"z.v": count, "z.s": spikes, "W.weights": TRIALS}
    fired = np.sort(random.integers(0, count, spikes))
    weights = random.uniform(0, 0.1, (UNITS, UNITS)).astype(np.float32)
    state = {"W": {"weights": (weights, "", "Weights.", ("pre_unit", "post_unit"))}}
    about = {"started": "2026-01-02T03:04:05+00:00", "finished": "2026-01-02T04:04:05+00:00", "command": "synsim run"}
    it = plan(layout, rows, TRIALS, steps=count, begins={"z.v": 0.0}, initial=state, final=state, provenance=about)

    def blocks(path: str) -> Iterator[np.ndarray]:
        column, name = it.columns[path], path.rpartition("/")[2]
        if name == "timestamps":
            yield fired * DT
        elif name == "node_ids":
            yield random.integers(0, UNITS, column.shape[0]).astype(np.uint64)
        elif path.startswith("/trials") or path.startswith("/records/W"):
            trial = np.arange(TRIALS)
            ends = {
                "start": trial * steps * DT,
                "time": (trial + 1) * steps * DT - DT,
                "trial": trial,
                "row": trial * 0 - 1,
            }
            if name == "data":
                yield weights + trial[:, None, None].astype(np.float32) * 0.01
            else:
                yield ends.get(name, trial * 0).astype(column.dtype)
        elif name == "time":
            yield np.arange(count) * DT
        elif name == "trial" and path.startswith("/report"):
            yield (np.arange(count) // steps).astype(np.int32)
        elif name == "trial":
            yield (fired // steps).astype(np.int32)
        else:
            yield np.zeros(column.shape, column.dtype)

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "large.h5"
    data = "/report/z.v/data"
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644)
    try:
        with h5py.File(Sparse(fd), "w", libver=VERSION) as file:
            made = create(file, it)
            rest = {each: column for each, column in it.columns.items() if each != data}
            fill(made, type(it)(it.groups, rest, it.links), blocks, lambda: None)
            shape = chunk_shape((count, UNITS), 4)
            zeros = bytes(shape[0] * UNITS * 4 + 4)  # and the checksum of zeros, which is 0
            for first in range(0, count, shape[0]):
                made[data].id.write_direct_chunk((first, 0), zeros)
            for first in range(0, count, shape[0] * STORED_EVERY):
                here = np.arange(first, min(first + shape[0], count))
                made[data][here[0] : here[-1] + 1] = voltage(here)
            made[data][0, :], made[data][-1, :] = LOW, HIGH
    finally:
        os.close(fd)
    return path


if __name__ == "__main__":
    sys.stdout.write(f"{write_large(Path(sys.argv[1]), float(sys.argv[2]) if sys.argv[2:] else 20.0)}\n")
