"""A file of 20 GB is inspected, drawn, reported and watched in under 10 s and 500 MB. At full size only."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import choose
from large_file import HIGH, LOW, write_large

pytestmark = pytest.mark.skipif(choose(True, full=False), reason="a file of 20 GB is for full size")
ROOT = Path(__file__).parent.parent
SECONDS, MEGABYTES = 10.0, 500
PROGRAM = """
import pathlib, sys
from synsim.cli import main
try:
    main()
finally:
    status = pathlib.Path("/proc/self/status").read_text().splitlines()
    print("PEAK", next(line.split()[1] for line in status if line.startswith("VmHWM")), file=sys.stderr)
"""


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = write_large(tmp_path_factory.mktemp("large"), 20.0)
    about = path.stat()
    assert about.st_size > 20e9 > 20 * about.st_blocks * 512, "a file system that stores holes"
    return path


def measured(*words: object) -> str:
    """What a command prints, within the time and the memory."""
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *map(str, words)],
        capture_output=True,
        text=True,
        timeout=600,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    seconds, peak = time.monotonic() - began, re.search(r"PEAK (\d+)", done.stderr)
    assert done.returncode == 0 and peak is not None, done.stderr
    megabytes = int(peak[1]) * 1024 / 1e6
    assert seconds < SECONDS and megabytes < MEGABYTES, f"{words[0]}: {seconds:.1f} s, {megabytes:.0f} MB"
    return done.stdout


def test_inspect(large: Path) -> None:
    told = measured("inspect", large)
    assert "z.v" in told and "10,000,000" in told and "2,500,000 spikes" in told
    one = measured("inspect", large, "z.v")
    assert "of the values, evenly chosen" in one, one  # who looks at parts only says so
    assert f"{LOW:g} to {HIGH:g} mV" in one, one


@pytest.mark.parametrize("record", ["z.v", "z.s", "W.weights"])
def test_plot(large: Path, tmp_path: Path, record: str) -> None:
    measured("plot", large, record, "-o", tmp_path / "it.png")
    assert (tmp_path / "it.png").read_bytes().startswith(b"\x89PNG") and (tmp_path / "it.png").stat().st_size > 5000


def test_report(large: Path, tmp_path: Path) -> None:
    measured("report", large, "-o", tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert all(name in page for name in ("z.v", "z.s", "W.weights"))


def test_watch(large: Path) -> None:
    assert measured("watch", large).startswith("large: done, 10,000,000 of 10,000,000 steps (100 %), z.s 5 Hz")


def test_export_of_a_part(large: Path, tmp_path: Path) -> None:
    measured("export", large, "z.s", "--to", "sonata", "-o", tmp_path / "out")
    assert (tmp_path / "out" / "spikes.h5").stat().st_size > 2.5e6 * 16
