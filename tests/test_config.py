"""Configs: what is read from them, and what is said about wrong ones."""

from __future__ import annotations

import json
import math
import random
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import choose

import synsim
from synsim import preflight
from synsim.config import load
from synsim.config.yaml_source import read
from synsim.expressions import BadExpression, parse, written
from synsim.faults import ConfigError, Fault, render
from synsim.spec import EVERY, Phase, RecordSettings, Schedule

WRONG = Path(__file__).parent / "wrong_configs"

NETWORK = """\
name: digits-net
seed: 7
let: {hid: 5, gain: 0.5}
run: {dt: 0.5, steps: 20, batch: 2}
data:
  images: {type: digits, part: images, rows: "0:10", scale: 0.0625}
  labels: {type: digits, part: labels}
components:
  x: {type: PoissonCell, n_units: 64}
  W: {type: TraceSTDPSynapse, A_plus: 1e-2, A_minus: 1e-4, g_conduct_factor: 2, weight_init: 0.3}
  z:
    type: LIFCell
    n_units: "${hid}"
    tau_m: [10, 11, 12, 13, 14]
wires:
  x.inputs: images
  W.inputs: x.outputs
  z.j: [W.outputs, "${gain}"]
schedule:
  end: [z, W.evolve, reset, components.z.reset]
record:
  z.s: {as: events}
  components.z.v: {every: 5, index: "0:3", window: [0, 5]}
  W.weights:
  labels: {every: trial}
  z.rfr: false
initial:
  z.v: {type: uniform, low: -60, high: -50}
phases:
  - {name: train, epochs: 3, shuffle: true}
  - name: test
    learning: false
    trials: 4
    data: {images: {rows: "10:20"}}
    wires: {z.j: 0.5 * W.outputs, W.preSpike: null}
    set: {z.tau_theta: 0, W.g_conduct_factor: 3}
    record: {z.s: false, z.rfr: true}
    schedule: {step: [x, W, z]}
"""


def spec_of(text: str, *overrides: str, **more):
    return load("net.yaml", text=text, overrides=overrides, **more)


def faults_of(text: str | bytes, *overrides: str, **more) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load("c.yaml", text=text, overrides=overrides, **more)
    assert caught.value.exit_code == 2
    return render(caught.value.faults)


# wrong configs -----------------------------------------------------------------------------------------------------


@dataclass
class Wrong:
    """What is said of a wrong config: `== file` (and 66, where that is the exit code), `--set …` lines, then errors."""

    exit_code: int
    overrides: list[str]
    said: list[str]


def _cases() -> dict[str, Wrong]:
    cases: dict[str, Wrong] = {}
    for block in (WRONG / "expected.txt").read_text().split("\n\n"):
        head, *lines = block.strip().splitlines()
        name, _, code = head.removeprefix("== ").partition(" ")
        said = [line for line in lines if ": error: " in line]
        overrides = [line.removeprefix("--set ") for line in lines if line not in said]
        cases[name] = Wrong(
            int(code or 2), overrides, [line if line.startswith("--") else f"{name}:{line}" for line in said]
        )
    return cases


@pytest.mark.parametrize("name", sorted(_cases()))
def test_wrong_config(name, monkeypatch):
    wrong = _cases()[name]
    monkeypatch.setattr(preflight, "available_memory", lambda: 16 << 30)
    spec = None
    with pytest.raises(ConfigError) as caught:
        spec = load(name, text=(WRONG / name).read_bytes(), overrides=wrong.overrides, folder=WRONG)
        synsim.check(spec)
    assert wrong.said, "a wrong config says what is expected of it"
    faults = [fault if spec is None else spec.locate(fault) for fault in caught.value.faults]
    assert [line.replace(f"{WRONG}/", "") for line in render(faults)] == wrong.said
    assert caught.value.exit_code == wrong.exit_code


def test_every_wrong_config_is_tested():
    files = {path.name for path in WRONG.iterdir() if path.name != "expected.txt"}
    assert files == set(_cases())
    assert len(files) >= 80


# `synsim check` of each, as a user types it: a process of its own is given as long as bare imports take, and no more


