"""What operations that move windows over images share."""

from __future__ import annotations

from nnx.errors import ShapeError
from nnx.interface import Array, Window
from nnx.interface.windows import Pair
from nnx.ops.core import OpsCore


class Windows(OpsCore):
    """Checks of images (N, H, W, C) and the windows on them."""

    def places(self, operation: str, x: Array, window: Window) -> Pair:
        """Return how many places the window has on the images.

        Raises:
            ShapeError: x is no images, or they are smaller than the window, padding included.
        """
        if x.ndim != 4:
            raise ShapeError(f"{operation} expects images (N, H, W, C), got {tuple(x.shape)}.")
        places = window.places(*x.shape[1:3])
        if min(places) < 1:
            high, wide = window.padded(*x.shape[1:3])
            raise ShapeError(
                f"{operation} expects images of at least {window.reach}, got {high} x {wide} with padding."
            )
        return places
