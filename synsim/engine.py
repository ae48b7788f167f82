"""The program of a run: what one step does, the check of its shapes, and the scans that repeat it.

`State` is {component: {compartment: array}}, the scan carry and exactly what a later run can start from. The
functions here are pure. They take the graph as an argument, so that a caller may close over it (its numbers become
constants) or pass some of its leaves (a sweep: one program for all points).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from synsim import short_rows
from synsim.component import Compartment, Component, Now, View, count, rounded
from synsim.faults import ConfigError, Fault
from synsim.graph import Call, Graph, full_shape
from synsim.one_function import fits, in_one_function
from synsim.records import Take
from synsim.spike_bits import already_packed, bits_of

State = dict[str, dict[str, Any]]
Held = dict[str, Any]  # "z.j": what an inlet's last advance read
Paths = frozenset[tuple[str, str]]  # components and compartments
Words = dict[tuple[str, str], Any]  # spikes as bits, by component and compartment
Keys = Mapping[Call, Any]
Called = tuple[State, Held, Words]

NEVER = 0xFFFFFFFF  # the step stamp that means: nothing went bad


class Moment(NamedTuple):
    """Where in the run a step is: its number within the trial and within the run."""

    step: Any
    g: Any
    zero: Any
    walked: frozenset[str] = frozenset()  # components whose spikes synapses walk


def crc(name: str) -> int:
    """The number that a name contributes to keys."""
    return zlib.crc32(name.encode())


def call_key(graph: Graph, call: Call) -> jax.Array:
    """The key of a scheduled call, before the step is folded in."""
    key = jax.random.fold_in(jax.random.fold_in(jax.random.key(graph.seed), crc(call.component)), crc(call.method))
    return jax.random.fold_in(key, call.occurrence) if call.occurrence else key


def start_values(graph: Graph, name: str) -> dict[str, jax.Array]:
    """Where every carried compartment of a component starts: declared, drawn by `init`, or set by `initial`."""
    part, dtype = graph.parts[name], graph.dtype
    key = call_key(graph, Call(name, "init"))
    key = jax.random.fold_in(key, 0)
    drawn = part.init(key, graph.batch, dtype)
    values = {}
    for component, compartment, what in graph.carried():
        if component != name:
            continue
        shape, path = full_shape(part, what, graph.batch), f"{name}.{compartment}"
        if path in graph.starts:
            start = graph.starts[path]
            inner = getattr(start, "array", None)
            if inner is not None and jnp.shape(inner) != shape:  # one row given, for every row of the batch
                value = jnp.broadcast_to(start.draw(jax.random.fold_in(key, crc(compartment)), shape[1:], dtype), shape)
            else:
                value = start.draw(jax.random.fold_in(key, crc(compartment)), shape, dtype)
        elif what.start is None:
            value = drawn[compartment]
        else:
            start = part.setting(what.start) if isinstance(what.start, str) else what.start
            value = jnp.broadcast_to(jnp.asarray(start, dtype), shape)
        values[compartment] = value
    return part.conform(values)


def initial_state(graph: Graph) -> State:
    """The state before the first step."""
    return {name: start_values(graph, name) for name in graph.names}


def begin_phase(graph: Graph, state: State) -> State:
    """The state as a phase starts: what is kept for a phase goes to its start."""
    fresh = {}
    for name in graph.names:
        per_phase = {c for c, what in graph.parts[name].compartments.items() if what.per_phase}
        starts = start_values(graph, name) if per_phase else {}
        fresh[name] = state[name] | {c: starts[c] for c in per_phase}
    return fresh


def initial_held(graph: Graph) -> Held:
    """What recorded inlets hold before their component first advances."""
    held = {}
    for path in graph.watched:
        component, inlet = path.split(".")
        held[path] = jnp.zeros(graph.shape(component, inlet), graph.dtype)
    return held


def read(graph: Graph, wire: tuple, state: State, data: Mapping[str, Any]) -> Any:
    """The value of a wire: sums, differences and products of states, outlets, data and numbers."""
    match wire:
        case ("read", component, compartment):
            return state[component][compartment]
        case ("data", entry):
            return data[entry]
        case ("number", value):
            return value
        case ("neg", inner):
            return -read(graph, inner, state, data)
        case ("add", left, right):
            return read(graph, left, state, data) + read(graph, right, state, data)
        case ("sub", left, right):
            return read(graph, left, state, data) - read(graph, right, state, data)
        case ("mul", left, right):
            return read(graph, left, state, data) * read(graph, right, state, data)
    raise ValueError(f"not a wire: {wire!r}")


def fed(graph: Graph, name: str, state: State, data: Mapping[str, Any], zero: Any = 0) -> dict[str, jax.Array]:
    """What the inlets of a component read now, each sum of a wire rounded as if it were stored."""
    part, wires = graph.parts[name], graph.fed(name)
    values = {}
    for inlet, what in part.compartments.items():
        if what.kind != "inlet":
            continue
        dtype = "int32" if what.integer else graph.dtype
        if inlet in wires:
            value = read(graph, wires[inlet], state, data)
        else:
            value = part.setting(what.default) if isinstance(what.default, str) else what.default
        value = jnp.broadcast_to(jnp.asarray(value, dtype), full_shape(part, what, graph.batch))
        plain = what.integer or inlet not in wires or wires[inlet][0] in ("read", "data", "number")
        values[inlet] = value if plain else rounded(value, zero)
    return values


def apply(
    graph: Graph, call: Call, key: Any, state: State, held: Held, data: Mapping[str, Any], moment: Moment
) -> tuple[State, Held]:
    """The state after one scheduled call; the key may be None where it draws nothing."""
    name, method, _ = call
    inputs = fed(graph, name, state, data, moment.zero)
    now = Now(
        t=moment.step.astype(graph.dtype) * graph.dt,
        step=moment.step,
        dt=graph.dt,
        key=None if key is None else jax.random.fold_in(key, moment.g),
        zero=moment.zero,
        each_step=_each_step(graph, call),
        walked=name in moment.walked,
    )
    changed = {}
    if method == "reset":
        starts = start_values(graph, name)
        for compartment, what in graph.parts[name].compartments.items():
            if compartment in starts and not (what.learned or what.per_phase):
                changed[compartment] = starts[compartment]
        if not hasattr(graph.parts[name], "reset"):
            return state | {name: state[name] | changed}, held
    view = View(name, state[name] | changed | inputs)
    changed |= graph.parts[name].method(method)(view, now)
    if method == "advance":
        held = held | {
            path: inputs[path.split(".")[1]].astype(graph.dtype) for path in graph.watched if path.split(".")[0] == name
        }
    compartments = graph.parts[name].compartments
    kept = {c: _settled(compartments[c], v, moment.zero) for c, v in changed.items() if c in state[name]}
    return state | {name: state[name] | kept}, held


def _each_step(graph: Graph, call: Call) -> frozenset[str]:
    """The methods of a call's component that every step calls, if it is called by every step itself."""
    if call not in graph.order.step:
        return Now._field_defaults["each_step"]
    return frozenset(other.method for other in graph.order.step if other.component == call.component)


