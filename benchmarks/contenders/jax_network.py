"""The networks as pure functions of a list of parts, for JAX."""

from __future__ import annotations

from collections.abc import Callable
from functools import singledispatch
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from benchmarks.networks import Perceptron, Workload

Parts = list[Any]


def initial_state(workload: Workload) -> dict[str, Any]:
    """Return parameters, moments, running statistics, step counter and key."""
    parts, running = initial_parts(workload)
    moments = [jnp.zeros_like(part) for part in parts] if workload.optimizer == "adam" else []
    state = {"parts": parts, "m": moments, "v": [m.copy() for m in moments], "running": running}
    return {**state, "count": jnp.zeros((), jnp.int32), "key": random_key()}


@singledispatch
def initial_parts(workload: Workload) -> tuple[Parts, Parts]:
    """Return parameters and running statistics as they begin."""
    raise NotImplementedError(f"no parts for {type(workload).__name__}")


@initial_parts.register
def _(workload: Perceptron) -> tuple[Parts, Parts]:
    parts: Parts = []
    running: Parts = []
    for weight in workload.initial_weights():
        units = weight.shape[1]
        parts.append(jnp.asarray(weight))
        if workload.batch_norm and units != workload.sizes[-1]:
            parts += [jnp.ones(units), jnp.zeros(units)]
            running += [jnp.zeros(units), jnp.ones(units)]
        else:
            parts.append(jnp.zeros(units))
    return parts, running


def random_key() -> Any:
    """Return a key of the generator that is the fastest on the device in use.

    On a CPU that is JAX's default: masks of a million took 5 ms of it, 16 ms of "rbg".
    """
    return jax.random.key(0, impl="rbg" if jax.default_backend() == "gpu" else None)


def take(source: Any, rows: Any) -> Any:
    """Gather rows that are there; by default JAX would fill in for each element of one that is not."""
    return jnp.take(source, rows, axis=0, mode="clip")


def kept(key: Any, share: float, shape: tuple[int, ...]) -> Any:
    """Return a mask, from sixteen bare bits an element, as nnx draws it: the fastest way that JAX has."""
    return jax.random.bits(key, shape, jnp.uint16) < jnp.uint16(share * 2**16)


def _normalise(z: Any, gamma: Any, beta: Any) -> tuple[Any, list[Any]]:
    mean = z.mean(0)
    centred = z - mean
    variance = (centred * centred).mean(0)
    unbiased = variance * (z.shape[0] / (z.shape[0] - 1))
    return gamma * centred * lax.rsqrt(variance + 1e-5) + beta, [mean, unbiased]


@singledispatch
def forward(workload: Workload, parts: Parts, key: Any, x: Any) -> tuple[Any, list[Any]]:
    """Return the outputs of a batch, and (mean, variance) of what each normalisation saw."""
    raise NotImplementedError(f"no outputs of {type(workload).__name__}")


@forward.register
def _(workload: Perceptron, parts: Parts, key: Any, x: Any) -> tuple[Any, list[Any]]:
    rest, statistics, h = list(parts), [], x
    for layer, _ in enumerate(workload.sizes[1:-1]):
        z = h @ rest.pop(0)
        if workload.batch_norm:
            z, seen = _normalise(z, rest.pop(0), rest.pop(0))
            statistics += seen
        else:
            z = z + rest.pop(0)
        h = jnp.tanh(z) if workload.activation == "tanh" else jax.nn.relu(z)
        if workload.dropout:
            keep = 1 - workload.dropout
            h = jnp.where(kept(jax.random.fold_in(key, layer), keep, h.shape), h / keep, 0)
    return h @ rest[0] + rest[1], statistics


def _loss(workload: Workload, parts: Parts, key: Any, x: Any, y: Any) -> tuple[Any, list[Any]]:
    outputs, statistics = forward(workload, parts, key, x)
    value = LOSSES[workload.loss](outputs, y)
    if isinstance(workload, Perceptron) and workload.l2:
        squares = sum(jnp.sum(part * part) for part in parts if part.ndim == 2)
        value = value + workload.l2 / (2 * x.shape[0]) * squares
    return value, statistics


def softmax_cross_entropy(outputs: Any, y: Any) -> Any:
    """Return the mean loss; in the form whose gradient XLA computes fastest, twice as fast as by log_softmax."""
    picked = jnp.take_along_axis(outputs, y[:, None], axis=1)[:, 0]
    return (jax.nn.logsumexp(outputs, axis=1) - picked).mean()


def _binary(z: Any, y: Any) -> Any:
    return jnp.mean(jnp.maximum(z, 0) - z * y + jnp.log1p(jnp.exp(-jnp.abs(z))))


LOSSES: dict[str, Callable[[Any, Any], Any]] = {
    "sigmoid_cross_entropy": _binary,
    "softmax_cross_entropy": softmax_cross_entropy,
    "mean_squared_error": lambda outputs, y: jnp.mean(jnp.square(outputs - y)),
}
"""Loss of a workload -> its function of outputs and targets."""


def step(workload: Workload, state: dict[str, Any], x: Any, y: Any) -> tuple[dict[str, Any], Any]:
    """Return the state after one batch, and its loss."""
    count = state["count"] + 1
    random = isinstance(workload, Perceptron) and workload.dropout
    key = jax.random.fold_in(state["key"], count) if random else state["key"]
    derive = jax.value_and_grad(_loss, argnums=1, has_aux=True)
    (loss, statistics), gradients = derive(workload, state["parts"], key, x, y)
    running = [r + 0.1 * (s - r) for r, s in zip(state["running"], statistics, strict=True)]
    state = {**state, "count": count, "running": running}
    update = _adam if workload.optimizer == "adam" else _descend
    return update(workload.rate, state, gradients), loss


def _descend(rate: float, state: dict[str, Any], gradients: Parts) -> dict[str, Any]:
    return {**state, "parts": [p - rate * g for p, g in zip(state["parts"], gradients, strict=True)]}


def _adam(rate: float, state: dict[str, Any], gradients: Parts) -> dict[str, Any]:
    t = state["count"].astype(jnp.float32)
    first, second = 1 - 0.9**t, 1 - 0.999**t
    m = [0.9 * m + 0.1 * g for m, g in zip(state["m"], gradients, strict=True)]
    v = [0.999 * v + 0.001 * g * g for v, g in zip(state["v"], gradients, strict=True)]
    moved = [
        p - rate * (m / first) / (jnp.sqrt(v / second) + 1e-8) for p, m, v in zip(state["parts"], m, v, strict=True)
    ]
    return {**state, "parts": moved, "m": m, "v": v}
