"""`synsim report`: a run or a sweep as one page for a browser."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from synsim.commands.app import app
from synsim.commands.options import DebugOption, PluginsOption, SandboxOption
from synsim.terminal import errors


@app.command(epilog="Example: synsim report runs/lif-fi -o report.html")
def report(
    path: Annotated[Path, typer.Argument(metavar="FILE|DIR", help="A run's file, its folder, or a sweep's.")],
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", metavar="FILE", help="The page: DIR/report.html, or FILE with .html."),
    ] = None,
    allow_plugins: PluginsOption = False,
    sandbox: SandboxOption = False,
    debug: DebugOption = False,
) -> None:
    """Make one page that shows a run or a sweep: it opens in any browser, from disk, without a network.

    What it was, its circuit, every record drawn, statistics of spikes, weights before and after, its config, and how
    to have it again; of a sweep its table and maps over parameters. A run may be live or stopped.
    """
    with errors(debug):
        from synsim.report.making import check_ending, html_of, place_of, write

        target = out or place_of(path)
        check_ending(target)
        if sandbox:
            raise typer.Exit(_apart(path, target, allow_plugins))
        print(write(html_of(path, allow_plugins), target))


def _apart(path: Path, target: Path, allow_plugins: bool) -> int:
    """The same by a process of its own. The exit code."""
    from synsim.sandbox import apart
    from synsim.wording import printable

    options = ["--allow-plugins"] if allow_plugins else []
    code, told, said = apart("synsim", ["report", *options, "-o", str(target), "--", str(path)], str(path))
    for stream, given in ((sys.stdout, told), (sys.stderr, said)):
        for line in given.decode(errors="replace").splitlines():
            print(printable(line), file=stream)
    return code
