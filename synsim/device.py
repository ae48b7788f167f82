"""Where a run computes, and all that its numbers depend on there."""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import jax
import jaxlib.version
import numpy as np
from jax.experimental.compilation_cache.compilation_cache import reset_cache

import synsim
from synsim import preflight
from synsim.faults import ConfigError, Fault, listing
from synsim.guesses import cache_folder
from synsim.plan import RunPlan, plan
from synsim.spec import Spec

CACHE_BYTES = 512 << 20  # of compiled programs
KEPT = ("*-cache", "*-program", "*-start")  # what jax keeps, and `kept_programs`


@contextmanager
def computing(spec: Spec) -> Iterator[Any]:
    """The device and the precision of a run, for as long as it lasts. Raises ConfigError for an absent device."""
    if not _had_devices:
        preflight.refuse_small_address_space()
    device = find_device(spec.run.device)
    _had_devices.append(True)
    with jax.enable_x64(spec.run.precision == "float64"), jax.default_device(device):
        yield device


def planned(spec: Spec) -> RunPlan:
    """What a run of this config would do, known without compiling. Raises ConfigError with every fault."""
    with computing(spec):
        return plan(spec)


_had_devices: list[bool] = []  # whether JAX has made its threads in this process


def find_device(name: str) -> Any:
    """The device that a config calls auto, cpu, gpu, tpu or cuda:1."""
    if name == "auto":
        return jax.devices()[0]
    kind, _, number = name.partition(":")
    try:
        found = jax.devices(kind)
    except RuntimeError:
        found = []
    if int(number or 0) >= len(found):
        every = sorted({f"{device.platform}:{device.id}" for device in jax.devices()} | {"cpu:0"})
        raise ConfigError(
            Fault(f"there is no device {name} on this machine; there is {listing(every)}", ("run", "device"))
        )
    return found[int(number or 0)]


def cpu_features() -> str:
    """What this CPU can do, as the kernel says: compiled programs are good for no other."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith(("flags", "Features")))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def use_compilation_cache(device: Any, *, by_jax: bool = True) -> Path | None:
    """The folder where compiled programs are kept between runs, by JAX or by others, apart for each jaxlib, device kind
    and CPU; None where it cannot be written, and nothing is kept then.

    How many is limited here and not by jax: a process that is killed while jax keeps a program for a limited cache
    leaves it in a state in which no other process can keep any.
    """
    key = hashlib.sha256(f"{jaxlib.version.__version__} {device.device_kind} {cpu_features()}".encode()).hexdigest()[
        :16
    ]
    folder = cache_folder() / f"programs-{key}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        usable = os.access(folder, os.W_OK | os.X_OK)
    except OSError:
        usable = False
    kept_by_jax = str(folder) if usable and by_jax else None
    if kept_by_jax != getattr(jax.config, "jax_compilation_cache_dir", None):
        jax.config.update("jax_compilation_cache_dir", kept_by_jax)
        reset_cache()  # JAX looks once at where it is
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.3)
    jax.config.update("jax_compilation_cache_max_size", -1)
    if not usable:
        return None
    _drop_oldest(folder)
    return folder


def _drop_oldest(folder: Path) -> None:
    """Those that were not used for longest go until the others are within the limit."""
    kept = []
    for path in (each for kind in KEPT for each in folder.glob(kind)):
        with suppress(OSError):
            about = path.stat()
            kept.append((max(about.st_atime, about.st_mtime), about.st_size, path))
    held = sum(size for _, size, _ in kept)
    for _, size, path in sorted(kept):
        if held <= CACHE_BYTES:
            return
        with suppress(OSError):
            path.unlink()
        held -= size


def fingerprint(it: RunPlan, device: Any) -> dict[str, str]:
    """All that decides a run's numbers: what its files and settings came to, versions, device, CPU, generator."""
    numbers = hashlib.sha256()
    entries = [entry for phase in it.phases for entry in (*phase.entries.values(), *phase.labels.values())]
    for array in (
        *(leaf for phase in it.phases for leaf in phase.leaves()),
        *(e.values for e in entries if isinstance(e.values, np.ndarray)),
    ):
        numbers.update(str((np.shape(array), np.asarray(array).dtype)).encode())
        numbers.update(np.ascontiguousarray(array).tobytes())
    for entry in entries:
        if not isinstance(entry.values, np.ndarray):  # a file that is longer than memory
            numbers.update(entry.values.digest())
    return {
        "synsim": synsim.__version__,
        "jax": jax.__version__,
        "jaxlib": jaxlib.version.__version__,
        "device": f"{device.platform} {device.device_kind}",
        "cpu_features": hashlib.sha256(cpu_features().encode()).hexdigest()[:16],
        "prng": ", ".join(
            f"{getattr(jax.config, name)}" for name in ("jax_default_prng_impl", "jax_threefry_partitionable")
        ),
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
        "plugins": _digest_of_plugins(it.layout.origin.get("plugins", "[]")),
        "config": it.layout.config_sha256,
        "numbers": numbers.hexdigest(),
    }


def _digest_of_plugins(origin: str) -> str:
    return "" if origin == "[]" else hashlib.sha256(origin.encode()).hexdigest()[:16]
