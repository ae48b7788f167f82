"""Guesses at what a command needs: by its config's bytes and its settings, and never too many."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from synsim import guesses
from synsim.guesses import cache_folder, guess_of


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("SYNSIM_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_the_folder_is_where_the_environment_says(tmp_path, monkeypatch):
    assert cache_folder() == tmp_path / "cache"
    monkeypatch.setenv("SYNSIM_CACHE_DIR", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "synsim"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "synsim"


def test_a_guess_is_of_a_config_and_its_settings(tmp_path):
    config, needed = tmp_path / "a.yaml", [tmp_path / "p", tmp_path / "q"]
    config.write_text("seed: 1\n")

    def guess(*given: object):
        found = guess_of(str(config), given)
        assert found is not None
        return found

    assert guess(["x=1"], None).programs == []
    guess(["x=1"], None).leave(needed)
    assert guess(["x=1"], None).programs == needed
    assert guess(["x=2"], None).programs == []
    assert guess(["x=1"], 3).programs == []
    config.write_text("seed: 2\n")
    assert guess(["x=1"], None).programs == []
    config.write_text("seed: 1\n")
    assert guess(["x=1"], None).programs == needed
    assert not guess(["x=1"], None).one_thread
    guess(["x=1"], None).leave(needed[:1], one_thread=True)
    assert guess(["x=1"], None).programs == needed[:1]
    assert guess(["x=1"], None).one_thread


def test_no_guess_without_a_file(tmp_path):
    assert guess_of("-", ()) is None
    assert guess_of(str(tmp_path), ()) is None
    assert guess_of(str(tmp_path / "absent.yaml"), ()) is None
    assert guess_of("a\0b", ()) is None


@pytest.mark.parametrize("nonsense", ["", "{", "3", "[1]", "null", "{}", '{"programs": 3, "one_thread": true}'])
def test_nonsense_is_no_guess(tmp_path, cache, nonsense):
    config = tmp_path / "a.yaml"
    config.write_text("")
    guess = guess_of(str(config), ())
    assert guess is not None
    guess.leave([tmp_path / "p"])
    (path,) = (cache / "guesses").iterdir()
    path.write_text(nonsense)
    guess = guess_of(str(config), ())
    assert guess is not None and guess.programs == [] and not guess.one_thread


def test_the_oldest_go(tmp_path, cache, monkeypatch):
    monkeypatch.setattr(guesses, "MOST", 3)
    config = tmp_path / "a.yaml"
    config.write_text("")
    for number in range(6):
        guess = guess_of(str(config), (number,))
        assert guess is not None
        guess.leave([tmp_path / str(number)])
        os.utime(guess._path, (number, number))
    assert sorted(path.stat().st_mtime for path in (cache / "guesses").iterdir()) == [3, 4, 5]


def test_a_folder_that_cannot_be_written_is_no_fault(tmp_path, cache):
    cache.write_text("")
    config = tmp_path / "a.yaml"
    config.write_text("")
    guess = guess_of(str(config), ())
    assert guess is not None
    guess.leave([tmp_path / "p"])
    assert guess.programs == []
