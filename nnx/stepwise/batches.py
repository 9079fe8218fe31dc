"""Examples in random order, a few at a time."""

from __future__ import annotations

from collections.abc import Iterator

from nnx import random
from nnx.checks import check_count
from nnx.errors import OptionError
from nnx.interface import Array
from nnx.ops import Ops
from nnx.random import check_seed, stream_of
from nnx.stepwise.arrays import ArrayLike, copy_of, ops_for, rows, shape_of
from nnx.stepwise.targets import target_rows

Batch = tuple[Array, Array]
"""X (n_0, b) and Y (n_L, b) of b examples."""


def random_mini_batches(
    X: ArrayLike, Y: ArrayLike, mini_batch_size: int | str = 64, seed: int = 0, epoch: int = 0
) -> list[Batch]:
    """Shuffle the examples, and cut them into batches; the last holds what is left over.

    The order is that in which `nnx.Sequential(..., seed=seed)` takes the examples in that epoch. A single batch of
    all examples is left in the order given: it would make no difference.

    Args:
        X: (n_0, m).
        Y: (n_L, m).
        mini_batch_size: examples per batch, or "full" for all at once.
        seed: 0 to 2^64 - 1.
        epoch: how often all examples have been gone through; every epoch has another order.

    Returns:
        (X, Y) of each batch, as arrays of the selected backend in the dtype of X.

    Raises:
        OptionError: the batch size, seed or epoch is out of its range.
        ShapeError, DataError, DtypeError, BackendError: the arrays do not go together.
    """
    ops = ops_for(X)
    x = rows(X, "X", ops)  # (m, n_0)
    shape = shape_of(Y, "Y", ops)
    classes = shape[0] if len(shape) == 2 else 1
    y = target_rows(Y, (classes, x.shape[0]), ops)
    size = batch_size_of(mini_batch_size, "mini_batch_size")
    if size is not None and size < x.shape[0]:
        x, y = copy_of(ops, x), copy_of(ops, y)  # rows one behind the other are gathered fastest
    return list(batches_of(ops, x, y, size, seed, check_count("epoch", epoch, 0)))


def batch_size_of(value: object, option: str = "batch_size") -> int | None:
    """Return the number of examples per batch, None for all.

    Raises:
        OptionError: neither a whole number of at least 1 nor "full".
    """
    if value == "full":
        return None
    try:
        return check_count(option, value)
    except OptionError as error:
        raise OptionError(f'{option} must be "full" or a whole number of at least 1, got {value!r}.') from error


def batches_of(ops: Ops, x: Array, y: Array, size: int | None, seed: int, epoch: int) -> Iterator[Batch]:
    """Yield the batches of one epoch, gathered by the kernel, from x (m, n_0) and y (m, n_L)."""
    count = x.shape[0]
    if size is None or size >= count:
        yield x.T, y.T
        return
    drawn = random.permutation(count, check_seed(seed), stream_of("shuffle"), epoch)
    order = ops.asarray(drawn, "int64")
    for number, start in enumerate(range(0, count, size)):
        here, held = ops.asarray(number, "int64"), min(size, count - start)
        yield tuple(ops.take_rows(source, order, here, held, size).T for source in (x, y))


def endless_batches(ops: Ops, x: Array, y: Array, size: int | None, seed: int) -> Iterator[Batch]:
    """Yield batches epoch after epoch."""
    epoch = 0
    while True:
        yield from batches_of(ops, x, y, size, seed, epoch)
        epoch += 1
