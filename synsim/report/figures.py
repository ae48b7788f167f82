"""Pictures in a page, light and dark, with words for those who cannot see them."""

from __future__ import annotations

from typing import Any

from synsim import pictures
from synsim.faults import ConfigError
from synsim.pictures.part import part_of
from synsim.pictures.subject import Subject, from_image
from synsim.reading import Run
from synsim.report.html import Markup, tag
from synsim.report.parts import data_uri

WIDTH = 5.2  # inches: letters can be read where that is as wide as a telephone


LARGE = 1 << 32  # bytes of a run whose pictures are drawn once, since reading for each takes its time


def figure(run: Run, name: str, kind: str | None, caption: Any, words: str) -> Markup:
    """The picture of a record or a state; `words` say what is in it. What cannot be drawn says why."""
    try:
        light = pictures.picture(run, [name], kind, width=WIDTH)
        dark = pictures.picture(run, [name], kind, width=WIDTH, dark=True) if run.bytes < LARGE else None
    except ConfigError as error:
        return tag("p", tag("strong", name), f" is not drawn: {error}")
    return shown(light, dark, caption, words)


def sees_images(run: Run, name: str) -> bool:
    """Whether weights of this name are of units that get an image."""
    return from_image(Subject(run, name, part_of(run))) is not None


def shown(light: bytes, dark: bytes | None, caption: Any, words: str) -> Markup:
    """Two pictures of the same, of which the style shows one: on paper always the light one, which a `picture` with a
    `source` would not see to in time. Where there is no dark one, the light one is always shown."""
    kinds = {"light": light, "dark": dark} if dark is not None else {"always": light}
    drawn = (tag("img", src=data_uri(each, "image/png"), alt=words, class_=kind) for kind, each in kinds.items())
    return tag("figure", *drawn, tag("figcaption", caption))
