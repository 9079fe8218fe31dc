"""scikit-learn's MLPClassifier, where the workload can be said in it."""

from __future__ import annotations

from typing import Any

import numpy as np
import sklearn
from sklearn.neural_network import MLPClassifier

from benchmarks.contenders.base import CannotExpressError, Loop, Trainer
from benchmarks.kernels.cases import Case
from benchmarks.networks import Data, Workload
from benchmarks.networks import Perceptron as Layers


class PartialFit(Trainer):
    """One `partial_fit` per epoch, which shuffles and goes through the data once."""

    def __init__(self, workload: Layers, data: Data, shuffle: bool) -> None:
        """Let the library allocate its network on a few rows, then put the workload's weights in."""
        self.x, self.y = data.x, data.y.ravel().astype(np.int64)
        self.model: Any = MLPClassifier(
            workload.sizes[1:-1],
            activation=workload.activation,
            solver=workload.optimizer,
            alpha=workload.l2,
            batch_size=min(workload.batch, len(data.x)),
            learning_rate_init=workload.rate,
            momentum=0.0,
            nesterovs_momentum=False,
            shuffle=shuffle,
            random_state=0,
        )
        classes = np.arange(max(workload.sizes[-1], 2))
        self.model.partial_fit(self.x[: self.model.batch_size], self.y[: self.model.batch_size], classes=classes)
        del self.model._optimizer  # its moments have seen a batch; the next call makes a new one
        for held, initial in zip(self.model.coefs_, workload.initial_weights(), strict=True):
            held[...] = initial
        for held in self.model.intercepts_:
            held[...] = 0

    def train(self, epochs: int) -> float:
        """See `Trainer.train`."""
        for _ in range(epochs):
            self.model.partial_fit(self.x, self.y)
        return float(self.model.loss_curve_[-1])


class Perceptron:
    """scikit-learn."""

    def __init__(self, threads: int, device: str) -> None:
        """Nothing to set: BLAS has its threads from the environment."""

    def versions(self) -> dict[str, str]:
        """See `Contender.versions`."""
        return {"scikit-learn": sklearn.__version__}

    def trainer(self, workload: Workload, data: Data, shuffle: bool) -> Trainer:
        """See `Contender.trainer`."""
        if not isinstance(workload, Layers):
            raise CannotExpressError("MLPClassifier has neither convolutions nor recurrence")
        if workload.batch_norm or workload.dropout:
            raise CannotExpressError("MLPClassifier has neither batch normalisation nor dropout")
        return PartialFit(workload, data, shuffle)

    def kernel(self, case: Case) -> Loop:
        """See `Contender.kernel`."""
        raise CannotExpressError(f"scikit-learn has no {case.kernel} to call")
