"""The versions that a result depends on, known without importing anything."""

from __future__ import annotations

import platform


def versions() -> dict[str, str]:
    """synsim, JAX, numpy, h5py and Python."""
    from importlib.metadata import version

    import synsim

    found = {name: version(name) for name in ("jax", "jaxlib", "numpy", "h5py")}
    return {"synsim": synsim.__version__, **found, "python": platform.python_version()}
