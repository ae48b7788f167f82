"""`synsim export`: a run in the formats of others."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from synsim import completion
from synsim.commands.app import app
from synsim.commands.options import DebugOption
from synsim.terminal import errors, tell


@app.command(epilog="Example: synsim export runs/lif-fi --to csv free.v")
def export(
    path: Annotated[Path, typer.Argument(metavar="FILE|DIR", help="A run's file, or its folder.")],
    records: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RECORD",
            help="z.v, all of z, or a state as final.W.weights; left out, all records.",
            autocompletion=completion.records,
        ),
    ] = None,
    to: Annotated[
        str, typer.Option("--to", metavar="FORMAT", help="csv, npz, nwb or sonata.", autocompletion=completion.formats)
    ] = "",
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", metavar="PATH", help="The file or folder to write; else beside the run's file."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that are there.")] = False,
    debug: DebugOption = False,
) -> None:
    """Write a run, or some of its records, as tables, arrays, NWB or SONATA.

    csv: a table for each record, in a folder. npz: all arrays in one file. nwb: units, time series and trials, in
    seconds; needs synsim[nwb]. sonata: spikes and reports, each row of a batch as a population of its own.
    """
    with errors(debug):
        from synsim.faults import ConfigError

        if not to:
            raise ConfigError("--to is missing, which says the format: csv, npz, nwb or sonata")
        if (path / "sweep.json").exists():
            raise ConfigError(f"{path} is the folder of a sweep: its table is sweep.csv; export a point of it")
        from synsim import api
        from synsim.export.exporting import export as write

        with api.open(path) as run:
            for written in write(run, to, records or (), out, overwrite, tell):
                print(written)
