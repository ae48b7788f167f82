"""Wrong bits and missing ends, anywhere: `verify` finds them, the older checkpoint is used, the file is the same."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from conftest import choose

import synsim as package
from faults.command import NOISY, environment, every_chunk, synsim
from faults.looking import complete
from synsim import api, loop, segments
from synsim.faults import Stopped
from synsim.reading import read_status
from synsim.saving import Saving

CHUNK, STOPPED = 20, 120
# goes on with every folder that it is given, and says how that ended, whatever the parsing of wrong bits does to it
RESUME = """
import json, sys
from pathlib import Path
import synsim
from faults.command import every_chunk
from synsim.faults import SynsimError
from synsim.saving import Saving
every_chunk(40)
for folder, config in json.load(sys.stdin):
    notes, code, said = [], 0, ""
    try:
        at = {"out": str(Path(folder).parent)} if config else {}
        synsim.run(config or folder, resume=True, note=notes.append, **at).close()
    except SynsimError as error:
        code, said = error.exit_code, str(error)
    print(json.dumps([folder, code, said, notes]), flush=True)
"""


@dataclass(frozen=True)
class Damage:
    """One wrong bit, or an end that is missing (`bit` is None)."""

    path: str  # in the folder of the run
    at: int
    bit: int | None

    def do(self, folder: Path) -> None:
        data = bytearray((folder / self.path).read_bytes())
        if self.bit is None:
            del data[self.at :]
        else:
            data[self.at] ^= 1 << self.bit
        (folder / self.path).write_bytes(data)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The folders of a run that was stopped and of one that is complete."""
    place = tmp_path_factory.mktemp("runs")
    (place / "noisy.yaml").write_text(NOISY)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "simulate", loop.simulate)
        patch.setattr(Saving, "_patience", Saving._patience)
        every_chunk(CHUNK)
        patch.setattr(segments, "LARGE_BYTES", 1000)  # so that some columns stand in one piece
        package.run(place / "noisy.yaml", out=place / "whole").close()
        asked: list[int] = []
        with pytest.raises(Stopped):
            package.run(place / "noisy.yaml", out=place / "half", stop=lambda: len(asked) > 4 or bool(asked.append(1)))
    assert package.status(place / "half" / "noisy")["steps_saved"] == STOPPED
    return place / "half" / "noisy", place / "whole" / "noisy"


def damages(folder: Path, many: int) -> list[Damage]:
    """Bits and ends by lot, of each file as many; a third of them are missing ends."""
    random, found = np.random.default_rng(4), []
    paths = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    for number in range(many):
        path = paths[number % len(paths)]
        size = (folder / path).stat().st_size
        bit = None if number // len(paths) % 3 == 2 else int(random.integers(8))
        found.append(Damage(path, int(random.integers(size)), bit))
    return found


def harmless(damage: Damage, folder: Path, good: Path) -> bool:
    """Whether a damage that was not found changes nothing: the words in the lock, the last newline of the status."""
    if damage.path == "status.json":
        return read_status(folder) == read_status(good)
    return damage.path == "lock"


