"""Streams: pieces of sequences, one after another, are predicted like whole ones."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from support.streams import STEPS, TOKENS, X, recurrent, speaking

import nnx
from nnx import Backend


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


def test_a_stream_says_what_it_is() -> None:
    assert repr(recurrent("generic:numpy").stream(3)).startswith("<Stream of 3 sequences through <Sequential of 6")


def test_the_layers_of_steps_alone_need_not_work_step_by_step(backend: Backend) -> None:
    inner = [nnx.Reshape((2, 2, 1)), nnx.Conv2D(2, 2), nnx.Flatten()]
    layers = [nnx.TimeDistributed(inner), nnx.GRU(3, return_sequences=True)]
    model = nnx.Sequential(layers, dtype="float64", input_shape=(STEPS, 4), backend=backend)
    stream = model.stream(3)
    pieces = [stream.predict(X[:, :2]), stream.predict(X[:, 2:])]
    np.testing.assert_allclose(np.concatenate(pieces, axis=1), model.predict(X), rtol=1e-12, atol=1e-14)


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
