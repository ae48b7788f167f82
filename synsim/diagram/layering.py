"""Where boxes and the links between them stand in a picture, in layers from top to bottom.

After Sugiyama, Tagawa & Toda (1981): links that close a circle are turned round, boxes get layers, long links and
labels get places in the layers that they pass, each layer is ordered so that few links cross, and places move to the
means of their neighbours without overlapping. What is not connected is laid out for itself, side by side.
Nothing is random: equal input gives an equal picture.
"""

from __future__ import annotations

import math
from bisect import bisect_right, insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

GAP = 26.0  # between boxes of a layer
LINE_GAP = 16.0  # beside a line that passes a layer
LAYER_GAP = 16.0  # above and below a layer
PORT_GAP = 22.0
EXACT = 300  # boxes up to which every weak link is followed before it is turned round
ORDERINGS, MOVES = 24, 24
WIDE = 1000.0  # a shelf of pieces that are not connected

Point = tuple[float, float]


@dataclass(frozen=True)
class Box:
    """What is to be placed. `early` boxes are the tops of circles that have no other."""

    width: float
    height: float
    early: bool = True


@dataclass(frozen=True)
class Link:
    """A link between two boxes with a label of this size. Strong links decide what is above; weak ones follow."""

    tail: int
    head: int
    width: float = 0.0
    height: float = 0.0
    strong: bool = True


@dataclass(frozen=True)
class Placed:
    """A picture: the centres of boxes and labels, and for each link the points that it passes, tail first: between the
    first and the second it runs towards another layer, between the next two straight through one, and so on. A link of
    a box with itself has no points. `up` says which links run against the layers."""

    width: float
    height: float
    boxes: list[Point]
    labels: list[Point]
    routes: list[list[Point]]
    up: list[bool]


@dataclass
class _Place:
    """Something in a layer: a box, or a link that passes."""

    layer: int
    width: float
    box: int | None = None
    x: float = 0.0
    above: list[int] = field(default_factory=list)
    below: list[int] = field(default_factory=list)


def placed(boxes: Sequence[Box], links: Sequence[Link]) -> Placed:
    """Places for all boxes and links."""
    pieces = _pieces(len(boxes), links)
    whole = Placed(0, 0, [(0, 0)] * len(boxes), [(0, 0)] * len(links), [[] for _ in links], [False] * len(links))
    x = y = shelf = width = 0.0
    for members in pieces:
        own = [i for i, link in enumerate(links) if link.tail in members]
        place = {box: k for k, box in enumerate(sorted(members))}
        inner = [Link(place[links[i].tail], place[links[i].head], *_size(links[i])) for i in own]
        piece = _piece([boxes[box] for box in place], inner)
        if x and x + piece.width > WIDE:
            x, y, shelf = 0.0, y + shelf + 2 * LAYER_GAP, 0.0
        for box, k in place.items():
            whole.boxes[box] = _moved(piece.boxes[k], x, y)
        for k, i in enumerate(own):
            whole.labels[i] = _moved(piece.labels[k], x, y)
            whole.routes[i] = [_moved(point, x, y) for point in piece.routes[k]]
            whole.up[i] = piece.up[k]
        x += piece.width + GAP
        width, shelf = max(width, x - GAP), max(shelf, piece.height)
    return Placed(width, y + shelf, whole.boxes, whole.labels, whole.routes, whole.up)


def _size(link: Link) -> tuple[float, float, bool]:
    return link.width, link.height, link.strong


def _moved(point: Point, x: float, y: float) -> Point:
    return point[0] + x, point[1] + y


def _pieces(count: int, links: Iterable[Link]) -> list[set[int]]:
    """Boxes that are connected, in the order of their first."""
    near: list[set[int]] = [set() for _ in range(count)]
    for link in links:
        near[link.tail].add(link.head)
        near[link.head].add(link.tail)
    left, found = set(range(count)), []
    for start in range(count):
        if start in left:
            piece, front = {start}, [start]
            while front:
                new = {each for box in front for each in near[box]} - piece
                piece |= new
                front = list(new)
            left -= piece
            found.append(piece)
    return found


def _piece(boxes: Sequence[Box], links: Sequence[Link]) -> Placed:
    turned = _turned(boxes, links)
    ends = [(link.head, link.tail) if up else (link.tail, link.head) for link, up in zip(links, turned, strict=True)]
    ranks = _ranks(len(boxes), [pair for pair in ends if pair[0] != pair[1]])
    places, chains = _places(boxes, links, turned, ends, ranks)
    layers = _ordered(places, max((place.layer for place in places), default=0) + 1)
    _spread(places, layers)
    _straighten(places, chains, layers)
    return _drawn(boxes, links, turned, places, chains, layers)


