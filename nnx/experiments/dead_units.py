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


@dataclass(frozen=True)
class WatchedTraining(Training):
    """Training that also measures which share of the hidden units is zero for every training example.

    A unit of ReLU that is zero for every example gets no gradient from any, and so stays as it is. Once all units
    of a layer are, nothing that goes in shows in what comes out, and only the biases behind that layer learn.

    `Result.figures` holds that share before and after training, in [0, 1], and the number of hidden layers that
    have no other units after it.
    """

    def measure(self, model: Sequential, data: Dataset) -> Result:
        """See `Training.measure`."""
        x, _ = data.train
        before = dead_units(model, x)
        result = super().measure(model, data)
        after = dead_units(model, x)
        figures = {
            DEAD_BEFORE: float(np.concatenate(before).mean()),
            DEAD_AFTER: float(np.concatenate(after).mean()),
            DEAD_LAYERS: float(sum(layer.all() for layer in after)),
        }
        return replace(result, figures={**result.figures, **figures})


def dead_units(model: Sequential, x: NDArray[Any]) -> list[NDArray[np.bool_]]:
    """Return, for each hidden Dense layer, which of its units (U,) are zero for all examples x (N, ...)."""
    host, _ = model.check_inputs(x, None)
    hidden = [index for index, layer in enumerate(model.chain.layers) if isinstance(layer, Dense)][:-1]
    dead = []

    def look(index: int, output: Array) -> None:
        if index in hidden:
            dead.append((model.backend.to_numpy(output) == 0).all(axis=0))  # (N, U) -> (U,)

    model.chain.observed_forward(send(host, model.ops), Context(train=False), look)
    return dead
