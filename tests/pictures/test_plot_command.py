"""`synsim plot` as a user types it: what it writes, what it says, and what becomes of files that are no runs."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from large_file import write_large
from stored import write

from synsim import completion
from synsim.faults import ConfigError, StoreError
from synsim.pictures import draw
from synsim.store import Run


def synsim_plot(*words: object, cwd: Path, code: str = "") -> subprocess.CompletedProcess[str]:
    program = f"import sys\n{code}\nfrom synsim.cli import main\nsys.argv = ['synsim', 'plot', *sys.argv[1:]]\nmain()"
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", program, *map(str, words)],
        capture_output=True,
        text=True,
        cwd=cwd,
        timeout=120,
    )


@pytest.fixture
def folder(tmp_path):
    write(tmp_path / "small", (13, 40))
    return tmp_path


def test_a_picture_goes_beside_the_file_or_where_it_is_told(folder):
    done = synsim_plot("small", "z.s", cwd=folder)
    assert (done.returncode, done.stdout, done.stderr) == (0, "small/z.s.png\n", "")
    assert (folder / "small" / "z.s.png").read_bytes().startswith(b"\x89PNG")
    words = ("small/small.h5", "z.v", "--kind", "histogram", "--from", "1", "--to", "9", "--units", "0:2")
    done = synsim_plot(*words, "--trial", "-1", "--phase", "test", "-o", "v.svg", cwd=folder)
    assert (done.returncode, done.stdout, done.stderr) == (0, "v.svg\n", "")
    done = synsim_plot("--compare", "small", "small/small.h5", "z.v", "z.s", cwd=folder)
    assert (done.returncode, done.stdout, done.stderr) == (0, "small-and-small.png\n", "")
    apart = synsim_plot("small", "z.v", "--kind", "histogram", "--sandbox", "-o", "b.png", cwd=folder)
    assert (apart.returncode, apart.stdout, apart.stderr) == (0, "b.png\n", "")
    assert synsim_plot("small", "z.x", "--sandbox", cwd=folder).stderr.startswith("error: z.x was not recorded")


@pytest.mark.parametrize(
    ("words", "code", "line"),
    [
        ([], 2, "error: name what is drawn: synsim plot FILE|DIR [RECORD]..., or --compare A B [RECORD]..."),
        (["nothing"], 66, "error: nothing: no such file or directory"),
        (["small", "z.w"], 2, "error: z.w was not recorded, and is no state. Did you mean 'z.v'?"),
        (["small", "-o", "a.jpg"], 2, "error: a.jpg: a picture is a file that ends in .png, .svg or .pdf"),
        (["small", "z.v", "-o", "no/a.png"], 74, "synsim: no/a.png cannot be written: No such file or directory"),
        (["small", "--kind", "phse"], 2, "error: --kind phse: there is no such kind. Did you mean 'phase'?"),
        (["small", "--compare", "small", "small"], 2, "error: --compare names both runs: leave small away"),
        (["--compare", "small", "small", "--x", "a"], 2, "error: --x draws a sweep, not the runs of --compare"),
        (["text.h5"], 74, "synsim: text.h5 is damaged, or not an HDF5 file of synsim"),
        (["cut.h5"], 74, "synsim: cut.h5 is damaged, or not an HDF5 file of synsim"),
        (["foreign.h5"], 74, "synsim: foreign.h5 is not a file of a synsim run"),
    ],
)
def test_what_cannot_be_drawn_is_one_line(words, code, line, folder):
    (folder / "text.h5").write_text("no HDF5\n" * 1000, encoding="utf-8")
    whole = (folder / "small" / "small.h5").read_bytes()
    (folder / "cut.h5").write_bytes(whole[: len(whole) // 2])
    with h5py.File(folder / "foreign.h5", "w") as file:
        file["x"] = np.arange(3)
    before = sorted(folder.rglob("*"))
    done = synsim_plot(*words, cwd=folder)
    assert done.returncode == code and line in done.stderr and done.stderr.count("\n") == 1, done.stderr
    assert done.stdout == "" and sorted(folder.rglob("*")) == before


def test_without_matplotlib_the_extra_is_named(folder):
    done = synsim_plot("small", cwd=folder, code="sys.modules['matplotlib'] = sys.modules['matplotlib.figure'] = None")
    assert done.returncode == 2
    assert (
        done.stderr == "error: pictures are drawn by matplotlib, which is not installed: pip install 'synsim[view]'\n"
    )


def test_a_shell_completes_kinds():
    assert [word for word, _ in completion.kinds("r")] == ["raster", "rate", "receptive-fields"]
    from synsim.pictures import KINDS

    assert [word for word, _ in completion.kinds("")] == list(KINDS)


def _hostile(file: h5py.File, what: str) -> None:
    spikes, voltage = file["spikes/z"], file["report/z.v"]
    if what == "math in words":
        for item in (spikes["timestamps"], voltage["data"]):
            item.attrs["long_name"] = "$\\frac{a}{$ \x1b[31m\n\u4e2d\U0001f9e0 " * 20
        voltage["data"].attrs["units"] = "$_{^"
    elif what == "a unit number that is too large":
        spikes["node_ids"][3] = 2**62
    elif what == "very many units":
        spikes.attrs["units"] = 2**62
    elif what == "times that are no times":
        spikes["timestamps"][::2] = np.nan
        voltage["time"][...] = np.nan
    elif what == "values that are no numbers":
        voltage["data"][...] = np.nan
        file["records/W/weights/data"][...] = np.inf
    elif what == "no time step":
        file.attrs["dt"] = 0.0
    elif what == "a batch that is none":
        spikes.attrs["batch"] = 7
        voltage.attrs["batch"] = 7
    elif what == "huge values":
        voltage["data"][::3] = 3e38
        voltage["data"][1::3] = -3e38
    elif what == "trials out of order":
        file["trials/start"][...] = file["trials/start"][...][::-1]


@pytest.mark.parametrize(
    "what",
    [
        "math in words",
        "a unit number that is too large",
        "very many units",
        "times that are no times",
        "values that are no numbers",
        "no time step",
        "a batch that is none",
        "huge values",
        "trials out of order",
    ],
)
def test_a_hostile_file_is_drawn_or_refused_in_one_line(what, folder):
    path = folder / "small" / "small.h5"
    with h5py.File(path, "r+") as file:
        _hostile(file, what)
    for names, kind in (([], None), (["z.s"], "histogram"), (["z.s"], "spectrum"), (["z.v"], "histogram")):
        try:
            with Run(path) as run:
                drawn = draw(run, names, kind).bytes("svg")
                assert len(drawn) < 5_000_000
        except (ConfigError, StoreError) as error:
            assert str(error).count("\n") == 0 and len(str(error)) < 600


def test_a_picture_of_20_gigabytes(tmp_path, scale):
    """In under 10 s and 500 MB, of everything recorded."""
    gigabytes = scale(quick=0.2, ci=0.5, full=20.0)
    path = write_large(tmp_path, gigabytes)
    # what it held at the most; getrusage would count what the tests held too
    code = (
        "import atexit\nfrom pathlib import Path\n"
        "atexit.register(lambda: print(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0]))"
    )
    for words in ((), ("z.v", "--kind", "histogram"), ("z.v", "--kind", "spectrum"), ("z.s", "--kind", "histogram")):
        began = time.monotonic()
        done = synsim_plot(path, *words, "-o", "a.png", cwd=tmp_path, code=code)
        took = time.monotonic() - began
        assert done.returncode == 0, done.stderr
        assert took < 10, f"{took:.1f} s"
        assert done.stderr == "" and int(done.stdout.split()[-1]) < 500_000, f"{done.stdout} KiB"
    if gigabytes > 1:
        with Run(path) as run:
            title = " ".join(each.get_text() for axes in draw(run, ["z.v"]).figure.axes for each in axes.texts)
        assert "spread were read" in title
    shutil.rmtree(tmp_path)
