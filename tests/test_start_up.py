"""What is said at once, without JAX: help, versions, completion, and everything that is wrong with a config.

How long it takes is measured by `tests/benchmarks/start_up.py`; no test asserts a time.
"""

from __future__ import annotations

import gc
import importlib.metadata
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from synsim import catalogue, describe, garbage, starting

pytestmark = pytest.mark.usefixtures("no_plugins")

ROOT = Path(__file__).parent.parent
HEAVY = {"jax", "jaxlib", "h5py", "scipy", "sklearn", "matplotlib", "xarray"}

GOOD = """\
run: {steps: 20}
let: {hid: 4}
data:
  image: {type: digits, rows: "0:10"}
components:
  x: {type: PoissonCell, n_units: 64, target_freq: 100}
  W: {type: TraceSTDPSynapse, A_plus: 1e-2, A_minus: 1e-4, weight_init: {type: uniform, low: 0, high: 1}}
  z: {type: LIFCell, n_units: "${hid}", tau_m: 20}
wires: {x.inputs: image, W.inputs: x.outputs, z.j: W.outputs}
record: {z.v: {every: 5}}
"""


def started(words, cwd, **env):
    """What a command leaves: its exit code, output, errors, and the modules that it imported."""
    program = (
        "import atexit, json, sys\n"
        "atexit.register(lambda: open('modules.json', 'w').write(json.dumps(sorted(sys.modules))))\n"
        f"sys.argv = ['synsim', *{list(words)!r}]\n"
        "from synsim.cli import main\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        cwd=cwd,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(ROOT), **env},
    )
    return done, set(json.loads((cwd / "modules.json").read_text()))


def light(modules: set[str]) -> None:
    assert modules & HEAVY == set()


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["run", "--help"],
        ["check", "--help"],
        ["init", "--help"],
        ["--version"],
        ["version"],
        ["components"],
        ["components", "TraceSTDPSynapse"],
        ["components", "--search", "trace"],
        ["components", "--markdown"],
        ["schema"],
        ["init", "--list"],
        ["init", "-", "--from", "stdp_digits"],
        ["init"],
    ],
    ids=" ".join,
)
def test_what_needs_no_jax_imports_none(words, tmp_path):
    done, modules = started(words, tmp_path)
    assert done.returncode == 0, done.stderr
    light(modules)


def test_versions_are_those_that_are_installed(tmp_path):
    done, _ = started(["version"], tmp_path)
    told = dict(line.split(" ") for line in done.stdout.splitlines())
    for name in ("jax", "jaxlib", "numpy", "h5py"):
        assert told[name] == importlib.metadata.version(name)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("run: {steps: 20}", "run: {steps: 20"), "2:4: error: expected a comma or the end of what '{' opened"),
        (("run: {steps: 20}", "run: {steps: 20}\nrun: {steps: 3}"), "2:1: error: duplicate key 'run'"),
        (("record:", "recrod:"), "10:1: error: the config has no key 'recrod'. Did you mean 'record'?"),
        (("steps: 20", "steps: 20, epoch: 3"), "1:18: error: run has no key 'epoch'. Did you mean 'epochs'?"),
        (("steps: 20", "steps: many"), "1:14: error: run.steps must be a whole number, not the text 'many'."),
        (("record: {z.v: {every: 5}}", "record: 3"), "10:9: error: record must be a mapping"),
        (("rows:", "row:"), "4:25: error: data.image has no setting 'row'. Did you mean 'rows'?"),
        (("LIFCell", "LIFCel"), "8:13: error: there is no component type 'LIFCel'. Did you mean 'LIFCell'?"),
        (("tau_m: 20", "tau_m: -20"), "8:48: error: z.tau_m must be above 0 ms, not -20."),
        (("low: 0", "lo: 0"), "7:89: error: W.weight_init has no setting 'lo'. Did you mean 'low'?"),
        (("x.outputs, z", "x.output, z"), "9:36: error: x (PoissonCell) has no compartment 'output'."),
        (("every: 5", "every: 0"), "10:23: error: record.z.v.every must be at least 1, not 0."),
    ],
)
@pytest.mark.parametrize("command", ["check", "run"])
def test_every_fault_of_a_config_is_said_without_jax(command, change, said, tmp_path):
    text = GOOD.replace(*change)
    assert text != GOOD
    (tmp_path / "c.yaml").write_text(text)
    done, modules = started([command, "c.yaml"], tmp_path)
    assert done.returncode == 2 and done.stdout == ""
    assert f"c.yaml:{said}" in done.stderr, done.stderr
    light(modules)
    assert "numpy" not in modules and "pydantic.types" not in modules


@pytest.mark.parametrize(
    ("change", "code", "comes"),
    [
        (("TraceSTDPSynapse, A_plus: 1e-2, A_minus: 1e-4", "StaticSynapse"), 0, True),
        (("W.inputs: x.outputs", "W.inputs: image"), 2, True),  # and wires that its rule needs are missing
        (("steps: 20", "steps: many"), 2, False),
    ],
    ids=["right", "faults of wires", "a fault of structure"],
)
def test_jax_comes_without_searches_for_garbage(change, code, comes, tmp_path):
    """Python would search more than a hundred times while it is imported, and go through all of it at the end."""
    program = (
        "import atexit, gc, json, sys\n"
        "searches = []\n"
        "gc.callbacks.append(lambda phase, about: searches.append('jax' in sys.modules))\n"
        "told = lambda: ('jax' in sys.modules, sum(searches) // 2, gc.get_freeze_count(), gc.isenabled())\n"
        "atexit.register(lambda: open('told.json', 'w').write(json.dumps(told())))\n"
        "sys.argv = ['synsim', 'check', 'c.yaml']\n"
        "from synsim.cli import main\n"
        "main()\n"
    )
    text = GOOD.replace(*change)
    assert text != GOOD
    (tmp_path / "c.yaml").write_text(text)
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, env=env)
    assert done.returncode == code, done.stderr
    came, searches, left_out, on = json.loads((tmp_path / "told.json").read_text())
    assert came == comes and on
    assert searches < 30, "with JAX there, until the end"
    assert left_out > 100_000 if comes else left_out == 0


