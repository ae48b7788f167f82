"""What a run will do, known before it does it: phases, the rows of every trial, records, memory and file size."""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import jax
import numpy as np

from synsim import building, engine, preflight, records
from synsim import data as data_entries
from synsim.arrays import Problem
from synsim.component import count
from synsim.data import Clock, Entry
from synsim.faults import ConfigError, Fault, MissingInput, RunError
from synsim.graph import Graph, Source
from synsim.layout import LabelLayout, Layout
from synsim.records import Record, Take
from synsim.spec import Phase, Spec, TypedSettings
from synsim.streaming import Stream

# what a process needs before it holds anything of a model: Python, JAX, HDF5, and the compiler where it is needed
# (measured on CPUs: 220 MiB where all programs are in the cache, 300 where they are compiled)
BASE_MEMORY = 265 << 20
RECORDS_MEMORY = 260 << 20  # what records take at the most, in the chunks and segments that are under way (measured)
SPIKES_EXPECTED = 0.02  # share of units that spike in a step, to guess the size of events before they happen


@dataclass(frozen=True)
class PhasePlan:
    """One phase: its program, its data and the rows of each of its trials."""

    index: int
    name: str
    graph: Graph
    takes: tuple[Take, ...]
    entries: Mapping[str, Entry]  # the entries wired in this phase
    labels: Mapping[str, Entry]  # the entries that go into the trial table
    trials: int
    rows: int  # of its data; 0 where none has rows
    dropped: int  # rows of each epoch that `partial: drop` leaves out
    shuffle: bool
    seed: int
    first_trial: int
    first_step: int

    @property
    def steps(self) -> int:
        """Steps of the phase in all."""
        return self.trials * self.graph.steps

    @property
    def lanes(self) -> int | None:
        """How many points of a sweep go side by side in one program; None where this is one run by itself."""
        return None

    def leaves(self) -> list[Any]:
        """Every number of its graph."""
        return jax.tree.leaves(self.graph)

    def epoch(self, trial: int) -> int:
        """The pass over the data that a trial of this phase belongs to."""
        batches = self.rows // self.graph.batch
        return trial // batches if batches else 0

    def rows_of(self, first: int, n: int) -> np.ndarray:
        """The data rows of `n` trials from `first` on: (n, batch); -1 where no data have rows."""
        batch = self.graph.batch
        if not self.rows:
            return np.full((n, batch), -1, np.int64)
        batches = self.rows // batch
        chosen = np.empty((n, batch), np.int64)
        orders: dict[int, np.ndarray] = {}
        for i, trial in enumerate(range(first, first + n)):
            epoch, place = divmod(trial, batches)
            if not self.shuffle:
                chosen[i] = np.arange(place * batch, (place + 1) * batch)
                continue
            if epoch not in orders:
                orders[epoch] = self._order(epoch)
            chosen[i] = orders[epoch][place * batch : (place + 1) * batch]
        return chosen

    def _order(self, epoch: int) -> np.ndarray:
        words = np.random.SeedSequence([self.seed, zlib.crc32(b"shuffle"), self.index, epoch])
        return np.random.Generator(np.random.Philox(words)).permutation(self.rows)

    def chunk_data(
        self, first: int, n: int, frames: tuple[int, int] | None = None, names: Collection[str] | None = None
    ) -> dict[str, Any]:
        """What the device needs for `n` trials: (n, batch, …) held, (n, steps, batch, …) played, (steps, …) shared;
        of all entries, or of those that are named.

        Of a file that is longer than memory, only the frames from one step up to another, where these are given; they
        come as `engine.Frames`. Raises RunError where what is read then is not as it must be.
        """
        rows, dtype = self.rows_of(first, n), self.graph.dtype
        made: dict[str, Any] = {}
        for name, entry in self.entries.items():
            if names is not None and name not in names:
                continue
            kind = np.int32 if entry.values.dtype.kind in "iu" else np.dtype(dtype)
            values, played = entry.values, "step" in entry.axes
            cut = frames if played and isinstance(values, Stream) else None
            window = cut or (0, self.graph.steps)
            if isinstance(values, Stream):
                part = _read(name, values, rows if "row" in entry.axes else np.arange(*window), window)
            elif "row" in entry.axes:
                part = values[rows][:, :, : self.graph.steps] if played else values[rows]
            else:
                part = values[: self.graph.steps]
            if played and "row" in entry.axes:
                part = np.moveaxis(part, 2, 1)
            part = np.asarray(part, kind)
            made[name] = part if cut is None else engine.Frames(part, np.int32(cut[0]))
        return made

    def streamed_bytes(self) -> int:
        """Bytes of a trial that are read from files which are longer than memory."""
        size = 0
        for entry in self.entries.values():
            if isinstance(entry.values, Stream):
                steps = self.graph.steps if "step" in entry.axes else 1
                size += entry.values.item_bytes * steps * (self.graph.batch if "row" in entry.axes else 1)
        return size

    def labels_of(self, first: int, n: int) -> dict[str, np.ndarray]:
        """The label entries of `n` trials, as they stand in the trial table."""
        rows = self.rows_of(first, n)
        rows = rows if self.graph.batch > 1 else rows[:, 0]
        return {
            name: _read(name, entry.values, rows, None) if isinstance(entry.values, Stream) else entry.values[rows]
            for name, entry in self.labels.items()
        }


