"""kill -9 at random moments, again and again until the run is done: nothing unreadable, nothing lost, the same file.

Every other run saves after each few steps, so that a kill finds it writing; the others save when the clock says so.
"""

from __future__ import annotations

import json
import os
import random
import shutil
from pathlib import Path

from conftest import choose

from faults.command import leftovers, synsim
from faults.looking import complete, look, reported
from faults.plastic import CHUNK, NAME, Ended, Started, Undisturbed, again, prepare

KILLS, RUNS = choose((3, 1), (20, 3), (200, 25))


def moment(one: Started, kind: str, undisturbed: Undisturbed, rng: random.Random) -> None:
    """Wait for a moment: while it starts, while it simulates, while it merges or when its file is there."""
    if kind == "start":
        one.sleep(rng.uniform(0, undisturbed.start))
    elif kind == "simulation":
        one.until_it_simulates()
        one.sleep(rng.uniform(0, undisturbed.simulation / 3))
    elif kind == "merge":
        one.until_it_merges()
        one.sleep(rng.uniform(0, undisturbed.merge))
    else:
        one.until((one.folder / f"{NAME}.h5").exists)


def look_by_command(place: Path) -> None:
    """What a user would type to see what is left; nothing of it may fail once something was saved."""
    for words in (["status", f"runs/{NAME}", "--json"], ["inspect", f"runs/{NAME}"], ["verify", f"runs/{NAME}"]):
        done = synsim(*words, cwd=place)
        assert "Traceback" not in done.err and "bug" not in done.err, done
        if (place / "runs" / NAME / "seg" / "head.h5").exists():
            assert done.code == (3 if words[0] == "status" else 0), done
            assert words[0] != "status" or json.loads(done.out)["state"] == "interrupted"


def test_killed_at_random_moments(undisturbed, tmp_path):
    counts: dict[str, int] = {}
    for number in range(RUNS):
        rng = random.Random(number)
        quota = KILLS * (number + 1) // RUNS - KILLS * number // RUNS
        kinds = rng.choices(("start", "simulation"), (1, 4), k=max(1, quota - 2))
        kinds = [*kinds, *rng.choices(("merge", "end"), (2, 1), k=2)][:quota]
        while kinds:  # a run may be done before all its kills are
            place = tmp_path / f"run{number}-{len(kinds)}"
            words = prepare(place)
            for kind in list(kinds):
                one = Started(words, place, **({"chunk": CHUNK} if number % 2 else {}))
                try:
                    moment(one, kind, undisturbed, rng)
                except Ended:
                    assert one.process.returncode == 0, one.said
                    break
                saved = reported(one.folder)
                one.process.kill()
                if one.wait() == 0:
                    break
                kinds.remove(kind)
                counts[kind] = counts.get(kind, 0) + 1
                look(one.folder, undisturbed.file, saved)
                if len(kinds) == quota - 1:
                    look_by_command(place)
                words = again(place)
            one = Started(again(place), place)
            assert one.wait() == 0, one.said
            complete(one.folder, undisturbed.file)
            assert not leftovers(place)
            shutil.rmtree(place)
    print(f"killed: {counts}")
    assert sum(counts.values()) >= KILLS


def test_killed_while_it_keeps_a_program(tmp_path):
    """A kept program of which the end is missing is compiled again, and kept again."""
    prepare(tmp_path / "place")
    env = {"SYNSIM_CACHE_DIR": str(tmp_path / "cache")}
    words = ("run", "plastic.yaml", "--set", "run.trials=50", "--overwrite")
    synsim(*words, cwd=tmp_path / "place", env=env).clear(0)
    kept = list((tmp_path / "cache").rglob("*-program"))
    assert kept
    for path in kept:
        path.write_bytes(path.read_bytes()[:1000])
        os.utime(path, (0, 0))  # some time ago
    for _ in range(2):  # the first clears up
        done = synsim(*words, cwd=tmp_path / "place", env=env).clear(0)
        assert "Warning" not in done.err
    assert {path.stat().st_size > 1000 for path in (tmp_path / "cache").rglob("*-program")} == {True}
