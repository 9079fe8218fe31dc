"""One training step and one evaluation step of a rank: its share of the batch, and what all ranks add up."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from nnx.distributed.group import Group
from nnx.distributed.reduction import Sum, ordered_sum
from nnx.distributed.shares import RankShare
from nnx.distributed.streamed import AnyRankBatches, make_rank_batches
from nnx.interface import Array
from nnx.layers import Context, Observer
from nnx.measurement import Measurement
from nnx.ops import Ops
from nnx.steps import AnyBatches, EvaluationStep, Runner, Trace, TrainingStep, count_correct
from nnx.stored import AnyExamples
from nnx.verification import make_runner

if TYPE_CHECKING:
    from nnx.model import Sequential


class RankStep(TrainingStep):
    """A training step on this rank's share, whose gradients are added to those of the others before the update.

    The slope of the loss is weighed by the rank's part of the batch before it goes back through the layers: what
    each rank then has is its summand of the gradient of the whole batch.
    """

    batches: AnyRankBatches

    def __init__(self, group: Group, model: Sequential, batches: AnyRankBatches) -> None:
        """Train `model` on `batches`."""
        super().__init__(model, batches)
        self._group = group
        self._sum = Sum(group, model.backend, model.store.gradients.shape[0], model.dtype)
        self._beside = model.ops.backend.zeros((), model.dtype)

    def differentiate(self, rows: int, observer: Observer | None = None) -> tuple[Array, Array | None]:
        """Compute the gradients of the next batch; return this rank's summands of its loss and right answers."""
        model, ops, share = self.model, self.model.ops, self.batches.share(rows)
        batch = self.batches.gather(rows)
        context, observer = Context(train=True, lengths=batch.lengths, share=share), observer or Observer()
        outputs, backward = model.chain.observed_forward(batch.x, context, observer)
        loss, slope = model.loss.forward(ops, outputs, batch.targets, batch.weight, gradient=True)
        correct = count_correct(model, outputs, batch, self.batches.padded)
        weigh(ops, share, loss, slope, correct)
        observer.loss()
        backward(slope)
        weigh_nothing(ops, share, model.store.gradients)
        ops.call(self._sum, model.store.gradients)
        # the penalty belongs to the loss of the batch once, and to the gradients, which are the whole ones by now
        self.penalise(loss if self._group.leads else self._beside, rows)
        return loss, correct


class RankEvaluation(EvaluationStep):
    """A measurement of this rank's share of a batch."""

    batches: AnyRankBatches

    def __call__(self, rows: int) -> None:
        """Measure the share of the next batch of `rows` examples."""
        ops, share = self.model.ops, self.batches.share(rows)
        loss, correct = self.measure(rows)
        weigh(ops, share, loss, None, correct)
        self.trace.store(self.batches.number, loss, correct)
        ops.call(ops.backend.increment, self.batches.number)


def weigh(ops: Ops, share: RankShare, loss: Array, slope: Array | None, correct: Array | None) -> None:
    """Turn means over a rank's rows into its summands of the means over all rows."""

    def scale(array: Array) -> None:
        array[...] = array * share.part

    for array in (loss, slope):
        if array is not None and share.rows:
            ops.call(scale, array)
    weigh_nothing(ops, share, loss, slope, correct)


def weigh_nothing(ops: Ops, share: RankShare, *arrays: Array | None) -> None:
    """Clear arrays that come of no row of the batch."""

    def clear(array: Array) -> None:
        array[...] = 0

    for array in arrays:
        if array is not None and share.rows == 0:
            ops.call(clear, array)


class RankRunner(Runner):
    """Runs a step, and then adds up what all ranks have traced, so that every rank knows all of it."""

    def __init__(
        self,
        group: Group,
        runner: Runner,
        trace: Trace,
        then: Callable[[], None],
    ) -> None:
        """Take what runs the step, and what to do after every range of steps."""
        super().__init__(runner.ops, runner.step, runner.eager)
        self._runner, self._group, self._trace, self._then = runner, group, trace, then

    def run(self, rows: int, times: int) -> None:
        """See `Runner.run`."""
        self._runner.run(rows, times)

    def run_range(self, batches: AnyBatches, start: int, stop: int) -> None:
        """See `Runner.run_range`."""
        super().run_range(batches, start, stop)
        if stop > start:
            self._add_up(start, stop)
        self._then()

    def _add_up(self, start: int, stop: int) -> None:
        trace, asarray = self._trace, self.ops.backend.asarray
        losses, correct = (values[start:stop] for values in trace.read())
        found = np.stack([losses, correct.astype(np.float64)])  # counts are exact in float64 up to 2^53
        losses, counts = ordered_sum(self._group.stack(found))
        trace.losses[start:stop] = asarray(losses, "float64")
        trace.correct[start:stop] = asarray(counts, "int64")


class RankMeasurement(Measurement):
    """A measurement to which every rank contributes its share."""

    def __init__(
        self, group: Group, model: Sequential, examples: AnyExamples, batch_size: int, eager: bool
    ) -> None:
        """Prepare for these examples."""
        self.model = model
        self.batches = make_rank_batches(group, model.ops, examples, batch_size, repeated=False)
        self._step = RankEvaluation(model, self.batches)
        runner = make_runner(model, self._step, self.batches, self._step.trace, eager)
        self._runner = RankRunner(group, runner, self._step.trace, lambda: None)
