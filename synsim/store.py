"""A run directory and how it is written: locked, in finished segments, merged into one file at the end.

    runs/NAME/   lock   status.json   config.yaml   NAME.h5 (only when complete)
    runs/NAME/seg/   head.h5   seg-<first>-<last>.h5   final.h5

HDF5 never streams to the disk: a file that grows can lose what it already held when the process dies inside a write.
Each segment is built in memory and published whole (temporary file, fsync, rename, fsync of the directory), and so is
the merged file, which is read back against the segments before it gets its name. `Writer` is the only writer; `Run`
(in `reading.py`) reads finished files and run directories alike.
"""

from __future__ import annotations

import json
import math
import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from synsim.faults import Locked, StoreError
from synsim.files import Disk, atomic_file, atomic_write, keep_entry, publish, write_all
from synsim.foreign import NoPopulation, SpikeTrains, read_array, read_spikes
from synsim.layout import (
    Column,
    Events,
    LabelLayout,
    Layout,
    Plan,
    RecordLayout,
    States,
    Trace,
    Trials,
    chunk_shape,
    flatten,
    group_of,
    plan,
    plan_of_states,
)
from synsim.locks import RunLock
from synsim.reading import Run
from synsim.segments import SEGMENT, VERSION, Segments, dataset_at, segment_image, segment_name

__all__ = [
    "Events",
    "LabelLayout",
    "Layout",
    "NoPopulation",
    "RecordLayout",
    "Run",
    "SpikeTrains",
    "States",
    "Trace",
    "Trials",
    "Writer",
    "atomic_write",
    "check_name",
    "read_array",
    "read_spikes",
]

IN_MEMORY = 256 << 20  # a merged file up to this size is built in memory
RUN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_DEVICES = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?")
_TEMPORARY = re.compile(r"\.(status\.json|config\.yaml|[A-Za-z0-9][A-Za-z0-9._-]*\.h5)\.tmp\d+")


def check_name(name: str) -> str:
    """A run's name, if it names one file and leads nowhere else; else a ValueError that says what a name is."""
    if not RUN_NAME.fullmatch(name) or _DEVICES.fullmatch(name) or name.endswith("."):
        raise ValueError(
            f"{name!r} cannot name a run: up to 64 letters, digits, '.', '_' or '-', the first a letter or digit"
        )
    return name


# --- HDF5 ------------------------------------------------------------------------------------------------------------


def _in_memory(fill: Callable[[h5py.File], None]) -> bytes:
    with h5py.File("image", "w", driver="core", backing_store=False, block_size=1 << 16, libver=VERSION) as file:
        fill(file)
        file.flush()
        return file.id.get_file_image()


def _create(file: h5py.File, it: Plan) -> None:
    """Every group and dataset of a plan, with its scales; values that come from segments are left to the caller."""
    for path, attrs in it.groups.items():
        group = file.require_group(path)
        for key, value in attrs.items():
            if key == "sorting":
                group.attrs.create(key, value["by_time"], dtype=h5py.enum_dtype(value, basetype="u1"))
            else:
                group.attrs[key] = value
    for path, column in it.columns.items():
        if isinstance(column.values, str):
            dataset = file.create_dataset(path, data=column.values, dtype=h5py.string_dtype())
        else:
            dataset = _dataset(file, path, column.shape, column.dtype)
        dataset.attrs["units"], dataset.attrs["long_name"] = column.unit or "1", column.doc or path.rpartition("/")[2]
        for key, value in column.attrs.items():
            dataset.attrs[key] = value
        if column.scale:
            dataset.make_scale(path.rpartition("/")[2])
    for path, column in it.columns.items():
        folder = path.rpartition("/")[0]
        for axis, name in enumerate(column.dims):
            dataset_at(file, path).dims[axis].attach_scale(dataset_at(file, f"{folder}/{name}"))
    for path, target in it.links.items():
        file[path] = h5py.SoftLink(target)


def _dataset(file: h5py.File, path: str, shape: tuple[int, ...], dtype: Any) -> h5py.Dataset:
    if not shape or not math.prod(shape):
        return file.create_dataset(path, shape=shape, dtype=dtype)
    # fletcher32: a damaged byte is an error when it is read, never another number
    return file.create_dataset(
        path, shape=shape, dtype=dtype, chunks=chunk_shape(shape, np.dtype(dtype).itemsize), fletcher32=True
    )


