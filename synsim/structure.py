"""Who is connected with whom: pairs of units, drawn on the host from a counter-based generator.

Time and memory grow with the number of synapses, not with that of possible pairs. Pairs come ordered by the presynaptic
and then the postsynaptic unit, so that the same draw is the same arrays.
"""

from __future__ import annotations

import math
import zlib
from typing import NamedTuple

from synsim.later import np

BLOCK = 1 << 22  # pairs that are drawn at once: their keys take 32 MiB


class Pairs(NamedTuple):
    """Synapses by number: the unit before and the unit behind each."""

    pre: np.ndarray
    post: np.ndarray


def generator(seed: int, component: str, what: str) -> np.random.Generator:
    """The generator of one structure of one component."""
    words = [seed, zlib.crc32(component.encode()), zlib.crc32(what.encode())]
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(words)))


def ordered(pre: np.ndarray, post: np.ndarray) -> Pairs:
    """Pairs in their order."""
    order = np.lexsort((post, pre))
    return Pairs(pre[order].astype(np.int32), post[order].astype(np.int32))


# ---------------------------------------------------------------------------------------------------------- drawing


def each_row(
    random: np.random.Generator, counts: np.ndarray, columns: int, *, repeated: bool, without_diagonal: bool = False
) -> Pairs:
    """counts[i] pairs (i, j) for each i, with j among `columns`: all different unless `repeated`, and never i itself
    where that is left out."""
    if without_diagonal:
        pairs = each_row(random, counts, columns - 1, repeated=repeated)
        return Pairs(pairs.pre, pairs.post + (pairs.post >= pairs.pre))  # j = i is jumped over
    rows, columns_of = [], []
    for first, last in _blocks(counts):
        some = counts[first:last]
        pre, post = _repeated(random, some, columns) if repeated else _different(random, some, columns)
        rows.append((pre + first).astype(np.int32))
        columns_of.append(post.astype(np.int32))
    return Pairs(np.concatenate(rows), np.concatenate(columns_of))


def _blocks(counts: np.ndarray) -> list[tuple[int, int]]:
    """Rows that are drawn together."""
    if not len(counts):
        return [(0, 0)]
    of = np.cumsum(counts, dtype=np.int64) // BLOCK
    starts = [0, *(np.flatnonzero(np.diff(of)) + 1)]
    return list(zip(map(int, starts), [*map(int, starts[1:]), len(counts)], strict=True))


def _repeated(random: np.random.Generator, counts: np.ndarray, columns: int) -> tuple[np.ndarray, np.ndarray]:
    keys = np.repeat(np.arange(len(counts), dtype=np.int64), counts) * columns
    keys += random.integers(0, columns, len(keys))
    keys.sort()
    return np.divmod(keys, columns)


def _different(random: np.random.Generator, counts: np.ndarray, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """Drawn one after another until there are as many different ones: any set is as likely as any other.

    Where more than half of the columns are taken, those that are not are drawn.
    """
    many = counts * 2 > columns
    keys = _different_keys(random, np.where(many, columns - counts, counts), columns)
    if many.any():
        rows = np.flatnonzero(many)
        taken = np.ones((len(rows), columns), bool)
        place = np.full(len(counts), -1)
        place[rows] = np.arange(len(rows))
        of = keys // columns
        left_out = many[of]
        taken[place[of[left_out]], keys[left_out] % columns] = False
        row, column = np.nonzero(taken)
        keys = np.sort(np.concatenate([keys[~left_out], rows[row] * columns + column]))
    return np.divmod(keys, columns)


def _different_keys(random: np.random.Generator, counts: np.ndarray, columns: int) -> np.ndarray:
    rows = np.arange(len(counts), dtype=np.int64)
    keys = np.zeros(0, np.int64)
    lack = counts.astype(np.int64)
    while lack.any():
        new = np.repeat(rows, lack) * columns
        new += random.integers(0, columns, len(new))
        keys = np.sort(np.concatenate([keys, new]))  # in a third of the time of np.unique
        keys = keys[np.append(True, keys[1:] != keys[:-1])[: len(keys)]]
        lack = counts - np.bincount(keys // columns, minlength=len(counts))
    return keys


def by_chance(
    random: np.random.Generator, rows: int, columns: int, chance: float, *, without_diagonal: bool = False
) -> Pairs:
    """Every pair with the same probability, by the number that each row has and then which they are."""
    possible = columns - without_diagonal
    counts = random.binomial(possible, chance, size=rows)
    return each_row(random, counts, columns, repeated=False, without_diagonal=without_diagonal)


def in_all(
    random: np.random.Generator,
    total: int,
    rows: int,
    columns: int,
    *,
    repeated: bool,
    without_diagonal: bool = False,
) -> Pairs:
    """A number of pairs, each set of them as likely as any other."""
    possible = columns - without_diagonal
    if repeated:
        keys = np.sort(random.integers(0, rows * possible, total))
    else:
        few = min(total, rows * possible - total)
        keys = _different_keys(random, np.array([few]), rows * possible)
        if few < total:
            taken = np.ones(rows * possible, bool)
            taken[keys] = False
            keys = np.flatnonzero(taken)
    pre, post = np.divmod(keys, possible)
    if without_diagonal:
        post = post + (post >= pre)
    return Pairs(pre.astype(np.int32), post.astype(np.int32))


def by_matrix(random: np.random.Generator, rows: int, columns: int, chance: float) -> Pairs:
    """The pairs that a matrix of uniform numbers below `chance` has, which is drawn some rows at a time."""
    found = []
    step = max(1, BLOCK // max(1, columns))
    for first in range(0, rows, step):
        pre, post = np.nonzero(random.random((min(step, rows - first), columns)) < chance)
        found.append(Pairs((pre + first).astype(np.int32), post.astype(np.int32)))
    return Pairs(*(np.concatenate(side) for side in zip(*found, strict=True)))


# ---------------------------------------------------------------------------------------------------------- arrays


def most_of(trials: int, chance: float) -> int:
    """A number that a binomial count stays below: six standard deviations above its mean, and some more where it is
    so small that its tail is not that of a normal one. Among a million rows not one is longer in a million runs."""
    mean = trials * chance
    return min(trials, math.ceil(mean + 6.0 * math.sqrt(mean * max(0.0, 1.0 - chance))) + 8)


def padded(pairs: Pairs, rows: int, length: int) -> tuple[np.ndarray, np.ndarray]:
    """The second units of each row side by side, (rows, length), with 0 behind the last; and how many each row has.

    Raises ValueError where a row has more than `length`.
    """
    counts = np.bincount(pairs.pre, minlength=rows)
    if len(counts) and counts.max(initial=0) > length:
        row = int(counts.argmax())
        raise ValueError(f"unit {row} got {counts[row]:,} synapses, and there is room for {length:,}")
    table = np.zeros((rows, length), np.int32)
    table[pairs.pre, _places(pairs.pre, counts)] = pairs.post
    return table, counts.astype(np.int32)


def slots(pairs: Pairs, rows: int, length: int) -> np.ndarray:
    """The place of each pair in the flat table of `padded`."""
    counts = np.bincount(pairs.pre, minlength=rows)
    return pairs.pre.astype(np.int64) * length + _places(pairs.pre, counts)


def _places(rows: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """How many of the same row stand before each."""
    first = np.concatenate([[0], np.cumsum(counts)[:-1]])
    return np.arange(len(rows)) - first[rows]
