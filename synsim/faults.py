"""What can go wrong, as types: a fault with its place, and errors that carry the exit code of the command line.

A `Fault` is one sentence about one place in a config. Whoever finds it (config, graph, data, records) knows the
path into the config; only `Spec.locate` knows the line. Errors collect faults, so that all are shown at once.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

LONGEST = 1000
"""Characters of one rendered line."""

Path = tuple[str | int, ...]
"""A place in a config, as ("components", "z", "tau_m"), ("wires", "z.j") or ("schedule", "step", 2)."""


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong: what, and what to do about it.

    `path` is the place in the config; `line` and `column` (both from 1) are known where the text itself was read.
    `source` is what stands before the position: a file name, or `--set z.tau_m=abc`. `at_key` means the key that
    ends the path rather than its value (an unknown key, a missing setting).
    """

    message: str
    path: Path = ()
    line: int | None = None
    column: int | None = None
    source: str | None = None
    at_key: bool = False

    def __str__(self) -> str:
        if self.line is not None:
            return f"{self.source}:{self.line}:{self.column}: {self.message}"
        return f"{dotted(self.path)}: {self.message}" if self.path else self.message


@dataclass(frozen=True)
class Mark:
    """A place in a text, counted from 1. `inside` is the column of a scalar's first character where the scalar
    stands in the text letter for letter, so that a fault can point into it. `over` says that what stands here beats
    all that files say, as a value of a sweep does wherever it is written."""

    line: int
    column: int
    source: str | None = None
    inside: int | None = None
    over: bool = False

    def moved(self, columns: int, source: str) -> Mark:
        """The same place seen from a longer first line, as that of a command-line argument."""
        if self.line > 1:
            return replace(self, source=source)
        inside = None if self.inside is None else self.inside + columns
        return Mark(1, self.column + columns, source, inside, self.over)


@dataclass(frozen=True)
class Marks:
    """Where keys and values stand in the text, by path."""

    keys: Mapping[Path, Mark] = field(default_factory=dict)
    values: Mapping[Path, Mark] = field(default_factory=dict)

    def find(self, path: Path, at_key: bool = False) -> Mark | None:
        """The place of a value (or of its key), else that of the nearest key above it."""
        order = (self.keys, self.values) if at_key else (self.values, self.keys)
        for marks in order:
            if path in marks:
                return marks[path]
        while path:
            path = path[:-1]
            mark = self.keys.get(path) or self.values.get(path)
            if mark is not None:
                return mark
        return None

    def locate(self, fault: Fault) -> Fault:
        """The fault with its line and column, where the text has them."""
        if fault.line is not None or fault.source is not None:
            return fault
        mark = self.find(fault.path, fault.at_key)
        if mark is None:
            return fault
        return replace(fault, line=mark.line, column=mark.column, source=mark.source)


class SynsimError(Exception):
    """Base of every error that a user can do something about. `exit_code` is what the command line returns."""

    exit_code: ClassVar[int] = 70


class ConfigError(SynsimError):
    """A config that cannot be run; `faults` are all that were found."""

    exit_code = 2

    def __init__(self, faults: Fault | str | Iterable[Fault | str]):
        given = [faults] if isinstance(faults, Fault | str) else list(faults)
        self.faults: list[Fault] = [Fault(fault) if isinstance(fault, str) else fault for fault in given]
        super().__init__("\n".join(str(fault) for fault in self.faults))


class MissingInput(ConfigError):
    """An input file or row that is not there, or a run that does not fit into memory or onto the disk."""

    exit_code = 66


class RunError(SynsimError):
    """The model went wrong while it ran: a value that is not finite, or a method that raised."""

    exit_code = 65


class Locked(SynsimError):
    """Another process writes here, or something would be overwritten."""

    exit_code = 73


class StoreError(SynsimError):
    """The file system refused: what was reported as saved is safe."""

    exit_code = 74


class Stopped(SynsimError):
    """A signal ended the run at a chunk's border."""

    exit_code = 75


def suggest(word: str, choices: Iterable[str]) -> str:
    """` Did you mean 'x'?` for the nearest of `choices`, else the empty string."""
    near = nearest(word, list(choices))
    return f" Did you mean {near!r}?" if near else ""


def nearest(word: str, choices: Sequence[str]) -> str | None:
    """The choice most like `word` (letter case aside), or None where none is close."""
    if len(word) > 80:  # comparing takes time that grows with the square
        return None
    if len(choices) > 2000:
        return next((choice for choice in choices if choice.casefold() == word.casefold()), None)
    folded: dict[str, str] = {}
    for choice in sorted(choices):
        folded.setdefault(choice.casefold(), choice)
    if word.casefold() in folded:
        return folded[word.casefold()]
    close = difflib.get_close_matches(word.casefold(), folded, n=1, cutoff=0.65)
    return folded[close[0]] if close else None


def listing(names: Iterable[str], last: str = "and", *, most: int = 12) -> str:
    """Names as they stand in a sentence: `a, b and c`, cut after `most`."""
    shown = list(names)
    if not shown:
        return "nothing"
    if len(shown) > most:
        return f"{', '.join(shown[:most])} and {len(shown) - most} more"
    return f"{', '.join(shown[:-1])} {last} {shown[-1]}" if len(shown) > 1 else shown[0]


def there_are(names: Iterable[str]) -> str:
    """` There is z.` or ` There are x and z.`, to stand after a sentence about a name that is not there."""
    shown = list(names)
    if not shown:
        return ""
    return f" There {'is' if len(shown) == 1 else 'are'} {listing(shown)}."


def in_order(faults: Iterable[Fault]) -> list[Fault]:
    """Each fault once: those of the text by line and column, then those of arguments, then those without a place."""

    def place(fault: Fault) -> tuple[Any, ...]:
        source = fault.source or ""
        return fault.line is None, source.startswith("-"), source, fault.line or 0, fault.column or 0

    return sorted(dict.fromkeys(faults), key=place)


def render(faults: Iterable[Fault], kind: str = "error") -> list[str]:
    """`file:line:column: error: message`, a line for each fault that has not been said, in the order of the text.

    Faults without a line (in a mapping from Python, or found later) show their path instead.
    """
    lines = []
    for fault in in_order(faults):
        if fault.line is not None:
            place = f"{fault.source}:{fault.line}:{fault.column}: "
        else:
            place = f"{dotted(fault.path)}: " if fault.path else ""
        lines.append(_one_line(f"{place}{kind}: {fault.message}"))
    return list(dict.fromkeys(lines))


def _one_line(text: str) -> str:
    """Text of a config may stand in a message: nothing in it reaches a terminal but what can be printed."""
    cut = text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode("ascii") for each in cut)


def dotted(path: Path) -> str:
    """A path as a user would write it: components.z.tau_m, schedule.step[2]."""
    text = ""
    for piece in path:
        if isinstance(piece, int):
            text += f"[{piece}]"
        else:
            text += f".{piece}" if text else piece
    return text