def _settled(what: Compartment, value: Any, zero: Any) -> Any:
    """A changed value as others may compute with it: outlets are rounded, for they may be products.

    A state is a sum or a choice, and spikes are 0 or 1; rounding those would cost the update of large weights a third,
    since XLA then computes them again for each weight.
    """
    return rounded(value, zero) if what.kind == "outlet" and what.batch and not what.spikes else value


def run_calls(
    graph: Graph,
    calls: Sequence[Call],
    keys: Keys,
    state: State,
    held: Held,
    data: Mapping[str, Any],
    moment: Moment,
) -> tuple[State, Held]:
    """The state after a list of calls, in the order written: unrolled, so that XLA sees a straight line."""
    for call in calls:
        state, held = apply(graph, call, keys[call], state, held, data, moment)
    return state, held


# ------------------------------------------------------------------------------------------------------ checking


def check(graph: Graph, known: set[Any] | None = None) -> None:
    """Traces every scheduled call without compiling and raises ConfigError for each that breaks a shape or dtype.

    `known` are calls that have been traced in another phase with the same wires, and are not traced again.
    """
    faults: dict[tuple[str, str], Fault] = {}
    known = set() if known is None else known
    calls = [
        call
        for call in dict.fromkeys((*graph.order.start, *graph.order.step, *graph.order.end))
        if not (call.method == "reset" and not hasattr(graph.parts[call.component], "reset"))
        and _traced(graph, call) not in known
    ]
    if not calls:
        return
    if known:  # the start of the first phase is that of the run; later ones only carry other outlets
        state: State = {name: {} for name in graph.names}
        for name, compartment, _ in graph.carried():
            state[name][compartment] = jax.ShapeDtypeStruct(graph.shape(name, compartment), graph.dtype)
    else:
        state = jax.eval_shape(lambda: initial_state(graph))
    known.update(_traced(graph, call) for call in calls)
    data = {
        name: jax.ShapeDtypeStruct((graph.batch, *source.shape), "int32" if source.integer else graph.dtype)
        for name, source in graph.sources
    }
    step = jax.ShapeDtypeStruct((), "int32")
    for call in calls:
        part = graph.parts[call.component]
        if (call.component, call.method) in faults:
            continue

        def changed(
            state: State, data: Mapping[str, Any], step: Any, call: Call = call, part: Component = part
        ) -> dict[str, Any]:
            view = View(call.component, state[call.component] | fed(graph, call.component, state, data))
            now = Now(t=step.astype(graph.dtype) * graph.dt, step=step, dt=graph.dt, key=jax.random.key(0))
            return dict(part.method(call.method)(view, now))

        place = ("components", call.component)
        try:
            shapes = jax.eval_shape(changed, state, data, step)
        except Exception as error:  # whatever a component raises while it is traced is that component's fault
            faults[call[:2]] = Fault(
                f"{call.component}.{call.method} fails: {error}".splitlines()[0], place, at_key=True
            )
            continue
        for compartment, got in shapes.items():
            what = part.compartments.get(compartment)
            if what is None or what.kind == "inlet":
                faults[call[:2]] = Fault(
                    f"{call.component}.{call.method} sets {compartment!r}, which is no state or outlet of it",
                    place,
                    at_key=True,
                )
                continue
            wanted = full_shape(part, what, graph.batch)
            if got.shape != wanted or got.dtype != jnp.dtype(graph.dtype):
                faults[call[:2]] = Fault(
                    f"{call.component}.{call.method} makes {compartment} {got.dtype} {list(got.shape)}, but it is "
                    f"{graph.dtype} {list(wanted)}",
                    place,
                    at_key=True,
                )
    if faults:
        raise ConfigError(faults.values())


