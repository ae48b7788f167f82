"""Common to all tests: helper modules beside this file are imported by name, and long tests have three sizes."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
# compiled programs of tests stay with the tests
os.environ.setdefault("SYNSIM_CACHE_DIR", str(Path(__file__).parent.parent / ".pytest_cache" / "programs"))


def choose(quick: Any, ci: Any = None, full: Any = None) -> Any:
    """The value for the size that SYNSIM_TEST_SCALE names; a larger one that is left out is the next smaller."""
    sizes = {"quick": quick, "ci": quick if ci is None else ci}
    sizes["full"] = sizes["ci"] if full is None else full
    return sizes[os.environ.get("SYNSIM_TEST_SCALE", "quick")]


@pytest.fixture(scope="session")
def scale() -> Callable[..., Any]:
    """`scale(quick=2, ci=5, full=20)`: how much of a long test to run."""
    return choose


@pytest.fixture(scope="module")
def small_programs() -> Iterator[None]:
    """For modules that compile hundreds of programs and run each once: XLA thinks less about them."""
    import jax

    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


@pytest.fixture(scope="module")
def no_plugins() -> Iterator[None]:
    """For modules that compare with another process: what other tests have plugged in is put aside."""
    from synsim import catalogue

    admitted = catalogue._admitted
    catalogue._admitted = ()
    yield
    catalogue._admitted = admitted
