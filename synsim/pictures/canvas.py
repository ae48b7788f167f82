"""The paper that pictures stand on: size, colours, labels, and how it is saved. The first use of matplotlib."""

from __future__ import annotations

import io
import math
import textwrap
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from synsim.faults import ConfigError, StoreError, listing
from synsim.files import atomic_write

FORMATS = ("png", "svg", "pdf")
WIDTH = 6.4  # inches
DPI = 150
SMALL = 7.5  # points of what stands at the margin
TEXT = 9.0


@dataclass(frozen=True)
class Theme:
    """Colours of a picture. Those of lines differ in lightness too, so that they stay apart for every eye and in grey
    print."""

    paper: str
    ink: str
    grey: str
    faint: str
    lines: tuple[str, ...]
    low: str  # ends of the scales of images, whose middle or lower end is the paper
    high: str


# Lines: the palette of Okabe & Ito (2008), Color Universal Design, without yellow, which is lost on white
LIGHT = Theme(
    paper="#ffffff",
    ink="#1a1a1a",
    grey="#6b6b6b",
    faint="#dddddd",
    lines=("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#1a1a1a", "#8a8a8a"),
    low="#b35806",
    high="#053061",
)
DARK = Theme(
    paper="#14171a",
    ink="#e8e8e8",
    grey="#a0a0a0",
    faint="#3a3f44",
    lines=("#56b4e9", "#e69f00", "#2fc796", "#e39cc4", "#f07f3c", "#9ad0f5", "#f2f2f2", "#8f8f8f"),
    low="#f6a04d",
    high="#8ccbff",
)


@dataclass
class Canvas:
    """A figure with its theme. `finally_` are drawn once the layout stands, when pixels can be counted."""

    figure: Any
    theme: Theme
    width: float
    finally_: list[Callable[[], None]] = field(default_factory=list)

    def axes(self, cell: Any, **given: Any) -> Any:
        """Axes in a cell of the grid."""
        axes = self.figure.add_subplot(cell, **given)
        axes.spines[["top", "right"]].set_visible(False)
        axes.locator_params(axis="y", nbins=5) if axes.get_yscale() == "linear" else None
        return axes

    def image(self, cell: Any, values: np.ndarray, norm: Any, colours: Any, **given: Any) -> tuple[Any, Any]:
        """An image in a cell, one value a cell of it; the axes and what a colour bar needs."""
        axes = self.figure.add_subplot(cell)
        drawn = axes.imshow(values, norm=norm, cmap=colours, interpolation="nearest", **given)
        for spine in axes.spines.values():
            spine.set(linewidth=0.5, color=self.theme.grey)
        return axes, drawn

    def bar(self, drawn: Any, axes: Sequence[Any], label: str) -> None:
        """The scale of images."""
        bar = self.figure.colorbar(drawn, ax=list(axes), label=label, pad=0.02, fraction=0.05, aspect=18)
        bar.outline.set_linewidth(0.5)
        bar.ax.tick_params(labelsize=SMALL)
        bar.ax.locator_params(nbins=5)

        def beside_the_images() -> None:
            for each in axes:
                each.apply_aspect()
            boxes = [each.get_position() for each in axes]
            low, high = min(box.y0 for box in boxes), max(box.y1 for box in boxes)
            wide = 0.1 / self.width
            bar.ax.set_aspect("auto")
            bar.ax.set_box_aspect(None)
            left = min(bar.ax.get_position().x0, max(box.x1 for box in boxes) + 0.7 * wide)
            bar.ax.set_position((left, low, wide, high - low))

        self.finally_.append(beside_the_images)

    def title(self, axes: Any, text: str, note: str = "", room: float = 0.0, share: float = 1.0) -> None:
        """What is seen, at the left above the axes, and below it in grey what has to be known of it.

        `room` are points that are taken by what stands there already, `share` is how much of the width is free.
        """
        lines = textwrap.wrap(note, self.letters(SMALL, share)) if note else []
        raised = 3 + room + (SMALL * 1.5 if axes.get_legend() is not None else 0.0)
        for line in reversed(lines):
            self._above(axes, line, raised, SMALL, self.theme.grey)
            raised += SMALL * 1.3
        for line in reversed(textwrap.wrap(text, self.letters(TEXT, share))):
            self._above(axes, line, raised, TEXT, self.theme.ink)
            raised += TEXT * 1.3

    @property
    def narrow(self) -> bool:
        """Whether there is room for less."""
        return self.width < 4.5

    def letters(self, size: float, share: float = 1.0) -> int:
        """About how many letters stand side by side."""
        return max(16, int((self.width * share - 0.6) * 72 / (size * 0.56)))

    @staticmethod
    def _above(axes: Any, text: str, points: float, size: float, colour: str) -> None:
        for words, counted in ((plain(text), False), (".", True)):  # room is made for its height, not for its length
            drawn = axes.annotate(
                words,
                (0, 1),
                (0, points),
                xycoords="axes fraction",
                textcoords="offset points",
                va="bottom",
                ha="left",
                fontsize=size,
                color=colour,
                alpha=0.0 if counted else 1.0,
                annotation_clip=False,
            )
            drawn.set_in_layout(counted)

    def scale(self, low: float, high: float) -> tuple[Any, Any]:
        """The norm and the colours of images whose values lie between: around 0 where there are both signs."""
        from matplotlib.colors import Normalize

        theme = self.theme
        if low < 0 < high:
            most = max(-low, high)
            return Normalize(-most, most), _colours([theme.low, theme.paper, theme.high], theme)
        if high <= 0 and low < 0:
            return Normalize(low, 0.0), _colours([theme.low, theme.paper], theme)
        if low == high:
            low, high = low - 0.5, high + 0.5
        elif low < 0.5 * high:
            low = 0.0
        return Normalize(low, high), _colours([theme.paper, theme.high], theme)

    def legend(self, axes: Any, labels: Iterable[tuple[str, str]], room: float = 0.0) -> None:
        """Lines of these (label, colour) at the left, in a line of their own `room` points above the axes."""
        from matplotlib.lines import Line2D
        from matplotlib.transforms import ScaledTranslation

        handles = [Line2D([], [], color=colour, linewidth=2, label=plain(label)) for label, colour in labels]
        axes.legend(
            handles=handles,
            loc="lower left",
            bbox_to_anchor=(0.0, 1.0),
            bbox_transform=axes.transAxes + ScaledTranslation(0, room / 72, self.figure.dpi_scale_trans),
            ncols=len(handles),
            frameon=False,
            fontsize=SMALL,
            borderaxespad=0.1,
            handlelength=1.2,
            columnspacing=1.0,
        ).set_in_layout(False)


