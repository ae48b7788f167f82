"""Configs in colours: not a letter is lost or added, whatever they hold, and long ones take no long time."""

from __future__ import annotations

import html
import json
import random
import re
import time
from pathlib import Path

import pytest

import synsim
from synsim.config import load
from synsim.report.config_colours import coloured

CONFIGS = sorted((Path(synsim.__file__).parent.parent / "configs").glob("*.yaml"))
_SPAN = re.compile(r'<span class="(key|number|word|text|plain|comment|mark|insert)">|</span>')


def plain(markup: str) -> str:
    left = _SPAN.sub("", markup)
    assert "<" not in left and ">" not in left
    return html.unescape(left)


def kinds(text: str) -> list[tuple[str, str]]:
    found = re.findall(r'<span class="(\w+)">([^<]*)</span>', coloured(text))
    return [(kind, html.unescape(inner)) for kind, inner in found]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_the_text_is_what_it_was(path):
    text = path.read_text()
    assert plain(coloured(text)) == text
    resolved = json.dumps(load(path).resolved(), indent=1)
    assert plain(coloured(resolved)) == resolved


def test_whatever_is_written_stays():
    draw = random.Random(2)
    for _ in range(400):
        text = "".join(draw.choice("ab1 \n\t'\"#:{}[],-?$&<>é%.") for _ in range(draw.randint(0, 120)))
        assert plain(coloured(text)) == text


def test_kinds_of_words_have_classes():
    found = kinds('name: stdp  # of "cells"\nn: 1e-3\nW: {on: true, t: "${x}", u: \'a\', v: 0:10}\nurl: a#b\n')
    assert found[:5] == [("key", "name"), ("mark", ":"), ("plain", "stdp"), ("comment", '# of "cells"'), ("key", "n")]
    assert ("number", "1e-3") in found and ("word", "true") in found and ("insert", "${x}") in found
    assert ("text", "'a'") in found and ("comment", "#b") not in found
    assert ("key", '"a"') in kinds('{"a": 1}')


@pytest.mark.parametrize("piece", ["'", '"', "#", "a", ":", "- ", "${", "\\", "[", "a ", "''a", '"\\'])
def test_time_grows_with_length_only(piece):
    text = piece * ((1 << 17) // len(piece))  # what takes time that grows with the square takes a minute
    before = time.process_time()
    coloured(text)
    assert time.process_time() - before < 10
