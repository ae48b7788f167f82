"""`synsim bench`: a row for each example, whose figures are those of its rounds."""

from __future__ import annotations

import json

from typer.testing import CliRunner

from synsim.bench import HEADING, NETWORKS, Row
from synsim.cli import app
from synsim.starting import examples


def test_what_is_measured_by_itself_is_shipped():
    assert set(NETWORKS) <= set(examples())


def test_each_example_is_a_row(tmp_path):
    done = CliRunner().invoke(app, ["bench", "lif_fi", "if-fi", "--steps", "500", "--rounds", "2", "--json"])
    assert done.exit_code == 0, done.output
    rows = json.loads(done.stdout)
    assert [row["example"] for row in rows] == ["lif_fi", "if_fi"]
    for row in rows:
        took = row["microseconds_a_step"]
        assert row["steps"] == 500 and 0.0 < took["least"] <= took["median"] <= took["most"] < 1e5
        assert row["compile_seconds"] > 0.0


def test_a_row_in_words():
    row = Row("some", 1000, (3.0, 1.0, 2.0), 0.5)
    words = row.line().split()
    assert words == ["some", "2", "[1-3]", "1,000", "0.5"] and len(HEADING.split()) == 6


def test_an_example_that_is_not_there_is_exit_2():
    done = CliRunner().invoke(app, ["bench", "cuba_400", "--rounds", "1"])
    assert done.exit_code == 2 and "cuba_4000" in done.stderr
