"""Weights of any size where memory is limited: a run, or a refusal before anything is allocated; nobody is killed."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import choose

import synsim as package
from faults.command import HERE, Done, command, environment
from synsim import preflight

LIMIT = 1536 << 20
# measures the child of this one process only
MEASURE = """
import resource, subprocess, sys
done = subprocess.run(sys.argv[1:], stdin=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(done.returncode if done.returncode >= 0 else 128 - done.returncode)
"""


def config(n: int, **settings: Any) -> str:
    drawn = {"type": "uniform", "low": 0, "high": 1}
    return json.dumps(
        {
            "name": "square",
            "run": {"steps": 4},
            "components": {
                "x": {"type": "PoissonCell", "n_units": n, "target_freq": 100},
                "W": {"type": "HebbianSynapse", "eta": 0.01, "weight_init": drawn, **settings},
                "z": {"type": "RateCell", "n_units": n, "tau_m": 10},
            },
            "wires": {
                "x.inputs": 0.5,
                "W.inputs": "x.outputs",
                "z.j": "W.outputs",
                "W.pre": "x.outputs",
                "W.post": "z.z",
            },
            "record": {"W.weights": {"every": "trial"}},
        }
    )


def measured(
    text: str, cwd: Path, env: dict[str, str] | None = None, under: tuple[str, ...] = (), **asked: int
) -> tuple[Done, int]:
    """How a run ended, and the most memory that it held."""
    (cwd / "square.yaml").write_text(text)
    words = [sys.executable, "-c", MEASURE, *under, *command("run", "square.yaml", "-q", "--overwrite", **asked)]
    done = subprocess.run(words, cwd=cwd, env=environment(**(env or {})), capture_output=True, text=True, timeout=600)
    return Done(done.returncode, done.stdout, done.stderr), int(done.stdout) << 10


def judged(n: int, done: Done, peak: int, folder: Path, limit: int) -> int:
    """The exit code: 0 with a good file, or 66 in words that help, before anything was allocated."""
    assert done.code in (0, 66), (n, done)
    done.clear(done.code)
    assert peak < limit, f"{n}: {peak >> 20} MiB were held"
    if done.code == 66:
        assert not (folder / "runs").exists()
        assert peak < 400 << 20, f"{n}: {peak >> 20} MiB were held by a run that was refused"
        assert done.err.count("\n") == 1 and ("W" in done.last or "address space" in done.last), done
        assert any(word in done.last for word in ("fewer units", "sparse", "raise the limit")), done
    else:
        assert not package.verify(folder / "runs" / "square").damaged
    return done.code


SIZES = choose(
    [1000, 10**6], [1000, 5000, 10**4, 10**6, 10**7], [1000, 3000, 5000, 7000, 10**4, 3 * 10**4, 10**5, 10**6, 10**7]
)


def test_where_a_job_has_so_much_memory(tmp_path):
    """What Slurm, or a control group, leaves: more than that held would be the end of the process."""
    codes = []
    for n in SIZES:
        (folder := tmp_path / str(n)).mkdir()
        done, peak = measured(config(n), folder, {"SLURM_MEM_PER_NODE": str(LIMIT >> 20)})
        codes.append(judged(n, done, peak, folder, LIMIT))
    assert codes[0] == 0 and codes[-1] == 66 and codes == sorted(codes), codes


@pytest.mark.parametrize("n", choose([9000], [9000, 30_000], [3000, 5000, 9000, 12_000, 30_000, 10**6]))
def test_a_mask_is_not_drawn_where_it_does_not_fit(n, tmp_path):
    done, peak = measured(config(n, p_conn=0.5), tmp_path, {"SLURM_MEM_PER_NODE": str(LIMIT >> 20)})
    assert judged(n, done, peak, tmp_path, LIMIT) == (66 if n >= 9000 else 0) or n == 5000


@pytest.mark.parametrize(
    "limit", choose([LIMIT], [LIMIT, 3 << 30], [400 << 20, 1 << 30, LIMIT, 2 << 30, 3 << 30, 5 << 30])
)
def test_where_the_process_has_a_limit_on_its_address_space(limit, tmp_path):
    codes = []
    for n in choose(SIZES[:1], SIZES[:3], SIZES[:5]):
        (folder := tmp_path / str(n)).mkdir()
        done, peak = measured(config(n), folder, memory=limit)
        codes.append(judged(n, done, peak, folder, limit))
    assert codes == sorted(codes)
    if limit <= 1 << 30:
        assert set(codes) == {66}
    if limit == 3 << 30 and (os.cpu_count() or 1) <= 4:
        assert codes[0] == 0


GROUP = os.environ.get("SYNSIM_TEST_CGROUP", "")


@pytest.mark.skipif(not GROUP, reason="SYNSIM_TEST_CGROUP names no control group that tests may put processes into")
def test_in_a_control_group(tmp_path):
    """The group has a limit of its own, of 1.5 GiB as a rule; its kernel kills whoever holds more."""
    limits = [Path(GROUP) / name for name in ("memory.max", "memory.limit_in_bytes")]
    limit = int(next(path for path in limits if path.exists()).read_text())
    enter = ("sh", "-c", f'echo $$ > {GROUP}/cgroup.procs && exec "$@"', "sh")
    codes = []
    for n in SIZES:
        (folder := tmp_path / str(n)).mkdir()
        done, peak = measured(config(n), folder, under=enter)
        codes.append(judged(n, done, peak, folder, limit))
    assert codes == sorted(codes) and codes[-1] == 66


def test_what_control_groups_leave_is_read(monkeypatch, tmp_path):
    """Of both versions, with the groups above; what files take is given back, and what this process holds is its."""
    files = {
        "proc/meminfo": "MemTotal: 64000000 kB\nMemAvailable: 32000000 kB\n",
        "proc/self/statm": "500000 50000 1 1 0 1 0",
        "proc/self/cgroup": "4:memory:/job/step\n3:cpu:/\n0::/user/job\n",
        "sys/fs/cgroup/memory/job/memory.limit_in_bytes": "4000000000",
        "sys/fs/cgroup/memory/job/memory.usage_in_bytes": "3000000000",
        "sys/fs/cgroup/memory/job/memory.stat": "cache 9\ntotal_active_file 500000000\ntotal_inactive_file 700000000\n",
        "sys/fs/cgroup/memory/job/step/memory.limit_in_bytes": "9223372036854771712",
        "sys/fs/cgroup/user/job/memory.max": "max\n",
        "sys/fs/cgroup/user/memory.max": "5000000000\n",
        "sys/fs/cgroup/user/memory.current": "1000000000\n",
        "sys/fs/cgroup/user/memory.stat": "anon 5\nactive_file 100\ninactive_file 200\n",
    }
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    monkeypatch.setattr(preflight, "Path", lambda text: tmp_path / str(text).lstrip("/"))
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    for name in ("SLURM_MEM_PER_NODE", "SLURM_MEM_PER_CPU", "SLURM_CPUS_ON_NODE"):
        monkeypatch.delenv(name, raising=False)
    held = 50000 * os.sysconf("SC_PAGE_SIZE")
    found = [limit for limit in preflight._limits()][1:]
    assert found == [32_000_000 * 1024 + held, 10**9 + 12 * 10**8 + held, 4 * 10**9 + 300 + held]
    assert preflight.available_memory() == min(found)
    monkeypatch.setenv("SLURM_MEM_PER_CPU", "300")
    monkeypatch.setenv("SLURM_CPUS_ON_NODE", "4")
    assert preflight.available_memory() == 1200 << 20
    monkeypatch.setenv("SLURM_MEM_PER_NODE", "500")
    assert preflight.available_memory() == 500 << 20
    monkeypatch.setattr(resource, "getrlimit", lambda _: (3 << 30, 3 << 30))
    virtual = 500000 * os.sysconf("SC_PAGE_SIZE")
    assert (3 << 30) - virtual + held - preflight.COMPILER_SPACE in [*preflight._limits()]


def test_memory_that_runs_out_all_the_same_is_one_line(tmp_path):
    """As where another process takes it after the check; a resume with more of it gives the same."""
    (tmp_path / "square.yaml").write_text(config(1000))
    hungry = tmp_path / "hungry.py"
    hungry.write_text(
        "import runpy, sys\nfrom synsim import saving\ndef encode(point):\n    raise MemoryError\n"
        "saving.encode = encode\n"
        f"sys.argv[0] = {str(HERE)!r}\nrunpy.run_path({str(HERE)!r}, run_name='__main__')\n"
    )
    words = [sys.executable, str(hungry), "{}", "run", "square.yaml", "-q"]
    told = subprocess.run(words, cwd=tmp_path, env=environment(), capture_output=True, text=True)
    done = Done(told.returncode, told.stdout, told.stderr).clear(66)
    assert "the memory ran out; nothing was saved yet; with more of it: synsim run runs/square --resume" in done.last
    assert package.status(tmp_path / "runs" / "square")["reason"] == "the memory ran out"
    package.run(tmp_path / "runs" / "square", resume=True).close()
    assert package.status(tmp_path / "runs" / "square")["state"] == "done"
