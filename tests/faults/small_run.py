"""The small run of `stored` through the real store and the real way of going on, without JAX: a start in a blink.

As a program: `small_run.py DIR JSON`, which says `saved STEP` once a checkpoint is safe. In the JSON: `resume`,
`overwrite`, `many` (so many segments become one), `large` (columns of so many bytes stand in one piece in them), and
`streamed` for a merge that goes through the disk.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from stored import ALL_STEPS, blocks, layout, states

from synsim import merging, segments, store
from synsim.checkpoint import Checkpoint, encode
from synsim.resuming import last_point
from synsim.store import Writer

SAVE = 30  # steps between two saves, so that some cut a trial
PRINTS = {"numbers": "of the small run"}
PROVENANCE = {"started": "2026-01-02T03:04:05+00:00", "command": "synsim run small.yaml"}


def small_run(
    directory: Path,
    *,
    resume: bool = False,
    overwrite: bool = False,
    until: int = ALL_STEPS,
    saved: Callable[[int], Any] = lambda step: None,
    began: Callable[[int], Any] = lambda step: None,
) -> None:
    """Start it or go on with it, and stop after `until` steps; `began` is told the step that it goes on from."""
    made = layout()
    it: Any = SimpleNamespace(layout=made, steps=ALL_STEPS)
    with Writer(directory, made, overwrite, resume, {"steps": ALL_STEPS}) as writer:
        if writer.finished:
            writer.tidy()
            return
        point = last_point(writer, it, PRINTS, False, lambda _: None)[0] if resume else None
        if resume:
            writer.go_on(point.step if point else 0)
        began(point.step if point else 0)
        if point is None:
            writer.initial({"W": states()["W"]})
        else:
            np.testing.assert_array_equal(point.state["z"]["v"], np.full(4, point.step))
        for first in range(point.step if point else 0, until, SAVE):
            last = first + SAVE
            writer.segment(first, last, *blocks(first, last))
            state = {"z": {"v": np.full(4, last)}}
            writer.checkpoint(last, encode(Checkpoint(last, 0, 0, 0, state, fingerprint=PRINTS)))
            saved(last)
        if until < ALL_STEPS:
            writer.stop("interrupted", "as it was told")
        else:
            writer.finish(states(), PROVENANCE)


if __name__ == "__main__":
    asked = json.loads(sys.argv[2])
    store.MANY = asked.pop("many", store.MANY)
    segments.LARGE_BYTES = asked.pop("large", segments.LARGE_BYTES)
    if asked.pop("streamed", False):
        merging.IN_MEMORY = 0
    small_run(Path(sys.argv[1]), saved=lambda step: print(f"saved {step}", flush=True), **asked)
