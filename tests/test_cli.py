"""The command line as a user types it: output, exit codes, signals, and what is left on disk."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import synsim
from synsim.cli import COMMANDS

ROOT = Path(__file__).parent.parent
SMALL = """
name: small
run: {dt: 1.0, steps: 40, trials: 5}
components:
  x: {type: PoissonCell, n_units: 8, target_freq: 300}
  W: {type: StaticSynapse, weight_init: {type: uniform, low: 0, high: 40}}
  z: {type: LIFCell, n_units: 6, tau_m: 20}
wires: {x.inputs: 1.0, W.inputs: x.outputs, z.j: W.outputs}
record:
  z.s: {as: events}
  z.v: {}
"""
LONG = SMALL.replace("name: small", "name: long").replace("trials: 5", "trials: 100000000").replace("z.v: {}", "")
BAD_NUMBER = """
name: bad
run: {steps: 30}
components:
  a: {type: PulseSource, n_units: 4, amplitude: 1e30, start: 12, duration: 1}
  r: {type: RateCell, n_units: 4, tau_m: 1e-9}
wires: {r.j: a.outputs}
record: {r.z: {}}
"""


def synsim_command(*words, cwd, text=None, **rest):
    return subprocess.run(
        [sys.executable, "-m", "synsim", *words],
        capture_output=True,
        text=True,
        cwd=cwd,
        input=text,
        timeout=120,
        **rest,
    )


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "small.yaml"
    path.write_text(SMALL)
    return path


def start(tmp_path, text, *words):
    (tmp_path / "config.yaml").write_text(text)
    process = subprocess.Popen(
        [sys.executable, "-m", "synsim", "run", "config.yaml", *words],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    segments, since = tmp_path / "runs" / "long" / "seg", time.monotonic()
    while len(list(segments.glob("seg-*.h5"))) < 2:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() - since < 60
        time.sleep(0.05)
    return process


def test_a_run_says_where_its_file_is_and_how_long_it_took(config, tmp_path):
    done = synsim_command("run", "small.yaml", cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout == "runs/small/small.h5\n"
    assert re.search(r"^small: 3 components, 5 trials, 200 steps, into runs/small$", done.stderr, re.M)
    assert re.search(r"^took [\d.]+ s, of which compiling [\d.]+ s$", done.stderr, re.M)
    assert "\x1b" not in done.stderr, "control codes in a pipe"
    assert sorted(path.name for path in (tmp_path / "runs" / "small").iterdir()) == [
        "config.yaml",
        "lock",
        "small.h5",
        "status.json",
    ]
    with synsim.open(tmp_path / "runs" / "small") as left:
        assert left.state == "done" and left.config_text == SMALL
        assert len(left.spikes("z.s").timestamps) > 10
        assert left["z.v"].data.shape == (200, 6)


def test_nothing_is_overwritten_without_being_asked(config, tmp_path):
    assert synsim_command("run", "small.yaml", "--quiet", cwd=tmp_path).returncode == 0
    file = tmp_path / "runs" / "small" / "small.h5"
    before = file.read_bytes()
    again = synsim_command("run", "small.yaml", "--seed", "3", cwd=tmp_path)
    assert again.returncode == 73 and "--overwrite" in again.stderr and again.stdout == ""
    assert file.read_bytes() == before
    over = synsim_command("run", "small.yaml", "--seed", "3", "--overwrite", "-q", cwd=tmp_path)
    assert over.returncode == 0 and over.stderr == ""
    assert file.read_bytes() != before


def test_options_and_standard_input(config, tmp_path):
    words = [
        "run",
        "-",
        "--set",
        "z.tau_m=30",
        "--set",
        "run.trials=2",
        "--seed",
        "5",
        "--precision",
        "float64",
        "--device",
        "cpu",
        "--name",
        "other",
        "--out",
        "elsewhere",
    ]
    done = synsim_command(*words, cwd=tmp_path, text=SMALL)
    assert done.returncode == 0, done.stderr
    with synsim.open(tmp_path / "elsewhere" / "other" / "other.h5") as left:
        resolved = left.config
        assert resolved["components"]["z"]["tau_m"] == 30.0
        assert resolved["run"]["trials"] == 2 and resolved["seed"] == 5
        assert left["z.v"].data.dtype == np.float64
        assert left["z.v"].data.shape == (80, 6)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["run", "absent.yaml"], 2, "absent.yaml cannot be read: No such file or directory"),
        (["run", "small.yaml", "--set", "z.tau_m=-1"], 2, "--set z.tau_m=-1:1:9: error: "),
        (["run", "small.yaml", "--set", "z.tau=1"], 2, "Did you mean 'tau_m'?"),
        (["run", "small.yaml", "--device", "tpu"], 2, "there is no device tpu on this machine; there is cpu:0"),
        (["run", "small.yaml", "--precision", "float16"], 2, "--precision float16:1:13: error: "),
        (["run", "small.yaml", "--name", "../up"], 2, "--name ../up:1:8: error: "),
        (["check", "small.yaml", "absent.yaml"], 2, "absent.yaml cannot be read"),
        (["components", "LIFCel"], 2, "there is no component type 'LIFCel'. Did you mean 'LIFCell'?"),
        (["inspect", "nowhere"], 66, "nowhere: no such file or directory"),
        (["inspect", "small.yaml"], 74, "small.yaml"),
        (["run", "small.yaml", "--set", "z.n_units=200000000000"], 66, "are available"),
        (["rnu"], 2, "Did you mean 'run'?"),
    ],
)
def test_what_goes_wrong_is_one_line_and_an_exit_code(config, tmp_path, words, code, said):
    done = synsim_command(*words, cwd=tmp_path)
    assert done.returncode == code, done.stderr
    assert said in done.stderr and "Traceback" not in done.stderr
    if words[0] != "check":
        assert done.stdout == ""
    assert not (tmp_path / "runs").exists(), "something was written"


def test_debug_shows_the_traceback(config, tmp_path):
    done = synsim_command("run", "small.yaml", "--device", "tpu", "--debug", cwd=tmp_path)
    assert done.returncode != 0 and "Traceback" in done.stderr


def test_dry_run_writes_nothing(config, tmp_path):
    done = synsim_command("run", "small.yaml", "--dry-run", cwd=tmp_path)
    assert done.returncode == 0 and "x.advance W.advance z.advance" in done.stdout
    assert not (tmp_path / "runs").exists()


def test_check_is_one_json_document(config, tmp_path):
    done = synsim_command("check", "small.yaml", "--json", cwd=tmp_path)
    about = json.loads(done.stdout)
    assert about["ok"] and about["steps"] == 200 and about["components"]["W"]["sizes"]["weight"] == [8, 6]
    assert about["phases"][0]["unwired"] == ["W.back", "z.jump"]
    (tmp_path / "wrong.yaml").write_text(SMALL.replace("tau_m: 20", "tau_m: no"))
    both = synsim_command("check", "small.yaml", "wrong.yaml", "--json", cwd=tmp_path)
    assert both.returncode == 2
    good, wrong = json.loads(both.stdout)
    assert good["ok"] and not wrong["ok"] and wrong["errors"][0].startswith("wrong.yaml:7:")


def test_a_resolved_config_is_a_config_that_runs_the_same(config, tmp_path):
    done = synsim_command("check", "small.yaml", "--resolved", cwd=tmp_path)
    (tmp_path / "resolved.yaml").write_text(done.stdout)
    assert synsim_command("run", "small.yaml", "-q", cwd=tmp_path).returncode == 0
    again = synsim_command("run", "resolved.yaml", "-q", "--name", "again", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    with synsim.open(tmp_path / "runs" / "small") as one, synsim.open(tmp_path / "runs" / "again") as other:
        np.testing.assert_array_equal(one["z.v"].data[...], other["z.v"].data[...])


def test_a_value_that_is_not_finite_is_exit_65_and_what_was_good_stays(tmp_path):
    (tmp_path / "bad.yaml").write_text(BAD_NUMBER)
    done = synsim_command("run", "bad.yaml", cwd=tmp_path)
    assert done.returncode == 65
    last = done.stderr.splitlines()[-1]
    assert "step 12 of the run" in last and "r.z has 4 of 4" in last and "synsim inspect runs/bad" in last
    with synsim.open(tmp_path / "runs" / "bad") as left:
        assert left.state == "failed"
        assert left["r.z"].data.shape == (12, 4)
    shown = synsim_command("inspect", "runs/bad", cwd=tmp_path)
    assert shown.returncode == 0 and "failed" in shown.stdout


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
def test_a_signal_ends_a_run_at_a_border(tmp_path, number):
    process = start(tmp_path, LONG)
    began = time.monotonic()
    process.send_signal(number)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 75 and time.monotonic() - began < 5
    last = said.splitlines()[-1]
    assert "stopped after step" in last and last.endswith("are safe; to go on: synsim run runs/long --resume")
    with synsim.open(tmp_path / "runs" / "long") as left:
        assert left.state == "interrupted"
        assert len(left.spikes("z.s").timestamps) > 10


def test_a_running_and_a_killed_run_can_be_read(tmp_path):
    process = start(tmp_path, LONG)
    shown = synsim_command("inspect", "runs/long", "--json", cwd=tmp_path)
    assert json.loads(shown.stdout)["state"] == "running"
    other = synsim_command("run", "config.yaml", "--overwrite", cwd=tmp_path)
    assert other.returncode == 73 and str(process.pid) in other.stderr
    process.kill()
    process.communicate()
    shown = synsim_command("inspect", "runs/long", "--json", cwd=tmp_path)
    assert json.loads(shown.stdout)["state"] == "interrupted"
    assert synsim_command("run", "config.yaml", cwd=tmp_path).returncode == 73


def test_python_api(config, tmp_path):
    spec = synsim.load(config, overrides={"z.tau_m": 15.0})
    steps = []
    with synsim.run(spec, out=tmp_path / "api", progress=lambda now: steps.append(now.step)) as left:
        assert left.config["components"]["z"]["tau_m"] == 15.0
        assert steps[-1] == 200
    assert synsim.check(config).steps == 200
    given = {
        "run": {"steps": 10},
        "components": {"r": {"type": "RateCell", "n_units": 2, "tau_m": 5.0}},
        "wires": {"r.j": 1.0},
        "record": {"r.z": {}},
    }
    with synsim.run(given, out=tmp_path / "api", name="dict") as left:
        closed = np.cumsum(0.2 * np.ones(10))
        np.testing.assert_allclose(left["r.z"].data[:, 0], closed, rtol=1e-6)
    with pytest.raises(synsim.ConfigError, match="Did you mean 'RateCell'"):
        synsim.load({**given, "components": {"r": {"type": "RateCel"}}})


@pytest.fixture(scope="module")
def lif_fi(tmp_path_factory):
    """The run that examples look at."""
    folder = tmp_path_factory.mktemp("examples")
    made = synsim_command("run", "configs/lif_fi.yaml", "--out", str(folder), "-q", cwd=ROOT)
    assert made.returncode == 0
    return folder / "lif-fi"


def test_help_names_every_command():
    told = synsim_command("--help", cwd=ROOT)
    assert told.returncode == 0
    listed = re.findall(r"^  (\w[\w-]*)  ", told.stdout.partition("Commands:")[2], re.M)
    assert listed == [command for command in COMMANDS if command != "sweep-task"]


@pytest.mark.parametrize("command", [command for command in COMMANDS if command != "sweep-task"])
def test_every_command_has_help_with_an_example_that_works(command, lif_fi, tmp_path):
    told = synsim_command(command, "--help", cwd=ROOT)
    assert told.returncode == 0
    example = re.search(r"Example: synsim (.*)", " ".join(told.stdout.split())).group(1).split()
    assert example[0] == command
    if command in ("run", "sweep"):
        example += ["-q"]
    there = {"runs/lif-fi": str(shutil.copytree(lif_fi, tmp_path / "lif-fi"))}
    example = [there.get(word, str(ROOT / word) if word.startswith("configs/") else word) for word in example]
    env = {**os.environ, "COLUMNS": "200", "PYTHONPATH": str(ROOT)}
    done = synsim_command(*example, cwd=tmp_path, env=env)
    assert done.returncode == 0, done.stderr


def test_versions(tmp_path):
    assert synsim_command("--version", cwd=tmp_path).stdout == f"synsim {synsim.__version__}\n"
    about = json.loads(synsim_command("version", "--json", cwd=tmp_path).stdout)
    assert about["synsim"] == synsim.__version__ and {"jax", "jaxlib", "h5py", "devices"} <= set(about)


def test_a_full_disk_is_exit_74(tmp_path):
    """A limit on the size of files stands for a disk that is full."""
    (tmp_path / "config.yaml").write_text(LONG.replace("z.s: {as: events}", "z.v: {}"))
    done = subprocess.run(
        ["bash", "-c", f"ulimit -f 300; exec {sys.executable} -m synsim run config.yaml"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=120,
    )
    assert done.returncode in (66, 74), done.stderr
    assert "Traceback" not in done.stderr
