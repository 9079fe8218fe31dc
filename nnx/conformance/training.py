"""Checks of a whole training run: replayed equals eager, and the backend follows the reference."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np

from nnx.conformance.report import Check, NonconformanceError
from nnx.conformance.tolerance import Values
from nnx.interface import Backend
from nnx.layers import (
    GRU,
    LSTM,
    AveragePool2D,
    BatchNorm,
    Bidirectional,
    Conv2D,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    Layer,
    MaxPool2D,
    SimpleRNN,
    SpatialDropout,
)
from nnx.model import Sequential
from nnx.optimizers import Adam

TRAJECTORY = {"float32": 1e-4, "float64": 2e-13}
"""Largest difference after a run, relative to the largest value of each array.

Engines round differently in every step and training feeds it back: a step can multiply a difference by
1 + lr |curvature|, and Adam turns a gradient near zero, whose sign rounding decides, into a step of size lr.
Over the 40 steps here NumPy, BLAS and torch kernels were up to 80 eps apart; about ten times that is allowed.
A wrong mask, batch, statistic, bias correction or penalty shows at 1e-2 and more.
"""

_EPOCHS, _BATCH_SIZE, _COUNT, _CLASSES = 5, 16, 117, 3
_VOCABULARY, _STEPS = 11, 6


class Examples(NamedTuple):
    """What a network learns: inputs, labels, and how many steps of each sequence are real; None for all."""

    x: Values
    labels: Values
    lengths: Values | None = None


class Network(NamedTuple):
    """A small network, made anew for every run, and its examples: 117, so that the last batch has 5."""

    examples: Callable[[], Examples]
    layers: Callable[[], list[Layer]]


def _dense() -> list[Layer]:
    """Everything that depends on a step: masks, statistics, moments."""
    return [Dense(24, activation="tanh"), BatchNorm(), Dropout(0.3), Dense(_CLASSES)]


def _convolutional() -> list[Layer]:
    """Windows that overlap, leave out and pad; a convolution in groups; masks and statistics of channels."""
    return [
        Conv2D(6, 3, padding="same", activation="tanh"),
        MaxPool2D(3, strides=2, padding="same"),
        BatchNorm(),
        SpatialDropout(0.2),
        Conv2D(8, (2, 3), strides=(1, 2), dilation_rate=(2, 1), padding="same", groups=2, activation="softplus"),
        AveragePool2D(2),
        Flatten(),
        Dense(_CLASSES),
    ]


def _recurrent() -> list[Layer]:
    """Every kind of recurrence, both ways through time, with all steps of one and the last state of another."""
    return [
        Bidirectional(LSTM(6, return_sequences=True)),
        Dropout(0.2),
        GRU(7, return_sequences=True, go_backwards=True),
        SimpleRNN(5),
        Dense(_CLASSES),
    ]


def _reading() -> list[Layer]:
    """A table of tokens, states that stop at the end of each sequence, and outputs of every step."""
    return [
        Embedding(_VOCABULARY, 5),
        Bidirectional(LSTM(6, return_sequences=True)),
        Dense(_CLASSES),
    ]


def _clouds(*shape: int) -> Examples:
    """Three overlapping clouds of points."""
    labels = np.arange(_COUNT) % _CLASSES
    return Examples(_random().standard_normal((_COUNT, *shape)) + labels.reshape(-1, *(1 for _ in shape)), labels)


def _texts() -> Examples:
    """Sequences of tokens of unequal lengths; the label of a step is the remainder of it and the one before."""
    random = _random()
    tokens = random.integers(0, _VOCABULARY - 1, (_COUNT, _STEPS))  # the last one is never used
    lengths = random.integers(1, _STEPS + 1, _COUNT)
    return Examples(tokens, (tokens + np.roll(tokens, 1, axis=1)) % _CLASSES, lengths)


def _random() -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(31))


NETWORKS = {
    "a dense network": Network(partial(_clouds, 10), _dense),
    "a convolutional network": Network(partial(_clouds, 7, 6, 2), _convolutional),
    "a recurrent network": Network(partial(_clouds, 6, 4), _recurrent),
    "a network of tokens with lengths": Network(_texts, _reading),
}


def training_checks() -> Iterator[Check]:
    """Yield the checks of training."""
    for shown, network in NETWORKS.items():
        for dtype in TRAJECTORY:
            what = f"training {dtype}, {shown}"
            replay, trajectory = (
                partial(check, what, network, dtype) for check in (_check_replay, _check_trajectory)
            )
            yield Check(f"{what}: replayed equals eager, bit for bit", "training", replay)
            yield Check(f"{what}: follows the reference", "training", trajectory)


class _Outcome:
    """What a run leaves: losses, weights, predictions."""

    def __init__(self, backend: Backend, network: Network, dtype: str, *, eager: bool) -> None:
        """Train the network from the same weights as ever."""
        model = Sequential(network.layers(), seed=7, dtype=dtype, backend=backend)
        model.compile(loss="softmax_cross_entropy", optimizer=Adam(0.01), l2=0.01)
        x, labels, lengths = network.examples()
        train = partial(model.fit, epochs=_EPOCHS, batch_size=_BATCH_SIZE, eager=eager, progress=False)
        with np.errstate(all="ignore"):
            history = train(x, labels, lengths=lengths)
            self.arrays = {**model.get_weights(), "predictions": model.predict(x, lengths=lengths)}
        self.arrays["losses"] = np.asarray(history["loss"])


def _check_replay(what: str, network: Network, dtype: str, backend: Backend) -> None:
    replayed, eager = (_Outcome(backend, network, dtype, eager=eager) for eager in (False, True))
    for name, values in eager.arrays.items():
        if not np.array_equal(replayed.arrays[name], values):
            worst = np.max(np.abs(replayed.arrays[name] - values))
            raise NonconformanceError(f"{what}: replayed and eager differ in {name} by up to {worst:.1e}")


def _check_trajectory(what: str, network: Network, dtype: str, backend: Backend) -> None:
    """Compare with the same run on NumPy arrays by the reference's kernels."""
    got = _Outcome(backend, network, dtype, eager=False)
    reference = _Outcome(Backend.from_namespace(np), network, dtype, eager=False)
    for name, expected in reference.arrays.items():
        largest = max(float(np.max(np.abs(expected))), 1e-3)
        difference = float(np.max(np.abs(got.arrays[name] - expected))) / largest
        if not difference <= TRAJECTORY[dtype]:
            raise NonconformanceError(
                f"{what}: after {_EPOCHS} epochs {name} differs from the reference by {difference:.1e} "
                f"of its largest value, tolerated are {TRAJECTORY[dtype]:.0e}"
            )
