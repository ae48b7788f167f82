"""A run directory and how it is written: locked, in finished segments, merged into one file at the end.

    runs/NAME/   lock   status.json   config.yaml   NAME.h5 (only when complete)
    runs/NAME/seg/   head.h5   seg-<first>-<last>.h5   final.h5
    runs/NAME/ckpt/   ck-<step>.npz, the last two

HDF5 never streams to the disk: a file that grows can lose what it already held when the process dies inside a write.
Each segment is built in memory and published whole (temporary file, fsync, rename, fsync of the directory), then the
checkpoint of the same step, and only then do they count as saved. So is the merged file, which is read back against the
segments before it gets its name. All of them end with their digest (`files.sealed`). `Writer` is the only writer; `Run`
(in `reading.py`) reads finished files and run directories alike.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from synsim import compression
from synsim.faults import Locked, StoreError
from synsim.files import (
    atomic_write,
    make_folder,
    opened_seal,
    publish,
    publish_in_blocks,
    publish_sealed,
    read_regular,
    seal_fault,
)
from synsim.foreign import NoPopulation, SpikeTrains, read_array, read_part, read_spikes, shape_of_part
from synsim.layout import (
    Events,
    LabelLayout,
    Layout,
    RecordLayout,
    States,
    Trace,
    Trials,
    axis_of,
    check_name,
    flatten,
    group_of,
    plan,
    plan_of_states,
)
from synsim.locks import RunLock
from synsim.merging import build, compacted, merge
from synsim.reading import STATUS_BYTES, Run, digest_in, read_status
from synsim.segments import SEGMENT, Segments, segment_image, segment_name, segment_parts

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
    "read_part",
    "read_spikes",
    "read_status",
    "shape_of_part",
]

MANY = 100  # small segments in a row become one
SMALL = 32 << 20  # bytes that they may hold together
KEPT = 2  # checkpoints: the last, and the one before it should the last be damaged
CHECKPOINT = re.compile(r"ck-(\d+)\.npz")
_TEMPORARY = re.compile(r"\.(status\.json|config\.yaml|[A-Za-z0-9][A-Za-z0-9._-]*\.(h5|npz))\.tmp\d+")
_OWN = {"seg": re.compile(rf"head\.h5|final\.h5|{SEGMENT.pattern}|{_TEMPORARY.pattern}")}
_OWN["ckpt"] = re.compile(rf"{CHECKPOINT.pattern}|{_TEMPORARY.pattern}")


# --- the writer ------------------------------------------------------------------------------------------------------


class Writer:
    """Writes one run into `directory`, of which it is the only writer for as long as it lives.

    Order: `initial`, then `segment` and `checkpoint` for each save, then `finish`, or `stop` where the run ends early;
    both give the directory free. With `resume`, what is there stays, `checkpoints` gives what can be gone on from, and
    `go_on` takes the place of `initial`. Whatever `checkpoint` returned for is durable. `about` goes into status.json;
    `check` is called now and then while what is there is looked through, and may raise: nothing is changed then.
    Errors: Locked (73) where the directory is another process's, or holds a run already; StoreError (74) where the
    file system refuses.
    """

    def __init__(
        self,
        directory: str | Path,
        layout: Layout,
        overwrite: bool = False,
        resume: bool = False,
        about: Mapping[str, Any] | None = None,
        check: Callable[[], None] = lambda: None,
    ):
        """Take the directory (made if need be), refuse to touch an existing run unless told to, write the head."""
        try:
            check_name(layout.name)
        except ValueError as error:
            raise StoreError(str(error)) from None
        self.directory, self.layout, self.saved = Path(directory), layout, 0
        self.target = self.directory / f"{layout.name}.h5"
        compression.require(layout.filters.values(), f"{self.directory}")
        self.about = dict(about or {})
        self._check = check
        self._left = "what was saved before is as it was" if resume else None
        self._point = 0  # the step of the last checkpoint
        self._segments: list[str] = []
        self._small: list[tuple[str, int]] = []  # the last segments that may become one, and their sizes
        self._begun: dict[str, tuple[float, int]] = {}  # for each report the time of its first row, and its rows
        self._folder = self._seg = self._ckpt = -1
        self._lock: RunLock | None = None
        self._started = _now()
        try:
            with self._saving(f"the run directory {self.directory}"):
                self._take(overwrite, resume)
            if not resume:
                self._begin()
        except BaseException:
            self.close()
            raise

    def _begin(self) -> None:
        with self._saving(f"the start of the run in {self.directory}"):
            self._status("running", {})
            for folder, own in _OWN.items():  # of an earlier start; the head is replaced, so that there always is one
                self._remove(folder, own, but={"head.h5"})
            publish(self._folder, "config.yaml", self.layout.config_text.encode())
            self._write_head()

    def _take(self, overwrite: bool, resume: bool) -> None:
        if self.directory.is_symlink():
            raise Locked(f"{self.directory} is a symbolic link; a run needs a directory of its own")
        make_folder(self.directory)
        if not self.directory.is_dir():
            raise Locked(f"{self.directory} is not a directory")
        self._folder = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        self._occupant()
        self._lock = RunLock(self._folder, self.directory)
        if self._occupant() and not resume:
            if not overwrite:
                what = "a finished run" if self.target.exists() else "a run already"
                raise Locked(
                    f"{self.directory} holds {what}; choose another name, --overwrite to replace it, "
                    "or --resume to go on with it"
                )
            self._clear()
        self._remove("", _TEMPORARY)
        self._seg, self._ckpt = self._made("seg"), self._made("ckpt")
        for folder in ("seg", "ckpt"):
            self._remove(folder, _TEMPORARY)
        os.fsync(self._folder)

    def _made(self, folder: str) -> int:
        with suppress(FileExistsError):
            os.mkdir(folder, dir_fd=self._folder)
        return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self._folder)

    def _occupant(self) -> bool:
        """Whether a run is here already; refuses what is no run of synsim, and links in the place of its files."""
        entries = sorted(os.listdir(self._folder))
        ours = {"lock", "status.json", "config.yaml", "seg", "ckpt", self.target.name}
        for name in ours.intersection(entries):
            with suppress(FileNotFoundError):  # as when another process is about to finish here
                if stat.S_ISLNK(os.stat(name, dir_fd=self._folder, follow_symlinks=False).st_mode):
                    raise Locked(f"{self.directory / name} is a symbolic link; synsim writes only files of its own")
        rest = [
            name
            for name in entries
            if name != "lock" and not name.startswith("lock.") and not _TEMPORARY.fullmatch(name)
        ]
        rest = [name for name in rest if name not in _OWN or self._holds_something(name)]
        if not rest:
            return False
        with suppress(OSError, ValueError):
            status = json.loads(read_regular(self.directory / "status.json", most=STATUS_BYTES))
            if isinstance(status, dict) and "synsim" in status:
                return True
        if ours.issuperset(rest) and self._sealed_head():
            return True  # only the status is damaged
        raise Locked(f"{self.directory} is not empty and holds no run of synsim; choose another --out or --name")

    def _holds_something(self, folder: str) -> bool:
        """Whether one of our folders is more than what a start that got no further leaves."""
        try:
            return not all(map(_TEMPORARY.fullmatch, os.listdir(self.directory / folder)))
        except FileNotFoundError:
            return False
        except NotADirectoryError:
            return True

    def _sealed_head(self) -> bool:
        with suppress(OSError):
            return seal_fault(self.directory / "seg" / "head.h5") is None
        with suppress(OSError):
            return seal_fault(self.target) is None
        return False

    def _clear(self) -> None:
        """Remove what synsim itself wrote here, and nothing else."""
        self._status("running", {})  # a directory without its result must not look finished
        self._remove("", re.compile(re.escape(self.target.name)))
        for folder, own in _OWN.items():
            self._remove(folder, own)

    def _remove(self, folder: str, own: re.Pattern[str], but: Container[str] = ()) -> None:
        _remove(self._folder, folder, own, but)

    # --- going on

    # What cannot be read is not the same as damaged: nothing is computed again, and so removed, because of it.

    @property
    def finished(self) -> bool:
        """Whether the run is complete: its file exists, which it does only then."""
        with self._saving(f"{self.target}", "read"):
            return self.target.is_file()

    def checkpoints(self) -> Iterator[tuple[int, bytes]]:
        """The step and content of each undamaged checkpoint, the newest first."""
        with self._saving(f"{self.directory / 'ckpt'}", "read"):
            names = sorted(filter(CHECKPOINT.fullmatch, os.listdir(self._ckpt)), reverse=True)
        for name in names:
            with self._saving(f"{self.directory / 'ckpt' / name}", "read"):
                sealed = read_regular(name, self._ckpt)
            with suppress(ValueError):
                yield int(CHECKPOINT.fullmatch(name)[1]), opened_seal(sealed)  # type: ignore[index]

    def stored(self) -> Run | None:
        """The run that is described here already, by its file or the head of its segments, or None."""
        for path in (self.target, self.directory / "seg" / "head.h5"):
            if self._fault(path) is None:
                with self._saving(f"{path}", "read"):
                    return Run(path)
        return None

    def fault(self, step: int) -> str | None:
        """What keeps the run from going on after `step` steps: a segment that is missing or damaged."""
        with self._saving(f"{self.directory / 'seg'}", "read"):
            names = os.listdir(self._seg)
        try:
            segments = self._up_to(step, names)
        except StoreError as error:
            return str(error)
        for path in (segments.folder / "head.h5", *segments.paths):
            if fault := self._fault(path):
                return f"{path}: {fault}"
        return None

    def _fault(self, path: Path) -> str | None:
        with self._saving(f"{path}", "read"):
            try:
                return seal_fault(path, self._check)
            except FileNotFoundError:
                return "it is missing"

    def _up_to(self, step: int, names: Sequence[str]) -> Segments:
        folder, sha256 = self.directory / "seg", self.layout.config_sha256
        ends = {name: int(match[2]) for name in names if (match := SEGMENT.fullmatch(name))}
        segments = Segments(folder, [name for name, end in ends.items() if end <= step], sha256, check=self._check)
        if segments.steps != step:
            raise StoreError(f"{folder}: the segment of steps {segments.steps} to {step} is missing")
        return segments

    def go_on(self, step: int) -> None:
        """Take up the run after `step` steps, which have no `fault`: what was saved later is computed again.

        Step 0 is a start anew.
        """
        if step == 0:
            self._left = None
            self._begin()
            return
        with self._saving(f"{self.directory / 'seg'}", "read"):
            segments = self._up_to(step, os.listdir(self._seg))
            with Run(segments.folder / "head.h5") as head:
                # the same config may be written otherwise now
                origin = {key: str(head.provenance[key]) for key in self.layout.origin if key in head.provenance}
                self.layout = replace(self.layout, config_text=head.config_text, origin=origin)
            for record in self.layout.records:
                if record.form == "report":
                    times = f"{group_of(self.layout, record)}/time"
                    if count := segments.rows(times):
                        begin = segments.read(times, 0, 1, (), np.empty(0))
                        self._begun[record.name] = float(begin[0]), count
        self._segments, self._left = list(segments.names), None
        self._point = self.saved = step
        with self._saving(f"the run directory {self.directory}"):
            self._small = [(path.name, path.stat().st_size) for path in segments.paths[-MANY + 1 :]]
            for folder in (self._seg, self._ckpt):  # their names may not be on the disk yet, if the process was killed
                os.fsync(folder)
            # checkpoints first: one without its segments would be of no use
            older = {name for name in os.listdir(self._ckpt) if name <= _checkpoint_name(step)}
            self._remove("ckpt", CHECKPOINT, but=older)
            self._remove("seg", re.compile(rf"final\.h5|{SEGMENT.pattern}"), but=set(segments.names))
            self._status("running", {})
            text = self.layout.config_text.encode()
            with suppress(OSError):
                if read_regular("config.yaml", self._folder, len(text)) == text:
                    return
            publish(self._folder, "config.yaml", text)  # it was damaged, or taken away

    # --- saving

    def initial(self, states: States) -> None:
        """Store the states at the start, those worth keeping: {c: {v: (array, unit, doc, axes)}}."""
        with self._saving("the initial states"):
            self._write_head(states)

    def _write_head(self, initial: States | None = None) -> None:
        # The head is a finished file without rows: what a reader of the segments needs to know about them.
        it = plan(self.layout, {}, 0, initial=initial)
        publish_sealed(self._seg, "head.h5", build(it))

    def segments(self, check: Callable[[], None] = lambda: None) -> Segments:
        """What was saved, to be read; `check` is called now and then and may raise."""
        return Segments(self.directory / "seg", self._segments, self.layout.config_sha256, check=check)

    def initial_states(self) -> States:
        """The states at the start, out of the head: nobody needs them in memory before the end."""
        found: dict[str, dict[str, Any]] = {}
        with Run(self.directory / "seg" / "head.h5") as head:
            for path, whole in head.states("initial").items():
                component, _, name = path.partition(".")
                axes = [axis_of(scale) for scale in whole.axes]
                value = (head.initial(component, name), whole.unit, whole.doc, axes)
                found.setdefault(component, {})[name] = value
        return found

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
        content = first, last, self.layout.config_sha256, columns, self.layout.filters, self.layout.lanes
        parts = segment_parts(*content)
        image = segment_image(*content) if parts is None else b""
        with self._saving(f"steps {first} to {last}"):
            if parts is None:
                size = publish_sealed(self._seg, name, image)
            else:
                size = publish_in_blocks(self._seg, name, parts)
        self._segments.append(name)
        self._small.append((name, size))
        self._begun = begun
        self.saved = last

    def checkpoint(self, step: int, data: bytes | memoryview) -> None:
        """Save what the run needs to go on after `step` steps, all of them in segments; from here on they are safe."""
        if step != self.saved:
            raise ValueError(f"a checkpoint at step {step}, with segments up to {self.saved}")
        self.saved = self._point  # a segment without its checkpoint will be computed again
        with self._saving(f"the checkpoint at step {step}"):
            publish_sealed(self._ckpt, _checkpoint_name(step), data)
            self._point = self.saved = step
            names = sorted(filter(CHECKPOINT.fullmatch, os.listdir(self._ckpt)))
            self._remove("ckpt", CHECKPOINT, but=set(names[-KEPT:]))
            self._status("running", {})
            if len(self._small) > MANY:
                self._compact()

    def _compact(self) -> None:
        """Make one segment of many small ones: a run of days leaves few, and they are read once more, not each time.

        The last stays by itself, so that the checkpoint before it can still be gone on from.
        """
        small, self._small = self._small[:-1], self._small[-1:]
        if sum(size for _, size in small) > SMALL:
            return
        names = [name for name, _ in small]
        first = int(SEGMENT.fullmatch(names[0])[1])  # type: ignore[index]
        several = Segments(self.directory / "seg", names, self.layout.config_sha256, first)
        if several.nbytes > 4 * SMALL:  # once it is no longer compressed
            return
        one = segment_name(first, several.steps)
        image = compacted(several, self.layout.config_sha256, self.layout.filters, self.layout.lanes)
        publish_sealed(self._seg, one, image)
        self._segments[-len(names) - 1 : -1] = [one]
        self._remove("seg", SEGMENT, but=set(self._segments))

    def _evenly(self, columns: Mapping[str, Any]) -> dict[str, tuple[float, int]]:
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
            **self.about,
            "steps_saved": self.saved,
            "segments": len(self._segments),
            "started": self._started,
            "updated": _now(),
            **progress,
        }
        document = json.loads(json.dumps(document, default=_plain))
        document["sha256"] = digest_in(document)
        publish(self._folder, "status.json", (json.dumps(document, indent=1) + "\n").encode())

    def finish(
        self,
        final: States,
        provenance: Mapping[str, Any] | None = None,
        check: Callable[[], None] = lambda: None,
    ) -> Path:
        """Merge the segments into NAME.h5, read it back, publish it, remove the segments; the path of the file.

        `final` is the whole last state; `provenance` becomes the attributes of /provenance; `check` is called now and
        then and may raise. If this fails, segments and checkpoints are still there and nothing called NAME.h5 exists.
        """
        with self._saving("the final states"):
            publish_sealed(self._seg, "final.h5", build(plan_of_states(self.layout, final, provenance or {})))
        with self._saving(f"{self.target}"):
            segments = self.segments(check)
            begins = {name: begin for name, (begin, _) in self._begun.items()}
            merge(
                self._folder,
                self.target,
                self.layout,
                segments,
                begins,
                initial=self.initial_states(),
                final=final,
                provenance=provenance or {},
                check=check,
            )
        self.tidy()
        return self.target

    def tidy(self) -> None:
        """Remove what a complete run no longer needs, and give the directory free."""
        # The run is complete, since its file exists: what fails now costs nobody anything.
        self.saved = max(self.saved, self.about.get("steps", 0))
        _remove_saved(self._folder)
        with suppress(OSError):
            self._status("done", {})
        self.close()

    def stop(self, state: str, reason: str, final: States | None = None, **progress: Any) -> None:
        """End an `interrupted` or `failed` run: the segments stay and stay readable, and so does `final`, if given."""
        if self._lock is None:
            return  # the first words count
        try:
            with self._saving("the last states"):
                if final is not None:
                    publish_sealed(self._seg, "final.h5", build(plan_of_states(self.layout, final, {})))
                self._status(state, {"reason": reason, **progress})
        finally:
            self.close()

    def close(self) -> None:
        """Give the directory free. A run that was neither finished nor stopped then counts as interrupted."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None
        for fd in (self._seg, self._ckpt, self._folder):
            if fd >= 0:
                os.close(fd)
        self._seg = self._ckpt = self._folder = -1

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _safe(self) -> str:
        if not self.saved:
            return self._left or "nothing of this run was saved"
        return f"steps 0 to {self.saved} are safe in {self.directory / 'seg'}"

    @contextmanager
    def _saving(self, what: str, how: str = "save") -> Iterator[None]:
        try:
            yield
        except StoreError as error:
            raise (
                error if self._safe() in str(error) else StoreError(f"cannot {how} {what}: {error}; {self._safe()}")
            ) from error
        except OSError as error:
            raise StoreError(f"cannot {how} {what}: {error.strerror or error}; {self._safe()}") from error
        except MemoryError as error:
            raise StoreError(f"cannot {how} {what}: not enough memory; {self._safe()}") from error


