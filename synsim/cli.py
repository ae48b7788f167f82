"""The command line: parse, call, print. Only this and `terminal` print or exit.

JAX, h5py and the models are imported inside the commands, so that `--help` and `--version` are immediate.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.main import get_command

from synsim import completion
from synsim.arguments import read_text_plainly
from synsim.terminal import Page, Teller, catch_signals, errors, say, tell, time_to_stop, told_by_hand

if TYPE_CHECKING:
    from synsim.plan import RunPlan
    from synsim.spec import Spec

app = typer.Typer(
    name="synsim",
    help="Simulate neural circuits from a YAML file: one compiled program, one HDF5 file.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

ConfigArgument = Annotated[
    str,
    typer.Argument(metavar="CONFIG", help="A YAML file, or - for standard input.", autocompletion=completion.configs),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="PATH=VALUE",
        help="Override a value of the config, as z.tau_m=20 or run.steps=500; repeatable.",
        autocompletion=completion.overrides,
    ),
]
DeviceOption = Annotated[
    str | None,
    typer.Option(help="auto, cpu, gpu, tpu, or one of several as cuda:1.", autocompletion=completion.devices),
]
PrecisionOption = Annotated[str | None, typer.Option(help="float32 or float64.", autocompletion=completion.precisions)]
SeedOption = Annotated[int | None, typer.Option(help="Seed of everything random.")]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]
SandboxOption = Annotated[
    bool, typer.Option("--sandbox", help="Read .h5 files in a process of their own, which they may crash.")
]
PluginsOption = Annotated[
    bool,
    typer.Option("--allow-plugins", help="Import the modules that the config names under plugins: runs their code."),
]
PluginOption = Annotated[
    list[str] | None,
    typer.Option("--plugin", metavar="MODULE", help="Import a module, which runs it, and take in its types too."),
]
DebugOption = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]


def main() -> None:
    """The entry point of the command `synsim`."""
    command = get_command(app)
    read_text_plainly(command)
    command(prog_name="synsim")


def _version(asked: bool) -> None:
    if asked:
        import synsim

        print(f"synsim {synsim.__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    del version


# ------------------------------------------------------------------------------------------------------------ run


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
    from synsim.sandbox import sandboxed

    catch_signals()
    with errors(debug) as context, sandboxed(sandbox):
        folder = os.path.isdir(config)
        if folder:
            spec: Any = config
            given = {"--set": overrides, "--device": device, "--precision": precision, "--seed": seed, "--name": name}
            _refuse_settings(config, {**given, "--out": out})
        else:
            spec = context["spec"] = _load(config, overrides, device, precision, seed, name, allow_plugins)
        from synsim import api  # after what is wrong with the config

        spec = spec if folder else api.single(spec)
        if dry_run:
            spec = api.left_spec(Path(config), allow_plugins) if folder else spec
            _warn(spec)
            _print_plan(api.check(spec))
            return
        teller, profile = Teller(quiet), None
        if profiled:
            from synsim.profile import Profile

            profile = Profile()
        if not quiet and not folder:
            _warn(spec)
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
                again=shlex.join(["synsim", *sys.argv[1:], *([] if overwrite or resume else ["--resume"])]),
            ) as left:
                if profile is not None and profile.steps:
                    say(profile.lines())
                teller.left(left.file)
        finally:
            teller.close()


def _load(
    config: str,
    overrides: list[str] | None,
    device: str | None = None,
    precision: str | None = None,
    seed: int | None = None,
    name: str | None = None,
    allow_plugins: bool = False,
    fallback: str | None = None,
) -> Spec:
    from synsim.preflight import refuse_small_address_space

    if "jaxlib" not in sys.modules:
        refuse_small_address_space()
    from synsim.config import load

    given = {
        "--device": ("run.device", device),
        "--precision": ("run.precision", precision),
        "--seed": ("seed", seed),
        "--name": ("name", name),
    }
    return load(
        config,
        overrides=overrides or [],
        options={option: (path, value) for option, (path, value) in given.items() if value is not None},
        allow_plugins=allow_plugins,
        name=fallback,
    )


def _warn(spec: Spec) -> None:
    say(spec.render(spec.warnings, "warning"))


def _refuse_settings(folder: str, given: Mapping[str, Any]) -> None:
    from synsim.faults import ConfigError

    written = [option for option, value in given.items() if value]
    if written:
        raise ConfigError(f"{folder} says itself what is run and where: leave {' and '.join(written)} away")


# ---------------------------------------------------------------------------------------------------------- sweep


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
            _refuse_settings(config, {**given, "--overwrite": overwrite})
            raise typer.Exit(_go_on(config, told, cancel, dry_run, as_json, accept_drift, quiet, allow_plugins))
        spec = context["spec"] = _load(config, overrides, device, precision, None, name, allow_plugins)
        from synsim.sweeps.parameters import sweep_of

        points = sweep_of(spec, values or [], zip=zipped, random=random, seed=seed)
        settings = choosing.chosen(spec.launcher, told)
        from synsim.sweeps.asking import asked
        from synsim.sweeps.launchers.launcher import at_least, memory_of_one

        it = asked(spec, points, lanes=lanes, at_least=at_least(settings), memory=memory_of_one(settings))
        if not quiet:
            _warn(spec)
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


# ----------------------------------------------------------------------------------------------------- sweep-task


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


# ---------------------------------------------------------------------------------------------------------- check


@app.command(epilog="Example: synsim check configs/lif_fi.yaml")
def check(
    configs: Annotated[
        list[str],
        typer.Argument(
            metavar="CONFIG...", help="YAML files, or - for standard input.", autocompletion=completion.configs
        ),
    ],
    overrides: SetOption = None,
    resolved: Annotated[
        bool, typer.Option("--resolved", help="Print the config with every default filled in.")
    ] = False,
    diff: Annotated[
        bool,
        typer.Option("--diff", help="Show what differs between two configs, defaults filled in. Exit code 1 if any."),
    ] = False,
    as_json: JsonOption = False,
    allow_plugins: PluginsOption = False,
    sandbox: SandboxOption = False,
    debug: DebugOption = False,
) -> None:
    """Check configs without compiling them.

    Shows faults, the resolved components and parts, shapes, wires, order, memory and file size.
    """
    from synsim.faults import ConfigError, render
    from synsim.garbage import left_alone
    from synsim.sandbox import sandboxed

    if diff:
        _diff(configs, overrides, resolved, as_json, allow_plugins, debug)
    worst, documents = 0, []
    with errors(debug), sandboxed(sandbox):
        for config in configs:
            spec = None
            try:
                with left_alone():
                    spec = _load(config, overrides, allow_plugins=allow_plugins)
                    from synsim.sweeps.pages import sweep_document, sweep_lines
                    from synsim.sweeps.parameters import sweep_of

                    sweep = None if spec.sweep is None else sweep_of(spec)
                    from synsim.device import planned
                    from synsim.doubts import doubts

                    it = planned(spec)
            except ConfigError as error:
                if debug:
                    raise
                lines = spec.render(error) if spec is not None else render(error.faults)
                worst = max(worst, error.exit_code)
                documents.append({"config": config, "ok": False, "errors": lines})
                say(lines)
                continue
            warnings = spec.render([*spec.warnings, *doubts(it)], "warning")
            say(warnings)
            if as_json:
                documents.append(
                    {
                        "config": config,
                        "ok": True,
                        "errors": [],
                        "warnings": warnings,
                        **_plan_document(it),
                        **({} if sweep is None else {"sweep": sweep_document(sweep)}),
                        **({"resolved": spec.resolved()} if resolved else {}),
                    }
                )
            elif resolved:
                import yaml

                print(yaml.safe_dump(spec.resolved(), sort_keys=False, allow_unicode=True, width=120), end="")
            else:
                _print_plan(it)
                if sweep is not None:
                    print()
                    print("\n".join(sweep_lines(sweep)))
    if as_json:
        print(json.dumps(documents[0] if len(configs) == 1 else documents, indent=1))
    raise typer.Exit(worst)


def _diff(
    configs: list[str],
    overrides: list[str] | None,
    resolved: bool,
    as_json: bool,
    allow_plugins: bool,
    debug: bool,
) -> None:
    with errors(debug):
        from synsim import comparing
        from synsim.faults import ConfigError

        if len(configs) != 2:
            raise ConfigError(f"--diff compares two configs, and here {'is one' if len(configs) == 1 else 'are more'}")
        if resolved:
            raise ConfigError("--resolved shows one config and --diff compares two: give one of them")
        faults, specs = [], []
        for config in configs:
            try:  # a name that neither of them says is the same for both
                specs.append(_load(config, overrides, allow_plugins=allow_plugins, fallback="config"))
            except ConfigError as error:
                faults.append(error)
        if faults:
            raise ConfigError(list(dict.fromkeys(fault for error in faults for fault in error.faults)))
        one, other = configs
        found = comparing.differences(*specs)
        if as_json:
            print(json.dumps(comparing.document(one, other, found), indent=1))
        else:
            for line in comparing.lines(one, other, found):
                print(line)
        raise typer.Exit(1 if found else 0)


def _plan_document(it: RunPlan) -> dict[str, Any]:
    from synsim.pages import plan_document

    return plan_document(it)


def _print_plan(it: RunPlan) -> None:
    from synsim.pages import plan_lines

    for line in plan_lines(it):
        print(line)


# ----------------------------------------------------------------------------------------------------- components


@app.command(epilog="Example: synsim components LIFCell")
def components(
    type_name: Annotated[
        str | None, typer.Argument(metavar="[TYPE]", help="One type in full.", autocompletion=completion.types)
    ] = None,
    search: Annotated[
        str | None,
        typer.Option(metavar="WORDS", help="Types whose name, text, settings or compartments hold all these words."),
    ] = None,
    as_json: JsonOption = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="The reference page of all types, or of one.")] = False,
    plugins: PluginOption = None,
    debug: DebugOption = False,
) -> None:
    """List component types, or show one in full.

    One type: its equation, settings with units and bounds, compartments, methods and source.
    """
    with errors(debug):
        from synsim import catalogue, describe, reference
        from synsim.faults import ConfigError, suggest

        _admit(plugins)
        types = catalogue.types()
        if type_name is not None and type_name not in types:
            raise ConfigError(
                f"there is no component type {type_name!r}.{suggest(type_name, types)} `synsim components` lists all."
            )
        cards = [describe.card(name) for name in ([type_name] if type_name else types)]
        if search is not None:
            found = reference.search(cards, search)
            if as_json:
                print(json.dumps([{**card, "found": hits} for card, hits in found], indent=1))
            elif found:
                print("\n".join(reference.search_lines(found)))
            else:
                say([f"no component type speaks of {search!r}; `synsim components` lists all"])
        elif as_json:
            print(json.dumps(cards[0] if type_name else cards, indent=1))
        elif markdown and type_name:
            print("\n".join(reference.card_markdown(cards[0])))
        elif markdown:
            print("\n".join(reference.page()))
        else:
            lines = reference.card_lines(cards[0]) if type_name else reference.catalogue_lines(cards)
            print("\n".join(lines))


def _admit(plugins: list[str] | None) -> None:
    """Import the plugins that the command line names; say what is wrong with those of installed packages."""
    from synsim import catalogue
    from synsim.faults import ConfigError
    from synsim.plugins import BadPlugin

    for name in plugins or ():
        try:
            catalogue.admit(name, Path.cwd())
        except BadPlugin as bad:
            raise ConfigError(f"the plugin {bad}") from None
    say(f"warning: {bad}" for bad in catalogue.broken())


# ------------------------------------------------------------------------------------------------- schema and init


@app.command(epilog="Example: synsim schema")
def schema(plugins: PluginOption = None, debug: DebugOption = False) -> None:
    """Print the JSON Schema of a config: synsim schema > synsim.schema.json.

    Editors with a YAML language server complete, explain and underline by it where a config begins with the line
    # yaml-language-server: $schema=./synsim.schema.json
    """
    with errors(debug):
        from synsim.schema import schema as written

        _admit(plugins)
        print(json.dumps(written(), indent=1))


@app.command(epilog="Example: synsim init lif.yaml --from lif_fi")
def init(
    path: Annotated[
        str, typer.Argument(metavar="[PATH]", help="The config to be written: config.yaml, or - for standard output.")
    ] = "",
    example: Annotated[
        str | None,
        typer.Option("--from", metavar="NAME", help="A shipped example.", autocompletion=completion.examples),
    ] = None,
    show: Annotated[bool, typer.Option("--list", help="List the shipped examples.")] = False,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Write a commented starter config, or a shipped example, with its schema for editors beside it.

    Nothing is overwritten.
    """
    with errors(debug):
        from synsim import starting
        from synsim.faults import ConfigError

        if show:
            known = starting.examples().values()
            if as_json:
                print(json.dumps([{"name": each.name, "title": each.title} for each in known], indent=1))
            else:
                width = max(len(each.name) for each in known)
                print("\n".join(f"{each.name.ljust(width)}  {each.title}" for each in known))
            return
        if as_json:
            raise ConfigError("--json goes with --list")
        source = starting.chosen(example) if example is not None else None
        if path == "-":
            print(starting.text(source, Path("config.yaml")), end="")
            return
        target = starting.place(path or "./", source)
        written = starting.write(target, source)
        for name in written.missing:
            tell(f"{target} reads {name}, which is not shipped: put it beside the config")
        if written.old_schema:
            tell(f"{starting.SCHEMA} is of another version and stays; to renew it: synsim schema > {starting.SCHEMA}")
        print(target)
        tell(f"to run it: synsim {written.command} {shlex.quote(str(target))}")


