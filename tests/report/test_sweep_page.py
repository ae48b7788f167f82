"""The page of a sweep: every point in its table, summaries over parameters, and maps over two of them."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import reported
import yaml
from faults.command import synsim
from page_reading import downloads, sound

from synsim.report.heat_map import SHADES, cells_of, heat_map
from synsim.report.making import html_of
from synsim.sweeps.gathered import Gathered, Values, read_gathered


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return reported.sweep(tmp_path_factory.mktemp("rates"))


@pytest.fixture(scope="module")
def page(sweep: Path) -> str:
    return html_of(sweep)


def cells(row: str) -> list[str]:
    return re.findall(r"<td[^>]*>([^<]*)</td>", row)


def test_every_part_is_there(page):
    read = sound(page)
    titles = re.findall(r"<h2[^>]*>([^<]*)</h2>", page)
    assert titles == [
        "Summary",
        "Over one parameter",
        "Over two parameters",
        "Points",
        "Circuit",
        "Config",
        "How to reproduce it",
    ]
    assert [given["alt"].partition(":")[0] for given in read.all("img") if given["class"] == "light"] == [
        "z.s.rate (Hz) over drive.value, by z.refract_time (ms)",
        "z.s.rate (Hz) over z.refract_time (ms), by drive.value",
    ]


def test_every_point_is_in_the_table(sweep, page):
    gathered = read_gathered(sweep)
    table = page.partition('id="points"')[2].partition("</table>")[0]
    rows = re.findall(r'<tr><th scope="row">(\d+)</th>(.*?)</tr>', table)
    assert len(rows) == 12
    for number, row in rows:
        i = int(number)
        expected = [f"{gathered.parameters[name].array[i]:.4g}" for name in ("drive.value", "z.refract_time")]
        assert cells(row) == [*expected, f"{gathered.summaries['z.s.rate'].array[i]:.4g}", "done"]
    assert len({cells(row)[2] for _, row in rows}) > 3


def test_the_map_has_the_number_of_every_pair(sweep, page):
    gathered = read_gathered(sweep)
    table = page.partition('id="over-two-parameters"')[2].partition("</table>")[0]
    rows = dict(re.findall(r'<tr><th scope="row">([^<]*)</th>(.*?)</tr>', table))
    assert list(rows) == ["0", "2", "5"]
    rates = gathered.summaries["z.s.rate"].array.reshape(4, 3)
    for j, row in enumerate(rows.values()):
        assert cells(row) == [f"{rate:.4g}" for rate in rates[:, j]]
    shades = re.findall(r"shade-(\d+)", table)
    low, high = np.unravel_index(rates.argmin(), (4, 3)), np.unravel_index(rates.argmax(), (4, 3))
    at = np.array(shades, int).reshape(3, 4)
    assert at[low[::-1]] == 0 and at[high[::-1]] == SHADES - 1


def test_a_map_averages_what_it_does_not_show_and_leaves_gaps():
    def values(name: str, array: list[float]) -> Values:
        return Values(name, "", name, np.array(array))

    parameters = {
        "a": values("a", [1, 1, 2, 2, 1, 1]),
        "b": values("b", [5, 5, 5, 5, 6, 6]),
        "seed": values("seed", [0, 1, 0, 1, 0, 1]),
    }
    shown = values("rate", [1.0, 3.0, np.nan, 8.0, np.nan, np.nan])
    found = cells_of(Gathered("g", "grid", 6, 3, parameters, {"rate": shown}), parameters["a"], parameters["b"], shown)
    assert (found.columns, found.rows, found.over) == ([1, 2], [5, 6], ("seed",))
    assert np.array_equal(found.values, [[2.0, 8.0], [np.nan, np.nan]], equal_nan=True)
    text = heat_map(found)
    assert "mean over seed" in text and cells(text) == ["2", "8", "–", "–"]


def test_the_config_that_it_gives_is_the_same_sweep(sweep, page, tmp_path):
    written = downloads(sound(page))["rates.yaml0"]
    (tmp_path / "rates.yaml").write_text(written)
    assert yaml.safe_load(written)["sweep"]["drive.value"] == [20, 25, 30, 35]
    synsim("sweep", "rates.yaml", "-q", cwd=tmp_path).clear(0)
    one, other = read_gathered(sweep), read_gathered(tmp_path / "runs" / "rates")
    assert np.array_equal(one.summaries["z.s.rate"].array, other.summaries["z.s.rate"].array)


def test_a_sweep_that_is_not_complete_says_what_is_missing(sweep, tmp_path):
    part = tmp_path / "rates"
    shutil.copytree(sweep, part)
    for number in (1, 4):
        (part / "points" / f"rates-{number:04d}.h5").unlink()
    text = html_of(part)
    read = sound(text)
    assert "10 points of 12 done" in read.text and "To complete it: " in read.text
    assert "missing" in text.partition('id="points"')[2]
    assert "–" in text.partition('id="over-two-parameters"')[2].partition("</table>")[0]


@pytest.mark.parametrize("how", ["--zip", "--random"])
def test_other_modes(tmp_path, how):
    (tmp_path / "one.yaml").write_text(reported.SWEEP.partition("sweep:")[0])
    words = ["drive.value=20:35:4", "z.refract_time=0:5:4", how, *(["5"] if how == "--random" else [])]
    synsim("sweep", "one.yaml", *words, "-q", cwd=tmp_path).clear(0)
    read = sound(html_of(tmp_path / "runs" / "rates"))
    alts = [given["alt"] for given in read.all("img") if given["class"] == "light"]
    assert len(alts) == (2 if how == "--zip" else 3)