def _traced(graph: Graph, call: Call) -> tuple[Any, ...]:
    """What the shapes that a call makes depend on: its phases differ in wires and data, not in sizes."""
    wires = tuple(sorted(graph.fed(call.component).items()))
    entries = {name for _, wire in wires for name in _entries(wire)}
    return call.component, call.method, wires, tuple(each for each in graph.sources if each[0] in entries)


def _entries(wire: tuple[Any, ...]) -> Iterator[str]:
    """The data entries that a wire reads."""
    if wire[0] == "data":
        yield wire[1]
    for inner in wire[1:]:
        if isinstance(inner, tuple):
            yield from _entries(inner)


# ---------------------------------------------------------------------------------------------------------- scans


class Carry(NamedTuple):
    """What a scan hands on: state, recorded inlets, and the run's first step with a value that is not finite."""

    state: State
    held: Held
    bad: Any
    zero: Any  # 0, which only the programs that make the first carry know


def start_carry(graph: Graph) -> Carry:
    """The carry before the first step."""
    return Carry(initial_state(graph), initial_held(graph), jnp.uint32(NEVER), jnp.int32(0))


LOOK_EVERY = 256  # steps between looks at activities that are kept, where they are many
MANY = 1 << 13  # elements
WRITTEN = 1 << 12  # elements of outlets: writing fewer costs less than a second copy of the step does
ROWS = 32  # parts of an array that are added side by side


