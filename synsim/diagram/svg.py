"""A circuit as SVG: one text that stands alone, light or dark as its reader is, with a title and words for those who
cannot see it. Every family has a colour and a shape of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from synsim.diagram.bundles import Bundle, bundles
from synsim.diagram.circuit import FAMILIES, Circuit, Node, Shape, circuit_of
from synsim.diagram.layering import Box, Link, Placed, Point, placed
from synsim.faults import ConfigError
from synsim.spec import Spec

MOST = 300  # components and wires that a picture can show
MARGIN = 14.0
NAME, SMALL = 14.0, 11.5  # sizes of letters
LETTER = 0.61  # of the size of letters: how wide they are at most, in the fonts below
LONGEST = 34  # letters of a line
FONT = "ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace"

# fill and line of each family, light and dark; the lines keep 3:1 on either ground, the letters 4.5:1 on the fills
COLOURS = {
    "data": ("#ffffff", "#5c6470", "#22262c", "#a2abb8"),
    "source": ("#e3f4e6", "#1d7a3b", "#14301c", "#5cc47f"),
    "encoder": ("#dff3f4", "#0b7285", "#0d2f36", "#4fc3d6"),
    "synapse": ("#fdf0d9", "#9a5f00", "#3a2a0c", "#e8ad4b"),
    "neuron": ("#e2edfb", "#1f5fa8", "#152a45", "#77b0f2"),
    "trace": ("#f0e9fb", "#6b3fa0", "#2b1d40", "#b892ea"),
    "error": ("#fde6e6", "#b3261e", "#41191a", "#f28b82"),
    "readout": ("#f1f1f1", "#404040", "#2b2d30", "#c4c7cc"),
    "other": ("#fff3f9", "#a0366f", "#3a1a2c", "#e88abb"),
}


def svg_of(config: Spec | Mapping[str, Any], sizes: Mapping[str, Shape] | None = None) -> str:
    """The picture of a config. Raises ConfigError where there is too much in it for one."""
    return svg(circuit_of(config, sizes))


def svg(circuit: Circuit) -> str:
    """The picture of a circuit."""
    lines = bundles(circuit)
    if len(circuit.nodes) > MOST or len(lines) > 2 * MOST:
        raise ConfigError(
            f"{len(circuit.nodes):,} components and data entries with {len(lines):,} wires are too much for one "
            "picture: a .dot file leaves the drawing to Graphviz"
        )
    number = {node.name: k for k, node in enumerate(circuit.nodes)}
    texts = [_texts(node) for node in circuit.nodes]
    rooms = [_room(node, lines) for node in circuit.nodes]
    boxes = [_box(node, texts[k], lines, rooms[k]) for k, node in enumerate(circuit.nodes)]
    links = [Link(number[each.source], number[each.target], *_label_size(each), each.strong) for each in lines]
    picture = placed(boxes, links)
    legend, legend_height = _legend(circuit, max(picture.width, 320.0), any(picture.up), lines)
    width, height = max(picture.width, 320.0) + 2 * MARGIN, picture.height + legend_height + 2 * MARGIN
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" class="circuit" role="img" width="{width:.0f}" '
            f'height="{height:.0f}" viewBox="{-MARGIN:.0f} {-MARGIN:.0f} {width:.0f} {height:.0f}" '
            'aria-labelledby="circuit-title circuit-words">',
            f'<title id="circuit-title">{_text(_title(circuit))}</title>',
            f'<desc id="circuit-words">{_text(words(circuit))}</desc>',
            f"<style>{_style()}</style>",
            f'<rect class="ground" x="{-MARGIN:.0f}" y="{-MARGIN:.0f}" width="{width:.0f}" height="{height:.0f}"/>',
            *(_line(each, k, picture, number[each.source], boxes, rooms) for k, each in enumerate(lines)),
            *(_label(each, k, picture) for k, each in enumerate(lines)),
            *(_node(node, picture.boxes[k], boxes[k], texts[k], rooms[k]) for k, node in enumerate(circuit.nodes)),
            f'<g transform="translate(0 {picture.height:.0f})">',
            *legend,
            "</g>",
            "</svg>",
            "",
        ]
    )


def words(circuit: Circuit) -> str:
    """The circuit in words, for those who hear it."""
    told = [f"{node.name}: {', '.join((node.type, *node.lines))}." for node in circuit.nodes]
    told += [f"{each.source} feeds {each.target} ({', '.join(each.labels)})." for each in bundles(circuit)]
    told += [f"Loop: {' to '.join((*loop, loop[0]))}." for loop in circuit.loops]
    return " ".join(told)


def _title(circuit: Circuit) -> str:
    data = sum(node.family == "data" for node in circuit.nodes)
    counts = [(len(circuit.nodes) - data, "component"), (data, "data entry"), (len(circuit.wires), "wire")]
    counts.append((len(circuit.loops), "loop"))
    said = [f"{n} {what if n == 1 else what.replace('entry', 'entrie') + 's'}" for n, what in counts if n]
    return f"Circuit of {circuit.name}: {', '.join(said)}"


# --- sizes


def _cut(text: str, most: int = LONGEST) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _texts(node: Node) -> list[str]:
    """The lines in a box: name, type, and what is said below."""
    return [_cut(line) for line in (node.name, node.type, *node.lines)]


def _box(node: Node, texts: Sequence[str], lines: Sequence[Bundle], room: float) -> Box:
    width = max(len(texts[0]) * NAME, *(len(text) * SMALL for text in texts[1:])) * LETTER + 30.0
    into = sum(each.target == node.name for each in lines)
    out = sum(each.source == node.name for each in lines)
    width = max(width, 84.0, 24.0 + 14.0 * (max(into, out) - 1))
    point = 10.0 if node.family == "source" else 0.0
    return Box(width + 2 * room, _height(texts) + point, node.family != "synapse")


def _room(node: Node, lines: Sequence[Bundle]) -> float:
    """The room at either side of a box for a line from itself to itself, with its label."""
    own = [_label_size(each)[0] for each in lines if each.source == each.target == node.name]
    return own[0] + 34.0 if own else 0.0


def _height(texts: Sequence[str]) -> float:
    return 16.0 + NAME + (len(texts) - 1) * (SMALL + 4.0)


def _label_size(each: Bundle) -> tuple[float, float]:
    labels = [_cut(label) for label in each.labels]
    return max(map(len, labels)) * SMALL * LETTER + 8.0, len(labels) * (SMALL + 3.0) + 3.0


# --- parts of the picture


def _node(node: Node, centre: Point, box: Box, texts: Sequence[str], room: float) -> str:
    """A box with its text; `room` is what is left free at either side."""
    width, height = box.width - 2 * room, box.height
    x, y = centre[0] - width / 2, centre[1] - height / 2
    rows = [f'<text class="name" x="{centre[0]:.1f}" y="{y + 8 + NAME * 0.85:.1f}">{_text(texts[0])}</text>']
    for i, text in enumerate(texts[1:]):
        at = y + 8 + NAME + (i + 1) * (SMALL + 4.0) - 3.0
        kind = "type" if i == 0 else "more"
        rows.append(f'<text class="{kind}" x="{centre[0]:.1f}" y="{at:.1f}">{_text(text)}</text>')
    told = _text("\n".join((f"{node.name}: {node.type}", *node.lines)))
    return (
        f'<g class="{node.family}"><title>{told}</title>{_outline(node.family, x, y, width, height)}{"".join(rows)}</g>'
    )


def _outline(family: str, x: float, y: float, w: float, h: float) -> str:
    """The shape of a family: a cell is round at its corners, a synapse has them cut off, a trace is a pill, …"""
    right, bottom, c = x + w, y + h, min(10.0, h / 4)
    if family in ("neuron", "trace"):
        return _rectangle(x, y, w, h, c if family == "neuron" else h / 2)
    if family in ("data", "readout", "other"):
        shape = _rectangle(x, y, w, h)
        if family == "readout":  # a frame in a frame
            shape += _rectangle(x + 3, y + 3, w - 6, h - 6)
        if family == "data":  # a sheet with a corner turned down
            return _path(
                [(x, y), (right - c, y), (right, y + c), (right, bottom), (x, bottom)],
                [(right - c, y), (right - c, y + c), (right, y + c)],
            )
        return shape
    corners = {
        "synapse": [(x + c, y), (right - c, y), (right, y + c), (right, bottom - c), (right - c, bottom)]
        + [(x + c, bottom), (x, bottom - c), (x, y + c)],
        "source": [(x, y), (right, y), (right, bottom - c), (x + w / 2 + c, bottom - c), (x + w / 2, bottom)]
        + [(x + w / 2 - c, bottom - c), (x, bottom - c)],
        "encoder": [(x, y), (right, y), (right - c, bottom), (x + c, bottom)],
        "error": [(x + c, y), (right - c, y), (right, y + h / 2), (right - c, bottom), (x + c, bottom), (x, y + h / 2)],
    }[family]
    return _path(corners)


def _rectangle(x: float, y: float, w: float, h: float, round_: float = 0.0) -> str:
    corners = f' rx="{round_:.1f}"' if round_ else ""
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h:.1f}"{corners}/>'


def _path(closed: Sequence[Point], stroke: Sequence[Point] = ()) -> str:
    def points(line: Sequence[Point]) -> str:
        return " L".join(f"{x:.1f} {y:.1f}" for x, y in line)

    return f'<path d="M{points(closed)} Z"/>' + (f'<path class="fold" d="M{points(stroke)}"/>' if stroke else "")


def _line(each: Bundle, k: int, picture: Placed, source: int, boxes: Sequence[Box], rooms: Sequence[float]) -> str:
    kind = "line" + ("" if each.strong else " weak") + (" back" if picture.up[k] or each.source == each.target else "")
    route = picture.routes[k]
    told = f"<title>{_text(chr(10).join(each.sentences))}</title>"
    if not route:
        width = boxes[source].width - 2 * rooms[source]
        centre = picture.boxes[source]
        x, y = centre[0] + width / 2, centre[1]
        d = f"M{x:.1f} {y + 10:.1f} C{x + 30:.1f} {y + 22:.1f} {x + 30:.1f} {y - 22:.1f} {x + 7:.1f} {y - 11:.1f}"
        head = f"M{x:.1f} {y - 10:.1f} l9 -4.5 l-1 8 Z"
        return f'<g class="{kind}">{told}<path d="{d}"/><path class="head" d="{head}"/></g>'
    down = route[-1][1] > route[-2][1] or (route[-1][1] == route[-2][1] and not picture.up[k])
    tip, towards = route[-1], 8.0 if down else -8.0
    route = [*route[:-1], (tip[0], tip[1] - towards)]
    d = [f"M{route[0][0]:.1f} {route[0][1]:.1f}"]
    for i, ((x0, y0), (x1, y1)) in enumerate(zip(route, route[1:], strict=False)):
        half = (y1 - y0) / 2
        if i % 2 or abs(x1 - x0) < 0.5:
            d.append(f"L{x1:.1f} {y1:.1f}")
        else:
            d.append(f"C{x0:.1f} {y0 + half:.1f} {x1:.1f} {y1 - half:.1f} {x1:.1f} {y1:.1f}")
    head = f"M{tip[0]:.1f} {tip[1]:.1f} l-4.5 {-towards:.1f} h9 Z"
    return f'<g class="{kind}">{told}<path d="{" ".join(d)}"/><path class="head" d="{head}"/></g>'


def _label(each: Bundle, k: int, picture: Placed) -> str:
    (width, height), (x, y) = _label_size(each), picture.labels[k]
    left, top = x - width / 2, y - height / 2
    rows = [f'<rect class="ground" x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height:.1f}"/>']
    for i, label in enumerate(each.labels):
        base = top + (i + 1) * (SMALL + 3.0) - 1.5
        rows.append(f'<text class="inlet" x="{x:.1f}" y="{base:.1f}">{_text(_cut(label))}</text>')
    return "".join(rows)


def _legend(circuit: Circuit, width: float, any_up: bool, lines: Sequence[Bundle]) -> tuple[list[str], float]:
    """What the shapes and the lines mean, as far as they occur, and how high that is."""
    found = {node.family for node in circuit.nodes}
    entries: list[tuple[str, str]] = [(family, family) for family in FAMILIES if family in found]
    if any(not each.strong for each in lines):
        entries.append(("line weak", "tells a synapse of its sides"))
    if any_up or any(each.source == each.target for each in lines):
        entries.append(("line back", "back to what is above"))
    x, y, parts = 0.0, 34.0, []
    for kind, text in entries:
        room = 36.0 + len(text) * SMALL * LETTER + 16.0
        if x and x + room > width:
            x, y = 0.0, y + 22.0
        if kind.startswith("line"):
            mark = f'<g class="{kind}"><path d="M{x:.1f} {y - 4:.1f} h26"/></g>'
        else:
            mark = f'<g class="{kind}">{_outline(kind, x, y - 12, 26, 16)}</g>'
        parts.append(f'{mark}<text class="key" x="{x + 33:.1f}" y="{y:.1f}">{_text(text)}</text>')
        x += room
    return parts, y + 6.0 if entries else 0.0


def _style() -> str:
    return (
        f".circuit text{{font-family:{FONT};text-anchor:middle;fill:#1b1f24}}"
        f".circuit .name{{font-size:{NAME}px;font-weight:700}}"
        f".circuit .type,.circuit .more,.circuit .inlet,.circuit .key{{font-size:{SMALL}px}}"
        ".circuit .inlet{fill:#3d444d}.circuit .key{text-anchor:start}"
        ".circuit .ground{fill:#ffffff;stroke:none}"
        ".circuit path,.circuit rect{stroke-width:1.4}"
        ".circuit .line path{fill:none;stroke:#59636e}.circuit .line .head{fill:#59636e;stroke:none}"
        ".circuit .weak path{stroke-dasharray:4 3}.circuit .weak .head{stroke-dasharray:none}"
        ".circuit .back path{stroke:#b3541e}.circuit .back .head{fill:#b3541e;stroke:none}"
        + "".join(
            f".circuit .{name} path,.circuit .{name} rect{{fill:{fill};stroke:{line}}}"
            for name, (fill, line, _, _) in COLOURS.items()
        )
        + ".circuit .fold{fill:none}"
        "@media screen and (prefers-color-scheme:dark){"
        ".circuit text{fill:#f0f3f6}.circuit .inlet{fill:#c9d1d9}.circuit .ground{fill:#14171b}"
        ".circuit .line path{stroke:#9aa4af}.circuit .line .head{fill:#9aa4af}"
        ".circuit .back path{stroke:#f0a06a}.circuit .back .head{fill:#f0a06a}"
        + "".join(
            f".circuit .{name} path,.circuit .{name} rect{{fill:{fill};stroke:{line}}}"
            for name, (_, _, fill, line) in COLOURS.items()
        )
        + "}"
    )


def _text(text: str) -> str:
    """Text as it may stand in XML, whatever it holds."""
    clean = "".join(each if each.isprintable() or each == "\n" else "\N{REPLACEMENT CHARACTER}" for each in text)
    return clean.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
