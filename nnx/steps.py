"""One training step and one evaluation step, as recordings of kernel calls.

Whatever changes from step to step is an array here: the batch number, the order of the examples, the learning
rates of the epoch, the step counter, and the trace that receives each step's loss and correct answers.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nnx import random
from nnx.inputs import DeviceExamples, Examples, transfer
from nnx.interface import Array, Program
from nnx.layers import Context, Observer
from nnx.ops import Ops
from nnx.stored import AnyExamples, StoredBatches

if TYPE_CHECKING:
    from nnx.trainable import Trainable

_log = logging.getLogger(__name__)


class Batches:
    """Examples on the device, handed out batch by batch in an order that the host may change between epochs.

    Attributes:
        examples: on the device, transferred once.
        padded: whether some steps of the outputs may be padding.
        count: number of examples.
        size: examples per batch; the last batch may hold fewer.
        steps: batches per epoch.
        rows: (steps,) how many examples each batch holds.
        number: () int64 on the device, the batch that comes next.
        counters: what a step counts up.
    """

    def __init__(self, ops: Ops, examples: Examples, size: int) -> None:
        """Begin with batch 0 in the given order."""
        self.ops, self.examples, self.padded = ops, transfer(examples, ops), examples.padded
        self.count = examples.x.shape[0]
        self.size = min(size, self.count)
        self.steps = -(-self.count // self.size)
        self.rows = np.minimum(self.size, self.count - self.size * np.arange(self.steps))
        self.number = ops.backend.zeros((), "int64")
        self.counters = (self.number,)
        self._real_outputs, self._host_order = examples.real_outputs(), np.arange(self.count)
        self.order = ops.asarray(self._host_order, "int64")

    def restart(self, batch: int = 0) -> None:
        """Go to a batch."""
        self.number[...] = batch

    def shuffle(self, seed: int, epoch: int) -> None:
        """Take the order of an epoch; a full batch has none."""
        if self.steps > 1:
            self.reorder(random.permutation(self.count, seed, random.stream_of("shuffle"), epoch))

    def ranges(self, start: int, stop: int) -> Iterator[tuple[int, int]]:
        """Yield the batches start to stop - 1 in ranges (first, last) that can be run at once: they are one."""
        yield start, stop

    def close(self) -> None:
        """End what goes on by itself: nothing does."""

    def reorder(self, order: NDArray[np.int64]) -> None:
        """Change the order; a full batch has none."""
        if self.steps > 1:
            self._host_order = order
            self.order[...] = self.ops.asarray(order, "int64")

    def real_outputs(self, start: int, stop: int) -> int:
        """Return how many outputs the batches start to stop - 1 hold, one per real step of every example."""
        if isinstance(self._real_outputs, int):
            return self._real_outputs * int(self.rows[start:stop].sum())
        return int(self._real_outputs[self._host_order[start * self.size : stop * self.size]].sum())

    def gather(self, rows: int) -> DeviceExamples:
        """Return the next batch; a batch of all examples is the data themselves."""
        if rows == self.count:
            return self.examples
        return DeviceExamples(*(self._take(source, rows) for source in self.examples))

    def _take(self, source: Array | None, rows: int) -> Array | None:
        return None if source is None else self.ops.take_rows(source, self.order, self.number, rows, self.size)


AnyBatches: TypeAlias = Batches | StoredBatches


def make_batches(ops: Ops, examples: AnyExamples, size: int, repeated: bool = True) -> AnyBatches:
    """Return batches of examples; those in a file are read whole if one buffer holds them.

    `repeated` tells whether another epoch is likely to follow one.
    """
    size = min(size, examples.count)
    if isinstance(examples, Examples):
        return Batches(ops, examples, size)
    plan = examples.plan(size, np.dtype(ops.dtype).itemsize)
    if plan.buffers == 1:
        return Batches(ops, examples.all(), size)
    return StoredBatches(ops, examples, size, plan, repeated)


class Trace:
    """Loss and number of correct answers of every step of an epoch, collected on the device.

    Attributes:
        losses: (S,) float64; correct: (S,) int64.
        counted: whether the loss knows right and wrong; `correct` holds zeros if not.
    """

    def __init__(self, ops: Ops, steps: int) -> None:
        """Make room for so many steps."""
        self.ops = ops
        self.losses = ops.backend.zeros((steps,), "float64")
        self.correct = ops.backend.zeros((steps,), "int64")
        self.counted = False

    def store(self, step: Array, loss: Array, correct: Array | None) -> None:
        """Write the results of one step."""
        self.ops.call(self.ops.backend.store_at, loss, step, self.losses)
        if correct is not None:
            self.counted = True
            self.ops.call(self.ops.backend.store_at, correct, step, self.correct)

    def read(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """Wait for the device and return (losses, correct) on the host."""
        return self.ops.backend.to_numpy(self.losses), self.ops.backend.to_numpy(self.correct)


class Runner:
    """Runs a step many times: recorded once per number of rows and then replayed; or eagerly."""

    def __init__(self, ops: Ops, step: Callable[[int], None], eager: bool = False) -> None:
        """Take the step, a function of the number of rows."""
        self.ops, self.step, self.eager = ops, step, eager
        self._programs: dict[int, Program] = {}

    def run(self, rows: int, times: int) -> None:
        """Run the step on `times` batches of `rows` examples."""
        if self.eager:
            for _ in range(times):
                self.step(rows)
            return
        if rows not in self._programs and times:
            self._programs[rows] = self._record(rows)
            times -= 1
        if times:
            self._programs[rows].run(times)

    def _record(self, rows: int) -> Program:
        """Run the step once, and return its recording."""
        began = time.perf_counter()
        with self.ops.recording() as tape:
            self.step(rows)
        recorded = time.perf_counter()
        program = self.ops.backend.compile(tape)
        _log.debug(
            "a step of %d rows is recorded as %d calls in %.3f s, made a %s in %.3f s",
            rows,
            len(tape.calls),
            recorded - began,
            type(program).__name__,
            time.perf_counter() - recorded,
        )
        return program

    def run_range(self, batches: AnyBatches, start: int, stop: int) -> None:
        """Run the step on the batches start to stop - 1, where `batches` stands at start."""
        for first, last in batches.ranges(start, stop):
            full = min(last, batches.count // batches.size)
            self.run(batches.size, max(full - first, 0))
            if last > max(full, first):
                self.run(int(batches.rows[last - 1]), 1)


class TrainingStep:
    """Gather, forward, loss, backward, penalties, clipping, update, bookkeeping.

    Attributes:
        batches, trace: where the data come from and the results go.
        rates: (S,) the learning rate of each step of the epoch.
    """

    def __init__(self, model: Trainable, batches: AnyBatches) -> None:
        """Train `model` on `batches`."""
        self.model, self.batches = model, batches
        self.trace = Trace(model.ops, batches.steps)
        self.rates = model.ops.backend.zeros((batches.steps,), model.dtype)
        self._rate = model.ops.empty()
        self._norm = model.ops.empty()

    def __call__(self, rows: int, observer: Observer | None = None) -> None:
        """Run one step on the next batch of `rows` examples."""
        ops, model, number = self.model.ops, self.model, self.batches.number
        loss, correct = self.differentiate(rows, observer)
        self._update(number)
        self.trace.store(number, loss, correct)
        ops.call(ops.backend.increment, model.step)
        ops.call(ops.backend.increment, number)

    def differentiate(self, rows: int, observer: Observer | None = None) -> tuple[Array, Array | None]:
        """Compute the gradients of the next batch of `rows` examples; return its loss and its right answers."""
        model, ops, batch = self.model, self.model.ops, self.batches.gather(rows)
        context, observer = Context(train=True, lengths=batch.lengths), observer or Observer()
        outputs, backward = model.chain.observed_forward(batch.x, context, observer)
        loss, slope = model.loss.forward(ops, outputs, batch.targets, batch.weight, gradient=True)
        correct = count_correct(model, outputs, batch, self.batches.padded)
        observer.loss()
        backward(slope)
        self.penalise(loss, rows)
        return loss, correct

    def penalise(self, loss: Array, rows: int) -> None:
        """Add the L2 penalties to the loss and to the gradients of a batch of `rows` examples."""
        ops = self.model.ops
        for parameter in self.model.store.parameters:
            l2 = self.model.l2 if parameter.l2 is None else parameter.l2
            if parameter.decayed and l2:
                ops.call(ops.backend.l2_penalty, parameter.value, parameter.grad, loss, l2 / rows)

    def _update(self, number: Array) -> None:
        model, ops = self.model, self.model.ops
        ops.call(ops.backend.load_at, self.rates, number, self._rate)
        limit = model.optimizer.clip_norm
        if limit is not None:
            ops.call(ops.backend.clip_by_global_norm, model.store.gradients, self._norm, limit)
        model.optimizer.update(ops, model.store, model.moments, model.step, self._rate)


def count_correct(model: Trainable, outputs: Array, batch: DeviceExamples, padded: bool) -> Array | None:
    """Count the right answers; None where padding could not be told from them."""
    if padded and batch.marks is None:
        return None
    return model.loss.count_correct(model.ops, outputs, batch.targets, batch.marks)


class EvaluationStep:
    """Gather, forward as in prediction, loss, bookkeeping."""

    def __init__(self, model: Trainable, batches: AnyBatches) -> None:
        """Measure `model` on `batches`."""
        self.model, self.batches = model, batches
        self.trace = Trace(model.ops, batches.steps)

    def __call__(self, rows: int) -> None:
        """Measure the next batch of `rows` examples."""
        ops, (loss, correct) = self.model.ops, self.measure(rows)
        self.trace.store(self.batches.number, loss, correct)
        ops.call(ops.backend.increment, self.batches.number)

    def measure(self, rows: int) -> tuple[Array, Array | None]:
        """Return the loss of the next batch of `rows` examples, and its right answers."""
        model, ops, batch = self.model, self.model.ops, self.batches.gather(rows)
        outputs, _ = model.chain.forward(batch.x, Context(train=False, lengths=batch.lengths))
        loss, _ = model.loss.forward(ops, outputs, batch.targets, batch.weight, gradient=False)
        return loss, count_correct(model, outputs, batch, self.batches.padded)


def summarise(model: Trainable, batches: AnyBatches, trace: Trace, start: int, stop: int) -> dict[str, float]:
    """Average the steps start to stop - 1 of a trace, each batch weighed by its number of examples.

    Accuracy is the share of right answers among all real steps of these examples.
    """
    losses, correct = trace.read()
    rows = batches.rows[start:stop]
    logs = {"loss": float(losses[start:stop] @ rows / rows.sum())}
    if trace.counted:
        decisions = batches.real_outputs(start, stop) * model.loss.decisions(model.output_shape[-1])
        logs["accuracy"] = float(correct[start:stop].sum() / decisions)
    return logs
