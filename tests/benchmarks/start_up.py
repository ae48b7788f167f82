"""How long commands take to start, against what they are held to: python tests/benchmarks/start_up.py [RUNS].

A command and its yardstick run in turn, so that a machine whose speed drifts does not move the ratio; the median over
RUNS pairs (default 15) is printed, with the median seconds of each. Where the interpreter writes no byte code, as with
PYTHONDONTWRITEBYTECODE, a folder for it is made, as an installed package has it.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
LIGHT = "import typer, pydantic"
HEAVY = "import jax"

SYNTAX = "run: {steps: 10\ncomponents: [\n"
STRUCTURE = """\
run: {steps: 200, trials: abc, epoch: 3}
data:
  image: {type: digits, part: image}
components:
  x: {type: PoissonCell, n_units: 64, target_freq: 63.75}
  W: {type: TraceSTDPSynapse, A_plus: 1e-2, A_minus: 1e-4, weight_init: {type: uniform, lo: 0.0, high: 0.3}}
  z: {type: LIFCell, n_units: 10, tau_m: 100.0}
wires: {x.inputs: image, W.inputs: x.output}
recrod: {}
"""


def completing(line: str) -> dict[str, str]:
    """The variables by which a shell asks for what may follow."""
    return {"_SYNSIM_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(line.split(" ")) - 1)}


def cases(folder: Path) -> list[tuple[str, list[str], dict[str, str], str, float]]:
    """What is measured in a folder with a starter config: its name, words, variables, yardstick and most."""
    (folder / "syntax.yaml").write_text(SYNTAX)
    (folder / "structure.yaml").write_text(STRUCTURE)
    digits = str(ROOT / "configs" / "stdp_digits.yaml")
    return [
        ("--help", ["--help"], {}, LIGHT, 2.5),
        ("run --help", ["run", "--help"], {}, LIGHT, 2.5),
        ("version", ["version"], {}, LIGHT, 2.5),
        ("completing a type", [], completing("synsim components LIF"), LIGHT, 2.5),
        ("completing --set", [], completing(f"synsim run {digits} --set z1e."), LIGHT, 2.5),
        ("a fault of syntax", ["check", "syntax.yaml"], {}, LIGHT, 2.5),
        ("faults of structure", ["check", "structure.yaml"], {}, LIGHT, 2.5),
        ("schema", ["schema"], {}, HEAVY, 1.4),
        ("components", ["components"], {}, HEAVY, 1.4),
        ("components --markdown", ["components", "--markdown"], {}, HEAVY, 1.4),
        ("check the starter", ["check", "starter.yaml"], {}, HEAVY, 1.4),
        *(
            (f"check {name}", ["check", str(ROOT / "configs" / f"{name}.yaml")], {}, HEAVY, 1.4)
            for name in ("lif_fi", "stdp_digits", "hopfield_digits", "pc_digits")
        ),
    ]


def timed(words: list[str], folder: Path, env: dict[str, str]) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, *words], cwd=folder, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        env = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
        env |= {"PYTHONPATH": str(ROOT), "PYTHONPYCACHEPREFIX": str(folder / "bytecode")}
        starter = [sys.executable, "-m", "synsim", "init", "starter.yaml"]
        subprocess.run(starter, cwd=folder, env=env, check=True, capture_output=True)
        print(f"{'':24} {'seconds':>8} {'yardstick':>10} {'ratio':>6} {'most':>5}")
        for name, words, more, yardstick, most in cases(folder):
            mine, theirs = [], []
            for _ in range(runs + 1):
                mine.append(timed(["-m", "synsim", *words], folder, env | more))
                theirs.append(timed(["-c", yardstick], folder, env))
            ratio = statistics.median(a / b for a, b in zip(mine[1:], theirs[1:], strict=True))
            seconds = statistics.median(mine[1:]), statistics.median(theirs[1:])
            over = "  too slow" if ratio > most else ""
            print(f"{name:24} {seconds[0]:8.3f} {seconds[1]:10.3f} {ratio:6.2f} {most:5.1f}{over}", flush=True)


if __name__ == "__main__":
    main()
