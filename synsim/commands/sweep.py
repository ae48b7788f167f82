"""`synsim sweep`: a config at many points; and the tasks that it starts."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from synsim import completion
from synsim.commands import configuring
from synsim.commands.app import app
from synsim.commands.options import DebugOption, DeviceOption, JsonOption, PluginsOption, PrecisionOption, SetOption
from synsim.terminal import Teller, catch_signals, errors, say, tell, time_to_stop, told_by_hand


@app.command(epilog="Example: synsim sweep configs/lif_fi.yaml free.tau_m=10:40:7 --name lif-tau")
def sweep(
    config: Annotated[
        str,
        typer.Argument(
            metavar="CONFIG|DIR",
            help="A YAML file, - for standard input, or the folder of a sweep to go on with.",
            autocompletion=completion.configs,
        ),
    ],
    values: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PATH=VALUES]...",
            help="What is swept: W.eta=1e-3,1e-2 or z.tau_m=10:40:7 or seed=0:20 or log:1e-4:1e-1:7.",
            autocompletion=completion.overrides,
        ),
    ] = None,
    overrides: SetOption = None,
    zipped: Annotated[
        bool, typer.Option("--zip", help="The first values together, then the second, in place of a grid.")
    ] = False,
    random: Annotated[int | None, typer.Option(metavar="N", help="N points drawn at random.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of points drawn at random.")] = None,
    device: DeviceOption = None,
    precision: PrecisionOption = None,
    out: Annotated[Path | None, typer.Option(help="Folder that the sweep's own folder is made in: runs.")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the sweep, its folder and its files.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a sweep of the same name.")] = False,
    lanes: Annotated[int | None, typer.Option(min=1, help="Most points side by side in one program.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be run, and stop.")] = False,
    as_json: JsonOption = False,
    launcher: Annotated[str | None, typer.Option(help="local, this machine, or slurm, a job array.")] = None,
    processes: Annotated[int | None, typer.Option(help="local: processes that share the points.")] = None,
    partition: Annotated[str | None, typer.Option(help="slurm: partition of the jobs.")] = None,
    time: Annotated[str | None, typer.Option(help="slurm: time limit of a task, as 2:30:00.")] = None,
    cpus: Annotated[int | None, typer.Option(help="slurm: cores of a task.")] = None,
    mem: Annotated[str | None, typer.Option(help="slurm: memory of a task, as 4G.")] = None,
    gpus: Annotated[str | None, typer.Option(help="slurm: GPUs of a task, as 1 or a100:1.")] = None,
    throttle: Annotated[int | None, typer.Option(help="slurm: most tasks that run at once.")] = None,
    tasks: Annotated[int | None, typer.Option(help="slurm: tasks that the points are spread over.")] = None,
    signal: Annotated[int | None, typer.Option(help="slurm: seconds before its end at which a task saves.")] = None,
    setup: Annotated[list[str] | None, typer.Option(help='slurm: a line before the program: "module load x".')] = None,
    sbatch: Annotated[list[str] | None, typer.Option(help='slurm: an option of sbatch: "--qos=long".')] = None,
    cancel: Annotated[bool, typer.Option("--cancel", help="End what runs or waits of the sweep in DIR.")] = False,
    accept_drift: Annotated[
        bool, typer.Option("--accept-drift", help="Go on with other versions, another device or CPU too.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")] = False,
    allow_plugins: PluginsOption = False,
    debug: DebugOption = False,
) -> None:
    """Run a config at many points, into runs/NAME: a file for each point, and one table of them all.

    Points that differ in numbers only are computed side by side, in one program. The same command again, or the
    sweep's folder in place of the config, does what is missing or failed.
    """
    catch_signals()
    with errors(debug) as context:
        from synsim.sweeps.launchers import choosing

        told = {
            "type": launcher,
            "processes": processes,
            "partition": partition,
            "time": time,
            "cpus": cpus,
            "mem": mem,
            "gpus": gpus,
            "throttle": throttle,
            "tasks": tasks,
            "signal": signal,
            "setup": tuple(setup or ()),
            "sbatch": tuple(sbatch or ()),
        }
        if os.path.isdir(config) or cancel:
            given = {"PATH=VALUES": values, "--set": overrides, "--zip": zipped, "--random": random, "--seed": seed}
            given |= {"--device": device, "--precision": precision, "--name": name, "--out": out, "--lanes": lanes}
            configuring.refuse_settings(config, {**given, "--overwrite": overwrite})
            raise typer.Exit(_go_on(config, told, cancel, dry_run, as_json, accept_drift, quiet, allow_plugins))
        spec = context["spec"] = configuring.load(config, overrides, device, precision, None, name, allow_plugins)
        from synsim.sweeps.parameters import sweep_of

        points = sweep_of(spec, values or [], zip=zipped, random=random, seed=seed)
        settings = choosing.chosen(spec.launcher, told)
        from synsim.sweeps.asking import asked
        from synsim.sweeps.launchers.launcher import at_least, memory_of_one

        it = asked(spec, points, lanes=lanes, at_least=at_least(settings), memory=memory_of_one(settings))
        if not quiet:
            configuring.warn(spec)
        if dry_run:
            _show_sweep(it, settings, as_json, out)
            return
        ledger = it.ledger(out, overwrite, allow_plugins)
        raise typer.Exit(_compute(ledger, settings, accept_drift, quiet, allow_plugins))


def _show_sweep(it: Any, settings: Any, as_json: bool, out: Path | None) -> None:
    from synsim.sweeps.launchers.choosing import launcher_for
    from synsim.sweeps.pages import dry_run_document, dry_run_lines

    chosen, directory = launcher_for(settings), (out or Path("runs")) / it.spec.name
    say(f"warning: {doubt}" for doubt in chosen.doubts(directory))
    script = chosen.preview(directory, it.arrangement.groups)
    if as_json:
        document = dry_run_document(it.sweep, it.spec.name, **it.about())
        print(json.dumps({**document, **({"script": "\n".join(script)} if script else {})}, indent=1))
        return
    for line in dry_run_lines(it.sweep, it.spec.name, **it.about()):
        print(line)
    if script:
        print("\n".join(["", "job script", *script]))


def _go_on(
    folder: str,
    told: Mapping[str, Any],
    cancel: bool,
    dry_run: bool,
    as_json: bool,
    accept_drift: bool,
    quiet: bool,
    allow_plugins: bool,
) -> int:
    """What the folder of a sweep says is to be done: what is missing, or failed. The exit code."""
    from synsim.faults import ConfigError
    from synsim.sweeps.launchers import choosing
    from synsim.sweeps.launchers.launcher import remembered
    from synsim.sweeps.ledger import Ledger

    if dry_run or as_json:
        raise ConfigError(f"{folder} holds a sweep already; synsim status {folder} shows how it stands")
    ledger = Ledger.open(folder, allow_plugins)
    settings = choosing.chosen(remembered(ledger.directory), told)
    if cancel:
        say(choosing.cancel(ledger) or [f"nothing of {ledger.directory} runs or waits"])
        return 0
    return _compute(ledger, settings, accept_drift, quiet, allow_plugins)


def _compute(ledger: Any, settings: Any, accept_drift: bool, quiet: bool, allow_plugins: bool) -> int:
    """What is missing of a sweep, by its launcher; then the table of all points. The exit code."""
    from synsim.sweeps.gathering import gather
    from synsim.sweeps.launchers.choosing import launcher_for, refuse_elsewhere
    from synsim.sweeps.standing import is_gathered

    teller, launcher = Teller(quiet), launcher_for(settings)
    if settings.type == "local":
        refuse_elsewhere(ledger.directory)
    pending = ledger.pending()
    count = sum(not ledger.done(number) for number in range(len(ledger.points)))
    groups = "" if not pending else f", in {len(pending):,} group{'s' * (len(pending) > 1)}"
    teller.note(f"{ledger.name}: {len(ledger.points):,} points, {count:,} to compute{groups}, into {ledger.directory}")
    worst = 0
    if pending and settings.type == "local" and settings.processes == 1:
        from synsim.sweeps.launchers.launcher import remember
        from synsim.sweeps.task import Task

        remember(ledger.directory, settings)
        work = Task(ledger, stop=time_to_stop, progress=teller.progress, note=teller.note, accept_drift=accept_drift)
        try:
            done = work.run(pending)
        finally:
            teller.close()
        for number, why in done.failed.items():
            tell(f"{ledger.point_name(number)} failed: {why}")
        teller.note(
            f"{done.compiled} program{'s' * (done.compiled != 1)} compiled for {ledger.static_groups} static "
            f"group{'s' * (ledger.static_groups != 1)}, in {done.compile_seconds:.1f} s"
        )
    elif pending:
        say(f"warning: {doubt}" for doubt in launcher.doubts(ledger.directory))
        options = [*(["--accept-drift"] if accept_drift else []), *(["--allow-plugins"] if allow_plugins else [])]
        launched = launcher.submit(ledger, pending, options=options, stop=time_to_stop, note=teller.note)
        if launched.job is not None:
            print(launched.job, flush=True)
        if settings.type == "slurm":  # which gathers them
            return launched.exit_code
        worst = launched.exit_code
    if worst in (0, 3):
        ledger.tidy()
        if pending or not is_gathered(ledger):
            gather(ledger)
        left = sum(not ledger.done(number) for number in range(len(ledger.points)))
        worst = 3 if left else worst
        if left:
            tell(f"{left:,} of {len(ledger.points):,} points are not done: synsim status {ledger.directory}")
        if not quiet:
            print(ledger.directory / "sweep.h5", flush=True)
    return worst


@app.command("sweep-task", hidden=True, epilog="Example: synsim sweep-task runs/lif-fi --groups 0,3-5")
def sweep_task(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A sweep's folder.")],
    groups: Annotated[str | None, typer.Option(metavar="0,3-5", help="Groups of lanes to compute.")] = None,
    task: Annotated[
        int | None, typer.Option(min=0, help="Task of a job array of Slurm; requeued if it is stopped.")
    ] = None,
    per_task: Annotated[int, typer.Option(min=1, help="Groups of each task.")] = 1,
    gather: Annotated[bool, typer.Option("--gather", help="Make one table of the points that are there.")] = False,
    parent: Annotated[int | None, typer.Option(help="Stop where this is not the parent process any more.")] = None,
    accept_drift: Annotated[
        bool, typer.Option("--accept-drift", help="Go on with other versions, another device or CPU too.")
    ] = False,
    allow_plugins: PluginsOption = False,
    debug: DebugOption = False,
) -> None:
    """Compute some groups of lanes of a sweep: what `synsim sweep` starts, in processes and in job scripts."""
    catch_signals()
    with errors(debug):
        from synsim.faults import ConfigError, Stopped
        from synsim.sweeps.launchers import numbers
        from synsim.sweeps.ledger import Ledger

        ledger = Ledger.open(folder, allow_plugins)
        if gather:
            from synsim.sweeps.gathering import gather as gathered

            ledger.tidy()
            gathered(ledger)
            return
        count = len(ledger.groups)
        if task is not None:
            chosen = list(range(count))[task * per_task : (task + 1) * per_task]
        else:
            try:
                chosen = numbers.expanded(groups or "", count)
            except ValueError as error:
                raise ConfigError(f"--groups {groups or ''}: {error}") from None
        from synsim.sweeps.task import Task

        teller, advanced = Teller(False), False

        def progress(now: Any) -> None:
            nonlocal advanced
            advanced = True
            teller.progress(now)

        def stop() -> bool:
            return time_to_stop() or (parent is not None and os.getppid() != parent)

        work = Task(ledger, stop=stop, progress=progress, note=teller.note, accept_drift=accept_drift)
        try:
            done = work.run(chosen)
        except Stopped as stopped:
            if task is None or told_by_hand():
                raise
            from synsim.sweeps.launchers.requeueing import requeue

            raise Stopped(f"{requeue(advanced)}; {stopped}") from None
        for number, why in done.failed.items():
            tell(f"point {number} failed: {why}")
        raise typer.Exit(3 if done.failed else 0)
