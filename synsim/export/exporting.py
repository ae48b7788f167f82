"""`synsim export`: a run into one of the formats, whole or some of its records; each file is there whole or not."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from synsim.export import arrays, nwb, sonata, tables
from synsim.export.chosen import Chosen, chosen
from synsim.faults import ConfigError, Fault, Locked, StoreError, listing
from synsim.files import atomic_file, make_folder
from synsim.reading import Run
from synsim.segments import guard

FORMATS = ("csv", "npz", "nwb", "sonata")


class _NotWritten(Exception):
    """What the file system said, kept apart from what is wrong with the run that is read."""


def export(
    run: Run,
    to: str,
    names: Sequence[str] = (),
    out: Path | None = None,
    overwrite: bool = False,
    note: Callable[[str], None] = lambda _: None,
) -> list[Path]:
    """Writes what is named, or all, and returns the files. `note` is told what a format cannot hold.

    csv and sonata make a folder of files (of one named record, csv makes a file), npz and nwb one file; `out` is that
    file or folder, else it lies beside the run's own file. Raises ConfigError for names that are not there or do not
    fit the format, Locked where a file is there already, StoreError where one cannot be read or written.
    """
    if to not in FORMATS:
        raise ConfigError(f"--to {to}: a run is exported to {listing(FORMATS, 'or')}")
    with guard(run.path):
        what = _fitting(to, chosen(run, names), note)
        jobs = _jobs(run, to, what)
    if not what.names:
        raise ConfigError(f"{run.path} holds nothing that could be exported to {to}")
    folder, files = _places(run, to, what, list(jobs), out)
    if not overwrite and (there := [path for path in files.values() if os.path.lexists(path)]):
        raise Locked(f"{there[0]} is there already: --overwrite replaces it, -o names another place")
    try:
        with guard(run.path):
            _write(folder, {path: jobs[name] for name, path in files.items()})
    except _NotWritten as refused:
        raise StoreError(f"{folder} cannot be written: {refused}") from None
    return list(files.values())


def _fitting(to: str, what: Chosen, note: Callable[[str], None]) -> Chosen:
    """What a format can hold of it; a ConfigError for each that was named and does not fit."""
    unfit = {}
    if to in ("nwb", "sonata"):
        why_not = {"nwb": nwb, "sonata": sonata}[to].why_not
        unfit = {name: why for name, record in what.records.items() if (why := why_not(record)) is not None}
        unfit |= dict.fromkeys(what.states, f"{to.upper()} has no place for whole states")
    if unfit and not what.whole:
        raise ConfigError([Fault(f"{name} cannot go to {to}: {why}") for name, why in unfit.items()])
    by_reason: dict[str, list[str]] = {}
    for name, why in unfit.items():
        by_reason.setdefault(why, []).append(name)
    for why, each in by_reason.items():
        note(f"left out: {listing(each)} ({why})")
    return replace(
        what,
        records={name: record for name, record in what.records.items() if name not in unfit},
        states={name: state for name, state in what.states.items() if name not in unfit},
    )


Job = Callable[[int, Path], None]
"""Writes one file, given its descriptor and its folder."""


def _jobs(run: Run, to: str, what: Chosen) -> dict[str, Job]:
    """What is written, by the name of the file."""
    if to == "csv":
        made = tables.tables(run, what)
        return {name: lambda fd, _, lines=lines: tables.write_table(fd, lines) for name, lines in made.items()}
    if to == "npz":
        return {f"{run.name}.npz": lambda fd, _: arrays.write_arrays(fd, run, what)}
    if to == "nwb":
        nwb.require()
        return {f"{run.name}.nwb": lambda fd, folder: nwb.write_nwb(fd, folder, run, what)}
    return {name: lambda fd, _, name=name: sonata.write_file(fd, name, what) for name in sonata.files(what)}


def _places(run: Run, to: str, what: Chosen, names: Sequence[str], out: Path | None) -> tuple[Path, dict[str, Path]]:
    """The folder, and the path of each file."""
    beside = run.path if run.path.is_dir() else run.path.parent
    if to in ("npz", "nwb") or (to == "csv" and len(names) == 1 and not what.whole):
        path = out or beside / (names[0] if to != "csv" else f"{run.name}-{names[0]}")
        if path.suffix != f".{to}":
            raise ConfigError(f"-o {path}: this makes one file, whose name ends in .{to}")
        return path.parent, {names[0]: path}
    folder = out or beside / f"{run.name}-{to}"
    if folder.suffix in (".csv", ".h5") or (folder.exists() and not folder.is_dir()):
        raise ConfigError(f"-o {folder}: this makes several files, in a folder")
    return folder, {name: folder / name for name in names}


def _write(folder: Path, jobs: dict[Path, Job]) -> None:
    try:
        make_folder(folder)
        at = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for path, job in jobs.items():
                with atomic_file(at, path.name) as (fd, _):
                    job(fd, folder)
        finally:
            os.close(at)
    except OSError as error:
        raise _NotWritten(error.strerror or str(error)) from error
