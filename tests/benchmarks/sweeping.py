"""A sweep of 64 points as lanes of one program, beside a process for each point, and one program in a loop.

The small plastic network: 64 Poisson inputs -> trace-STDP -> 100 LIF cells, 1,000 steps, spikes and last weights
recorded. Every case is the whole command, start of Python and files included, with the programs of an earlier start in
the cache; once a round, in turn. `--alone` is how many of the points get a process of their own, whose time is scaled
to all of them. Printed are medians and ranges of seconds, points a second, and the ratios to lanes.

    python tests/benchmarks/sweeping.py [--rounds 3] [--alone 16]

Must: 10 times faster than a process a point (aim: 25), and no slower than one program in a loop. Printed besides: a
dry run of 1,000 points against `synsim check` of the config (must: 3 s more), and 300 short points, gathered.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
CONFIG = """
name: small
run: {dt: 1.0, steps: 1000}
components:
  x:  {type: PoissonCell, n_units: 64, target_freq: 63.75}
  W:  {type: TraceSTDPSynapse, A_plus: 1e-2, A_minus: 1e-4, weight_init: {type: uniform, low: 0, high: 0.3}}
  z:  {type: LIFCell, n_units: 100, tau_m: 20, resist_m: 10}
  tx: {type: VarTrace, n_units: 64, tau_tr: 20}
  tz: {type: VarTrace, n_units: 100, tau_tr: 20}
wires:
  {x.inputs: 0.8, W.inputs: x.outputs, z.j: W.outputs, tx.inputs: x.outputs, tz.inputs: z.s, W.preSpike: x.outputs,
   W.preTrace: tx.trace, W.postSpike: z.s, W.postTrace: tz.trace}
record:
  z.s: {as: events}
  W.weights: {every: trial}
"""
A_PLUS = [0.002 * (i + 1) for i in range(8)]
TAU_M = [10, 12, 15, 18, 20, 25, 30, 40]
GRID = [(a, tau) for a in A_PLUS for tau in TAU_M]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--alone", type=int, default=16, help="points that get a process of their own")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        place = Path(made)
        (place / "small.yaml").write_text(CONFIG)
        swept = ["W.A_plus=" + ",".join(map(str, A_PLUS)), "z.tau_m=" + ",".join(map(str, TAU_M))]
        cases = {
            "lanes": [["sweep", "small.yaml", *swept, "--overwrite", "-q"]],
            "one program in a loop": [["sweep", "small.yaml", *swept, "--overwrite", "-q", "--lanes", "1"]],
            "a process a point": [
                [
                    "run",
                    "small.yaml",
                    *("--set", f"W.A_plus={a}", "--set", f"z.tau_m={tau}", "--name", "one", "--overwrite", "-q"),
                ]
                for a, tau in GRID[:: max(1, len(GRID) // given.alone)][: given.alone]
            ],
        }
        for commands in cases.values():  # so that all programs are in the cache
            timed(commands[:1], place)
        took: dict[str, list[float]] = {name: [] for name in cases}
        for _ in range(given.rounds):
            for name, commands in cases.items():
                shutil.rmtree(place / "runs", ignore_errors=True)
                scale = len(GRID) / len(commands) if len(commands) > 1 else 1.0
                took[name].append(scale * timed(commands, place))
        dry = [["sweep", "small.yaml", "z.tau_m=10:40:1000", "--dry-run"]]
        more = [timed(dry, place) - timed([["check", "small.yaml"]], place) for _ in range(given.rounds)]
        short = [["sweep", "small.yaml", "z.tau_m=10:40:300", "--set", "run.steps=100", "--name", "short", "-q"]]
        many = timed(short, place)
        print(f"a dry run of 1,000 points: {statistics.median(more):.2f} s more than check; 300 points: {many:.2f} s")
        print(f"{'64 points':24} {'seconds':>24} {'points/s':>10} {'to lanes':>9}")
        for name, seconds in took.items():
            middle = statistics.median(seconds)
            span = f"{middle:.2f} [{min(seconds):.2f}-{max(seconds):.2f}]"
            ratio = statistics.median(a / b for a, b in zip(seconds, took["lanes"], strict=True))
            print(f"{name:24} {span:>24} {len(GRID) / middle:10.1f} {ratio:9.2f}")


def timed(commands: list[list[str]], place: Path) -> float:
    """Seconds that commands take one after another."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "SYNSIM_CACHE_DIR": str(place / "cache")}
    since = time.perf_counter()
    for words in commands:
        subprocess.run([sys.executable, "-m", "synsim", *words], cwd=place, env=env, check=True, capture_output=True)
    return time.perf_counter() - since


if __name__ == "__main__":
    main()
