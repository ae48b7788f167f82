"""Filters that every pixel of an image is replaced by."""

from __future__ import annotations

from synsim.components.synapses.connectivity.sliding import Pair, SlidingConnectivity
from synsim.later import jax, lax


class DeconvConnectivity(SlidingConnectivity, type_name="deconv"):
    """Deconvolutional connectivity, a transposed convolution.

        y[n,i,j,o] = sum x[n,p,q,c] K[a,b,c,o]     over all p, q, a, b, c with i = s p - a + l, j = s q - b + l

    so the input, with s - 1 zeros put between its pixels and l before them, is correlated with the kernel; s and l are
    those of y and x each. x (B, H, W, C), K (k_y, k_x, C, O), y (B, H', W', O).

    SAME gives H' = s H, with l = k - 1 where s > k - 1, else half of k + s - 2, rounded up; VALID gives
    H' = s H + max(k - s, 0), with l = k - 1; padding in numbers (l before and as many after as are written) gives
    H' = s (H - 1) + 2 + before + after - k.

    Source: Zeiler, Krishnan, Taylor & Fergus (2010), CVPR, 2528-2535; Dumoulin & Visin (2016), arXiv:1603.07285, ch. 4.
    """

    def _zeros(self, size: int, kernel: int, stride: int) -> Pair:
        total = kernel + stride - 2 + (max(kernel - stride, 0) if self.padding == "VALID" else 0)
        far = self.padding == "VALID" or stride > kernel - 1
        before = kernel - 1 if far else -(-total // 2)
        return before, total - before

    def _reached(self, size: int, kernel: int, stride: int, zeros: Pair) -> int:
        return (size - 1) * stride + 2 + sum(zeros) - kernel

    def transmit(self, w: jax.Array, x: jax.Array) -> jax.Array:
        return lax.conv_general_dilated(
            x, w, (1, 1), self.zeros, lhs_dilation=self.strides, dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
