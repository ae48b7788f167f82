"""Which kept programs a start will need, guessed from its command before anything is read or checked.

What was needed the last time by a config of the same bytes with the same settings is being loaded while that config is
looked at. Nothing but time depends on a guess: what is loaded is used only where `kept_programs` asks for it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

MOST = 1000  # guesses that are kept


def cache_folder() -> Path:
    """Where all is kept that only saves time: SYNSIM_CACHE_DIR, or synsim below XDG_CACHE_HOME or ~/.cache."""
    given = os.environ.get("SYNSIM_CACHE_DIR")
    return Path(given or os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "synsim"))


def put(path: Path, data: bytes) -> None:
    """Put a file there whole, whoever else does so at the same time; a loss of power may cost it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


class Guess:
    """What a config with some settings is expected to need: what it needed last time."""

    def __init__(self, config: str, given: Sequence[Any]):
        """Raises OSError where the config cannot be read again and again."""
        path = Path(config)
        if not path.is_file():
            raise OSError(f"{config} is no file")
        said = json.dumps([str(path.resolve()), *given]).encode() + b"\0" + path.read_bytes()
        self._path = cache_folder() / "guesses" / hashlib.sha256(said).hexdigest()
        self.programs: list[Path] = []  # their files, in the order in which they are needed
        self.one_thread = False  # whether they are computed in one thread
        with suppress(OSError, ValueError, TypeError, KeyError):
            left = json.loads(self._path.read_bytes())
            self.programs, self.one_thread = [Path(each) for each in left["programs"]], bool(left["one_thread"])

    def leave(self, programs: Iterable[Path], one_thread: bool = False) -> None:
        """For the next time."""
        written = json.dumps({"programs": [str(each) for each in programs], "one_thread": one_thread}).encode()
        with suppress(OSError):
            if self._path.exists() and self._path.read_bytes() == written:
                return
            self._path.parent.mkdir(parents=True, exist_ok=True)
            put(self._path, written)
            others = sorted(self._path.parent.iterdir(), key=lambda path: path.stat().st_mtime)
            for path in others[: max(0, len(others) - MOST)]:
                path.unlink()


def guess_of(config: str, given: Sequence[Any]) -> Guess | None:
    """A guess at what a command needs, or None where its config is no file; `given` is JSON that decides it too."""
    with suppress(OSError, ValueError):
        return Guess(config, given)
    return None
