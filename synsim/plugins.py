"""Modules of other people's packages whose components a config may name.

Two kinds: entry points `synsim.components` of packages that are installed, which is a user's word that they are
wanted; and `plugins: [mypackage.cells]` in a config, imported only where that is allowed. Importing runs their code;
nothing in them registers itself, they are scanned as the package is (see `catalogue`).
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType

from synsim.component import Declaration

GROUP = "synsim.components"
"""The group of entry points: `[project.entry-points."synsim.components"]`, then `any-name = "mypackage.cells"`."""

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*", re.ASCII)


class BadPlugin(Exception):
    """What is wrong with a plugin, as a sentence about it."""


@dataclass(frozen=True)
class Origin:
    """Which code a plugin was: its module, the version of the package that it came with, the digest of its file."""

    module: str
    version: str
    sha256: str


_beside: dict[str, Path] = {}  # modules that were found beside a config, and where


def imported(name: str, folder: Path | None = None) -> ModuleType:
    """The module, from where Python finds modules, or else from `folder`, that of the config which names it.

    Raises BadPlugin: where it is not there, fails, or another of the same name is loaded.
    """
    if not NAME.fullmatch(name):
        raise BadPlugin(f"{name!r} is no name of a module, as mypackage.cells")
    place = str(folder) if folder is not None else None
    fresh = name not in sys.modules and place not in sys.path
    if place is not None and _beside.get(name, folder) != folder:
        raise BadPlugin(f"another module {name}, of {_beside[name]}, is loaded already: use one process for each")
    try:
        with _also_from(place), contextlib.redirect_stdout(sys.stderr):  # standard output is for results
            module = importlib.import_module(name)
    except (Exception, SystemExit) as error:
        said = " ".join(str(error).split())[:300]
        raise BadPlugin(f"{name} cannot be imported: {type(error).__name__}{f': {said}' if said else ''}") from error
    file = getattr(module, "__file__", None)
    if fresh and folder is not None and file is not None and Path(file).resolve().is_relative_to(folder.resolve()):
        _beside[name] = folder
    return module


@contextlib.contextmanager
def _also_from(place: str | None) -> Iterator[None]:
    """Look for modules in one more folder, after all others."""
    if place is None or place in sys.path:
        yield
        return
    sys.path.append(place)
    importlib.invalidate_caches()
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):
            sys.path.remove(place)


def declared(module: ModuleType) -> dict[str, type[Declaration]]:
    """The concrete declarations of a module by type name: its own, and those that a package takes from its modules."""
    found: dict[str, type[Declaration]] = {}
    for value in vars(module).values():
        if not (isinstance(value, type) and issubclass(value, Declaration)) or value.is_abstract:
            continue
        if value.__module__ != module.__name__ and not value.__module__.startswith(f"{module.__name__}."):
            continue
        if found.setdefault(value.type_name, value) is not value:
            raise BadPlugin(f"{module.__name__} has two types called {value.type_name}")
    return dict(sorted(found.items()))


@cache
def installed() -> tuple[tuple[ModuleType, ...], tuple[str, ...]]:
    """The modules that installed packages offer, and what is wrong with those that cannot be used."""
    import importlib.metadata  # here: it takes as long as all else of the package

    modules, wrong = [], []
    for entry in sorted(importlib.metadata.entry_points(group=GROUP), key=lambda entry: (entry.module, entry.name)):
        try:
            modules.append(imported(entry.module))
        except BadPlugin as bad:
            package = entry.dist.name if entry.dist is not None else entry.name
            wrong.append(f"the plugin of the installed package {package}, {bad}")
    return tuple(dict.fromkeys(modules)), tuple(wrong)


def origin(name: str) -> Origin:
    """Which code a loaded module is."""
    module = sys.modules[name]
    file = getattr(module, "__file__", None)
    try:
        digest = hashlib.sha256(Path(file).read_bytes()).hexdigest() if file else ""
    except OSError:
        digest = ""
    return Origin(name, _version(name.partition(".")[0], module), digest)


def _version(package: str, module: ModuleType) -> str:
    import importlib.metadata

    for distribution in importlib.metadata.packages_distributions().get(package, ()):
        return importlib.metadata.version(distribution)
    return str(getattr(module, "__version__", getattr(sys.modules.get(package), "__version__", "")))
