"""Which hidden units are zero: of ReLU, those that learn nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnx.inputs import send
from nnx.interface import Array
from nnx.layers import Context, Dense, Observer
from nnx.model import Sequential

Zeros = list[NDArray[np.bool_]]
"""For each hidden layer, which of its U units are zero for which of N examples, (N, U)."""


class _Look(Observer):
    """Notes where the outputs of some layers are zero."""

    def __init__(self, model: Sequential, layers: list[int]) -> None:
        self._model, self._layers = model, layers
        self.zeros: Zeros = []

    def forward(self, index: int, output: Array) -> None:
        if index in self._layers:
            self.zeros.append(self._model.backend.to_numpy(output) == 0)  # (N, U)


def hidden_zeros(model: Sequential, x: NDArray[Any]) -> Zeros:
    """Return where the hidden Dense layers, at least one, are zero for examples x (N, ...)."""
    host, _ = model.check_inputs(x, None)
    hidden = [index for index, layer in enumerate(model.chain.layers) if isinstance(layer, Dense)][:-1]
    look = _Look(model, hidden)
    with np.errstate(all="ignore"):  # as when the model predicts
        model.chain.observed_forward(send(host, model.ops), Context(train=False), look)
    return look.zeros


def dead_share(zeros: Zeros) -> float:
    """Return the share of units that are zero for all examples."""
    return float(np.concatenate([layer.all(axis=0) for layer in zeros]).mean())  # (N, U) -> (U,), all layers' units


def blocked_share(zeros: Zeros) -> float:
    """Return the share of examples for which all units of some layer are zero."""
    return float(np.any([layer.all(axis=1) for layer in zeros], axis=0).mean())  # (N, U) -> (N,), any layer
