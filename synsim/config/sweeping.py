"""The sections that say what is swept and where: sweep and launcher. What a path takes is read by `ranges`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from synsim import catalogue, describe
from synsim.config.checker import Checker
from synsim.config.document import SECTIONS, Document
from synsim.config.ranges import MOST_POINTS, Values, duplicates, key_of, needs_count, values_of_plain
from synsim.config.yaml_source import Marked
from synsim.faults import ConfigError, Fault, Mark, Marks, Path, dotted, listing, suggest
from synsim.spec import SUMMARIES, LauncherSettings, Phase, SweepSettings, TypedSettings
from synsim.values import shown

OF_ANY = ("type", "lanes")
OF_LOCAL = ("processes",)


@dataclass(frozen=True)
class Given:
    """A value for one path with where both are written."""

    value: Marked
    at: Mark | None  # of the path


@dataclass(frozen=True)
class Swept:
    """A path, as the config spells it and as it was written, and what it takes."""

    path: str
    written: str
    values: Values
    at: Mark | None
    place: Path
    good: bool = True  # whether its values could be read


def check_sweep(check: Checker, phases: Sequence[Phase]) -> SweepSettings | None:
    """The block `sweep`: paths, ranges and how they are put together. Single values are checked by whoever sweeps."""
    written = check.mapping(check.value.get("sweep"), ("sweep",), "paths to values")
    if not written:
        if isinstance(check.value.get("sweep"), dict):
            check.fault(("sweep",), "sweep is empty: write paths and their values, as z.tau_m: [10, 20].")
        return None
    known = (*SECTIONS, *check.written_components, *check.written_data)
    paths = {key: value for key, value in written.items() if is_path(key, value) or (key != "seed" and key in known)}
    clean, wrongs = describe.check_settings(
        describe.settings_of(SweepSettings),
        {key: value for key, value in written.items() if key not in paths},
        noun="key",
        hints=_Hints(),
    )
    check.wrongs(("sweep",), [wrong for wrong in wrongs if wrong.path[:1] != ("summary",)])
    if any(wrong.path[:1] == ("summary",) for wrong in wrongs) or clean.get("summary") == ():
        _wrong_summary(check, written["summary"])
    mode = clean.get("mode", "grid")
    if mode == "random" and "n" not in clean and "n" not in written:
        check.fault(("sweep", "mode"), "sweep.mode is random, which needs n: the number of points to draw.")
    for key in ("n", "seed"):
        if mode != "random" and clean.get(key) is not None and not any(wrong.path[:1] == ("mode",) for wrong in wrongs):
            what = "the number of points drawn at random" if key == "n" else "the seed of points drawn at random"
            more = ", or a list to sweep the config's seed" if key == "seed" else ""
            check.key_fault(("sweep", key), f"sweep.{key} is {what}: write mode: random too{more}.")
    settings = SweepSettings(**clean, parameters=paths)
    if not paths:
        check.fault(("sweep",), "sweep has no paths: write some with their values, as z.tau_m: [10, 20].", at_key=True)
        return settings
    swept, faults = read_block(settings, check.document, check.document.marks, check.components, check.data, phases)
    for fault in [*faults, *misfits(swept, mode, clean.get("n") if mode == "random" else None)]:
        check.say(fault)
    return settings


def _wrong_summary(check: Checker, value: Any) -> None:
    rule = f"sweep.summary must list some of {listing(SUMMARIES)}"
    if not isinstance(value, list) or not value:
        return check.fault(("sweep", "summary"), f"{rule}, not {shown(value)}.")
    for place, each in enumerate(value):
        if each not in SUMMARIES:
            near = suggest(each, SUMMARIES) if isinstance(each, str) else ""
            check.fault(("sweep", "summary", place), f"{rule}, not {shown(each)}.{near}")
    return None


class _Hints(dict[str, str]):
    """What to say about any key of `sweep` that is neither a setting nor a path."""

    def __contains__(self, key: object) -> bool:
        return key in ("random", "zip", "grid", "summaries", "parameters")

    def __getitem__(self, key: str) -> str:
        if key in ("random", "zip", "grid"):
            return f"write mode: {key}."
        if key == "parameters":
            return "write each path with its values directly under sweep."
        return "its name is summary."


def is_path(key: str, value: Any) -> bool:
    """Whether a key of `sweep` is a path: a setting has no dot, and one number under seed is a seed."""
    return "." in key or (key == "seed" and isinstance(value, list | dict | str))


def read_block(
    settings: SweepSettings,
    document: Document,
    marks: Marks,
    components: Mapping[str, TypedSettings],
    data: Mapping[str, TypedSettings],
    phases: Sequence[Phase],
) -> tuple[list[Swept], list[Fault]]:
    """What the block sweeps, and all that is wrong with each of its paths."""
    swept, faults = [], []
    for key, value in settings.parameters.items():
        here: Path = ("sweep", key)
        mark = marks.keys.get(here)
        at = None if mark is None else replace(mark, column=mark.inside or mark.column)
        depth = len(here)
        given = Marked(
            value,
            {path[depth:]: each for path, each in marks.keys.items() if path[:depth] == here and path != here},
            {path[depth:]: each for path, each in marks.values.items() if path[:depth] == here},
        )
        found, wrong = placed(key, at, here, document, components, data, phases)
        faults += wrong
        if found is not None:
            try:
                values = values_of_plain(given, here)
            except ConfigError as error:
                faults += error.faults
                values = None
            swept.append(Swept(found[0], key, values or Values((), None, given), at, found[1], values is not None))
    return swept, faults


def placed(
    written: str,
    at: Mark | None,
    here: Path,
    document: Document,
    components: Mapping[str, TypedSettings],
    data: Mapping[str, TypedSettings],
    phases: Sequence[Phase],
) -> tuple[tuple[str, Path] | None, list[Fault]]:
    """The path as the config spells it and the place it leads to, or what is wrong with it; `here` is where a fault
    is found that has no line."""
    before = len(document.faults)
    found = document.place(written, at or Mark(1, 1, None), "a sweep is PATH=VALUES with")
    faults, document.faults[before:] = document.faults[before:], []
    if at is None:
        faults = [Fault(fault.message, here, at_key=True) for fault in faults]
    if found is None:
        return None, faults
    place = found[0]
    if message := refusal(place):
        return None, [_at(at, here, message)]
    return (spelled(place, components, data, phases), place), []


def _at(at: Mark | None, here: Path, message: str) -> Fault:
    return Fault(message, here, at.line, at.column, at.source) if at else Fault(message, here, at_key=True)


def another(written: Any, value: Any) -> Any:
    """One of the values of a checked path of `sweep` that is not this one, or None where there is none."""
    values = values_of_plain(Marked(written), ())
    found = values.values() or (values.range and (values.range.first, values.range.last)) or ()
    return next((each for each in found if key_of(each) != key_of(value)), None)


def refusal(place: Path) -> str | None:
    """Why a place of a config cannot be swept, or None where it can."""
    section, *rest = place
    if section == "seed":
        return None if not rest else "seed is one number: there is nothing inside it to sweep."
    if section == "name":
        return "name cannot be swept: each point is called by the name and its number."
    if section == "plugins":
        return "plugins cannot be swept: all points use the same components."
    if section in ("record", "launcher", "sweep"):
        what = {"record": "all points keep the same records", "launcher": "a sweep is launched once"}
        return f"{section} cannot be swept: {what.get(str(section), 'it says itself what is swept')}."
    if not rest:
        inner = {"run": ", as run.dt", "let": ", as let.hid", "components": ", as z.tau_m"}.get(str(section), "")
        return f"{section} is a whole section, not a value: sweep a value in it{inner}."
    if section in ("components", "data", "phases") and len(rest) == 1:
        what = {"components": "a whole component", "data": "a whole data entry", "phases": "a whole phase"}[
            str(section)
        ]
        called = dotted(tuple(rest) if section == "components" else place)
        return f"{called} is {what}, not a value: sweep one of its settings."
    if section == "run" and rest[0] in ("device", "precision"):
        return f"run.{rest[0]} cannot be swept: one sweep has one, given by --{rest[0]}."
    if section == "phases" and rest[1] in ("name", "record"):
        return f"{rest[1]} of a phase cannot be swept: all points have the same phases and records."
    return None


def spelled(
    place: Path,
    components: Mapping[str, TypedSettings],
    data: Mapping[str, TypedSettings],
    phases: Sequence[Phase],
) -> str:
    """A place as a path, the same for all the ways to write it: no leading `components.`, a setting by its first name,
    one of a synapse's part without the part, a phase by its name."""
    section, *rest = place
    if section == "components":
        name, *inner = (str(piece) for piece in rest)
        if len(inner) == 2 and inner[0] in catalogue.SYNAPSE_PARTS and inner[1] != "type":
            inner = inner[1:]
        if name in components and inner:
            typed = components[name]
            inner[0] = _first_name(describe.settings(typed.type, typed.settings), inner[0])
        return ".".join([name, *inner])
    if section == "data" and rest[0] in data and len(rest) > 1:
        rest[1] = _first_name(describe.data_settings(data[str(rest[0])].type), str(rest[1]))
    if section in ("wires", "initial"):
        rest[0] = str(rest[0]).removeprefix("components.")
    if section == "phases" and isinstance(rest[0], int) and rest[0] < len(phases):
        rest[0] = phases[rest[0]].name
    return ".".join(str(piece) for piece in (section, *rest))


