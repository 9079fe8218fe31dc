"""Recurrent layers against PyTorch's, weights carried over both ways."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from support.gradients import Bench, mount
from support.peers import assert_close, leaf, torch_or_skip
from support.torch_weights import recurrent_from_torch, recurrent_gradients_from_torch, recurrent_to_torch

from nnx import GRU, LSTM, Backend, Bidirectional, SimpleRNN
from nnx.layers import Chain

KINDS = {"RNN": SimpleRNN, "LSTM": LSTM, "GRU": GRU}
ROWS, STEPS, FEATURES, UNITS = 4, 5, 3, 4
LENGTHS = [5, 2, 1, 3]  # PyTorch packs no sequence of length 0
PADDED = [None, LENGTHS]


def torch_layer(kind: str, **options: Any) -> Any:
    torch = torch_or_skip()
    return getattr(torch.nn, kind)(FEATURES, UNITS, batch_first=True, dtype=torch.float64, **options)


def run_torch(theirs: Any, x: Any, lengths: list[int] | None, states: Any = None) -> tuple[Any, Any]:
    """Return what PyTorch's layer gives for padded sequences: all steps and the last states."""
    rnn = torch_or_skip().nn.utils.rnn
    if lengths is None:
        return theirs(x, states)
    packed = rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    y, last = theirs(packed, states)
    return rnn.pad_packed_sequence(y, batch_first=True, total_length=STEPS)[0], last


def network(kind: str, layers: int, twofold: bool, bench_of: Backend, **options: Any) -> Bench:
    """Stack layers of ours."""
    stack = [KINDS[kind](UNITS, return_sequences=True, **options) for _ in range(layers)]
    return mount(
        Chain([Bidirectional(layer) if twofold else layer for layer in stack]), (STEPS, FEATURES), bench_of
    )


def places(layers: int, twofold: bool) -> Iterator[tuple[str, str]]:
    """Yield where each layer stands in ours, and what its names end with in PyTorch's."""
    for layer in range(layers):
        if twofold:
            yield f"1.{layer}.0.", f"_l{layer}"
            yield f"1.{layer}.1.", f"_l{layer}_reverse"
        else:
            yield f"1.{layer}.", f"_l{layer}"


def held(bench: Bench, prefix: str) -> dict[str, Any]:
    return {item.name.removeprefix(prefix): item for item in bench.learned() if item.name.startswith(prefix)}


@pytest.mark.parametrize("lengths", PADDED, ids=["whole", "padded"])
@pytest.mark.parametrize("twofold", [False, True], ids=["forwards", "bidirectional"])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
@pytest.mark.parametrize("kind", KINDS)
def test_values_and_gradients_agree_for_all_options(
    backend: Backend, kind: str, bias: bool, layers: int, twofold: bool, lengths: list[int] | None
) -> None:
    theirs, random = (
        torch_layer(kind, num_layers=layers, bidirectional=twofold, bias=bias),
        np.random.default_rng(9),
    )
    bench = network(kind, layers, twofold, backend, bias=bias)
    for prefix, suffix in places(layers, twofold):
        for name, values in recurrent_from_torch(kind, theirs.state_dict(), suffix).items():
            held(bench, prefix)[name].value[...] = bench.array(values)
    x, dy = random.normal(size=(ROWS, STEPS, FEATURES)), random.normal(size=(ROWS, *bench.output_shape))
    y, dx = bench.run(x, dy, lengths=lengths)
    inputs = leaf(x)
    outputs, _ = run_torch(theirs, inputs, lengths)
    outputs.backward(torch_or_skip().tensor(dy))
    assert_close(y, outputs)
    assert_close(dx, inputs.grad)
    gradients = {name: parameter.grad for name, parameter in theirs.named_parameters()}
    for prefix, suffix in places(layers, twofold):
        expected = recurrent_gradients_from_torch(kind, gradients, suffix)
        assert expected.keys() == held(bench, prefix).keys()
        for name, parameter in held(bench, prefix).items():
            np.testing.assert_allclose(bench.host(parameter.grad), expected[name], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("twofold", [False, True], ids=["forwards", "bidirectional"])
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
@pytest.mark.parametrize("kind", KINDS)
def test_our_weights_give_the_same_in_torch(backend: Backend, kind: str, bias: bool, twofold: bool) -> None:
    bench, torch = network(kind, 2, twofold, backend, bias=bias), torch_or_skip()
    theirs, state = torch_layer(kind, num_layers=2, bidirectional=twofold, bias=bias), {}
    for prefix, suffix in places(2, twofold):
        ours = {name: bench.host(item.value) for name, item in held(bench, prefix).items()}
        state |= recurrent_to_torch(kind, ours, suffix)
    theirs.load_state_dict({name: torch.tensor(values.copy()) for name, values in state.items()})
    x = np.random.default_rng(10).normal(size=(ROWS, STEPS, FEATURES))
    assert_close(bench.run(x, lengths=LENGTHS)[0], run_torch(theirs, torch.tensor(x), LENGTHS)[0])


@pytest.mark.parametrize("lengths", PADDED, ids=["whole", "padded"])
@pytest.mark.parametrize("kind", KINDS)
def test_states_given_and_left_and_their_gradients_agree(
    backend: Backend, kind: str, lengths: list[int] | None
) -> None:
    theirs, torch, random = torch_layer(kind), torch_or_skip(), np.random.default_rng(11)
    bench = mount(KINDS[kind](UNITS), (STEPS, FEATURES), backend)
    for name, values in recurrent_from_torch(kind, theirs.state_dict()).items():
        bench.set(name, values)
    x, dy = (random.normal(size=(ROWS, STEPS, width)) for width in (FEATURES, UNITS))
    given, asked = (random.normal(size=(len(bench.layer.state_names), ROWS, UNITS)) for _ in range(2))
    run = bench.layer.unroll(bench.array(x), bench.context(True, lengths), [bench.array(state) for state in given])
    dx, initial = run.backward(bench.array(dy), tuple(bench.array(gradient) for gradient in asked))

    inputs, states = leaf(x), [leaf(state[None]) for state in given]
    outputs, last = run_torch(theirs, inputs, lengths, tuple(states) if kind == "LSTM" else states[0])
    lasts = last if kind == "LSTM" else (last,)
    torch.autograd.backward(
        [outputs, *lasts], [torch.tensor(dy), *(torch.tensor(gradient[None]) for gradient in asked)]
    )
    assert_close(bench.host(run.y), outputs)
    assert_close(bench.host(dx), inputs.grad)
    for ours, expected in zip((*run.states, *initial), (*lasts, *(state.grad for state in states)), strict=True):
        assert_close(bench.host(ours), expected[0])
    gradients = {name: parameter.grad for name, parameter in theirs.named_parameters()}
    for name, values in recurrent_gradients_from_torch(kind, gradients).items():
        np.testing.assert_allclose(bench.gradient(name), values, rtol=1e-12, atol=1e-12)


def test_a_simple_network_with_relu_agrees(backend: Backend) -> None:
    theirs, bench = torch_layer("RNN", nonlinearity="relu"), network("RNN", 1, False, backend, activation="relu")
    for name, values in recurrent_from_torch("RNN", theirs.state_dict()).items():
        bench.set(name, values)
    x = np.random.default_rng(12).normal(size=(ROWS, STEPS, FEATURES))
    assert_close(bench.run(x)[0], theirs(torch_or_skip().tensor(x))[0])
