"""Sweeps on a real Slurm of one node, with what happens on clusters done to them.

In each case `synsim status` tells the truth all the time, and in the end, after the same command again where that is
needed, the files of the points are those of the sweep that nobody disturbed.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from slurm.conftest import started
from slurm.one_node import OneNode, until
from slurm.small_sweep import GROUPS, POINTS, Sweep, gone, preempt

full = pytest.mark.skipif(os.environ.get("SYNSIM_TEST_SCALE") != "full", reason="SYNSIM_TEST_SCALE is not full")


@pytest.fixture
def sweep(node: OneNode, undisturbed: Path, tmp_path: Path) -> Sweep:
    """One that is about to be submitted; programs are compiled already."""
    return Sweep(tmp_path / "a place", node)


def test_twelve_points_to_completion(sweep, node, undisturbed):
    job = sweep.submitted("--time", "10", "--setup", "echo set up", "--sbatch=--comment=twelve points")
    assert {each for each in node.queue() if each.startswith(f"{job}_")} == {f"{job}_{task}" for task in range(GROUPS)}
    told = sweep.status()
    assert told["counts"]["running"] + told["counts"]["queued"] == POINTS
    again = sweep.launch().clear(0)  # while it is under way
    assert not again.out.strip() and f"job {job} is in the queue" in again.err
    here = sweep.synsim(*sweep.words, "--launcher", "local").clear(73)
    assert here.last.endswith("to end that: synsim sweep --cancel runs/small")
    watched = sweep.synsim("status", "--watch", "runs/small")
    assert watched.code == 0 and "small: done, 12 of 12 points are done" in watched.out, (watched, sweep.logs())
    sweep.until_ended()
    assert len(list(sweep.directory.glob("jobs/0*.sh"))) == 2, "the array and what gathers"
    assert (sweep.directory / "jobs" / f"{job}_0.log").read_text().startswith("set up\n")
    sweep.complete(undisturbed)


def test_preempted_with_grace(sweep, node, undisturbed):
    job = sweep.submitted()
    sweep.until_saved([0, 1])
    other = preempt(node, 4)
    until(lambda: node.queue().get(other) == "RUNNING", 30)
    assert sweep.states(0) | sweep.states(1) <= {"queued", "done"}
    gone(node, other)
    assert any(int(node.job(f"{job}_{task}").get("Restarts", 0)) for task in (0, 1)), "none was preempted"
    sweep.until_ended()
    sweep.complete(undisturbed)


def test_a_process_is_killed(sweep, node, undisturbed):
    job = sweep.submitted("--throttle", "2")
    sweep.until_saved([1])
    os.kill(sweep.process(1), signal.SIGKILL)
    until(lambda: f"{job}_1" not in node.queue(), 60)
    assert sweep.states(1) == {"interrupted"}
    sweep.until_ended()
    told = sweep.status()
    assert told["state"] == "incomplete" and told["counts"]["done"] == POINTS - 3
    (reason,) = {point["reason"] for point in told["points"] if point["state"] == "interrupted"}
    assert f"task {job}_1 ended: FAILED, by signal 9" in reason
    other = sweep.submitted()
    assert [each for each in node.queue() if each.startswith(f"{other}_")] == [f"{other}_1"]
    sweep.until_ended()
    sweep.complete(undisturbed)


def test_a_task_is_cancelled(sweep, node, undisturbed):
    job = sweep.submitted()
    sweep.until_saved([0])
    node.run("scancel", f"{job}_0")
    until(lambda: f"{job}_0" not in node.queue(), 60)
    assert sweep.states(0) == {"interrupted"}
    assert f"{job}_3" in node.queue()
    other = sweep.submitted()  # what is missing, while the rest goes on
    assert [each for each in node.queue() if each.startswith(f"{other}_")] == [f"{other}_0"]
    assert not sweep.launch().clear(0).out.strip()
    sweep.until_ended()
    sweep.complete(undisturbed)


def test_refused_in_the_words_of_sbatch(sweep, node, undisturbed):
    done = sweep.launch("--partition", "nowhere").clear(2)
    assert "invalid partition specified: nowhere" in done.err
    assert not node.queue() and not list(sweep.directory.glob("jobs/*.sh"))
    told = sweep.status()
    assert told["counts"]["missing"] == POINTS and told["resume"].endswith("synsim sweep runs/small")


@full
@pytest.mark.parametrize(
    "how", [{"grace": 0}, {"grace": 0, "user_signal": False}], ids=["without_grace", "without_the_signal_asked_for"]
)
def test_preempted(undisturbed, tmp_path, how):
    """Slurm requeues the task itself, and tells it to end by a SIGTERM at most."""
    with started(**how) as node:
        sweep = Sweep(tmp_path / "place", node)
        job = sweep.submitted()
        sweep.until_saved([0, 1])
        other = preempt(node, 4)
        until(lambda: node.queue().get(other) == "RUNNING", 60)
        gone(node, other)
        assert any(int(node.job(f"{job}_{task}").get("Restarts", 0)) for task in (0, 1)), "none was preempted"
        sweep.until_ended()
        sweep.complete(undisturbed)


@full
def test_the_node_is_drained_and_resumed(sweep, node, undisturbed):
    job = sweep.submitted()
    sweep.until_saved([0, 1])
    node.run("scontrol", "update", f"NodeName={node.host}", "State=DRAIN", "Reason=test")
    try:
        sweep.until(lambda: "RUNNING" not in node.queue().values())
        told = sweep.status()
        assert told["counts"]["done"] == 6 and told["counts"]["queued"] == 6
        waiting = {point["reason"] for point in told["points"] if point["state"] == "queued"}
        assert all(f"task {job}_" in reason and " waits: " in reason for reason in waiting)
        assert not sweep.launch().clear(0).out.strip()
    finally:
        node.run("scontrol", "update", f"NodeName={node.host}", "State=RESUME")
    sweep.until_ended()
    sweep.complete(undisturbed)


@full
def test_the_node_goes_down(sweep, node, undisturbed):
    """Slurm requeues the tasks itself, and ends their processes once the node is back."""
    job = sweep.submitted()
    sweep.until_saved([0, 1])
    node.run("scontrol", "update", f"NodeName={node.host}", "State=DOWN", "Reason=test")
    try:
        until(lambda: node.queue().get(f"{job}_0") == "PENDING", 30)
        sweep.status()
    finally:  # it may have come back by itself
        node.run("scontrol", "update", f"NodeName={node.host}", "State=RESUME", check=False)
    sweep.until_ended()
    if sweep.status()["state"] != "done":
        sweep.submitted()
        sweep.until_ended()
    sweep.complete(undisturbed)


@full
def test_more_work_than_time(node, tmp_path):
    """A task that is told to stop well before its minute is over, again and again, until all is done."""
    settings = ("--set", "run.trials=40000")
    whole = Sweep(tmp_path / "whole", None, *settings, points=2, lanes=1)
    whole.swept = ("z.tau_m=10,20",)
    with_time = Sweep(tmp_path / "place", node, *settings, points=2, lanes=1)
    with_time.swept = whole.swept
    assert whole.synsim(*whole.words, "--launcher", "local").code == 0
    done = with_time.launch("--time", "1", "--signal", "10").clear(0)
    assert "warning: a task may run 60 s" in done.err
    job = done.out.strip()
    with_time.until_ended(1200)
    starts = [int(node.job(f"{job}_{task}").get("Restarts", 0)) for task in (0, 1)]
    assert all(count >= 1 for count in starts), starts
    with_time.complete(whole.directory)


@full
def test_the_throttle_is_changed(sweep, node, undisturbed):
    job = sweep.submitted("--throttle", "1")
    sweep.until_saved([0])
    assert list(node.queue().values()).count("RUNNING") == 1
    assert sweep.status()["counts"]["running"] == 3
    node.run("scontrol", "update", f"JobId={job}", "ArrayTaskThrottle=2")
    sweep.until(lambda: list(node.queue().values()).count("RUNNING") == 2)
    sweep.until_ended()
    sweep.complete(undisturbed)


@full
def test_the_controller_is_started_again(sweep, node, undisturbed):
    sweep.submitted()
    sweep.until_saved([0, 1])
    node.stop_controller()
    done = sweep.synsim("status", "runs/small")
    assert done.code == 3 and "what waits or runs elsewhere is not known: " in done.out
    assert sweep.launch().clear(66).err.count("nothing was submitted") == 1
    node.start_controller()
    sweep.until_ended()
    sweep.complete(undisturbed)


@full
def test_the_controller_is_away_when_a_task_is_to_stop(sweep, node, undisturbed):
    """A task waits for it to come back, to be requeued."""
    job = sweep.submitted()
    sweep.until_saved([0, 1])
    process = sweep.process(0)
    node.stop_controller()
    os.kill(process, signal.SIGUSR1)
    sweep.process_says(0, "stopping after this chunk")
    node.start_controller()
    until(lambda: int(node.job(f"{job}_0").get("Restarts", 0)) == 1, 60)
    sweep.until_ended()
    sweep.complete(undisturbed)


@full
def test_requeueing_is_forbidden(sweep, node, undisturbed):
    """The task ends, and status says what to type."""
    job = sweep.submitted("--sbatch=--no-requeue")
    sweep.until_saved([0])
    node.run("scancel", "--batch", "--signal=USR1", f"{job}_0", check=False)  # whose exit code means nothing
    until(lambda: f"{job}_0" not in node.queue(), 60)
    told = sweep.status()
    assert sweep.states(0) == {"interrupted"} and told["resume"] == "synsim sweep runs/small"
    assert f"task {job}_0 was not requeued" in (sweep.directory / "jobs" / f"{job}_0.log").read_text()
    sweep.until_ended()
    done = sweep.synsim("sweep", "runs/small").clear(0)
    assert done.out.strip().isdigit()
    sweep.until_ended()
    sweep.complete(undisturbed)


@full
def test_all_is_cancelled(sweep, node, undisturbed):
    job = sweep.submitted("--throttle", "1")
    sweep.until_saved([0])
    done = sweep.synsim("sweep", "--cancel", "runs/small").clear(0)
    assert f"cancelled job {job}, {GROUPS} tasks" in done.err and "the job that gathers" in done.err
    sweep.until_ended()
    assert sweep.status()["counts"] == {**dict.fromkeys(sweep.status()["counts"], 0), "interrupted": 3, "missing": 9}
    assert "nothing of runs/small" in sweep.synsim("sweep", "--cancel", "runs/small").clear(0).err
    sweep.submitted()
    sweep.until_ended()
    sweep.complete(undisturbed)


@full
def test_submitted_by_hand(sweep, node, undisturbed):
    """A changed script, submitted as its first lines say, is known as the sweep's own."""
    job = sweep.submitted()
    sweep.synsim("sweep", "--cancel", "runs/small").clear(0)
    sweep.until_ended()
    script = sweep.directory / "jobs" / "0001.sh"
    script.write_text(script.read_text().replace("--per-task 1", "--per-task 2").replace("--array=0-3", "--array=0-1"))
    other = node.run("sbatch", "--parsable", str(script))
    sweep.per_task = 2
    assert other != job and not sweep.launch().clear(0).out.strip()
    assert len([each for each in node.queue() if each.startswith(f"{other}_")]) == 2
    until(lambda: not any(each.startswith(f"{other}_") for each in node.queue()), 240)
    assert sweep.synsim("sweep", "runs/small").clear(0)
    sweep.until_ended()
    sweep.complete(undisturbed)


@full
def test_more_groups_than_an_array_may_have(undisturbed, tmp_path):
    with started(max_array_size=3) as node:
        sweep = Sweep(tmp_path / "place", node)
        sweep.per_task = 2
        job = sweep.submitted()
        assert [each for each in node.queue() if each.startswith(f"{job}_")] == [f"{job}_0", f"{job}_1"]
        sweep.until(lambda: not node.queue())
        sweep.complete(undisturbed)
