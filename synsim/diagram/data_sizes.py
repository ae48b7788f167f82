"""How large a row of each data entry is: what a picture of a circuit cannot know from its config."""

from __future__ import annotations

from synsim import data
from synsim.faults import ConfigError
from synsim.rasters import Clock
from synsim.spec import Spec

MOST_BYTES = 1 << 26  # of a file that is read for the sake of a picture


def data_sizes(spec: Spec) -> dict[str, tuple[int, ...]]:
    """The shape of a row (or of a frame) of each data entry; what is missing, wrong or large is left out.

    A circuit can be drawn before its data are there, so that this raises nothing.
    """
    clock = Clock(spec.run.dt, spec.run.steps)
    found = {}
    for name, typed in spec.data.items():
        path = typed.settings.get("path")
        try:
            if isinstance(path, str) and (spec.directory / path).stat().st_size > MOST_BYTES:
                continue
            entry = data.load(name, typed, directory=spec.directory, seed=spec.seed, clock=clock)
        except (ConfigError, OSError):
            continue
        axes = zip(entry.axes, entry.values.shape, strict=True)
        inner = tuple(size for axis, size in axes if axis not in ("row", "step"))
        if inner:
            found[name] = inner
    return found
