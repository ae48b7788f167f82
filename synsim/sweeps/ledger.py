"""The ledger of a sweep: what its points are, and which of them are done, true after any crash.

    runs/NAME/   sweep.json   config.yaml
    runs/NAME/groups/0000/   the run directory of a group of lanes
    runs/NAME/points/NAME-0000.h5   the finished file of a point

`sweep.json` is written once and says what was asked for. What is done is told by the files alone: a point is done when
its file is there and is as it was written.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from synsim.config import load
from synsim.faults import ConfigError, Locked, StoreError
from synsim.files import atomic_write, make_folder, read_regular, seal_fault
from synsim.locks import is_live
from synsim.reading import digest_in, read_status
from synsim.spec import ConfigFile, Spec
from synsim.store import clear_away

State = Literal["done", "running", "queued", "failed", "interrupted", "missing"]
"""How a point stands; that it is queued is known to launchers alone."""

FORMAT = 1
MOST_BYTES = 1 << 30


@dataclass(frozen=True)
class PointState:
    """How a point stands: `reason` says why it failed or stopped."""

    number: int
    state: State
    group: int
    reason: str = ""


class Ledger:
    """A sweep's folder. Raises ConfigError where it is none, StoreError where its description is damaged."""

    def __init__(self, directory: Path, document: Mapping[str, Any], allow_plugins: bool = False):
        self.directory, self._document, self._allow_plugins = directory, document, allow_plugins
        self.name: str = document["name"]
        self.mode: str = document["mode"]
        self.parameters: tuple[str, ...] = tuple(document["parameters"])
        self.numbers: tuple[str, ...] = tuple(document["numbers"])
        self.summary: tuple[str, ...] = tuple(document["summary"])
        self.points: tuple[tuple[Any, ...], ...] = tuple(map(tuple, document["points"]))
        self.base_of: tuple[int, ...] = tuple(document["base_of"])
        self.groups: tuple[tuple[int, ...], ...] = tuple(tuple(each["points"]) for each in document["groups"])
        self.lanes: tuple[int, ...] = tuple(each["lanes"] for each in document["groups"])
        self.static_groups: int = document["static_groups"]
        self._sound: dict[int, tuple[int, int]] = {}  # points whose files were read: their size and time
        self._statuses: dict[int, tuple[tuple[int, int], dict[str, Any]]] = {}  # as they were when last read

    @classmethod
    def open(cls, directory: str | os.PathLike[str], allow_plugins: bool = False) -> Ledger:
        """The ledger in a folder."""
        folder = Path(directory)
        try:
            data = read_regular(folder / "sweep.json", most=MOST_BYTES)
        except FileNotFoundError:
            raise ConfigError(f"{folder} is not the folder of a sweep") from None
        except OSError as error:
            raise StoreError(f"{folder / 'sweep.json'} cannot be read: {error.strerror or error}") from None
        try:
            document = json.loads(data)
            if not isinstance(document, dict) or document.get("sha256") != digest_in(document):
                raise ValueError("it is not as it was written")
            if document.get("synsim") != FORMAT:
                raise ValueError("it is of another version of synsim")
            return cls(folder, document, allow_plugins)
        except (ValueError, LookupError, TypeError, RecursionError) as error:
            raise StoreError(f"{folder / 'sweep.json'} is damaged ({error}); give the config of the sweep") from None

    @classmethod
    def create(cls, directory: Path, document: Mapping[str, Any], overwrite: bool, allow_plugins: bool) -> Ledger:
        """The ledger of a sweep that is asked for: made, or the one that is there where it is of the same sweep.

        Raises Locked where the folder holds something else, or another sweep, unless that is to be replaced.
        """
        document = json.loads(json.dumps(document))
        document = {**document, "sha256": digest_in(document)}
        made = cls(directory, document, allow_plugins)
        if (directory / "sweep.json").exists() and not overwrite:
            left = cls.open(directory, allow_plugins)
            if changes := _changes(left._document, document):
                raise Locked(
                    f"{directory} holds another sweep ({'; '.join(changes)}); choose another --name, or --overwrite "
                    "to replace it"
                )
            return left
        _refuse_occupied(directory, overwrite)
        make_folder(directory)
        if overwrite:
            _clear(directory)
        for folder in ("groups", "points"):
            make_folder(directory / folder)
        atomic_write(directory / "config.yaml", document["text"].encode())
        atomic_write(directory / "sweep.json", (json.dumps(document, indent=None) + "\n").encode())
        return made

    @cached_property
    def bases(self) -> tuple[Spec, ...]:
        """The configs that points are made from, as they were when the sweep was started."""
        about = self._document
        folder = Path(about["folder"])
        made = []
        for resolved in about["bases"]:
            spec = load(
                resolved,
                allow_plugins=self._allow_plugins,
                folder=folder,
                plugin_folder=Path(about["plugin_folder"] or folder),
            )
            made.append(
                replace(
                    spec,
                    text=about["text"],
                    filename=about["filename"],
                    directory=folder,
                    files=tuple(ConfigFile(**file) for file in about["files"]),
                    environment=dict(about["environment"]),
                )
            )
        return tuple(made)

    @property
    def text(self) -> str:
        """The config as it was written."""
        return self._document["text"]

    @property
    def spec(self) -> Spec:
        """The config of the first point."""
        return self.bases[0]

    def values(self, number: int) -> dict[str, Any]:
        """What a point is, by parameter."""
        return dict(zip(self.parameters, self.points[number], strict=True))

    def numbers_of(self, number: int) -> dict[str, Any]:
        """The values of a point that are numbers in the program of its base."""
        return {path: value for path, value in self.values(number).items() if path in self.numbers}

    def point_name(self, number: int) -> str:
        """What a point's run and file are called."""
        return f"{self.name}-{number:04d}"

    def point_file(self, number: int) -> Path:
        """Where the finished file of a point is, or will be."""
        return self.directory / "points" / f"{self.point_name(number)}.h5"

    def group_folder(self, group: int) -> Path:
        """The run directory of a group of lanes."""
        return self.directory / "groups" / f"{group:04d}"

    @cached_property
    def group_of(self) -> dict[int, int]:
        """The group of each point."""
        return {number: group for group, points in enumerate(self.groups) for number in points}

    def done(self, number: int) -> bool:
        """Whether the file of a point is there and as it was written: it is read the first time this is asked."""
        path = self.point_file(number)
        try:
            about = path.stat()
            known = about.st_size, about.st_mtime_ns
            if self._sound.get(number) != known and self._written(number) != known:
                if seal_fault(path) is not None:
                    return False
            self._sound[number] = known
            return True
        except OSError:
            return False

    def _written(self, number: int) -> tuple[int, int] | None:
        """What the file of a point was when it was written and read back, as its group's status says."""
        about = self._status(self.group_of[number]).get("written", {}).get(str(number))
        return (int(about[0]), int(about[1])) if isinstance(about, list) and len(about) == 2 else None

    def _status(self, group: int) -> dict[str, Any]:
        folder = self.group_folder(group)
        with suppress(StoreError, OSError):
            about = (folder / "status.json").stat()
            now = about.st_ino, about.st_mtime_ns
            if group not in self._statuses or self._statuses[group][0] != now:
                self._statuses[group] = now, read_status(folder)
            return self._statuses[group][1]
        return {}

    def states(self) -> list[PointState]:
        """How every point stands, in order."""
        found: list[PointState] = []
        for group, points in enumerate(self.groups):
            done = {number for number in points if self.done(number)}
            missing = [number for number in points if number not in done]
            found += [PointState(number, "done", group) for number in done]
            if not missing:
                continue
            status = self._status(group)
            failed = status.get("failed", {})
            live = is_live(self.group_folder(group))
            now = {str(number) for number in status.get("points", points)} if live else set()
            for number in missing:
                if str(number) in now:
                    found.append(PointState(number, "running", group))
                elif str(number) in failed:
                    found.append(PointState(number, "failed", group, str(failed[str(number)])))
                elif status.get("state") in ("interrupted", "running", "failed") and not live:
                    reason = str(status.get("reason", "its process ended without a word"))
                    state: State = "failed" if status["state"] == "failed" else "interrupted"
                    found.append(PointState(number, state, group, reason))
                else:
                    damaged = self.point_file(number).exists()
                    found.append(PointState(number, "missing", group, "its file is damaged" if damaged else ""))
        return sorted(found, key=lambda each: each.number)

    def pending(self) -> list[int]:
        """The groups with points that are not done."""
        return [group for group, points in enumerate(self.groups) if not all(map(self.done, points))]

    def tidy(self) -> None:
        """Remove what a process that was killed had no time to remove of groups whose points are all there."""
        pending = set(self.pending())
        for group in range(len(self.groups)):
            folder = self.group_folder(group)
            if group not in pending and any((folder / name).exists() for name in ("seg", "ckpt")):
                with suppress(Locked, OSError):
                    clear_away(folder)


