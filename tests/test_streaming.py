"""Streams: pieces of sequences, one after another, are predicted like whole ones."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import nnx
from nnx import Backend
from nnx.errors import DataError, DtypeError, NotBuiltError, OptionError, ShapeError, UnknownNameError

STEPS = 9
X = np.random.default_rng(2).normal(size=(3, STEPS, 4))
TOKENS = np.random.default_rng(2).integers(0, 6, (3, STEPS))


def recurrent(backend: Backend | str, *, return_sequences: bool = True) -> nnx.Sequential:
    layers = [
        nnx.LSTM(5, return_sequences=True),
        nnx.Dropout(0.5),
        nnx.LayerNorm(),
        nnx.Residual([nnx.SimpleRNN(5, return_sequences=True)]),
        nnx.GRU(3, return_sequences=return_sequences),
        nnx.Dense(3),
    ]
    model = nnx.Sequential(layers, seed=4, dtype="float64", input_shape=(STEPS, 4), backend=backend)
    return model.compile("softmax_cross_entropy", nnx.SGD(0.1))


def speaking(backend: Backend | str) -> nnx.Sequential:
    layers = [nnx.Embedding(6, 4), nnx.LSTM(5, return_sequences=True), nnx.Dense(6)]
    model = nnx.Sequential(layers, seed=4, dtype="float64", input_shape=(STEPS,), backend=backend)
    return model.compile("softmax_cross_entropy")


@pytest.mark.parametrize("cuts", [[], [1], [4], [1, 2, 3, 4, 5, 6, 7, 8], [2, 7]])
@pytest.mark.parametrize("make", ["recurrent", "speaking"])
def test_pieces_give_what_the_whole_gives(backend: Backend, make: str, cuts: list[int]) -> None:
    model, x = (recurrent(backend), X) if make == "recurrent" else (speaking(backend), TOKENS)
    for method in ("predict", "predict_proba", "predict_classes"):
        stream = model.stream(3)
        pieces = [getattr(stream, method)(piece) for piece in np.split(x, cuts, axis=1)]
        np.testing.assert_allclose(
            np.concatenate(pieces, axis=1), getattr(model, method)(x), rtol=1e-12, atol=1e-14
        )


def test_a_model_with_one_output_gives_it_after_every_piece(backend: Backend) -> None:
    model = recurrent(backend, return_sequences=False)
    stream = model.stream(3)
    first = stream.predict(X[:, :4])
    assert first.shape == (3, 3)
    np.testing.assert_allclose(stream.predict(X[:, 4:]), model.predict(X), rtol=1e-12, atol=1e-14)


def test_a_stream_goes_on_beyond_the_steps_the_model_was_built_for(backend: Backend) -> None:
    model, longer = recurrent(backend), np.concatenate([X, X[:, ::-1]], axis=1)
    stream, twin = model.stream(3), model.stream(3)
    whole = stream.predict(longer)
    pieces = [twin.predict(longer[:, start : start + 5]) for start in range(0, 2 * STEPS, 5)]
    np.testing.assert_allclose(np.concatenate(pieces, axis=1), whole, rtol=1e-12, atol=1e-14)


def test_after_a_reset_a_stream_begins_anew(backend: Backend) -> None:
    stream = recurrent(backend).stream(3)
    first = stream.predict(X)
    assert not np.array_equal(stream.predict(X), first)
    stream.reset()
    np.testing.assert_array_equal(stream.predict(X), first)


def test_streams_and_other_users_of_a_model_do_not_disturb_each_other(backend: Backend) -> None:
    model = recurrent(backend)
    expected, (one, other) = model.predict(X), (model.stream(3) for _ in range(2))
    for start in range(0, STEPS, 3):
        piece = slice(start, start + 3)
        np.testing.assert_allclose(one.predict(X[:, piece]), expected[:, piece], rtol=1e-12, atol=1e-14)
        other.predict(-X[:, piece])
        np.testing.assert_array_equal(model.predict(X), expected)
        model.stream(3).predict(X)


def test_streams_in_threads_at_once_give_what_each_would_alone(backend: Backend) -> None:
    model = recurrent(backend)

    def speak(factor: float) -> Any:
        stream = model.stream(3)
        return np.concatenate([stream.predict(factor * X[:, [step]]) for step in range(STEPS)], axis=1)

    factors = [1.0, -1.0, 0.5, 2.0]
    expected = [speak(factor) for factor in factors]
    with ThreadPoolExecutor(4) as pool:
        for found, wanted in zip(pool.map(speak, factors * 4), expected * 4, strict=True):
            np.testing.assert_array_equal(found, wanted)


def test_states_are_copies_by_path_inner_layers_too_and_zero_at_first(backend: Backend) -> None:
    stream = recurrent(backend).stream(3)
    states = stream.states
    assert {path: [state.shape for state in item] for path, item in states.items()} == {
        "0": [(3, 5), (3, 5)],
        "3.0": [(3, 5)],
        "4": [(3, 3)],
    }
    assert not any(state.any() for item in states.values() for state in item)
    states["0"][0][...] = 5
    expected = recurrent(backend).stream(3).predict(X)
    np.testing.assert_array_equal(stream.predict(X), expected)


def test_states_that_are_set_go_on_from_where_they_were_taken(backend: Backend) -> None:
    model = recurrent(backend)
    one, other = model.stream(3), model.stream(3)
    one.predict(X[:, :4])
    kept = one.states
    expected = one.predict(X[:, 4:])
    other.states = {path: [state.tolist() for state in item] for path, item in kept.items()}
    kept["0"][0][...] = 5
    np.testing.assert_array_equal(other.predict(X[:, 4:]), expected)


def test_states_not_named_stay(backend: Backend) -> None:
    stream = recurrent(backend).stream(3)
    stream.predict(X)
    before = stream.states
    stream.states = {"4": (np.ones((3, 3)),)}
    after = stream.states
    np.testing.assert_array_equal(after["4"][0], np.ones((3, 3)))
    np.testing.assert_array_equal(after["0"][1], before["0"][1])


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


def test_a_stream_says_what_it_is() -> None:
    assert repr(recurrent("generic:numpy").stream(3)).startswith("<Stream of 3 sequences through <Sequential of 6")


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


def test_the_layers_of_steps_alone_need_not_work_step_by_step(backend: Backend) -> None:
    inner = [nnx.Reshape((2, 2, 1)), nnx.Conv2D(2, 2), nnx.Flatten()]
    layers = [nnx.TimeDistributed(inner), nnx.GRU(3, return_sequences=True)]
    model = nnx.Sequential(layers, dtype="float64", input_shape=(STEPS, 4), backend=backend)
    stream = model.stream(3)
    pieces = [stream.predict(X[:, :2]), stream.predict(X[:, 2:])]
    np.testing.assert_allclose(np.concatenate(pieces, axis=1), model.predict(X), rtol=1e-12, atol=1e-14)


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


def test_a_stream_follows_its_model_to_another_backend_and_to_new_weights(backend: Backend) -> None:
    model, stayed = recurrent(backend), recurrent("generic:numpy")
    streams = [model.stream(3), stayed.stream(3)]
    for stream in streams:
        stream.predict(X[:, :4])
    model.to("generic:numpy").to(backend).to("generic:numpy")
    np.testing.assert_allclose(streams[0].states["0"][0], streams[1].states["0"][0], rtol=1e-12, atol=1e-15)
    expected = streams[1].predict(X[:, 4:6])
    np.testing.assert_allclose(streams[0].predict(X[:, 4:6]), expected, rtol=1e-12, atol=1e-14)
    for one in (model, stayed):
        one.set_weights({"5.bias": [1.0, 2.0, 3.0]})
    expected = streams[1].predict(X[:, 6:])
    np.testing.assert_allclose(streams[0].predict(X[:, 6:]), expected, rtol=1e-12, atol=1e-14)
