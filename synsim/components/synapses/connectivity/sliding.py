"""What a convolution and a transposed convolution have in common: filters, an image, a stride and zeros around it."""

from __future__ import annotations

import dataclasses
from bisect import bisect_left
from typing import Literal, Self

from synsim.component import static
from synsim.components.synapses.connectivity.connectivity import Connectivity

Pair = tuple[int, int]


class SlidingConnectivity(Connectivity, abstract=True):
    """Filters (k_y, k_x, C, O) between images (B, H, W, C) and (B, H', W', O); the two axes have one geometry each."""

    shape: tuple[int, int, int, int] = static("Kernel height and width, input channels, output channels.", gt=0)
    x_shape: int | Pair | None = static(
        "Height and width of the presynaptic image, a number where it is square; left out, those of what is wired.",
        default=None,
        gt=0,
    )
    stride: int | Pair = static("Stride, or one for y and one for x.", default=1, ge=1)
    padding: Literal["SAME", "VALID"] | tuple[Pair, Pair] = static(
        "Zeros around the image: SAME, VALID, or their numbers [[top, bottom], [left, right]].", default="SAME", ge=0
    )

    @property
    def weight_axes(self) -> tuple[str, ...]:
        return ("ky", "kx", "pre_unit", "post_unit")

    @property
    def bias_axes(self) -> tuple[str, ...]:
        return ("channel",)

    def _zeros(self, size: int, kernel: int, stride: int) -> Pair:
        """Zeros before and after an axis of `size` under the padding that is named."""
        raise TypeError(f"{type(self).__name__} has no _zeros")

    def _reached(self, size: int, kernel: int, stride: int, zeros: Pair) -> int:
        """Length of the axis that an axis of `size` becomes."""
        raise TypeError(f"{type(self).__name__} has no _reached")

    @property
    def image(self) -> Pair:
        """Height and width of the presynaptic image."""
        assert self.x_shape is not None  # a graph is built of fitted connectivities
        return (self.x_shape, self.x_shape) if isinstance(self.x_shape, int) else self.x_shape

    @property
    def strides(self) -> Pair:
        """Stride along y and along x."""
        return (self.stride, self.stride) if isinstance(self.stride, int) else self.stride

    @property
    def zeros(self) -> tuple[Pair, Pair]:
        """Zeros before and after, along y and along x."""
        return self._zeros_of(0, self.image[0]), self._zeros_of(1, self.image[1])

    def _zeros_of(self, axis: int, size: int) -> Pair:
        if isinstance(self.padding, str):
            return self._zeros(size, self.shape[axis], self.strides[axis])
        return self.padding[axis]

    def _output(self, axis: int, size: int) -> int:
        return self._reached(size, self.shape[axis], self.strides[axis], self._zeros_of(axis, size))

    @property
    def pre_shape(self) -> tuple[int, ...]:
        return (*self.image, self.shape[2])

    @property
    def post_shape(self) -> tuple[int, ...]:
        height, width = (max(0, self._output(axis, size)) for axis, size in enumerate(self.image))
        return (height, width, self.shape[3])

    @property
    def weight_shape(self) -> tuple[int, ...]:
        return self.shape

    def problems(self) -> list[tuple[str, str]]:
        if self.x_shape is None or min(self.post_shape) > 0:
            return []
        padding = self.padding if isinstance(self.padding, str) else [list(pair) for pair in self.padding]
        return [
            (
                "shape",
                f"a kernel of {self.shape[0]} x {self.shape[1]} does not fit into an image of {self.image[0]} x "
                f"{self.image[1]} with padding {padding}",
            )
        ]

    def fit(self, pre: tuple[int, ...] | None, post: tuple[int, ...] | None) -> Self | None:
        if self.x_shape is not None:
            return self
        if pre is not None and len(pre) == 3:
            return dataclasses.replace(self, x_shape=pre[:2])
        if post is not None and len(post) == 3:
            sizes = [self._size(axis, post[axis]) for axis in (0, 1)]
            return None if None in sizes else dataclasses.replace(self, x_shape=tuple(sizes))
        return None

    def _size(self, axis: int, output: int) -> int | None:
        """The only length of a presynaptic axis that gives `output`, or None: a stride may give it for several."""
        lengths = range(1, output * self.strides[axis] + self.shape[axis] + 2)

        def reached(size: int) -> int:
            return self._output(axis, size)  # never falls as the size grows

        size = bisect_left(lengths, output, key=reached) + 1
        return size if reached(size) == output < reached(size + 1) else None
