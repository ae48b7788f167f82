"""Ways to spoil data on purpose, as `corrupt: {type: flip, p: 0.1}`: what recall and denoising start from."""

from __future__ import annotations

from synsim.component import Declaration, static
from synsim.later import np


class Corruption(Declaration, abstract=True):
    """A way to spoil an array; the draws come from a generator that the seed and the entry's name decide."""

    def apply(self, values: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """The spoiled values, whose last axis counts the units; the given ones are left as they are."""
        raise NotImplementedError

    def misfits(self, units: int) -> list[tuple[str, str]]:
        """Settings that contradict each other or the number of units, each with a sentence. ("", …) speaks of all."""
        del units
        return []


class Flip(Corruption, type_name="flip"):
    """Mirrors a value, with probability p, in the range of all: x' = min + max - x (0 and 1 swap). Source: none."""

    p: float = static("Probability that a value is flipped.", ge=0, le=1)

    def apply(self, values: np.ndarray, random: np.random.Generator) -> np.ndarray:
        mirrored = (values.max() - values + values.min()).astype(values.dtype)
        return np.where(random.random(values.shape) < self.p, mirrored, values)


class Mask(Corruption, type_name="mask"):
    """Sets each value to zero with probability p, or in every row exactly a share of the units. Source: none."""

    p: float | None = static("Probability that a value becomes 0.", default=None, ge=0, le=1)
    share: float | None = static(
        "Share of the units of every row (of every frame, where data have steps) that become 0, rounded to whole "
        "units and drawn for each row; in place of p.",
        default=None,
        ge=0,
        le=1,
    )

    def misfits(self, units: int) -> list[tuple[str, str]]:
        if self.p is None and self.share is None:
            return [("", "corrupt needs p or share: the probability of each value, or the share of the units")]
        if self.share is None:
            return []
        if self.p is not None:
            return [("share", "corrupt has both p and share: write one of them")]
        if self.share > 0 and not round(self.share * units):
            return [("share", f"a share of {self.share:g} of {units} units is not even one")]
        return []

    def apply(self, values: np.ndarray, random: np.random.Generator) -> np.ndarray:
        drawn = random.random(values.shape)
        if self.p is not None:
            return np.where(drawn < self.p, values.dtype.type(0), values)
        assert self.share is not None  # `misfits` has asked for one of the two
        blank = np.argsort(drawn, axis=-1)[..., : round(self.share * values.shape[-1])]
        spoiled = values.copy()
        np.put_along_axis(spoiled, blank, values.dtype.type(0), axis=-1)
        return spoiled


class Gaussian(Corruption, type_name="gaussian"):
    """Adds noise of mean 0: x' = x + amount n, n ~ N(0, 1). Source: none."""

    amount: float = static("Standard deviation of the noise, in the values' own unit.", ge=0)

    def apply(self, values: np.ndarray, random: np.random.Generator) -> np.ndarray:
        kind = values.dtype if values.dtype.kind == "f" else np.dtype(np.float64)
        return (values + self.amount * random.standard_normal(values.shape)).astype(kind)
