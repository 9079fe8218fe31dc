"""Moving rows and scalars, adding, and counting."""

from __future__ import annotations

import numpy as np

from nnx import interface
from nnx.interface import Array
from nnx_numpy.blocks import by_blocks
from nnx_numpy.columns import copy_pixels
from nnx_numpy.plan import Plan, kernel

_BOOL = np.dtype(np.bool_)


class Indexing(interface.indexing.Indexing):
    """Kernels that gather, store and count.

    Indices and counters are read on the host, where they lie: through a memoryview, at a fifth of what indexing
    the array costs.
    """

    @kernel
    def add(self, plan: Plan, a: Array, b: Array, out: Array) -> None:
        """One ufunc."""
        plan(np.add, a, b, out)

    @kernel
    def take_rows(self, plan: Plan, source: Array, order: Array, batch: Array, out: Array, batch_size: int) -> None:
        """One gather."""
        plan(_gather, source, order, memoryview(batch), out, batch_size, out.shape[0])

    @kernel
    def join(self, plan: Plan, a: Array, b: Array, out: Array) -> None:
        """Whole rows at a time."""
        width = a.shape[1]
        copy_pixels(plan, a, out[:, :width])
        copy_pixels(plan, b, out[:, width:])

    @kernel
    def split(self, plan: Plan, x: Array, a: Array, b: Array) -> None:
        """Whole rows at a time."""
        width = a.shape[1]
        copy_pixels(plan, x[:, :width], a)
        copy_pixels(plan, x[:, width:], b)

    @kernel
    def load_at(self, plan: Plan, source: Array, index: Array, out: Array) -> None:
        """Read the one element."""
        plan(_load, source, memoryview(index), out)

    @kernel
    def store_at(self, plan: Plan, value: Array, index: Array, out: Array) -> None:
        """Write the one element instead of a whole masked vector."""
        plan(_store, value, memoryview(index), out)

    @kernel
    def increment(self, plan: Plan, counter: Array) -> None:
        """Count in Python: NumPy takes 0-d operands that are also the destination for a reduction, and its time."""
        plan(_increment, memoryview(counter))

    @kernel
    def argmax(self, plan: Plan, x: Array, out: Array) -> None:
        """NumPy's argmax, which treats ties and NaN as the interface asks."""
        plan(x.argmax, 1, out)

    @kernel
    def count_correct(self, plan: Plan, logits: Array, labels: Array, count: Array) -> None:
        """NumPy's argmax into scratch."""
        predicted, hit = plan.like("predicted", labels), plan.take("hit", labels.shape, _BOOL)
        plan(logits.argmax, 1, predicted)  # (N, C) -> (N,)
        plan(np.equal, predicted, labels, hit)
        plan(_count, hit, memoryview(count))

    @kernel
    def count_correct_binary(self, plan: Plan, logits: Array, targets: Array, count: Array) -> None:
        """Comparisons in booleans."""
        hit = plan.take("hit", logits.shape, _BOOL)
        by_blocks(plan, _compare, (logits, targets, hit))
        plan(_count, hit, memoryview(count))


def _gather(source: Array, order: Array, batch: memoryview[int], out: Array, batch_size: int, rows: int) -> None:
    start = batch[()] * batch_size
    source.take(order[start : start + rows], 0, out, "clip")  # "raise" would gather into a temporary first


def _load(source: Array, index: memoryview[int], out: Array) -> None:
    out[...] = source[index[()]]


def _store(value: Array, index: memoryview[int], out: Array) -> None:
    out[index[()]] = value


def _increment(counter: memoryview[int]) -> None:
    counter[()] += 1


def _count(hit: Array, count: memoryview[int]) -> None:
    count[()] = int(np.count_nonzero(hit))


def _compare(plan: Plan, logits: Array, targets: Array, hit: Array) -> None:
    positive = plan.take("positive", logits.shape, _BOOL)
    plan(np.greater, logits, 0, positive)
    plan(np.greater, targets, 0.5, hit)
    plan(np.equal, positive, hit, hit)
