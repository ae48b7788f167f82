"""How the words of a command line become arguments.

Newer versions of typer send every word through pydantic, whose import takes longer than all that it takes to say what
is wrong with a config. A text is a text without it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any


class _Text:
    """Reads text, lists of text and paths itself, and what was not given; sends anything else where typer does."""

    def __init__(self, annotation: Any, otherwise: Any):
        self.annotation, self.otherwise = annotation, otherwise

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        several = param.multiple or param.nargs == -1
        if value is None and not several:
            return None
        if self.annotation == list[str] and isinstance(value, list | tuple | None):
            return list(value or ())
        if self.annotation in (str, Path) and isinstance(value, str):
            return self.annotation(value)
        return self.otherwise().coerce(value, param=param, ctx=ctx)


def read_text_plainly(command: Any) -> None:
    """Lets a command and all its own read text without pydantic, where they would read it with."""
    for each in getattr(command, "commands", {}).values():
        read_text_plainly(each)
    usual = command.get_params
    command.get_params = lambda ctx: [_plain(param) for param in usual(ctx)]  # the option --help among them


def _plain(param: Any) -> Any:
    usual = getattr(param, "get_runtime_param", None)  # which not every version of typer has
    annotation = getattr(getattr(param, "type_descriptor", None), "annotation", None)
    if usual is not None and "get_runtime_param" not in vars(param):
        text = _Text(annotation, usual)
        param.get_runtime_param = lambda: text
    return param
