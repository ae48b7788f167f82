"""How a run or a sweep stands, whether its files are whole, and how they become one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from synsim.commands.app import app
from synsim.commands.options import DebugOption, JsonOption, PluginsOption
from synsim.terminal import Page, catch_signals, errors, tell, time_to_stop


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
        from synsim.wording import printable

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
    from synsim.sweeps.ledger import Ledger
    from synsim.sweeps.standing import standing
    from synsim.wording import printable

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
