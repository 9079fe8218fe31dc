"""Looking tokens up, and adding the gradients of equal tokens together in an order that never changes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nnx import interface
from nnx.interface import Array
from nnx_numpy.plan import Plan, kernel
from nnx_numpy.workspace import Numbers, row_blocks

_INDEX = np.dtype(np.int64)


class Embedding(interface.embedding.Embedding):
    """Kernels on tables."""

    @kernel
    def embedding(self, plan: Plan, tokens: Array, table: Array, y: Array) -> None:
        """One gather; mode "clip", since "raise" would gather into a temporary first."""
        if y.size:
            rows = plan.flat("table", table).reshape(table.shape)
            plan(rows.take, plan.flat("tokens", tokens), 0, y, "clip")

    @kernel
    def embedding_backward(self, plan: Plan, tokens: Array, dy: Array, dtable: Array) -> None:
        """Sums of runs of equal tokens where most repeat; else element by element, which sorts nothing."""
        plan.copy(0, dtable)
        if dy.size == 0:
            return
        flat, rows = plan.flat("tokens", tokens), plan.flat("gradients", dy).reshape(dy.shape)
        if tokens.size > dtable.shape[0]:
            _add_sorted(plan, flat, rows, dtable)
        else:
            _add_each(plan, flat, rows, dtable)


def _add_sorted(plan: Plan, tokens: Numbers, dy: Numbers, dtable: Numbers) -> None:
    """Sort keys of the token and, in the lower bits, its place: so equal tokens stay in order."""
    count = tokens.size
    shift = (count - 1).bit_length()
    key, number = plan.take("keys", (count,), _INDEX), plan.take("sorted tokens", (count,), _INDEX)
    plan(np.left_shift, tokens, shift, key)
    plan(np.bitwise_or, key, plan.counting(count), key)
    plan(key.sort)
    plan(np.right_shift, key, shift, number)
    plan(np.bitwise_and, key, (1 << shift) - 1, key)
    rows = plan.like("sorted rows", dy)
    plan(dy.take, key, 0, rows, "clip")
    plan(_add_runs, number, rows, plan.take("sums", (min(count, dtable.shape[0]), dy.shape[1]), dy.dtype), dtable)


def _add_runs(tokens: NDArray[np.int64], rows: Numbers, sums: Numbers, dtable: Numbers) -> None:
    """How many runs there are depends on the tokens, so these few calls can't be planned."""
    first = np.flatnonzero(tokens[1:] != tokens[:-1]) + 1
    first = np.concatenate(([0], first))
    sums = sums[: first.size]
    np.add.reduceat(rows, first, 0, None, sums)
    dtable[tokens[first]] = sums


def _add_each(plan: Plan, tokens: Numbers, dy: Numbers, dtable: Numbers) -> None:
    """Add to the elements of the flat table; for flat arrays `numpy.add.at` takes 1 ns an element, for rows 7."""
    features = dy.shape[1]
    for some in row_blocks(*dy.shape):
        part = dy[some]
        start = plan.take("starts", (part.shape[0], 1), _INDEX)
        position = plan.take("positions", part.shape, _INDEX)
        plan(np.multiply, tokens[some, None], features, start)
        plan(np.add, start, plan.counting(features), position)
        plan(np.add.at, dtable.reshape(-1), position.reshape(-1), part.reshape(-1))
