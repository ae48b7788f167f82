"""Sweeps: points that differ in some settings, run side by side in one program, or spread over a cluster."""

from __future__ import annotations

import os
import shlex


def command(directory: str | os.PathLike[str], *words: str) -> str:
    """What to type about the sweep in a folder: to go on with it, or `words` in place of `sweep`."""
    return " ".join(["synsim", *(words or ("sweep",)), shlex.quote(os.fspath(directory))])
