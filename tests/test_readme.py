"""What the README shows works as it stands there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_ci_runs_the_same_test_command():
    command = next(block.strip() for block in blocks("sh") if "pytest" in block)
    assert command in (ROOT / ".ci" / "run").read_text()
    assert "SYNSIM_TEST_SCALE=ci" in (ROOT / ".ci" / "run").read_text()


def test_files_that_are_named_exist():
    for path in re.findall(r"`(configs/[^`]*)`|\]\((configs/[^)]*)\)", README):
        assert (ROOT / (path[0] or path[1])).exists()


def synsim(*words, cwd):
    done = subprocess.run(
        [sys.executable, "-m", "synsim", *words], capture_output=True, text=True, cwd=cwd, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_config_runs_and_the_commands_work(tmp_path):
    config = blocks("yaml")[0]
    (tmp_path / "config.yaml").write_text(config)
    assert "x.advance W.advance z.advance tx.advance tz.advance W.evolve" in synsim(
        "check", "config.yaml", cwd=tmp_path
    )
    synsim("run", "config.yaml", cwd=tmp_path)
    synsim("run", "config.yaml", "--set", "z.tau_m=20", "--seed", "3", "--name", "other", cwd=tmp_path)
    assert "W.weights" in synsim("inspect", "runs/first", cwd=tmp_path)
    import synsim as package

    with package.open(tmp_path / "runs" / "first") as run:
        assert len(run.spikes("z.s").timestamps) > 100, "the example is silent"


def test_the_mistake_that_is_shown(tmp_path):
    lines = blocks("yaml")[0].replace("resist_scale: 20", "resist_scal: 20").splitlines()
    (tmp_path / "config.yaml").write_text("\n".join(lines))
    done = subprocess.run(
        [sys.executable, "-m", "synsim", "check", "config.yaml"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=120,
    )
    shown = blocks("text")[0].strip()
    assert done.returncode == 2
    assert shown in done.stderr


def test_the_component_that_is_shown(tmp_path):
    """In a process of its own, with the file where the README says."""
    source = next(block for block in blocks("python") if "class LeakyCell" in block)
    program = f"""
import sys, types, importlib.util, pathlib
folder = pathlib.Path({str(tmp_path)!r})
import synsim.components
synsim.components.__path__.append(str(folder))
import synsim
config = {{"run": {{"steps": 20, "batch": 3}}, "components": {{"c": {{"type": "LeakyCell", "n_units": 4, "tau": 5.0}}}},
          "wires": {{"c.j": 1.0}}, "record": {{"c.v": {{}}, "c.up": {{}}}}}}
with synsim.run(config, out=folder, name="leaky") as run:
    v = run["c.v"].data[-1]
    assert abs(v - (1 - 0.8 ** 20)).max() < 1e-6, v
"""
    (tmp_path / "leaky_cell.py").write_text(source)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    """A short run of the picture's config, under the folder that the README names."""
    folder = tmp_path_factory.mktemp("readme")
    synsim(
        "run",
        str(ROOT / "configs" / "stdp_digits.yaml"),
        "-q",
        "--set",
        "phases.learn.epochs=1",
        "--set",
        "data.image.rows=0:20",
        "--set",
        "data.class.rows=0:20",
        "--set",
        "data.label.rows=0:20",
        cwd=folder,
    )
    return folder


def test_the_file_is_opened_as_shown(learned, monkeypatch):
    monkeypatch.chdir(learned)
    code = next(block for block in blocks("python") if "import h5py" in block)
    names = {}
    exec(compile(code, "README.md", "exec"), names)
    assert names["before"].shape == names["after"].shape == (64, 100)
    assert names["accuracy"]["data"].dims == ("time",)
    names["accuracy"].close()