@pytest.mark.parametrize("name", sorted(_cases())[:: choose(30, 12, 1)])
def test_a_wrong_config_leaves_nothing_and_is_small(name, tmp_path):
    wrong = _cases()[name]
    words = [word for override in wrong.overrides for word in ("--set", override)]
    program = (
        "import re, sys; from synsim.cli import main; sys.argv[0] = 'synsim'\n"
        "try: main()\nexcept SystemExit as end: code = end.code\n"
        "most = int(re.search(r'VmHWM:\\s*(\\d+)', open('/proc/self/status').read())[1]) >> 10\n"
        "print(most); sys.exit(code)"
    )
    shown = subprocess.run(
        [sys.executable, "-c", program, "run", str(WRONG / name), *words, "--out", str(tmp_path / "runs")],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert shown.returncode == wrong.exit_code, shown
    assert "Traceback" not in shown.stderr and len(shown.stderr.splitlines()) >= len(wrong.said)
    assert not [path for path in tmp_path.rglob("*") if path.name != "runs"]
    assert int(shown.stdout) < 200


# right ones --------------------------------------------------------------------------------------------------------


def test_a_config_as_a_spec():
    spec = spec_of(NETWORK)
    assert (spec.name, spec.seed, spec.run.dt, spec.run.steps, spec.run.batch) == ("digits-net", 7, 0.5, 20, 2)
    assert spec.run.trials is None and spec.run.epochs == 1 and spec.run.partial == "refuse"
    assert list(spec.components) == ["x", "W", "z"]
    assert spec.components["W"].settings == {"A_plus": 0.01, "A_minus": 1e-4, "resist_scale": 2.0, "weight_init": 0.3}
    assert spec.components["z"].settings == {"n_units": 5, "tau_m": [10.0, 11.0, 12.0, 13.0, 14.0]}
    assert spec.data["images"].settings == {"part": "images", "rows": "0:10", "scale": 0.0625}
    assert spec.wires == {
        "x.inputs": ("data", "images"),
        "W.inputs": ("read", "x", "outputs"),
        "z.j": ("add", ("read", "W", "outputs"), ("number", 0.5)),
    }
    assert spec.schedule == Schedule(
        end=(("z", "advance"), ("W", "evolve"), (EVERY, "reset"), ("z", "reset")), start=None, step=None
    )
    assert spec.record == {
        "z.s": RecordSettings(as_="events"),
        "z.v": RecordSettings(every=5, index="0:3", window=(0.0, 5.0)),
        "W.weights": RecordSettings(),
        "labels": RecordSettings(every="trial"),
        "z.rfr": RecordSettings(on=False),
    }
    assert spec.initial == {"z.v": {"type": "uniform", "low": -60.0, "high": -50.0}}
    assert spec.text == NETWORK and spec.filename == "net.yaml"


def test_phases():
    train, test = spec_of(NETWORK).phases
    assert train == Phase(name="train", epochs=3, shuffle=True)
    assert test.data["images"].settings == {"part": "images", "rows": "10:20", "scale": 0.0625}
    assert test.wires == {"z.j": ("mul", ("number", 0.5), ("read", "W", "outputs")), "W.preSpike": None}
    assert test.set == {"z.tau_theta": 0.0, "W.resist_scale": 3.0}
    assert test.record == {"z.s": False, "z.rfr": True}
    assert (test.learning, test.trials, test.epochs) == (False, 4, None)
    assert test.schedule is not None and test.schedule.step == (("x", "advance"), ("W", "advance"), ("z", "advance"))
    assert test.schedule.end == spec_of(NETWORK).schedule.end, "what a phase leaves out of its schedule stays"


def test_a_phase_with_another_type_of_data_starts_afresh():
    text = NETWORK.replace('{images: {rows: "10:20"}}', "{images: {type: file, path: new.npy}}")
    assert spec_of(text).phases[1].data["images"].settings == {"path": "new.npy"}


def test_the_default_schedule_advances_then_evolves_as_written():
    spec = spec_of(NETWORK)
    order = spec.order()
    assert order.start == ((EVERY, "reset"),)
    assert order.step == (("x", "advance"), ("W", "advance"), ("z", "advance"), ("W", "evolve"))
    assert spec.order(spec.phases[1]).step == (("x", "advance"), ("W", "advance"), ("z", "advance"))
    assert spec.order(spec.phases[0]) == order
    assert spec_of(NETWORK.replace("  end: [", "  step: []\n  end: [")).order().step == ()


def test_resolved_is_json_and_a_config_again():
    spec = spec_of(NETWORK)
    resolved = spec.resolved()
    text = json.dumps(resolved)
    assert "${" not in text
    again = load("-", text=text)
    assert again.resolved() == resolved
    assert load(resolved).resolved() == resolved
    assert again.wires == spec.wires and again.record == spec.record and again.order() == spec.order()
    assert resolved["components"]["z"]["v_rest"] == -65.0 and resolved["components"]["W"]["weight_mask"] is None
    assert resolved["components"]["W"]["w_bound"] == 1.0
    assert "trials" not in resolved["run"] and resolved["run"]["epochs"] == 1


@pytest.mark.parametrize("kind", ["dense", "conv"])
@pytest.mark.parametrize("rule", ["static", "hebbian", "trace_stdp"])
def test_a_synapse_from_its_parts(kind, rule):
    needs = ", A_plus: 1, A_minus: 1" if rule == "trace_stdp" else ""
    shape = "[3, 3, 1, 2]" if kind == "conv" else "[4, 2]"
    inside = f"{{type: Synapse, connectivity: {{type: {kind}, shape: {shape}}}, rule: {{type: {rule}{needs}}}}}"
    outside = f"{{type: Synapse, connectivity: {kind}, shape: {shape}, rule: {rule}{needs}}}"
    specs = [spec_of(f"run: {{steps: 1}}\ncomponents:\n  W: {written}\n") for written in (inside, outside)]
    assert specs[0].components["W"].type == "Synapse"
    assert specs[0].resolved()["components"] == specs[1].resolved()["components"]
    assert specs[0].components["W"].settings["connectivity"] == kind
    again = load(specs[0].resolved())
    assert again.resolved() == specs[0].resolved()


def test_a_fault_inside_a_part_is_found_where_it_is_written():
    said = faults_of(
        "run: {steps: 1}\ncomponents:\n  W:\n    type: Synapse\n    connectivity: dense\n    rule:\n"
        "      type: trace_stdp\n      A_plus: 1\n      A_minus: -1\n"
    )
    assert said == ["c.yaml:9:16: error: W.A_minus must be at least 0, not -1."]


def test_the_name_of_a_run():
    cell = "run: {steps: 1}\ncomponents: {z: {type: LIFCell, n_units: 1, tau_m: 1}}\n"
    assert load("configs/my net.v2.yaml", text=cell).name == "my-net.v2"
    assert load("con.yaml", text=cell).name == "run"
    assert load("-", text=cell).name == "run"
    assert load("a.yaml", text=cell, name="b").name == "b"
    assert load("a.yaml", text="name: c\n" + cell, name="b").name == "c"
    assert load("a.yaml", text=cell, options={"--name": ("name", "d")}).name == "d"


def test_read_from_a_file_with_its_directory(tmp_path):
    path = tmp_path / "net.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + NETWORK.encode())  # a byte order mark is no fault
    spec = load(path)
    assert spec.directory == tmp_path.resolve() and spec.filename == str(path) and spec.text == NETWORK


def test_files_that_cannot_be_read(tmp_path):
    for path, why in ((tmp_path / "no.yaml", "No such file"), (tmp_path, "not a regular file"), ("bad\0name", "null")):
        with pytest.raises(ConfigError, match=why) as caught:
            load(path)
        assert caught.value.exit_code == 2
    (tmp_path / "big.yaml").write_text("a: " + "x" * (1 << 20))
    with pytest.raises(ConfigError, match="1 MiB"):
        load(tmp_path / "big.yaml")


def test_a_mapping_from_python():
    numpy = pytest.importorskip("numpy")
    given = {
        "run": {"steps": numpy.int64(5)},
        "components": {"z": {"type": "LIFCell", "n_units": (2, 2), "tau_m": numpy.full((2, 2), 20.0)}},
    }
    spec = load(given)
    assert spec.components["z"].settings == {"n_units": (2, 2), "tau_m": [[20.0, 20.0], [20.0, 20.0]]}
    assert json.loads(spec.text)["run"] == {"steps": 5}
    given["components"]["z"]["tau_mm"] = 3
    with pytest.raises(ConfigError) as caught:
        load(given)
    assert render(caught.value.faults) == [
        "components.z.tau_mm: error: z (LIFCell) has no setting 'tau_mm'. Did you mean 'tau_m'?"
    ]
    for bad in (object(), {1: 2}, 2**80, [[["x"] * 40] * 50] * 60):
        with pytest.raises(ConfigError):
            load({"run": {"steps": bad}})


def test_unused_let_is_a_warning():
    spec = spec_of(NETWORK.replace("hid: 5", "hid: 5, spare: 1"))
    assert spec.render(spec.warnings, "warning") == ["net.yaml:3:15: warning: let.spare is not used."]


# places ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "at_key", "text"),
    [
        (("run", "dt"), False, "0.5, steps"),
        (("run", "dt"), True, "dt: 0.5"),
        (("run", "partial"), False, "run: {"),  # not written: the nearest key above
        (("components", "z", "tau_m", 2), False, "12, 13"),
        (("components", "z", "v_rest"), False, "z:\n"),
        (("components", "W", "resist_scale"), False, "2, weight_init"),  # written under its other name
        (("wires", "z.j", 1), False, '"${gain}"'),
        (("record", "z.v"), True, "components.z.v"),  # written with a leading components.
        (("phases", 1, "set", "W.resist_scale"), False, "3}\n    record"),
        (("schedule", "end", 1), False, "W.evolve,"),
        ((), False, "name:"),
    ],
)
def test_a_path_has_a_place(path, at_key, text):
    found = spec_of(NETWORK).locate(Fault("…", path, at_key=at_key))
    before = NETWORK[: NETWORK.index(text)]
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    assert (found.line, found.column, found.source) == (line, column, "net.yaml")


