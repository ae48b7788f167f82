"""HTML from Python values: whatever is not `Markup` is text, and is escaped."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"}
EMPTY = ("img", "meta", "link", "br", "source", "col")


class Markup(str):
    """HTML that was made here. Text becomes it by `escaped` alone."""


def escaped(text: Any) -> Markup:
    """A text as it may stand anywhere in a page, also between quotes; what cannot be seen is marked."""
    if isinstance(text, Markup):
        return text
    return Markup(
        "".join(_ESCAPES.get(each, each if _visible(each) else "\N{REPLACEMENT CHARACTER}") for each in str(text))
    )


def _visible(letter: str) -> bool:
    return letter.isprintable() or letter in "\n\t"


def tag(name: str, /, *content: Any, **attributes: Any) -> Markup:
    """An element. Attributes that are None or False are left out, `class_` is class, `aria_label` is aria-label."""
    given = []
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        word = key.rstrip("_").replace("_", "-")
        given.append(f" {word}" if value is True else f' {word}="{escaped(value)}"')
    opening = f"<{name}{''.join(given)}>"
    return Markup(opening if name in EMPTY else f"{opening}{joined(content)}</{name}>")


def joined(content: Iterable[Any], between: str = "") -> Markup:
    """Pieces one after the other; None is nothing, lists are taken apart."""
    flat = (joined(each) if isinstance(each, list | tuple) else escaped(each) for each in content if each is not None)
    return Markup(str(escaped(between)).join(flat))
