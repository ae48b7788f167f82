"""What a component is.

A component is a frozen dataclass. Its annotated names are settings (`param`, `static`, `part`), its
unannotated ones are compartments (`inlet`, `state`, `outlet`). This one definition is the schema, the help,
the HDF5 attributes and the program:

    class LeakyCell(Component):
        "One line. Equation. Source."
        n_units: Size = static("Number of neurons, or their shape.")
        tau: float = param("Time constant.", "ms", gt=0)
        j = inlet("Input current.", "nA")
        v = state("Membrane potential.", "mV")

        def advance(self, x, now):
            return dict(v=x.v + now.dt / self.tau * (x.j - x.v))

A `param` is a pytree leaf (sweeping it recompiles nothing), a `static` is part of the program. Activities carry
a leading batch axis, learned arrays declare `batch=False`. A concrete component is final.
"""

from __future__ import annotations

import dataclasses
import math
import sys
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple, Self

Size = int | tuple[int, ...]
"""A number of units, or the shape they are laid out in."""


@dataclass(frozen=True)
class Compartment:
    """One named array of a component. `size` names an entry of `Component.sizes`; "" is a scalar."""

    kind: str  # inlet, state or outlet
    doc: str
    unit: str = ""
    size: str = "unit"
    batch: bool = True
    start: float | str | None = 0.0  # a number, the name of a setting, or None where `init` draws it
    learned: bool = False
    per_phase: bool = False
    spikes: bool = False
    shown: bool = False
    required: bool = False
    default: float | str = 0.0  # a number, or the name of a setting
    integer: bool = False
    usual: tuple[float, float] | None = None  # what an inlet is meant for


def inlet(
    doc: str,
    unit: str = "",
    *,
    default: float | str = 0.0,
    required: bool = False,
    size: str = "unit",
    batch: bool = True,
    integer: bool = False,
    usual: tuple[float, float] | None = None,
) -> Any:
    """An input that a wire feeds; unwired it reads `default`. Read-only and not part of the state.

    Data beyond `usual` are warned of.

    A default that names a setting reads that setting, and the inlet may have its name: a learning rate that a wire
    may take over is one.
    """
    return Compartment(
        "inlet", doc, unit, size, batch, default=default, required=required, integer=integer, usual=usual
    )


def state(
    doc: str,
    unit: str = "",
    *,
    start: float | str | None = 0.0,
    learned: bool = False,
    per_phase: bool = False,
    size: str = "unit",
    batch: bool = True,
) -> Any:
    """A value kept from step to step. Reset puts it to `start`, unless it is learned or kept for a phase."""
    return Compartment("state", doc, unit, size, batch, start=start, learned=learned, per_phase=per_phase)


def outlet(
    doc: str,
    unit: str = "",
    *,
    start: float | str = 0.0,
    spikes: bool = False,
    shown: bool = False,
    size: str = "unit",
    batch: bool = True,
) -> Any:
    """A value that others read and its own component never does; kept only where somebody reads or records it.

    `spikes` marks values that are 0 or 1; `shown` ones are printed when a run ends.
    """
    return Compartment("outlet", doc, unit, size, batch, start=start, spikes=spikes, shown=shown)


def _setting(role: str, doc: str, unit: str, default: Any, **rest: Any) -> Any:
    metadata = {
        "role": role,
        "doc": doc,
        "unit": unit,
        "static": role == "static",  # part of the program, and no leaf of the pytree
        **{key: value for key, value in rest.items() if value is not None},
    }
    if default is dataclasses.MISSING:
        return dataclasses.field(metadata=metadata, kw_only=True)
    return dataclasses.field(default=default, metadata=metadata, kw_only=True)


def param(
    doc: str,
    unit: str = "",
    *,
    default: Any = dataclasses.MISSING,
    gt: float | None = None,
    ge: float | None = None,
    lt: float | None = None,
    le: float | None = None,
    per: str | None = None,
    also: tuple[str, ...] = (),
) -> Any:
    """A number that is a pytree leaf. `per` names the size along which a list gives one value each."""
    return _setting("param", doc, unit, default, gt=gt, ge=ge, lt=lt, le=le, per=per, also=also)


def static(
    doc: str,
    unit: str = "",
    *,
    default: Any = dataclasses.MISSING,
    gt: float | None = None,
    ge: float | None = None,
    lt: float | None = None,
    le: float | None = None,
    also: tuple[str, ...] = (),
) -> Any:
    """A setting that shapes the program: sizes, names of functions, switches. Changing it recompiles."""
    return _setting("static", doc, unit, default, gt=gt, ge=ge, lt=lt, le=le, also=also)


