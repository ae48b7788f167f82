"""Common mistakes that are legal: each is said at its place with what was meant, and no shipped config has one."""

from __future__ import annotations

from pathlib import Path

import pytest

import synsim
from synsim.doubts import doubts
from synsim.faults import ConfigError

CONFIGS = sorted((Path(__file__).parent.parent / "configs").glob("*.yaml"))
GOOD = """
name: good
run: {dt: 1.0, steps: 50, batch: 10}
data:
  digits: {type: digits, part: images, rows: "0:100", scale: 0.0625}
components:
  x:  {type: PoissonCell, n_units: 64, target_freq: 63.75}
  W:  {type: TraceSTDPSynapse, A_plus: 1e-2, A_minus: 1e-4, resist_scale: 20}
  z:  {type: LIFCell, n_units: 64, tau_m: 100}
  tx: {type: VarTrace, n_units: 64, tau_tr: 20}
  tz: {type: VarTrace, n_units: 64, tau_tr: 20}
wires:
  x.inputs: digits
  W.inputs: x.outputs
  z.j: W.outputs
  tx.inputs: x.outputs
  tz.inputs: z.s
  W.preSpike: x.outputs
  W.preTrace: tx.trace
  W.postSpike: z.s
  W.postTrace: tz.trace
record:
  W.weights: {every: trial}
"""
# what is written instead, where the doubt stands, and words of it
MISTAKES = {
    "a time constant in seconds": ("tau_m: 100", "tau_m: 0.02", "9:43", "z.tau_m is 0.02 ms, less than a step of 1 ms"),
    "and what it would be": ("tau_m: 100", "tau_m: 0.02", "9:43", "0.02 s would be 20"),
    "below dt": ("tau_tr: 20}\n  tz", "tau_tr: 0.5}\n  tz", "10:45", "tx.tau_tr is 0.5 ms, less than a step of 1 ms"),
    "a step in seconds": ("dt: 1.0", "dt: 0.001", "3:11", "a trial lasts 0.05 ms (50 steps of 0.001 ms)"),
    "volts": ("tau_m: 100", "tau_m: 100, thr: -0.05", "9:53", "z.thr is -0.05 mV: voltages are in millivolts; -0.05 V"),
    "no learning rate": ("A_plus: 1e-2", "eta: 0, A_plus: 1e-2", "8:37", "W learns nothing: eta is 0"),
    "no amplitude": ("A_plus: 1e-2, A_minus: 1e-4", "A_plus: 0, A_minus: 0", "8:40", "A_plus and A_minus are 0"),
    "a rate beyond the step": ("63.75", "63750", "7:53", "x.target_freq is 63750 Hz"),
    "intensities as read": (", scale: 0.0625", "", "5:11", "x.inputs is meant for 0 to 1, and digits has 0 to 16"),
    "and the scale for them": ("scale: 0.0625", "scale: 2", "5:11", "scale: 0.0625 would do"),
    "no input": ("  z.j: W.outputs\n", "", "9:7", "nothing is wired to z: z.j reads 0 all the time"),
    "no record": ("record:\n  W.weights: {every: trial}\n", "", None, "nothing is recorded"),
    "pre and post swapped": (
        "W.preSpike: x.outputs\n  W.preTrace: tx.trace\n  W.postSpike: z.s",
        "W.preSpike: z.s\n  W.preTrace: tx.trace\n  W.postSpike: x.outputs",
        "20:16",
        "W.preSpike something else: are pre and post swapped?",
    ),
    "read by nobody": (
        "wires:\n",
        "  e: {type: RateCell, n_units: 64, tau_m: 10}\nwires:\n  e.j: W.outputs\n",
        "12:6",
        "nothing reads e, and nothing of it is recorded",
    ),
}


def said(text: str) -> list[str]:
    spec = synsim.load("good.yaml", text=text)
    return spec.render(doubts(synsim.check(spec)), "warning")


def test_a_good_config_has_none():
    assert said(GOOD) == []


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_nor_has_one_that_is_shipped(path):
    assert doubts(synsim.check(path)) == []


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_said_at_its_place(mistake):
    old, new, place, words = MISTAKES[mistake]
    assert old in GOOD
    found = [line for line in said(GOOD.replace(old, new)) if words in line]
    assert len(found) == 1, said(GOOD.replace(old, new))
    assert place is None or found[0].startswith(f"good.yaml:{place}: warning: "), found


def test_sides_that_are_swapped_are_said_where_shapes_tell():
    text = GOOD.replace("z:  {type: LIFCell, n_units: 64", "z:  {type: LIFCell, n_units: 30")
    text = text.replace("tz: {type: VarTrace, n_units: 64", "tz: {type: VarTrace, n_units: 30")
    assert said(text) == []
    with pytest.raises(ConfigError, match=r"W.preTrace takes shape \[64\], but tz.trace .*are pre and post swapped\?"):
        said(
            text.replace("preTrace: tx.trace", "preTrace: tz.trace").replace(
                "postTrace: tz.trace", "postTrace: tx.trace"
            )
        )


def test_a_rate_that_a_phase_or_a_wire_gives_is_one():
    idle = GOOD.replace("A_plus: 1e-2", "eta: 0, A_plus: 1e-2")
    assert "learns nothing" in said(idle)[0]
    assert said(idle + "phases: [{name: rest}, {name: learn, set: {W.eta: 0.1}}]\n") == []
    assert said(idle.replace("wires:\n", "wires:\n  W.eta: 0.1\n")) == []
