"""Every kind of picture, of what real configs leave, against a picture that somebody looked at.

Pictures are compared as they look from a step back: both in grey and blurred, so that another version of matplotlib or
of a font may move a letter by a pixel, but nothing may be missing, moved or of another darkness. After a change that is
meant, `SYNSIM_NEW_PICTURES=1 pytest tests/pictures` draws them anew; look at them.
"""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

import synsim
from synsim.pictures import draw, kind_of
from synsim.store import Run

CONFIGS = Path(synsim.__file__).parent.parent / "configs"
REFERENCES = Path(__file__).parent / "references"
WIDTH, DPI = 3.6, 80
CELL = 4  # pixels along a side of what is looked at as one
MEAN, MOST = 0.01, 0.22  # by how much cells may differ in grey, on average and at the most

RUNS = {
    "lif": ("lif_fi.yaml", ["run.steps=20000"]),
    "adex": ("adex_patterns.yaml", ["run.steps=3000"]),
    "network": ("izhikevich_network.yaml", ["run.steps=600"]),
    "digits": (
        "stdp_digits.yaml",
        [
            "let.cells=36",
            "phases=[{name: learn, data: {image: {rows: '0:20'}, class: {rows: '0:20'}, label: {rows: '0:20'}}}]",
            "record={z0.outputs: {as: events}}",
        ],
    ),
    "coding": (
        "pc_digits.yaml",
        [
            "phases=[{name: train, epochs: 2, shuffle: true}]",
            "record={e3.L: true, W1.weights: {every: trial, reduce: norm}}",
        ],
    ),
    "slow": (
        "pc_digits.yaml",
        ["phases=[{name: train, epochs: 2}]", "record={e3.L: true}", "name=slow", "W3.eta=2e-4"],
    ),
    "hopfield": ("hopfield_digits.yaml", []),
}

