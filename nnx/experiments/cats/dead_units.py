"""Training that also counts the units that died: those that are zero whatever the example."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnx.datasets import Dataset
from nnx.experiments.result import Result
from nnx.experiments.training import Training
from nnx.inputs import send
from nnx.interface import Array
from nnx.layers import Context, Dense
from nnx.model import Sequential

DEAD_BEFORE, DEAD_AFTER = "dead units before", "dead units after"
DEAD_LAYERS = "dead layers"
BLOCKED = "blocked examples"

Zeros = list[NDArray[np.bool_]]
"""For each hidden layer, which of its U units are zero for which of N examples, (N, U)."""


@dataclass(frozen=True)
class WatchedTraining(Training):
    """Training that also measures which hidden units are zero, over all training examples.

    A unit of ReLU that is zero for every example gets no gradient from any, and learns nothing while that lasts: it
    is dead. Where all units of a layer are zero for an example, the example is blocked: nothing of it shows in what
    comes out, and it teaches the layers before nothing.

    `Result.figures` holds the share of dead units before and after training, the number of hidden layers in which
    all units are dead after it, and the share of examples that are blocked after it; shares in [0, 1].
    """

    def measure(self, model: Sequential, data: Dataset) -> Result:
        """See `Training.measure`."""
        x, _ = data.train
        before = hidden_zeros(model, x)
        result = super().measure(model, data)
        after = hidden_zeros(model, x)
        figures = {
            DEAD_BEFORE: dead_share(before),
            DEAD_AFTER: dead_share(after),
            DEAD_LAYERS: float(sum(zeros.all() for zeros in after)),
            BLOCKED: float(np.any([zeros.all(axis=1) for zeros in after], axis=0).mean()),
        }
        return replace(result, figures={**result.figures, **figures})


def hidden_zeros(model: Sequential, x: NDArray[Any]) -> Zeros:
    """Return where the hidden Dense layers, at least one, are zero for examples x (N, ...)."""
    host, _ = model.check_inputs(x, None)
    hidden = [index for index, layer in enumerate(model.chain.layers) if isinstance(layer, Dense)][:-1]
    zeros = []

    def look(index: int, output: Array) -> None:
        if index in hidden:
            zeros.append(model.backend.to_numpy(output) == 0)  # (N, U)

    with np.errstate(all="ignore"):  # as when the model predicts
        model.chain.observed_forward(send(host, model.ops), Context(train=False), look)
    return zeros


def dead_share(zeros: Zeros) -> float:
    """Return the share of units that are zero for all examples."""
    return float(np.concatenate([layer.all(axis=0) for layer in zeros]).mean())  # (N, U) -> (U,), all layers' units