# -------------------------------------------------------------------------------------------------------- inspect


@app.command(epilog="Example: synsim inspect runs/lif-fi")
def inspect(
    path: Annotated[Path, typer.Argument(metavar="FILE|DIR", help="A run's file, or its folder.")],
    as_json: JsonOption = False,
    sandbox: SandboxOption = False,
    debug: DebugOption = False,
) -> None:
    """Show what a run holds, live or stopped too.

    Its tree with shapes, units, sizes, last values and sparklines; of an unfinished run from its finished segments.
    """
    with errors(debug):
        from synsim.report import lines, printable, summary

        if sandbox:
            from synsim.sandbox import apart

            code, told, said = apart("synsim", ["inspect", str(path), *(["--json"] if as_json else [])], str(path))
            for stream, given in ((sys.stdout, told), (sys.stderr, said)):
                for line in given.decode(errors="replace").splitlines():
                    print(printable(line), file=stream)
            raise typer.Exit(code)
        if (path / "sweep.json").exists():
            from synsim.faults import ConfigError

            raise ConfigError(f"{path} is the folder of a sweep: synsim status {path} shows it; inspect a point of it")
        from synsim import api

        with api.open(path) as found:
            print(json.dumps(summary(found), indent=1) if as_json else "\n".join(lines(found)))