# run, records, kind, settings
PICTURES = {
    "raster-lines": ("lif", ["free.s"], None, {}),
    "raster-pixels": ("digits", ["z0.outputs"], None, {}),
    "trace-lanes": ("adex", ["z.v"], None, {}),
    "trace-band": ("hopfield", ["recall.overlaps"], None, {}),
    "trace-trials": ("coding", ["W1.weights"], None, {}),
    "weights": ("coding", ["W3.weights"], None, {}),
    "receptive-fields": ("coding", ["W1.weights"], "receptive-fields", {"units": "0:36"}),
    "histogram": ("network", ["E.v"], "histogram", {}),
    "histogram-intervals": ("digits", ["z0.outputs"], "histogram", {}),
    "histogram-weights": ("hopfield", ["W.weights"], "histogram", {}),
    "energy-trials": ("coding", ["e3.L"], None, {}),
    "energy-time": ("hopfield", ["W.energies"], None, {}),
    "rate": ("digits", ["z0.outputs"], "rate", {}),
    "spectrum": ("adex", ["z.v"], "spectrum", {}),
    "phase": ("adex", ["z.v"], "phase", {}),
    "part": ("digits", ["z0.outputs"], "raster", {"trial": 7, "window": (20.0, 120.0), "units": "10:30"}),
    "dark": ("lif", ["free.v"], None, {"dark": True, "units": "0:2"}),
    "compare": ("coding", ["e3.L"], None, {"compare": "slow"}),
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder, found = tmp_path_factory.mktemp("runs"), {}

    def left(name: str) -> Run:
        if name not in found:
            config, overrides = RUNS[name]
            found[name] = synsim.run(str(CONFIGS / config), overrides=overrides, out=folder)
        return found[name]

    yield left
    for each in found.values():
        each.close()


def drawn(runs, name: str, **other) -> bytes:
    run, records, kind, settings = PICTURES[name]
    settings = {**settings, **other}
    if "compare" in settings:
        settings["compare"] = runs(settings["compare"])
    return draw(runs(run), records, kind, width=WIDTH, **settings).bytes("png", dpi=DPI)


def seen(picture: bytes) -> np.ndarray:
    """The picture from a step back: means of grey over cells that overlap by half."""
    grey = np.asarray(Image.open(io.BytesIO(picture)).convert("L"), np.float64) / 255
    for axis in (0, 1):
        edges = np.arange(0, grey.shape[axis] - grey.shape[axis] % CELL, CELL // 2)
        cut = grey[: edges[-1] + CELL // 2] if axis == 0 else grey[:, : edges[-1] + CELL // 2]
        fine = np.add.reduceat(cut, edges, axis=axis) / (CELL // 2)
        grey = (fine[1:] + fine[:-1]) / 2 if axis == 0 else (fine[:, 1:] + fine[:, :-1]) / 2
    return grey


def far(one: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """By how much two differ, on average and at the most."""
    if one.shape != other.shape:
        return 1.0, 1.0
    return float(np.abs(one - other).mean()), float(np.abs(one - other).max())


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_looks_as_the_one_that_was_looked_at(name, runs):
    picture, path = drawn(runs, name), REFERENCES / f"{name}.png"
    if os.environ.get("SYNSIM_NEW_PICTURES"):
        # in 16 greys it is a few kB, and as it would be printed
        Image.open(io.BytesIO(picture)).convert("L").quantize(16).save(path, optimize=True)
    assert path.stat().st_size < 15_000
    mean, most = far(seen(picture), seen(path.read_bytes()))
    assert mean <= MEAN and most <= MOST, f"{name}: {mean:.4f} on average, {most:.3f} at the most"


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("trace-lanes", {"window": (0.0, 290.0)}),
        ("raster-lines", {"units": "0,2,1"}),
        ("weights", {"units": "0:9"}),
        ("receptive-fields", {"units": [*range(18), *range(19, 36), 18]}),  # the second half in another order
        ("compare", {"compare": "coding"}),
        ("part", {"trial": 8}),
        ("phase", {"window": (0.0, 250.0)}),
        ("dark", {"dark": False}),
    ],
)
def test_the_comparison_sees_what_a_person_would(name, other, runs):
    mean, most = far(seen(drawn(runs, name, **other)), seen((REFERENCES / f"{name}.png").read_bytes()))
    assert mean > MEAN or most > MOST


def test_the_kind_follows_from_what_was_recorded(runs):
    kinds = {
        ("lif", "free.s"): "raster",
        ("lif", "free.v"): "trace",
        ("coding", "W1.weights"): "trace",  # its norm, one number a trial
        ("digits", "W1ei.weights"): "weights",  # between two layers of 36, which are no image
        ("coding", "e3.L"): "energy",
        ("digits", "W1.weights"): "receptive-fields",
        ("coding", "W2.weights"): "weights",
        ("hopfield", "W.energies"): "energy",
        ("hopfield", "recall.overlaps"): "trace",
        ("hopfield", "W.outputs"): "trace",
    }
    assert {key: kind_of(runs(key[0]), key[1]) for key in kinds} == kinds


def test_from_python(runs, tmp_path):
    run = runs("lif")
    picture = run.plot("free.s")
    assert picture._repr_png_().startswith(b"\x89PNG")
    assert picture.save(tmp_path / "a.svg").read_text(encoding="utf-8").startswith("<?xml")
    assert len(run.plot("free.v", "free.s", units=[0], window=(0, 20)).figure.axes) == 3
    with synsim.open(run.file) as again:
        assert again.plot("free.s").bytes() == picture.bytes()


def test_no_label_is_cut_off_and_none_lies_on_another(runs):
    """At the usual and at a small size: what is written stands on the paper, and apart from what else is."""
    for name, (run, records, kind, settings) in PICTURES.items():
        if "compare" in settings:
            settings = {**settings, "compare": runs(settings["compare"])}
        for width in (6.4, 3.6):
            figure = draw(runs(run), records, kind, width=width, **settings).figure
            canvas = FigureCanvasAgg(figure)
            canvas.draw()
            renderer = canvas.get_renderer()
            paper = figure.bbox
            words = [word for axes in figure.axes for word in _words(axes)]
            boxes = [(each.get_text(), each.get_window_extent(renderer)) for each in words]
            for text, box in boxes:
                assert box.x0 >= paper.x0 - 1 and box.x1 <= paper.x1 + 1, f"{name} at {width}: {text!r} is cut off"
                assert box.y0 >= paper.y0 - 1 and box.y1 <= paper.y1 + 1, f"{name} at {width}: {text!r} is cut off"
            for at, (text, box) in enumerate(boxes):
                for other, there in boxes[at + 1 :]:
                    apart = (
                        box.x1 <= there.x0 + 1 or there.x1 <= box.x0 + 1 or box.y1 <= there.y0 + 1.5
                    ) or there.y1 <= box.y0 + 1.5
                    assert apart, f"{name} at {width}: {text!r} lies on {other!r}"


def _words(axes) -> list:
    """All texts of some axes that are seen: labels of ticks outside the limits are not drawn."""
    found = [axes.xaxis.label, axes.yaxis.label, axes.title, *axes.texts]
    for axis, limits in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
        low, high = sorted(limits)
        ticks = [tick for tick in axis.get_major_ticks() if low - 1e-9 <= tick.get_loc() <= high + 1e-9]
        found += [label for tick in ticks for label in (tick.label1, tick.label2) if label.get_visible()]
    found += list(legend.get_texts()) if (legend := axes.get_legend()) else []
    return [each for each in found if each.get_text().strip() and each.get_visible() and each.get_alpha() != 0]
