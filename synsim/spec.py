"""A checked config: plain data that knows where in the text each of its values stands."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path as FilePath
from typing import Any, Literal

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
        return _literal(describe.plain(whole))

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