def test_faults_found_later_are_shown_in_the_order_of_the_text():
    spec = spec_of(NETWORK, "z.v_rest=-70")
    error = ConfigError(
        [
            Fault("b", ("wires", "z.j")),
            Fault("a", ("run", "dt")),
            Fault("a", ("run", "dt")),
            Fault("c", ("components", "z", "v_rest")),
            Fault("d"),
        ]
    )
    assert spec.render(error) == [
        "net.yaml:1:1: error: d",
        "net.yaml:4:11: error: a",
        "net.yaml:18:8: error: b",
        "--set z.v_rest=-70:1:10: error: c",
    ]


def test_what_a_config_says_cannot_act_on_a_terminal():
    (line,) = faults_of('run: {steps: 1, "a\\nb\\e[31m": 2}\ncomponents: {z: {type: LIFCell, n_units: 1, tau_m: 1}}\n')
    assert line.isprintable() and "\\x1b" in line


# overrides ---------------------------------------------------------------------------------------------------------


def test_overrides_win_over_the_text():
    spec = spec_of(
        NETWORK,
        "z.tau_m=20",
        "components.z.v_rest=-70.5",
        "run.steps=10",
        "let.hid=50",
        "seed=3",
        "data.images.scale=1",
        "W.weight_init={type: gaussian, std: 1e-3}",
        "record.z.v.every=2",
        "record.labels.on=false",
        "W.resist_scale=4",
        "phases.test.set.W.resist_scale=5",
        "wires.z.j=2 * W.outputs",
        "initial.z.v=-60",
        "phases.test.trials=9",
        "phases.0.epochs=1",
        "phases.test.set.z.tau_theta=5",
        "schedule.end=[]",
        "name=other",
        "z.one_spike=true",
    )
    z = spec.components["z"].settings
    assert z == {"n_units": 50, "tau_m": 20.0, "v_rest": -70.5, "one_spike": True}
    assert (spec.run.steps, spec.seed, spec.name) == (10, 3, "other")
    assert spec.data["images"].settings["scale"] == 1.0
    assert spec.components["W"].settings["weight_init"] == {"type": "gaussian", "std": 1e-3}
    assert spec.record["z.v"].every == 2 and not spec.record["labels"].on
    assert spec.wires["z.j"] == ("mul", ("number", 2.0), ("read", "W", "outputs"))
    assert spec.initial == {"z.v": -60.0}
    assert (spec.phases[0].epochs, spec.phases[1].trials) == (1, 9)
    assert spec.phases[1].set == {"z.tau_theta": 5.0, "W.resist_scale": 5.0}
    assert spec.components["W"].settings["resist_scale"] == 4.0, "it was written under its other name"
    assert spec.schedule is not None and spec.schedule.end == ()
    assert spec.text == NETWORK, "the text stays as it was written"


