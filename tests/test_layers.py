"""Who may import whom: every import of the package, also inside functions, against the table of the design.

The table is complete on purpose: a new module fails here until somebody has said where it belongs.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

import pytest

import synsim

ROOT = Path(synsim.__file__).parent

CONFIG = ("config", "config.*", "spec", "expressions", "values")
STORE = (
    *("store", "layout", "reading", "locks", "foreign", "files", "blocks", "straight"),
    *("outline", "segments", "merging", "verification", "sandbox"),
)
PARTS = "components.synapses"
KIND = (
    "faults",
    "pictures.canvas",
    "pictures.counting",
    "pictures.part",
    "pictures.subject",
    "pictures.timeline",
    "reading",
    "thinning",
)
COMMAND = ("commands.app", "commands.options", "completion", "faults", "terminal")

# module (or pattern): the modules of the package that it may import
WITHIN: dict[str, tuple[str, ...]] = {
    "faults": (),
    "component": (),
    "later": (),  # a leaf: JAX and numpy, imported when they are used
    "short_rows": ("later", "one_function"),
    "spike_bits": ("later", "one_function"),
    "expressions": (),
    "blocks": (),
    "straight": ("blocks", "later"),
    "files": ("blocks", "straight"),
    "splits": ("component", "later"),
    "corruptions": ("component", "later"),
    "initialisers": ("component", "later"),
    "optimisers": ("later",),
    "one_function": ("later",),
    "structure": ("later",),  # who is connected with whom, drawn on the host
    "preflight": ("faults",),  # a leaf: what memory and disk there are
    # components: one model, one short file, none imports another; what they share are plain functions
    "components": (),
    "components.activations": ("later",),
    "components.integrators": ("later",),
    "components.spiking": ("component", "components.integrators", "later", "one_function", "spike_bits"),
    "components.*": ("component", "components.activations", "components.integrators", "components.spiking", "later"),
    PARTS: (),
    f"{PARTS}.presets": (),
    f"{PARTS}.connectivity": (),
    f"{PARTS}.connectivity.connectivity": ("component", "later"),
    # the two that slide filters over an image share its geometry
    f"{PARTS}.connectivity.*": (
        "component",
        "later",
        "one_function",
        "structure",
        f"{PARTS}.connectivity.connectivity",
        f"{PARTS}.connectivity.sliding",
    ),
    f"{PARTS}.connectivity.events": ("component", "later", "one_function", "spike_bits"),
    f"{PARTS}.connectivity.sparse": (
        "component",
        "later",
        "structure",
        f"{PARTS}.connectivity.connectivity",
        f"{PARTS}.connectivity.events",
    ),
    f"{PARTS}.connectivity.dense": (
        "component",
        "later",
        f"{PARTS}.connectivity.connectivity",
        f"{PARTS}.connectivity.events",
        f"{PARTS}.connectivity.sparse",  # which its weights may be kept as
    ),
    f"{PARTS}.dynamics": (),
    f"{PARTS}.dynamics.dynamics": ("component", "later"),
    # kernels share what a conductance is: its settings and its current
    f"{PARTS}.dynamics.*": (
        "component",
        "later",
        "components.integrators",
        f"{PARTS}.dynamics.dynamics",
        f"{PARTS}.dynamics.conductance",
    ),
    f"{PARTS}.rules": (),
    f"{PARTS}.rules.rule": ("component", "later", f"{PARTS}.connectivity.connectivity"),
    f"{PARTS}.rules.*": (
        "component",
        "later",
        "optimisers",
        f"{PARTS}.rules.rule",
        f"{PARTS}.connectivity.connectivity",
    ),
    # the synapse knows the three interfaces, and the two parts that it has by default
    f"{PARTS}.delays": ("component", "initialisers", "later"),
    f"{PARTS}.short_term": ("component", "later"),
    f"{PARTS}.synapse": (
        "component",
        "initialisers",
        "later",
        f"{PARTS}.connectivity.connectivity",
        f"{PARTS}.connectivity.dense",
        f"{PARTS}.delays",
        f"{PARTS}.dynamics.dynamics",
        f"{PARTS}.dynamics.instant",
        f"{PARTS}.rules.rule",
        f"{PARTS}.rules.static",
        f"{PARTS}.short_term",
    ),
    f"{PARTS}.hopfield_synapse": ("component", "initialisers", "later"),
    "plugins": ("component",),
    "catalogue": ("component", "plugins", f"{PARTS}.presets"),
    "describe": ("catalogue", "component", "faults", "values", f"{PARTS}.synapse"),
    # config: text -> Spec
    "values": ("component", "faults"),
    "spec": ("catalogue", "component", "describe", "expressions", "faults", "plugins"),
    "config": ("config.*", "spec", "values", "faults"),
    "config.*": (
        "config.*",
        "spec",
        "values",
        "expressions",
        "faults",
        "catalogue",
        "describe",
        "component",
        "plugins",
    ),
    "arrays": ("faults", "later", "preflight", "store"),  # .h5 goes through the store
    "rasters": ("arrays", "faults", "later", "preflight", "store"),
    "mnist": ("arrays", "later"),
    "digits": ("arrays", "later"),
    "streaming": ("arrays", "later", "preflight", "store"),
    "data": (
        "arrays",
        "component",
        "corruptions",
        "digits",
        "faults",
        "later",
        "mnist",
        "rasters",
        "splits",
        "streaming",
    ),
    # Spec -> Graph -> program -> run
    "graph": ("component", "expressions", "faults", "initialisers"),
    "building": (
        "catalogue",
        "component",
        "describe",
        "expressions",
        "faults",
        "graph",
        "initialisers",
        "preflight",
        "spec",
        "structure",
    ),
    "records": ("component", "compression", "faults", "graph", "layout", "spec", "spike_bits"),
    "engine": ("component", "faults", "graph", "one_function", "records", "short_rows", "spike_bits"),
    "plan": (
        "arrays",
        "building",
        "component",
        "data",
        "expressions",
        "engine",
        "faults",
        "graph",
        "layout",
        "preflight",
        "records",
        "spec",
        "streaming",
    ),
    "guesses": (),
    "device": ("", "faults", "guesses", "plan", "preflight", "spec"),
    "record_buffers": (),
    "programs": ("engine", "graph", "one_function", "plan", "record_buffers", "records"),
    "kept_programs": ("device", "engine", "files", "guesses", "plan", "programs", "spec", "threads"),
    "threads": ("component", "describe", "one_function", "spec"),
    "pieces": ("plan", "records", "spike_bits"),
    "saving": ("checkpoint", "engine", "layout", "pieces", "plan", "threads"),
    "loop": ("checkpoint", "engine", "faults", "graph", "pieces", "plan", "programs", "saving"),
    "profile": ("component", "engine", "graph", "loop", "one_function", "plan", "saving"),
    # files
    "compression": ("faults",),
    "layout": (),
    "locks": ("faults", "files"),
    "foreign": ("compression", "faults", "sandbox", "segments"),
    "sandbox": ("faults",),
    "outline": ("files",),
    "segments": ("blocks", "compression", "faults", "layout", "outline"),
    "labelled": (),  # rows of a file, whatever they are of, as xarray knows them
    "trains": ("faults",),
    "reading": ("compression", "faults", "files", "labelled", "layout", "locks", "segments", "trains"),
    "merging": ("compression", "faults", "files", "layout", "segments"),
    "store": ("compression", "faults", "files", "foreign", "layout", "locks", "merging", "reading", "segments"),
    "checkpoint": (),
    "verification": ("checkpoint", "faults", "files", "reading", "segments", "store"),
    # a run in the formats of others
    "export": (),
    "export.chosen": ("faults", "reading", "trains"),
    "export.exporting": ("export.*", "faults", "files", "reading", "segments"),
    "export.*": ("export.chosen", "faults", "files", "layout", "reading", "trains"),
    # what users face
    "wording": (),
    "inspection": (),
    "inspection.measures": (),
    "inspection.plain": (),
    "inspection.looking": ("layout",),
    "inspection.summary": (
        "inspection.looking",
        "inspection.measures",
        "inspection.plain",
        "reading",
        "recorded_time",
    ),
    "inspection.detail": (
        "faults",
        "inspection.looking",
        "inspection.measures",
        "inspection.plain",
        "inspection.summary",
        "reading",
        "spike_statistics",
    ),
    "inspection.words": ("preflight", "spike_statistics", "wording"),
    "inspection.sweep": (
        "faults",
        "inspection.measures",
        "inspection.plain",
        "inspection.words",
        "segments",
        "sweeps.gathered",
        "sweeps.ledger",
        "sweeps.standing",
        "wording",
    ),
    "run_differences": (
        "comparing",
        "inspection.looking",
        "inspection.plain",
        "inspection.summary",
        "reading",
        "wording",
    ),
    "recorded_time": ("reading",),
    "spike_statistics": ("reading", "recorded_time"),
    "doubts": ("component", "describe", "expressions", "faults", "graph", "plan"),
    "pages": ("expressions", "graph", "plan", "preflight", "reference"),
    "versions": ("",),
    "reference": ("catalogue", "describe", "spec"),
    "schema": (
        "catalogue",
        "component",
        "config.document",
        "config.sections",
        "describe",
        "plugins",
        "reference",
        "spec",
    ),
    "starting": ("config.yaml_source", "faults", "schema"),
    "comparing": ("spec",),
    "completion": (
        "catalogue",
        "config.*",
        "describe",
        "inspection.detail",
        "reading",
        "reference",
        "spec",
        "starting",
        "values",
    ),
    "arguments": (),
    "garbage": (),
    "terminal": ("doubts", "faults", "loop", "plan"),
    "resuming": ("checkpoint", "config", "faults", "files", "plan", "reading", "spec", "store"),
    "api": (
        "sweeps",
        "",
        "config",
        "device",
        "faults",
        "guesses",
        "kept_programs",
        "locks",
        "loop",
        "opened",
        "plan",
        "profile",
        "programs",
        "reading",
        "resuming",
        "running",
        "spec",
        "sweeps.parameters",
        "sweeps.verifying",
        "verification",
        "threads",
    ),
    "running": (
        "checkpoint",
        "device",
        "faults",
        "loop",
        "plan",
        "preflight",
        "profile",
        "programs",
        "resuming",
        "store",
        "versions",
    ),
    # a circuit as a picture, from its config alone
    "diagram": ("diagram.circuit", "diagram.svg"),
    "diagram.layering": (),
    "diagram.circuit": ("catalogue", "describe", "expressions", "spec"),
    "diagram.bundles": ("diagram.circuit",),
    "diagram.svg": ("diagram.bundles", "diagram.circuit", "diagram.layering", "faults", "spec"),
    "diagram.dot": ("diagram.bundles", "diagram.circuit", "diagram.svg"),
    "diagram.mermaid": ("diagram.bundles", "diagram.circuit", "diagram.svg"),
    "diagram.data_sizes": ("data", "faults", "rasters", "spec"),
    "diagram.writing": ("diagram.circuit", "diagram.dot", "diagram.mermaid", "diagram.svg", "faults", "files"),
    # a run or a sweep as one page
    "report": (),
    "report.html": (),
    "report.words": (),
    "report.config_colours": ("report.html",),
    "report.parts": ("report.html",),
    "report.page": ("report.html", "report.parts"),
    "report.figures": (
        "faults",
        "pictures",
        "pictures.part",
        "pictures.subject",
        "reading",
        "report.html",
        "report.parts",
    ),
    "report.circuit": ("diagram", "faults", "report.html", "report.parts"),
    "report.run_page": (
        "inspection.summary",
        "pictures",
        "preflight",
        "reading",
        "report",
        "report.circuit",
        "report.config_colours",
        "report.figures",
        "report.html",
        "report.page",
        "report.parts",
        "report.words",
        "spike_statistics",
    ),
    "report.heat_map": ("report", "report.html", "report.parts", "report.words", "sweeps.gathered"),
    "report.sweep_page": (
        "faults",
        "pictures.sweep",
        "report",
        "report.circuit",
        "report.config_colours",
        "report.figures",
        "report.heat_map",
        "report.html",
        "report.page",
        "report.parts",
        "report.words",
        "sweeps.gathered",
        "sweeps.standing",
    ),
    "report.making": (
        "faults",
        "files",
        "pictures.canvas",
        "reading",
        "report.run_page",
        "report.sweep_page",
        "sweeps.gathered",
        "sweeps.gathering",
        "sweeps.ledger",
        "sweeps.standing",
    ),
    # sweeps: they have no step code of their own
    "sweeps": (),
    "sweeps.parameters": (
        "config.ranges",
        "config.sweeping",
        "config.yaml_source",
        "describe",
        "faults",
        "spec",
    ),
    "sweeps.pages": ("preflight", "sweeps.parameters"),
    "sweeps.gathering": (
        "catalogue",
        "component",
        "describe",
        "faults",
        "files",
        "layout",
        "merging",
        "reading",
        "spec",
        "sweeps.ledger",
    ),
    "sweeps.gathered": ("sweeps", "faults", "files", "segments"),
    # pictures: all that uses matplotlib
    "thinning": (),
    "opened": ("pictures", "reading"),
    "pictures": ("pictures.canvas", "pictures.choosing", "pictures.drawing"),
    "pictures.canvas": ("faults", "files"),
    "pictures.part": ("faults", "reading", "thinning"),
    "pictures.subject": ("faults", "pictures.part", "reading", "thinning"),
    "pictures.choosing": ("faults", "pictures.subject"),
    "pictures.counting": ("faults", "pictures.part", "pictures.subject", "reading", "thinning"),
    "pictures.timeline": ("pictures.canvas", "pictures.subject"),
    "pictures.sweep": ("faults", "pictures.canvas", "sweeps.gathered"),
    "pictures.drawing": ("faults", "pictures.*", "reading", "thinning"),
    **{f"pictures.{kind}": KIND for kind in ("receptive_fields", "rate", "trace", "weights")},
    # whose spikes, says the rate; an energy and a spectrum are of what a trace draws
    **{f"pictures.{kind}": (*KIND, "pictures.rate") for kind in ("histogram", "phase", "raster")},
    "pictures.energy": (*KIND, "pictures.trace"),
    "pictures.spectrum": (*KIND, "pictures.rate", "pictures.trace"),
    "sweeps.lanes": ("engine", "layout", "plan", "programs", "records"),
    "sweeps.lane_files": ("layout", "segments"),
    "sweeps.variation": ("describe", "faults", "graph", "plan", "spec", "streaming"),
    "sweeps.arrangement": ("faults", "plan", "preflight", "spec", "sweeps.variation"),
    "sweeps.ledger": ("config", "faults", "files", "locks", "reading", "spec", "store"),
    "sweeps.task": (
        "sweeps",
        "data",
        "device",
        "engine",
        "faults",
        "layout",
        "loop",
        "merging",
        "plan",
        "programs",
        "reading",
        "running",
        "store",
        "sweeps.lane_files",
        "sweeps.lanes",
        "sweeps.ledger",
        "sweeps.variation",
    ),
    "sweeps.asking": (
        "device",
        "faults",
        "layout",
        "spec",
        "sweeps.arrangement",
        "sweeps.ledger",
        "sweeps.parameters",
    ),
    "sweeps.verifying": ("sweeps", "faults", "sweeps.ledger", "verification"),
    "watching": ("faults", "inspection.measures", "reading", "recorded_time", "segments", "wording"),
    "sweeps.watched": ("faults", "reading", "sweeps.ledger", "sweeps.standing", "watching"),
    "commands.watch": (*COMMAND, "sweeps.ledger", "sweeps.watched", "watching"),
    "sweeps.standing": (
        "sweeps",
        "faults",
        "reading",
        "sweeps.launchers.choosing",
        "sweeps.launchers.launcher",
        "sweeps.launchers.numbers",
        "sweeps.ledger",
    ),
    "sweeps.launchers": (),
    "sweeps.launchers.numbers": (),
    "sweeps.launchers.launcher": ("files", "preflight", "spec", "sweeps.ledger"),
    "sweeps.launchers.job_script": ("spec", "values", "sweeps.launchers.numbers"),
    "sweeps.launchers.slurm_queue": ("sweeps.launchers.launcher",),
    "sweeps.launchers.requeueing": ("sweeps.launchers.launcher", "sweeps.launchers.slurm_queue"),
    "sweeps.launchers.local": (
        "sweeps",
        "faults",
        "locks",
        "reading",
        "spec",
        "sweeps.launchers.launcher",
        "sweeps.launchers.numbers",
        "sweeps.ledger",
    ),
    "sweeps.launchers.slurm": (
        "sweeps",
        "faults",
        "files",
        "locks",
        "spec",
        "sweeps.launchers.job_script",
        "sweeps.launchers.launcher",
        "sweeps.launchers.numbers",
        "sweeps.launchers.slurm_queue",
        "sweeps.ledger",
    ),
    "sweeps.launchers.choosing": (
        "describe",
        "faults",
        "spec",
        "values",
        "sweeps.launchers.job_script",
        "sweeps.launchers.launcher",
        "sweeps.launchers.local",
        "sweeps.launchers.slurm",
        "sweeps.ledger",
    ),
    # how fast it is: every measurement is a process of its own
    "benchmarks": (),
    "benchmarks.process": ("faults",),
    "benchmarks.steady": ("api", "spec"),
    "benchmarks.peer_networks": (),  # a program for another Python
    "benchmarks.peers": ("benchmarks.process", "faults"),
    "benchmarks.rounds": ("benchmarks.peers", "benchmarks.process", "starting"),
    # the command line: a group of commands in a file
    "commands": (),
    "commands.app": ("",),
    "commands.options": ("completion",),
    "commands.configuring": (
        "config",
        "faults",
        "guesses",
        "kept_programs",
        "pages",
        "plan",
        "preflight",
        "spec",
        "terminal",
        "threads",
    ),
    "commands.run": (
        *COMMAND,
        "commands.configuring",
        "api",
        "garbage",
        "kept_programs",
        "profile",
        "resuming",
        "sandbox",
    ),
    "commands.sweep": (
        *COMMAND,
        "commands.configuring",
        "sweeps.asking",
        "sweeps.gathering",
        "sweeps.launchers.choosing",
        "sweeps.launchers.launcher",
        "sweeps.launchers.numbers",
        "sweeps.launchers.requeueing",
        "sweeps.ledger",
        "sweeps.pages",
        "sweeps.parameters",
        "sweeps.standing",
        "sweeps.task",
    ),
    "commands.check": (
        *COMMAND,
        "commands.configuring",
        "comparing",
        "device",
        "doubts",
        "garbage",
        "pages",
        "sandbox",
        "sweeps.pages",
        "sweeps.parameters",
    ),
    "commands.graph": (
        *COMMAND,
        "commands.configuring",
        "diagram",
        "diagram.data_sizes",
        "diagram.writing",
        "sandbox",
    ),
    "commands.report": (*COMMAND, "report.making", "sandbox", "wording"),
    "commands.authoring": (*COMMAND, "catalogue", "describe", "plugins", "reference", "schema", "starting"),
    "commands.export": (*COMMAND, "api", "export.exporting"),
    "commands.diff": (*COMMAND, "api", "run_differences"),
    "commands.inspect": (
        *COMMAND,
        "api",
        "inspection.detail",
        "inspection.looking",
        "inspection.summary",
        "inspection.sweep",
        "inspection.words",
        "sandbox",
        "sweeps.ledger",
        "wording",
    ),
    "commands.keeping": (
        *COMMAND,
        "api",
        "wording",
        "sweeps.gathering",
        "sweeps.ledger",
        "sweeps.standing",
        "sweeps.task",
        "verification",
    ),
    "commands.plot": (
        *COMMAND,
        "api",
        "opened",
        "pictures",
        "pictures.sweep",
        "sandbox",
        "sweeps.gathered",
        "sweeps.gathering",
        "sweeps.ledger",
        "wording",
    ),
    "commands.machine": (*COMMAND, "benchmarks.peers", "benchmarks.rounds", "versions"),
    "cli": ("arguments", "commands.*"),
    # the contract of components, for the tests of whoever writes one
    "testing": ("catalogue", "component", "config", "describe", "device", "engine", "graph", "plan"),
    "__main__": ("cli",),
    "": ("api", "faults"),
}

# third parties and parts of the standard library that only some modules may import
OUTSIDE: dict[str, tuple[str, ...]] = {
    "h5py": ("merging", "reading", "foreign", "segments", "outline", "sweeps.gathered", "export.nwb", "export.sonata"),
    "typer": ("cli", "commands.*", "terminal"),
    "rich": ("terminal", "commands.machine"),
    "yaml": ("config.yaml_source", "commands.check", "commands.inspect"),  # the command line only writes it
    "sklearn": (),  # its data file is read, none of its code is run
    "jax": (
        "building",
        "component",
        "one_function",
        "later",  # through which the components have it
        "graph",
        "records",
        "engine",
        "plan",
        "device",
        "record_buffers",
        "programs",
        "kept_programs",
        "profile",
        "loop",
        "running",
        "commands.machine",
        "testing",
        "sweeps.lanes",
        "sweeps.task",
        "sweeps.variation",
    ),
    "numpy": (
        "benchmarks.peer_networks",
        "doubts",
        "later",
        "building",
        "graph",
        "records",
        "engine",
        "plan",
        "device",
        "record_buffers",
        "programs",
        "kept_programs",
        "pieces",
        "saving",
        "profile",
        "loop",
        "arrays",
        "rasters",
        "data",
        "checkpoint",
        "inspection.*",
        "recorded_time",
        "run_differences",
        "spike_statistics",
        "labelled",
        "trains",
        "watching",
        "export.*",
        "pictures.*",
        "thinning",
        "report.heat_map",
        "report.run_page",
        "report.sweep_page",
        "sweeps.gathered",
        "sweeps.gathering",
        "sweeps.lane_files",
        "sweeps.lanes",
        "sweeps.task",
        "sweeps.variation",
        "testing",
        *STORE,
    ),
    "time": (
        "benchmarks.peer_networks",
        "benchmarks.steady",
        "programs",
        "profile",
        "saving",
        "loop",
        "running",
        "terminal",
        "locks",
        "sweeps.launchers.slurm",
        "sweeps.launchers.requeueing",
    ),
    "datetime": ("store", "locks", "export.nwb", "watching", "sweeps.launchers.slurm", "sweeps.launchers.requeueing"),
    "signal": ("terminal", "sweeps.launchers.local"),
    "socket": ("running", "locks"),
    "subprocess": ("benchmarks.*", "running", "sandbox", "sweeps.launchers.local", "sweeps.launchers.slurm_queue"),
    "weakref": ("record_buffers",),
    "xxhash": ("blocks",),
    "threading": ("terminal",),  # which waits for signals, whatever the main thread is in
    "concurrent": ("saving", "straight", "kept_programs"),
    "random": (),  # the one source of randomness is the seed
    "secrets": (),
    "uuid": (),
    "importlib": ("benchmarks.peer_networks", "catalogue", "plugins", "arrays", "compression", "later", "versions"),
    "pickle": (),
    "marshal": (),
    "shelve": (),
    "dill": (),
    "cloudpickle": (),
    "joblib": (),
    "xarray": ("labelled", "reading"),  # reading only names its types
    "pandas": ("trains",),
    "neo": ("trains",),
    "quantities": ("trains",),  # which neo asks for
    "pynwb": ("export.nwb",),
    "hdmf": ("export.nwb",),  # which pynwb is made of
    "matplotlib": ("pictures.*",),
    "ngclearn": (),
    "logging": (),
    "warnings": ("arrays", "pictures.canvas", "programs"),
}


@cache
def modules() -> dict[str, ast.Module]:
    """Every module of the package by its name without `synsim.`; the package itself is ""."""
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        words = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(words[:-1] if words[-1] == "__init__" else words)
        found[name] = ast.parse(path.read_text(encoding="utf-8"), str(path))
    return found


def imported(tree: ast.Module) -> Iterator[str]:
    """The full name of every module that is imported anywhere in a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are written in full"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner.removeprefix("synsim.") in modules() else str(node.module)


