"""Pages taken apart: whether they are well formed, self-contained and free of anything that could do harm."""

from __future__ import annotations

import base64
import re
from html.parser import HTMLParser

from synsim.report.html import EMPTY

HTML_TAGS = set(
    "html head meta link title style body a div header h1 h2 h3 nav ul ol li main section p span strong dl dt dd "
    "table caption thead tbody tr th td figure img figcaption details summary pre code footer".split()
)
SVG_TAGS = {"svg", "title", "desc", "style", "rect", "g", "path", "text"}
ATTRIBUTES = set(
    "lang charset http-equiv content name rel href class id tabindex aria-label aria-labelledby role scope alt src "
    "srcset media download style xmlns width height viewbox x y rx d transform".split()
)


class Read(HTMLParser):
    """A page taken apart. Fails where a tag is not closed, or is none of ours."""

    def __init__(self, text: str):
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.found: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, name: str, attributes: list[tuple[str, str | None]]) -> None:
        allowed = SVG_TAGS if "svg" in self.open or name == "svg" else HTML_TAGS
        assert name in allowed, name
        given = {key: value or "" for key, value in attributes}
        assert set(given) <= ATTRIBUTES, given
        assert len(given) == len(attributes)
        self.found.append((name, given))
        if name not in EMPTY:
            self.open.append(name)

    def handle_startendtag(self, name: str, attributes: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(name, attributes)
        if name not in EMPTY:
            self.handle_endtag(name)

    def handle_endtag(self, name: str) -> None:
        assert self.open.pop() == name

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.texts.append(data)

    @property
    def text(self) -> str:
        return "".join(self.texts)

    def all(self, name: str) -> list[dict[str, str]]:
        return [given for each, given in self.found if each == name]

    def addresses(self) -> list[str]:
        return [given[key] for _, given in self.found for key in ("href", "src", "srcset") if key in given]


def sound(text: str) -> Read:
    """The page, held against what every page must be."""
    read = Read(text)
    ids = [given["id"] for _, given in read.found if "id" in given]
    assert len(set(ids)) == len(ids)
    for address in read.addresses():
        assert address.startswith("data:") or (address.startswith("#") and address[1:] in ids), address[:80]
    styles = re.findall(r"<style>(.*?)</style>", text, re.S)
    assert not any("url(" in each or "@import" in each for each in styles)
    assert all(given.get("alt") for given in read.all("img"))
    assert [given.get("content", "")[:18] for given in read.all("meta") if "http-equiv" in given] == [
        "default-src 'none'"
    ]
    assert not re.search(r"<script|javascript:|\x1b", text, re.I)
    return read


def downloads(read: Read) -> dict[str, str]:
    found = [given for given in read.all("a") if "download" in given]
    return {
        given["download"] + str(i): base64.b64decode(given["href"].partition(",")[2]).decode()
        for i, given in enumerate(found)
    }
