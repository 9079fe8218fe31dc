"""What every kernel family launches with: grids, template arguments, scratch memory."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from nnx.interface import Array, Backend
from nnx_cupy.device import Runtime
from nnx_cupy.kernels import Instance, Kernels

BLOCK = 256
WARP = 32

_COUNTER, _BYTE = np.dtype(np.uint32), np.dtype(np.uint8)


class Scratch(NamedTuple):
    """Memory for the sums that blocks leave to each other, and the counters by which the last one is known."""

    partials: Array
    arrivals: Array


class Tiling(NamedTuple):
    """How a matrix is shared out by columns: see `Tile` in common.cuh."""

    grid: tuple[int, int]
    width: int
    rows_per_block: int


ScratchStore = dict[tuple[object, ...], Array]
"""Scratch arrays by place, dtype and size."""


class _Thread(threading.local):
    """What each thread has of its own.

    Attributes:
        scratch: its scratch memory by (device, stream), dtype and size.
        program: the scratch memory of the program that is being prepared, in place of the thread's.
        rehearsing: whether launches only see to it that everything they need is there.
    """

    def __init__(self) -> None:
        self.scratch: ScratchStore = {}
        self.program: ScratchStore | None = None
        self.rehearsing = False


class Launcher(Backend):
    """A backend whose kernels are launched on grids of one-dimensional blocks.

    Scratch memory is made when a size is first met and kept for good, so that later steps allocate nothing.
    Kernels of one thread on one stream share it, since they run one after another; it is never shared between
    threads or streams. A compiled program has scratch memory of its own, whoever runs it.
    """

    most_blocks: int = 1024
    """Blocks in a grid at most: enough to fill any GPU. Fixed, so that sums are formed alike on every GPU."""

    long_row: int = 1024
    """Elements of a row from which on a whole block works on it, instead of a warp."""

    wide_matrix: int = 1 << 16
    """Elements of a matrix from which on threads take several columns: enough for all of a GPU's even so."""

    busy: int = 128
    """Blocks from which on a GPU is held to be busy. Fixed, so that sums are formed alike on every GPU."""

    def __init__(self, xp: Any, kernels: Kernels, runtime: Runtime) -> None:
        """Keep the array namespace, the compiled kernels and the device."""
        self.xp, self.kernels, self.runtime = xp, kernels, runtime
        self._thread = _Thread()

    def contiguous(self, array: Array) -> Array:
        """Return the array itself, or a copy if it is strided: kernels walk memory in order."""
        return array if array.flags.c_contiguous else self.xp.ascontiguousarray(array)

    def or_any(self, array: Array | None, stand_in: Array) -> tuple[Array, np.int32]:
        """Return an optional argument as kernels take it: an address, and a flag that tells whether it counts."""
        return (stand_in, np.int32(0)) if array is None else (self.contiguous(array), np.int32(1))

    def scratch(self, dtype: Any, size: int, counters: int = 1) -> Scratch:
        """Return scratch memory for `size` sums and `counters` counters, which are zero between kernels."""
        partials = self._scratch_array(dtype, 1 << max(size - 1, 1023).bit_length())
        return Scratch(partials, self._scratch_array(_COUNTER, 1 << max(counters - 1, 63).bit_length()))

    def workspace(self, size: int) -> Array:
        """Return `size` bytes of scratch memory for a library's kernel."""
        return self._scratch_array(_BYTE, 1 << max(size - 1, 0).bit_length())

    def kept(self, purpose: str, dtype: Any, size: int) -> Array:
        """Return scratch memory of its own for what one kernel leaves to the next."""
        return self._scratch_array(dtype, 1 << max(size - 1, 0).bit_length(), purpose)

    def _scratch_array(self, dtype: Any, size: int, purpose: str = "") -> Array:
        program = self._thread.program
        store = self._thread.scratch if program is None else program
        key = (self.runtime.place() if program is None else None, dtype, size, purpose)
        found = store.get(key)
        if found is None:
            make = self.xp.zeros if dtype == _COUNTER else self.xp.empty
            found = store[key] = make(size, dtype=dtype)
        return found

    @contextmanager
    def preparing(self, scratch: ScratchStore) -> Iterator[None]:
        """Let this thread's kernels take their scratch memory from that of a program."""
        self._thread.program = scratch
        try:
            yield
        finally:
            self._thread.program = None

    @contextmanager
    def rehearsing(self) -> Iterator[None]:
        """Let this thread's calls compile their kernels and make their scratch memory, and launch nothing."""
        self._thread.rehearsing = True
        try:
            yield
        finally:
            self._thread.rehearsing = False

    @property
    def is_rehearsing(self) -> bool:
        """Whether this thread's calls are to launch nothing."""
        return self._thread.rehearsing

    def element_blocks(self, size: int) -> int:
        """Return the size of a grid that walks `size` elements."""
        return min(-(-size // BLOCK), self.most_blocks)

    def packs(self, array: Array) -> int:
        """Return how many packs of 16 bytes the elements of an array are: what most kernels give a thread."""
        return -(-int(array.size) // self.pack(array.dtype))

    def launch_elements(self, kernel: Instance, size: int, *arguments: Any) -> None:
        """Launch a kernel that walks `size` elements."""
        self.launch(kernel, (self.element_blocks(size),), arguments)

    def sum_elements(self, kernel: Instance, size: int, *arguments: Any, dtype: Any, sums: int = 1) -> None:
        """Launch a kernel that walks `size` elements and sums over all of them; it runs even if there are none."""
        blocks = max(1, self.element_blocks(size))
        self.launch(kernel, (blocks,), (*arguments, *self.scratch(dtype, sums * blocks)))

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
        self.launch(kernel.also(team), grid, (*arguments, np.int64(rows), np.int64(columns)))

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
        self.launch(kernel.also(team), (blocks,), given)

    def tiling(self, rows: int, columns: int) -> Tiling:
        """Share out a matrix: narrow ones in narrow tiles, and at least eight rows to a thread."""
        width = min(WARP, 1 << max(columns - 1, 0).bit_length())
        tiles = -(-columns // width)
        splits = max(1, self.most_blocks // max(tiles, 1))
        rows_per_block = max(8 * BLOCK // width, -(-rows // splits))
        return Tiling((tiles, max(1, -(-rows // rows_per_block))), width, rows_per_block)

    def lanes(self, rows: int, columns: int, itemsize: int) -> int:
        """Return how many neighbouring columns go to a thread: 16 bytes of them, or one if work is scarce."""
        pack = 16 // itemsize
        return pack if columns % pack == 0 and rows * columns >= self.wide_matrix else 1

    def pack(self, dtype: Any) -> int:
        """Return how many elements 16 bytes hold."""
        return 16 // int(dtype.itemsize)

    def is_aligned(self, array: Array) -> bool:
        """Tell whether an array lies so that 16 bytes can be moved at once."""
        return self.runtime.address(array) % 16 == 0

    def aligned_lanes(self, shape: tuple[int, int], dtype: Any, *arrays: Array) -> int:
        """Return `lanes` for arrays that a kernel moves in packs or not at all: one if any lies askew."""
        return self.lanes(*shape, dtype.itemsize) if all(map(self.is_aligned, arrays)) else 1

    def launch_tiles(self, kernel: Instance, shape: tuple[int, int], *arguments: Any) -> None:
        """Launch a kernel over columns; `arguments`, arrays first, are followed by the extents and the tiling."""
        rows, columns = shape
        lanes = self.lanes(rows, columns, arguments[0].dtype.itemsize)
        tiling = self.tiling(rows, columns // lanes)
        self.launch(kernel.also(lanes), tiling.grid, (*arguments, *_extents(shape, tiling)))

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
        rows, columns = shape
        lanes = self.lanes(rows, columns, dtype.itemsize)
        tiling = self.tiling(rows, columns // lanes)
        scratch = self.scratch(dtype, sums * tiling.grid[1] * columns, tiling.grid[0])
        self.launch(kernel.also(lanes), tiling.grid, (*arguments, *_extents(shape, tiling), *numbers, *scratch))

    def launch(self, kernel: Instance, grid: tuple[int, ...], arguments: tuple[Any, ...]) -> None:
        """Launch a kernel, unless its grid is empty."""
        if all(grid):
            compiled = self.kernels.get(kernel)
            if not self._thread.rehearsing:
                compiled(grid, (BLOCK,), arguments)


def _extents(shape: tuple[int, int], tiling: Tiling) -> tuple[np.generic, ...]:
    rows, columns = shape
    return np.int64(rows), np.int64(columns), np.int32(tiling.width), np.int64(tiling.rows_per_block)
