"""Whether layers and losses of one's own take each row of a batch by itself, so that several ranks can share it.

What a rank computes of its rows must be what one process computes of them among all others. nnx's own layers are
made so, or are told of the share, as batch normalisation is. Those of one's own are tried on a few rows of the
data, and on some of these alone: outputs and gradients must be the same for the rows that are in both, and no state
may change, since it would follow other rows on every rank.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from nnx.errors import OptionError
from nnx.inputs import Examples, transfer
from nnx.interface import Array
from nnx.layers import Backward, Context, Layer
from nnx.ops import Ops
from nnx.stored import AnyExamples
from nnx.verification import is_foreign, made_up, try_loss

if TYPE_CHECKING:
    from nnx.layers.base import Share
    from nnx.model import Sequential

ROWS = 4
"""How many rows parts are tried on, from all over the data."""

_Forward = Callable[[Array, Context], tuple[Array, Backward]]


class _FixedStatistics:
    """A share in which batch normalisation goes by its running statistics, so that what else mixes rows shows."""

    first = 0

    def folded(self, times: int) -> Share:
        """See `layers.Share`."""
        del times
        return self

    def batch_norm(
        self,
        ops: Ops,
        x: Array,
        scale: tuple[Array, Array],
        running: tuple[Array, Array],
        momentum: float,
        eps: float,
    ) -> tuple[Array, Array, Array]:
        """See `layers.Share`."""
        del momentum
        rstd, xp = ops.like(running[1]), ops.backend.xp
        rstd[...] = 1 / xp.sqrt(running[1] + eps)
        return ops.batch_norm_infer(x, *scale, *running, eps), running[0], rstd

    def batch_norm_backward(
        self,
        ops: Ops,
        x: Array,
        gamma: Array,
        statistics: tuple[Array, Array],
        dy: Array,
        into: tuple[Array, Array],
        wants_dx: bool,
    ) -> Array | None:
        """See `layers.Share`; the statistics are constants."""
        mean, rstd = statistics
        xp, flat = ops.backend.xp, ops.rows(dy)
        into[0][...] = xp.sum(flat * (ops.rows(x) - mean) * rstd, axis=0)
        into[1][...] = xp.sum(flat, axis=0)
        return dy * gamma * rstd if wants_dx else None


def check_rows_apart(model: Sequential, examples: AnyExamples) -> None:
    """Refuse what mixes the rows of a batch; arrays of the model are left as they are, but for gradients.

    Raises:
        OptionError: a layer or the loss is not one of nnx's own, and does not take each row by itself.
    """
    layers = _outermost(model)
    if examples.count < 2 or not (layers or is_foreign(model.loss)):
        return
    batch, state = transfer(_chosen(examples), model.ops), model.backend.to_numpy(model.store.state)
    context = Context(train=True, lengths=batch.lengths, share=_FixedStatistics())
    try:
        with _tried(model, layers):
            outputs, _ = model.chain.forward(batch.x, context)
    finally:
        model.store.state[...] = model.ops.asarray(state)
    if is_foreign(model.loss):
        _try_loss(model, tuple(outputs.shape), batch.targets, batch.weight is not None)


def _chosen(examples: AnyExamples) -> Examples:
    """Return a few rows from all over the data."""
    numbers = np.unique(np.linspace(0, examples.count - 1, ROWS).astype(np.int64))
    if isinstance(examples, Examples):
        return examples.rows(numbers)
    runs = [(number, number + 1) for number in numbers.tolist()]
    return examples.read(runs, examples.x.room(len(runs)), examples.y.room(len(runs)))


def _outermost(model: Sequential) -> list[tuple[str, Layer]]:
    """Return the layers of one's own, by their paths, without those that stand in another."""
    found = {path: layer for path, layer in model.places if is_foreign(layer) and isinstance(layer, Layer)}
    return [
        (path, layer) for path, layer in found.items() if not any(path.startswith(f"{outer}.") for outer in found)
    ]