# ------------------------------------------------------------------------------------------ status, verify, merge


@app.command(epilog="Example: synsim status runs/lif-fi --json")
def status(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A run's folder, or a sweep's.")],
    watch: Annotated[bool, typer.Option("--watch", help="Show a sweep until nothing of it runs or waits.")] = False,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Show how a run or a sweep stands: what of it is safe, and how to go on. Exit code 3 unless it is complete."""
    with errors(debug):
        if (folder / "sweep.json").exists():
            raise typer.Exit(_status_of_sweep(folder, watch, as_json))
        if watch:
            from synsim.faults import ConfigError

            raise ConfigError(f"{folder} is not the folder of a sweep, and --watch watches one")
        from synsim import api
        from synsim.report import printable

        found = api.status(folder)
        if as_json:
            print(json.dumps(found, indent=1))
        else:
            steps = f" of {found['steps']:,}" if found["steps"] else ""
            lines = [f"{found['name']}: {found['state']}, {found['steps_saved']:,}{steps} steps are safe in {folder}"]
            who, when = f"process {found.get('pid')} on {found.get('host')}", found.get("updated")
            if found["state"] == "running":
                lines.append(f"written by {who} since {found.get('started')}, last saved {when}")
            elif found["state"] != "done":
                lines.append(f"last written by {who} at {when}: {found.get('reason', 'no reason given')}")
                lines.append(f"to go on: {found['resume']}")
            print("\n".join(map(printable, lines)))
        raise typer.Exit(0 if found["state"] == "done" else 3)


def _status_of_sweep(folder: Path, watch: bool, as_json: bool) -> int:
    from synsim.report import printable
    from synsim.sweeps.ledger import Ledger
    from synsim.sweeps.standing import standing

    ledger, page = Ledger.open(folder), Page()
    try:
        while True:
            now = standing(ledger)
            if not (watch and (now.under_way or now.gathering)):
                break
            if not as_json:
                page.show(list(map(printable, now.lines())))
            page.wait()
    except KeyboardInterrupt:
        return 3
    if as_json:
        print(json.dumps(now.document(), indent=1))
    else:
        page.show(list(map(printable, now.lines())))
    return 0 if now.complete else 3


@app.command(epilog="Example: synsim verify runs/lif-fi")
def verify(
    path: Annotated[Path, typer.Argument(metavar="FILE|DIR", help="A run's file, its folder, or a sweep's.")],
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Hold every file of a run against its digest: what is damaged, and what is still good. Exit code 74 if any is."""
    with errors(debug):
        from synsim import api
        from synsim.verification import document

        found = api.verify(path)
        if as_json:
            print(json.dumps(document(found), indent=1))
        else:
            for each in found.damaged:
                print(f"{each.path}: {each.fault}")
            of = f"{len(found.damaged)} of {len(found.verdicts)} files damaged" if found.damaged else "nothing damaged"
            print(f"{of}; good: {found.good}")
        raise typer.Exit(74 if found.damaged else 0)


@app.command(epilog="Example: synsim plot runs/lif-tau --x free.tau_m --y free.rate")
def plot(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A sweep's folder.")],
    x: Annotated[
        str,
        typer.Option("--x", metavar="PATH", help="The parameter along x, as W.eta.", autocompletion=completion.columns),
    ],
    y: Annotated[
        str,
        typer.Option(
            "--y",
            metavar="NAME",
            help="A summary, as z.rate or W.weights.norm; or a second parameter.",
            autocompletion=completion.columns,
        ),
    ],
    color: Annotated[
        str | None,
        typer.Option(
            "--color",
            metavar="NAME",
            help="A parameter, a line for each value; or the summary of a map.",
            autocompletion=completion.columns,
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", metavar="FILE", help="A .png, .svg or .pdf; else in DIR.")
    ] = None,
    allow_plugins: PluginsOption = False,
    debug: DebugOption = False,
) -> None:
    """Draw a sweep: a summary over a parameter, or a map of one over two parameters.

    What is not on an axis is averaged; a band shows its standard deviation.
    """
    with errors(debug):
        from synsim import plot as drawing
        from synsim.sweeps.gathered import read_gathered
        from synsim.sweeps.gathering import gather
        from synsim.sweeps.ledger import Ledger

        ledger = Ledger.open(folder, allow_plugins)
        if not (folder / "sweep.h5").exists() or read_gathered(folder).done != sum(
            ledger.done(number) for number in range(len(ledger.points))
        ):
            gather(ledger)
        gathered = read_gathered(folder)
        path = out or folder / drawing.name_of(gathered, x, y, color)
        print(drawing.plot(gathered, x, y, color, path))


@app.command(epilog="Example: synsim merge runs/lif-fi")
def merge(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="The folder of a run whose steps are all done, or of a sweep.")
    ],
    allow_plugins: PluginsOption = False,
    debug: DebugOption = False,
) -> None:
    """Make the one file of a run that was stopped while it was written, or those of a sweep. Computes no step."""
    catch_signals()
    with errors(debug):
        if (folder / "sweep.json").exists():
            raise typer.Exit(_merge_sweep(folder, allow_plugins))
        from synsim import api

        with api.run(
            folder, resume=True, only_merge=True, stop=time_to_stop, note=tell, allow_plugins=allow_plugins
        ) as left:
            print(left.file)


