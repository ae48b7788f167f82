"""Mutations of every config by key, value, nesting and bytes: a clean error at the place, or a config that runs."""

from __future__ import annotations

import random
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from conftest import choose

import synsim
from synsim.faults import ConfigError, Fault, render

CONFIGS = sorted((Path(__file__).parent.parent / "configs").glob("*.yaml"))
COUNT = choose(120, 500, 20_000)
STRIPES = choose(1, 4, 40)  # tests that share them, so that several processes can
AT_THE_PLACE = 0.95  # of those that are refused
PAST_YAML = 0.30


@dataclass(frozen=True)
class Mutation:
    """A changed text; `lines` are those that hold what was changed, `words` what it was called before and after."""

    kind: str
    text: bytes
    lines: range
    words: tuple[str, ...] = ()


@dataclass(frozen=True)
class Entry:
    """A key of a mapping or an element of a list, by its place in the text."""

    key: yaml.ScalarNode | None
    value: yaml.Node
    parent: yaml.Node


def entries(node: yaml.Node) -> list[Entry]:
    found = []
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            found += [Entry(key, value, node), *entries(value)]
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            found += [Entry(None, value, node), *entries(value)]
    return found


VALUES = [
    "-1", "0", "1", "3", "-0.5", "1e-3", "1e400", "-1e30", "123456789012345678901234567890", "0x10", "1_000", ".nan",
    "-.inf", "NaN", "true", "no", "null", "~", '""', "''", "abc", "z", "z.s", "z.v.w", "a b", '"1"', "12:30",
    "2026-01-01", "[]", "{}", "[1, 2]", "[[1], [2, 3]]", "{type: uniform, low: 0, high: 1}", "{type: nothing}",
    "{a: {b: {c: 1}}}",
    '"${x}"', '"${"', '"${let.x}"', "x.outputs + ", "2 * (3", "'0:10'", "'10:0'", "LIFCell", "../../etc/passwd",
    "&a 1", "*a", "!!python/object:os.system 1", "!x 1", "<<", "|", ">\n", "'", '"', "{", "]", "%", "@", "`", "#",
    "\u0663", "e\u0301", "\u202e1", "x" * 3000, "[" * 60 + "]" * 60, "9" * 400,
]  # fmt: skip
KEYS = [
    "",
    "typ",
    "Type",
    "type",
    "1",
    "null",
    "z.s.t",
    "a b",
    "é",
    "<<",
    "x" * 300,
    "'",
    "- a",
    "? a",
    "?",
    "__class__",
]


def misspelt(word: str, chance: random.Random) -> str:
    if not word:
        return "q"
    at = chance.randrange(len(word))
    other = chance.choice("abcxyzABC_019.-")
    return chance.choice(
        [word[:at] + word[at + 1 :], word[:at] + other + word[at:], word[:at] + other + word[at + 1 :]]
    )


def replaced(text: str, first: int, last: int, by: str) -> tuple[str, range]:
    """The text with a piece replaced, and the lines that hold the new one."""
    begin = text.count("\n", 0, first) + 1
    return text[:first] + by + text[last:], range(begin, begin + by.count("\n") + 1)


def ends(node: yaml.Node, text: str) -> int:
    """Where a node ends; that of a block is set where the next one begins, past blank lines and comments."""
    piece = text[node.start_mark.index : node.end_mark.index]
    if isinstance(node, yaml.CollectionNode) and not node.flow_style:
        kept = []
        for line in piece.split("\n"):
            kept.append(line)
        while kept and (not kept[-1].strip() or kept[-1].lstrip().startswith("#")):
            kept.pop()
        return node.start_mark.index + len("\n".join(kept))
    return node.end_mark.index


