"""The JSON Schema of a config: complete, current, never wrong about a good config, and what editors make of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from language_server import LanguageServer, found_server

from synsim import catalogue, describe
from synsim.config import load
from synsim.config.document import SECTIONS
from synsim.config.yaml_source import read
from synsim.faults import ConfigError
from synsim.schema import schema
from synsim.starting import STARTER

pytestmark = pytest.mark.usefixtures("no_plugins")

ROOT = Path(__file__).parent.parent
WRONG = ROOT / "tests" / "wrong_configs"
CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))
KINDS = (*catalogue.SYNAPSE_PARTS, "initialiser", "corruption", "data")

EVERYTHING = """\
name: "everything-${env:STEPS:-20}"
seed: "${start}"
let: {start: 7, hid: 5, init: {type: uniform, low: 0, high: 1}, cell: {type: LIFCell, n_units: 5, tau_m: 20}}
run: {dt: 0.5, steps: 20, batch: 2, device: "cuda:1", precision: float64}
data:
  images: {type: digits, part: images, rows: "0:10", scale: 0.0625, split: {part: train, fraction: 0.8},
           corrupt: {type: flip, p: 0.1}}
  labels: {type: digits, part: labels}
components:
  x: {type: PoissonCell, n_units: [8, 8]}
  W: {type: TraceSTDPSynapse, A_plus: 1e-2, A_minus: 1e-4, g_conduct_factor: 2, weight_init: 0.3}
  V: {type: Synapse, connectivity: dense, rule: {type: hebbian, eta: 0.1}, dynamics: exponential, tau_decay: 3,
      weight_init: "${init}", g_syn_bar: 1, syn_rest: null}
  y: "${cell}"
  z:
    type: LIFCell
    n_units: "${hid}"
    tau_m: [10, 11, 12, 13, 14]
    thr: {type: uniform, low: -60, high: -50}
wires:
  x.inputs: images
  components.W.inputs: x.outputs
  z.j: [W.outputs, "${hid}", -0.5]
  y.j: 2 * W.outputs - (z.s + 1)
schedule:
  start: [reset]
  end: [z, W.evolve, components.z.reset]
record:
  z.s: {as: events}
  components.z.v: {every: 5, index: "0:3", window: [0, 5], reduce: mean}
  W.weights:
  V.weights: {every: trial, index: [0, 2]}
  labels: {every: trial}
  z.rfr: false
initial:
  z.v: {type: uniform, low: -60, high: -50}
  z.thr_theta: 1.5
  y.v: [1, 2, 3, 4, 5]
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
sweep:
  z.refract_time: [1, 2.5]
  components.W.rule.A_plus: log:1e-4:1e-1:7
  run.dt: {from: 0.1, to: 0.5, n: 3, scale: linear}
  W.weight_init: [0.3, {type: uniform, low: 0, high: 1}]
  seed: 0:20
  mode: grid
  summary: [rate, norm]
launcher:
  type: slurm
  time: 01:30:00
  mem: 4000
  setup: [module load cuda, export X=1]
  sbatch: --qos=short
"""

EXTENDING = """\
extends: [base.yaml, other.yaml]
run: {dt: 0.5}
components:
  z: {tau_m: 3, refract_time: null}
  y: {type: LIFCell, tau_m: 30}
  t: null
