"""The catalogue: what is found, and what is not."""

from __future__ import annotations

import sys

import pytest

from synsim import catalogue
from synsim.component import Component, Declaration


def test_types_are_sorted_and_read_only():
    types = catalogue.types()
    assert list(types) == sorted(types)
    with pytest.raises(TypeError):
        types["Mine"] = object  # type: ignore[index]
    assert catalogue.types() == types


def test_every_component_of_the_package_is_found():
    types = catalogue.types()
    for name in (
        "LIFCell",
        "RateCell",
        "GaussianErrorCell",
        "PoissonCell",
        "BernoulliCell",
        "VarTrace",
        "ConstantSource",
        "PulseSource",
        "ClassVote",
        "Agreement",
        "Overlap",
        "Synapse",
    ):
        assert types[name].type_name == name and issubclass(types[name], Component)
    for name in (
        "DenseSynapse",
        "StaticSynapse",
        "HebbianSynapse",
        "TraceSTDPSynapse",
        "ConvSynapse",
        "HebbianConvSynapse",
        "TraceSTDPConvSynapse",
    ):
        assert types[name].connectivity in catalogue.parts("connectivity")


def test_parts_by_kind():
    assert set(catalogue.parts("connectivity")) >= {"dense", "conv"}
    assert set(catalogue.parts("dynamics")) >= {"instant"}
    assert set(catalogue.parts("rule")) >= {"static", "hebbian", "trace_stdp"}
    assert set(catalogue.parts("initialiser")) >= {"constant", "uniform", "gaussian", "file", "data"}
    assert set(catalogue.parts("data")) >= {"digits", "file"}
    assert "array" not in catalogue.parts("initialiser"), "ready values are no initialiser that a config can name"
    for kind in ("connectivity", "dynamics", "rule", "initialiser", "data", "corruption"):
        assert list(catalogue.parts(kind)) == sorted(catalogue.parts(kind))
        for name, part in catalogue.parts(kind).items():
            assert part.type_name == name and not part.is_abstract


def test_the_kind_of_an_interface():
    for kind in ("connectivity", "dynamics", "rule", "initialiser", "corruption"):
        for part in catalogue.parts(kind).values():
            assert catalogue.kind_of(part.__bases__[0]) == kind


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of toy components on the path, written file by file."""
    root = tmp_path / "toy_models"
    (root / "deep").mkdir(parents=True)
    monkeypatch.syspath_prepend(str(tmp_path))

    def put(path: str, text: str) -> None:
        (root / path).write_text("from synsim.component import Component, static, outlet\n" + text)

    put("__init__.py", "")
    put("deep/__init__.py", "")
    yield put
    for name in [name for name in sys.modules if name.split(".")[0] == "toy_models"]:
        del sys.modules[name]


CELL = 'class {name}(Component{more}):\n    "A toy. Source: none."\n    n_units: int = static("Size.")\n'


def test_a_scan_finds_concrete_classes_where_they_are_defined(package):
    package("b.py", CELL.format(name="Zeta", more="") + CELL.format(name="Base", more=", abstract=True"))
    package("deep/a.py", "from toy_models.b import Base, Zeta\n" + CELL.format(name="Alpha", more=""))
    package("c.py", CELL.format(name="Other", more=', type_name="named"') + "number = 3\n")
    found = catalogue.scan("toy_models", Component)
    assert {name: each.__module__ for name, each in found.items()} == {
        "Alpha": "toy_models.deep.a",
        "Zeta": "toy_models.b",
        "named": "toy_models.c",
    }
    assert list(found) == sorted(found)
    assert catalogue.scan("toy_models", Declaration) == found
    assert catalogue.scan("toy_models", Component) is not found


def test_two_types_of_one_name_are_refused(package):
    package("a.py", CELL.format(name="Same", more=""))
    package("b.py", CELL.format(name="Same", more=""))
    with pytest.raises(TypeError, match="two types are called Same: in toy_models.a and toy_models.b"):
        catalogue.scan("toy_models", Component)
