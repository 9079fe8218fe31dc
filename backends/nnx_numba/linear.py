"""Products with bias, activation and their gradients."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

from llvmlite import ir

from nnx.interface import FUSED, Array
from nnx_numba.activations import FORMULAS, Activations
from nnx_numba.columns import Matrix, Panel, panels
from nnx_numba.hostarrays import PRODUCTS, or_nothing, plain
from nnx_numba.inner import GROUP, MOST, ROWS, multiply_inner
from nnx_numba.kernel import Kernel, kernel
from nnx_numba.lanes import Value
from nnx_numba.lines import REGISTER_BYTES
from nnx_numba.panels import for_panels
from nnx_numba.product import multiply
from nnx_numba.sweeps import row_pass
from nnx_numba.tiles import HEIGHTS, TALL
from nnx_numba.vector_products import multiply_vector
from nnx_numba.vectors import Row

_TURNED = 8  # what it costs to pack a line from a transposed operand, in products of lines,
_COPIED = 3  # or to copy it,
_STORED = 8  # to store a line of a transposed result,
_SUMMED = 12  # and to add up the lanes of an inner product


class Way(NamedTuple):
    """How a product is made, and what it costs in products of lines.

    Attributes:
        form: "inner", "direct" or "swapped": the transposed result from the transposed operands.
        height: rows of a tile.
        by_panels: whether units are panels of columns; else tiles of rows.
    """

    cost: float
    form: str
    height: int
    by_panels: bool


def _lines(count: int, itemsize: int) -> int:
    return -(-count * itemsize // REGISTER_BYTES)


def _height(rows: int, lines: int) -> int:
    """Tiles of equal height, as few as possible."""
    heights = (*HEIGHTS, TALL) if lines == 1 else HEIGHTS
    tiles = max(-(-rows // heights[-1]), 1)
    return next(height for height in heights if height * tiles >= rows)


def _tiled(form: str, rows: int, depth: int, columns: int, itemsize: int, packing: int) -> Way:
    lines = _lines(columns, itemsize)
    height = _height(rows, lines)
    tiles = -(-rows // height)
    stores = _STORED * lines * rows if form == "swapped" else 0
    return Way(depth * lines * (tiles * height + packing) + stores, form, height, lines // 2 >= tiles)


@lru_cache(4096)
def way(
    rows: int, depth: int, columns: int, itemsize: int, left_turned: bool, right_turned: bool, biased: bool
) -> Way:
    """Choose the cheapest way for op(a) (rows, depth) @ op(b) (depth, columns); swapped sums begin with 0."""
    ways = [_tiled("direct", rows, depth, columns, itemsize, _TURNED if right_turned else _COPIED)]
    if not biased:
        ways.append(_tiled("swapped", columns, depth, rows, itemsize, _COPIED if left_turned else _TURNED))
    if columns <= MOST and not left_turned:
        grouped = columns // GROUP * GROUP + columns % GROUP * 2  # a single column has too few sums in flight
        cost = _lines(depth, itemsize) * (rows * grouped + _TURNED * columns) + _SUMMED * rows * grouped / 4
        ways.append(Way(cost, "inner", ROWS, False))
    return min(ways)


@kernel
def product(
    first: int,
    last: int,
    memory: int,
    a: Array,
    b: Array,
    bias: Array,
    out: Array,
    left_turned: bool,
    right_turned: bool,
    swapped: bool,
    by_panels: bool,
    height: int,
) -> None:
    """out = op(a) @ op(b) + bias; units are panels of columns or tiles of rows."""
    size = out.itemsize
    left, right = (a.ctypes.data, a.strides[0], size), (b.ctypes.data, b.strides[0], size)
    result, rows, columns, depth = (out.ctypes.data, out.strides[0], size), out.shape[0], out.shape[1], a.shape[1]
    if left_turned:
        left, depth = (left[0], left[2], left[1]), a.shape[0]
    if right_turned:
        right = (right[0], right[2], right[1])
    if swapped:
        left, right = (right[0], right[2], right[1]), (left[0], left[2], left[1])
        result, rows, columns = (result[0], result[2], result[1]), columns, rows
    if by_panels:
        panel = 2 * REGISTER_BYTES // size
        area = (0, rows, first * panel, min(last * panel, columns))
    else:
        area = (first * height, min(last * height, rows), 0, columns)
    multiply(left, right, result, area, depth, height, bias, memory)


@kernel
def inner_product(first: int, last: int, a: Array, b: Array, bias: Array, out: Array, turned: bool) -> None:
    """out = a @ op(b) + bias; units are tiles of rows."""
    size = out.itemsize
    right = (b.ctypes.data, b.strides[0], size)
    if turned:
        right = (right[0], right[2], right[1])
    rows = (first * ROWS, min(last * ROWS, out.shape[0]))
    left, result = (a.ctypes.data, a.strides[0], size), (out.ctypes.data, out.strides[0], size)
    multiply_inner(left, right, result, rows, out.shape[1], a.shape[1], bias)


def _multiply(a: Array, b: Array, bias: Array | None, out: Array, turned: tuple[bool, bool]) -> None:
    if 1 in out.shape:
        multiply_vector(a, b, bias, out, turned)
        return
    rows, columns = out.shape
    depth = a.shape[0 if turned[0] else 1]
    chosen = way(rows, depth, columns, out.itemsize, *turned, bias is not None)
    operands = plain(a), plain(b), *or_nothing(out, 1, bias), out
    height = chosen.height
    if chosen.form == "inner":
        count = -(-rows // height)
        inner_product(count, _grain(chosen, count), *operands, turned[1])
        return
    swapped = chosen.form == "swapped"
    extent = columns if swapped else rows
    across = rows if swapped else columns
    count = -(-across * out.itemsize // (2 * REGISTER_BYTES)) if chosen.by_panels else -(-extent // height)
    product(count, _grain(chosen, count), *operands, *turned, swapped, chosen.by_panels, height)


def _grain(chosen: Way, count: int) -> int:
    return max(1, int(PRODUCTS * count / max(chosen.cost, 1)))


def _prologue(name: str) -> Kernel:
    derivative = FORMULAS[name][1]

    def emit(panel: Panel, y: Matrix, dy: Matrix, dz: Matrix | None, db: Row | None, alpha: Any) -> None:
        def slope(output: Value, gradient: Value) -> tuple[Value, ...]:
            d = gradient * derivative(output, output, output.filled(alpha))
            return (d,) * len([*outs, *sums])

        outs = [] if dz is None else [dz]
        sums = [] if db is None else [panel.zeros(ir.DoubleType())]
        with panel.blocks(y.rows) as block:
            panel.over(slope, block, outs, [y, dy], [], sums)
        if db is not None:
            row_pass(panel.builder, lambda total: total, [panel.part(db)], sums, [])

    over_panels = for_panels(emit)

    def slopes(
        first: int, last: int, y: Array, dy: Array, dz: Array | None, db: Array | None, alpha: float
    ) -> None:
        """dz = dy f'(z), and db its sums over rows; units are panels of columns."""
        over_panels(first, last, (y, dy, dz, db, alpha))

    return Kernel(slopes, name)


_PROLOGUES = {name: _prologue(name) for name in FUSED}


def sum_rows(x: Array, out: Array) -> None:
    """Out = sum of the rows of a plain matrix."""
    _PROLOGUES["identity"](*panels(*x.shape), x, x, None, out, 0.0)


class Linear(Activations):
    """Matrix products."""

    def matmul(self, a: Array, b: Array, out: Array, transpose_a: bool, transpose_b: bool) -> None:
        """Transposed operands are read as they lie."""
        _multiply(a, b, None, out, (transpose_a, transpose_b))

    def linear(self, x: Array, w: Array, b: Array | None, y: Array, activation: str, alpha: float) -> None:
        """Sums begin with the bias; the activation goes over the result while it is in cache."""
        _multiply(x, w, b, y, (False, False))
        if activation != "identity":
            self.activate(y, y, activation, alpha)

    def linear_backward(
        self,
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
        """dz and db in one pass, then the products."""
        if dz is not None or db is not None:
            _PROLOGUES[activation](*panels(*dy.shape), plain(y), plain(dy), dz, db, float(alpha))
        gradient = dy if dz is None else dz
        if dx is not None:
            _multiply(gradient, w, None, dx, (False, True))
        _multiply(x, gradient, None, dw, (True, False))