def _activities_finite(graph: Graph, state: State, k: Any, unread: Paths) -> Any:
    """Whether the activities are finite, as far as it costs nothing to say so after step k of a trial.

    What an outlet holds is gone after the step, so outlets are looked at in every one, but for `unread` ones: what they
    carry is in a state by then. What is not finite in a state stays there: large states are looked at now and then, and
    when the steps end, since the first bad step is then found by going through the chunk again. Learned arrays
    are not read: what they carry shows in later activity.
    """

    def fine(kind: str) -> Any:
        return _finite([state[name][c] for name, c, what in graph.carried() if looked_at(name, c, what, kind)])

    def looked_at(name: str, c: str, what: Compartment, kind: str) -> bool:
        return what.kind == kind and what.batch and not what.spikes and (name, c) not in unread

    size = sum(count(graph.shape(name, c)) for name, c, what in graph.carried() if looked_at(name, c, what, "state"))
    if size < MANY:
        return fine("outlet") & fine("state")
    return fine("outlet") & lax.cond(k % LOOK_EVERY == LOOK_EVERY - 1, lambda: fine("state"), lambda: jnp.bool_(True))


def _finite(arrays: Sequence[Any]) -> Any:
    """Whether no value of any is infinite or NaN: all bits of an exponent are set in those alone.

    They are counted in whole numbers, arrays of one size together, and row upon row: that is what a processor does
    eight numbers at a time. A largest value, or any(), XLA takes number by number, which would be most of the time of
    a small network's step; and for floats it calls a library, which does not go into one function.
    """
    by_size: dict[int, Any] = {}
    for value in arrays:
        bits, exponent = ("int32", 0x7F800000) if value.dtype.itemsize == 4 else ("int64", 0x7FF0000000000000)
        exponent = jnp.asarray(exponent, bits)
        wrong = (lax.bitcast_convert_type(value, bits).reshape(-1) & exponent) == exponent
        by_size[value.size] = wrong | by_size[value.size] if value.size in by_size else wrong
    counts = [_count(wrong.astype("int32")) for wrong in by_size.values()]
    return sum(counts, jnp.int32(0)) == 0


