"""What a wire reads: sums, differences and products of compartments, data entries and numbers.

    sum     = product {("+" | "-") product}
    product = factor {"*" factor}
    factor  = "-" factor | number | name ["." name] | "(" sum ")"

A wire is a tree of tuples: ("read", "W", "outputs"), ("data", "digits"), ("number", 12.5), ("add", a, b),
("sub", a, b), ("mul", a, b), ("neg", a). Nothing is evaluated here, and nothing else can be said.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Wire = tuple[Any, ...]
"""A node of the tree; its first entry says which."""

MOST_TERMS = 256
MOST_DEPTH = 32

_TOKEN = re.compile(
    r"""\s*(?:
    (?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?)(?![A-Za-z0-9_.])
  | (?P<name>[A-Za-z][A-Za-z0-9_]*(?:\.[A-Za-z0-9_.]*)?)
  | (?P<sign>[-+*()])
  | (?P<end>\Z)
  | (?P<other>[^\s+\-*()]+)
)""",
    re.VERBOSE | re.ASCII,
)


class BadExpression(ValueError):
    """An expression that cannot be read; `at` is the place in the text, from 0."""

    def __init__(self, sentence: str, at: int):
        self.sentence, self.at = sentence, at
        super().__init__(sentence)


@dataclass(frozen=True)
class Token:
    """One word of an expression and where it starts."""

    kind: str
    text: str
    at: int


@dataclass(frozen=True)
class Source:
    """A name that an expression reads, with its place: a data entry, or a component's compartment."""

    text: str
    at: int


def parse(text: str) -> tuple[Wire, list[Source]]:
    """The tree of an expression, and every name in it with its place. Raises BadExpression."""
    parser = _Parser(text)
    wire = parser.sum(0)
    if parser.next.kind != "end":
        raise parser.unexpected()
    return wire, parser.sources


def written(wire: Wire) -> str | float:
    """A wire as text that `parse` reads back to the same tree, or a number."""
    if wire[0] == "number":
        return wire[1]
    return _written(wire, 0)


_STRENGTH = {"add": 1, "sub": 1, "mul": 2, "neg": 3}
_SIGN = {"add": " + ", "sub": " - ", "mul": " * "}


def _written(wire: Wire, around: int) -> str:
    kind = wire[0]
    if kind == "read":
        return f"{wire[1]}.{wire[2]}"
    if kind == "data":
        return wire[1]
    if kind == "number":
        return repr(wire[1]) if wire[1] >= 0 else f"({wire[1]!r})"
    strength = _STRENGTH[kind]
    if kind == "neg":
        text = f"-{_written(wire[1], strength)}"
    else:
        # a right operand of the same strength keeps its parentheses: a - (b - c)
        text = f"{_written(wire[1], strength)}{_SIGN[kind]}{_written(wire[2], strength + 1)}"
    return f"({text})" if strength < around else text


def reads(wire: Wire) -> Iterator[Wire]:
    """Every ("read", component, compartment) and ("data", entry) in a wire, from left to right."""
    if wire[0] in ("read", "data"):
        yield wire
    elif wire[0] != "number":
        for operand in wire[1:]:
            yield from reads(operand)


class _Parser:
    """Recursive descent, one token ahead."""

    def __init__(self, text: str):
        self.tokens = _tokens(text)
        self.next = next(self.tokens)
        self.sources: list[Source] = []
        self.terms = 0

    def take(self) -> Token:
        token = self.next
        self.next = next(self.tokens, token)
        return token

    def unexpected(self) -> BadExpression:
        token = self.next
        if token.kind == "end":
            return BadExpression("ends too early: a name, a number or ')' is missing", token.at)
        if token.kind == "other":
            if token.text.startswith("/"):
                return BadExpression("cannot divide: multiply by a number, as 0.5 * z.s", token.at)
            return BadExpression(
                f"has a {token.text!r} that it cannot read: it knows names, numbers, + - * and parentheses", token.at
            )
        return BadExpression(f"has {token.text!r} where +, - or * should stand", token.at)

    def sum(self, depth: int) -> Wire:
        wire = self.product(depth)
        while self.next.text in ("+", "-"):
            kind = "add" if self.take().text == "+" else "sub"
            wire = (kind, wire, self.product(depth))
        return wire

    def product(self, depth: int) -> Wire:
        wire = self.factor(depth)
        while self.next.text == "*":
            self.take()
            wire = ("mul", wire, self.factor(depth))
        return wire

    def factor(self, depth: int) -> Wire:
        token = self.next
        self.terms += 1
        if self.terms > MOST_TERMS or depth > MOST_DEPTH:
            raise BadExpression(f"is too long: at most {MOST_TERMS} terms and {MOST_DEPTH} levels", token.at)
        if token.kind == "number":
            self.take()
            number = float(token.text)
            if not math.isfinite(number):
                raise BadExpression("has a number that is too large", token.at)
            return ("number", number)
        if token.kind == "name":
            self.take()
            self.sources.append(Source(token.text, token.at))
            component, dot, compartment = token.text.removeprefix("components.").partition(".")
            return ("read", component, compartment) if dot else ("data", component)
        if token.text == "-":
            self.take()
            inner = self.factor(depth + 1)
            return ("number", -inner[1]) if inner[0] == "number" else ("neg", inner)
        if token.text == "(":
            self.take()
            wire = self.sum(depth + 1)
            if self.next.text != ")":
                raise self.unexpected() if self.next.kind != "end" else BadExpression("lacks a ')'", self.next.at)
            self.take()
            return wire
        if token.kind == "sign":
            raise BadExpression(f"has {token.text!r} where a name or a number should stand", token.at)
        raise self.unexpected()


def _tokens(text: str) -> Iterator[Token]:
    at = 0
    while True:
        match = _TOKEN.match(text, at)
        assert match is not None  # `end` and `other` take whatever is left
        kind = match.lastgroup or "end"
        yield Token(kind, match.group(kind), match.start(kind))
        if kind == "end":
            return
        at = match.end()
