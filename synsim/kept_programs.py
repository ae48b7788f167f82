"""What a run leaves to the next start: its compiled programs, to be loaded and run at once.

JAX keeps what XLA compiled too, but finds it only by what a model is lowered to, and to trace and lower a network takes
longer than all else of a start. Here the programs of a config are found by what decides them: the resolved config, the
code of synsim, the versions of JAX, its settings, the device and its CPU, and the numbers that are constants in them.
Where that is new, as with another seed, a program is found by what it is lowered to, like those of JAX. It is the same
machine code either way, so no number depends on whether it was kept. Whatever is not as it should be is left aside, and
the program is made anew.

A folder of kept programs holds `KEY-start`, which says what a start of a config needs, and `DIGEST-program`, sealed.
"""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jaxlib.version
import numpy as np

from synsim.device import find_device, use_compilation_cache
from synsim.engine import Carry
from synsim.files import opened_seal, read_regular, seal
from synsim.guesses import Guess, put
from synsim.plan import PhasePlan
from synsim.programs import Programs
from synsim.spec import Spec
from synsim.threads import VARIABLES, one_is_enough

FORMAT = 1
LARGEST = 24 << 20  # bytes of machine code that are kept
MOST = 24  # programs of a config: those that it needed first are loaded at each start


class KeptPrograms(Programs):
    """The programs of a phase, of which those that an earlier start left are not made again."""

    def __init__(self, phase: PhasePlan, start: Start):
        super().__init__(phase)
        self._start = start
        self.chunk_steps = start.chunk_steps.get(phase.name)
        start.phases.append(self)
        constants, given = hashlib.sha256(), set(self._given_at)
        for i, leaf in enumerate(self._leaves):
            if i not in given:
                constants.update(f"{_signature(leaf)} ".encode() + np.ascontiguousarray(leaf).tobytes())
        self._constants = constants.hexdigest()

    def _made(self, what: Callable[..., Any], static: tuple, args: tuple) -> Callable[..., Any]:
        leaves, tree = jax.tree.flatten((self._given, *args))
        name = [self.phase.index, what.__name__, static, str(tree), [_signature(leaf) for leaf in leaves]]
        key = hashlib.sha256(f"{self._constants} {json.dumps(name)}".encode()).hexdigest()
        made = self._start.program(key)
        if made is None:
            self._key, self._arguments = key, len(leaves)
            # lowered for shapes alone: what a loaded program gave says more of where it is than what JAX gave
            made = super()._made(what, static, jax.tree.map(lambda x: jax.ShapeDtypeStruct(np.shape(x), x.dtype), args))
        return made

    def _compiled_of(self, lowered: Any) -> Callable[..., Any]:
        return self._start.compiled(self._key, lowered, self._arguments, super()._compiled_of)


_guessed: dict[Path, Future[Callable[..., Any] | None]] = {}  # what is being loaded before it is asked for


def preload(guess: Guess) -> None:
    """Begin to load the programs that a command is expected to need."""
    thread, device = ThreadPoolExecutor(1, "guesses"), find_device("cpu")
    for file in guess.programs:
        _guessed[file] = thread.submit(_load, file, device)
    thread.shutdown(wait=False)


