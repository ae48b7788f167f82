"""A real Slurm of one node on the loopback device: no systemd, no cgroups, no fixed ports, nothing outside one folder.

Two partitions: `debug`, whose jobs may be preempted, and `high`, whose jobs preempt them. There is no accounting, so
sacct has nothing to say.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol", "scancel")
PACKAGES = ("slurm-wlm", "munge")

CONF = """
ClusterName=one-node
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
# a job that was requeued waits until its old credential has expired: 120 s where nothing is said, and 5 at least
AuthInfo=socket={folder}/munge/socket,cred_expire={requeue_wait}
CredType=cred/munge
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
SwitchType=switch/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=1,sched_interval=1,batch_sched_delay=0,defer_batch
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
DefMemPerCPU=512
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
{controller}
JobRequeue={job_requeue}
MaxArraySize={max_array_size}
KillWait={kill_wait}
MinJobAge={min_job_age}
ReturnToService=2
SlurmdTimeout=60
InactiveLimit=0
# CPUs may be more than the machine has
SlurmdParameters=config_overrides
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory} State=UNKNOWN
PartitionName=debug Nodes={host} Default=YES MaxTime=INFINITE State=UP PriorityTier=1 OverSubscribe=NO GraceTime={grace}
PartitionName=high Nodes={host} MaxTime=INFINITE State=UP PriorityTier=10 OverSubscribe=NO
"""


def why_not() -> str | None:
    """Why no Slurm can be started here, or None; its packages are installed where that may be."""
    if os.name != "posix" or os.geteuid() != 0:
        return "a Slurm for the tests is started by root"
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing and shutil.which("apt-get"):
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for words in (["update"], ["install", "-y", "--no-install-recommends", *PACKAGES]):
            subprocess.run(["apt-get", "-qq", *words], env=environment, capture_output=True, timeout=600)
        missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        return f"Slurm is not here ({', '.join(missing)}); on Debian: apt-get install {' '.join(PACKAGES)}"
    return None


class OneNode:
    """The daemons, and what a client needs to reach them (`environment`)."""

    def __init__(
        self,
        folder: Path,
        *,
        cpus: int = 2,
        grace: int = 20,
        kill_wait: int = 10,
        requeue_wait: int = 5,
        job_requeue: int = 1,
        max_array_size: int = 1001,
        min_job_age: int = 3600,
        user_signal: bool = True,
    ):
        self.folder = folder
        self._settings = {
            "cpus": cpus,
            "grace": grace,
            "kill_wait": kill_wait,
            "requeue_wait": requeue_wait,
            "job_requeue": job_requeue,
            "max_array_size": max_array_size,
            "min_job_age": min_job_age,
            # whether a job's own signal is sent to it when it is preempted, too
            "controller": "SlurmctldParameters=preempt_send_user_signal" if user_signal else "",
        }
        self.host = socket.gethostname().partition(".")[0]

    @property
    def environment(self) -> dict[str, str]:
        return {"SLURM_CONF": str(self.folder / "slurm.conf")}

    def start(self) -> None:
        """Write the files, start the daemons, and wait until the node takes jobs."""
        # munge insists: nobody else may write where its key and its socket are, and all may pass
        for name, mode in (("", 0o755), ("munge", 0o755), ("state", 0o700), ("spool", 0o755)):
            (self.folder / name).mkdir(exist_ok=True)
            (self.folder / name).chmod(mode)
        key = self.folder / "munge" / "key"
        key.write_bytes(secrets.token_bytes(128))
        key.chmod(0o400)
        here = {"folder": self.folder, "host": self.host, "ports": _free_ports(2), "memory": _memory()}
        (self.folder / "slurm.conf").write_text(CONF.format(**here, **self._settings))
        munge = {name: self.folder / "munge" / name for name in ("key", "socket", "pid", "log", "seed")}
        self._daemon(
            "munged",
            f"--key-file={munge['key']}",
            f"--socket={munge['socket']}",
            f"--pid-file={munge['pid']}",
            f"--log-file={munge['log']}",
            f"--seed-file={munge['seed']}",
        )
        self.start_controller()
        self._daemon("slurmd", "-f", str(self.folder / "slurm.conf"))
        self.until_idle()

    def start_controller(self) -> None:
        self._daemon("slurmctld", "-f", str(self.folder / "slurm.conf"))

    def stop_controller(self) -> None:
        self._end("slurmctld.pid")

    def stop(self) -> None:
        """Cancel what there is, and end the daemons that `start` has started."""
        with suppress(subprocess.TimeoutExpired, AssertionError):
            self.clear()
        for name in ("slurmd.pid", "slurmctld.pid", "munge/pid"):
            self._end(name)

    def clear(self) -> None:
        """Cancel all jobs, and wait until the node is idle."""
        self.run("scancel", "--user=root", check=False)
        until(lambda: not self.run("squeue", "-h", check=False), 30)
        self.until_idle()

    def until_idle(self) -> None:
        until(lambda: self.run("sinfo", "-h", "-p", "debug", "-o", "%t", check=False) == "idle", 60)

    def run(self, *words: str, check: bool = True, seconds: float = 20) -> str:
        """What a command of Slurm prints. Clients wait for ever where there is no controller: not here."""
        try:
            done = subprocess.run(
                words, env={**os.environ, **self.environment}, capture_output=True, text=True, timeout=seconds
            )
        except subprocess.TimeoutExpired:
            if check:
                raise
            return ""
        assert done.returncode == 0 or not check, (words, done.stdout, done.stderr)
        return done.stdout.strip()

    def queue(self) -> dict[str, str]:
        """Tasks that wait or run, as {"17_3": "RUNNING"}."""
        found = self.run("squeue", "-h", "-r", "-o", "%i %T", check=False).splitlines()
        return dict(line.split() for line in found)

    def job(self, number: str) -> Mapping[str, str]:
        """What scontrol knows of a job or a task, as {"JobState": "RUNNING"}."""
        words = self.run("scontrol", "-o", "show", "job", number).splitlines()[0].split()
        return dict(word.split("=", 1) for word in words if "=" in word)

    def _daemon(self, *words: str) -> None:
        done = subprocess.run(
            words, env={**os.environ, **self.environment}, capture_output=True, text=True, timeout=60, close_fds=True
        )
        assert done.returncode == 0, (words, done.stdout, done.stderr)

    def _end(self, pid_file: str) -> None:
        """End a daemon, known by the file that it wrote its number into."""
        path = self.folder / pid_file
        if not path.exists() or not (text := path.read_text().strip()):
            return
        for number, seconds in ((signal.SIGTERM, 10), (signal.SIGKILL, 5)):
            with suppress(ProcessLookupError):
                os.kill(int(text), number)
            with suppress(AssertionError):
                until(lambda: _gone(int(text)), seconds)
                break
        path.unlink(missing_ok=True)


def until(what: Callable[[], object], seconds: float, every: float = 0.1) -> None:
    """Wait until something is so. An AssertionError where that takes longer."""
    since = time.monotonic()
    while not what():
        assert time.monotonic() - since < seconds, f"nothing happened for {seconds} s"
        time.sleep(every)


def _gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def _memory() -> int:
    """Megabytes that jobs may share."""
    return int(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**20 * 0.9)
