"""`synsim inspect`: what a run or a sweep holds."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from synsim import completion
from synsim.commands.app import app
from synsim.commands.options import DebugOption, JsonOption, SandboxOption
from synsim.terminal import errors


@app.command(epilog="Example: synsim inspect runs/lif-fi free.v")
def inspect(
    path: Annotated[Path, typer.Argument(metavar="FILE|DIR", help="A run's file, or the folder of a run or a sweep.")],
    what: Annotated[
        str | None,
        typer.Argument(
            metavar="[PATH]",
            help="One thing in detail: z.v, final.W.weights, z, trials, provenance, config, config.run.",
            autocompletion=completion.things,
        ),
    ] = None,
    as_json: JsonOption = False,
    whole: Annotated[
        bool, typer.Option("--whole", help="Read all values of large files, however long that takes.")
    ] = False,
    sandbox: SandboxOption = False,
    debug: DebugOption = False,
) -> None:
    """Show what a run holds, live or stopped too, or a sweep.

    Its tree with shapes, units, rates, sizes, ranges and sparklines; of an unfinished run from its finished segments.
    With PATH, one record with its histogram and last values, the provenance, or the config as it was run. Of a sweep, a
    summary over each parameter; 3 shows point 3, and 3/z.v a record of it.
    """
    with errors(debug):
        from synsim.wording import printable

        if sandbox:
            from synsim.sandbox import apart

            words = [*(["--json"] if as_json else []), *(["--whole"] if whole else [])]
            told = ["inspect", *words, "--", str(path), *([what] if what else [])]
            code, out, said = apart("synsim", told, str(path))
            for stream, given in ((sys.stdout, out), (sys.stderr, said)):
                for line in given.decode(errors="replace").splitlines():
                    print(printable(line), file=stream)
            raise typer.Exit(code)
        folder = path.parent if path.name == "sweep.h5" else path
        if (folder / "sweep.json").exists():
            _sweep(folder, what, as_json, whole)
        else:
            _run(path, what, as_json, whole)


def _run(path: Path, what: str | None, as_json: bool, whole: bool) -> None:
    from synsim import api
    from synsim.inspection import words
    from synsim.inspection.detail import component_names, detail
    from synsim.inspection.looking import MOST
    from synsim.inspection.summary import provenance, summary

    most = None if whole else MOST
    with api.open(path) as run:
        first = (what or "").strip("/").replace("/", ".")
        if first == "provenance":
            told = provenance(run)
            _show(told, words.provenance_lines(told), as_json)
        elif first == "config.yaml":
            text = run.config_text
            _show(text, words.text_lines(text), as_json)
        elif first == "config" or first.startswith("config."):
            _config(run.config, path, first.partition(".")[2], as_json)
        elif first in component_names(run):
            told = summary(run, most, first)
            _show(told, words.lines(told), as_json)
        elif what:
            told = detail(run, what, most)
            _show(told, words.detail_lines(told), as_json)
        else:
            told = summary(run, most)
            _show(told, words.lines(told), as_json)


def _config(config: dict[str, Any], path: Path, place: str, as_json: bool) -> None:
    """The config as it was run, or a part of it."""
    import yaml

    from synsim.faults import ConfigError, suggest

    part: Any = config
    for at, name in enumerate(place.split(".") if place else ()):
        if at == 0 and isinstance(part, dict) and name not in part:
            part = part.get("components", {})
        found = part.get(name) if isinstance(part, dict) else None
        if found is None and not (isinstance(part, dict) and name in part):
            keys = list(part) if isinstance(part, dict) else []
            raise ConfigError(f"the config of {path} has no {place}.{suggest(name, keys)}")
        part = found
    text = yaml.safe_dump(part, sort_keys=False, allow_unicode=True, width=120)
    _show(part, text.removesuffix("...\n").splitlines(), as_json)


def _sweep(path: Path, what: str | None, as_json: bool, whole: bool) -> None:
    from synsim.inspection.sweep import sweep_detail, sweep_detail_lines, sweep_lines, sweep_summary
    from synsim.inspection.words import text_lines
    from synsim.sweeps.ledger import Ledger

    ledger = Ledger.open(path)
    if not what:
        about = sweep_summary(ledger)
        _show(about, sweep_lines(about), as_json)
        return
    number, _, rest = what.partition("/")
    if number.isascii() and number.isdigit():
        _run(_file_of(ledger, int(number)), rest or None, as_json, whole)
    elif what in ("config", "config.yaml"):
        _show(ledger.text, text_lines(ledger.text), as_json)
    else:
        told = sweep_detail(ledger, what)
        _show(told, sweep_detail_lines(told), as_json)


def _file_of(ledger: Any, number: int) -> Path:
    from synsim.faults import ConfigError, StoreError

    if number >= len(ledger.points):
        raise ConfigError(f"there is no point {number} in {ledger.directory}: it has {len(ledger.points):,}, from 0 on")
    file = ledger.point_file(number)
    if not file.exists():
        raise StoreError(f"point {number} of {ledger.directory} is not done: synsim status {ledger.directory}")
    return file


def _show(document: Any, lines: list[str], as_json: bool) -> None:
    print(json.dumps(document, indent=1) if as_json else "\n".join(lines))
