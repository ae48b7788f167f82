"""Start values: how an array is filled before a run.

Each initialiser says what values it draws; the settings common to all say what is done to them then, in this order:
amin, amax, lower_triangle or upper_triangle, hollow, eye, col_mask, row_mask. Values come from one half of the key
and the random masks from the other, so that a mask changes no value that it keeps.

Weights have the shape (inputs, outputs), filters (height, width, input channels, output channels): the fan-in is the
product of all axes but the last.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal

from synsim.component import Declaration, param, static
from synsim.later import jax, jnp, np

Shape = tuple[int, ...]


class Initialiser(Declaration, abstract=True):
    """What fills an array of a given shape."""

    selectable: ClassVar[bool] = True  # a config may name it
    only_matrices: ClassVar[bool] = False

    amin: float | None = param("Lower bound: smaller values become this.", default=None)
    amax: float | None = param("Upper bound: larger values become this.", default=None)
    lower_triangle: bool = static("Keep the lower triangle and the diagonal.", default=False)
    upper_triangle: bool = static("Keep the upper triangle and the diagonal.", default=False)
    hollow: bool = static("Set the diagonal to zero.", default=False)
    eye: bool = static("Keep only the diagonal.", default=False)
    row_mask: int | tuple[int, ...] | None = static(
        "Rows to keep: how many, picked at random, or which ones.", default=None
    )
    col_mask: int | tuple[int, ...] | None = static(
        "Columns to keep: how many, picked at random, or which ones.", default=None
    )

    def draw(self, key: jax.Array, shape: Shape, dtype: Any) -> jax.Array:
        """An array of this shape and dtype. Settings that do not fit the shape are a ValueError."""
        wrong = self.misfits(shape)
        if wrong:
            raise ValueError("; ".join(f"{setting}: {sentence}" for setting, sentence in wrong))
        for_values, for_masks = jax.random.split(key)
        return self._finished(self.values(for_values, shape, dtype), for_masks).astype(dtype)

    def values(self, key: jax.Array, shape: Shape, dtype: Any) -> jax.Array:
        """The values before bounds and masks."""
        raise NotImplementedError

    def misfits(self, shape: Shape) -> list[tuple[str, str]]:
        """Settings that contradict each other or the shape, each with a sentence. ("", …) speaks of the whole."""
        wrong = []
        if self.lower_triangle and self.upper_triangle:
            wrong.append(("upper_triangle", "is written together with lower_triangle; keep one of them, or eye"))
        if len(shape) != 2:
            shown = "×".join(map(str, shape)) or "a single number"
            if self.only_matrices:
                wrong.append(("", f"{self.type_name} fills matrices; here the shape is {shown}"))
            names = ("lower_triangle", "upper_triangle", "hollow", "eye", "row_mask", "col_mask")
            wrong += [
                (name, f"is for matrices; here the shape is {shown}")
                for name in names
                if getattr(self, name) not in (False, None)
            ]
            return wrong
        for name, size, what in (("row_mask", shape[0], "rows"), ("col_mask", shape[1], "columns")):
            kept = getattr(self, name)
            if isinstance(kept, int) and not 0 <= kept <= size:
                wrong.append((name, f"cannot keep {kept} of {size} {what}"))
            elif isinstance(kept, tuple) and not all(0 <= index < size for index in kept):
                wrong.append((name, f"names {what} outside 0 to {size - 1}"))
        return wrong

    def _finished(self, w: jax.Array, key: jax.Array) -> jax.Array:
        if self.amin is not None:
            w = jnp.maximum(w, self.amin)
        if self.amax is not None:
            w = jnp.minimum(w, self.amax)
        if self.lower_triangle:
            w = jnp.tril(w)
        if self.upper_triangle:
            w = jnp.triu(w)
        if self.hollow:
            w = jnp.where(jnp.eye(*w.shape, dtype=bool), 0.0, w)
        if self.eye:
            w = jnp.where(jnp.eye(*w.shape, dtype=bool), w, 0.0)
        for axis, kept in ((1, self.col_mask), (0, self.row_mask)):
            if kept is None:
                continue
            if isinstance(kept, int):
                key, for_this = jax.random.split(key)
                chosen = jax.random.choice(for_this, w.shape[axis], (kept,), replace=False)
            else:
                chosen = np.asarray(kept, dtype=int)
            mask = jnp.zeros(w.shape[axis], dtype=bool).at[chosen].set(True)
            w = jnp.where(jnp.expand_dims(mask, 1 - axis), w, 0.0)
        return w


class Constant(Initialiser, type_name="constant"):
    """The same value everywhere: w = value. Source: none."""

    value: float = param("The value.")

    def values(self, key: jax.Array, shape: Shape, dtype: Any) -> jax.Array:
        return jnp.full(shape, self.value, dtype)


class Uniform(Initialiser, type_name="uniform"):
    """Uniform between low and high: w ~ U[low, high). Source: none."""

    low: float = param("Lower end.", default=0.0)
    high: float = param("Upper end.", default=1.0)

    def values(self, key: jax.Array, shape: Shape, dtype: Any) -> jax.Array:
        return jax.random.uniform(key, shape, dtype, minval=self.low, maxval=self.high)


class Gaussian(Initialiser, type_name="gaussian"):
    """Normal: w ~ mean + std N(0, 1). Source: none."""

    mean: float = param("Mean.", default=0.0)
    std: float = param("Standard deviation.", default=1.0, ge=0)

    def values(self, key: jax.Array, shape: Shape, dtype: Any) -> jax.Array:
        return self.mean + self.std * jax.random.normal(key, shape, dtype)


class Spread(Initialiser, type_name="spread"):
    """From first to last along the elements: w_i = first + (last - first) p^power, p = (i + 1/2) / n of n elements.

    Two settings of a cell that are both spread go together, unit by unit. With `spacing: reciprocal` it is 1/w that
    is spread so, as a rate is whose time constant is the setting. Source: none.
    """

    first: float = param("Value that the first element is next to.")
    last: float = param("Value that the last element is next to.")
    power: float = param("Exponent: 2 puts more of the values near the first.", default=1.0, gt=0)
    spacing: Literal["linear", "reciprocal"] = static(
        "What is spread: the values or their reciprocals.", default="linear"
    )

    def values(self, key: jax.Array, shape: Shape, dtype: Any) -> jax.Array:
        p = jnp.asarray((np.arange(math.prod(shape)) + 0.5) / math.prod(shape), dtype) ** self.power
        if self.spacing == "reciprocal":
            return (1.0 / ((1.0 - p) / self.first + p / self.last)).reshape(shape)
        return (self.first + (self.last - self.first) * p).reshape(shape)


class FanInUniform(Initialiser, type_name="fan_in_uniform"):
    """Uniform with a width set by the fan-in: w ~ U[-l, l), l = sqrt(1 / fan-in).

    Source: LeCun et al. (1998), Efficient BackProp, section 4.6.
    """

    def values(self, key: jax.Array, shape: Shape, dtype: Any) -> jax.Array:
        limit = math.sqrt(1.0 / fan_in(shape))
        return jax.random.uniform(key, shape, dtype, minval=-limit, maxval=limit)

    def misfits(self, shape: Shape) -> list[tuple[str, str]]:
        return _without_fan_in(self.type_name, shape) + Initialiser.misfits(self, shape)


class FanInGaussian(Initialiser, type_name="fan_in_gaussian"):
    """Normal with a width set by the fan-in: w ~ N(0, 1) sqrt(1 / fan-in).

    Source: LeCun et al. (1998), Efficient BackProp, section 4.6.
    """

    def values(self, key: jax.Array, shape: Shape, dtype: Any) -> jax.Array:
        return math.sqrt(1.0 / fan_in(shape)) * jax.random.normal(key, shape, dtype)

    def misfits(self, shape: Shape) -> list[tuple[str, str]]:
        return _without_fan_in(self.type_name, shape) + Initialiser.misfits(self, shape)


class Identity(Initialiser, type_name="identity"):
    """One value on the diagonal, zero elsewhere: w = value 1[i = j]. Source: none."""

    only_matrices: ClassVar[bool] = True

    value: float = param("Value on the diagonal.", default=1.0)

    def values(self, key: jax.Array, shape: Shape, dtype: Any) -> jax.Array:
        return self.value * jnp.eye(*shape, dtype=dtype)


class Hollow(Initialiser, type_name="hollow"):
    """One value off the diagonal, zero on it: w = value 1[i != j]. Lateral inhibition. Source: none."""

    only_matrices: ClassVar[bool] = True

    value: float = param("Value off the diagonal.", default=1.0)

    def values(self, key: jax.Array, shape: Shape, dtype: Any) -> jax.Array:
        return self.value * (1.0 - jnp.eye(*shape, dtype=dtype))


class Array(Initialiser, type_name="array"):
    """Ready values: w = array. What `file` and `data` become once they are loaded. Source: none."""

    selectable: ClassVar[bool] = False

    array: Any = param("The values.")

    def values(self, key: jax.Array, shape: Shape, dtype: Any) -> jax.Array:
        return jnp.asarray(self.array, dtype)

    def misfits(self, shape: Shape) -> list[tuple[str, str]]:
        have = tuple(jnp.shape(self.array))
        if have == tuple(shape):
            return Initialiser.misfits(self, shape)
        return [("", f"the values have the shape {have}, here {tuple(shape)} is needed")]


class File(Initialiser, type_name="file"):
    """Values from a file: w = file. Source: none."""

    path: str = static("The file, relative to the config: .npy, .npz, .csv or .h5.")
    key: str | None = static("Name of the array inside .npz and .h5 files.", default=None)

    def values(self, key: jax.Array, shape: Shape, dtype: Any) -> jax.Array:
        raise LookupError(f"{self.path} is not loaded yet: use loaded(…)")

    def loaded(self, array: Any) -> Array:
        """The same with the values that the file holds."""
        return _loaded(self, array)


class Data(Initialiser, type_name="data"):
    """Values of an entry of `data`: w = entry. Source: none."""

    entry: str = static("Name of the entry.")

    def values(self, key: jax.Array, shape: Shape, dtype: Any) -> jax.Array:
        raise LookupError(f"data entry {self.entry} is not loaded yet: use loaded(…)")

    def loaded(self, array: Any) -> Array:
        """The same with the values that the entry holds."""
        return _loaded(self, array)


def fan_in(shape: Shape) -> int:
    """How many inputs meet in one output: the product of all axes but the last."""
    return math.prod(shape[:-1])


def _without_fan_in(name: str, shape: Shape) -> list[tuple[str, str]]:
    if len(shape) >= 2:
        return []
    return [("", f"{name} fills weights of two or more axes; here the shape is {tuple(shape)}")]


def _loaded(source: Initialiser, array: Any) -> Array:
    common = ("amin", "amax", "lower_triangle", "upper_triangle", "hollow", "eye", "row_mask", "col_mask")
    return Array(**{"array": array, **{name: getattr(source, name) for name in common}})
