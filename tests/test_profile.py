"""`synsim run … --profile`: the times that it says are there, add up, and change nothing of the run."""

from __future__ import annotations

import re

import numpy as np
from typer.testing import CliRunner

import synsim
from synsim.cli import app
from synsim.profile import Profile

CONFIG = """
name: profiled
seed: 3
run: {dt: 0.5, steps: 400, trials: 2}
components:
  x: {type: PoissonCell, n_units: 50, target_freq: 300}
  W: {type: Synapse, connectivity: sparse, fan_out: 10, delay: 1.5, resist_scale: 30}
  z: {type: LIFCell, n_units: 40, tau_m: 20}
wires: {x.inputs: 1, W.inputs: x.outputs, z.j: W.outputs}
record:
  z.s: {as: events}
  z.v: {}
"""


def test_the_times_are_those_of_the_run(tmp_path):
    profile, outcomes = Profile(), []
    (tmp_path / "c.yaml").write_text(CONFIG)
    with synsim.run(tmp_path / "c.yaml", out=tmp_path / "a", profile=profile, finished=outcomes.append) as left:
        voltages = np.asarray(left["z.v"].data)
    with synsim.run(tmp_path / "c.yaml", out=tmp_path / "b") as plain:
        np.testing.assert_array_equal(plain["z.v"].data, voltages)
    assert profile.steps == 800 and set(profile.components) == {"x", "W", "z"}
    assert profile.seconds["compiling"] == outcomes[0].compile_seconds > 0.0
    assert profile.seconds["simulation"] == outcomes[0].seconds - outcomes[0].compile_seconds > 0.0
    assert 0.0 < profile.seconds["writing"] < outcomes[0].seconds and profile.seconds["merging"] > 0.0
    assert 0.0 < min(profile.components.values()) and 0.0 < profile.whole < 1e4
    told = profile.document()
    assert told["microseconds_a_step"]["alone"] == profile.components
    assert told["microseconds_a_step"]["simulation"] * 800e-6 == profile.seconds["simulation"]


def test_the_command_says_where_time_went(tmp_path):
    (tmp_path / "c.yaml").write_text(CONFIG)
    words = ["run", str(tmp_path / "c.yaml"), "--out", str(tmp_path), "--profile", "--quiet"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    for what in ("simulation", "writing"):
        assert re.search(rf"^  {what} +[\d.e+]+ µs/step +\d+\.\d+ s", done.stderr, re.MULTILINE), done.stderr
    for what in ("compiling", "merging"):
        assert re.search(rf"^  {what} +\d+\.\d+ s", done.stderr, re.MULTILINE), done.stderr
    for component in "xWz":
        assert re.search(rf"^  {component} +[\d.e+]+ µs/step", done.stderr, re.MULTILINE), done.stderr
