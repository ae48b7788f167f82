"""`${env:NAME:-default}`: what it becomes, what is said where it cannot, and that nothing in it is read again."""

from __future__ import annotations

import json

import pytest

import synsim
from synsim.config import load
from synsim.faults import ConfigError, render

CONFIG = """\
name: {name}
run: {{steps: 4}}
components: {{z: {{type: LIFCell, n_units: 2, tau_m: {tau}}}}}
wires: {{z.j: 3}}
record: {{z.v: {{}}}}
"""


def spec_of(name='"${env:SYN_A}"', tau="10", **more):
    return load("c.yaml", text=CONFIG.format(name=name, tau=tau), **more)


def faults_of(*args, **more) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        spec_of(*args, **more)
    return render(caught.value.faults)


@pytest.fixture(autouse=True)
def variables(monkeypatch):
    monkeypatch.setenv("SYN_A", "one")
    monkeypatch.setenv("SYN_EMPTY", "")
    monkeypatch.delenv("SYN_NOT", raising=False)


@pytest.mark.parametrize(
    "written, expected, used",
    [
        ("${env:SYN_A}", "one", {"SYN_A": "one"}),
        ("${env:SYN_A:-two}", "one", {"SYN_A": "one"}),
        ("${env:SYN_NOT:-two}", "two", {"SYN_NOT": None}),
        ("${env:SYN_EMPTY:-two}", "two", {"SYN_EMPTY": ""}),
        ("a-${env:SYN_A}-${env:SYN_NOT:-b}.c", "a-one-b.c", {"SYN_A": "one", "SYN_NOT": None}),
        ("${ env:SYN_A }", "one", {"SYN_A": "one"}),
        ("x${env:SYN_NOT:-}", "x", {"SYN_NOT": None}),
        ("x${env:SYN_EMPTY}", "x", {"SYN_EMPTY": ""}),
    ],
)
def test_what_it_becomes(written, expected, used):
    spec = spec_of(f'"{written}"')
    assert (spec.name, dict(spec.environment)) == (expected, used)


def test_plain_scalars_need_no_quotes():
    assert spec_of("${env:SYN_NOT:-two}").name == "two"


@pytest.mark.parametrize(
    "written, at, said",
    [
        ("${env:SYN_NOT}", 8, "the environment variable SYN_NOT is not set: set it, or write a default, "),
        ("ab${env:SYN_NOT}", 10, "the environment variable SYN_NOT is not set"),
        ("${env:}", 8, "${env:} names no variable"),
        ("${env:1A}", 8, "${env:1A} names no variable"),
        ("${env:A B:-x}", 8, "${env:A B:-x} names no variable"),
        ("a${env:SYN_A", 9, "${env:…} is never closed"),
        ("${env:SYN_A:-${env:SYN_A}}", 8, "${env:…} is never closed, or holds braces"),
        ("${env:SYN_A}${x}", 7, "${name} stands for a whole value, not for a piece of one"),
        ("${env_SYN_A}", 7, "let has no name 'env_SYN_A'"),
    ],
)
def test_what_cannot_be(written, at, said):
    (line,) = faults_of(f'"{written}"')
    assert line.startswith(f"c.yaml:1:{at}: error: {said}")


def test_it_is_text_and_a_number_is_given_otherwise():
    assert faults_of("a", '"${env:SYN_TAU:-20}"') == [
        "c.yaml:3:52: error: z.tau_m must be a number, a list of numbers or an initialiser, not the text '20'. "
        "It comes from ${env:SYN_TAU}, which is always text: give a number by --set z.tau_m=20."
    ]
    assert faults_of("a", '"${env:SYN_A}"')[0].endswith("not the text 'one'. It comes from ${env:SYN_A}.")


@pytest.mark.parametrize("value", ["${let}", "${env:HOME}", "$${x}", "{a: 1}", "!!python/name:os", "a: b", "*x", "1e3"])
def test_what_a_variable_holds_is_text_and_is_not_read_again(value, monkeypatch):
    monkeypatch.setenv("SYN_A", value)
    text = (
        "let: {f: '${env:SYN_A}'}\nrun: {steps: 1}\ncomponents: {z: {type: LIFCell, n_units: 1, tau_m: 3}}\n"
        "data: {a: {type: file, path: '${env:SYN_A}', key: '${f}'}}\n"
    )
    spec = load("c.yaml", text=text)
    assert spec.data["a"].settings == {"path": value, "key": value}
    monkeypatch.setenv("SYN_A", "another")
    again = load(json.loads(json.dumps(spec.resolved())))
    kept = again.data["a"].settings
    assert (kept["path"], kept["key"]) == (value, value), "the resolved config says the same ever after"
    assert again.resolved() == spec.resolved() and not again.environment


def test_dollars_that_stand_for_themselves():
    text = CONFIG.format(name="a", tau=1) + 'data: {q: {type: file, path: "$${env:SYN_A}/$${b}$c"}}\n'
    spec = load("c.yaml", text=text)
    assert spec.data["q"].settings["path"] == "${env:SYN_A}/${b}$c" and not spec.environment


def test_hostile_values(monkeypatch):
    monkeypatch.setenv("SYN_A", "x" * 5000)
    assert "SYN_A has 5,000 characters, over 4,096" in faults_of()[0]
    monkeypatch.setenv("SYN_A", "\udcff")
    assert "SYN_A holds no UTF-8 text" in faults_of()[0]
    monkeypatch.setenv("SYN_A", "x" * 4000)
    text = "run: {steps: 1}\nlet: {a: [" + ", ".join(["'${env:SYN_A}'"] * 1000) + "]}\ncomponents: {}\n"
    with pytest.raises(ConfigError) as caught:
        load("c.yaml", text=text)
    assert any("is over 1 MiB" in line for line in render(caught.value.faults))


def test_a_run_tells_the_variables_it_used_and_no_other(tmp_path, monkeypatch):
    monkeypatch.setenv("SYN_SECRET", "hush")
    spec = spec_of('"${env:SYN_A}-${env:SYN_NOT:-x}"')
    with synsim.run(spec, out=tmp_path) as left:
        assert json.loads(left.provenance["environment"]) == {"SYN_A": "one", "SYN_NOT": None}
        file = left.file
    assert b"hush" not in file.read_bytes()


def test_a_run_of_other_variables_is_another_run(tmp_path, monkeypatch):
    text = CONFIG.format(name="a", tau=10).replace("z.v: {}", "z.v: {reduce: '${env:SYN_R:-mean}'}")
    with synsim.run(load("c.yaml", text=text), out=tmp_path):
        pass
    monkeypatch.setenv("SYN_R", "max")
    with pytest.raises(ConfigError, match='record.z.v.reduce was "mean" and is "max"'):
        synsim.run(load("c.yaml", text=text), out=tmp_path, resume=True)
    monkeypatch.setenv("SYN_R", "")
    with synsim.run(load("c.yaml", text=text), out=tmp_path, resume=True) as left:
        assert left.state == "done"


def test_in_the_name_of_a_base(tmp_path, monkeypatch):
    (tmp_path / "one.yaml").write_text(CONFIG.format(name="based", tau=3))
    (tmp_path / "a.yaml").write_text("extends: '${env:SYN_A}.yaml'\n")
    spec = load(tmp_path / "a.yaml")
    assert spec.name == "based" and dict(spec.environment) == {"SYN_A": "one"}
    monkeypatch.delenv("SYN_A")
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "a.yaml")
    assert render(caught.value.faults)[0].startswith(f"{tmp_path}/a.yaml:1:10: error: the environment variable SYN_A")
