"""What it costs to lose nothing: a run that saves segments and checkpoints, beside the same run that keeps them.

784 Poisson inputs -> trace-STDP -> 400 LIF cells, about a minute of computing; spikes, potentials and weights recorded.
Every case runs in a process of its own, once a round, in turn. Printed are medians and ranges of wall and of processor
time, compiling left out, and their ratios; the merge of the segments into one file, and its reading back, stand apart.

    python tests/benchmarks/saving.py [--rounds 5] [--trials 1000] [--folder .]

Must: at most 1.05 times the time, fsync to a local disk included.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

STEPS = 1000  # of a trial

CONFIG = """
name: saving
run: {{dt: 1.0, steps: 1000, trials: {trials}}}
components:
  x:  {{type: PoissonCell, n_units: 784, target_freq: 63.75}}
  W:  {{type: TraceSTDPSynapse, A_plus: 1e-2, A_minus: 1e-4, weight_init: {{type: uniform, low: 0, high: 0.3}}}}
  z:  {{type: LIFCell, n_units: 400, tau_m: 100, resist_m: 10}}
  tx: {{type: VarTrace, n_units: 784, tau_tr: 20}}
  tz: {{type: VarTrace, n_units: 400, tau_tr: 20}}
wires:
  x.inputs: 0.25
  W.inputs: x.outputs
  z.j: W.outputs
  tx.inputs: x.outputs
  tz.inputs: z.s
  W.preSpike: x.outputs
  W.preTrace: tx.trace
  W.postSpike: z.s
  W.postTrace: tz.trace
record:
  z.s: {{as: events}}
  z.v: {{every: 20}}
  W.weights: {{every: trial, index: "0:8"}}
"""


class Memory:
    """A sink that keeps everything, and writes nothing."""

    def __init__(self) -> None:
        self.kept: list[object] = []

    def initial(self, states) -> None:
        self.kept.append(states)

    def segment(self, first, last, blocks, trials=None) -> None:
        self.kept += [blocks, trials]

    def checkpoint(self, step, data) -> None:
        pass


def in_memory(trials: int, folder: Path) -> dict[str, float]:
    """Without the store: no segment, no checkpoint, no digest, no fsync."""
    from synsim import loop, saving
    from synsim.config import load
    from synsim.device import computing, use_compilation_cache
    from synsim.plan import plan

    saving.encode = lambda point: b""
    spec = load("saving.yaml", text=CONFIG.format(trials=trials))
    with computing(spec) as device:
        use_compilation_cache(device)
        it = plan(spec)
        before = time.process_time()
        outcome = loop.simulate(it, Memory())
        used = time.process_time() - before
    return {"wall": outcome.seconds - outcome.compile_seconds, "processor": used, "compiling": outcome.compile_seconds}


def saved(trials: int, folder: Path) -> dict[str, float]:
    """As `synsim run` does it."""
    import synsim
    from synsim import store
    from synsim.config import load

    at: list[tuple[float, float]] = []
    outcomes, sizes = [], []

    def counted(real):
        def publish(where, name, data):
            sizes.append(real(where, name, data))
            return sizes[-1]

        return publish

    def now(*given) -> None:
        at.append((time.perf_counter(), time.process_time()))
        outcomes.extend(given)

    store.publish_sealed, store.publish_in_blocks = counted(store.publish_sealed), counted(store.publish_in_blocks)
    with tempfile.TemporaryDirectory(dir=folder) as out:
        spec = load("saving.yaml", text=CONFIG.format(trials=trials))
        with synsim.run(spec, out=out, started=lambda *_: now(), finished=now) as left:
            now()
            size = left.file.stat().st_size
    (_, cpu0), (wall1, cpu1), (wall2, _) = at
    outcome = outcomes[0]
    return {
        "wall": outcome.seconds - outcome.compile_seconds,
        "processor": cpu1 - cpu0,
        "compiling": outcome.compile_seconds,
        "merge": wall2 - wall1,
        "files": len(sizes),
        "MB written": sum(sizes) / 1e6,
        "MB in the file": size / 1e6,
    }


CASES = {"memory": in_memory, "saved": saved}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--trials", type=int, default=1000)
    options.add_argument("--folder", type=Path, default=Path("."), help="where the files go: on a local disk")
    options.add_argument("--case", choices=CASES, help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.case:
        print(json.dumps(CASES[given.case](given.trials, given.folder)))
        return
    seen: dict[str, list[dict[str, float]]] = {name: [] for name in CASES}
    for number in range(-1, given.rounds):  # the first fills the cache of programs, and is not counted
        for name in list(CASES)[:: 1 if number % 2 else -1]:
            words = [sys.executable, __file__, "--case", name, "--trials", str(given.trials if number >= 0 else 30)]
            told = subprocess.run([*words, "--folder", str(given.folder)], capture_output=True, text=True)
            if told.returncode:
                sys.exit(told.stderr)
            if number >= 0:
                seen[name].append(json.loads(told.stdout.splitlines()[-1]))
                print(f"round {number}: {name:<7} {seen[name][-1]['wall']:.1f} s", flush=True)
    print(f"{given.trials * STEPS:,} steps, {given.rounds} rounds in turn, load {os.getloadavg()[0]:.1f}")
    middle = {
        name: {key: statistics.median(row[key] for row in rows) for key in rows[0]} for name, rows in seen.items()
    }
    for key in ("wall", "processor"):
        for name, rows in seen.items():
            values = [row[key] for row in rows]
            print(f"  {key:<10} {name:<7} {middle[name][key]:8.2f} [{min(values):.2f}-{max(values):.2f}] s")
        print(f"  {key:<10} ratio   {middle['saved'][key] / middle['memory'][key]:8.3f}")
    rest = {key: value for key, value in middle["saved"].items() if key not in ("wall", "processor", "compiling")}
    print("  " + ", ".join(f"{key} {value:.2f}" for key, value in rest.items()))


if __name__ == "__main__":
    main()
