"""Whether what a sweep left is as it was written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from synsim.faults import ConfigError, StoreError
from synsim.sweeps import command
from synsim.sweeps.ledger import Ledger
from synsim.verification import Verdict, Verification, sealed, verify


def verify_sweep(directory: Path) -> Verification:
    """Every file of a sweep, held against its digest: its ledger, the points, the table, and what groups hold."""
    described = directory / "sweep.json"
    try:
        ledger = Ledger.open(directory)
    except (ConfigError, StoreError) as error:
        points = [Verdict(path, sealed(path)) for path in sorted((directory / "points").glob("[!.]*.h5"))]
        sound = sum(each.fault is None for each in points)
        return Verification((Verdict(described, str(error)), *points), f"{sound:,} files of points")
    verdicts = (Verdict(described, None), *_files(ledger))
    bad = {each.path for each in verdicts if each.fault}
    files = [ledger.point_file(number) for number in range(len(ledger.points))]
    sound = sum(path.is_file() and path not in bad for path in files)
    again = "" if sound == len(files) else f"; {command(directory)} computes the others"
    return Verification(verdicts, f"{sound:,} of {len(files):,} points{again}")


def _files(ledger: Ledger) -> Iterator[Verdict]:
    for number in range(len(ledger.points)):
        if (path := ledger.point_file(number)).exists():
            yield Verdict(path, sealed(path))
    if (table := ledger.directory / "sweep.h5").exists():
        yield Verdict(table, sealed(table))
    for group in range(len(ledger.groups)):
        if (folder := ledger.group_folder(group)).is_dir() and (folder / "status.json").exists():
            yield from verify(folder).verdicts
