"""Which launcher a sweep is given to: what the config says, or what it was last launched with, and the command line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synsim import describe
from synsim.faults import ConfigError, Fault
from synsim.spec import LauncherSettings
from synsim.sweeps.launchers.job_script import misfit
from synsim.sweeps.launchers.launcher import Launcher, has_scripts, remembered
from synsim.sweeps.launchers.local import Local
from synsim.sweeps.launchers.slurm import Slurm, refuse_what_is_in_hand
from synsim.values import shown

if TYPE_CHECKING:
    from synsim.sweeps.ledger import Ledger

OPTIONS = {
    "type": "--launcher",
    **{each.name: f"--{each.name}" for each in fields(LauncherSettings) if each.name != "type"},
}
"""The option of the command line for each setting."""

_LOCAL = ("processes",)


def chosen(base: LauncherSettings | None, given: Mapping[str, Any]) -> LauncherSettings:
    """The settings in `base` with what the command line gives, by setting; None where it says nothing.

    Raises ConfigError for a value that is none, and for an option of the launcher that was not chosen.
    """
    written = {key: list(value) if isinstance(value, tuple) else value for key, value in given.items()}
    written = {key: value for key, value in written.items() if value not in (None, [])}
    clean, wrongs = describe.check_settings(describe.settings_of(LauncherSettings), written)
    faults = [_fault(str(wrong.path[0]), written, wrong.sentence, at_value=True) for wrong in wrongs]
    if wrongs:
        raise ConfigError(faults)
    settings = replace(base or LauncherSettings(), **clean)
    other = "slurm" if settings.type == "local" else "local"
    for key in clean:
        if key != "type" and (key in _LOCAL) != (settings.type == "local"):
            words = f"is an option of --launcher {other}, and the launcher is {settings.type}"
            faults.append(_fault(key, written, words))
    for key in ("partition", "time", "mem", "gpus", "sbatch"):
        value = clean.get(key)
        for each in value if isinstance(value, tuple) else (value,):
            if isinstance(each, str) and not (each.strip() and each.isprintable()):
                faults.append(_fault(key, written, f"needs a text on one line, not {shown(each)}", at_value=True))
    for option in settings.lines("sbatch") if settings.type == "slurm" else ():
        if words := misfit(option):
            here = _fault("sbatch", written, words) if "sbatch" in clean else None
            faults.append(here or Fault(f"launcher.sbatch {words}", ("launcher", "sbatch")))
    if faults:
        raise ConfigError(faults)
    return settings


def _fault(key: str, written: Mapping[str, Any], words: str, at_value: bool = False) -> Fault:
    """What is wrong with an option, at its place on the command line."""
    option, value = OPTIONS[key], written[key]
    said = " ".join([option, *map(str, value if isinstance(value, list) else [value])])
    shown_place = said if said.isprintable() and len(said) <= 120 else option
    return Fault(f"{option} {words}", (), 1, len(option) + 2 if at_value else 1, shown_place)


def launcher_for(settings: LauncherSettings) -> Launcher:
    """The launcher that these settings ask for."""
    if settings.type == "slurm":
        return Slurm(settings)
    return Local(settings)


def launcher_of(directory: Path) -> Launcher:
    """The launcher that a sweep was last given to. Where there are job scripts that is Slurm, even if synsim was killed
    before it could keep what it had launched."""
    kept = remembered(directory) or LauncherSettings()
    return launcher_for(replace(kept, type="slurm") if has_scripts(directory) else kept)


def cancel(ledger: Ledger) -> list[str]:
    """Ends what runs or waits of a sweep, wherever it was given to; lines that say what was ended."""
    return launcher_of(ledger.directory).cancel(ledger) or Local(LauncherSettings()).cancel(ledger)


def refuse_elsewhere(directory: Path) -> None:
    """Raises Locked where Slurm has a sweep in hand that is about to be computed here."""
    if has_scripts(directory):
        refuse_what_is_in_hand(directory)
