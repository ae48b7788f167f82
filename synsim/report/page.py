"""The frame of a page: head, list of contents, sections. One file that needs no other and no network.

Its policy forbids scripts and everything from elsewhere, so that a page shows data and never does anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from synsim.report.html import Markup, tag
from synsim.report.parts import Section

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def page(title: str, heading: Sequence[Any], sections: Sequence[Section], footer: Sequence[Any]) -> str:
    """The whole text of a page. `title` stands in the window, `heading` at its top."""
    style = (Path(__file__).parent / "style.css").read_text(encoding="utf-8")
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("link", rel="icon", href="data:,"),
        tag("title", title),
        tag("style", Markup(style)),
    )
    contents = tag("ul", *(tag("li", tag("a", each.title, href=f"#{each.anchor}")) for each in sections))
    body = tag(
        "body",
        tag("a", "Skip to the content", class_="skip", href="#content"),
        tag(
            "div",
            tag("header", *heading),
            tag("nav", contents, aria_label="Contents"),
            tag("main", *(each.markup() for each in sections), tag("footer", *footer), id="content", tabindex="-1"),
            class_="page",
        ),
    )
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"
