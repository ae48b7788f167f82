"""One Slurm for all tests, and one sweep that nobody disturbs."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import choose

from slurm.one_node import OneNode, why_not
from slurm.small_sweep import Sweep


@contextmanager
def started(**settings: int) -> Iterator[OneNode]:
    """A Slurm for as long as it is wanted. Where none can be had the test is skipped; not so in CI, which has it."""
    if not choose(False, True):
        pytest.skip("starts a real Slurm, for which SYNSIM_TEST_SCALE is ci or full")
    if reason := why_not():
        if os.geteuid() == 0 and shutil.which("apt-get"):
            pytest.fail(reason)
        pytest.skip(reason)
    folder = Path(tempfile.mkdtemp(prefix="one-node-"))  # a socket has a short path
    node = OneNode(folder, **settings)
    try:
        node.start()
        yield node
    finally:
        node.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def one_node() -> Iterator[OneNode]:
    """The Slurm that all tests share."""
    with started() as node:
        yield node


@pytest.fixture
def node(one_node: OneNode) -> Iterator[OneNode]:
    """It, with no job in it before and after."""
    one_node.clear()
    yield one_node
    one_node.clear()


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the sweep, computed on this machine, which also fills the cache of programs."""
    sweep = Sweep(tmp_path_factory.mktemp("undisturbed"), None)
    done = sweep.synsim(*sweep.words, "--launcher", "local", "--processes", "2")
    assert done.code == 0, done.err
    return sweep.directory