def part(doc: str, *, default: Any = dataclasses.MISSING) -> Any:
    """A setting that is itself a declaration with settings, as a synapse's rule or an initialiser."""
    return _setting("part", doc, "", default)


def made(doc: str, *, default: None = None, static: bool = False) -> Any:
    """What building works out and no config says: null until then. An array is a leaf, integers stay integers."""
    metadata = {"role": "made", "doc": doc, "unit": "", "static": static}
    return dataclasses.field(default=default, metadata=metadata, kw_only=True)


class Now(NamedTuple):
    """When a method is called: trial time `t` (ms), step of the trial, time step `dt` (ms), a key of its own, which may
    be None where the method does not draw with it.

    `zero` is an integer 0 that the compiler does not know to be one; `rounded` needs it. `each_step` are the methods
    of the component that every step calls, where this call is one of a step; not known, it holds more than there are.
    `walked`: synapses go from one spike of the component to the next, so that its own call may well do so, too.
    """

    t: Any
    step: Any
    dt: float
    key: Any
    zero: Any = 0
    each_step: frozenset[str] = frozenset({"unknown"})
    walked: bool = False


def rounded(value: Any, zero: Any) -> Any:
    """The value, rounded to its type: no compiler joins the product it came from and a later sum into one operation.

    XLA does so (a fused multiply-add rounds once) where nobody else reads the product, so that recording it would
    change the last digit of everything after it. The engine rounds outlets; a method itself does so
    with an outlet that it goes on to compute with, and with products that it adds to one another. Its derivative is
    that of the value.
    """
    return value if isinstance(zero, int) else _rounding()(value, zero)


@cache
def _rounding() -> Any:
    import jax  # here, so that settings can be declared and checked without it

    @jax.custom_jvp
    def through_bits(value: Any, zero: Any) -> Any:
        bits = "int32" if value.dtype.itemsize == 4 else "int64"
        return jax.lax.bitcast_convert_type(jax.lax.bitcast_convert_type(value, bits) ^ zero.astype(bits), value.dtype)

    @through_bits.defjvp
    def _(primals: tuple[Any, Any], tangents: tuple[Any, Any]) -> tuple[Any, Any]:
        return through_bits(*primals), tangents[0]  # what goes through bits has no derivative of its own

    return through_bits


class View:
    """The compartments of one component as a method sees them: wires already read."""

    __slots__ = ("_owner", "_values")

    def __init__(self, owner: str, values: Mapping[str, Any]):
        self._owner, self._values = owner, values

    def __getattr__(self, name: str) -> Any:
        try:
            return self._values[name]
        except KeyError:
            have = ", ".join(sorted(self._values))
            raise AttributeError(f"{self._owner} has no compartment {name!r}; it has {have}") from None

    def __getitem__(self, name: str) -> Any:
        return getattr(self, name)

    def __contains__(self, name: str) -> bool:
        return name in self._values


_undeclared: list[type] = []  # to JAX: declarations that it does not know as pytrees yet


def _make_pytrees() -> None:
    """Declares to JAX what has been declared so far. Importing it waits for the first component that is made, so
    that types can be described and settings checked without it."""
    if not _undeclared:
        return
    import jax

    while _undeclared:
        cls = _undeclared.pop()
        fields = dataclasses.fields(cls)
        jax.tree_util.register_dataclass(
            cls,
            data_fields=[field.name for field in fields if not field.metadata["static"]],
            meta_fields=[field.name for field in fields if field.metadata["static"]],
        )


