"""`synsim run`: a config into one file."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from synsim.commands import configuring
from synsim.commands.app import app
from synsim.commands.options import (
    ConfigArgument,
    DebugOption,
    DeviceOption,
    PluginsOption,
    PrecisionOption,
    SandboxOption,
    SeedOption,
    SetOption,
)
from synsim.terminal import Teller, catch_signals, errors, say, time_to_stop


@app.command(epilog="Example: synsim run configs/lif_fi.yaml --set run.steps=1000 --name short")
def run(
    config: ConfigArgument,
    overrides: SetOption = None,
    device: DeviceOption = None,
    precision: PrecisionOption = None,
    seed: SeedOption = None,
    out: Annotated[Path | None, typer.Option(help="Folder that the run's own folder is made in: runs.")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the run, its folder and its file.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a run of the same name.")] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on where an earlier start stopped; start anew where none did.")
    ] = False,
    accept_drift: Annotated[
        bool, typer.Option("--accept-drift", help="Resume with other versions, another device or CPU too.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be run, and stop.")] = False,
    profiled: Annotated[
        bool, typer.Option("--profile", help="Say in the end where the time went, and what each component takes.")
    ] = False,
    allow_plugins: PluginsOption = False,
    sandbox: SandboxOption = False,
    debug: DebugOption = False,
) -> None:
    """Run a config into runs/NAME/NAME.h5.

    With --resume, CONFIG may also be the folder of a run that was stopped.
    """
    from synsim.garbage import left_alone
    from synsim.sandbox import sandboxed

    catch_signals()
    with errors(debug) as context, sandboxed(sandbox):
        folder = os.path.isdir(config)
        with left_alone():
            guess = None if dry_run else configuring.guessed(config, overrides, device, precision, seed)
            if folder:
                spec: Any = config
                given = {
                    "--set": overrides,
                    "--device": device,
                    "--precision": precision,
                    "--seed": seed,
                    "--name": name,
                }
                configuring.refuse_settings(config, {**given, "--out": out})
            else:
                spec = configuring.load(config, overrides, device, precision, seed, name, allow_plugins)
                context["spec"] = spec
            from synsim import api, kept_programs  # noqa: F401  after what is wrong with the config

        spec = spec if folder else api.single(spec)
        if dry_run:
            from synsim.resuming import left_spec

            spec = left_spec(Path(config), allow_plugins) if folder else spec
            configuring.warn(spec)
            configuring.print_plan(api.check(spec))
            return
        teller, profile = Teller(quiet), None
        if profiled:
            from synsim.profile import Profile

            profile = Profile()
        if not quiet and not folder:
            configuring.warn(spec)
        try:
            with api.run(
                spec,
                **({"allow_plugins": allow_plugins} if folder else {}),
                out=out,
                overwrite=overwrite,
                resume=resume,
                accept_drift=accept_drift,
                stop=time_to_stop,
                started=teller.started,
                note=teller.note,
                progress=teller.progress,
                finished=teller.finished,
                profile=profile,
                guess=guess,
                alone=True,
                again=shlex.join(["synsim", *sys.argv[1:], *([] if overwrite or resume else ["--resume"])]),
            ) as left:
                if profile is not None and profile.steps:
                    say(profile.lines())
                teller.left(left.file)
        finally:
            teller.close()