def _read(name: str, values: Stream, rows: np.ndarray, frames: tuple[int, int] | None) -> np.ndarray:
    try:
        return values.read(rows, frames)
    except Problem as problem:
        raise RunError(f"data.{name}: {problem.message}") from None


@dataclass(frozen=True)
class Estimate:
    """Bytes, before anything was computed."""

    state: int
    data: int
    records: int  # of the records that are held at once
    file: int
    memory: int
    largest: tuple[tuple[str, int], ...]  # "W.weights" and its bytes, the largest first


@dataclass(frozen=True)
class RunPlan:
    """Everything that is known of a run before it is compiled."""

    spec: Spec
    phases: tuple[PhasePlan, ...]
    records: tuple[Record, ...]
    layout: Layout
    estimate: Estimate

    @property
    def trials(self) -> int:
        """Trials of all phases."""
        return sum(phase.trials for phase in self.phases)

    @property
    def steps(self) -> int:
        """Steps of all phases."""
        return sum(phase.steps for phase in self.phases)


class Checked(Protocol):
    """The structures of graphs whose shapes were found right: a set, or what remembers them longer."""

    def __contains__(self, structure: Any, /) -> bool: ...
    def update(self, structures: Iterable[Any], /) -> None: ...


def plan(spec: Spec, checked: Checked | None = None) -> RunPlan:
    """Reads the data, builds the graphs and checks every shape. Raises ConfigError or MissingInput with all faults.

    `checked` holds the structures of graphs whose shapes were found right, and takes in those of this run.
    """
    loaded = _Loaded(spec)
    common = loaded.entries(None)
    wanted = tuple(path for path in spec.record if "." in path)
    sources = {name: _source(entry) for name, entry in common.items()}
    if loaded.faults:
        raise loaded.error()
    graphs = building.build(spec, building.Build(sources, loaded.array, wanted, preflight.available_memory()))
    known: set[Any] = set()
    checked = set() if checked is None else checked
    for one, structure in zip(graphs, map(structure_of, graphs), strict=True):
        if structure not in checked:
            engine.check(one, known)
    checked.update(map(structure_of, graphs))
    made = records.resolve(spec, graphs)
    phases: list[PhasePlan] = []
    faults: list[Fault] = []
    for index, one in enumerate(graphs):
        phase = spec.phases[index] if spec.phases else None
        try:
            phases.append(_phase(spec, phase, index, one, made, loaded, phases))
        except ConfigError as error:
            faults += error.faults
    if faults:
        raise ConfigError(faults)
    if sum(p.steps for p in phases) >= engine.NEVER:
        raise ConfigError(
            Fault(
                f"the run has {sum(p.steps for p in phases):,} steps; the most is {engine.NEVER - 1:,}",
                ("run", "steps"),
            )
        )
    layout = layout_of(spec, phases, made)
    estimate = _estimate(phases, made, layout)
    _refuse_too_large(estimate)
    return RunPlan(spec, tuple(phases), made, layout, estimate)


def structure_of(graph: Graph) -> tuple[Any, ...]:
    """All of a graph but its numbers: graphs for which it is equal are one program.

    What its data look like, which is part of the tree too, stands by itself: the words of a tree may leave things out.
    """
    leaves, tree = jax.tree.flatten(graph)
    return tree, tuple((np.shape(leaf), np.result_type(leaf).name) for leaf in leaves), graph.sources


def _refuse_too_large(estimate: Estimate) -> None:
    there = preflight.available_memory()
    if estimate.memory <= preflight.SHARE * there:
        return
    path, size = estimate.largest[0]
    if estimate.records > 5 * size:
        words = (
            f"the records that are held at once take {preflight.readable(estimate.records)}; record less: a "
            "larger every, an index, or reduce"
        )
        where: tuple = ("record",)
    else:
        words = f"{path} alone takes {preflight.readable(size)}; use fewer units or a smaller batch"
        where = ("components", path.split(".")[0])
    raise MissingInput(
        Fault(
            f"the run needs about {preflight.readable(estimate.memory)} of memory and "
            f"{preflight.readable(there)} are available: {words}",
            where,
        )
    )


