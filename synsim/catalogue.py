"""Which types there are: a sorted, read-only scan of the package, and of plugins.

Nothing registers itself. A component is found because it is a concrete `Component` in a module below
`synsim.components`, a synapse type because it is a row of `presets.PRESETS`, a part because it stands in its folder.
Plugins are modules that are scanned too: those that installed packages name as entry points, and those that a config
names and its user allowed (`admit`). Their components and their rules, dynamics, connectivities and initialisers
stand beside those of the package.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any

from synsim import plugins
from synsim.component import Component, Declaration
from synsim.plugins import BadPlugin

SYNAPSE = "Synapse"
"""The one synapse class; every preset is a row about it."""

SYNAPSE_PARTS: Mapping[str, str] = MappingProxyType(
    {
        "connectivity": "synsim.components.synapses.connectivity",
        "dynamics": "synsim.components.synapses.dynamics",
        "rule": "synsim.components.synapses.rules",
    }
)
"""The parts of a synapse, by the setting that holds them, and where they are found."""

_PLACES: Mapping[str, str] = MappingProxyType(
    {
        **SYNAPSE_PARTS,
        "initialiser": "synsim.initialisers",
        "corruption": "synsim.corruptions",
        "data": "synsim.data",
    }
)


_admitted: tuple[tuple[str, ModuleType], ...] = ()  # plugins that configs of this process name


def types() -> Mapping[str, Any]:
    """Every component type by name: a `Component` class, or a `Preset` row for a synapse with a name of its own."""
    return _types(_admitted)


def types_for(modules: Iterable[str]) -> Mapping[str, Any]:
    """The component types that a config with these modules as its plugins may name."""
    return _types(tuple(each for each in _admitted if each[0] in set(modules)))


def parts(kind: str) -> Mapping[str, type[Declaration]]:
    """The declarations of one kind by type name: connectivity, dynamics, rule, initialiser, corruption or data.

    Those that say `selectable = False` are made by the program and cannot be written in a config.
    """
    return _parts(kind, _admitted)


def admit(name: str, folder: Path | None = None) -> None:
    """Import a plugin, which runs its code, and let configs of this process name its types from now on.

    `folder` is looked into where Python finds no such module. Raises BadPlugin.
    """
    global _admitted
    if any(name == each for each, _ in _admitted):
        plugins.imported(name, folder)  # which refuses another module of that name
        return
    module = plugins.imported(name, folder)
    found = plugins.declared(module)
    if not any(issubclass(each, Component) or part_kind(each) for each in found.values()):
        raise BadPlugin(f"{name} defines no component, and no rule, dynamics, connectivity or initialiser")
    for type_name, each in found.items():
        _refuse_clash(name, type_name, each)
    _admitted = (*_admitted, (name, module))


def admitted() -> tuple[str, ...]:
    """The plugins that configs of this process name, as far as they were allowed."""
    return tuple(name for name, _ in _admitted)


def broken() -> tuple[str, ...]:
    """What is wrong with plugins of installed packages that could not be used, a sentence each."""
    return (*plugins.installed()[1], *_installed()[1])


def module_of(type_name: str) -> str:
    """The module that a component type is defined in."""
    entry = types()[type_name]
    return entry.__module__ if isinstance(entry, type) else "synsim.components.synapses.presets"


@cache
def _shipped() -> Mapping[str, Any]:
    from synsim.components.synapses.presets import PRESETS

    found: dict[str, Any] = dict(scan("synsim.components", Component))
    for name, preset in PRESETS.items():
        if name in found:
            raise TypeError(f"two component types are called {name}: {found[name].__module__} and a preset")
        found[name] = preset
    return MappingProxyType(found)


@cache
def _shipped_parts(kind: str) -> Mapping[str, type[Declaration]]:
    return MappingProxyType(scan(_PLACES[kind], Declaration))


@cache
def _installed() -> tuple[tuple[type[Declaration], ...], tuple[str, ...]]:
    """The types of installed plugins, but for those whose names are taken, which are said."""
    found: dict[tuple[str, str], type[Declaration]] = {}
    wrong = []
    for module in plugins.installed()[0]:
        try:
            for name, each in plugins.declared(module).items():
                _refuse_shipped(module.__name__, name, each)
                other = found.setdefault((part_kind(each), name), each)
                if other is not each:
                    raise BadPlugin(
                        f"{module.__name__} has a type {name}, as the installed {other.__module__} has: uninstall one"
                    )
        except BadPlugin as bad:
            wrong.append(f"the installed plugin {bad}")
    return tuple(found.values()), tuple(wrong)


class _ShippedFirst(Mapping[str, Any]):
    """Types by name. One of the package is looked up alone, which imports little; all types are gathered, and the
    installed plugins looked for, where a list is asked for or a name is not among the package's own."""

    def __init__(self, shipped: Callable[[str], Any], whole: Callable[[], Mapping[str, Any]]):
        self._shipped, self._whole = shipped, whole

    def __getitem__(self, name: str) -> Any:
        found = self._shipped(name)
        return self._whole()[name] if found is None else found

    def __iter__(self) -> Iterator[str]:
        return iter(self._whole())

    def __len__(self) -> int:
        return len(self._whole())


