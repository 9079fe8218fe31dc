"""Kernels of convolutional and recurrent layers in JAX."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.contenders import jax_layers

Held = dict[str, Any]


def _conv2d(held: Held, _: Any) -> list[Any]:
    return [jax.nn.relu(jax_layers.convolve(held["x"], held["w"]) + held["b"])]


def _conv2d_backward(held: Held, _: Any) -> list[Any]:
    dz = jnp.where(held["y"] > 0, held["dy"], 0)
    _, pullback = jax.vjp(jax_layers.convolve, held["x"], held["w"])
    return [*pullback(dz), dz.sum((0, 1, 2))]


def _max_pool(held: Held, _: Any) -> list[Any]:
    y, pullback = jax.vjp(jax_layers.max_pool, held["x"])
    return [y, *pullback(held["dy"])]


def _recurrent(run: Callable[..., Any], biases: tuple[str, ...]) -> Callable[[Held, Any], list[Any]]:
    def layer(x: Any, w: Any, b: Any, *of_state: Any) -> Any:
        inputs = jnp.swapaxes(x, 0, 1) @ w + b  # (T, N, G H)
        return jnp.swapaxes(run(inputs, *of_state), 0, 1)

    def function(held: Held, _: Any) -> list[Any]:
        y, pullback = jax.vjp(layer, *(held[name] for name in ("x", "w", "b", "u", *biases)))
        return [y, *pullback(held["dy"])]

    return function


def _embedding(held: Held, _: Any) -> list[Any]:
    # Forward and backward share no input: without the barrier, the one that does not depend on what is moved from
    # turn to turn would be taken out of the loop.
    tokens, table, dy = jax.lax.optimization_barrier((held["tokens"], held["table"], held["dy"]))
    y, pullback = jax.vjp(lambda table: jnp.take(table, tokens, axis=0, mode="clip"), table)
    return [y, *pullback(dy)]


LAYER_FUNCTIONS: dict[str, Callable[[Held, Any], list[Any]]] = {
    "conv2d": _conv2d,
    "conv2d_backward": _conv2d_backward,
    "max_pool": _max_pool,
    "lstm": _recurrent(jax_layers.lstm, ()),
    "gru": _recurrent(jax_layers.gru, ("c",)),
    "embedding": _embedding,
}
"""Kernel -> its results."""
