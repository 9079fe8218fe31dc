"""Checks of a whole training run: replayed equals eager, and the backend follows the reference."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from nnx.conformance.report import Check, NonconformanceError
from nnx.conformance.tolerance import Values
from nnx.interface import Backend
from nnx.layers import BatchNorm, Dense, Dropout
from nnx.model import Sequential
from nnx.optimizers import Adam

TRAJECTORY = {"float32": 1e-4, "float64": 2e-13}
"""Largest difference after a run, relative to the largest value of each array.

Engines round differently in every step and training feeds it back: a step can multiply a difference by
1 + lr |curvature|, and Adam turns a gradient near zero, whose sign rounding decides, into a step of size lr.
Over the 40 steps here NumPy, BLAS and torch kernels were up to 80 eps apart; about ten times that is allowed.
A wrong mask, batch, statistic, bias correction or penalty shows at 1e-2 and more.
"""

_EPOCHS, _BATCH_SIZE, _CLASSES = 5, 16, 3


def training_checks() -> Iterator[Check]:
    """Yield the checks of training."""
    for dtype in TRAJECTORY:
        yield Check(
            f"training {dtype}: replayed equals eager, bit for bit", "training", partial(_check_replay, dtype)
        )
        yield Check(f"training {dtype}: follows the reference", "training", partial(_check_trajectory, dtype))


class _Outcome:
    """What a run leaves: losses, weights, predictions."""

    def __init__(self, backend: Backend, dtype: str, *, eager: bool) -> None:
        """Train a small network with everything in it that depends on a step: masks, statistics, moments."""
        layers = [Dense(24, activation="tanh"), BatchNorm(), Dropout(0.3), Dense(_CLASSES)]
        model = Sequential(layers, seed=7, dtype=dtype, backend=backend)
        model.compile(loss="softmax_cross_entropy", optimizer=Adam(0.01), l2=0.01)
        x, labels = _examples()
        with np.errstate(all="ignore"):
            history = model.fit(x, labels, epochs=_EPOCHS, batch_size=_BATCH_SIZE, eager=eager, progress=False)
            self.arrays = {**model.get_weights(), "predictions": model.predict(x)}
        self.arrays["losses"] = np.asarray(history["loss"])


def _examples() -> tuple[Values, Values]:
    """Three overlapping clouds of points; 117 of them, so that the last batch has 5."""
    rng = np.random.Generator(np.random.PCG64(31))
    labels = np.arange(117) % _CLASSES
    return rng.standard_normal((117, 10)) + labels[:, None], labels


def _check_replay(dtype: str, backend: Backend) -> None:
    replayed, eager = (_Outcome(backend, dtype, eager=eager) for eager in (False, True))
    for name, values in eager.arrays.items():
        if not np.array_equal(replayed.arrays[name], values):
            worst = np.max(np.abs(replayed.arrays[name] - values))
            raise NonconformanceError(f"training {dtype}: replayed and eager differ in {name} by up to {worst:.1e}")


def _check_trajectory(dtype: str, backend: Backend) -> None:
    """Compare with the same run on NumPy arrays by the reference's kernels."""
    got = _Outcome(backend, dtype, eager=False)
    reference = _Outcome(Backend.from_namespace(np), dtype, eager=False)
    for name, expected in reference.arrays.items():
        largest = max(float(np.max(np.abs(expected))), 1e-3)
        difference = float(np.max(np.abs(got.arrays[name] - expected))) / largest
        if not difference <= TRAJECTORY[dtype]:
            raise NonconformanceError(
                f"training {dtype}: after {_EPOCHS} epochs {name} differs from the reference by {difference:.1e} "
                f"of its largest value, tolerated are {TRAJECTORY[dtype]:.0e}"
            )
