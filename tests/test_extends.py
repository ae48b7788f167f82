"""Configs on bases: order, merging, places of faults, limits, paths, what a run keeps of it."""

from __future__ import annotations

import hashlib
import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest

import synsim
from synsim.config import bases, load
from synsim.faults import ConfigError, MissingInput, Stopped, render
from synsim.saving import Saving

BASE = """\
seed: 3
let: {hid: 5}
run: {steps: 10, dt: 0.5}
components:
  x: {type: LIFCell, n_units: 5, tau_m: 20, thr: -52}
  z: {type: LIFCell, n_units: "${hid}", tau_m: 10}
  k: {type: LIFCell, n_units: 5, tau_m: 30}
wires: {z.j: 12.5, components.k.j: 3}
schedule: {step: [x, z, k], end: [z]}
record: {z.v: {every: 2}, components.k.v: {}}
initial: {z.v: {type: uniform, low: -60, high: -50}}
"""


@pytest.fixture
def written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write(**files: str) -> None:
        for name, text in files.items():
            path = Path(f"{name.replace('__', '/')}.yaml")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    write(base=BASE)
    return write


def faults_of(config, exit_code=2, **more) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(config, **more)
    assert caught.value.exit_code == exit_code
    return render(caught.value.faults)


# merging -----------------------------------------------------------------------------------------------------------


def test_mappings_merge_key_by_key_and_the_rest_is_replaced(written):
    written(
        a="extends: base.yaml\nrun: {steps: 20}\nlet: {hid: 7}\ncomponents:\n  z: {tau_m: [1, 2, 3, 4, 5, 6, 7]}\n"
        "  new: {type: LIFCell, n_units: 1, tau_m: 4}\nschedule: {step: [z]}\nrecord: {z.v: {index: '0:2'}}\n"
    )
    spec = load("a.yaml")
    assert (spec.name, spec.seed, spec.run.steps, spec.run.dt) == ("a", 3, 20, 0.5)
    assert list(spec.components) == ["x", "z", "k", "new"], "the base's order, then what is new"
    assert spec.components["z"].settings == {"n_units": 7, "tau_m": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]}
    assert spec.components["x"].settings["thr"] == -52.0
    assert spec.schedule.step == (("z", "advance"),) and spec.schedule.end == (("z", "advance"),)
    assert (spec.record["z.v"].every, spec.record["z.v"].index) == (2, "0:2")


def test_later_beats_earlier_and_the_file_beats_all(written):
    written(
        one="components: {z: {tau_m: 1, thr: 1}, x: {tau_m: 1}}",
        two="components: {z: {tau_m: 2, thr: 2}}",
        a="extends: [base.yaml, one.yaml, two.yaml]\ncomponents: {z: {tau_m: 3}}",
    )
    settings = {name: each.settings for name, each in load("a.yaml").components.items()}
    assert settings["z"] == {"n_units": 5, "tau_m": 3.0, "thr": 2.0} and settings["x"]["tau_m"] == 1.0


def test_a_file_that_is_reached_twice_counts_where_it_first_comes(written):
    written(
        one="extends: base.yaml\ncomponents: {z: {tau_m: 1}}",
        two="extends: base.yaml\ncomponents: {x: {tau_m: 2}}",
        a="extends: [one.yaml, two.yaml]",
    )
    spec = load("a.yaml")
    assert spec.components["z"].settings["tau_m"] == 1.0, "what one.yaml says of its base stands"
    assert spec.components["x"].settings["tau_m"] == 2.0
    assert [file.name for file in spec.files] == ["a.yaml", "two.yaml", "one.yaml", "base.yaml"]


def test_null_takes_away_what_the_base_has(written):
    written(
        a="extends: base.yaml\ncomponents: {k: null, x: {thr: null}}\nwires: {k.j: null}\n"
        "record: {k.v: null, z.s: null}\nschedule: null\nrun: {dt: null}\ninitial:\n"
    )
    spec = load("a.yaml")
    assert list(spec.components) == ["x", "z"] and list(spec.wires) == ["z.j"]
    assert spec.components["x"].settings == {"n_units": 5, "tau_m": 20.0}
    assert list(spec.record) == ["z.v", "z.s"], "a record that the base has not is switched on by nothing, as ever"
    assert spec.schedule is None and spec.run.dt == 1.0 and not spec.initial


def test_another_type_replaces_the_whole(written):
    written(a="extends: base.yaml\ninitial: {z.v: {type: constant, value: 3}}\n")
    assert load("a.yaml").initial == {"z.v": {"type": "constant", "value": 3.0}}
    written(a="extends: base.yaml\ncomponents: {x: {type: IFCell, n_units: 2, tau_m: 4}}\nschedule: null\n")
    assert "thr" not in load("a.yaml").components["x"].settings


