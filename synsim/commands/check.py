"""`synsim check`: what a config says, and what is wrong with it."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from synsim import completion
from synsim.commands import configuring
from synsim.commands.app import app
from synsim.commands.options import DebugOption, JsonOption, PluginsOption, SandboxOption, SetOption
from synsim.terminal import errors, say


@app.command(epilog="Example: synsim check configs/lif_fi.yaml")
def check(
    configs: Annotated[
        list[str],
        typer.Argument(
            metavar="CONFIG...", help="YAML files, or - for standard input.", autocompletion=completion.configs
        ),
    ],
    overrides: SetOption = None,
    resolved: Annotated[
        bool, typer.Option("--resolved", help="Print the config with every default filled in.")
    ] = False,
    diff: Annotated[
        bool,
        typer.Option("--diff", help="Show what differs between two configs, defaults filled in. Exit code 1 if any."),
    ] = False,
    as_json: JsonOption = False,
    allow_plugins: PluginsOption = False,
    sandbox: SandboxOption = False,
    debug: DebugOption = False,
) -> None:
    """Check configs without compiling them.

    Shows faults, the resolved components and parts, shapes, wires, order, memory and file size.
    """
    from synsim.faults import ConfigError, render
    from synsim.garbage import left_alone
    from synsim.sandbox import sandboxed

    if diff:
        _diff(configs, overrides, resolved, as_json, allow_plugins, debug)
    worst, documents = 0, []
    with errors(debug), sandboxed(sandbox):
        for config in configs:
            spec = None
            try:
                with left_alone():
                    spec = configuring.load(config, overrides, allow_plugins=allow_plugins)
                    from synsim.sweeps.pages import sweep_document, sweep_lines
                    from synsim.sweeps.parameters import sweep_of

                    sweep = None if spec.sweep is None else sweep_of(spec)
                    from synsim.device import planned
                    from synsim.doubts import doubts
                    from synsim.pages import plan_document

                    it = planned(spec)
            except ConfigError as error:
                if debug:
                    raise
                lines = spec.render(error) if spec is not None else render(error.faults)
                worst = max(worst, error.exit_code)
                documents.append({"config": config, "ok": False, "errors": lines})
                say(lines)
                continue
            warnings = spec.render([*spec.warnings, *doubts(it)], "warning")
            say(warnings)
            if as_json:
                documents.append(
                    {
                        "config": config,
                        "ok": True,
                        "errors": [],
                        "warnings": warnings,
                        **plan_document(it),
                        **({} if sweep is None else {"sweep": sweep_document(sweep)}),
                        **({"resolved": spec.resolved()} if resolved else {}),
                    }
                )
            elif resolved:
                import yaml

                print(yaml.safe_dump(spec.resolved(), sort_keys=False, allow_unicode=True, width=120), end="")
            else:
                configuring.print_plan(it)
                if sweep is not None:
                    print()
                    print("\n".join(sweep_lines(sweep)))
    if as_json:
        print(json.dumps(documents[0] if len(configs) == 1 else documents, indent=1))
    raise typer.Exit(worst)


def _diff(
    configs: list[str],
    overrides: list[str] | None,
    resolved: bool,
    as_json: bool,
    allow_plugins: bool,
    debug: bool,
) -> None:
    with errors(debug):
        from synsim import comparing
        from synsim.faults import ConfigError

        if len(configs) != 2:
            raise ConfigError(f"--diff compares two configs, and here {'is one' if len(configs) == 1 else 'are more'}")
        if resolved:
            raise ConfigError("--resolved shows one config and --diff compares two: give one of them")
        faults, specs = [], []
        for config in configs:
            try:  # a name that neither of them says is the same for both
                specs.append(configuring.load(config, overrides, allow_plugins=allow_plugins, fallback="config"))
            except ConfigError as error:
                faults.append(error)
        if faults:
            raise ConfigError(list(dict.fromkeys(fault for error in faults for fault in error.faults)))
        one, other = configs
        found = comparing.differences(*specs)
        if as_json:
            print(json.dumps(comparing.document(one, other, found), indent=1))
        else:
            for line in comparing.lines(one, other, found):
                print(line)
        raise typer.Exit(1 if found else 0)
