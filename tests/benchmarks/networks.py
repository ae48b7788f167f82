"""The classic networks from their YAML files beside Brian2 (C++ standalone, float32) and NEST, one thread each.

Every case is a process of its own. The groups follow each other; in each of them all cases run once a round, in turn,
the other way round in every second round, so that what a ratio is of ran side by side. Printed are medians and ranges
of microseconds a step, and ratios of medians. What is measured of synsim is a whole `synsim run` without compiling
and merging: the simulation with its records, segments and checkpoints. Brian2 and NEST keep all spikes in memory.
Where other work is on the machine, processor time says more than the time on the clock; the time that Brian2 states
itself is processor time. SYNSIM_PEERS_PYTHON names the Python of the peers, which tests/peers/install.py makes.

    python tests/benchmarks/networks.py [--rounds 5] [--folder .] [GROUP …]

Groups: peers (CUBA 4,000 and 20,000, COBA 4,000 beside Brian2 and NEST), records (what recording costs), growth (ten
times the neurons), lanes (eight in one program), start (exec to first step, the second time), disk (as much recorded as
the disk takes; the last, for some disks are slow for a while after they were given gigabytes).

Must: CUBA 4,000 within 1.25 of Brian2, CUBA 20,000 within 1.6; 4 times as fast as NEST with a delay of 1.5 ms; all
spikes at 1.05, all voltages every 1 ms at 1.1 of the time without a record, all voltages in every step at half of the
rate at which a file is written and synced; at most 13 times the time for ten times the neurons; eight lanes at most 8
times one; a second start within 1.5 of importing jax and a least scan.
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
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from synsim.benchmarks.peers import VARIABLE, chosen
from synsim.benchmarks.process import result

HERE = Path(__file__).parent
CONFIGS = HERE.parent.parent / "configs"
NETS = ("cuba_4000", "cuba_20000", "coba_4000")
STEPS = 1_500_000  # of a small network: ten chunks
LARGE = 100_000  # of a large one

Found = dict[str, float]


# ------------------------------------------------------------------------------------------- one case, one process


def simulated(
    net: str,
    folder: Path,
    overrides: Sequence[str] = (),
    record: Mapping[str, Any] | None = None,
    steps: int = 0,
) -> Found:
    """A whole run of a config, as `synsim run` does it; `record` takes the place of what the config records."""
    from synsim.benchmarks.steady import simulated as steady
    from synsim.config import load

    steps = steps or (LARGE if "20000" in net else STEPS)
    text = (CONFIGS / f"{net}.yaml").read_text()
    if record is not None:
        text = text.split("\nrecord:")[0] + "\n"
        if record:
            text += "record: " + json.dumps(record) + "\n"
    kept = [path for path in ("E.s", "I.s") if record is None or path in record]
    with tempfile.TemporaryDirectory(dir=folder) as out:
        spec = load(f"{net}.yaml", text=text, folder=CONFIGS, overrides=[f"run.steps={steps}", *overrides])
        return steady(spec, Path(out), kept)


def lanes(net: str, number: int, steps: int = 5000) -> Found:
    """The steps of several seeds as lanes of one program, without records."""
    import dataclasses

    import jax
    import numpy as np

    from synsim import engine
    from synsim.config import load
    from synsim.device import computing, use_compilation_cache
    from synsim.plan import plan

    text = (CONFIGS / f"{net}.yaml").read_text().split("\nrecord:")[0]
    spec = load(f"{net}.yaml", text=text, folder=CONFIGS)
    with computing(spec) as device:
        use_compilation_cache(device)
        graph = plan(spec).phases[0].graph

        def one(seed: Any, carry: Any, g: Any) -> Any:
            own = dataclasses.replace(graph, seed=seed)
            return engine.steps(own, (), carry, {}, np.uint32(0), g, steps)[0]

        def start(seed: Any) -> Any:
            return engine.start_carry(dataclasses.replace(graph, seed=seed))

        seeds = np.arange(1, number + 1, dtype=np.uint32)
        if number == 1:
            begin, run, given = jax.jit(start), jax.jit(one), seeds[0]
        else:
            begin, run, given = jax.jit(jax.vmap(start)), jax.jit(jax.vmap(one, in_axes=(0, 0, None))), seeds
        carry = jax.block_until_ready(run(given, begin(given), np.int32(0)))
        began = time.perf_counter()
        jax.block_until_ready(run(given, carry, np.int32(steps)))
        return {"us": 1e6 * (time.perf_counter() - began) / steps}


SMALLEST = "import jax; jax.jit(lambda: jax.lax.scan(lambda c, _: (c + 1.0, None), 0.0, None, length=10)[0])()"
TOLD = """
import sys, time
from synsim.terminal import Teller
told = Teller.progress
def progress(self, at):
    print(time.time(), flush=True)
    told(self, at)
