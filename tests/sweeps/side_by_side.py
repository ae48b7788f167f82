"""Sweeps for tests: made and computed in this process, and held against the runs of their points one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

import synsim
from synsim.config import load
from synsim.sweeps.asking import asked
from synsim.sweeps.ledger import Ledger
from synsim.sweeps.parameters import sweep_of
from synsim.sweeps.task import Done, Task

PLASTIC = """\
name: plastic
seed: 3
run: {steps: 60, trials: 3}
components:
  x: {type: PoissonCell, n_units: 12, target_freq: 300.0}
  W: {type: TraceSTDPSynapse, A_plus: 1.0e-2, A_minus: 1.0e-3, weight_init: {type: uniform, low: 0.0, high: 0.6}}
  z: {type: LIFCell, n_units: 9, tau_m: 20.0, thr: -62.0, refract_time: 2.0, resist_m: 12.0}
  tx: {type: VarTrace, n_units: 12, tau_tr: 20.0}
  tz: {type: VarTrace, n_units: 9, tau_tr: 20.0}
wires:
  {x.inputs: 0.8, W.inputs: x.outputs, z.j: W.outputs, tx.inputs: x.outputs, tz.inputs: z.s, W.preSpike: x.outputs,
   W.preTrace: tx.trace, W.postSpike: z.s, W.postTrace: tz.trace}
record:
  z.s: {as: events}
  z.v: {every: 2}
  z.j: {every: 7, index: [1, 4]}
  W.weights: {every: trial}
  tz.trace: {reduce: mean}
"""

DIGITS = """\
name: digits
seed: 1
run: {steps: 20, trials: 4, batch: 3, shuffle: true}
data:
  image: {type: digits, part: images, rows: "0:30", scale: 0.0625}
  label: {type: digits, part: labels, rows: "0:30"}
components:
  x: {type: PoissonCell, n_units: 64, target_freq: 200.0}
  W: {type: HebbianSynapse, eta: 1.0e-3, w_bound: 1.0, weight_init: {type: uniform, low: 0.0, high: 0.3}}
  z: {type: LIFCell, n_units: 7, tau_m: 20.0, thr: -62.0, resist_m: 12.0}
wires: {x.inputs: image, W.inputs: x.outputs, W.pre: x.outputs, W.post: z.s, z.j: W.outputs}
record:
  label: {every: trial}
  z.s: {as: events}
  z.v: {every: 5}
  W.weights: {every: trial}
phases:
  - {name: learn}
  - {name: look, learning: false, trials: 2, set: {z.thr: -63.0}}
"""


def sweep(text: str, out: Path, arguments: Sequence[str], *, lanes: int | None = None, at_least: int = 1) -> Ledger:
    """The ledger of a sweep that is asked for."""
    spec = load(text) if text.endswith(".yaml") else load("config.yaml", text=text)
    return asked(spec, sweep_of(spec, arguments), lanes=lanes, at_least=at_least).ledger(out)


def computed(ledger: Ledger, **settings: Any) -> Done:
    """What is missing of a sweep, computed."""
    return Task(ledger, **settings).run(ledger.pending())


def alone(text: str, out: Path, ledger: Ledger, number: int) -> Path:
    """The file of a point's run by itself, with the same name."""
    values: Mapping[str, Any] = ledger.values(number)
    name = ledger.point_name(number)
    given = {**values, "name": name}
    spec = load(text, overrides=given) if text.endswith(".yaml") else load("config.yaml", text=text, overrides=given)
    with synsim.run(spec, out=out) as run:
        return run.file


OF_A_SWEEP = ("sweep", "sweep_point", "sweep_values")


def differences(one: Path, other: Path, most: float) -> list[str]:
    """Where two files of runs differ: datasets, shapes, chunks, attributes, and numbers by more than `most` of the
    largest; but for /provenance, and what only the file of a point says."""
    found = []
    with h5py.File(one) as a, h5py.File(other) as b:
        names: list[list[str]] = [[], []]
        for file, own in ((a, names[0]), (b, names[1])):
            file.visit(own.append)
        found += [f"{name} is in one of them" for name in sorted({*names[0]} ^ {*names[1]})]
        for name in ["/", *sorted({*names[0]} & {*names[1]})]:
            x, y = a[name], b[name]
            if not name.startswith("provenance"):
                found += [f"{name} has another {key}" for key in _attributes(x, y)]
            if isinstance(x, h5py.Dataset) and isinstance(y, h5py.Dataset):
                if (x.shape, x.dtype, x.chunks) != (y.shape, y.dtype, y.chunks):
                    found.append(f"{name}: {x.shape} {x.dtype} {x.chunks} and {y.shape} {y.dtype} {y.chunks}")
                elif not _alike(x[()], y[()], most):
                    found.append(f"{name} has other values")
    return found


def _attributes(x: Any, y: Any) -> list[str]:
    keys = {key for key in {*x.attrs, *y.attrs} if key not in (*OF_A_SWEEP, "DIMENSION_LIST", "REFERENCE_LIST")}
    return sorted(
        key
        for key in keys
        if key not in x.attrs or key not in y.attrs or not np.array_equal(x.attrs[key], y.attrs[key])
    )


def _alike(x: Any, y: Any, most: float) -> bool:
    if isinstance(x, np.ndarray) and x.dtype.kind == "f" and x.size:
        return bool(np.abs(x - y).max() <= most * max(1.0, float(np.abs(y).max())))
    return np.array_equal(x, y)