@contextmanager
def _tried(model: Sequential, layers: list[tuple[str, Layer]]) -> Iterator[None]:
    """Have every forward pass of these layers in the block tried."""
    try:
        for path, layer in layers:
            vars(layer)["forward"] = partial(_try_layer, model, path, layer, layer.forward)
        yield
    finally:
        for _, layer in layers:
            vars(layer).pop("forward", None)


def _try_layer(
    model: Sequential, path: str, layer: Layer, forward: _Forward, x: Array, context: Context
) -> tuple[Array, Backward]:
    """Run a forward pass, and again on the first rows alone, both with their backward passes."""
    before = model.backend.to_numpy(model.store.state)
    y, backward = forward(x, context)
    named = partial(_refuse, f"layer {path}, {layer!r},")
    for count in range(1, min(x.shape[0], 3)):
        lengths = None if context.lengths is None else context.lengths[:count]
        part, part_backward = forward(x[:count, ...], replace(context, lengths=lengths))
        slope = made_up(tuple(y.shape))
        slope[count:] = 0
        dy = model.ops.asarray(slope)
        whole, alone = (
            _gradients(model, path, one, given) for one, given in ((backward, dy), (part_backward, dy[:count, ...]))
        )
        for what, first, second in (
            ("output", y, part),
            ("gradient by its input", whole[0], alone[0]),
            *(("gradient by its parameters", *pair) for pair in zip(whole[1], alone[1], strict=True)),
        ):
            if not _alike(model, first, second, count):
                named(f"has another {what} for a row when other rows of the batch are there or not")
    if not np.array_equal(before, model.backend.to_numpy(model.store.state)):
        named("changes a state in training, which would follow other rows in every process")
    return y, backward


def _gradients(model: Sequential, path: str, backward: Backward, dy: Array) -> tuple[Array | None, list[Any]]:
    """Return the gradient by the input of a layer, and those by its parameters, on the host."""
    dx = backward(dy)
    own = [parameter for parameter in model.store.parameters if parameter.name.startswith(f"{path}.")]
    return dx, [model.backend.to_numpy(parameter.grad).copy() for parameter in own]


def _alike(model: Sequential, first: Any, second: Any, count: int) -> bool:
    """Compare the first rows of one array with all of another, or two gradients of parameters.

    Products of fewer rows may be summed in another order, which shows at some roundings of the largest value; what
    another row brings shows at one part in a few. The bound, the root of a rounding, lies between.
    """
    if first is None or second is None:
        return first is second
    if not isinstance(first, np.ndarray) or first.shape != second.shape:
        first, second = model.backend.to_numpy(first)[:count], model.backend.to_numpy(second)
    bound = float(np.sqrt(np.finfo(model.dtype).eps)) * float(np.max(np.abs(first), initial=0))
    return bool((np.abs(first - second) <= bound).all()) or not np.isfinite(first).all()


def _try_loss(model: Sequential, shape: tuple[int, ...], targets: Array, weighed: bool) -> None:
    """Try the loss on all rows, and on each row alone: it must be the mean."""
    outputs, rows = made_up(shape), shape[0]
    weight = np.abs(made_up(shape[:-1])) + 0.5 if weighed else None
    loss, slope = try_loss(model, outputs, targets, weight)
    for row in range(rows):
        only = slice(row, row + 1)
        own = try_loss(model, outputs[only], targets[only, ...], None if weight is None else weight[only])
        loss = loss - own[0] / rows
        if not _alike(model, rows * slope[only], own[1], 1):
            _refuse(f"the loss {model.loss!r}", "has another gradient for a row than a mean over the rows has")
    if abs(loss) > np.sqrt(np.finfo(model.dtype).eps):
        _refuse(f"the loss {model.loss!r}", "is not the mean of what it is for each row")


def _refuse(part: str, why: str) -> None:
    raise OptionError(
        f"distributed=True shares the rows of a batch among processes, but {part} {why}. Train in one process, or "
        "let it take each row by itself."
    )