Teller.progress = progress
from synsim.cli import main
main()
"""


def started(net: str, folder: Path, least: bool) -> Found:
    """Seconds of a process: of importing jax and a least scan, or of a run from its start to the end of the first step;
    of that one also of the whole command, with its file made."""
    environment = {**os.environ, "SYNSIM_CACHE_DIR": str(folder / "programs")}
    with tempfile.TemporaryDirectory(dir=folder) as out:
        words = [sys.executable, "-c", SMALLEST]
        if not least:
            config = str(CONFIGS / f"{net}.yaml")
            words = [sys.executable, "-c", TOLD, "run", config, "--out", out, "--set", "run.steps=1"]
        at, began = time.time(), time.perf_counter()
        done = subprocess.run(words, capture_output=True, text=True, env=environment)
        seconds = time.perf_counter() - began
    if done.returncode:
        raise SystemExit(done.stderr)
    return {"s": seconds} if least else {"s": float(done.stdout.split()[0]) - at, "whole command": seconds}


def written(folder: Path, megabytes: int = 400) -> Found:
    """Megabytes a second that one process writes in turn to a new file and syncs."""
    block = os.urandom(1 << 24)
    path = folder / "written"
    began = time.perf_counter()
    with path.open("wb") as file:
        for _ in range(megabytes * 1_000_000 // len(block)):
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
    seconds = time.perf_counter() - began
    size = path.stat().st_size / 1e6
    path.unlink()
    return {"MB/s": size / seconds}


# ---------------------------------------------------------------------------------------------------------- the cases

SPIKES = {"E.s": {"as": "events"}, "I.s": {"as": "events"}}
VOLTAGES = {"E.v": {}, "I.v": {}}
MILLISECONDS = {"E.v": {"every": 10}, "I.v": {"every": 10}}
RECORDS: dict[str, dict[str, Any]] = {
    "no record": {},
    "all spikes": SPIKES,
    "voltages every 1 ms": MILLISECONDS,
}

CASES: dict[str, Callable[[Path], Found]] = {
    **{f"synsim {net}": lambda folder, net=net: simulated(net, folder) for net in NETS},
    **{
        f"records {name}": lambda folder, record=record: simulated("cuba_4000", folder, record=record)
        for name, record in RECORDS.items()
    },
    "records voltages in every step": lambda folder: {
        **simulated("cuba_4000", folder, record=VOLTAGES, steps=LARGE // 2),
        "peak MB": peak_megabytes(),
    },
    "records voltages, ten times longer": lambda folder: {
        **simulated("cuba_4000", folder, record=VOLTAGES, steps=LARGE * 5),
        "peak MB": peak_megabytes(),
    },
    "disk": written,
    "growth 4,000": lambda folder: simulated("cuba_20000", folder, ["E.n_units=3200", "I.n_units=800"], steps=STEPS),
    "growth 40,000": lambda folder: simulated("cuba_20000", folder, ["E.n_units=32000", "I.n_units=8000"]),
    "lanes 1": lambda folder: lanes("cuba_4000", 1),
    "lanes 8": lambda folder: lanes("cuba_4000", 8),
    "start least": lambda folder: started("cuba_4000", folder, True),
    "start synsim": lambda folder: started("cuba_4000", folder, False),
}


def peak_megabytes() -> float:
    """What the process has held at most."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def peers(folder: Path) -> dict[str, list[str]]:
    """The commands of the peers, with Brian2's programs built."""
    known = chosen(None)
    made = {net: known.commands(net, folder, lambda words: print(words, flush=True)) for net in NETS}
    return {f"{peer} {net}": command for net, each in made.items() for peer, command in each.items()}


