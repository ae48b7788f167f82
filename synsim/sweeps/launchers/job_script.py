"""The job script of a sweep: plain shell that a user can read, change, and submit by hand."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from synsim.spec import LauncherSettings
from synsim.sweeps.launchers.numbers import compressed
from synsim.values import shown

_PER_TASK = re.compile(r"--per-task[ =](\d{1,9})")
_TIME = re.compile(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?", re.ASCII)
_OWN = ("--array", "-a", "--wrap", "--parsable", "--dependency", "-d")


def job_script(
    directory: Path,
    name: str,
    settings: LauncherSettings,
    tasks: Iterable[int],
    per_task: int,
    task_options: Iterable[str] = (),
    *,
    blocks_signals: bool = True,
    script: str = "0001.sh",
) -> str:
    """The text of a job array whose task I runs `per_task` groups of lanes, from I * per_task on.

    `blocks_signals`: whether `env --block-signal` is to be had, which coreutils have from 8.31 on.
    """
    given = settings.lines("sbatch")
    forbidden = any(line.partition("=")[0] == "--no-requeue" for line in given)
    throttle = f"%{settings.throttle}" if settings.throttle else ""
    options = [
        f"--job-name={name}",
        f"--array={compressed(tasks)}{throttle}",
        *_resources(settings),
        *([f"--gres=gpu:{settings.gpus}"] if settings.gpus is not None else []),
        *([] if forbidden else ["--requeue"]),
        "--open-mode=append",
        f"--signal=B:USR1@{settings.signal}",
        f"--output={_pattern(directory)}/jobs/%A_%a.log",
        *given,
    ]
    here = shlex.quote(str(directory / "jobs" / script))
    groups = "group I of its lanes" if per_task == 1 else f"{per_task} groups of its lanes, from I * {per_task} on"
    blocked = "env --block-signal=USR1 " if blocks_signals else ""
    return _script(
        [
            f"# The sweep {name}: task I runs {groups}, and no group that is complete.",
            f"# It may be changed, and submitted by hand: sbatch {here}",
        ],
        options,
        settings,
        "trap : USR1  # sent ahead of the time limit and of a preemption; this shell outlives it",
        " ".join([blocked + _synsim(directory), f'--task "$SLURM_ARRAY_TASK_ID" --per-task {per_task}', *task_options]),
    )


def gathering_script(directory: Path, name: str, settings: LauncherSettings) -> str:
    """The text of the job that makes one table of the points that are there. It needs one core, and no GPU."""
    given = settings.lines("sbatch")
    options = [
        f"--job-name={name}-gather",
        *_resources(replace(settings, cpus=None)),
        f"--output={_pattern(directory)}/jobs/%j.log",
        *given,
    ]
    about = f"# Gathers the points of the sweep {name} in one table, once its tasks have ended."
    return _script([about], options, settings, "", f"{_synsim(directory)} --gather")


def misfit(option: str) -> str | None:
    """Why a text is no option that a user may give to sbatch, or None where it is."""
    word = re.split(r"[=\s]", option, maxsplit=1)[0]
    if not option.startswith("-"):
        return f"gives options of sbatch, which begin with a dash as --qos=long does, not {shown(option)}"
    return f"cannot give {word}, which synsim gives itself" if word in _OWN else None


def per_task_of(text: str) -> int:
    """How many groups a task of a job script runs: what the script says, which may have been changed."""
    found = _PER_TASK.search(text)
    return max(1, int(found[1])) if found else 1


def seconds_of(time: str | int | None) -> float | None:
    """A time limit as Slurm reads it, in seconds: minutes, m:s, h:m:s, d-h, d-h:m, d-h:m:s. None for any other text."""
    match = _TIME.fullmatch(str(time).strip()) if time is not None else None
    if match is None:
        return None
    days, *rest = match.groups()
    numbers = [int(each) for each in rest if each is not None]
    if days is not None:
        hours, minutes, seconds = (*numbers, 0, 0)[:3]
        return ((int(days) * 24 + hours) * 60 + minutes) * 60 + seconds
    hours, minutes, seconds = {1: (0, *numbers, 0), 2: (0, *numbers), 3: numbers}[len(numbers)]
    return (hours * 60 + minutes) * 60 + seconds


def _script(about: list[str], options: list[str], settings: LauncherSettings, trap: str, command: str) -> str:
    lines = [
        "#!/bin/bash",
        *about,
        *(f"#SBATCH {_quoted(option)}" for option in options),
        "",
        *([trap] if trap else []),
        *settings.lines("setup"),
        f"exec {command}",
    ]
    return "\n".join(lines) + "\n"


def _resources(settings: LauncherSettings) -> list[str]:
    asked = {
        "partition": settings.partition,
        "time": settings.time,
        "cpus-per-task": settings.cpus,
        "mem": settings.mem,
    }
    return [f"--{option}={value}" for option, value in asked.items() if value is not None]


def _synsim(directory: Path) -> str:
    return f"{shlex.quote(sys.executable)} -m synsim sweep-task {shlex.quote(str(directory))}"


def _pattern(directory: Path) -> str:
    """A path in which nothing stands for a number."""
    return str(directory).replace("%", "%%")


def _quoted(option: str) -> str:
    """An option as sbatch reads it off a line: what has spaces stands in quotes."""
    if not re.search(r"[\s\"'#\\]", option) or option.count('"') > 1:
        return option
    name, equals, value = option.partition("=")
    if not equals:
        return option  # two words, as the user has written them
    return name + '="' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
