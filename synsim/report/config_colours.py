"""A config with colours: keys, numbers, texts, comments, as spans of classes. Nothing of its text is changed."""

from __future__ import annotations

import re
from collections.abc import Iterator

from synsim.report.html import Markup, escaped, joined, tag

# each alternative takes what it matches in one go, so that reading takes time in proportion to the text
_PIECE = re.compile(
    r"""(?P<space>\s+)
  | (?P<comment>\#[^\n]*)
  | (?P<quoted>"(?:[^"\\\n]|\\.)*"?|'(?:[^'\n]|'')*'?)
  | (?P<mark>[-?](?=\s)|[\[\]{},:])
  | (?P<plain>[^\s\[\]{},:"'#][^\[\]{},:"'#\n]*)
  | (?P<other>.)""",
    re.VERBOSE,
)
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|\.(?:inf|nan)")
_WORDS = ("true", "false", "null", "~")
_INSERT = re.compile(r"\$\{[^}\n]{0,200}\}")


def coloured(text: str) -> Markup:
    """YAML, or JSON, which is YAML too, as HTML."""
    return joined(_spans(text))


def _spans(text: str) -> Iterator[Markup]:
    before = "\n"
    for found in _PIECE.finditer(text):
        kind, piece = found.lastgroup, found[0]
        if kind in ("plain", "quoted"):
            yield from _value(piece, _is_key(text, found.end()))
        elif kind == "comment" and before.isspace():
            yield tag("span", piece, class_="comment")
        elif kind == "mark":
            yield tag("span", piece, class_="mark")
        else:
            yield escaped(piece)
        before = piece[-1]


def _is_key(text: str, end: int) -> bool:
    return text[end : end + 1] == ":" and (text[end + 1 : end + 2].isspace() or end + 1 == len(text))


def _value(piece: str, key: bool) -> Iterator[Markup]:
    stripped = piece.rstrip()
    space = piece[len(stripped) :]
    if key:
        kind = "key"
    elif _NUMBER.fullmatch(stripped):
        kind = "number"
    elif stripped in _WORDS:
        kind = "word"
    else:
        kind = "text" if stripped[0] in "\"'" else "plain"
    at = 0
    inner: list[Markup] = []
    for found in _INSERT.finditer(stripped):
        inner += [escaped(stripped[at : found.start()]), tag("span", found[0], class_="insert")]
        at = found.end()
    inner.append(escaped(stripped[at:]))
    yield tag("span", *inner, class_=kind)
    if space:
        yield escaped(space)
