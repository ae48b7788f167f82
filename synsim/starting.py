"""What `synsim init` writes: a starter config or a shipped example, the schema beside it, and the files it reads.

The examples are the folder `configs` of the repository; an installed package has it as `synsim/examples`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synsim.config.yaml_source import decode, read
from synsim.faults import ConfigError, Locked, StoreError, suggest

SCHEMA = "synsim.schema.json"
FIRST_LINE = f"# yaml-language-server: $schema=./{SCHEMA}"
"""What an editor finds the schema by."""

STARTER = """\
# A first network: 40 Poisson spike trains drive 10 leaky integrate-and-fire cells through random weights.
#
#   synsim run {file}            runs it, into the folder runs
#   synsim check {file}          shows what it would do: shapes, wires, order, memory
#   synsim components             lists what can stand under `components`; `synsim components LIFCell` explains one
#   synsim init other.yaml --from stdp_digits     writes a larger example; `synsim init --list` lists them all
#
# Expect about 13 spikes from each cell: `synsim inspect runs/{stem}`.
seed: 1                                          # of everything random: the same seed gives the same numbers
let: {{cells: 10}}                                 # a name for a value; "${{cells}}" below is 10

run:
  dt: 0.5                                        # ms a step
  steps: 1000                                    # of one trial: half a second

components:                                      # the order written is the order run
  x:                                             # spikes at up to 60 Hz, for an input of 1
    type: PoissonCell
    n_units: 40
    target_freq: 60
  W:                                             # a synapse takes its shape from what it is wired to
    type: StaticSynapse
    weight_init: {{type: uniform, low: 0, high: 25}}
  z:
    type: LIFCell
    n_units: "${{cells}}"
    tau_m: 20                                    # ms
    refract_time: 5                              # ms

wires:                                           # an inlet: what it reads
  x.inputs: 1.0                                  # a number, a data entry, another component's compartment,
  W.inputs: x.outputs
  z.j: W.outputs                                 # or a sum, as W.outputs - 0.5 * z.s

record:                                          # what goes into the file
  z.s: {{as: events}}                              # the times of spikes
  z.v: {{every: 2}}                                # the membrane potential, once a millisecond
"""


@dataclass(frozen=True)
class Example:
    """A shipped config: its name, what it shows in one line, and where it is."""

    name: str
    title: str
    path: Path


def folder() -> Path:
    """Where the examples are."""
    inside = Path(__file__).parent / "examples"
    return inside if inside.is_dir() else Path(__file__).parent.parent / "configs"


def examples() -> dict[str, Example]:
    """Every shipped example by name."""
    found = {}
    for path in sorted(folder().glob("*.yaml")):
        lines = path.read_text(encoding="utf-8").splitlines()
        first = next((line for line in lines if line != FIRST_LINE), "")
        found[path.stem] = Example(path.stem, first.lstrip("# ").rstrip(), path)
    return found


def chosen(name: str) -> Example:
    """The example of that name, with - or _, with or without .yaml. Raises ConfigError."""
    known = examples()
    found = known.get(name.removesuffix(".yaml").replace("-", "_"))
    if found is None:
        alike = [*(each for each in known if each.startswith(name)), *(each for each in known if name in each), name]
        near = suggest(alike[0], known) if name else ""
        raise ConfigError(f"there is no example {name!r}.{near} `synsim init --list` lists them.")
    return found


def text(example: Example | None, path: Path) -> str:
    """The config to be written to `path`: the example, or the starter."""
    if example is None:
        return f"{FIRST_LINE}\n{STARTER.format(file=path.name, stem=path.stem)}"
    whole = example.path.read_text(encoding="utf-8")
    return whole if whole.startswith(FIRST_LINE) else f"{FIRST_LINE}\n{whole}"


def place(given: str, example: Example | None) -> Path:
    """Where the config goes: a path to a file, or to a folder that it gets its usual name in."""
    path = Path(given)
    usual = "config.yaml" if example is None else example.path.name
    return path / usual if path.is_dir() or given.endswith(("/", "\\")) else path


@dataclass(frozen=True)
class Written:
    """What was written, files that the config reads and that are shipped with it among them; `missing` are those that
    are not; `old_schema` says that a schema of another version was there and stays; `command` runs the config."""

    files: tuple[Path, ...]
    missing: tuple[str, ...]
    old_schema: bool
    command: str = "run"


def write(path: Path, example: Example | None) -> Written:
    """Writes the config, the schema beside it and what the config reads.

    Raises Locked, before anything is written, where that would overwrite a file; StoreError where it cannot be written.
    """
    from synsim.schema import schema

    whole = text(example, path)
    contents: dict[Path, bytes] = {path: whole.encode()}
    missing = []
    for name in () if example is None else _reads(whole):
        source = (folder() / name).resolve()
        if source.is_relative_to(folder().resolve()) and source.is_file():
            contents[path.parent / name] = source.read_bytes()
        else:
            missing.append(name)
    there = [str(each) for each in contents if each.exists() or each.is_symlink()]
    if there:
        raise Locked(f"{' and '.join(there)} exists already and is not overwritten: give another path")
    beside, current = path.parent / SCHEMA, f"{json.dumps(schema(), indent=1)}\n".encode()
    try:
        old = beside.exists() and beside.read_bytes() != current
        if not beside.exists():
            contents[beside] = current
        for file, data in contents.items():
            with suppress(FileExistsError):  # where it is no folder, opening says so
                file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("xb") as opened:
                opened.write(data)
    except FileExistsError:
        raise Locked(f"{path} or a file beside it exists already and is not overwritten") from None
    except OSError as error:
        raise StoreError(f"{error.filename or path} cannot be written: {error.strerror or error}") from None
    value = read(whole, "config").value
    return Written(
        tuple(contents), tuple(missing), old, "sweep" if isinstance(value, Mapping) and "sweep" in value else "run"
    )


def _reads(whole: str) -> list[str]:
    """The files that a config names, as it names them."""
    value = read(decode(whole.encode(), "config"), "config").value
    bases = value.get("extends", []) if isinstance(value, Mapping) else []
    named = [bases] if isinstance(bases, str) else list(bases)
    return list(dict.fromkeys([*named, *_paths(value)]))


def _paths(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        if isinstance(value.get("path"), str) and "type" in value:
            yield value["path"]
        for each in value.values():
            yield from _paths(each)
    elif isinstance(value, list):
        for each in value:
            yield from _paths(each)
