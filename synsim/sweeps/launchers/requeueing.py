"""A task of Slurm that was told to stop puts itself back into the queue."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from datetime import datetime

from synsim.sweeps.launchers.launcher import Silent
from synsim.sweeps.launchers.slurm_queue import ask, fields, said

TRIES, BETWEEN = 6, 5.0  # the controller may be about to be started again; seconds
AT_ITS_LIMIT = 600.0  # seconds before its end within which a task is stopped for its time
FRUITLESS = 2  # starts before this one that may have come to nothing


def requeue(advanced: bool) -> str:
    """Puts the task that this process is back into the queue, after it was told to stop; what came of it, in words.

    Nothing is done where Slurm has ended or requeued it itself, or where the task is at its time limit for the third
    time and has saved nothing (`advanced` is false): it would never come to an end.
    """
    array, task = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    if not array or not task:
        return "it is no task of Slurm"
    me = f"{array}_{task}"
    words = ""
    for attempt in range(TRIES):
        if attempt:
            time.sleep(BETWEEN)
        try:
            done = ask("scontrol", "-o", "show", "job", me, seconds=10.0)
            if done.returncode:
                words = said(done)
                continue
            about = fields(done.stdout.partition("\n")[0])
            state = about.get("JobState", "RUNNING")
            if state != "RUNNING":
                return f"Slurm has task {me} as {state} already"
            if not advanced and _at_its_limit(about) and int(about.get("Restarts", "0") or 0) >= FRUITLESS:
                return (
                    f"task {me} is not requeued: it comes to its time limit before it saves anything; give more --time"
                )
            done = ask("scontrol", "requeue", me, seconds=10.0)
            if done.returncode == 0:
                return f"task {me} is requeued"
            words = said(done)
            if "pending" in words.lower():
                return f"task {me} is requeued"
            if "disabled" in words.lower() or "denied" in words.lower() or "invalid" in words.lower():
                break
        except Silent as silent:
            words = str(silent)
    return f"task {me} was not requeued ({words})"


def _at_its_limit(about: Mapping[str, str]) -> bool:
    """Whether the end of the job's time is what its signal was about."""
    if about.get("PreemptTime", "None") not in ("None", "N/A"):
        return False
    try:
        left = datetime.fromisoformat(about["EndTime"]).timestamp() - time.time()
    except (KeyError, ValueError):
        return False
    return left < AT_ITS_LIMIT