# --- circles


def _turned(boxes: Sequence[Box], links: Sequence[Link]) -> list[bool]:
    """Which links are turned round, so that no circle is left: where strong links lead back to where they came from,
    and weak links that would lead back."""
    count = len(boxes)
    out: list[list[int]] = [[] for _ in range(count)]
    entered = [0] * count
    for i, link in enumerate(links):
        if link.strong and link.tail != link.head:
            out[link.tail].append(i)
            entered[link.head] += 1
    turned = [False] * len(links)
    state, finished = [0] * count, []
    order = sorted(range(count), key=lambda box: (entered[box] > 0, not boxes[box].early, box))
    for root in order:
        if state[root]:
            continue
        state[root] = 1
        stack = [(root, iter(out[root]))]
        while stack:
            box, rest = stack[-1]
            i = next(rest, None)
            if i is None:
                state[box] = 2
                finished.append(box)
                stack.pop()
            elif state[head := links[i].head] == 1:
                turned[i] = True
            elif state[head] == 0:
                state[head] = 1
                stack.append((head, iter(out[head])))
    place = {box: k for k, box in enumerate(reversed(finished))}
    onward: list[set[int]] = [set() for _ in range(count)]
    for i, link in enumerate(links):
        if link.strong and link.tail != link.head:
            tail, head = (link.head, link.tail) if turned[i] else (link.tail, link.head)
            onward[tail].add(head)
    for i, link in enumerate(links):
        if link.strong or link.tail == link.head:
            continue
        back = _reaches(onward, link.head, link.tail) if count <= EXACT else place[link.tail] > place[link.head]
        turned[i] = back
        onward[link.head if back else link.tail].add(link.tail if back else link.head)
    return turned


def _reaches(onward: Sequence[set[int]], start: int, end: int) -> bool:
    seen, front = {start}, {start}
    while front and end not in seen:
        front = set().union(*(onward[each] for each in front)) - seen
        seen |= front
    return end in seen


# --- layers


def _ranks(count: int, ends: Sequence[tuple[int, int]]) -> list[int]:
    """The layer of each box: below all that leads to it, and what leads to few things near those."""
    before: list[list[int]] = [[] for _ in range(count)]
    after: list[list[int]] = [[] for _ in range(count)]
    for tail, head in ends:
        after[tail].append(head)
        before[head].append(tail)
    waiting = [len(each) for each in before]
    ready, order = [box for box in range(count) if not waiting[box]], []
    ranks = [0] * count
    while ready:
        box = ready.pop(0)
        order.append(box)
        for head in after[box]:
            ranks[head] = max(ranks[head], ranks[box] + 1)
            waiting[head] -= 1
            if not waiting[head]:
                ready.append(head)
    for _ in range(4):
        for box in reversed(order):  # what has fewer ways in than out moves down to where it leads
            if after[box] and len(before[box]) < len(after[box]):
                ranks[box] = min(ranks[head] for head in after[box]) - 1
        for box in order:
            if before[box] and len(before[box]) > len(after[box]):
                ranks[box] = max(ranks[tail] for tail in before[box]) + 1
    lowest = min(ranks, default=0)
    return [rank - lowest for rank in ranks]


def _places(
    boxes: Sequence[Box],
    links: Sequence[Link],
    turned: Sequence[bool],
    ends: Sequence[tuple[int, int]],
    ranks: Sequence[int],
) -> tuple[list[_Place], list[list[int]]]:
    """Boxes in the even layers, labels in the odd ones, and a place for each link in every layer that it passes; the
    places of each link from top to bottom, with the boxes at its ends."""
    places = [_Place(2 * rank, box.width + GAP, k) for k, (box, rank) in enumerate(zip(boxes, ranks, strict=True))]
    chains = []
    for link, up, (top, bottom) in zip(links, turned, ends, strict=True):
        chain = [top]
        if top == bottom:
            chains.append(chain)
            continue
        label = 2 * ranks[top] + 1 if up else 2 * ranks[bottom] - 1  # beside the arrow
        for layer in range(2 * ranks[top] + 1, 2 * ranks[bottom]):
            places.append(_Place(layer, LINE_GAP + (link.width if layer == label else 0.0)))
            chain.append(len(places) - 1)
        chain.append(bottom)
        for one, other in zip(chain, chain[1:], strict=False):
            places[one].below.append(other)
            places[other].above.append(one)
        chains.append(chain)
    return places, chains


# --- order