def test_an_override_reaches_into_what_is_written_and_what_is_not():
    spec = spec_of(NETWORK, "initial.z.v.low=-70", "z.tau_m.1=99", "record.W.weights.every=trial", "record.x.tols={}")
    assert spec.initial["z.v"]["low"] == -70.0
    assert spec.components["z"].settings["tau_m"][:2] == [10.0, 99.0]
    assert spec.record["W.weights"].every == "trial" and "x.tols" in spec.record


def test_the_last_override_and_options_win():
    spec = spec_of(NETWORK, "seed=3", "seed=4", "z.tau_m=1", "z.tau_m=2")
    assert spec.seed == 4 and spec.components["z"].settings["tau_m"] == 2.0
    assert spec_of(NETWORK, "seed=3", options={"--seed": ("seed", 9)}).seed == 9
    assert load("a.yaml", text=NETWORK, overrides={"z.tau_m": 3, "run.dt": 2}).components["z"].settings["tau_m"] == 3.0


def test_faults_of_options_point_into_them():
    options = {"--seed": ("seed", -1), "--precision": ("run.precision", "half")}
    assert faults_of(NETWORK, options=options) == [
        "--precision half:1:13: error: run.precision must be float32 or float64, not the text 'half'.",
        "--seed -1:1:8: error: seed must be at least 0 and at most 4294967295, not -1.",
    ]