def test_verify_finds_every_damage(runs, tmp_path):
    unnoticed, many = [], choose(100, 100, 1000)
    for run, number in ((runs[0], many * 4 // 5), (runs[1], many // 5)):
        assert not package.verify(run).damaged
        folder = shutil.copytree(run, tmp_path / run.parent.name)
        for damage in damages(run, number):
            good = (folder / damage.path).read_bytes()
            damage.do(folder)
            found = package.verify(folder)
            names = [str(each.path.relative_to(folder)) for each in found.damaged]
            assert names in ([], [damage.path]), (damage, found)
            if not names:
                assert harmless(damage, folder, run), damage
                unnoticed.append(damage.path)
            if damage.path.startswith("ckpt"):  # the other one is good
                (other,) = {path.name for path in (run / "ckpt").iterdir()} - {Path(damage.path).name}
                assert f"goes on from step {int(other[3:-4]):,}" in found.good or other < damage.path[5:], found.good
            (folder / damage.path).write_bytes(good)
        assert not package.verify(folder).damaged
    assert set(unnoticed) <= {"lock", "status.json"} and unnoticed.count("status.json") <= many // 50


def test_a_damaged_run_goes_on_or_says_why_not(runs, tmp_path):
    half, whole = runs
    newer = f"ckpt/ck-{STOPPED:012d}.npz"
    last = f"seg/seg-{STOPPED - CHUNK:012d}-{STOPPED:012d}.h5"
    some = damages(half, choose(0, 12, 150))
    some += [
        Damage(newer, 900, 3),
        Damage("seg/head.h5", 5000, 2),
        Damage(last, 700, None),
        Damage("status.json", 9, 1),
    ]
    cases = []
    for number, damage in enumerate(some):
        folder = shutil.copytree(half, tmp_path / f"run{number}" / "noisy")
        damage.do(folder)
        cases.append((damage, folder, ""))
        if damage.path == "seg/head.h5":  # what the folder no longer says is said by its config
            again = shutil.copytree(folder, tmp_path / f"again{number}" / "noisy")
            cases.append((damage, again, str(half.parents[1] / "noisy.yaml")))
    asked = json.dumps([(str(folder), config) for _, folder, config in cases])
    done = subprocess.run(
        [sys.executable, "-c", RESUME], input=asked, capture_output=True, text=True, env=environment(), timeout=1200
    )
    assert done.returncode == 0, (done.returncode, done.stdout[-500:], done.stderr[-3000:])
    for (damage, folder, config), line in zip(cases, done.stdout.splitlines(), strict=True):
        name, code, said, notes = json.loads(line)
        assert name == str(folder)
        if damage.path == "seg/head.h5" and not config:
            assert code == 74 and "head.h5: it" in said and "\n" not in said, (damage, said)
            assert not (folder / "noisy.h5").exists()
            continue
        assert code == 0, (damage, said)
        complete(folder, whole / "noisy.h5")
        back = [f"going on from step {step:,} of" for step in (STOPPED - CHUNK, STOPPED)]
        if damage.path in (newer, last):
            assert notes[-1].startswith(back[0]), (damage, notes)
        elif damage.path.startswith("seg/"):
            assert "starting again from step 0" in notes[-1], (damage, notes)
        else:
            assert notes[-1].startswith(back[1]), (damage, notes)


def test_a_damaged_result_is_said_and_computed_again_only_when_asked(runs, tmp_path):
    _, whole = runs
    folder = shutil.copytree(whole, tmp_path / "runs" / "noisy")
    (tmp_path / "noisy.yaml").write_text(NOISY)
    Damage("noisy.h5", 40_000, 6).do(folder)
    checked = synsim("verify", "runs/noisy", cwd=tmp_path)
    assert checked.code == 74 and "runs/noisy/noisy.h5: it is not as it was written\n1 of 3 files" in checked.out
    if choose(False, True):
        for words in (("runs/noisy",), ("noisy.yaml",)):
            refused = synsim("run", *words, "--resume", cwd=tmp_path).clear(74)
            assert "noisy.h5" in refused.last and "\n" not in refused.err.strip()
        synsim("run", "noisy.yaml", "--overwrite", cwd=tmp_path).clear(0)
        complete(folder, whole / "noisy.h5")


def test_a_run_whose_files_were_taken_away(runs, tmp_path):
    """A folder in which files are missing: what there is decides, and nothing is made up."""
    half, whole = runs
    spec = package.load(half.parents[1] / "noisy.yaml")
    for number, gone in enumerate(choose(["status.json"], ["status.json", "lock", "config.yaml", "ckpt", "seg"])):
        folder = shutil.copytree(half, tmp_path / str(number) / "noisy")
        (shutil.rmtree if (folder / gone).is_dir() else Path.unlink)(folder / gone)
        if gone == "config.yaml":
            assert [each.path.name for each in package.verify(folder).damaged] == ["config.yaml"]
        api.run(spec, out=folder.parent, resume=True).close()
        complete(folder, whole / "noisy.h5")