class _Loaded:
    """The data entries of a spec, each read once."""

    def __init__(self, spec: Spec):
        self.spec = spec
        self.faults: list[Fault] = []
        self.missing = False
        self.clock = Clock(spec.run.dt, max([spec.run.steps, *(phase.steps or 0 for phase in spec.phases)]))
        self._read: dict[str, Entry] = {}

    def read(self, name: str, typed: TypedSettings, path: tuple | None = None) -> Entry | None:
        """The entry, or None with the fault noted."""
        known = f"{name} {typed!r}"
        if known not in self._read:
            try:
                self._read[known] = data_entries.load(
                    name, typed, directory=self.spec.directory, seed=self.spec.seed, clock=self.clock
                )
            except ConfigError as error:
                self.missing |= isinstance(error, MissingInput)
                for fault in error.faults:
                    rest = fault.path[2:] if fault.path[:2] == ("data", name) else ()
                    self.faults.append(fault if path is None else Fault(fault.message, (*path, *rest)))
                return None
        return self._read[known]

    def entries(self, phase: int | None) -> dict[str, Entry]:
        """Every entry as a phase sees it."""
        found = {}
        over = self.spec.phases[phase].data if phase is not None and self.spec.phases else {}
        for name, typed in self.spec.data.items():
            place = ("phases", phase, "data", name) if name in over else None
            entry = self.read(name, over.get(name, typed), place)
            if entry is not None:
                found[name] = entry
        return found

    def array(self, typed: TypedSettings | str, path: tuple) -> np.ndarray:
        """The array of an initialiser: a file, or the name of a data entry."""
        if isinstance(typed, str):
            if typed not in self.spec.data:
                raise ConfigError(Fault(f"there is no data entry {typed!r}", (*path, "entry")))
            entry = self.read(typed, self.spec.data[typed])
        else:
            written = typed.settings
            try:
                return data_entries.read_file(self.spec.directory / written["path"], written.get("key"))
            except ConfigError as error:
                self.missing |= isinstance(error, MissingInput)
                self.faults += [Fault(fault.message, (*path, *fault.path)) for fault in error.faults]
                raise self.error() from None
        if entry is None:
            raise self.error()
        return data_entries.whole(entry)

    def error(self) -> ConfigError:
        """All faults so far, as the error that fits them."""
        return (MissingInput if self.missing else ConfigError)(self.faults)


def _source(entry: Entry) -> Source:
    inner = tuple(
        size for axis, size in zip(entry.axes, entry.values.shape, strict=True) if axis not in ("row", "step")
    )
    return Source(entry.axes, inner, entry.values.dtype.kind in "iu")


def _phase(
    spec: Spec,
    phase: Phase | None,
    index: int,
    one: Graph,
    made: tuple[Record, ...],
    loaded: _Loaded,
    before: list[PhasePlan],
) -> PhasePlan:
    entries = loaded.entries(index if spec.phases else None)
    if loaded.faults:
        raise loaded.error()
    place = ("phases", index) if spec.phases else ("run",)
    wired = {name: entry for name, entry in entries.items() if name in dict(one.sources)}
    faults = []
    for name, entry in wired.items():
        if _source(entry) != one.source(name):
            faults.append(
                Fault(
                    f"{name} has shape {list(_source(entry).shape)} in this phase and "
                    f"{list(one.source(name).shape)} before: phases share their components",
                    place,
                )
            )
        if "step" in entry.axes:
            frames = entry.values.shape[entry.axes.index("step")]
            if frames < one.steps:
                faults.append(Fault(f"{name} has {frames} frames, but a trial has {one.steps} steps", ("data", name)))
    rows = {name: len(entry.values) for name, entry in wired.items() if "row" in entry.axes}
    if len(set(rows.values())) > 1:
        said = ", ".join(f"{name} has {n:,}" for name, n in rows.items())
        faults.append(Fault(f"data that are wired must have equal numbers of rows: {said}", ("data", sorted(rows)[-1])))
    labels = {name: entries[name] for name in records.trial_entries(spec) if name in entries}
    n_rows = next(iter(rows.values()), 0)
    for name, entry in labels.items():
        if "row" not in entry.axes or "step" in entry.axes:
            faults.append(Fault(f"{name} cannot stand in the trial table: it has no rows, or frames", ("record", name)))
        elif n_rows and len(entry.values) != n_rows:
            faults.append(
                Fault(
                    f"{name} has {len(entry.values):,} rows and the data that drive trials {n_rows:,}", ("record", name)
                )
            )
    if labels and not n_rows:
        faults.append(Fault("no data with rows are wired, so trials have no labels", ("record", next(iter(labels)))))
    if faults:
        raise ConfigError(faults)
    trials, dropped = _count_trials(spec, phase, n_rows, one.batch)
    takes = tuple(take for record in made if (take := record.take(index, one.steps)) is not None)
    first_trial = sum(p.trials for p in before)
    first_step = sum(p.steps for p in before)
    shuffle = spec.run.shuffle if phase is None or phase.shuffle is None else phase.shuffle
    return PhasePlan(
        index,
        phase.name if phase is not None else "run",
        one,
        takes,
        wired,
        labels,
        trials,
        n_rows,
        dropped,
        shuffle,
        spec.seed,
        first_trial,
        first_step,
    )


