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

from synsim.config import load
from synsim.faults import Fault, MissingInput, RunError, Stopped, StoreError
from synsim.reading import Run
from synsim.spec import Spec

if TYPE_CHECKING:
    from synsim.loop import Outcome, Progress
    from synsim.plan import RunPlan

__all__ = ["check", "load", "open", "run"]

Config = str | os.PathLike[str] | Mapping[str, Any] | Spec


def open(path: str | os.PathLike[str]) -> Run:
    """A run: a finished file, or the folder of one that is finished, running or stopped."""
    return Run(Path(path))


def check(config: Config, **settings: Any) -> RunPlan:
    """What a run of this config would do, known without compiling. Raises ConfigError with every fault."""
    from synsim.loop import computing
    from synsim.plan import plan

    spec = _spec(config, settings)
    with computing(spec):
        return plan(spec)


def run(
    config: Config,
    *,
    out: str | os.PathLike[str] = "runs",
    overwrite: bool = False,
    stop: Callable[[], bool] = lambda: False,
    progress: Callable[[Progress], None] = lambda _: None,
    started: Callable[[RunPlan, Path], None] = lambda *_: None,
    finished: Callable[[Outcome], None] = lambda _: None,
    chunk: int | None = None,
    **settings: Any,
) -> Run:
    """Runs a config to a finished file `out/NAME/NAME.h5` and opens it.

    `settings` go to `load` where `config` is not a `Spec` yet: overrides, options, name. `progress` is told after
    each chunk; `stop` is asked then. Raises ConfigError (2), MissingInput (66), Locked (73), StoreError (74),
    RunError (65) for a value that is not finite, Stopped (75) once `stop` says so; what was good is readable then.
    """
    from synsim import loop
    from synsim.plan import plan
    from synsim.store import Writer

    spec = _spec(config, settings)
    began = time.time()
    with loop.computing(spec) as device:
        loop.use_compilation_cache(device)
        it = plan(spec)
        directory = Path(out) / spec.name
        _refuse_full_disk(it, directory)
        about = {
            **{f"{name}_version": version for name, version in versions().items() if name != "python"},
            "device": f"{device.platform} {device.device_kind}",
        }
        layout = replace(it.layout, attrs={**it.layout.attrs, **about})
        with Writer(directory, layout, overwrite) as writer:
            started(it, directory)
            try:
                outcome = loop.simulate(it, writer, stop=stop, progress=progress, chunk=chunk)
            except Stopped as stopped:
                writer.stop("interrupted", str(stopped))
                raise Stopped(
                    f"{stopped}; what was recorded until then is safe in {directory} "
                    f"(synsim inspect {directory}); going on from there comes with a later version"
                ) from None
            except RunError as error:
                writer.stop("failed", str(error))
                raise RunError(
                    f"{error}; what was recorded before is safe in {directory} (synsim inspect {directory})"
                ) from None
            except StoreError as error:
                with suppress(StoreError):  # where nothing can be written, the words of the status cannot be either
                    writer.stop("interrupted", str(error))
                raise
            finished(outcome)
            path = writer.finish(loop.described(it.phases[-1].graph, outcome.state), _provenance(began, outcome))
    return Run(path)


def _spec(config: Config, settings: Mapping[str, Any]) -> Spec:
    return config if isinstance(config, Spec) else load(config, **settings)  # type: ignore[arg-type]


def _refuse_full_disk(it: RunPlan, directory: Path) -> None:
    from synsim import preflight

    there, needed = preflight.available_disk(directory), 2 * it.estimate.file  # segments, and the file made of them
    if needed > there:
        raise MissingInput(
            Fault(
                f"the run needs about {preflight.readable(needed)} of disk in {directory} and "
                f"{preflight.readable(there)} are free; record less (every: trial, a larger every, an "
                "index, or reduce), or choose another folder with --out",
                ("record",),
            )
        )


def versions() -> dict[str, str]:
    """The versions that a result depends on."""
    from importlib.metadata import version

    import synsim

    found = {name: version(name) for name in ("jax", "jaxlib", "numpy", "h5py")}
    return {"synsim": synsim.__version__, **found, "python": platform.python_version()}


def _provenance(began: float, outcome: Outcome) -> dict[str, Any]:
    from synsim.loop import cpu_features

    return {
        "python": platform.python_version(),
        "cpu_features": cpu_features(),
        "command": shlex.join(sys.argv),
        "host": socket.gethostname(),
        "git_commit": _commit(),
        "started": _iso(began),
        "finished": _iso(time.time()),
        "seconds": outcome.seconds,
        "compile_seconds": outcome.compile_seconds,
        "chunk_steps": list(outcome.chunk_steps.values()),
        "resumes": 0,
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
