"""Who multiplies matrices: what a backend asks of it, and kernels of our own that need no library."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np

from nnx.interface import FUSED, Array
from nnx_cupy.kernels import Group
from nnx_cupy.launch import BLOCK, Launcher

PRODUCT = Group("products", ("product",))
GRADIENTS = Group("products", ("dense_gradients",))

_THREADS, _DEPTH = 16, 32
_SHORT_SUM = 4 * _DEPTH
"""Terms below which blocks do not share a sum: four slabs, whose loading takes as long as joining two parts."""


class Products(Protocol):
    """Does the work of `nnx.interface.Linear` for a backend, which it is given as the first argument."""

    def describe(self) -> str:
        """Name it, and its precision where that is less than the arrays'."""

    def matmul(self, on: Launcher, a: Array, b: Array, out: Array, transpose_a: bool, transpose_b: bool) -> None:
        """See `Linear.matmul`."""

    def linear(
        self, on: Launcher, x: Array, w: Array, b: Array | None, y: Array, activation: str, alpha: float
    ) -> None:
        """See `Linear.linear`."""

    def linear_backward(
        self,
        on: Launcher,
        x: Array,
        y: Array,
        dy: Array,
        w: Array,
        dz: Array | None,
        dx: Array | None,
        dw: Array,
        db: Array | None,
        activation: str,
        alpha: float,
    ) -> None:
        """See `Linear.linear_backward`."""


class Tiling(NamedTuple):
    """How a product is shared out.

    Attributes:
        reach: elements of a thread along each side of its tile, a template argument.
        tiles: their number.
        slices: blocks that share the sums of a tile.
    """

    reach: int
    tiles: int
    slices: int


def count_tiles(rows: int, columns: int, reach: int) -> int:
    """Return how many tiles of 16 `reach` elements on a side cover a matrix."""
    side = _THREADS * reach
    return -(-rows // side) * -(-columns // side)


def share_out(rows: int, columns: int, depth: int, busy: int) -> Tiling:
    """Share out a product of (rows, depth) and (depth, columns), aiming at `busy` blocks.

    Large tiles read less; small ones keep more multiprocessors at work, and leave less empty in a narrow matrix.
    """
    reach = 4 if min(rows, columns) > 2 * _THREADS and count_tiles(rows, columns, 4) >= busy else 2
    tiles = count_tiles(rows, columns, reach)
    slices = max(1, min(busy // max(tiles, 1), depth // _SHORT_SUM))
    return Tiling(reach, tiles, slices)


class OwnProducts:
    """Kernels of products.cu: one launch for each call, and strided operands as they lie."""

    def __init__(self, busy: int = Launcher.busy) -> None:
        """Aim at so many blocks."""
        self.busy = busy

    def describe(self) -> str:
        """See `Products.describe`."""
        return "own products"

    def tiling(self, rows: int, columns: int, depth: int) -> Tiling:
        """Share out a product of (rows, depth) and (depth, columns)."""
        return share_out(rows, columns, depth, self.busy)

    def matmul(self, on: Launcher, a: Array, b: Array, out: Array, transpose_a: bool, transpose_b: bool) -> None:
        """See `Linear.matmul`; transposed operands are strides in another order."""
        self.linear(on, a.T if transpose_a else a, b.T if transpose_b else b, None, out, "identity", 0.0)

    def linear(
        self, on: Launcher, x: Array, w: Array, b: Array | None, y: Array, activation: str, alpha: float
    ) -> None:
        """See `Linear.linear`; bias and activation as the results are stored."""
        (rows, depth), columns = x.shape, y.shape[1]
        tiling = self.tiling(rows, columns, depth)
        kernel = PRODUCT.of("product", y.dtype, str(tiling.reach))
        operands = *_strided(x), *_strided(w), *on.or_any(b, y), y
        sizes = rows, columns, depth, tiling.tiles, tiling.slices
        scratch = on.scratch(y.dtype, tiling.tiles * tiling.slices * tiling.reach**2 * BLOCK, tiling.tiles)
        arguments = *operands, *map(np.int64, sizes), *_function(y, activation, alpha), *scratch
        on.launch(kernel, (tiling.tiles * tiling.slices,), arguments)

    def linear_backward(
        self,
        on: Launcher,
        x: Array,
        y: Array,
        dy: Array,
        w: Array,
        dz: Array | None,
        dx: Array | None,
        dw: Array,
        db: Array | None,
        activation: str,
        alpha: float,
    ) -> None:
        """See `Linear.linear_backward`; both products in one launch, dz as it is loaded and db on the way."""
        (examples, inputs), outputs = x.shape, y.shape[1]
        tiling = self.tiling(max(inputs, 1), outputs, examples)  # without inputs there still are dz and db
        kernel = GRADIENTS.of("dense_gradients", y.dtype, str(tiling.reach))
        results = *on.or_any(dz, dw), dw if dx is None else dx, dw, *on.or_any(db, dw)
        operands = *_strided(x), *_strided(w), on.contiguous(y), on.contiguous(dy), *results
        sizes = examples, inputs, outputs, tiling.tiles, tiling.slices
        parts = tiling.tiles * tiling.slices
        scratch = on.scratch(y.dtype, parts * (tiling.reach**2 + 1) * BLOCK, tiling.tiles)
        arguments = *operands, *map(np.int64, sizes), *_function(y, activation, alpha), *scratch
        others = 0 if dx is None else count_tiles(examples, inputs, tiling.reach)
        on.launch(kernel, (parts + others,), arguments)


def _function(like: Array, activation: str, alpha: float) -> tuple[Any, ...]:
    """Return an activation as kernels take it: its place in `FUSED`, and alpha in the arrays' dtype."""
    return np.int32(FUSED.index(activation)), like.dtype.type(alpha)


def _strided(matrix: Array) -> tuple[Any, ...]:
    """Return a matrix as kernels take it: its address, and its strides in elements."""
    return matrix, *(np.int64(stride // matrix.itemsize) for stride in matrix.strides)
