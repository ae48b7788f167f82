"""The project's own text: formatted, linted, free of paths of any machine, nothing large."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("words", [["check", "."], ["format", "--check", "."]])
def test_ruff_is_content(words):
    done = subprocess.run([sys.executable, "-m", "ruff", *words], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


def test_nothing_large_is_committed():
    told = subprocess.run(["git", "ls-files", "-z"], capture_output=True, text=True, cwd=ROOT)
    if told.returncode:
        pytest.skip("not a git checkout")
    files = [ROOT / name for name in told.stdout.split("\0") if name]
    assert files and all(file.stat().st_size < 1 << 20 for file in files if file.exists())


def test_the_top_level_is_what_it_should_be():
    told = subprocess.run(["git", "ls-tree", "--name-only", "HEAD"], capture_output=True, text=True, cwd=ROOT)
    if told.returncode:
        pytest.skip("not a git checkout")
    allowed = {".ci", ".gitignore", "LICENSE", "README.md", "configs", "pyproject.toml", "runs", "synsim", "tests"}
    assert set(told.stdout.split()) <= allowed
