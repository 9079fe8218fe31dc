"""Arrays of any extents in LLVM's terms: where elements lie, and the lines of a row."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from nnx_numba.internals import types
from nnx_numba.lanes import WORD
from nnx_numba.lines import Lines, moved
from nnx_numba.vectors import loop


@dataclass(frozen=True)
class Grid:
    """A contiguous array: its address, its extents, and the bytes of an element."""

    builder: Any
    address: Any
    extents: list[Any]
    size: int

    def at(self, *index: Any) -> Any:
        """Return the address of an element; of the first one, as far as indices are missing."""
        place = index[0]
        for n, extent in enumerate(self.extents[1:], 1):
            place = self.builder.mul(place, extent)
            if n < len(index):
                place = self.builder.add(place, index[n])
        return moved(self.builder, self.address, (place, WORD(self.size)))

    @property
    def given(self) -> Any:
        """Whether it has rows: what is missing is passed as an array without any."""
        return self.builder.icmp_signed("!=", self.extents[0], WORD(0))


def grids(context: Any, builder: Any, kind: Any, value: Any) -> Any:
    """Return the grid of an array; for a tuple, a list of what its parts give."""
    if isinstance(kind, types.Array):
        array = context.make_array(kind)(context, builder, value)
        extents = [builder.extract_value(array.shape, n) for n in range(kind.ndim)]
        return Grid(builder, builder.ptrtoint(array.data, WORD), extents, kind.dtype.bitwidth // 8)
    return [grids(context, builder, part, builder.extract_value(value, n)) for n, part in enumerate(kind)]


@contextmanager
def columns(lines: Lines, count: Any) -> Iterator[tuple[Any, Any]]:
    """Emit what the block emits for each line of so many columns: the first column, and the mask of those there."""
    with loop(lines.builder, WORD(0), count, lines.lanes) as column:
        yield column, lines.mask(lines.builder.sub(count, column))