def test_a_let_that_only_overrides_define():
    text = "run: {steps: '${n}'}\ncomponents: {z: {type: LIFCell, n_units: 1, tau_m: 1}}\n"
    assert spec_of(text, "let.n=8").run.steps == 8
    assert faults_of(text) == ["c.yaml:1:14: error: let has no name 'n'."]


def test_let_cannot_multiply_a_config():
    many = "[" + ", ".join(["1.0"] * 2000) + "]"
    uses = "\n".join(f"  c{i}: {{type: LIFCell, n_units: 2000, tau_m: '${{big}}'}}" for i in range(100))
    (line,) = faults_of(f"let: {{big: {many}}}\nrun: {{steps: 1}}\ncomponents:\n{uses}\n")
    assert "100,000" in line


# YAML --------------------------------------------------------------------------------------------------------------

SCALARS = """
1 -1 +1 012 0o17 0x1F 1.5 -1.5 .5 1. 1e3 1E5 1e-3 1e+3 12e03 1.0e3 +.5e-2 0 -0 00 0.0
true True TRUE false False FALSE null Null NULL ~ yes no on off y n Yes NO
12:30:45 190:20:30 NaN inf nan 1e 1.2.3 . 0o8 0xg 1,2 a-b .e3 e3 --1
""".split()


def test_scalars_are_those_of_yaml_1_2():
    ruamel = pytest.importorskip("ruamel.yaml")
    oracle = ruamel.YAML(typ="safe", pure=True)
    for text in ("1_000", "0b101", "2026-01-01", "2026-13-01", "="):  # not in the core schema, but in ruamel
        assert read(f"a: {text}", "f").value["a"] == text
    for text in SCALARS:
        mine, theirs = read(f"a: {text}", "f").value["a"], oracle.load(f"a: {text}")["a"]
        assert (type(mine), mine) == (type(theirs), theirs), text
    values = read("[.inf, -.inf, .nan, '1e-3', \"no\"]", "f").value
    assert values[:2] == [math.inf, -math.inf] and math.isnan(values[2]) and values[3:] == ["1e-3", "no"]


def test_marks_agree_with_the_text():
    marked = read(NETWORK, "f")
    lines = NETWORK.splitlines()
    for path, mark in marked.keys.items():
        rest = lines[mark.line - 1][mark.column - 1 :]
        assert rest.startswith(path[-1]), path
    for path, mark in marked.values.items():
        value = marked.value
        for piece in path:
            value = value[piece]
        if isinstance(value, str) and mark.inside is not None:
            assert lines[mark.line - 1][mark.inside - 1 :].startswith(value), path


