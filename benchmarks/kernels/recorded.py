"""Kernels of nnx: a tape of one call or two, recorded and replayed as training does it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.contenders.base import Loop
from benchmarks.kernels import cases
from benchmarks.kernels.cases import UPDATES, Case
from benchmarks.kernels.recorded_layers import LAYER_CALLS
from benchmarks.kernels.work import ACTIVATIONS
from nnx.interface import Array, Backend
from nnx.ops import Ops

Held = dict[str, Array]


def record(backend: Backend, case: Case) -> Loop:
    """Record the case on a backend and compile the tape."""
    ops = Ops(backend, "float32")
    inputs = {**case.inputs(), "step": np.zeros((), np.int64)}
    held = {name: backend.asarray(values, str(values.dtype)) for name, values in inputs.items()}
    with ops.recording() as tape:
        results = CALLS[case.kernel](ops, held, case.shape)
    program = backend.compile(tape)
    for name, values in inputs.items():  # recording has run the calls once, and some of them work in place
        held[name][...] = backend.asarray(values, str(values.dtype))

    def run(times: int) -> None:
        program.run(times)
        backend.synchronize()

    return Loop(run, lambda: [backend.to_numpy(result) for result in results])


def _matmul(transpose_a: bool, transpose_b: bool) -> Any:
    def call(ops: Ops, held: Held, shape: tuple[int, ...]) -> list[Array]:
        out = ops.empty(shape[0], shape[2])
        ops.call(ops.backend.matmul, held["a"], held["b"], out, transpose_a, transpose_b)
        return [out]

    return call


def _linear(ops: Ops, held: Held, _shape: tuple[int, ...]) -> list[Array]:
    return [ops.linear(held["x"], held["w"], held["b"], "relu")]


def _linear_backward(ops: Ops, held: Held, _shape: tuple[int, ...]) -> list[Array]:
    dw, db = ops.like(held["w"]), ops.empty(held["w"].shape[1])
    dx = ops.linear_backward(held["x"], held["y"], held["dy"], held["w"], dw, db, "relu", 0.0, True)
    return [dx, dw, db]


def _activate(name: str) -> Any:
    def call(ops: Ops, held: Held, _shape: tuple[int, ...]) -> list[Array]:
        return [ops.activate(held["x"], name, cases.ALPHA[name])]

    return call


def _activate_backward(name: str) -> Any:
    def call(ops: Ops, held: Held, _shape: tuple[int, ...]) -> list[Array]:
        alpha, x = cases.ALPHA[name], held["x"]
        y = ops.like(x)
        ops.backend.activate(x, y, name, alpha)  # called past `ops.call`: the tape holds the backward pass alone
        return [ops.activate_backward(x, y, held["dy"], name, alpha)]

    return call


def _softmax_cross_entropy(ops: Ops, held: Held, _shape: tuple[int, ...]) -> list[Array]:
    loss, slope = ops.softmax_cross_entropy(held["logits"], held["labels"], None, 0.0, True)
    return [loss, slope]


def _batch_norm(ops: Ops, held: Held, shape: tuple[int, ...]) -> list[Array]:
    gamma, beta, mean, var, dgamma, dbeta = (ops.backend.zeros((shape[1],), "float32") for _ in range(6))
    gamma[...] = 1
    var[...] = 1
    x, dy = held["x"], held["dy"]
    y, seen, rstd = ops.batch_norm(x, gamma, beta, mean, var, cases.NORM_MOMENTUM, cases.NORM_EPS)
    dx = ops.batch_norm_backward(x, gamma, seen, rstd, dy, (dgamma, dbeta), True)
    return [y, dx, dgamma, dbeta]


def _dropout(ops: Ops, held: Held, _shape: tuple[int, ...]) -> list[Array]:
    step = held["step"]
    results = [ops.dropout(values, step, 1, 2, cases.KEEP) for values in (held["x"], held["dy"])]
    ops.call(ops.backend.increment, step)
    return results


def _update(name: str) -> Any:
    options: dict[str, tuple[float, ...]] = {
        "momentum": (cases.MU,),
        "nesterov": (cases.MU,),
        "rmsprop": (cases.RHO, cases.EPS),
        "adam": (cases.BETA1, cases.BETA2, cases.EPS, 0.0),
        "adamw": (cases.BETA1, cases.BETA2, cases.EPS, 0.0, cases.DECAY),
    }

    def call(ops: Ops, held: Held, shape: tuple[int, ...]) -> list[Array]:
        moments = [held[f"moment{i}"] for i in range(UPDATES[name])]
        step, rate = held["step"], ops.asarray(cases.RATE)
        counter = [step] if UPDATES[name] == 2 else []
        decayed = [shape[0]] if name == "adamw" else []
        arguments = [held["p"], held["g"], *moments, *counter, rate, *options.get(name, ()), *decayed]
        ops.call(getattr(ops.backend, name), *arguments)
        if counter:
            ops.call(ops.backend.increment, step)
        return [held["p"]]

    return call


def _take_rows(ops: Ops, held: Held, shape: tuple[int, ...]) -> list[Array]:
    batch = ops.backend.zeros((), "int64")
    return [ops.take_rows(held["source"], held["order"], batch, shape[2], shape[2])]


CALLS: dict[str, Callable[[Ops, Held, tuple[int, ...]], list[Array]]] = {
    "matmul": _matmul(False, False),
    "matmul_a_transposed": _matmul(True, False),
    "matmul_b_transposed": _matmul(False, True),
    "linear": _linear,
    "linear_backward": _linear_backward,
    **{name: _activate(name) for name in ACTIVATIONS},
    **{f"{name}_backward": _activate_backward(name) for name in ACTIVATIONS},
    "softmax_cross_entropy": _softmax_cross_entropy,
    "batch_norm": _batch_norm,
    "dropout": _dropout,
    **{name: _update(name) for name in UPDATES},
    "take_rows": _take_rows,
    **LAYER_CALLS,
}
"""Kernel -> what is recorded of it; returns the results that everyone's are compared by."""
