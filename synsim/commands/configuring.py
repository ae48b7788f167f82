"""What `run`, `sweep` and `check` do with the config they are given."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from synsim.terminal import say

if TYPE_CHECKING:
    from synsim.guesses import Guess
    from synsim.plan import RunPlan
    from synsim.spec import Spec


def load(
    config: str,
    overrides: list[str] | None,
    device: str | None = None,
    precision: str | None = None,
    seed: int | None = None,
    name: str | None = None,
    allow_plugins: bool = False,
    fallback: str | None = None,
) -> Spec:
    """The config, its faults all at once as a ConfigError; `fallback` names it where nothing else does."""
    from synsim.preflight import refuse_small_address_space

    if "jaxlib" not in sys.modules:
        refuse_small_address_space()
    from synsim import config as configs

    given = {
        "--device": ("run.device", device),
        "--precision": ("run.precision", precision),
        "--seed": ("seed", seed),
        "--name": ("name", name),
    }
    return configs.load(
        config,
        overrides=overrides or [],
        options={option: (path, value) for option, (path, value) in given.items() if value is not None},
        allow_plugins=allow_plugins,
        name=fallback,
    )


def guessed(config: str, *given: Any) -> Guess | None:
    """What a config with these settings will need, if it was run before, which is being loaded from now on."""
    from synsim.guesses import guess_of
    from synsim.preflight import refuse_small_address_space

    guess = guess_of(config, given)
    if guess is not None and guess.programs:
        if "jaxlib" not in sys.modules:
            refuse_small_address_space()
        if guess.one_thread:
            from synsim.threads import take_one

            take_one()
        from synsim.kept_programs import preload

        preload(guess)
    return guess


def warn(spec: Spec) -> None:
    """Say what is doubtful in a config."""
    say(spec.render(spec.warnings, "warning"))


def refuse_settings(folder: str, given: Mapping[str, Any]) -> None:
    """The folder of a run or a sweep cannot be gone on with by other settings. Raises ConfigError that names them."""
    from synsim.faults import ConfigError

    written = [option for option, value in given.items() if value]
    if written:
        raise ConfigError(f"{folder} says itself what is run and where: leave {' and '.join(written)} away")


def print_plan(it: RunPlan) -> None:
    """What would be run: components, wires, order, sizes."""
    from synsim.pages import plan_lines

    for line in plan_lines(it):
        print(line)
