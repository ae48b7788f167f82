"""Encoder: an image through receptive fields."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from synsim.component import Component, Now, View, inlet, outlet, param, state, static
from synsim.later import jax, jnp

SURROUND = 1.6  # how much wider the surround is than the centre: Marr & Hildreth (1980)
FLOOR = 1e-8  # put onto the surround before the centre is divided by it

Filter = Literal["identity", "gaussian", "difference_of_gaussian", "DoG", "ratio_of_gaussian", "RoG"]


class RetinalGanglionCell(Component):
    """Patches of an image, each weighted by one filter, less the mean of all.

        outputs = patches filter - mean over the row of (patches filter)
        G(s) ~ e^(-r^2 / 2 s^2), of sum 1, around the middle of the patch
        filter = 1 (identity), G(sigma) (gaussian), G(sigma) - G(1.6 sigma) (difference_of_gaussian, DoG) or
                 G(sigma) / (G(1.6 sigma) + 1e-8) (ratio_of_gaussian, RoG)

    Patches lie step_shape apart, those of one row of the image after those of the one above; a step of 0 is for an
    axis with one patch. Shapes: inputs (B, *area_shape), outputs (B, n_cells * patch height * patch width) cell after
    cell, filter patch_shape. `initial` may give the filter.

    Source: Rodieck (1965), Vision Research 5:583; Marr & Hildreth (1980), Proceedings of the Royal Society B 207:187.
    """

    family: ClassVar[str] = "encoder"

    filter_type: Filter = static("Receptive field of every cell.")
    area_shape: tuple[int, int] = static("Shape of the image.")
    patch_shape: tuple[int, int] = static("Shape of one cell's patch.")
    step_shape: tuple[int, int] = static("How far apart patches lie; 0 where there is one.")
    n_cells: int | None = static("Number of cells; null for as many as fit.", default=None, gt=0)
    sigma: float = param("Width of the centre, in pixels.", default=1.0, gt=0)

    inputs = inlet("Image.", size="area")
    filter = state("Receptive field.", size="patch", batch=False, start=None)
    outputs = outlet("Filtered patches.")

    def sizes(self) -> dict[str, tuple[int, ...]]:
        down, across = self._grid()
        height, width = self.patch_shape
        return {"unit": (down * across * height * width,), "area": self.area_shape, "patch": self.patch_shape}

    def problems(self) -> list[tuple[str, str]]:
        """Shapes that do not go together, each with a sentence."""
        if min(*self.patch_shape, *self.area_shape) < 1:
            return [("patch_shape", f"must be at least 1 by 1, and so must area_shape, not {list(self.patch_shape)}")]
        if min(self.step_shape) < 0:
            return [("step_shape", f"must not be negative: {list(self.step_shape)}")]
        for area, patch, step in zip(self.area_shape, self.patch_shape, self.step_shape, strict=True):
            if patch > area:
                return [("patch_shape", f"{list(self.patch_shape)} does not fit into area {list(self.area_shape)}")]
            if step == 0 and area >= 2 * patch:
                return [("step_shape", f"is 0 where {area // patch} patches fit: they would all be the same")]
        cells = self._grid()[0] * self._grid()[1]
        if self.n_cells not in (None, cells):
            return [("n_cells", f"is {self.n_cells}, but the shapes give {cells} patches; leave it out")]
        return []

    def init(self, key: Any, batch: int, dtype: Any) -> dict[str, jax.Array]:
        del key, batch
        return dict(filter=self._filter().astype(dtype))

    def advance(self, x: View, now: Now) -> dict[str, jax.Array]:
        del now
        (down, across), (height, width), (dy, dx) = self._grid(), self.patch_shape, self.step_shape
        patches = [
            x.inputs[:, i * dy : i * dy + height, j * dx : j * dx + width] * x.filter
            for i in range(down)
            for j in range(across)
        ]
        rows = jnp.stack(patches, axis=1).reshape(x.inputs.shape[0], -1)
        return dict(outputs=rows - jnp.mean(rows, axis=1, keepdims=True))

    def _grid(self) -> tuple[int, int]:
        """How many patches there are from top to bottom and from left to right."""
        down, across = (
            (area - patch) // step + 1 if step > 0 else 1
            for area, patch, step in zip(self.area_shape, self.patch_shape, self.step_shape, strict=True)
        )
        return down, across

    def _filter(self) -> jax.Array:
        match self.filter_type:
            case "identity":
                return jnp.ones(self.patch_shape)
            case "gaussian":
                return self._gaussian(self.sigma)
            case "difference_of_gaussian" | "DoG":
                return self._gaussian(self.sigma) - self._gaussian(SURROUND * self.sigma)
            case "ratio_of_gaussian" | "RoG":
                return self._gaussian(self.sigma) / (self._gaussian(SURROUND * self.sigma) + FLOOR)

    def _gaussian(self, sigma: Any) -> jax.Array:
        y, x = (jnp.arange(n, dtype=jnp.result_type(float)) - n // 2 for n in self.patch_shape)
        bump = jnp.exp(-(y[:, None] ** 2 + x**2) / (2.0 * sigma**2))
        return bump / jnp.sum(bump)
