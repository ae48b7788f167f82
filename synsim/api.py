"""What Python programs call, and the command line too: load a config, check it, run it, open what a run left."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synsim.config import load
from synsim.faults import ConfigError, Fault, MissingInput
from synsim.spec import Spec

if TYPE_CHECKING:
    from synsim.guesses import Guess
    from synsim.loop import Outcome, Progress
    from synsim.opened import OpenedRun
    from synsim.plan import RunPlan
    from synsim.profile import Profile
    from synsim.verification import Verification

__all__ = ["check", "load", "open", "run", "status", "verify"]

Config = str | os.PathLike[str] | Mapping[str, Any] | Spec


def open(path: str | os.PathLike[str]) -> OpenedRun:
    """A run: a finished file, or the folder of one that is finished, running or stopped."""
    from synsim.opened import OpenedRun

    return OpenedRun(Path(path))


def verify(path: str | os.PathLike[str]) -> Verification:
    """Every file of a run or of a sweep, or one result file, held against its digest."""
    if (Path(path) / "sweep.json").exists():
        from synsim.sweeps.verifying import verify_sweep

        return verify_sweep(Path(path))
    from synsim import verification

    return verification.verify(Path(path))


def check(config: Config, **settings: Any) -> RunPlan:
    """What a run of this config would do, known without compiling. Raises ConfigError with every fault."""
    from synsim.device import planned
    from synsim.sweeps.parameters import sweep_of

    spec = _spec(config, settings)
    if spec.sweep is not None:
        sweep_of(spec)
    return planned(spec)


def single(spec: Spec) -> Spec:
    """The config of one run. Raises ConfigError where the config asks for a sweep; what it says about launching sweeps
    is left out, with a warning."""
    if spec.sweep is not None:
        name = "-" if spec.filename == "<stdin>" else shlex.quote(spec.filename)
        raise ConfigError(
            spec.locate(
                Fault(
                    "this config has a sweep, and a run is one point: "
                    f"`synsim sweep {name}` runs all of them, --set sweep=null leaves it away.",
                    ("sweep",),
                    at_key=True,
                )
            )
        )
    if spec.launcher is None:
        return spec
    said = Fault("launcher is what `synsim sweep` goes by: a single run is run here.", ("launcher",), at_key=True)
    return replace(spec, launcher=None, warnings=(*spec.warnings, spec.locate(said)))


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
    profile: Profile | None = None,
    again: str = "run it once more",
    guess: Guess | None = None,
    alone: bool = False,
    **settings: Any,
) -> OpenedRun:
    """Runs a config to a finished file `out/NAME/NAME.h5` and opens it.

    `resume` goes on from what an earlier start left, or starts anew where there is nothing; `config` may then be the
    run's folder. Where a version, the device or the CPU is another one, the rest may differ in a last digit, which
    `accept_drift` allows. `only_merge` refuses to compute steps. `settings` go to `load` where `config` is not a
    `Spec` yet: overrides, options, name, allow_plugins (which the folder of a run needs again). `progress` is told
    after each chunk, `note` what a user should know; `stop` is asked between chunks; `again` is what an error advises
    while there is no folder to go on with. `profile` gets the times of a run that is computed to its end, `guess` what
    a command is found to need. `alone` says that nobody else computes with JAX in this process: XLA gets no more
    threads than the config is worth.

    Raises ConfigError (2), MissingInput (66), Locked (73), StoreError (74), RunError (65) for a value that is not
    finite, Stopped (75) once `stop` says so; what was good is readable then.
    """
    from synsim.device import computing
    from synsim.kept_programs import KeptPrograms, start_of
    from synsim.plan import plan
    from synsim.programs import Programs
    from synsim.threads import one_is_enough, take_one

    if resume and overwrite:
        raise ConfigError("--resume goes on with a run and --overwrite replaces it: give one of them")
    spec, directory = _place(config, settings, out, resume, only_merge)
    if alone and one_is_enough(spec):
        take_one()
    with computing(spec) as device, start_of(spec, device, guess) as start:
        from synsim.running import carry_out  # while what an earlier start left is being loaded

        carry_out(
            plan(spec, start),
            directory,
            device,
            go_on=f"synsim run {shlex.quote(str(directory))} --resume",
            again=again,
            overwrite=overwrite,
            resume=resume,
            accept_drift=accept_drift,
            only_merge=only_merge,
            stop=stop,
            progress=progress,
            started=started,
            finished=finished,
            note=note,
            chunk=chunk,
            profile=profile,
            programs_of=Programs if start is None else lambda phase: KeptPrograms(phase, start),
        )
    return open(directory)


def _place(config: Config, settings: Mapping[str, Any], out: Any, resume: bool, only_merge: bool) -> tuple[Spec, Path]:
    """The spec of a run and its folder, which may itself stand for the config."""
    if isinstance(config, str | os.PathLike) and Path(config).is_dir():
        if (Path(config) / "sweep.json").exists():
            from synsim.sweeps import command

            raise ConfigError(f"{config} is the folder of a sweep; to go on with it: {command(config)}")
        if not resume:
            raise ConfigError(f"{config} is a folder; to go on with the run in it: synsim run {config} --resume")
        from synsim.resuming import left_spec

        allow_plugins = bool(settings.get("allow_plugins"))
        if any(value for key, value in settings.items() if key != "allow_plugins") or out is not None:
            raise ConfigError(f"{config} says itself what is run and where: leave other settings and --out away")
        return left_spec(Path(config), allow_plugins), Path(config)
    if only_merge:
        raise ConfigError(f"{config}: no such folder")
    spec = single(_spec(config, settings))
    return spec, Path("runs" if out is None else out) / spec.name


def _spec(config: Config, settings: Mapping[str, Any]) -> Spec:
    return config if isinstance(config, Spec) else load(config, **settings)  # type: ignore[arg-type]


def status(directory: str | os.PathLike[str]) -> dict[str, Any]:
    """How the run in a folder stands: its state, how many of its steps are safe, and what to type next."""
    from synsim import verification
    from synsim.locks import is_live
    from synsim.reading import read_status

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