def described(
    *,
    spec: Spec,
    name: str,
    mode: str,
    parameters: Sequence[str],
    points: Sequence[Sequence[Any]],
    summary: Sequence[str],
    arrangement: Any,
) -> dict[str, Any]:
    """What `sweep.json` says of a sweep, but for its digest."""
    return {
        "synsim": FORMAT,
        "name": name,
        "mode": mode,
        "parameters": list(parameters),
        "numbers": list(arrangement.numbers),
        "summary": list(summary),
        "points": [list(values) for values in points],
        "base_of": list(arrangement.base_of),
        "groups": [{"points": list(group.points), "lanes": group.lanes} for group in arrangement.groups],
        "static_groups": arrangement.static_groups,
        "bases": [base.resolved() for base in arrangement.bases],
        "text": spec.text,
        "filename": spec.filename,
        "folder": str(spec.directory),
        "plugin_folder": None if spec.plugin_folder is None else str(spec.plugin_folder),
        "files": [{"name": file.name, "sha256": file.sha256} for file in spec.files],
        "environment": dict(spec.environment),
    }


def _changes(left: Mapping[str, Any], asked: Mapping[str, Any]) -> list[str]:
    """What makes a sweep another one; how its points are grouped does not."""
    words = {"parameters": "other parameters", "points": "other values", "bases": "another config", "mode": "its mode"}
    return [said for key, said in words.items() if left[key] != asked[key]]


