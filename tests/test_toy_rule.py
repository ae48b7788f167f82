"""A synapse type is added by one file and one row: a toy rule from `tests/toy`, from YAML to learned weights."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from synsim import api, catalogue, describe, engine
from synsim.components.synapses import presets, rules
from synsim.config import load
from synsim.device import computing
from synsim.faults import ConfigError
from synsim.reference import card_lines

pytestmark = pytest.mark.usefixtures("small_programs")

TOY = Path(__file__).parent / "toy"
ROW = presets.Preset(
    "All-to-all synapse with Oja's rule.",
    "dense",
    rule="toy_oja",
    rename={"learning_rate": "eta"},
    defaults={"eta": 0.05},
)

YAML = """
name: toy
seed: 3
run: {{steps: 400, batch: 2}}
data:
  x: {{type: file, path: x.npy, axes: {axes}}}
components:
  W: {{{synapse}, weight_init: {{type: uniform, low: 0.1, high: 0.3}}}}
wires: {{W.inputs: x, W.pre: x, W.post: W.outputs}}
record: {{W.weights: {{every: trial}}}}
"""


@pytest.fixture(autouse=True)
def toy(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The package as if its folder of rules held one more file and its presets one more row."""
    monkeypatch.setattr(rules, "__path__", [*rules.__path__, str(TOY)])
    monkeypatch.setitem(presets.PRESETS, "ToyOjaSynapse", ROW)
    _forget()
    yield
    monkeypatch.undo()
    sys.modules.pop(f"{rules.__name__}.oja_rule", None)
    vars(rules).pop("oja_rule", None)
    _forget()
    assert "ToyOjaSynapse" not in catalogue.types() and "toy_oja" not in catalogue.parts("rule")


def _forget() -> None:
    for remembers in vars(catalogue).values():
        if hasattr(remembers, "cache_clear"):
            remembers.cache_clear()


def test_it_is_described_like_any_other():
    assert catalogue.types()["ToyOjaSynapse"] is ROW
    table = describe.settings("ToyOjaSynapse")
    assert table["learning_rate"].default == 0.05 and table["learning_rate"].owner == "rule"
    words = "\n".join(card_lines(describe.card("ToyOjaSynapse")))
    for told in (
        "dense x",
        "toy_oja",
        "Oja (1982)",
        "learning_rate: Learning rate. (a number",
        "default 0.05",
        "methods: advance, evolve, calc_update, backtransmit, reset",
    ):
        assert told in words.replace("  ", " ") or told in words, words


def test_dense_from_yaml(tmp_path):
    """Oja: the column turns to the leading eigenvector of the inputs' correlations, and its norm to one."""
    random = np.random.default_rng(0)
    direction = np.array([3.0, 1.0, -2.0, 0.5])
    direction /= np.linalg.norm(direction)
    x = random.normal(size=(2, 400, 1)) * direction + 0.1 * random.normal(size=(2, 400, 4))
    np.save(tmp_path / "x.npy", x)
    (tmp_path / "toy.yaml").write_text(
        YAML.format(axes="[row, step, unit]", synapse="type: ToyOjaSynapse, shape: [4, 1], learning_rate: 0.02")
    )
    with api.run(tmp_path / "toy.yaml", out=tmp_path) as run:
        w = run.final("W", "weights")[:, 0]
        before = run.initial("W", "weights")
    assert abs(np.linalg.norm(w) - 1) < 0.05
    assert abs(w @ direction) > 0.99
    expected = before.astype(np.float64)
    for k in range(400):
        pre = x[:, k]
        post = pre @ expected
        expected = expected + 0.02 * (pre.T @ post - expected * (post**2).sum(0))
    np.testing.assert_allclose(w, expected[:, 0], rtol=2e-3, atol=1e-4)


def test_conv_from_yaml(tmp_path):
    """The same rule on filters, through `type: Synapse`: no code about convolutions was written for it."""
    x = np.random.default_rng(1).normal(size=(2, 400, 4, 3, 1))
    np.save(tmp_path / "x.npy", x)
    (tmp_path / "toy.yaml").write_text(
        YAML.format(
            axes="[row, step, y, x, channel]",
            synapse="type: Synapse, connectivity: {type: conv, shape: [1, 1, 1, 2]}, rule: {type: toy_oja, eta: 0.002}",
        )
    )
    it = api.check(tmp_path / "toy.yaml")
    phase = it.phases[0]
    with computing(it.spec):
        carry = engine.start_carry(phase.graph)
        w = np.asarray(carry.state["W"]["weights"], np.float64)
        carry, _ = jax.jit(
            lambda carry: engine.trials(phase.graph, (), carry, phase.chunk_data(0, 1), jnp.uint32(0), 1)
        )(carry)
    for k in range(400):  # a kernel of one pixel is a matrix, applied at every place
        pre = x[:, k].reshape(-1, 1)
        post = pre @ w[0, 0]
        w = w + 0.002 * (pre.T @ post - w[0, 0] * (post**2).sum(0))
    np.testing.assert_allclose(carry.state["W"]["weights"], w, rtol=1e-3)
    np.testing.assert_allclose(np.abs(w), 1.0, atol=0.05)


def test_its_wires_and_settings_are_checked_like_any_other():
    with pytest.raises(ConfigError) as error:
        load({"run": {"steps": 1}, "components": {"W": {"type": "ToyOjaSynapze", "shape": [2, 2]}}})
    assert "Did you mean 'ToyOjaSynapse'?" in str(error.value)
    with pytest.raises(ConfigError) as error:
        load({"run": {"steps": 1}, "components": {"W": {"type": "ToyOjaSynapse", "shape": [2, 2], "learning_rat": 1}}})
    assert "Did you mean 'learning_rate'?" in str(error.value)
    with pytest.raises(ConfigError, match=r"W\.pre needs a wire"):
        api.check(
            {
                "run": {"steps": 1},
                "components": {"W": {"type": "ToyOjaSynapse", "shape": [2, 2]}},
                "wires": {"W.inputs": 1, "W.post": 1},
            }
        )


def test_a_phase_can_set_it_by_its_public_name():
    it = api.check(
        {
            "run": {"steps": 1},
            "components": {"W": {"type": "ToyOjaSynapse", "shape": [2, 2]}},
            "wires": {"W.inputs": 1, "W.pre": 1, "W.post": 1},
            "phases": [{"name": "a"}, {"name": "b", "set": {"W.learning_rate": 0.5}}],
        }
    )
    assert [float(phase.graph.parts["W"].rule.eta) for phase in it.phases] == [pytest.approx(0.05), 0.5]
