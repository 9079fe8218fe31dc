"""Whether a step does what it should with layers and losses of one's own.

A recording holds the operations of `nnx.ops` and nothing else. What a layer computes by other means is done once,
while the step is recorded, and never again. So the first replay of a model with layers, a loss or an optimizer that
are not nnx's own is compared with the code itself, on the same batch and from the same values.

A loss is handed the weights of the rows, and nothing makes it look at them. So one that is not nnx's own is tried,
where there are weights, with weights of one and of zero before the first step.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from nnx.errors import BackendError, OptionError
from nnx.interface import Array
from nnx.steps import AnyBatches, Runner, Trace

if TYPE_CHECKING:
    from nnx.losses import Loss
    from nnx.optimizers import Optimizer
    from nnx.trainable import Trainable


_log = logging.getLogger(__name__)


class Parts(Protocol):
    """A compiled model, as far as it is asked for what it is made of; see `Network.places`."""

    @property
    def places(self) -> Sequence[tuple[str, object]]:
        """The path and the layer of every layer."""
        ...

    @property
    def loss(self) -> Loss:
        """What training makes small."""
        ...

    @property
    def optimizer(self) -> Optimizer:
        """What does it."""
        ...


def foreign_parts(model: Parts) -> list[str]:
    """Return what of a compiled model is not nnx's own, in words."""
    parts: list[tuple[str, object]] = [(f"layer {path}, {layer!r}", layer) for path, layer in model.places]
    parts += [("the loss", model.loss), ("the optimizer", model.optimizer)]
    return [name for name, part in parts if is_foreign(part)]


def is_foreign(part: object) -> bool:
    """Tell whether a layer, a loss or an optimizer is not nnx's own."""
    return type(part).__module__.partition(".")[0] != "nnx"


class CheckedRunner(Runner):
    """A runner that compares the first replay of each recording with the code that was recorded."""

    def __init__(self, model: Trainable, step: Callable[[int], None], batches: AnyBatches, trace: Trace) -> None:
        """Run a step of a model that has parts of its own."""
        super().__init__(model.ops, step)
        self._model, self._batches, self._trace = model, batches, trace
        self._checked: set[int] = set()

    def run(self, rows: int, times: int) -> None:
        """See `Runner.run`.

        Raises:
            BackendError: replaying does something else than the code.
        """
        if rows not in self._programs and times:
            super().run(rows, 1)  # which records it
            times -= 1
        if rows not in self._checked and times:
            self._check(rows)
            self._checked.add(rows)
            times -= 1
        super().run(rows, times)

    def _check(self, rows: int) -> None:
        arrays = (*self._model.state_arrays(), self._trace.losses, self._trace.correct, *self._batches.counters)
        before = self._copies(arrays)
        self._programs[rows].run(1)
        replayed = self._copies(arrays)
        for array, values in zip(arrays, before, strict=True):
            array[...] = self._model.backend.asarray(values, self._model.backend.dtype_name(array))
        self.step(rows)
        if not all(map(_same, replayed, self._copies(arrays))):
            parts = "; ".join(foreign_parts(self._model))
            raise BackendError(
                "Replaying the recorded step gives something else than its code, so that training would go wrong. "
                "Only operations of self.ops are recorded: not other array code, numbers that change, or random "
                f"numbers of one's own. Look at {parts}, or train with fit(..., eager=True)."
            )

    def _copies(self, arrays: Sequence[Array]) -> list[Any]:
        return [np.array(self._model.backend.to_numpy(array)) for array in arrays]


def _same(first: Any, second: Any) -> bool:
    floating = first.dtype.kind == "f"
    return first.tobytes() == second.tobytes() or bool(np.array_equal(first, second, equal_nan=floating))


_TRIED = 4
"""Rows that a loss is tried on."""


def check_weights_count(model: Trainable, batches: AnyBatches) -> None:
    """Make sure, where examples have weights, that a loss of one's own looks at them.

    It is tried on made-up outputs and on targets of the data.

    Raises:
        OptionError: its value or its gradient is the same whether all weights are 1 or 0.
    """
    examples = batches.examples
    if examples.weight is None or not is_foreign(model.loss):
        return
    targets, shape = examples.targets[:_TRIED, ...], tuple(examples.weight[:_TRIED, ...].shape)
    outputs = made_up((*shape, model.output_shape[-1]))
    found = [try_loss(model, outputs, targets, np.full(shape, weight)) for weight in (1.0, 0.0)]
    for what, ones, zeros in zip(("value", "gradient"), *found, strict=True):
        if ones is not None and ones.any() and np.isfinite(ones).all() and np.array_equal(ones, zeros):
            raise OptionError(
                f"The loss {model.loss!r} does not look at its argument weight: its {what} is the same for weights "
                "of 1 and of 0. So sample_weight, class_weight and the padding of sequences would count for "
                "nothing. Let its forward multiply what comes of row i by weight[i], or leave them out."
            )


def made_up(shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Return outputs of a network between 0.2 and 0.8, no two alike, which every usual loss takes."""
    return 0.5 + 0.3 * np.cos(np.arange(math.prod(shape), dtype=np.float64)).reshape(shape)


def try_loss(model: Trainable, outputs: Any, targets: Array, weight: Any) -> list[Any]:
    """Return the value of the loss and its gradient, on the host; outputs and weight, or None, are there too."""
    ops, given = model.ops, None if weight is None else model.ops.asarray(weight)
    loss, slope = model.loss.forward(ops, ops.asarray(outputs), targets, given, gradient=True)
    return [None if array is None else np.array(ops.backend.to_numpy(array)) for array in (loss, slope)]


def make_runner(
    model: Trainable, step: Callable[[int], None], batches: AnyBatches, trace: Trace, eager: bool
) -> Runner:
    """Return what runs a step of a model: by its code if eager, else by replay, checked where need be.

    Raises:
        OptionError: examples have weights, and a loss of one's own does not look at them.
    """
    check_weights_count(model, batches)
    if eager:
        _log.info("steps are run by their code, call by call, as asked for by eager=True")
    if eager or not foreign_parts(model):
        return Runner(model.ops, step, eager)
    return CheckedRunner(model, step, batches, trace)
