"""The 1,797 handwritten digits that come with scikit-learn, read from its data file: none of its code is run, whose
import alone takes longer than all that `check` does."""

from __future__ import annotations

import gzip
from functools import cache
from pathlib import Path
from typing import Any

from synsim.arrays import Problem, installed_file, reading
from synsim.later import np

FILE = Path("datasets", "data", "digits.csv.gz")
ROWS, SIDE = 1797, 8


@cache
def digits() -> tuple[Any, Any]:
    """Images (1797, 64), 0 to 16, and labels, in the order of the file.

    Raises Problem where scikit-learn is not installed, or its file is another one.
    """
    path = installed_file("sklearn", FILE)
    if path is None:
        raise Problem("type", "the digits come with scikit-learn, which is not installed: pip install 'synsim[data]'")
    with reading(path), gzip.open(path) as file:
        values = np.loadtxt(file.read(1 << 20).decode("ascii").splitlines(), delimiter=",", ndmin=2)
    if values.shape != (ROWS, SIDE * SIDE + 1):
        raise Problem("type", f"{path} is not the file of {ROWS:,} digits that scikit-learn had up to now")
    images, labels = values[:, :-1].copy(), values[:, -1].astype(np.int64)
    images.flags.writeable = labels.flags.writeable = False
    return images, labels
