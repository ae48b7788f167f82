"""A small run as the store sees it, for tests: its numbers say where they belong."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np

from synsim.store import Events, LabelLayout, Layout, RecordLayout, Trace, Trials, Writer

STEPS, TRIALS, DT = 20, 6, 0.5  # steps of a trial, trials, ms
ALL_STEPS = STEPS * TRIALS
UNITS = np.arange(4)


def layout(batch: int = 1, dtype: str = "float32", name: str = "small") -> Layout:
    rows = (("row", np.arange(batch)),) if batch > 1 else ()
    shape = (batch,) if batch > 1 else ()
    return Layout(
        name=name,
        records=(
            RecordLayout(
                "z", "v", "report", (*shape, 4), (*rows, ("unit", UNITS)), "mV", "Membrane potential.", dtype, DT, batch
            ),
            RecordLayout("z", "s", "events", (*shape, 4), (), "", "Spikes emitted this step.", batch=batch),
            RecordLayout("z", "rate", "record", shape, rows, "Hz", "Mean rate.", dtype, DT * 5, batch),
            RecordLayout(
                "W",
                "weights",
                "record",
                (3, 4),
                (("pre_unit", np.arange(3)), ("post_unit", UNITS)),
                "",
                "Weights.",
                dtype,
                None,
                1,
            ),
        ),
        attrs={"seed": 7, "precision": dtype, "synsim": "0", "device": "cpu"},
        config_text="name: small\n# café\nseed: 7\n",
        config_resolved='{"name": "small", "seed": 7}',
        dt=DT,
        batch=batch,
        labels=(LabelLayout("labels"), LabelLayout("onehot", (3,), ("unit",), "float64")),
        phases=("train", "test"),
    )


def membrane(step: np.ndarray, batch: int) -> np.ndarray:
    """z.v at some steps of the run: it says which step, row and unit it is of."""
    rows = np.arange(batch)[None, :, None] if batch > 1 else 0
    value = -65 + step[(slice(None),) + (None,) * (2 if batch > 1 else 1)] * 0.25 + rows * 0.03125 + UNITS * 0.0078125
    return value


def blocks(first: int, last: int, batch: int = 1) -> tuple[dict[str, Trace | Events], Trials]:
    """The rows of steps `first` up to `last`."""
    step = np.arange(first, last)
    trial, phase = step // STEPS, (step // STEPS) // (TRIALS // 2)
    fifth = step[step % 5 == 0]
    ends = step[step % STEPS == STEPS - 1]
    starts = step[step % STEPS == 0] // STEPS
    spiking = step[step % 3 == 0]
    width = (batch,) if batch > 1 else ()
    rate = np.broadcast_to(fifth.reshape(-1, *(1 for _ in width)), (len(fifth), *width)).astype(float)
    weights = np.arange(12.0).reshape(3, 4) + ends[:, None, None]
    row = np.stack([starts * batch + b for b in range(batch)], axis=-1)
    fields = {
        "z.v": Trace(membrane(step, batch), step * DT, trial, phase),
        "z.s": Events(spiking * DT, spiking % 4, spiking // STEPS, spiking % batch if batch > 1 else None),
        "z.rate": Trace(rate, fifth * DT, fifth // STEPS, fifth // STEPS // 3),
        "W.weights": Trace(weights, ends * DT, ends // STEPS, ends // STEPS // 3),
    }
    labels = {"labels": row % 10, "onehot": np.eye(3)[row % 3]}
    if batch == 1:
        row, labels = row[:, 0], {name: value[:, 0] for name, value in labels.items()}
    return fields, Trials(starts // 3, np.zeros(len(starts), int), starts * STEPS * DT, row, labels)


def states(batch: int = 1) -> dict:
    weights = (np.arange(12, dtype=np.float32).reshape(3, 4), "", "Weights.", ("pre_unit", "post_unit"))
    bias = (np.full((1, 4), 0.5, np.float32), "", "Bias.", ("unit", "unit"))
    return {
        "W": {"weights": weights, "biases": bias},
        "z": {"v": (np.full((batch, 4), -60.0, np.float32), "mV", "Membrane potential.", ("row", "unit"))},
    }


def write(
    directory: Path, cuts: Iterator[int] | tuple[int, ...] = (), *, batch: int = 1, dtype: str = "float32"
) -> Path:
    """The whole run with segments that end at `cuts`; the path of its file."""
    writer = Writer(directory, layout(batch, dtype))
    writer.initial({"W": states()["W"]})
    borders = [0, *cuts, STEPS * TRIALS]
    for first, last in zip(borders, borders[1:], strict=False):
        writer.segment(first, last, *blocks(first, last, batch))
    return writer.finish(states(batch), {"started": "2026-01-02T03:04:05+00:00", "command": "synsim run small.yaml"})


def same_but_for_provenance(one: Path, other: Path) -> None:
    """Every group, dataset, attribute and link of two files, bit for bit, but for what stands in /provenance."""
    with h5py.File(one) as a, h5py.File(other) as b:
        _same(a, b)


def _same(a: h5py.Group, b: h5py.Group) -> None:
    assert a.name == b.name
    if a.name == "/provenance":
        return
    _same_attributes(a, b)
    assert list(a) == list(b), a.name
    for name in a:
        links = [group.get(name, getlink=True) for group in (a, b)]
        if isinstance(links[0], h5py.SoftLink):
            assert isinstance(links[1], h5py.SoftLink) and links[0].path == links[1].path
            continue
        one, other = a[name], b[name]
        if isinstance(one, h5py.Group):
            _same(one, other)
            continue
        assert (one.shape, one.dtype, one.chunks) == (other.shape, other.dtype, other.chunks), one.name
        _same_attributes(one, other)
        x, y = one[()], other[()]
        same = x == y if isinstance(x, bytes) or one.dtype.hasobject else x.tobytes() == y.tobytes()
        assert np.all(same), one.name


def _same_attributes(a: h5py.HLObject, b: h5py.HLObject) -> None:
    assert sorted(a.attrs) == sorted(b.attrs), a.name
    for key in a.attrs:
        if key in ("DIMENSION_LIST", "REFERENCE_LIST"):  # references are addresses in the file
            assert len(a.attrs[key]) == len(b.attrs[key])
            continue
        assert np.array_equal(a.attrs[key], b.attrs[key]), f"{a.name} {key}"