def _count_trials(spec: Spec, phase: Phase | None, rows: int, batch: int) -> tuple[int, int]:
    """Trials of a phase, and the rows of each epoch that do not fill a batch."""
    run = spec.run
    own = phase is not None and (phase.trials is not None or phase.epochs is not None)
    trials = phase.trials if own and phase is not None else run.trials
    epochs = phase.epochs if own and phase is not None else run.epochs
    if not rows:
        return (trials if trials is not None else (epochs or 1)), 0
    dropped = rows % batch
    if rows < batch:
        raise ConfigError(Fault(f"the data have {rows:,} rows, fewer than one batch of {batch}", ("run", "batch")))
    whole = trials is not None and trials <= rows // batch  # never meets the rest
    if dropped and not whole and run.partial == "refuse":
        fits = [n for n in range(1, rows + 1) if rows % n == 0 and n <= max(64, 2 * batch)]
        raise ConfigError(
            Fault(
                f"{rows:,} rows do not divide into batches of {batch}: {dropped} are left over; batches that fit: "
                f"{', '.join(map(str, fits))}; or write partial: drop",
                ("run", "batch"),
            )
        )
    return (trials if trials is not None else (epochs or 1) * (rows // batch)), 0 if whole else dropped


def layout_of(spec: Spec, phases: Sequence[PhasePlan], made: tuple[Record, ...]) -> Layout:
    """The layout of the file that a run leaves."""
    import json

    labels = []
    for name, entry in phases[0].labels.items():
        labels.append(LabelLayout(name, entry.values.shape[1:], entry.axes[1:], str(entry.values.dtype)))
    attrs: dict[str, Any] = {"title": spec.name, "seed": spec.seed, "precision": spec.run.precision}
    if any(phase.dropped for phase in phases):
        attrs["rows_dropped_each_epoch"] = [phase.dropped for phase in phases]
    return Layout(
        name=spec.name,
        records=tuple(r.layout for r in made if any(r.phases)),
        attrs=attrs,
        config_text=spec.text,
        config_resolved=json.dumps(spec.resolved(), indent=1),
        dt=spec.run.dt,
        batch=spec.run.batch,
        labels=tuple(labels),
        phases=tuple(phase.name for phase in phases),
        origin=spec.origin(),
    )


def state_bytes(one: Graph) -> Iterator[tuple[str, int]]:
    """The bytes of every carried compartment."""
    for name, compartment, _ in one.carried():
        yield f"{name}.{compartment}", count(one.shape(name, compartment)) * np.dtype(one.dtype).itemsize


def _estimate(phases: list[PhasePlan], made: tuple[Record, ...], layout: Layout) -> Estimate:
    one = phases[0].graph
    sizes = sorted(state_bytes(one), key=lambda item: -item[1])
    state = sum(size for _, size in sizes)
    held = {
        id(e.values): e.values.nbytes for phase in phases for e in (*phase.entries.values(), *phase.labels.values())
    }
    leaves = sum(np.asarray(leaf).nbytes for leaf in jax.tree.leaves(one.parts))
    expected: dict[str, int] = {}
    row = 0
    for record in made:
        for phase in phases:
            take = record.take(phase.index, phase.graph.steps)
            if take is None:
                continue
            n = phase.trials * (1 if take.each_trial else take.slots(phase.graph.steps))
            if record.layout.form == "events":
                n = int(n * SPIKES_EXPECTED * count(record.shape))
            expected[record.path] = expected.get(record.path, 0) + n
            row = max(row, record.row_bytes)
    trials = sum(phase.trials for phase in phases)
    learned = [count(one.shape(n, c)) * np.dtype(one.dtype).itemsize for n, c, what in one.carried() if what.learned]
    recorded = layout.file_bytes(expected, trials)
    file = layout.file_bytes(expected, trials, state + sum(learned), len(sizes) + len(learned))
    data = sum(held.values())
    # measured with 15 to 210 MiB of state: it stands before, in and after the chunk that is computed, the one that is
    # looked at and the one that is saved, and in its checkpoint; records stand on the device, on the host and in a
    # segment, of which there are few however long the run is
    records = int(min(4.5 * recorded, max(RECORDS_MEMORY, 7 * row)))
    memory = BASE_MEMORY + int(6.3 * state + 1.5 * leaves + 2 * data) + records
    return Estimate(state, data, records, file, memory, tuple(sizes[:5]))
