"""Lengths that a model cannot take: refused before anything is trained."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from support.problems import weights_of
from support.sequences import LENGTHS, padded_inputs, sequence_network, targets

import nnx
from nnx.errors import DataError, DtypeError, NnxError, OptionError, ShapeError
from nnx.interface import Array
from nnx.layers import Backward

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
    pytest.param(
        LENGTHS > 2, DtypeError, "lengths must be whole numbers, got booleans; of a mask (N, T)", id="bools"
    ),
    pytest.param(np.arange(6) < LENGTHS[:, None], DtypeError, "give lengths.sum(axis=1).", id="a mask"),
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
    ],
    ids=["features", "single numbers"],
)
def test_lengths_of_models_without_those_steps_are_refused(
    layers: list[nnx.Layer], shape: tuple[int, ...], says: str
) -> None:
    fresh = [type(layer)(**layer.config()) for layer in layers]
    model = nnx.Sequential(fresh, input_shape=shape, backend="generic:numpy").compile("mean_squared_error")
    with pytest.raises(NnxError, match=says):
        model.evaluate(np.zeros((2, *shape)), np.zeros((2, 2)), lengths=[1, 1])


Layers = Callable[[], list[nnx.Layer]]

MIXING: dict[str, tuple[Layers, tuple[int, ...], str]] = {
    "convolution": (
        lambda: [nnx.Conv1D(2, 3, padding="same"), nnx.LSTM(3)],
        (6, 3),
        "layer 0, Conv1D(2, 3, padding",
    ),
    "pooling": (lambda: [nnx.MaxPool1D(2), nnx.LSTM(3)], (6, 3), "layer 0, MaxPool1D()"),
    "mean": (lambda: [nnx.LSTM(3, return_sequences=True), nnx.GlobalAveragePool1D()], (6, 3), "layer 1, GlobalAv"),
    "flatten": (lambda: [nnx.LSTM(3, return_sequences=True), nnx.Flatten()], (6, 3), "layer 1, Flatten()"),
    "reshape": (lambda: [nnx.Reshape((2, 9)), nnx.Dense(2)], (6, 3), "layer 0, Reshape((2, 9))"),
    "dropped axis": (lambda: [nnx.Reshape((6,)), nnx.Dense(2)], (6, 1), "layer 0, Reshape((6,))"),
    "images": (lambda: [nnx.Conv2D(2, 3, padding="same"), nnx.Flatten()], (6, 5, 1), "layer 0, Conv2D(2, 3"),
    "image pooling": (lambda: [nnx.AveragePool2D(2)], (6, 5, 1), "layer 0, AveragePool2D()"),
    "inner": (lambda: [nnx.Dense(3), nnx.Residual([nnx.Conv1D(3, 1)])], (6, 3), "layer 1.0, Conv1D(3, 1)"),
}


@pytest.mark.parametrize("name", MIXING)
def test_a_layer_that_would_take_padding_for_steps_is_named_before_anything_is_trained(name: str) -> None:
    layers, shape, says = MIXING[name]
    model = nnx.Sequential(layers(), input_shape=shape, backend="generic:numpy").compile("mean_squared_error")
    x, y, before = np.zeros((2, *shape)), np.zeros((2, *model.output_shape)), weights_of(model)
    for call in (
        lambda: model.fit(x, y, lengths=[1, 2]),
        lambda: model.fit(x, y, validation_data=(x, y, [1, 2])),
        lambda: model.evaluate(x, y, lengths=[1, 2]),
        lambda: model.predict(x, lengths=[1, 2]),
    ):
        with pytest.raises(
            OptionError, match=f"cannot be given to a model with {re.escape(says)}.* would take pad"
        ):
            call()
    np.testing.assert_array_equal(weights_of(model), before)


def test_a_layer_of_ones_own_takes_lengths_only_if_it_says_so() -> None:
    class Running(nnx.Layer):
        def forward(self, x: Array, context: nnx.Context) -> tuple[Array, Backward]:
            del context
            return x, lambda dy: dy

    x = np.zeros((2, 4, 3))
    with pytest.raises(OptionError, match=r"layer 0, Running\(\), which would take padding"):
        nnx.Sequential([Running()], input_shape=(4, 3)).predict(x, lengths=[4, 1])
    stepwise = type("Stepwise", (Running,), {"steps": "kept"})
    assert nnx.Sequential([stepwise()], input_shape=(4, 3)).predict(x, lengths=[4, 1]).shape == x.shape
    shortening = type("Shortening", (stepwise,), {"setup": lambda *_: (2, 3)})
    with pytest.raises(ShapeError, match=r"Shortening\(\) should keep the steps of \(4, 3\), but gives \(2, 3\)"):
        nnx.Sequential([shortening()], input_shape=(4, 3))


@pytest.mark.parametrize("given", [True, False], ids=["to fit alone", "for validation alone"])
def test_lengths_are_given_to_fit_and_for_validation_or_for_neither(given: bool) -> None:
    model = sequence_network("generic:numpy")
    before = weights_of(model)
    validation, says = (
        ((X, Y), "its third item, validation_data") if given else ((X, Y, LENGTHS), "but fit is given")
    )
    with pytest.raises(OptionError, match=says):
        model.fit(X, Y, lengths=LENGTHS if given else None, validation_data=validation)
    np.testing.assert_array_equal(weights_of(model), before)