def entry(name: str) -> str | None:
    """The row of the table that speaks of a module: its own, else the longest pattern."""
    patterns = [pattern for pattern in WITHIN if pattern and fnmatch(name, pattern) and "*" in pattern]
    return name if name in WITHIN else max(patterns, key=len, default=None)


def among(name: str, allowed: tuple[str, ...]) -> bool:
    return any(name == pattern or (pattern and fnmatch(name, pattern)) for pattern in allowed)


def test_every_module_has_its_place_and_every_place_its_module():
    assert [name for name in modules() if entry(name) is None] == []
    gone = [pattern for pattern in WITHIN if not any(entry(name) == pattern for name in modules())]
    assert gone == []


@pytest.mark.parametrize("name", modules())
def test_a_module_imports_only_what_its_layer_may(name):
    allowed = WITHIN[entry(name)]
    inside = {
        module.removeprefix("synsim").removeprefix(".")
        for module in imported(modules()[name])
        if module.partition(".")[0] == "synsim"
    }
    assert sorted(module for module in inside if not among(module, allowed)) == []
    outside = {module.partition(".")[0] for module in imported(modules()[name])} - {"synsim"}
    assert sorted(module for module in outside if not among(name, OUTSIDE.get(module, ("*", "")))) == []


def test_everything_imported_is_the_standard_library_or_a_dependency():
    known = set(sys.stdlib_module_names) | {
        "synsim",
        "jax",
        "jaxlib",
        "numpy",
        "yaml",
        "typer",
        "rich",
        "h5py",
        "xxhash",
        "matplotlib",
        "xarray",
        "pandas",
        "neo",
        "quantities",
        "pynwb",
        "hdmf",
    }
    assert {module.partition(".")[0] for tree in modules().values() for module in imported(tree)} <= known


