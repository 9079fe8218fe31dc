"""Convolution as products of matrices: columns of a block of places in scratch, one BLAS call per block."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nnx import interface
from nnx.interface import Array, Window
from nnx.interface.windows import Phase
from nnx_numpy.activations import FORWARD, FROM_OUTPUT
from nnx_numpy.blocks import as_rows, by_blocks, column_sums
from nnx_numpy.columns import Grid, Pair, as_matrix, blocks, columns, padded
from nnx_numpy.depthwise import depthwise, depthwise_backward
from nnx_numpy.plan import Plan, kernel
from nnx_numpy.workspace import row_blocks


class Convolution(interface.convolution.Convolution):
    """Kernels that slide weights over images."""

    @kernel
    def conv2d(
        self,
        plan: Plan,
        x: Array,
        w: Array,
        b: Array | None,
        y: Array,
        window: Window,
        groups: int,
        activation: str,
        alpha: float,
    ) -> None:
        """Columns and product, bias and activation of one block before the next; depthwise by multiply and add."""
        rows = next(row_blocks(*as_matrix(y).shape)).stop
        bias = None if b is None else as_rows(plan, b, rows)
        if _is_depthwise(x, groups):
            depthwise(plan, x, w, y, window)
        else:
            weights = as_matrix(plan.flat("weights", w).reshape(w.shape))  # (K, L, C / G, O) -> (K L C / G, O)
            for inputs, outputs in _groups(x, y, groups):
                finish = None if groups > 1 else (bias, activation, alpha)
                _convolve(plan, x[..., inputs], weights[:, outputs], y[..., outputs], window, finish)
            if groups == 1:
                return
        _finish(plan, as_matrix(y), bias, activation, alpha)

    @kernel
    def conv2d_backward(
        self,
        plan: Plan,
        x: Array,
        y: Array,
        dy: Array,
        w: Array,
        dz: Array | None,
        dx: Array | None,
        dw: Array,
        db: Array | None,
        window: Window,
        groups: int,
        activation: str,
        alpha: float,
    ) -> None:
        """dw block by block; dx as a convolution of dz with the weights turned over, see `Window.phases`."""
        if dz is not None:
            by_blocks(plan, FROM_OUTPUT[activation], (y, dy, dz), alpha)
        gradient = plan.flat("gradient", dy).reshape(dy.shape) if dz is None else dz
        if db is not None:
            column_sums(plan, as_matrix(gradient), db)
        if _is_depthwise(x, groups):
            depthwise_backward(plan, x, gradient, w, dx, dw, window)
            return
        for inputs, outputs in _groups(x, y, groups):
            part = gradient[..., outputs]
            _weight_gradient(plan, x[..., inputs], part, as_matrix(dw)[:, outputs], window)
            if dx is not None:
                _input_gradient(plan, part, w[..., outputs], dx[..., inputs], window)


def _is_depthwise(x: Array, groups: int) -> bool:
    return groups > 1 and groups == int(x.shape[3])


def _groups(x: Array, y: Array, groups: int) -> Iterator[tuple[slice, slice]]:
    """Yield the input and output channels of every group."""
    wide, deep = x.shape[3] // groups, y.shape[3] // groups
    for group in range(groups):
        yield slice(group * wide, (group + 1) * wide), slice(group * deep, (group + 1) * deep)


def _product(plan: Plan, a: Array, b: Array, out: Array) -> None:
    """out = a @ b; `matmul` writes where it should also into the columns of one group."""
    if out.flags.c_contiguous:
        plan(a.dot, b, out)
    else:
        plan(np.matmul, a, b, out)


def _finish(plan: Plan, z: Array, b: Array | None, activation: str, alpha: float) -> None:
    """z = f(z + b), in place, b being rows, at least as many as a block has, or one."""
    for rows in row_blocks(*z.shape):
        part = z[rows]
        if b is not None:
            plan(np.add, part, b[: part.shape[0]], part)
        if activation != "identity":
            FORWARD[activation](plan, part.reshape(-1), part.reshape(-1), alpha)


def _grid(window: Window, places: Pair) -> Grid:
    """Where windows lie on padded images."""
    return Grid((0, 0), places, window.stride, window.size, window.dilation)


def _convolve(
    plan: Plan, x: Array, w: Array, y: Array, window: Window, finish: tuple[Array | None, str, float] | None
) -> None:
    """y = conv(x, w), then f(y + b) if asked to, w being a matrix (K L C, O)."""
    images, grid = padded(plan, x, window.before, window.after), _grid(window, y.shape[1:3])
    for some, rows in blocks(y.shape[0], grid.places, w.shape[0]):
        part = as_matrix(y[some, rows])
        _product(plan, columns(plan, images[some], grid.rows(rows)), w, part)  # (n, K L C) @ (K L C, O)
        if finish is not None:
            _finish(plan, part, *finish)


def _weight_gradient(plan: Plan, x: Array, dz: Array, dw: Array, window: Window) -> None:
    """dw = the sum over blocks of columns.T @ dz."""
    images, grid = padded(plan, x, window.before, window.after), _grid(window, dz.shape[1:3])
    for index, (some, rows) in enumerate(blocks(dz.shape[0], grid.places, dw.shape[0])):
        part = as_matrix(dz[some, rows])
        turned = columns(plan, images[some], grid.rows(rows)).T
        if index == 0:
            _product(plan, turned, part, dw)  # (K L C, n) @ (n, O)
            continue
        partial = plan.take("partial weights", dw.shape, dw.dtype)
        _product(plan, turned, part, partial)
        plan(np.add, dw, partial, dw)


def _input_gradient(plan: Plan, dz: Array, w: Array, dx: Array, window: Window) -> None:
    """dx, phase by phase: nothing is added twice, and all is done by products."""
    before, after = window.outlying(*dx.shape[1:3])
    images = padded(plan, dz, before, after)
    for down in window.phases(0, dx.shape[1]):
        for along in window.phases(1, dx.shape[2]):
            out = dx[:, down.first :: window.stride[0], along.first :: window.stride[1]]
            turned = w[_taken(down.taps), _taken(along.taps)].swapaxes(2, 3)  # (K', L', O, C)
            (top, high), (left, wide) = _spread(down), _spread(along)
            size = len(down.taps), len(along.taps)
            grid = Grid((top + before[0], left + before[1]), out.shape[1:3], (1, 1), size, (high, wide))
            _phase_gradient(plan, images, turned, out, grid)


def _taken(taps: tuple[int, ...]) -> slice:
    """Return evenly spaced, descending taps as a slice."""
    if not taps:
        return slice(0, 0)
    step = taps[0] - taps[1] if len(taps) > 1 else 1
    return slice(taps[0], taps[-1] - 1 if taps[-1] else None, -step)


def _spread(phase: Phase) -> Pair:
    """Return the first place, and how far it is from place to place."""
    places = (*phase.places, 0)[: max(len(phase.places), 1)]
    return places[0], places[1] - places[0] if len(places) > 1 else 1


def _phase_gradient(plan: Plan, images: Array, turned: Array, out: Array, grid: Grid) -> None:
    """out = conv(images, turned), into every `stride`-th pixel of the gradient."""
    matrix = as_matrix(plan.flat("turned", turned).reshape(turned.shape))
    if matrix.shape[0] == 0:
        plan.copy(0, out)
        return
    for some, rows in blocks(out.shape[0], grid.places, matrix.shape[0]):
        part = out[some, rows]
        whole = part.flags.c_contiguous
        result = part if whole else plan.like("phase", part)
        product = columns(plan, images[some], grid.rows(rows))
        plan(product.dot, matrix, as_matrix(result))  # (n, K' L' O) @ (K' L' O, C)
        if not whole:
            plan.copy(result, part)
