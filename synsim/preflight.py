"""Whether a run will fit: what memory and disk are there, and the words for what is too large."""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Iterator
from pathlib import Path

from synsim.faults import Fault, MissingInput

SHARE = 0.8  # of what is available that a run may plan to use
# measured: each thread of JAX takes a stack and an arena of address space, and compiling some more
FIXED_THREADS, THREADS_PER_CPU = 8, 3
THREAD_SPACE = 72 << 20
COMPILER_SPACE, LIBRARY_SPACE = 256 << 20, 350 << 20


def available_memory() -> int:
    """Bytes that this process may hold: the least that the machine, its cgroup, Slurm and rlimits leave it."""
    return max(0, min(_limits()))


def _limits() -> Iterator[int]:
    virtual, resident = _held()
    yield os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                yield (int(line.split()[1]) << 10) + resident
    except OSError:
        pass
    for left in _cgroup():
        yield left + resident
    job, cpu = (os.environ.get(f"SLURM_MEM_PER_{what}", "") for what in ("NODE", "CPU"))
    cpus = os.environ.get("SLURM_CPUS_ON_NODE", "")
    if job.isdecimal() and int(job):
        yield int(job) << 20
    elif cpu.isdecimal() and cpus.isdecimal() and int(cpu) * int(cpus):
        yield int(cpu) * int(cpus) << 20
    limit = _address_space()
    if limit is not None:
        yield limit - virtual + resident - COMPILER_SPACE


def _held() -> tuple[int, int]:
    """Bytes of address space and of memory that this process has now."""
    try:
        pages = Path("/proc/self/statm").read_text().split()
    except OSError:
        return 0, 0
    return tuple(int(n) * os.sysconf("SC_PAGE_SIZE") for n in pages[:2])  # type: ignore[return-value]


def _address_space() -> int | None:
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    return None if soft == resource.RLIM_INFINITY else soft


def refuse_small_address_space() -> None:
    """MissingInput where a limit on address space is too small for JAX, whose threads cannot be made then.

    It would end the process without a word, so this has to be asked before JAX looks for its devices.
    """
    limit, threads = _address_space(), FIXED_THREADS + THREADS_PER_CPU * (os.cpu_count() or 1)
    library = 0 if "jaxlib" in sys.modules else LIBRARY_SPACE
    needed = _held()[0] + library + threads * THREAD_SPACE + COMPILER_SPACE
    if limit is not None and limit < needed:
        raise MissingInput(
            Fault(
                f"the limit on address space (ulimit -v) is {readable(limit)}, and JAX with its {threads} threads "
                f"takes {readable(needed)} of it before it holds anything; raise the limit, or limit memory instead"
            )
        )


def _cgroup() -> Iterator[int]:
    """What the control groups leave that this process is in, version 2 and version 1."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            root, files, stat = Path("/sys/fs/cgroup"), ("memory.max", "memory.current"), ""
        elif "memory" in controllers.split(","):
            root, stat = Path("/sys/fs/cgroup/memory"), "total_"
            files = ("memory.limit_in_bytes", "memory.usage_in_bytes")
        else:
            continue
        folder = root / path.lstrip("/")
        while True:
            try:
                limit = (folder / files[0]).read_text().strip()
                if limit.isdigit() and int(limit) < 1 << 60:
                    yield int(limit) - int((folder / files[1]).read_text()) + _cached(folder, stat)
            except (OSError, ValueError):
                pass
            if folder == root or root not in folder.parents:
                break
            folder = folder.parent


def _cached(folder: Path, prefix: str) -> int:
    """Bytes of files that a control group keeps only as long as nobody needs the memory."""
    names = {f"{prefix}{kind}_file" for kind in ("active", "inactive")}
    lines = (line.split() for line in (folder / "memory.stat").read_text().splitlines())
    return sum(int(words[1]) for words in lines if words[0] in names)


def available_disk(folder: Path) -> int:
    """Bytes that a user may still write below a folder that need not exist yet."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    room = os.statvfs(folder)
    return room.f_bavail * room.f_frsize


def too_large(
    what: str, shape: tuple[int, ...], dtype: str, needed: int, available: int, advice: str, path: tuple
) -> MissingInput:
    """The refusal of one array: what it would need, what there is, what to do."""
    size = " x ".join(f"{n:,}" for n in shape) or "1"
    return MissingInput(
        Fault(f"{what}: {size} {dtype} = {readable(needed)}; {readable(available)} are available; {advice}", path)
    )


def readable(size: float) -> str:
    """Bytes as a person reads them."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.3g} {unit}"
        size /= 1024
    return f"{size:,.3g} TiB"