def _merge_sweep(folder: Path, allow_plugins: bool) -> int:
    from synsim.sweeps.gathering import gather
    from synsim.sweeps.ledger import Ledger
    from synsim.sweeps.task import Task

    ledger = Ledger.open(folder, allow_plugins)
    Task(ledger, stop=time_to_stop, note=tell, only_merge=True).run(ledger.pending())
    gather(ledger)
    print(ledger.directory / "sweep.h5")
    return 3 if ledger.pending() else 0


# ---------------------------------------------------------------------------------------------------------- bench


@app.command(epilog="Example: synsim bench lif_fi --steps 2000 --rounds 1")
def bench(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[EXAMPLE]...", help="Shipped examples; left out, the large networks among them."),
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="How many times each is run.")] = 3,
    steps: Annotated[int | None, typer.Option(min=1, help="Steps of a trial, instead of what the example has.")] = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Measure how fast this machine runs shipped examples, in microseconds a step."""
    catch_signals()
    with errors(debug):
        from synsim.bench import HEADING, measured

        documents = []
        for i, row in enumerate(measured(names or (), rounds, steps, time_to_stop)):
            documents.append(row.document())
            if not as_json:
                print(row.line() if i else f"{HEADING}\n{row.line()}", flush=True)
        if as_json:
            print(json.dumps(documents, indent=1))


# -------------------------------------------------------------------------------------------------------- version


@app.command(epilog="Example: synsim version --json")
def version(as_json: JsonOption = False, debug: DebugOption = False) -> None:
    """Show versions; with --json the devices of this machine too."""
    with errors(debug):
        from synsim.versions import versions

        if not as_json:
            print("\n".join(f"{name} {value}" for name, value in versions().items()))
            return
        import jax

        devices = [f"{device.platform}:{device.id} {device.device_kind}" for device in jax.devices()]
        print(json.dumps({**versions(), "devices": devices}, indent=1))