class Start:
    """One start of a config: what earlier starts of it left, which is being loaded, and what this one adds."""

    def __init__(self, folder: Path, spec: Spec, device: Any):
        self._folder, self._spec, self._device = folder, spec, device
        self._about = json.dumps(_circumstances(device))
        decides = f"{self._about} {_code()} {json.dumps({**spec.resolved(), 'name': None})}"
        self._path = folder / f"{hashlib.sha256(decides.encode()).hexdigest()}-start"
        left = _read_start(self._path)
        self._shapes, self._programs = left.shapes, left.programs
        self.chunk_steps = left.chunk_steps  # by phase: the length of a chunk that an earlier start measured
        self.phases: list[KeptPrograms] = []
        self._used: dict[str, str] = {}  # programs, in the order in which they were needed
        self._thread = ThreadPoolExecutor(1, "programs")
        self._loading = {
            file: _guessed.pop(folder / file, None) or self._thread.submit(_load, folder / file, device)
            for file in self._programs.values()
        }

    def __contains__(self, structure: Any) -> bool:
        """Whether a graph of this structure was checked at an earlier start."""
        return _digest_of_shapes(structure) in self._shapes

    def update(self, structures: Iterable[Any]) -> None:
        """Take in structures of graphs that were found right."""
        self._shapes |= {_digest_of_shapes(structure) for structure in structures}

    def program(self, key: str) -> Callable[..., Any] | None:
        """The program of that key, or None."""
        file = self._programs.get(key, "")
        loading = self._loading.get(file)
        program = None if loading is None else loading.result()
        if program is not None:
            self._used[key] = file
        return program

    def compiled(self, key: str, lowered: Any, arguments: int, compiling: Callable[[Any], Any]) -> Callable[..., Any]:
        """What was lowered, as an earlier start compiled it or compiled now, and kept under that key."""
        digest = hashlib.sha256(f"{self._about} {lowered.as_text()}".encode())
        file = f"{digest.hexdigest()}-program"
        loading = _guessed.pop(self._folder / file, None)
        program = _load(self._folder / file, self._device) if loading is None else loading.result()
        if program is not None:
            self._thread.submit(self._tell, key, file)
            return program
        compiled = compiling(lowered)
        self._thread.submit(self._keep, key, file, compiled, arguments)  # beside whatever goes on meanwhile
        return compiled

    def end(self, complete: bool, guess: Guess | None) -> None:
        """Wait until all is kept, and let the command that this is be known by what it needs.

        What a complete run did without is not loaded again.
        """
        self._thread.shutdown(wait=True)
        measured = {each.phase.name: each.chunk_steps for each in self.phases if each.chunk_steps}
        left = self._programs, self.chunk_steps
        self.chunk_steps = self.chunk_steps | measured
        if complete:
            self._programs = self._used
        if left != (self._programs, self.chunk_steps):
            self._write()
        if guess is not None:
            guess.leave((self._folder / file for file in self._programs.values()), one_is_enough(self._spec))

    def _keep(self, key: str, file: str, compiled: Any, arguments: int) -> None:
        with suppress(Exception):  # no run fails because it cannot be kept for the next
            executable = compiled.runtime_executable()
            outcome = _written(jax.tree.unflatten(compiled.out_tree, range(compiled.out_tree.num_leaves)))
            machine_code = executable.serialize()
            # a program may hold arrays of its own, which it then takes as further arguments
            if len(executable.get_parameter_layouts()) == arguments and len(machine_code) <= LARGEST:
                head = json.dumps({"file": file, "arguments": arguments, "outcome": outcome}).encode()
                content = head + b"\n" + zlib.compress(machine_code, 1)
                put(self._folder / file, content + seal(hashlib.sha256(content)))
                self._tell(key, file)

    def _tell(self, key: str, file: str) -> None:
        """Let later starts of this config load the program at once."""
        if len(self._programs) < MOST:
            self._programs[key] = self._used[key] = file
            self._write()

    def _write(self) -> None:
        left = _Left(sorted(self._shapes), self._programs, self.chunk_steps)
        with suppress(OSError):
            put(self._path, json.dumps({"format": FORMAT, **left._asdict()}).encode())


def _load(path: Path, device: Any) -> Callable[..., Any] | None:
    """A program that was kept, or None where there is none of use, whatever the reason: it is made anew then."""
    with suppress(Exception):
        head, _, packed = opened_seal(read_regular(path)).partition(b"\n")
        about = json.loads(head)
        if about["file"] == path.name:
            os.utime(path)
            return _Loaded(device, about, zlib.decompress(packed))
    return None


