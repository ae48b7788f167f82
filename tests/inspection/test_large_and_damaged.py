"""Files larger than memory are inspected in seconds; of wrong bits or missing ends one line is said, and no crash."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import choose
from faults.command import environment
from large_file import HIGH, LOW, write_large
from stored import blocks, layout, write

from synsim.store import Writer

TYPED = """
import json, re, sys
from synsim.cli import main
sys.argv = ["synsim", *sys.argv[1:]]
try:
    main()
finally:
    # not ru_maxrss, in which what the process that started this one held counts too
    print(int(re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1]) >> 10, file=sys.stderr)
"""
# inspects every damaged copy of a file, and says how many could not be
LOOKING = """
import json, shutil, sys
from pathlib import Path
import numpy as np
from faults.looking import inspected
from synsim.faults import SynsimError
from synsim.reading import Run
folder, name, many, seed = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
good, random, refused = (folder / name).read_bytes(), np.random.default_rng(seed), 0
for number in range(many):
    data = bytearray(good)
    if number % 4 == 0:
        del data[int(random.integers(len(data))):]
    else:
        for at in random.integers(len(data), size=1 + number % 3):
            data[at] ^= 1 << int(random.integers(8))
    (folder / name).write_bytes(data)
    try:
        with Run(folder if name.startswith("seg") else folder / name) as run:
            told = inspected(run)
        assert all(line.isprintable() for line in told), told
    except SynsimError as error:
        assert "\\n" not in str(error), str(error)
        refused += 1
print(refused)
"""


@pytest.fixture(scope="module")
def large(tmp_path_factory) -> Path:
    return write_large(tmp_path_factory.mktemp("large"), choose(quick=0.7, full=20.0))


@pytest.mark.parametrize("what", [None, "z.v", "z.s", "z", "W.weights"])
def test_a_large_file(large, what):
    """Ten seconds and 500 MB, whatever its size; what was looked at of it is said."""
    words = ["inspect", str(large), *([what] if what else []), "--json"]
    since = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", TYPED, *words], capture_output=True, text=True, timeout=100, env=environment()
    )
    took = time.monotonic() - since
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert int(done.stderr.split()[-1]) < 500 and took < 10, (took, done.stderr)
    if what == "z.v":
        voltage = document["found"][0]
        assert 0 < voltage["share"] < 0.5
    elif what in (None, "z"):
        voltage = document["records"]["z.v"]
        assert document["events"]["z.s"]["count"] == sum(_counts(large))
    else:
        return
    assert (voltage["min"], voltage["max"]) == (LOW, HIGH)


def _counts(path: Path) -> list[int]:
    import h5py

    with h5py.File(path) as file:
        return [file["spikes/z/timestamps"].shape[0]]


@pytest.mark.parametrize("name", ["small.h5", "seg/head.h5", "seg/seg-000000000033-000000000050.h5"])
def test_wrong_bits_and_missing_ends(tmp_path, name):
    if name == "small.h5":
        write(tmp_path / "small", (13, 40))
    else:
        with Writer(tmp_path / "small", layout()) as writer:
            writer.segment(0, 33, *blocks(0, 33))
            writer.segment(33, 50, *blocks(33, 50))
    many = choose(quick=24, ci=100, full=1000)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", LOOKING, str(tmp_path / "small"), name, str(many), "5"],
        capture_output=True,
        text=True,
        env=environment(),
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert int(done.stdout) >= many // 4
