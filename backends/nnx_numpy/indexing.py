"""Moving rows and scalars, adding, and counting."""

from __future__ import annotations

import numpy as np

from nnx import interface
from nnx.interface import Array
from nnx_numpy.workspace import by_blocks, quiet, workspace

_BOOL = np.dtype(np.bool_)


class Indexing(interface.indexing.Indexing):
    """Kernels that gather, store and count; indices are read on the host, where they lie."""

    @quiet
    def add(self, a: Array, b: Array, out: Array) -> None:
        """One ufunc."""
        np.add(a, b, out=out)

    def take_rows(self, source: Array, order: Array, batch: Array, out: Array, batch_size: int) -> None:
        """One gather; mode "clip", since "raise" would gather into a temporary first."""
        start = int(batch) * batch_size
        np.take(source, order[start : start + out.shape[0]], axis=0, out=out, mode="clip")

    def load_at(self, source: Array, index: Array, out: Array) -> None:
        """Read the one element."""
        out[...] = source[int(index)]

    def store_at(self, value: Array, index: Array, out: Array) -> None:
        """Write the one element instead of a whole masked vector."""
        out[int(index)] = value

    def argmax(self, x: Array, out: Array) -> None:
        """NumPy's argmax, which treats ties and NaN as the interface asks."""
        np.argmax(x, axis=1, out=out)

    def count_correct(self, logits: Array, labels: Array, count: Array) -> None:
        """NumPy's argmax into scratch."""
        predicted, hit = workspace.like("predicted", labels), workspace.take("hit", labels.shape, _BOOL)
        np.argmax(logits, axis=1, out=predicted)  # (N, C) -> (N,)
        np.equal(predicted, labels, out=hit)
        count[...] = np.count_nonzero(hit)

    def count_correct_binary(self, logits: Array, targets: Array, count: Array) -> None:
        """Comparisons in booleans."""
        count[...] = 0
        by_blocks(_count_binary, (logits, targets), count)


def _count_binary(logits: Array, targets: Array, count: Array) -> None:
    positive = workspace.take("positive", logits.shape, _BOOL)
    hit = workspace.take("hit", logits.shape, _BOOL)
    np.greater(logits, 0, out=positive)
    np.greater(targets, 0.5, out=hit)
    np.equal(positive, hit, out=hit)
    np.add(count, np.count_nonzero(hit), out=count)
