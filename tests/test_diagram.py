"""Circuits as pictures: what is in them, where it stands, and that nothing overlaps or is left out."""

from __future__ import annotations

import itertools
import random
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path

import pytest

import synsim
from synsim.cli import main
from synsim.config import load
from synsim.diagram.bundles import bundles
from synsim.diagram.circuit import circuit_of
from synsim.diagram.data_sizes import data_sizes
from synsim.diagram.dot import dot
from synsim.diagram.layering import Box, Link, Placed, placed
from synsim.diagram.mermaid import mermaid
from synsim.diagram.svg import LETTER, NAME, SMALL, svg, svg_of

ROOT = Path(synsim.__file__).parent.parent
CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))
SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = '</text><script>alert(1)</script>"]\\"; & \x1b[31m\n'


def circuit(name: str):
    spec = load(ROOT / "configs" / f"{name}.yaml")
    return circuit_of(spec, data_sizes(spec))


def node(name: str, part: str):
    return next(each for each in circuit(name).nodes if each.name == part)


# ------------------------------------------------------------------------------------------------------- circuits


@pytest.mark.parametrize(
    ("config", "part", "lines"),
    [
        ("pc_digits", "W1", ("64 → 128",)),
        ("pc_digits", "W2", ("128 → 64",)),
        ("pc_digits", "W3", ("64 → 10",)),
        ("pc_digits", "image", ("images, train set", "64 values a row")),
        ("brunel", "EI", ("2,000 → 500", "sparse", "200 inputs each, delay 1.4 ms")),
        ("brunel", "XE", ("2,000 units", "inputs = 2")),
        ("coba_4000", "IE", ("800 → 3,200", "sparse, exponential", "p 0.02")),
        ("plastic_sparse", "W", ("1,000 → 100", "sparse, exponential, trace_stdp", "200 inputs each")),
        ("deconv_stdp", "W", ("4 × 4 filters, 16 → 1 channels",)),
        ("deconv_stdp", "z", ("2 × 2 × 16 units",)),
        ("alpha_epsc", "ipsc", ("1 → 1", "v = -65")),
        ("gerstner_covariance", "mean", ("64 → 64",)),
        ("hodgkin_huxley", "shocked", ("1 unit", "j = 0")),
    ],
)
def test_a_box_says_the_size_and_the_parts(config, part, lines):
    assert node(config, part).lines == lines


@pytest.mark.parametrize("name", ["stdp_digits", "pc_digits", "izhikevich_network", "brunel"])
def test_the_sizes_are_those_of_the_weights_that_a_run_would_have(name):
    from synsim import api

    graph = api.check(ROOT / "configs" / f"{name}.yaml").phases[0].graph
    for each in circuit(name).nodes:
        part = graph.parts.get(each.name)
        if part is None or each.family != "synapse":
            continue
        sizes = part.sizes()
        pre, post = each.lines[0].replace(",", "").split(" → ")
        assert (sizes["pre"], sizes["post"]) == ((int(pre),), (int(post),)), each.name


def test_a_wire_shows_what_each_source_is_multiplied_by():
    found = circuit_of(
        {
            "name": "sums",
            "components": {name: {"type": "RateCell", "n_units": 2} for name in "abcd"},
            "data": {"x": {"type": "file"}},
            "wires": {"d.j": "a.z - 0.5 * b.z + 2 * (c.z - x)", "d.j_td": "a.z * b.z", "c.j": -1.5},
        }
    )
    labels = {(wire.source, wire.inlet): wire.label for wire in found.wires}
    assert labels == {
        ("a", "j"): "j",
        ("b", "j"): "-0.5 × j",
        ("c", "j"): "2 × j",
        ("x", "j"): "-2 × j",
        ("a", "j_td"): "∏ j_td",
        ("b", "j_td"): "∏ j_td",
    }
    assert next(each for each in found.nodes if each.name == "c").lines == ("2 units", "j = -1.5")


def test_loops_are_found_once_each():
    assert circuit("brunel").loops == (("E", "EE"), ("E", "EI", "I", "IE"), ("I", "II"))
    assert circuit("hopfield_digits").loops == (("W",),)
    assert circuit("lif_fi").loops == ()
    assert circuit("stdp_digits").loops == (("z1i", "W1ie", "z1e", "W1ei"),)