GROUPS = {
    "peers": [f"{name} {net}" for net in NETS for name in ("synsim", "Brian2", "NEST")],
    "records": [f"records {name}" for name in RECORDS],
    "growth": ["growth 4,000", "growth 40,000"],
    "lanes": ["lanes 1", "lanes 8"],
    "start": ["start least", "start synsim"],
    "disk": ["records voltages in every step", "records voltages, ten times longer", "disk"],
}
RATIOS = (  # of medians: what, case, over case, a bound that must be kept
    *((f"{net} over Brian2", f"synsim {net}", f"Brian2 {net}") for net in NETS),
    *((f"NEST over synsim, {net}", f"NEST {net}", f"synsim {net}") for net in NETS),
    *((f"{name} over no record", f"records {name}", "records no record") for name in list(RECORDS)[1:]),
    ("ten times the neurons", "growth 40,000", "growth 4,000"),
    ("eight lanes over one", "lanes 8", "lanes 1"),
    ("second start over the least", "start synsim", "start least"),
)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("groups", nargs="*", metavar="GROUP", help=", ".join(GROUPS))
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--folder", type=Path, default=Path("."), help="where files go: on a local disk")
    options.add_argument("--json", type=Path, help="where all figures go")
    options.add_argument("--case", choices=CASES, help=argparse.SUPPRESS)
    given = options.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    if given.case:
        print(json.dumps(CASES[given.case](given.folder)))
        return
    if unknown := set(given.groups) - set(GROUPS):
        options.error(f"there is no group {', '.join(sorted(unknown))}; there are {', '.join(GROUPS)}")
    folder = given.folder.resolve()
    groups = [group for group in GROUPS if group in given.groups or not given.groups]
    commands = {name: [sys.executable, __file__, "--case", name, "--folder", str(folder)] for name in CASES}
    if "peers" in groups:
        if os.environ.get(VARIABLE):
            commands |= peers(folder)
        else:
            print(f"{VARIABLE} names no Python with Brian2 and NEST: they are left out")
    seen: dict[str, list[Found]] = {}
    for group in groups:
        print(group, flush=True)
        seen |= measured({name: commands[name] for name in GROUPS[group] if name in commands}, given.rounds)
    report(seen)
    if given.json:
        given.json.write_text(json.dumps(seen, indent=1))


def measured(commands: Mapping[str, Sequence[str]], rounds: int) -> dict[str, list[Found]]:
    """All figures of all rounds; the round before the first fills the cache of programs, and is not counted."""
    seen: dict[str, list[Found]] = {name: [] for name in commands}
    for number in range(-1, rounds):
        for name in list(commands)[:: 1 if number % 2 else -1]:
            if number < 0 and commands[name][0] != sys.executable:
                continue
            settle()
            found = result(commands[name], name)
            if number >= 0:
                seen[name].append(found)
        print(f"round {number}, load {os.getloadavg()[0]:.1f}", flush=True)
    return seen


def settle(most: float = 60.0) -> None:
    """Waits until the disks have been quiet for half a second: they are busy for long with files that are gone."""
    os.sync()
    statistics_of_disks = Path("/proc/diskstats")  # of Linux
    began, before = time.monotonic(), None
    while statistics_of_disks.exists() and time.monotonic() - began < most:
        lines = [line.split() for line in statistics_of_disks.read_text().splitlines()]
        now = [line[5:] for line in lines if not line[2].startswith(("loop", "ram"))]
        if now == before:
            return
        before = now
        time.sleep(0.5)


def report(seen: Mapping[str, list[Found]]) -> None:
    """Medians and ranges, and what follows from them."""
    middle = {}
    for name, rows in seen.items():
        unit = next(key for key in ("us", "s", "MB/s") if key in rows[0])
        values = [row[unit] for row in rows]
        middle[name] = statistics.median(values)
        said = ", ".join(f"{key} {statistics.median(row[key] for row in rows):.4g}" for key in rows[0] if key != unit)
        print(f"  {name:<36} {middle[name]:9.2f} [{min(values):.2f}-{max(values):.2f}] {unit:<5} {said}")
    for what, above, below in RATIOS:
        if above in middle and below in middle:
            rows = [[row.get("processor us") for row in seen[name]] for name in (above, below)]
            words = f"{middle[above] / middle[below]:9.3f}"
            if all(value is not None for row in rows for value in row):
                one, other = (statistics.median(row) for row in rows)
                words += f"   {one / other:9.3f} of processor time"
            print(f"  {what:<36} {words}")
    if "records voltages in every step" in middle and "disk" in middle:
        rate = 4000 * 4 / middle["records voltages in every step"]  # bytes a microsecond
        print(f"  {'voltages in every step, of the disk':<36} {rate / middle['disk']:9.3f}")


if __name__ == "__main__":
    main()
