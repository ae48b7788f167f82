"""`synsim watch`: a run or a sweep while it goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from synsim.commands.app import app
from synsim.commands.options import DebugOption
from synsim.terminal import Screen, clock, errors


@app.command(epilog="Example: synsim watch runs/lif-fi --once")
def watch(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A run's folder, or a sweep's.")],
    every: Annotated[
        float, typer.Option("--every", metavar="SECONDS", min=0.1, max=3600.0, help="How often to look.")
    ] = 1.0,
    once: Annotated[bool, typer.Option("--once", help="Show it as it is now, and leave.")] = False,
    debug: DebugOption = False,
) -> None:
    """Watch a run or a sweep: how far it is, rates, energies, the last spikes.

    It reads finished segments only, so the run does not notice. Ctrl-C leaves, and the same command enters again. In a
    pipe it writes a line whenever something was saved. Exit code 3 unless all is complete.
    """
    with errors(debug):
        watched, lines, line, is_complete = _sweep(folder) if (folder / "sweep.json").exists() else _run(folder)
        complete = _follow(watched, lines, line, is_complete, every, once)
    raise typer.Exit(0 if complete else 3)


def _run(folder: Path) -> tuple[Any, Any, Any, Any]:
    from synsim.watching import Watched, lines, one_line

    return Watched(folder), lines, one_line, lambda view: view.state == "done"


def _sweep(folder: Path) -> tuple[Any, Any, Any, Any]:
    from synsim.sweeps.ledger import Ledger
    from synsim.sweeps.watched import WatchedSweep, sweep_line, sweep_lines

    return WatchedSweep(Ledger.open(folder)), sweep_lines, sweep_line, lambda view: view.standing.complete


def _follow(watched: Any, lines: Any, line: Any, is_complete: Any, every: float, once: bool) -> bool:
    """Shows what is seen until it is over; whether it is complete then, or was when the user left."""
    view, said = watched.look(clock()), None
    with Screen() as screen:
        try:
            while True:
                if screen.live:
                    columns, rows = screen.size
                    screen.show(lines(view, columns, rows - 1))
                elif line(view) != said:
                    said = line(view)
                    print(said, flush=True)
                if once or not view.goes_on:
                    break
                screen.wait(every)
                view = watched.look(clock())
        except KeyboardInterrupt:
            pass
        except Exception:
            if not screen.left:
                raise
    return is_complete(view)
