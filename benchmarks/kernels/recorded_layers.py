"""Kernels of convolutional and recurrent layers of nnx, as a layer calls them."""

from __future__ import annotations

from collections.abc import Callable

from nnx.interface import Array, Window
from nnx.ops import Ops

Held = dict[str, Array]

TAPS, PAIRS = Window((3, 3)), Window((2, 2), (2, 2))


def _conv2d(ops: Ops, held: Held, _shape: tuple[int, ...]) -> list[Array]:
    return [ops.conv2d(held["x"], held["w"], held["b"], TAPS, 1, "relu", 0.0)]


def _conv2d_backward(ops: Ops, held: Held, _shape: tuple[int, ...]) -> list[Array]:
    x, y, dy, w = (held[name] for name in ("x", "y", "dy", "w"))
    dw, db = ops.like(w), ops.empty(w.shape[3])
    dx = ops.conv2d_backward(x, y, dy, w, dw, db, TAPS, 1, "relu", 0.0, True)
    return [] if dx is None else [dx, dw, db]


def _max_pool(ops: Ops, held: Held, _shape: tuple[int, ...]) -> list[Array]:
    y, index = ops.max_pool(held["x"], PAIRS)
    return [y, ops.max_pool_backward(held["x"], index, held["dy"], PAIRS)]


def _lstm(ops: Ops, held: Held, _shape: tuple[int, ...]) -> list[Array]:
    xw, u, du = _inputs(ops, held), held["u"], ops.like(held["u"])
    run = ops.lstm(xw, u, None, None, None, False)
    dxw, _, _ = ops.lstm_backward(u, None, None, None, run, held["dy"], None, None, du, False)
    return [run.y, *_inputs_backward(ops, held, xw, dxw), du]


def _gru(ops: Ops, held: Held, _shape: tuple[int, ...]) -> list[Array]:
    xw, u, du, dc = _inputs(ops, held), held["u"], ops.like(held["u"]), ops.like(held["c"])
    run = ops.gru(xw, u, held["c"], None, None, False)
    dxw, _ = ops.gru_backward(u, None, None, run, held["dy"], None, du, dc, False)
    return [run.y, *_inputs_backward(ops, held, xw, dxw), du, dc]


def _inputs(ops: Ops, held: Held) -> Array:
    """Return x W + b, (N, T, G H)."""
    x, w = held["x"], held["w"]
    flat = ops.linear(_steps(ops, x), w, held["b"], "identity", 0.0)
    return ops.reshape(flat, (*x.shape[:2], w.shape[1]))


def _inputs_backward(ops: Ops, held: Held, xw: Array, dxw: Array) -> list[Array]:
    """Return the gradients of x, W and b."""
    x, w, dw, db = held["x"], held["w"], ops.like(held["w"]), ops.like(held["b"])
    arrays = _steps(ops, x), _steps(ops, xw), _steps(ops, dxw), w, dw, db
    dx = ops.linear_backward(*arrays, "identity", 0.0, True)
    return [] if dx is None else [ops.reshape(dx, tuple(x.shape)), dw, db]


def _steps(ops: Ops, x: Array) -> Array:
    """Return sequences (N, T, F) as rows (N T, F)."""
    return ops.reshape(x, (x.shape[0] * x.shape[1], x.shape[2]))


def _embedding(ops: Ops, held: Held, _shape: tuple[int, ...]) -> list[Array]:
    slopes = ops.like(held["table"])
    y = ops.embedding(held["tokens"], held["table"])
    ops.embedding_backward(held["tokens"], held["dy"], slopes)
    return [y, slopes]


LAYER_CALLS: dict[str, Callable[[Ops, Held, tuple[int, ...]], list[Array]]] = {
    "conv2d": _conv2d,
    "conv2d_backward": _conv2d_backward,
    "max_pool": _max_pool,
    "lstm": _lstm,
    "gru": _gru,
    "embedding": _embedding,
}
"""Kernel -> what is recorded of it; returns the results that everyone's are compared by."""