def test_two_spellings_are_one_name(written):
    written(
        base="run: {steps: 5}\ncomponents: {W: {type: StaticSynapse, shape: [2, 2], resist_scale: 2}}\n"
        "record: {components.W.weights: {every: trial}}\n",
        a="extends: base.yaml\ncomponents: {W: {g_conduct_factor: 3}}\nrecord: {W.weights: {every: 4}}\n",
    )
    spec = load("a.yaml")
    assert spec.components["W"].settings["resist_scale"] == 3.0
    assert spec.record["W.weights"].every == 4 and len(spec.record) == 1


def test_overrides_and_options_beat_every_file(written):
    written(a="extends: base.yaml\ncomponents: {z: {tau_m: 3}}")
    spec = load("a.yaml", overrides=["z.tau_m=4", "x.tau_m=5"], options={"--seed": ("seed", 9)})
    assert spec.components["z"].settings["tau_m"] == 4.0 and spec.components["x"].settings["tau_m"] == 5.0
    assert spec.seed == 9
    assert faults_of("a.yaml", overrides=["extends=b.yaml"]) == [
        "--set extends=b.yaml:1:1: error: extends stands in a file and cannot be overridden."
    ]


# places ------------------------------------------------------------------------------------------------------------


def test_faults_point_to_the_file_that_is_wrong(written):
    written(
        sub__low="components:\n  z: {tau_n: 3}\n  x: {tau_m: -1}\n",
        a="extends: [base.yaml, sub/low.yaml]\ncomponents:\n  z: {n_units: x}\nwires: {q.j: 1}\n",
    )
    assert faults_of("a.yaml") == [
        "a.yaml:3:16: error: z.n_units must be a whole number or a list of whole numbers, not the text 'x'.",
        "a.yaml:4:9: error: there is no component 'q'. There are x, z and k.",
        "sub/low.yaml:2:7: error: z (LIFCell) has no setting 'tau_n'. Did you mean 'tau_m'?",
        "sub/low.yaml:3:14: error: x.tau_m must be above 0 ms, not -1.",
    ]


def test_the_yaml_of_every_file_is_complained_about_at_once(written):
    written(one="run: {steps: 1, steps: 2}\n", two="- a\n", three="", a="extends: [one.yaml, two.yaml, three.yaml]\n")
    assert faults_of("a.yaml") == [
        "one.yaml:1:17: error: duplicate key 'steps' (first at line 1): keep one of them.",
        "three.yaml:1:1: error: what is extended is a mapping of keys such as components, and this is empty.",
        "two.yaml:1:1: error: what is extended is a mapping of keys such as components, and this is a list.",
    ]


def test_circles_are_refused_with_their_chain(written):
    written(
        a="extends: sub/b.yaml", sub__b="extends: [../base.yaml, ../c.yaml]", c="extends: a.yaml", d="extends: d.yaml"
    )
    assert faults_of("a.yaml") == [
        "c.yaml:1:10: error: extends goes in a circle: a.yaml -> sub/b.yaml -> c.yaml -> a.yaml."
    ]
    assert faults_of("d.yaml") == ["d.yaml:1:10: error: extends goes in a circle: d.yaml -> d.yaml."]
    Path("link.yaml").symlink_to("e.yaml")
    written(e="extends: link.yaml")
    assert "circle" in faults_of("e.yaml")[0]


def test_what_cannot_be_extended(written, tmp_path):
    written(a="extends: [https://x.org/base.yaml, 3, null, '', sub]\n")
    Path("sub").mkdir()
    assert faults_of("a.yaml") == [
        "a.yaml:1:11: error: extends names files of this machine, not https://x.org/base.yaml.",
        "a.yaml:1:36: error: extends must be a file, or a list of files, as base.yaml, not 3.",
        "a.yaml:1:39: error: extends must be a file, or a list of files, as base.yaml, not nothing.",
        "a.yaml:1:45: error: extends must be a file, or a list of files, as base.yaml, not empty text.",
        "a.yaml:1:49: error: sub is not a regular file, so it cannot be extended.",
    ]
    written(a="run: {}\nextends:\n")
    assert faults_of("a.yaml") == [
        "a.yaml:2:9: error: extends must be a file, or a list of files, as base.yaml, not nothing."
    ]
    written(b="extends: [base.yaml, nope.yaml]\n", a="extends: b.yaml")
    assert faults_of("a.yaml", 66) == ["b.yaml:1:22: error: nope.yaml cannot be read: No such file or directory."]
    with pytest.raises(MissingInput):
        load("a.yaml")


def test_beside_a_link_the_folder_is_that_of_the_file(written):
    written(
        sub__a="extends: low.yaml", sub__low="run: {stepz: 1}\ncomponents: {z: {type: LIFCell, n_units: 1, tau_m: 1}}"
    )
    Path("link.yaml").symlink_to("sub/a.yaml")
    said = faults_of("link.yaml")
    assert f"{Path('sub/low.yaml').resolve()}:1:7: error: run has no key 'stepz'. Did you mean 'steps'?" in said


