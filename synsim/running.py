"""One run into its folder: begun or taken up, simulated, written, and what is said where that fails."""

from __future__ import annotations

import platform
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax

from synsim import loop, preflight
from synsim.checkpoint import Checkpoint
from synsim.device import cpu_features, fingerprint
from synsim.faults import ConfigError, Fault, MissingInput, RunError, Stopped, StoreError
from synsim.loop import Outcome, Progress
from synsim.plan import PhasePlan, RunPlan
from synsim.profile import Profile
from synsim.programs import Programs
from synsim.resuming import last_point, refuse_other
from synsim.store import Writer
from synsim.versions import versions

Finish = Callable[[Writer, Outcome, Mapping[str, Any], Callable[[], None]], None]


def carry_out(
    it: RunPlan,
    directory: Path,
    device: Any,
    *,
    go_on: str,
    again: str = "run it once more",
    overwrite: bool = False,
    resume: bool = False,
    accept_drift: bool = False,
    only_merge: bool = False,
    stop: Callable[[], bool] = lambda: False,
    progress: Callable[[Progress], None] = lambda _: None,
    started: Callable[[RunPlan, Path, int], None] = lambda *_: None,
    finished: Callable[[Outcome], None] = lambda _: None,
    note: Callable[[str], None] = lambda _: None,
    chunk: int | None = None,
    programs_of: Callable[[PhasePlan], Programs] = Programs,
    finish: Finish | None = None,
    profile: Profile | None = None,
) -> None:
    """Runs a plan in its folder, to the end. `go_on` is the command that takes it up again; `finish` makes what a run
    leaves out of its segments, where that is not one file.

    The others are as in `api.run`, and so are the errors.
    """
    began = time.time()
    _refuse_full_disk(it, directory, resume, overwrite)
    spec, prints = it.spec, fingerprint(it, device)
    about = {
        **{f"{name}_version": version for name, version in versions().items() if name != "python"},
        "device": prints["device"],
    }
    layout = replace(it.layout, attrs={**it.layout.attrs, **about})
    origin = {"config": spec.filename, "folder": str(spec.directory), "steps": it.steps}
    if spec.plugin_folder is not None:
        origin["plugin_folder"] = str(spec.plugin_folder)

    asked = time.monotonic()

    def look() -> None:
        nonlocal asked
        if time.monotonic() - asked > 1.0:
            asked = time.monotonic()
            if stop():
                raise Stopped(f"stopped while looking through {directory}, where all is as it was; to go on: {go_on}")

    def check() -> None:
        if stop():
            raise Stopped(f"stopped while {directory.name}.h5 was being written; all {it.steps:,} steps are done")

    try:
        taken = Writer(directory, layout, overwrite, resume, origin, look)
    except StoreError as error:
        there = resume and (directory / "seg" / "head.h5").is_file()
        raise StoreError(f"{error}; once that is mended: {go_on if there else again}") from None
    with taken as writer:
        begun = False
        try:
            if writer.finished:
                refuse_other(writer, it)
                note(f"{writer.directory} is complete")
                writer.tidy()
                return
            point, drift = None, []
            if resume:
                point, drift = last_point(writer, it, prints, accept_drift, note, loop.misfit)
            if only_merge and (point is None or point.step < it.steps):
                steps = f"{point.step if point else 0:,} of {it.steps:,}"
                raise ConfigError(f"{directory}: only {steps} steps are done; to compute the rest: {go_on}")
            begun = True
            if resume:
                writer.go_on(point.step if point else 0)
            started(it, directory, point.step if point else 0)
            try:
                outcome = loop.simulate(
                    it,
                    writer if profile is None else profile.watched(writer),
                    stop=stop,
                    progress=progress,
                    chunk=chunk,
                    point=point,
                    prints=prints,
                    programs_of=programs_of,
                )
                finished(outcome)
                provenance = _provenance(began, outcome, point, drift)
                with nullcontext() if profile is None else profile.timed("merging"):
                    if finish is None:
                        writer.finish(loop.described(it.phases[-1], outcome.state), provenance, check)
                    else:
                        finish(writer, outcome, provenance, check)
                if profile is not None:
                    profile.look(it, outcome, it.steps - (point.step if point else 0))
            except Stopped as stopped:
                writer.stop("interrupted", str(stopped))
                raise Stopped(f"{stopped}; {_safe(writer, it)}; to go on: {go_on}") from None
            except RunError as error:
                writer.stop("failed", str(error))
                raise RunError(
                    f"{error}; what was recorded before is safe in {directory} (synsim inspect {directory})"
                ) from None
        except StoreError as error:
            if begun:
                with suppress(StoreError):  # where nothing can be written, the words of the status cannot be either
                    writer.stop("interrupted", str(error))
            raise StoreError(f"{error}; once that is mended: {go_on}") from None
        except Exception as error:
            if not _out_of_memory(error):
                raise
            with suppress(StoreError):
                writer.stop("interrupted", "the memory ran out")
            raise MissingInput(_ran_out(error, f"{_safe(writer, it)}; with more of it: {go_on}")) from None


def _out_of_memory(error: Exception) -> bool:
    exhausted = isinstance(error, jax.errors.JaxRuntimeError) and "RESOURCE_EXHAUSTED" in str(error)
    return exhausted or isinstance(error, MemoryError)


def _ran_out(error: Exception, words: str) -> Fault:
    why = " ".join(str(error).split())[:120].removeprefix("RESOURCE_EXHAUSTED: ")
    return Fault(f"the memory ran out{f' ({why})' if why else ''}; {words}")


def _safe(writer: Writer, it: RunPlan) -> str:
    if not writer.saved:
        return "nothing was saved yet"
    return "all of it is safe" if writer.saved == it.steps else f"steps 0 to {writer.saved:,} are safe"


def _refuse_full_disk(it: RunPlan, directory: Path, resume: bool, overwrite: bool) -> None:
    result = directory / f"{it.layout.name}.h5"
    if resume and result.exists():
        return
    there, needed = preflight.available_disk(directory), 2 * it.estimate.file  # segments, and the file made of them
    if resume or overwrite:  # what is there counts: it is kept, or makes room
        there += sum(path.stat().st_size for path in (*directory.glob("seg/*.h5"), result) if path.is_file())
    if needed > there:
        advice = (
            "make room"
            if resume
            else "record less (every: trial, a larger every, an index, or reduce), or choose another folder with --out"
        )
        raise MissingInput(
            Fault(
                f"the run needs about {preflight.readable(needed)} of disk in {directory} and "
                f"{preflight.readable(there)} are to be had there; {advice}",
                ("record",),
            )
        )


def _provenance(began: float, outcome: Outcome, point: Checkpoint | None, drift: list[str]) -> dict[str, Any]:
    return {
        "python": platform.python_version(),
        "cpu_features": cpu_features(),
        "command": shlex.join(sys.argv),
        "host": socket.gethostname(),
        "git_commit": _commit(),
        "started": _iso(began),
        "finished": _iso(time.time()),
        "seconds": outcome.seconds + (point.seconds if point else 0.0),
        "compile_seconds": outcome.compile_seconds,
        "chunk_steps": list(outcome.chunk_steps.values()),
        "resumes": point.resumes + 1 if point else 0,
        "drift": "; ".join(drift),
    }


def _commit() -> str:
    """The commit of the working directory, where it is a git checkout."""
    try:
        told = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5)
    except (OSError, subprocess.SubprocessError):
        return ""
    return told.stdout.strip() if told.returncode == 0 else ""


def _iso(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