def _colours(ends: Sequence[str], theme: Theme) -> Any:
    from matplotlib.colors import LinearSegmentedColormap

    # grey is what is not finite
    return LinearSegmentedColormap.from_list("weights", list(ends)).with_extremes(bad=theme.grey)


def plain(text: str) -> str:
    """Text of a file as one short line that every font can show."""
    line = "".join(each if each.isprintable() and ord(each) < 0x2600 else "?" for each in " ".join(text.split()))
    return line if len(line) <= 120 else f"{line[:119]}…"


def labelled(name: str, unit: str) -> str:
    """A label with its unit."""
    return plain(f"{name} ({unit})" if unit else name)


@dataclass(frozen=True)
class Picture:
    """A finished picture. In a notebook it shows itself; `save` writes it, `figure` is matplotlib's."""

    figure: Any
    theme: Theme

    def bytes(self, kind: str = "png", dpi: float = DPI) -> bytes:
        """The picture as a png, svg or pdf; the same bytes each time."""
        if kind not in FORMATS:
            raise ConfigError(f"a picture is a {listing(FORMATS, 'or')}, not {kind!r:.30}")
        metadata = {"png": {"Software": None}, "svg": {"Date": None, "Creator": None}, "pdf": {"CreationDate": None}}
        held = io.BytesIO()
        with drawing(self.theme):
            self.figure.savefig(held, format=kind, dpi=dpi, metadata=metadata[kind])
        return held.getvalue()

    def save(self, path: str | Path) -> Path:
        """Writes the picture; the ending of the path says as what. Raises ConfigError or StoreError."""
        path = Path(path)
        kind = format_of(path)
        data = self.bytes(kind)
        try:
            atomic_write(path, data)
        except OSError as error:
            raise StoreError(f"{path} cannot be written: {error.strerror or error}") from error
        return path

    def _repr_png_(self) -> bytes:
        return self.bytes("png")


def format_of(path: Path) -> str:
    """What the ending of a path says, or a ConfigError."""
    kind = path.suffix.lower().removeprefix(".")
    if kind not in FORMATS:
        raise ConfigError(f"{path}: a picture is a file that ends in {listing([f'.{each}' for each in FORMATS], 'or')}")
    return kind


def need_matplotlib() -> None:
    """Raises ConfigError where matplotlib is not installed."""
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError:
        raise ConfigError(
            "pictures are drawn by matplotlib, which is not installed: pip install 'synsim[view]'"
        ) from None


@contextmanager
def drawing(theme: Theme) -> Iterator[None]:
    """matplotlib's settings while something is drawn or saved, whatever a user's own are."""
    from matplotlib import rc_context, style

    with style.context("default"), rc_context(_settings(theme)), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # a name in letters that the font has not
        yield


def _settings(theme: Theme) -> Any:
    return {
        "font.family": ["DejaVu Sans"],
        "font.size": TEXT,
        "axes.labelsize": TEXT - 0.5,
        "axes.titlesize": TEXT,
        "xtick.labelsize": SMALL,
        "ytick.labelsize": SMALL,
        "text.parse_math": False,
        "text.color": theme.ink,
        "axes.labelcolor": theme.ink,
        "axes.edgecolor": theme.grey,
        "axes.facecolor": theme.paper,
        "axes.linewidth": 0.7,
        "axes.unicode_minus": True,
        "axes.formatter.useoffset": False,
        "axes.formatter.limits": (-4, 5),
        "figure.facecolor": theme.paper,
        "savefig.facecolor": theme.paper,
        "savefig.bbox": None,
        "xtick.color": theme.grey,
        "ytick.color": theme.grey,
        "xtick.labelcolor": theme.ink,
        "ytick.labelcolor": theme.ink,
        "legend.labelcolor": theme.ink,
        "lines.linewidth": 1.0,
        "agg.path.chunksize": 20000,
        "path.simplify": False,
        "svg.fonttype": "path",
        "svg.hashsalt": "synsim",
        "pdf.fonttype": 42,
    }


def plain_ticks(axis: Any) -> None:
    """Numbers as they are, also on a logarithmic axis."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def milliseconds(span: float) -> tuple[float, str]:
    """What times are divided by, and the unit that then stands on the axis."""
    if span >= 600_000:
        return 60_000.0, "min"
    return (1000.0, "s") if span >= 5000 else (1.0, "ms")


def number(value: float) -> str:
    """A number as short as it can be."""
    return "nan" if math.isnan(value) else f"{value:,.4g}" if abs(value) < 1e4 else f"{value:,.0f}"
