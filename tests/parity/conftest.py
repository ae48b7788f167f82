"""The reference runs beside the tests that come first: one process over the cases that were chosen."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

HERE = Path(__file__).parent
WANTED = pytest.StashKey[tuple[Path, "subprocess.Popen[bytes]"]]()


def reference_python() -> str | None:
    """A Python that can import ngclearn, or None."""
    candidates = [os.environ.get("SYNSIM_REFERENCE_PYTHON"), sys.executable]
    look = "import importlib.util, sys; sys.exit(importlib.util.find_spec('ngclearn') is None)"
    for python in candidates:
        if python and shutil.which(python) and subprocess.run([python, "-c", look], check=False).returncode == 0:
            return python
    return None


def pytest_collection_finish(session: pytest.Session) -> None:
    chosen = [item for item in session.items if "reference" in getattr(item, "fixturenames", ())]
    python = reference_python() if chosen and not session.config.option.collectonly else None
    if python is None:
        return
    names = [item.callspec.params["case"].name for item in chosen if "case" in getattr(item, "callspec", item).params]  # type: ignore[attr-defined]
    folder = Path(tempfile.mkdtemp(prefix="synsim-reference-"))
    (folder / "cases.txt").write_text("\n".join(names))
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("JAX_", "PYTHON"))}
    with open(folder / "said.txt", "wb") as said:
        process = subprocess.Popen(
            [python, str(HERE / "reference_driver.py"), str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            env={**plain, "JAX_PLATFORMS": "cpu"},
        )
    session.config.stash[WANTED] = folder, process


def pytest_unconfigure(config: pytest.Config) -> None:
    if WANTED in config.stash:
        folder, process = config.stash[WANTED]
        process.kill()
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def reference(pytestconfig: pytest.Config) -> Iterator[dict[str, np.ndarray]]:
    """What the reference gave, from one run of it over all cases."""
    if WANTED not in pytestconfig.stash:
        pytest.skip("ngclearn is not installed here and SYNSIM_REFERENCE_PYTHON names no Python that has it")
    folder, process = pytestconfig.stash[WANTED]
    assert process.wait() == 0, (folder / "said.txt").read_text(errors="replace")[-3000:]
    with np.load(folder / "reference.npz") as found:
        yield dict(found)
