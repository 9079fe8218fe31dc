"""Bidirectional: two layers of one's options, and their outputs made one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support.gradients import check_gradients, mount

from nnx import GRU, LSTM, Backend, Bidirectional, Context, Dense, Sequential, SimpleRNN
from nnx.errors import OptionError, ShapeError
from nnx.layers import Chain

KINDS = [SimpleRNN, LSTM, GRU]
SHAPE = (5, 3)
LENGTHS = [5, 2, 0, 3]


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["whole", "padded"])
@pytest.mark.parametrize("merge", ["concat", "sum"])
@pytest.mark.parametrize("return_sequences", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_the_slopes(
    backend: Backend, kind: Any, return_sequences: bool, merge: str, lengths: list[int] | None
) -> None:
    layer = Bidirectional(kind(4, return_sequences=return_sequences), merge)
    check_gradients(layer, SHAPE, backend, 4, lengths)


def test_gradients_run_through_a_stack(backend: Backend) -> None:
    layers = [Bidirectional(GRU(2, return_sequences=True)), Bidirectional(LSTM(3), "sum"), Dense(2)]
    check_gradients(Chain(layers), SHAPE, backend, 4, LENGTHS)


@pytest.mark.parametrize("return_sequences", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_both_halves_are_the_layer_and_its_twin_alone(backend: Backend, kind: Any, return_sequences: bool) -> None:
    x = np.random.default_rng(13).normal(size=(4, *SHAPE))
    both = mount(Bidirectional(kind(4, return_sequences=return_sequences)), SHAPE, backend)
    y, _ = both.run(x, lengths=LENGTHS)
    for index, half in enumerate((y[..., :4], y[..., 4:])):
        options = {"return_sequences": return_sequences, "go_backwards": index == 1}
        alone = mount(kind(4, **options), SHAPE, backend)
        for item in both.learned():
            if item.name.startswith(f"1.{index}."):
                alone.set(item.name.rpartition(".")[2], both.host(item.value))
        np.testing.assert_array_equal(half, alone.run(x, lengths=LENGTHS)[0])


def test_the_gradient_of_inputs_that_nothing_learns_from_is_computed_by_neither(backend: Backend) -> None:
    model = Sequential([Bidirectional(GRU(2))], input_shape=SHAPE, backend=backend)
    y, backward = model.chain.forward(model.ops.asarray(np.ones((2, *SHAPE))), Context(True))
    with model.ops.recording() as tape:
        assert backward(y) is None
    products = [call.arguments for call in tape.calls if call.kernel.__name__ == "linear_backward"]
    assert [dx for _x, _y, _dy, _w, _dz, dx, *_ in products] == [None, None]


def test_a_sum_is_the_sum_of_both_halves(backend: Backend) -> None:
    x = np.random.default_rng(14).normal(size=(4, *SHAPE))
    halves, _ = mount(Bidirectional(GRU(4)), SHAPE, backend).run(x)
    together = mount(Bidirectional(GRU(4), merge="sum"), SHAPE, backend)
    assert together.output_shape == (4,)
    np.testing.assert_allclose(together.run(x)[0], halves[:, :4] + halves[:, 4:], rtol=1e-14, atol=1e-15)


def test_the_twin_has_every_option_but_the_direction() -> None:
    options = {"return_sequences": True, "bias": False, "l2": 0.5, "init": 0.25}
    model = Sequential([Bidirectional(LSTM(2, **options))], input_shape=SHAPE, backend="generic:numpy")
    weights = model.get_weights()
    assert list(weights) == ["0.0.weight", "0.0.recurrent_weight", "0.1.weight", "0.1.recurrent_weight"]
    np.testing.assert_array_equal(weights["0.1.weight"], 0.25)
    assert (weights["0.0.recurrent_weight"] != weights["0.1.recurrent_weight"]).any()
    assert [item.l2 for item in model.store.parameters] == [0.5] * 4


def test_a_stream_is_refused(backend: Backend) -> None:
    bench = mount(Bidirectional(GRU(2)), SHAPE, backend)
    assert not bench.layer.streams
    with pytest.raises(OptionError, match="begins with the last step too, which a stream has not reached yet"):
        bench.layer.forward(bench.array(np.zeros((1, *SHAPE))), Context(False, states={}))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Bidirectional(Dense(3)), r"layer must be a SimpleRNN, LSTM or GRU, got Dense\(3\)"),
        (lambda: Bidirectional(None), "layer must be a SimpleRNN, LSTM or GRU, got None"),
        (lambda: Bidirectional(GRU), "layer must be a SimpleRNN, LSTM or GRU, got "),
        (lambda: Bidirectional(GRU(3, return_state=True)), "layer must not return_state in Bidirectional"),
        (lambda: Bidirectional(GRU(3), merge="mul"), 'merge must be "concat" or "sum", got \'mul\''),
        (lambda: Bidirectional(GRU(3), merge=None), 'merge must be "concat" or "sum", got None'),
    ],
)
def test_what_cannot_be_read_both_ways_is_refused(make: Any, says: str) -> None:
    with pytest.raises(OptionError, match=says):
        make()


def test_what_is_no_sequence_is_refused_when_the_model_is_built() -> None:
    with pytest.raises(ShapeError, match=r"GRU\(3\) expects sequences \(N, T, F\), got examples of shape \(4,\)"):
        Sequential([Bidirectional(GRU(3))], input_shape=(4,), backend="generic:numpy")
