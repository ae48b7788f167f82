"""A measurement in a process of its own, on one thread."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Sequence
from typing import Any

from synsim.faults import RunError, Stopped

ONE_THREAD = {"OMP_NUM_THREADS": "1"}
TAIL = 2000  # characters of what a process that failed has said
OFTEN = 0.2  # seconds between looks at whether to stop


def result(command: Sequence[str], what: str, stop: Callable[[], bool] | None = None) -> Any:
    """What the last line that a process writes says, as JSON.

    Raises RunError where it fails, and Stopped where `stop` says so, which ends it.
    """
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **ONE_THREAD}
    ) as process:
        while True:
            try:
                said, errors = process.communicate(timeout=OFTEN)
                break
            except subprocess.TimeoutExpired:
                if stop is not None and stop():
                    process.kill()
                    raise Stopped(f"stopped in {what}") from None
    if process.returncode:
        if stop is not None and stop():  # a signal of the terminal goes to both
            raise Stopped(f"stopped in {what}")
        raise RunError(f"{what} failed with exit code {process.returncode}: {errors.strip()[-TAIL:]}")
    return json.loads(said.splitlines()[-1])
