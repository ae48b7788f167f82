"""What is told to Slurm and what is made of its answers, without one: job scripts, the queue, settings."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from faults.command import NOISY, synsim

from synsim import locks
from synsim.faults import ConfigError
from synsim.spec import LauncherSettings
from synsim.sweeps.launchers import requeueing, slurm_queue
from synsim.sweeps.launchers.choosing import chosen, launcher_for, launcher_of
from synsim.sweeps.launchers.job_script import gathering_script, job_script, per_task_of, seconds_of
from synsim.sweeps.launchers.launcher import (
    GroupState,
    Silent,
    at_least,
    memory_in_bytes,
    memory_of_one,
    remember,
    remembered,
)
from synsim.sweeps.launchers.numbers import compressed, expanded
from synsim.sweeps.launchers.slurm import Slurm, _submissions
from synsim.sweeps.ledger import PointState
from synsim.sweeps.standing import _merged

SLURM = LauncherSettings(type="slurm")


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Commands of Slurm that print what a test says: `commands(squeue="...", sacct=None)`; None is not there."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for needed in ("env", "true", "sh", "cat"):
        (folder / needed).symlink_to(f"/usr/bin/{needed}")
    monkeypatch.setenv("PATH", str(folder))

    def there(**said: str | int | None) -> None:
        for name, words in said.items():
            body = f"exit {words}" if isinstance(words, int) else f"cat <<'END'\n{words}\nEND"
            if words is not None:
                (folder / name).write_text(f"#!/usr/bin/env sh\n{body}\n")
                (folder / name).chmod(0o755)

    return there


# numbers, times, settings --------------------------------------------------------------------------------------------


def test_numbers_are_written_short():
    for numbers, text in (([], ""), ([3], "3"), ([0, 1, 2], "0-2"), ([7, 0, 3, 4, 5], "0,3-5,7")):
        assert compressed(numbers) == text
        assert not text or expanded(text, 8) == sorted(numbers)
    for text in ("", "a", "3-1", "8", "-1", "1,,2"):
        with pytest.raises(ValueError):
            expanded(text, 8)


def test_times_are_read_as_slurm_reads_them():
    times = {"10": 600, 10: 600, "1:30": 90, "2:00:00": 7200, "1-0": 86400, "1-2:30": 95400, "1-0:0:7": 86407}
    assert {time: seconds_of(time) for time in times} == times
    assert seconds_of(None) is None and seconds_of("UNLIMITED") is None


def test_a_limit_that_leaves_no_time_and_a_folder_that_is_not_shared(tmp_path):
    short = replace(SLURM, time="3", signal=120)
    (told,) = Slurm(short).doubts(Path("/home/me/runs/x"))
    assert told.startswith("a task may run 180 s, and Slurm may tell it to stop 180 s before the end")
    assert Slurm(replace(short, time="4")).doubts(Path("/home/me/runs/x")) == []
    assert Slurm(SLURM).doubts(Path("/tmp/x")) == [
        "/tmp/x has to be on a disk that all nodes share, which /tmp rarely is"
    ]


def test_the_command_line_wins_over_what_was_there():
    base = LauncherSettings(type="slurm", partition="short", throttle=4)
    assert chosen(base, {"type": None, "partition": "long", "setup": ()}) == replace(base, partition="long")
    assert chosen(base, {"type": "local", "processes": 2}).processes == 2
    assert chosen(None, {"setup": ("module load x",)} | {"type": "slurm"}).lines("setup") == ("module load x",)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"type": "slrum"}, "--launcher must be local or slurm, not the text 'slrum'. Did you mean 'slurm'?"),
        ({"partition": "x"}, "--partition is an option of --launcher slurm, and the launcher is local"),
        ({"type": "slurm", "processes": 2}, "--processes is an option of --launcher local, and the launcher is slurm"),
        ({"type": "slurm", "throttle": 0}, "--throttle must be at least 1, not 0"),
        (
            {"type": "slurm", "sbatch": ("qos=long",)},
            "--sbatch gives options of sbatch, which begin with a dash as --qos=long does, not the text 'qos=long'",
        ),
        ({"type": "slurm", "sbatch": ("--array=0-7",)}, "--sbatch cannot give --array, which synsim gives itself"),
        ({"type": "slurm", "sbatch": ("-d afterok:1",)}, "--sbatch cannot give -d, which synsim gives itself"),
        ({"type": "slurm", "partition": "a\nb"}, "--partition needs a text on one line, not the text 'a\\nb'"),
    ],
)
def test_wrong_options(given, words):
    with pytest.raises(ConfigError) as error:
        chosen(None, given)
    assert str(error.value).partition(": ")[2] == words


def test_wrong_options_of_the_config_have_their_place():
    with pytest.raises(ConfigError) as error:
        chosen(replace(SLURM, sbatch="qos=long"), {})
    assert [fault.path for fault in error.value.faults] == [("launcher", "sbatch")]


def test_how_many_groups_there_should_be():
    assert at_least(LauncherSettings(processes=3)) == 3
    assert [at_least(each) for each in (SLURM, replace(SLURM, throttle=4), replace(SLURM, throttle=4, tasks=32))] == [
        10,
        4,
        32,
    ]


def test_what_a_task_may_hold_is_what_it_asks_for():
    amounts = {"4G": 4 << 30, "500M": 500 << 20, 500: 500 << 20, "1t": 1 << 40, "0": None, "much": None, None: None}
    assert {text: memory_in_bytes(text) for text in amounts} == amounts
    assert memory_of_one(replace(SLURM, mem="4G")) == 4 << 30
    assert 1.5 < memory_of_one(LauncherSettings()) / memory_of_one(LauncherSettings(processes=2)) < 2.5


def test_what_was_launched_with_is_kept(tmp_path):
    assert remembered(tmp_path) is None
    settings = replace(SLURM, setup=("a", "b"), time=10)
    remember(tmp_path, settings)
    kept = remembered(tmp_path)
    assert kept is not None and kept.lines("setup") == ("a", "b") and kept.time == 10
    (tmp_path / "jobs" / "launcher.json").write_text("[")
    assert remembered(tmp_path) is None
    assert type(launcher_of(tmp_path)).__name__ == "Local"
    (tmp_path / "jobs" / "0001.sh").write_text("")  # a script tells of Slurm by itself
    assert type(launcher_of(tmp_path)) is Slurm


# job scripts ---------------------------------------------------------------------------------------------------------


def test_a_job_script_is_plain_and_short():
    settings = replace(
        SLURM,
        partition="gpu",
        time="2:00:00",
        cpus=4,
        mem="8G",
        gpus="a100:1",
        throttle=3,
        setup=("module load cuda",),
        sbatch=("--qos=long", "--comment=two words"),
    )
    text = job_script(Path("/data/my runs/50%"), "x", settings, [0, 1, 2, 5], 2, ["--accept-drift"], script="0002.sh")
    lines = text.splitlines()
    assert [line.removeprefix("#SBATCH ") for line in lines if line.startswith("#SBATCH ")] == [
        "--job-name=x",
        "--array=0-2,5%3",
        "--partition=gpu",
        "--time=2:00:00",
        "--cpus-per-task=4",
        "--mem=8G",
        "--gres=gpu:a100:1",
        "--requeue",
        "--open-mode=append",
        "--signal=B:USR1@120",
        '--output="/data/my runs/50%%/jobs/%A_%a.log"',
        "--qos=long",
        '--comment="two words"',
    ]
    assert lines[0] == "#!/bin/bash" and "sbatch '/data/my runs/50%/jobs/0002.sh'" in lines[2]
    assert lines[-2] == "module load cuda" and lines[-3].startswith("trap : USR1")
    assert lines[-1].startswith("exec env --block-signal=USR1 ")
    assert lines[-1].endswith(
        "-m synsim sweep-task '/data/my runs/50%' --task \"$SLURM_ARRAY_TASK_ID\" --per-task 2 --accept-drift"
    )
    assert per_task_of(text) == 2 and len(lines) < 25
    assert subprocess.run(["/bin/bash", "-n"], input=text, text=True).returncode == 0


def test_without_a_way_to_block_signals_and_without_requeueing():
    text = job_script(
        Path("/d"), "x", replace(SLURM, sbatch=("--no-requeue",)), [0], 1, blocks_signals=False, script="0001.sh"
    )
    assert "--block-signal" not in text and "\nexec " in text
    assert "#SBATCH --requeue" not in text and "#SBATCH --no-requeue" in text


def test_the_gathering_job_asks_for_little():
    settings = replace(SLURM, cpus=64, gpus=8, throttle=2, partition="p")
    text = gathering_script(Path("/d"), "x", settings)
    asked = [line for line in text.splitlines() if line.startswith("#SBATCH")]
    assert asked == ["#SBATCH --job-name=x-gather", "#SBATCH --partition=p", "#SBATCH --output=/d/jobs/%j.log"]
    assert text.endswith(" -m synsim sweep-task /d --gather\n")


def test_setup_may_be_lines_of_one_text():
    settings = replace(SLURM, setup="module load a\n\nsource b\n")
    assert "\nmodule load a\nsource b\nexec " in job_script(Path("/d"), "x", settings, [0], 1)


# the queue -----------------------------------------------------------------------------------------------------------


def test_only_jobs_of_the_sweeps_own_scripts_count(commands, tmp_path):
    (tmp_path / "a|b" / "jobs").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "a|b")
    jobs = tmp_path / "a|b" / "jobs"
    commands(
        squeue=f"17|18|0|RUNNING|None|{jobs}/0001.sh\n"
        f"17|17|1|PENDING|Resources|{jobs}/0001.sh\n"
        f"19|19|N/A|PENDING|Dependency|{tmp_path}/link/jobs/0001-gather.sh\n"
        f"20|20|0|RUNNING|None|{tmp_path}/other/jobs/0001.sh\n"
        "21|21|N/A|RUNNING|None|(null)"
    )
    rows = slurm_queue.in_queue(tmp_path / "a|b")
    assert [(row.job, row.own, row.task, row.state, row.reason, row.gathers) for row in rows] == [
        ("17", "18", 0, "RUNNING", "", False),
        ("17", "17", 1, "PENDING", "Resources", False),
        ("19", "19", None, "PENDING", "Dependency", True),
    ]


def test_how_a_task_ended_is_asked_of_accounting_first(commands):
    shown = "JobId=8 ArrayJobId=7 ArrayTaskId=3 JobName=x JobState=FAILED Reason=x ExitCode=0:9 Command=/a b"
    commands(scontrol=shown)
    assert {task: str(end) for task, end in slurm_queue.ends("7").items()} == {3: "FAILED, by signal 9"}
    commands(sacct="7_3|CANCELLED by 0|0:15\n7_4|OUT_OF_MEMORY|0:125\n7_[5-9]|PENDING|0:0")
    told = {task: str(end) for task, end in slurm_queue.ends("7").items()}
    assert told == {3: "CANCELLED, by signal 15", 4: "OUT_OF_MEMORY, by signal 125"}
    commands(sacct=1)  # accounting is off
    assert list(slurm_queue.ends("7")) == [3]


def test_nobody_knows_how_it_ended(commands):
    commands(scontrol=1)
    assert slurm_queue.ends("7") == {}
    assert slurm_queue.most_array() == 1001


def test_the_largest_array(commands):
    commands(scontrol="MaxArraySize            = 40001\nMaxJobCount = 10")
    assert slurm_queue.most_array() == 40001


def test_what_was_submitted_is_read_with_care(tmp_path):
    (tmp_path / "jobs").mkdir()
    good = {"job": "7", "tasks": "0-2", "per_task": 1}
    wrong = [1, {}, {**good, "job": "x"}, {**good, "tasks": "0-999999999"}, {**good, "per_task": None}]
    (tmp_path / "jobs" / "submitted.json").write_text(json.dumps([*wrong, good]))
    assert [(each.job, sorted(each.tasks)) for each in _submissions(tmp_path, 3)] == [("7", [0, 1, 2])]
    (tmp_path / "jobs" / "submitted.json").write_text("[")
    assert _submissions(tmp_path, 3) == []


def test_where_slurm_is_not(commands, tmp_path):
    with pytest.raises(Silent, match="there is no squeue on this machine"):
        slurm_queue.in_queue(tmp_path)
    assert not slurm_queue.is_here()
    commands(squeue=1)
    with pytest.raises(Silent, match="exit code 1"):
        slurm_queue.in_queue(tmp_path)


def test_sweeps_are_submitted_only_where_there_is_an_sbatch(tmp_path):
    (tmp_path / "noisy.yaml").write_text(NOISY)
    done = synsim(
        "sweep", "noisy.yaml", "z.tau_m=10,20", "--launcher", "slurm", cwd=tmp_path, env={"PATH": str(tmp_path)}
    ).clear(66)
    assert "there is no sbatch on this machine" in done.last and not list(tmp_path.rglob("*.sh"))
    wrong = synsim("sweep", "noisy.yaml", "z.tau_m=10,20", "--partition", "x", cwd=tmp_path)
    words = "--partition is an option of --launcher slurm, and the launcher is local"
    assert wrong.code == 2 and wrong.last == f"--partition x:1:1: error: {words}"


def test_the_job_script_is_shown_beforehand(tmp_path):
    (tmp_path / "noisy.yaml").write_text(NOISY + "launcher: {type: slurm, time: 30, setup: module load x}\n")
    done = synsim("sweep", "noisy.yaml", "z.tau_m=10,20,30", "--dry-run", cwd=tmp_path).clear(0)
    assert "#SBATCH --array=0-2\n#SBATCH --time=30\n" in done.out and "\nmodule load x\n" in done.out
    assert not (tmp_path / "runs").exists()


# a task's end --------------------------------------------------------------------------------------------------------

SHOWN = "JobId=8 JobState={state} Restarts={restarts} EndTime={end} PreemptTime={preempt} Command=x"


@pytest.fixture
def a_task(commands, monkeypatch):
    """This process is a task; `a_task(state=..., requeue="exit 0")` says what scontrol does."""
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "7")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "3")
    monkeypatch.setattr(requeueing, "BETWEEN", 0.01)
    folder = Path(os.environ["PATH"])

    def there(requeue: str = "exit 0", **about: str | int) -> None:
        shown = {"state": "RUNNING", "restarts": 0, "end": "2099-01-01T00:00:00", "preempt": "None", **about}
        text = f'#!/usr/bin/env sh\nif [ "$1" = requeue ]; then {requeue}; fi\necho "{SHOWN.format(**shown)}"\n'
        (folder / "scontrol").write_text(text)
        (folder / "scontrol").chmod(0o755)

    return there


def test_a_running_task_is_requeued(a_task):
    a_task()
    assert requeueing.requeue(True) == "task 7_3 is requeued"
    a_task("echo 'slurm_requeue error: Job is pending execution' >&2; exit 1")
    assert requeueing.requeue(True) == "task 7_3 is requeued"


@pytest.mark.parametrize("state", ["PENDING", "COMPLETING", "CANCELLED"])
def test_what_slurm_has_done_already_is_left(a_task, state):
    a_task("exit 9", state=state)
    assert requeueing.requeue(True) == f"Slurm has task 7_3 as {state} already"


def test_requeueing_is_forbidden(a_task):
    a_task("echo 'Requested operation is presently disabled' >&2; exit 1")
    assert requeueing.requeue(True) == "task 7_3 was not requeued (Requested operation is presently disabled)"


def test_the_controller_is_away_for_good(commands, a_task):
    assert requeueing.requeue(True) == "task 7_3 was not requeued (there is no scontrol on this machine)"


def test_no_task_comes_to_its_limit_for_ever(a_task):
    a_task(end="2020-01-01T00:00:00", restarts=2)
    assert "comes to its time limit before it saves anything" in requeueing.requeue(False)
    assert requeueing.requeue(True) == "task 7_3 is requeued"
    a_task(end="2020-01-01T00:00:00", restarts=1)
    assert requeueing.requeue(False) == "task 7_3 is requeued"
    a_task(end="2020-01-01T00:00:00", restarts=9, preempt="2020-01-01T00:00:00")
    assert requeueing.requeue(False) == "task 7_3 is requeued"


# what is told --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ledger", "launcher", "told"),
    [
        ("done", GroupState("running"), ("done", "")),
        ("missing", None, ("missing", "")),
        ("missing", GroupState("queued", "waits"), ("queued", "waits")),
        ("interrupted", GroupState("queued", "waits"), ("queued", "waits")),
        ("running", GroupState("queued", "waits"), ("running", "")),  # somebody has it by hand
        ("interrupted", GroupState("running", "task 1"), ("running", "task 1")),
        ("failed", GroupState("ended", "FAILED"), ("failed", "FAILED")),
        ("running", GroupState("ended", "gone"), ("interrupted", "gone")),  # a lock that outlived its job
    ],
)
def test_files_and_locks_and_the_queue_together(ledger, launcher, told):
    point = _merged(PointState(0, ledger, 0), {} if launcher is None else {0: launcher})
    assert (point.state, point.reason) == told


def test_a_lock_that_outlived_its_job_is_given_up(commands, tmp_path):
    """Where there is no flock, a killed task of another host leaves a file that nobody takes away."""
    folder = tmp_path / "sweep" / "groups" / "0000"
    folder.mkdir(parents=True)
    (tmp_path / "sweep" / "jobs").mkdir()
    owner = {"host": "elsewhere", "pid": 1, "job": "18", "start": 0}
    (folder / "lock.owner").write_text(json.dumps(owner))
    ledger = SimpleNamespace(
        directory=tmp_path / "sweep", groups=((0,),), group_folder=lambda group: folder, name="sweep"
    )
    script = tmp_path / "sweep" / "jobs" / "0001.sh"
    commands(squeue=f"17|18|0|RUNNING|None|{script}", sbatch="20")
    assert Slurm(SLURM).states(ledger, [0])[0] == GroupState("running", "task 17_0")
    commands(squeue="")
    assert Slurm(SLURM).states(ledger, [0])[0] == GroupState("ended", "job 18 is gone without a word")
    assert locks.left_elsewhere(folder) == "18"
    assert Slurm(SLURM).submit(ledger, [0]).job == "20"
    assert not (folder / "lock.owner").exists()
    (folder / "lock.owner").write_text(json.dumps({**owner, "host": socket.gethostname()}))
    locks.give_up(folder, "18")
    assert (folder / "lock.owner").exists()  # of this host: whether its process lives can be seen


def test_a_launcher_for_each_type():
    assert type(launcher_for(SLURM)) is Slurm
    assert launcher_for(LauncherSettings()).preview(Path("x"), [1]) == []
