"""`unroll`: states handed from layer to layer, and those that it refuses."""

from __future__ import annotations

import doctest
import inspect
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from support.gradients import Bench, check_gradients, mount

import nnx
from nnx import GRU, LSTM, Backend, Context, Layer, SimpleRNN, registry
from nnx.errors import BackendError, DtypeError, ShapeError
from nnx.layers.unrolling import Recurrent

KINDS = [SimpleRNN, LSTM, GRU]
STEPS, FEATURES, UNITS, ROWS = 5, 3, 4, 4
SHAPE = (STEPS, FEATURES)
LENGTHS = [5, 2, 0, 3]


def sequences() -> np.ndarray:
    return np.random.default_rng(8).normal(size=(ROWS, *SHAPE))


@dataclass(eq=False, repr=False)
class EncoderDecoder(Layer):
    """A layer of a user's own: the decoder begins where the encoder ended, and both outputs are added."""

    encoder: Any
    decoder: Any

    def setup(self, builder: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
        outer = builder.path
        for name, layer in (("encoder", self.encoder), ("decoder", self.decoder)):
            builder.path = f"{outer}.{name}"
            layer.build(builder, shape)
        builder.path = outer
        return STEPS, UNITS

    def forward(self, x: Any, context: Context) -> Any:
        ops = self.ops
        first = self.encoder.unroll(x, context)
        second = self.decoder.unroll(x, context, first.states)

        def backward(dy: Any) -> Any:
            dx, initial = second.backward(dy)
            other, none = first.backward(dy, initial)
            assert all(gradient is None for gradient in none), "the encoder began with zeros"
            return ops.add(dx, other)

        return ops.add(first.y, second.y), backward


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["whole", "padded"])
@pytest.mark.parametrize("go_backwards", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_gradients_run_through_states_handed_from_layer_to_layer(
    backend: Backend, kind: Any, go_backwards: bool, lengths: list[int] | None
) -> None:
    layer = EncoderDecoder(kind(UNITS, go_backwards=go_backwards), kind(UNITS))
    check_gradients(layer, SHAPE, backend, ROWS, lengths)


def example_of_the_documentation() -> dict[str, Any]:
    """Run the example in the docstring of `unroll`, and return what it defines."""
    names: dict[str, Any] = {"nnx": nnx}
    text = inspect.getdoc(Recurrent.unroll) or ""
    example = doctest.DocTestParser().get_doctest(text, names, "unroll", None, None)
    assert example.examples, "unroll has lost its example"
    complaints: list[str] = []
    results = doctest.DocTestRunner().run(example, out=complaints.append, clear_globs=False)
    assert not results.failed, "".join(complaints)
    return example.globs


def test_the_encoder_and_decoder_of_the_documentation_work_and_learn(backend: Backend) -> None:
    layer = example_of_the_documentation()["EncoderDecoder"](source=2, units=UNITS)
    check_gradients(layer, (STEPS, 5), backend, ROWS, LENGTHS)


def state_of(bench: Bench, *shape: int, dtype: str | None = None) -> Any:
    return bench.ops.asarray(np.random.default_rng(9).normal(size=shape), dtype)


@pytest.mark.parametrize("missing", [0, 1], ids=["h", "c"])
def test_a_state_left_out_begins_with_zeros_and_has_no_gradient(backend: Backend, missing: int) -> None:
    bench = mount(LSTM(UNITS), SHAPE, backend)
    x, states = bench.array(sequences()), [state_of(bench, ROWS, UNITS)] * 2
    zeros, none = list(states), list(states)
    zeros[missing], none[missing] = bench.ops.asarray(np.zeros((ROWS, UNITS))), None
    expected, run = (bench.layer.unroll(x, bench.context(True, LENGTHS), given) for given in (zeros, none))
    np.testing.assert_array_equal(bench.host(run.y), bench.host(expected.y))
    dy = bench.ops.asarray(np.ones((ROWS, STEPS, UNITS)))
    (dx, gradients), (expected_dx, expected_gradients) = run.backward(dy), expected.backward(dy)
    np.testing.assert_array_equal(bench.host(dx), bench.host(expected_dx))
    assert gradients[missing] is None
    other = 1 - missing
    np.testing.assert_array_equal(bench.host(gradients[other]), bench.host(expected_gradients[other]))


@pytest.mark.parametrize("kind", KINDS)
def test_states_that_do_not_fit_are_refused(backend: Backend, kind: Any) -> None:
    bench = mount(kind(UNITS), SHAPE, backend)
    x, count = bench.array(sequences()), len(bench.layer.state_names)
    for shape in ((ROWS, UNITS + 1), (ROWS + 1, UNITS)):
        with pytest.raises(ShapeError, match=rf"expects h0 \({ROWS}, {UNITS}\), got "):
            bench.layer.unroll(x, bench.context(), [state_of(bench, *shape)] * count)
    with pytest.raises(ShapeError, match=rf"has the states {', '.join(bench.layer.state_names)}, got 3 of them"):
        bench.layer.unroll(x, bench.context(), [state_of(bench, ROWS, UNITS)] * 3)
    with pytest.raises(DtypeError, match=r"expects h0 of dtype .*float64, like the weights, got .*float32"):
        bench.layer.unroll(x, bench.context(), [state_of(bench, ROWS, UNITS, dtype="float32")] * count)


@pytest.mark.parametrize("kind", KINDS)
def test_states_that_are_no_arrays_of_the_backend_are_refused(backend: Backend, kind: Any) -> None:
    bench = mount(kind(UNITS), SHAPE, backend)
    x, last = bench.array(sequences()), bench.layer.state_names[-1]
    before = [None] * (len(bench.layer.state_names) - 1)
    with pytest.raises(DtypeError, match=f"expects {last}0 to be an array, got a list; make one by ops.asarray"):
        bench.layer.unroll(x, bench.context(), [*before, [[0.0] * UNITS] * ROWS])
    other = "generic:numpy" if backend.name == "generic:array_api_strict" else "generic:array_api_strict"
    foreign = registry.get(other).zeros((ROWS, UNITS), "float64")
    with pytest.raises(BackendError, match="Arrays of two backends were mixed"):
        bench.layer.unroll(x, bench.context(), [*before, foreign])


@pytest.mark.parametrize("kind", KINDS)
def test_lengths_that_are_not_int64_are_refused(backend: Backend, kind: Any) -> None:
    bench = mount(kind(UNITS), SHAPE, backend)
    x, lengths = bench.array(sequences()), bench.ops.asarray(LENGTHS, "int32")
    with pytest.raises(DtypeError, match=r"expects lengths of dtype int64, got .*int32"):
        bench.layer.forward(x, Context(True, lengths))


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_of_the_last_states_that_do_not_fit_are_refused(backend: Backend, kind: Any) -> None:
    bench = mount(kind(UNITS), SHAPE, backend)
    run, count = bench.layer.unroll(bench.array(sequences()), bench.context()), len(bench.layer.state_names)
    with pytest.raises(ShapeError, match=rf"has the states {', '.join(bench.layer.state_names)}, got 3 of them"):
        run.backward(None, [state_of(bench, ROWS, UNITS)] * 3)
    with pytest.raises(ShapeError, match=rf"_backward expects dh_last \({ROWS}, {UNITS}\), got "):
        run.backward(None, [state_of(bench, ROWS, UNITS + 1)] * count)
