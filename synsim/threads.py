"""How many threads XLA computes in on a CPU, which it settles when JAX looks for its devices; who else runs where.

A step of a sparse network is one function, which computes in one thread (`one_function`). Where XLA has several, it
takes them in turn, chunk after chunk: each finds nothing in the cache of its processor, and has put whatever was at
work there aside. With one, a network whose voltages are recorded every millisecond takes a tenth less.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from synsim.component import as_shape, count
from synsim.one_function import WHOLE

if TYPE_CHECKING:
    from synsim.spec import Spec

VARIABLES = ("PJRT_NPROC", "NPROC")
"""What XLA takes the number from, the first of them that says one, else from the machine."""


def one_is_enough(spec: Spec) -> bool:
    """Whether a config is a network whose steps are computed in one thread anyway, however many there are.

    Its synapses look at no more than what is active, and no population is larger than one function computes with.
    """
    from synsim.describe import part_types  # here, for what a command is guessed to need is loaded before it

    connectivities, sizes = [], []
    for each in spec.components.values():
        if parts := part_types(each.type, each.settings):
            kept_as_rows = each.settings.get("storage") == "sparse"
            connectivities.append(kept_as_rows or getattr(parts.get("connectivity"), "event_driven", False))
        else:
            sizes.append(spec.run.batch * count(as_shape(each.settings.get("n_units", 1))))
    return bool(connectivities) and all(connectivities) and max(sizes, default=0) <= WHOLE and spec.sweep is None


def _said() -> str:
    """How many were asked for; empty where nobody has said so."""
    return next((number for name in VARIABLES if (number := os.environ.get(name))), "")


def take_one() -> None:
    """One thread for this process, where its user has not said how many; of no effect once JAX has its devices."""
    if not _said():
        os.environ[VARIABLES[0]] = "1"


def leave_one_cpu() -> None:
    """Keep the thread that this is, and those that it starts, off one of the CPUs where XLA computes in one thread.

    What writes beside the loop wakes up often, and each time may be put where the network is computed: a run whose
    voltages are recorded every millisecond takes three parts in a hundred less if it cannot be.
    """
    if _said() == "1" and hasattr(os, "sched_setaffinity"):
        _, *others = sorted(os.sched_getaffinity(0))
        if others:
            with suppress(OSError):
                os.sched_setaffinity(0, others)