class _Loaded:
    """A compiled program that an earlier start left."""

    def __init__(self, device: Any, head: dict[str, Any], machine_code: bytes):
        from jaxlib.xla_client import DeviceList

        self._device, self._arguments = device, head["arguments"]
        self._tree = jax.tree.structure(_outcome(head["outcome"]))
        self._run = device.client.deserialize_executable(machine_code, DeviceList((device,)), None)

    def __call__(self, *args: Any) -> Any:
        leaves = jax.tree.leaves(args)
        if len(leaves) != self._arguments:
            raise TypeError(f"the program takes {self._arguments} arrays and is given {len(leaves)}")
        return jax.tree.unflatten(self._tree, self._run.execute(jax.device_put(leaves, self._device)))


@contextmanager
def start_of(spec: Spec, device: Any, guess: Guess | None = None) -> Iterator[Start | None]:
    """What is kept for a config; None where JAX keeps it, for the code of others and on other devices than CPUs, and
    where nothing can be kept.

    At its end all is kept that there is to keep; `guess` is what the command was expected to need.
    """
    ours = device.platform == "cpu" and not json.loads(spec.origin()["plugins"])
    folder = use_compilation_cache(device, by_jax=not ours)
    if folder is None or not ours:
        yield None
        return
    start, complete = Start(folder, spec, device), False
    try:
        yield start
        complete = True
    finally:
        start.end(complete, guess)


def _circumstances(device: Any) -> list[Any]:
    """All that decides what XLA makes of a program."""
    settings = {name: str(value) for name, value in jax.config.values.items() if "cache" not in name}
    environment = {name: value for name, value in os.environ.items() if name.startswith(("XLA_", "JAX_", *VARIABLES))}
    return [
        FORMAT,
        [jax.__version__, jaxlib.version.__version__, np.__version__],
        sorted(settings.items()),
        sorted(environment.items()),
        [device.platform, device.device_kind, device.id, device.client.platform_version],
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
    ]


@cache
def _code() -> str:
    """The digest of the package's code, which may be changed without another version where it is worked on."""
    digest, folder = hashlib.sha256(), Path(__file__).parent
    for path in sorted(folder.rglob("*.py")):
        digest.update(f"{path.relative_to(folder)} ".encode() + path.read_bytes())
    return digest.hexdigest()


def _signature(leaf: Any) -> list[Any]:
    return [list(np.shape(leaf)), str(leaf.dtype if hasattr(leaf, "dtype") else np.result_type(leaf))]


def _digest_of_shapes(structure: Any) -> str:
    _, shapes, sources = structure
    return hashlib.sha256(f"{json.dumps(shapes)} {sources}".encode()).hexdigest()


class _Left(NamedTuple):
    """What a start leaves to the next of the same config."""

    shapes: Any  # digests of the structures of graphs that were found right
    programs: dict[str, str]  # their files, by what decides them
    chunk_steps: dict[str, int]  # by phase


def _read_start(path: Path) -> _Left:
    with suppress(OSError, ValueError, KeyError, TypeError):
        left = json.loads(read_regular(path))
        if left["format"] == FORMAT:
            os.utime(path)
            lengths = {str(phase): int(steps) for phase, steps in left["chunk_steps"].items() if int(steps) > 0}
            return _Left(set(left["shapes"]), dict(left["programs"]), lengths)
    return _Left(set(), {}, {})


# an outcome as JSON: the number of each array in dicts, tuples and lists, and in a carry


def _written(value: Any) -> Any:
    if isinstance(value, dict):
        return {"dict": {name: _written(each) for name, each in value.items()}}
    for kind in (Carry, tuple, list):
        if type(value) is kind:
            return {kind.__name__: [_written(each) for each in value]}
    if value is None or type(value) is int:
        return value
    raise TypeError(f"{type(value).__name__} is not kept")


def _outcome(written: Any) -> Any:
    if not isinstance(written, dict):
        return written
    ((kind, inner),) = written.items()
    if kind == "dict":
        return {name: _outcome(each) for name, each in inner.items()}
    parts = [_outcome(each) for each in inner]
    return Carry(*parts) if kind == "Carry" else {"tuple": tuple, "list": list}[kind](parts)