def mutated(text: str, chance: random.Random) -> Mutation:
    kind = chance.choice(["key", "key", "value", "value", "value", "nesting", "nesting", "bytes"])
    if kind == "bytes":
        return in_bytes(text, chance)
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    entry = chance.choice(entries(root))
    key, value = entry.key, entry.value
    first, last = value.start_mark.index, ends(value, text)
    begin = (key or value).start_mark.index
    words = tuple(node.value for node in (key, value) if isinstance(node, yaml.ScalarNode) and node.value)
    if kind == "key" and key is not None:
        what = chance.choice(["misspelt", "misspelt", "other", "twice", "gone"])
        if what == "gone":
            block = not entry.parent.flow_style
            stop = last
            if not block:
                comma = re.match(r"\s*,\s*", text[stop:])
                stop += comma.end() if comma else 0
            changed, lines = replaced(text, begin, stop, "")
            # what is missing is said at the mapping that lacks it, or where its name is read
            above = range(entry.parent.start_mark.line, lines.stop + 1)
            return Mutation(f"{kind} gone", changed.encode(), above, words)
        if what == "twice":
            block = not entry.parent.flow_style
            gap = "\n" + " " * key.start_mark.column if block else ", "
            piece = text[begin:last]
            changed, lines = replaced(text, last, last, gap + piece)
            return Mutation(
                f"{kind} twice",
                changed.encode(),
                range(key.start_mark.line + 1, lines.stop + piece.count("\n") + 1),
                words,
            )
        new = chance.choice(KEYS) if what == "other" else misspelt(key.value, chance)
        changed, lines = replaced(text, begin, key.end_mark.index, new)
        inner = range(lines.start, lines.stop + text[begin:last].count("\n"))
        return Mutation(
            f"{kind} {what}",
            changed.encode(),
            inner if what == "other" else range(entry.parent.start_mark.line, inner.stop),
            (*words, new),
        )
    if kind == "nesting":
        piece = text[first:last]
        what = chance.choice(["in a list", "in a mapping", "a mapping's place", "moved in", "moved out", "another's"])
        if what in ("in a list", "in a mapping") and "\n" not in piece:
            by = f"[{piece}]" if what == "in a list" else f"{{inner: {piece}}}"
        elif what in ("moved in", "moved out"):
            line = begin - (begin - text.rfind("\n", 0, begin) - 1)
            by_space = "  " if what == "moved in" else ""
            cut = 0 if what == "moved in" else min(2, len(text[line:]) - len(text[line:].lstrip(" ")))
            changed, lines = replaced(text, line, line + cut, by_space)
            return Mutation(
                f"{kind} {what}",
                changed.encode(),
                range(max(1, lines.start - 1), lines.stop + piece.count("\n") + 2),
                words,
            )
        else:
            other = chance.choice(entries(root)).value
            by = text[other.start_mark.index : ends(other, text)]
            by = by if "\n" not in by else "{a: 1}"
    else:
        what = chance.choice(["other", "other", "misspelt"])
        by = (
            misspelt(text[first:last], chance)
            if what == "misspelt" and isinstance(value, yaml.ScalarNode)
            else chance.choice(VALUES)
        )
    changed, lines = replaced(text, first, last, by)
    start = text.count("\n", 0, begin) + 1
    return Mutation(f"{kind} {what}", changed.encode(), range(start, lines.stop), (*words, by))


def in_bytes(text: str, chance: random.Random) -> Mutation:
    data = bytearray(text.encode())
    at = chance.randrange(len(data))
    what = chance.choice(["flipped", "added", "removed", "cut", "tab", "swapped"])
    if what == "flipped":
        data[at] ^= 1 << chance.randrange(8)
    elif what == "added":
        data.insert(at, chance.randrange(256))
    elif what == "removed":
        del data[at]
    elif what == "cut":
        del data[at:]
    elif what == "tab":
        data.insert(at, 9)
    else:
        data[at : at + 2] = data[at : at + 2][::-1]
    line = bytes(data[:at]).count(b"\n") + 1
    before = text.encode()[:at].rpartition(b"\n")[2].decode(errors="replace")
    after = text.encode()[at:].partition(b"\n")[0].decode(errors="replace")
    # what a cut takes away is missing at the end, or from the whole
    lines = range(1, line + 2) if what == "cut" else range(max(1, line - 1), line + 2)
    return Mutation(f"bytes {what}", bytes(data), lines, tuple(re.findall(r"[\w.]+", before + after)))


def at_the_place(one: Mutation, faults: list[Fault]) -> bool:
    """Whether a fault stands where the text was changed, or where something is named that was changed."""
    text = one.text.decode(errors="replace").split("\n")
    for fault in faults:
        if fault.line is None:
            continue
        if fault.line in one.lines:
            return True
        line = text[fault.line - 1] if fault.line <= len(text) else ""
        pointed = re.match(r"[\"'\w.]*", line[max(0, (fault.column or 1) - 1) :])
        told = {
            *re.findall(r"[\w.]+", fault.message),
            *re.findall(r"\w+", fault.message),
            pointed[0] if pointed else "",
        }
        if told & {part for word in one.words for part in (word, *word.split(".")) if part}:
            return True
    return False


def faults_of(path: Path, one: Mutation) -> list[Fault]:
    """What `synsim check` would say of it, in the folder of the config, whose files it names."""
    try:
        spec = synsim.load(str(path), text=one.text, folder=path.parent)
    except ConfigError as error:
        return error.faults
    try:
        synsim.check(spec)
    except ConfigError as error:
        return [spec.locate(fault) for fault in error.faults]
    return []


@pytest.mark.parametrize("stripe", range(STRIPES))
def test_every_mutation_is_refused_at_its_place_or_runs(stripe):
    chance = random.Random(1000 + stripe)
    counts: Counter[str] = Counter()
    elsewhere = []
    for number in range(COUNT // STRIPES):
        path = CONFIGS[(number + stripe) % len(CONFIGS)]
        one = mutated(path.read_text(), chance)
        try:
            text = one.text.decode()
            yaml.compose(text, Loader=yaml.SafeLoader)
            counts["past yaml"] += 1
        except (UnicodeDecodeError, yaml.YAMLError, ValueError, RecursionError):
            pass
        faults = faults_of(path, one)
        counts["refused" if faults else "runs"] += 1
        if faults:
            lines = render(faults)
            assert lines and all("\n" not in line for line in lines), (one, lines)
            if not at_the_place(one, faults):
                elsewhere.append((path.name, one.kind, one.words[-2:], list(one.lines)[:3], lines[:2]))
    assert counts["past yaml"] >= PAST_YAML * sum(counts[name] for name in ("runs", "refused"))
    assert counts["refused"] > 0.3 * COUNT // STRIPES and counts["runs"] > 0, counts
    assert len(elsewhere) <= (1 - AT_THE_PLACE) * counts["refused"], (counts, elsewhere)
