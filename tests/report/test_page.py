"""The page of a run as a text: whole, well formed, self-contained, and safe whatever the run holds."""

from __future__ import annotations

import base64
import re
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import reported
import stored
import yaml
from page_reading import downloads, sound

from synsim import api
from synsim.cli import main
from synsim.config import load
from synsim.reading import Run
from synsim.report.html import Markup, escaped, joined, tag
from synsim.report.making import html_of
from synsim.report.run_page import command_of
from synsim.store import Writer


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return reported.everything(tmp_path_factory.mktemp("everything"))


@pytest.fixture(scope="module")
def page(run: Path) -> str:
    return html_of(run)


# ------------------------------------------------------------------------------------------------------ what is in it


def test_every_part_is_there(page):
    read = sound(page)
    titles = ["Summary", "Circuit", "Spikes", "Energies", "Records", "Weights before and after", "Config"]
    titles += ["How to reproduce it", "Provenance"]
    assert [given["href"] for given in read.all("a") if given["href"].startswith("#")][1:] == [
        "#" + title.lower().replace(" ", "-") for title in titles
    ]
    assert "One of everything: spikes, traces, energies" in read.text and "<b>Not bold.</b>" in read.text


def test_every_record_is_drawn_in_light_and_dark(page):
    read = sound(page)
    words = [given["alt"] for given in read.all("img")]
    for name in ("z.s", "x.outputs"):
        assert any(each.startswith(f"Raster of {name}: ") for each in words)
    for name in ("z.v", "e.L", "W.weights", "tz.trace"):
        assert any(each.startswith(f"Picture of {name}: ") for each in words), name
    assert any(each.startswith("Picture of W.weights before and after") for each in words)
    assert any(each.startswith("Picture of W.weights as receptive fields") for each in words)
    light, dark = ([given["src"] for given in read.all("img") if given["class"] == kind] for kind in ("light", "dark"))
    assert len(light) == len(dark) == 8 and not set(light) & set(dark)
    for address in light + dark:
        assert base64.b64decode(address.partition(",")[2]).startswith(b"\x89PNG\r\n")


def test_the_numbers_are_those_of_the_run(run, page):
    from synsim.spike_statistics import statistics

    read = sound(page)
    with Run(run) as found:
        told = statistics(found, "z.s")
        rows = re.findall(r"<tr><th scope=\"row\">z\.s</th>(.*?)</tr>", page)
        cells = [re.findall(r"<td[^>]*>([^<]*)</td>", row) for row in rows]
        assert [f"{told.units}", f"{told.silent}", f"{told.count:,}", f"{told.rate_hz:.4g}"] in [
            row[:4] for row in cells
        ]
        values = np.asarray(found.records["z.v"].data)
        row = next(
            re.findall(r"<td[^>]*>([^<]*)</td>", each)
            for each in re.findall(r'<th scope="row">z\.v</th>(.*?)</tr>', page)
        )
        assert row[2:5] == [f"{each(values):.4g}" for each in (np.min, np.mean, np.max)] and row[5] == "mV"
        weights = found.final("W", "weights")
        row = next(
            each for each in re.findall(r'<th scope="row">W\.weights</th>(.*?)</tr>', page) if "pre_unit" in each
        )
        assert f"{weights.max():.4g}" in row and "pre_unit 64 × post_unit 9" in row
    assert "16" in read.text and "learn" in read.text


def test_the_config_that_it_gives_makes_the_same_run(run, page, tmp_path):
    saved = downloads(sound(page))
    resolved, written = saved["everything.yaml0"], saved["everything.yaml1"]
    assert written == reported.EVERYTHING
    (tmp_path / "everything.yaml").write_text(resolved)
    with Run(run) as found, api.run(tmp_path / "everything.yaml", out=tmp_path) as again:
        assert load(tmp_path / "everything.yaml").resolved() == found.config == yaml.safe_load(resolved)
        stored.same_but_for_provenance(
            _without_text(found.file, tmp_path / "a.h5"), _without_text(again.file, tmp_path / "b.h5")
        )


def _without_text(path: Path, copy: Path) -> Path:
    """The file without the config as it was written, which is YAML in one and JSON in the other."""
    copy.write_bytes(path.read_bytes())
    with h5py.File(copy, "r+") as file:
        del file["config/yaml"]
    return copy


