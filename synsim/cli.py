"""The command line: parse, call, print. The only place that prints or exits.

JAX, h5py and the models are imported inside the commands, so that `--help` and `--version` are immediate.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from synsim.loop import Outcome, Progress
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

ConfigArgument = Annotated[str, typer.Argument(metavar="CONFIG", help="A YAML file, or - for standard input.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="PATH=VALUE",
        help="Override a value of the config, as z.tau_m=20 or run.steps=500; repeatable.",
    ),
]
DeviceOption = Annotated[str | None, typer.Option(help="auto, cpu, gpu, tpu, or one of several as cuda:1.")]
PrecisionOption = Annotated[str | None, typer.Option(help="float32 or float64.")]
SeedOption = Annotated[int | None, typer.Option(help="Seed of everything random.")]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]
SandboxOption = Annotated[
    bool, typer.Option("--sandbox", help="Read .h5 files in a process of their own, which they may crash.")
]
DebugOption = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]

_stopping: list[int] = []  # signals that arrived


def main() -> None:
    """The entry point of the command `synsim`."""
    app()


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
    sandbox: SandboxOption = False,
    debug: DebugOption = False,
) -> None:
    """Run a config into runs/NAME/NAME.h5.

    With --resume, CONFIG may also be the folder of a run that was stopped.
    """
    from synsim.sandbox import sandboxed

    _catch_signals()
    with _errors(debug) as context, sandboxed(sandbox):
        from synsim import api

        folder = os.path.isdir(config)
        if folder:
            spec: Any = config
            given = {"--set": overrides, "--device": device, "--precision": precision, "--seed": seed, "--name": name}
            _refuse_settings(config, {**given, "--out": out})
        else:
            spec = context["spec"] = _load(config, overrides, device, precision, seed, name)
        if dry_run:
            spec = api.left_spec(Path(config)) if folder else spec
            _warn(spec)
            _print_plan(api.check(spec))
            return
        teller = _Teller(quiet)
        if not quiet and not folder:
            _warn(spec)
        try:
            with api.run(
                spec,
                out=out,
                overwrite=overwrite,
                resume=resume,
                accept_drift=accept_drift,
                stop=_time_to_stop,
                started=teller.started,
                note=teller.note,
                progress=teller.progress,
                finished=teller.finished,
                again=shlex.join(["synsim", *sys.argv[1:], *([] if overwrite or resume else ["--resume"])]),
            ) as left:
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
    )


def _warn(spec: Spec) -> None:
    for line in spec.render(spec.warnings, "warning"):
        print(line, file=sys.stderr)


def _refuse_settings(folder: str, given: Mapping[str, Any]) -> None:
    from synsim.faults import ConfigError

    written = [option for option, value in given.items() if value]
    if written:
        raise ConfigError(f"{folder} says itself what is run and where: leave {' and '.join(written)} away")


END_MARGIN = 60.0  # seconds before the end of a Slurm job at which its run stops


def _time_to_stop() -> bool:
    """Whether a signal has come, or the end of the Slurm job is near."""
    if not _stopping:
        end = os.environ.get("SLURM_JOB_END_TIME", "")
        if end.isdigit() and time.time() > int(end) - END_MARGIN:
            _tell("the job's time is nearly over: stopping after this chunk")
            _stopping.append(0)
    return bool(_stopping)


def _catch_signals() -> None:
    """TERM, INT, HUP, USR1 and USR2 ask the run to end at the next chunk's border; a second INT ends it at once.

    A thread waits for them: a handler in Python runs only when the main thread comes back from what it is in, and
    compiling may take minutes.
    """
    reads, writes = os.pipe()
    os.set_blocking(writes, False)
    signal.set_wakeup_fd(writes, warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:  # as nohup leaves it
            signal.signal(number, lambda *_: None)
    threading.Thread(target=_note_signals, args=(reads,), daemon=True).start()
    # a job script may block them until here, so that none comes while Python starts
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2))


def _note_signals(reads: int) -> None:
    while True:
        for number in os.read(reads, 64):
            if number == signal.SIGINT and number in _stopping:
                show_cursor = "\x1b[?25h" if sys.stderr.isatty() else ""
                _tell(f"{show_cursor}SIGINT once more: ended at once; what was saved is safe, --resume goes on with it")
                os._exit(75)
            if not _stopping:
                _tell(f"{signal.Signals(number).name}: stopping after this chunk")
            _stopping.append(number)


def _tell(words: str) -> None:
    """A line on standard error. No run ends because the terminal was closed, or the reader of a pipe is gone."""
    try:
        print(words, file=sys.stderr, flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


class _Teller:
    """Says how a run is going: a bar where standard error is a terminal, plain lines elsewhere."""

    def __init__(self, quiet: bool):
        self.quiet = quiet
        self.bar: Any = None
        self.task: Any = None
        self.said = time.monotonic()
        self.lines: list[str] = []

    def note(self, words: str) -> None:
        if not self.quiet:
            _tell(words)

    def started(self, it: RunPlan, directory: Path, step: int) -> None:
        if self.quiet:
            return
        units = sum(1 for _ in it.spec.components)
        _tell(f"{it.spec.name}: {units} components, {it.trials:,} trials, {it.steps:,} steps, into {directory}")
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

            self.bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.percentage:>3.0f}%"),
                TimeRemainingColumn(),
                TextColumn("{task.fields[said]}"),
                console=Console(stderr=True),
                transient=True,
            )
            self.task = self.bar.add_task("compiling", total=it.steps, completed=step, said="")
            self.bar.start()

    def progress(self, now: Progress) -> None:
        if self.quiet:
            return
        scalars = "  ".join(f"{name} {value:.4g}" for name, value in list(now.scalars.items())[:3])
        said = f"{now.rate:,.0f} steps/s  {_biological(now.time)}  {scalars}".rstrip()
        if self.bar is not None:
            self.bar.update(self.task, completed=now.step, description=now.phase, said=said)
        elif time.monotonic() - self.said >= 5.0:
            self.said = time.monotonic()
            left = _duration((now.steps - now.step) / max(1e-9, now.rate))
            _tell(f"{now.phase}: step {now.step:,} of {now.steps:,} ({now.step / now.steps:.0%})  {said}  {left} left")

    def finished(self, outcome: Outcome) -> None:
        self.close()
        if self.quiet:
            return
        for phase, readouts in outcome.readouts.items():
            for path, value in readouts.items():
                shown = f"{float(value):.6g}" if value.size == 1 else " ".join(f"{v:.4g}" for v in value.ravel()[:10])
                self.lines.append(f"{phase + ': ' if len(outcome.readouts) > 1 else ''}{path} = {shown}")
        self.lines.append(f"took {_duration(outcome.seconds)}, of which compiling {_duration(outcome.compile_seconds)}")

    def left(self, path: Path) -> None:
        if not self.quiet:
            for line in self.lines:
                _tell(line)
            print(path, flush=True)

    def close(self) -> None:
        if self.bar is not None:
            with suppress(OSError):
                self.bar.stop()
            self.bar = None


def _biological(ms: float) -> str:
    return f"{ms:.4g} ms" if ms < 1e3 else f"{ms / 1e3:,.4g} s"


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, seconds = divmod(int(round(seconds)), 60)
    return f"{minutes} min {seconds:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


# ---------------------------------------------------------------------------------------------------------- check


@app.command(epilog="Example: synsim check configs/lif_fi.yaml")
def check(
    configs: Annotated[list[str], typer.Argument(metavar="CONFIG...", help="YAML files, or - for standard input.")],
    overrides: SetOption = None,
    resolved: Annotated[
        bool, typer.Option("--resolved", help="Print the config with every default filled in.")
    ] = False,
    as_json: JsonOption = False,
    sandbox: SandboxOption = False,
    debug: DebugOption = False,
) -> None:
    """Check configs without compiling them.

    Shows faults, the resolved components and parts, shapes, wires, order, memory and file size.
    """
    from synsim.faults import ConfigError, render
    from synsim.sandbox import sandboxed

    worst, documents = 0, []
    with _errors(debug), sandboxed(sandbox):
        for config in configs:
            spec = None
            try:
                spec = _load(config, overrides)
                from synsim import api

                it = api.check(spec)
            except ConfigError as error:
                if debug:
                    raise
                lines = spec.render(error) if spec is not None else render(error.faults)
                worst = max(worst, error.exit_code)
                documents.append({"config": config, "ok": False, "errors": lines})
                _say(lines)
                continue
            _warn(spec)
            if as_json:
                documents.append(
                    {
                        "config": config,
                        "ok": True,
                        "errors": [],
                        "warnings": spec.render(spec.warnings, "warning"),
                        **_plan_document(it),
                        **({"resolved": spec.resolved()} if resolved else {}),
                    }
                )
            elif resolved:
                import yaml

                print(yaml.safe_dump(spec.resolved(), sort_keys=False, allow_unicode=True, width=120), end="")
            else:
                _print_plan(it)
    if as_json:
        print(json.dumps(documents[0] if len(configs) == 1 else documents, indent=1))
    raise typer.Exit(worst)


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
    type_name: Annotated[str | None, typer.Argument(metavar="[TYPE]", help="One type in full.")] = None,
    as_json: JsonOption = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="The reference page of all types, or of one.")] = False,
    debug: DebugOption = False,
) -> None:
    """List component types, or show one in full.

    One type: its equation, settings with units and bounds, compartments, methods and source.
    """
    with _errors(debug):
        from synsim import catalogue, describe
        from synsim.faults import ConfigError, suggest
        from synsim.pages import card_lines, card_markdown, catalogue_lines

        types = catalogue.types()
        if type_name is not None and type_name not in types:
            raise ConfigError(
                f"there is no component type {type_name!r}.{suggest(type_name, types)} `synsim components` lists all."
            )
        cards = [describe.card(name) for name in ([type_name] if type_name else types)]
        if as_json:
            print(json.dumps(cards[0] if type_name else cards, indent=1))
        elif markdown:
            print("\n".join(line for card in cards for line in card_markdown(card)))
        else:
            print("\n".join(card_lines(cards[0]) if type_name else catalogue_lines(cards)))


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
    with _errors(debug):
        from synsim.report import lines, printable, summary

        if sandbox:
            from synsim.sandbox import apart

            code, told, said = apart("synsim", ["inspect", str(path), *(["--json"] if as_json else [])], str(path))
            for stream, given in ((sys.stdout, told), (sys.stderr, said)):
                for line in given.decode(errors="replace").splitlines():
                    print(printable(line), file=stream)
            raise typer.Exit(code)
        from synsim import api

        with api.open(path) as found:
            print(json.dumps(summary(found), indent=1) if as_json else "\n".join(lines(found)))


# ------------------------------------------------------------------------------------------ status, verify, merge


@app.command(epilog="Example: synsim status runs/lif-fi --json")
def status(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A run's folder.")],
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Show how a run stands: its state, how much of it is safe, and how to go on. Exit code 3 unless it is complete."""
    with _errors(debug):
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


