"""`${env:NAME:-default}` in texts of a config: a variable of the environment, as text and nothing else.

What a variable holds is never read as YAML, as an expression or for further `${…}`. The default stands in where the
variable is unset or empty, as in a shell. `$${` is a `${` that stands for itself.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from synsim.config.yaml_source import MOST_BYTES
from synsim.values import shown

LONGEST = 4096  # characters of one value
_ENV = re.compile(r"\$\{\s*env:([^{}]*)\}")
_ANY = re.compile(r"\$\$\{|\$\{\s*env:[^{}]*\}|\$\{")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


class BadText(ValueError):
    """What is wrong in a text, and how many characters stand before it; None where it is the whole."""

    def __init__(self, message: str, at: int | None):
        super().__init__(message)
        self.at = at


@dataclass
class Environment:
    """The variables that a config asks for, and what they hold: None for one that is not set."""

    variables: Mapping[str, str] = field(default_factory=lambda: os.environ)
    used: dict[str, str | None] = field(default_factory=dict)
    _length: int = 0

    def fill(self, text: str) -> str:
        """A text with its variables put in place. Raises BadText for one that cannot be."""
        filled, end = [], 0
        for match in _ANY.finditer(text):
            filled.append(text[end : match.start()])
            end = match.end()
            if match[0] == "$${":
                filled.append("${")
            elif asked := _ENV.fullmatch(match[0]):
                filled.append(self._value(asked[1], match[0], match.start()))
            elif text[match.start() :].replace(" ", "").startswith("${env:"):
                raise BadText(
                    "${env:…} is never closed, or holds braces: write ${env:NAME} or ${env:NAME:-default}.",
                    match.start(),
                )
            else:
                raise BadText(f"${{name}} stands for a whole value, not for a piece of one: {shown(text)}.", None)
        return "".join([*filled, text[end:]])

    def _value(self, asked: str, written: str, at: int) -> str:
        name, has_default, default = asked.partition(":-")
        name = name.strip()
        if not _NAME.fullmatch(name):
            raise BadText(
                f"{_short(written)} names no variable: write ${{env:NAME}} or ${{env:NAME:-default}}, with a NAME of "
                "letters, digits and '_'.",
                at,
            )
        value = self.variables.get(name)
        if value is None and not has_default:
            raise BadText(
                f"the environment variable {name} is not set: set it, or write a default, ${{env:{name}:-default}}.", at
            )
        if value is not None and not _is_text(value):
            raise BadText(f"the environment variable {name} holds no UTF-8 text.", at)
        if value is not None and len(value) > LONGEST:
            raise BadText(f"the environment variable {name} has {len(value):,} characters, over {LONGEST:,}.", at)
        self.used[name] = value
        chosen = value if value or (value is not None and not has_default) else default
        self._length += len(chosen)
        if self._length > MOST_BYTES:
            raise BadText("what environment variables put into a config is over 1 MiB.", at)
        return chosen


def asks(text: str) -> list[str]:
    """The names of the variables that a text asks for."""
    return [match[1].partition(":-")[0].strip() for match in _ENV.finditer(text)]


def _is_text(value: str) -> bool:
    return not any("\ud800" <= each <= "\udfff" for each in value)


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:59]}…"
