"""What stands on a terminal and in a pipe: colours where they are wanted, one JSON document, lines unbroken."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
GOOD = "name: small\nrun: {steps: 5}\ncomponents:\n  z: {type: RateCell, n_units: 2, tau_m: 5}\nrecord: {z.z: {}}\n"
LONG = "a_setting_that_nobody_has_and_whose_name_is_so_long_that_it_would_not_fit_into_eighty_columns"
WRONG = GOOD.replace("tau_m: 5", f"tau_m: -5, {LONG}: 1")
UNUSED = GOOD.replace("run:", "let: {spare: 1}\nrun:")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a good config, a wrong one, one with a warning, and a run of the first."""
    made = tmp_path_factory.mktemp("terminal")
    for name, text in (("good", GOOD), ("wrong", WRONG), ("unused", UNUSED)):
        (made / f"{name}.yaml").write_text(text)
    assert command("run", "good.yaml", "-q", cwd=made).returncode == 0
    return made


def command(*words, cwd, **env):
    kept = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "FORCE_COLOR", "TERM")}
    return subprocess.run(
        [sys.executable, "-m", "synsim", *words],
        capture_output=True,
        text=True,
        cwd=cwd,
        timeout=120,
        env={**kept, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color", **env},
    )


def on_a_terminal(*words, cwd, **env):
    """All that a command writes to a terminal of 60 columns."""
    main, other = pty.openpty()
    kept = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "FORCE_COLOR")}
    process = subprocess.Popen(
        [sys.executable, "-m", "synsim", *words],
        stdout=other,
        stderr=other,
        stdin=other,
        cwd=cwd,
        env={**kept, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color", "COLUMNS": "60", **env},
    )
    os.close(other)
    read = b""
    while True:
        try:
            more = os.read(main, 4096)
        except OSError:  # the other end is closed
            break
        if not more:
            break
        read += more
    os.close(main)
    process.wait(timeout=60)
    return process.returncode, read.decode()


RED, YELLOW = "\x1b[1;31merror:\x1b[0m", "\x1b[1;33mwarning:\x1b[0m"


def test_a_pipe_has_no_colours_unless_they_are_forced(folder):
    for env, coloured in (
        ({}, False),
        ({"FORCE_COLOR": "1"}, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        ({"FORCE_COLOR": "1", "NO_COLOR": ""}, True),
        ({"NO_COLOR": "1"}, False),
    ):
        for name, mark in (("wrong", RED), ("unused", YELLOW)):
            said = command("check", f"{name}.yaml", cwd=folder, **env).stderr
            assert (mark in said) == coloured and ("\x1b" in said) == coloured, (env, said)


def test_a_terminal_has_colours_unless_they_are_refused(folder):
    code, said = on_a_terminal("check", "wrong.yaml", cwd=folder)
    assert code == 2 and RED in said
    for env in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        code, said = on_a_terminal("check", "wrong.yaml", cwd=folder, **env)
        assert code == 2 and "\x1b" not in said
    code, said = on_a_terminal("run", "good.yaml", "--overwrite", cwd=folder, NO_COLOR="1")
    assert code == 0 and re.search(r"\x1b\[[0-9;]*3[0-9]", said) is None


@pytest.mark.parametrize("words", [["--help"], ["run", "--help"], ["rnu"], ["check"], ["run", "--nothing"]])
def test_help_and_usage_have_no_colours(words, folder):
    code, said = on_a_terminal(*words, cwd=folder, NO_COLOR="1")
    assert "\x1b" not in said and said


def test_an_error_is_one_line_that_an_editor_can_jump_to(folder):
    code, said = on_a_terminal("check", "wrong.yaml", cwd=folder, NO_COLOR="1")
    lines = said.replace("\r", "").splitlines()
    assert [re.match(r"wrong\.yaml:\d+:\d+: error: ", line) is not None for line in lines] == [True] * len(lines)
    assert len(lines) == 1 and len(lines[0]) > 200


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["check", "good.yaml", "--json"], 0),
        (["check", "unused.yaml", "--json"], 0),
        (["check", "wrong.yaml", "--json"], 2),
        (["check", "good.yaml", "wrong.yaml", "nowhere.yaml", "--json"], 2),
        (["check", "good.yaml", "--json", "--resolved"], 0),
        (["check", "--diff", "good.yaml", "unused.yaml", "--json"], 0),
        (["components", "--json"], 0),
        (["components", "LIFCell", "--json"], 0),
        (["components", "--search", "spike", "--json"], 0),
        (["components", "--search", "no such words", "--json"], 0),
        (["init", "--list", "--json"], 0),
        (["version", "--json"], 0),
        (["inspect", "runs/small", "--json"], 0),
        (["status", "runs/small", "--json"], 0),
        (["verify", "runs/small", "--json"], 0),
    ],
    ids=lambda words: " ".join(words) if isinstance(words, list) else "",
)
def test_json_is_one_document_with_or_without_colours(words, code, folder):
    done = command(*words, cwd=folder, FORCE_COLOR="1")
    assert done.returncode == code, done.stderr
    json.loads(done.stdout)
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize(
    "words",
    [
        ["inspect", "nowhere", "--json"],
        ["status", "nowhere", "--json"],
        ["verify", "nowhere", "--json"],
        ["components", "Nothing", "--json"],
        ["init", "a.yaml", "--json"],
        ["check", "--diff", "good.yaml", "wrong.yaml", "--json"],
    ],
    ids=" ".join,
)
def test_what_fails_prints_no_document(words, folder):
    done = command(*words, cwd=folder)
    assert done.returncode not in (0, 1, 70) and done.stdout == "" and done.stderr
