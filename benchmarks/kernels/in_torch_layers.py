"""Kernels of convolutional and recurrent layers in PyTorch.

Images are channels first in shape and last in memory, which is the faster way on a CPU.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional

Tensors = dict[str, Any]
Prepared = tuple[Callable[[], Any], list[Any]]
aten = torch.ops.aten


def _keep(results: list[Any], *values: Any) -> None:
    for result, value in zip(results, values, strict=True):
        result.data = value


def _empty(like: Any, count: int) -> list[Any]:
    return [like.new_empty(()) for _ in range(count)]


def _images(x: Any) -> Any:
    return x.permute(0, 3, 1, 2)


def _back(x: Any) -> Any:
    return x.permute(0, 2, 3, 1)


def _filters(w: Any) -> Any:
    """Return (K, L, C, O) as (O, C, K, L)."""
    return w.permute(3, 2, 0, 1).contiguous(memory_format=torch.channels_last)


def _conv2d(held: Tensors) -> Prepared:
    x, w, b = _images(held["x"]), _filters(held["w"]), held["b"]
    results = _empty(x, 1)
    return lambda: _keep(results, _back(functional.conv2d(x, w, b).relu_())), results


def _conv2d_backward(held: Tensors) -> Prepared:
    x, y, dy, w = *map(_images, (held["x"], held["y"], held["dy"])), _filters(held["w"])
    one, none, results = (1, 1), (0, 0), _empty(x, 3)

    def once() -> None:
        dz = aten.threshold_backward(dy, y, 0)
        wanted = (True, True, True)
        slopes = aten.convolution_backward(dz, x, w, w.shape[:1], one, none, one, False, none, 1, wanted)
        dx, dw, db = slopes
        _keep(results, _back(dx), dw.permute(2, 3, 1, 0), db)

    return once, results


def _max_pool(held: Tensors) -> Prepared:
    x, dy, two = _images(held["x"]), _images(held["dy"]), (2, 2)
    results = _empty(x, 2)

    def once() -> None:
        y, index = aten.max_pool2d_with_indices(x, two, two)
        dx = aten.max_pool2d_with_indices_backward(dy, x, two, two, (0, 0), (1, 1), False, index)
        _keep(results, _back(y), _back(dx))

    return once, results


def _swapped(gates: Any) -> Any:
    """Exchange the first two thirds: the gates z, r, n, which PyTorch orders r, z, n."""
    z, r, n = gates.chunk(3)
    return torch.cat([r, z, n])


def _recurrent(kind: str) -> Callable[[Tensors], Prepared]:
    order = _swapped if kind == "gru" else torch.clone

    def make(held: Tensors) -> Prepared:
        x, begin = held["x"].requires_grad_(), held["x"].new_zeros(1, held["x"].shape[0], held["u"].shape[0])
        w, u, b = (order(held[name].T if held[name].ndim == 2 else held[name]) for name in ("w", "u", "b"))
        c = order(held["c"]) if kind == "gru" else torch.zeros_like(b)
        learned = [w.requires_grad_(), u.requires_grad_(), b.requires_grad_()]
        learned += [c.requires_grad_()] if kind == "gru" else []
        results = _empty(begin, 5 if kind == "lstm" else 6)
        options = True, 1, 0.0, True, False, True  # biases, layers, dropout, training, bidirectional, batch first

        def once() -> None:
            with torch.enable_grad():
                y = getattr(torch, kind)(x, begin if kind == "gru" else (begin, begin), [w, u, b, c], *options)[0]
            dx, dw, du, *biases = torch.autograd.grad(y, [x, *learned], held["dy"])
            db, *dc = map(order, biases)
            _keep(results, y.detach(), dx, order(dw).T, db, order(du).T, *dc)

        return once, results

    return make


def _embedding(held: Tensors) -> Prepared:
    table, tokens, dy = held["table"], held["tokens"], held["dy"]
    results = _empty(table, 2)

    def once() -> None:
        y = functional.embedding(tokens, table)
        slopes = aten.embedding_dense_backward(dy, tokens, table.shape[0], -1, False)
        _keep(results, y, slopes)

    return once, results


EAGER_LAYERS: dict[str, Callable[[Tensors], Prepared]] = {
    "conv2d": _conv2d,
    "conv2d_backward": _conv2d_backward,
    "max_pool": _max_pool,
    "lstm": _recurrent("lstm"),
    "gru": _recurrent("gru"),
    "embedding": _embedding,
}
"""Kernel -> what prepares it on its inputs."""
