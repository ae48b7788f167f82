"""YAML text -> plain values, and the line and column of every key and value.

The text is read as a stream of events and never composed, so hostile nesting recurses nowhere and an alias is
refused before it can expand. Scalars are those of the YAML 1.2 core schema: 1e-3 is a number, `no`, `on`, 12:30 and
2026-01-01 are text, 012 is 12.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import yaml

from synsim.faults import ConfigError, Fault, Mark, Path

MOST_BYTES = 1 << 20
MOST_DEPTH = 32
MOST_NODES = 100_000
MOST_FAULTS = 100
LARGEST_INT = 2**63

_NULL = re.compile(r"~|null|Null|NULL|")
_TRUE = re.compile(r"true|True|TRUE")
_FALSE = re.compile(r"false|False|FALSE")
_INT = re.compile(r"[-+]?[0-9]+")
_OCTAL = re.compile(r"0o[0-7]+")
_HEX = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INF = re.compile(r"[-+]?\.(inf|Inf|INF)")
_NAN = re.compile(r"\.(nan|NaN|NAN)")
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass
class Marked:
    """A plain value (dict, list, str, bool, int, float, None) with the places of its keys and values by path."""

    value: Any = None
    keys: dict[Path, Mark] = field(default_factory=dict)
    values: dict[Path, Mark] = field(default_factory=dict)
    empty: bool = False
    flow: bool = True  # one scalar, or a collection in brackets
    nodes: int = 0

    def copy(self) -> Marked:
        """The same, whose value can be changed."""
        return replace(self, value=_copied(self.value))


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    return [_copied(item) for item in value] if isinstance(value, list) else value


@dataclass
class _Open:
    """A collection whose end has not been seen. `key` waits for its value; `skip` counts a refused key's depth."""

    value: dict[str, Any] | list[Any]
    path: Path
    key: str | None = None
    seen: dict[str, int] = field(default_factory=dict)


