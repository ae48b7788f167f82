"""How fast this machine runs examples, and what is installed on it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from statistics import median
from typing import TYPE_CHECKING, Annotated

import typer

from synsim.commands.app import app
from synsim.commands.options import DebugOption, JsonOption
from synsim.faults import ConfigError
from synsim.terminal import catch_signals, errors, tell, time_to_stop

if TYPE_CHECKING:
    from synsim.benchmarks.rounds import Row


@app.command(epilog="Example: synsim bench lif_fi --steps 2000 --rounds 1")
def bench(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[EXAMPLE]...", help="Shipped examples; left out, the classic networks among them."),
    ] = None,
    with_peers: Annotated[
        bool,
        typer.Option("--peers", help="Run Brian2 (C++, float32) and NEST in turn with it, where they are installed."),
    ] = False,
    peers_python: Annotated[
        str | None,
        typer.Option(
            metavar="PYTHON", help="The Python that has Brian2 and NEST, else $SYNSIM_PEERS_PYTHON, else this one."
        ),
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="How many times each is run.")] = 3,
    steps: Annotated[int | None, typer.Option(min=1, help="Steps of a trial, instead of some seconds' worth.")] = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Measure how fast this machine runs shipped examples, in microseconds a step.

    Each run is a process of its own, on one thread, with its records; compiling and merging are left out. The classic
    networks take two minutes, with --peers five: their programs are built first.
    """
    catch_signals()
    with errors(debug):
        from synsim.benchmarks.peers import chosen
        from synsim.benchmarks.rounds import measured

        if peers_python is not None and not with_peers:
            raise ConfigError("--peers-python says which Python has the peers: add --peers to run them")
        peers = chosen(peers_python) if with_peers else None
        if peers is not None:
            tell(f"beside {peers.words}, of {peers.python}")
        rows = list(measured(names or (), rounds, steps, peers, time_to_stop, tell))
        if as_json:
            print(json.dumps([row.document() for row in rows], indent=1))
        else:
            _print_table(rows, list(peers.versions) if peers is not None else [])


def _print_table(rows: Sequence[Row], peers: Sequence[str]) -> None:
    """Medians and ranges of each example, and of the peers beside it."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table("example", box=box.SIMPLE_HEAD, title="microseconds a step: median [least-most]", title_style="")
    for heading in ("synsim", *(words for peer in peers for words in (peer, f"synsim / {peer}")), "steps", "compiling"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        cells = [_spread(row.took)]
        for peer in peers:
            over = row.over(peer)
            cells += ["-", "-"] if over is None else [_spread(row.beside[peer]), f"{over:.3g}"]
        table.add_row(row.name, *cells, f"{row.steps:,}", f"{row.compiling:.1f} s")
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console = Console(highlight=False, markup=False, width=200)  # a file is as wide as it has to be
    console.print(table)
    if peers:
        console.print("One thread each. Of Brian2 what it states itself: its building and starting are left out.")


def _spread(took: Sequence[float]) -> str:
    return f"{median(took):.4g} [{min(took):.4g}-{max(took):.4g}]"


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
