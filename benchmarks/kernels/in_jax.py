"""Kernels in JAX: many repetitions inside one compiled loop, so that the cost of a call does not count.

Results are carried from turn to turn, and each turn moves one element of its input by what the last one
computed; the compiler can then neither hoist the work out of the loop nor leave part of it undone. Where it
answers that with copies, plain calls one after another are faster: whichever is, counts.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.contenders.base import Loop
from benchmarks.kernels import cases
from benchmarks.kernels.cases import UPDATES, Case
from benchmarks.kernels.in_jax_layers import LAYER_FUNCTIONS
from benchmarks.kernels.work import ACTIVATIONS

Held = dict[str, Any]

DRIVER = {
    **{f"{name}_backward": "dy" for name in ("relu", "sigmoid", "tanh", "linear")},
    **dict.fromkeys(("matmul", "matmul_a_transposed", "matmul_b_transposed"), "a"),
    "softmax_cross_entropy": "logits",
    "take_rows": "order",
    **dict.fromkeys(("conv2d_backward", "embedding"), "dy"),
}
"""Which input is moved, where it is not x."""

SHOWN = {"batch_norm": 4}
"""How many results are compared, where others are but carried on."""

TRIED = 3
"""Repetitions by which the faster way is chosen."""

Run = Callable[[int], None]


def loop(case: Case) -> Loop:
    """Prepare a case."""
    held = {name: jnp.asarray(values) for name, values in case.inputs().items()}
    if case.kernel == "batch_norm":
        ones, zeros = jnp.ones(case.shape[1]), jnp.zeros(case.shape[1])
        held |= {"gamma": ones, "beta": zeros, "running_mean": zeros.copy(), "running_var": ones.copy()}
    if case.kernel.removesuffix("_backward") in ("relu", "sigmoid", "tanh"):
        held["y"] = activation(case.kernel.removesuffix("_backward"), held["x"])
    if case.kernel in UPDATES:
        return _loop_of_updates(case, held)
    calls, inside = _calls(case, held), _loop_of_results(case, jax.tree.map(jnp.copy, held))
    return min((calls, inside), key=lambda loop: _seconds(loop.run))


def _seconds(run: Run) -> float:
    run(1)
    spent = []
    for _ in range(TRIED):
        began = time.perf_counter()
        run(TRIED)
        spent.append(time.perf_counter() - began)
    return min(spent)


def _calls(case: Case, held: Held) -> Loop:
    function = jax.jit(FUNCTIONS[case.kernel])
    state: list[Any] = [None]

    def run(times: int) -> None:
        for number in range(times):
            state[0] = function(held, number)
        jax.block_until_ready(state[0])

    return Loop(run, lambda: [np.asarray(result) for result in state[0][: SHOWN.get(case.kernel)]])


def _loop_of_results(case: Case, held: Held) -> Loop:
    function, driver = FUNCTIONS[case.kernel], DRIVER.get(case.kernel, "x")

    def turn(_: int, state: Any) -> Any:
        held, _former, count = state
        results = function(held, count)
        moved = held[driver]
        nudge = (results[-1].ravel()[0] * 1e-6).astype(moved.dtype)
        held = {**held, driver: moved.at[(0,) * moved.ndim].add(nudge)}
        if case.kernel == "batch_norm":
            held |= {"running_mean": results[4], "running_var": results[5]}
        return held, results, count + 1

    many = jax.jit(lambda state, times: lax.fori_loop(0, times, turn, state), donate_argnums=0)
    state: list[Any] = [(held, _room(case, held), jnp.zeros((), jnp.int32))]

    def run(times: int) -> None:
        state[0] = jax.block_until_ready(many(state[0], times))

    return Loop(run, lambda: [np.asarray(result) for result in state[0][1][: SHOWN.get(case.kernel)]])


def _room(case: Case, held: Held) -> list[Any]:
    shapes = jax.eval_shape(FUNCTIONS[case.kernel], held, 0)
    return [jnp.zeros(shape.shape, shape.dtype) for shape in shapes]


def _loop_of_updates(case: Case, held: Held) -> Loop:
    rule = RULES[case.kernel]

    def turn(_: int, state: Any) -> Any:
        held, count = state
        return rule(held, (count + 1).astype(jnp.float32)), count + 1

    many = jax.jit(lambda state, times: lax.fori_loop(0, times, turn, state), donate_argnums=0)
    state: list[Any] = [(held, jnp.zeros((), jnp.int32))]

    def run(times: int) -> None:
        state[0] = jax.block_until_ready(many(state[0], times))

    return Loop(run, lambda: [np.asarray(state[0][0]["p"])])


def activation(name: str, x: Any) -> Any:
    """Apply an activation."""
    if name == "tanh":
        return jnp.tanh(x)
    if name == "gelu":
        return jax.nn.gelu(x, approximate=False)
    if name == "leaky_relu":
        return jax.nn.leaky_relu(x, cases.ALPHA["leaky_relu"])
    return getattr(jax.nn, name)(x)


def _forward(name: str) -> Any:
    return lambda held, _: [activation(name, held["x"])]


def _backward(name: str) -> Any:
    def function(held: Held, _: Any) -> list[Any]:
        dy = held["dy"]
        if name == "relu":
            return [jnp.where(held["y"] > 0, dy, 0)]
        if name == "sigmoid":
            return [dy * held["y"] * (1 - held["y"])]
        if name == "tanh":
            return [dy * (1 - held["y"] * held["y"])]
        _, pullback = jax.vjp(lambda x: activation(name, x), held["x"])
        return list(pullback(dy))

    return function


def _matmul(transpose_a: bool, transpose_b: bool) -> Any:
    def function(held: Held, _: Any) -> list[Any]:
        a = held["a"].T if transpose_a else held["a"]
        b = held["b"].T if transpose_b else held["b"]
        return [a @ b]

    return function


def _linear(held: Held, _: Any) -> list[Any]:
    return [jax.nn.relu(held["x"] @ held["w"] + held["b"])]


def _linear_backward(held: Held, _: Any) -> list[Any]:
    dz = jnp.where(held["y"] > 0, held["dy"], 0)
    return [dz @ held["w"].T, held["x"].T @ dz, dz.sum(0)]


def _softmax_cross_entropy(held: Held, _: Any) -> list[Any]:
    from benchmarks.contenders.jax_network import softmax_cross_entropy

    return list(jax.value_and_grad(softmax_cross_entropy)(held["logits"], held["labels"]))


def _batch_norm(held: Held, _: Any) -> list[Any]:
    x, dy, rows = held["x"], held["dy"], held["x"].shape[0]
    mean = x.mean(0)
    centred = x - mean
    variance = (centred * centred).mean(0)
    rstd = lax.rsqrt(variance + cases.NORM_EPS)
    h = centred * rstd
    dbeta, dgamma = dy.sum(0), (dy * h).sum(0)
    dx = held["gamma"] * rstd * (dy - dbeta / rows - h * (dgamma / rows))
    move = cases.NORM_MOMENTUM
    running_mean = held["running_mean"] + move * (mean - held["running_mean"])
    running_var = held["running_var"] + move * (variance * (rows / (rows - 1)) - held["running_var"])
    return [held["gamma"] * h + held["beta"], dx, dgamma, dbeta, running_mean, running_var]


def _dropout(held: Held, count: Any) -> list[Any]:
    from benchmarks.contenders.jax_network import kept, random_key

    keep = cases.KEEP / 65536
    mask = kept(jax.random.fold_in(random_key(), count), keep, held["x"].shape)
    return [jnp.where(mask, held[name] / keep, 0) for name in ("x", "dy")]


def _take_rows(held: Held, _: Any) -> list[Any]:
    from benchmarks.contenders.jax_network import take

    return [take(held["source"], held["order"])]


def _sgd(held: Held, _: Any) -> Held:
    return {**held, "p": held["p"] - cases.RATE * held["g"]}


def _momentum(held: Held, _: Any) -> Held:
    velocity = cases.MU * held["moment0"] + held["g"]
    return {**held, "moment0": velocity, "p": held["p"] - cases.RATE * velocity}


def _nesterov(held: Held, _: Any) -> Held:
    velocity = cases.MU * held["moment0"] + held["g"]
    return {**held, "moment0": velocity, "p": held["p"] - cases.RATE * (held["g"] + cases.MU * velocity)}


def _rmsprop(held: Held, _: Any) -> Held:
    g, squares = held["g"], cases.RHO * held["moment0"] + (1 - cases.RHO) * held["g"] * held["g"]
    return {**held, "moment0": squares, "p": held["p"] - cases.RATE * g / (jnp.sqrt(squares) + cases.EPS)}


def _adam(held: Held, t: Any) -> Held:
    g = held["g"]
    m = cases.BETA1 * held["moment0"] + (1 - cases.BETA1) * g
    v = cases.BETA2 * held["moment1"] + (1 - cases.BETA2) * g * g
    root = jnp.sqrt(v / (1 - cases.BETA2**t)) + cases.EPS
    p = held["p"] - cases.RATE * (m / (1 - cases.BETA1**t)) / root
    return {**held, "p": p, "moment0": m, "moment1": v}


def _adamw(held: Held, t: Any) -> Held:
    return _adam({**held, "p": held["p"] * (1 - cases.RATE * cases.DECAY)}, t)


RULES: dict[str, Callable[[Held, Any], Held]] = {
    "sgd": _sgd,
    "momentum": _momentum,
    "nesterov": _nesterov,
    "rmsprop": _rmsprop,
    "adam": _adam,
    "adamw": _adamw,
}

FUNCTIONS: dict[str, Callable[[Held, Any], list[Any]]] = {
    "matmul": _matmul(False, False),
    "matmul_a_transposed": _matmul(True, False),
    "matmul_b_transposed": _matmul(False, True),
    "linear": _linear,
    "linear_backward": _linear_backward,
    **{name: _forward(name) for name in ACTIVATIONS},
    **{f"{name}_backward": _backward(name) for name in ACTIVATIONS},
    "softmax_cross_entropy": _softmax_cross_entropy,
    "batch_norm": _batch_norm,
    "dropout": _dropout,
    "take_rows": _take_rows,
    **LAYER_FUNCTIONS,
}
"""Kernel -> its results; updates have a table of their own."""
