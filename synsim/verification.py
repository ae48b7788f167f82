"""Whether what a run left is as it was written, file by file, and what of it is still good."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synsim.checkpoint import decode
from synsim.faults import Fault, MissingInput, StoreError
from synsim.files import opened_seal, read_regular, seal_fault
from synsim.reading import Run
from synsim.segments import SEGMENT
from synsim.store import CHECKPOINT, read_status


@dataclass(frozen=True)
class Verdict:
    """One file, and what is wrong with it: None where it is as it was written."""

    path: Path
    fault: str | None


@dataclass(frozen=True)
class Verification:
    """All files of a run, and what can be made of them."""

    verdicts: tuple[Verdict, ...]
    good: str  # what is still good, in words

    @property
    def damaged(self) -> tuple[Verdict, ...]:
        """The files that are not as they were written."""
        return tuple(each for each in self.verdicts if each.fault)


def verify(path: str | Path) -> Verification:
    """Hold every file of a run, or one result file, against its digest. MissingInput where there is none."""
    path = Path(path)
    if not path.exists():
        raise MissingInput(Fault(f"{path}: no such file or directory"))
    if not path.is_dir():
        verdict = Verdict(path, sealed(path))
        return Verification((verdict,), "nothing" if verdict.fault else f"{path} is as it was written")
    if not (path / "status.json").exists() and not (path / "seg").exists():
        raise MissingInput(Fault(f"{path} is not the folder of a synsim run"))
    verdicts = tuple(_folder(path))
    return Verification(verdicts, _good(path, verdicts))


def checkpointed(directory: Path, known: int) -> int:
    """The step of the newest sound checkpoint, or `known`: a full disk may keep status.json from telling of it."""
    found = {path: int(m[1]) for path in (directory / "ckpt").glob("*") if (m := CHECKPOINT.fullmatch(path.name))}
    newer = sorted((path for path, step in found.items() if step > known), key=found.__getitem__, reverse=True)
    return next((found[path] for path in newer if _checkpoint(path) is None), known)


def _folder(path: Path) -> Iterator[Verdict]:
    status = path / "status.json"
    name = path.name
    try:
        name = read_status(path).get("name", name)
        yield Verdict(status, None)
    except StoreError as error:
        yield Verdict(status, str(error).removeprefix(f"{status} "))
    result = path / f"{name}.h5"
    if result.exists():
        yield Verdict(result, sealed(result))
    for each in sorted((path / "seg").glob("[!.]*.h5")):
        yield Verdict(each, sealed(each))
    for each in sorted((path / "ckpt").glob("[!.]*.npz")):
        yield Verdict(each, _checkpoint(each))
    config = path / "config.yaml"
    if config.exists() or result.exists() or (path / "seg" / "head.h5").exists():  # it is written before these
        yield Verdict(config, _config(path, result))


def sealed(path: Path) -> str | None:
    """What is wrong with a sealed file, or None."""
    try:
        return seal_fault(path)
    except OSError as error:
        return error.strerror or str(error)


def _checkpoint(path: Path) -> str | None:
    try:
        decode(opened_seal(read_regular(path)))
    except OSError as error:
        return error.strerror or str(error)
    except ValueError as error:
        return str(error)
    return None


def _config(folder: Path, result: Path) -> str | None:
    """What is wrong with the copy of the config: it has to be the text that the run's file holds."""
    try:
        data = read_regular(folder / "config.yaml", most=1 << 20)
    except OSError as error:
        return error.strerror or str(error)
    for described in (result, folder / "seg" / "head.h5"):
        if described.exists() and sealed(described) is None:
            with suppress(StoreError), Run(described) as left:
                same = hashlib.sha256(data).digest() == hashlib.sha256(left.config_text.encode()).digest()
                return None if same else "it is not the config that the run was started with"
    return None


def _good(path: Path, verdicts: tuple[Verdict, ...]) -> str:
    sound = {each.path.name for each in verdicts if each.fault is None}
    name: Any = next((each.path for each in verdicts if each.path.suffix == ".h5" and each.path.parent == path), None)
    if name is not None:
        if name.name in sound:
            return f"{name} is complete and as it was written"
        if not (path / "seg").exists():
            return "nothing: the finished file is damaged; --overwrite computes it again"
    steps = 0
    for first, last in sorted((int(m[1]), int(m[2])) for each in sound if (m := SEGMENT.fullmatch(each))):
        if first <= steps < last:
            steps = last
    points = [int(m[1]) for each in sound if (m := CHECKPOINT.fullmatch(each)) and int(m[1]) <= steps]
    again = f"; --resume goes on from step {max(points):,}" if points else "; --resume starts again from step 0"
    return (f"the records of steps 0 to {steps:,}" if steps else "no record") + again


def document(found: Verification) -> dict[str, Any]:
    """A verification as JSON."""
    files = [{"path": str(each.path), "fault": each.fault} for each in found.verdicts]
    return {"files": files, "damaged": len(found.damaged), "good": found.good}
