"""What a stream cannot take is refused, and leaves its states as they were."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support.streams import STEPS, TOKENS, X, recurrent, speaking

import nnx
from nnx.errors import DataError, DtypeError, NotBuiltError, OptionError, ShapeError, UnknownNameError

HELD = np.zeros((3, 5))

BAD_STATES = [
    pytest.param(
        {"1": (HELD,)},
        UnknownNameError,
        "Unknown recurrent layer '1'. Known: '0', '3.0', '4'.",
        id="no recurrent layer",
    ),
    pytest.param({0: (HELD, HELD)}, UnknownNameError, "Unknown recurrent layer 0", id="a number"),
    pytest.param(
        {"0": (HELD,)},
        ShapeError,
        "states['0'] must be a tuple that holds 2 arrays, (3, 5) and (3, 5), got tuple of 1.",
        id="h alone",
    ),
    pytest.param(
        {"3.0": HELD},
        ShapeError,
        "states['3.0'] must be a tuple that holds 1 array, (3, 5), got ndarray.",
        id="an array",
    ),
    pytest.param(
        {"0": (HELD, HELD[:2])}, ShapeError, "states['0'][1] must have shape (3, 5), got (2, 5)", id="rows"
    ),
    pytest.param({"4": (HELD,)}, ShapeError, "states['4'][0] must have shape (3, 3), got (3, 5)", id="units"),
    pytest.param({"0": (HELD, HELD * np.nan)}, DataError, "states['0'][1] holds NaN", id="NaN"),
    pytest.param({"0": (HELD, HELD.astype(str))}, DtypeError, "states['0'][1] must hold real", id="text"),
    pytest.param(
        HELD, OptionError, "states must map paths of layers to tuples of arrays, got ndarray", id="no mapping"
    ),
]


@pytest.mark.parametrize(("states", "error", "says"), BAD_STATES)
def test_states_that_do_not_fit_are_refused_and_none_is_taken(states: Any, error: type, says: str) -> None:
    stream, twin = (recurrent("generic:numpy").stream(3) for _ in range(2))
    for one in (stream, twin):
        one.predict(X)
    with pytest.raises(error) as caught:
        stream.states = states
    assert says in str(caught.value)
    np.testing.assert_array_equal(stream.predict(X), twin.predict(X))


BAD_PIECES = [
    pytest.param(
        X[:2], ShapeError, "x must have shape (3, T, 4) with T of at least 1, the next steps of", id="rows"
    ),
    pytest.param(X[:, :0], ShapeError, "with T of at least 1, the next steps of the stream's 3", id="no steps"),
    pytest.param(X[:, :, :2], ShapeError, "stream's 3 sequences, got (3, 9, 2).", id="features"),
    pytest.param(
        X[:, 0],
        ShapeError,
        "got (3, 4). For one step of each sequence, add the axis of steps: x[:, None].",
        id="no time axis",
    ),
    pytest.param(X[0], ShapeError, "stream's 3 sequences, got (9, 4).", id="no batch axis"),
    pytest.param(X * np.inf, DataError, "x holds NaN or infinity", id="infinity"),
    pytest.param(X.astype(str), DtypeError, "x must hold real numbers", id="text"),
]


@pytest.mark.parametrize(("x", "error", "says"), BAD_PIECES)
def test_pieces_that_do_not_fit_are_refused_and_the_states_stay(x: Any, error: type, says: str) -> None:
    model = recurrent("generic:numpy")
    stream = model.stream(3)
    stream.predict(X[:, :4])
    with pytest.raises(error) as caught:
        stream.predict(x)
    assert says in str(caught.value)
    np.testing.assert_allclose(stream.predict(X[:, 4:]), model.predict(X)[:, 4:], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    ("x", "says", "mended"),
    [
        (X[0], "got (9, 4). For one sequence, add the batch axis: x[None].", X[0][None]),
        (
            X[0, :1],
            "got (1, 4). For one step of each sequence, add the axis of steps: x[:, None].",
            X[0, :1][:, None],
        ),
        (X[0, 0], "got (4,). For one step of one sequence, add both axes: x[None, None].", X[0, 0][None, None]),
    ],
    ids=["one sequence", "one step of one sequence", "features"],
)
def test_pieces_of_one_sequence_without_their_axes_are_refused_with_the_way_to_add_them(
    x: Any, says: str, mended: Any
) -> None:
    stream = recurrent("generic:numpy").stream()
    with pytest.raises(ShapeError) as caught:
        stream.predict(x)
    assert str(caught.value).endswith(says)
    assert stream.predict(mended).shape == (1, mended.shape[1], 3)


def test_one_step_of_tokens_without_its_axis_is_refused_with_the_way_to_add_it() -> None:
    with pytest.raises(ShapeError, match=r"got \(3,\). For one step of each sequence, .*x\[:, None\]"):
        speaking("generic:numpy").stream(3).predict(TOKENS[:, 0])


def test_tokens_outside_the_vocabulary_are_refused_by_a_stream() -> None:
    with pytest.raises(DataError, match="x must hold tokens, whole numbers of 0 to 5"):
        speaking("generic:numpy").stream(3).predict(TOKENS + 6)


@pytest.mark.parametrize(
    ("layers", "says"),
    [
        ([nnx.Bidirectional(nnx.LSTM(2))], "layer 0, Bidirectional("),
        ([nnx.LSTM(2, return_sequences=True), nnx.Flatten()], "layer 1, Flatten(), needs whole sequences"),
        ([nnx.LSTM(2, go_backwards=True)], "layer 0, LSTM("),
        ([nnx.Dense(4), nnx.Residual([nnx.Dense(4), nnx.Conv1D(4, 3, padding="same")])], "layer 1.1, Conv1D("),
    ],
    ids=["both ways", "flatten", "backwards", "inner"],
)
def test_layers_that_need_whole_sequences_are_named(layers: list[nnx.Layer], says: str) -> None:
    model = nnx.Sequential(layers, input_shape=(STEPS, 4), backend="generic:numpy")
    with pytest.raises(OptionError) as caught:
        model.stream()
    assert f"stream needs layers that work step by step, but {says}" in str(caught.value)


def test_models_that_cannot_stream_say_why() -> None:
    with pytest.raises(NotBuiltError, match="The model has no weights yet"):
        nnx.Sequential([nnx.LSTM(2)]).stream()
    flat = nnx.Sequential([nnx.Dense(2)], input_shape=(4,), backend="generic:numpy")
    with pytest.raises(ShapeError, match=r"stream needs sequences, .* but the model takes inputs \(N, 4\)"):
        flat.stream()
    for size in (0, -1, 1.5, None):
        with pytest.raises(OptionError, match="batch_size must be a whole number of at least 1"):
            recurrent("generic:numpy").stream(size)


@pytest.mark.parametrize("method", ["predict_proba", "predict_classes"])
def test_what_a_regression_refuses_leaves_the_states(method: str) -> None:
    model = recurrent("generic:numpy").compile("mean_squared_error")
    stream = model.stream(3)
    with pytest.raises(OptionError, match="exist for classification losses only"):
        getattr(stream, method)(X)
    np.testing.assert_array_equal(stream.predict(X), model.stream(3).predict(X))
