"""Programs that XLA compiles into one function of machine code.

On a CPU, XLA runs a program as a list of small functions, one after another: each costs about half a microsecond, a
loop several at each turn. For a step that touches a few thousand numbers that is most of the time. XLA also has a way
to compile a whole call, loops included, into one function, which it takes itself for very small loops; a call that
is marked takes it too. The marks are attributes that other devices, and versions of XLA that know nothing of them,
do not heed: then the numbers are the same, and only the time is not.

Such a function computes in one thread: XLA leaves what stands in a branch undivided, so all of it does. It holds no
constants of more than ten kilobytes, for XLA ends the process over one: what the function is given, and whatever
arrays it has besides, goes in as arguments that XLA cannot see through.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from synsim.later import jax, jnp, lax, np

MARKS = {"inlineable": "false", "xla_cpu_small_call": "true"}
SMALL = 64  # elements of an array that may be a constant
LIBRARY = 4096  # elements of an array of floats that XLA has a library sum up


ELEMENTWISE = frozenset(
    "abs acos acosh add and asin asinh atan atan2 atanh bitcast_convert_type cbrt ceil clamp clz convert_element_type "
    "copy copy_p cos cosh digamma div eq erf erf_inv erfc exp exp2 expm1 floor ge gt integer_pow is_finite le lgamma "
    "log log1p logistic lt max min mul ne neg nextafter not or population_count pow real rem round rsqrt select_n "
    "shift_left shift_right_arithmetic shift_right_logical sign sin sinh sqrt square stop_gradient sub tan tanh "
    "xor".split()
)
MOVING = frozenset(
    "broadcast_in_dim concatenate dynamic_slice dynamic_update_slice expand_dims gather iota pad reshape rev slice "
    "split squeeze stack tile transpose unstack".split()
)
REDUCING = frozenset(
    "argmax argmin cumlogsumexp cummax cummin cumprod cumsum reduce_and reduce_max reduce_min reduce_or reduce_prod "
    "reduce_sum reduce_xor".split()
)
RANDOM = frozenset("random_bits random_fold_in random_seed random_split random_unwrap random_wrap threefry2x32".split())
HOLDING = frozenset(
    "checkpoint closed_call cond core_call custom_jvp_call custom_vjp_call custom_vmap_call jit optimization_barrier "
    "pjit scan while".split()
)
FITTING = ELEMENTWISE | MOVING | REDUCING | RANDOM | HOLDING
"""The operations that one function may hold. XLA calls libraries for the others: products, convolutions, sorting."""
WHOLE = 1 << 15  # elements of a result: XLA may divide the computation of more among threads
WIDE = 1 << 11  # elements of a result from which on lanes are better computed one after the other
SUMMED = 1 << 10  # numbers that are summed: XLA has a library for more


def fits(jaxpr: Any) -> bool:
    """Whether all operations of a jaxpr, but for those whose results nobody uses, may stand in one function."""
    from jax.interpreters.partial_eval import dce_jaxpr

    used, _ = dce_jaxpr(jaxpr, [True] * len(jaxpr.outvars))
    return _all_fit(used)


def _all_fit(jaxpr: Any) -> bool:
    return all(
        # JAX leaves in the body of such a loop what nobody uses
        _one_fits(each) and all(map(fits if each.primitive.name == "while" else _all_fit, _inside(each)))
        for each in jaxpr.eqns
    )


def _one_fits(operation: Any) -> bool:
    name = operation.primitive.name
    if name in HOLDING or name in ("dynamic_slice", "dynamic_update_slice", "expand_dims", "reshape", "squeeze"):
        return True  # which computes nothing itself, or little of a large array
    if any(each.aval.size > WHOLE for each in operation.outvars):
        return False
    if name in ("reduce_sum", "reduce_max", "reduce_min"):
        summed = operation.invars[0].aval
        return summed.dtype.kind != "f" or summed.size <= SUMMED
    return name in FITTING or _is_row_times_matrix(operation)


def _inside(operation: Any) -> Iterator[Any]:
    """The jaxprs that an operation holds."""
    for value in operation.params.values():
        for each in value if isinstance(value, tuple | list) else (value,):
            if hasattr(inner := getattr(each, "jaxpr", each), "eqns"):
                yield inner


def _is_row_times_matrix(operation: Any) -> bool:
    """Whether it is the product of one row with a matrix, or the outer product of two rows, which take no library."""
    if operation.primitive.name != "dot_general":
        return False
    (contracted, _), (batched, _) = operation.params["dimension_numbers"]
    left, right = (each.aval.shape for each in operation.invars)
    alone = len(left) == len(right) == 2 and not batched and len(contracted) == 1
    return alone and (left[contracted[0]] == 1 or left[1 - contracted[0]] == 1)


_apart: list[bool] = []  # whether programs that are traced now are left as they are


@contextmanager
def in_pieces() -> Iterator[None]:
    """What is traced meanwhile is not compiled into one function as a whole; loops over events still are."""
    _apart.append(True)
    try:
        yield
    finally:
        _apart.pop()


def on_cpu() -> bool:
    """Whether what is traced now is for a CPU."""
    device = getattr(jax.config, "jax_default_device", None)
    return (jax.default_backend() if device is None else getattr(device, "platform", device)) == "cpu"


def made_once(value: Any) -> Any:
    """The same array, computed once and kept where a CPU would compute it again for each of the results made of it.

    XLA makes one loop of all that leads to a result; what several results share is then computed in each of their
    loops. It does not look through a call that it is told to keep, so that what goes in is an array in memory; the call
    itself does nothing. A barrier alone does not do: XLA drops it before it makes loops.
    """
    if not on_cpu():
        return value
    from jax.experimental.xla_metadata import set_xla_metadata

    with set_xla_metadata(inlineable="false"):
        return jax.jit(lax.optimization_barrier)(value)


def is_known(value: Any) -> bool:
    """Whether a number is known while a program is traced, and so becomes part of it."""
    from jax.core import Tracer

    return not isinstance(value, Tracer)


def in_one_function(
    what: Callable[..., Any], where: Callable[[Any], bool] | None = None, kept: int = 0
) -> Callable[..., Any]:
    """The same function of arrays, compiled into one piece where the device is a CPU.

    Only where `where` says of its jaxpr that it can be, if that is given. So many arguments, from the first, are
    `kept`: who calls goes on to read them. The function then writes to copies that it makes itself; XLA would make them
    before it, each by a function of its own, and of more than a few of those it leaves some to another thread.
    """
    if not on_cpu():
        return what
    from jax.core import eval_jaxpr
    from jax.experimental.xla_metadata import set_xla_metadata

    def called(*args: Any) -> Any:
        with set_xla_metadata(**dict.fromkeys(MARKS)):  # the call is marked, and nothing in it
            closed, shape = jax.make_jaxpr(what, return_shape=True)(*args)
        result, flat = jax.tree.structure(shape), jax.tree.leaves(args)
        if where is not None and (_apart or not where(closed.jaxpr)):
            return jax.tree.unflatten(result, eval_jaxpr(closed.jaxpr, closed.consts, *flat))
        copied = len(jax.tree.leaves(args[:kept]))
        hidden = [i for i, const in enumerate(closed.consts) if isinstance(const, jax.Array) or np.size(const) > SMALL]

        def computed(given: list[Any], flat: list[Any]) -> list[Any]:
            consts = list(closed.consts)
            for i, const in zip(hidden, given, strict=True):
                consts[i] = const
            return eval_jaxpr(closed.jaxpr, consts, *flat)

        def never(given: list[Any], flat: list[Any]) -> list[Any]:
            """Arrays of the right shapes: each of them the next operand that is alike, which it is likely made of."""
            left = list(flat)

            def alike(out: Any) -> Any:
                at = next(
                    (i for i, each in enumerate(left) if (each.shape, each.dtype) == (out.shape, out.dtype)), None
                )
                return jnp.zeros(out.shape, out.dtype) if at is None else left.pop(at)

            return [alike(out) for out in jax.tree.leaves(shape)]

        def undivided(given: list[Any], flat: list[Any]) -> list[Any]:
            with set_xla_metadata(**dict.fromkeys(MARKS)):
                one = _sum_of_firsts([*flat, *given])
                flat = [*(_copy(each, one) for each in flat[:copied]), *flat[copied:]]
                return lax.cond((one | 1) != 0, computed, never, given, flat)

        @jax.custom_batching.custom_vmap
        def whole(given: list[Any], flat: list[Any]) -> list[Any]:
            given, flat = lax.optimization_barrier((given, flat))
            with set_xla_metadata(**MARKS):
                return jax.jit(undivided)(given, flat)

        @whole.def_vmap
        def _(size: int, batched: list[Any], given: list[Any], flat: list[Any]) -> tuple[list[Any], list[bool]]:
            found = _lanes(size, jax.tree.leaves(batched), computed, given, flat, _widest(closed.jaxpr) >= WIDE)
            return found, [True] * len(found)

        return jax.tree.unflatten(result, whole([closed.consts[i] for i in hidden], flat))

    return called


def _lanes(
    size: int, batched: list[bool], computed: Callable[..., list[Any]], given: list[Any], flat: list[Any], wide: bool
) -> list[Any]:
    """What `computed` gives for each lane: side by side where a lane is narrow, else one after the other, a share of
    them in each thread, since the arrays of a lane then stay in its cache."""
    arrays, tree = jax.tree.flatten((given, flat))

    def lane(own: list[Any]) -> list[Any]:
        rest = iter(own)
        return computed(*tree.unflatten([next(rest) if one else x for one, x in zip(batched, arrays, strict=True)]))

    own = [array for array, one in zip(arrays, batched, strict=True) if one]
    if not wide:
        return in_one_function(jax.vmap(lane), fits)(own)
    ends = np.linspace(0, size, min(size, len(os.sched_getaffinity(0))) + 1).round().astype(int)
    shares = [
        in_one_function(lambda own: lax.map(lane, own))([array[first:last] for array in own])
        for first, last in zip(ends[:-1], ends[1:], strict=True)
    ]
    return [jnp.concatenate(each) for each in zip(*shares, strict=True)]


def _widest(jaxpr: Any) -> int:
    """The most elements that an operation makes."""
    sizes = [out.aval.size for each in jaxpr.eqns for out in each.outvars if each.primitive.name in ELEMENTWISE]
    return max([0, *sizes, *(_widest(inner) for each in jaxpr.eqns for inner in _inside(each))])


def _first_of(array: Any) -> Any:
    """One number of an array."""
    if jnp.issubdtype(array.dtype, jax.dtypes.prng_key):
        array = jax.random.key_data(array)
    return lax.convert_element_type(lax.slice(array.reshape(-1), (0,), (1,))[0], "int32")


def _sum_of_firsts(operands: list[Any]) -> Any:
    """A whole number that XLA does not know.

    It is made of all operands: XLA ends the process over an array that such a function is handed and does not read.
    """
    return sum((_first_of(each) for each in operands if each.size), jnp.int32(0))


def _copy(array: Any, number: Any) -> Any:
    """The same array elsewhere in memory, which XLA would take for the array itself if it knew the number.

    Those that it might divide among threads, and those that are no numbers, are left to XLA.
    """
    if array.size > WHOLE or not any(jnp.issubdtype(array.dtype, kind) for kind in (jnp.floating, jnp.integer)):
        return array
    nothing = lax.population_count(number) >> 6  # no number has 64 bits that are set
    kind = f"int{8 * array.dtype.itemsize}"
    return lax.bitcast_convert_type(lax.bitcast_convert_type(array, kind) ^ nothing.astype(kind), array.dtype)
