"""Points side by side in one program, against their runs one by one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from stored import same_but_for_provenance

import synsim
from sweeps.side_by_side import DIGITS, PLASTIC, alone, computed, differences, sweep
from synsim import layout, segments, store
from synsim.faults import Stopped
from synsim.saving import Saving
from synsim.sweeps.ledger import Ledger

SIZED = PLASTIC.replace("n_units: 9", 'n_units: "${n}"').replace("seed: 3", "seed: 3\nlet: {n: 9}")
SINGLE_ROWS = DIGITS.replace("batch: 3", "batch: 1").replace(
    "W.weights: {every: trial}", "W.weights: {reduce: norm, compression: gzip}\n  z.j: {every: 10}"
)
SPARSE = """\
name: sparse
seed: 3
let: {p: 0.2}
run: {dt: 0.5, steps: 240}
components:
  x: {type: PoissonCell, n_units: 30, target_freq: 150.0}
  W: {type: TraceSTDPSynapse, connectivity: sparse, p_conn: "${p}", A_plus: 0.05, A_minus: 0.02, delay: 1.5,
      weight_init: {type: uniform, low: 0.0, high: 1.0}, resist_scale: 300.0}
  z: {type: LIFCell, n_units: 20, tau_m: 10.0, refract_time: 1.0}
  V: {type: Synapse, connectivity: sparse, fan_out: 4, autapses: false, delay_per: synapse, weight_init: -2.0,
      delay: {type: uniform, low: 0.5, high: 4.0}}
  tx: {type: VarTrace, n_units: 30, tau_tr: 20.0}
  tz: {type: VarTrace, n_units: 20, tau_tr: 20.0}
wires:
  {x.inputs: 1.0, W.inputs: x.outputs, V.inputs: z.s, z.j: W.outputs + V.outputs, tx.inputs: x.outputs,
   tz.inputs: z.s, W.preSpike: x.outputs, W.preTrace: tx.trace, W.postSpike: z.s, W.postTrace: tz.trace}
record: {z.s: {as: events}, z.v: {every: 4}, W.weights: {every: trial}}
"""

CASES = {
    "a sparse network's numbers": (SPARSE, ["W.A_plus=0.02,0.05", "W.resist_scale=200,300"]),
    "a sparse network's weights": (SPARSE, ["V.weight_init=-1,-3"]),
    "a sparse network's seeds": (SPARSE, ["seed=3:5"]),
    "a sparse network's probability": (SPARSE, ["let.p=0.15,0.3"]),
    "a sparse network's delay": (SPARSE, ["W.delay=0.5,3"]),
    "numbers": (PLASTIC, ["W.A_plus=1e-3,1e-2", "z.tau_m=10:30:3"]),
    "start values": (PLASTIC, ["W.weight_init.high=0.3,0.6,0.9"]),
    "seeds": (PLASTIC, ["seed=3:6"]),
    "seeds that shuffle data": (DIGITS, ["seed=0:3", "W.eta=1e-3,2e-3"]),
    "a number that a phase sets too": (DIGITS, ["z.thr=-62,-60"]),
    "data": (DIGITS, ["data.image.scale=0.05,0.0625,0.08"]),
    "sizes": (SIZED, ["let.n=6,9", "z.tau_m=15,20"]),
    "steps": (PLASTIC, ["run.steps=30,60"]),
    "one row at a time": (SINGLE_ROWS, ["seed=0:2", "W.eta=1e-3,2e-3"]),
    "one point": (PLASTIC, ["z.tau_m=20"]),
    "double precision": (PLASTIC.replace("steps: 60", "precision: float64, steps: 60"), ["z.tau_m=20,25"]),
}


@pytest.mark.parametrize("case", CASES)
def test_every_point_is_as_its_own_run(case, tmp_path):
    """Every dataset and attribute, bit by bit: where a processor's own instructions are used alike, even the digits."""
    text, arguments = CASES[case]
    ledger = sweep(text, tmp_path, arguments)
    done = computed(ledger)
    assert not done.failed and len(done.written) == len(ledger.points)
    last = [len(ledger.points) - 1] if len(ledger.points) > 1 else []
    for number in [0, *last]:
        one = alone(text, tmp_path / "alone", ledger, number)
        assert differences(ledger.point_file(number), one, 1e-5) == []
        with synsim.open(one) as run:
            assert len(run.spikes("z").timestamps) > 10
    assert all(each.state == "done" for each in ledger.states())


