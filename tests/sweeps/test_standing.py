"""What `synsim status` shows of a sweep: counts, reasons, what to type next; and how it is shown again and again."""

from __future__ import annotations

import io
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from faults.command import NOISY, synsim

from synsim.sweeps.ledger import PointState
from synsim.sweeps.standing import Standing
from synsim.terminal import Page


def standing(*states: str, gathered: bool = False, gathering: bool = False, silent: str = "") -> Standing:
    """Of points in groups of two."""
    points = tuple(PointState(n, state, n // 2, "why" if state == "failed" else "") for n, state in enumerate(states))  # type: ignore[arg-type]
    ledger = SimpleNamespace(
        directory=Path("runs/a b"),
        name="x",
        group_folder=lambda group: Path("nowhere") / str(group),
        values=lambda number: {"z.tau_m": number},
    )
    return Standing(ledger, points, gathered, gathering, silent)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("states", "state", "go_on"),
    [
        (["done", "done"], "done", True),
        (["done", "running", "queued"], "running", False),
        (["done", "queued", "failed"], "queued", True),
        (["done", "failed", "missing"], "incomplete", True),
        (["missing", "interrupted"], "incomplete", True),
    ],
)
def test_one_word_and_what_to_type(states, state, go_on):
    now = standing(*states)
    assert now.state == state and now.complete == (state == "done")
    assert now.go_on == ("synsim sweep 'runs/a b'" if go_on else None)


def test_complete_is_gathered_too():
    assert standing("done", gathered=True).go_on is None
    assert standing("done", gathering=True).go_on is None
    assert standing("done", gathering=True).lines()[-1] == "they are being gathered"
    assert standing("done").lines()[-1] == "to gather them: synsim sweep 'runs/a b'"


def test_the_page_says_why():
    states = ["done", "done", "running", "running", "failed", "failed", "missing", "missing"]
    assert standing(*states, silent="no squeue").lines() == [
        "x: running, 2 of 8 points are done in runs/a b",
        "2 running, 2 failed, 2 missing",
        "what waits or runs elsewhere is not known: no squeue",
        "  points 2-3: running, starting",
        "  points 4-5: failed, why",
        "to watch it: synsim status 'runs/a b' --watch; to end it: synsim sweep --cancel 'runs/a b'",
        "to go on: synsim sweep 'runs/a b'",
    ]
    document = standing(*states).document()
    assert document["counts"] == {
        "done": 2,
        "running": 2,
        "queued": 0,
        "failed": 2,
        "interrupted": 0,
        "missing": 2,
    }
    assert document["points"][4] == {
        "number": 4,
        "state": "failed",
        "group": 2,
        "reason": "why",
        "values": {"z.tau_m": 4},
    }
    json.dumps(document)


def test_many_reasons_are_cut():
    points = tuple(PointState(n, "failed", n, f"reason {n:02d}") for n in range(30))
    lines = Standing(standing("done").ledger, points, False).lines()
    assert len([line for line in lines if line.startswith("  point ")]) == 10
    assert "  and 20 more, all in --json" in lines


def test_lines_are_shown_in_one_place_on_a_terminal(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("COLUMNS", "20")
    terminal, pipe = Terminal(), io.StringIO()
    for stream in (terminal, pipe):
        monkeypatch.setattr("sys.stdout", stream)
        page = Page()
        for lines in (["one", "x" * 30], ["one", "x" * 30], ["two", "y"]):
            page.show(lines)
    assert terminal.getvalue() == f"one\n{'x' * 18}…\n\x1b[2A\x1b[Jtwo\ny\n"
    assert pipe.getvalue() == f"one\n{'x' * 30}\n\ntwo\ny\n"


def test_a_file_that_is_not_as_it_was_written_is_not_done(tmp_path):
    (tmp_path / "noisy.yaml").write_text(NOISY)
    synsim("sweep", "noisy.yaml", "z.tau_m=10,20", cwd=tmp_path).clear(0)
    folder = tmp_path / "runs" / "noisy"
    done = synsim("status", folder, cwd=tmp_path).clear(0)
    assert done.out == f"noisy: done, 2 of 2 points are done in {folder}\n"
    assert synsim("status", "--watch", folder, cwd=tmp_path).clear(0).out == done.out
    with open(folder / "points" / "noisy-0001.h5", "r+b") as file:
        file.seek(2000)
        file.write(b"\x55\xaa\x55")
    spoilt = synsim("status", folder, cwd=tmp_path).clear(3)
    assert spoilt.out.startswith("noisy: incomplete, 1 of 2 points are done") and "1 missing" in spoilt.out
    assert spoilt.out.endswith(f"to go on: synsim sweep {folder}\n")


def test_only_a_sweep_is_watched(tmp_path):
    (tmp_path / "noisy.yaml").write_text(NOISY)
    synsim("run", "noisy.yaml", cwd=tmp_path).clear(0)
    done = synsim("status", "--watch", "runs/noisy", cwd=tmp_path)
    assert done.code == 2 and "is not the folder of a sweep" in done.err
