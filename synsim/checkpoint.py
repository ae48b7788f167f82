"""What a run needs to go on from where it stood: its state, its place, and a fingerprint of what makes the numbers.

A checkpoint is an .npz without pickles. `encode` and `decode` are each other's inverse; whoever keeps the bytes sees
to it that damage is noticed (`files.sealed`).
"""

from __future__ import annotations

import io
import json
import math
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

FORMAT = 1
_NESTED = ("state", "readouts")
Arrays = Mapping[str, Mapping[str, np.ndarray]]

DRIFT = {
    "synsim": "the version of synsim",
    "jax": "the version of jax",
    "jaxlib": "the version of jaxlib",
    "device": "the device",
    "cpu_features": "what the CPU can do",
    "prng": "the random number generator of jax",
    "xla_flags": "XLA_FLAGS",
    "plugins": "the code of plugins",
}
"""What may change a last digit, or every number, without a word in the config: entry of a fingerprint, in words."""


@dataclass(frozen=True)
class Checkpoint:
    """The state after `step` steps of the run, which is before step `k` of trial `trial` of phase `phase`."""

    step: int
    phase: int
    trial: int
    k: int
    state: Arrays  # {component: {compartment: array}}
    held: Mapping[str, np.ndarray] = field(default_factory=dict)  # recorded inlets, as last read
    readouts: Arrays = field(default_factory=dict)  # what the phases before showed at their end
    chunk_steps: Mapping[str, int] = field(default_factory=dict)  # by phase: the measured length of a chunk
    fingerprint: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0  # of work so far
    resumes: int = 0
    bad: tuple[int, ...] = ()  # by lane of a sweep: the first step with a value that is not finite

    def drift(self, now: Mapping[str, str]) -> list[str]:
        """What of the fingerprint is different now, in words; the config is not part of it."""
        return [
            f"{words} ({_short(self.fingerprint.get(name, ''))} then, {_short(now.get(name, ''))} now)"
            for name, words in DRIFT.items()
            if self.fingerprint.get(name, "") != now.get(name, "")
        ]


def _short(text: str) -> str:
    return (text if len(text) <= 40 else f"{text[:37]}...") or "none"


def encode(point: Checkpoint) -> bytes | memoryview:
    """The bytes of a checkpoint: the same for the same content."""
    about = {
        "format": FORMAT,
        **{name: getattr(point, name) for name in ("step", "phase", "trial", "k", "seconds", "resumes")},
        "bad": [int(step) for step in point.bad],
        "chunk_steps": dict(point.chunk_steps),
        "fingerprint": dict(point.fingerprint),
    }
    arrays = {f"held/{path}": value for path, value in point.held.items()}
    for kind in _NESTED:
        for outer, inner in getattr(point, kind).items():
            arrays |= {f"{kind}/{outer}/{name}": value for name, value in inner.items()}
    buffer = io.BytesIO()
    # np.savez would take an array called "file" for its own argument, so the names stand in a list of their own
    names = sorted(arrays)
    text = np.frombuffer(json.dumps({**about, "names": names}).encode(), np.uint8)
    members: dict[str, Any] = {"about": text} | {f"a{i}": np.asarray(arrays[name]) for i, name in enumerate(names)}
    np.savez(buffer, **members)
    return buffer.getbuffer()  # without a copy of what may be large


def decode(data: bytes | memoryview) -> Checkpoint:
    """The checkpoint that `encode` made bytes of. A ValueError for anything else."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            # what `encode` makes is not compressed, and so no larger than it looks
            if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
                raise ValueError("it is compressed")
        with np.load(io.BytesIO(data), allow_pickle=False) as held:
            about: dict[str, Any] = json.loads(held["about"].tobytes())
            if about.pop("format") != FORMAT:
                raise ValueError("it is of another version of synsim")
            nested: dict[str, dict[str, dict[str, np.ndarray]]] = {kind: {} for kind in _NESTED}
            inlets = {}
            for i, path in enumerate(about.pop("names")):
                kind, _, rest = path.partition("/")
                if kind == "held":
                    inlets[rest] = held[f"a{i}"]
                else:
                    outer, _, name = rest.partition("/")
                    nested[kind].setdefault(outer, {})[name] = held[f"a{i}"]
        place = {name: int(about.pop(name)) for name in ("step", "phase", "trial", "k", "resumes")}
        seconds = float(about.pop("seconds"))
        bad = tuple(int(step) for step in about.pop("bad", ()))
        chunks = {str(phase): int(length) for phase, length in about.pop("chunk_steps").items()}
        prints = {str(name): str(value) for name, value in about.pop("fingerprint").items()}
        if about or min(place.values()) < 0 or not math.isfinite(seconds):
            raise ValueError("it says what no checkpoint says")
        return Checkpoint(
            **place,
            state=nested["state"],
            readouts=nested["readouts"],
            held=inlets,
            chunk_steps=chunks,
            fingerprint=prints,
            seconds=seconds,
            bad=bad,
        )
    except (
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        ArithmeticError,
        OSError,
        EOFError,
        MemoryError,
        RuntimeError,
        zipfile.BadZipFile,
    ) as error:
        raise ValueError(f"not a checkpoint ({' '.join(str(error).split())[:200]})") from error
