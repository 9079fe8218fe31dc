"""How a window moves over an image."""

from __future__ import annotations

from typing import NamedTuple

Pair = tuple[int, int]
"""A quantity along the height and along the width."""


class Window(NamedTuple):
    """A window of taps that moves over images; every entry is (along the height, along the width).

    The tap (k, l) of the window at the place (p, q) lies on the pixel
    (p stride + k dilation - before, q stride + l dilation - before) of the image; outside of it lies the padding.

    Attributes:
        size: taps.
        stride: pixels from one place to the next.
        before, after: rows and columns of padding at the top and left, and at the bottom and right.
        dilation: pixels from one tap to the next.
    """

    size: Pair
    stride: Pair = (1, 1)
    before: Pair = (0, 0)
    after: Pair = (0, 0)
    dilation: Pair = (1, 1)

    @property
    def reach(self) -> Pair:
        """The pixels that the window spans, those between its taps included."""
        high, wide = ((size - 1) * gap + 1 for size, gap in zip(self.size, self.dilation, strict=True))
        return high, wide

    def places(self, height: int, width: int) -> Pair:
        """Return how many places the window has on an image; below 1 where it does not fit."""
        extents = zip((height, width), self.before, self.after, self.reach, self.stride, strict=True)
        down, along = (
            (extent + first + last - reach) // stride + 1 for extent, first, last, reach, stride in extents
        )
        return down, along

    def padded(self, height: int, width: int) -> Pair:
        """Return the extents of an image with its padding."""
        return height + self.before[0] + self.after[0], width + self.before[1] + self.after[1]
