"""One thread for networks that are computed in one, unless somebody says otherwise; no number depends on it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from synsim import api, threads
from synsim.config import load
from synsim.one_function import WHOLE
from synsim.threads import VARIABLES, leave_one_cpu, one_is_enough, take_one

CONFIGS = Path(__file__).parent.parent / "configs"
DRIVEN = """
run: {dt: 0.5, steps: 40}
components:
  n: {type: PoissonCell, n_units: 40, target_freq: 300}
  W: {type: Synapse, connectivity: {sparse}, weight_init: 3.0, dynamics: exponential, tau_decay: 5,
      g_syn_bar: 1, syn_rest: null, current_form: published}
  z: {type: LIFCell, n_units: 30, tau_m: 20}
wires: {n.inputs: 1.0, W.inputs: n.outputs, z.j: W.outputs}
record: {z.s: {as: events}, z.v: {}}
"""
SPARSE = DRIVEN.replace("{sparse}", "sparse, p_conn: 0.5")


@pytest.mark.parametrize(
    ("name", "enough"),
    {
        "cuba_4000": True,
        "cuba_20000": True,
        "coba_4000": True,
        "brunel": True,
        "plastic_sparse": True,
        "lif_fi": False,
    }.items(),
)
def test_it_is_enough_for_sparse_networks(name, enough):
    assert one_is_enough(load(CONFIGS / f"{name}.yaml")) == enough


@pytest.mark.parametrize(
    ("text", "enough"),
    [
        (SPARSE, True),
        (DRIVEN.replace("{sparse}", "one_to_one").replace("30", "40"), True),
        (DRIVEN.replace("{sparse}", "dense, p_conn: 0.5, storage: sparse"), True),
        (DRIVEN.replace("{sparse}", "dense"), False),
        (SPARSE.replace("n_units: 30", f"n_units: {WHOLE}"), True),
        (SPARSE.replace("n_units: 30", f"n_units: {WHOLE + 1}"), False),
        (SPARSE.replace("dt:", "batch: 2, dt:").replace("n_units: 30", f"n_units: {WHOLE}"), False),
        (SPARSE + "sweep: {z.tau_m: [10, 20]}\n", False),
    ],
)
def test_it_is_enough_where_steps_are_one_function(text, enough):
    assert one_is_enough(load("driven.yaml", text=text)) == enough


@pytest.mark.parametrize("given", VARIABLES)
def test_what_the_user_says_stands(given, monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(given, "3")
    take_one()
    assert {name: os.environ[name] for name in VARIABLES if name in os.environ} == {given: "3"}
    monkeypatch.delenv(given)
    monkeypatch.setattr(threads.os, "environ", environment := {})
    take_one()
    assert environment == {VARIABLES[0]: "1"}


def test_a_library_takes_none_away(tmp_path, monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    api.run(load("driven.yaml", text=SPARSE), out=tmp_path).close()
    assert not os.environ.keys() & set(VARIABLES)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="where threads run is not settled here")
@pytest.mark.parametrize(("said", "leaves"), [("1", True), ("2", False), (None, False)])
def test_what_writes_leaves_a_cpu_to_the_one_thread(said, leaves, monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    if said is not None:
        monkeypatch.setenv(VARIABLES[0], said)
    cpus = os.sched_getaffinity(0)

    def started() -> list[set[int]]:
        with ThreadPoolExecutor(1) as pool:
            return [os.sched_getaffinity(0), pool.submit(os.sched_getaffinity, 0).result()]

    with ThreadPoolExecutor(1, initializer=leave_one_cpu) as pool:
        found = pool.submit(started).result()
    assert found == [cpus - {min(cpus)} if leaves and len(cpus) > 1 else cpus] * 2
    assert os.sched_getaffinity(0) == cpus


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="where threads run is not settled here")
def test_where_there_is_one_cpu_it_is_used(monkeypatch):
    monkeypatch.setenv(VARIABLES[0], "1")
    monkeypatch.setattr(threads.os, "sched_getaffinity", lambda _: {3})
    monkeypatch.setattr(threads.os, "sched_setaffinity", lambda *_: pytest.fail("it was moved"))
    leave_one_cpu()


TOLD = """
import json, sys
from pathlib import Path
from synsim.cli import main
try:
    main()
except SystemExit as end:
    assert not end.code, end
names = [each.read_text().strip() for each in Path("/proc/self/task").glob("*/comm")]
print(json.dumps(sum("XLAEigen" in name for name in names)))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="threads are looked for in /proc")
def test_a_run_has_one_and_the_numbers_of_several(tmp_path):
    (tmp_path / "driven.yaml").write_text(SPARSE)
    environment = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    environment["SYNSIM_CACHE_DIR"] = str(tmp_path / "cache")

    def ran(name: str, **more: str) -> int:
        words = [sys.executable, "-c", TOLD, "run", "driven.yaml", "--out", name, "--quiet"]
        done = subprocess.run(words, cwd=tmp_path, env=environment | more, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    counts = [ran("one"), ran("again"), ran("several", PJRT_NPROC="3")]  # the second time by what is guessed
    assert counts == [1, 1, 3]
    found = []
    for name in ("one", "again", "several"):
        with api.open(tmp_path / name / "driven") as run:
            found.append((np.asarray(run.spikes("z.s").timestamps), np.asarray(run["z.v"])))
    assert len(found[0][0]) > 3
    for other in found[1:]:
        for mine, its in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(mine, its)
