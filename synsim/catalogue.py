"""Which types there are: a sorted, read-only scan of the package.

Nothing registers itself. A component is found because it is a concrete `Component` in a module below
`synsim.components`, a synapse type because it is a row of `presets.PRESETS`, a part because it stands in its folder.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from functools import cache
from types import MappingProxyType, ModuleType
from typing import Any

from synsim.component import Component, Declaration

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


@cache
def types() -> Mapping[str, Any]:
    """Every component type by name: a `Component` class, or a `Preset` row for a synapse with a name of its own."""
    from synsim.components.synapses.presets import PRESETS

    found: dict[str, Any] = dict(scan("synsim.components", Component))
    for name, preset in PRESETS.items():
        if name in found:
            raise TypeError(f"two component types are called {name}: {found[name].__module__} and a preset")
        found[name] = preset
    return MappingProxyType(dict(sorted(found.items())))


@cache
def parts(kind: str) -> Mapping[str, type[Declaration]]:
    """The declarations of one kind by type name: connectivity, dynamics, rule, initialiser, corruption or data.

    Those that say `selectable = False` are made by the program and cannot be written in a config.
    """
    found = scan(_PLACES[kind], Declaration)
    return MappingProxyType({name: part for name, part in found.items() if getattr(part, "selectable", True)})


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
