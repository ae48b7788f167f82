"""`synsim bench`: a row for each example, whose figures are those of its rounds, and the peers' beside it."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from conftest import choose
from typer.testing import CliRunner

from synsim.benchmarks.peers import NETWORKS, VARIABLE, chosen
from synsim.benchmarks.process import result
from synsim.benchmarks.rounds import LENGTHS, Row, measured
from synsim.cli import app
from synsim.faults import ConfigError, RunError, Stopped
from synsim.starting import examples


def bench(*words: str, **environment: str | None):
    return CliRunner().invoke(app, ["bench", *words], env={VARIABLE: None, **environment})


def test_what_is_measured_by_itself_is_shipped():
    assert set(LENGTHS) <= set(examples()) and set(NETWORKS) <= set(LENGTHS)


def test_each_example_is_a_row():
    done = bench("lif_fi", "if-fi", "--steps", "500", "--rounds", "2", "--json")
    assert done.exit_code == 0, done.output
    rows = json.loads(done.stdout)
    assert [row["example"] for row in rows] == ["lif_fi", "if_fi"]
    for row in rows:
        took = row["microseconds_a_step"]
        assert row["steps"] == 500 and 0.0 < took["least"] <= took["median"] <= took["most"] < 1e5
        assert row["compile_seconds"] > 0.0 and row["peers"] == {}
    assert "if_fi, round 2 of 2: " in done.stderr


def test_a_row_over_its_peers():
    row = Row("some", 1000, (3.0, 1.0, 2.0), 0.5, {"NEST": (40.0, 10.0, 20.0)})
    assert row.over("NEST") == pytest.approx(0.1) and row.over("Brian2") is None
    said = row.document()["peers"]["NEST"]
    assert said == {"microseconds_a_step": {"median": 20.0, "least": 10.0, "most": 40.0}, "ratio": row.over("NEST")}


def test_an_example_that_is_not_there_is_exit_2():
    done = bench("cuba_400", "--rounds", "1")
    assert done.exit_code == 2 and "cuba_4000" in done.stderr


# -------------------------------------------------------------------------------------------------------------- peers

PRETENDS = """#!{python}
import json, sys
if sys.argv[1] == "-I":
    print(json.dumps({{"Brian2": "2.9.0", "NEST": "3.10.0"}}))
elif sys.argv[2] == "build":
    print("{{}}")
else:
    print(json.dumps({{"us": 100.0, "processor us": 8.0}}))
"""


def pretending(folder: Path) -> str:
    """A Python that says it has the peers, and what they take."""
    path = folder / "python"
    path.write_text(PRETENDS.format(python=sys.executable))
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize("by", ["option", "variable"])
def test_peers_stand_beside(tmp_path, by):
    python = pretending(tmp_path)
    words = ["cuba_4000", "--peers", "--rounds", "1", "--steps", "200"]
    done = bench(*words, "--peers-python", python) if by == "option" else bench(*words, **{VARIABLE: python})
    assert done.exit_code == 0, done.output
    heading = next(line for line in done.stdout.splitlines() if line.split()[:1] == ["example"]).split()
    row = next(line for line in done.stdout.splitlines() if line.split()[:1] == ["cuba_4000"]).split()
    assert heading[:6] == ["example", "synsim", "Brian2", "synsim", "/", "Brian2"]
    median = float(row[1])
    assert row[3:5] == ["8", "[8-8]"] and float(row[5]) == pytest.approx(median / 8.0, rel=0.01)
    assert row[6:8] == ["100", "[100-100]"] and float(row[8]) == pytest.approx(median / 100.0, rel=0.01)
    assert "building cuba_4000 in Brian2" in done.stderr


def test_a_network_that_peers_do_not_have_is_run_alone(tmp_path):
    rows = list(measured(["lif_fi"], 1, 50, chosen(pretending(tmp_path)), lambda: False, lambda words: None))
    assert rows[0].beside == {}


def test_a_python_without_peers_says_how_to_get_them(tmp_path):
    (tmp_path / "python").write_text(f"#!{sys.executable}\nprint('{{}}')\n")
    (tmp_path / "python").chmod(0o755)
    done = bench("--peers", "--peers-python", str(tmp_path / "python"))
    assert done.exit_code == 2 and done.stderr.count("\n") == 1, done.stderr
    assert "neither Brian2 nor NEST" in done.stderr and "pip install 'nest-simulator==" in done.stderr
    with pytest.raises(ConfigError, match="there is no Python /nowhere"):
        chosen("/nowhere")
    done = bench("--peers-python", str(tmp_path / "python"))
    assert done.exit_code == 2 and "add --peers" in done.stderr


def test_a_process_that_fails_is_an_error_and_one_that_is_stopped_ends(tmp_path):
    with pytest.raises(RunError, match="counting failed with exit code 3: no fingers"):
        result([sys.executable, "-c", "import sys; print('no fingers', file=sys.stderr); sys.exit(3)"], "counting")
    with pytest.raises(Stopped, match="stopped in waiting"):
        result([sys.executable, "-c", "import time; time.sleep(600)"], "waiting", lambda: True)


@pytest.mark.skipif(not os.environ.get(VARIABLE), reason=f"{VARIABLE} names no Python with Brian2 and NEST")
@pytest.mark.skipif(choose(quick=True, ci=True, full=False), reason="full size only")
@pytest.mark.parametrize("net", sorted(NETWORKS))
def test_real_peers_run_each_network_that_they_know(net):
    rows = list(measured([net], 1, 2000, chosen(None), lambda: False, lambda words: None))
    assert set(rows[0].beside) == {"Brian2", "NEST"}
    assert all(0.5 < took < 5000.0 for each in rows[0].beside.values() for took in each)
