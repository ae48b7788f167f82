"""Brian2 and NEST, where there is a Python that has them: which one, and what it is to run.

They are never imported here: they run in processes of their own, as another Python's programs.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from synsim.benchmarks.process import result
from synsim.faults import ConfigError, listing

PACKAGES = ("nest-simulator==3.10.0", "brian2==2.9.0", "numpy<2.3")  # this Brian2 does not know later NumPys
VARIABLE = "SYNSIM_PEERS_PYTHON"
NETWORKS = {"cuba_4000": "cuba_4000", "coba_4000": "coba_4000", "cuba_20000": "cuba_20000", "brunel": "brunel_AI"}
"""What the examples that they know are called there."""

PROGRAM = str(Path(__file__).with_name("peer_networks.py"))
ASKED = """
import json, importlib.util as there, importlib.metadata as about
found = {}
for name, module, package in (("Brian2", "brian2", "brian2"), ("NEST", "nest", "nest-simulator")):
    if there.find_spec(module):
        try:
            found[name] = about.version(package)
        except about.PackageNotFoundError:
            found[name] = "?"
print(json.dumps(found))
"""


@dataclass(frozen=True)
class Peers:
    """A Python, and the versions of the simulators that it has."""

    python: str
    versions: Mapping[str, str]

    @property
    def words(self) -> str:
        """What is measured beside."""
        return listing([f"{name} {version}" for name, version in self.versions.items()])

    def commands(
        self, example: str, folder: Path, note: Callable[[str], None], stop: Callable[[], bool] | None = None
    ) -> dict[str, list[str]]:
        """By simulator, what runs the network of an example once, NEST with delays of 1.5 ms; Brian2's is built first.

        Raises RunError where it cannot be built.
        """
        net = NETWORKS.get(example)
        if net is None:
            return {}
        made = {}
        if "Brian2" in self.versions:
            built = folder / f"brian_{net}"
            if not (built / "main").exists():
                note(f"building {example} in Brian2 …")
                result([self.python, PROGRAM, "build", net, str(built)], f"building {example} in Brian2", stop)
            made["Brian2"] = [self.python, PROGRAM, "brian", net, str(built)]
        if "NEST" in self.versions:
            made["NEST"] = [self.python, PROGRAM, "nest", net, "--delay", "1.5"]
        return made


def chosen(python: str | None) -> Peers:
    """The peers of the Python that is named, or else of this one. Raises ConfigError where it has none of them."""
    python = python or os.environ.get(VARIABLE) or None
    found = shutil.which(python or sys.executable)
    if found is None:
        raise ConfigError(
            f"there is no Python {python}: --peers-python, or {VARIABLE}, names the one of Brian2 and NEST"
        )
    # the folder that this command stands in is no place for modules of another Python
    done = subprocess.run([found, "-I", "-c", ASKED], capture_output=True, text=True, check=False)
    try:
        versions = json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else {}
    except (ValueError, IndexError):
        versions = {}
    if not versions:
        packages = " ".join(f"'{each}'" for each in PACKAGES)
        raise ConfigError(
            f"{found} has neither Brian2 nor NEST. Put them into a Python of their own and name it: python -m venv "
            f"peers && peers/bin/pip install {packages} && synsim bench --peers --peers-python peers/bin/python"
        )
    return Peers(found, versions)