def test_another_seed_of_a_sparse_network_is_the_same_program(tmp_path):
    """Other synapses, delays and weights are other numbers; another probability has rows of another length."""
    cases = ((["seed=0:6"], 1), (["seed=0:2", "let.p=0.15,0.3"], 2), (["W.delay=0.5,3"], 2))
    for k, (arguments, static) in enumerate(cases):
        assert sweep(SPARSE, tmp_path / str(k), arguments).static_groups == static
    done = computed(sweep(SPARSE, tmp_path / "seeds", ["seed=0:4"]))
    assert len(done.written) == 4 and done.compiled == 1


def test_lanes_differ(tmp_path):
    ledger = sweep(PLASTIC, tmp_path, ["W.A_plus=1e-3,1e-2", "seed=0:2"])
    computed(ledger)
    found = [synsim.open(ledger.point_file(number)).final("W", "weights") for number in range(4)]
    assert len({values.tobytes() for values in found}) == 4


@pytest.mark.parametrize(
    ("arguments", "numbers", "static"),
    [
        (["W.A_plus=1e-3,1e-2", "let.n=6,9"], ("W.A_plus",), 2),
        (["run.steps=30,60", "let.n=6,9", "seed=0:3"], ("seed",), 4),
        (["W.weight_init=0.2,0.3", "z.tau_m=10,20"], ("z.tau_m",), 1),
        (["W.weight_init.high=0.2,0.3", "W.weight_init.low=0,0.1"], ("W.weight_init.high", "W.weight_init.low"), 1),
    ],
)
def test_which_points_are_one_program(arguments, numbers, static, tmp_path):
    ledger = sweep(SIZED, tmp_path, arguments)
    assert (ledger.numbers, ledger.static_groups) == (numbers, static)
    assert computed(ledger).compiled == static


def test_groups_of_one_structure_share_their_programs(tmp_path):
    ledger = sweep(PLASTIC, tmp_path, ["z.tau_m=10:30:10"], lanes=4)
    assert [len(points) for points in ledger.groups] == [4, 4, 2]
    done = computed(ledger)
    assert done.compiled == 1 and len(done.written) == 10
    for number in (0, 9):
        one = alone(PLASTIC, tmp_path / "alone", ledger, number)
        assert differences(ledger.point_file(number), one, 1e-5) == []


def test_a_lane_that_goes_bad_leaves_the_others_alone(tmp_path):
    text = PLASTIC.replace("  z.j: {every: 7, index: [1, 4]}\n", "")
    ledger = sweep(text, tmp_path, ["W.resist_scale=1,3e38,2"])
    done = computed(ledger)
    assert list(done.failed) == [1]
    assert "is not finite by step" in done.failed[1]
    assert [each.state for each in ledger.states()] == ["done", "failed", "done"]
    assert not ledger.point_file(1).exists()
    one = alone(text, tmp_path / "alone", ledger, 2)
    assert differences(ledger.point_file(2), one, 1e-5) == []
    again = computed(Ledger.open(ledger.directory))  # computes that point only, which fails in the same way
    assert again.written == () and list(again.failed) == [1]
    assert [each.state for each in ledger.states()] == ["done", "failed", "done"]


@pytest.mark.parametrize("chunk", [7, 33])
@pytest.mark.parametrize("stops", [1, 4, 9])
def test_what_was_stopped_is_gone_on_with(chunk, stops, monkeypatch, tmp_path):
    monkeypatch.setattr(Saving, "_patience", lambda self: -1.0)
    arguments = ["z.tau_m=10,20", "seed=0:2"]
    whole = sweep(PLASTIC, tmp_path / "whole", arguments)
    computed(whole)
    ledger = sweep(PLASTIC, tmp_path / "stopped", arguments)
    asked: list[int] = []
    try:
        computed(ledger, chunk=chunk, stop=lambda: bool(asked.append(1) or len(asked) > stops))
    except Stopped as stopped:
        assert f"synsim sweep {ledger.directory}" in str(stopped)
        assert {each.state for each in ledger.states()} == {"interrupted"}
    else:
        assert stops > 180 // chunk
    notes: list[str] = []
    computed(Ledger.open(ledger.directory), chunk=chunk, note=notes.append)
    assert any("going on from step" in note for note in notes) or stops == 1
    for number in range(4):
        same_but_for_provenance(ledger.point_file(number), whole.point_file(number))