def test_let_is_not_known_yet(written):
    written(a="let: {b: base}\nextends: ${b}.yaml\n")
    assert faults_of("a.yaml") == [
        "a.yaml:2:10: error: extends is read before let: write the name of the file out, or ask for ${env:NAME}."
    ]


def test_limits(written, monkeypatch):
    for n in range(bases.DEEPEST + 2):
        written(**{f"f{n}": f"extends: f{n + 1}.yaml"})
    said = faults_of("f0.yaml")
    assert said == [f"f{bases.DEEPEST - 1}.yaml:1:10: error: a chain of extends has at most {bases.DEEPEST} files."]
    many = [f"g{n}" for n in range(bases.MOST_FILES)]
    written(**dict.fromkeys(many, "{}"), a=f"extends: [{', '.join(f'{name}.yaml' for name in many)}]")
    assert faults_of("a.yaml")[0].endswith("error: a config extends at most 63 files.")
    written(big="{} # " + "x" * 600_000, big2="{} # " + "y" * 600_000, a="extends: [big.yaml, big2.yaml]")
    assert "at most 1 MiB" in " ".join(faults_of("a.yaml"))
    monkeypatch.setattr(bases, "MOST_NODES", 100)
    half = "let: {a: [" + "1, " * 60 + "]}"
    written(one=half, two=half.replace("a:", "b:"), a="extends: [one.yaml, two.yaml]")
    assert "100,000 values" in faults_of("a.yaml")[0]


# paths -------------------------------------------------------------------------------------------------------------


def test_paths_are_relative_to_the_file_that_names_them(written, tmp_path):
    np.save("x.npy", np.ones((2, 5)))
    written(
        sub__low="data: {a: {type: file, path: low.npy}, b: {type: file, path: /abs.npy}}\nlet: {f: low.npy}\n"
        "phases: [{name: p, data: {a: {path: deep/p.npy}}}]\n",
        a="extends: [base.yaml, sub/low.yaml]\ndata: {c: {type: file, path: x.npy}, d: {type: file, path: '${f}'}}\n",
    )
    spec = load("a.yaml")
    assert {name: each.settings["path"] for name, each in spec.data.items()} == {
        "a": "sub/low.npy",
        "b": "/abs.npy",
        "c": "x.npy",
        "d": "sub/low.npy",
    }
    assert spec.phases[0].data["a"].settings["path"] == "sub/deep/p.npy"
    spec = load("a.yaml", overrides=["data.a.path=set.npy", "let.f=let.npy"])
    assert spec.data["a"].settings["path"] == "set.npy" and spec.data["d"].settings["path"] == "let.npy"


def test_from_standard_input_and_from_python(written, monkeypatch):
    class Stdin:
        buffer = io.BytesIO(b"extends: base.yaml\nname: piped\nrun: {stepz: 3}\n")

    monkeypatch.setattr(sys, "stdin", Stdin)
    assert faults_of("-") == ["<stdin>:3:7: error: run has no key 'stepz'. Did you mean 'steps'?"]
    assert load({"extends": "base.yaml", "run": {"steps": 3}}).run.steps == 3


# what is left of it ------------------------------------------------------------------------------------------------


def test_the_resolved_config_has_none_of_it(written):
    written(a="extends: base.yaml\nseed: 8\n")
    spec = load("a.yaml")
    resolved = spec.resolved()
    assert "extends" not in resolved and resolved["seed"] == 8
    assert load(json.loads(json.dumps(resolved))).resolved() == resolved
    assert spec.text == "extends: base.yaml\nseed: 8\n"


def test_a_run_tells_its_files_and_goes_on_without_them(written, monkeypatch):
    written(a="extends: base.yaml\nrun: {steps: 40, trials: 30}\nrecord: {z.v: {every: trial}}\n")
    files = [
        {"name": name, "sha256": hashlib.sha256(Path(name).read_bytes()).hexdigest()}
        for name in ("a.yaml", "base.yaml")
    ]
    with synsim.run("a.yaml", out="whole") as whole:
        assert json.loads(whole.provenance["files"]) == files
    monkeypatch.setattr(Saving, "_patience", lambda self: -1.0)
    asked = iter(range(1000))
    with pytest.raises(Stopped):
        synsim.run("a.yaml", out="runs", chunk=40, stop=lambda: next(asked) >= 3)
    with synsim.open("runs/a") as left:
        assert json.loads(left.provenance["files"]) == files and 0 < left.steps < 1200
    Path("base.yaml").unlink()
    Path("a.yaml").unlink()
    with synsim.run("runs/a", resume=True) as left, synsim.open("whole/a") as whole:
        assert json.loads(left.provenance["files"]) == files
        assert left.config_text.startswith("extends: base.yaml")
        np.testing.assert_array_equal(left.final("z", "v"), whole.final("z", "v"))
