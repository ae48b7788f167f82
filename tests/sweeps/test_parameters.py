"""The points of a sweep: what arguments and a block ask for, and every line that is said where they are wrong."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from synsim.config import load
from synsim.faults import ConfigError, render
from synsim.spec import SUMMARIES
from synsim.sweeps.parameters import MOST_POINTS, sweep_of

ROOT = Path(__file__).parent.parent.parent

TEXT = """\
name: small
seed: 3
let: {hid: 5, unused_by_nobody: 2}
run: {steps: 20}
data:
  images: {type: digits, part: images, rows: "0:10"}
components:
  x: {type: PoissonCell, n_units: 64, target_freq: 63.75}
  W: {type: StaticSynapse, weight_init: {type: uniform, low: 0.0, high: 0.3}}
  H: {type: HebbianSynapse, eta: 0.1, shape: [64, "${hid}"], weight_init: 0.1}
  z: {type: LIFCell, n_units: "${hid}", tau_m: 10, resist_m: "${unused_by_nobody}"}
wires: {x.inputs: images, W.inputs: x.outputs, z.j: W.outputs, H.inputs: x.outputs, H.pre: x.outputs, H.post: z.s}
record: {z.s: {as: events}}
phases: [{name: train, trials: 3}, {name: test, trials: 2, learning: false}]
"""


def spec_of(*overrides, text=TEXT, **more):
    return load("c.yaml", text=text, overrides=overrides, **more)


def points_of(*arguments, spec=None, **more):
    return sweep_of(spec or spec_of(), arguments, **more)


def column(*arguments, **more):
    return [point[0] for point in points_of(*arguments, **more).points]


def said(*arguments, spec=None, **more):
    with pytest.raises(ConfigError) as caught:
        sweep_of(spec or spec_of(), arguments, **more)
    assert caught.value.exit_code == 2
    return render(caught.value.faults)


# what is asked for -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argument", "values"),
    [
        ("z.tau_m=1e1,20", [10.0, 20]),
        ("z.tau_m=20", [20]),
        ("z.tau_m=[10,20]", [10, 20]),
        ("z.tau_m=10:40:7", [10, 15, 20, 25, 30, 35, 40]),
        ("z.tau_m= 10:40:3 ", [10, 25, 40]),
        ("z.tau_m=40:10:3", [40, 25, 10]),
        ("z.tau_m=0.1:0.7:7", [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]),
        ("z.tau_m=10:40:1", [10]),
        ("z.tau_m=log:1e-2:1e1:4", [0.01, 0.1, 1.0, 10.0]),
        ("z.tau_m=log:1:1000:4", [1, 10, 100, 1000]),
        ("z.v_rest=log:-100:-1:3", [-100, -10, -1]),
        ("z.tau_m={from: 10, to: 40, n: 3}", [10, 25, 40]),
        ("z.tau_m={from: 1, to: 100, n: 3, scale: log}", [1, 10, 100]),
        ("seed=0:20", list(range(20))),
        ("seed={from: 2, to: 4}", [2, 3]),
        ("let.hid=50,100", [50, 100]),
        ("data.images.rows=0:5,5:10", ["0:5", "5:10"]),
        ('data.images.rows="0:5"', ["0:5"]),
        ("run.shuffle=true,false", [True, False]),
        ("data.images.part=images", ["images"]),
        ("z.tau_m=[[10,20,30,40,50],20]", [[10, 20, 30, 40, 50], 20]),
        ("z.tau_m=[10,20,30,40,50],[1,2,3,4,5]", [[10, 20, 30, 40, 50], [1, 2, 3, 4, 5]]),
        (
            "W.weight_init={type: uniform, low: 0, high: 1},0.5",
            [{"type": "uniform", "low": 0, "high": 1}, 0.5],
        ),
        ("W.weight_init.high=1,2", [1, 2]),
        ("phases.train.trials=2,3", [2, 3]),
        ("phases.0.trials=2,3", [2, 3]),
        ("wires.z.j=12,W.outputs", [12, "W.outputs"]),
        ("initial.z.v=-60,-50", [-60, -50]),
    ],
)
def test_what_a_path_takes(argument, values):
    found = column(argument)
    assert found == values
    assert [type(each) for each in found] == [type(each) for each in values]


def test_a_grid_has_every_value_with_every_other_and_the_last_runs_fastest():
    found = points_of("z.tau_m=10,20", "seed=0:3", "H.eta=log:1e-3:1e-2:2")
    assert found.mode == "grid" and [each.path for each in found.parameters] == ["z.tau_m", "seed", "H.eta"]
    assert found.points[:3] == ((10, 0, 1e-3), (10, 0, 1e-2), (10, 1, 1e-3))
    assert len(set(found.points)) == 12 and found.summary == SUMMARIES
    assert [each.ends for each in found.parameters] == [False, True, True]
    assert found.parameters[0].where == "z.tau_m=10,20:1:9"


def test_zip_takes_the_first_of_each_with_the_first_of_the_others():
    assert points_of("z.tau_m=10,20,20", "seed=0:3", zip=True).points == ((10, 0), (20, 1), (20, 2))


@pytest.mark.parametrize(
    ("argument", "path"),
    [
        ("components.z.tau_m=1,2", "z.tau_m"),
        ("H.rule.eta=1,2", "H.eta"),
        ("W.g_conduct_factor=1,2", "W.resist_scale"),
        ("wires.components.z.j=1,2", "wires.z.j"),
        ("phases.0.trials=1,2", "phases.train.trials"),
    ],
)
def test_a_path_has_one_spelling(argument, path):
    assert points_of(argument).parameters[0].path == path


def test_random_points_are_spread_over_ranges_and_lists():
    found = points_of(
        "z.tau_m=10:40:7", "H.eta=log:1e-4:1e-1", "seed=0:20", "let.hid=5:9:2", "run.shuffle=true,false", random=2000
    )
    tau, eta, seed, hid, shuffle = (np.array(each) for each in zip(*found.points, strict=True))
    assert found.mode == "random" and len(found.points) == 2000
    assert found.parameters[0].values == (10, 40) and found.parameters[0].ends
    assert tau.min() >= 10 and tau.max() <= 40 and abs(tau.mean() - 25) < 4 * 30 / math.sqrt(12 * 2000)
    logs = np.log10(eta)
    assert logs.min() >= -4 and logs.max() <= -1 and abs(logs.mean() + 2.5) < 4 * 3 / math.sqrt(12 * 2000)
    assert set(seed.tolist()) == set(range(20)) and np.bincount(seed).min() > 60
    assert set(hid.tolist()) == {5, 6, 7, 8, 9} and all(type(point[3]) is int for point in found.points)
    assert 800 < shuffle.sum() < 1200
    assert abs(np.corrcoef(tau, logs)[0, 1]) < 0.1


def test_more_random_points_and_other_parameters_change_none():
    few = points_of("z.tau_m=10.0:40", "seed=0:100", random=5).points
    more = points_of("seed=0:100", "H.eta=0.0:1", "z.tau_m=10.0:40", random=50).points
    assert [(point[2], point[0]) for point in more[:5]] == list(few)
    assert points_of("z.tau_m=10.0:40", "seed=0:100", random=5, seed=4).points != few
    assert points_of("z.tau_m=10.0:40", "seed=0:100", random=5, seed=3).points == few, "without one, the config's seed"


def test_random_points_are_these_everywhere():
    """A file that was made with a seed can be made again, on any machine and with any version."""
    assert points_of("z.tau_m=10.0:40", "seed=0:100", random=3, seed=1).points == (
        (39.0187151, 5),
        (28.0563316, 79),
        (19.7659705, 73),
    )


def test_every_value_reaches_its_point_as_set_puts_it_there():
    spec = spec_of()
    found = points_of("components.H.rule.eta=0.2,0.3", "let.hid=6,7", "seed=0:2", spec=spec)
    for values in found.points:
        given = {each.path: each.given(value) for each, value in zip(found.parameters, values, strict=True)}
        point = spec.vary(given)
        same = spec_of(f"H.eta={values[0]}", f"let.hid={values[1]}", f"seed={values[2]}")
        assert point.resolved() == same.resolved() and point.sweep is None
        assert (point.text, point.filename, point.files) == (spec.text, spec.filename, spec.files)
    assert spec.vary({"z.tau_m": 30}).components["z"].settings["tau_m"] == 30


def test_a_value_of_a_sweep_beats_files_and_overrides(tmp_path):
    (tmp_path / "base.yaml").write_text(TEXT)
    text = "extends: base.yaml\ncomponents: {W: {g_conduct_factor: 3}}\n"
    (tmp_path / "c.yaml").write_text(text)
    spec = load(tmp_path / "c.yaml", overrides=["seed=9", "W.g_conduct_factor=4"])
    point = spec.vary({"W.resist_scale": 5.0, "seed": 1})
    assert point.components["W"].settings["resist_scale"] == 5.0 and point.seed == 1


def test_text_in_a_value_is_never_put_in_place(monkeypatch):
    monkeypatch.setenv("HOME_OF_IT", "elsewhere")
    point = spec_of().vary({"data.images.part": "images", "name": "a"})
    assert point.data["images"].settings["part"] == "images"
    assert said("z.tau_m=${hid}") == [
        "z.tau_m=${hid}:1:9: error: a sweep names its values itself: write them out in place of ${…}."
    ]


# the block ---------------------------------------------------------------------------------------------------------

BLOCK = """\
sweep:
  z.tau_m: [10, 20]
  seed: 0:3
  H.eta: {from: 1e-3, to: 1e-1, n: 3, scale: log}
  summary: [rate, norm]
