"""`synsim graph`: the circuit of a config as a picture, before it is run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from synsim.commands import configuring
from synsim.commands.app import app
from synsim.commands.options import ConfigArgument, DebugOption, PluginsOption, SandboxOption, SetOption
from synsim.terminal import errors


@app.command(epilog="Example: synsim graph configs/stdp_digits.yaml -o stdp.svg")
def graph(
    config: ConfigArgument,
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", metavar="FILE", help="A .svg, .dot, .gv, .mermaid or .mmd; else NAME.svg here."),
    ] = None,
    overrides: SetOption = None,
    allow_plugins: PluginsOption = False,
    sandbox: SandboxOption = False,
    debug: DebugOption = False,
) -> None:
    """Draw the circuit of a config: its components and data with their sizes, the wires and the loops.

    Nothing is run, and the data need not be there yet.
    """
    from synsim.sandbox import sandboxed

    with errors(debug) as context, sandboxed(sandbox):
        if out is not None:
            from synsim.diagram.writing import check_ending

            check_ending(out)
        spec = context["spec"] = configuring.load(config, overrides, allow_plugins=allow_plugins)
        from synsim.diagram import circuit_of
        from synsim.diagram.data_sizes import data_sizes
        from synsim.diagram.writing import write

        path = out or Path(f"{spec.name}.svg")
        configuring.warn(spec)
        print(write(circuit_of(spec, data_sizes(spec)), path))
