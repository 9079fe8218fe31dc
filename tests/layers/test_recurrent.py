"""SimpleRNN, LSTM and GRU: gradients through time, states, padding, streams, and what they refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support.gradients import check_gradients, mount

from nnx import GRU, LSTM, Backend, Context, Dense, Dropout, Layer, Sequential, SimpleRNN
from nnx.errors import OptionError, ShapeError, UnknownNameError
from nnx.interface import FUSED
from nnx.layers import Chain

KINDS = [SimpleRNN, LSTM, GRU]
STEPS, FEATURES, UNITS, ROWS = 5, 3, 4, 4
SHAPE = (STEPS, FEATURES)
LENGTHS = [5, 2, 0, 3]


def sequences(*shape: int) -> np.ndarray:
    return np.random.default_rng(8).normal(size=shape or (ROWS, *SHAPE))


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["whole", "padded"])
@pytest.mark.parametrize("go_backwards", [False, True])
@pytest.mark.parametrize("output", [{}, {"return_sequences": True}, {"return_state": True}], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_gradients_through_time_are_the_slopes(
    backend: Backend, kind: Any, output: dict[str, bool], go_backwards: bool, lengths: list[int] | None
) -> None:
    check_gradients(kind(UNITS, go_backwards=go_backwards, **output), SHAPE, backend, ROWS, lengths)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_without_bias_of_one_sequence_of_one_step(backend: Backend, kind: Any) -> None:
    check_gradients(kind(UNITS, bias=False), (1, FEATURES), backend, rows=1)


@pytest.mark.parametrize("activation", FUSED)
def test_gradients_follow_every_activation_of_a_simple_network(backend: Backend, activation: str) -> None:
    check_gradients(SimpleRNN(2, activation, init=0.1), (3, 2), backend, ROWS, [3, 1, 2, 0])


def test_gradients_run_through_stacked_layers_with_dropout_between(backend: Backend) -> None:
    layers = [GRU(3, return_sequences=True), Dropout(0.3), LSTM(3, return_sequences=True), Dense(2), SimpleRNN(2)]
    check_gradients(Chain(layers), SHAPE, backend, ROWS, LENGTHS)


def outputs(kind: Any, backend: Backend, lengths: list[int] | None = None, **options: Any) -> np.ndarray:
    return mount(kind(UNITS, **options), SHAPE, backend).run(sequences(), lengths=lengths)[0]


@pytest.mark.parametrize("kind", KINDS)
def test_the_last_state_is_the_last_real_step_of_the_sequences(backend: Backend, kind: Any) -> None:
    every, last = (outputs(kind, backend, LENGTHS, return_sequences=each) for each in (True, False))
    for row, length in enumerate(LENGTHS):
        np.testing.assert_array_equal(last[row], every[row, length - 1] if length else 0)
        np.testing.assert_array_equal(every[row, length:], 0)


@pytest.mark.parametrize("kind", KINDS)
def test_backwards_the_last_state_is_that_after_the_first_step(backend: Backend, kind: Any) -> None:
    options = {"go_backwards": True}
    every, last = (outputs(kind, backend, LENGTHS, return_sequences=each, **options) for each in (True, False))
    np.testing.assert_array_equal(every[:, 0], last)


@pytest.mark.parametrize("kind", KINDS)
def test_backwards_is_forwards_on_the_sequence_turned_round(backend: Backend, kind: Any) -> None:
    x = sequences()
    one = mount(kind(UNITS, go_backwards=True, return_sequences=True), SHAPE, backend).run(x)[0]
    two = mount(kind(UNITS, return_sequences=True), SHAPE, backend).run(x[:, ::-1])[0]
    np.testing.assert_allclose(one, two[:, ::-1], rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("go_backwards", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_what_stands_in_padding_changes_nothing(backend: Backend, kind: Any, go_backwards: bool) -> None:
    bench = mount(kind(UNITS, go_backwards=go_backwards, return_sequences=True), SHAPE, backend)
    x, dy = sequences(), np.ones((ROWS, STEPS, UNITS))
    y, dx = bench.run(x, dy, lengths=LENGTHS)
    gradient = bench.gradient("weight")
    for row, length in enumerate(LENGTHS):
        x[row, length:] = 1e3
        np.testing.assert_array_equal(dx[row, length:], 0)
    again, _ = bench.run(x, dy, lengths=LENGTHS)
    np.testing.assert_array_equal(again, y)
    np.testing.assert_array_equal(bench.gradient("weight"), gradient)


@pytest.mark.parametrize("kind", KINDS)
def test_lengths_of_all_steps_are_no_lengths(backend: Backend, kind: Any) -> None:
    np.testing.assert_array_equal(outputs(kind, backend, [STEPS] * ROWS), outputs(kind, backend))


def test_return_state_of_an_lstm_gives_h_beside_c(backend: Backend) -> None:
    bench = mount(LSTM(UNITS, return_state=True), SHAPE, backend)
    x = sequences()
    run = bench.layer.unroll(bench.array(x), bench.context())
    y, _ = bench.run(x)
    assert bench.output_shape == (2 * UNITS,)
    np.testing.assert_array_equal(y, np.concatenate([bench.host(state) for state in run.states], axis=1))


@pytest.mark.parametrize("kind", [SimpleRNN, GRU])
def test_return_state_with_one_state_gives_what_it_would_give_anyway(backend: Backend, kind: Any) -> None:
    np.testing.assert_array_equal(outputs(kind, backend, return_state=True), outputs(kind, backend))


@pytest.mark.parametrize("kind", KINDS)
def test_a_sequence_in_pieces_gives_what_it_gives_in_one(backend: Backend, kind: Any) -> None:
    layers = [kind(UNITS, return_sequences=True), kind(2, return_sequences=True)]
    bench, x, states = mount(Chain(layers), SHAPE, backend), sequences(), {}
    pieces = [
        bench.host(bench.layer.forward(bench.array(x[:, piece]), Context(False, states=states))[0])
        for piece in (slice(0, 2), slice(2, 3), slice(3, STEPS))
    ]
    np.testing.assert_allclose(np.concatenate(pieces, 1), bench.run(x)[0], rtol=1e-13, atol=1e-14)
    assert states.keys() == set(layers), "each layer keeps states of its own"


@pytest.mark.parametrize("kind", KINDS)
def test_a_stream_leaves_out_of_a_piece_what_is_padding(backend: Backend, kind: Any) -> None:
    bench, x, states = mount(kind(UNITS), SHAPE, backend), sequences(2, *SHAPE), {}
    for piece, lengths in ((slice(0, 3), [3, 1]), (slice(3, 5), [2, 0])):
        context = bench.context(False, lengths)
        last, _ = bench.layer.forward(bench.array(x[:, piece]), Context(False, context.lengths, states))
    np.testing.assert_allclose(bench.host(last), bench.run(x, lengths=[5, 1])[0], rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("kind", KINDS)
def test_reading_backwards_is_refused_in_a_stream(backend: Backend, kind: Any) -> None:
    bench = mount(kind(UNITS, go_backwards=True), SHAPE, backend)
    assert not bench.layer.streams
    with pytest.raises(OptionError, match="begins with the last step, which a stream has not reached yet"):
        bench.layer.forward(bench.array(sequences()), Context(False, states={}))


def first_values(layer: Layer) -> dict[str, np.ndarray]:
    return Sequential([layer], dtype="float64", input_shape=SHAPE, backend="generic:numpy").get_weights()


def test_the_forget_part_of_the_bias_begins_with_one() -> None:
    np.testing.assert_array_equal(first_values(LSTM(2))["0.bias"], [0, 0, 1, 1, 0, 0, 0, 0])
    np.testing.assert_array_equal(first_values(LSTM(2, unit_forget_bias=False))["0.bias"], 0)


@pytest.mark.parametrize("kind", KINDS)
def test_the_weights_of_the_states_begin_orthogonal(kind: Any) -> None:
    weights = first_values(kind(UNITS))["0.recurrent_weight"]
    np.testing.assert_allclose(weights @ weights.T, np.eye(UNITS), atol=1e-14)


@pytest.mark.parametrize("kind", KINDS)
def test_both_weights_are_decayed_and_no_bias_is(backend: Backend, kind: Any) -> None:
    decayed = {item.name: (item.decayed, item.l2) for item in mount(kind(UNITS, l2=0.1), SHAPE, backend).learned()}
    weights = {name for name in decayed if name.endswith("weight")}
    assert weights == {"1.weight", "1.recurrent_weight"}
    assert {decayed.pop(name) for name in weights} == {(True, 0.1)}
    assert set(decayed.values()) == {(False, None)}


@pytest.mark.parametrize("kind", KINDS)
def test_training_replays_what_it_does_eagerly(backend: Backend, kind: Any) -> None:
    results = []
    for eager in (False, True):
        model = Sequential([kind(3, return_sequences=True), kind(2, return_state=True)], seed=4, backend=backend)
        model.compile("mean_squared_error", "sgd")
        x, width = sequences(10, *SHAPE), 4 if kind is LSTM else 2
        model.fit(x, np.zeros((10, width)), epochs=3, batch_size=4, eager=eager)
        results.append(model.predict(x))
    np.testing.assert_array_equal(*results)


@pytest.mark.parametrize("kind", KINDS)
def test_sequences_that_do_not_fit_are_refused_in_use(backend: Backend, kind: Any) -> None:
    bench = mount(kind(UNITS), SHAPE, backend)
    for shape in ((ROWS, STEPS, FEATURES + 1), (ROWS, FEATURES)):
        with pytest.raises(ShapeError, match=rf"\(4\) expects sequences \(N, T, {FEATURES}\), got "):
            bench.run(np.zeros(shape))
    with pytest.raises(ShapeError, match="expects one length for each of 4 sequences"):
        bench.run(sequences(), lengths=[1, 2, 3])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("shape", "hint"), [((), ""), ((5,), r" Put Reshape\(\(5, 1\)\) before it."), ((4, 4, 1), "")]
)
def test_what_is_no_sequence_is_refused_when_the_model_is_built(
    kind: Any, shape: tuple[int, ...], hint: str
) -> None:
    shown = ", ".join(map(str, shape))
    with pytest.raises(ShapeError, match=rf"expects sequences \(N, T, F\), got .* shape \({shown},?\).{hint}$"):
        Sequential([kind(UNITS)], input_shape=shape, backend="generic:numpy")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"units": 0}, OptionError, "units must be a whole number of at least 1, got 0"),
        ({"return_sequences": 1}, OptionError, "return_sequences must be True or False, got 1"),
        ({"return_state": "yes"}, OptionError, "return_state must be True or False, got 'yes'"),
        ({"go_backwards": None}, OptionError, "go_backwards must be True or False, got None"),
        ({"bias": 0}, OptionError, "bias must be True or False, got 0"),
        ({"init": "hee"}, UnknownNameError, "Unknown initializer 'hee'"),
        ({"recurrent_init": "ortho"}, UnknownNameError, "Unknown initializer 'ortho'. Did you mean 'orthogonal'?"),
        ({"l2": -1}, OptionError, "l2 must be a number in [0, inf), got -1"),
        (
            {"return_sequences": True, "return_state": True},
            OptionError,
            "return_sequences and return_state exclude each other, since a layer has one output; call ",
        ),
    ],
)
def test_options_out_of_range_are_refused(
    kind: Any, options: dict[str, Any], error: type[Exception], says: str
) -> None:
    with pytest.raises(error) as raised:
        kind(**{"units": 2, **options})
    assert says in str(raised.value)


def test_activations_that_the_kernel_cannot_apply_are_refused() -> None:
    with pytest.raises(
        UnknownNameError, match=r"Unknown activation of SimpleRNN 'gelu'.* Known: 'elu', 'identity'"
    ):
        SimpleRNN(2, "gelu")
