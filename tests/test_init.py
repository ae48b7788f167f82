"""`synsim init`: a starter that runs, every example as it is shipped, the schema beside it, and nothing overwritten."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

import synsim
from synsim import starting
from synsim.config import load

ROOT = Path(__file__).parent.parent


def synsim_command(*words, cwd, **rest):
    return subprocess.run(
        [sys.executable, "-m", "synsim", *words], capture_output=True, text=True, cwd=cwd, timeout=120, **rest
    )


def test_the_starter_runs_as_it_is_and_does_what_it_says(tmp_path):
    done = synsim_command("init", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "config.yaml\n"), done.stderr
    assert done.stderr == "to run it: synsim run config.yaml\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.yaml", "synsim.schema.json"]
    text = (tmp_path / "config.yaml").read_text()
    assert text.splitlines()[0] == "# yaml-language-server: $schema=./synsim.schema.json"
    assert text.count("#") > 20 and max(map(len, text.splitlines())) <= 120
    assert (tmp_path / "synsim.schema.json").read_text() == synsim_command("schema", cwd=tmp_path).stdout
    assert synsim_command("run", "config.yaml", "-q", cwd=tmp_path).returncode == 0
    with synsim.open(tmp_path / "runs" / "config") as left:
        counts = np.bincount(left.spikes("z.s").node_ids, minlength=10)
    assert round(counts.mean()) == 13 and counts.min() >= 5, "the starter says about 13 spikes from each cell"


def test_the_commands_that_the_starter_names_work(tmp_path):
    assert synsim_command("init", "my.yaml", cwd=tmp_path).returncode == 0
    told = [line for line in (tmp_path / "my.yaml").read_text().splitlines() if line.startswith("#   synsim ")]
    named = [re.sub(r"  .*", "", line.removeprefix("#   synsim ")).strip("`").split() for line in told]
    assert [words[0] for words in named] == ["run", "check", "components", "init"]
    for words in named[1:]:
        assert synsim_command(*words, cwd=tmp_path).returncode == 0, words


@pytest.mark.parametrize("name", starting.examples())
def test_every_example_is_written_as_it_is_with_the_line_for_editors(name, tmp_path):
    example = starting.chosen(name)
    target = starting.place(f"{tmp_path}/", example)
    written = starting.write(target, example)
    assert target.name == example.path.name and target in written.files and not written.missing
    first, _, rest = target.read_text().partition("\n")
    assert first == starting.FIRST_LINE and rest == example.path.read_text()
    assert (target.parent / "synsim.schema.json").is_file()
    load(target)


def test_examples_are_listed_and_a_wrong_name_is_helped(tmp_path):
    listed = synsim_command("init", "--list", cwd=tmp_path)
    assert listed.returncode == 0
    assert [line.split()[0] for line in listed.stdout.splitlines()] == list(starting.examples())
    assert [
        each["name"] for each in json.loads(synsim_command("init", "--list", "--json", cwd=tmp_path).stdout)
    ] == list(starting.examples())
    for word, near in (("stdp-digit", "stdp_digits"), ("lif", "lif_fi"), ("hodgkin", "hodgkin_huxley")):
        done = synsim_command("init", "--from", word, cwd=tmp_path)
        assert done.returncode == 2 and f"Did you mean '{near}'?" in done.stderr
        assert list(tmp_path.iterdir()) == []
    assert starting.write(tmp_path / "f.yaml", starting.chosen("lif_fi_sweep")).command == "sweep"
    assert starting.chosen("lif-fi").name == starting.chosen("lif_fi.yaml").name == "lif_fi"


def test_nothing_is_overwritten(tmp_path):
    (tmp_path / "config.yaml").write_text("mine")
    done = synsim_command("init", cwd=tmp_path)
    assert done.returncode == 73 and done.stdout == ""
    assert done.stderr == "synsim: config.yaml exists already and is not overwritten: give another path\n"
    assert [path.name for path in tmp_path.iterdir()] == ["config.yaml"]
    (tmp_path / "dangling.yaml").symlink_to(tmp_path / "nowhere.yaml")
    assert synsim_command("init", "dangling.yaml", cwd=tmp_path).returncode == 73
    (tmp_path / "synsim.schema.json").write_text("{}")
    done = synsim_command("init", "other.yaml", cwd=tmp_path)
    assert done.returncode == 0 and "synsim schema > synsim.schema.json" in done.stderr
    assert (tmp_path / "synsim.schema.json").read_text() == "{}"


def test_where_it_is_written(tmp_path):
    assert synsim_command("init", "new/deep/my.yaml", "--from", "if_fi", cwd=tmp_path).stdout == "new/deep/my.yaml\n"
    assert (tmp_path / "new" / "deep" / "synsim.schema.json").is_file()
    assert synsim_command("init", "folder/", "--from", "if_fi", cwd=tmp_path).stdout == "folder/if_fi.yaml\n"
    printed = synsim_command("init", "-", "--from", "if_fi", cwd=tmp_path)
    assert printed.stdout == (tmp_path / "folder" / "if_fi.yaml").read_text() and printed.stderr == ""
    (tmp_path / "shut").mkdir(mode=0o500)
    if os.geteuid() != 0:
        assert synsim_command("init", "shut/a.yaml", cwd=tmp_path).returncode == 74
    (tmp_path / "file").write_text("")
    assert synsim_command("init", "file/a.yaml", cwd=tmp_path).returncode == 74


def test_what_an_example_reads_is_written_too(tmp_path, monkeypatch):
    examples = tmp_path / "examples"
    examples.mkdir()
    (examples / "base.yaml").write_text("run: {steps: 1}\n")
    (examples / "numbers.csv").write_text("1,2\n")
    (examples / "it.yaml").write_text(
        "# Shows files.\nextends: base.yaml\n"
        "data: {a: {type: file, path: numbers.csv}, b: {type: file, path: ../outside.csv}}\n"
    )
    (tmp_path / "outside.csv").write_text("secret")
    monkeypatch.setattr(starting, "folder", lambda: examples)
    written = starting.write(tmp_path / "new" / "it.yaml", starting.chosen("it"))
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [
        "base.yaml",
        "it.yaml",
        "numbers.csv",
        "synsim.schema.json",
    ]
    assert written.missing == ("../outside.csv",)


def test_the_package_has_every_folder_of_its_own_and_the_examples():
    """The list in pyproject.toml is by hand, so that the examples can be one of the packages."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        tool = tomllib.load(file)["tool"]["setuptools"]
    folders = {path.parent.relative_to(ROOT) for path in (ROOT / "synsim").rglob("*.py")}
    assert set(tool["packages"]) == {".".join(folder.parts) for folder in folders} | {"synsim.examples"}
    assert tool["package-dir"]["synsim.examples"] == "configs"


def test_an_installed_package_has_the_examples(tmp_path, scale):
    """A wheel is built and installed without its dependencies; the examples are found in it."""
    if scale(quick=True, full=False):
        pytest.skip("builds a wheel, for which pip fetches setuptools: SYNSIM_TEST_SCALE=full")
    source = tmp_path / "source"
    for folder in ("synsim", "configs"):
        shutil.copytree(ROOT / folder, source / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", "README.md", "LICENSE"):
        (source / file).write_bytes((ROOT / file).read_bytes())
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    subprocess.run([*pip, "wheel", "--no-deps", "-w", tmp_path, source], check=True)
    (wheel,) = tmp_path.glob("synsim-*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--target", tmp_path / "site", wheel], check=True)
    done = synsim_command(
        "init", "--from", "lif_fi", cwd=tmp_path, env={**os.environ, "PYTHONPATH": f"{tmp_path}/site"}
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "lif_fi.yaml").read_text().endswith((ROOT / "configs" / "lif_fi.yaml").read_text())