@cache
def _types(admitted: tuple[tuple[str, ModuleType], ...]) -> Mapping[str, Any]:
    @cache
    def whole() -> Mapping[str, Any]:
        found = dict(_shipped())
        for each in _plugged(admitted):
            if issubclass(each, Component):
                found[each.type_name] = each
        return MappingProxyType(dict(sorted(found.items())))

    return _ShippedFirst(_shipped_alone, whole)


@cache
def _shipped_alone(name: str) -> Any:
    """A type of the package, from the module that is named after it, or None."""
    from synsim.components.synapses.presets import PRESETS

    if name in PRESETS:
        return PRESETS[name]
    place = _modules_by_name().get(name.casefold())
    found = getattr(importlib.import_module(place), name, None) if place is not None else None
    if not (isinstance(found, type) and issubclass(found, Component)) or found.is_abstract:
        return None
    return found if (found.type_name, found.__module__) == (name, place) else None


@cache
def _modules_by_name() -> Mapping[str, str]:
    """The modules of components by what they are called without underscores: lifcell is in …lif_cell."""
    found = {}
    for place in ("synsim.components", "synsim.components.synapses"):
        for entry in pkgutil.iter_modules(importlib.import_module(place).__path__):
            found[entry.name.replace("_", "")] = f"{place}.{entry.name}"
    return found


@cache
def _parts(kind: str, admitted: tuple[tuple[str, ModuleType], ...]) -> Mapping[str, type[Declaration]]:
    @cache
    def whole() -> Mapping[str, Any]:
        found = dict(_shipped_parts(kind))
        for each in _plugged(admitted):
            if part_kind(each) == kind:
                found[each.type_name] = each
        return MappingProxyType({name: part for name, part in sorted(found.items()) if _selectable(part)})

    def shipped(name: str) -> Any:
        found = _shipped_parts(kind).get(name)
        return found if found is not None and _selectable(found) else None

    return _ShippedFirst(shipped, whole)


def _selectable(part: type[Declaration]) -> bool:
    return getattr(part, "selectable", True)


def _plugged(admitted: tuple[tuple[str, ModuleType], ...]) -> Iterator[type[Declaration]]:
    yield from _installed()[0]
    for _, module in admitted:
        yield from plugins.declared(module).values()


def _refuse_shipped(module: str, name: str, each: type[Declaration]) -> None:
    kind = part_kind(each)
    shipped = _shipped_parts(kind) if kind else _shipped() if issubclass(each, Component) else {}
    if name in shipped and shipped[name] is not each:
        raise BadPlugin(f"{module} has a type {name}, as synsim has itself: it needs a name of its own")


def _refuse_clash(module: str, name: str, each: type[Declaration]) -> None:
    _refuse_shipped(module, name, each)
    kind = part_kind(each)
    others = parts(kind) if kind else types() if issubclass(each, Component) else {}
    if name in others and others[name] is not each:
        raise BadPlugin(f"{module} has a type {name}, as {others[name].__module__} has: one of them needs another name")


def part_kind(each: type[Declaration]) -> str:
    """The kind of a part, whose interface it implements; "" for a component, or what configs do not name."""
    for base in each.__mro__[1:]:
        if issubclass(base, Declaration) and base.__module__.startswith("synsim.") and base.is_abstract:
            for kind, place in _PLACES.items():
                if base.__module__ == place or base.__module__.startswith(f"{place}."):
                    return kind
    return ""


def kind_of(interface: type[Declaration]) -> str:
    """The kind whose declarations implement an interface: that of the module or package it stands in."""
    module = interface.__module__
    return next(kind for kind, place in _PLACES.items() if module == place or module.startswith(f"{place}."))


def scan(place: str, base: type[Declaration]) -> dict[str, type[Any]]:
    """Every concrete subclass of `base` that is defined in the module or package `place`, sorted by type name."""
    found: dict[str, type[Any]] = {}
    for module in _modules(place):
        for value in vars(module).values():
            if not (isinstance(value, type) and issubclass(value, base)) or value.is_abstract:
                continue
            if value.__module__ != module.__name__:
                continue  # imported there, defined elsewhere
            other = found.setdefault(value.type_name, value)
            if other is not value:
                raise TypeError(f"two types are called {value.type_name}: in {other.__module__} and {module.__name__}")
    return dict(sorted(found.items()))


def _modules(place: str) -> Iterator[ModuleType]:
    root = importlib.import_module(place)
    yield root
    if hasattr(root, "__path__"):
        for entry in sorted(pkgutil.walk_packages(root.__path__, f"{place}."), key=lambda entry: entry.name):
            yield importlib.import_module(entry.name)
