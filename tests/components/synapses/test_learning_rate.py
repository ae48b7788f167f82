"""A learning rate that is a setting and an inlet of one name: set for a phase, wired, recorded."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from synsim import api, describe
from synsim.faults import ConfigError
from synsim.reference import card_lines, card_markdown

TYPES = {
    "TraceSTDPSynapse": (dict(shape=[2, 3]), (2,), (3,)),
    "TraceSTDPConvSynapse": (dict(shape=[2, 1, 1, 2], x_shape=[3, 4]), (3, 4, 1), (3, 4, 2)),
    "TraceSTDPDeconvSynapse": (dict(shape=[2, 1, 2, 1], x_shape=[3, 4], stride=2), (3, 4, 2), (6, 8, 1)),
}


def config(type_name: str, **sections: Any) -> dict[str, Any]:
    """Constant signals of one, so that every update is the same."""
    shape, _, _ = TYPES[type_name]
    wires = {"W.preSpike": 0, "W.preTrace": 1, "W.postSpike": 1, "W.postTrace": 0} | sections.pop("wires", {})
    return {
        "name": "rate",
        "run": {"steps": 4},
        "components": {
            "W": {"type": type_name, "A_plus": 0.01, "A_minus": 0.01, "eta": 0.5, "w_bound": 0, **shape},
            "likeness": {"type": "Overlap", "n_units": 2},
        },
        "wires": {"likeness.outputs": 1, "likeness.targets": 1, **wires},
        "schedule": {"step": ["likeness", "W", "W.evolve"]},
        **sections,
    }


def rates(left: Any) -> np.ndarray:
    """The learning rate of each step, from what the weights did."""
    weights = np.asarray(left["W.weights"].data)
    change = np.diff(weights, axis=0, prepend=left.initial("W", "weights")[None])
    update = np.asarray(left["W.dWeights"].data)
    return np.median((change / update).reshape(len(weights), -1), axis=1)


@pytest.mark.parametrize("type_name", TYPES)
def test_unwired_it_is_the_setting_and_can_be_recorded(type_name, tmp_path):
    recorded = config(type_name, record={"W.eta": {}, "W.weights": {}, "W.dWeights": {}})
    with api.run(recorded, out=tmp_path) as left:
        np.testing.assert_allclose(left["W.eta"].data, [0.5] * 4)
        np.testing.assert_allclose(rates(left), [0.5] * 4, rtol=1e-4)


@pytest.mark.parametrize("type_name", TYPES)
@pytest.mark.parametrize(("wire", "rate"), [(0.25, 0.25), ("likeness.overlap * 0.125", 0.125)])
def test_a_wire_takes_the_place_of_the_setting(type_name, wire, rate, tmp_path):
    wired = config(type_name, wires={"W.eta": wire}, record={"W.eta": {}, "W.weights": {}, "W.dWeights": {}})
    with api.run(wired, out=tmp_path) as left:
        np.testing.assert_allclose(left["W.eta"].data, [rate] * 4, rtol=1e-6)
        np.testing.assert_allclose(rates(left), [rate] * 4, rtol=1e-4)


def test_a_phase_sets_it_wires_it_and_takes_the_wire_away(tmp_path):
    phases = [
        {"name": "written"},
        {"name": "still", "set": {"W.eta": 0}},
        {"name": "wired", "wires": {"W.eta": 0.25}},
    ]
    record = {"W.eta": {}, "W.weights": {}, "W.dWeights": {}}
    with api.run(config("TraceSTDPDeconvSynapse", phases=phases, record=record), out=tmp_path) as left:
        np.testing.assert_allclose(left["W.eta"].data, [0.5] * 4 + [0.0] * 4 + [0.25] * 4)
        np.testing.assert_allclose(rates(left), [0.5] * 4 + [0.0] * 4 + [0.25] * 4, rtol=1e-4, atol=1e-6)
    # and a wire that one phase takes away leaves the setting
    phases = [{"name": "wired"}, {"name": "unwired", "wires": {"W.eta": None}}]
    written = config("TraceSTDPDeconvSynapse", wires={"W.eta": 2}, phases=phases, record=record, name="other")
    with api.run(written, out=tmp_path) as left:
        np.testing.assert_allclose(left["W.eta"].data, [2.0] * 4 + [0.5] * 4)


def test_a_wire_has_to_bring_one_number():
    with pytest.raises(ConfigError, match=r"W\.eta takes shape \[\]"):
        api.check(config("TraceSTDPDeconvSynapse", wires={"W.eta": "W.dWeights"}))


def test_its_page_names_the_setting():
    card = describe.card("TraceSTDPDeconvSynapse")
    (told,) = [each for each in card["compartments"] if each["name"] == "eta"]
    assert (told["kind"], told["default"], told["size"], told["batch"]) == ("inlet", "eta", "", False)
    assert "default the setting eta" in " ".join("\n".join(card_lines(card)).split())
    assert "| `eta` | inlet |" in "\n".join(card_markdown(card))
