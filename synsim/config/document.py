"""The values of a config before they are checked: the text, the overrides put into it, `let` and the environment put in
place.

`--set PATH=VALUE` says with the same paths and the same YAML what the file could have said: `z.tau_m`, `run.dt`,
`let.hid`, `seed`, `data.x.scale`, `record.z.v.every`, `phases.train.trials`; a leading `components.` is accepted.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path as FilePath
from typing import Any

from synsim.config.bases import Whole
from synsim.config.environment import BadText, Environment, asks
from synsim.config.yaml_source import MOST_DEPTH, MOST_NODES, Marked, read, resolve
from synsim.faults import ConfigError, Fault, Mark, Marks, Path, dotted, listing, suggest, there_are
from synsim.values import shown

SECTIONS = (
    "name",
    "seed",
    "plugins",
    "let",
    "run",
    "data",
    "components",
    "wires",
    "schedule",
    "record",
    "initial",
    "phases",
    "sweep",
    "launcher",
)
"""The top-level keys of a config, but for `extends`, which is gone once its files are read."""

NOT_YET = ("checkpoint",)
"""Keys that have a meaning in the design and that this version does not know."""

RANGE_KEYS = ("from", "to", "n", "scale")
"""What a range of a sweep may hold that is written as a mapping."""

_PAIRS = ("wires", "record", "initial")  # their keys hold a dot: wires.z.j
_LET = re.compile(r"\$\{\s*([^{}]*?)\s*\}")


class Document:
    """Plain values with marks, open to change, and the faults found while changing them."""

    def __init__(self, whole: Whole, environment: Environment):
        marked = whole.marked
        self.value: dict[str, Any] = marked.value
        self.layers, self.folders = whole.layers, dict(whole.folders)
        self.environment = environment
        self.asked: dict[Path, list[str]] = {}  # variables, by the place of the text that they went into
        self.written_in: dict[Path, str | None] = {}  # files, by the place of what let brought there
        self.keys, self.values = dict(marked.keys), dict(marked.values)
        self.faults: list[Fault] = []
        self.warnings: list[Fault] = []
        self.nodes = marked.nodes

    @property
    def marks(self) -> Marks:
        """The places of all keys and values, as they are now."""
        return Marks(self.keys, self.values)

    def layer_of(self, path: Path) -> int:
        """How strong a value is: that of a file beats those of the files that it extends, an override beats
        all, and a value of a sweep beats that."""
        mark = self.values.get(path)
        if mark is None:
            return len(self.layers) - 1
        if mark.over:
            return len(self.layers) + 1
        return len(self.layers) if self._over(mark) else self.layers.index(mark.source or "")

    def _over(self, mark: Mark) -> bool:
        """Whether what stands there was put into the values, rather than read with them."""
        return mark.over or mark.source not in self.layers

    def folder_of(self, path: Path) -> FilePath:
        """The folder of the file that a value is written in."""
        mark = self.marks.find(path)
        home = self.folders[self.layers[-1]]
        return home if mark is None else self.folders.get(self.written_in.get(path, mark.source) or "", home)

    def names(self, section: str) -> list[str]:
        """The names in a section that is a mapping."""
        found = self.value.get(section)
        return list(found) if isinstance(found, Mapping) else []

    # overrides ----------------------------------------------------------------------------------------------------

    def override(self, argument: str) -> None:
        """Put `PATH=VALUE` into the values. Faults point into the argument, counted from its first character."""
        source = f"--set {argument if argument.isprintable() and len(argument) <= 120 else repr(argument)[1:100] + '…'}"
        path, equals, text = argument.partition("=")
        if not equals:
            self.faults.append(Fault("an override is PATH=VALUE, as z.tau_m=20.", (), 1, len(argument) + 1, source))
            return
        given = self._value(text, len(path) + 1, source)
        place = self.place(path, Mark(1, 1, source), "an override is PATH=VALUE with")
        if given is not None and place is not None:
            self._put(*place, given)

    def assign(self, path: str, given: Marked, source: str) -> None:
        """Put a ready value in its place, as an option of the command line or a call in Python does."""
        at = Mark(1, 1, source)
        place = self.place(path, at, "an override is PATH=VALUE with")
        if place is not None:
            self._put(place[0], [at] * len(place[0]), given)

    def vary(self, path: str, given: Marked, at: Mark | None) -> None:
        """Put one value of a sweep in its place, which beats all that files and overrides say; `at` is where its path
        is written, or None where it has no place."""
        place = self.place(path, at or Mark(1, 1, f"sweep {path}"), "a sweep is PATH=VALUES with")
        if place is not None:
            self._put(place[0], [replace(mark, over=True) for mark in place[1]], given)

    def _value(self, text: str, before: int, source: str) -> Marked | None:
        try:
            given = read(text, source)
        except ConfigError as error:
            for fault in error.faults:
                moved = Mark(fault.line or 1, fault.column or 1).moved(before, source)
                self.faults.append(Fault(fault.message, (), moved.line, moved.column, source))
            return None
        if not given.flow and isinstance(given.value, dict | list):
            self.faults.append(
                Fault("write lists and mappings in brackets here: [1, 2] or {a: 1}.", (), 1, before + 1, source)
            )
            return None
        given.keys = {path: mark.moved(before, source) for path, mark in given.keys.items()}
        given.values = {path: mark.moved(before, source) for path, mark in given.values.items()}
        given.values.setdefault((), Mark(1, before + 1, source))  # an empty value is null
        return given

    def place(self, text: str, at: Mark, form: str) -> tuple[Path, list[Mark]] | None:
        """Where in the values a path leads that is written at a place, and the place of each of its pieces; None and a
        fault where it leads nowhere. `form` begins what is said of a text that is no path."""
        pieces, columns = text.split("."), []
        column = at.column
        for piece in pieces:
            columns.append(Mark(at.line, column, at.source))
            column += len(piece) + 1
            if not piece.strip() or len(pieces) > MOST_DEPTH // 2:
                self._fault_at(columns[-1], f"{form} a PATH as z.tau_m or run.dt.")
                return None
        if pieces[0] == "components" and len(pieces) > 1:
            pieces, columns = pieces[1:], columns[1:]
            known = self.names("components")
        elif pieces[0] == "extends":
            self._fault_at(columns[0], "extends stands in a file and cannot be overridden.")
            return None
        elif pieces[0] in NOT_YET:
            self._fault_at(columns[0], f"{pieces[0]} does not exist yet.")
            return None
        elif pieces[0] in SECTIONS:
            return self._in_section(pieces, columns)
        else:
            known = [*self.names("components"), *SECTIONS]
        if pieces[0] not in self.names("components"):
            near = suggest(pieces[0], known) or there_are(self.names("components"))
            self._fault_at(columns[0], f"there is no component {pieces[0]!r}.{near}")
            return None
        return ("components", *_numbered(pieces)), [columns[0], *columns]

    def _fault_at(self, mark: Mark, message: str) -> None:
        self.faults.append(Fault(message, (), mark.line, mark.column, mark.source))

    def _in_section(self, pieces: list[str], columns: list[Mark]) -> tuple[Path, list[Mark]] | None:
        section, rest = pieces[0], pieces[1:]
        if section in ("data", "phases") and rest:
            known = self.names(section) if section == "data" else self._phases()
            if rest[0] not in known and not (section == "phases" and isinstance(_number(rest[0]), int)):
                what = {"data": "data entry", "phases": "phase"}[section]
                self._fault_at(columns[1], f"there is no {what} {rest[0]!r}.{suggest(rest[0], known)}")
                return None
            if section == "phases":
                number = known.index(rest[0]) if rest[0] in known else _number(rest[0])
                inner = rest[1:]
                if len(inner) > 1 and inner[0] in ("wires", "set", "record"):
                    there = self._at_path(("phases", number, inner[0]))
                    inner, columns = [inner[0], _spelled(there, ".".join(inner[1:]))], columns[:4]
                return (section, number, *_numbered(inner)), columns
        if section in _PAIRS and len(rest) > 1 and not self._is_entry(section, rest):
            if rest[0] == "components":
                rest, columns = rest[1:], [columns[0], *columns[2:]]
            key = _spelled(self.value.get(section), ".".join(rest[:2]))
            rest, columns = [key, *rest[2:]], [*columns[:2], *columns[3:]]
        if section == "sweep" and rest:
            rest, columns = self._in_sweep(rest), [*columns[:2], columns[-1]]
            columns = columns[: len(rest) + 1]
        return (section, *_numbered(rest)), columns

    def _in_sweep(self, rest: list[str]) -> list[str]:
        """What follows `sweep.`: a path that is one key, and maybe a key of its range, as in sweep.z.tau_m.n."""
        if rest[0] == "components" and len(rest) > 1:
            rest = rest[1:]
        key, there = ".".join(rest), self.value.get("sweep")
        above = _spelled(there, ".".join(rest[:-1]))
        if len(rest) > 2 and rest[-1] in RANGE_KEYS and isinstance(self._at_path(("sweep", above)), Mapping):
            return [above, rest[-1]]
        return [_spelled(there, key)]

    def _at_path(self, path: Path) -> Any:
        """The value at a path, or None."""
        inside: Any = self.value
        for piece in path:
            try:
                inside = inside[piece]
            except (LookupError, TypeError):
                return None
        return inside

    def _is_entry(self, section: str, rest: list[str]) -> bool:
        return section == "record" and rest[0] in self.names("data") and rest[0] not in self.names("components")

    def _phases(self) -> list[str]:
        phases = self.value.get("phases")
        if not isinstance(phases, list):
            return []
        return [str(phase.get("name")) if isinstance(phase, Mapping) else "" for phase in phases]

    def _put(self, path: Path, marks: list[Mark], given: Marked) -> None:
        inside: Any = self.value
        for depth, (piece, mark) in enumerate(zip(path, marks, strict=True)):
            here, last = path[: depth + 1], depth == len(path) - 1
            at: Any = piece
            if isinstance(inside, list):
                if not isinstance(piece, int) or not 0 <= piece < len(inside):
                    self._fault_at(
                        mark,
                        f"{dotted(path[:depth])} has {len(inside)} entries, counted from 0: {piece!r} is none of them.",
                    )
                    return
            elif isinstance(inside, dict):
                at = str(piece)
                here = (*path[:depth], at)
                if here not in self.keys or (last and mark.over):
                    self.keys[here] = mark
            else:
                self._fault_at(mark, f"{dotted(path[:depth])} is {shown(inside)}: there is nothing inside it to set.")
                return
            if last:
                inside[at] = given.value
                self._replace_marks(here, given)
            elif isinstance(inside, dict) and inside.get(at) is None:
                inside[at] = {}
                self.values[here] = mark
                inside = inside[at]
            else:
                inside = inside[at]

    def forget_marks(self, path: Path) -> None:
        """Leave no place of what is inside a value, nor of the value."""
        for marks in (self.keys, self.values):
            for old in [each for each in marks if each[: len(path)] == path]:
                del marks[old]

    def _replace_marks(self, path: Path, given: Marked) -> None:
        for marks in (self.keys, self.values):
            for old in [each for each in marks if len(each) > len(path) and each[: len(path)] == path]:
                del marks[old]
        self.keys.update({(*path, *inner): mark for inner, mark in given.keys.items()})
        self.values.update({(*path, *inner): mark for inner, mark in given.values.items()})
        self.nodes += given.nodes

    # let and the environment ---------------------------------------------------------------------------------------

    def let_values(self) -> dict[str, Any]:
        """What let has, with the environment in place."""
        let = self.value.get("let")
        named = let if isinstance(let, Mapping) else {}
        return {name: self._filled(value, ("let", name), None, {}, set()) for name, value in named.items()}

    def put_in_place(self) -> None:
        """Replace every `${name}` by the value of that name under `let`, whose type it keeps, and every `${env:NAME}`
        by the text of that variable. Paths of files are relative to the config that they are written in: from here on
        to the one that was asked for."""
        let = self.value.get("let")
        if let is not None and not isinstance(let, Mapping):
            self._at(("let",), f"let must be a mapping of names to values, not {shown(let)}.")
        let = self.let_values()
        sizes = {name: sum(1 for _ in _scalars(value)) for name, value in let.items()}
        used: set[str] = set()
        self.value = {
            key: value if key == "let" else self._filled(value, (key,), let, sizes, used)
            for key, value in self.value.items()
        }
        for name in let:
            if name not in used:
                mark = self.keys.get(("let", name))
                if mark is not None and self._over(mark):
                    known = [each for each in let if each != name]
                    self._at(("let", name), f"no value refers to let.{name}.{suggest(name, known)}", at_key=True)
                else:
                    self.warnings.append(Fault(f"let.{name} is not used.", ("let", name), at_key=True))

    def _filled(
        self, value: Any, path: Path, let: Mapping[str, Any] | None, sizes: Mapping[str, int], used: set[str]
    ) -> Any:
        """A value with all in place; without `let`, one of let itself."""
        if isinstance(value, dict):
            filled = {key: self._filled(item, (*path, key), let, sizes, used) for key, item in value.items()}
            if isinstance(filled.get("path"), str) and (path[0] in ("data", "phases") or filled.get("type") == "file"):
                filled["path"] = self._from_home(filled["path"], (*path, "path"))
            return filled
        if isinstance(value, list):
            return [self._filled(item, (*path, place), let, sizes, used) for place, item in enumerate(value)]
        if not isinstance(value, str) or "${" not in value:
            return value
        if not is_reference(value):
            return self._text(value, path)
        name = value[2:-1].strip().removeprefix("let.")
        if let is None:
            self._at(path, f"{dotted(path[:2])} cannot refer to another name: write its value out.")
            return None
        if name not in let:
            near = suggest(name, let) or (f" It has {listing(let)}." if let else "")
            self._at(path, f"let has no name {name!r}.{near}")
            return None
        used.add(name)
        self.nodes += sizes[name]
        if self.nodes > MOST_NODES:
            raise ConfigError(
                self.marks.locate(Fault("with let put in place there are more than 100,000 values.", path))
            )
        mark = self.values.get(("let", name))
        if mark is not None:
            self.written_in[path] = mark.source
            if self._over(mark):
                self.values[path] = mark  # what is wrong with it is wrong in the argument
        for inner in [each for each in self.asked if each[:2] == ("let", name)]:
            self.asked[(*path, *inner[2:])] = self.asked[inner]
        return let[name]

    def _text(self, text: str, path: Path) -> str | None:
        """A text with the variables of the environment in it."""
        try:
            filled = self.environment.fill(text)
        except BadText as bad:
            mark = self.values.get(path)
            if mark is not None and mark.inside is not None and bad.at is not None:
                self.faults.append(Fault(str(bad), path, mark.line, mark.inside + bad.at, mark.source))
            else:
                self._at(path, str(bad))
            return None
        if names := asks(text):
            self.asked[path] = names
        return filled

    def about_text(self, path: Path) -> str:
        """What to add to a complaint about a text that holds variables."""
        names, value = self.asked.get(path), self._at_path(path)
        if names is None or not isinstance(value, str):
            return ""
        try:
            number = resolve(value)
        except ValueError:
            number = None
        where = f" It comes from {listing(f'${{env:{name}}}' for name in names)}"
        if isinstance(number, bool | int | float):
            place = dotted(path[1:] if path[0] == "components" else path)
            return f"{where}, which is always text: give a number by --set {place}={value}."
        return f"{where}."

    def _from_home(self, written: str, here: Path) -> str:
        """A path that is relative to the file which names it, relative to that of the config."""
        home, folder = self.folders[self.layers[-1]], self.folder_of(here)
        if folder == home or os.path.isabs(written):
            return written
        return os.path.relpath(os.path.join(folder, written), home)

    def _at(self, path: Path, message: str, *, at_key: bool = False) -> None:
        self.faults.append(Fault(message, path, at_key=at_key))


def is_reference(text: str) -> bool:
    """Whether a text is `${name}`, and so stands for a value of let."""
    match = _LET.fullmatch(text)
    return match is not None and not match.group(1).startswith("env:")


def _numbered(pieces: Iterable[str]) -> Path:
    """Pieces of a path; a number may be the place in a list."""
    return tuple(_number(piece) for piece in pieces)


def _number(piece: str) -> int | str:
    return int(piece) if piece.isascii() and piece.isdigit() and len(piece) < 7 else piece


def _spelled(there: Any, key: str) -> str:
    """The key as the text spells it: with a leading `components.`, or without."""
    other = f"components.{key}"
    return other if isinstance(there, Mapping) and key not in there and other in there else key


def _scalars(value: Any) -> Iterable[Any]:
    if isinstance(value, Mapping):
        for item in value.values():
            yield from _scalars(item)
    elif isinstance(value, list):
        for item in value:
            yield from _scalars(item)
    else:
        yield value
