"""What one path of a sweep takes: the values of a list, or those of a range.

    1e-3,1e-2           a list; text, lists in brackets and mappings may be among its values
    10:40:7             seven values from 10 to 40, both included
    log:1e-4:1e-1:7     the same with equal ratios
    0:20                whole numbers from 0 up to below 20, as in Python
    {from: 10, to: 40, n: 7, scale: log}

A config's `sweep` and the arguments of `synsim sweep` are read by the same rules.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import Any

from synsim import describe
from synsim.config.document import RANGE_KEYS
from synsim.config.yaml_source import Marked, read, resolve
from synsim.faults import ConfigError, Fault, Mark, Path, dotted
from synsim.spec import Range
from synsim.values import shown

MOST_POINTS = 1_000_000
"""Points of one sweep at the most."""

FORMS = "a list, a range such as 10:40:7 or log:1e-4:1e-1:7, or {from: 10, to: 40, n: 7}"


@dataclass(frozen=True)
class Values:
    """What a path takes: the values of a list, each with its place, or a range; and where that stands."""

    listed: tuple[Marked, ...]
    range: Range | None
    at: Marked

    @cached_property
    def _by_key(self) -> dict[str, Marked]:
        return {key_of(each.value): each for each in reversed(self.listed)}

    def count(self) -> int:
        """How many values there are; a range that is only an interval counts 0."""
        if self.range is None:
            return len(self.listed)
        if self.range.n is not None:
            return self.range.n
        return int(self.range.last - self.range.first) if is_counting(self.range) else 0

    def values(self) -> tuple[Any, ...]:
        """All of them, in order; none of a range that is only an interval."""
        return tuple(each.value for each in self.listed) if self.range is None else values_of(self.range)

    def placed(self, value: Any) -> Marked:
        """A value of a range with the place of the range; one of a list with its own."""
        if self.range is None:
            return self._by_key[key_of(value)]
        return Marked(value, {}, {(): self.at.values[()]} if () in self.at.values else {})


class BadRange(ValueError):
    """What is wrong in the text of a range, and how many characters stand before it."""

    def __init__(self, message: str, at: int = 0):
        super().__init__(message)
        self.at = at


def read_argument(text: str, before: int, source: str) -> Values:
    """The VALUES of an argument PATH=VALUES that begins `before` characters earlier. Raises ConfigError."""
    at = Mark(1, before + 1, source, before + 1)
    alone = Marked(text, {}, {(): at})
    if "${" in text:
        raise ConfigError(_fault(alone, (), "a sweep names its values itself: write them out in place of ${…}."))
    if not text.strip():
        raise ConfigError(_fault(alone, (), f"there are no values: write {FORMS}."))
    if _is_range(text.strip()):
        spaces = len(text) - len(text.lstrip())
        return values_of_plain(Marked(text.strip(), {}, {(): at.moved(spaces, source)}), ())
    # as a list in brackets, or as what stands in brackets already
    bracketed = _closes_where_it_ends(text)
    try:
        given = read(text if bracketed else f"[{text}]", source)
    except ConfigError as error:
        moved = [_moved(fault, before - (not bracketed), source) for fault in error.faults]
        raise ConfigError(moved) from None
    moved_by = before if bracketed else before - 1
    given.keys = {path: mark.moved(moved_by, source) for path, mark in given.keys.items()}
    given.values = {path: mark.moved(moved_by, source) for path, mark in given.values.items()}
    given.values[()] = at
    if isinstance(given.value, list) and text.rstrip().endswith(","):
        end = len(text.rstrip())
        raise ConfigError(Fault("a value is missing after the comma.", (), 1, before + end + 1, source))
    if isinstance(given.value, dict) and not set(given.value) & set(RANGE_KEYS):
        given = _one_of(given)  # a mapping is a value
    return values_of_plain(given, ())


def _moved(fault: Fault, columns: int, source: str) -> Fault:
    if "expected the node content, but found ','" in fault.message:
        fault = replace(fault, message="a value is missing before this comma.")
    mark = Mark(fault.line or 1, fault.column or 1).moved(columns, source)
    return Fault(fault.message, (), mark.line, max(1, mark.column), source)


def _one_of(given: Marked) -> Marked:
    return Marked(
        [given.value],
        {(0, *path): mark for path, mark in given.keys.items()},
        {(): given.values[()], **{(0, *path): mark for path, mark in given.values.items()}},
    )


def _closes_where_it_ends(text: str) -> bool:
    """Whether a text is one list or mapping in brackets, and not [1, 2],[3, 4]; one that is never closed is, too."""
    text = text.strip()
    if text[:1] not in ("[", "{"):
        return False
    depth, quote = 0, ""
    for place, each in enumerate(text):
        if quote:
            quote = "" if each == quote else quote
        elif each in "'\"":
            quote = each
        elif each in "[{":
            depth += 1
        elif each in "]}":
            depth -= 1
            if depth == 0:
                return place == len(text) - 1
    return True


def values_of_plain(given: Marked, path: Path) -> Values:
    """The values that a list, a range as text or as a mapping stands for. `path` is where faults are found that have
    no line. Raises ConfigError."""
    value = given.value
    if isinstance(value, list):
        if not value:
            raise ConfigError(_fault(given, path, "the list is empty: a sweep needs at least one value."))
        if len(value) > MOST_POINTS:
            raise ConfigError(_fault(given, path, f"a sweep has at most {MOST_POINTS:,} points."))
        return Values(tuple(_items(given)), None, given)
    if isinstance(value, str) and _is_range(value):
        try:
            return Values((), range_of(value), given)
        except BadRange as bad:
            raise ConfigError(_fault(given, path, str(bad), bad.at)) from None
    if isinstance(value, dict):
        return Values((), _of_mapping(given, path), given)
    got = "nothing" if value is None else shown(value)
    raise ConfigError(_fault(given, path, f"{dotted(path)} must be {FORMS}, not {got}."))


def _items(given: Marked) -> list[Marked]:
    """The entries of a list, each with its own places."""
    items = [Marked(value, {}, {}) for value in given.value]
    for name in ("keys", "values"):
        for inner, mark in getattr(given, name).items():
            if inner:
                getattr(items[int(inner[0])], name)[inner[1:]] = mark
    for item in items if () in given.values else ():  # what let brought there stands where it is asked for
        item.values.setdefault((), given.values[()])
    return items


def _fault(given: Marked, path: Path, message: str, inside: int | None = None, inner: Path = ()) -> Fault:
    mark = given.values.get(inner) or given.keys.get(inner) or given.values.get(())
    if mark is None:
        return Fault(message, (*path, *inner))
    column = mark.column if inside is None or mark.inside is None else mark.inside + inside
    return Fault(message, (*path, *inner), mark.line, column, mark.source)


# ranges -----------------------------------------------------------------------------------------------------------


def _is_range(text: str) -> bool:
    """Whether a text is meant for a range: it starts as one."""
    first, colon, rest = text.partition(":")
    return bool(colon) and "," not in rest and (first == "log" or _number(first) is not None)


def _number(text: str) -> int | float | None:
    try:
        number = resolve(text.strip())
    except ValueError:
        return None
    return number if isinstance(number, int | float) and not isinstance(number, bool) else None


def range_of(text: str) -> Range:
    """The range that a text stands for. Raises BadRange."""
    log = text.startswith("log:")
    pieces = text.split(":")[1:] if log else text.split(":")
    at = [4 if log else 0]
    for piece in pieces:
        at.append(at[-1] + len(piece) + 1)
    if len(pieces) not in (2, 3):
        raise BadRange("a range is from:to:n, as 10:40:7, or log:from:to:n; put text that holds a colon in quotes.")
    numbers = [_number(piece) for piece in pieces]
    for piece, number, place in zip(pieces, numbers, at, strict=False):
        if number is None:
            raise BadRange(
                f"{piece[:40]!r} is no number: a range is from:to:n, as 10:40:7, or log:from:to:n; put text that holds "
                "a colon in quotes.",
                place,
            )
        if not math.isfinite(number):
            raise BadRange(f"a range goes from one finite number to another, not to {shown(number)}.", place)
    n = numbers[2] if len(numbers) == 3 else None
    if n is not None and (not isinstance(n, int) or n < 1):
        raise BadRange(f"the number of values must be a whole number of at least 1, not {pieces[2].strip()}.", at[2])
    assert numbers[0] is not None and numbers[1] is not None and not isinstance(n, float)
    found = Range(first=numbers[0], last=numbers[1], n=n, scale="log" if log else "linear")
    _refuse_impossible(found, at[2] if len(pieces) == 3 else 0)
    return found


def _of_mapping(given: Marked, path: Path) -> Range:
    table = dict(describe.settings_of(Range))
    table["from"], table["to"] = (replace(table.pop(old), name=new) for old, new in (("first", "from"), ("last", "to")))
    clean, wrongs = describe.check_settings(table, given.value, noun="key")
    faults = []
    for wrong in wrongs:
        if not wrong.path:  # one of its ends is missing
            wrong = replace(wrong, sentence=f"needs {wrong.sentence.split()[1].rstrip(':,')!r}")
        about = dotted(wrong.path[:-1] if wrong.at_key and not wrong.subject else wrong.path)
        end = "" if wrong.sentence.endswith((".", "?")) else "."
        words = f"{about} {wrong.sentence}{end}" if about else f"a range {wrong.sentence}{end}"
        marks = given.keys if wrong.at_key else given.values
        mark = marks.get(wrong.path) or given.values.get(())
        inner = (*path, *wrong.path)
        faults.append(Fault(words, inner, mark.line, mark.column, mark.source) if mark else Fault(words, inner))
    if faults:
        raise ConfigError(faults)
    written = given.value  # whole numbers stay whole
    found = Range(first=written["from"], last=written["to"], n=clean.get("n"), scale=clean.get("scale", "linear"))
    try:
        _refuse_impossible(found, None)
    except BadRange as bad:
        raise ConfigError(_fault(given, path, str(bad), inner=("n",) if found.n else ())) from None
    return found


def _refuse_impossible(found: Range, at: int | None) -> None:
    at = at or 0
    if found.n is not None and found.n > MOST_POINTS:
        raise BadRange(f"a sweep has at most {MOST_POINTS:,} points, not {found.n:,}.", at)
    if found.scale == "log" and not found.first * found.last > 0:
        raise BadRange(
            f"a log range cannot go through 0, as from {found.first} to {found.last}: "
            "both its ends must lie on one side of it."
        )
    if found.n is None and is_counting(found):
        if found.last <= found.first:
            raise BadRange(
                f"{found.first}:{found.last} has no values: it counts from {found.first} up to below {found.last}."
            )
        if found.last - found.first > MOST_POINTS:
            raise BadRange(f"a sweep has at most {MOST_POINTS:,} points, not {found.last - found.first:,}.")


def is_counting(found: Range) -> bool:
    """Whether a range without a count is one of whole numbers."""
    return found.n is None and found.scale == "linear" and isinstance(found.first, int) and isinstance(found.last, int)


def needs_count(found: Range) -> str | None:
    """What is wrong with a range that has no count where it needs one."""
    if found.n is not None or is_counting(found):
        return None
    start = f"{'log:' if found.scale == 'log' else ''}{found.first}:{found.last}"
    why = "" if found.scale == "log" else "; without one a range counts whole numbers, as 0:20"
    return f"the range {start} needs a count: write {start}:7 for seven values, both ends included{why}."


def values_of(found: Range) -> tuple[int | float, ...]:
    """The values of a range, in order. Whole ends give whole numbers where all come out whole; the others are the
    nearest to what exact arithmetic with the written decimals gives, so that 0.1:0.7:7 has 0.3 in it."""
    if found.n is None:
        return tuple(range(int(found.first), int(found.last))) if is_counting(found) else ()
    if found.n == 1:
        return (found.first,)
    steps = found.n - 1
    if found.scale == "log":
        sign = 1.0 if found.first > 0 else -1.0
        low, high = math.log(abs(found.first)), math.log(abs(found.last))
        inner = [sign * math.exp(low + (high - low) * place / steps) for place in range(1, steps)]
        values = [found.first, *(float(f"{each:.12g}") for each in inner), found.last]
        if isinstance(found.first, int) and isinstance(found.last, int) and all(int(each) == each for each in values):
            return tuple(int(each) for each in values)
    else:
        first, last = (Fraction(repr(each)) for each in (found.first, found.last))
        below = math.lcm(first.denominator, last.denominator)
        a, b = int(first * below), int(last * below)
        tops = [a * steps + (b - a) * place for place in range(found.n)]
        if isinstance(found.first, int) and isinstance(found.last, int) and not any(top % steps for top in tops):
            return tuple(top // steps for top in tops)
        values = [top / (below * steps) for top in tops]
    return tuple(float(each) for each in values)


def representatives(values: Values) -> list[tuple[int, Any, Marked]]:
    """The values to check, each with its number and where it stands: all of a list; of a range its ends, and one that
    is no whole number where there is one, for bounds are intervals."""
    if values.range is None:
        return [(place, each.value, each) for place, each in enumerate(values.listed)]
    every = values_of(values.range) or (values.range.first, values.range.last)
    inner = ((place, each) for place, each in enumerate(every[1:-1], 1) if isinstance(each, float))
    found = next((pair for pair in inner if not pair[1].is_integer()), None)
    chosen = dict([found] if found else []) | {0: every[0], len(every) - 1: every[-1]}
    return [(place, each, values.placed(each)) for place, each in chosen.items()]


def duplicates(items: Sequence[Marked]) -> list[Marked]:
    """Entries of a list that stand in it before."""
    seen: set[str] = set()
    found = []
    for each in items:
        key = key_of(each.value)
        if key in seen:
            found.append(each)
        seen.add(key)
    return found


def key_of(value: Any) -> str:
    """A text that is the same for equal values, and another for true and 1."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return repr(float(value)) if abs(value) < 2**53 else repr(value)
    if isinstance(value, list):
        return f"[{','.join(key_of(each) for each in value)}]"
    if isinstance(value, dict):
        return f"{{{','.join(f'{key!r}:{key_of(each)}' for key, each in sorted(value.items()))}}}"
    return repr(value)
