"""synsim: neural circuits from a YAML file, compiled to one JAX time loop and recorded into one HDF5 file.

    spec = synsim.load("config.yaml")           # a checked config
    with synsim.run(spec) as run:               # simulates it and opens what it left
        run["z.v"], run.spikes("z"), run.final("W", "weights")
    run = synsim.open("runs/stdp-digits")       # a finished, running or stopped run

Names are imported when they are first used, so that `import synsim` costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from synsim.api import check, load, open, run, status, verify
    from synsim.faults import ConfigError, SynsimError

__version__ = "0.1.0"
__all__ = ["ConfigError", "SynsimError", "check", "load", "open", "run", "status", "verify"]


def __getattr__(name: str) -> Any:
    if name in ("ConfigError", "SynsimError"):
        from synsim import faults

        return getattr(faults, name)
    if name in __all__:
        from synsim import api

        return getattr(api, name)
    raise AttributeError(f"module 'synsim' has no attribute {name!r}")
