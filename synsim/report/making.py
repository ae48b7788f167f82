"""From a path to a page: a run's file or folder, or the folder of a sweep."""

from __future__ import annotations

from pathlib import Path

from synsim.faults import ConfigError, Fault, MissingInput, StoreError
from synsim.files import atomic_write, read_regular
from synsim.pictures.canvas import need_matplotlib
from synsim.reading import Run, guard
from synsim.report.run_page import run_page
from synsim.report.sweep_page import sweep_page
from synsim.sweeps.gathered import read_gathered
from synsim.sweeps.gathering import gather
from synsim.sweeps.ledger import Ledger
from synsim.sweeps.standing import standing

CONFIG_BYTES = 1 << 20


def html_of(path: Path, allow_plugins: bool = False) -> str:
    """The page of what is at a path. Raises MissingInput where nothing is, StoreError where it is damaged or foreign,
    ConfigError where matplotlib is missing."""
    need_matplotlib()
    if not path.exists():
        raise MissingInput([Fault(f"{path}: no such file or directory")])
    if (path / "sweep.json").exists():
        return _of_sweep(path, allow_plugins)
    with Run(path) as run:
        return run_page(run)


def _of_sweep(directory: Path, allow_plugins: bool) -> str:
    ledger = Ledger.open(directory, allow_plugins)
    now = standing(ledger)
    done = now.counts["done"]
    if done and (not (directory / "sweep.h5").exists() or read_gathered(directory).done != done):
        gather(ledger)
    gathered = read_gathered(directory) if done else None
    with guard(directory):
        text = read_regular(directory / "config.yaml", most=CONFIG_BYTES).decode()
    return sweep_page(now, gathered, text)


def place_of(path: Path) -> Path:
    """Where a page goes if nobody says: into the folder, or beside the file."""
    return path / "report.html" if path.is_dir() else path.with_suffix(".html")


def check_ending(path: Path) -> None:
    """Raises ConfigError where a page should not go into a file of that name, as that of the run itself."""
    if path.suffix.lower() not in (".html", ".htm"):
        raise ConfigError(f"{path}: a page is a file that ends in .html")


def write(text: str, path: Path) -> Path:
    """The page as a file. Raises StoreError where it cannot be."""
    try:
        atomic_write(path, text.encode())
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror or error}") from error
    return path
