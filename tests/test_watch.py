"""`synsim watch` on a terminal and in a pipe: what it shows of finished segments, without flicker or leftovers."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from pseudo_terminal import ROOT, Display, Terminal
from stored import ALL_STEPS, DT, blocks, layout, states, write
from typer.testing import CliRunner

from synsim import watching
from synsim.cli import app
from synsim.store import Events, Layout, RecordLayout, Trace, Writer
from synsim.watching import Raster, Watched, dots, lines, one_line, text

CUTS = (0, 13, 33, 50, 77, 100)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "small"


def writer_in(folder: Path, batch: int = 1) -> Writer:
    return Writer(folder, layout(batch), about={"steps": ALL_STEPS})


# --- what is seen


@pytest.mark.parametrize("batch", [1, 3])
def test_each_look_is_what_the_segments_say(folder: Path, batch: int) -> None:
    writer, watched = writer_in(folder, batch), Watched(folder)
    view = watched.look(0.0)
    assert (view.state, view.saved, view.steps, view.goes_on, view.speed) == ("running", 0, ALL_STEPS, True, None)
    for number, (first, last) in enumerate(zip(CUTS, CUTS[1:], strict=False)):
        writer.segment(first, last, *blocks(first, last, batch))
        view = watched.look(10.0 * (number + 1))
        fields, _ = blocks(first, last, batch)
        assert view.saved == last and view.segments == number + 1
        (rate,) = view.rates
        seconds = (last - first) * DT / 1000
        assert rate.name == "z.s" and rate.hz == pytest.approx(len(fields["z.s"].timestamps) / (4 * batch * seconds))
        values = {value.name: value for value in view.values}
        v = fields["z.v"].data[-1].astype(np.float32)
        assert values["z.v"].mean == pytest.approx(v.mean(dtype=np.float64)) and values["z.v"].unit == "mV"
        assert (values["z.v"].low, values["z.v"].high) == (v.min(), v.max())
        assert view.trial == (last - 1) // 20
        if number:
            assert view.speed == pytest.approx((last - CUTS[max(1, number - 2)]) / (10.0 * min(number, 3)), rel=0.5)
        (raster,) = view.rasters
        had = blocks(0, last, batch)[0]["z.s"]
        own = np.ones(len(had.timestamps), bool) if batch == 1 else had.row == 0
        np.testing.assert_array_equal(np.sort(raster.times), had.timestamps[own])
        assert raster.units == 4 and (raster.start, raster.stop) == (0.0, last * DT)
    assert view.phase == "test"
    writer.stop("failed", "step 101: v is not finite", states(batch))
    view = watched.look(100.0)
    assert (view.state, view.reason, view.goes_on) == ("failed", "step 101: v is not finite", False)
    assert view.resume == f"synsim run {folder} --resume"


def test_of_a_finished_run_the_same_is_read_from_its_file(folder: Path) -> None:
    path = write(folder, (50, 90))
    for place in (folder, path):
        view = Watched(place).look(0.0)
        assert (view.state, view.saved, view.steps, view.segments) == ("done", ALL_STEPS, ALL_STEPS, 0)
        assert view.rates[0].hz == pytest.approx(40 / (4 * ALL_STEPS * DT / 1000))
        assert view.rates[0].history.sum() * ALL_STEPS * DT / 1000 / 48 * 4 == pytest.approx(40)
        assert [value.name for value in view.values] == ["W.weights", "z.rate", "z.v"]
        assert len(view.rasters[0].times) == 40


def test_segments_are_opened_once(folder: Path, monkeypatch) -> None:
    writer, seen = writer_in(folder), []
    inner = watching._opened
    monkeypatch.setattr(watching, "_opened", lambda run, path: seen.append(path.name) or inner(run, path))
    watched = Watched(folder)
    for first, last in zip(CUTS, CUTS[1:], strict=False):
        writer.segment(first, last, *blocks(first, last))
        watched.look(0.0)
        watched.look(1.0)
    assert len(seen) == len(set(seen)) == len(CUTS) - 1
    late = Watched(folder).look(0.0)  # who comes later sees the same
    now = watched.look(0.0)
    for one, other in zip(late.values, now.values, strict=True):
        np.testing.assert_array_equal(one.history, other.history)
    writer.close()


def test_the_last_half_second_is_drawn_and_no_spike_left_out(tmp_path: Path) -> None:
    records = (RecordLayout("z", "s", "events", (100,)), RecordLayout("e", "L", "record", (), (), "", "Energy."))
    writer = Writer(tmp_path / "r", Layout("r", records, dt=1.0), about={"steps": 4000})
    for first in range(0, 3000, 300):
        step = np.arange(first, first + 300)
        energy = Trace(step * 1.0, step, 0 * step, 0 * step)
        writer.segment(first, first + 300, {"z.s": Events(step * 1.0, step % 100, 0 * step), "e.L": energy})
    view = Watched(tmp_path / "r").look(0.0)
    (raster,) = view.rasters
    assert (raster.start, raster.stop) == (2500.0, 3000.0)
    np.testing.assert_array_equal(np.sort(raster.times), np.arange(2500.0, 3000.0))
    assert view.values[0].mean == 2999.0 and (np.diff(view.values[0].history) >= 0).all()
    drawn = "\n".join(map(text, lines(view, 80, 23)))
    assert "z.s, 100 units, 2,500 to 3,000 ms" in drawn and "▁" in drawn and "█" in drawn
    writer.close()


def test_dots_stand_where_the_spikes_are() -> None:
    random = np.random.default_rng(3)
    for units, tall, width in ((3, 1, 20), (100, 8, 78), (7, 2, 9)):
        times, places = random.uniform(100, 200, 60), random.integers(0, units, 60)
        drawn = dots(Raster("z", units, 100.0, 200.0, times, places), width, tall)
        assert len(drawn) == tall and {len(line) for line in drawn} == {width}
        rows, shown = tall * 4, set()
        offsets = {0: (0, 0), 1: (0, 1), 2: (0, 2), 3: (1, 0), 4: (1, 1), 5: (1, 2), 6: (0, 3), 7: (1, 3)}
        for y, line in enumerate(drawn):
            for x, letter in enumerate(line):
                code = ord(letter) - 0x2800
                assert 0 <= code < 256
                shown |= {(2 * x + offsets[n][0], 4 * y + offsets[n][1]) for n in range(8) if code >> n & 1}
        row = places if units <= rows else places * rows // units
        want = {(int((t - 100) / 100 * width * 2), rows - 1 - int(r)) for t, r in zip(times, row, strict=True)}
        assert shown == want


@pytest.mark.parametrize(("width", "height"), [(80, 23), (200, 60), (20, 10), (8, 2)])
def test_no_line_is_longer_and_no_page_taller_than_the_terminal(folder: Path, width: int, height: int) -> None:
    records = tuple(
        RecordLayout(f"a_component_with_a_long_name_{n}", "v", "record", (3,), (("unit", np.arange(3)),), "mV", "V.")
        for n in range(30)
    ) + tuple(RecordLayout(f"s{n}", "s", "events", (500,)) for n in range(6))
    writer = Writer(folder, Layout("small", records), about={"steps": 10})
    one = np.zeros(1)
    fields = {
        r.name: Events(one, one, one) if r.form == "events" else Trace([[1, 2, 3]], one, one, one) for r in records
    }
    writer.segment(0, 5, fields)
    writer.stop("failed", "\x1b[2J\x07" + "why " * 100, {})
    view = Watched(folder).look(0.0)
    page = lines(view, width, height)
    assert len(page) <= height
    assert all(len(text(line)) <= width and text(line).isprintable() for line in page if line)
    if height == 23:
        assert any("more" in text(line) for line in page)
    assert one_line(view).isprintable()


# --- on a terminal


@pytest.mark.parametrize("columns", [80, 200])
def test_a_terminal_shows_each_save_without_flicker_or_leftovers(folder: Path, columns: int) -> None:
    writer = writer_in(folder)
    it = Terminal(["watch", str(folder), "--every", "0.1"], columns)
    try:
        it.until(lambda shown: f"0 of {ALL_STEPS} steps" in shown)
        assert it.display.alternate and it.display.hidden
        for first, last in zip(CUTS, CUTS[1:], strict=False):
            writer.segment(first, last, *blocks(first, last))
            shown = it.until(lambda shown, last=last: f"{last} of {ALL_STEPS} steps" in shown and "z.s, 4 u" in shown)
        for piece in ("small: running", "z.s", "Hz", "W.weights", "mV", "phase test", "trial 4", "━", "╌"):
            assert piece in shown, piece
        writer.segment(100, ALL_STEPS, *blocks(100, ALL_STEPS))
        writer.finish(states())
        assert it.ended() == 0
    finally:
        it.kill()
    assert not it.display.alternate and not it.display.hidden and it.display.wrapped == 0
    last = it.display.text  # on the terminal as it was before
    assert last.startswith("small: done, 120 of 120 steps (100 %)") and "40 spikes" not in last
    frames = it.frames
    assert len(frames) >= len(CUTS)
    grown = Display(columns, 24)
    for number, frame in enumerate(frames):
        fresh = Display(columns, 24)
        assert frame.count("\x1b[2J") == (number == 0), "a page is written over the last, not after erasing it"
        assert frame.removeprefix("\x1b[2J").startswith("\x1b[H") and "\x1b[J" not in frame[:-4]
        body = re.sub(
            r"\x1b\[[0-9;]*m", "", frame.removeprefix("\x1b[2J").removeprefix("\x1b[H").removesuffix("\x1b[J")
        )
        for line in body.split("\r\n"):
            assert line.endswith("\x1b[K") and "\x1b" not in line[:-3] and len(line) - 3 <= columns
        grown.write(frame)
        fresh.write(frame)
        assert grown.text == fresh.text, "something of an earlier page is left"
        assert grown.wrapped == 0


def test_it_can_be_left_and_entered_again_and_the_terminal_may_change(folder: Path) -> None:
    writer = writer_in(folder)
    writer.segment(0, 50, *blocks(0, 50))
    views = []
    for _ in range(2):
        it = Terminal(["watch", str(folder), "--every", "0.1"], 80)
        try:
            views.append(it.until(lambda shown: "50 of 120 steps" in shown and "z.s, 4 u" in shown))
            for columns in (200, 40, 80):
                it.resize(columns, 24)
                os.kill(it.process.pid, signal.SIGWINCH)
                shown = it.until(lambda shown, columns=columns: ("━" in shown) and _bar(shown) == columns)
            assert shown == views[-1]
            os.write(it.main, b"typed\nwhile it is watched\n")
            it.read(0.5)
            assert "typed" not in it.raw and it.display.text == shown
            assert it.leave() == 3 and "^C" not in it.raw
        finally:
            it.kill()
        assert not it.display.alternate and not it.display.hidden
        assert "50 of 120 steps" in it.display.text and "Traceback" not in it.raw
    assert views[0] == views[1]
    for number in (signal.SIGTERM, signal.SIGHUP):
        it = Terminal(["watch", str(folder), "--every", "0.1"], 80)
        try:
            it.until(lambda shown: "50 of 120 steps" in shown)
            os.kill(it.process.pid, number)
            assert it.ended() == 3 and not it.display.alternate and not it.display.hidden
        finally:
            it.kill()
    writer.close()


def _bar(shown: str) -> int:
    return max((line.count("━") + line.count("╌") for line in shown.splitlines()), default=0)


def test_colours_and_none(folder: Path) -> None:
    write(folder, (50,))
    for env, coloured in (({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True)):
        it = Terminal(["watch", str(folder)], 80, **env)
        try:
            assert it.ended() == 0
        finally:
            it.kill()
        assert (it.display.colours > 0) == coloured and it.display.text.startswith("small: done")
    it = Terminal(["watch", str(folder)], 80, TERM="dumb")
    try:
        assert it.ended() == 0
    finally:
        it.kill()
    assert "\x1b" not in it.raw and it.raw.startswith("small: done, 120 of 120 steps")


# --- in a pipe


def piped(*words: object, **env: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "synsim", "watch", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), **env},
    )


def test_a_pipe_has_a_plain_line_for_each_save(folder: Path) -> None:
    writer = writer_in(folder)
    writer.segment(0, 13, *blocks(0, 13))
    process = piped(folder, "--every", "0.1")
    assert process.stdout is not None
    told = [process.stdout.readline()]
    for first, last in zip(CUTS[1:], CUTS[2:], strict=False):
        writer.segment(first, last, *blocks(first, last))
        told.append(process.stdout.readline())
    writer.segment(100, ALL_STEPS, *blocks(100, ALL_STEPS))
    writer.finish(states())
    rest, said = process.communicate(timeout=60)
    assert process.returncode == 0 and said == ""
    assert [re.search(r"(\d+) of 120 steps", line)[1] for line in told] == ["13", "33", "50", "77", "100"]
    assert all(line.startswith("small: running, ") and " Hz, " in line for line in told)
    assert rest.splitlines()[-1].startswith("small: done, 120 of 120 steps (100 %)")
    assert all(line.isprintable() for line in [*map(str.strip, told), *rest.splitlines()])


def test_a_pipe_that_is_closed_ends_it(folder: Path) -> None:
    writer = writer_in(folder)
    writer.segment(0, 13, *blocks(0, 13))
    process = piped(folder, "--every", "0.1")
    assert process.stdout is not None and process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    writer.segment(13, 33, *blocks(13, 33))
    assert process.wait(timeout=60) == 0 and process.stderr.read() == ""
    process.stderr.close()
    writer.close()


# --- the command


def call(*words: object) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["watch", *map(str, words)])
    return done.exit_code, done.stdout, done.stderr


def test_exit_codes(folder: Path, tmp_path: Path) -> None:
    writer = writer_in(folder)
    writer.segment(0, 50, *blocks(0, 50))
    code, told, said = call(folder, "--once")
    assert code == 3 and told.startswith("small: running, 50 of 120 steps (41 %)") and said == ""
    writer.stop("interrupted", "SIGTERM", states())
    code, told, said = call(folder)
    assert code == 3 and told.startswith("small: interrupted, 50 of 120") and f"synsim run {folder} --resume" in told
    assert call(write(tmp_path / "other", (50,)).parent)[0] == 0
    assert call(tmp_path / "other" / "small.h5")[0] == 0
    assert call(folder, "--every", "0")[0] == 2


def test_what_is_no_run_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.h5").write_text("name: x\n" * 100)
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "status.json").write_text("{" * 5000)
    (tmp_path / "sweep").mkdir()
    (tmp_path / "sweep" / "sweep.json").write_text("[]")
    os.mkfifo(tmp_path / "pipe")
    expected = {"empty": 74, "text.h5": 74, "bad": 74, "sweep": 74, "nowhere": 66, "pipe": 74}
    for name, code in expected.items():
        got, told, said = call(tmp_path / name)
        assert (got, told, len(said.splitlines())) == (code, "", 1), (name, said)
        assert "bug" not in said


def test_damaged_segments_are_one_line(folder: Path) -> None:
    writer = writer_in(folder)
    writer.segment(0, 50, *blocks(0, 50))
    (segment,) = (folder / "seg").glob("seg-*.h5")
    whole = segment.read_bytes()
    for data in (b"", whole[:300], whole[: len(whole) // 2], b"\0" * len(whole)):
        segment.write_bytes(data)
        code, told, said = call(folder, "--once")
        assert code == 74 and told == "" and len(said.splitlines()) == 1, said
    segment.unlink()
    writer.segment(50, 60, *blocks(50, 60))
    code, told, said = call(folder, "--once")
    assert code == 74 and "is missing" in said and len(said.splitlines()) == 1
    writer.close()


# --- sweeps


SWEPT = """
name: swept
run: {dt: 1.0, steps: 1000, trials: 2}
components: {z: {type: RateCell, n_units: 4, tau_m: 5}, x: {type: BernoulliCell, n_units: 3}}
wires: {z.j: 1.0, x.inputs: 0.2}
record: {z.z: {every: trial}, x.outputs: {as: events, window: [0, 10]}}
"""


def test_a_sweep_is_watched_while_it_runs_and_when_it_is_done(tmp_path: Path) -> None:
    (tmp_path / "swept.yaml").write_text(SWEPT)
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    sweep = [sys.executable, "-m", "synsim", "sweep", str(tmp_path / "swept.yaml"), "z.tau_m=5:9:3", "-q"]
    long = subprocess.Popen([*sweep, "--out", str(tmp_path / "long"), "--set", "run.trials=1000000"], env=env)
    folder = tmp_path / "long" / "swept"
    it = None
    try:
        end = time.monotonic() + 60
        while not list(folder.glob("groups/0000/seg/seg-*.h5")) and time.monotonic() < end:
            time.sleep(0.1)
        it = Terminal(["watch", str(folder), "--every", "0.2"], 80, 40)
        shown = it.until(lambda shown: "group 0000 " in shown and "x.outputs, row 0 of 3, 3 units" in shown)
        assert shown.startswith("swept: running, 0 of 3 points are done") and "z.z" in shown
        long.send_signal(signal.SIGTERM)
        assert long.wait(timeout=60) in (3, 75)
        assert it.ended() == 3
        assert "3 interrupted" in it.display.text and "synsim sweep" in it.display.text
        assert it.display.wrapped == 0
    finally:
        if it is not None:
            it.kill()
        if long.poll() is None:
            os.kill(long.pid, signal.SIGKILL)
            long.wait()
    assert subprocess.run([*sweep, "--out", str(tmp_path / "short")], env=env, timeout=120).returncode == 0
    code, told, said = call(tmp_path / "short" / "swept")
    assert (code, said) == (0, "") and told == "swept: done, 3 done\n"
