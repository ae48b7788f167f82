"""Filters that slide over an image."""

from __future__ import annotations

from synsim.components.synapses.connectivity.sliding import Pair, SlidingConnectivity
from synsim.later import jax, lax


class ConvConnectivity(SlidingConnectivity, type_name="conv"):
    """Convolutional connectivity.

        y[b,i,j,o] = sum_{p,q,c} x[b, s i + p - l, s j + q - l, c] K[p,q,c,o]

    The kernel is not flipped; s is the stride and l the zeros before an axis, for y and x each. x (B, H, W, C),
    K (k_y, k_x, C, O), y (B, H', W', O), with H' = floor((H + zeros - k_y) / s) + 1. VALID: no zeros. SAME: as many
    as give H' = H / s, rounded up, half of them before, rounded down.

    Source: LeCun et al. (1989), Neural Computation 1, 541-551.
    """

    def _zeros(self, size: int, kernel: int, stride: int) -> Pair:
        if self.padding == "VALID":
            return 0, 0
        total = max(0, (-(-size // stride) - 1) * stride + kernel - size)
        return total // 2, total - total // 2

    def _reached(self, size: int, kernel: int, stride: int, zeros: Pair) -> int:
        return (size + sum(zeros) - kernel) // stride + 1

    def transmit(self, w: jax.Array, x: jax.Array) -> jax.Array:
        return lax.conv_general_dilated(x, w, self.strides, self.zeros, dimension_numbers=("NHWC", "HWIO", "NHWC"))
