"""`synsim plot`: a run or a sweep as a picture."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from synsim import completion
from synsim.commands.app import app
from synsim.commands.options import DebugOption, PluginsOption, SandboxOption
from synsim.terminal import errors, tell

if TYPE_CHECKING:
    from synsim.opened import OpenedRun


@app.command(epilog="Example: synsim plot runs/lif-fi free.v --from 0 --to 60 --units 0:2 -o v.svg")
def plot(
    path: Annotated[
        str | None,
        typer.Argument(metavar="FILE|DIR", help="A run's file, its folder, or a sweep's.", show_default=False),
    ] = None,
    records: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RECORD]...",
            help="What is drawn, as z.s or W.weights; else all that was recorded.",
            autocompletion=completion.records,
        ),
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option(
            help="raster, trace, weights, histogram, energy, rate, receptive-fields, spectrum or phase; else what "
            "fits the record.",
            autocompletion=completion.kinds,
        ),
    ] = None,
    start: Annotated[
        float | None, typer.Option("--from", metavar="MS", help="From this time on, of the run, phase or trial.")
    ] = None,
    stop: Annotated[float | None, typer.Option("--to", metavar="MS", help="Up to this time.")] = None,
    units: Annotated[str | None, typer.Option(metavar="UNITS", help="Some units, as 3 or 0,4,9 or 0:10.")] = None,
    trial: Annotated[
        int | None, typer.Option(help="One trial, from 0, of the phase if one is named; -1 is the last.")
    ] = None,
    phase: Annotated[str | None, typer.Option(help="One phase.")] = None,
    compare: Annotated[
        tuple[Path, Path] | None, typer.Option(metavar="A B", help="Two runs, in place of FILE|DIR.")
    ] = None,
    x: Annotated[
        str | None,
        typer.Option(
            "--x", metavar="PATH", help="Sweep: the parameter along x, as W.eta.", autocompletion=completion.columns
        ),
    ] = None,
    y: Annotated[
        str | None,
        typer.Option(
            "--y",
            metavar="NAME",
            help="Sweep: a summary, as z.rate or W.weights.norm; or a second parameter.",
            autocompletion=completion.columns,
        ),
    ] = None,
    color: Annotated[
        str | None,
        typer.Option(
            "--color",
            metavar="NAME",
            help="Sweep: a parameter, a line for each value; or the summary of a map.",
            autocompletion=completion.columns,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", metavar="FILE", help="A .png, .svg or .pdf; else one beside the file, or in DIR."),
    ] = None,
    allow_plugins: PluginsOption = False,
    sandbox: SandboxOption = False,
    debug: DebugOption = False,
) -> None:
    """Draw what a run recorded, live or stopped too; or a sweep.

    Spikes are a raster with their rate, values a trace, weights images before, after and of the change, or the
    receptive fields of cells that look at images, energies a line over trials; --kind draws another. Of a sweep: a
    summary over a parameter, averaged over what is not on an axis, with a band of its standard deviation; or a map.
    """
    with errors(debug):
        from synsim.faults import ConfigError
        from synsim.pictures import format_of

        if out is not None:
            format_of(out)
        if sandbox:
            raise typer.Exit(_apart(path or str(compare and compare[0])))
        part = {"--kind": kind, "--from": start, "--to": stop, "--units": units, "--trial": trial, "--phase": phase}
        of_sweep = {"--x": x, "--y": y, "--color": color}
        if compare is None and path is None:
            raise ConfigError("name what is drawn: synsim plot FILE|DIR [RECORD]..., or --compare A B [RECORD]...")
        if compare is None and path is not None and (any(of_sweep.values()) or (Path(path) / "sweep.json").exists()):
            given = [option for option, value in part.items() if value is not None]
            if given:
                raise ConfigError(f"{' and '.join(given)} draws a run, and {path} is a sweep: draw one of its points")
            print(_sweep(Path(path), records or [], x, y, color, out, allow_plugins))
            return
        if given := [option for option, value in of_sweep.items() if value is not None]:
            raise ConfigError(f"{' and '.join(given)} draws a sweep, not the runs of --compare")
        from synsim import api

        settings = {"window": (start, stop), "units": units, "trial": trial, "phase": phase}
        if compare is None:
            with api.open(str(path)) as run:
                print(_run(run, Path(str(path)), records or [], kind, out, settings))
            return
        if path is not None and Path(path).exists():
            raise ConfigError(f"--compare names both runs: leave {path} away")
        names = [*([path] if path else []), *(records or [])]
        with api.open(compare[0]) as one, api.open(compare[1]) as other:
            target = out or Path(f"{one.name}-and-{other.name}.png")
            print(_run(one, target.parent, names, kind, target, {**settings, "compare": other}))


def _apart(what: str) -> int:
    """The same by a process of its own. The exit code."""
    from synsim.sandbox import apart
    from synsim.wording import printable

    code, told, said = apart("synsim", [word for word in sys.argv[1:] if word != "--sandbox"], what)
    for stream, given in ((sys.stdout, told), (sys.stderr, said)):
        for line in given.decode(errors="replace").splitlines():
            print(printable(line), file=stream)
    return code


def _run(
    run: OpenedRun, path: Path, names: list[str], kind: str | None, out: Path | None, settings: dict[str, Any]
) -> Path:
    from synsim.pictures import draw

    drawn = draw(run, names, kind, note=tell, **settings)
    folder = path if path.is_dir() else path.parent
    called = "-".join([*names[:3], *(["and-more"] if len(names) > 3 else []), *([kind] if kind else [])])
    return drawn.save(out or folder / f"{called or run.name}.png")


def _sweep(
    folder: Path,
    records: list[str],
    x: str | None,
    y: str | None,
    color: str | None,
    out: Path | None,
    allow_plugins: bool,
) -> Path:
    """The picture of a sweep, gathered anew where points have come since."""
    from synsim.faults import ConfigError
    from synsim.pictures import sweep
    from synsim.sweeps.gathered import read_gathered
    from synsim.sweeps.gathering import gather
    from synsim.sweeps.ledger import Ledger

    if len(records) > 1 or (records and y):
        raise ConfigError(f"a picture of a sweep shows one summary: leave {records[-1]} away")
    ledger = Ledger.open(folder, allow_plugins)
    done = sum(ledger.done(number) for number in range(len(ledger.points)))
    if not (folder / "sweep.h5").exists() or read_gathered(folder).done != done:
        gather(ledger)
    gathered = read_gathered(folder)
    if x is None or y is None:
        across, up, third = sweep.chosen(gathered, y or (records[0] if records else None))
        color = color or (third if x in (None, across) else None)
        x, y = x or across, up
    return sweep.plot(gathered, x, y, color, out or folder / sweep.name_of(gathered, x, y, color))
