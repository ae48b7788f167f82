"""What a shell offers where a word of a command is to be completed: (word, help) pairs. Nothing here may fail or be
slow, so a config is read as far as it can be, and JAX is never imported."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

Words = list[tuple[str, str]]


def types(incomplete: str) -> Words:
    """Component types."""
    from synsim import catalogue, describe

    found = (name for name in catalogue.types() if name.casefold().startswith(incomplete.casefold()))
    return [(name, _short(describe.card(name)["doc"])) for name in found]


def configs(incomplete: str) -> Words:
    """YAML files, and folders that may hold some."""
    return list(_files(incomplete, (".yaml", ".yml")))


def examples(incomplete: str) -> Words:
    """Shipped examples."""
    from synsim.starting import examples

    return [(name, _short(each.title)) for name, each in examples().items() if name.startswith(incomplete)]


def devices(incomplete: str) -> Words:
    """Kinds of devices; which of them this machine has would take JAX to say."""
    known = {"auto": "the best there is", "cpu": "the processor", "gpu": "the first GPU", "tpu": "the first TPU"}
    known |= {f"cuda:{number}": f"GPU {number}" for number in range(4)}
    return [(name, told) for name, told in known.items() if name.startswith(incomplete)]


def precisions(incomplete: str) -> Words:
    """float32 and float64."""
    return [(name, "") for name in ("float32", "float64") if name.startswith(incomplete)]


def overrides(ctx: Any, incomplete: str) -> Words:
    """Paths of --set in the config that stands on the line, and what may follow the =: z.tau_m=, run.dt=, let.hid=,
    wires.z.j=, record.z.v.every=, initial.z.v=."""
    given = ctx.params.get("config") or ctx.params.get("configs") or ctx.args  # words that are not taken yet
    name = next(iter(given), None) if isinstance(given, list | tuple) else given
    with suppress(Exception):
        return [(word, _short(told)) for word, told in _overrides(_read(str(name)) if name else {}, incomplete)]
    return []


def columns(ctx: Any, incomplete: str) -> Words:
    """Parameters and summaries of the sweep whose folder stands on the line."""
    with suppress(Exception):
        with (Path(str(ctx.params.get("path") or ctx.params.get("folder") or next(iter(ctx.args)))) / "sweep.csv").open(
            encoding="utf-8"
        ) as file:
            names = next(csv.reader(file))
        state = names.index("state")
        told = [(name, "parameter") for name in names[1:state]] + [(name, "summary") for name in names[state + 1 :]]
        return [(name, kind) for name, kind in told if name.startswith(incomplete)]
    return []


def records(ctx: Any, incomplete: str) -> Words:
    """Records of the run whose file or folder stands on the line."""
    with suppress(Exception):
        from synsim.reading import Run

        with Run(Path(str(ctx.params.get("path") or next(iter(ctx.args))))) as run:
            return [
                (name, _short(each.doc))
                for name, each in {**run.records, **run.events}.items()
                if name.startswith(incomplete)
            ]
    return []


def kinds(incomplete: str) -> Words:
    """Kinds of pictures of a run."""
    known = {
        "raster": "spikes, with their rate",
        "trace": "values over time",
        "weights": "before, after and the change",
        "histogram": "how often values occur; intervals between spikes",
        "energy": "a value a trial",
        "rate": "of a population over time",
        "receptive-fields": "weights from an image",
        "spectrum": "the power at each frequency",
        "phase": "two values against each other",
    }
    return [(name, told) for name, told in known.items() if name.startswith(incomplete)]


def formats(incomplete: str) -> Words:
    """What a run can be exported to."""
    known = {
        "csv": "a table for each record",
        "npz": "arrays of numpy",
        "nwb": "Neurodata Without Borders",
        "sonata": "spikes and reports",
    }
    return [(name, told) for name, told in known.items() if name.startswith(incomplete)]


def things(ctx: Any, incomplete: str) -> Words:
    """What a run holds: records, states, components, parts of its config."""
    with suppress(Exception):
        from synsim.inspection.detail import names
        from synsim.reading import Run

        with Run(str(ctx.params.get("path") or next(iter(ctx.args)))) as run:
            parts = {"provenance": "where it comes from", "config": "as it was run", "config.yaml": "as it was written"}
            found = dict.fromkeys(names(run), "") | parts
            found |= {name: _short(each.doc) for name, each in {**run.records, **run.events}.items()}
        return [(name, told) for name, told in found.items() if name.startswith(incomplete)]
    return []


def _short(text: str) -> str:
    """Some shells break longer ones."""
    return text if len(text) <= 60 else f"{text[:59]}…"


def _read(name: str) -> Mapping[str, Any]:
    from synsim.config.bases import with_bases
    from synsim.config.environment import Environment
    from synsim.config.yaml_source import decode, read
    from synsim.spec import ConfigFile

    path = Path(name)
    if path.is_dir():
        path = path / "config.yaml"
    text = decode(path.read_bytes(), name)
    with suppress(Exception):
        whole = with_bases(
            read(text, name), ConfigFile(name, ""), len(text), path.resolve().parent, path.resolve(), Environment().fill
        )
        return whole.marked.value
    return read(text, name).value


def _overrides(config: Mapping[str, Any], incomplete: str) -> Iterator[tuple[str, str]]:
    from synsim import describe
    from synsim.reference import setting_words
    from synsim.spec import RunSettings

    components = config.get("components") or {}
    tables: dict[str, Mapping[str, describe.Setting]] = {"run": describe.settings_of(RunSettings)}
    for name, each in components.items():
        with suppress(Exception):
            tables[name] = describe.settings(each["type"], each)
    path, equals, begun = incomplete.partition("=")
    name, dot, inner = path.partition(".")
    if equals:
        values = _sources(config) if name == "wires" else _values(tables.get(name, {}).get(inner))
        yield from ((f"{path}={value}", "") for value in values if value.startswith(begun))
    elif not dot:
        words = {"seed=": "seed of everything random", **{f"{each}.": "" for each in _SECTIONS if each in config}}
        words |= {f"{each}.": str(about.get("type", "")) for each, about in components.items()}
        fitting = {word: told for word, told in words.items() if word.startswith(path)}
        if len(fitting) == 1 and path and (only := next(iter(fitting))).endswith("."):
            yield from _overrides(config, only)  # a shell puts a space after a single word
        else:
            yield from fitting.items()
    elif name in ("wires", "record", "initial"):
        yield from _compartments(config, name, inner)
    elif name == "let":
        yield from ((f"let.{each}=", str(value)) for each, value in config["let"].items() if each.startswith(inner))
    else:
        for each, setting in tables.get(name, {}).items():
            if each.startswith(inner):
                yield f"{name}.{each}=", setting_words(describe.setting_card(setting))


_SECTIONS = ("run", "let", "wires", "record", "initial")
_KINDS = {"wires": ("inlet",), "record": ("state", "outlet", "inlet"), "initial": ("state",)}


def _compartments(config: Mapping[str, Any], section: str, begun: str) -> Iterator[tuple[str, str]]:
    """What a wire feeds, a record reads or initial sets: all of the kind that there is."""
    end = ".every=" if section == "record" else "="
    for name, told in _of_kinds(config, _KINDS[section]):
        if name.startswith(begun):
            yield f"{section}.{name}{end}", told


def _sources(config: Mapping[str, Any]) -> list[str]:
    """What a wire may read."""
    return [*(name for name, _ in _of_kinds(config, ("state", "outlet"))), *(config.get("data") or {})]


def _of_kinds(config: Mapping[str, Any], kinds: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    from synsim import describe

    for name, each in (config.get("components") or {}).items():
        with suppress(Exception):
            for key, compartment in describe.compartments(each["type"], each).items():
                if compartment.kind in kinds:
                    yield f"{name}.{key}", compartment.doc


def _values(setting: Any) -> Iterator[str]:
    """Words that a setting may be, and its default."""
    from synsim.values import literals

    if setting is None:
        return
    if setting.annotation is bool:
        yield from ("true", "false")
    yield from literals(setting.annotation)
    if not setting.required and isinstance(setting.default, int | float) and not isinstance(setting.default, bool):
        yield f"{setting.default:g}"


def _files(incomplete: str, endings: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    head, _, last = incomplete.rpartition("/")
    folder = Path(head or ("/" if incomplete.startswith("/") else "."))
    with suppress(OSError):
        for path in sorted(folder.iterdir()):
            if not path.name.startswith(last) or (path.name.startswith(".") and not last.startswith(".")):
                continue
            shown = f"{head}/{path.name}" if "/" in incomplete else path.name
            if path.is_dir():
                yield f"{shown}/", "folder"
            elif path.name.endswith(endings):
                yield shown, ""