def _ordered(places: Sequence[_Place], count: int) -> list[list[int]]:
    """The order in each layer that was found to have the fewest crossings."""
    layers: list[list[int]] = [[] for _ in range(count)]
    seen: set[int] = set()
    for start in sorted(range(len(places)), key=lambda k: places[k].layer):
        stack = [start]
        while stack:
            k = stack.pop()
            if k not in seen:
                seen.add(k)
                layers[places[k].layer].append(k)
                stack += reversed(places[k].below)
    best, fewest = [list(layer) for layer in layers], _crossings(places, layers)
    for turn in range(ORDERINGS):
        if not fewest:
            break
        down, position = turn % 2 == 0, _positions(layers)
        for layer in layers[1:] if down else layers[-2::-1]:
            _sort_by_neighbours(places, position, layer, down)
        _exchange(places, layers)
        crossings = _crossings(places, layers)
        if crossings < fewest:
            best, fewest = [list(layer) for layer in layers], crossings
    return best


def _positions(layers: Sequence[Sequence[int]]) -> dict[int, int]:
    return {k: position for layer in layers for position, k in enumerate(layer)}


def _sort_by_neighbours(places: Sequence[_Place], position: dict[int, int], layer: list[int], down: bool) -> None:
    def mean(k: int) -> float:
        near = places[k].above if down else places[k].below
        return sum(position[each] for each in near) / len(near) if near else position[k]

    layer.sort(key=lambda k: (mean(k), position[k]))
    position.update((k, place) for place, k in enumerate(layer))


def _exchange(places: Sequence[_Place], layers: Sequence[list[int]]) -> None:
    """Neighbours change places where that leaves fewer crossings."""
    position = _positions(layers)
    for layer in layers:
        for i in range(len(layer) - 1):
            one, other = layer[i], layer[i + 1]
            now = then = 0
            for side in ("above", "below"):
                left = [position[each] for each in getattr(places[one], side)]
                right = [position[each] for each in getattr(places[other], side)]
                now += sum(a > b for a in left for b in right)
                then += sum(b > a for a in left for b in right)
            if then < now:
                layer[i], layer[i + 1] = other, one
                position[one], position[other] = i + 1, i


def _crossings(places: Sequence[_Place], layers: Sequence[Sequence[int]]) -> int:
    position, total = _positions(layers), 0
    for layer in layers:
        passed: list[int] = []
        for k in layer:
            ends = sorted(position[each] for each in places[k].below)
            total += sum(len(passed) - bisect_right(passed, end) for end in ends)
            for end in ends:
                insort(passed, end)
    return total


# --- places


def _spread(places: Sequence[_Place], layers: Sequence[Sequence[int]]) -> None:
    """Places move to the means of their neighbours, long links first, in their order and without overlaps."""
    for layer in layers:
        at = 0.0
        for k in layer:
            places[k].x = at + places[k].width / 2
            at += places[k].width
        for k in layer:
            places[k].x -= at / 2
    for turn in range(MOVES):
        down = turn % 2 == 0
        for layer in layers if down else layers[::-1]:
            wanted, weights = [], []
            for k in layer:
                own = places[k]
                near = [places[each] for each in (own.above if down else own.below)]
                if turn >= MOVES - 4:
                    near = [places[each] for each in (*own.above, *own.below)]
                heavy = [_pull(own, each) for each in near]
                mean = sum(w * each.x for w, each in zip(heavy, near, strict=True)) / sum(heavy) if near else own.x
                wanted.append(mean)
                weights.append(max(heavy, default=0.25))
            for k, x in zip(layer, _apart(wanted, weights, [places[k].width for k in layer]), strict=True):
                places[k].x = x


