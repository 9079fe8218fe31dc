"""Convolutional and recurrent networks as pure functions of a list of parts, for JAX."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.contenders.jax_network import Parts, forward, initial_parts
from benchmarks.networks import Convolutions, Sequences


@initial_parts.register
def _(workload: Convolutions) -> tuple[Parts, Parts]:
    parts: Parts = []
    for weight in workload.initial_weights():
        parts += [jnp.asarray(weight), jnp.zeros(weight.shape[-1])]
    return parts, []


@forward.register
def _(workload: Convolutions, parts: Parts, key: Any, x: Any) -> tuple[Any, list[Any]]:
    del key
    rest, h = list(parts), x
    for _ in workload.filters:
        h = max_pool(jax.nn.relu(convolve(h, rest.pop(0)) + rest.pop(0)))
    return h.reshape(h.shape[0], -1) @ rest[0] + rest[1], []


def convolve(x: Any, w: Any) -> Any:
    """Convolve (N, H, W, C) with (K, L, C, O), without padding."""
    return lax.conv_general_dilated(x, w, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"))


def max_pool(x: Any) -> Any:
    """Return the largest of each 2 x 2 pixels."""
    high, wide = x.shape[1] // 2, x.shape[2] // 2
    whole = x[:, : 2 * high, : 2 * wide]
    return whole.reshape(x.shape[0], high, 2, wide, 2, x.shape[3]).max((2, 4))


@initial_parts.register
def _(workload: Sequences) -> tuple[Parts, Parts]:
    w, u, last = map(jnp.asarray, workload.initial_weights())
    bias = jnp.asarray(workload.initial_bias())
    of_state = [jnp.zeros_like(bias)] if workload.cell == "gru" else []
    return [w, bias, u, *of_state, last, jnp.zeros(1)], []


@forward.register
def _(workload: Sequences, parts: Parts, key: Any, x: Any) -> tuple[Any, list[Any]]:
    del key
    w, bias, *layer, last, offset = parts
    inputs = jnp.swapaxes(x, 0, 1) @ w + bias  # (T, N, G H)
    run = gru if workload.cell == "gru" else lstm
    return run(inputs, *layer)[-1] @ last + offset, []


def lstm(inputs: Any, u: Any) -> Any:
    """Return the state after each step, (T, N, H), of long short-term memory whose inputs are (T, N, 4 H)."""

    def turn(carry: Any, xw: Any) -> Any:
        h, c = carry
        i, f, g, o = jnp.split(xw + h @ u, 4, axis=-1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    begin = jnp.zeros((inputs.shape[1], u.shape[0]), np.float32)
    return lax.scan(turn, (begin, begin), inputs)[1]


def gru(inputs: Any, u: Any, b: Any) -> Any:
    """Return the state after each step, (T, N, H), of gated recurrent units whose inputs are (T, N, 3 H)."""

    def turn(h: Any, xw: Any) -> Any:
        z, r, n = jnp.split(xw, 3, axis=-1)
        a, e, m = jnp.split(h @ u + b, 3, axis=-1)
        z, r = jax.nn.sigmoid(z + a), jax.nn.sigmoid(r + e)
        h = (1 - z) * jnp.tanh(n + r * m) + z * h
        return h, h

    begin = jnp.zeros((inputs.shape[1], u.shape[0]), np.float32)
    return lax.scan(turn, begin, inputs)[1]
