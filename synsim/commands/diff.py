"""`synsim diff`: what differs between two runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from synsim.commands.app import app
from synsim.commands.options import DebugOption, JsonOption
from synsim.terminal import errors


@app.command(epilog="Example: synsim diff runs/lif-fi runs/lif-fi --rtol 1e-6")
def diff(
    one: Annotated[Path, typer.Argument(metavar="A", help="A run's file, or its folder.")],
    other: Annotated[Path, typer.Argument(metavar="B", help="Another one.")],
    rtol: Annotated[float, typer.Option(help="Values this far apart, relative to the larger, are the same.")] = 0.0,
    atol: Annotated[float, typer.Option(help="Values this far apart are the same.")] = 0.0,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Show what differs between two runs: configs, records value by value, spikes, states, and where it begins.

    Exit code 1 if anything does. Names, machines, versions and the time of day do not count; runs that are not done are
    compared by what is saved of them.
    """
    with errors(debug):
        from synsim.faults import ConfigError

        for option, value in (("--rtol", rtol), ("--atol", atol)):
            if not 0 <= value < float("inf"):
                raise ConfigError(f"{option} must be a number of at least 0, not {value:g}")
        for path in (one, other):
            if (path / "sweep.json").exists():
                raise ConfigError(
                    f"{path} is the folder of a sweep: compare its points, which are in {path / 'points'}"
                )
        from synsim import api
        from synsim.run_differences import Tolerance, differences, lines

        with api.open(one) as a, api.open(other) as b:
            told = differences(a, b, Tolerance(rtol, atol))
        print(json.dumps(told, indent=1) if as_json else "\n".join(lines(told)))
        raise typer.Exit(0 if told["same"] else 1)
