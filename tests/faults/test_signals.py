"""A signal while it compiles, simulates, writes or merges: exit 75 within 5 s, and the command to type for the rest.

One run is stopped in each stage in turn, each time by another signal, and gone on with by what its last line says.
"""

from __future__ import annotations

import itertools
import os
import random
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest
from conftest import choose

import synsim
from faults.command import NOISY, command, environment, leftovers
from faults.looking import complete, look, reported
from faults.plastic import CHUNK, NAME, PROCESSES, Ended, Started, Undisturbed, again, busy, prepare
from faults.tracing import needs_strace
from synsim import merging, running
from synsim.faults import Stopped
from synsim.saving import Saving

SECONDS = 5.0
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2)
STAGES = choose(("simulate", "write", "merge"), ("compile", "simulate", "write", "merge"))
ROUNDS = choose(1, 4, 80)


def attach(one: Started, call: str, milliseconds: int) -> None:
    """From now on a kind of call takes so much longer."""
    log = one.folder.parent / "calls"
    inject = f"inject={call}:delay_enter={milliseconds}ms"
    words = ["strace", "-f", "-q", "-o", str(log), "-e", f"trace={call}", "-e", inject, "-p", str(one.process.pid)]
    silent = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
    PROCESSES.append(subprocess.Popen(words, **silent))
    one.until(lambda: log.exists() and log.stat().st_size)


def until(stage: str, one: Started) -> None:
    """Wait until it is in a stage, and the stage takes long enough to be found in it."""
    one.until_it_simulates()
    if stage == "simulate":
        one.until_it_saves()
    elif stage == "write":
        one.until_it_saves()
        attach(one, "fsync", 50)
        one.until(lambda: list(one.folder.glob("seg/.seg-*.tmp*")) or list(one.folder.glob("ckpt/.ck-*.tmp*")))
    elif stage == "merge":
        attach(one, "pread64", 5)
        one.until_it_merges()


def stopped(one: Started, number: int, stage: str) -> bool:
    """Send a signal and see it end well; whether it was stopped, which a merge need not be that was about to end."""
    allowed = SECONDS * busy()
    began = time.monotonic()
    one.process.send_signal(number)
    code = one.wait()
    took = time.monotonic() - began
    allowed = max(allowed, SECONDS * busy())
    if stage == "merge" and code == 0:
        return False
    assert code == 75, (stage, one.said)
    assert took < allowed or stage == "compile", f"{stage}: {took:.1f} s of {allowed:.1f} s"
    assert f"{signal.Signals(number).name}: stopping after this chunk" in one.said
    print(f"{signal.Signals(number).name} while it {stage}s: {took:.2f} s")
    return True


@pytest.mark.parametrize("number", range(ROUNDS))
def test_stopped_by_signals_in_every_stage(number, undisturbed, tmp_path):
    needs_strace()
    for attempt in range(3):  # it may be done before it was in every stage
        try:
            return chain(tmp_path / str(attempt), number, undisturbed, number % 4 == attempt == 0)
        except Ended as ended:
            said = ended
    raise said


def chain(place: Path, number: int, undisturbed: Undisturbed, plain: bool) -> None:
    """A run that is stopped in each stage; a `plain` one saves by the clock, but for writing, which has to be met."""
    words = prepare(place)
    for i, stage in enumerate(STAGES):
        one = Started(words, place, **({} if stage == "merge" or plain and stage != "write" else {"chunk": CHUNK}))
        until(stage, one)
        if number >= 4:  # the first rounds signal at once
            one.sleep(random.uniform(0, 0.5))
        if stopped(one, SIGNALS[(number + i) % 4], stage):
            look(one.folder, undisturbed.file, reported(one.folder))
            words = one.go_on()
            assert words == ["run", f"runs/{NAME}", "--resume"]
    one = Started(words, place)
    assert one.wait() == 0, one.said
    complete(one.folder, undisturbed.file)
    assert not leftovers(place)