HOSTILE = {
    "brackets": "[" * 1_000_000,
    "braces": "{" * 1_000_000,
    "keys": "[1:" * 300_000,
    "dashes": "- " * 500_000,
    "questions": "? " * 400_000,
    "a long list": "[" + "1," * 500_000,
    "a long number": "seed: " + "9" * 1_000_000,
    "sexagesimal": "seed: " + "1:" * 500_000 + "1",
    "aliases": "a: &a [x]\n" + "".join(f"{c}: &{c} [{', '.join(['*a'] * 9)}]\n" for c in "bcdefg"),
    "merge keys": "a: &a {x: 1}\n" + "b: {<<: [*a, *a, *a]}\n" * 50,
    "a cycle": "a: &a [*a]",
    "duplicates": "a: 1\n" * 200_000,
    "unknown keys": "run: {" + ", ".join(f"steqs{i}: 1" for i in range(60_000)) + "}\ncomponents: {z: {type: q}}",
    "unknown types": "run: {steps: 1}\ncomponents: {" + ", ".join(f"c{i}: {{type: LIF}}" for i in range(20_000)) + "}",
    "one long key": "run: {" + "x" * 900_000 + ": 1}\ncomponents: {z: {type: q}}",
    "a long wire": "run: {steps: 1}\ncomponents: {z: {type: LIFCell}}\nwires: {z.j: " + "1+" * 200_000 + "1}",
    "a deep wire": "run: {steps: 1}\ncomponents: {z: {type: LIFCell}}\nwires: {z.j: " + "(" * 400_000 + "}",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_is_refused_quickly(name):
    start = time.perf_counter()
    lines = faults_of(HOSTILE[name])
    assert time.perf_counter() - start < 10  # about 1.5 s at worst; machines differ
    assert len(lines) <= 250 and max(map(len, lines)) < 1200


def test_mutated_configs_are_right_or_refused_with_a_place():
    rng = random.Random(0)
    pieces = [
        "null",
        "[]",
        "{}",
        "-1",
        "1e-3",
        "x",
        ".nan",
        "true",
        "'a b'",
        "[1, [2]]",
        "{a: 1}",
        "{type: uniform}",
        "${hid}",
        "z.v",
        "0:1",
        "${",
        "*a",
        "&a 1",
        "!!int 3",
        "9" * 30,
        ": ",
        "- ",
        "\n",
        "\t",
        "#",
        "]",
        "}",
        "W.outputs + ",
        "reset",
    ]
    words = re.compile(r"[A-Za-z0-9_.\"$:{}\[\]-]+")
    refused = 0
    for _ in range(400):
        text = NETWORK
        for _ in range(rng.choice([1, 1, 2, 5])):
            word = rng.choice(list(words.finditer(text)))
            put = rng.choice([rng.choice(pieces), "", rng.choice(words.findall(text)), chr(rng.randrange(1, 0x3000))])
            text = text[: word.start()] + put + text[word.end() :]
        try:
            spec_of(text).resolved()
        except ConfigError as error:
            refused += 1
            assert error.faults and all(fault.line is not None for fault in error.faults)
    assert 200 < refused < 400


def test_faults_of_syntax_and_structure_come_without_jax():
    program = (
        "import sys\nfrom synsim.config import load\nfrom synsim.faults import ConfigError\n"
        "for text in ('a: [', 'a: 1\\na: 2', '', '- 1', 'run: {steps: 0}\\nplot: 1', 'components: 3'):\n"
        "    try: load('-', text=text)\n"
        "    except ConfigError as error: assert error.faults\n"
        "    else: raise SystemExit('accepted')\n"
        "assert 'jax' not in sys.modules and 'numpy' not in sys.modules, 'imported'\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


# expressions -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("12.5", ("number", 12.5)),
        ("-1e-3", ("number", -1e-3)),
        ("digits", ("data", "digits")),
        ("W.outputs", ("read", "W", "outputs")),
        ("a.b - 0.5 * c.d", ("sub", ("read", "a", "b"), ("mul", ("number", 0.5), ("read", "c", "d")))),
        ("a - b - c", ("sub", ("sub", ("data", "a"), ("data", "b")), ("data", "c"))),
        ("a - (b - c)", ("sub", ("data", "a"), ("sub", ("data", "b"), ("data", "c")))),
        ("-(a + b) * -c", ("mul", ("neg", ("add", ("data", "a"), ("data", "b"))), ("neg", ("data", "c")))),
        (" a+b ", ("add", ("data", "a"), ("data", "b"))),
        ("2*3", ("mul", ("number", 2.0), ("number", 3.0))),
    ],
)
def test_an_expression_is_read_and_written(text, tree):
    assert parse(text)[0] == tree
    assert parse(str(written(tree)))[0] == tree


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("", 0),
        ("a b", 2),
        ("a +", 3),
        ("(a", 2),
        ("a)", 1),
        ("a / 2", 2),
        ("+a", 0),
        ("2x", 0),
        ("a ** 2", 3),
        ("a % b", 2),
        ("__import__('os')", 0),
        ("a" + " + a" * 300, 1024),
        ("(" * 40, 33),
        ("1e999", 0),
        ("a, b", 1),
    ],
)
def test_an_expression_that_cannot_be_read_says_where(text, at):
    with pytest.raises(BadExpression) as caught:
        parse(text)
    assert caught.value.at == at


def test_names_in_an_expression_know_where_they_stand():
    _, sources = parse("W.outputs - 0.5 * (components.Wi.outputs + digits)")
    assert [(source.text, source.at) for source in sources] == [
        ("W.outputs", 0),
        ("components.Wi.outputs", 19),
        ("digits", 43),
    ]
