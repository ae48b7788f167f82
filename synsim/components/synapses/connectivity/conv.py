"""Filters that slide over an image."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import jax
from jax import lax

from synsim.component import static
from synsim.components.synapses.connectivity.connectivity import Connectivity


class ConvConnectivity(Connectivity, type_name="conv"):
    """Convolutional connectivity: stride 1, zero padding that keeps the size of the image.

    y[b,i,j,o] = sum_{p,q,c} x[b, i + p - p0, j + q - q0, c] K[p,q,c,o], with (p0, q0) half the kernel, rounded down
    after taking off one; x (B, H, W, C), K (k_y, k_x, C, O), y (B, H, W, O).

    Source: LeCun et al. (1989), Neural Computation 1, 541-551.
    """

    shape: tuple[int, int, int, int] = static("Kernel height and width, input channels, output channels.", gt=0)
    x_shape: tuple[int, int] | None = static(
        "Height and width of the image; left out, those of what is wired.", default=None, gt=0
    )

    weight_axes: ClassVar[tuple[str, ...]] = ("ky", "kx", "pre_unit", "post_unit")
    bias_axes: ClassVar[tuple[str, ...]] = ("channel",)

    @property
    def _image(self) -> tuple[int, int]:
        assert self.x_shape is not None  # a graph is built of fitted connectivities
        return self.x_shape

    @property
    def pre_shape(self) -> tuple[int, ...]:
        return (*self._image, self.shape[2])

    @property
    def post_shape(self) -> tuple[int, ...]:
        return (*self._image, self.shape[3])

    @property
    def weight_shape(self) -> tuple[int, ...]:
        return self.shape

    def fit(self, pre: tuple[int, ...] | None, post: tuple[int, ...] | None) -> ConvConnectivity | None:
        if self.x_shape is not None:
            return self
        image = next((shape for shape in (pre, post) if shape is not None and len(shape) == 3), None)
        return None if image is None else dataclasses.replace(self, x_shape=image[:2])

    def transmit(self, w: jax.Array, x: jax.Array) -> jax.Array:
        return lax.conv_general_dilated(x, w, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
