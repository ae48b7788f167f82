"""What Python programs call, and the command line too: load a config, check it, run it, open what a run left."""

from __future__ import annotations

import os
import platform
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synsim.checkpoint import Checkpoint
from synsim.config import load
from synsim.faults import ConfigError, Fault, MissingInput, RunError, Stopped, StoreError
from synsim.locks import is_live
from synsim.reading import Run, read_status
from synsim.resuming import last_point, left_spec, refuse_other
from synsim.spec import Spec
from synsim.versions import versions

if TYPE_CHECKING:
    from synsim.loop import Outcome, Progress
    from synsim.plan import RunPlan
    from synsim.store import Writer
    from synsim.verification import Verification

__all__ = ["check", "load", "open", "run", "status", "verify"]

Config = str | os.PathLike[str] | Mapping[str, Any] | Spec


def open(path: str | os.PathLike[str]) -> Run:
    """A run: a finished file, or the folder of one that is finished, running or stopped."""
    return Run(Path(path))


def verify(path: str | os.PathLike[str]) -> Verification:
    """Every file of a run, or one result file, held against its digest."""
    from synsim import verification

    return verification.verify(Path(path))


def check(config: Config, **settings: Any) -> RunPlan:
    """What a run of this config would do, known without compiling. Raises ConfigError with every fault."""
    from synsim.device import planned

    return planned(_spec(config, settings))


def run(
    config: Config,
    *,
    out: str | os.PathLike[str] | None = None,
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
    again: str = "run it once more",
    **settings: Any,
) -> Run:
    """Runs a config to a finished file `out/NAME/NAME.h5` and opens it.

    `resume` goes on from what an earlier start left, or starts anew where there is nothing; `config` may then be the
    run's folder. Where a version, the device or the CPU is another one, the rest may differ in a last digit, which
    `accept_drift` allows. `only_merge` refuses to compute steps. `settings` go to `load` where `config` is not a
    `Spec` yet: overrides, options, name, allow_plugins (which the folder of a run needs again). `progress` is told
    after each chunk, `note` what a user should know; `stop` is asked between chunks; `again` is what an error advises
    while there is no folder to go on with.

    Raises ConfigError (2), MissingInput (66), Locked (73), StoreError (74), RunError (65) for a value that is not
    finite, Stopped (75) once `stop` says so; what was good is readable then.
    """
    from synsim import loop
    from synsim.device import computing, fingerprint, use_compilation_cache
    from synsim.plan import plan
    from synsim.store import Writer

    if resume and overwrite:
        raise ConfigError("--resume goes on with a run and --overwrite replaces it: give one of them")
    spec, directory = _place(config, settings, out, resume, only_merge)
    began = time.time()
    with computing(spec) as device:
        use_compilation_cache(device)
        it = plan(spec)
        _refuse_full_disk(it, directory, resume, overwrite)
        prints = fingerprint(it, device)
        about = {
            **{f"{name}_version": version for name, version in versions().items() if name != "python"},
            "device": prints["device"],
        }
        layout = replace(it.layout, attrs={**it.layout.attrs, **about})
        origin = {"config": spec.filename, "folder": str(spec.directory), "steps": it.steps}
        if spec.plugin_folder is not None:
            origin["plugin_folder"] = str(spec.plugin_folder)
        go_on = f"synsim run {shlex.quote(str(directory))} --resume"

        asked = time.monotonic()

        def look() -> None:
            nonlocal asked
            if time.monotonic() - asked > 1.0:
                asked = time.monotonic()
                if stop():
                    raise Stopped(
                        f"stopped while looking through {directory}, where all is as it was; to go on: {go_on}"
                    )

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
                    return Run(directory)
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
                        it, writer, stop=stop, progress=progress, chunk=chunk, point=point, prints=prints
                    )
                    finished(outcome)
                    provenance = _provenance(began, outcome, point, drift)
                    writer.finish(loop.described(it.phases[-1].graph, outcome.state), provenance, check)
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
    return Run(directory)


def _out_of_memory(error: Exception) -> bool:
    import jax

    exhausted = isinstance(error, jax.errors.JaxRuntimeError) and "RESOURCE_EXHAUSTED" in str(error)
    return exhausted or isinstance(error, MemoryError)


def _ran_out(error: Exception, words: str) -> Fault:
    why = " ".join(str(error).split())[:120].removeprefix("RESOURCE_EXHAUSTED: ")
    return Fault(f"the memory ran out{f' ({why})' if why else ''}; {words}")


def _safe(writer: Writer, it: RunPlan) -> str:
    if not writer.saved:
        return "nothing was saved yet"
    return "all of it is safe" if writer.saved == it.steps else f"steps 0 to {writer.saved:,} are safe"


def _place(config: Config, settings: Mapping[str, Any], out: Any, resume: bool, only_merge: bool) -> tuple[Spec, Path]:
    """The spec of a run and its folder, which may itself stand for the config."""
    if isinstance(config, str | os.PathLike) and Path(config).is_dir():
        if not resume:
            raise ConfigError(f"{config} is a folder; to go on with the run in it: synsim run {config} --resume")
        allow_plugins = bool(settings.get("allow_plugins"))
        if any(value for key, value in settings.items() if key != "allow_plugins") or out is not None:
            raise ConfigError(f"{config} says itself what is run and where: leave other settings and --out away")
        return left_spec(Path(config), allow_plugins), Path(config)
    if only_merge:
        raise ConfigError(f"{config}: no such folder")
    spec = _spec(config, settings)
    return spec, Path("runs" if out is None else out) / spec.name


def _spec(config: Config, settings: Mapping[str, Any]) -> Spec:
    return config if isinstance(config, Spec) else load(config, **settings)  # type: ignore[arg-type]


def _refuse_full_disk(it: RunPlan, directory: Path, resume: bool, overwrite: bool) -> None:
    from synsim import preflight

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


def status(directory: str | os.PathLike[str]) -> dict[str, Any]:
    """How the run in a folder stands: its state, how many of its steps are safe, and what to type next."""
    from synsim import verification

    folder = Path(directory)
    if not folder.is_dir():
        raise MissingInput(Fault(f"{folder}: no such folder"))
    found = read_status(folder)
    state, steps, saved = found["state"], found.get("steps"), found.get("steps_saved", 0)
    if (folder / f"{found.get('name')}.h5").is_file():
        state, saved = "done", steps if steps is not None else saved
    else:
        saved = verification.checkpointed(folder, saved)
        if state == "running" and not is_live(folder):
            state, found["reason"] = "interrupted", "its process ended without a word"
    about = {"folder": str(folder), "name": found.get("name"), "state": state, "steps_saved": saved, "steps": steps}
    kept = {key: found[key] for key in ("reason", "host", "pid", "job", "started", "updated") if key in found}
    go_on = {} if state in ("done", "running") else {"resume": f"synsim run {shlex.quote(str(folder))} --resume"}
    return {**about, **kept, **go_on}


def _provenance(began: float, outcome: Outcome, point: Checkpoint | None, drift: list[str]) -> dict[str, Any]:
    from synsim.device import cpu_features

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
