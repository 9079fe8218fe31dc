"""What every kernel family launches with: grids, template arguments, scratch memory."""

from __future__ import annotations

import threading
from typing import Any, NamedTuple

import numpy as np

from nnx.interface import Array, Backend
from nnx_cupy.device import Runtime
from nnx_cupy.kernels import Instance, Kernels

BLOCK = 256
WARP = 32


class Scratch(NamedTuple):
    """Memory for the sums that blocks leave to each other, and the counters by which the last one is known."""

    partials: Array
    arrivals: Array


class Tiling(NamedTuple):
    """How a matrix is shared out by columns: see `Tile` in common.cuh."""

    grid: tuple[int, int]
    width: int
    rows_per_block: int


class _Places(threading.local):
    """Scratch memory by (device, stream), dtype and size; each thread has its own."""

    def __init__(self) -> None:
        self.scratch: dict[tuple[object, ...], Scratch] = {}


class Launcher(Backend):
    """A backend whose kernels are launched on grids of one-dimensional blocks.

    Scratch memory is made when a size is first met and kept for good, so that later steps allocate nothing and
    addresses stay valid in a recording. Kernels of one thread on one stream share it, since they run one after
    another; it is never shared between threads or streams.
    """

    most_blocks: int = 1024
    """Blocks in a grid at most: enough to fill any GPU. Fixed, so that sums are formed alike on every GPU."""

    long_row: int = 1024
    """Elements of a row from which on a whole block works on it, instead of a warp."""

    def __init__(self, xp: Any, kernels: Kernels, runtime: Runtime) -> None:
        """Keep the array namespace, the compiled kernels and the device."""
        self.xp, self.kernels, self.runtime = xp, kernels, runtime
        self._places = _Places()

    def contiguous(self, array: Array) -> Array:
        """Return the array itself, or a copy if it is strided: kernels walk memory in order."""
        return array if array.flags.c_contiguous else self.xp.ascontiguousarray(array)

    def or_any(self, array: Array | None, stand_in: Array) -> tuple[Array, np.int32]:
        """Return an optional argument as kernels take it: an address, and a flag that tells whether it counts."""
        return (stand_in, np.int32(0)) if array is None else (self.contiguous(array), np.int32(1))

    def scratch(self, dtype: Any, size: int, counters: int = 1) -> Scratch:
        """Return scratch memory for `size` sums and `counters` counters, which are zero between kernels."""
        room, slots = 1 << max(size - 1, 1023).bit_length(), 1 << max(counters - 1, 63).bit_length()
        key = (self.runtime.place(), dtype, room, slots)
        found = self._places.scratch.get(key)
        if found is None:
            found = Scratch(self.xp.empty(room, dtype=dtype), self.xp.zeros(slots, dtype=np.uint32))
            self._places.scratch[key] = found
        return found

    def element_blocks(self, size: int) -> int:
        """Return the size of a grid that walks `size` elements."""
        return min(-(-size // BLOCK), self.most_blocks)

    def launch_elements(self, kernel: Instance, size: int, *arguments: Any) -> None:
        """Launch a kernel that walks `size` elements."""
        self._launch(kernel, (self.element_blocks(size),), arguments)

    def sum_elements(self, kernel: Instance, size: int, *arguments: Any, dtype: Any, sums: int = 1) -> None:
        """Launch a kernel that walks `size` elements and sums over all of them; it runs even if there are none."""
        blocks = max(1, self.element_blocks(size))
        self._launch(kernel, (blocks,), (*arguments, *self.scratch(dtype, sums * blocks)))

    def team(self, columns: int) -> int:
        """Return how many threads share a row: a warp, or a block where rows are long."""
        return WARP if columns < self.long_row else BLOCK

    def row_blocks(self, rows: int, team: int) -> int:
        """Return the size of a grid of teams that walk `rows` rows."""
        return min(-(-rows * team // BLOCK), self.most_blocks)

    def launch_rows(self, kernel: Instance, shape: tuple[int, int], *arguments: Any) -> None:
        """Launch a kernel with a team per row; `arguments` are followed by the extents."""
        rows, columns = shape
        team = self.team(columns)
        grid = (self.row_blocks(rows, team),)
        self._launch(kernel.also(team), grid, (*arguments, np.int64(rows), np.int64(columns)))

    def sum_rows(
        self, kernel: Instance, shape: tuple[int, int], *arguments: Any, numbers: tuple[Any, ...] = (), dtype: Any
    ) -> None:
        """Launch a kernel with a team per row that also sums over all rows; it runs even if there are none.

        `arguments` are followed by the extents, `numbers` and scratch memory.
        """
        rows, columns = shape
        team = self.team(columns)
        blocks = max(1, self.row_blocks(rows, team))
        given = (*arguments, np.int64(rows), np.int64(columns), *numbers, *self.scratch(dtype, blocks))
        self._launch(kernel.also(team), (blocks,), given)

    def tiling(self, rows: int, columns: int) -> Tiling:
        """Share out a matrix: narrow ones in narrow tiles, and at least eight rows to a thread."""
        width = min(WARP, 1 << max(columns - 1, 0).bit_length())
        tiles = -(-columns // width)
        splits = max(1, self.most_blocks // max(tiles, 1))
        rows_per_block = max(8 * BLOCK // width, -(-rows // splits))
        return Tiling((tiles, max(1, -(-rows // rows_per_block))), width, rows_per_block)

    def launch_tiles(self, kernel: Instance, shape: tuple[int, int], *arguments: Any) -> None:
        """Launch a kernel over columns; `arguments` are followed by the extents and the tiling."""
        tiling = self.tiling(*shape)
        self._launch(kernel, tiling.grid, (*arguments, *_extents(shape, tiling)))

    def sum_columns(
        self,
        kernel: Instance,
        shape: tuple[int, int],
        *arguments: Any,
        numbers: tuple[Any, ...] = (),
        dtype: Any,
        sums: int = 1,
    ) -> None:
        """Launch a kernel that sums over the rows of each column.

        `arguments` are followed by the extents, the tiling, `numbers` and scratch memory.
        """
        tiling = self.tiling(*shape)
        scratch = self.scratch(dtype, sums * tiling.grid[1] * shape[1], tiling.grid[0])
        self._launch(kernel, tiling.grid, (*arguments, *_extents(shape, tiling), *numbers, *scratch))

    def _launch(self, kernel: Instance, grid: tuple[int, ...], arguments: tuple[Any, ...]) -> None:
        if all(grid):
            self.kernels.get(kernel)(grid, (BLOCK,), arguments)


def _extents(shape: tuple[int, int], tiling: Tiling) -> tuple[np.generic, ...]:
    rows, columns = shape
    return np.int64(rows), np.int64(columns), np.int32(tiling.width), np.int64(tiling.rows_per_block)