@pytest.mark.parametrize("held", [True, False])
@pytest.mark.parametrize("many", [3, 1000])
def test_however_rows_were_saved(held, many, monkeypatch, tmp_path):
    """In many segments or few, some of which were made one; small enough to be held, or not."""
    whole = sweep(DIGITS, tmp_path / "whole", ["W.eta=1e-3,2e-3,3e-3"])
    computed(whole)
    monkeypatch.setattr(Saving, "_patience", lambda self: -1.0)
    monkeypatch.setattr(store, "MANY", many)
    if not held:
        monkeypatch.setattr(segments, "HELD_BYTES", 0)
        monkeypatch.setattr(layout, "LANES_APART_BYTES", 0)
    ledger = sweep(DIGITS, tmp_path, ["W.eta=1e-3,2e-3,3e-3"])
    computed(ledger, chunk=7)
    for number in range(3):
        same_but_for_provenance(ledger.point_file(number), whole.point_file(number))


def test_a_bad_lane_is_remembered_over_a_stop(monkeypatch, tmp_path):
    monkeypatch.setattr(Saving, "_patience", lambda self: -1.0)
    text = PLASTIC.replace("  z.j: {every: 7, index: [1, 4]}\n", "")
    whole = computed(sweep(text, tmp_path / "whole", ["W.resist_scale=1,3e38"]), chunk=20)
    ledger = sweep(text, tmp_path, ["W.resist_scale=1,3e38"])
    asked: list[int] = []
    with pytest.raises(Stopped):
        computed(ledger, chunk=20, stop=lambda: bool(asked.append(1) or len(asked) > 6))
    assert computed(Ledger.open(ledger.directory), chunk=20).failed == whole.failed


def test_points_that_are_missing_are_computed_alone(tmp_path):
    ledger = sweep(PLASTIC, tmp_path, ["z.tau_m=10:30:5"])
    computed(ledger)
    before = {number: ledger.point_file(number).stat().st_mtime_ns for number in range(5)}
    kept = ledger.point_file(3).read_bytes()
    ledger.point_file(1).unlink()
    damaged = bytearray(kept)
    damaged[len(damaged) // 2] ^= 1
    ledger.point_file(3).write_bytes(damaged)
    ledger = Ledger.open(ledger.directory)
    assert [each.state for each in ledger.states()] == ["done", "missing", "done", "missing", "done"]
    assert computed(ledger).written == (1, 3)
    assert [ledger.point_file(n).stat().st_mtime_ns == before[n] for n in range(5)] == [True, False, True, False, True]
    for number in (1, 3):
        one = alone(PLASTIC, tmp_path / "alone", ledger, number)
        assert differences(ledger.point_file(number), one, 1e-5) == []


SHARDED = """
import sys
from pathlib import Path
import jax
from sweeps.side_by_side import PLASTIC, computed, sweep
assert len(jax.devices()) == 4
ledger = sweep(PLASTIC, Path(sys.argv[1]), ["z.tau_m=10:30:6", "seed=0:1"])
print(len(computed(ledger).written))
"""


def test_lanes_are_spread_over_devices(tmp_path):
    """Six points on four devices: two lanes on each, of which two are copies that nobody sees."""
    flags = {"XLA_FLAGS": "--xla_force_host_platform_device_count=4"}
    path = os.pathsep.join([str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])])
    given = {**os.environ, **flags, "PYTHONPATH": path}
    told = subprocess.run(
        [sys.executable, "-c", SHARDED, str(tmp_path)], env=given, capture_output=True, text=True, timeout=300
    )
    assert told.returncode == 0, told.stderr
    assert told.stdout.split() == ["6"]
    ledger = Ledger.open(tmp_path / "plastic")
    assert all(map(ledger.done, range(6)))
    for number in (0, 5):
        one = alone(PLASTIC, tmp_path / "alone", ledger, number)
        assert differences(ledger.point_file(number), one, 1e-5) == []


def test_the_file_of_a_point_says_what_it_is(tmp_path):
    ledger = sweep(PLASTIC, tmp_path, ["z.tau_m=10,30"])
    computed(ledger)
    with h5py.File(ledger.point_file(1)) as file:
        assert json.loads(file.attrs["sweep_values"]) == {"z.tau_m": 30}
        assert (file.attrs["sweep"], file.attrs["sweep_point"], file.attrs["name"]) == ("plastic", 1, "plastic-0001")
        assert "last digits" in file["provenance"].attrs["digits"]
        assert np.isclose(json.loads(file["config/resolved"].asstr()[()])["components"]["z"]["tau_m"], 30)
