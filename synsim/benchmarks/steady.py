"""What a step of a run takes once it is under way, with its records, segments and checkpoints.

    python -m synsim.benchmarks.steady CONFIG FOLDER [PATH=VALUE …]

runs a config once, as `synsim run` does it, and says the figures as one line of JSON.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from synsim import api
from synsim.spec import Spec

Found = dict[str, float]
"""Figures of one run by name, with the unit: `us` are microseconds a step."""


def simulated(spec: Spec, out: Path, kept: Sequence[str] = ()) -> Found:
    """A whole run. `kept` are records of events whose spikes are counted.

    The time of a step is that between the ends of chunks, once their length is settled and before the last two, since
    the program of a shorter last one is compiled before the one before it is reported: whatever is written meanwhile is
    in it, and compiling is not. Where there are too few chunks for that, it is the time of all of them.
    """
    outcomes: list[Any] = []
    lengths: list[int] = []
    seen: list[tuple[int, float, float]] = []  # steps done; the time, and processor time so far
    began = time.perf_counter()
    with api.run(
        spec,
        out=out,
        started=lambda it, *_: lengths.append(it.steps),
        finished=outcomes.append,
        progress=lambda at: seen.append((at.step, time.perf_counter(), time.process_time())),
        alone=True,
    ) as left:
        whole = time.perf_counter() - began
        steps, compiling = lengths[0], outcomes[0].compile_seconds
        found = {"steps": steps, "compiling": compiling, "whole run": whole, "MB": left.file.stat().st_size / 1e6}
        if kept:
            found["spikes"] = sum(len(left.spikes(path).timestamps) for path in kept)
    steady = [each for each in seen if 0.2 * steps < each[0] < 0.97 * steps][:-1]
    if len(steady) < 2:
        return {"us": 1e6 * (outcomes[0].seconds - compiling) / steps, **found}
    (first, start, before), (last, end, after) = steady[0], steady[-1]
    per = 1e6 / (last - first)
    return {"us": per * (end - start), "processor us": per * (after - before), **found}


def from_words(words: Sequence[str]) -> Found:
    """The figures of what is written behind the program's name; the run itself is thrown away."""
    config, folder, *overrides = words
    with tempfile.TemporaryDirectory(dir=folder) as out:
        return simulated(api.single(api.load(Path(config), overrides=overrides)), Path(out))


if __name__ == "__main__":
    print(json.dumps(from_words(sys.argv[1:])))
