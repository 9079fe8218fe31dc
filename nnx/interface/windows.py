"""How a window moves over an image."""

from __future__ import annotations

from typing import NamedTuple

Pair = tuple[int, int]
"""A quantity along the height and along the width."""


class Phase(NamedTuple):
    """Pixels along an axis that the same taps lie on: every `stride`-th one.

    Attributes:
        first, pixels: the first of them, and how many there are.
        taps: from the last to the first, a constant number apart.
        places: of the first pixel, the place at which each of the taps lies on it; of the next, the places that
            follow, and so on. They ascend by a constant number from tap to tap, and may lie outside.
    """

    first: int
    pixels: int
    taps: tuple[int, ...]
    places: tuple[int, ...]


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

    def phases(self, axis: int, extent: int) -> tuple[Phase, ...]:
        """Cut an axis of an image, of so many pixels, into those that the same taps lie on.

        The tap k lies on the pixel x at the place (x + before - k dilation) / stride, if that is whole: for pixels
        a stride apart these are the same taps. So what every pixel gathers from the places, as the gradient of
        a convolution does, is for each phase a convolution of its own, of stride 1 over the places.
        """
        stride, gap, origin = self.stride[axis], self.dilation[axis], self.before[axis]
        found = []
        for first in range(min(stride, extent)):
            apart = {tap: first + origin - tap * gap for tap in reversed(range(self.size[axis]))}
            taps = tuple(tap for tap, distance in apart.items() if distance % stride == 0)
            places = tuple(apart[tap] // stride for tap in taps)
            found.append(Phase(first, len(range(first, extent, stride)), taps, places))
        return tuple(found)

    def outlying(self, height: int, width: int) -> tuple[Pair, Pair]:
        """Return how many places that there are not the phases ask for: before the first, and behind the last."""
        sides = []
        for axis, (extent, count) in enumerate(zip((height, width), self.places(height, width), strict=True)):
            asked = [phase for phase in self.phases(axis, extent) if phase.taps]
            low = min((phase.places[0] for phase in asked), default=0)
            high = max((phase.places[-1] + phase.pixels for phase in asked), default=0)
            sides.append((max(-low, 0), max(high - count, 0)))
        (top, bottom), (left, right) = sides
        return (top, left), (bottom, right)
