"""`synsim check --diff A B`: what differs between two configs once all is filled in."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from synsim.comparing import differences, document, lines
from synsim.config import load

BASE = """\
# A comment.
run: {dt: 0.5, steps: 20}
let: {hid: 5}
data: {image: {type: digits, rows: "0:10"}}
components:
  x: {type: PoissonCell, n_units: 64, target_freq: 100}
  W: {type: TraceSTDPSynapse, A_plus: 1e-2, A_minus: 1e-4, weight_init: {type: uniform, low: 0, high: 1}}
  z: {type: LIFCell, n_units: "${hid}", tau_m: 20}
wires: {x.inputs: image, W.inputs: x.outputs, z.j: 2 * W.outputs}
record: {z.v: {every: 5}}
phases: [{name: learn, trials: 2}, {name: test, trials: 1, learning: false}]
"""

SAME = """\
components:
  x: {target_freq: 100.0, n_units: 64, type: PoissonCell}
  W: {type: TraceSTDPSynapse, A_minus: 0.0001, A_plus: 0.01, weight_init: {high: 1.0, low: 0, type: uniform},
      resist_scale: 1}
  z: {type: LIFCell, n_units: 5, tau_m: 20, resist_m: 1}
wires: {z.j: 2.0 * W.outputs, components.x.inputs: image, W.inputs: x.outputs}
record: {z.v: {every: 5, on: true}}
data: {image: {rows: "0:10", type: digits, part: images}}
run: {steps: 20, dt: 0.5, precision: float32}
seed: 0
phases:
  - {trials: 2, name: learn, learning: true}
  - {name: test, trials: 1, learning: false}
"""


def found(one, other, folder="."):
    return differences(load("a.yaml", text=one, name="c"), load("b.yaml", text=other, name="c"))


def test_comments_order_defaults_and_let_make_no_difference():
    assert found(BASE, BASE) == [] == found(BASE, SAME)
    assert document("a", "b", []) == {"a": "a", "b": "b", "same": True, "differences": []}
    assert list(lines("a", "b", [])) == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("tau_m: 20", "tau_m: 30"), [("z.tau_m", 20.0, 30.0)]),
        (("hid: 5", "hid: 6"), [("z.n_units", 5, 6)]),
        (("high: 1", "high: 2"), [("W.weight_init.high", 1.0, 2.0)]),
        (("dt: 0.5", "dt: 1"), [("run.dt", 0.5, 1.0)]),
        (("2 * W.outputs", "3 * W.outputs"), [("wires.z.j", "2.0 * W.outputs", "3.0 * W.outputs")]),
        (("every: 5", "every: trial"), [("record.z.v.every", 5, "trial")]),
        (("learning: false", "learning: true"), [("phases.test.learning", False, True)]),
        (("0:10", "0:20"), [("data.image.rows", "0:10", "0:20")]),
        (("# A comment.", "seed: 3"), [("seed", 0, 3)]),
    ],
)
def test_a_change_is_named_by_its_path(change, expected):
    changed = BASE.replace(*change)
    assert changed != BASE
    assert [(each.path, each.one, each.other) for each in found(BASE, changed)] == expected


def test_what_one_of_them_has_not():
    less = BASE.replace("record: {z.v: {every: 5}}", "record: {}")
    (only,) = found(BASE, less)
    assert only.path == "record.z.v" and only.one["every"] == 5
    entry = document("a", "b", [only])["differences"][0]
    assert entry["a"]["every"] == 5 and "b" not in entry
    assert list(lines("a", "b", [only]))[:2] == ["--- a", "+++ b"]
    assert sum(line.startswith("+record") for line in lines("a", "b", [only])) == 0
    more = BASE.replace("wires:", "  y: {type: LIFCell, n_units: 3, tau_m: 20}\nwires:")
    paths = [each.path for each in found(BASE, more)]
    assert paths[0] == "y" and any(path.startswith("schedule.") for path in paths)


def test_the_order_of_what_runs_is_a_difference():
    parts = BASE.split("  W: ")
    w, z = parts[1].split("\n", 1)
    swapped = parts[0] + z.split("\n")[0] + "\n  W: " + w + "\n" + "\n".join(z.split("\n")[1:])
    assert [each.path for each in found(BASE, swapped)] == ["schedule.step"]
    other = BASE.replace("[{name: learn, trials: 2}, {name: test", "[{name: test2, trials: 2}, {name: test")
    assert [each.path for each in found(BASE, other)] == ["phases.learn", "phases.test2"]


def test_files_are_told_apart_by_where_they_are(tmp_path):
    text = BASE.replace("type: digits", "type: file, path: numbers.csv")
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "c.yaml").write_text(text)
    (tmp_path / "one" / "same.yaml").write_text(text.replace("numbers.csv", "../one/numbers.csv"))
    one, two, same = (load(tmp_path / name) for name in ("one/c.yaml", "two/c.yaml", "one/same.yaml"))
    assert [each.path for each in differences(one, two)] == ["data.image.path"]
    assert [each.path for each in differences(one, same)] == ["name"]


def command(*words, cwd):
    return subprocess.run(
        [sys.executable, "-m", "synsim", "check", "--diff", *words], capture_output=True, text=True, cwd=cwd, timeout=60
    )


def test_the_command_says_it_by_its_exit_code(tmp_path):
    (tmp_path / "a.yaml").write_text(BASE)
    (tmp_path / "same.yaml").write_text(SAME)
    (tmp_path / "b.yaml").write_text(BASE.replace("tau_m: 20", "tau_m: 30"))
    (tmp_path / "wrong.yaml").write_text(BASE.replace("tau_m: 20", "taum: 30"))
    done = command("a.yaml", "same.yaml", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    done = command("a.yaml", "b.yaml", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "--- a.yaml\n+++ b.yaml\n-z.tau_m: 20.0\n+z.tau_m: 30.0\n")
    done = command("a.yaml", "b.yaml", "--json", cwd=tmp_path)
    assert done.returncode == 1
    assert json.loads(done.stdout) == {
        "a": "a.yaml",
        "b": "b.yaml",
        "same": False,
        "differences": [{"path": "z.tau_m", "a": 20.0, "b": 30.0}],
    }
    assert command("a.yaml", "b.yaml", "--set", "z.tau_m=3", cwd=tmp_path).returncode == 0
    done = command("a.yaml", "wrong.yaml", cwd=tmp_path)
    assert done.returncode == 2 and done.stdout == "" and "wrong.yaml:8:" in done.stderr
    for words in (["a.yaml"], ["a.yaml", "b.yaml", "same.yaml"], ["a.yaml", "b.yaml", "--resolved"]):
        done = command(*words, cwd=tmp_path)
        assert done.returncode == 2 and done.stdout == "" and "--diff compares two" in done.stderr
