"""Reference for `nnx.interface.embedding`."""

from __future__ import annotations

from typing import Any

Array = Any


def embedding(xp: Any, tokens: Array, table: Array, y: Array) -> None:
    """y[i] = table[tokens[i]]."""
    y[...] = xp.take(table, tokens, axis=0)


def embedding_backward(xp: Any, tokens: Array, dy: Array, dtable: Array) -> None:
    """dtable = onehot(tokens).T @ dy."""
    rows = xp.arange(dtable.shape[0], dtype=xp.int64)
    chosen = xp.astype(tokens[None, :] == rows[:, None], dy.dtype)  # (V, N)
    dtable[...] = chosen @ dy  # (V, N) @ (N, E) -> (V, E)