@typing.dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(param, static, part, made))
class Declaration:
    """Base of everything declared by fields: components, the parts of a synapse, initialisers.

    Subclassing makes a frozen dataclass and registers it as a pytree whose leaves are its `param`s and parts.
    A class that names itself `abstract=True` is an interface; any other is final.
    """

    __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[Any]]]
    declared: ClassVar[Mapping[str, Compartment]] = MappingProxyType({})
    is_abstract: ClassVar[bool] = True
    type_name: ClassVar[str] = ""

    def __init_subclass__(cls, abstract: bool = False, type_name: str = "", **rest: Any):
        super().__init_subclass__(**rest)
        for base in cls.__bases__:
            if issubclass(base, Declaration) and not base.is_abstract:
                raise TypeError(
                    f"{cls.__name__} may not inherit from {base.__name__}: a concrete declaration "
                    "is final. Share a part or a plain function instead."
                )
        cls.is_abstract = abstract
        cls.type_name = type_name or cls.__name__
        compartments = {
            name: value
            for base in reversed(cls.__mro__)
            for name, value in vars(base).items()
            if isinstance(value, Compartment)
        }
        cls.declared = MappingProxyType(compartments)
        dataclasses.dataclass(frozen=True, eq=False)(cls)
        if abstract:
            return
        if not (cls.__doc__ or "").strip() or (cls.__doc__ or "").startswith(f"{cls.__name__}("):
            raise TypeError(f"{cls.__name__} needs a docstring: its equation and its source")
        fields = dataclasses.fields(cls)
        for field in fields:
            if "role" not in field.metadata:
                raise TypeError(f"{cls.__name__}.{field.name} must be declared by param, static, part or made")
            if field.name in compartments:
                raise TypeError(f"{cls.__name__}.{field.name} is both a setting and a compartment")
        _undeclared.append(cls)
        if "jax" in sys.modules:
            _make_pytrees()

    def __new__(cls, *_: Any, **__: Any) -> Self:
        if _undeclared and "jax" in sys.modules:  # else it is the default of a setting, and its owner will see to it
            _make_pytrees()
        return super().__new__(cls)

    @classmethod
    def annotations(cls) -> dict[str, Any]:
        """The resolved type of every setting."""
        return typing.get_type_hints(cls)

    def problems(self) -> list[tuple[str, str]]:
        """Settings that contradict each other: (setting, sentence) for each."""
        return []


class Component(Declaration, abstract=True):
    """A node of the graph. Methods take `(x, now)` and return a dict of what changed."""

    family: ClassVar[str] = "other"

    def doubts(self, dt: float) -> list[tuple[str, str]]:
        """Settings that are legal and surely not meant at this step: (setting, words that follow its name)."""
        del dt
        return []

    def __new__(cls, *_: Any, **__: Any) -> Self:
        _make_pytrees()
        return super().__new__(cls)

    def sizes(self) -> dict[str, tuple[int, ...]]:
        """The named sizes that compartments refer to, without the batch axis."""
        units = getattr(self, "n_units", None)
        return {} if units is None else {"unit": as_shape(units)}

    def axes(self, size: str) -> tuple[str, ...]:
        """The names of the axes of a size, as they stand in files."""
        rank = len(self.sizes()[size]) if size else 0
        return {0: (), 1: ("unit",), 2: ("y", "x"), 3: ("y", "x", "channel")}[rank]

    @property
    def compartments(self) -> Mapping[str, Compartment]:
        """Every compartment of this instance by name."""
        return self.declared

    @classmethod
    def declared_methods(cls) -> tuple[str, ...]:
        """The methods that the class gives a schedule to name, besides `reset`."""
        known = {*dir(Component), "reset"}
        return tuple(
            name for name in dir(cls) if not name.startswith("_") and name not in known and callable(getattr(cls, name))
        )

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods of this instance that a schedule may name, besides `reset`."""
        return self.declared_methods()

    def init(self, key: Any, batch: int, dtype: Any) -> dict[str, Any]:
        """Start values that are drawn: those of the compartments declared with `start=None`."""
        del key, batch, dtype
        return {}

    def conform(self, values: dict[str, Any]) -> dict[str, Any]:
        """Start values as the component allows them; a synapse takes away what its mask takes away."""
        return values

    def setting(self, name: str) -> Any:
        """The value of a setting that a compartment starts at or reads by default."""
        return getattr(self, name)

    def fitted(self, pre: tuple[int, ...] | None, post: tuple[int, ...] | None) -> Component | None:
        """This component with what its settings left open decided; None where that takes the shapes of its two sides.

        `pre` and `post` are the shapes, without the batch, of what is wired to the two sides of a synapse.
        """
        del pre, post
        return self

    def method(self, name: str) -> Any:
        """The method that a schedule calls `name`."""
        return getattr(self, name)


def as_shape(size: Size) -> tuple[int, ...]:
    """A size as a shape: 100 is (100,)."""
    return (size,) if isinstance(size, int) else tuple(size)


def count(shape: tuple[int, ...]) -> int:
    """Number of elements of a shape."""
    return math.prod(shape)
