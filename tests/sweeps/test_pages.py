"""What a dry run says of a sweep, and the command `synsim plot` as a user types it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from synsim import completion
from synsim.config import load
from synsim.sweeps.pages import dry_run_document, dry_run_lines, point_lines, sweep_document, sweep_lines
from synsim.sweeps.parameters import sweep_of

TEXT = """\
name: fi
run: {dt: 0.5, steps: 400}
components:
  z: {type: LIFCell, n_units: 3, tau_m: 10, thr: -50, v_rest: -65, v_reset: -65, refract_time: 2}
wires: {z.j: 18}
record: {z.s: {as: events}}
"""


def sweep(*arguments, **more):
    return sweep_of(load("c.yaml", text=TEXT), arguments, **more)


def test_a_small_sweep_is_shown_whole():
    found = sweep("z.tau_m=10,20", "wires.z.j=18,25")
    about = {"groups": [[0, 1, 2, 3]], "static_groups": 1, "numbers": ["z.tau_m"], "memory": 3 << 20, "file": 4 << 10}
    assert list(dry_run_lines(found, "fi", **about)) == [
        "sweep: 4 points, a grid",
        "  z.tau_m    10 20  (2)",
        "  wires.z.j  18 25  (2)",
        "",
        "points",
        "  point    z.tau_m  wires.z.j",
        "  fi-0000  10       18",
        "  fi-0001  10       25",
        "  fi-0002  20       18",
        "  fi-0003  20       25",
        "",
        "static groups: 1 (1 program to compile)",
        "lanes: 1 group of 4",
        "memory about 3 MiB for the largest group",
        "files about 4 KiB in all, 1 KiB a point",
    ]
    document = dry_run_document(found, "fi", **about)
    assert document["rows"][3] == {"point": "fi-0003", "z.tau_m": 20, "wires.z.j": 25}
    assert json.loads(json.dumps(document))["groups"] == [[0, 1, 2, 3]]


def test_a_thousand_points_are_shown_in_a_few_lines():
    found = sweep("z.tau_m=10:40:100", "seed=0:10")
    about = {"groups": [list(range(i, i + 250)) for i in range(0, 1000, 250)], "static_groups": 2}
    lines = list(dry_run_lines(found, "fi", **about, numbers=["z.tau_m"], memory=1 << 30, file=1 << 30))
    assert len(lines) < 30 and max(map(len, lines)) < 120
    assert "  z.tau_m  10 10.3030303 10.6060606 10.9090909 … 39.6969697 40  (100)" in lines
    assert "  … 990 more" in lines and "  fi-0999  40       9" in lines and "  fi-0000  10       0" in lines
    assert "static groups: 2 (2 programs to compile; seed shapes it)" in lines and "lanes: 4 groups of 250" in lines
    assert len(dry_run_document(found, "fi", **about, numbers=[], memory=1, file=1)["rows"]) == 1000


def test_random_and_odd_values():
    found = sweep("z.tau_m=10.0:40", "seed=0:9", "z.thr={type: uniform, low: -60, high: -50},-55", random=3)
    lines = list(sweep_lines(found))
    assert lines[0] == "sweep: 3 points, drawn at random"
    assert lines[1] == "  z.tau_m  from 10 to 40"
    assert lines[2] == "  seed     0 1 2 3 … 7 8  (9)"
    assert lines[3] == '  z.thr    {"type": "uniform", "low": -60, "high":… -55  (2)'
    assert sweep_document(found)["parameters"][0] == {"path": "z.tau_m", "from_to": [10.0, 40]}
    assert "\x1b" not in "".join(point_lines(["a.b"], [("x\x1b[31m\n",)], "n"))
    assert list(sweep_lines(sweep("z.tau_m=10")))[0] == "sweep: 1 point, a grid"


# the command -------------------------------------------------------------------------------------------------------


def synsim_command(*words, cwd):
    return subprocess.run(
        [sys.executable, "-m", "synsim", *words], capture_output=True, text=True, cwd=cwd, timeout=120
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fi")
    (folder / "c.yaml").write_text(TEXT)
    done = synsim_command("sweep", "c.yaml", "z.tau_m=10:40:4", "z.resist_m=1,2", "-q", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder


def test_plot_draws_into_the_folder_of_the_sweep(made):
    done = synsim_command("plot", "runs/fi", "--x", "z.tau_m", "--y", "z.rate", cwd=made)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "runs/fi/z.s.rate-over-z.tau_m.png\n"
    assert (made / done.stdout.strip()).read_bytes().startswith(b"\x89PNG")
    done = synsim_command(
        "plot", "runs/fi", "--x", "z.tau_m", "--y", "z.resist_m", "--color", "z.s.rate", "-o", "map.svg", cwd=made
    )
    assert (done.returncode, done.stdout) == (0, "map.svg\n") and (made / "map.svg").stat().st_size > 5000


def test_a_shell_completes_what_can_be_drawn(made, monkeypatch):
    monkeypatch.chdir(made)
    typed = SimpleNamespace(params={"folder": "runs/fi"}, args=[])
    assert completion.columns(typed, "") == [
        ("z.tau_m", "parameter"),
        ("z.resist_m", "parameter"),
        ("z.s.rate", "summary"),
    ]
    assert completion.columns(typed, "z.s") == [("z.s.rate", "summary")]
    assert completion.columns(SimpleNamespace(params={"folder": "runs/none"}, args=[]), "") == []


def test_plot_gathers_what_has_come_since(made):
    (made / "runs" / "fi" / "sweep.h5").unlink()
    assert synsim_command("plot", "runs/fi", "--x", "z.tau_m", "--y", "z.rate", cwd=made).returncode == 0
    (made / "runs" / "fi" / "points" / "fi-0000.h5").rename(made / "away.h5")
    assert synsim_command("plot", "runs/fi", "--x", "z.tau_m", "--y", "z.rate", cwd=made).returncode == 0
    assert (made / "runs" / "fi" / "sweep.csv").read_text().splitlines()[1] == "0,10,1,missing,"
    (made / "away.h5").rename(made / "runs" / "fi" / "points" / "fi-0000.h5")


@pytest.mark.parametrize(
    ("words", "code", "line"),
    [
        (["runs/nothing", "--x", "z.tau_m", "--y", "z.rate"], 2, "error: runs/nothing is not the folder of a sweep"),
        (["runs/fi", "--x", "z.tau", "--y", "z.rate"], 2, "is no parameter of this sweep. Did you mean 'z.tau_m'?"),
        (["runs/fi", "--x", "z.tau_m", "--y", "z.rate", "-o", "a.bmp"], 2, "a picture is a file that ends in .png"),
        (["runs/fi", "--x", "z.tau_m", "--y", "z.rate", "-o", "no/a.png"], 74, "no/a.png cannot be written"),
    ],
)
def test_what_plot_cannot_draw_is_one_line(words, code, line, made):
    done = synsim_command("plot", *words, cwd=made)
    assert done.returncode == code and line in done.stderr and done.stderr.count("\n") == 1, done.stderr
    assert not Path(made / "a.bmp").exists()


def test_a_wrong_sweep_starts_nothing(made):
    before = sorted(path.name for path in (made / "runs").iterdir())
    done = synsim_command("sweep", "c.yaml", "z.tau_m=10,-1", "q.v=1", "--name", "other", cwd=made)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.splitlines() == [
        "q.v=1:1:1: error: there is no component 'q'. There is z.",
        "z.tau_m=10,-1:1:12: error: z.tau_m must be above 0 ms, not -1.",
    ]
    assert sorted(path.name for path in (made / "runs").iterdir()) == before
