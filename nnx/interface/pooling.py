"""Pooling of images."""

from __future__ import annotations

from nnx import reference
from nnx.interface.arrays import Array, Arrays
from nnx.interface.windows import Window


class Pooling(Arrays):
    """Kernels that make one number of every window. Letters as in `Convolution`.

    Padding takes no part: it is never the largest, and is not counted in an average. Windows may overlap, and
    may leave pixels out; none lies in the padding alone, since `before` and `after` are smaller than the window and
    the image has a pixel. Dilation is 1.
    """

    def max_pool(self, x: Array, y: Array, index: Array, window: Window) -> None:
        """Find the largest of every window: y = x at the tap `index`.

            index = k L + l    the tap (k, l) of the largest

        Of equals it is the first, in the order of the taps; where there is a NaN, it is the first NaN.
        Shapes: x (N, H, W, C); y, index (N, P, Q, C), index int32.
        """
        reference.max_pool(self.xp, x, y, index, window)

    def max_pool_backward(self, index: Array, dy: Array, dx: Array, window: Window) -> None:
        """Gradient of `max_pool`: each dx is the sum of the dy whose windows found their largest there.

        Shapes: index, dy (N, P, Q, C), index int32; dx (N, H, W, C).
        """
        reference.max_pool_backward(self.xp, index, dy, dx, window)

    def average_pool(self, x: Array, y: Array, window: Window) -> None:
        """Average every window: the sum of its pixels over their number, padding left out of both.

        Shapes: x (N, H, W, C); y (N, P, Q, C).
        """
        reference.average_pool(self.xp, x, y, window)

    def average_pool_backward(self, dy: Array, dx: Array, window: Window) -> None:
        """Gradient of `average_pool`: each dx is the sum, over the windows that hold it, of dy / their pixels.

        Shapes: dy (N, P, Q, C); dx (N, H, W, C).
        """
        reference.average_pool_backward(self.xp, dy, dx, window)