def _count(numbers: Any) -> Any:
    """The sum of a row of whole numbers."""
    total = jnp.int32(0)
    while (part := numbers.shape[0] // ROWS) >= ROWS // 2:
        total = total + numbers[ROWS * part :].sum(dtype="int32")
        numbers = numbers[: ROWS * part].reshape(ROWS, part).sum(0, dtype="int32")
    return total + numbers.sum(dtype="int32")


def all_finite(state: State, but: Paths = frozenset()) -> Any:
    """Whether every value of a state is finite, but for those of some compartments."""
    looks = [
        jnp.isfinite(value).all()
        for name, values in state.items()
        for compartment, value in values.items()
        if (name, compartment) not in but
    ]
    return jnp.stack(looks).all() if looks else jnp.bool_(True)


def _noted(bad: Any, fine: Any, g: Any) -> Any:
    return jnp.where(fine, bad, jnp.minimum(bad, g))


def _keys(graph: Graph, calls: Iterable[Call]) -> Keys:
    return {call: call_key(graph, call) for call in calls}


class Frames(NamedTuple):
    """Some frames of an entry with a time axis, of which the first is that of step `first` of the trial."""

    values: Any
    first: Any


def frame(graph: Graph, data: Mapping[str, Any], step: Any) -> dict[str, Any]:
    """The data of one step: entries with a time axis are played frame by frame, the others are held."""
    frames = {}
    for name, source in graph.sources:
        value = data[name]
        if "step" in source.axes:  # (step, row, …) or, without rows, (step, …)
            value, at = (value.values, step - value.first) if isinstance(value, Frames) else (value, step)
            value = lax.dynamic_index_in_dim(value, at, keepdims=False)
            value = jnp.broadcast_to(value, (graph.batch, *source.shape))
        frames[name] = value
    return frames


def begin_trial(graph: Graph, carry: Carry, data: Mapping[str, Any], g: Any) -> Carry:
    """The calls at a trial's start, under its first step's stamp."""
    moment = Moment(jnp.int32(0), g, carry.zero)
    state, held = run_calls(
        graph,
        graph.order.start,
        _keys(graph, graph.order.start),
        carry.state,
        carry.held,
        frame(graph, data, moment.step),
        moment,
    )
    return Carry(state, held, carry.bad, carry.zero)


def end_trial(
    graph: Graph, takes: Sequence[Take], carry: Carry, data: Mapping[str, Any], g: Any
) -> tuple[Carry, dict[str, Any]]:
    """The calls at a trial's end, under its last step's stamp `g`, and the records taken once a trial."""
    moment = Moment(jnp.int32(graph.steps - 1), g, carry.zero)
    state, held = run_calls(
        graph,
        graph.order.end,
        _keys(graph, graph.order.end),
        carry.state,
        carry.held,
        frame(graph, data, moment.step),
        moment,
    )
    bad = _noted(carry.bad, all_finite(state), g)
    return Carry(state, held, bad, carry.zero), {
        take.path: take.value(state, held) for take in takes if take.each_trial
    }


class Scanned(NamedTuple):
    """What the loop over the steps of a chunk hands on."""

    carry: Carry
    buffers: dict[str, Any]  # records, by path
    words: Words  # of the spikes of the step before
    gathered: dict[str, Any]  # the last short rows, by path


def _names(path: str) -> tuple[str, str]:
    """The component and the compartment of a path."""
    component, compartment = path.split(".")
    return component, compartment


def steps(
    graph: Graph,
    takes: Sequence[Take],
    carry: Carry,
    data: Mapping[str, Any],
    g0: Any,
    k0: Any,
    length: Any,
    careful: bool = False,
    ends_trial: bool = False,
    buffers: Mapping[str, Any] | None = None,
    most: int | None = None,
) -> tuple[Carry, dict[str, Any]]:
    """`length` steps of one trial from its step k0 on; g0 is the stamp of the trial's first step.

    Returns the carry and, by path, the records taken: every step as (length, …); at a coarser rate as
    (most that any such stretch can hold, …), of which `Take.held_by` says how many are real. Where `length` is not
    known before the program runs, there is room for `most` steps, and rows beyond are of no account. `buffers` are
    arrays to write to, those that `room` describes. `careful` also looks for non-finite values in learned arrays at
    every step, which costs a pass over them; else they are looked at in the end, unless `ends_trial` says that
    `end_trial` follows, which does so too.
    """
    calls, keys = graph.order.step, _keys(graph, graph.order.step)
    takes = [take for take in takes if not take.each_trial]
    every = [take for take in takes if take.every_step(graph.steps)]
    coarse = _at_the_same_steps(take for take in takes if not take.every_step(graph.steps))

    def called(
        state: State, held: Held, zero: Any, k: Any, words: Words, keys: Keys, walked: frozenset[str] = frozenset()
    ) -> Called:
        """The state after a step, given the words of spikes before it, and the words of what it makes."""
        moment = Moment(k, g0 + k.astype(jnp.uint32), zero, walked)
        with already_packed((state[name][c], words[name, c]) for name, c in words):
            state, held = run_calls(graph, calls, keys, state, held, frame(graph, data, k), moment)
            return state, held, _words(state, words)

    # spikes that leave the device as words are packed once, for the record and for the synapses of the next step
    spikes = {take.path: _names(take.path) for take in every if take.packed and take.whole}
    others = [take for take in every if take.path not in spikes]
    unread, walked, keys = _read(graph, [take for take in takes if take.path not in spikes], called, carry, keys)
    in_words = walked | {*spikes.values()}
    walking = frozenset(name for name, _ in walked)
    if buffers is None:
        shapes = room(takes, graph.steps, carry, length if most is None else most)
        buffers = {path: jnp.zeros(shape.shape, shape.dtype) for path, shape in shapes.items()}
    short = {path for path, place in spikes.items() if place in walked and short_rows.are_short(buffers[path])}

    recorded = {take.path for take in every}
    # weights that `looked` was handed would be copied, and outlets that nobody reads computed
    weights = frozenset((n, c) for n, c, what in graph.carried() if not what.batch and f"{n}.{c}" not in recorded)

    def looked(state: State, held: Held, k: Any) -> tuple[Any, dict[str, Any]]:
        return _activities_finite(graph, state, k, unread), {take.path: take.value(state, held) for take in others}

    def step(scanned: Scanned, i: Any) -> Scanned:
        (state, held, bad, zero), buffers, words, gathered = scanned
        k = k0 + i
        state, held, words = called(state, held, zero, k, words, keys, walking)
        fine, taken = in_one_function(looked, fits)(_without(weights | unread, state), held, k)
        if careful:
            fine = all_finite(state, unread)
        bad = _noted(bad, fine, g0 + k.astype(jnp.uint32))
        taken |= {path: words[place] for path, place in spikes.items()}
        rows = {
            path: lax.dynamic_update_index_in_dim(buffers[path], row, i, 0)
            for path, row in taken.items()
            if path not in short
        }
        if short:
            gathered, whole = short_rows.add(gathered, taken, {path: buffers[path] for path in gathered}, i)
            rows |= whole
        for together in coarse:
            first = together[0]
            # a branch, because a weight matrix written at every step would cost a pass over it
            rows |= lax.cond(
                first.takes(k),
                lambda old, new, at: {p: lax.dynamic_update_index_in_dim(old[p], new[p], at, 0) for p in old},
                lambda old, new, at: old,
                {take.path: buffers[take.path] for take in together},
                {take.path: take.value(state, held) for take in together},
                first.slot(k) - first.slots_before(k0),
            )
        return Scanned(Carry(state, held, bad, zero), rows, words, gathered)

    def scanned(carry: Carry, buffers: dict[str, Any]) -> Any:
        """All steps; unread outlets are handed on from the last of them alone."""

        def body(i: Any, given: Scanned) -> Scanned:
            (state, *rest), buffers, words, gathered = given
            after = step(Scanned(Carry(_with(unread, begin, state), *rest), buffers, words, gathered), i)
            return after._replace(carry=after.carry._replace(state=_without(unread, after.carry.state)))

        begin, (state, *rest) = carry.state, carry
        by_block = {path: buffers[path] for path in sorted(short)}
        gathered = short_rows.blocks(by_block)
        buffers = buffers | short_rows.flat(by_block)
        first = Scanned(Carry(_without(unread, state), *rest), buffers, _words(carry.state, in_words), gathered)
        (state, *rest), buffers, words, gathered = lax.fori_loop(0, length - bool(unread), body, first)
        given = Scanned(Carry(_with(unread, begin, state), *rest), buffers, words, gathered)
        if unread:
            given = step(given, jnp.int32(length - 1))
        rows = given.buffers
        if short:
            whole = short_rows.complete(given.gathered, {path: rows[path] for path in by_block}, length)
            rows = rows | {path: whole[path].reshape(record.shape) for path, record in by_block.items()}
        return given.carry, rows

    # many small operations: a program for each would take longer than what it computes
    carry, taken = in_one_function(scanned, fits, kept=1)(carry, dict(buffers))
    if not ends_trial:
        last = g0 + (k0 + length - 1).astype(jnp.uint32)
        fine = in_one_function(lambda state: all_finite(state, unread), fits)(carry.state)
        carry = carry._replace(bad=_noted(carry.bad, fine, last))
    return carry, taken


def _at_the_same_steps(takes: Iterable[Take]) -> list[list[Take]]:
    groups: dict[tuple[int, int, int], list[Take]] = {}
    for take in takes:
        groups.setdefault((take.first, take.every, take.stop), []).append(take)
    return list(groups.values())


def room(takes: Sequence[Take], steps: int, carry: Any, length: int) -> dict[str, jax.ShapeDtypeStruct]:
    """The arrays that hold what is recorded in `length` steps on end of a trial of `steps`."""
    shapes = {}
    for take in takes:
        if not take.each_trial:
            row = jax.eval_shape(take.value, carry.state, carry.held)
            rows = length if take.every_step(steps) else take.most_in(length)
            shapes[take.path] = jax.ShapeDtypeStruct((rows, *row.shape), row.dtype)
    return shapes


def _words(state: State, places: Iterable[tuple[str, str]]) -> Words:
    """The spikes at some places as bits."""
    return {(n, c): bits_of(state[n][c].reshape(state[n][c].shape[0], -1)) for n, c in places}


class Read(NamedTuple):
    """What the calls of a step read."""

    unread: Paths  # outlets that no record reads, nor any call before they are made anew: only the last step's are kept
    walked: Paths  # the spikes that are read as bits
    keys: Keys  # None for a call that draws nothing


def _read(graph: Graph, takes: Sequence[Take], called: Callable[..., Called], carry: Carry, keys: Keys) -> Read:
    """What `called` reads of what it is given, where there is much of it."""
    from jax.interpreters.partial_eval import dce_jaxpr

    recorded = {take.path for take in takes}
    outlets = {(n, c) for n, c, what in graph.carried() if what.kind == "outlet" and f"{n}.{c}" not in recorded}
    if sum(count(graph.shape(*path)) for path in outlets) < WRITTEN:
        return Read(frozenset(), frozenset(), keys)
    spikes = [(n, c) for n, c, what in graph.carried() if what.kind == "outlet" and what.spikes and what.batch]

    def traced(state: State, held: Held, words: Words, keys: list[Any]) -> tuple[State, Held]:
        by_call = dict(zip(calls, keys, strict=True))
        return called(state, held, carry.zero, jnp.int32(0), words, by_call)[:2]

    calls = list(keys)
    words = jax.eval_shape(lambda state: _words(state, spikes), carry.state)
    given = carry.state, carry.held, words, list(keys.values())
    jaxpr = jax.make_jaxpr(traced)(*given).jaxpr
    _, used = dce_jaxpr(jaxpr, [True] * len(jaxpr.outvars))
    read = [path for (path, _), each in zip(jax.tree_util.tree_leaves_with_path(given), used, strict=True) if each]
    as_numbers = {(path[1].key, path[2].key) for path in read if path[0].idx == 0}
    as_bits = frozenset(path[1].key for path in read if path[0].idx == 2)
    drawn = {calls[path[1].idx] for path in read if path[0].idx == 3}
    return Read(
        frozenset(outlets - as_numbers), as_bits, {call: key if call in drawn else None for call, key in keys.items()}
    )


def _without(paths: Paths, state: State) -> State:
    return {name: {c: v for c, v in values.items() if (name, c) not in paths} for name, values in state.items()}


def _with(paths: Paths, other: State, state: State) -> State:
    """The state with the values that another one has at some places."""
    added = {name: {c: other[name][c] for each, c in paths if each == name} for name in state}
    return {name: values | added[name] for name, values in state.items()}


def trials(
    graph: Graph, takes: Sequence[Take], carry: Carry, data: Mapping[str, Any], g0: Any, n: int
) -> tuple[Carry, dict[str, Any]]:
    """`n` whole trials. `data` has a leading trial axis; entries without rows are shared. Records (n, …)."""
    rows = {name: data[name] for name, source in graph.sources if "row" in source.axes}
    shared = {name: data[name] for name, source in graph.sources if "row" not in source.axes}

    def body(carry: Carry, scanned: tuple[Any, dict[str, Any]]) -> tuple[Carry, dict[str, Any]]:
        i, own = scanned
        g = g0 + i * jnp.uint32(graph.steps)
        here = own | shared
        carry = begin_trial(graph, carry, here, g)
        carry, taken = steps(graph, takes, carry, here, g, jnp.int32(0), graph.steps, ends_trial=True)
        carry, last = end_trial(graph, takes, carry, here, g + jnp.uint32(graph.steps - 1))
        return carry, taken | last

    return lax.scan(body, carry, (jnp.arange(n, dtype=jnp.uint32), rows))
