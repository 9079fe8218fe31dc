"""Kernels in NumPy, written by hand: `out=` for whatever is as large as the inputs, mostly."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.contenders.base import CannotExpressError, Loop
from benchmarks.kernels import cases
from benchmarks.kernels.cases import UPDATES, Arrays, Case

Array = NDArray[Any]
Prepared = tuple[Callable[[], Any], list[Array]]
"""What to repeat, and where its results are."""


def loop(case: Case) -> Loop:
    """Prepare a case.

    Raises:
        CannotExpressError: NumPy alone has no such function, or nobody writes it with NumPy.
    """
    if case.kernel not in MAKERS:
        raise CannotExpressError(f"{case.kernel} was not written by hand in NumPy")
    once, results = MAKERS[case.kernel](case.inputs())

    def run(times: int) -> None:
        for _ in range(times):
            once()

    return Loop(run, lambda: [np.array(result) for result in results])


def _matmul(transpose_a: bool, transpose_b: bool) -> Callable[[Arrays], Prepared]:
    def make(held: Arrays) -> Prepared:
        a = held["a"].T if transpose_a else held["a"]
        b = held["b"].T if transpose_b else held["b"]
        out = np.empty((a.shape[0], b.shape[1]), np.float32)
        return lambda: np.matmul(a, b, out=out), [out]

    return make


def _linear(held: Arrays) -> Prepared:
    x, w, b = held["x"], held["w"], held["b"]
    y = np.empty((x.shape[0], w.shape[1]), np.float32)

    def once() -> None:
        np.matmul(x, w, out=y)
        np.add(y, b, out=y)
        np.maximum(y, 0, out=y)

    return once, [y]


def _linear_backward(held: Arrays) -> Prepared:
    x, w, y, dy = held["x"], held["w"], held["y"], held["dy"]
    mask, dz = np.empty(y.shape, np.bool_), np.empty_like(y)
    dx, dw, db = np.empty_like(x), np.empty_like(w), np.empty(w.shape[1], np.float32)

    def once() -> None:
        np.greater(y, 0, out=mask)
        np.multiply(dy, mask, out=dz)
        np.matmul(dz, w.T, out=dx)
        np.matmul(x.T, dz, out=dw)
        np.sum(dz, axis=0, out=db)

    return once, [dx, dw, db]


def _sigmoid(x: Array, y: Array) -> None:
    np.negative(x, out=y)
    np.exp(y, out=y)
    np.add(y, 1, out=y)
    np.reciprocal(y, out=y)


def _leaky_relu(x: Array, y: Array) -> None:
    np.multiply(x, np.float32(cases.ALPHA["leaky_relu"]), out=y)
    np.maximum(x, y, out=y)


def _silu(x: Array, y: Array) -> None:
    _sigmoid(x, y)
    np.multiply(x, y, out=y)


def _softplus(x: Array, y: Array) -> None:
    np.logaddexp(x, np.float32(0), out=y)


def _elementwise(function: Callable[[Array, Array], Any]) -> Callable[[Arrays], Prepared]:
    def make(held: Arrays) -> Prepared:
        x, y = held["x"], np.empty_like(held["x"])
        return lambda: function(x, y), [y]

    return make


def _slope(forward: Callable[[Array, Array], Any], factor: Callable[[Array, Array], Any]) -> Any:
    """Make dx = dy f'(x) of f and of a function that writes f'(x), given y = f(x), into its last argument."""

    def make(held: Arrays) -> Prepared:
        dy, y, dx = held["dy"], np.empty_like(held["x"]), np.empty_like(held["x"])
        forward(held["x"], y)

        def once() -> None:
            factor(y, dx)
            np.multiply(dx, dy, out=dx)

        return once, [dx]

    return make


def _relu(x: Array, y: Array) -> None:
    np.maximum(x, 0, out=y)


def _positive(y: Array, out: Array) -> None:
    np.greater(y, 0, out=out, casting="unsafe")


def _sigmoid_slope(y: Array, out: Array) -> None:
    np.subtract(1, y, out=out)
    np.multiply(out, y, out=out)


def _tanh_slope(y: Array, out: Array) -> None:
    np.multiply(y, y, out=out)
    np.subtract(1, out, out=out)


def _softmax_cross_entropy(held: Arrays) -> Prepared:
    logits, labels = held["logits"], held["labels"]
    count, d, loss = logits.shape[0], np.empty_like(logits), np.zeros((), np.float32)
    rows, tops, sums = np.arange(count), np.empty((count, 1), np.float32), np.empty((count, 1), np.float32)

    def once() -> None:
        np.max(logits, axis=1, keepdims=True, out=tops)
        np.subtract(logits, tops, out=d)
        picked = d[rows, labels]
        np.exp(d, out=d)
        np.sum(d, axis=1, keepdims=True, out=sums)
        loss[...] = (np.log(sums[:, 0]) - picked).mean()
        np.multiply(d, 1 / (sums * count), out=d)
        d[rows, labels] -= np.float32(1 / count)

    return once, [loss, d]


def _batch_norm(held: Arrays) -> Prepared:
    from benchmarks.contenders.numpy_by_hand import Norm

    x, dy = held["x"], held["dy"]
    gamma, beta, dgamma, dbeta = np.empty((4, x.shape[1]), np.float32)
    beta[...] = 0
    norm, y, dx = Norm(x.shape[0], (gamma, beta), (dgamma, dbeta)), np.empty_like(x), np.empty_like(x)

    def once() -> None:
        norm.forward(x, y)
        norm.backward(dy, dx)

    return once, [y, dx, dgamma, dbeta]


def _dropout(held: Arrays) -> Prepared:
    x, dy = held["x"], held["dy"]
    y, dx, mask = np.empty_like(x), np.empty_like(x), np.empty(x.shape, np.bool_)
    words, scale = np.random.SFC64(3), np.float32(65536 / cases.KEEP)

    def once() -> None:
        lanes = words.random_raw(-(-x.size // 4)).view(np.uint16)[: x.size]
        np.less(lanes.reshape(x.shape), cases.KEEP, out=mask)
        for values, out in ((x, y), (dy, dx)):
            np.multiply(values, mask, out=out)
            np.multiply(out, scale, out=out)

    return once, [y, dx]


def _update(name: str) -> Callable[[Arrays], Prepared]:
    def make(held: Arrays) -> Prepared:
        p, g, spare = held["p"], held["g"], np.empty_like(held["p"])
        moments = [held[f"moment{i}"] for i in range(UPDATES[name])]
        steps = iter(range(1, 2**62))
        return lambda: RULES[name](p, g, *moments, spare, next(steps)), [p]

    return make


def _sgd(p: Array, g: Array, spare: Array, _t: int) -> None:
    np.multiply(g, np.float32(cases.RATE), out=spare)
    np.subtract(p, spare, out=p)


def _momentum(p: Array, g: Array, v: Array, spare: Array, t: int) -> None:
    np.multiply(v, np.float32(cases.MU), out=v)
    np.add(v, g, out=v)
    _sgd(p, v, spare, t)


def _rmsprop(p: Array, g: Array, s: Array, spare: Array, _t: int) -> None:
    np.multiply(g, g, out=spare)
    np.multiply(spare, np.float32(1 - cases.RHO), out=spare)
    np.multiply(s, np.float32(cases.RHO), out=s)
    np.add(s, spare, out=s)
    np.sqrt(s, out=spare)
    np.add(spare, np.float32(cases.EPS), out=spare)
    np.divide(g, spare, out=spare)
    np.multiply(spare, np.float32(cases.RATE), out=spare)
    np.subtract(p, spare, out=p)


def _adam(p: Array, g: Array, m: Array, v: Array, spare: Array, t: int) -> None:
    np.multiply(m, np.float32(cases.BETA1), out=m)
    np.multiply(g, np.float32(1 - cases.BETA1), out=spare)
    np.add(m, spare, out=m)
    np.multiply(v, np.float32(cases.BETA2), out=v)
    np.multiply(g, g, out=spare)
    np.multiply(spare, np.float32(1 - cases.BETA2), out=spare)
    np.add(v, spare, out=v)
    root = (1 - cases.BETA2**t) ** 0.5
    np.sqrt(v, out=spare)
    np.add(spare, np.float32(cases.EPS * root), out=spare)
    np.divide(m, spare, out=spare)
    np.multiply(spare, np.float32(cases.RATE * root / (1 - cases.BETA1**t)), out=spare)
    np.subtract(p, spare, out=p)


def _adamw(p: Array, g: Array, m: Array, v: Array, spare: Array, t: int) -> None:
    np.multiply(p, np.float32(1 - cases.RATE * cases.DECAY), out=p)
    _adam(p, g, m, v, spare, t)


def _take_rows(held: Arrays) -> Prepared:
    source, order = held["source"], held["order"]
    out = np.empty((order.size, source.shape[1]), np.float32)
    return lambda: np.take(source, order, axis=0, out=out, mode="clip"), [out]


RULES: dict[str, Callable[..., None]] = {
    "sgd": _sgd,
    "momentum": _momentum,
    "rmsprop": _rmsprop,
    "adam": _adam,
    "adamw": _adamw,
}

MAKERS: dict[str, Callable[[Arrays], Prepared]] = {
    "matmul": _matmul(False, False),
    "matmul_a_transposed": _matmul(True, False),
    "matmul_b_transposed": _matmul(False, True),
    "linear": _linear,
    "linear_backward": _linear_backward,
    "relu": _elementwise(_relu),
    "leaky_relu": _elementwise(_leaky_relu),
    "sigmoid": _elementwise(_sigmoid),
    "tanh": _elementwise(lambda x, y: np.tanh(x, out=y)),
    "softplus": _elementwise(_softplus),
    "silu": _elementwise(_silu),
    "relu_backward": _slope(_relu, _positive),
    "sigmoid_backward": _slope(_sigmoid, _sigmoid_slope),
    "tanh_backward": _slope(lambda x, y: np.tanh(x, out=y), _tanh_slope),
    "softmax_cross_entropy": _softmax_cross_entropy,
    "batch_norm": _batch_norm,
    "dropout": _dropout,
    **{name: _update(name) for name in RULES},
    "take_rows": _take_rows,
}
"""Kernel -> what prepares it on its inputs."""