def _first_name(table: Mapping[str, describe.Setting], name: str) -> str:
    return next((first for first, setting in table.items() if name in setting.also), name)


def misfits(swept: Sequence[Swept], mode: str, n: int | None, origin: Fault | None = None) -> list[Fault]:
    """What is wrong with paths and their values taken together; `origin` is a fault where the number of random points
    is written, to be told."""
    faults = [*_overlaps(swept)]
    whole = all(each.good for each in swept)
    swept = [each for each in swept if each.good]
    for each in swept:
        if each.values.range is not None and mode != "random" and (message := needs_count(each.values.range)):
            faults.append(_where(each, message))
        if mode == "grid":
            for item in duplicates(each.values.listed)[:10]:
                faults.append(_where(each, f"{_told(item.value)} stands in the list before: write it once.", item))
    if faults or not whole or not swept:
        return faults
    if mode == "zip":
        first = swept[0]
        for each in swept[1:]:
            if each.values.count() != first.values.count():
                faults.append(
                    _where(
                        each,
                        f"{each.written} has {_values(each)} and {first.written} has {first.values.count()}: with zip "
                        "all need the same number.",
                    )
                )
    if mode == "grid":
        count = 1
        for each in swept:
            count *= each.values.count()
            if count > MOST_POINTS:
                faults.append(_where(each, f"the grid would have over {MOST_POINTS:,} points: take fewer values."))
                break
    if mode == "random" and n is not None and n > MOST_POINTS:
        place = origin or Fault("", ("sweep", "n"))
        faults.append(replace(place, message=f"a sweep has at most {MOST_POINTS:,} points, not {n:,}."))
    return faults


