"""Arguments and options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

from synsim import completion

ConfigArgument = Annotated[
    str,
    typer.Argument(metavar="CONFIG", help="A YAML file, or - for standard input.", autocompletion=completion.configs),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="PATH=VALUE",
        help="Override a value of the config, as z.tau_m=20 or run.steps=500; repeatable.",
        autocompletion=completion.overrides,
    ),
]
DeviceOption = Annotated[
    str | None,
    typer.Option(help="auto, cpu, gpu, tpu, or one of several as cuda:1.", autocompletion=completion.devices),
]
PrecisionOption = Annotated[str | None, typer.Option(help="float32 or float64.", autocompletion=completion.precisions)]
SeedOption = Annotated[int | None, typer.Option(help="Seed of everything random.")]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]
SandboxOption = Annotated[
    bool, typer.Option("--sandbox", help="Read .h5 files in a process of their own, which they may crash.")
]
PluginsOption = Annotated[
    bool,
    typer.Option("--allow-plugins", help="Import the modules that the config names under plugins: runs their code."),
]
PluginOption = Annotated[
    list[str] | None,
    typer.Option("--plugin", metavar="MODULE", help="Import a module, which runs it, and take in its types too."),
]
DebugOption = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
