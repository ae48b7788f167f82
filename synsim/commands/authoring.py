"""What helps to write a config: component types, its schema, examples."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Annotated

import typer

from synsim import completion
from synsim.commands.app import app
from synsim.commands.options import DebugOption, JsonOption, PluginOption
from synsim.terminal import errors, say, tell


@app.command(epilog="Example: synsim components LIFCell")
def components(
    type_name: Annotated[
        str | None, typer.Argument(metavar="[TYPE]", help="One type in full.", autocompletion=completion.types)
    ] = None,
    search: Annotated[
        str | None,
        typer.Option(metavar="WORDS", help="Types whose name, text, settings or compartments hold all these words."),
    ] = None,
    as_json: JsonOption = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="The reference page of all types, or of one.")] = False,
    plugins: PluginOption = None,
    debug: DebugOption = False,
) -> None:
    """List component types, or show one in full.

    One type: its equation, settings with units and bounds, compartments, methods and source.
    """
    with errors(debug):
        from synsim import catalogue, describe, reference
        from synsim.faults import ConfigError, suggest

        _admit(plugins)
        types = catalogue.types()
        if type_name is not None and type_name not in types:
            raise ConfigError(
                f"there is no component type {type_name!r}.{suggest(type_name, types)} `synsim components` lists all."
            )
        cards = [describe.card(name) for name in ([type_name] if type_name else types)]
        if search is not None:
            found = reference.search(cards, search)
            if as_json:
                print(json.dumps([{**card, "found": hits} for card, hits in found], indent=1))
            elif found:
                print("\n".join(reference.search_lines(found)))
            else:
                say([f"no component type speaks of {search!r}; `synsim components` lists all"])
        elif as_json:
            print(json.dumps(cards[0] if type_name else cards, indent=1))
        elif markdown and type_name:
            print("\n".join(reference.card_markdown(cards[0])))
        elif markdown:
            print("\n".join(reference.page()))
        else:
            lines = reference.card_lines(cards[0]) if type_name else reference.catalogue_lines(cards)
            print("\n".join(lines))


def _admit(plugins: list[str] | None) -> None:
    """Import the plugins that the command line names; say what is wrong with those of installed packages."""
    from synsim import catalogue
    from synsim.faults import ConfigError
    from synsim.plugins import BadPlugin

    for name in plugins or ():
        try:
            catalogue.admit(name, Path.cwd())
        except BadPlugin as bad:
            raise ConfigError(f"the plugin {bad}") from None
    say(f"warning: {bad}" for bad in catalogue.broken())


@app.command(epilog="Example: synsim schema")
def schema(plugins: PluginOption = None, debug: DebugOption = False) -> None:
    """Print the JSON Schema of a config: synsim schema > synsim.schema.json.

    Editors with a YAML language server complete, explain and underline by it where a config begins with the line
    # yaml-language-server: $schema=./synsim.schema.json
    """
    with errors(debug):
        from synsim.schema import schema as written

        _admit(plugins)
        print(json.dumps(written(), indent=1))


@app.command(epilog="Example: synsim init lif.yaml --from lif_fi")
def init(
    path: Annotated[
        str, typer.Argument(metavar="[PATH]", help="The config to be written: config.yaml, or - for standard output.")
    ] = "",
    example: Annotated[
        str | None,
        typer.Option("--from", metavar="NAME", help="A shipped example.", autocompletion=completion.examples),
    ] = None,
    show: Annotated[bool, typer.Option("--list", help="List the shipped examples.")] = False,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Write a commented starter config, or a shipped example, with its schema for editors beside it.

    Nothing is overwritten.
    """
    with errors(debug):
        from synsim import starting
        from synsim.faults import ConfigError

        if show:
            known = starting.examples().values()
            if as_json:
                print(json.dumps([{"name": each.name, "title": each.title} for each in known], indent=1))
            else:
                width = max(len(each.name) for each in known)
                print("\n".join(f"{each.name.ljust(width)}  {each.title}" for each in known))
            return
        if as_json:
            raise ConfigError("--json goes with --list")
        source = starting.chosen(example) if example is not None else None
        if path == "-":
            print(starting.text(source, Path("config.yaml")), end="")
            return
        target = starting.place(path or "./", source)
        written = starting.write(target, source)
        for name in written.missing:
            tell(f"{target} reads {name}, which is not shipped: put it beside the config")
        if written.old_schema:
            tell(f"{starting.SCHEMA} is of another version and stays; to renew it: synsim schema > {starting.SCHEMA}")
        print(target)
        tell(f"to run it: synsim {written.command} {shlex.quote(str(target))}")