"""


def test_a_block_says_the_same_as_arguments():
    block = sweep_of(spec_of(text=TEXT + BLOCK))
    given = points_of("z.tau_m=10,20", "seed=0:3", "H.eta=log:1e-3:1e-1:3")
    assert (block.points, block.mode) == (given.points, given.mode)
    assert [each.path for each in block.parameters] == [each.path for each in given.parameters]
    assert block.summary == ("rate", "norm")
    assert block.parameters[0].where == "c.yaml:16:12"


def test_an_argument_takes_the_place_of_what_the_block_says_of_its_path():
    spec = spec_of(text=TEXT + BLOCK)
    found = points_of("components.z.tau_m=30:50:5", "let.hid=5,6", spec=spec)
    assert [(each.path, len(each.values)) for each in found.parameters] == [
        ("z.tau_m", 5),
        ("seed", 3),
        ("H.eta", 3),
        ("let.hid", 2),
    ]
    assert points_of(spec=spec, random=7).mode == "random"


def test_a_block_may_be_random_or_zipped():
    text = TEXT + "sweep: {mode: random, n: 4, seed: 5, z.tau_m: 10.0:20}\n"
    assert sweep_of(spec_of(text=text)).points == points_of("z.tau_m=10.0:20", random=4, seed=5).points
    assert points_of(spec=spec_of(text=text), random=6).points[:4] == sweep_of(spec_of(text=text)).points
    text = TEXT + "sweep: {mode: zip, z.tau_m: [10, 20], seed: [4, 5]}\n"
    assert sweep_of(spec_of(text=text)).points == ((10, 4), (20, 5))


def test_overrides_reach_into_the_block():
    spec = spec_of("sweep.z.tau_m=[30]", "sweep.H.eta.n=5", "sweep.seed=[1]", "sweep.mode=grid", text=TEXT + BLOCK)
    assert [len(each.values) for each in sweep_of(spec).parameters] == [1, 1, 5]
    assert spec_of("sweep=null", text=TEXT + BLOCK).sweep is None


def test_a_block_is_merged_with_that_of_an_extended_config(tmp_path):
    (tmp_path / "base.yaml").write_text(TEXT + BLOCK + "launcher: {type: slurm, cpus: 2, time: 60}\n")
    (tmp_path / "c.yaml").write_text(
        "extends: base.yaml\nsweep: {components.z.tau_m: [1, 2, 3], seed: null, H.eta: {n: 2}}\nlauncher: {cpus: 4}\n"
    )
    spec = load(tmp_path / "c.yaml")
    assert [(each.path, len(each.values)) for each in sweep_of(spec).parameters] == [("z.tau_m", 3), ("H.eta", 2)]
    assert spec.launcher is not None and (spec.launcher.cpus, spec.launcher.time) == (4, 60)


def test_let_may_hold_values_of_the_block():
    text = TEXT.replace("let: {", "let: {taus: [10, 20, -1], rates: log:1e-3:1e-1:3, ").replace(
        "phases:", 'sweep: {z.tau_m: "${taus}", H.eta: "${rates}"}\nphases:'
    )
    assert said(spec=spec_of(text=text)) == ["c.yaml:14:18: error: z.tau_m must be above 0 ms, not -1."]
    found = sweep_of(spec_of(text=text.replace("-1]", "30]")))
    assert found.points[:4] == ((10, 1e-3), (10, 1e-2), (10, 1e-1), (20, 1e-3))


def test_the_type_of_a_part_keeps_its_settings():
    part = "{type: Synapse, connectivity: dense, rule: {type: hebbian, eta: 0.3},"
    spec = spec_of(text=TEXT.replace("{type: HebbianSynapse, eta: 0.1,", part))
    found = points_of("H.rule.type=hebbian", "H.rule.eta=0.1,0.2", spec=spec)
    assert [each.path for each in found.parameters] == ["H.rule.type", "H.eta"] and len(found.points) == 2
    assert spec.vary({"H.rule.type": "hebbian"}).components["H"].settings["eta"] == 0.3
    assert spec.vary({"H.eta": 0.5}).components["H"].settings["eta"] == 0.5


def test_a_resolved_config_keeps_its_sweep_and_is_a_config_again():
    text = TEXT + BLOCK + "launcher: {type: slurm, cpus: 2}\n"
    spec = spec_of("sweep.let.hid=[5, 8]", text=text)
    resolved = spec.resolved()
    assert resolved["sweep"]["let.hid"] == [5, 8] and resolved["let"] == {"hid": 5}
    assert resolved["components"]["z"]["n_units"] == "${hid}" and resolved["components"]["H"]["shape"] == [64, "${hid}"]
    assert resolved["launcher"] == {"type": "slurm", "cpus": 2}
    again = load(resolved)
    assert again.resolved() == resolved
    assert sweep_of(again).points == sweep_of(spec).points
    assert "sweep" not in spec_of().resolved() and "launcher" not in spec_of().resolved()
    assert "sweep" not in spec.vary({"seed": 3}).resolved()


# what is wrong -----------------------------------------------------------------------------------------------------

WRONG = {
    "unknown component": (["q.v=1,2"], ["q.v=1,2:1:1: error: there is no component 'q'. There are x, W, H and z."]),
    "unknown setting": (
        ["z.tau=1,2"],
        ["z.tau=1,2:1:3: error: z (LIFCell) has no setting 'tau'. Did you mean 'tau_m'?"],
    ),
    "unknown let": (["let.hix=1,2"], ["let.hix=1,2:1:5: error: no value refers to let.hix. Did you mean 'hid'?"]),
    "no path": (["=1,2"], ["=1,2:1:1: error: a sweep is PATH=VALUES with a PATH as z.tau_m or run.dt."]),
    "no equals": (
        ["z.tau_m"],
        ["z.tau_m:1:8: error: a sweep is PATH=VALUES, as W.eta=1e-3,1e-2 or z.tau_m=10:40:7."],
    ),
    "wrong type": (
        ["z.tau_m=10,fast"],
        [
            "z.tau_m=10,fast:1:12: error: z.tau_m must be a number, a list of numbers or an initialiser, "
            "not the text 'fast'."
        ],
    ),
    "out of bounds": (
        ["z.tau_m=5,-1,0"],
        [
            "z.tau_m=5,-1,0:1:11: error: z.tau_m must be above 0 ms, not -1.",
            "z.tau_m=5,-1,0:1:14: error: z.tau_m must be above 0 ms, not 0.",
        ],
    ),
    "a range out of bounds": (
        ["z.tau_m=-10:10:5"],
        ["z.tau_m=-10:10:5:1:9: error: z.tau_m must be above 0 ms, not -10."],
    ),
    "numbers that are not whole": (
        ["run.steps=10:20:4"],
        ["run.steps=10:20:4:1:11: error: run.steps must be a whole number, not 13.333333333333334."],
    ),
    "seeds below 0": (
        ["seed=-1:3"],
        ["seed=-1:3:1:6: error: seed must be at least 0 and at most 4294967295, not -1."],
    ),
    "nothing": (
        ["z.tau_m="],
        [
            "z.tau_m=:1:9: error: there are no values: write a list, a range such as 10:40:7 or log:1e-4:1e-1:7, "
            "or {from: 10, to: 40, n: 7}."
        ],
    ),
    "an empty list": (["z.tau_m=[]"], ["z.tau_m=[]:1:9: error: the list is empty: a sweep needs at least one value."]),
    "a missing value": (["z.tau_m=1,,2"], ["z.tau_m=1,,2:1:11: error: a value is missing before this comma."]),
    "a missing last value": (["z.tau_m=1,"], ["z.tau_m=1,:1:11: error: a value is missing after the comma."]),
    "a bracket": (["z.tau_m=[1,2"], ["z.tau_m=[1,2:1:9: error: '[' is never closed."]),
    "no count": (
        ["z.tau_m=10.5:40"],
        [
            "z.tau_m=10.5:40:1:9: error: the range 10.5:40 needs a count: write 10.5:40:7 for seven values, both ends "
            "included; without one a range counts whole numbers, as 0:20."
        ],
    ),
    "no count of a log range": (
        ["z.tau_m=log:1:10"],
        [
            "z.tau_m=log:1:10:1:9: error: the range log:1:10 needs a count: write log:1:10:7 for seven values, both "
            "ends included."
        ],
    ),
    "a count of 0": (
        ["z.tau_m=10:40:0"],
        ["z.tau_m=10:40:0:1:15: error: the number of values must be a whole number of at least 1, not 0."],
    ),
    "a count that is not whole": (
        ["z.tau_m=10:40:2.5"],
        ["z.tau_m=10:40:2.5:1:15: error: the number of values must be a whole number of at least 1, not 2.5."],
    ),
    "through 0": (
        ["z.tau_m=log:0:10:3"],
        [
            "z.tau_m=log:0:10:3:1:9: error: a log range cannot go through 0, as from 0 to 10: both its ends must lie "
            "on one side of it."
        ],
    ),
    "downwards": (
        ["seed=5:1"],
        ["seed=5:1:1:6: error: 5:1 has no values: it counts from 5 up to below 1."],
    ),
    "no number in a range": (
        ["z.tau_m=10:4o:7"],
        [
            "z.tau_m=10:4o:7:1:12: error: '4o' is no number: a range is from:to:n, as 10:40:7, or log:from:to:n; put "
            "text that holds a colon in quotes."
        ],
    ),
    "no end": (
        ["z.tau_m=0:.inf:3"],
        ["z.tau_m=0:.inf:3:1:11: error: a range goes from one finite number to another, not to .inf."],
    ),
    "twice": (
        ["z.tau_m=1,2", "components.z.tau_m=3"],
        ["components.z.tau_m=3:1:1: error: components.z.tau_m is swept twice, here and as z.tau_m: write it once."],
    ),
    "twice under two names": (
        ["W.resist_scale=1,2", "W.g_conduct_factor=3"],
        [
            "W.g_conduct_factor=3:1:1: error: W.g_conduct_factor is swept twice, here and as W.resist_scale: write it "
            "once."
        ],
    ),
    "inside another": (
        ["W.weight_init.low=0,1", "W.weight_init={type: uniform, low: 0, high: 1}, 2"],
        [
            "W.weight_init.low=0,1:1:1: error: W.weight_init.low lies inside W.weight_init, which is swept too: "
            "sweep one."
        ],
    ),
    "the same value twice": (
        ["z.tau_m=10,10.0"],
        ["z.tau_m=10,10.0:1:12: error: 10.0 stands in the list before: write it once."],
    ),
    "a name that is not used then": (
        ["let.hid=1,2", "z.n_units=3,4", "H.shape=[64,3],[64,4]"],
        ["let.hid=1,2:1:5: error: no value refers to let.hid."],
    ),
    "what cannot be swept": (
        [
            "name=a,b",
            "plugins=x",
            "record.z.s.on=true",
            "run.device=cpu",
            "run.precision=float32",
            "z=1",
            "data.images=1",
        ],
        [
            "data.images=1:1:1: error: data.images is a whole data entry, not a value: sweep one of its settings.",
            "name=a,b:1:1: error: name cannot be swept: each point is called by the name and its number.",
            "plugins=x:1:1: error: plugins cannot be swept: all points use the same components.",
            "record.z.s.on=true:1:1: error: record cannot be swept: all points keep the same records.",
            "run.device=cpu:1:1: error: run.device cannot be swept: one sweep has one, given by --device.",
            "run.precision=float32:1:1: error: run.precision cannot be swept: one sweep has one, given by --precision.",
            "z=1:1:1: error: z is a whole component, not a value: sweep one of its settings.",
        ],
    ),
    "sections": (
        [
            "run=1",
            "let=2",
            "wires=3",
            "sweep.z=1",
            "launcher.cpus=2",
            "extends=a",
            "phases.train=1",
            "phases.train.name=a",
        ],
        [
            "extends=a:1:1: error: extends stands in a file and cannot be overridden.",
            "launcher.cpus=2:1:1: error: launcher cannot be swept: a sweep is launched once.",
            "let=2:1:1: error: let is a whole section, not a value: sweep a value in it, as let.hid.",
            "phases.train.name=a:1:1: error: name of a phase cannot be swept: all points have the same phases and "
            "records.",
            "phases.train=1:1:1: error: phases[0] is a whole phase, not a value: sweep one of its settings.",
            "run=1:1:1: error: run is a whole section, not a value: sweep a value in it, as run.dt.",
            "sweep.z=1:1:1: error: sweep cannot be swept: it says itself what is swept.",
            "wires=3:1:1: error: wires is a whole section, not a value: sweep a value in it.",
        ],
    ),
    "too many values": (
        ["z.tau_m=1:2:1000001"],
        ["z.tau_m=1:2:1000001:1:13: error: a sweep has at most 1,000,000 points, not 1,000,001."],
    ),
    "too many points": (
        ["seed=0:2000", "z.tau_m=1:20:1000"],
        ["z.tau_m=1:20:1000:1:9: error: the grid would have over 1,000,000 points: take fewer values."],
    ),
    "all at once": (
        ["q.v=1", "z.tau_m=10,-1", "run.dt=0.1:0.2", "H.eta=log:0:1:3"],
        [
            "H.eta=log:0:1:3:1:7: error: a log range cannot go through 0, as from 0 to 1: both its ends must lie on "
            "one side of it.",
            "q.v=1:1:1: error: there is no component 'q'. There are x, W, H and z.",
            "run.dt=0.1:0.2:1:8: error: the range 0.1:0.2 needs a count: write 0.1:0.2:7 for seven values, both ends "
            "included; without one a range counts whole numbers, as 0:20.",
            "z.tau_m=10,-1:1:12: error: z.tau_m must be above 0 ms, not -1.",
        ],
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_sweep_is_told_in_one_line_each(case):
    arguments, lines = WRONG[case]
    assert said(*arguments) == lines


def test_wrong_ways_to_put_points_together():
    assert said("z.tau_m=1,2", "seed=0:3", "H.eta=1", zip=True) == [
        "H.eta=1:1:7: error: H.eta has 1 value and z.tau_m has 2: with zip all need the same number.",
        "seed=0:3:1:6: error: seed has 3 values and z.tau_m has 2: with zip all need the same number.",
    ]
    assert said("z.tau_m=1,2", zip=True, random=3) == [
        "error: --zip and --random ask for different points: give one of them"
    ]
    assert said("z.tau_m=1,2", random=0) == [
        "--random 0:1:10: error: --random must be at least 1: it is the number of points."
    ]
    assert said("z.tau_m=1,2", random=MOST_POINTS + 1) == [
        "--random 1000001:1:10: error: a sweep has at most 1,000,000 points, not 1,000,001."
    ]
    assert said() == ["error: there is nothing to sweep: give PATH=VALUES, as z.tau_m=10,20, or a block sweep"]


def test_a_value_of_the_block_is_told_where_it_stands():
    spec = spec_of(text=TEXT + "sweep:\n  z.tau_m: [10, 20, -5]\n  components.H.eta: log:1:10:2\n  let.hix: [1]\n")
    assert said(spec=spec) == [
        "c.yaml:16:21: error: z.tau_m must be above 0 ms, not -5.",
        "c.yaml:18:7: error: no value refers to let.hix. Did you mean 'hid'?",
    ]


def test_a_config_from_python_may_have_a_sweep():
    import yaml

    whole = yaml.safe_load(TEXT)
    whole["components"]["H"]["eta"] = 0.1
    spec = load({**whole, "sweep": {"z.tau_m": np.array([10.0, 20.0]), "seed": "0:2"}})
    assert len(sweep_of(spec).points) == 4
    with pytest.raises(ConfigError) as caught:
        sweep_of(load({**whole, "sweep": {"z.tau_m": [10.0, -20.0]}}))
    assert render(caught.value.faults) == ["sweep z.tau_m:1:1: error: z.tau_m must be above 0 ms, not -20.0."]


# the command line --------------------------------------------------------------------------------------------------


def synsim_command(*words, cwd):
    return subprocess.run(
        [sys.executable, "-m", "synsim", *words], capture_output=True, text=True, cwd=cwd, timeout=120
    )


def test_a_run_and_its_dry_run_refuse_a_sweep(tmp_path):
    (tmp_path / "c.yaml").write_text(TEXT + BLOCK)
    line = (
        "c.yaml:15:1: error: this config has a sweep, and a run is one point: `synsim sweep c.yaml` runs all of them, "
        "--set sweep=null leaves it away.\n"
    )
    for more in ([], ["--dry-run"]):
        refused = synsim_command("run", "c.yaml", *more, cwd=tmp_path)
        assert (refused.returncode, refused.stderr, refused.stdout) == (2, line, "")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c.yaml"]
    (tmp_path / "l.yaml").write_text(TEXT + "launcher: {type: slurm}\n")
    told = synsim_command("run", "l.yaml", "--dry-run", cwd=tmp_path)
    assert told.returncode == 0 and "l.yaml:15:1: warning: launcher is what `synsim sweep` goes by" in told.stderr


def test_check_shows_how_many_points_there_are(tmp_path):
    (tmp_path / "c.yaml").write_text(TEXT + BLOCK)
    shown = synsim_command("check", "c.yaml", cwd=tmp_path)
    assert shown.returncode == 0 and "sweep: 18 points, a grid" in shown.stdout
    about = json.loads(synsim_command("check", "c.yaml", "--json", cwd=tmp_path).stdout)["sweep"]
    assert about["points"] == 18 and about["mode"] == "grid" and about["summary"] == ["rate", "norm"]
    assert about["parameters"][1] == {"path": "seed", "values": [0, 1, 2]}
    (tmp_path / "d.yaml").write_text(TEXT + BLOCK.replace("[10, 20]", "[10, 25]"))
    shown = synsim_command("check", "c.yaml", "d.yaml", "--diff", cwd=tmp_path)
    assert shown.returncode == 1
    assert shown.stdout.splitlines()[2:] == ["-sweep.z.tau_m: [10, 20]", "+sweep.z.tau_m: [10, 25]"]
    wrong = synsim_command("check", "c.yaml", "--set", "sweep.z.tau_m=[10, -1]", cwd=tmp_path)
    assert wrong.returncode == 2
    assert "--set sweep.z.tau_m=[10, -1]:1:20: error: z.tau_m must be above 0 ms, not -1." in wrong.stderr


def test_points_are_known_without_jax(tmp_path):
    (tmp_path / "c.yaml").write_text(TEXT + BLOCK)
    program = (
        "import sys; from synsim.config import load; from synsim.sweeps.parameters import sweep_of\n"
        "print(len(sweep_of(load('c.yaml')).points))\n"
        "print('jax' in sys.modules, 'h5py' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}
    )
    assert done.stdout == "18\nFalse False\n", done.stderr