def _straighten(places: Sequence[_Place], chains: Sequence[Sequence[int]], layers: Sequence[Sequence[int]]) -> None:
    """Long links run straight through as many layers as there is room in."""
    position = _positions(layers)

    def room(k: int) -> tuple[float, float]:
        layer, at = layers[places[k].layer], position[k]
        low, high = -math.inf, math.inf
        if at:
            other = places[layer[at - 1]]
            low = other.x + (other.width + places[k].width) / 2
        if at + 1 < len(layer):
            other = places[layer[at + 1]]
            high = other.x - (other.width + places[k].width) / 2
        return min(low, places[k].x), max(high, places[k].x)

    for chain in sorted(chains, key=len, reverse=True):
        runs: list[tuple[list[int], float, float]] = []
        for k in chain[1:-1]:
            low, high = room(k)
            if runs and max(low, runs[-1][1]) <= min(high, runs[-1][2]):
                runs[-1] = ([*runs[-1][0], k], max(low, runs[-1][1]), min(high, runs[-1][2]))
            else:
                runs.append(([k], low, high))
        for run, low, high in runs:
            middle = sorted(places[k].x for k in run)[len(run) // 2]
            for k in run:
                places[k].x = min(max(middle, low), high)


def _pull(one: _Place, other: _Place) -> float:
    """How much two neighbours want to be above each other: most between the places that one long link passes."""
    return {0: 8.0, 1: 2.0, 2: 1.0}[(one.box is not None) + (other.box is not None)]


def _apart(wanted: Sequence[float], weights: Sequence[float], widths: Sequence[float]) -> list[float]:
    """The places nearest to those wanted (by weighted least squares) that overlap nowhere: pool adjacent violators."""
    offsets, at = [], 0.0
    for k, width in enumerate(widths):
        at += (widths[k - 1] + width) / 2 if k else 0.0
        offsets.append(at)
    pools: list[tuple[float, float, int]] = []  # mean, weight, how many
    for want, weight, offset in zip(wanted, weights, offsets, strict=True):
        pool = (want - offset, weight, 1)
        while pools and pools[-1][0] > pool[0]:
            mean, heavy, many = pools.pop()
            total = heavy + pool[1]
            pool = ((mean * heavy + pool[0] * pool[1]) / total, total, many + pool[2])
        pools.append(pool)
    means = [mean for mean, _, many in pools for _ in range(many)]
    return [mean + offset for mean, offset in zip(means, offsets, strict=True)]


# --- picture


def _drawn(
    boxes: Sequence[Box],
    links: Sequence[Link],
    turned: Sequence[bool],
    places: Sequence[_Place],
    chains: Sequence[Sequence[int]],
    layers: Sequence[Sequence[int]],
) -> Placed:
    left = min((place.x - place.width / 2 for place in places), default=0.0)
    width = max((place.x + place.width / 2 for place in places), default=0.0) - left
    heights = [0.0] * len(layers)
    for k, place in enumerate(places[: len(boxes)]):
        heights[place.layer] = max(heights[place.layer], boxes[k].height)
    for link, chain, up in zip(links, chains, turned, strict=True):
        if len(chain) > 1:
            layer = places[chain[1 if up else -2]].layer
            heights[layer] = max(heights[layer], link.height)
    tops, y = [], 0.0
    for height in heights:
        tops.append(y)
        y += height + LAYER_GAP
    middle = [top + height / 2 for top, height in zip(tops, heights, strict=True)]
    ports = _ports(boxes, places, chains)
    routes, labels = [], []
    for i, (chain, up) in enumerate(zip(chains, turned, strict=True)):
        if len(chain) == 1:
            k = chain[0]
            labels.append((places[k].x - left + (boxes[k].width - links[i].width) / 2, middle[places[k].layer]))
            routes.append([])
            continue
        top, bottom = chain[0], chain[-1]
        route = [(ports[top, i] - left, middle[places[top].layer] + boxes[top].height / 2)]
        for k in chain[1:-1]:
            layer, x = places[k].layer, places[k].x - left
            route += [(x, tops[layer]), (x, tops[layer] + heights[layer])]
        route.append((ports[bottom, i] - left, middle[places[bottom].layer] - boxes[bottom].height / 2))
        label = chain[1 if up else -2]
        labels.append((places[label].x - left, middle[places[label].layer]))
        routes.append(route[::-1] if up else route)
    centres = [(places[k].x - left, middle[places[k].layer]) for k in range(len(boxes))]
    return Placed(width, max(0.0, y - LAYER_GAP), centres, labels, routes, list(turned))


def _ports(
    boxes: Sequence[Box], places: Sequence[_Place], chains: Sequence[Sequence[int]]
) -> dict[tuple[int, int], float]:
    """Where links leave and enter boxes: side by side, in the order of where they lead."""
    sides: dict[tuple[int, str], list[tuple[float, int]]] = {}
    for i, chain in enumerate(chains):
        if len(chain) > 1:
            sides.setdefault((chain[0], "below"), []).append((places[chain[1]].x, i))
            sides.setdefault((chain[-1], "above"), []).append((places[chain[-2]].x, i))
    found = {}
    for (k, _), leading in sides.items():
        leading.sort()
        room = boxes[k].width - 24.0
        gap = min(PORT_GAP, room / max(1, len(leading) - 1))
        for position, (_, i) in enumerate(leading):
            found[k, i] = places[k].x + (position - (len(leading) - 1) / 2) * gap
    return found