def _blocks(column: Column, pieces: Callable[[], Iterator[np.ndarray]]) -> Iterator[tuple[int, np.ndarray]]:
    """A column in pieces that end at chunk borders, so that the file does not depend on how the segments were cut."""
    if column.values is not None:
        if math.prod(column.shape):
            yield 0, column.array
        return
    rows = chunk_shape(column.shape, column.dtype.itemsize)[0] if math.prod(column.shape) else 1
    rows *= max(1, (1 << 24) // max(1, rows * math.prod(column.shape[1:]) * column.dtype.itemsize))
    at, held = 0, []
    for piece in pieces():
        held.append(piece)
        if sum(map(len, held)) >= rows:
            joined = np.concatenate(held)
            whole = len(joined) - len(joined) % rows
            yield at, joined[:whole]
            at, held = at + whole, [joined[whole:]]
    rest = np.concatenate(held) if held else np.empty((0, *column.shape[1:]), column.dtype)
    if len(rest):
        yield at, rest


def _fill(file: h5py.File, it: Plan, pieces: Callable[[str], Iterator[np.ndarray]], check: Callable[[], None]) -> None:
    for path, column in it.columns.items():
        if isinstance(column.values, str):
            continue
        for start, block in _blocks(column, lambda path=path: pieces(path)):
            if column.shape:
                dataset_at(file, path)[start : start + len(block)] = block
            else:
                dataset_at(file, path)[()] = block
            check()


def _compare(file: h5py.File, it: Plan, pieces: Callable[[str], Iterator[np.ndarray]]) -> None:
    """Hold every dataset of a file against what it should say, bit for bit."""
    for path, column in it.columns.items():
        dataset = dataset_at(file, path)
        if isinstance(column.values, str):
            same = dataset.asstr()[()] == column.values
        else:
            same = dataset.shape == column.shape and all(
                np.ascontiguousarray(dataset[start : start + len(block)] if column.shape else dataset[()]).tobytes()
                == np.ascontiguousarray(block, column.dtype).tobytes()
                for start, block in _blocks(column, lambda path=path: pieces(path))
            )
        if not same:
            raise StoreError(f"{path} reads back differently from what was written")


# --- the writer ------------------------------------------------------------------------------------------------------


class Writer:
    """Writes one run into `directory`, of which it is the only writer for as long as it lives.

    Order: `initial`, then `segment` for each save, then `finish`, or `stop` where the run ends early; both give the
    directory free. Whatever `segment` returned for is durable. Errors: Locked (73) where the directory is another
    process's, or holds a run already; StoreError (74) where the file system refuses.
    """

    def __init__(self, directory: str | Path, layout: Layout, overwrite: bool = False):
        """Take the directory (made if need be), refuse to touch an existing run unless `overwrite`, write the head."""
        try:
            check_name(layout.name)
        except ValueError as error:
            raise StoreError(str(error)) from None
        self.directory, self.layout, self.saved = Path(directory), layout, 0
        self.target = self.directory / f"{layout.name}.h5"
        self._segments: list[str] = []
        self._initial: States = {}
        self._begun: dict[str, tuple[float, int]] = {}  # for each report the time of its first row, and its rows
        self._folder = self._seg = -1
        self._lock: RunLock | None = None
        try:
            with self._saving("the run directory"):
                self._take(overwrite)
            with self._saving("the start of the run"):
                self._started = _now()
                self._status("running", {})
                publish(self._folder, "config.yaml", layout.config_text.encode())
                self._write_head()
        except BaseException:
            self.close()
            raise

    def _take(self, overwrite: bool) -> None:
        if self.directory.is_symlink():
            raise Locked(f"{self.directory} is a symbolic link; a run needs a directory of its own")
        self.directory.mkdir(parents=True, exist_ok=True)
        if not self.directory.is_dir():
            raise Locked(f"{self.directory} is not a directory")
        self._folder = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        self._occupant()
        self._lock = RunLock(self._folder, self.directory)
        if self._occupant():
            if not overwrite:
                what = "a finished run" if self.target.exists() else "a run already"
                raise Locked(f"{self.directory} holds {what}; choose another name, or --overwrite to replace it")
            self._clear()
        self._remove("", _TEMPORARY)
        with suppress(FileExistsError):
            os.mkdir("seg", dir_fd=self._folder)
        os.fsync(self._folder)
        keep_entry(self.directory)
        self._seg = os.open("seg", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self._folder)

    def _occupant(self) -> bool:
        """Whether a run is here already; refuses what is no run of synsim, and links in the place of its files."""
        entries = sorted(os.listdir(self._folder))
        ours = {"lock", "status.json", "config.yaml", "seg", self.target.name}
        for name in ours.intersection(entries):
            if stat.S_ISLNK(os.stat(name, dir_fd=self._folder, follow_symlinks=False).st_mode):
                raise Locked(f"{self.directory / name} is a symbolic link; synsim writes only files of its own")
        rest = [
            name
            for name in entries
            if name != "lock" and not name.startswith("lock.") and not _TEMPORARY.fullmatch(name)
        ]
        if not rest:
            return False
        with suppress(OSError, ValueError):
            status = json.loads((self.directory / "status.json").read_text(encoding="utf-8"))
            if isinstance(status, dict) and "synsim" in status:
                return True
        raise Locked(f"{self.directory} is not empty and holds no run of synsim; choose another --out or --name")

    def _clear(self) -> None:
        """Remove what synsim itself wrote here, and nothing else."""
        self._status("running", {})  # a directory without its result must not look finished
        self._remove("", re.compile(re.escape(self.target.name)))
        self._remove("seg", re.compile(rf"head\.h5|final\.h5|{SEGMENT.pattern}|{_TEMPORARY.pattern}"))

    def _remove(self, folder: str, own: re.Pattern[str]) -> None:
        try:
            fd = os.open(
                folder or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self._folder
            )
        except FileNotFoundError:
            return
        try:
            for name in os.listdir(fd):
                if own.fullmatch(name) and stat.S_ISREG(os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode):
                    os.unlink(name, dir_fd=fd)
        finally:
            os.close(fd)

    def initial(self, states: States) -> None:
        """Store the states at the start, those worth keeping: {c: {v: (array, unit, doc, axes)}}."""
        self._initial = {c: {v: (np.array(m[0]), *m[1:]) for v, m in arrays.items()} for c, arrays in states.items()}
        with self._saving("the initial states"):
            self._write_head()

    def _write_head(self) -> None:
        # The head is a finished file without rows: what a reader of the segments needs to know about them.
        it = plan(self.layout, {}, 0, initial=self._initial)
        publish(self._seg, "head.h5", _in_memory(lambda file: self._build(file, it)))

    @staticmethod
    def _build(file: h5py.File, it: Plan) -> None:
        _create(file, it)
        _fill(file, it, lambda path: iter(()), lambda: None)

    def segment(
        self, first: int, last: int, blocks: Mapping[str, Trace | Events], trials: Trials | None = None
    ) -> None:
        """Save the rows of steps `first` up to, not with, `last`; when this returns they are on the disk.

        `blocks` holds a Trace or Events for each record that has rows ({"z.v": Trace(…)}), `trials` the rows of the
        trial table that are new. Steps count over the whole run, and segments follow each other without a gap.
        """
        if first != self.saved or last <= first:
            raise ValueError(f"a segment of steps {first} to {last} does not follow step {self.saved}")
        columns = flatten(self.layout, blocks, trials)
        begun = self._evenly(columns)

        name = segment_name(first, last)
        with self._saving(f"steps {first} to {last}"):
            publish(self._seg, name, segment_image(first, last, self.layout.config_sha256, columns))
        self._segments.append(name)
        self._begun = begun
        self.saved = last

    def _evenly(self, columns: Mapping[str, np.ndarray]) -> dict[str, tuple[float, int]]:
        # Readers of a SONATA report compute times from start and step, so they must be the times that were recorded.
        begun = dict(self._begun)
        for record in self.layout.records:
            times = columns.get(f"/report/{record.name}/time")
            if times is None or not len(times):
                continue
            begin, count = begun.get(record.name, (float(times[0]), 0))
            expected = begin + (record.interval or 0.0) * np.arange(count, count + len(times))
            if not np.allclose(times, expected, rtol=1e-9, atol=1e-6):
                raise ValueError(f"{record.name} was promised to be spaced evenly by {record.interval} ms, and is not")
            begun[record.name] = begin, count + len(times)
        return begun

    def status(self, state: str = "running", **progress: Any) -> None:
        """Publish status.json: the state (running, interrupted, failed) and any numbers about the progress."""
        with self._saving("status.json"):
            self._status(state, progress)

    def _status(self, state: str, progress: Mapping[str, Any]) -> None:
        assert self._lock is not None
        document = {
            "synsim": 1,
            "name": self.layout.name,
            "state": state,
            **self._lock.owner,
            "steps_saved": self.saved,
            "segments": len(self._segments),
            "started": getattr(self, "_started", _now()),
            "updated": _now(),
            **progress,
        }
        publish(self._folder, "status.json", (json.dumps(document, indent=1, default=_plain) + "\n").encode())

    def finish(self, final: States, provenance: Mapping[str, Any] | None = None) -> Path:
        """Merge the segments into NAME.h5, read it back, publish it, remove the segments; the path of the file.

        `final` is the whole last state; `provenance` becomes the attributes of /provenance. If this fails, the
        segments and the final state are still there and nothing called NAME.h5 exists.
        """
        with self._saving("the final states"):
            self._keep_final(final, provenance or {})
        with self._saving(f"{self.target}"):
            self._merge(final, provenance or {})
        # From here on the run is complete, since its file exists: what fails now costs nobody anything.
        with suppress(OSError):
            self._remove("seg", re.compile(rf"head\.h5|final\.h5|{SEGMENT.pattern}"))
            os.rmdir("seg", dir_fd=self._folder)
        with suppress(OSError):
            self._status("done", {})
        self.close()
        return self.target

    def _keep_final(self, final: States, provenance: Mapping[str, Any]) -> None:
        it = plan_of_states(self.layout, final, provenance)
        publish(self._seg, "final.h5", _in_memory(lambda file: self._build(file, it)))

    def _merge(self, final: States, provenance: Mapping[str, Any]) -> None:
        segments = Segments(self.directory / "seg", self._segments, self.layout.config_sha256)
        rows, begins = {}, {}
        for record in self.layout.records:
            at = group_of(self.layout, record)
            rows[record.name] = segments.rows(f"{at}/{'timestamps' if record.form == 'events' else 'time'}")
            begins[record.name] = self._begun.get(record.name, (0.0, 0))[0]
        it = plan(
            self.layout,
            rows,
            segments.rows("/trials/phase"),
            steps=self.saved,
            begins=begins,
            initial=self._initial,
            final=final,
            provenance=provenance,
        )
        growing = [path for path, column in it.columns.items() if column.values is None]

        def pieces(path: str) -> Iterator[np.ndarray]:
            return segments.pieces(path, growing[growing.index(path) + 1 :])

        size, space = it.nbytes, os.fstatvfs(self._folder)
        free = space.f_bavail * space.f_frsize
        if size > free:
            needs = f"it needs {size / 1e3:,.0f} kB and {free / 1e3:,.0f} kB are free"
            raise StoreError(f"cannot save {self.target}: {needs}; {self._safe()}")
        with atomic_file(self._folder, self.target.name) as (fd, temporary):
            if size <= IN_MEMORY:

                def fill(file: h5py.File) -> None:
                    _create(file, it)
                    _fill(file, it, pieces, lambda: None)

                write_all(fd, _in_memory(fill))
            else:
                self._stream(fd, it, pieces)
            with h5py.File(self.directory / temporary, "r", locking=False) as file:
                _compare(file, it, pieces)

    @staticmethod
    def _stream(fd: int, it: Plan, pieces: Callable[[str], Iterator[np.ndarray]]) -> None:
        disk = Disk(fd)
        try:
            with h5py.File(disk, "w", libver=VERSION) as file:
                _create(file, it)
                _fill(file, it, pieces, disk.check)
        except Exception:
            disk.check()  # what HDF5 says after a swallowed failure is not the cause
            raise
        disk.check()

    def stop(self, state: str, reason: str, final: States | None = None, **progress: Any) -> None:
        """End an `interrupted` or `failed` run: the segments stay and stay readable, and so does `final`, if given."""
        try:
            with self._saving("the last states"):
                if final is not None:
                    self._keep_final(final, {})
                self._status(state, {"reason": reason, **progress})
        finally:
            self.close()

    def close(self) -> None:
        """Give the directory free. A run that was neither finished nor stopped then counts as interrupted."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None
        for fd in (self._seg, self._folder):
            if fd >= 0:
                os.close(fd)
        self._seg = self._folder = -1

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _safe(self) -> str:
        if not self.saved:
            return "nothing of this run was saved"
        return f"steps 0 to {self.saved} are safe in {self.directory / 'seg'}"

    @contextmanager
    def _saving(self, what: str) -> Iterator[None]:
        try:
            yield
        except StoreError as error:
            raise (
                error if self._safe() in str(error) else StoreError(f"cannot save {what}: {error}; {self._safe()}")
            ) from error
        except OSError as error:
            raise StoreError(f"cannot save {what}: {error.strerror or error}; {self._safe()}") from error
        except MemoryError as error:
            raise StoreError(f"cannot save {what}: not enough memory; {self._safe()}") from error


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _plain(value: Any) -> Any:
    """Numbers of numpy and JAX as JSON writes them."""
    return value.tolist() if hasattr(value, "tolist") else str(value)