def test_wires_of_a_phase_say_so_and_types_that_are_not_known_are_drawn():
    found = circuit_of(
        {
            "name": "odd",
            "components": {"z": {"type": "MadeUp", "n_units": 3}, "e": {"type": "RateCell", "n_units": 3}},
            "wires": {"z.in": "e.z"},
            "phases": [{"name": "test", "wires": {"e.j": "z.out", "z.in": None}}],
        }
    )
    assert [wire.sentence for wire in found.wires] == ["z.in: e.z", "e.j: z.out (in phase test)"]
    assert [each.family for each in found.nodes] == ["other", "neuron"]
    assert "j (test)" in svg(found)


@pytest.mark.parametrize(
    "broken",
    [
        {"components": [1]},
        {"components": {"z": 3}},
        {"components": {"z": {"type": "RateCell"}}, "wires": {"z.j": "1 +"}},
    ],
)
def test_what_is_no_config_is_a_value_error(broken):
    with pytest.raises(ValueError):
        circuit_of(broken)


# --------------------------------------------------------------------------------------------------------- layout


def rectangles(boxes: list[Box], picture: Placed) -> list[tuple[float, float, float, float]]:
    return [
        (x - box.width / 2, y - box.height / 2, x + box.width / 2, y + box.height / 2)
        for box, (x, y) in zip(boxes, picture.boxes, strict=True)
    ]


def overlapping(one, other) -> bool:
    slack = 0.01
    return (
        one[0] < other[2] - slack
        and other[0] < one[2] - slack
        and one[1] < other[3] - slack
        and other[1] < one[3] - slack
    )


def assert_in_order(boxes: list[Box], links: list[Link]) -> Placed:
    """Nothing overlaps, nothing is outside, no line goes through a box or a label of another."""
    picture = placed(boxes, links)
    assert picture == placed(boxes, links)
    around = rectangles(boxes, picture)
    labels = rectangles([Box(link.width, link.height) for link in links], Placed(0, 0, picture.labels, [], [], []))
    for one, other in itertools.combinations([*around, *labels], 2):
        assert not overlapping(one, other)
    for left, top, right, bottom in [*around, *labels]:
        assert left >= -0.01 and top >= -0.01 and right <= picture.width + 0.01 and bottom <= picture.height + 0.01
    for k, (link, route) in enumerate(zip(links, picture.routes, strict=True)):
        if link.tail == link.head:
            assert route == []
            continue
        assert picture.up[k] == (route[-1][1] < route[0][1])
        for end, box in ((route[0], link.tail), (route[-1], link.head)):
            left, top, right, bottom = around[box]
            assert left <= end[0] <= right and min(abs(end[1] - top), abs(end[1] - bottom)) < 0.01
        for (x, y0), (other_x, y1) in itertools.islice(itertools.pairwise(route), 1, None, 2):
            assert x == other_x
            through = (x - 0.5, min(y0, y1), x + 0.5, max(y0, y1))
            crossed = [*around, *(label for i, label in enumerate(labels) if i != k)]
            assert not any(overlapping(through, each) for each in crossed)
    return picture


@pytest.mark.parametrize("seed", range(25))
def test_nothing_overlaps_whatever_is_wired(seed):
    draw = random.Random(seed)
    count = draw.randint(1, 14)
    boxes = [Box(draw.uniform(60, 220), draw.uniform(40, 90), draw.random() < 0.7) for _ in range(count)]
    links = []
    for _ in range(draw.randint(0, 2 * count)):
        tail, head = draw.randrange(count), draw.randrange(count)
        if tail != head and not any((link.tail, link.head) == (tail, head) for link in links):
            links.append(Link(tail, head, draw.uniform(10, 90), draw.uniform(12, 40), draw.random() < 0.7))
    assert_in_order(boxes, links)


def test_a_chain_runs_straight_down_and_a_loop_goes_up():
    picture = assert_in_order([Box(80, 50)] * 4, [Link(0, 1, 30, 14), Link(1, 2, 30, 14), Link(2, 3, 30, 14)])
    assert len({round(x, 3) for x, _ in picture.boxes}) == 1
    assert sorted(picture.boxes, key=lambda place: place[1]) == picture.boxes
    back = assert_in_order([Box(80, 50)] * 3, [Link(0, 1, 20, 14), Link(1, 2, 20, 14), Link(2, 0, 20, 14)])
    assert back.up == [False, False, True]


def crossings(picture: Placed) -> int:
    """Pairs of lines that cross, as straight pieces between their points."""
    pieces = [(k, *pair) for k, route in enumerate(picture.routes) for pair in itertools.pairwise(route) if route]

    def side(a, b, c) -> float:
        return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])

    def cross(a, b, c, d) -> bool:
        return side(a, b, c) * side(a, b, d) < -1e-6 and side(c, d, a) * side(c, d, b) < -1e-6

    return sum(i != j and cross(a, b, c, d) for (i, a, b), (j, c, d) in itertools.combinations(pieces, 2))