def test_the_command_is_given_as_a_user_would_type_it():
    assert command_of({"command": "/usr/lib/x/synsim/__main__.py run a.yaml --set 'z.v=[1, 2]'"}) == (
        "synsim run a.yaml --set 'z.v=[1, 2]'"
    )
    assert command_of({"command": "/opt/bin/synsim run a.yaml"}) == "synsim run a.yaml"
    assert command_of({"command": "python 'odd"}) == "python 'odd"
    assert command_of({}) is None


def test_tables_say_what_their_rows_and_columns_are(page):
    read = sound(page)
    tables = page.count("<table>")
    assert tables == page.count("<caption>") >= 7
    assert {given.get("scope") for given in read.all("th")} == {"row", "col"}
    regions = [given for _, given in read.found if given.get("role") == "region"]
    assert all(given["tabindex"] == "0" and given["aria-label"] for given in regions)


# ------------------------------------------------------------------------------------------------------ odd runs


def test_a_run_that_goes_on_or_was_stopped_has_a_page_too(tmp_path):
    writer = Writer(tmp_path / "small", stored.layout())
    writer.initial({"W": stored.states()["W"]})
    for first, last in ((0, 30), (30, 70)):
        writer.segment(first, last, *stored.blocks(first, last))
    text = html_of(tmp_path / "small")
    read = sound(text)
    assert "running" in read.text and any(each["alt"].startswith("Raster of z.s") for each in read.all("img"))
    writer.stop("interrupted", "SIGTERM", stored.states())
    writer.close()
    read = sound(html_of(tmp_path / "small"))
    assert "interrupted, SIGTERM" in read.text and "--resume" in read.text


def test_a_run_without_a_row_has_a_page(tmp_path):
    writer = Writer(tmp_path / "small", stored.layout())
    writer.initial({"W": stored.states()["W"]})
    writer.segment(0, 1, *stored.blocks(0, 0))
    read = sound(html_of(tmp_path / "small"))
    assert "small" in read.text


@pytest.mark.parametrize("batch", [1, 3])
def test_runs_with_and_without_a_batch(tmp_path, batch):
    read = sound(html_of(stored.write(tmp_path / "small", batch=batch)))
    assert any(each["alt"].startswith("Picture of z.v") for each in read.all("img"))


def test_weights_that_stay_or_are_recorded_are_not_drawn_twice(tmp_path):
    made = stored.write(tmp_path / "small")
    read = sound(html_of(made))
    assert "W.weights are drawn with the records" in read.text
    with h5py.File(made, "r+") as file:
        del file["records/W"]
    read = sound(html_of(made))
    assert "W.weights are what they were before the run." in read.text
    assert not any("before and after" in given["alt"] for given in read.all("img"))


# ------------------------------------------------------------------------------------------------------ hostile


def test_harm_is_text(tmp_path):
    text = html_of(reported.hostile(tmp_path))
    read = sound(text)
    seen = reported.HARM.replace("\x1b", "\N{REPLACEMENT CHARACTER}")
    assert read.text.count(seen) >= 12
    assert "onerror" not in {key for _, given in read.found for key in given}
    assert len(read.all("img")) == 8  # of four records


def test_html_escapes_all_but_what_was_made_here():
    assert tag("p", "<&>\"'", title=None, hidden=False, open=True) == "<p open>&lt;&amp;&gt;&quot;&#39;</p>"
    assert (
        tag("a", tag("b", "x"), class_='"><', aria_label="y") == '<a class="&quot;&gt;&lt;" aria-label="y"><b>x</b></a>'
    )
    assert joined(["<", Markup("<br>"), None, [1, "&"]]) == "&lt;<br>1&amp;"
    assert escaped("\ud800\x00\x1b\u202e\n") == "\N{REPLACEMENT CHARACTER}" * 4 + "\n"


# ------------------------------------------------------------------------------------------------------ command


def report(capsys, *arguments: object) -> tuple[int, str, str]:
    old, sys.argv = sys.argv, ["synsim", "report", *map(str, arguments)]
    try:
        main()
    except SystemExit as end:
        code = end.code
    finally:
        sys.argv = old
    told = capsys.readouterr()
    return int(code or 0), told.out, told.err