wires: {z.j: null}
record: {z.s: null}
phases: null
"""

UNSEEN = {
    "component_names_crc32.yaml": "whether two names have one crc32",
    "let_wrong_type.yaml": "what ${name} stands for",
    "record_events_of_values.yaml": "what a compartment holds",
    "record_window_and_trial.yaml": "keys that exclude each other",
    "run_name_windows.yaml": "names of Windows devices",
    "setting_twice.yaml": "keys that exclude each other",
    "sweep_random.yaml": "keys that need each other",
    "sweep_values.yaml": "what a path leads to",
    "sweep_zip.yaml": "keys that exclude each other",
    "trials_and_epochs.yaml": "keys that exclude each other",
    "wire_expressions.yaml": "the grammar of sums",
    "wire_reads_an_inlet.yaml": "what another component has",
    "wire_sources.yaml": "what another component has",
}
"""Wrong configs in which a schema sees nothing wrong, and what it would have to know."""


@pytest.fixture(scope="module")
def written(no_plugins: None) -> dict[str, Any]:
    return schema()


@pytest.fixture(scope="module")
def valid(written: dict[str, Any]) -> Any:
    jsonschema.Draft7Validator.check_schema(written)
    return jsonschema.Draft7Validator(written)


def faults(valid: Any, text: str) -> list[str]:
    return [f"{error.json_path}: {error.message}" for error in valid.iter_errors(read(text, "c.yaml").value)]


def test_the_schema_is_what_the_command_prints_and_the_same_every_time(written):
    printed = set()
    for hashing in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-m", "synsim", "schema"],
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONHASHSEED": hashing},
            cwd=ROOT,
            check=True,
        )
        printed.add(done.stdout)
    assert len(printed) == 1
    assert json.loads(printed.pop()) == written
    assert set(written["properties"]) == {*SECTIONS, "extends"}


def test_every_type_and_every_setting_has_its_place(written):
    """Its name and its other names, its doc, unit, bounds and default."""
    names = {"gt": "exclusiveMinimum", "ge": "minimum", "lt": "exclusiveMaximum", "le": "maximum"}
    seen = 0
    for name in catalogue.types():
        properties = written["definitions"][name]["properties"]
        table = describe.settings(name)
        assert set(properties) >= {"type", *table, *(other for each in table.values() for other in each.also)}
        card = describe.card(name)
        for text in (written["definitions"][name]["markdownDescription"], properties["type"]["description"]):
            assert card["doc"].replace("`", "") in text.replace("`", "")
            assert all(each["name"] in text for each in card["compartments"])
        assert card["equation"] in written["definitions"][name]["markdownDescription"]
        for key, each in table.items():
            for other in (key, *each.also):
                entry = properties[other]
                if entry == {}:  # of a part that is to be chosen: it stands in the rule for that part
                    assert each.owner in describe.open_parts(name)
                    continue
                assert each.doc in entry["description"] and each.unit in entry["description"]
                if not each.required and isinstance(each.default, int | float | str):
                    assert entry["default"] == each.default
                if each.per is not None:
                    assert {names[key]: value for key, value in each.bounds.items()}.items() <= entry.items()
                    seen += len(each.bounds)
    assert seen > 50
    for kind in KINDS:
        for name, declared in catalogue.parts(kind).items():
            assert set(written["definitions"][f"{kind} {name}"]["properties"]) >= set(describe.settings_of(declared))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_example_is_valid_as_it_is_and_with_its_defaults_filled_in(path, valid):
    assert faults(valid, path.read_text()) == []
    resolved = load(path).resolved()
    assert [error.message for error in valid.iter_errors(json.loads(json.dumps(resolved)))] == []


@pytest.mark.parametrize("text", [EVERYTHING, EXTENDING, STARTER.format(file="a", stem="a")])
def test_whatever_a_config_may_say_is_valid(text, valid):
    assert faults(valid, text) == []
    if text != EXTENDING:
        load("c.yaml", text=text)


def test_what_extends_nothing_must_be_whole(valid):
    found = faults(valid, EXTENDING.replace("extends: [base.yaml, other.yaml]\n", ""))
    assert any("steps" in each for each in found) and any("'type' is a required" in each for each in found)
    assert any(each.startswith("$.components.t") for each in found)
    assert any(each.startswith("$.wires") for each in found)
    assert any(each.startswith("$.components.z") and "n_units" in each for each in found) is False, (
        "no type, no settings"
    )
    assert any(each.startswith("$.components.y") and "n_units" in each for each in found)


def wrong_configs() -> Iterator[Any]:
    """Those whose text can be read, and that are wrong by themselves: without an override, a file or a size."""
    for path in sorted(WRONG.glob("*.yaml")):
        try:
            value = read(path.read_bytes().decode("utf-8-sig"), path.name).value
        except (ConfigError, UnicodeDecodeError):
            continue
        with suppress(ConfigError):
            load(path)
            continue
        yield pytest.param(value, path, id=path.stem)


@pytest.mark.parametrize(("value", "path"), list(wrong_configs()))
def test_wrong_configs_are_underlined(value, path, valid):
    if path.name in UNSEEN:
        assert valid.is_valid(value), f"it is seen now: take {path.name} out of UNSEEN"
    else:
        assert not valid.is_valid(value)


def test_most_wrong_configs_are_underlined():
    assert len(list(wrong_configs())) > 3 * len(UNSEEN)


@pytest.mark.parametrize(
    ("block", "good"),
    [
        ("z.tau_m: [10, 20]", True),
        ("z.tau_m: 10:40:7", True),
        ("z.tau_m: log:1e-4:-.5:7", True),
        ('z.tau_m: "${taus}"', True),
        ("components.W.rule.eta: {from: 1, to: 2, n: 3, scale: log}", True),
        ("seed: 0:20", True),
        ("seed: [1, 2]", True),
        ("seed: 7", True),
        ("mode: random", True),
        ("summary: [rate, final]", True),
        ("z.tau_m: []", False),
        ("z.tau_m: 20", False),
        ("z.tau_m: ten", False),
        ("z.tau_m: 10:40:0", False),
        ("z.tau_m: 10:x:3", False),
        ("z.tau_m: {from: 1, n: 3}", False),
        ("z.tau_m: {from: 1, to: 2, n: 0}", False),
        ("z.tau_m: {from: 1, to: 2, step: 1}", False),
        ("tau_m: [1]", False),
        ("seed: -1", False),
        ("seed: []", False),
        ("mode: gird", False),
        ("n: 0", False),
        ("summary: [rates]", False),
    ],
)
def test_what_a_sweep_takes(block, good, valid):
    assert (faults(valid, f"extends: base.yaml\nsweep:\n  {block}\n") == []) is good


VALUES = (
    *(True, False, 0, 1, 2, -1, 0.5, 1.5, -0.5, None, "text", "", "step", "reference", "0:10"),
    *([1, 2], [0.5, 0.5], [], [[1, 2], [3, 4]], [1, "a"], ["a"], [1, 2, 3], [-1, 2], {}),
    *({"type": "uniform", "low": 0, "high": 1}, {"type": "constant"}, {"type": "nope"}),
    *({"type": "uniform", "low": "x", "high": 1}, {"type": "constant", "value": 1, "amin": None}),
)


@pytest.mark.parametrize("kind", ["", *KINDS])
def test_a_schema_and_check_judge_values_alike(kind, written):
    """Every setting of every type, each with values of all kinds."""
    compared = 0
    for name in catalogue.parts(kind) if kind else catalogue.types():
        table = describe.settings_of(catalogue.parts(kind)[name]) if kind else describe.settings(name)
        place = f"{kind} {name}".strip()
        judges = [
            jsonschema.Draft7Validator({"$ref": f"#/definitions/{each}", "definitions": written["definitions"]})
            for each in (place, f"whole {place}")
        ]
        for key, setting in table.items():
            for value in VALUES:
                try:
                    describe.check_value(setting, value)
                    good = True
                except describe.BadValue:
                    good = False
                found = [e for judge in judges for e in judge.iter_errors({"type": name, key: value})]
                found = [e for e in found if key in e.absolute_path]  # elsewhere others are missing
                assert (not found) == good, f"{place}.{key}: {value!r} {[e.message for e in found]}"
                compared += 1
    assert compared >= 200 or kind in ("corruption", "dynamics", "rule", "connectivity", "data")


# ------------------------------------------------------------------------------------------------ in an editor

HEAD = "# yaml-language-server: $schema=./synsim.schema.json\nrun: {steps: 1}\ncomponents:\n"


@pytest.fixture(scope="module")
def editor(tmp_path_factory: pytest.TempPathFactory, written: dict[str, Any]) -> Iterator[LanguageServer]:
    """The language server that editors use: `npm install yaml-language-server`, its path in an environment variable."""
    command = found_server()
    if command is None:
        pytest.skip("no yaml-language-server: name it in SYNSIM_YAML_LANGUAGE_SERVER, or put it on the PATH")
    folder = tmp_path_factory.mktemp("editor")
    (folder / "synsim.schema.json").write_text(json.dumps(written))
    server = LanguageServer(command, folder)
    yield server
    server.close()


def test_an_editor_completes_types_settings_and_values(editor):
    offered = editor.completions(f"{HEAD}  z:\n    type: ^\n")
    assert set(offered) == set(catalogue.types())
    assert "tau_m dv/dt" in offered["LIFCell"]["documentation"]["value"]
    offered = editor.completions(f"{HEAD}  z:\n    type: LIFCell\n    ^\n")
    assert set(offered) == set(describe.settings("LIFCell"))
    assert "Membrane time constant. [ms]" in str(offered["tau_m"]["documentation"])
    offered = editor.completions(f"{HEAD}  z: {{type: VarTrace, dec^}}\n")
    assert set(offered) >= set(describe.settings("VarTrace"))
    offered = editor.completions(f"{HEAD}  z:\n    type: LIFCell\n    refractory: ^\n")
    assert {"reference", "published"} <= set(offered) <= {"reference", "published", "null"}
    offered = editor.completions(
        f"{HEAD}  W:\n    type: StaticSynapse\n    weight_init:\n      type: uniform\n      ^\n"
    )
    assert {"low", "high", "amin"} <= set(offered)
    offered = editor.completions(f"{HEAD}  W:\n    type: Synapse\n    rule: ^\n")
    assert set(catalogue.parts("rule")) <= set(offered)
    offered = editor.completions(f"{HEAD.replace('{steps: 1}', '')}  ^\n".replace("components:\n", ""))
    assert set(offered) >= {"dt", "steps", "precision"}
    assert set(SECTIONS) <= set(editor.completions(f"{HEAD.splitlines()[0]}\n^\n"))


def test_an_editor_explains_units_and_equations(editor):
    told = editor.hover(f"{HEAD}  z:\n    type: LIFCell\n    tau^_m: 20\n")
    assert "Membrane time constant." in told and "[ms" in told and "above 0" in told
    for marked in (f"{HEAD}  z:\n    type: LIF^Cell\n", f"{HEAD}  z^:\n    type: LIFCell\n"):
        told = editor.hover(marked)
        assert "tau_m dv/dt = conduct_leak (v_rest - v)" in told and "`j` (nA)" in told
        assert "AdExCell" not in told, "a list of all types"
    assert "Time step, length" in editor.hover(HEAD.replace("run", "r^un"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  z: {type: LIFCell, n_units: 1, taum: 20, tau_m: 1}\n", [(3, 33, "taum is not allowed")]),
        ("  z: {type: LIFCell, n_units: 1, tau_m: -20}\n", [(3, 40, "below the exclusive minimum of 0")]),
        ("  z: {type: LIFCell, n_units: 1, tau_m: x}\n", [(3, 40, "tau_m must be a number, a list of numbers")]),
        ("  z: {type: LIFCell, n_units: 1, tau_m: [1, -1]}\n", [(3, 44, "below the exclusive minimum of 0")]),
        ("  z: {type: LIFCell, n_units: 1}\n", [(3, 2, 'Missing property "tau_m"')]),
        ("  z:\n    type: LIFCell\n    n_units: 1\n    tau_m:\n", [(6, 10, "a value is missing")]),
        ("  z: {type: LIFCel}\n", [(3, 12, "Value is not accepted")]),
        ("  z: {type: LIFCell, n_units: 1, tau_m: 2, refractory: publishd}\n", [(3, 55, "Value is not accepted")]),
        ("  W: {type: StaticSynapse, weight_init: {type: uniform, low: 0, lo: 3, high: 1}}\n", [(3, 64, "lo is not")]),
        ("  W: {type: Synapse, connectivity: dense, rule: static, A_plus: 1}\n", [(3, 56, "A_plus")]),
        ("  z: {type: RateCell, n_units: 1, tau_m: 1}\nwires: {zj: 1}\n", [(4, 8, "zj is not allowed")]),
        ("  z: {type: RateCell, n_units: 1, tau_m: 1}\nrecrod: {}\n", [(4, 0, "recrod is not allowed")]),
        ("  1z: {type: RateCell, n_units: 1, tau_m: 1}\n", [(3, 2, "1z is not allowed")]),
        ("  z: {type: RateCell, n_units: 1, tau_m: 1}\n", []),
    ],
)
def test_an_editor_underlines_the_place(editor, text, expected):
    found = editor.open(HEAD + text)
    places = [(each["range"]["start"]["line"], each["range"]["start"]["character"]) for each in found]
    assert [place[:2] for place in expected] == places, found
    for each, (_, _, message) in zip(found, expected, strict=True):
        assert message in each["message"]


def test_an_editor_has_nothing_against_the_examples(editor):
    line = "# yaml-language-server: $schema=./synsim.schema.json\n"
    for text in (*(path.read_text() for path in CONFIGS), EVERYTHING, EXTENDING, STARTER.format(file="a", stem="a")):
        assert editor.open(line + text) == []