def test_the_walk_sees_what_stands_inside_functions():
    tree = ast.parse("def f():\n    if True:\n        from synsim.store import Writer\n    import h5py.h5f as x")
    assert set(imported(tree)) == {"synsim.store", "h5py.h5f"}
    assert [call for call, _ in calls(ast.parse("(lambda: sys.exit(print(np.load)))()"))] == ["", "sys.exit", "print"]


def layers() -> dict[str, set[str]]:
    """The table as a graph over the modules that there are."""
    return {
        name: {other for other in modules() if other != name and among(other, WITHIN[entry(name)])}
        for name in modules()
    }


def test_the_table_has_no_circle():
    open_, left = layers(), set(modules())
    # the package names the API for its users and the API asks it for the version; the files of config are one layer
    open_[""] = set()
    for name in modules():
        if name.startswith("config."):
            open_[name] = {other for other in open_[name] if not other.startswith("config")}
    while ready := {name for name in left if not open_[name] & left}:
        left -= ready
    assert left == set()


def test_the_table_says_what_the_design_says():
    """Sentences of the design that the table could lose by a careless edit."""
    below = layers()
    for name in modules():
        if name.startswith("components."):
            assert not below[name] & {"graph", "engine", "data", "store", "spec", "config", "catalogue"}
            concrete = {
                other
                for other in below[name]
                if other.endswith(("_cell", "_trace", "_source", "_noise", "_drive", "_kernel"))
            }
            assert not concrete
        if name.startswith("config") or name in ("spec", "expressions", "values"):
            assert not below[name] & {"graph", "engine", "records", "plan", "loop"}
        if name in STORE:
            assert not below[name] & {"engine", "graph", "loop", "plan", "config"}
    assert not below["engine"] & {"config", "store", "reading", "data", "commands.run"}
    assert not below["loop"] & {"store", "reading", "commands.run", "pages"}
    assert not below["data"] & {"graph", "engine"}
    assert not below["graph"] & {"engine", "store", "layout", "data"}
    for name in ("config.*", *STORE, "inspection.*", "pages", "reference", "schema", "data", "faults", "components.*"):
        assert name not in OUTSIDE["jax"]
    for name in ("engine", "graph", "records", "components.*"):
        assert not any(name in OUTSIDE[module] for module in ("h5py", "yaml", "time", "datetime"))


