"""What runs on the digits of MNIST would have measured, of given accuracies."""

from __future__ import annotations

from nnx.experiments.mnist.common import EPOCHS, HIGHEST, VALIDATION
from nnx.experiments.result import Curve, Result
from nnx.experiments.training import SECONDS, TEST, TRAIN


def made_up(
    validation: float, *, train: float = 0.0, epochs: float = 200.0, highest: float = 0.0, seed: int = 0
) -> Result:
    curve = Curve([0.0, 1.0, epochs], [0.1, max(highest, validation), validation])
    accuracies = {TRAIN: train or validation, VALIDATION: validation, TEST: validation}
    figures = {**accuracies, HIGHEST: max(curve.values), EPOCHS: epochs, SECONDS: 1.0}
    return Result(figures, {VALIDATION: curve}, seed=seed)


def runs(*validations: float) -> list[Result]:
    return [made_up(value, seed=seed) for seed, value in enumerate(validations)]
