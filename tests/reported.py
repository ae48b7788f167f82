"""Runs and sweeps whose pages are looked at: one of everything, and one that means harm."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import h5py
import stored
from faults.command import synsim

from synsim import api
from synsim.store import Writer

EVERYTHING = """\
# One of everything: spikes, traces, energies, numbers a trial, weights that learn, and two phases.
#
# Pixels drive Poisson spikes; cells learn them by spike timing. <b>Not bold.</b>
name: everything
seed: 3
let: {cells: 9}
run: {dt: 1.0, steps: 40}
data:
  image: {type: digits, part: images, rows: "0:8", scale: 0.0625}
  label: {type: digits, part: labels, rows: "0:8"}
components:
  x:  {type: PoissonCell, n_units: 64, target_freq: 63.75}
  W:  {type: TraceSTDPSynapse, A_plus: 1e-2, A_minus: 1e-4, w_bound: 1.0, resist_scale: 8,
       weight_init: {type: uniform, low: 0.0, high: 0.3}}
  z:  {type: LIFCell, n_units: "${cells}", tau_m: 100.5, resist_m: 100.5}
  tx: {type: VarTrace, n_units: 64, tau_tr: 20}
  tz: {type: VarTrace, n_units: "${cells}", tau_tr: 20}
  e:  {type: GaussianErrorCell, n_units: "${cells}"}
wires:
  x.inputs: image
  W.inputs: x.outputs
  z.j: W.outputs
  tx.inputs: x.outputs
  tz.inputs: z.s
  W.preSpike: x.outputs
  W.preTrace: tx.trace
  W.postSpike: z.s
  W.postTrace: tz.trace
  e.mu: tz.trace
  e.target: z.s
phases:
  - {name: learn}
  - {name: test, learning: false}
record:
  z.s: {as: events}
  x.outputs: {as: events}
  z.v: {every: 2, index: "0:4"}
  e.L: {every: trial}
  W.weights: {every: trial, reduce: norm}
  tz.trace: {every: 4, reduce: mean}
  label: {every: trial}
"""

SWEEP = """\
# The rate of cells over two settings.
name: rates
run: {dt: 0.5, steps: 200}
components:
  drive: {type: ConstantSource, n_units: 2, value: 25}
  z: {type: LIFCell, n_units: 2, tau_m: 10, theta_plus: 0}
wires: {z.j: drive.outputs}
record: {z.s: {as: events}}
sweep: {drive.value: [20, 25, 30, 35], z.refract_time: [0, 2, 5], summary: [rate]}
"""

HARM = '</style></script><script>document.title="owned"</script><img src=x onerror=alert(1)>\'"&\x1b[31m'


def everything(folder: Path) -> Path:
    """The folder of a run of everything, as `synsim run` leaves it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "everything.yaml").write_text(EVERYTHING)
    with api.run(folder / "everything.yaml", out=folder) as run:
        return run.path


def sweep(folder: Path) -> Path:
    """The folder of a sweep over two settings of a cell."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "rates.yaml").write_text(SWEEP)
    synsim("sweep", "rates.yaml", "-q", cwd=folder).clear(0)
    return folder / "runs" / "rates"


def hostile(folder: Path) -> Path:
    """A run's file whose every text means harm: docs, units, names of types, config, command line, labels."""
    resolved = {
        "name": HARM,
        "seed": 7,
        "run": {"dt": 0.5, "steps": 20},
        "data": {HARM: {"type": HARM}, "d": {"type": "digits"}},
        "components": {
            HARM: {"type": HARM, "n_units": 4},
            "z": {"type": "LIFCell", "n_units": [4]},
            "W": {"type": "StaticSynapse"},
        },
        "wires": {"z.j": "W.outputs", "W.inputs": "d", f"W.{HARM}": "z.s"},
        "record": {"z.s": {"as": "events", "every": 1}, HARM: {"every": 3}},
        "phases": [{"name": HARM, "wires": {}}, {"name": "test"}],
    }
    text = f"# {HARM}\nname: small\n{HARM}: [{HARM}, 1]\n"
    layout = stored.layout()
    records = tuple(replace(each, doc=HARM, unit=HARM) for each in layout.records)
    layout = replace(
        layout,
        records=records,
        config_text=text,
        config_resolved=json.dumps(resolved),
        phases=(HARM, "test"),
        attrs={**layout.attrs, "device": HARM},
        origin={"files": json.dumps([{"name": HARM, "sha256": HARM}]), "environment": json.dumps({HARM: HARM})},
    )
    writer = Writer(folder / "small", layout)
    writer.initial({"W": stored.states()["W"]})
    writer.segment(0, stored.ALL_STEPS, *stored.blocks(0, stored.ALL_STEPS))
    made = writer.finish(
        stored.states(), {"started": HARM, "command": f"synsim run {HARM}", "host": HARM, "python": HARM}
    )
    with h5py.File(made) as file:
        assert HARM in str(file["report/z.v/data"].attrs["units"])
    return made
