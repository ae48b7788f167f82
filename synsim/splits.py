"""Which rows of a data set are for learning and which for testing."""

from __future__ import annotations

from typing import Literal

from synsim.component import Declaration, static
from synsim.later import np


class Split(Declaration, type_name="split"):
    """One part of the rows, drawn by one permutation for each number of rows, so that images and labels agree.

    train: the first int(fraction * n) rows of default_rng(seed).permutation(n); test: the others. Source: none.
    """

    part: Literal["train", "test"] = static("Which part.")
    fraction: float = static("Share of the rows that the part train has.", default=0.8, gt=0, lt=1)

    def rows(self, n: int, seed: int) -> np.ndarray:
        """Numbers of the rows in this part, out of n."""
        shuffled = np.random.default_rng(seed).permutation(n)
        border = int(self.fraction * n + 1e-9)  # 0.29 * 100 is 28.999999999999996
        return shuffled[:border] if self.part == "train" else shuffled[border:]