@app.command(epilog="Example: synsim verify runs/lif-fi")
def verify(
    path: Annotated[Path, typer.Argument(metavar="FILE|DIR", help="A run's file, or its folder.")],
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Hold every file of a run against its digest: what is damaged, and what is still good. Exit code 74 if any is."""
    with _errors(debug):
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


@app.command(epilog="Example: synsim merge runs/lif-fi")
def merge(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder of a run whose steps are all done.")],
    debug: DebugOption = False,
) -> None:
    """Make the one file of a run that was stopped while it was written. Computes no step."""
    _catch_signals()
    with _errors(debug):
        from synsim import api

        with api.run(folder, resume=True, only_merge=True, stop=_time_to_stop, note=_tell) as left:
            print(left.file)


# -------------------------------------------------------------------------------------------------------- version


@app.command(epilog="Example: synsim version --json")
def version(as_json: JsonOption = False, debug: DebugOption = False) -> None:
    """Show versions and devices."""
    with _errors(debug):
        import jax

        from synsim import api

        about = api.versions()
        devices = [f"{device.platform}:{device.id} {device.device_kind}" for device in jax.devices()]
        if as_json:
            print(json.dumps({**about, "devices": devices}, indent=1))
        else:
            print("\n".join([*(f"{name} {value}" for name, value in about.items()), f"devices {', '.join(devices)}"]))


# --------------------------------------------------------------------------------------------------------- errors


@contextmanager
def _errors(debug: bool) -> Iterator[dict[str, Any]]:
    """Turns what goes wrong into one line (one a fault) and the exit code that fits; `--debug` shows it whole."""
    from synsim.faults import ConfigError, SynsimError, render

    context: dict[str, Any] = {}
    try:
        yield context
    except ConfigError as error:
        if debug:
            raise
        spec = context.get("spec")
        _say(spec.render(error) if spec is not None else render(error.faults))
        raise typer.Exit(error.exit_code) from None
    except SynsimError as error:
        if debug:
            raise
        _say([f"synsim: {error}"])
        raise typer.Exit(error.exit_code) from None
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(0) from None
    except (typer.Exit, KeyboardInterrupt):
        raise
    except Exception as error:
        if debug:
            raise
        if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error):
            _say(["synsim: the memory ran out before anything was computed; use fewer units, or read less data"])
            raise typer.Exit(66) from None
        _say(
            [
                f"synsim: this is a bug: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''} "
                "(run again with --debug for the traceback)"
            ]
        )
        raise typer.Exit(70) from None


def _say(lines: Iterable[str]) -> None:
    sys.stdout.flush()
    for line in lines:
        _tell(line)
