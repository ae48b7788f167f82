"""`synsim sweep` as it is typed."""

from __future__ import annotations

import csv
import json
import re
import shlex
from pathlib import Path

import h5py
import pytest
from faults.command import Done, synsim

from sweeps.side_by_side import PLASTIC, differences

ROOT = Path(__file__).parents[2]


def typed(line: str, place: Path, code: int = 0) -> Done:
    """A command line, typed in a folder."""
    return synsim(*shlex.split(line, comments=True)[1:], cwd=place).clear(code)


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "sweep.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_commands_of_the_readme(tmp_path):
    readme = (ROOT / "README.md").read_text()
    (tmp_path / "config.yaml").write_text(re.search(r"```yaml\n(.*?)```", readme, re.DOTALL)[1])  # type: ignore[index]
    section = readme.partition("## Sweeps")[2]
    lines = re.search(r"```sh\n(.*?)```", section, re.DOTALL)[1].splitlines()  # type: ignore[index]
    assert [line.split()[1] for line in lines] == ["sweep", "sweep", "status", "sweep", "plot"]
    dry = typed(lines[0], tmp_path)
    assert "sweep: 14 points, a grid" in dry.out and "static groups: 1" in dry.out
    assert not (tmp_path / "runs").exists()
    done = typed(lines[1], tmp_path)
    assert done.out.strip() == "runs/grid/sweep.h5" and "1 program compiled for 1 static group" in done.err
    assert "done, 14 of 14 points" in typed(lines[2], tmp_path).out
    assert "0 to compute" in typed(lines[3], tmp_path).err
    pytest.importorskip("matplotlib")
    picture = typed(lines[4], tmp_path).out.strip()
    assert (tmp_path / picture).stat().st_size > 5000
    found = rows(tmp_path / "runs" / "grid")
    assert len(found) == 14 and {row["state"] for row in found} == {"done"}
    rates = [float(row["z.s.rate"]) for row in found]
    assert len(set(rates)) > 7 and max(rates) > 1.0
    with h5py.File(tmp_path / "runs" / "grid" / "sweep.h5") as file:
        assert file["z.s.rate"].shape == (7, 2)
        assert file["z.s.rate"][()].ravel().tolist() == pytest.approx(rates)


def test_processes_share_the_points(tmp_path):
    (tmp_path / "plastic.yaml").write_text(PLASTIC)
    typed("synsim sweep plastic.yaml z.tau_m=10:30:5", tmp_path)
    done = typed("synsim sweep plastic.yaml z.tau_m=10:30:5 --out two --processes 2", tmp_path)
    assert "in 2 groups" in done.err and "[2]" in done.err
    for number in range(5):
        name = f"plastic/points/plastic-{number:04d}.h5"
        assert differences(tmp_path / "runs" / name, tmp_path / "two" / name, 1e-5) == []
    assert rows(tmp_path / "runs" / "plastic") == rows(tmp_path / "two" / "plastic")


def test_a_point_that_fails_is_told_of(tmp_path):
    (tmp_path / "plastic.yaml").write_text(PLASTIC.replace("  z.j: {every: 7, index: [1, 4]}\n", ""))
    done = typed("synsim sweep plastic.yaml W.resist_scale=1,3e38", tmp_path, 3)
    assert "plastic-0001 failed: a value is not finite by step" in done.err
    assert done.last == "1 of 2 points are not done: synsim status runs/plastic"
    told = typed("synsim status runs/plastic", tmp_path, 3)
    assert "1 failed" in told.out and "not finite" in told.out and "to go on: synsim sweep runs/plastic" in told.out
    assert [row["state"] for row in rows(tmp_path / "runs" / "plastic")] == ["done", "failed"]
    counts = json.loads(typed("synsim status runs/plastic --json", tmp_path, 3).out)["counts"]
    assert (counts["done"], counts["failed"]) == (1, 1)


def test_quiet_is_quiet_and_json_one_document(tmp_path):
    (tmp_path / "plastic.yaml").write_text(PLASTIC)
    document = json.loads(typed("synsim sweep plastic.yaml z.tau_m=10,20 seed=0:2 --dry-run --json", tmp_path).out)
    assert document["static_groups"] == 1 and len(document["rows"]) == 4
    done = typed("synsim sweep plastic.yaml z.tau_m=10,20 -q", tmp_path)
    assert (done.out, done.err) == ("", "")


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        (
            "synsim run runs/plastic --resume",
            2,
            "of a sweep; to go on with it: synsim sweep runs/plastic",
        ),
        ("synsim run plastic.yaml", 73, "is not empty and holds no run of synsim"),
        ("synsim sweep runs/plastic z.tau_m=3", 2, "leave PATH=VALUES away"),
        ("synsim sweep runs/plastic --dry-run", 2, "holds a sweep already"),
        ("synsim sweep nowhere --cancel", 2, "nowhere is not the folder of a sweep"),
        ("synsim sweep plastic.yaml z.tau_m=10,30", 73, "holds another sweep (other values"),
        ("synsim sweep plastic.yaml", 2, "there is nothing to sweep"),
        ("synsim sweep plastic.yaml z.tau_m=1,2 --name " + "x" * 60, 2, "too long for the name of a sweep"),
        ("synsim merge runs/plastic", 0, ""),
        ("synsim verify runs/plastic", 0, ""),
    ],
)
def test_what_cannot_be_is_one_line(line, code, words, small, tmp_path):
    done = typed(line, small, code)
    assert words in done.err
    assert len(done.err.splitlines()) <= 1
    assert sorted(path.name for path in (small / "runs").iterdir()) == ["plastic"]


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    """A folder with a config and its finished sweep."""
    place = tmp_path_factory.mktemp("small")
    (place / "plastic.yaml").write_text(PLASTIC)
    typed("synsim sweep plastic.yaml z.tau_m=10,20", place)
    return place
