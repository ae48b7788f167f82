"""What of a run is exported: its records and spikes, or what was named, of the states that it kept too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from synsim.faults import ConfigError, Fault, suggest
from synsim.reading import Record, Run
from synsim.trains import Trains

SPAN_BYTES = 1 << 24  # of rows that are held at once
WHENS = ("initial", "final")


@dataclass(frozen=True)
class State:
    """A state stored whole: `name` is final.W.weights."""

    when: str
    component: str
    compartment: str
    unit: str
    doc: str
    axes: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"{self.when}.{self.component}.{self.compartment}"

    def values(self, run: Run) -> np.ndarray:
        """Its numbers, read."""
        return (run.initial if self.when == "initial" else run.final)(self.component, self.compartment)


@dataclass(frozen=True)
class Chosen:
    """What is exported, by name; `whole` says that nothing was named, so that the trial table goes with it."""

    records: Mapping[str, Record]
    spikes: Mapping[str, Trains]
    states: Mapping[str, State]
    whole: bool

    @property
    def names(self) -> list[str]:
        """All of them."""
        return [*self.records, *self.spikes, *self.states]


def chosen(run: Run, names: Sequence[str]) -> Chosen:
    """What the names mean: z.v, all of z, final.W.weights, or all of final; without names all records and spikes.

    Raises ConfigError with every name that is not there.
    """
    states = {
        state.name: state
        for when in WHENS
        for name, what in run.states(when).items()
        for component, _, compartment in [name.partition(".")]
        for state in [State(when, component, compartment, what.unit, what.doc, what.axes)]
    }
    known = [*run.records, *run.events, *states]
    wanted: list[str] = [] if names else [*run.records, *run.events]
    faults = []
    for name in names:
        inner = [each for each in known if each.startswith(f"{name}.")]
        if name not in known and not inner:
            there = f" There are {', '.join([*run.records, *run.events]) or 'no records'}"
            more = f", and states as {next(iter(states))}." if states else "."
            faults.append(Fault(f"{name} is not in {run.path}.{suggest(name, known) or there + more}"))
        wanted += [name] if name in known else inner
    if faults:
        raise ConfigError(faults)
    return Chosen(
        {name: record for name, record in run.records.items() if name in wanted},
        {name: run.spikes(name) for name in run.events if name in wanted},
        {name: state for name, state in states.items() if name in wanted},
        not names,
    )


def spans(record: Record, most: int = SPAN_BYTES) -> Iterator[slice]:
    """The rows of a record in pieces of so many bytes at the most, or of one row."""
    one = max(1, int(np.prod(record.shape[1:])) * record.dtype.itemsize + 16)
    step = max(1, most // one)
    for start in range(0, len(record), step):
        yield slice(start, min(len(record), start + step))


def trial_ends(run: Run) -> np.ndarray:
    """When each trial of the table ends, in ms of the run: the next starts, or what is saved ends."""
    starts = np.asarray(run.trials.start, np.float64)
    return np.append(starts[1:], run.steps * float(run.attrs.get("dt", 1.0)))[: len(starts)]


def phase_names(run: Run, numbers: Any) -> np.ndarray:
    """Phases by name where they have one, else their numbers."""
    numbers = np.asarray(numbers)
    if run.phases and numbers.size and 0 <= numbers.min() and numbers.max() < len(run.phases):
        return np.asarray(run.phases)[numbers]
    return numbers
