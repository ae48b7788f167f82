"""A sweep that is killed, stopped and spoilt: its status tells the truth, and the same command completes it alike."""

from __future__ import annotations

import json
import random
import shutil
import signal
import time
from pathlib import Path

import pytest
from conftest import choose
from stored import same_but_for_provenance

from faults.command import NOISY, ended, leftovers, start, synsim, until

KILLS = choose(3, 12, 100)
ARGUMENTS = ("noisy.yaml", "z.tau_m=10,20,30", "W.A_plus=1e-2,2e-2", "--lanes", "4")
POINTS = 6


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> tuple[Path, float]:
    """An undisturbed sweep, and how long it takes."""
    place = tmp_path_factory.mktemp("whole")
    (place / "noisy.yaml").write_text(NOISY)
    synsim("sweep", *ARGUMENTS, cwd=place).clear(0)
    shutil.rmtree(place / "runs")
    since = time.monotonic()
    synsim("sweep", *ARGUMENTS, cwd=place, chunk=20).clear(0)
    return place / "runs" / "noisy", time.monotonic() - since


def looked_at(folder: Path) -> dict[str, int]:
    """What `status` says of a sweep that nobody computes, which has to be so."""
    if not (folder / "sweep.json").exists():
        return {}
    done = synsim("status", folder, "--json", cwd=folder.parent)
    counts = json.loads(done.out)["counts"]
    files = list((folder / "points").glob("*.h5"))
    assert counts["done"] == len(files) and counts["running"] == 0 and sum(counts.values()) == POINTS
    assert done.code == (0 if counts["done"] == POINTS else 3)
    assert synsim("verify", folder, cwd=folder.parent).code == 0
    return counts


def same(folder: Path, whole: Path) -> None:
    """Every point is as undisturbed, and gathered; nothing else is left."""
    for number in range(POINTS):
        name = f"points/noisy-{number:04d}.h5"
        same_but_for_provenance(folder / name, whole / name)
    assert (folder / "sweep.csv").read_text() == (whole / "sweep.csv").read_text()
    assert not leftovers(folder)
    assert not list(folder.glob("groups/*/seg/*.h5"))


def test_killed_at_random_moments(undisturbed, tmp_path):
    whole, seconds = undisturbed
    kills = 0
    for number in range(1000):
        place = tmp_path / str(number)
        place.mkdir()
        (place / "noisy.yaml").write_text(NOISY)
        rng = random.Random(number)
        for _ in range(3):
            process = start("sweep", *ARGUMENTS, cwd=place, chunk=20)
            time.sleep(rng.uniform(0.3, 1.0) * seconds)
            over = process.poll() is not None
            process.kill()
            ended(process)
            kills += not over
            looked_at(place / "runs" / "noisy")
            if over or kills >= KILLS:
                break
        words = [place / "runs" / "noisy"] if number % 2 and (place / "runs/noisy/sweep.json").exists() else ARGUMENTS
        synsim("sweep", *words, cwd=place, chunk=20).clear(0)
        assert looked_at(place / "runs" / "noisy") == {"done": 6} | dict.fromkeys(
            ("running", "queued", "failed", "interrupted", "missing"), 0
        )
        same(place / "runs" / "noisy", whole)
        shutil.rmtree(place)
        if kills >= KILLS:
            break
    assert kills >= KILLS


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
def test_a_signal_ends_it_at_a_border(number, undisturbed, tmp_path):
    (tmp_path / "noisy.yaml").write_text(NOISY.replace("trials: 12", "trials: 40000"))
    words = ("sweep", "noisy.yaml", "z.tau_m=10,20", "--set", "record={z.v: {every: trial}}")
    process = start(*words, cwd=tmp_path)
    folder = tmp_path / "runs" / "noisy"
    until(lambda: list(folder.glob("groups/0000/ckpt/*.npz")), process)
    now = json.loads(synsim("status", folder, "--json", cwd=tmp_path).out)
    assert now["state"] == "running" and now["counts"]["running"] == 2
    process.send_signal(number)
    done = ended(process, 30).clear(75)
    assert "to go on: synsim sweep runs/noisy" in done.last
    assert json.loads(synsim("status", folder, "--json", cwd=tmp_path).out)["counts"]["interrupted"] == 2


def test_two_at_once(undisturbed, tmp_path):
    """One computes, the other says so; together nothing is lost."""
    whole, _ = undisturbed
    (tmp_path / "noisy.yaml").write_text(NOISY)
    both = [start("sweep", *ARGUMENTS, cwd=tmp_path, chunk=20) for _ in range(2)]
    told = [ended(process) for process in both]
    assert 0 in {done.code for done in told} and {done.code for done in told} <= {0, 3, 73}
    assert all("Traceback" not in done.err and "bug" not in done.err for done in told)
    synsim("sweep", *ARGUMENTS, cwd=tmp_path, chunk=20).clear(0)
    same(tmp_path / "runs" / "noisy", whole)