def _overlaps(swept: Sequence[Swept]) -> Iterable[Fault]:
    taken: dict[str, Swept] = {}
    for each in swept:
        other = taken.setdefault(each.path, each)
        if other is not each:
            also = "" if other.written == each.written else f", here and as {other.written}"
            yield _where(each, f"{each.written} is swept twice{also}: write it once.", at_path=True)
    for each in taken.values():
        pieces = each.path.split(".")
        for depth in range(1, len(pieces)):
            above = taken.get(".".join(pieces[:depth]))
            if above is not None:
                yield _where(
                    each, f"{each.written} lies inside {above.written}, which is swept too: sweep one.", at_path=True
                )


def _where(each: Swept, message: str, item: Marked | None = None, at_path: bool = False) -> Fault:
    mark = each.at if at_path else (item or each.values.at).values.get(()) or each.values.at.values.get(())
    here: Path = ("sweep", each.written)
    return Fault(message, here, mark.line, mark.column, mark.source) if mark else Fault(message, here)


def _values(each: Swept) -> str:
    count = each.values.count()
    return f"{count:,} value{'' if count == 1 else 's'}"


def _told(value: Any) -> str:
    if isinstance(value, str | int | float | bool) or value is None:
        return shown(value)
    return "this value"


# launcher ---------------------------------------------------------------------------------------------------------


def check_launcher(check: Checker) -> LauncherSettings | None:
    """The block `launcher`, of which each type has its own settings."""
    if check.value.get("launcher") is None:
        return None
    written = check.mapping(check.value["launcher"], ("launcher",), "keys such as type")
    clean, wrongs = describe.check_settings(describe.settings_of(LauncherSettings), written, noun="key")
    check.wrongs(("launcher",), wrongs)
    kind = clean.get("type", "local")
    if not any(wrong.path[:1] == ("type",) for wrong in wrongs):
        known = describe.settings_of(LauncherSettings)
        for key in written:
            fits = key in OF_ANY or (key in OF_LOCAL) == (kind == "local")
            if key in known and not fits and written[key] is not None:
                check.key_fault(
                    ("launcher", key),
                    f"launcher.{key} is a setting of type {'slurm' if kind == 'local' else 'local'}, and the type is "
                    f"{kind}: leave it out, or change the type.",
                )
    for key in ("partition", "time", "mem", "setup", "sbatch", "gpus"):
        values = clean.get(key)
        several = values if isinstance(values, list | tuple) else [values]
        if any(isinstance(each, str) and (not each.strip() or "\0" in each) for each in several):
            check.fault(("launcher", key), f"launcher.{key} is empty: leave it out.")
        elif key != "setup" and any(isinstance(each, str) and not each.isprintable() for each in several):
            check.fault(("launcher", key), f"launcher.{key} must be on one line.")
    return LauncherSettings(**clean)