def clear_away(directory: Path) -> None:
    """Remove what is left of the segments and checkpoints of a run whose results are complete elsewhere.

    Raises Locked where another process is about to do so.
    """
    folder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        lock = RunLock(folder, directory)
        try:
            _remove_saved(folder)
        finally:
            lock.release()
    finally:
        os.close(folder)


def _remove_saved(run: int) -> None:
    for folder, own in _OWN.items():
        with suppress(OSError):
            _remove(run, folder, own)
            os.rmdir(folder, dir_fd=run)


def _remove(run: int, folder: str, own: re.Pattern[str], but: Container[str] = ()) -> None:
    """Remove files of a run, in its directory or a folder of it, whose names are of some kind."""
    try:
        fd = os.open(folder or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=run)
    except FileNotFoundError:
        return
    try:
        for name in sorted(os.listdir(fd)):
            if name in but or not own.fullmatch(name):
                continue
            if stat.S_ISREG(os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode):
                os.unlink(name, dir_fd=fd)
    finally:
        os.close(fd)


def _checkpoint_name(step: int) -> str:
    return f"ck-{step:012d}.npz"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _plain(value: Any) -> Any:
    """Numbers of numpy and JAX as JSON writes them."""
    return value.tolist() if hasattr(value, "tolist") else str(value)
