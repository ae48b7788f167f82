"""Parts that pages are made of: sections, tables that can be scrolled by keyboard, lists of facts, code."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from synsim.report.html import Markup, joined, tag


@dataclass(frozen=True)
class Section:
    """A part of a page with a heading, which the list of contents leads to."""

    title: str
    content: Sequence[Any]

    @property
    def anchor(self) -> str:
        """Its name in addresses."""
        return re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-")

    def markup(self) -> Markup:
        return tag(
            "section",
            tag("h2", self.title, id=self.anchor),
            *self.content,
            aria_labelledby=self.anchor,
        )


def facts(pairs: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> Markup:
    """Names with what they are; those that are None or empty are left out."""
    rows = pairs.items() if isinstance(pairs, Mapping) else pairs
    return tag(
        "dl",
        *(tag("div", tag("dt", name), tag("dd", value)) for name, value in rows if value is not None and value != ""),
        class_="facts",
    )


def table(
    caption: str, head: Sequence[str], rows: Iterable[Sequence[Any]], numbers: Iterable[int] = (), long: bool = False
) -> Markup:
    """A table whose first column names its rows. The columns `numbers` (from 0) stand at the right; a `long` one does
    not grow beyond the window."""
    right = set(numbers)

    def kind(i: int) -> str | None:
        return "number" if i in right else None

    body = [
        tag(
            "tr",
            *(
                tag("th", cell, scope="row") if i == 0 else tag("td", cell, class_=kind(i))
                for i, cell in enumerate(row)
            ),
        )
        for row in rows
    ]
    return scrolled(
        caption,
        tag(
            "table",
            tag("caption", caption),
            tag("thead", tag("tr", *(tag("th", each, scope="col", class_=kind(i)) for i, each in enumerate(head)))),
            tag("tbody", *body),
        ),
        "scroll long" if long else "scroll",
    )


def scrolled(label: str, content: Any, kind: str = "scroll") -> Markup:
    """What may be wider than the page: it is scrolled by itself, also by keyboard."""
    return tag("div", content, class_=kind, role="region", aria_label=label, tabindex="0")


def code(label: str, content: Any) -> Markup:
    """Text in letters of one width."""
    return scrolled(label, tag("pre", tag("code", content)), "code")


def folded(summary: str, *content: Any, on_paper: bool = False) -> Markup:
    """What is shown when it is asked for, and, if wanted, on paper."""
    return tag("details", tag("summary", summary), *content, class_="unfold" if on_paper else None)


def download(label: str, name: str, text: str, kind: str) -> Markup:
    """A link that saves a text of the page as a file."""
    return tag("a", label, href=data_uri(text.encode(), kind), download=name)


def data_uri(content: bytes, kind: str) -> Markup:
    """Content as an address, which has no letter that needs escaping; `kind` is its media type."""
    return Markup(f"data:{kind};base64,{base64.b64encode(content).decode()}")


def paragraphs(lines: Iterable[str]) -> Markup:
    """Lines of text, an empty one between paragraphs."""
    told: list[list[str]] = [[]]
    for line in lines:
        if line.strip():
            told[-1].append(line.strip())
        else:
            told.append([])
    return joined(tag("p", " ".join(each)) for each in told if each)
