"""Components of other people's modules: named in a config and allowed, or installed as entry points."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import synsim
from synsim import api, catalogue, describe
from synsim.config import load
from synsim.faults import ConfigError, render

CELL = '''
    from synsim.component import Component, inlet, param, state, static, Size

    class {name}(Component):
        """A leaky cell.

        tau dv/dt = -v + j

        Source: nobody (2026).
        """

        family = "neuron"
        n_units: Size = static("Number of neurons, or their shape.", ge=1)
        tau: float = param("Time constant.", "ms", default=10.0, gt=0)
        j = inlet("Input current.", "nA")
        v = state("Membrane potential.", "mV")

        def advance(self, x, now):
            return dict(v=x.v + now.dt / self.tau * (x.j - x.v))
'''

RULE = '''
    from synsim.components.synapses.rules.rule import Rule
    from synsim.component import inlet, param

    class Sluggish(Rule, type_name="sluggish_of_mine"):
        """A rule that never learns.

        dw = 0

        Source: nobody (2026).
        """

        rate: float = param("Rate.", default=1.0)
'''

CONFIG = """\
name: plugged
plugins: [{module}]
run: {{steps: 5}}
components: {{z: {{type: {type}, n_units: 3, tau: 5}}}}
wires: {{z.j: 2}}
record: {{z.v: {{}}}}
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Writes modules into a folder that Python looks in."""
    monkeypatch.syspath_prepend(tmp_path / "lib")

    def write(path: str, text: str) -> None:
        file = tmp_path / "lib" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text))

    return write


def faults_of(text: str, **more) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load("c.yaml", text=text, **more)
    assert caught.value.exit_code == 2
    return render(caught.value.faults)


def test_nothing_is_imported_that_is_not_allowed(package):
    package("plug_a/cells.py", "raise SystemExit(3)")
    text = CONFIG.format(module="plug_a.cells", type="Unknown").replace("steps", "stepz")
    assert faults_of(text) == [
        "c.yaml:2:10: error: the config asks for the plugin plug_a.cells, whose code would be run: allow that with "
        "--allow-plugins if you trust it."
    ]
    assert "plug_a" not in sys.modules
    assert faults_of(text, allow_plugins=True)[0] == (
        "c.yaml:2:11: error: the plugin plug_a.cells cannot be imported: SystemExit: 3."
    )


def test_a_plugin_has_what_the_package_has(package, tmp_path):
    package("plug_b/__init__.py", "")
    package("plug_b/cells.py", CELL.format(name="CellB"))
    text = CONFIG.format(module="plug_b.cells", type="CellB")
    spec = load("c.yaml", text=text, allow_plugins=True)
    assert describe.card("CellB")["doc"].startswith("A leaky cell")
    assert spec.resolved()["plugins"] == ["plug_b.cells"]
    assert faults_of(text.replace("tau: 5", "tauu: 5"), allow_plugins=True) == [
        "c.yaml:4:43: error: z (CellB) has no setting 'tauu'. Did you mean 'tau'?"
    ]
    assert faults_of(text.replace("type: CellB", "type: CellC"), allow_plugins=True) == [
        "c.yaml:4:24: error: there is no component type 'CellC'. Did you mean 'CellB'?"
    ]
    with synsim.run(spec, out=tmp_path) as left:
        (told,) = json.loads(left.provenance["plugins"])
        assert told["module"] == "plug_b.cells" and len(told["sha256"]) == 64
    with pytest.raises(ConfigError, match="--allow-plugins"):
        synsim.run(tmp_path / "plugged", resume=True)
    with synsim.run(tmp_path / "plugged", resume=True, allow_plugins=True) as left:
        assert left.state == "done"
    # a config that does not name it has none of its types
    assert "there is no component type 'CellB'" in faults_of(text.replace("plugins: [plug_b.cells]\n", ""))[0]


def test_a_package_offers_what_it_takes_from_its_modules(package):
    package("plug_c/__init__.py", "from plug_c.inner import CellIn\nfrom synsim.components.lif_cell import LIFCell\n")
    package("plug_c/inner.py", CELL.format(name="CellIn"))
    load("c.yaml", text=CONFIG.format(module="plug_c", type="CellIn"), allow_plugins=True)


def test_a_rule_of_ones_own(package):
    package("plug_rule.py", RULE)
    text = (
        "plugins: [plug_rule]\nrun: {steps: 3}\n"
        "components:\n  W: {type: Synapse, connectivity: dense, shape: [2, 2], rule: sluggish_of_mine, rate: 2}\n"
        "wires: {W.inputs: 1}\n"
    )
    spec = load("c.yaml", text=text, allow_plugins=True)
    assert "sluggish_of_mine" in catalogue.parts("rule") and spec.components["W"].settings["rate"] == 2.0
    assert [each["module"] for each in json.loads(spec.origin()["plugins"])] == ["plug_rule"]
    api.check(spec)


@pytest.mark.parametrize(
    "source, said",
    [
        (CELL.format(name="LIFCell"), "has a type LIFCell, as synsim has itself: it needs a name of its own."),
        (CELL.format(name="StaticSynapse"), "has a type StaticSynapse, as synsim has itself"),
        ("x = 1", "defines no component, and no rule, dynamics, connectivity or initialiser."),
        ("import no_such_module_at_all", "cannot be imported: ModuleNotFoundError: No module named 'no_such"),
        ("x = (", "cannot be imported: SyntaxError"),
        ("raise ValueError('a\\nb')", "cannot be imported: ValueError: a b."),
        (CELL.format(name="Half").replace('"Time constant.", "ms", ', ""), "cannot be imported: TypeError: "),
        (RULE.replace("sluggish_of_mine", "hebbian"), "has a type hebbian, as synsim has itself"),
    ],
)
def test_what_a_plugin_cannot_be(package, source, said, request):
    name = f"plug_bad_{abs(hash(said + source))}"
    package(f"{name}.py", source)
    lines = faults_of(CONFIG.format(module=name, type="LIFCell"), allow_plugins=True)
    assert lines[0].startswith(f"c.yaml:2:11: error: the plugin {name} {said}") and len(lines) == 1


def test_two_plugins_with_one_name(package):
    package("plug_d1.py", CELL.format(name="CellTwice"))
    package("plug_d2.py", CELL.format(name="CellTwice"))
    assert faults_of(CONFIG.format(module="plug_d1, plug_d2", type="CellTwice"), allow_plugins=True) == [
        "c.yaml:2:20: error: the plugin plug_d2 has a type CellTwice, as plug_d1 has: one of them needs another name."
    ]


@pytest.mark.parametrize(
    "written, line",
    [
        ("cells", "2:10: error: plugins must be a list of modules, as [mypackage.cells], not the text 'cells'."),
        ("[3]", "2:11: error: a plugin is the name of a module, as mypackage.cells, not 3."),
        ("[../x]", "2:11: error: a plugin is the name of a module, as mypackage.cells, not the text '../x'."),
        ("[os.]", "2:11: error: a plugin is the name of a module, as mypackage.cells, not the text 'os.'."),
    ],
)
def test_names_that_are_none(written, line):
    assert f"c.yaml:{line}" in faults_of(CONFIG.format(module="x", type="LIFCell").replace("[x]", written))


def test_a_module_beside_the_config(tmp_path, monkeypatch):
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "plug_beside.py").write_text(textwrap.dedent(CELL.format(name="CellBeside")))
    (tmp_path / "shared" / "base.yaml").write_text(CONFIG.format(module="plug_beside", type="CellBeside"))
    (tmp_path / "a.yaml").write_text("extends: shared/base.yaml\n")
    before = list(sys.path)
    with synsim.run(tmp_path / "a.yaml", out=tmp_path, allow_plugins=True) as left:
        assert json.loads(left.provenance["plugins"])[0]["module"] == "plug_beside"
    with synsim.run(tmp_path / "plugged", resume=True, allow_plugins=True) as left:
        assert left.state == "done"
    assert sys.path == before


def test_what_a_plugin_prints_is_not_output(package, capsys):
    package("plug_loud.py", "print('hello')\n" + textwrap.dedent(CELL.format(name="CellLoud")))
    load("c.yaml", text=CONFIG.format(module="plug_loud", type="CellLoud"), allow_plugins=True)
    assert capsys.readouterr() == ("", "hello\n")


# entry points and the command line ---------------------------------------------------------------------------------


def installed(folder: Path, name: str, module: str) -> None:
    """A package as an installer leaves it."""
    about = folder / f"{name}-1.2.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
    (about / "top_level.txt").write_text(f"{module.partition('.')[0]}\n")
    (about / "entry_points.txt").write_text(f"[synsim.components]\ncells = {module}\n")


def synsim_says(folder: Path, *arguments: str) -> tuple[int, str, str]:
    paths = [str(folder), str(Path(synsim.__file__).parents[1])]
    done = subprocess.run(
        [sys.executable, "-m", "synsim", *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
    )
    return done.returncode, done.stdout, done.stderr


def test_installed_packages_need_no_word(package, tmp_path):
    lib = tmp_path / "lib"
    package("mine/__init__.py", "")
    package("mine/cells.py", CELL.format(name="InstalledCell"))
    package("broken_one.py", "import no_such_module_at_all")
    package("thief.py", CELL.format(name="LIFCell"))
    for name, module in (("mine", "mine.cells"), ("broken", "broken_one"), ("thief", "thief")):
        installed(lib, name, module)
    package("c.yaml", CONFIG.format(module="", type="InstalledCell"))
    code, told, said = synsim_says(lib, "run", "c.yaml")
    assert code == 0, said
    with synsim.open(lib / told.strip()) as left:
        (origin,) = json.loads(left.provenance["plugins"])
    assert (origin["module"], origin["version"]) == ("mine.cells", "1.2")
    package("d.yaml", CONFIG.format(module="", type="OtherCell"))
    code, told, said = synsim_says(lib, "check", "d.yaml")
    assert (code, told) == (2, "")
    assert said.startswith("d.yaml:4:24: error: there is no component type 'OtherCell'.")
    package("e.yaml", CONFIG.format(module="", type="Zzz"))
    (line,) = synsim_says(lib, "check", "e.yaml")[2].splitlines()
    assert "the plugin of the installed package broken, broken_one cannot be imported: ModuleNotFoundError" in line
    assert "the installed plugin thief has a type LIFCell, as synsim has itself" in line


def test_the_command_line_allows_them(package, tmp_path):
    lib = tmp_path / "lib"
    package("mycells.py", CELL.format(name="CellOfMine"))
    package("c.yaml", CONFIG.format(module="mycells", type="CellOfMine"))
    code, told, said = synsim_says(lib, "check", "c.yaml")
    assert (code, told) == (2, "") and said.startswith("c.yaml:2:10: error: the config asks for the plugin mycells")
    assert synsim_says(lib, "check", "c.yaml", "--allow-plugins")[0] == 0
    code, told, _ = synsim_says(lib, "components", "CellOfMine", "--plugin", "mycells")
    assert code == 0 and "A leaky cell." in told
