"""Measuring a model on one set of examples."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnx.steps import EvaluationStep, Runner, make_batches, summarise
from nnx.stored import AnyExamples
from nnx.verification import make_runner

if TYPE_CHECKING:
    from nnx.trainable import Trainable


class Measurement:
    """Loss and accuracy on one set of examples, recorded once and repeated whenever asked for."""

    def __init__(self, model: Trainable, examples: AnyExamples, batch_size: int, eager: bool = False) -> None:
        """Prepare for these examples."""
        self.model = model
        self.batches = make_batches(model.ops, examples, batch_size, repeated=False)
        self._step = EvaluationStep(model, self.batches)
        self._runner: Runner = make_runner(model, self._step, self.batches, self._step.trace, eager)

    def close(self) -> None:
        """Leave nothing that goes on by itself."""
        self.batches.close()

    def measure(self) -> dict[str, float]:
        """Return the mean loss and, for classification, the accuracy."""
        self.batches.restart()
        self._runner.run_range(self.batches, 0, self.batches.steps)
        return summarise(self.model, self.batches, self._step.trace, 0, self.batches.steps)