def test_what_can_be_drawn_without_crossings_is():
    tree = [Link((k - 1) // 2, k, 20, 14) for k in range(1, 15)]
    order = list(range(15))
    random.Random(4).shuffle(order)
    mixed = [Link(order[link.tail], order[link.head], 20, 14) for link in tree]
    assert crossings(assert_in_order([Box(60, 40)] * 15, mixed)) == 0


# ------------------------------------------------------------------------------------------------------- pictures


def texts(root: ElementTree.Element) -> Iterator[tuple[str, float, float, str]]:
    for element in root.iter(f"{SVG}text"):
        yield element.get("class", ""), float(element.get("x", 0)), float(element.get("y", 0)), element.text or ""


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_shipped_config_is_drawn_whole(path):
    spec = load(path)
    found = circuit_of(spec, data_sizes(spec))
    root = ElementTree.fromstring(svg(found))
    names = [text for kind, _, _, text in texts(root) if kind == "name"]
    assert sorted(names) == sorted([*spec.components, *spec.data])
    lines = [
        each
        for each in root.iter(f"{SVG}g")
        if "line" in each.get("class", "").split() and each.find(f"{SVG}title") is not None
    ]
    assert len(lines) == len(bundles(found))
    told = {line for each in lines for line in (each.find(f"{SVG}title").text or "").splitlines()}
    for wire in found.wires:
        assert wire.sentence in told
    inlets = [text for kind, _, _, text in texts(root) if kind == "inlet"]
    assert sorted(inlets) == sorted(label for each in bundles(found) for label in each.labels)
    _, _, width, height = map(float, root.get("viewBox", "").split())
    for kind, x, y, text in texts(root):
        half = len(text) * (NAME if kind == "name" else SMALL) * LETTER / 2
        left, right = (x, x + 2 * half) if kind == "key" else (x - half, x + half)
        assert -14 <= left and right <= width - 14 + 0.5 and -14 <= y <= height - 14
    assert max(width, height) < 1700


def test_the_drawing_stands_alone_and_speaks():
    text = svg_of(load(ROOT / "configs" / "brunel.yaml"))
    root = ElementTree.fromstring(text)
    assert root.get("role") == "img"
    assert root.find(f"{SVG}title").text == "Circuit of brunel: 8 components, 10 wires, 3 loops"
    assert "E feeds EE (inputs)." in root.find(f"{SVG}desc").text
    assert "Loop: I to II to I." in root.find(f"{SVG}desc").text
    assert not re.search(r"(href|src|url\()", text) and "http" not in text.replace("http://www.w3.org/2000/svg", "")
    assert "prefers-color-scheme:dark" in text


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [each / 12.92 if each <= 0.03928 else ((each + 0.055) / 1.055) ** 2.4 for each in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_colours_can_be_told_from_their_ground():
    from synsim.diagram.svg import COLOURS

    for fill, line, dark_fill, dark_line in COLOURS.values():
        assert contrast(fill, "#1b1f24") >= 4.5 and contrast(dark_fill, "#f0f3f6") >= 4.5
        assert contrast(line, "#ffffff") >= 3 and contrast(dark_line, "#14171b") >= 3
        assert contrast(line, fill) >= 3 and contrast(dark_line, dark_fill) >= 3


def test_hostile_names_are_text_in_every_language():
    found = circuit_of(
        {
            "name": HOSTILE,
            "components": {HOSTILE: {"type": HOSTILE, "n_units": 2}, "z": {"type": "RateCell", "n_units": 2}},
            "wires": {"z.j": "z.z"},
            "phases": [{"name": HOSTILE, "wires": {"z.j": "2 * z.z"}}],
        }
    )
    drawn = svg(found)
    ElementTree.fromstring(drawn)
    assert "<script" not in drawn and "\x1b" not in drawn
    for text in (dot(found), mermaid(found)):
        assert "\x1b" not in text
        for line in text.splitlines():
            assert len(re.findall(r'(?<!\\)(?:\\\\)*"', line)) % 2 == 0, line
    assert "<script" not in mermaid(found)


def test_mermaid_and_dot_name_every_wire():
    found = circuit("pc_digits")
    graph, chart = dot(found), mermaid(found)
    assert graph.startswith('digraph "pc-digits" {') and graph.rstrip().endswith("}")
    assert graph.count(" -> ") == chart.count("-->") + chart.count("-.->") == len(bundles(found))
    assert '"z1" -> "W2" [label="inputs\\npre"]' in graph
    number = {name: k for k, name in enumerate(each.name for each in found.nodes)}
    assert f'n{number["W1"]} -->|"mu"| n{number["e1"]}' in chart
    assert chart.startswith("flowchart TB\n") and "inputs<br>pre" in chart


def test_too_much_for_a_picture_is_said_at_once():
    from synsim.faults import ConfigError

    many = {f"c{i}": {"type": "RateCell", "n_units": 1} for i in range(400)}
    found = circuit_of({"name": "many", "components": many, "wires": {f"c{i}.j": f"c{i - 1}.z" for i in range(1, 400)}})
    with pytest.raises(ConfigError, match="400 components and data entries with 399 wires are too much"):
        svg(found)
    assert dot(found).count(" -> ") == 399


def test_a_large_circuit_is_drawn_in_a_moment():
    import time

    names = [f"c{i}" for i in range(290)]
    draw = random.Random(1)
    wires = {f"{name}.j": f"{draw.choice(names)}.z + {draw.choice(names)}.z" for name in names}
    found = circuit_of(
        {"name": "large", "components": {name: {"type": "RateCell", "n_units": 1} for name in names}, "wires": wires}
    )
    before = time.process_time()
    ElementTree.fromstring(svg(found))
    assert time.process_time() - before < 30


# -------------------------------------------------------------------------------------------------------- command


def graph(capsys, *arguments: str) -> tuple[int, str, str]:
    old, sys.argv = sys.argv, ["synsim", "graph", *arguments]
    try:
        main()
    except SystemExit as end:
        code = end.code
    finally:
        sys.argv = old
    told = capsys.readouterr()
    return int(code or 0), told.out, told.err


def test_the_command_writes_each_language(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    config = str(ROOT / "configs" / "lif_fi.yaml")
    assert graph(capsys, config) == (0, "lif-fi.svg\n", "")
    assert ElementTree.parse(tmp_path / "lif-fi.svg").getroot().tag == f"{SVG}svg"
    for name, start in (("a.dot", "digraph"), ("a.gv", "digraph"), ("a.mermaid", "flowchart"), ("a.mmd", "flowchart")):
        assert graph(capsys, config, "-o", name) == (0, f"{name}\n", "")
        assert (tmp_path / name).read_text().startswith(start)
    assert graph(capsys, config, "--set", "free.n_units=7", "--set", "name=other")[:2] == (0, "other.svg\n")
    assert "7 units" in (tmp_path / "other.svg").read_text()


def test_what_cannot_be_drawn_is_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    config = str(ROOT / "configs" / "lif_fi.yaml")
    code, out, err = graph(capsys, config, "-o", "x.png")
    assert (code, out) == (2, "")
    assert err == "error: x.png: the picture of a circuit is a file that ends in .svg, .dot, .gv, .mermaid or .mmd\n"
    code, out, err = graph(capsys, config, "-o", "no/such/folder.svg")
    assert (code, out, err.count("\n")) == (74, "", 1) and "cannot be written" in err
    code, out, err = graph(capsys, "nothere.yaml")
    assert (code, out, err.count("\n")) == (2, "", 1)
    (tmp_path / "bad.yaml").write_text(
        "run: {steps: 5}\ncomponents: {z: {type: LIFCel, n_units: 3}}\nwires: {q.j: 1}\n"
    )
    code, out, err = graph(capsys, "bad.yaml")
    assert code == 2 and "bad.yaml:2:" in err and "bad.yaml:3:" in err
    assert sorted(each.name for each in tmp_path.iterdir()) == ["bad.yaml"]


def test_data_need_not_be_there(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "early.yaml").write_text(
        "run: {steps: 5}\ndata: {x: {type: file, path: later.npy}}\n"
        "components: {z: {type: RateCell, n_units: 3, tau_m: 10}}\nwires: {z.j: x}\n"
    )
    assert graph(capsys, "early.yaml", "-o", "early.svg") == (0, "early.svg\n", "")
    assert "3 values a row" in (tmp_path / "early.svg").read_text()  # which its reader must have


def test_jax_is_not_imported(tmp_path):
    program = (
        "import sys\n"
        f"sys.argv = ['synsim', 'graph', {str(ROOT / 'configs' / 'stdp_digits.yaml')!r}, '-o', 'x.svg']\n"
        "from synsim.cli import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
        "assert not {'jax', 'h5py', 'matplotlib'} & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
    )
    assert done.returncode == 0, done.stderr
