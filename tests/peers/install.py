"""Puts NEST and Brian2 into a virtual environment of their own: `python install.py FOLDER`.

Then SYNSIM_PEERS_PYTHON=FOLDER/bin/python with SYNSIM_TEST_SCALE=full runs the comparison, and with
`synsim bench --peers` the benchmarks beside them.
"""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

from synsim.benchmarks.peers import PACKAGES


def main(folder: str) -> None:
    venv.create(folder, with_pip=True)
    python = Path(folder) / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
    print(f"SYNSIM_PEERS_PYTHON={python}")


if __name__ == "__main__":
    main(sys.argv[1])
