"""Types as plain data, and values against settings."""

from __future__ import annotations

import json
from dataclasses import MISSING
from typing import Literal

import pytest

from synsim import catalogue, describe
from synsim.component import Declaration, Size, param, part, static
from synsim.describe import BadValue, check_settings, check_value, settings_of
from synsim.initialisers import Initialiser, Uniform
from synsim.spec import RecordSettings, RunSettings


class Inner(Declaration):
    """A part of which there is one kind. Source: none."""

    strength: float = param("How much.", gt=0)


class Toy(Declaration):
    """Every kind of setting. Source: none."""

    size: Size = static("Number of units.")
    count: int = static("A count.", default=1, ge=0, le=9)
    flag: bool = static("A switch.", default=False)
    mode: Literal["fast", "slow"] = static("Which.", default="fast")
    text: str | None = static("Words.", default=None)
    pair: tuple[float, float] = static("Two.", default=(0.0, 1.0))
    table: dict[str, float] | None = static("By name.", default=None)
    tau: float = param("A time.", "ms", default=1.0, gt=0, per="unit")
    rate: float = param("A rate.", "Hz", default=1.0, also=("frequency",))
    maybe: float | None = param("Or nothing.", default=None, le=5)
    start: Initialiser | None = part("Where it starts.", default=Uniform(low=0.0, high=1.0))
    inner: Inner | None = part("What is inside.", default=None)


TOY = settings_of(Toy)


def refused(name: str, value) -> list[tuple[tuple, str]]:
    with pytest.raises(ValueError) as caught:
        check_value(TOY[name], value)
    assert isinstance(caught.value, BadValue)
    return caught.value.args[0]


def test_a_setting_says_what_the_declaration_said():
    tau, size = TOY["tau"], TOY["size"]
    assert (tau.doc, tau.unit, tau.role, tau.default, tau.per, dict(tau.bounds)) == (
        "A time.",
        "ms",
        "param",
        1.0,
        "unit",
        {"gt": 0},
    )
    assert size.required and size.default is MISSING and size.annotation == Size
    assert TOY["rate"].also == ("frequency",)
    assert TOY["start"].declares is Initialiser and TOY["start"].optional
    assert list(TOY) == [
        "size",
        "count",
        "flag",
        "mode",
        "text",
        "pair",
        "table",
        "tau",
        "rate",
        "maybe",
        "start",
        "inner",
    ]
    assert "as" in settings_of(RecordSettings) and settings_of(RecordSettings)["as"].field == "as_"


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        ("size", 3, 3),
        ("size", [8, 8, 1], (8, 8, 1)),
        ("flag", True, True),
        ("mode", "slow", "slow"),
        ("text", None, None),
        ("pair", [1, 2.5], (1.0, 2.5)),
        ("table", {"a": 1}, {"a": 1.0}),
        ("tau", 20, 20.0),
        ("tau", [1, 2.5], [1.0, 2.5]),
        ("tau", [[1, 2], [3, 4]], [[1.0, 2.0], [3.0, 4.0]]),
        ("tau", {"type": "uniform", "low": 1}, {"type": "uniform", "low": 1.0}),
        ("maybe", None, None),
        ("start", 0.5, 0.5),
        ("start", None, None),
        ("start", {"type": "constant", "value": 2, "amax": 1}, {"type": "constant", "value": 2.0, "amax": 1.0}),
        ("inner", {"strength": 2}, {"strength": 2.0}),
    ],
)
def test_values_that_fit(name, value, kept):
    found = check_value(TOY[name], value)
    assert found == kept and type(found) is type(kept)
    if isinstance(kept, list | tuple):
        assert repr(found) == repr(kept), "20 has become 20.0"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("size", 3.0, [((), "must be a whole number or a list of whole numbers, not 3.0")]),
        ("size", True, [((), "must be a whole number or a list of whole numbers, not true")]),
        ("size", 0, [((), "must be at least 1, not 0")]),
        ("size", [], [((), "must have at least one entry")]),
        ("size", [8, "x"], [((1,), "must be a whole number, not the text 'x'")]),
        ("size", [8, 0], [((1,), "must be at least 1, not 0")]),
        ("count", 10, [((), "must be at least 0 and at most 9, not 10")]),
        ("count", 1.0, [((), "must be a whole number, not 1.0")]),
        ("count", float("inf"), [((), "must be a whole number, not .inf")]),
        ("flag", 1, [((), "must be true or false, not 1")]),
        ("flag", "no", [((), "must be true or false, not the text 'no'")]),
        ("mode", "slwo", [((), "must be fast or slow, not the text 'slwo'. Did you mean 'slow'?")]),
        ("text", 3, [((), "must be text or null, not 3")]),
        ("pair", [1], [((), "must be a list of 2 numbers, not a list of 1")]),
        ("pair", [1, 2, 3], [((), "must be a list of 2 numbers, not a list of 3")]),
        ("pair", [1, "a"], [((1,), "must be a number, not the text 'a'")]),
        ("table", {"a": "b"}, [(("a",), "must be a number, not the text 'b'")]),
        ("tau", "1e-3", [((), "must be a number, a list of numbers or an initialiser, not the text '1e-3'")]),
        ("tau", True, [((), "must be a number, a list of numbers or an initialiser, not true")]),
        ("tau", 0, [((), "must be above 0 ms, not 0")]),
        ("tau", [1, 0, None], [((1,), "must be above 0 ms, not 0"), ((2,), "must be a number, not null")]),
        ("tau", [[1], [1, 2]], [((), "must have rows of one length")]),
        ("tau", [], [((), "must have at least one number")]),
        ("tau", {"low": 1}, [((), "needs a type, as {type: uniform, low: …, high: …}")]),
        (
            "tau",
            {"type": "unifrom"},
            [(("type",), "must name an initialiser that exists, not 'unifrom'. Did you mean 'uniform'?")],
        ),
        ("rate", [1], [((), "must be a number, not a list")]),
        ("rate", float("nan"), [((), "must be a finite number, not .nan")]),
        ("rate", 1e39, [((), "must be within what float32 holds, 3.4e38, not 1e+39")]),
        ("maybe", 6, [((), "must be at most 5, not 6")]),
        ("maybe", "", [((), "must be a number or null, not empty text")]),
        (
            "start",
            "uniform",
            [((), "must be a number or a mapping such as {type: uniform, low: …, high: …}, not the text 'uniform'")],
        ),
        ("start", True, [((), "must be a number, not true")]),
        ("start", {"type": "constant"}, [((), "needs value: The value.")]),
        ("start", {"type": "file", "path": 3}, [(("path",), "must be text, not 3")]),
        ("inner", 3, [((), "must be a mapping such as {strength: …}, not 3")]),
        ("inner", {"strength": 0}, [(("strength",), "must be above 0, not 0")]),
        (
            "inner",
            {"type": "Outer", "strength": 1},
            [(("type",), "must name an inner that exists, not 'Outer'. There is Inner.")],
        ),
    ],
)
def test_values_that_do_not_fit(name, value, said):
    assert refused(name, value) == said


