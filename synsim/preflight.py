"""Whether a run will fit: what memory and disk are there, and the words for what is too large."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from pathlib import Path

from synsim.faults import Fault, MissingInput

SHARE = 0.8  # of what is available that a run may plan to use


def available_memory() -> int:
    """Bytes that this process may still take: the least that the machine, its cgroup, Slurm and rlimits leave."""
    return min(_limits())


def _limits() -> Iterator[int]:
    yield os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                yield int(line.split()[1]) << 10
    except OSError:
        pass
    yield from _cgroup()
    job = os.environ.get("SLURM_MEM_PER_NODE", "")
    if job.isdigit() and int(job):
        yield int(job) << 20
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    if soft != resource.RLIM_INFINITY:
        yield soft


def _cgroup() -> Iterator[int]:
    """Limits of the control groups that this process is in, version 2 and version 1."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            root, files = Path("/sys/fs/cgroup"), ("memory.max", "memory.current")
        elif "memory" in controllers.split(","):
            root, files = Path("/sys/fs/cgroup/memory"), ("memory.limit_in_bytes", "memory.usage_in_bytes")
        else:
            continue
        folder = root / path.lstrip("/")
        while True:
            try:
                limit = (folder / files[0]).read_text().strip()
                if limit.isdigit() and int(limit) < 1 << 60:
                    yield max(0, int(limit) - int((folder / files[1]).read_text()))
            except (OSError, ValueError):
                pass
            if folder == root or root not in folder.parents:
                break
            folder = folder.parent


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