def test_a_second_interrupt_ends_it_at_once(undisturbed, tmp_path):
    """Also while it compiles, when nothing else can."""
    words = prepare(tmp_path / "place")
    one = Started(words, tmp_path / "place", env={"SYNSIM_CACHE_DIR": str(tmp_path / "cache")})
    one.until_it_simulates()
    one.process.send_signal(signal.SIGINT)
    one.until(lambda: "SIGINT: stopping" in one.said)
    allowed, began = SECONDS * busy(), time.monotonic()
    one.process.send_signal(signal.SIGINT)
    assert one.wait() == 75 and time.monotonic() - began < allowed
    assert "--resume goes on with it" in one.said.splitlines()[-1]
    look(one.folder, undisturbed.file, reported(one.folder))


def test_a_job_that_nears_its_end(tmp_path):
    words, end = [*prepare(tmp_path / "place"), "--set", "run.trials=100000"], int(time.time()) + 62
    one = Started(words, tmp_path / "place", env={"SLURM_JOB_END_TIME": str(end)})
    assert one.wait() == 75 and time.time() < end, one.said
    assert "the job's time is nearly over" in one.said
    one = Started(one.go_on(), tmp_path / "place")
    until("simulate", one)
    assert stopped(one, signal.SIGTERM, "simulate")


def test_a_terminal_that_is_closed(undisturbed, tmp_path):
    """A run is hung up then, and can say nothing more; but one that was started by nohup stays."""
    if shutil.which("setsid") is None:
        pytest.skip("there is no setsid to give it a terminal")
    place = tmp_path / "place"
    words, folder = prepare(place), place / "runs" / NAME
    screen, terminal = os.openpty()
    os.set_blocking(screen, False)
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # should nohup have started the tests
    channels = dict.fromkeys(("stdin", "stdout", "stderr"), terminal)
    process = subprocess.Popen(
        ["setsid", "--ctty", *command(*words, chunk=CHUNK)], cwd=place, env=environment(), **channels
    )
    PROCESSES.append(process)
    signal.signal(signal.SIGHUP, before)
    os.close(terminal)
    while not list(folder.glob("seg/seg-*.h5")):
        assert process.poll() is None
        with suppress(BlockingIOError):
            os.read(screen, 1 << 16)
        time.sleep(0.01)
    allowed, began = SECONDS * busy(), time.monotonic()
    os.close(screen)
    assert process.wait(300) == 75 and time.monotonic() - began < allowed
    told = synsim.status(folder)
    assert told["state"] == "interrupted" and told["reason"].startswith("stopped after step")
    look(folder, undisturbed.file, told["steps_saved"])
    one = Started(again(place), place, under=("nohup",), chunk=CHUNK)
    until("simulate", one)
    one.process.send_signal(signal.SIGHUP)
    assert one.wait() == 0, one.said
    complete(folder, undisturbed.file)


def test_a_stop_while_much_is_looked_through(tmp_path, monkeypatch):
    """Going on begins with every digest, and a merge with every segment: days of results take more than 5 s."""
    folder, spec = tmp_path / "noisy", synsim.load("noisy.yaml", text=NOISY)
    monkeypatch.setattr(Saving, "_patience", lambda self: -1.0)
    asked: list[int] = []
    with pytest.raises(Stopped):
        synsim.run(spec, out=tmp_path, chunk=40, stop=lambda: bool(asked.append(1) or len(asked) > 3))
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != "lock"}
    clock = itertools.count(step=2.0)
    monkeypatch.setattr(running.time, "monotonic", lambda: next(clock))
    with pytest.raises(Stopped, match="looking through .* where all is as it was; to go on: synsim run .* --resume"):
        synsim.run(folder, resume=True, stop=lambda: True)
    assert before == {path: path.read_bytes() for path in before}
    monkeypatch.undo()
    asked.clear()
    with monkeypatch.context() as patch:
        patch.setattr(merging, "plan", lambda *given, **rest: pytest.fail("all segments were read"))
        with pytest.raises(Stopped, match="all 240 steps are done; all of it is safe"):
            synsim.run(folder, resume=True, finished=lambda _: asked.append(1), stop=lambda: bool(asked))
    synsim.run(folder, resume=True).close()
