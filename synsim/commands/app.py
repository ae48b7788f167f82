"""The command `synsim` itself, which the commands add themselves to."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(
    name="synsim",
    help="Simulate neural circuits from a YAML file: one compiled program, one HDF5 file.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


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
