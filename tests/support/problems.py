"""Small learning problems and networks that use every part of training."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

import nnx
from nnx import Backend

CLASS_WEIGHT = {0: 1.0, 1: 0.5, 2: 2.0}


def classification(rows: int = 30, features: int = 4, classes: int = 3) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return points around one centre per class, and the classes."""
    random = np.random.default_rng(5)
    labels = np.arange(rows) % classes
    centres = random.normal(size=(classes, features)) * 2
    return centres[labels] + random.normal(size=(rows, features)), labels


def regression(rows: int = 30, features: int = 4, outputs: int = 2) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return points and noisy linear functions of them."""
    random = np.random.default_rng(6)
    x = random.normal(size=(rows, features))
    return x, x @ random.normal(size=(features, outputs)) + 0.1 * random.normal(size=(rows, outputs))


def full_network(
    backend: Backend | str, dtype: str = "float64", seed: int = 9, **compile_options: Any
) -> nnx.Sequential:
    """Make a classifier, 4 features to 3 classes, with masks, running state, L2, clipping and a schedule."""
    layers = [
        nnx.Dense(8, activation="relu", bias=False),
        nnx.BatchNorm(),
        nnx.Dropout(0.3),
        nnx.Residual([nnx.Dense(8, activation="tanh", l2=0.02), nnx.LayerNorm()]),
        nnx.Dense(3),
    ]
    model = nnx.Sequential(layers, seed=seed, dtype=dtype, input_shape=(4,), backend=backend)
    rate = nnx.schedules.WarmUp(nnx.schedules.Exponential(0.02, 0.9), 0.5)
    options = {"loss": "softmax_cross_entropy", "optimizer": nnx.Adam(rate, clip_norm=1.0), "l2": 0.01}
    return model.compile(**{**options, **compile_options})


def fit_fully(model: nnx.Sequential, epochs: int = 3, **options: Any) -> nnx.History:
    """Train with a ragged last batch (30 = 3 * 8 + 6), weights and all."""
    x, y = classification()
    weight = np.linspace(0.5, 1.5, 30)
    options = {"batch_size": 8, "sample_weight": weight, "class_weight": CLASS_WEIGHT, **options}
    return model.fit(x, y, epochs=epochs, **options)


def measured(history: nnx.History) -> dict[str, list[float]]:
    """Return the history without the times, which are never the same twice."""
    return {name: values for name, values in history.items() if name != "seconds"}


def linear_network(
    backend: Backend | str, outputs: int = 1, dtype: str = "float64", **options: Any
) -> nnx.Sequential:
    """Make an unbuilt, uncompiled linear model."""
    return nnx.Sequential([nnx.Dense(outputs)], dtype=dtype, backend=backend, **options)


def weights_of(model: nnx.Sequential) -> NDArray[Any]:
    """Return everything that training changes, as one vector."""
    return np.concatenate([model.backend.to_numpy(array).ravel().astype(float) for array in model.state_arrays()])


def assert_same_bits(one: nnx.Sequential, other: nnx.Sequential) -> None:
    """Assert that two models agree in every bit of everything that training changes."""
    assert one.epoch == other.epoch
    for mine, theirs in zip(one.state_arrays(), other.state_arrays(), strict=True):
        a, b = one.backend.to_numpy(mine), other.backend.to_numpy(theirs)
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)
