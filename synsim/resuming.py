"""Going on with what an earlier start left: whose run it is, from which checkpoint, and what forbids it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synsim.checkpoint import Checkpoint, decode
from synsim.config import load
from synsim.faults import ConfigError, StoreError
from synsim.files import seal_fault
from synsim.reading import Run, read_status
from synsim.spec import ConfigFile, Spec

if TYPE_CHECKING:
    from synsim.plan import RunPlan
    from synsim.store import Writer


def left_spec(directory: Path, allow_plugins: bool = False) -> Spec:
    """The spec of the run in a folder, as it was when it was started, without the files that its config extends.

    Raises ConfigError where none is there, or it asks for plugins that are not allowed; StoreError where all that
    describes it is damaged.
    """
    faults: list[str] = []
    for path in _descriptions(directory):
        try:
            if fault := seal_fault(path):
                faults.append(f"{path}: {fault}")
                continue
            with Run(path) as run:
                text, resolved, origin = run.config_text, run.config, run.provenance
            break
        except FileNotFoundError:
            continue
        except OSError as error:
            faults.append(f"{path}: {error.strerror or error}")
        except StoreError as error:
            faults.append(str(error))
    else:
        if faults:
            raise StoreError(f"{'; '.join(faults)}; give its config in place of {directory}")
        raise ConfigError(f"nothing to go on with in {directory}; start it by its config")
    left: dict[str, Any] = {}
    with suppress(StoreError):
        left = read_status(directory)
    folder = Path(left.get("folder", directory))
    # where it stood decides which files it names; its text goes into the file
    spec = load(
        resolved,
        allow_plugins=allow_plugins,
        folder=folder,
        plugin_folder=Path(left.get("plugin_folder", folder)),
    )
    with suppress(ValueError, TypeError):  # else it is not known what the config was read from
        files = tuple(ConfigFile(**file) for file in json.loads(str(origin.get("files", "[]"))))
        environment = dict(json.loads(str(origin.get("environment", "{}"))))
        spec = replace(spec, files=files, environment=environment)
    return replace(spec, text=text, filename=str(directory / "config.yaml"), directory=folder)


def _descriptions(directory: Path) -> Iterator[Path]:
    """Files that say what is run in a folder; the first may turn into the second at any moment."""
    yield directory / "seg" / "head.h5"
    yield from sorted(directory.glob("*.h5"))


def refuse_other(writer: Writer, it: RunPlan) -> None:
    """Raises where the finished run is damaged, or that of another config."""
    left = writer.stored()
    if left is None:
        raise StoreError(f"{writer.target} is damaged; --overwrite computes it again")
    with left:
        if changes := differences(left.config, json.loads(it.layout.config_resolved)):
            raise ConfigError(_changed(writer.directory, changes))


def last_point(
    writer: Writer,
    it: RunPlan,
    prints: Mapping[str, str],
    accept_drift: bool,
    note: Callable[[str], None],
    misfit: Callable[[Checkpoint, RunPlan], str | None] = lambda *_: None,
) -> tuple[Checkpoint | None, list[str]]:
    """The checkpoint to go on from, or None for a start anew; and what has changed since.

    `misfit` says why a checkpoint is none of this run. Raises ConfigError where the config has changed, or something
    that changes numbers has and is not accepted.
    """
    left = writer.stored()
    if left is not None:
        with left:
            changes = differences(left.config, json.loads(it.layout.config_resolved))
    else:
        changes = []
    damaged = False
    for step, data in writer.checkpoints():
        try:
            point = decode(data)
            if point.step != step:
                raise ValueError(f"it is of step {point.step:,}")
        except ValueError as error:
            note(f"the checkpoint at step {step:,} cannot be used: {error}")
            continue
        if changes:
            raise ConfigError(_changed(writer.directory, changes))
        if point.fingerprint.get("config") != prints.get("config"):
            # left by a run that this one took the place of just before the power was lost
            note(f"the checkpoint at step {step:,} cannot be used: it is of another config")
            continue
        if point.fingerprint.get("numbers") != prints["numbers"]:
            raise ConfigError(
                f"{writer.directory}: a file that the config names has other numbers than when the run was started; "
                "put it back, or start anew with --overwrite"
            )
        if fault := writer.fault(point.step):
            note(f"cannot go on from step {point.step:,}: {fault}")
            damaged = True
            continue
        drift = point.drift(prints)
        if drift and not accept_drift:
            raise ConfigError(
                f"{writer.directory}: the rest would not be the same bit by bit, for there is another "
                f"{'; '.join(drift).removeprefix('the ')}; --accept-drift goes on all the same, --overwrite starts anew"
            )
        if fault := misfit(point, it):
            note(f"the checkpoint at step {step:,} cannot be used: {fault}")
            continue
        for each in drift:
            note(f"going on although {each} has changed")
        note(f"going on from step {point.step:,} of {it.steps:,}")
        return point, drift
    if damaged:
        note("what was saved is damaged: starting again from step 0, which gives the same numbers")
    return None, []


def _changed(directory: Path, changes: list[str]) -> list[str]:
    return [
        *(f"{directory}: {change}" for change in changes[:20]),
        f"{directory}: the config is not the one that this run was started with; take that, or another --name",
    ]


def differences(old: Any, new: Any, path: str = "") -> list[str]:
    """Where two resolved configs differ: a line each, `z.tau_m was 10 and is 20`."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        found = []
        for key in [*old, *(key for key in new if key not in old)]:
            inner = f"{path}.{key}" if path else str(key)
            found += differences(old.get(key), new.get(key), inner)
        if not found and list(old) != list(new):
            found.append(f"{path or 'the config'} has another order")
        return found
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        pairs = enumerate(zip(old, new, strict=True))
        return [line for i, (a, b) in pairs for line in differences(a, b, f"{path}.{i}")]
    return [] if old == new else [f"{path.removeprefix('components.')} was {_told(old)} and is {_told(new)}"]


def _told(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
