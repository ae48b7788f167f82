"""`extends: base.yaml`: the configs that a config builds on, read, and laid one over the other.

The order is from the weakest to the strongest: a file comes after those that it extends, and of a list the later after
the earlier; a file that is reached twice counts once, where it first comes. Mappings are merged key by key, in the
order of the base, new keys last; anything else is replaced, and so is a mapping by one of another `type`. `null` takes
away what the base has (as in a JSON Merge Patch, RFC 7396); where the base has nothing, it is a value as any other.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path as FilePath
from typing import Any

from synsim.config.environment import BadText
from synsim.config.yaml_source import MOST_BYTES, MOST_NODES, Marked, decode, read
from synsim.faults import ConfigError, Fault, MissingInput, Path, in_order
from synsim.spec import ConfigFile
from synsim.values import shown

MOST_FILES = 64
DEEPEST = 16  # files in a chain of extends

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_PAIRS = ("wires", "record", "initial", "sweep")  # their keys may begin with `components.`


@dataclass
class Whole:
    """A config with all that it extends: its values, the files that it was read from, and the folder of each."""

    marked: Marked
    files: tuple[ConfigFile, ...]
    layers: tuple[str, ...]  # what marks call the files, from the weakest to the strongest
    folders: dict[str, FilePath] = field(default_factory=dict)

    def copy(self) -> Whole:
        """The same, whose values can be changed."""
        return replace(self, marked=self.marked.copy())


def with_bases(
    main: Marked,
    file: ConfigFile,
    length: int,
    folder: FilePath,
    path: FilePath | None,
    filled: Callable[[str], str],
) -> Whole:
    """The values of a config of that length on its bases, whose names are relative to `folder`.

    `path` is where it was read from (None: standard input, or Python); `filled` puts the environment into the name of
    a file. Raises ConfigError with the faults of all files, MissingInput where all that is wrong is that files are not
    there.
    """
    reading = _Reading(filled)
    reading.visit(main, file, length, folder, path, ())
    if reading.faults:
        missing = all(reading.missing)
        raise (MissingInput if missing else ConfigError)(in_order(reading.faults))
    whole = reading.found[0].marked
    for each in reading.found[1:]:
        _lay(each.marked.value, each.marked, (), whole.value, whole, ())
        whole.nodes += each.marked.nodes
    whole.values |= {path: mark for path, mark in main.values.items() if path == ()}  # what is missing is missing there
    return Whole(
        whole,
        tuple(each.file for each in reversed(reading.found)),
        tuple(each.file.name for each in reading.found),
        {each.file.name: each.folder for each in reading.found},
    )


@dataclass
class _Read:
    marked: Marked
    file: ConfigFile
    folder: FilePath


class _Reading:
    """Follows `extends` from file to file, and keeps count."""

    def __init__(self, filled: Callable[[str], str]):
        self.filled = filled
        self.found: list[_Read] = []  # from the weakest to the strongest
        self.seen: set[FilePath] = set()
        self.faults: list[Fault] = []
        self.missing: list[bool] = []
        self.bytes = self.nodes = self.files = 0

    def visit(
        self,
        marked: Marked,
        file: ConfigFile,
        length: int,
        folder: FilePath,
        path: FilePath | None,
        chain: tuple[tuple[FilePath | None, str], ...],
    ) -> None:
        """Take in a file, after those that it extends; `chain` are the files that led here."""
        chain = (*chain, (path, file.name))
        self.bytes += length
        self.nodes += marked.nodes
        self.files += 1
        for place, entry in self._entries(marked):
            self._base(marked, place, entry, folder, chain)
        self.found.append(_Read(marked, file, folder))

    def _entries(self, marked: Marked) -> list[tuple[Path, str]]:
        if "extends" not in marked.value:
            return []
        written = marked.value.pop("extends")
        several = isinstance(written, list)
        found = []
        for number, entry in enumerate(written if several else [written]):
            place: Path = ("extends", number) if several else ("extends",)
            if isinstance(entry, str) and entry.strip():
                found.append((place, entry))
            else:
                got = "nothing" if entry is None else shown(entry)
                self._fault(marked, place, f"extends must be a file, or a list of files, as base.yaml, not {got}.")
        return found

    def _base(
        self,
        marked: Marked,
        place: Path,
        entry: str,
        folder: FilePath,
        chain: tuple[tuple[FilePath | None, str], ...],
    ) -> None:
        try:
            entry = self.filled(entry)
        except BadText as error:
            before_let = "extends is read before let: write the name of the file out, or ask for ${env:NAME}."
            return self._fault(marked, place, before_let if error.at is None else str(error))
        if _URL.match(entry):
            return self._fault(marked, place, f"extends names files of this machine, not {entry[:80]}.")
        called = os.path.normpath(os.path.join(os.path.dirname(chain[-1][1]), entry)) if chain[-1][0] else entry
        try:
            path = (folder / entry).resolve()
            if path.exists() and not os.path.realpath(called) == str(path):  # beside a link, or another folder is meant
                called = str(path)
            if not stat.S_ISREG(path.stat().st_mode):
                return self._fault(marked, place, f"{called} is not a regular file, so it cannot be extended.")
        except (OSError, ValueError, RuntimeError) as error:
            why = getattr(error, "strerror", None) or str(error)
            return self._fault(marked, place, f"{called} cannot be read: {why}.", missing=True)
        above = [each for each, _ in chain]
        if path in above:
            circle = [*(each for _, each in chain[above.index(path) :]), called]
            return self._fault(marked, place, f"extends goes in a circle: {' -> '.join(circle)}.")
        if path in self.seen:
            return None
        self.seen.add(path)
        if len(chain) >= DEEPEST or self.files >= MOST_FILES:
            what = f"a chain of extends has at most {DEEPEST} files" if len(chain) >= DEEPEST else None
            return self._fault(marked, place, f"{what or f'a config extends at most {MOST_FILES - 1} files'}.")
        try:
            with path.open("rb") as opened:
                data = opened.read(MOST_BYTES + 1 - min(self.bytes, MOST_BYTES))
        except OSError as error:
            return self._fault(marked, place, f"{called} cannot be read: {error.strerror}.", missing=True)
        if self.bytes + len(data) > MOST_BYTES:
            return self._fault(marked, place, "a config with all that it extends has at most 1 MiB.")
        try:
            base = read(decode(data, called), called)
        except ConfigError as error:
            self.faults += error.faults
            self.missing += [False] * len(error.faults)
            return None
        if not isinstance(base.value, dict):
            what = "empty" if base.value is None else shown(base.value)
            message = f"what is extended is a mapping of keys such as components, and this is {what}."
            self.faults.append(Fault(message, (), 1, 1, called))
            self.missing.append(False)
            return None
        if self.nodes + base.nodes > MOST_NODES:
            return self._fault(marked, place, "a config with all that it extends has at most 100,000 values.")
        file = ConfigFile(called, hashlib.sha256(data).hexdigest())
        return self.visit(base, file, len(data), path.parent, path, chain)

    def _fault(self, marked: Marked, place: Path, message: str, missing: bool = False) -> None:
        mark = marked.values.get(place)
        if mark is None:  # from Python
            self.faults.append(Fault(message, place))
        else:
            self.faults.append(Fault(message, place, mark.line, mark.column, mark.source))
        self.missing.append(missing)


def _lay(upper: dict[str, Any], over: Marked, at: Path, lower: dict[str, Any], under: Marked, there: Path) -> None:
    """Lay a mapping of a stronger file over that of a weaker one, which changes; each stands at its path."""
    for written, value in upper.items():
        key = _spelled(lower, written) if len(there) == 1 and there[0] in _PAIRS else written
        theirs, ours = (*there, key), (*at, written)
        if key not in lower:
            lower[key] = value
            _take_marks(value, over, ours, under, theirs)
        elif value is None:
            _drop_marks(lower.pop(key), under, theirs)
        elif isinstance(value, dict) and isinstance(lower[key], dict) and not _another(value, lower[key]):
            _take_mark(over, ours, under, theirs)
            _lay(value, over, ours, lower[key], under, theirs)
        else:
            _drop_marks(lower[key], under, theirs)
            lower[key] = value
            _take_marks(value, over, ours, under, theirs)


def _spelled(lower: dict[str, Any], key: str) -> str:
    """The key as the base spells it: with a leading `components.`, or without."""
    other = key.removeprefix("components.") if key.startswith("components.") else f"components.{key}"
    return other if key not in lower and other in lower else key


def _another(upper: dict[str, Any], lower: dict[str, Any]) -> bool:
    return "type" in upper and "type" in lower and upper["type"] != lower["type"]


def _take_marks(value: Any, over: Marked, ours: Path, under: Marked, theirs: Path) -> None:
    _take_mark(over, ours, under, theirs)
    for piece, inner in _inside(value):
        _take_marks(inner, over, (*ours, piece), under, (*theirs, piece))


def _take_mark(over: Marked, ours: Path, under: Marked, theirs: Path) -> None:
    if ours in over.keys:
        under.keys[theirs] = over.keys[ours]
    if ours in over.values:
        under.values[theirs] = over.values[ours]


def _drop_marks(value: Any, under: Marked, there: Path) -> None:
    under.keys.pop(there, None)
    under.values.pop(there, None)
    for piece, inner in _inside(value):
        _drop_marks(inner, under, (*there, piece))


def _inside(value: Any) -> Any:
    if isinstance(value, dict):
        return value.items()
    return enumerate(value) if isinstance(value, list) else ()
