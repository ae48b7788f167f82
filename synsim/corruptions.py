"""Ways to spoil data on purpose, as `corrupt: {type: flip, p: 0.1}`: what recall and denoising start from."""

from __future__ import annotations

import numpy as np

from synsim.component import Declaration, static


class Corruption(Declaration, abstract=True):
    """A way to spoil an array; the draws come from a generator that the seed and the entry's name decide."""

    def apply(self, values: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """The spoiled values; the given ones are left as they are."""
        raise NotImplementedError


class Flip(Corruption, type_name="flip"):
    """Mirrors a value, with probability p, in the range of all: x' = min + max - x (0 and 1 swap). Source: none."""

    p: float = static("Probability that a value is flipped.", ge=0, le=1)

    def apply(self, values: np.ndarray, random: np.random.Generator) -> np.ndarray:
        mirrored = (values.max() - values + values.min()).astype(values.dtype)
        return np.where(random.random(values.shape) < self.p, mirrored, values)


class Mask(Corruption, type_name="mask"):
    """Sets each value to zero with probability p. Source: none."""

    p: float = static("Probability that a value becomes 0.", ge=0, le=1)

    def apply(self, values: np.ndarray, random: np.random.Generator) -> np.ndarray:
        return np.where(random.random(values.shape) < self.p, values.dtype.type(0), values)


class Gaussian(Corruption, type_name="gaussian"):
    """Adds noise of mean 0: x' = x + amount n, n ~ N(0, 1). Source: none."""

    amount: float = static("Standard deviation of the noise, in the values' own unit.", ge=0)

    def apply(self, values: np.ndarray, random: np.random.Generator) -> np.ndarray:
        kind = values.dtype if values.dtype.kind == "f" else np.dtype(np.float64)
        return (values + self.amount * random.standard_normal(values.shape)).astype(kind)