def _refuse_occupied(directory: Path, overwrite: bool) -> None:
    if directory.is_symlink():
        raise Locked(f"{directory} is a symbolic link; a sweep needs a folder of its own")
    if not directory.exists():
        return
    if not directory.is_dir():
        raise Locked(f"{directory} is not a directory")
    entries = {path.name for path in directory.iterdir()}
    if entries and not (overwrite and "sweep.json" in entries) and not entries <= {"groups", "points", "config.yaml"}:
        raise Locked(f"{directory} is not empty and holds no sweep of synsim; choose another --out or --name")


def _clear(directory: Path) -> None:
    """Remove what a sweep wrote here, and nothing else."""
    live = [path for path in sorted((directory / "groups").glob("[0-9]*")) if is_live(path)]
    if live:
        raise Locked(f"{live[0]} is being written by another process")
    with suppress(FileNotFoundError):
        (directory / "sweep.json").unlink()  # first: what is left without it counts as nothing
    for pattern in ("points/*.h5", "sweep.csv", "sweep.h5", "groups/*/seg/*.h5", "groups/*/ckpt/*.npz"):
        for path in directory.glob(pattern):
            if path.is_file() and not path.is_symlink():
                path.unlink()
    for pattern in ("groups/*/status.json", "groups/*/config.yaml"):
        for path in directory.glob(pattern):
            path.unlink()