def test_a_process_that_has_jax_searches_as_ever():
    import jax

    assert gc.isenabled() and jax
    kept = gc.get_freeze_count()
    with garbage.left_alone():
        assert gc.isenabled()
    assert gc.get_freeze_count() == kept


def test_what_is_compared_needs_no_jax(tmp_path):
    (tmp_path / "a.yaml").write_text(GOOD)
    (tmp_path / "b.yaml").write_text(GOOD.replace("tau_m: 20", "tau_m: 30"))
    done, modules = started(["check", "--diff", "a.yaml", "b.yaml"], tmp_path)
    assert done.returncode == 1
    light(modules)


def test_declarations_become_pytrees_when_jax_comes():
    """Components can be described before JAX is there, and are pytrees once one is made."""
    program = (
        "import sys\n"
        "from synsim import catalogue, describe\n"
        "cards = [describe.card(name) for name in catalogue.types()]\n"
        "kinds = [catalogue.parts(kind) for kind in ('data', 'initialiser', 'rule', 'dynamics', 'corruption')]\n"
        "assert 'jax' not in sys.modules and 'numpy' not in sys.modules\n"
        "cell = catalogue.types()['LIFCell'](n_units=3, tau_m=20.0)\n"
        "import jax\n"
        "leaves = jax.tree.leaves(cell)\n"
        "assert 20.0 in leaves and cell not in leaves and len(leaves) > 5, leaves\n"
        "synapse = catalogue.types()['Synapse']\n"
        "dense = catalogue.parts('connectivity')['dense']()\n"
        "assert all(isinstance(leaf, (int, float)) for leaf in jax.tree.leaves(synapse(connectivity=dense)))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert done.returncode == 0, done.stderr


# ---------------------------------------------------------------------------------------------------- completion


def completed(line, cwd, shell="bash"):
    """What a shell offers at the end of a line, and the modules that were imported for it."""
    words = line.split(" ")
    env = {"_SYNSIM_COMPLETE": f"complete_{shell}", "_TYPER_COMPLETE_ARGS": line}
    if shell == "bash":
        env |= {"COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    done, modules = started([], cwd, **env)
    assert done.stderr == ""
    return done.stdout, modules


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "good.yaml").write_text(GOOD)
    (tmp_path / "other.yml").write_text("")
    (tmp_path / "data.csv").write_text("")
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "deep.yaml").write_text("")
    (tmp_path / "broken.yaml").write_text("a: [")
    return tmp_path


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("synsim comp", {"components"}),
        ("synsim components TraceSTDPD", {"TraceSTDPDeconvSynapse"}),
        ("synsim components Nothing", set()),
        ("synsim check ", {"good.yaml", "other.yml", "broken.yaml", "more/"}),
        ("synsim run more/", {"more/deep.yaml"}),
        ("synsim run good.yaml --device g", {"gpu"}),
        ("synsim run good.yaml --precision ", {"float32", "float64"}),
        ("synsim run good.yaml --set z.ta", {"z.tau_m=", "z.tau_theta="}),
        ("synsim check good.yaml --set W.A_", {"W.A_plus=", "W.A_minus="}),
        ("synsim run good.yaml --set z.refractory=p", {"z.refractory=published"}),
        ("synsim run good.yaml --set run.pre", {"run.precision="}),
        ("synsim run good.yaml --set let.", {"let.hid="}),
        ("synsim run good.yaml --set wires.W.preT", {"wires.W.preTrace="}),
        ("synsim run good.yaml --set wires.z.j=im", {"wires.z.j=image"}),
        ("synsim run good.yaml --set record.z.thr", {"record.z.thr_theta.every="}),
        ("synsim run broken.yaml --set z.", set()),
        ("synsim run nowhere.yaml --set z.", set()),
        ("synsim init --from hop", {"hopfield_digits"}),
    ],
)
def test_a_shell_offers_what_may_follow(line, expected, folder):
    offered, modules = completed(line, folder)
    assert set(offered.split()) == expected
    light(modules)


def test_zsh_and_fish_show_what_the_words_mean(folder):
    offered, _ = completed("synsim components LIFC", folder, "zsh")
    assert '"LIFCell":"Leaky integrate-and-fire cell' in offered
    offered, _ = completed("synsim run good.yaml --set z.tau_m", folder, "zsh")
    assert "Membrane time constant." in offered


def test_a_type_is_offered_for_every_type(folder):
    offered, _ = completed("synsim components ", folder)
    assert offered.split() == list(catalogue.types())
    offered, _ = completed("synsim run good.yaml --set z.", folder)
    assert {word.removeprefix("z.").removesuffix("=") for word in offered.split()} == set(describe.settings("LIFCell"))
    offered, _ = completed("synsim init --from ", folder)
    assert offered.split() == list(starting.examples())


def test_completion_is_installed(tmp_path):
    done, _ = started(
        ["--install-completion", "bash"], tmp_path, HOME=str(tmp_path), _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1"
    )
    assert done.returncode == 0 and "bash completion installed" in done.stdout
    (script,) = (tmp_path / ".bash_completions").iterdir()
    assert "_SYNSIM_COMPLETE=complete_bash" in script.read_text()
