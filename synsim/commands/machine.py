"""How fast this machine runs examples, and what is installed on it."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from synsim.commands.app import app
from synsim.commands.options import DebugOption, JsonOption
from synsim.terminal import catch_signals, errors, time_to_stop


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
