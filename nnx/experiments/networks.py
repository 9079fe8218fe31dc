"""Fully connected networks from a few options, as experiments and `nnx train` declare them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nnx.layers import Activation, BatchNorm, Dense, Dropout, Flatten, Layer


def dense_layers(
    hidden: Sequence[int], outputs: int, activation: str, init: str, batch_norm: bool = False, dropout: float = 0.0
) -> Iterator[Layer]:
    """Yield the layers of a network on inputs of any shape.

    Args:
        hidden: units of each hidden layer; none for a linear model.
        outputs: units of the last layer.
        activation: of the hidden layers.
        init: of all weights.
        batch_norm: normalise each hidden layer before its activation; it has no bias then.
        dropout: share dropped after each hidden layer.
    """
    yield Flatten()
    for units in hidden:
        if batch_norm:
            yield Dense(units, init=init, bias=False)
            yield BatchNorm()
            yield Activation(activation)
        else:
            yield Dense(units, activation, init=init)
        if dropout:
            yield Dropout(dropout)
    yield Dense(outputs, init=init)
