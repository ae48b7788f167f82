"""The command line: this, `commands` and `terminal` are the only modules that print or exit."""

from __future__ import annotations

from typer.main import get_command

from synsim.arguments import read_text_plainly
from synsim.commands import (  # noqa: F401  they add their commands to the app
    authoring,
    check,
    diff,
    export,
    graph,
    inspect,
    keeping,
    machine,
    plot,
    report,
    run,
    sweep,
    watch,
)
from synsim.commands.app import app

# as `--help` lists them
COMMANDS = (
    "run",
    "sweep",
    "sweep-task",
    "check",
    "graph",
    "components",
    "schema",
    "init",
    "inspect",
    "plot",
    "report",
    "watch",
    "status",
    "diff",
    "export",
    "verify",
    "merge",
    "bench",
    "version",
)
app.registered_commands.sort(
    key=lambda command: COMMANDS.index(command.name or getattr(command.callback, "__name__", ""))
)


def main() -> None:
    """The entry point of the command `synsim`."""
    command = get_command(app)
    read_text_plainly(command)
    command(prog_name="synsim")
