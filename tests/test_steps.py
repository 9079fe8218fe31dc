"""The axis of steps: layers that keep it take any number of steps, and lengths end with the axis."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from support.problems import weights_of
from support.sequences import CLASSES, FEATURES, LENGTHS, STEPS, padded_inputs, sequence_network, targets

import nnx
from nnx import Backend
from nnx.errors import ShapeError

X = padded_inputs()
COUNT = len(LENGTHS)

Layers = Callable[[], list[nnx.Layer]]

ENDED: dict[str, Layers] = {
    "features": lambda: [nnx.LSTM(4), nnx.Flatten(), nnx.Dense(2)],
    "shaped": lambda: [nnx.GRU(6), nnx.Reshape((3, 2)), nnx.Conv1D(2, 2), nnx.MaxPool1D(2), nnx.Flatten()],
    "both ways": lambda: [
        nnx.Bidirectional(nnx.LSTM(3)),
        nnx.Residual([nnx.Dense(6)]),
        nnx.Reshape((6, 1)),
        nnx.GRU(2),
    ],
    "in a residual": lambda: [
        nnx.Residual([nnx.Bidirectional(nnx.SimpleRNN(3, return_sequences=True), merge="sum")]),
        nnx.SimpleRNN(4),
        nnx.Reshape((4, 1)),
        nnx.Residual([nnx.Conv1D(1, 3, padding="same")]),
        nnx.LSTM(3),
    ],
    "stepwise shapes": lambda: [
        nnx.Reshape((STEPS, 3, 1)),
        nnx.TimeDistributed([nnx.Conv1D(2, 2), nnx.Flatten()]),
        nnx.LSTM(3),
    ],
}


def double(layers: Layers, backend: Backend, steps: int = STEPS) -> nnx.Sequential:
    return nnx.Sequential(layers(), seed=6, dtype="float64", input_shape=(steps, FEATURES), backend=backend)


@pytest.mark.parametrize("name", ENDED)
def test_lengths_end_with_the_axis_of_steps(backend: Backend, name: str) -> None:
    model = double(ENDED[name], backend)
    expected = [model.predict(X[[row], :length]) for row, length in enumerate(LENGTHS)]
    np.testing.assert_allclose(model.predict(X, lengths=LENGTHS), np.concatenate(expected), rtol=1e-12, atol=1e-14)


def test_outputs_with_axes_of_their_own_all_count_whatever_the_lengths(backend: Backend) -> None:
    model = double(lambda: [nnx.LSTM(2 * STEPS), nnx.Reshape((STEPS, 2))], backend).compile("softmax_cross_entropy")
    y = np.arange(COUNT * STEPS).reshape(COUNT, STEPS) % 2
    outputs = model.predict(X, lengths=LENGTHS)
    assert model.evaluate(X, y, lengths=LENGTHS)["accuracy"] == (outputs.argmax(-1) == y).mean()


@pytest.mark.parametrize("steps", [1, 4, STEPS + 3])
def test_a_recurrent_model_takes_any_number_of_steps(backend: Backend, steps: int) -> None:
    x = np.random.default_rng(5).normal(size=(5, steps, FEATURES))
    y, lengths = np.arange(5 * steps).reshape(5, steps) % CLASSES, np.array([1, steps, steps, 1, steps])
    model, other = sequence_network(backend), sequence_network(backend, steps=steps)
    np.testing.assert_array_equal(model.predict(x, lengths=lengths), other.predict(x, lengths=lengths))
    for options in ({}, {"lengths": lengths}):
        assert model.evaluate(x, y, **options) == other.evaluate(x, y, **options)
        held_out = (x, y, *options.values())
        one = model.fit(x, y, batch_size=2, validation_data=held_out, **options)
        two = other.fit(x, y, batch_size=2, validation_data=held_out, **options)
        assert (one["loss"], one["val_accuracy"]) == (two["loss"], two["val_accuracy"])
    np.testing.assert_array_equal(weights_of(model), weights_of(other))


def test_validation_may_have_another_number_of_steps_than_training(backend: Backend) -> None:
    y, model = targets("softmax_cross_entropy"), sequence_network(backend)
    model.compile("softmax_cross_entropy", nnx.SGD(0.0))
    short = LENGTHS <= 3
    held_out = X[short, :3], y[short, :3], LENGTHS[short]
    history = model.fit(X, y, lengths=LENGTHS, validation_data=held_out, batch_size=4)
    expected = model.evaluate(X[short], y[short], lengths=LENGTHS[short])
    assert history["val_loss"][0] == pytest.approx(expected["loss"], rel=1e-12)
    assert history["val_accuracy"][0] == expected["accuracy"]


@pytest.mark.parametrize("name", ["both ways", "in a residual"])
def test_layers_within_layers_take_any_number_of_steps(backend: Backend, name: str) -> None:
    x = np.random.default_rng(5).normal(size=(2, 9, FEATURES))
    np.testing.assert_array_equal(
        double(ENDED[name], backend).predict(x), double(ENDED[name], backend, 9).predict(x)
    )


def test_a_reshape_of_every_step_takes_any_number_of_them(backend: Backend) -> None:
    model = double(ENDED["stepwise shapes"], backend)
    assert model.predict(X[:, :2]).shape == (COUNT, 3)


def test_lengths_are_bounded_by_the_steps_of_the_inputs_not_of_the_model() -> None:
    with pytest.raises(
        nnx.errors.DataError, match="whole numbers of 1 to 2, the steps of the inputs, got 6 in row 0"
    ):
        sequence_network("generic:numpy").predict(X[:, :2], lengths=LENGTHS)


def test_targets_must_have_the_steps_of_the_inputs_not_of_the_model() -> None:
    with pytest.raises(
        ShapeError, match=r"y must be labels \(N, 2\) or distributions \(N, 2, 4\), got shape \(11, 6\)"
    ):
        sequence_network("generic:numpy").evaluate(X[:, :2], targets("softmax_cross_entropy"))


@pytest.mark.parametrize("steps", [2, STEPS + 1])
def test_a_model_of_one_number_of_steps_says_how_to_pad(steps: int) -> None:
    layers: list[nnx.Layer] = [nnx.Embedding(3, 2), nnx.Conv1D(2, 3), nnx.Flatten(), nnx.Dense(2)]
    model = nnx.Sequential(layers, input_shape=(STEPS,), backend="generic:numpy")
    tokens = [[1] * steps] * 2
    with pytest.raises(
        ShapeError, match=r"must have shape \(N, 6\), got .* pad shorter .* nnx.pad_sequences\(..., steps=6\)"
    ):
        model.predict(tokens)
    if steps < STEPS:
        assert model.predict(nnx.pad_sequences(tokens, steps=STEPS)[0]).shape == (2, 2)


REPEATED: dict[str, tuple[list[nnx.Layer], tuple[int, ...], str]] = {
    "recurrent": (
        [nnx.LSTM(4), nnx.LSTM(4)],
        (8, 3),
        "Set return_sequences=True in the recurrent layer before it.",
    ),
    "with others between": ([nnx.GRU(4), nnx.Dense(3), nnx.LSTM(4)], (8, 3), "Set return_sequences=True in the"),
    "both ways": (
        [nnx.Bidirectional(nnx.GRU(4)), nnx.LSTM(4)],
        (8, 3),
        "Set return_sequences=True in the recurrent",
    ),
    "convolution": ([nnx.GRU(4), nnx.Conv1D(3, 2)], (8, 3), "Set return_sequences=True in the recurrent layer"),
    "first": ([nnx.LSTM(4)], (8,), "Put Reshape((8, 1)) before it."),
    "no steps before": ([nnx.Dense(4), nnx.LSTM(4)], (8,), "Put Reshape((4, 1)) before it."),
}


@pytest.mark.parametrize("name", REPEATED)
def test_a_layer_without_its_axis_of_steps_says_where_it_went(name: str) -> None:
    layers, shape, says = REPEATED[name]
    with pytest.raises(ShapeError) as caught:
        nnx.Sequential(layers, input_shape=shape, backend="generic:numpy")
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("loss", "y"),
    [
        ("softmax_cross_entropy", targets("softmax_cross_entropy")),
        ("mean_squared_error", np.zeros((COUNT, STEPS))),
        ("mean_squared_error", targets("mean_squared_error")),
        ("sigmoid_cross_entropy", np.zeros((COUNT, STEPS, CLASSES))),
    ],
)
def test_targets_per_step_for_a_model_of_last_states_are_told_of_return_sequences(loss: str, y: Any) -> None:
    model = sequence_network("generic:numpy", loss, per_step=False)
    says = "one output per example; for a target in each of the 6 steps, set return_sequences=True in its last"
    for method in (model.fit, model.evaluate):
        with pytest.raises(ShapeError, match=says):
            method(X, y)


def test_other_targets_that_do_not_fit_are_told_nothing_of_steps() -> None:
    with pytest.raises(ShapeError) as caught:
        sequence_network("generic:numpy", per_step=False).fit(X, np.zeros((COUNT, 2)))
    assert "return_sequences" not in str(caught.value)