def decode(data: bytes, source: str) -> str:
    """Strict UTF-8, with or without a byte order mark."""
    if len(data) > MOST_BYTES:
        raise ConfigError(
            Fault(
                f"the file has {len(data)} bytes; a config has at most 1 MiB. Put large arrays "
                "into a file and name it under data.",
                (),
                1,
                1,
                source,
            )
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8", "replace")
        line, column = _position(before.removeprefix("\ufeff"), None)
        raise ConfigError(
            Fault(f"byte 0x{data[error.start]:02x} is not UTF-8: save the file as UTF-8.", (), line, column, source)
        ) from None


def read(text: str, source: str) -> Marked:
    """The text as plain values with marks. Raises ConfigError with every fault up to the first unreadable place."""
    if len(text) > MOST_BYTES:  # in characters; `decode` has counted the bytes of a file
        raise ConfigError(Fault("the text is too long: a config has at most 1 MiB.", (), 1, 1, source))
    return _Reader(source).read(text)


class _Reader:
    """One pass over the events of one text."""

    def __init__(self, source: str):
        self.source = source
        self.faults: list[Fault] = []
        self.found = Marked()
        self.stack: list[_Open] = []

    def read(self, text: str) -> Marked:
        try:
            # PyYAML's own parser in Python: its messages and columns are the same everywhere
            documents = 0
            for event in yaml.parse(text, Loader=yaml.SafeLoader):
                if isinstance(event, yaml.DocumentStartEvent):
                    documents += 1
                    if documents > 1:
                        self._stop("a second document starts here: a config is one document.", event.start_mark)
                self._take(event)
        except yaml.MarkedYAMLError as error:
            self._stop(*_syntax(error))
        except yaml.reader.ReaderError as error:
            line, column = _position(text, error.position)
            code = error.character if isinstance(error.character, int) else ord(error.character[:1])
            self.faults.append(
                Fault(f"the character U+{code:04X} is not allowed in YAML: remove it.", (), line, column, self.source)
            )
        if self.faults:
            raise ConfigError(self.faults)
        return self.found

    def _fault(self, message: str, mark: Any) -> None:
        self.faults.append(Fault(message, (), mark.line + 1, mark.column + 1, self.source))
        if len(self.faults) >= MOST_FAULTS:
            raise ConfigError(self.faults)

    def _stop(self, message: str, mark: Any) -> None:
        self._fault(message, mark) if mark is not None else self.faults.append(Fault(message, (), 1, 1, self.source))
        raise ConfigError(self.faults)

    def _take(self, event: yaml.Event) -> None:
        if isinstance(event, yaml.AliasEvent):
            self._fault(
                f"aliases (*{event.anchor}) are not allowed: write the value out, or use let.", event.start_mark
            )
            self._place(None, event.start_mark, plain_key=False)
        elif isinstance(event, yaml.ScalarEvent):
            self._refuse_extras(event)
            self._scalar(event)
        elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            self._refuse_extras(event)
            self._open(event)
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            self.stack.pop()
        elif isinstance(event, yaml.DocumentStartEvent) and (event.tags or event.version):
            self._fault("directives (%YAML, %TAG) are not allowed: remove the line.", event.start_mark)

    def _refuse_extras(self, event: Any) -> None:
        if event.anchor is not None:
            self._fault(
                f"anchors (&{event.anchor}) are not allowed: write the value out, or use let.", event.start_mark
            )
        if event.tag is not None:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            self._fault(f"tags ({tag}) are not allowed: remove it.", event.start_mark)
        self.found.nodes += 1
        if self.found.nodes > MOST_NODES:
            self._stop(
                "a config has at most 100,000 values: put large arrays into a file and name it under data.",
                event.start_mark,
            )

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        start, end = event.start_mark, event.end_mark
        if _SURROGATE.search(event.value):
            self._fault("half of a surrogate pair is not a character: remove the escape.", start)
        plain = event.style is None
        value: Any = event.value
        if plain and event.tag is None:
            try:
                value = resolve(event.value)
            except ValueError as error:
                self._fault(str(error), start)
        literal = start.line == end.line and end.column - start.column == len(event.value) + (0 if plain else 2)
        inside = start.column + (1 if plain else 2) if literal else None
        self._place(value, start, plain_key=plain, text=event.value, inside=inside)

    def _open(self, event: Any) -> None:
        if not self.stack:
            self.found.flow = bool(event.flow_style)
        if len(self.stack) >= MOST_DEPTH:
            self._stop("nested too deeply: a config has at most 32 levels.", event.start_mark)
        top = self.stack[-1] if self.stack else None
        if top is not None and isinstance(top.value, dict) and top.key is None:
            self._stop("a key must be text, not a list or a mapping.", event.start_mark)
        value: dict[str, Any] | list[Any] = {} if isinstance(event, yaml.MappingStartEvent) else []
        path = self._place(value, event.start_mark, plain_key=False)
        self.stack.append(_Open(value, path))

    def _place(self, value: Any, start: Any, *, plain_key: bool, text: str = "", inside: int | None = None) -> Path:
        """Put a finished scalar or an opened collection where it belongs; a scalar may be a key."""
        mark = Mark(start.line + 1, start.column + 1, self.source, inside)
        if not self.stack:
            self.found.value = value
            self.found.values[()] = mark
            self.found.empty = value is None
            return ()
        top = self.stack[-1]
        if isinstance(top.value, list):
            path = (*top.path, len(top.value))
            top.value.append(value)
            self.found.values[path] = mark
            return path
        if top.key is None:
            self._key(top, value, text, start, mark, plain_key)
            return top.path
        path = (*top.path, top.key)
        top.value[top.key] = value
        self.found.values[path] = mark
        top.key = None
        return path

    def _key(self, top: _Open, value: Any, text: str, start: Any, mark: Mark, plain: bool) -> None:
        if text == "<<" and plain:
            self._fault("merge keys (<<) are not allowed: write the entries out.", start)
        elif not isinstance(value, str):
            shown = text if len(text) <= 40 else text[:39] + "…"
            self._fault(f"a key must be text, not {shown or 'nothing'}: write it in quotes if it is meant.", start)
        elif text in top.seen:
            self._fault(f"duplicate key '{text}' (first at line {top.seen[text]}): keep one of them.", start)
        else:
            self.found.keys[(*top.path, text)] = mark
        top.seen.setdefault(text, mark.line)
        top.key = text


def resolve(text: str) -> Any:
    """A plain scalar as YAML 1.2 reads it. Raises ValueError for numbers that no computer word holds."""
    if _NULL.fullmatch(text):
        return None
    if _TRUE.fullmatch(text):
        return True
    if _FALSE.fullmatch(text):
        return False
    for pattern, base in ((_INT, 10), (_OCTAL, 8), (_HEX, 16)):
        if pattern.fullmatch(text):
            if len(text) > 40:
                raise ValueError("the number is too large: whole numbers are below 2^63.")
            number = int(text, 10) if base == 10 else int(text[2:], base)
            if abs(number) >= LARGEST_INT:
                raise ValueError("the number is too large: whole numbers are below 2^63.")
            return number
    if _FLOAT.fullmatch(text):
        number = float(text)
        if number in (float("inf"), float("-inf")):
            raise ValueError("the number is too large: the largest is about 1.8e308.")
        return number
    if _INF.fullmatch(text):
        return float("-inf") if text.startswith("-") else float("inf")
    if _NAN.fullmatch(text):
        return float("nan")
    return text


def _syntax(error: yaml.MarkedYAMLError) -> tuple[str, Any]:
    """What is wrong with the YAML, and where: for what is never closed, where it starts."""
    problem, context = (error.problem or "").strip(), (error.context or "").strip()
    mark = error.problem_mark or error.context_mark
    if "'\\t'" in problem:
        return "a tab cannot indent YAML: use spaces.", mark
    for character in "@`%":
        if f"found character {character!r}" in problem:
            return f"a value cannot start with {character}: write it in quotes.", mark
    if "quoted scalar" in context and "end of stream" in problem:
        return "this quote is never closed.", error.context_mark or mark
    if context.startswith("while parsing a flow") and ("but got" in problem or "but found '<stream end>'" in problem):
        kind = "{" if "mapping" in context else "["
        if "<stream end>" in problem or "<document" in problem or "<block" in problem:
            return f"'{kind}' is never closed.", error.context_mark or mark
        return f"expected a comma or the end of what '{kind}' opened: close it, or quote the text.", mark
    if problem == "mapping values are not allowed here":
        return "a second ': ' on one line: quote the text, or check the indentation of the lines around it.", mark
    if problem == "could not find expected ':'":
        return "this line is no 'key: value': add the colon, or check the indentation.", error.context_mark or mark
    if problem.startswith("expected <block end>"):
        return "the indentation does not fit the lines above: entries of one block start in the same column.", mark
    if "alias" in context or "anchor" in context:
        return "a value cannot start with * or &: write it in quotes.", error.context_mark or mark
    return f"not valid YAML: {problem} {context}".replace("\n", " ").rstrip() + ".", mark


def _position(text: str, at: int | None) -> tuple[int, int]:
    before = text if at is None else text[:at]
    lines = re.split("\r\n|[\n\r\x85\u2028\u2029]", before)
    return len(lines), len(lines[-1]) + 1


def from_mapping(given: Mapping[str, Any]) -> Marked:
    """A mapping from Python as the same plain values, copied; there are no marks. Arrays become lists."""
    count = 0

    def walk(value: Any, path: Path) -> Any:
        nonlocal count
        count += 1
        if count > MOST_NODES or len(path) > MOST_DEPTH:
            raise ConfigError(Fault("a config has at most 100,000 values and 32 levels.", path))
        if isinstance(value, Mapping):
            for key in value:
                if not isinstance(key, str):
                    raise ConfigError(Fault(f"a key must be text, not {key!r}.", path))
            return {key: walk(item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [walk(item, (*path, place)) for place, item in enumerate(value)]
        if hasattr(value, "tolist"):  # numbers and arrays of numpy or jax
            return walk(value.tolist(), path)
        if hasattr(value, "__fspath__"):
            value = value.__fspath__()
        if value is None or isinstance(value, bool | float):
            return value
        if isinstance(value, int) and abs(value) < LARGEST_INT:
            return value
        if isinstance(value, str) and not _SURROGATE.search(value):
            return str(value)
        raise ConfigError(Fault(f"{type(value).__name__} {str(value)[:40]!r} cannot stand in a config.", path))

    return Marked(walk(given, ()), nodes=count)
