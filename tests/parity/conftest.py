"""One process runs the reference over the cases that were chosen."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

DRIVER = Path(__file__).parent / "reference_driver.py"


def reference_python() -> str | None:
    """A Python that can import ngclearn, or None."""
    candidates = [os.environ.get("SYNSIM_REFERENCE_PYTHON"), sys.executable]
    look = "import importlib.util, sys; sys.exit(importlib.util.find_spec('ngclearn') is None)"
    for python in candidates:
        if python and shutil.which(python) and subprocess.run([python, "-c", look], check=False).returncode == 0:
            return python
    return None


@pytest.fixture(scope="session")
def reference(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    """What the reference gave, from one run of it over all cases."""
    python = reference_python()
    if python is None:
        pytest.skip("ngclearn is not installed here and SYNSIM_REFERENCE_PYTHON names no Python that has it")
    callspecs = [getattr(item, "callspec", None) for item in request.session.items]
    names = [each.params["case"].name for each in callspecs if each and hasattr(each.params.get("case"), "compare")]
    folder = tmp_path_factory.mktemp("reference")
    (folder / "cases.txt").write_text("\n".join(names))
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("JAX_", "PYTHON"))}
    env = {**plain, "JAX_PLATFORMS": "cpu"}
    told = subprocess.run([python, str(DRIVER), str(folder)], stdin=subprocess.DEVNULL, capture_output=True, env=env)
    assert told.returncode == 0, told.stderr.decode(errors="replace")[-3000:]
    with np.load(folder / "reference.npz") as found:
        return dict(found)