def test_settings_together():
    clean, wrongs = check_settings(TOY, {"size": 3, "frequency": 2, "flagg": True, "tau": -1})
    assert clean == {"size": 3, "rate": 2.0}
    assert [(wrong.path, wrong.sentence, wrong.at_key) for wrong in wrongs] == [
        (("flagg",), "has no setting 'flagg'. Did you mean 'flag'?", True),
        (("tau",), "must be above 0 ms, not -1", False),
    ]
    _, wrongs = check_settings(TOY, {"rate": 1, "frequency": 2})
    assert [wrong.sentence for wrong in wrongs] == [
        "is rate under another name: write one of them",
        "needs size: Number of units.",
    ]


def test_the_keys_of_run_are_settings_like_any_other():
    clean, wrongs = check_settings(settings_of(RunSettings), {"steps": 3, "dt": 1, "partial": "drop"}, noun="key")
    assert clean == {"steps": 3, "dt": 1.0, "partial": "drop"} and not wrongs
    assert all(setting.doc.endswith(".") for setting in settings_of(RunSettings).values())


# types of the catalogue ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(catalogue.types()))
def test_a_card_is_json_and_says_everything(name):
    card = json.loads(json.dumps(describe.card(name), allow_nan=False))
    assert card["type"] == name and card["doc"] and card["family"] != "other" and card["compartments"]
    assert "reset" in card["methods"]
    for setting in card["settings"]:
        assert setting["doc"] and setting["values"] and ("default" in setting) != setting["required"]
    for compartment in card["compartments"]:
        assert compartment["doc"] and compartment["kind"] in ("inlet", "state", "outlet")


@pytest.mark.parametrize("name", list(catalogue.types()))
def test_defaults_fit_their_own_settings(name):
    for setting in describe.settings(name).values():
        if setting.required:
            continue
        value = describe.plain(setting.default)
        kept = describe.plain(check_value(setting, value))
        if isinstance(setting.default, Declaration):
            assert kept == value or kept == value["type"], setting.name
        else:
            assert kept == value, setting.name


def test_a_preset_has_its_own_names_and_defaults():
    flat = describe.settings("TraceSTDPConvSynapse")
    assert "filter_init" in flat and "weight_init" not in flat and "rule" not in flat
    assert flat["filter_init"].field == "weight_init" and flat["filter_init"].also == ("weight_init",)
    assert flat["eta"].default == 0.0 and flat["eta"].owner == "rule"
    assert flat["shape"].owner == "connectivity" and flat["resist_scale"].owner == ""
    assert flat["resist_scale"].also == ("g_conduct_factor",)
    assert describe.settings("TraceSTDPSynapse")["eta"].default == 1.0


def test_a_synapse_from_its_parts_has_their_settings():
    assert "shape" not in describe.settings("Synapse")
    flat = describe.settings("Synapse", {"connectivity": {"type": "conv"}, "rule": "trace_stdp"})
    assert {"connectivity", "dynamics", "rule", "shape", "x_shape", "A_plus"} <= set(flat)
    assert describe.part_types("Synapse", {"connectivity": "dense"})["rule"].type_name == "static"


def test_compartments_and_methods_follow_parts_and_settings():
    assert set(describe.compartments("LIFCell")) >= {"j", "v", "s"}
    plain = describe.compartments("HebbianSynapse")
    assert "biases" not in plain and {"pre", "post", "weights", "outputs"} <= set(plain)
    adam = describe.compartments("HebbianSynapse", {"bias_init": 0.0, "optim_type": "adam"})
    assert {"biases", "dBiases"} <= set(adam) and len(adam) > len(plain) + 2
    assert "evolve" not in describe.methods("StaticSynapse")
    assert {"evolve", "backtransmit"} <= set(describe.methods("HebbianSynapse"))
    assert "normalise" in describe.methods("StaticSynapse", {"normalise": {"columns": "l1", "to": 1.0}})
    assert "clamp" in describe.methods("RateCell")


def test_a_preset_that_speaks_of_nothing_is_a_bug(monkeypatch):
    from synsim.components.synapses.presets import Preset

    broken = Preset("A preset.", "dense", defaults={"no_such": 1})
    monkeypatch.setattr(catalogue, "types", lambda: {**types, "Broken": broken})
    with pytest.raises(TypeError, match="no_such"):
        describe.settings("Broken")


types = dict(catalogue.types())