# --------------------------------------------------------------------------------------------- prints, exits, danger


def calls(tree: ast.Module) -> Iterator[tuple[str, ast.Call]]:
    """Every call by its dotted name: `print`, `sys.exit`, `yaml.load`, `.load` of anything else."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield dotted(node.func), node


def dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return ""


def names(tree: ast.Module) -> set[str]:
    return {dotted(node) for node in ast.walk(tree) if isinstance(node, ast.Name | ast.Attribute)}


@pytest.mark.parametrize("name", modules())
def test_only_the_command_line_prints_or_exits(name):
    if name in ("cli", "terminal") or name.startswith("commands."):
        return
    tree = modules()[name]
    # what a child process is started with speaks to its parent, not to a user
    kept = [node for node in tree.body if not (isinstance(node, ast.If) and "__name__" in ast.unparse(node.test))]
    tree = ast.Module(kept, [])
    assert not {called for called, _ in calls(tree)} & {"print", "input", "breakpoint", "exit", "quit"}
    # a module of somebody else may exit while it is imported, or print where only results may stand
    kept_back = {"SystemExit", "sys.stderr"} if name == "plugins" else set()
    assert not (names(tree) - kept_back) & {
        "sys.exit",
        "os._exit",
        "os.abort",
        "sys.stdout",
        "sys.stderr",
        "typer.Exit",
        "SystemExit",
        "KeyboardInterrupt",
    }


@pytest.mark.parametrize("name", modules())
def test_nothing_that_was_read_is_executed(name):
    for called, node in calls(modules()[name]):
        assert called not in ("eval", "exec", "compile", "__import__", "os.system", "os.popen", "globals"), called
        assert called not in ("yaml.load", "yaml.load_all", "yaml.unsafe_load", "yaml.full_load"), called
        assert "pickle" not in called and not called.startswith("subprocess.getoutput"), called
        if called in ("np.load", "numpy.load") or called.endswith("read_array"):
            given = {keyword.arg: keyword.value for keyword in node.keywords}
            mine = called == "read_array" or called.endswith("foreign.read_array")  # ours, for HDF5
            safe = "allow_pickle" in given and getattr(given["allow_pickle"], "value", True) is False
            assert safe or (mine and "allow_pickle" not in given), f"{called} in line {node.lineno}"
        for keyword in node.keywords:
            assert keyword.arg != "shell", called


def test_the_engine_reads_no_clock_and_a_component_no_file():
    for name, tree in modules().items():
        called = {call for call, _ in calls(tree)}
        if name == "engine" or name.startswith("components"):
            assert not called & {"open", "Path"}, name
            assert not any(call.startswith(("time.", "os.", "np.random", "numpy.random")) for call in called), name


# -------------------------------------------------------------------------------------------------- at run time


def loaded(statement: str) -> set[str]:
    """The modules that a fresh interpreter has loaded after a statement."""
    program = (
        f"import sys\ntry:\n    {statement}\nexcept SystemExit:\n    pass\n"
        "print('\\n'.join(sys.modules), file=sys.__stderr__)"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, timeout=60, cwd=ROOT.parent
    )
    assert done.returncode == 0, done.stderr
    return set(done.stderr.split())


@pytest.mark.parametrize(
    ("statement", "never"),
    [
        ("import synsim", {"jax", "h5py", "matplotlib", "numpy", "yaml", "typer"}),
        ("import synsim.cli", {"jax", "h5py", "matplotlib", "numpy", "yaml", "rich.progress"}),
        (
            "sys.argv = ['synsim', '--help']; from synsim.cli import main; main()",
            {"jax", "h5py", "matplotlib", "numpy"},
        ),
        ("sys.argv = ['synsim', 'run', '--help']; from synsim.cli import main; main()", {"jax", "h5py", "matplotlib"}),
        ("sys.argv = ['synsim', '--version']; from synsim.cli import main; main()", {"jax", "h5py", "matplotlib"}),
        ("import synsim.config", {"jax", "h5py", "matplotlib"}),
        ("import synsim.engine", {"h5py", "yaml", "matplotlib", "typer", "synsim.config"}),
        ("import synsim.store", {"jax", "yaml", "typer", "synsim.engine", "synsim.graph"}),
    ],
)
def test_what_is_heavy_is_imported_late(statement, never):
    assert loaded(statement) & never == set()
