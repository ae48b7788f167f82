"""What was gathered of a sweep, read back: each parameter and each summary, a value a point."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from synsim.faults import MissingInput, StoreError
from synsim.files import seal_fault
from synsim.segments import all_its_own, dataset_at, guard, open_to_read
from synsim.sweeps import command


@dataclass(frozen=True)
class Values:
    """One value a point; text for parameters that are no numbers."""

    name: str
    unit: str
    doc: str
    array: np.ndarray

    @property
    def label(self) -> str:
        """The name with its unit."""
        return f"{self.name} ({self.unit})" if self.unit else self.name


@dataclass(frozen=True)
class Gathered:
    """A sweep in memory: `done` of its points have summaries, which are NaN elsewhere."""

    name: str
    mode: str
    points: int
    done: int
    parameters: Mapping[str, Values]
    summaries: Mapping[str, Values]


def read_gathered(directory: Path) -> Gathered:
    """The sweep.h5 of a sweep's folder. Raises MissingInput where there is none, StoreError where it is damaged."""
    path = directory / "sweep.h5"
    try:
        if fault := seal_fault(path):
            raise StoreError(f"{path}: {fault}; {command(directory)} gathers it again")
        with guard(path), open_to_read(path) as file:
            all_its_own(file)
            return _read(file)
    except FileNotFoundError:
        raise MissingInput(f"{path} is not there yet: {command(directory)} gathers what is done") from None
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror or error}") from error


def _read(file: h5py.File) -> Gathered:
    about: Mapping[str, Any] = dict(file.attrs)
    grid = about["mode"] == "grid"
    parameters = [str(path) for path in np.atleast_1d(about["parameters"])]
    coordinates = {path: _values(dataset_at(file, path)) for path in parameters}
    if grid:
        spread = np.meshgrid(*(each.array for each in coordinates.values()), indexing="ij")
        coordinates = {
            path: Values(path, each.unit, each.doc, many.ravel())
            for (path, each), many in zip(coordinates.items(), spread, strict=True)
        }
    known = {*parameters, "point", "state"}
    summaries = {name: _values(dataset_at(file, name)) for name in map(str, file) if name not in known}
    counts = int(about["points"]), int(about["done"])
    return Gathered(str(about["name"]), str(about["mode"]), *counts, coordinates, summaries)


def _values(item: Any) -> Values:
    array = np.asarray(item.asstr()[...] if h5py.check_string_dtype(item.dtype) else item[...])
    if item.attrs.get("dtype") == "bool":
        array = np.where(array, "true", "false")
    unit = str(item.attrs["units"])
    name = str(item.name).lstrip("/")
    return Values(name, "" if unit == "1" else unit, str(item.attrs["long_name"]), np.ravel(array))
