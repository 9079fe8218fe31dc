"""Long work in pieces of a fraction of a second, so that something can be done in between."""

from __future__ import annotations

import time
from collections.abc import Iterator

_SECONDS = 0.2
_GROWTH = 8


class Pace:
    """Cuts ranges into pieces by how long the pieces before took; the first is one step."""

    def __init__(self) -> None:
        """Begin with pieces of one step."""
        self._width = 1

    def pieces(self, start: int, stop: int) -> Iterator[tuple[int, int]]:
        """Yield start to stop - 1 in ranges (first, last) of about a fifth of a second each."""
        while start < stop:
            began, last = time.perf_counter(), min(start + self._width, stop)
            yield start, last
            seconds = max(time.perf_counter() - began, 1e-9)
            wanted = int((last - start) * _SECONDS / seconds)
            self._width = max(min(wanted, _GROWTH * self._width), 1)
            start = last
