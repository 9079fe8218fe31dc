"""What a model does without learning: measuring, predicting, and saying what it would take."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnx.checks import check_count
from nnx.inputs import send
from nnx.interface import Array
from nnx.layers import Context
from nnx.measurement import Measurement
from nnx.memory import MemoryNeed, check_evaluation, check_prediction, of_training
from nnx.objective import Objective
from nnx.shortage import tells_where_memory_ended
from nnx.stored import held
from nnx.streaming import Stream
from nnx.trainable import Trainable


class Predictor(Trainable):
    """A network that answers: what all models have in common once they are trained."""

    @tells_where_memory_ended("Take a smaller batch_size, or fewer examples at a time.")
    def evaluate(self, x: Any, y: Any, *, lengths: Any = None, batch_size: int = 1024) -> dict[str, float]:
        """Return {"loss": ..., "accuracy": ...} on examples; accuracy for classification only, loss without L2.

        Both are means over all examples and, where outputs have steps, all real steps; lengths as in `fit`.

        Raises:
            BackendError: another thread trains or changes the model.
            DataError, ShapeError, DtypeError, BackendError: the data are not what the model takes.
            MemoryLimitError, OutOfMemoryError: there is not enough memory, or it ended on the way.
        """
        size = check_count("batch_size", batch_size)
        with self.access.reading(), np.errstate(all="ignore"):
            self.need_built()
            examples = self.accept(x, y, lengths=lengths)
            check_evaluation(self, held(examples, size), size)
            with closing(Measurement(self, examples, size)) as measurement:
                return measurement.measure()

    def predict(self, x: Any, *, lengths: Any = None, batch_size: int = 1024) -> NDArray[Any]:
        """Return the outputs, (N, *output shape): logits for a classifier, values for a regression.

        With lengths, (N,) as in `fit`, outputs of the steps beyond them mean nothing. Any number of threads may
        predict at once.

        Raises:
            BackendError: another thread trains or changes the model.
            DataError, ShapeError, DtypeError, BackendError: x is not what the model takes.
            OptionError: lengths for a model with a layer that would take padding for steps.
            MemoryLimitError, OutOfMemoryError: there is not enough memory, or it ended on the way.
        """
        return self._map(x, lengths, batch_size, lambda outputs: outputs)

    def predict_proba(self, x: Any, *, lengths: Any = None, batch_size: int = 1024) -> NDArray[Any]:
        """Return the probabilities under a classification loss, (N, *output shape).

        Raises:
            OptionError: the loss is not one of classification.
        """
        loss = self.loss
        return self._map(x, lengths, batch_size, lambda outputs: loss.probabilities(self.ops, outputs))

    def predict_classes(self, x: Any, *, lengths: Any = None, batch_size: int = 1024) -> NDArray[Any]:
        """Return the most likely class of each example, (N,) int64, or of each step, (N, T).

        Raises:
            OptionError: the loss is not one of classification.
        """
        loss = self.loss
        return loss.classes(self.predict(x, lengths=lengths, batch_size=batch_size))

    @tells_where_memory_ended("Take a smaller batch_size, or fewer examples at a time.")
    def _map(self, x: Any, lengths: Any, batch_size: int, function: Callable[[Array], Array]) -> NDArray[Any]:
        size, outcomes = check_count("batch_size", batch_size), []
        with self.access.reading(), np.errstate(all="ignore"):
            self.need_built()
            shape, inputs = self.input_pieces(x, lengths, size)
            check_prediction(self, shape, size)
            with closing(inputs) as pieces:
                for piece, counts in pieces:
                    real = None if counts is None else send(counts, self.ops)
                    outputs = self.chain.forward(send(piece, self.ops), Context(train=False, lengths=real))[0]
                    outcomes.append(self.backend.to_numpy(function(outputs)))
        return np.concatenate(outcomes)

    def memory(
        self, batch_size: int, input_shape: Sequence[int] | None = None, examples: int | None = None
    ) -> MemoryNeed:
        """Return the bytes that training takes, computed before any is taken; see `nnx.memory`.

        Args:
            batch_size: examples per step.
            input_shape: the shape of one example, such as more steps; by default that of the built model.
            examples: how many there are, to count the data set in, and a last, smaller batch.

        Raises:
            NotBuiltError: there is no input_shape, or `compile` was not called.
            OptionError, ShapeError: an argument is out of its range, or a layer of one's own cannot be followed.
        """
        return of_training(self, batch_size, input_shape, examples)

    @tells_where_memory_ended("Take fewer examples, or a smaller network.")
    def objective(
        self, x: Any, y: Any, *, sample_weight: Any = None, class_weight: Any = None, lengths: Any = None
    ) -> Objective:
        """Return the training loss on these examples, and its gradient, as a function of all parameters.

        For optimizers of SciPy, or one's own, which take the examples as one batch; see `nnx.Objective`.

        Args:
            x: as in `fit`; all of it is held in memory.
            y: as in `fit`.
            sample_weight: as in `fit`.
            class_weight: as in `fit`.
            lengths: as in `fit`.

        Raises:
            DataError, ShapeError, DtypeError, BackendError: the data are not what the model takes.
            OptionError: lengths do not go with the layers.
            NotBuiltError: `compile` was not called.
            BackendError: the model is being trained, or another thread uses it.
            MemoryLimitError, OutOfMemoryError: there is not enough memory.
        """
        with self.access.exclusively(), np.errstate(all="ignore"), self.unbuilt_if_refused():
            return Objective(self, self.take(x, y, sample_weight, class_weight, lengths))

    def stream(self, batch_size: int = 1) -> Stream:
        """Return a stream that predicts sequences piece by piece, recurrent states carried on; see `nnx.Stream`.

        Args:
            batch_size: how many sequences go side by side.

        Raises:
            NotBuiltError: the model has no weights yet.
            ShapeError: its inputs have no time axis.
            OptionError: one of its layers does not work step by step.
        """
        return Stream(self, check_count("batch_size", batch_size))
