"""How the initial weights decide whether a network learns to read digits at all."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from nnx.datasets import Dataset, info
from nnx.errors import DivergenceError
from nnx.experiments import sentences
from nnx.experiments.choosing import measured
from nnx.experiments.dead_units import DEAD_AFTER, DEAD_BEFORE, dead_units
from nnx.experiments.experiment import Experiment, Picture, Quantity, Results, Row
from nnx.experiments.mnist import EPOCHS as EPOCHS_DONE
from nnx.experiments.mnist import QUANTITIES, SETTINGS, SOURCE, VALIDATION, Digits, divided
from nnx.experiments.pictures import accuracies, curves
from nnx.experiments.result import Result
from nnx.experiments.training import TEST, TRAIN, confusions
from nnx.model import Sequential

EPOCHS = 50
HE = "He"
DIVERGED = "diverged"
TEST_ACCURACY = QUANTITIES[2]


@dataclass(frozen=True)
class FromWeights(Digits):
    """Training that counts dead units, and for which to diverge is a result: what is left then is measured.

    `Result.figures` holds, besides those of `Digits`, 1 if training diverged and 0 if not.
    """

    epochs: int = EPOCHS

    def measure(self, model: Sequential, data: Dataset) -> Result:
        """See `Training.measure`."""
        x, _ = data.train
        before = dead_share(model, x)
        try:
            result, diverged = super().measure(model, data), 0.0
        except DivergenceError:
            result, diverged = self.left(model, data), 1.0
        figures = {DEAD_BEFORE: before, DEAD_AFTER: dead_share(model, x), DIVERGED: diverged}
        return replace(result, figures={**result.figures, **figures})
