"""A checked config: plain data that knows where in the text each of its values stands."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path as FilePath
from typing import Any, Literal, Protocol

from synsim import catalogue, describe, plugins
from synsim.component import Declaration, static
from synsim.expressions import Wire, written
from synsim.faults import ConfigError, Fault, Marks, render

EVERY = "*"
"""Stands for all components in a schedule: (EVERY, "reset")."""


@dataclass(frozen=True)
class TopSettings:
    """The keys of a config that hold one value."""

    name: str | None = static("Name of the run: of its folder and its file.", default=None)
    seed: int = static("Seed of everything random.", default=0, ge=0, le=2**32 - 1)


@dataclass(frozen=True)
class RunSettings:
    """The keys of `run`."""

    dt: float = static("Time step.", "ms", default=1.0, gt=0)
    steps: int = static("Steps of one trial.", ge=1)
    trials: int | None = static("Number of trials; left out, from the data, else 1.", default=None, ge=1)
    epochs: int = static("Passes over the rows of the data, in place of trials.", default=1, ge=1)
    shuffle: bool = static("A new order of the rows in each epoch, the same for all entries.", default=False)
    batch: int = static("Rows of data side by side.", default=1, ge=1)
    partial: Literal["refuse", "drop"] = static("What to do with rows that do not fill a batch.", default="refuse")
    precision: Literal["float32", "float64"] = static("Floating-point type of every array.", default="float32")
    device: str = static("auto, cpu, gpu, tpu, or one of several as cuda:1.", default="auto")


@dataclass(frozen=True)
class LauncherSettings:
    """The keys of `launcher`: where the points of a sweep are run, and what a cluster is asked for."""

    type: Literal["local", "slurm"] = static("This machine, or a job array of Slurm.", default="local")
    processes: int = static("Processes on this machine, which share the groups of lanes.", default=1, ge=1)
    partition: str | None = static("Partition of the jobs.", default=None)
    time: str | int | None = static("Time limit of a task: minutes, or text as 2:30:00.", default=None, ge=1)
    cpus: int | None = static("Cores of a task.", default=None, ge=1)
    mem: str | int | None = static("Memory of a task: megabytes, or text as 4G.", default=None, ge=1)
    gpus: str | int | None = static("GPUs of a task: how many, or text as a100:1.", default=None, ge=1)
    throttle: int | None = static("Most tasks that run at once.", default=None, ge=1)
    tasks: int | None = static("Tasks that the points are spread over: throttle, else 10.", default=None, ge=1)
    signal: int = static("Time before the end at which a task is told to save and to stop.", "s", default=120, ge=1)
    setup: tuple[str, ...] | str = static("Lines of shell before the program, as module load cuda.", default=())
    sbatch: tuple[str, ...] | str = static("Further options of sbatch, as --qos=long.", default=())

    def lines(self, which: Literal["setup", "sbatch"]) -> tuple[str, ...]:
        """What was written as one text, or as a list of them, line by line."""
        written = getattr(self, which)
        texts = (written,) if isinstance(written, str) else written
        return tuple(line.strip() for text in texts for line in text.splitlines() if line.strip())


@dataclass(frozen=True)
class RecordSettings:
    """The keys of one entry of `record`."""

    every: int | Literal["trial"] = static("Steps between rows, or once at the end of a trial.", default=1, ge=1)
    window: tuple[float, float] | None = static("From and to, in time of the trial.", "ms", default=None, ge=0)
    index: str | tuple[int, ...] | None = static("Which units: a slice as 0:10, or a list.", default=None, ge=0)
    reduce: Literal["mean", "norm", "min", "max"] | None = static("One number in place of the array.", default=None)
    as_: Literal["values", "events"] = static("Values, or the times and units of spikes.", default="values")
    on: bool = static("Whether it is recorded; a phase may say otherwise.", default=True)
    compression: Literal["gzip", "zstd", "lz4"] | None = static(
        "How its rows are compressed in the file; zstd and lz4 need synsim[compression] to be written and read.",
        default=None,
    )


@dataclass(frozen=True)
class TypedSettings:
    """A component or a data entry: its type, and what the user wrote for it, checked, by flat setting name."""

    type: str
    settings: Mapping[str, Any]


Call = tuple[str, str]
"""A component and a method; (EVERY, "reset") resets all."""


@dataclass(frozen=True)
class Schedule:
    """What is called at the start of a trial, in every step and at the end; None where it was not written."""

    start: tuple[Call, ...] | None = None
    step: tuple[Call, ...] | None = None
    end: tuple[Call, ...] | None = None


@dataclass(frozen=True)
class Phase:
    """One entry of `phases`; None means as in `run`, or as in the config's schedule.

    `data` are complete entries (what the phase wrote merged over the config's), `schedule` is merged the same way,
    `wires` replace those of the config (None: unwired), `set` is {"z.tau_theta": value} in flat setting names, and
    `record` switches records on and off.
    """

    name: str = static("Name of the phase.")
    steps: int | None = static("Steps of one trial.", default=None, ge=1)
    trials: int | None = static("Number of trials.", default=None, ge=1)
    epochs: int | None = static("Passes over the rows of the data.", default=None, ge=1)
    shuffle: bool | None = static("A new order of the rows in each epoch.", default=None)
    learning: bool = static("False drops every evolve.", default=True)
    data: Mapping[str, TypedSettings] = field(default_factory=dict)
    schedule: Schedule | None = None
    wires: Mapping[str, Wire | None] = field(default_factory=dict)
    set: Mapping[str, Any] = field(default_factory=dict)
    record: Mapping[str, bool] = field(default_factory=dict)


@dataclass(frozen=True)
class ConfigFile:
    """A file that a config was read from: itself, or one that it extends."""

    name: str
    sha256: str


Summary = Literal["rate", "mean", "last", "norm", "final"]
SUMMARIES: tuple[Summary, ...] = ("rate", "mean", "last", "norm", "final")
"""What can be gathered of a record: the mean rate of spikes, the mean, last value and norm of values, and readouts."""


@dataclass(frozen=True)
class Range:
    """From one number to another: `n` of them, both ends included, or, where there is no `n`, whole numbers from the
    first up to below the last."""

    first: float = static("The first value.")
    last: float = static("The last value.")
    n: int | None = static("How many values.", default=None, ge=1)
    scale: Literal["linear", "log"] = static("Whether their differences or their ratios are equal.", default="linear")


@dataclass(frozen=True)
class SweepSettings:
    """The keys of `sweep` that are no paths, and the paths with what stands there: a list, a range as text or as a
    mapping."""

    mode: Literal["grid", "zip", "random"] = static(
        "Every value with every other, the first of each with the first of the others, or points drawn at random.",
        default="grid",
    )
    n: int | None = static("Number of points that are drawn at random.", default=None, ge=1)
    seed: int | None = static(
        "Seed of points drawn at random; left out, that of the config. A list or a range sweeps the config's seed.",
        default=None,
        ge=0,
        le=2**32 - 1,
    )
    summary: tuple[Summary, ...] | None = static(
        "What of each record is gathered: rate of spikes, mean, last value and norm of values, final readouts. Left "
        "out, all that a record has.",
        default=None,
    )
    parameters: Mapping[str, Any] = field(default_factory=dict)


class Source(Protocol):
    """What a config was read from, ready to be read with other values in it."""

    def vary(self, values: Mapping[str, Any]) -> Spec:
        """The config with other values at these paths, checked."""
        ...

    def document(self) -> Any:
        """The values as they were written, to find paths in."""
        ...

    def with_let(self, spec: Spec, resolved: dict[str, Any], paths: Sequence[str]) -> dict[str, Any]:
        """A resolved config with these values of let in it again, and references to them where they stood."""
        ...


PHASE_SECTIONS = ("data", "schedule", "wires", "set", "record")


@dataclass(frozen=True)
class Spec:
    """A config whose every fault that can be known from its text has been ruled out.

    `files` are what it was read from: itself, then what it extends, the strongest first. `environment` holds the
    variables that it asks for, None where one was not set. `plugins` are modules whose types it may name.
    """

    name: str
    seed: int
    run: RunSettings
    data: Mapping[str, TypedSettings]
    components: Mapping[str, TypedSettings]
    wires: Mapping[str, Wire]
    schedule: Schedule | None
    record: Mapping[str, RecordSettings]
    initial: Mapping[str, Any]
    phases: tuple[Phase, ...]
    text: str
    filename: str
    directory: FilePath
    marks: Marks = Marks()
    warnings: tuple[Fault, ...] = ()
    files: tuple[ConfigFile, ...] = ()
    environment: Mapping[str, str | None] = field(default_factory=dict)
    plugins: tuple[str, ...] = ()
    plugin_folder: FilePath | None = None  # of the file that names them, where they may stand beside it
    sweep: SweepSettings | None = None
    launcher: LauncherSettings | None = None
    source: Source | None = field(default=None, repr=False, compare=False)

    def vary(self, values: Mapping[str, Any]) -> Spec:
        """The same config with other values at these paths, as --set puts them there, and without its sweep: one point
        of a sweep. Raises ConfigError with every fault."""
        assert self.source is not None, "only what `load` has read can be read with other values"
        kept = {"text": self.text, "filename": self.filename, "directory": self.directory, "files": self.files}
        return replace(self.source.vary(values), **kept)

    def locate(self, fault: Fault) -> Fault:
        """The fault with the line and column of its path."""
        return self.marks.locate(fault)

    def render(self, error: ConfigError | Iterable[Fault], kind: str = "error") -> list[str]:
        """A line for each fault: file:line:column: error: message."""
        faults = error.faults if isinstance(error, ConfigError) else error
        return render([self.locate(fault) for fault in faults], kind)

    def order(self, phase: Phase | None = None) -> Schedule:
        """The schedule in force, with what was not written filled in.

        The default is: reset all; advance all, then evolve all, in the order written; nothing.
        """
        base = self.schedule or Schedule()
        if phase is not None and phase.schedule is not None:
            base = phase.schedule
        have = {name: describe.methods(each.type, each.settings) for name, each in self.components.items()}
        step = tuple((name, method) for method in ("advance", "evolve") for name in have if method in have[name])
        return Schedule(
            start=((EVERY, "reset"),) if base.start is None else base.start,
            step=step if base.step is None else base.step,
            end=() if base.end is None else base.end,
        )

    def origin(self) -> dict[str, str]:
        """What the config was read from, as JSON: files and their digests, variables of the environment (null: it was
        not set), and the modules of plugins that it uses."""
        modules = sorted({*self.plugins, *self._plugged()})
        return {
            "files": json.dumps([{"name": file.name, "sha256": file.sha256} for file in self.files]),
            "environment": json.dumps(dict(self.environment)),
            "plugins": json.dumps([asdict(plugins.origin(name)) for name in modules]),
        }

    def _plugged(self) -> Iterable[str]:
        """The modules of all types in use that are not the package's own."""
        for each in self.components.values():
            used = [catalogue.module_of(each.type)]
            used += [part.__module__ for part in describe.part_types(each.type, each.settings).values()]
            for value in each.settings.values():
                if isinstance(value, Mapping) and value.get("type") in catalogue.parts("initialiser"):
                    used.append(catalogue.parts("initialiser")[value["type"]].__module__)
            yield from (name for name in used if not name.startswith("synsim."))

    def resolved(self) -> dict[str, Any]:
        """The config with every default filled in and all that it extends, overrides, let and the environment in
        place: JSON that is a config again."""
        run = {name: getattr(self.run, name) for name in describe.settings_of(RunSettings)}
        del run["epochs" if self.run.trials is not None else "trials"]
        schedule = self.order()
        whole: dict[str, Any] = {
            "name": self.name,
            "seed": self.seed,
            **({"plugins": list(self.plugins)} if self.plugins else {}),
            "run": run,
            "data": {name: self._filled(describe.data_settings(each.type), each) for name, each in self.data.items()},
            "components": {
                name: self._filled(describe.settings(each.type, each.settings), each)
                for name, each in self.components.items()
            },
            "wires": {name: written(wire) for name, wire in self.wires.items()},
            "schedule": {part: _calls(getattr(schedule, part)) for part in ("start", "step", "end")},
            "record": {name: _record(name, each) for name, each in self.record.items()},
            "initial": dict(self.initial),
        }
        if self.phases:
            whole["phases"] = [self._phase(phase) for phase in self.phases]
        if self.sweep is not None:
            own = {name: getattr(self.sweep, name) for name in describe.settings_of(SweepSettings)}
            chosen = {name: value for name, value in own.items() if value is not None}
            whole["sweep"] = {**self.sweep.parameters, **chosen}
        if self.launcher is not None:
            whole["launcher"] = {
                name: getattr(self.launcher, name)
                for name in describe.settings_of(LauncherSettings)
                if name == "type" or getattr(self.launcher, name) != getattr(LauncherSettings(), name)
            }
        plain = _literal(describe.plain(whole))
        swept = () if self.sweep is None else [path for path in self.sweep.parameters if path.startswith("let.")]
        return self.source.with_let(self, plain, swept) if swept and self.source is not None else plain

    @staticmethod
    def _filled(table: Mapping[str, describe.Setting], each: TypedSettings) -> dict[str, Any]:
        values = {name: each.settings.get(name, setting.default) for name, setting in table.items()}
        for kind in catalogue.SYNAPSE_PARTS:
            if isinstance(values.get(kind), Declaration):  # a part's settings stand beside it
                values[kind] = values[kind].type_name
        return {"type": each.type, **values}

    def _phase(self, phase: Phase) -> dict[str, Any]:
        whole = {name: getattr(phase, name) for name in describe.settings_of(Phase) if getattr(phase, name) is not None}
        schedule = self.order(phase)
        whole["schedule"] = {part: _calls(getattr(schedule, part)) for part in ("start", "step", "end")}
        whole["data"] = {
            name: self._filled(describe.data_settings(each.type), each) for name, each in phase.data.items()
        }
        whole["wires"] = {name: None if wire is None else written(wire) for name, wire in phase.wires.items()}
        return whole | {"set": dict(phase.set), "record": dict(phase.record)}


def _literal(value: Any) -> Any:
    """A value as a config writes it, so that nothing is put in place of a text in it."""
    if isinstance(value, dict):
        return {key: _literal(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_literal(item) for item in value]
    return value.replace("${", "$${") if isinstance(value, str) else value


def _calls(calls: tuple[Call, ...]) -> list[str]:
    return ["reset" if name == EVERY else f"{name}.{method}" for name, method in calls]


def _record(name: str, each: RecordSettings) -> dict[str, Any]:
    if "." not in name:  # a data entry in the table of trials
        return {"every": each.every, "on": each.on}
    return {name: getattr(each, setting.field) for name, setting in describe.settings_of(RecordSettings).items()}
