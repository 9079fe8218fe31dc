"""Lengths that a model cannot take: refused before anything is trained."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support.problems import weights_of
from support.sequences import FEATURES, LENGTHS, STEPS, padded_inputs, sequence_network, targets

import nnx
from nnx import Backend
from nnx.errors import DataError, DtypeError, NnxError, OptionError, ShapeError

X, Y = padded_inputs(), targets("softmax_cross_entropy")
COUNT = len(LENGTHS)
ZERO = np.where(LENGTHS == 5, 0, LENGTHS)

BAD_LENGTHS = [
    pytest.param(ZERO, DataError, "got 0 in row 3. A sequence without steps", id="zero"),
    pytest.param(LENGTHS + 1, DataError, "of 1 to 6, the steps of the inputs, got 7 in row 0.", id="T+1"),
    pytest.param(-LENGTHS, DataError, "whole numbers of 1 to 6, the steps of the inputs, got -6", id="negative"),
    pytest.param(LENGTHS - 0.5, DataError, "got 5.5 in row 0.", id="halves"),
    pytest.param(LENGTHS * np.nan, DataError, "got nan in row 0.", id="NaN"),
    pytest.param(LENGTHS[:4], ShapeError, "lengths must have shape (11,), one per sequence, got (4,).", id="short"),
    pytest.param(LENGTHS[:, None], ShapeError, "one per sequence, got (11, 1).", id="a column"),
    pytest.param(6, ShapeError, "one per sequence, got ().", id="a number"),
    pytest.param(["6"] * COUNT, DtypeError, "lengths must hold real numbers", id="text"),
]


@pytest.mark.parametrize(("lengths", "error", "says"), BAD_LENGTHS)
@pytest.mark.parametrize("method", ["fit", "evaluate", "predict", "predict_proba", "predict_classes"])
def test_lengths_out_of_range_are_refused_by_every_method(
    method: str, lengths: Any, error: type, says: str
) -> None:
    model = sequence_network("generic:numpy")
    before = weights_of(model)
    arguments = (X,) if method.startswith("predict") else (X, Y)
    with pytest.raises(error) as caught:
        getattr(model, method)(*arguments, lengths=lengths)
    assert says in str(caught.value)
    np.testing.assert_array_equal(weights_of(model), before)


def test_lengths_for_validation_are_called_by_their_place() -> None:
    with pytest.raises(DataError, match=r"validation_data\[2\] must be whole numbers of 1 to 6"):
        sequence_network("generic:numpy").fit(X, Y, validation_data=(X, Y, LENGTHS + 1))


@pytest.mark.parametrize(
    ("layers", "shape", "says"),
    [
        ([nnx.Dense(2)], (6,), r"lengths needs sequences, .* but the model takes inputs \(N, 6\)"),
        ([nnx.Activation("tanh")], (), r"lengths needs sequences, .* but the model takes inputs \(N,\)"),
        (
            [nnx.Reshape((2, 9)), nnx.Dense(2)],
            (6, 3),
            r"lengths count the 6 steps of the inputs, but the model's outputs \(N, 2, 2\) have 2",
        ),
    ],
    ids=["features", "single numbers", "other steps"],
)
def test_lengths_of_models_without_those_steps_are_refused(
    layers: list[nnx.Layer], shape: tuple[int, ...], says: str
) -> None:
    fresh = [type(layer)(**layer.config()) for layer in layers]
    model = nnx.Sequential(fresh, input_shape=shape, backend="generic:numpy").compile("mean_squared_error")
    with pytest.raises(NnxError, match=says):
        model.evaluate(np.zeros((2, *shape)), np.zeros((2, 2)), lengths=[1, 1])


def test_a_layer_that_takes_no_lengths_says_so_before_anything_is_trained(backend: Backend) -> None:
    layers = [nnx.Conv1D(2, 3, padding="same"), nnx.LSTM(3)]
    model = nnx.Sequential(layers, input_shape=(STEPS, FEATURES), backend=backend).compile("mean_squared_error")
    before = weights_of(model)
    with pytest.raises(OptionError, match="takes no lengths"):
        model.fit(X, np.zeros((COUNT, 3)), lengths=LENGTHS)
    np.testing.assert_array_equal(weights_of(model), before)