def test_the_command_writes_the_page(tmp_path, capsys):
    made = stored.write(tmp_path / "small")
    for arguments, target in (
        ((made,), made.with_suffix(".html")),
        ((tmp_path / "small",), tmp_path / "small" / "report.html"),
        ((made, "-o", tmp_path / "a.htm"), tmp_path / "a.htm"),
        ((made, "--sandbox", "-o", tmp_path / "b.html"), tmp_path / "b.html"),
    ):
        assert report(capsys, *arguments) == (0, f"{target}\n", "")
        sound(target.read_text())
    assert (tmp_path / "a.htm").read_text() == (tmp_path / "b.html").read_text()


def test_a_page_never_replaces_a_run(tmp_path, capsys):
    made = stored.write(tmp_path / "small")
    before = made.read_bytes()
    code, out, err = report(capsys, made, "-o", made)
    assert (code, out) == (2, "") and err == f"error: {made}: a page is a file that ends in .html\n"
    assert made.read_bytes() == before


def damaged(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2 :] = bytes(len(data) - len(data) // 2)
    path.write_bytes(data)


def test_what_is_no_run_is_one_line(tmp_path, capsys):
    made = stored.write(tmp_path / "small")
    (tmp_path / "text.h5").write_text("no HDF5")
    (tmp_path / "empty").mkdir()
    with h5py.File(tmp_path / "foreign.h5", "w") as file:
        file["x"] = 1
    damaged(made)
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "sweep.json").write_text("{}")
    for path, expected in (
        (tmp_path / "nothere.h5", 66),
        (tmp_path / "text.h5", 74),
        (tmp_path / "foreign.h5", 74),
        (tmp_path / "empty", 74),
        (tmp_path / "bad", 74),
        (made, 74),
    ):
        code, out, err = report(capsys, path, "-o", tmp_path / "out.html")
        assert (code, out, err.count("\n")) == (expected, "", 1), (path, err)
        assert str(path) in err and "bug" not in err
        assert not (tmp_path / "out.html").exists()
    other = stored.write(tmp_path / "other" / "small")
    code, out, err = report(capsys, other, "-o", tmp_path / "no" / "folder.html")
    assert (code, out, err.count("\n")) == (74, "", 1) and "cannot be written" in err


@pytest.mark.parametrize(
    "config",
    [
        "[]",
        '{"components": {"z": 1}}',
        '{"components": {"z": {"type": "LIFCell", "n_units": "many"}}, "wires": {"z.j": {"a": 1}}}',
        '{"components": {"z": {"type": "LIFCell"}}, "wires": [], "phases": 7}',
        "[" * 100_000,
        '{"components": {"z": {"type": "LIFCell", "n_units": [1e308, null]}}, "record": 1}',
    ],
)
def test_a_config_that_is_none_is_one_line_or_a_page(tmp_path, capsys, config):
    from dataclasses import replace

    writer = Writer(tmp_path / "small", replace(stored.layout(), config_resolved=config))
    writer.segment(0, stored.ALL_STEPS, *stored.blocks(0, stored.ALL_STEPS))
    made = writer.finish(stored.states(), {})
    code, out, err = report(capsys, made)
    assert (code, err.count("\n")) in ((74, 1), (0, 0)), err
    assert "bug" not in err


def test_without_matplotlib_the_extra_is_named(tmp_path, capsys, monkeypatch):
    made = stored.write(tmp_path / "small")
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    code, out, err = report(capsys, made)
    assert (code, out, err.count("\n")) == (2, "", 1) and "synsim[view]" in err


def test_of_what_is_large_parts_are_looked_at_and_it_says_so(tmp_path, scale):
    """Twenty gigabytes in ten seconds are in test_large_file.py."""
    if not scale(quick=False, ci=True):
        pytest.skip("writes a large file: SYNSIM_TEST_SCALE=ci")
    from large_file import write_large

    text = html_of(write_large(tmp_path, 1.0))
    read = sound(text)
    assert "of its values, evenly chosen" in read.text and len(text) < 5_000_000
